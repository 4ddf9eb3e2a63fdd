//! What a sync-all would do: the same plan and the same figures as those of a save's job.

use std::collections::BTreeMap;

use domain::SalesforceId;
use domain::job::{JobKind, SalesforceStatus};
use domain::settings::SettingsRevision;
use ports::source::SourceError;

use super::{Compared, Foreseen, cost, rules, sets, visible};
use crate::OpsError;
use crate::operations::{Operations, soon, status};
use crate::views::{ExpectedSyncAll, JobView};

impl Operations {
    /// What a sync-all would read and take, and why it cannot run.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store does not answer. Salesforce that does not answer, or
    /// not what it is asked, is among the reasons why it cannot run, and so is a filter that cannot
    /// be used.
    pub async fn expected_sync_all(&self) -> Result<ExpectedSyncAll, OpsError> {
        let at = self.now();
        let current = self.stores.settings.current().await?;
        let mut expected = ExpectedSyncAll {
            at,
            why_not: Vec::new(),
            waits: Vec::new(),
            running: self.running_sync_all().await?,
            records: BTreeMap::new(),
            cost: None,
        };
        if let Some(running) = &expected.running {
            expected.why_not.push(format!(
                "a sync-all runs already ({}), so no second one is started; wait until it has ended, or cancel it",
                running.id
            ));
        }
        if current.settings.disabled {
            expected.why_not.push(
                "mOS Sync is disabled in mOS Settings, so nothing is read or sent; switch Disable mOS Sync off first".to_owned(),
            );
        }
        match soon(self.source.organization()).await {
            Ok(org) => {
                let refused = runtime::org::refusal(&current, &org);
                expected.why_not.extend(refused);
            }
            Err(error) => {
                expected.why_not.push(error.to_string());
                return Ok(expected);
            }
        }
        let snapshot = self.stores.permissions.latest().await?;
        if snapshot.number == 0 {
            expected.why_not.push(
                "permissions have not been read from Salesforce yet, so nobody knows whose opportunities are in scope; start `mosync permission` or `mosync all`".to_owned(),
            );
            return Ok(expected);
        }
        let owners = snapshot.permitted(at).into_iter().collect();
        match self.count(&current, owners, &mut expected).await {
            Ok(()) => {
                expected.waits = self.waits(&current, &expected).await?;
                Ok(expected)
            }
            Err(OpsError::OutOfReach(why) | OpsError::Broken(why)) => {
                expected.why_not.push(why);
                Ok(expected)
            }
            Err(error) => Err(error),
        }
    }

    /// What keeps it from beginning at once, or from going on to its end.
    async fn waits(
        &self,
        current: &SettingsRevision,
        expected: &ExpectedSyncAll,
    ) -> Result<Vec<String>, OpsError> {
        let workers = self.stores.reports.reports().await?;
        let mut waits = status::of_workers(&workers, expected.at);
        let api = status::api(&current.settings, workers.get("listener"));
        if let Some(until) = api.and_then(|api| api.bulk_held_until) {
            waits.push(format!(
                "what mosync may use of the org's API requests is used up; reading is tried again at {until}"
            ));
        }
        let Some(cost) = &expected.cost else {
            return Ok(waits);
        };
        let of_share = api.map(|api| api.share.saturating_sub(api.ours));
        let left = cost.api_calls_left.into_iter().chain(of_share).min();
        let needed = cost.api_calls.total;
        if let Some(left) = left.filter(|left| *left < needed) {
            waits.push(format!(
                "it takes {needed} API requests, and mosync may use {left} more today; it pauses when they are used up, and goes on when the org's 24 hours have moved on"
            ));
        }
        Ok(waits)
    }

    async fn running_sync_all(&self) -> Result<Option<JobView>, OpsError> {
        let now = self.now();
        let jobs = self.stores.jobs.unfinished().await?;
        // A cancelled one keeps nobody from a new one, however long its units are on their way.
        let running = jobs.iter().find(|job| {
            job.kind == JobKind::SyncAll
                && job.salesforce != SalesforceStatus::Cancelled
                && !job.is_over()
        });
        Ok(running.map(|job| JobView::of(job, now)))
    }

    async fn count(
        &self,
        current: &SettingsRevision,
        owners: Vec<SalesforceId>,
        expected: &mut ExpectedSyncAll,
    ) -> Result<(), OpsError> {
        let visible = visible(&*self.source).await?;
        let foreseen = Foreseen {
            id: String::new(),
            before: rules(current, visible.clone())?,
            after: rules(current, visible)?,
            at: expected.at,
            owners,
            compared: Compared::Same,
        };
        let plan = cost::Plan::of_everything(&foreseen);
        let totals: Result<_, SourceError> = sets::counts(&self.source, plan.counts()).await;
        let totals = totals?;
        expected.records = plan.by_object(&totals);
        expected.cost = Some(self.cost(&plan, &totals, None).await?);
        Ok(())
    }
}
