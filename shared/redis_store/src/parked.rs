//! Parked records: a hash each, found by order, by time, and by the parent they wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use domain::failure::{FailureKind, RELEASED_AGAIN, retry_delay};
use domain::job::{Job, JobId};
use domain::parked::{Dismissal, Parked, Release};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::stores::{ParkedFilter, ParkedStore, StoreError};

use crate::jobs::creation;
use crate::link::{Link, of_doc, script, to_doc};

/// Entries that one script looks at.
const LOOK_AT: usize = 2_000;

/// Body, since, retries, due, parent, dismissal, by whom and when it was released.
type Entry = (String, i64, u32, String, String, String, String, String);

#[async_trait]
impl ParkedStore for Link {
    async fn park(&self, records: &[Parked]) -> Result<(), StoreError> {
        let mut arguments = vec![delays().count().to_string()];
        for record in records {
            let parent = record.parent.map(|(object, id)| member(object, &id));
            let due = record.retry_at.map(|due| due.as_micros().to_string());
            let dismissed = record.dismissed.as_ref().map(to_doc).transpose()?;
            arguments.extend([
                member(record.object, &record.id),
                to_doc(record)?,
                record.version.time().as_micros().to_string(),
                record.since.as_micros().to_string(),
                record.retries.to_string(),
                due.unwrap_or_default(),
                record.kind.name().to_owned(),
                parent.unwrap_or_default(),
                record.job.as_ref().map_or("", JobId::as_str).to_owned(),
                dismissed.unwrap_or_default(),
            ]);
        }
        self.run(script!("park"), &arguments).await
    }

    async fn accepted(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut released = 0;
        let (mut place, mut cursor) = (1_u64, "0".to_owned());
        // A parent may have any number of children; nobody waits long behind one script. What is
        // not released when this ends in between is, when the acceptance is repeated.
        while place > 0 {
            let mut arguments = vec![
                version.time().as_micros().to_string(),
                now.as_micros().to_string(),
                now.before(RELEASED_AGAIN).as_micros().to_string(),
                place.to_string(),
                cursor,
            ];
            arguments.extend(members(records));
            let some: u64;
            (some, place, cursor) = self.run(script!("accepted"), &arguments).await?;
            released += some;
        }
        Ok(released)
    }

    async fn clear(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        version: Version,
    ) -> Result<(), StoreError> {
        // Those that wait for a record that is gone go on waiting, for a person to see.
        let mut arguments = vec![version.time().as_micros().to_string()];
        arguments.extend(members(records));
        self.run(script!("clear"), &arguments).await
    }

