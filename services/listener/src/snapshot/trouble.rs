//! What the reader does about trouble: wait, begin the phase again, hold the job, or give it up.

use std::time::Duration;

use domain::job::{Form, Pause, PausedBy, Plan, SalesforceStatus, Way};
use ports::source::SourceError;
use ports::stores::{LogLevel, StoreError};
use runtime::worker::Outage;
use tokio::time::Instant;

use super::plan::About;
use super::publish::Reading;
use super::{Reader, bulk, move_to, plan};
use crate::in_words;

/// So often the same page may be refused or come as garbage: what can be seen may just have
/// changed, and lines break.
const STRIKES: u32 = 4;
/// So often a phase may begin again before the job fails.
const AGAIN: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// How long a job is held when the org's allowance is used up, doubled from the first to the last.
const FIRST_HOLD: Duration = Duration::from_secs(60);
const LAST_HOLD: Duration = Duration::from_secs(30 * 60);

/// How patient the reader is with one job.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    strikes: u32,
    holds: u32,
    /// A statement was refused as if for a field, and what can be seen is looked up again.
    sees_anew: bool,
    not_before: Option<Instant>,
}

impl Patience {
    pub(super) fn is_waiting(&self) -> bool {
        self.not_before.is_some_and(|until| Instant::now() < until)
    }

    fn wait(&mut self) {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.failures.min(10));
        self.not_before = Some(Instant::now() + pause.min(LAST_PAUSE));
        self.failures += 1;
    }

    fn hold(&mut self) -> Duration {
        let hold = FIRST_HOLD * 2_u32.saturating_pow(self.holds.min(10));
        self.holds += 1;
        hold.min(LAST_HOLD)
    }

    /// Whether there has been no trouble before this.
    const fn is_new(&self) -> bool {
        self.failures == 0
    }

    /// Something was read; whether there had been trouble before.
    pub(super) fn has_paid(&mut self) -> bool {
        std::mem::take(self).failures > 0
    }
}

/// Why a turn did not go on.
pub(super) enum Trouble {
    /// Something is out of reach or refuses.
    Outage(Outage),
    /// Salesforce does not take a statement.
    Refused { code: String, message: String },
    /// What has been read of the phase is no use: it begins again.
    Broken {
        reason: String,
        /// What it may have been about.
        about: About,
    },
    /// The job cannot be read, now or later.
    Hopeless(String),
}

impl Trouble {
    /// The answer to a statement itself, not to a question after its rows.
    pub(super) fn of_statement(outage: Outage) -> Self {
        match outage {
            Outage::Source(SourceError::Refused { code, message }) => {
                Self::Refused { code, message }
            }
            outage @ (Outage::Source(_) | Outage::Store(_) | Outage::Other(_)) => {
                Self::Outage(outage)
            }
        }
    }

    /// What has been read of the phase is no use, whatever its statements are.
    pub(super) const fn broken(reason: String) -> Self {
        Self::Broken {
            reason,
            about: About::Other,
        }
    }
}

impl From<Outage> for Trouble {
    fn from(outage: Outage) -> Self {
        Self::Outage(outage)
    }
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Outage(error.into())
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Outage(error.into())
    }
}

