//! Jobs: one hash each, the tally in fields `Object.count`, a bitmap of the counted units, a set of
//! the abandoned ones, a hash of the pages read, and the plan.

mod fields;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::Timestamp;
use domain::job::{
    Job, JobId, JobKind, PageRead, Pause, PausedBy, Plan, Progress, SalesforceStatus,
};
use domain::tally::Tally;
use domain::unit::UnitCopy;
use ports::stores::{HistoryPosition, JobStore, Moved, Sending, Standing, StoreError};

use crate::link::{Link, of_doc, script, to_doc};
use fields::Fields;

#[async_trait]
impl JobStore for Link {
    async fn create(&self, job: &Job) -> Result<(), StoreError> {
        self.run(script!("create_job"), &creation(job)?).await
    }

    async fn create_unless_running(&self, job: &Job) -> Result<Job, StoreError> {
        let mut arguments = vec![
            job.id.to_string(),
            job.requested.as_micros().to_string(),
            job.kind.name().to_owned(),
        ];
        arguments.extend(fields::write(job)?);
        let running: Fields = self
            .run(script!("create_unless_running"), &arguments)
            .await?;
        fields::read(&running)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let fields: Fields = self
            .ask(redis::cmd("HGETALL").arg(self.key(&format!("job:{id}"))))
            .await?;
        if fields.is_empty() {
            return Ok(None);
        }
        fields::read(&fields).map(Some)
    }

    async fn list(&self, max: usize) -> Result<Vec<Job>, StoreError> {
        self.page(None, max).await
    }

