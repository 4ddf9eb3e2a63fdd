//! Relative dates: what "next month" means moves at midnight, without an event. Then what the
//! filter lets in that it did not before is read and sent.
//!
//! Up to when that has been done is kept: under which rules, and when. Everything that those rules
//! let in at that time has been taken care of. Several midnights that were missed are one sweep.

use domain::Timestamp;
use domain::filter;
use domain::job::{Job, JobId, JobKind, JobScope, uuid_of};
use domain::rule::{Rules, Visible};
use domain::settings::SettingsRevision;
use ports::stores::{LogLevel, StoreError};
use serde::{Deserialize, Serialize};

use crate::{Active, gaps, in_words};

const NOTE: &str = "swept";

/// Up to when everything has been let in, and by which settings revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Swept {
    at: Timestamp,
    revision: u64,
}

/// How a turn of the calendar is made up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// By reading what has entered.
    Sweep,
    /// By reading everything: it passed while the sync was disabled.
    SyncAll,
}

/// Looks whether the calendar has turned, and asks for the job that makes up for it.
pub(crate) async fn look(active: &Active, by: By) -> Result<(), String> {
    let stores = &active.listener.stores;
    // The time of tickets, by which rows are judged.
    let now = stores.ticket.take().await.map_err(in_words)?.version.time();
    let current = stores.settings.current().await.map_err(in_words)?;
    let Some(before) = kept(active).await? else {
        // What is in scope now is the first load's.
        return keep(active, now, &current).await;
    };
    let (swept, is_due) = catch_up(active, before, &current, now).await?;
    if !is_due {
        return if swept == before {
            Ok(())
        } else {
            store(active, swept).await
        };
    }
    ask(active, swept, now, by).await?;
    keep(active, now, &current).await
}

/// Goes on over the revisions saved since. What a save lets in has a job of its own, so with it
/// everything is taken care of by the new rules at the time of the save, unless the calendar had
/// turned for the rules before it. Whether there is something to make up for.
async fn catch_up(
    active: &Active,
    mut swept: Swept,
    current: &SettingsRevision,
    now: Timestamp,
) -> Result<(Swept, bool), String> {
    let settings = &active.listener.stores.settings;
    let Some(mut before) = settings.revision(swept.revision).await.map_err(in_words)? else {
        // Settings that were lost: nobody knows what they let in.
        return Ok((swept, true));
    };
    while swept.revision < current.revision {
        let next = settings.revision(swept.revision + 1).await;
        let Some(next) = next.map_err(in_words)? else {
            return Ok((swept, true));
        };
        if turned(&before, swept.at, next.saved)? {
            return Ok((swept, true));
        }
        if next.rule_revision != before.rule_revision {
            // Saved by another clock than that of tickets: one that is ahead must not have a day
            // begun that is still to begin for them.
            swept.at = next.saved.min(now);
        }
        swept.revision = next.revision;
        before = next;
    }
    let is_due = turned(&before, swept.at, now)?;
    Ok((swept, is_due))
}

/// Whether the calendar has turned for these rules in that time.
fn turned(revision: &SettingsRevision, from: Timestamp, to: Timestamp) -> Result<bool, String> {
    let rules = Rules::of(revision, Visible::new()).map_err(|faults| {
        format!(
            "the filter of settings revision {} cannot be used: {}",
            revision.revision,
            filter::in_words(&faults)
        )
    })?;
    Ok(rules.next_turn(from).is_some_and(|turn| turn <= to))
}

async fn ask(active: &Active, swept: Swept, now: Timestamp, by: By) -> Result<(), String> {
    let name = format!("{} {} {}", active.org, swept.at.as_micros(), swept.revision);
    let (kind, scope, message) = match by {
        By::Sweep => (
            JobKind::Sweep,
            JobScope::Entering {
                before: swept.revision,
                then: swept.at,
                stamped_since: None,
            },
            "a new day has begun: what the filter's dates let in is read",
        ),
        By::SyncAll => (
            JobKind::SyncAll,
            JobScope::Everything,
            "a new day has begun for the filter's dates while mOS Sync was disabled: everything is read",
        ),
    };
    let to_come = match by {
        By::Sweep => None,
        By::SyncAll => gaps::sync_all_to_come(active).await?,
    };
    let job = if let Some(job) = to_come {
        job
    } else {
        let id = JobId::new(kind, uuid_of(&name));
        let job = Job::queued(id, kind, scope, now);
        // Asked for twice, it is the same job.
        let jobs = &active.listener.stores.jobs;
        jobs.create(&job).await.map_err(in_words)?;
        job
    };
    let logged = active.log(LogLevel::Info, "sweep", Some(&job.id), message.to_owned());
    logged.await.map_err(in_words)
}

async fn kept(active: &Active) -> Result<Option<Swept>, String> {
    let note = active.listener.stores.notes.note(NOTE).await;
    let note = note.map_err(in_words)?;
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| in_words(StoreError::Corrupt(format!("the note {NOTE}: {error}"))))
    };
    note.map(read).transpose()
}

async fn keep(active: &Active, at: Timestamp, current: &SettingsRevision) -> Result<(), String> {
    let revision = current.revision;
    store(active, Swept { at, revision }).await
}

async fn store(active: &Active, swept: Swept) -> Result<(), String> {
    let document = serde_json::to_string(&swept).map_err(in_words)?;
    let kept = active.listener.stores.notes.keep(NOTE, &document).await;
    kept.map_err(in_words)
}
