//! Companions: what belongs to an opportunity that may have entered the scope, and must be in mOS
//! with it: its owner, its account, its contact roles and the contacts on them. A contact role that
//! may have entered brings its contact, and, where mOS lacked a parent, its opportunity as well.
//!
//! Companions are read later than the opportunity by which they come. What happens to them once it has
//! left the scope is of no concern to mOS, so it is looked at again after them ([`still_belong`]).

use std::collections::{BTreeMap, BTreeSet};

use domain::rule::{Match, Rules};
use domain::tally::Count;
use domain::unit::{Cause, Envelope, UnitRecord};
use domain::{ObjectKind, Row, SalesforceId, Timestamp};
use ports::source::{Source, SourceError};
use runtime::readback::{self, Read, RelatedQuery};

type Owners = BTreeSet<SalesforceId>;
/// The companions wanted of each object, with the owners they come in scope through.
type Wanted = BTreeMap<ObjectKind, BTreeMap<SalesforceId, Owners>>;

/// Adds the companions, as they are at `at`, and puts the unit into dependency order. Answers those that cannot be seen.
pub(crate) async fn add(
    source: &dyn Source,
    unit: &mut Envelope,
    rules: &Rules,
    at: Timestamp,
) -> Result<Vec<(ObjectKind, SalesforceId)>, SourceError> {
    let mut unreadable = Vec::new();
    let mut entering = entering_opportunities(unit);
    let mut wanted = Wanted::new();
    orphaned_opportunities(source, unit, (rules, at), &mut entering, &mut wanted).await?;
    let roles = roles_of(source, &entering, rules).await?;
    for (opportunity, owners) in &entering {
        for owner in owners {
            want(&mut wanted, ObjectKind::User, *owner, owners);
        }
        if let Some(account) = reference(unit, ObjectKind::Opportunity, *opportunity, "AccountId") {
            want(&mut wanted, ObjectKind::Account, account, owners);
        }
    }
    for role in entering_roles(unit) {
        if let Some(contact) = role
            .row
            .as_ref()
            .and_then(|row| row.fields().ok()?.id("ContactId"))
        {
            want(&mut wanted, ObjectKind::Contact, contact, &role.owners);
        }
    }
    for role in &roles {
        if let Some(contact) = role.contact {
            want(&mut wanted, ObjectKind::Contact, contact, &role.owners);
        }
    }
    let present = unit
        .records
        .iter()
        .map(|record| (record.object, record.id))
        .collect::<BTreeSet<_>>();
    for (object, ids) in wanted {
        let missing = ids
            .into_iter()
            .filter(|(id, _)| !present.contains(&(object, *id)))
            .collect::<BTreeMap<_, _>>();
        let mut rows = readback::read(
            source,
            object,
            &missing.keys().copied().collect(),
            &rules.fields_to_read(object),
        )
        .await?;
        for (id, owners) in missing {
            unit.tally.add(object, Count::Added);
            match rows.remove(&id).unwrap_or(Read::Absent) {
                Read::Row(row) => unit.records.push(companion(object, id, row, owners)),
                Read::Deleted => unit.tally.add(object, Count::Gone),
                Read::Absent => {
                    tracing::warn!(%object, record = %id, "a record that belongs to an opportunity in scope is not visible to the integration user");
                    unit.tally.add(object, Count::Unreadable);
                    unreadable.push((object, id));
                }
            }
        }
    }
    for role in roles
        .into_iter()
        .filter(|role| !present.contains(&(ObjectKind::OpportunityContactRole, role.id)))
    {
        unit.tally
            .add(ObjectKind::OpportunityContactRole, Count::Added);
        unit.records.push(companion(
            ObjectKind::OpportunityContactRole,
            role.id,
            role.row,
            role.owners,
        ));
    }
    unit.records
        .sort_by_key(|record| (record.object, record.id));
    Ok(unreadable)
}

/// Whether the opportunities by which the unit's companions came are in scope at `at`, through the
/// same owners. To be asked once the companions are read.
pub(crate) async fn still_belong(
    source: &dyn Source,
    unit: &Envelope,
    rules: &Rules,
    at: Timestamp,
) -> Result<bool, SourceError> {
    let mut through = entering_opportunities(unit);
    for role in entering_roles(unit) {
        if let Some(opportunity) = role
            .row
            .as_ref()
            .and_then(|row| row.fields().ok()?.id("OpportunityId"))
        {
            through.entry(opportunity).or_default().extend(&role.owners);
        }
    }
    let mut select = rules.judged_fields();
    select.insert("Id".to_owned());
    let rows = readback::read(
        source,
        ObjectKind::Opportunity,
        &through.keys().copied().collect(),
        &select,
    )
    .await?;
    Ok(through.iter().all(|(id, owners)| {
        let Some(Read::Row(row)) = rows.get(id) else {
            return false;
        };
        row.fields().is_ok_and(|fields| {
            rules.judge(&fields, at) == Match::Qualifies
                && fields
                    .id("OwnerId")
                    .is_some_and(|owner| owners.contains(&owner))
        })
    }))
}

