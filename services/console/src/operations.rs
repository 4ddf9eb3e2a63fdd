//! Everything that can be asked and ordered, on ports alone.

pub(crate) mod access;
mod broker;
mod checklist;
pub(crate) mod dead;
mod explain;
mod fields;
pub(crate) mod jobs;
mod left;
pub(crate) mod logs;
mod notifications;
mod org;
pub(crate) mod parked;
pub(crate) mod settings;
pub(crate) mod standing;
mod status;
mod users;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::job::JobId;
use domain::{ObjectKind, SalesforceId};
use futures::Stream;
use ports::Clock;
use ports::courier::Courier;
use ports::queue::Queue;
use ports::source::{Source, SourceError};
use ports::stores::{LogEntry, LogLevel, Stores};
use ports::target::Target;
use runtime::calls::Counting;
use runtime::readback::RulesInForce;

pub use notifications::Notifier;

use crate::OpsError;
use crate::journal::{Journal, JournalError};
use settings::preview::Previews;

/// Lines or entries of a page, when the caller does not say.
const PAGE: usize = 100;
/// At most.
const MAX_PAGE: usize = 1000;
/// Letters of a reason: a line of the log is a sentence.
pub(crate) const LONGEST_REASON: usize = 500;
/// Rows from which a statement is read by the Bulk API, where nothing is configured.
const BULK_FROM: u64 = 10_000;
/// Whoever has opened a page waits no longer for one answer of Salesforce, to which workers give minutes.
const ONE_ANSWER: Duration = Duration::from_secs(10);

/// Who asks; named in the integration log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A command of mosync on this machine.
    CommandLine,
    /// Somebody with the configured token of the API.
    Api,
    /// Somebody with a token that was made on the page Access, by the token's name.
    Token(Arc<str>),
    /// Somebody who has signed in to the console, by their Salesforce username.
    Person(Arc<str>),
}

impl Caller {
    /// The name in the integration log.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::CommandLine => "the command line".to_owned(),
            Self::Api => "the API".to_owned(),
            Self::Token(name) => format!("the API token `{name}`"),
            Self::Person(username) => username.to_string(),
        }
    }

    /// The name in the log of the process, which is read by others: nobody is named there.
    const fn in_process_log(&self) -> &'static str {
        match self {
            Self::CommandLine => "the command line",
            Self::Api | Self::Token(_) => "the API",
            Self::Person(_) => "somebody in the console",
        }
    }
}

/// Whom a saved revision names. For a command it is the user of the operating system who runs it, for
/// the API the token that was presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author(String);

impl Author {
    /// No name is longer.
    const LONGEST: usize = 100;

