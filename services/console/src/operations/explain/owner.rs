//! The owner who decides, with the evidence of the permission.

use std::collections::BTreeSet;

use domain::permission::{Evidence, Standing};
use domain::{ObjectKind, SalesforceId, soql};
use ports::source::SourceError;
use runtime::readback::for_each_row;

use super::Asked;
use super::scope::Judged;
use crate::OpsError;
use crate::operations::{Operations, users};
use crate::views::ExplainOwner;

impl Operations {
    /// The user who was asked for, or the owner of the opportunity; `None` before permissions were
    /// first read, and where nobody owns anything.
    pub(super) async fn owner(
        &self,
        asked: &Asked,
        judged: Option<&Judged>,
    ) -> Result<Option<ExplainOwner>, OpsError> {
        let owner = match asked.object {
            ObjectKind::User => Some(asked.id),
            ObjectKind::Opportunity | ObjectKind::OpportunityContactRole => {
                judged.and_then(|judged| judged.owner)
            }
            ObjectKind::Account | ObjectKind::Contact => None,
        };
        let Some(owner) = owner.filter(|_| asked.snapshot.number > 0) else {
            return Ok(None);
        };
        let evidence = asked.snapshot.evidence(&owner, asked.at);
        let owners = BTreeSet::from([owner]);
        let (mut named, muted) = tokio::try_join!(self.named(&owners), self.muted(&evidence))?;
        let user = named
            .remove(&owner)
            .unwrap_or_else(|| users::unknown(owner));
        let permitted = evidence.is_permitted();
        let mut words = users::words(&evidence.words(), &user, permitted);
        words.extend(muted.into_iter().map(|group| {
            format!(
                "the group {group} has a muting set, which takes permissions from the group and no members; it changes nothing"
            )
        }));
        let (grants, until, not_counted) = match evidence.standing {
            Standing::Permitted { grants, until } => {
                (grants, until, users::misses(&asked.snapshot, &owner))
            }
            Standing::Not { reasons, .. } => (Vec::new(), None, reasons),
        };
        Ok(Some(ExplainOwner {
            user,
            permitted,
            grants,
            until,
            not_counted,
            words,
            snapshot: asked.snapshot.number,
        }))
    }

    /// The groups of the evidence that have a muting set. It decides nothing, so no poll reads it
    /// (`docs/adr/0010`).
    async fn muted(&self, evidence: &Evidence) -> Result<BTreeSet<String>, OpsError> {
        let groups = evidence.groups();
        let mut muted = BTreeSet::new();
        if groups.is_empty() {
            return Ok(muted);
        }
        // A component that is no permission set is a muting set. A group's name is shown with its
        // namespace and asked for without.
        let names = groups
            .iter()
            .map(|group| group.rsplit_once("__").map_or(*group, |(_, name)| name));
        let soql = format!(
            "SELECT PermissionSetGroup.DeveloperName, PermissionSetGroup.NamespacePrefix, PermissionSetId, PermissionSet.Name FROM PermissionSetGroupComponent WHERE PermissionSetGroup.DeveloperName IN {}",
            soql::in_list(names)
        );
        let read = for_each_row(&*self.source, &soql, false, |row| {
            if let Some(group) = row.fields().ok().as_ref().and_then(muted_group) {
                muted.extend(groups.contains(group.as_str()).then_some(group));
            }
            true
        });
        match read.await {
            // Without the right to see Setup nobody knows.
            Ok(()) | Err(SourceError::Refused { .. }) => Ok(muted),
            Err(error) => Err(error.into()),
        }
    }
}

/// The group of a component that mutes, as it is shown.
fn muted_group(component: &domain::row::Fields<'_>) -> Option<String> {
    if component.text("PermissionSet.Name").is_some() {
        return None;
    }
    let _muting: SalesforceId = component.id("PermissionSetId")?;
    let name = component.text("PermissionSetGroup.DeveloperName")?;
    Some(match component.text("PermissionSetGroup.NamespacePrefix") {
        Some(namespace) => format!("{namespace}__{name}"),
        None => name,
    })
}
