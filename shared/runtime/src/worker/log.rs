//! What a worker writes into the integration log.

use domain::failure::Policy;
use domain::job::JobId;
use domain::parked::Parked;
use domain::{ObjectKind, SalesforceId};
use ports::stores::{LogEntry, LogLevel, StoreError};

use super::Worker;

/// Parked records of one unit of which each has a line in the integration log; the rest have one
/// together.
const PARKED_LINES: usize = 10;

impl Worker {
    /// Says of records which could not be brought on, and why. A unit that comes again after a
    /// crash says so again.
    pub(super) async fn log_parked(&self, parked: &[Parked]) -> Result<(), StoreError> {
        for record in parked.iter().take(PARKED_LINES) {
            let code = record.code.as_deref().unwrap_or(record.kind.name());
            let then = match record.kind.policy() {
                Policy::RetryByItself => "it is tried again by itself",
                Policy::WaitForParent => "it waits for that record",
                Policy::Person => "somebody has to act",
            };
            let message = format!(
                "{} {} is parked at the {} stage ({code}): {}; {then}",
                record.object,
                record.id,
                record.stage.name(),
                record.kind.cause()
            );
            let level = match record.kind.policy() {
                Policy::RetryByItself | Policy::WaitForParent => LogLevel::Warning,
                Policy::Person => LogLevel::Error,
            };
            let job = record.job.clone();
            self.log(level, "parked", job, Some(record.record()), message)
                .await?;
        }
        let more = parked.len().saturating_sub(PARKED_LINES);
        if more > 0 {
            let job = parked.first().and_then(|record| record.job.clone());
            let message =
                format!("{more} more records of this unit are parked (see `mosync parked list`)");
            self.log(LogLevel::Warning, "parked", job, None, message)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn log(
        &self,
        level: LogLevel,
        topic: &str,
        job: Option<JobId>,
        record: Option<(ObjectKind, SalesforceId)>,
        message: String,
    ) -> Result<(), StoreError> {
        let entry = LogEntry {
            at: self.clock.now(),
            level,
            topic: topic.to_owned(),
            job,
            record,
            message,
        };
        self.stores.log.append(&entry).await
    }
}