/// Does what is to be done.
///
/// # Errors
/// Our own ground, queue and stores, is out of reach: the listener starts again.
pub(super) async fn meet(
    reading: &mut Reading<'_>,
    reader: &mut Reader,
    trouble: Trouble,
) -> Result<(), String> {
    let error = match trouble {
        Trouble::Outage(error @ (Outage::Store(_) | Outage::Other(_))) => {
            return Err(error.to_string());
        }
        Trouble::Refused { code, message } => {
            let about = plan::about(&code, &message);
            return strike(reading, reader, &format!("{code}: {message}"), about).await;
        }
        Trouble::Broken { reason, about } => {
            let about_joins = about.is_joins(reading.progress.generation > 0);
            return begin_again(reading, reader, &reason, about_joins).await;
        }
        Trouble::Hopeless(reason) => return fail(reading, &reason).await,
        Trouble::Outage(Outage::Source(error)) => error,
    };
    reader.query = bulk::Query::default();
    match error {
        SourceError::Quota(_) => hold(reading, reader, &error).await,
        SourceError::Expired(_) if is_in_query(reading) => {
            begin_again(reading, reader, &in_words(error), false).await
        }
        SourceError::Refused { code, message } => {
            let reason = format!("{code}: {message}");
            strike(reading, reader, &reason, About::Other).await
        }
        SourceError::Garbled(_) => strike(reading, reader, &in_words(error), About::Other).await,
        SourceError::Unreachable(_)
        | SourceError::SignIn(_)
        | SourceError::PositionRejected(_)
        | SourceError::Expired(_) => {
            note(reading, reader.patience.is_new(), &in_words(error)).await?;
            reader.patience.wait();
            Ok(())
        }
    }
}

fn is_in_query(reading: &Reading<'_>) -> bool {
    bulk::Place::of(&reading.progress.cursor).is_some()
}

/// What was refused or came as garbage is asked for a few times.
async fn strike(
    reading: &mut Reading<'_>,
    reader: &mut Reader,
    reason: &str,
    about: About,
) -> Result<(), String> {
    reader.query = bulk::Query::default();
    reader.patience.strikes += 1;
    note(reading, reader.patience.is_new(), reason).await?;
    let without_joins = about.is_joins(reader.patience.sees_anew) && joins(reading, reader);
    reader.patience.sees_anew |= about == About::Sight;
    if reader.patience.strikes < STRIKES && !without_joins {
        reader.patience.wait();
        return Ok(());
    }
    // Pages of REST are not worth more than these attempts.
    if is_in_query(reading) || without_joins {
        return begin_again(reading, reader, reason, without_joins).await;
    }
    fail(reading, reason).await
}

/// Writes the first of several troubles of the same kind into the log.
async fn note(reading: &Reading<'_>, new: bool, reason: &str) -> Result<(), String> {
    let id = &reading.job.id;
    if !new {
        tracing::warn!(job = %id, "could not be read, and is asked for again: {reason}");
        return Ok(());
    }
    let message = format!("{id} waits and asks again: {reason}");
    let logged = reading
        .active
        .log(LogLevel::Warning, "job", Some(id), message);
    logged.await.map_err(in_words)
}

/// The org's allowance is used up: live changes have what comes next of it.
async fn hold(
    reading: &mut Reading<'_>,
    reader: &mut Reader,
    error: &SourceError,
) -> Result<(), String> {
    let listener = &reading.active.listener;
    let now = listener.clock.now();
    let until = now.after(reader.patience.hold());
    let pause = Pause {
        since: now,
        by: PausedBy::Quota,
        why: error.to_string(),
        until: Some(until),
    };
    let id = &reading.job.id;
    let held = listener.stores.jobs.pause(id, &pause).await;
    if held.map_err(in_words)? {
        let message = format!("{id} is held until {until}: {error}");
        let logged = reading
            .active
            .log(LogLevel::Warning, "job", Some(id), message);
        logged.await.map_err(in_words)?;
    }
    Ok(())
}

