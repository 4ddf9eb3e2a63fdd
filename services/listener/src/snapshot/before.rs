//! What a job leaves out because it was in scope before: a filter that was saved, or a day that has
//! begun, brings what enters and nothing else. SOQL cannot always say what the rules before left
//! out; then the reader drops the rows that they let in.

use std::collections::BTreeSet;

use domain::filter::Pushdown;
use domain::job::{Job, JobScope};
use domain::rule::Rules;
use domain::{ObjectKind, Row, Timestamp};
use runtime::worker::Outage;

use crate::Active;

/// The rules before, and when they applied.
pub(super) struct Before {
    rules: Rules,
    then: Timestamp,
    /// What was stamped since is not left out.
    stamped_since: Option<Timestamp>,
}

impl Before {
    /// Of a job that reads what enters; `None` for others, and where the settings of that time are
    /// lost or of no use.
    pub(super) async fn of(active: &Active, job: &Job) -> Result<Option<Self>, Outage> {
        let JobScope::Entering {
            before,
            then,
            stamped_since,
        } = &job.scope
        else {
            return Ok(None);
        };
        let rules = match active.rules.of_revision(*before).await {
            // One job's trouble, not the listener's.
            Err(Outage::Other(why)) => {
                tracing::warn!(job = %job.id, "{why}");
                None
            }
            rules => rules?,
        };
        Ok(rules.map(|rules| Self {
            rules,
            then: *then,
            stamped_since: *stamped_since,
        }))
    }

    /// Whether the fields by which they judge can be read under the rules now.
    pub(super) fn can_judge(&self, now: &Rules) -> bool {
        let mut fields = self.rules.judged_fields().into_iter();
        fields.all(|field| now.sees(ObjectKind::Opportunity, &field))
    }

    /// The condition of what is not left out of what qualifies now.
    pub(super) fn entering(&self, now: &Rules, at: Timestamp) -> Pushdown {
        now.entering_or_stamped(&self.rules, "", (at, self.then), self.stamped_since)
    }

    /// The fields of a row by which [`Self::had`] tells.
    pub(super) fn fields(&self) -> BTreeSet<String> {
        let mut fields = self.rules.judged_fields();
        fields.extend(self.stamped_since.map(|_since| "SystemModstamp".to_owned()));
        fields
    }

    /// Whether a row was in scope then, its owner apart, and is left out.
    pub(super) fn had(&self, row: &Row) -> bool {
        let fields = row.fields();
        fields.is_ok_and(|fields| self.rules.had(&fields, self.then, self.stamped_since))
    }
}
