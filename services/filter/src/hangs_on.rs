//! Through whose opportunities a user, account, contact or contact role matches.

use std::collections::{BTreeMap, BTreeSet};

use domain::row::Fields;
use domain::rule::{Match, Rules};
use domain::unit::Envelope;
use domain::{ObjectKind, Row, SalesforceId};
use ports::source::{Source, SourceError};
use runtime::readback::{self, Read, RelatedQuery};

type Owners = BTreeMap<(ObjectKind, SalesforceId), BTreeSet<SalesforceId>>;

/// The owners of the matching opportunities on which the unit's records hang. Opportunities
/// themselves are not in the answer.
pub(crate) async fn owners(
    source: &dyn Source,
    unit: &Envelope,
    rules: &Rules,
) -> Result<Owners, SourceError> {
    let mut owners = Owners::new();
    let of = |object| {
        unit.records
            .iter()
            .filter(move |record| record.object == object)
    };
    let ids = |object| of(object).map(|record| record.id).collect::<BTreeSet<_>>();

    by_opportunities(
        source,
        rules,
        ObjectKind::User,
        "OwnerId",
        &ids(ObjectKind::User),
        &mut owners,
    )
    .await?;
    by_opportunities(
        source,
        rules,
        ObjectKind::Account,
        "AccountId",
        &ids(ObjectKind::Account),
        &mut owners,
    )
    .await?;
    by_roles(source, rules, &ids(ObjectKind::Contact), &mut owners).await?;
    let roles = of(ObjectKind::OpportunityContactRole)
        .filter_map(|record| Some((record.id, opportunity_of(record.row.as_ref()?)?)))
        .collect();
    of_roles(source, rules, roles, &mut owners).await?;
    Ok(owners)
}

/// Users and accounts: the opportunities that refer to them.
async fn by_opportunities(
    source: &dyn Source,
    rules: &Rules,
    object: ObjectKind,
    field: &str,
    ids: &BTreeSet<SalesforceId>,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    let mut fields = rules.judged_fields();
    fields.insert(field.to_owned());
    let select = fields.into_iter().collect::<Vec<_>>().join(", ");
    let query = RelatedQuery {
        select: &select,
        from: "Opportunity",
        field,
        and: open_only(rules, ""),
    };
    readback::for_each_related(source, query, ids, |row| {
        if let Ok(opportunity) = row.fields()
            && let Some(id) = opportunity.id(field)
        {
            add_owner(owners, (object, id), &opportunity, rules);
        }
    })
    .await
}

/// Contacts: the opportunities on which they have a role.
async fn by_roles(
    source: &dyn Source,
    rules: &Rules,
    ids: &BTreeSet<SalesforceId>,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    let select = rules
        .judged_fields()
        .iter()
        .map(|field| format!("Opportunity.{field}"))
        .collect::<Vec<_>>()
        .join(", ");
    let select = format!("ContactId, {select}");
    let query = RelatedQuery {
        select: &select,
        from: "OpportunityContactRole",
        field: "ContactId",
        and: open_only(rules, "Opportunity."),
    };
    readback::for_each_related(source, query, ids, |row| {
        let Ok(role) = row.fields() else { return };
        let Some(contact) = role.id("ContactId") else {
            return;
        };
        let Some(opportunity) = role
            .raw("Opportunity")
            .and_then(|text| serde_json::from_str::<Row>(&text).ok())
        else {
            return;
        };
        if let Ok(opportunity) = opportunity.fields() {
            add_owner(owners, (ObjectKind::Contact, contact), &opportunity, rules);
        }
    })
    .await
}

/// Contact roles: their own opportunity.
async fn of_roles(
    source: &dyn Source,
    rules: &Rules,
    roles: BTreeMap<SalesforceId, SalesforceId>,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    if roles.is_empty() {
        return Ok(());
    }
    let ids = roles.values().copied().collect();
    let opportunities = readback::read(
        source,
        ObjectKind::Opportunity,
        &ids,
        &rules.judged_fields(),
    )
    .await?;
    for (role, opportunity) in roles {
        if let Some(Read::Row(row)) = opportunities.get(&opportunity)
            && let Ok(fields) = row.fields()
        {
            add_owner(
                owners,
                (ObjectKind::OpportunityContactRole, role),
                &fields,
                rules,
            );
        }
    }
    Ok(())
}

fn add_owner(
    owners: &mut Owners,
    of: (ObjectKind, SalesforceId),
    opportunity: &Fields<'_>,
    rules: &Rules,
) {
    if rules.judge(opportunity) == Match::Qualifies
        && let Some(owner) = opportunity.id("OwnerId")
    {
        owners.entry(of).or_default().insert(owner);
    }
}

fn opportunity_of(role: &Row) -> Option<SalesforceId> {
    role.fields().ok()?.id("OpportunityId")
}

/// Closed opportunities need not even be looked at while they do not qualify.
fn open_only(rules: &Rules, path: &str) -> &'static str {
    match (rules.sync_closed(), path.is_empty()) {
        (true, _) => "",
        (false, true) => " AND IsClosed = false",
        (false, false) => " AND Opportunity.IsClosed = false",
    }
}
