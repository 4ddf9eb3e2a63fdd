//! Who holds mOS permission, through what, and what hangs on it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use domain::filter;
use domain::permission::{NearMiss, PermissionSnapshot, Standing};
use domain::rule::{Rules, Visible};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::source::SourceError;
use runtime::by_owner::{self, ByOwner};
use runtime::readback::{RelatedQuery, for_each_related};

use super::Operations;
use crate::OpsError;
use crate::views::{HolderView, OtherView, UserView, UsersView};

/// So many without permission are named.
const OTHERS: usize = 1_000;
/// Users asked for in one request.
const USERS_PER_REQUEST: usize = 2_000;

impl Operations {
    /// Everybody who holds permission, and who owns matching opportunities or holds a permission
    /// set without it.
    ///
    /// # Errors
    /// [`OpsError::Conflict`] before permissions were first read, [`OpsError::OutOfReach`] when a
    /// store or Salesforce does not answer.
    pub async fn users(&self) -> Result<UsersView, OpsError> {
        let stores = &self.stores;
        let permissions_polled = stores.permissions.last_poll().await?;
        let snapshot = stores.permissions.latest().await?;
        if snapshot.number == 0 {
            return Err(OpsError::Conflict(
                "permissions have not been read from Salesforce yet; start `mosync permission` or `mosync all`, and ask again when the status says that they were read".to_owned(),
            ));
        }
        let revision = stores.settings.current().await?;
        let rules = Rules::of(&revision, Visible::new()).map_err(|faults| {
            OpsError::Broken(format!(
                "the stored filter cannot be used: {}",
                filter::in_words(&faults)
            ))
        })?;
        let now = self.now();
        let counted = by_owner::count(&*self.source, &rules, now, None).await?;
        let permitted = snapshot.permitted(now);
        let others = Others::of(&snapshot, &permitted, &counted);
        let shown = permitted.iter().chain(&others.shown).copied().collect();
        let users = self.named(&shown).await?;
        let named = |id: &SalesforceId| users.get(id).cloned().unwrap_or_else(|| unknown(*id));
        Ok(UsersView {
            read_at: now,
            permissions_polled,
            snapshot: snapshot.number,
            why_not_exact: counted.why_not_exact.clone(),
            holders: holders(&snapshot, &permitted, &counted, now, named),
            others: others
                .shown
                .iter()
                .map(|id| other(&snapshot, named(id), &counted, now))
                .collect(),
            others_left_off: others.left_off,
            others_opportunities: others.opportunities,
        })
    }

    /// What Salesforce calls them.
    pub(super) async fn named(
        &self,
        ids: &BTreeSet<SalesforceId>,
    ) -> Result<BTreeMap<SalesforceId, UserView>, OpsError> {
        let (frozen, mut users) = tokio::try_join!(self.frozen(ids), self.user_rows(ids))?;
        for (id, user) in &mut users {
            user.is_frozen = frozen.as_ref().map(|frozen| frozen.contains(id));
        }
        Ok(users)
    }

    async fn user_rows(
        &self,
        ids: &BTreeSet<SalesforceId>,
    ) -> Result<BTreeMap<SalesforceId, UserView>, OpsError> {
        let fields = ["Id", "IsActive", "Name", "Username"].map(str::to_owned);
        let mut users = BTreeMap::new();
        let ids: Vec<SalesforceId> = ids.iter().copied().collect();
        for chunk in ids.chunks(USERS_PER_REQUEST) {
            let rows = self
                .source
                .retrieve(ObjectKind::User, chunk, &fields)
                .await?;
            for (id, row) in chunk.iter().zip(rows) {
                let mut user = unknown(*id);
                if let Some(fields) = row.as_ref().and_then(|row| row.fields().ok()) {
                    user.name = fields.text("Name");
                    user.username = fields.text("Username");
                    user.is_active = Some(fields.flag("IsActive"));
                }
                users.insert(*id, user);
            }
        }
        Ok(users)
    }

