//! What left the scope and is still in mOS. Nobody remembers what mOS has, so mOS is asked, and what
//! it has is judged by the rules in force.

use std::collections::{BTreeMap, BTreeSet};

use domain::filter;
use domain::permission::PermissionSnapshot;
use domain::rule::{Match, Rules, Visible};
use domain::{ObjectKind, SalesforceId, Timestamp};
use futures::Stream;
use ports::target::MAX_LISTED;
use runtime::readback::{self, Read};

use super::{Operations, pages};
use crate::OpsError;
use crate::views::{LeftRecord, LeftView, LeftWhy};

impl Operations {
    /// The opportunities that mOS holds after that external id, at most `limit` of them (2,000 when
    /// left out), and those among them that do not qualify now. A stretch at a time is in memory.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for a limit that is none, [`OpsError::Conflict`] before permissions
    /// were first read, [`OpsError::OutOfReach`] when a store, Salesforce or mOS does not answer.
    pub async fn left(
        &self,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<LeftView, OpsError> {
        let limit = limit.unwrap_or(MAX_LISTED);
        if !(1..=MAX_LISTED).contains(&limit) {
            return Err(OpsError::Invalid(format!(
                "limit {limit} is not a number from 1 to {MAX_LISTED}; leave it out for {MAX_LISTED}"
            )));
        }
        let snapshot = self.stores.permissions.latest().await?;
        if snapshot.number == 0 {
            return Err(OpsError::Conflict(
                "permissions have not been read from Salesforce yet, so nobody knows what is in scope; start `mosync permission` or `mosync all`, and ask again when the status says that they were read".to_owned(),
            ));
        }
        let revision = self.stores.settings.current().await?;
        let rules = Rules::of(&revision, Visible::new()).map_err(|faults| {
            OpsError::Broken(format!(
                "the stored filter cannot be used: {}",
                filter::in_words(&faults)
            ))
        })?;
        let target = self.target.as_ref().ok_or_else(|| {
            OpsError::Broken("nobody has said where mOS is; please report this".to_owned())
        })?;
        let now = self.now();
        let object = ObjectKind::Opportunity;
        let held = target
            .list(object, after.unwrap_or_default(), limit)
            .await?;
        let next = held.last().filter(|_| held.len() >= limit);
        let next = next.map(|last| last.external_id.clone());
        let ids = held
            .iter()
            .filter_map(|held| SalesforceId::parse(&held.external_id).ok())
            .filter(|id| id.key_prefix() == object.key_prefix())
            .collect::<BTreeSet<_>>();
        let mut fields = rules.judged_fields();
        fields.extend(["Id", "Name"].map(str::to_owned));
        let rows = readback::read(&*self.source, object, &ids, &fields).await?;
        let judge = Judge {
            rules: &rules,
            snapshot: &snapshot,
            now,
            rows: &rows,
        };
        Ok(LeftView {
            read_at: now,
            settings_revision: revision.revision,
            snapshot: snapshot.number,
            held: u64::try_from(held.len()).unwrap_or(u64::MAX),
            left: held
                .into_iter()
                .filter_map(|held| judge.left(held.external_id))
                .collect(),
            next,
        })
    }

    /// All that do not qualify, read stretch by stretch as they are taken.
    pub fn all_left(&self) -> impl Stream<Item = Result<Vec<LeftRecord>, OpsError>> + Send + use<> {
        let operations = self.clone();
        pages(None, move |after: Option<String>| {
            let operations = operations.clone();
            async move {
                let stretch = operations.left(after.as_deref(), None).await?;
                Ok((stretch.left, stretch.next.map(Some)))
            }
        })
    }
}

struct Judge<'a> {
    rules: &'a Rules,
    snapshot: &'a PermissionSnapshot,
    now: Timestamp,
    rows: &'a BTreeMap<SalesforceId, Read>,
}

impl Judge<'_> {
    /// What is to be said of an opportunity that mOS holds; nothing of one that qualifies.
    fn left(&self, id: String) -> Option<LeftRecord> {
        let read = SalesforceId::parse(&id).ok();
        let read = read.and_then(|id| self.rows.get(&id));
        let mut record = LeftRecord {
            id,
            name: None,
            owner: None,
            why: LeftWhy::NotVisible,
        };
        let fields = match read {
            Some(Read::Row(row)) => row.fields().ok(),
            Some(Read::Deleted) => {
                record.why = LeftWhy::Deleted;
                return Some(record);
            }
            Some(Read::Absent) | None => None,
        };
        let Some(fields) = fields else {
            return Some(record);
        };
        record.name = fields.text("Name");
        record.owner = fields.id("OwnerId");
        let permits = |owner| self.snapshot.permits(&owner, self.now);
        record.why = match self.rules.judge(&fields, self.now) {
            Match::No => LeftWhy::Filter,
            Match::ClosedOnly => LeftWhy::Closed,
            Match::Qualifies if record.owner.is_some_and(permits) => return None,
            Match::Qualifies => LeftWhy::OwnerWithoutPermission,
        };
        Some(record)
    }
}