/// The phase begins again as a new generation, unless it has too often.
async fn begin_again(
    reading: &mut Reading<'_>,
    reader: &mut Reader,
    reason: &str,
    about_joins: bool,
) -> Result<(), String> {
    let active = reading.active;
    let id = &reading.job.id;
    remove_query(reading).await;
    reader.query = bulk::Query::default();
    reading.abandon_doubtful().await.map_err(in_words)?;
    let phase = usize::try_from(reading.progress.phase).unwrap_or(usize::MAX);
    let statements = reader
        .plan
        .as_ref()
        .and_then(|plan| plan.phases.get(phase))
        .cloned()
        .unwrap_or_default();
    let statement = usize::try_from(reading.progress.statement).unwrap_or(usize::MAX);
    let broken = statements.get(statement).cloned();
    let without_joins = about_joins && joins(reading, reader);
    reading.change(|progress| {
        progress.statement = 0;
        progress.cursor = domain::job::Cursor::Start;
        progress.generation += 1;
        for statement in &statements {
            let extracted = progress.objects.entry(statement.object).or_default();
            // All of it is read once more.
            extracted.again = extracted.read;
        }
        if let Some(broken) = &broken {
            let extracted = progress.objects.entry(broken.object).or_default();
            extracted.errors += 1;
            extracted.last_error = Some(reason.to_owned());
            if without_joins {
                // More is read than was counted, and nobody knows how much.
                extracted.total = None;
            }
        }
    });
    let generation = reading.progress.generation;
    if generation > AGAIN {
        return fail(reading, reason).await;
    }
    reading.flush().await.map_err(in_words)?;
    let message = format!(
        "phase {} of {id} begins again (run {}): {reason}",
        phase + 1,
        generation + 1
    );
    let logged = active.log(LogLevel::Warning, "job", Some(id), message);
    logged.await.map_err(in_words)?;
    if let (true, Some(broken)) = (without_joins, broken) {
        do_without_joins(reading, reader, broken.object, reason).await?;
    }
    reader.patience.strikes = 0;
    reader.patience.wait();
    Ok(())
}

/// Whether the statement that is being read asks through a semi-join, and may do without.
fn joins(reading: &Reading<'_>, reader: &Reader) -> bool {
    let statement = reader.plan.as_ref().and_then(|plan| {
        let at = |place: u32| usize::try_from(place).ok();
        plan.phases
            .get(at(reading.progress.phase)?)?
            .get(at(reading.progress.statement)?)
    });
    statement.is_some_and(plan::joins)
}

/// After the phase was set back to its beginning, so that no cursor points into other statements.
async fn do_without_joins(
    reading: &Reading<'_>,
    reader: &mut Reader,
    object: domain::ObjectKind,
    reason: &str,
) -> Result<(), String> {
    let active = reading.active;
    let Some(before) = &reader.plan else {
        return Ok(());
    };
    let mut changed: Plan = (**before).clone();
    let (ticket, rules) = active.rules.ticket().await.map_err(in_words)?;
    let phase = usize::try_from(reading.progress.phase).unwrap_or(usize::MAX);
    if let Some(statements) = changed.phases.get_mut(phase) {
        let rules = (&*rules, ticket.version.time());
        plan::without_joins(rules, statements, object, &reading.job.scope);
        // Nobody has counted them.
        for statement in statements.iter_mut().filter(|other| other.object == object) {
            statement.way = Way::Bulk;
            statement.form = Form::Plain;
        }
    }
    changed.notes.push(plan::note(object, reason));
    let jobs = &active.listener.stores.jobs;
    let now = active.listener.clock.now();
    let id = &reading.job.id;
    jobs.set_plan(id, &changed, now).await.map_err(in_words)?;
    reader.plan = Some(std::sync::Arc::new(changed));
    let logged = active.log(
        LogLevel::Warning,
        "job",
        Some(id),
        plan::note(object, reason),
    );
    logged.await.map_err(in_words)
}

/// Gives the job up.
pub(super) async fn fail(reading: &mut Reading<'_>, reason: &str) -> Result<(), String> {
    reading.abandon_doubtful().await.map_err(in_words)?;
    reading.flush().await.map_err(in_words)?;
    let message = format!("{} has failed: {reason}", reading.job.id);
    move_to(
        reading.active,
        reading.job,
        SalesforceStatus::Failed,
        LogLevel::Error,
        Some(reason),
        message,
    )
    .await
}

/// Removes the query of the cursor; that it stays is no harm, it goes away by itself.
async fn remove_query(reading: &Reading<'_>) {
    if let domain::job::Cursor::Bulk { query, .. } = &reading.progress.cursor {
        super::remove(reading.active, query).await;
    }
}