    /// Which of them are frozen; `None` when the integration user may not see that.
    async fn frozen(
        &self,
        ids: &BTreeSet<SalesforceId>,
    ) -> Result<Option<BTreeSet<SalesforceId>>, OpsError> {
        let query = RelatedQuery {
            select: "UserId",
            from: "UserLogin",
            field: "UserId",
            and: " AND IsFrozen = true",
        };
        let mut frozen = BTreeSet::new();
        let read = for_each_related(&*self.source, query, ids, |row| {
            frozen.extend(row.fields().ok().and_then(|fields| fields.id("UserId")));
        });
        match read.await {
            Ok(()) => Ok(Some(frozen)),
            Err(SourceError::Refused { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Who owns matching opportunities, or holds a permission set, without permission.
struct Others {
    shown: Vec<SalesforceId>,
    left_off: u64,
    opportunities: u64,
}

impl Others {
    fn of(
        snapshot: &PermissionSnapshot,
        permitted: &BTreeSet<SalesforceId>,
        counted: &ByOwner,
    ) -> Self {
        let owners = counted.opportunities.keys();
        // Who was read as a holder, and has run out since, too.
        let known = snapshot.holders.keys().chain(snapshot.near_misses.keys());
        let mut all: Vec<SalesforceId> = owners
            .chain(known)
            .copied()
            .collect::<BTreeSet<_>>()
            .difference(permitted)
            .copied()
            .collect();
        let of = |id: &SalesforceId| opportunities(counted, id);
        let opportunities = all.iter().map(of).sum();
        all.sort_by_key(|id| (Reverse(of(id)), *id));
        let left_off = all.len().saturating_sub(OTHERS);
        all.truncate(OTHERS);
        Self {
            shown: all,
            left_off: u64::try_from(left_off).unwrap_or(u64::MAX),
            opportunities,
        }
    }
}

fn opportunities(counted: &ByOwner, id: &SalesforceId) -> u64 {
    counted.opportunities.get(id).copied().unwrap_or(0)
}

fn holders(
    snapshot: &PermissionSnapshot,
    permitted: &BTreeSet<SalesforceId>,
    counted: &ByOwner,
    now: Timestamp,
    named: impl Fn(&SalesforceId) -> UserView,
) -> Vec<HolderView> {
    let mut holders: Vec<HolderView> = permitted
        .iter()
        .map(|id| {
            let evidence = snapshot.evidence(id, now);
            let words = words(&evidence.words(), &named(id), true);
            let (grants, until) = match evidence.standing {
                Standing::Permitted { grants, until } => (grants, until),
                Standing::Not { .. } => (Vec::new(), None),
            };
            HolderView {
                user: named(id),
                grants,
                until,
                not_counted: misses(snapshot, id),
                opportunities: opportunities(counted, id),
                words,
            }
        })
        .collect();
    holders.sort_by_key(|holder| Reverse(holder.opportunities));
    holders
}

fn other(
    snapshot: &PermissionSnapshot,
    user: UserView,
    counted: &ByOwner,
    now: Timestamp,
) -> OtherView {
    let evidence = snapshot.evidence(&user.id, now);
    let words = words(&evidence.words(), &user, false);
    let not_counted = match evidence.standing {
        Standing::Not { reasons, .. } => reasons,
        Standing::Permitted { .. } => Vec::new(),
    };
    OtherView {
        not_counted,
        opportunities: opportunities(counted, &user.id),
        words,
        user,
    }
}

pub(super) fn misses(snapshot: &PermissionSnapshot, id: &SalesforceId) -> Vec<NearMiss> {
    let misses = snapshot.near_misses.get(id);
    misses.into_iter().flatten().cloned().collect()
}

/// The evidence, with what the snapshot does not know because it decides nothing.
pub(super) fn words(evidence: &[String], user: &UserView, permitted: bool) -> Vec<String> {
    let mut words = evidence.to_vec();
    if permitted && user.is_frozen == Some(true) {
        words.push("is frozen, and counts all the same: only deactivation ends it".to_owned());
    }
    words
}

pub(super) const fn unknown(id: SalesforceId) -> UserView {
    UserView {
        id,
        name: None,
        username: None,
        is_active: None,
        is_frozen: None,
    }
}
