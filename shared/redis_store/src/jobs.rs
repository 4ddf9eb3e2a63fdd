//! Jobs: one hash each, the tally in fields `Object.count`, a bitmap of the counted units, and a
//! set of the abandoned ones.

use std::collections::BTreeMap;
use std::str::FromStr;

use async_trait::async_trait;
use domain::job::{Job, JobId, JobKind, Progress, SalesforceStatus};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::stores::{JobStore, StoreError};

use crate::link::{Link, of_doc, script, to_doc};

type Fields = BTreeMap<String, String>;

#[async_trait]
impl JobStore for Link {
    async fn create(&self, job: &Job) -> Result<(), StoreError> {
        self.run(script!("create_job"), &creation(job)?).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let fields: Fields = self
            .ask(redis::cmd("HGETALL").arg(self.key(&format!("job:{id}"))))
            .await?;
        if fields.is_empty() {
            return Ok(None);
        }
        read(&fields).map(Some)
    }

    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let jobs: Vec<Fields> = self
            .run(script!("jobs"), &["newest".to_owned(), max.to_string()])
            .await?;
        jobs.iter().map(read).collect()
    }

    async fn unfinished(&self) -> Result<Vec<Job>, StoreError> {
        let jobs: Vec<Fields> = self.run(script!("jobs"), &["open".to_owned()]).await?;
        let mut unfinished = Vec::new();
        for fields in &jobs {
            let job = read(fields)?;
            if job.is_over() {
                // Looked at no more, unless it has moved on since it was read.
                let seen = [
                    job.id.to_string(),
                    job.units.to_string(),
                    status_name(job.salesforce).to_owned(),
                ];
                self.run::<()>(script!("forget_open"), &seen).await?;
            } else {
                unfinished.push(job);
            }
        }
        Ok(unfinished)
    }

    async fn open_live_unit(&self, id: &JobId, at: Timestamp) -> Result<u64, StoreError> {
        let _turn = self.one_at_a_time.lock().await;
        let mut arguments = vec![
            id.to_string(),
            at.as_micros().to_string(),
            self.client(),
            self.next_call(),
        ];
        arguments.extend(fields(&Job::of_lost_history(id, at))?);
        self.run(script!("open_live_unit"), &arguments).await
    }

    async fn confirm_live_units(&self) -> Result<(), StoreError> {
        self.ask(redis::cmd("DEL").arg(self.key("in_doubt"))).await
    }

    async fn abandon_live_units(&self) -> Result<(), StoreError> {
        self.run(script!("abandon_live_units"), &[]).await
    }

    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        let arguments = [
            id.to_string(),
            progress.after.map(|id| id.to_string()).unwrap_or_default(),
            progress.next_index.to_string(),
        ];
        self.run(script!("advance"), &arguments).await
    }

    async fn set_salesforce(
        &self,
        id: &JobId,
        status: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let moment = match status {
            SalesforceStatus::Queued | SalesforceStatus::Failed => "",
            SalesforceStatus::Extracting => "started",
            SalesforceStatus::Sealed => "sealed",
        };
        let arguments = [
            id.to_string(),
            status_name(status).to_owned(),
            moment.to_owned(),
            at.as_micros().to_string(),
            error.unwrap_or_default().to_owned(),
        ];
        self.run(script!("set_salesforce"), &arguments).await
    }

    async fn count(
        &self,
        id: &JobId,
        index: u64,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut arguments = vec![
            id.to_string(),
            index.to_string(),
            at.as_micros().to_string(),
            tally.iter().count().to_string(),
        ];
        for (object, count, records) in tally.iter() {
            arguments.push(format!("{object}.{}", count.name()));
            arguments.push(records.to_string());
        }
        arguments.extend(fields(&Job::of_lost_history(id, at))?);
        self.run(script!("count"), &arguments).await
    }
}

/// The arguments that create a job: id, time of request, fields.
pub(crate) fn creation(job: &Job) -> Result<Vec<String>, StoreError> {
    let mut arguments = vec![job.id.to_string(), job.requested.as_micros().to_string()];
    arguments.extend(fields(job)?);
    Ok(arguments)
}

