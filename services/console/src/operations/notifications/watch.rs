//! What is wrong at the moment, as the stores know it. The same things that the status shows; what
//! comes from Salesforce, mOS or a worker in words is told without anything that may be a value.

mod jobs;
mod workers;

use std::collections::{BTreeMap, BTreeSet};

use domain::error_group::ErrorGroup;
use domain::failure::FailureKind;
use domain::job::JobKind;
use domain::notification::{Board, Condition, Finding, Matter, plain};
use domain::permission::PermissionSnapshot;
use domain::{ObjectKind, Timestamp};
use ports::stores::{Gap, GapCause, LOST_FIELDS, ParkedFilter, StoreError, StreamState};

use crate::operations::status::{HISTORY, LATE, with_last_sync_all};
use crate::{Operations, wording};
use jobs::{of_ended_jobs, of_held_jobs};
use workers::{of_quota, of_workers};

/// Parked records of a reason that are looked at to say which they are.
const LOOKED_THROUGH: usize = 1_000;
/// Lines of a list within a notification.
const LINES: usize = 10;
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

impl Operations {
    /// Looks at everything.
    ///
    /// # Errors
    /// [`StoreError`]; a broker that does not answer is a finding.
    pub(super) async fn finding(
        &self,
        board: &Board,
        now: Timestamp,
    ) -> Result<Finding, StoreError> {
        let stores = &self.stores;
        let settings = stores.settings.current().await?.settings;
        let workers = stores.reports.reports().await?;
        let gaps = stores.position.gaps().await?;
        let stream = stores.position.stream(&self.topic).await?;
        let parked = stores.parked.counts().await?;
        let unfinished = stores.jobs.unfinished().await?;
        let last_sync_all = stores.jobs.newest(JobKind::SyncAll).await?;
        let jobs = stores.jobs.list(HISTORY).await?;
        let jobs = with_last_sync_all(jobs, last_sync_all.as_ref());
        let permissions = stores.permissions.latest().await?;
        let lost = self.lost_fields().await?;

        let mut finding = Finding::default();
        match self.of_broker(self.queue.dead_count()).await {
            Ok(dead) => finding.conditions.extend(of_dead(dead)),
            Err(error) => {
                finding.unknown.insert(Matter::DeadMessages);
                finding.conditions.push(of_broker(&error.to_string()));
            }
        }
        for (kind, count) in parked {
            let known = board.incidents.get(&parked_key(kind));
            let known = known.filter(|known| known.condition.count == count);
            finding.conditions.push(match known {
                Some(known) => known.condition.clone(),
                None => self.of_parked(kind, count).await?,
            });
        }
        finding.conditions.extend(of_gaps(&gaps, board.looked));
        finding.conditions.extend(of_stream(stream.as_ref(), now));
        finding.conditions.extend(of_fields(&lost));
        finding
            .conditions
            .extend(of_workers(&workers, &settings, !lost.is_empty(), now));
        finding.conditions.extend(of_quota(&workers, &unfinished));
        finding.conditions.extend(of_held_jobs(&unfinished, now));
        finding.conditions.extend(of_leaving(&permissions, now));
        finding.happened = of_ended_jobs(&jobs, board);
        Ok(finding)
    }

    async fn lost_fields(&self) -> Result<Vec<String>, StoreError> {
        let Some(note) = self.stores.notes.note(LOST_FIELDS).await? else {
            return Ok(Vec::new());
        };
        let lost: BTreeSet<(ObjectKind, String)> = serde_json::from_str(&note)
            .map_err(|error| StoreError::Corrupt(format!("the note {LOST_FIELDS}: {error}")))?;
        let named = lost
            .into_iter()
            .map(|(object, field)| format!("{object}.{field}"));
        Ok(named.collect())
    }

    async fn of_parked(&self, kind: FailureKind, count: u64) -> Result<Condition, StoreError> {
        let filter = ParkedFilter {
            kind: Some(kind),
            dismissed: Some(false),
            ..ParkedFilter::default()
        };
        let records = self
            .stores
            .parked
            .list(&filter, None, LOOKED_THROUGH)
            .await?;
        let objects = records
            .iter()
            .map(|record| record.object.api_name())
            .collect::<BTreeSet<_>>();
        let groups = ErrorGroup::of(&records, &self.chains(&records).await?);
        let details = groups.iter().take(LINES).map(|group| {
            let stage = group.stage.name();
            format!("{} at {stage}: {}", group.count, in_words(&group.cause))
        });
        Ok(Condition {
            key: parked_key(kind),
            matter: Matter::RecordsParked,
            object: objects.into_iter().collect::<Vec<_>>().join(", "),
            count,
            cause: kind.cause().to_owned(),
            advice: kind.advice().to_owned(),
            page: "/parked".to_owned(),
            details: details.collect(),
        })
    }
}

/// A sentence of a service for somebody who is told by mail.
fn in_words(text: &str) -> String {
    plain(&wording::on_pages(text))
}

fn parked_key(kind: FailureKind) -> String {
    format!("parked/{}", kind.name())
}

