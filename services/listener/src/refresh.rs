//! What changes in Salesforce without an event and without a stamp: a stage that is given another
//! type changes every deal in it, formulas and roll-ups follow other records, and the org around
//! the records moves ([`around`]). All of that is looked at from time to time, and what may have
//! changed is read again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::job::{Job, JobId, JobKind, JobScope, uuid_of};
use domain::{ObjectKind, Timestamp};
use ports::stores::{LogLevel, StoreError};
use runtime::readback::for_each_row;
use runtime::worker::Outage;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::around::{self, Described};
use crate::{Active, in_words};

/// How often the stages are looked at: one request.
const STAGES_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often the org around the records is, and whenever the rules have moved or a worker could not
/// see a field: about a dozen requests.
const ORG_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How often it is looked whether a lost field is back, or access to records that were never seen:
/// whoever gives it waits for the alarm to end.
const LOST_EVERY: Duration = Duration::from_secs(15 * 60);
const STAGES: &str = "stages";
const REFRESHED: &str = "refreshed";
/// Fields of deals that follow from their stage.
const STAGES_QUERY: &str =
    "SELECT ApiName, IsClosed, IsWon, ForecastCategory, ForecastCategoryName FROM OpportunityStage";

/// When what is looked at next.
#[derive(Default)]
pub(crate) struct Looks {
    stages: Option<Instant>,
    /// When the org was looked at, under which rules, and the fields that were found.
    org: Option<(Instant, u64, Described)>,
    /// When it is looked next whether something lost or missing is there.
    lost: Option<Instant>,
}

/// What is to be noticed of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stage {
    api_name: String,
    is_closed: bool,
    is_won: bool,
    forecast_category: Option<String>,
    forecast_category_name: Option<String>,
}

impl Looks {
    /// Looks at what is due. That Salesforce does not answer only puts it off.
    pub(crate) async fn look(&mut self, active: &Active) -> Result<(), String> {
        let now = Instant::now();
        if self.stages.is_some_and(|at| now < at) || is_held(active) {
            return Ok(());
        }
        self.stages = Some(now + STAGES_EVERY);
        match self.try_look(active).await {
            Ok(()) => Ok(()),
            Err(Outage::Source(error)) => {
                tracing::warn!("stages and the org are looked at later: {error}");
                Ok(())
            }
            Err(error @ (Outage::Store(_) | Outage::Other(_))) => Err(error.to_string()),
        }
    }

    async fn is_anything_back(&mut self, active: &Active) -> Result<bool, Outage> {
        let now = Instant::now();
        if self.lost.is_some_and(|at| now < at) {
            return Ok(false);
        }
        self.lost = Some(now + LOST_EVERY);
        around::is_anything_back(active).await
    }

    async fn try_look(&mut self, active: &Active) -> Result<(), Outage> {
        look_at_stages(active).await?;
        let settings = &active.listener.stores.settings;
        let rules = settings.current().await?.rule_revision;
        // Other rules name other fields, and may be the answer to an alarm. A field that workers
        // cannot see any more must not wait for the next day.
        let is_due = match &self.org {
            None => true,
            Some((at, under, described)) => {
                at.elapsed() >= ORG_EVERY
                    || *under != rules
                    || around::is_missed(active, described).await?
                    || self.is_anything_back(active).await?
            }
        };
        if is_due {
            self.lost = Some(Instant::now() + LOST_EVERY);
            let Some(described) = around::look(active).await? else {
                // Everything is looked at anew, in the next turn.
                *self = Self::default();
                return Ok(());
            };
            let rules = settings.current().await?.rule_revision;
            self.org = Some((Instant::now(), rules, described));
        }
        if let Some((_, _, described)) = &self.org {
            refresh_formulas(active, described).await?;
        }
        Ok(())
    }
}

/// While the org's allowance is short, this can wait.
fn is_held(active: &Active) -> bool {
    active.switches.borrow().bulk_held.is_some()
}

