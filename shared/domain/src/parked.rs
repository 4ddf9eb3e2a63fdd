//! Parked records: references to what could not be brought to mOS, with the reason.

use serde::{Deserialize, Serialize};

use crate::failure::{FailureKind, Policy, RELEASED_AGAIN, retry_delay};
use crate::id::SalesforceId;
use crate::job::JobId;
use crate::object::ObjectKind;
use crate::ticket::{Ticket, Version};
use crate::time::Timestamp;
use crate::unit::Stage;

/// A record that waits for somebody or something. It holds no field values: retrying it reads it
/// back from Salesforce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Which object.
    pub object: ObjectKind,
    /// Which record.
    pub id: SalesforceId,
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub kind: FailureKind,
    /// mOS's own code, where mOS gave one.
    #[serde(default)]
    pub code: Option<String>,
    /// The other side's own words, without field values.
    pub message: String,
    /// The record it waits for, when its parent is missing in mOS.
    pub parent: Option<(ObjectKind, SalesforceId)>,
    /// The rules in force when it failed.
    pub rule_revision: u64,
    /// The version of the row it failed with; what is older cannot clear it.
    pub version: Version,
    /// First time it was parked.
    pub since: Timestamp,
    /// How often it has been taken up again.
    pub retries: u32,
    /// When it is taken up again by itself; never, when a person has to act first.
    pub retry_at: Option<Timestamp>,
    /// What made it due last, when that was its parent's arrival.
    #[serde(default)]
    pub released: Option<Release>,
    /// The job whose unit it was in.
    #[serde(default)]
    pub job: Option<JobId>,
    /// A person has decided that it need not come to mOS as it is.
    #[serde(default)]
    pub dismissed: Option<Dismissal>,
}

/// An acceptance of a parent that made its child due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// When.
    pub at: Timestamp,
    /// The parent.
    pub parent: (ObjectKind, SalesforceId),
}

/// Somebody's decision about a parked record. The entry stays, so that every record in scope is
/// in mOS or accounted for; it is not taken up by itself and not counted as open. An acceptance
/// clears it like any other; parked again with a newer version, it is open again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dismissal {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Parked {
    /// A record that failed just now, judged under the ticket. It is taken up again by itself where
    /// its kind allows that.
    #[must_use]
    pub fn new(
        (object, id): (ObjectKind, SalesforceId),
        stage: Stage,
        kind: FailureKind,
        message: String,
        ticket: Ticket,
        now: Timestamp,
    ) -> Self {
        let retry_at = match kind.policy() {
            // A parent that arrives releases its children at once; should it have arrived just
            // before they were parked, the schedule finds them.
            Policy::RetryByItself | Policy::WaitForParent => {
                retry_delay(0).map(|delay| now.after(delay))
            }
            Policy::Person => None,
        };
        Self {
            object,
            id,
            stage,
            kind,
            code: None,
            message,
            parent: None,
            rule_revision: ticket.rule_revision,
            version: ticket.version,
            since: now,
            retries: 0,
            retry_at,
            released: None,
            job: None,
            dismissed: None,
        }
    }

    /// Object and id.
    #[must_use]
    pub const fn record(&self) -> (ObjectKind, SalesforceId) {
        (self.object, self.id)
    }

    /// mOS has accepted this parent: the entry waits for it no longer and is due now. Whether it does
    /// so; it does not when the same parent has released it within [`RELEASED_AGAIN`], and waits for
    /// its time instead, which is the end of that where it has none any more.
    pub fn release(&mut self, parent: (ObjectKind, SalesforceId), now: Timestamp) -> bool {
        let last = self.released.as_ref().filter(|last| last.parent == parent);
        let again = last.map(|last| last.at.after(RELEASED_AGAIN));
        if let Some(again) = again.filter(|again| now < *again) {
            self.retry_at = self.retry_at.or(Some(again));
            return false;
        }
        self.released = Some(Release { at: now, parent });
        self.parent = None;
        self.retry_at = Some(now);
        true
    }

    /// Whether somebody or something has still to act.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.dismissed.is_none()
    }
}
