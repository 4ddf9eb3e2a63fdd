//! The smaller stores.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use domain::job::Job;
use domain::permission::PermissionSnapshot;
use domain::settings::SettingsRevision;
use domain::{ObjectKind, Ticket, Timestamp, Version};
use ports::stores::{
    Gap, LeaseStore, PermissionStore, PollState, PositionStore, Report, ReportStore, SILENT,
    SettingsStore, StoreError, StreamState, TicketStore,
};

use crate::jobs::creation;
use crate::link::{Link, of_doc, script, to_doc};

/// Permission snapshots that are kept.
const SNAPSHOTS: u64 = 100;
/// The stored mark of the ticket clock runs ahead by this much, so that a ticket seldom writes.
const MARK_AHEAD: Duration = Duration::from_millis(250);
/// A clock that is behind by less is let catch up while tickets count on by the microsecond; it
/// covers the mark that runs ahead over a restart.
const MAX_STEP_BACK: Duration = Duration::from_millis(500);

#[async_trait]
impl PositionStore for Link {
    async fn stream(&self, topic: &str) -> Result<Option<StreamState>, StoreError> {
        let doc: Option<String> = self
            .ask(redis::cmd("HGET").arg(self.key("streams")).arg(topic))
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn store_stream(&self, topic: &str, state: &StreamState) -> Result<(), StoreError> {
        self.ask(
            redis::cmd("HSET")
                .arg(self.key("streams"))
                .arg(topic)
                .arg(to_doc(state)?),
        )
        .await
    }

    async fn poll(&self, object: ObjectKind) -> Result<Option<PollState>, StoreError> {
        let doc: Option<String> = self
            .ask(
                redis::cmd("HGET")
                    .arg(self.key("polls"))
                    .arg(object.api_name()),
            )
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn store_poll(&self, object: ObjectKind, state: &PollState) -> Result<(), StoreError> {
        self.ask(
            redis::cmd("HSET")
                .arg(self.key("polls"))
                .arg(object.api_name())
                .arg(to_doc(state)?),
        )
        .await
    }

    async fn open_gap(&self, gap: &Gap, job: &Job) -> Result<(), StoreError> {
        let mut arguments = vec![gap.id.clone(), to_doc(gap)?];
        arguments.extend(creation(job)?);
        self.run(script!("open_gap"), &arguments).await
    }

    async fn close_gap(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let arguments = [id.to_owned(), at.as_micros().to_string()];
        self.run(script!("close_gap"), &arguments).await
    }

    async fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        gaps(self, "all").await
    }

    async fn open_gaps(&self) -> Result<Vec<Gap>, StoreError> {
        gaps(self, "open").await
    }

    async fn forget_gaps(&self, closed_before: Timestamp) -> Result<u64, StoreError> {
        let arguments = [closed_before.as_micros().to_string()];
        self.run(script!("forget_gaps"), &arguments).await
    }
}

/// Gaps of the ledger, oldest first.
async fn gaps(link: &Link, which: &str) -> Result<Vec<Gap>, StoreError> {
    let (docs, closed): (Vec<String>, BTreeMap<String, i64>) =
        link.run(script!("gaps"), &[which.to_owned()]).await?;
    let mut gaps = Vec::new();
    for doc in docs {
        let mut gap: Gap = of_doc(&doc)?;
        gap.closed = gap
            .closed
            .or_else(|| closed.get(&gap.id).copied().map(Timestamp::from_micros));
        gaps.push(gap);
    }
    gaps.sort_by(|a, b| (a.opened, &a.id).cmp(&(b.opened, &b.id)));
    Ok(gaps)
}

#[async_trait]
impl TicketStore for Link {
    async fn take(&self) -> Result<Ticket, StoreError> {
        let arguments = [
            MARK_AHEAD.as_micros().to_string(),
            MAX_STEP_BACK.as_micros().to_string(),
        ];
        let answer: Vec<String> = self.run(script!("ticket"), &arguments).await?;
        let number = |place: usize| {
            answer
                .get(place)
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| StoreError::Corrupt("a ticket that is no number".to_owned()))
        };
        if answer.first().is_some_and(|said| said == "behind") {
            return Err(StoreError::ClockSteppedBack(Duration::from_micros(number(
                1,
            )?)));
        }
        let time = i64::try_from(number(1)?).unwrap_or(i64::MAX);
        Ok(Ticket {
            version: Version::at(Timestamp::from_micros(time)),
            rule_revision: number(2)?,
            snapshot: number(3)?,
        })
    }
}

#[async_trait]
impl SettingsStore for Link {
    async fn current(&self) -> Result<SettingsRevision, StoreError> {
        let doc: Option<String> = self
            .ask(redis::cmd("HGET").arg(self.key("settings")).arg("document"))
            .await?;
        doc.map_or_else(|| Ok(SettingsRevision::initial()), |doc| of_doc(&doc))
    }

    async fn save(
        &self,
        next: &SettingsRevision,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let mut arguments = vec![
            next.revision.to_string(),
            next.rule_revision.to_string(),
            to_doc(next)?,
            u8::from(next.is_by_person()).to_string(),
        ];
        if let Some(job) = backfill {
            arguments.extend(creation(job)?);
        }
        conflict(self.run(script!("save_settings"), &arguments).await?)
    }

