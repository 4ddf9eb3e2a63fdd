//! What a save would do, before it is done: which opportunities enter, leave and are sent again, what
//! the job costs that it starts, and the rest in words.

mod cost;
mod kept;
mod list;
mod sets;
mod sync_all;
mod words;

use std::sync::Arc;

use domain::filter;
use domain::job::{Job, JobScope};
use domain::rule::{Effect, Effects, Rules, Visible};
use domain::settings::{SettingsRevision, diff};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::Source;

use super::checks::Checked;
use super::save::{self, Ready};
use crate::OpsError;
use crate::operations::{Operations, soon};
use crate::views::{EffectView, PreviewView, SaveSettings};

pub(crate) use kept::Previews;

/// A save that is looked at: rules and permissions as they are at one moment.
#[derive(Debug)]
pub(super) struct Foreseen {
    id: String,
    before: Rules,
    after: Rules,
    at: Timestamp,
    /// Who holds permission.
    owners: Vec<SalesforceId>,
    compared: Compared,
}

/// What the opportunities are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// The rules are the same, and nothing happens to anything.
    Same,
    /// Both rules.
    Both {
        /// Whether what is in scope by both is sent again.
        sent_again: bool,
    },
    /// Everything in scope by the new rules is read, whatever was before.
    New(&'static str),
}

/// The settings were for another org.
const OTHER_ORG: &str = "the settings were for another org: everything in scope is brought to mOS, and what is in mOS from the other org is not looked at";
/// The rules before name what the integration user sees no more.
const UNJUDGED: &str = "the filter in force names a field that the integration user cannot see any more, so nobody can tell what it let in: everything in scope is sent";

impl Foreseen {
    const fn effects(&self) -> Effects<'_> {
        Effects {
            before: &self.before,
            after: &self.after,
            at: self.at,
        }
    }
}

impl Operations {
    /// What saving a document would do. Nothing is saved.
    ///
    /// # Errors
    /// Those of [`Self::save_settings`]; [`OpsError::Conflict`] while nobody knows who holds
    /// permission.
    pub async fn preview_settings(&self, asked: &SaveSettings) -> Result<PreviewView, OpsError> {
        let document = save::document_of(asked)?;
        let base = self.revision_or_current(asked.base).await?;
        let parsed = document.read(&base.settings);
        let Ready {
            current, checked, ..
        } = self.ready(parsed, &base).await?;
        let Checked {
            settings,
            types,
            profile,
            warnings,
        } = checked;
        let next = current.next(settings, types, profile, "a preview", self.now());
        self.preview(&current, &next, warnings).await
    }

    async fn preview(
        &self,
        current: &SettingsRevision,
        next: &SettingsRevision,
        warnings: Vec<String>,
    ) -> Result<PreviewView, OpsError> {
        let job = save::caused(current, next);
        let sandbox = self.is_sandbox(current, next).await;
        let mut words =
            words::of_switches(&current.settings, &next.settings, sandbox, job.is_some());
        words.extend(warnings);
        let mut view = PreviewView {
            id: String::new(),
            base: current.revision,
            at: next.saved,
            snapshot: None,
            changes: diff(&current.settings, &next.settings),
            words,
            enters: nothing(),
            leaves: nothing(),
            sent_again: nothing(),
            job: None,
        };
        let (foreseen, snapshot) = self.foresee(current, next, job.as_ref()).await?;
        let foreseen = Arc::new(foreseen);
        view.id.clone_from(&foreseen.id);
        if let Some(job) = &job {
            view.snapshot = Some(snapshot);
            let plan = cost::Plan::of(&foreseen, job);
            let totals = sets::counts(&self.source, plan.counts()).await?;
            view.enters = self.effect(&foreseen, Effect::Enters).await?;
            view.leaves = self.effect(&foreseen, Effect::Leaves).await?;
            view.sent_again = self.effect(&foreseen, Effect::SentAgain).await?;
            view.job = Some(self.cost(&plan, &totals, view.enters.count).await?);
            view.words.extend(words::of_rules(&foreseen, &view));
        }
        self.previews.keep(foreseen);
        Ok(view)
    }