/// Names and values of a job's fields; absent values are empty.
fn fields(job: &Job) -> Result<Vec<String>, StoreError> {
    let time = |time: Option<Timestamp>| {
        time.map(|time| time.as_micros().to_string())
            .unwrap_or_default()
    };
    let after = job.progress.after.map(|id| id.to_string());
    let mut fields: Vec<String> = [
        ("id", job.id.to_string()),
        ("kind", job.kind.name().to_owned()),
        ("scope", to_doc(&job.scope)?),
        ("requested", job.requested.as_micros().to_string()),
        ("started", time(job.started)),
        ("sealed", time(job.sealed)),
        ("salesforce", status_name(job.salesforce).to_owned()),
        ("after", after.unwrap_or_default()),
        ("next_index", job.progress.next_index.to_string()),
        ("units", job.units.to_string()),
        ("counted", job.counted.to_string()),
        ("abandoned", job.abandoned.to_string()),
        ("last_counted", time(job.last_counted)),
        ("error", job.error.clone().unwrap_or_default()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect();
    for (object, count, records) in job.tally.iter() {
        fields.push(format!("{object}.{}", count.name()));
        fields.push(records.to_string());
    }
    Ok(fields)
}

fn read(fields: &Fields) -> Result<Job, StoreError> {
    let id = text(fields, "id")?;
    let kind = text(fields, "kind")?;
    let kind = [
        JobKind::SyncAll,
        JobKind::Backfill,
        JobKind::CatchUp,
        JobKind::Retry,
        JobKind::Live,
    ]
    .into_iter()
    .find(|known| known.name() == kind)
    .ok_or_else(|| StoreError::Corrupt(format!("job {id}: kind {kind}")))?;
    let status = text(fields, "salesforce")?;
    let salesforce = STATUSES
        .into_iter()
        .find(|known| status_name(*known) == status)
        .ok_or_else(|| StoreError::Corrupt(format!("job {id}: status {status}")))?;
    let after = match text(fields, "after")? {
        "" => None,
        id => {
            Some(SalesforceId::parse(id).map_err(|error| StoreError::Corrupt(error.to_string()))?)
        }
    };
    let error = text(fields, "error")?;
    Ok(Job {
        id: JobId::of(id),
        kind,
        scope: of_doc(text(fields, "scope")?)?,
        requested: time(fields, "requested")?.unwrap_or_default(),
        started: time(fields, "started")?,
        sealed: time(fields, "sealed")?,
        salesforce,
        progress: Progress {
            after,
            next_index: number(fields, "next_index")?,
        },
        units: number(fields, "units")?,
        counted: number(fields, "counted")?,
        abandoned: number(fields, "abandoned")?,
        last_counted: time(fields, "last_counted")?,
        tally: tally(fields)?,
        error: (!error.is_empty()).then(|| error.to_owned()),
    })
}

fn tally(fields: &Fields) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for name in fields.keys() {
        let Some((object, count)) = name.split_once('.') else {
            continue;
        };
        let (Ok(object), Some(count)) = (object.parse::<ObjectKind>(), Count::of_name(count))
        else {
            return Err(StoreError::Corrupt(format!("a count named {name}")));
        };
        tally.add_many(object, count, number(fields, name)?);
    }
    Ok(tally)
}

fn text<'f>(fields: &'f Fields, name: &str) -> Result<&'f str, StoreError> {
    fields
        .get(name)
        .map(String::as_str)
        .ok_or_else(|| StoreError::Corrupt(format!("a job without {name}")))
}

fn number<T: FromStr>(fields: &Fields, name: &str) -> Result<T, StoreError> {
    let value = text(fields, name)?;
    value
        .parse()
        .map_err(|_not_a_number| StoreError::Corrupt(format!("a job whose {name} is {value}")))
}

fn time(fields: &Fields, name: &str) -> Result<Option<Timestamp>, StoreError> {
    match text(fields, name)? {
        "" => Ok(None),
        _ => number(fields, name).map(Timestamp::from_micros).map(Some),
    }
}

const STATUSES: [SalesforceStatus; 4] = [
    SalesforceStatus::Queued,
    SalesforceStatus::Extracting,
    SalesforceStatus::Sealed,
    SalesforceStatus::Failed,
];

/// As `scripts/set_salesforce.lua` ranks them.
const fn status_name(status: SalesforceStatus) -> &'static str {
    match status {
        SalesforceStatus::Queued => "queued",
        SalesforceStatus::Extracting => "extracting",
        SalesforceStatus::Sealed => "sealed",
        SalesforceStatus::Failed => "failed",
    }
}