    async fn page(
        &self,
        before: Option<HistoryPosition>,
        max: usize,
    ) -> Result<Vec<Job>, StoreError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let mut arguments = vec!["newest".to_owned(), max.to_string()];
        if let Some((requested, id)) = before {
            arguments.extend([requested.as_micros().to_string(), id.to_string()]);
        }
        let jobs: Vec<Fields> = self.run(script!("jobs"), &arguments).await?;
        jobs.iter().map(fields::read).collect()
    }

    async fn newest(&self, kind: JobKind) -> Result<Option<Job>, StoreError> {
        let newest: Fields = self
            .run(script!("newest_job"), &[kind.name().to_owned()])
            .await?;
        if newest.is_empty() {
            return Ok(None);
        }
        fields::read(&newest).map(Some)
    }

    async fn unfinished(&self) -> Result<Vec<Job>, StoreError> {
        let jobs: Vec<Fields> = self.run(script!("jobs"), &["open".to_owned()]).await?;
        let mut unfinished = Vec::new();
        for fields in &jobs {
            let job = fields::read(fields)?;
            if job.is_over() {
                // Looked at no more, unless it has moved on since it was read.
                let seen = [
                    job.id.to_string(),
                    job.units.to_string(),
                    job.salesforce.name().to_owned(),
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
        arguments.extend(fields::write(&Job::of_lost_history(id, at))?);
        self.run(script!("open_live_unit"), &arguments).await
    }

    async fn confirm_live_units(&self) -> Result<(), StoreError> {
        self.ask(redis::cmd("DEL").arg(self.key("in_doubt"))).await
    }

    async fn abandon_live_units(&self) -> Result<(), StoreError> {
        self.run(script!("abandon_live_units"), &[]).await
    }

    async fn transition(
        &self,
        id: &JobId,
        to: SalesforceStatus,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<Moved, StoreError> {
        let mut arguments = vec![
            id.to_string(),
            to.name().to_owned(),
            at.as_micros().to_string(),
            error.unwrap_or_default().to_owned(),
        ];
        arguments.extend(to.comes_from().map(|from| from.name().to_owned()));
        moved(self.run(script!("transition"), &arguments).await?)
    }

    async fn set_plan(&self, id: &JobId, plan: &Plan, at: Timestamp) -> Result<Moved, StoreError> {
        let to = SalesforceStatus::Extracting;
        let mut arguments = vec![
            id.to_string(),
            to.name().to_owned(),
            at.as_micros().to_string(),
            to_doc(plan)?,
        ];
        // A plan is made before anything is published.
        let from = to
            .comes_from()
            .filter(|from| *from != SalesforceStatus::Sealed);
        arguments.extend(from.map(|from| from.name().to_owned()));
        moved(self.run(script!("set_plan"), &arguments).await?)
    }

    async fn plan(&self, id: &JobId) -> Result<Option<Plan>, StoreError> {
        let doc: Option<String> = self
            .ask(redis::cmd("GET").arg(self.key(&format!("plan:{id}"))))
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn advance(
        &self,
        id: &JobId,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let arguments = advance(id, progress, page, at)?;
        self.run::<i64>(script!("advance"), &arguments)
            .await
            .map(|_announced| ())
    }

    async fn announce(
        &self,
        id: &JobId,
        known: u64,
        progress: &Progress,
        page: Option<&PageRead>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut arguments = advance(id, progress, page, at)?;
        arguments.push(known.to_string());
        self.run::<i64>(script!("advance"), &arguments)
            .await
            .map(|announced| announced == 1)
    }

    async fn pages(&self, id: &JobId) -> Result<Vec<PageRead>, StoreError> {
        let docs: BTreeMap<u64, String> = self
            .ask(redis::cmd("HGETALL").arg(self.key(&format!("pages:{id}"))))
            .await?;
        docs.values().map(|doc| of_doc(doc)).collect()
    }

    async fn pause(&self, id: &JobId, pause: &Pause) -> Result<bool, StoreError> {
        let arguments = [
            id.to_string(),
            to_doc(pause)?,
            pause.by.name().to_owned(),
            pause.since.as_micros().to_string(),
        ];
        self.run(script!("pause"), &arguments).await
    }

    async fn resume(&self, id: &JobId, by: PausedBy, at: Timestamp) -> Result<bool, StoreError> {
        let mut arguments = vec![id.to_string(), at.as_micros().to_string()];
        arguments.extend(
            [PausedBy::Person, PausedBy::Quota]
                .into_iter()
                .filter(|holder| by.overrules(*holder))
                .map(|holder| holder.name().to_owned()),
        );
        self.run(script!("resume"), &arguments).await
    }

    async fn count(
        &self,
        id: &JobId,
        index: u64,
        copy: Option<&UnitCopy>,
        tally: &Tally,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut arguments = vec![
            id.to_string(),
            index.to_string(),
            copy.map(|copy| copy.step.to_string()).unwrap_or_default(),
            copy.map(content).unwrap_or_default(),
            at.as_micros().to_string(),
            tally.iter().count().to_string(),
        ];
        for (object, count, records) in tally.iter() {
            arguments.push(format!("{object}.{}", count.name()));
            arguments.push(records.to_string());
        }
        arguments.extend(fields::write(&Job::of_lost_history(id, at))?);
        self.run(script!("count"), &arguments).await
    }

    async fn standing(&self, id: &JobId, index: u64, step: u32) -> Result<Standing, StoreError> {
        let arguments = [id.to_string(), index.to_string(), step.to_string()];
        let (cancelled, counted, superseded): (u8, u8, u8) =
            self.run(script!("standing"), &arguments).await?;
        Ok(Standing {
            cancelled: cancelled == 1,
            counted: counted == 1,
            superseded: superseded == 1,
        })
    }

    async fn begin_sending(
        &self,
        id: &JobId,
        index: u64,
        copy: &UnitCopy,
        take: bool,
    ) -> Result<Sending, StoreError> {
        let arguments = [
            id.to_string(),
            index.to_string(),
            copy.step.to_string(),
            content(copy),
            u8::from(take).to_string(),
        ];
        let begun: String = self.run(script!("begin_sending"), &arguments).await?;
        match begun.as_str() {
            "first" => Ok(Sending::First),
            "again" => Ok(Sending::Again),
            "superseded" => Ok(Sending::Superseded),
            "counted" => Ok(Sending::Counted),
            "cancelled" => Ok(Sending::Cancelled),
            other => Err(StoreError::Corrupt(format!(
                "a unit that is to be sent is {other}"
            ))),
        }
    }

    async fn forget_sendings(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError> {
        if indices.is_empty() {
            return Ok(());
        }
        let mut forget = redis::cmd("HDEL");
        forget.arg(self.key(&format!("sendings:{id}"))).arg(indices);
        self.ask::<u64>(&forget).await.map(|_forgotten| ())
    }

    async fn missing(&self, id: &JobId, max: usize) -> Result<Vec<u64>, StoreError> {
        let arguments = [id.to_string(), max.to_string()];
        self.run(script!("missing"), &arguments).await
    }

    async fn abandon(&self, id: &JobId, indices: &[u64]) -> Result<(), StoreError> {
        let mut arguments = vec![id.to_string()];
        arguments.extend(indices.iter().map(u64::to_string));
        self.run(script!("abandon"), &arguments).await
    }

    async fn prune(&self, ended_before: Timestamp, max: usize) -> Result<u64, StoreError> {
        let arguments = [ended_before.as_micros().to_string(), max.to_string()];
        self.run(script!("prune_jobs"), &arguments).await
    }
}

/// What names the copy; nothing before it is about to be sent.
fn content(copy: &UnitCopy) -> String {
    copy.content.clone().unwrap_or_default()
}

/// The arguments that create a job: id, time of request, fields.
pub(crate) fn creation(job: &Job) -> Result<Vec<String>, StoreError> {
    let mut arguments = vec![job.id.to_string(), job.requested.as_micros().to_string()];
    arguments.extend(fields::write(job)?);
    Ok(arguments)
}

/// The arguments of `scripts/advance.lua`, but for what the reader knows.
fn advance(
    id: &JobId,
    progress: &Progress,
    page: Option<&PageRead>,
    at: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let first_index = page.map(|page| page.first_index.to_string());
    Ok(vec![
        id.to_string(),
        to_doc(progress)?,
        progress.next_index.to_string(),
        progress.announced.max(progress.next_index).to_string(),
        at.as_micros().to_string(),
        first_index.unwrap_or_default(),
        page.map(to_doc).transpose()?.unwrap_or_default(),
    ])
}

/// What `move_job` in `scripts/lib.lua` answers.
fn moved(answer: String) -> Result<Moved, StoreError> {
    match answer.as_str() {
        "now" => Ok(Moved::Now),
        "already" => Ok(Moved::Already),
        "unknown" => Ok(Moved::Unknown),
        _ => SalesforceStatus::of_name(&answer)
            .map(Moved::Refused)
            .ok_or_else(|| StoreError::Corrupt(format!("a job whose status is {answer}"))),
    }
}