    async fn get(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Parked>, StoreError> {
        let only = format!("[{}", member(object, id));
        let arguments = question(&ParkedFilter::default(), only.clone(), only, 1);
        let (_last, entries): (String, Vec<Entry>) =
            self.run(script!("list_parked"), &arguments).await?;
        entries.into_iter().next().map(read).transpose()
    }

    async fn list(
        &self,
        filter: &ParkedFilter,
        after: Option<(ObjectKind, SalesforceId)>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        let after = after.map(|(object, id)| member(object, &id));
        let (mut from, to) = bounds(filter.object, after.as_deref());
        let mut list = Vec::new();
        while list.len() < max {
            let arguments = question(filter, from, to.clone(), max - list.len());
            let (last, entries): (String, Vec<Entry>) =
                self.run(script!("list_parked"), &arguments).await?;
            for entry in entries {
                list.push(read(entry)?);
            }
            if last.is_empty() {
                break;
            }
            from = format!("({last}");
        }
        Ok(list)
    }

    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError> {
        let counts: BTreeMap<String, u64> = self
            .ask(redis::cmd("HGETALL").arg(self.key("parked:counts")))
            .await?;
        counts
            .into_iter()
            .map(|(kind, records)| Ok((of_doc(&format!("\"{kind}\""))?, records)))
            .collect()
    }

    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Option<Job>, StoreError> {
        let delays = delays()
            .map(|delay| delay.as_micros().to_string())
            .collect::<Vec<_>>();
        loop {
            let due: Vec<String> = self
                .ask(
                    redis::cmd("ZRANGEBYSCORE")
                        .arg(self.key("parked:due"))
                        .arg("-inf")
                        .arg(now.as_micros())
                        .arg("LIMIT")
                        .arg(0)
                        .arg(max),
                )
                .await?;
            if due.is_empty() {
                return Ok(None);
            }
            let records = due
                .iter()
                .map(|member| record(member))
                .collect::<Result<_, _>>()?;
            // Of this call alone: nobody else makes this job, and a repeat finds it made.
            let name = format!(
                "retry at {} by {}.{} of {due:?}",
                now.as_micros(),
                self.client(),
                self.next_call()
            );
            let job = Job::retry(records, &name, now);
            let mut arguments = vec![
                now.as_micros().to_string(),
                delays.len().to_string(),
                due.len().to_string(),
            ];
            arguments.extend(delays.iter().cloned());
            arguments.extend(due);
            arguments.extend(creation(&job)?);
            if self.run(script!("take_due"), &arguments).await? {
                return Ok(Some(job));
            }
            // Somebody else was first with some of them.
        }
    }

    async fn retry(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut arguments = vec![now.as_micros().to_string()];
        arguments.extend(members(records).collect::<BTreeSet<_>>());
        self.run(script!("retry_parked"), &arguments).await
    }

    async fn dismiss(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        dismissal: &Dismissal,
    ) -> Result<u64, StoreError> {
        let mut arguments = vec![to_doc(dismissal)?];
        arguments.extend(members(records).collect::<BTreeSet<_>>());
        self.run(script!("dismiss_parked"), &arguments).await
    }
}

/// How long an entry waits after its first retry, its second, and so on to the last but one.
fn delays() -> impl Iterator<Item = Duration> {
    (1..).map_while(retry_delay)
}

fn members(records: &[(ObjectKind, SalesforceId)]) -> impl Iterator<Item = String> {
    records.iter().map(|(object, id)| member(*object, id))
}

/// Sorts by the object's place in the dependency order, then by id.
fn member(object: ObjectKind, id: &SalesforceId) -> String {
    format!("{}{id}", place(object))
}

fn place(object: ObjectKind) -> usize {
    ObjectKind::ALL
        .into_iter()
        .position(|known| known == object)
        .unwrap_or_default()
}

/// The record of a member.
fn record(member: &str) -> Result<(ObjectKind, SalesforceId), StoreError> {
    ObjectKind::ALL
        .into_iter()
        .find_map(|object| {
            let id = member.strip_prefix(&place(object).to_string())?;
            Some((object, SalesforceId::parse(id).ok()?))
        })
        .ok_or_else(|| StoreError::Corrupt(format!("a parked record named {member}")))
}

/// Between which members those of an object are that come after the given one.
fn bounds(object: Option<ObjectKind>, after: Option<&str>) -> (String, String) {
    let first = object.map(|object| place(object).to_string());
    let from = match (&first, after) {
        (Some(first), Some(after)) if after < first.as_str() => format!("[{first}"),
        (_, Some(after)) => format!("({after}"),
        (Some(first), None) => format!("[{first}"),
        (None, None) => "-".to_owned(),
    };
    let to = object.map_or_else(
        || "+".to_owned(),
        |object| format!("({}", place(object) + 1),
    );
    (from, to)
}

fn question(filter: &ParkedFilter, from: String, to: String, max: usize) -> Vec<String> {
    let parent = filter.parent.map(|(object, id)| member(object, &id));
    let dismissed = filter
        .dismissed
        .map(|dismissed| if dismissed { "yes" } else { "no" });
    vec![
        from,
        to,
        LOOK_AT.to_string(),
        max.to_string(),
        filter.kind.map_or("", FailureKind::name).to_owned(),
        parent.unwrap_or_default(),
        filter.job.as_ref().map_or("", JobId::as_str).to_owned(),
        dismissed.unwrap_or_default().to_owned(),
    ]
}

fn read(entry: Entry) -> Result<Parked, StoreError> {
    let (body, since, retries, due, parent, dismissed, released_by, released_at) = entry;
    let mut record: Parked = of_doc(&body)?;
    record.since = Timestamp::from_micros(since);
    record.retries = retries;
    // Empty: never.
    record.retry_at = due.parse().ok().map(Timestamp::from_micros);
    if parent.is_empty() {
        record.parent = None;
    }
    // Empty: it never was.
    record.released = match released_at.parse().ok().map(Timestamp::from_micros) {
        Some(at) => Some(Release {
            at,
            parent: self::record(&released_by)?,
        }),
        None => None,
    };
    record.dismissed = match dismissed.as_str() {
        "" => None,
        doc => Some(of_doc(doc)?),
    };
    Ok(record)
}