    async fn revision(&self, number: u64) -> Result<Option<SettingsRevision>, StoreError> {
        if number == 0 {
            return Ok(Some(SettingsRevision::initial()));
        }
        let doc: Option<String> = self
            .ask(
                redis::cmd("HGET")
                    .arg(self.key("settings:history"))
                    .arg(number),
            )
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<SettingsRevision>, StoreError> {
        let arguments = [
            before.map(|before| before.to_string()).unwrap_or_default(),
            limit.to_string(),
        ];
        let docs: Vec<String> = self.run(script!("settings_history"), &arguments).await?;
        docs.iter().map(|doc| of_doc(doc)).collect()
    }

    async fn restore(&self, revisions: &[SettingsRevision]) -> Result<(), StoreError> {
        let Some(last) = revisions.last() else {
            return Ok(());
        };
        let by_person = revisions.iter().any(SettingsRevision::is_by_person);
        let mut arguments = vec![
            last.revision.to_string(),
            last.rule_revision.to_string(),
            to_doc(last)?,
            u8::from(by_person).to_string(),
        ];
        for revision in revisions {
            arguments.extend([revision.revision.to_string(), to_doc(revision)?]);
        }
        conflict(self.run(script!("restore_settings"), &arguments).await?)
    }
}

/// Empty: done. Otherwise the number that is in force instead.
fn conflict(answer: String) -> Result<(), StoreError> {
    if answer.is_empty() {
        return Ok(());
    }
    Err(match answer.parse() {
        Ok(current) => StoreError::Conflict { current },
        Err(_not_a_number) => StoreError::Corrupt(format!("a revision {answer}")),
    })
}

#[async_trait]
impl PermissionStore for Link {
    async fn latest(&self) -> Result<PermissionSnapshot, StoreError> {
        let doc: Option<String> = self.run(script!("latest_snapshot"), &[]).await?;
        doc.map_or_else(|| Ok(PermissionSnapshot::default()), |doc| of_doc(&doc))
    }

    async fn snapshot(&self, number: u64) -> Result<Option<PermissionSnapshot>, StoreError> {
        if number == 0 {
            return Ok(Some(PermissionSnapshot::default()));
        }
        let doc: Option<String> = self
            .ask(redis::cmd("HGET").arg(self.key("permissions")).arg(number))
            .await?;
        doc.as_deref().map(of_doc).transpose()
    }

    async fn store(
        &self,
        snapshot: &PermissionSnapshot,
        backfill: Option<&Job>,
    ) -> Result<(), StoreError> {
        let mut arguments = vec![
            snapshot.number.to_string(),
            to_doc(snapshot)?,
            snapshot.taken.as_micros().to_string(),
            snapshot.number.saturating_sub(SNAPSHOTS).to_string(),
        ];
        if let Some(job) = backfill {
            arguments.extend(creation(job)?);
        }
        conflict(self.run(script!("store_snapshot"), &arguments).await?)
    }

    async fn mark_polled(&self, begun: Timestamp) -> Result<(), StoreError> {
        let arguments = [begun.as_micros().to_string()];
        self.run(script!("mark_polled"), &arguments).await
    }

    async fn last_poll(&self) -> Result<Option<Timestamp>, StoreError> {
        let micros: Option<i64> = self
            .ask(
                redis::cmd("HGET")
                    .arg(self.key("permission"))
                    .arg("last_poll"),
            )
            .await?;
        Ok(micros.map(Timestamp::from_micros))
    }
}

#[async_trait]
impl LeaseStore for Link {
    async fn hold(
        &self,
        name: &str,
        holder: &str,
        for_how_long: Duration,
    ) -> Result<bool, StoreError> {
        let arguments = [
            name.to_owned(),
            holder.to_owned(),
            for_how_long.as_millis().max(1).to_string(),
        ];
        self.run(script!("hold_lease"), &arguments).await
    }

    async fn release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let arguments = [name.to_owned(), holder.to_owned()];
        self.run(script!("release_lease"), &arguments).await
    }
}

#[async_trait]
impl ReportStore for Link {
    async fn report(&self, worker: &str, report: &Report) -> Result<(), StoreError> {
        let arguments = [
            worker.to_owned(),
            self.client(),
            report.at.as_micros().to_string(),
            report.at.before(SILENT).as_micros().to_string(),
            report.at.after(SILENT).as_micros().to_string(),
            to_doc(report)?,
        ];
        self.run(script!("report"), &arguments).await
    }

    async fn reports(&self) -> Result<BTreeMap<String, Report>, StoreError> {
        let docs: BTreeMap<String, String> = self
            .ask(redis::cmd("HGETALL").arg(self.key("reports")))
            .await?;
        let mut processes = BTreeMap::<String, Vec<Report>>::new();
        for (process, doc) in docs {
            let worker = process.split(' ').next().unwrap_or_default();
            let reports = processes.entry(worker.to_owned()).or_default();
            reports.push(of_doc(&doc)?);
        }
        let workers = processes.into_iter();
        Ok(workers
            .filter_map(|(worker, reports)| Some((worker, Report::of_processes(reports)?)))
            .collect())
    }
}