    /// Whoever calls; `user` is the name that a command gives, and counts for commands alone.
    #[must_use]
    pub fn of(caller: &Caller, user: Option<&str>) -> Self {
        let user = user.map(|user| user.trim().chars().take(Self::LONGEST));
        let user = user.map(Iterator::collect::<String>);
        Self(match (caller, user) {
            (Caller::CommandLine, Some(user)) if !user.is_empty() => {
                format!("{user} (command line)")
            }
            (Caller::CommandLine, _) => "somebody at the command line".to_owned(),
            (Caller::Api, _) => "the API token".to_owned(),
            (Caller::Token(_) | Caller::Person(_), _) => caller.name(),
        })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// What operators can ask and order. Clones share the stores.
#[derive(Clone)]
pub struct Operations {
    stores: Stores,
    queue: Arc<dyn Queue>,
    clock: Arc<dyn Clock>,
    source: Arc<dyn Source>,
    topic: String,
    polled: BTreeSet<ObjectKind>,
    journal: Option<Journal>,
    org_memory: org::OrgMemory,
    field_memory: fields::FieldMemory,
    standing_memory: standing::StandingMemory,
    parked_memory: parked::ParkedMemory,
    holding_memory: standing::HoldingMemory,
    broker_memory: broker::BrokerMemory,
    permission_sets: Vec<String>,
    bulk_from: u64,
    previews: Arc<Previews>,
    rules: Arc<RulesInForce>,
    courier: Option<Arc<dyn Courier>>,
    target: Option<Arc<dyn Target>>,
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Operations {
    /// On these stores and queues, and the org they are about; `topic` is the event channel whose
    /// position is shown. No object is polled, and no settings journal kept.
    #[must_use]
    pub fn new(
        stores: Stores,
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
        source: Arc<dyn Source>,
        topic: impl Into<String>,
    ) -> Self {
        let rules = RulesInForce::new(stores.clone(), Arc::clone(&source));
        Self {
            rules: Arc::new(rules),
            target: None,
            stores,
            queue,
            clock,
            source,
            topic: topic.into(),
            polled: BTreeSet::new(),
            journal: None,
            org_memory: org::OrgMemory::default(),
            field_memory: fields::FieldMemory::default(),
            standing_memory: standing::StandingMemory::default(),
            parked_memory: parked::ParkedMemory::default(),
            holding_memory: standing::HoldingMemory::default(),
            broker_memory: broker::BrokerMemory::default(),
            permission_sets: Vec::new(),
            bulk_from: BULK_FROM,
            previews: Arc::default(),
            courier: None,
        }
    }

    /// Asks mOS there what it holds, for who wants a record explained or to know what left the scope.
    #[must_use]
    pub fn asking(mut self, target: Arc<dyn Target>) -> Self {
        self.target = Some(target);
        self
    }

    /// Statements with more rows are read by Bulk API jobs, as the listener does.
    #[must_use]
    pub const fn with_bulk_from(mut self, rows: u64) -> Self {
        self.bulk_from = rows;
        self
    }

    /// The permission sets whose holders count, by their API names with the namespace.
    #[must_use]
    pub fn counting(mut self, permission_sets: Vec<String>) -> Self {
        self.permission_sets = permission_sets;
        self
    }

    /// Writes every revision of the settings down there, before it is saved.
    #[must_use]
    pub fn journaling(mut self, journal: Option<Journal>) -> Self {
        self.journal = journal;
        self
    }

    /// Where the listener polls these objects: there is no rest without them.
    #[must_use]
    pub fn polling(mut self, objects: BTreeSet<ObjectKind>) -> Self {
        self.polled = objects;
        self
    }

    /// Has the settings in the store and in the journal say the same; what was needed for that
    /// goes to the integration log.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn reconcile_settings(&self) -> Result<(), JournalError> {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        let done = journal.reconcile(&*self.stores.settings).await?;
        let Some(revision) = done.restored else {
            return Ok(());
        };
        let entry = LogEntry {
            at: self.now(),
            level: LogLevel::Warning,
            topic: "settings".to_owned(),
            job: None,
            record: None,
            message: format!(
                "the status store had lost the settings; revision {revision} is in force again, from the settings journal"
            ),
        };
        tracing::warn!(topic = "settings", "{}", entry.message);
        Ok(self.stores.log.append(&entry).await?)
    }

    /// Counts what is asked of Salesforce through it.
    pub(crate) fn api_requests(&self) -> Counting {
        let (source, clock) = (Arc::clone(&self.source), Arc::clone(&self.clock));
        Counting::new(source, Arc::clone(&self.stores.calls), clock)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes a line of the integration log about what somebody has ordered.
    async fn note(&self, about: About<'_>, by: &Caller, message: String) -> Result<(), OpsError> {
        tracing::info!(topic = about.topic, "{}", discreet(&message, &about, by));
        let entry = LogEntry {
            at: self.now(),
            level: LogLevel::Info,
            topic: about.topic.to_owned(),
            job: about.job.cloned(),
            record: about.record,
            message,
        };
        Ok(self.stores.log.append(&entry).await?)
    }
}

/// What Salesforce answers, if it does so soon.
///
/// # Errors
/// [`SourceError`]; also when it does not.
async fn soon<T>(asked: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
    let answered = tokio::time::timeout(ONE_ANSWER, asked).await;
    answered.unwrap_or_else(|_elapsed| Err(silence()))
}

/// That Salesforce has said nothing for as long as somebody waits.
fn silence() -> SourceError {
    SourceError::Unreachable(format!("no answer within {} s", ONE_ANSWER.as_secs()))
}

/// What a line of the integration log is about.
#[derive(Debug, Clone, Copy)]
struct About<'a> {
    topic: &'static str,
    job: Option<&'a JobId>,
    record: Option<(ObjectKind, SalesforceId)>,
    /// What somebody has typed as their reason, as the line says it.
    reason: Option<&'a str>,
}

impl<'a> About<'a> {
    const fn topic(topic: &'static str) -> Self {
        Self {
            topic,
            job: None,
            record: None,
            reason: None,
        }
    }

    const fn job(job: &'a JobId) -> Self {
        Self {
            topic: "job",
            job: Some(job),
            record: None,
            reason: None,
        }
    }

    const fn because(self, reason: Option<&'a str>) -> Self {
        Self { reason, ..self }
    }
}

/// A line for the log of the process, which is read by others than the integration log: without who it
/// was, and without what they have typed, which may be about people.
fn discreet(message: &str, about: &About<'_>, by: &Caller) -> String {
    let message = match about.reason {
        Some(reason) => message.replace(reason, "(for a reason that the integration log says)"),
        None => message.to_owned(),
    };
    message.replace(&by.name(), by.in_process_log())
}

/// How many a page holds.
///
/// # Errors
/// [`OpsError::Invalid`] for none, or more than [`MAX_PAGE`].
fn page_size(limit: Option<usize>) -> Result<usize, OpsError> {
    match limit {
        None => Ok(PAGE),
        Some(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        Some(limit) => Err(OpsError::Invalid(format!(
            "limit {limit} is not a number from 1 to {MAX_PAGE}; leave it out for {PAGE}"
        ))),
    }
}

/// All pages, each read as it is taken: `page` answers what is on one, and where the next begins.
fn pages<P, T, F>(
    first: P,
    page: impl Fn(P) -> F + Send,
) -> impl Stream<Item = Result<Vec<T>, OpsError>> + Send
where
    P: Send,
    F: Future<Output = Result<(Vec<T>, Option<P>), OpsError>> + Send,
{
    futures::stream::try_unfold(Some(first), move |from| {
        let next = from.map(&page);
        async move {
            match next {
                Some(next) => next.await.map(Some),
                None => Ok(None),
            }
        }
    })
}

/// A record by its id, whose first characters name the object.
///
/// # Errors
/// [`OpsError::Invalid`] names what is wrong with the id.
fn record_of(text: &str) -> Result<(ObjectKind, SalesforceId), OpsError> {
    let id = SalesforceId::parse(text.trim())
        .map_err(|error| OpsError::Invalid(format!("`{text}` is no record id: {error}")))?;
    let object = ObjectKind::of_prefix(id.key_prefix()).ok_or_else(|| {
        OpsError::Invalid(format!(
            "`{text}` is not the id of a User, Account, Contact, Opportunity or OpportunityContactRole; mosync knows no others"
        ))
    })?;
    Ok((object, id))
}

fn object_of(text: &str) -> Result<ObjectKind, OpsError> {
    text.parse()
        .map_err(|error: domain::object::UnknownObject| OpsError::Invalid(error.to_string()))
}

/// One of a few names.
fn one_of<T>(
    what: &str,
    text: &str,
    known: impl IntoIterator<Item = T>,
    name: impl Fn(&T) -> &'static str,
) -> Result<T, OpsError> {
    let mut names = Vec::new();
    for value in known {
        if name(&value) == text {
            return Ok(value);
        }
        names.push(name(&value));
    }
    Err(OpsError::Invalid(format!(
        "{what} `{text}` is not known; write one of {}",
        names.join(", ")
    )))
}

/// A reason in words.
///
/// # Errors
/// [`OpsError::Invalid`] for one that is longer than [`LONGEST_REASON`].
fn reason_of(reason: Option<String>) -> Result<Option<String>, OpsError> {
    let Some(text) = reason else { return Ok(None) };
    let letters = text.chars().count();
    if letters > LONGEST_REASON {
        return Err(OpsError::Invalid(format!(
            "the reason has {letters} letters, and at most {LONGEST_REASON} are written into the log; nothing was done, say it in fewer"
        )));
    }
    // Behind a line break there could stand a line that looks like the log's own.
    let line = text.replace(char::is_control, " ").trim().to_owned();
    Ok(Some(line).filter(|line| !line.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_moves_nobody_s_terminal() {
        let line = |text: &str| reason_of(Some(text.to_owned())).unwrap();
        let forged = "done\r\n2026-11-22T15:04:05Z info access: anna signed in \u{1b}[2J";
        let told = "done  2026-11-22T15:04:05Z info access: anna signed in  [2J";
        assert_eq!(line(forged).as_deref(), Some(told));
        assert_eq!(line(" \u{1b}\n "), None);
        let longest = "ä".repeat(500);
        assert_eq!(line(&longest), Some(longest.clone()));
        let refused = reason_of(Some(format!("{longest}!"))).unwrap_err();
        assert!(matches!(&refused, OpsError::Invalid(_)), "{refused:?}");
        assert!(refused.to_string().contains("has 501 letters"), "{refused}");
    }

    #[test]
    fn the_process_log_has_neither_names_nor_what_people_type() {
        let anna = Caller::Person("anna@example.com".into());
        let reason = "anna@example.com knows Mrs Smith";
        let message = format!("dismissed by {}: {reason}", anna.name());
        let about = About::topic("parked").because(Some(reason));
        assert_eq!(
            discreet(&message, &about, &anna),
            "dismissed by somebody in the console: (for a reason that the integration log says)"
        );
        let about = About::topic("parked");
        assert_eq!(
            discreet("resumed by anna@example.com", &about, &anna),
            "resumed by somebody in the console"
        );
    }
}