fn entering_opportunities(unit: &Envelope) -> BTreeMap<SalesforceId, Owners> {
    unit.records
        .iter()
        .filter(|record| record.object == ObjectKind::Opportunity && record.entering)
        .map(|record| (record.id, record.owners.clone()))
        .collect()
}

fn entering_roles(unit: &Envelope) -> impl Iterator<Item = &UnitRecord> {
    unit.records
        .iter()
        .filter(|record| record.object == ObjectKind::OpportunityContactRole && record.entering)
}

/// Where mOS lacked a parent of a contact role, its opportunity comes along, with all that belongs
/// to it.
async fn orphaned_opportunities(
    source: &dyn Source,
    unit: &mut Envelope,
    (rules, at): (&Rules, Timestamp),
    entering: &mut BTreeMap<SalesforceId, Owners>,
    wanted: &mut Wanted,
) -> Result<(), SourceError> {
    if unit.rereads == 0 {
        return Ok(());
    }
    let orphans = entering_roles(unit)
        .filter_map(|role| role.row.as_ref()?.fields().ok()?.id("OpportunityId"))
        .filter(|opportunity| !entering.contains_key(opportunity))
        .collect::<BTreeSet<_>>();
    let rows = readback::read(
        source,
        ObjectKind::Opportunity,
        &orphans,
        &rules.fields_to_read(ObjectKind::Opportunity),
    )
    .await?;
    for (id, read) in rows {
        let Read::Row(row) = read else { continue };
        let Some((owner, account)) = row
            .fields()
            .ok()
            .filter(|fields| rules.judge(fields, at) == Match::Qualifies)
            .and_then(|fields| Some((fields.id("OwnerId")?, fields.id("AccountId"))))
        else {
            continue;
        };
        let owners = BTreeSet::from([owner]);
        if let Some(account) = account {
            want(wanted, ObjectKind::Account, account, &owners);
        }
        unit.tally.add(ObjectKind::Opportunity, Count::Added);
        unit.records
            .push(companion(ObjectKind::Opportunity, id, row, owners.clone()));
        entering.insert(id, owners);
    }
    Ok(())
}

struct Role {
    id: SalesforceId,
    contact: Option<SalesforceId>,
    row: Row,
    owners: Owners,
}

async fn roles_of(
    source: &dyn Source,
    opportunities: &BTreeMap<SalesforceId, Owners>,
    rules: &Rules,
) -> Result<Vec<Role>, SourceError> {
    let select = rules
        .fields_to_read(ObjectKind::OpportunityContactRole)
        .into_iter()
        .collect::<Vec<_>>()
        .join(", ");
    let query = RelatedQuery {
        select: &select,
        from: "OpportunityContactRole",
        field: "OpportunityId",
        and: "",
    };
    let mut roles = Vec::new();
    readback::for_each_related(
        source,
        query,
        &opportunities.keys().copied().collect(),
        |row| {
            let Ok(fields) = row.fields() else { return };
            if let (Some(id), Some(opportunity)) = (fields.id("Id"), fields.id("OpportunityId"))
                && let Some(owners) = opportunities.get(&opportunity)
            {
                roles.push(Role {
                    id,
                    contact: fields.id("ContactId"),
                    row: row.clone(),
                    owners: owners.clone(),
                });
            }
        },
    )
    .await?;
    Ok(roles)
}

fn reference(
    unit: &Envelope,
    object: ObjectKind,
    id: SalesforceId,
    field: &str,
) -> Option<SalesforceId> {
    unit.records
        .iter()
        .find(|record| record.object == object && record.id == id)?
        .row
        .as_ref()?
        .fields()
        .ok()?
        .id(field)
}

fn want(wanted: &mut Wanted, object: ObjectKind, id: SalesforceId, owners: &Owners) {
    wanted
        .entry(object)
        .or_default()
        .entry(id)
        .or_default()
        .extend(owners);
}

fn companion(object: ObjectKind, id: SalesforceId, row: Row, owners: Owners) -> UnitRecord {
    UnitRecord {
        object,
        id,
        cause: Cause::Companion,
        row: Some(row),
        owners,
        last_word: false,
        entering: false,
    }
}