fn count_of(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn of_dead(dead: u64) -> Option<Condition> {
    (dead > 0).then(|| Condition {
        key: "dead_messages".to_owned(),
        matter: Matter::DeadMessages,
        object: "messages in the dead queue".to_owned(),
        count: dead,
        cause: "no worker could process them".to_owned(),
        advice:
            "Look at each on the page Dead Messages, then send it back to its queue or discard it."
                .to_owned(),
        page: "/parked/dead".to_owned(),
        details: Vec::new(),
    })
}

fn of_broker(why: &str) -> Condition {
    Condition {
        key: "out_of_reach/broker".to_owned(),
        matter: Matter::OutOfReach,
        object: "the message broker".to_owned(),
        count: 1,
        cause: in_words(why),
        advice: "Start it again, or correct the network. Changes wait in Salesforce meanwhile."
            .to_owned(),
        page: "/sync-status".to_owned(),
        details: Vec::new(),
    }
}

/// Gaps by what made them, those included that were closed since the last look.
fn of_gaps(gaps: &[Gap], looked: Timestamp) -> Vec<Condition> {
    let mut by_cause = BTreeMap::<GapCause, Vec<&Gap>>::new();
    for gap in gaps {
        if gap.closed.is_none_or(|closed| closed > looked) {
            by_cause.entry(gap.cause).or_default().push(gap);
        }
    }
    let of_cause = |(cause, gaps): (GapCause, Vec<&Gap>)| {
        let (name, why) = match cause {
            GapCause::PositionRejected => (
                "position_rejected",
                "Salesforce no longer accepts the stored position",
            ),
            GapCause::Overflow => (
                "overflow",
                "a transaction changed more than the stream carries",
            ),
            GapCause::Wildcard => ("wildcard", "an event stands for every record of an object"),
            GapCause::Undecodable => ("undecodable", "an event could not be decoded"),
            GapCause::NotHeard => ("not_heard", "an object is polled from now on"),
            GapCause::UnitsLost => ("units_lost", "the queue has lost changes"),
        };
        let details = gaps.iter().take(LINES).map(|gap| {
            format!(
                "changes since {} may be missing; {} reads them",
                gap.since, gap.job
            )
        });
        Condition {
            key: format!("gap/{name}"),
            matter: Matter::Gap,
            object: "the event stream".to_owned(),
            count: count_of(gaps.len()),
            cause: why.to_owned(),
            advice: "Nothing to do: a job reads what may have been missed, and the gap closes when it has.".to_owned(),
            page: "/sync-status".to_owned(),
            details: details.collect(),
        }
    };
    by_cause.into_iter().map(of_cause).collect()
}

fn of_stream(stream: Option<&StreamState>, now: Timestamp) -> Option<Condition> {
    let silent = now.since(stream?.heard);
    (silent > LATE).then(|| Condition {
        key: "stream_late".to_owned(),
        matter: Matter::StreamLate,
        object: "the event stream".to_owned(),
        count: 1,
        cause: "it was last heard more than 48 hours ago, and Salesforce keeps events for 72"
            .to_owned(),
        advice: "Have the listener started, or what keeps it from Salesforce corrected; Sync Status says what that is. After 72 hours everything is read anew.".to_owned(),
        page: "/sync-status".to_owned(),
        details: Vec::new(),
    })
}

/// Whose permission runs out soon, by the day on which it does: a user who comes within sight just as
/// another has left is told like any other.
fn of_leaving(permissions: &PermissionSnapshot, now: Timestamp) -> Vec<Condition> {
    let mut by_day = BTreeMap::<i64, (Timestamp, u64)>::new();
    let leaving = permissions.leaving(now).into_iter();
    for user in leaving.flat_map(|leaving| leaving.users) {
        if let Some(end) = permissions.ends(&user, now) {
            let day = end.as_micros().div_euclid(DAY);
            let (first, users) = by_day.entry(day).or_insert((end, 0));
            *first = end.min(*first);
            *users += 1;
        }
    }
    let of_day = |(day, (first, users)): (i64, (Timestamp, u64))| {
        Condition {
        key: format!("permissions_expiring/{day}"),
        matter: Matter::PermissionsExpiring,
        object: "users who hold mOS permission".to_owned(),
        count: users,
        cause: format!("their permission set assignments end, the first at {first}"),
        advice: "Renew the assignments in Salesforce if that is not meant. The page mOS Users names them.".to_owned(),
        page: "/users".to_owned(),
        details: Vec::new(),
    }
    };
    by_day.into_iter().map(of_day).collect()
}

fn of_fields(lost: &[String]) -> Option<Condition> {
    (!lost.is_empty()).then(|| Condition {
        key: "fields_lost".to_owned(),
        matter: Matter::FieldsLost,
        object: lost.join(", "),
        count: count_of(lost.len()),
        cause: "the integration user can no longer see what the settings name".to_owned(),
        advice: "Restore the access, or change mapping or filter. mOS keeps what it has."
            .to_owned(),
        page: "/settings".to_owned(),
        details: Vec::new(),
    })
}