/// A stage of another type than before: its deals are read again, the closed ones too, because
/// they may have been open.
async fn look_at_stages(active: &Active) -> Result<(), Outage> {
    let source = &*active.listener.source;
    let mut rows = Vec::new();
    for_each_row(source, STAGES_QUERY, false, |row| {
        rows.push(row.get().to_owned());
        true
    })
    .await?;
    let mut stages = BTreeMap::new();
    for row in rows {
        let stage: Stage = serde_json::from_str(&row).map_err(|_not_a_stage| {
            ports::source::SourceError::Garbled("an OpportunityStage without its fields".to_owned())
        })?;
        stages.insert(stage.api_name.clone(), stage);
    }
    let before: Option<BTreeMap<String, Stage>> = note(active, STAGES).await?;
    let Some(before) = before else {
        return keep(active, STAGES, &stages).await;
    };
    if before == stages {
        return Ok(());
    }
    let changed = stages
        .values()
        .filter(|stage| before.get(&stage.api_name).is_some_and(|old| old != *stage))
        .map(|stage| stage.api_name.clone())
        .collect::<BTreeSet<_>>();
    if !changed.is_empty() {
        let names = changed.iter().cloned().collect::<Vec<_>>().join(", ");
        let what = format!("the stages {names} mean something else now: their deals are read");
        let scope = JobScope::Stages { stages: changed };
        ask(active, scope, &what).await?;
    }
    keep(active, STAGES, &stages).await
}

/// Formulas, roll-ups and fields of other records change without an event for the record: their
/// objects are read again at an interval.
async fn refresh_formulas(active: &Active, described: &Described) -> Result<(), Outage> {
    let now = active.listener.clock.now();
    let last: Option<Timestamp> = note(active, REFRESHED).await?;
    let Some(last) = last else {
        // The first load reads them now.
        return keep(active, REFRESHED, &now).await;
    };
    if now.since(last) < active.listener.refreshed_every {
        return Ok(());
    }
    let (_, rules) = active.rules.ticket().await?;
    let calculated = |object: &ObjectKind| {
        let fields = described.get(object);
        rules.fields_to_read(*object).iter().any(|field| {
            let seen = fields.and_then(|fields| fields.get(field));
            field.contains('.') || seen.is_some_and(|seen| seen.calculated)
        })
    };
    let objects = ObjectKind::ALL
        .into_iter()
        .filter(calculated)
        .collect::<BTreeSet<_>>();
    if !objects.is_empty() {
        let what = "formulas are read again, which change without being heard of";
        ask(active, JobScope::Objects { objects }, what).await?;
    }
    keep(active, REFRESHED, &now).await
}

/// Asks for a refresh, and says why.
pub(crate) async fn ask(active: &Active, scope: JobScope, what: &str) -> Result<(), Outage> {
    let job = job(active, scope);
    active.listener.stores.jobs.create(&job).await?;
    let logged = active.log(LogLevel::Info, "refresh", Some(&job.id), what.to_owned());
    Ok(logged.await?)
}

/// A refresh that begins now.
pub(crate) fn job(active: &Active, scope: JobScope) -> Job {
    let now = active.listener.clock.now();
    let name = format!("refresh of {} at {}", active.org, now.as_micros());
    let id = JobId::new(JobKind::Refresh, uuid_of(&name));
    Job::queued(id, JobKind::Refresh, scope, now)
}

/// What was kept under a name.
pub(crate) async fn note<T: DeserializeOwned>(
    active: &Active,
    name: &str,
) -> Result<Option<T>, Outage> {
    let note = active.listener.stores.notes.note(name).await?;
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| StoreError::Corrupt(format!("the note {name}: {error}")))
    };
    Ok(note.map(read).transpose()?)
}

/// Keeps it.
pub(crate) async fn keep<T: Serialize + Sync>(
    active: &Active,
    name: &str,
    value: &T,
) -> Result<(), Outage> {
    let document = serde_json::to_string(value).map_err(|error| Outage::Other(in_words(error)))?;
    Ok(active.listener.stores.notes.keep(name, &document).await?)
}
