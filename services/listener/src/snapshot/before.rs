//! What a job leaves out because it was in scope before: a filter that was saved, or a day that has
//! begun, brings what enters and nothing else. SOQL cannot always say what the rules before left
//! out; then the reader drops the rows that they let in.

use domain::job::{Job, JobScope};
use domain::rule::{Match, Rules};
use domain::{ObjectKind, Row, Timestamp};
use runtime::worker::Outage;

use crate::Active;

/// The rules before, and when they applied.
pub(super) struct Before {
    pub(super) rules: Rules,
    pub(super) then: Timestamp,
}

impl Before {
    /// Of a job that reads what enters; `None` for others, and where the settings of that time are
    /// lost or of no use.
    pub(super) async fn of(active: &Active, job: &Job) -> Result<Option<Self>, Outage> {
        let JobScope::Entering { before, then } = &job.scope else {
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
        Ok(rules.map(|rules| Self { rules, then: *then }))
    }

    /// Whether the fields by which they judge can be read under the rules now.
    pub(super) fn can_judge(&self, now: &Rules) -> bool {
        let mut fields = self.rules.judged_fields().into_iter();
        fields.all(|field| now.sees(ObjectKind::Opportunity, &field))
    }

    /// Whether a row was in scope then, its owner apart.
    pub(super) fn had(&self, row: &Row) -> bool {
        row.fields()
            .is_ok_and(|fields| self.rules.judge(&fields, self.then) == Match::Qualifies)
    }
}