    /// Rules, permissions and fields as they are now.
    async fn foresee(
        &self,
        current: &SettingsRevision,
        next: &SettingsRevision,
        job: Option<&Job>,
    ) -> Result<(Foreseen, u64), OpsError> {
        let at = next.saved;
        let mut foreseen = Foreseen {
            id: id_of(current, next)?,
            before: rules(current, Visible::new())?,
            after: rules(next, Visible::new())?,
            at,
            owners: Vec::new(),
            compared: Compared::Same,
        };
        let Some(job) = job else {
            return Ok((foreseen, 0));
        };
        let snapshot = self.stores.permissions.latest().await?;
        if snapshot.number == 0 {
            return Err(OpsError::Conflict(
                "what a save would do cannot be told before permissions have been read from Salesforce; start `mosync permission` or `mosync all`, and ask again when the status says that they were read".to_owned(),
            ));
        }
        foreseen.owners = snapshot.permitted(at).into_iter().collect();
        let visible = visible(&*self.source).await?;
        foreseen.after = rules(next, visible)?;
        foreseen.compared = compared(&foreseen, job);
        Ok((foreseen, snapshot.number))
    }

    /// Whether the connected org is a sandbox; `None` where that makes no difference, or Salesforce
    /// does not say.
    async fn is_sandbox(
        &self,
        current: &SettingsRevision,
        next: &SettingsRevision,
    ) -> Option<bool> {
        let switch = |revision: &SettingsRevision| revision.settings.run_in_sandbox;
        if switch(current) && switch(next) {
            return None;
        }
        let org = soon(self.source.organization()).await;
        org.ok().map(|org| org.is_sandbox)
    }
}

fn compared(foreseen: &Foreseen, job: &Job) -> Compared {
    let sent_again = match &job.scope {
        JobScope::Everything => return Compared::New(OTHER_ORG),
        JobScope::Objects { .. } => true,
        JobScope::Entering { .. }
        | JobScope::Owners { .. }
        | JobScope::Since { .. }
        | JobScope::Stages { .. }
        | JobScope::Records { .. }
        | JobScope::Stream => false,
    };
    let seen = |field: &String| foreseen.after.sees(ObjectKind::Opportunity, field);
    if foreseen.before.judged_fields().iter().all(seen) {
        Compared::Both { sent_again }
    } else {
        Compared::New(UNJUDGED)
    }
}

fn rules(revision: &SettingsRevision, visible: Visible) -> Result<Rules, OpsError> {
    Rules::of(revision, visible).map_err(|faults| {
        OpsError::Broken(format!(
            "the filter of settings revision {} cannot be used: {}",
            revision.revision,
            filter::in_words(&faults)
        ))
    })
}

async fn visible(source: &dyn Source) -> Result<Visible, OpsError> {
    let fields = source.describe("Opportunity").await?;
    let mut names: std::collections::BTreeSet<String> =
        fields.into_iter().map(|field| field.name).collect();
    // What every row has, though a describe may leave it out.
    names.extend(["Id", "IsClosed", "OwnerId"].map(str::to_owned));
    Ok([(ObjectKind::Opportunity, names)].into())
}

/// The same question at the same moment has the same id.
fn id_of(current: &SettingsRevision, next: &SettingsRevision) -> Result<String, OpsError> {
    let document = serde_json::to_string(&next.settings)
        .map_err(|error| OpsError::Broken(format!("the settings cannot be written: {error}")))?;
    let name = format!(
        "preview {} {} {document}",
        current.revision,
        next.saved.as_micros()
    );
    Ok(domain::job::uuid_of(&name).to_string())
}

const fn nothing() -> EffectView {
    EffectView {
        count: Some(0),
        exact: true,
        judged: None,
        why: Vec::new(),
        sample: Vec::new(),
    }
}
