//! Through whose opportunities a user, account, contact or contact role matches.

use std::collections::{BTreeMap, BTreeSet};

use domain::row::Fields;
use domain::rule::{Match, Rules};
use domain::soql;
use domain::unit::Envelope;
use domain::{ObjectKind, Row, SalesforceId, Timestamp};
use ports::source::{Source, SourceError};
use runtime::readback::{self, MAX_GROUPS, Read, RelatedQuery};

/// Few enough that their owners seldom make more groups than an answer may have.
const IDS_PER_GROUPING: usize = 200;
/// How many opportunities of users who are known to own a matching one are read before the others are
/// asked for alone: about a page.
const READ_IN_VAIN: usize = 2_000;

type Owners = BTreeMap<(ObjectKind, SalesforceId), BTreeSet<SalesforceId>>;

/// The rules at a moment, from which relative dates are counted.
#[derive(Clone, Copy)]
struct RulesAt<'r> {
    rules: &'r Rules,
    at: Timestamp,
}

/// The owners of the matching opportunities on which the unit's records hang. Opportunities
/// themselves are not in the answer.
pub(crate) async fn owners(
    source: &dyn Source,
    unit: &Envelope,
    rules: &Rules,
    at: Timestamp,
) -> Result<Owners, SourceError> {
    let mut owners = Owners::new();
    let rules = RulesAt { rules, at };
    let of = |object| {
        unit.records
            .iter()
            .filter(move |record| record.object == object)
    };
    let ids = |object| of(object).map(|record| record.id).collect::<BTreeSet<_>>();

    by_ownership(source, rules, &ids(ObjectKind::User), &mut owners).await?;
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

/// Users: whether they own a matching opportunity. A semi-join, so that Salesforce need not look at
/// all that a user owns; by their opportunities where an org refuses that, or SOQL cannot say the
/// filter.
async fn by_ownership(
    source: &dyn Source,
    rules: RulesAt<'_>,
    users: &BTreeSet<SalesforceId>,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    let matching = Matching::of(rules, "");
    let users = users.iter().copied().collect::<Vec<_>>();
    for chunk in users.chunks(IDS_PER_GROUPING) {
        if matching.exact {
            match owning(source, chunk, &matching).await {
                Ok(owning) => {
                    let told = owning.into_iter();
                    owners.extend(told.map(|id| ((ObjectKind::User, id), BTreeSet::from([id]))));
                    continue;
                }
                Err(SourceError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let chunk = chunk.iter().copied().collect();
        by_opportunities(source, rules, ObjectKind::User, "OwnerId", &chunk, owners).await?;
    }
    Ok(())
}

/// Which of the users own a matching opportunity.
async fn owning(
    source: &dyn Source,
    users: &[SalesforceId],
    matching: &Matching,
) -> Result<Vec<SalesforceId>, SourceError> {
    let condition = match matching.conditions.join(" AND ") {
        none if none.is_empty() => none,
        some => format!(" WHERE {some}"),
    };
    let soql = format!(
        "SELECT Id FROM User WHERE Id IN {} AND Id IN (SELECT OwnerId FROM Opportunity{condition})",
        soql::in_list(users.iter().map(SalesforceId::as_str))
    );
    let mut owning = Vec::new();
    readback::for_each_row(source, &soql, false, |row| {
        owning.extend(row.fields().ok().and_then(|user| user.id("Id")));
        true
    })
    .await?;
    Ok(owning)
}

/// The rule as SOQL says it.
struct Matching {
    conditions: Vec<String>,
    /// Whether that is all of the rule.
    exact: bool,
}

impl Matching {
    fn of(rules: RulesAt<'_>, path: &str) -> Self {
        let filter = rules.rules.soql_condition(path, rules.at);
        let open = rules.rules.open_condition(path, None);
        Self {
            conditions: filter.condition.into_iter().chain(open).collect(),
            exact: filter.exact,
        }
    }
}

/// Users and accounts: the opportunities that refer to them.
async fn by_opportunities(
    source: &dyn Source,
    rules: RulesAt<'_>,
    object: ObjectKind,
    field: &str,
    ids: &BTreeSet<SalesforceId>,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    let asked = Asked {
        object,
        from: "Opportunity",
        field,
        path: "",
    };
    asked.owners(source, rules, ids, owners).await
}

/// Contacts: the opportunities on which they have a role.
async fn by_roles(
    source: &dyn Source,
    rules: RulesAt<'_>,
    ids: &BTreeSet<SalesforceId>,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    let asked = Asked {
        object: ObjectKind::Contact,
        from: "OpportunityContactRole",
        field: "ContactId",
        path: "Opportunity.",
    };
    asked.owners(source, rules, ids, owners).await
}

/// A question for the owners of the opportunities behind a reference.
#[derive(Clone, Copy)]
struct Asked<'a> {
    /// Whose owners.
    object: ObjectKind,
    /// Where the reference is.
    from: &'a str,
    /// The reference.
    field: &'a str,
    /// The way from there to the opportunity.
    path: &'a str,
}

impl Asked<'_> {
    /// Asks for owners, not for opportunities: a user may own a hundred thousand. Where SOQL cannot
    /// say the filter exactly, or there are too many groups, for opportunities after all; of a user
    /// only until one matches.
    async fn owners(
        self,
        source: &dyn Source,
        rules: RulesAt<'_>,
        ids: &BTreeSet<SalesforceId>,
        owners: &mut Owners,
    ) -> Result<(), SourceError> {
        let matching = Matching::of(rules, self.path);
        let and = matching
            .conditions
            .iter()
            .map(|condition| format!(" AND {condition}"))
            .collect::<String>();
        let ids = ids.iter().copied().collect::<Vec<_>>();
        for chunk in ids.chunks(IDS_PER_GROUPING) {
            let chunk = chunk.iter().copied().collect::<BTreeSet<_>>();
            if matching.exact && self.by_groups(source, &chunk, &and, owners).await? {
                continue;
            }
            if self.object == ObjectKind::User {
                owning_by_rows(source, rules, chunk, &and, owners).await?;
            } else {
                self.by_rows(source, rules, &chunk, &and, owners).await?;
            }
        }
        Ok(())
    }

    /// Whether the groups told everything: an aggregate query has one page only.
    async fn by_groups(
        self,
        source: &dyn Source,
        ids: &BTreeSet<SalesforceId>,
        and: &str,
        owners: &mut Owners,
    ) -> Result<bool, SourceError> {
        let Self { field, path, .. } = self;
        let groups = if field == "OwnerId" {
            field.to_owned()
        } else {
            format!("{field}, {path}OwnerId")
        };
        let soql = format!(
            "SELECT {groups} FROM {} WHERE {field} IN {}{and} GROUP BY {groups} LIMIT {MAX_GROUPS}",
            self.from,
            soql::in_list(ids.iter().map(SalesforceId::as_str))
        );
        let answer = source.query(&soql, false).await?;
        if answer.rows.len() >= MAX_GROUPS || answer.next.is_some() {
            return Ok(false);
        }
        readback::all_came(answer.total, answer.rows.len())?;
        for row in &answer.rows {
            let told = row
                .fields()
                .ok()
                .and_then(|group| Some((group.id(field)?, group.id("OwnerId")?)));
            let (id, owner) = told.ok_or_else(|| {
                SourceError::Garbled("a group came without its reference or owner".to_owned())
            })?;
            owners.entry((self.object, id)).or_default().insert(owner);
        }
        Ok(true)
    }

    async fn by_rows(
        self,
        source: &dyn Source,
        rules: RulesAt<'_>,
        ids: &BTreeSet<SalesforceId>,
        and: &str,
        owners: &mut Owners,
    ) -> Result<(), SourceError> {
        let Self { field, path, .. } = self;
        let mut fields = rules
            .rules
            .judged_fields()
            .into_iter()
            .map(|judged| format!("{path}{judged}"))
            .collect::<BTreeSet<_>>();
        fields.insert(field.to_owned());
        let select = fields.into_iter().collect::<Vec<_>>().join(", ");
        let query = RelatedQuery {
            select: &select,
            from: self.from,
            field,
            and,
        };
        readback::for_each_related(source, query, ids, |row| {
            let Ok(fields) = row.fields() else { return };
            let Some(id) = fields.id(field) else { return };
            if path.is_empty() {
                add_owner(owners, (self.object, id), &fields, rules);
            } else if let Some(opportunity) = opportunity_within(&fields)
                && let Ok(opportunity) = opportunity.fields()
            {
                add_owner(owners, (self.object, id), &opportunity, rules);
            }
        })
        .await
    }
}

/// Which of the users own a matching opportunity, by the rows of what they own. The first that matches
/// says all of a user: reading ends once everybody has one, and who has one is asked for no longer.
async fn owning_by_rows(
    source: &dyn Source,
    rules: RulesAt<'_>,
    mut users: BTreeSet<SalesforceId>,
    and: &str,
    owners: &mut Owners,
) -> Result<(), SourceError> {
    let mut fields = rules.rules.judged_fields();
    fields.insert("Id".to_owned());
    let select = fields.into_iter().collect::<Vec<_>>().join(", ");
    let mut further = String::new();
    while !users.is_empty() {
        let soql = format!(
            "SELECT {select} FROM Opportunity WHERE OwnerId IN {}{and}{further} ORDER BY Id",
            soql::in_list(users.iter().map(SalesforceId::as_str))
        );
        let mut in_vain = 0_usize;
        let mut last = None;
        readback::for_each_row(source, &soql, false, |row| {
            let Ok(fields) = row.fields() else {
                return true;
            };
            last = fields.id("Id").or(last);
            let Some(owner) = fields.id("OwnerId") else {
                return true;
            };
            if !users.contains(&owner) {
                in_vain += 1;
            } else if rules.rules.judge(&fields, rules.at) == Match::Qualifies {
                users.remove(&owner);
                owners.insert((ObjectKind::User, owner), BTreeSet::from([owner]));
            }
            !users.is_empty() && in_vain < READ_IN_VAIN
        })
        .await?;
        // What was read of the others has told nothing, and is not read again.
        further = match last {
            Some(last) if in_vain >= READ_IN_VAIN => {
                format!(" AND Id > {}", soql::quote(last.as_str()))
            }
            Some(_) | None => return Ok(()),
        };
    }
    Ok(())
}

/// The parent row that a role was read with.
fn opportunity_within(role: &Fields<'_>) -> Option<Row> {
    let text = role.raw("Opportunity")?;
    serde_json::from_str(&text).ok()
}

/// Contact roles: their own opportunity.
async fn of_roles(
    source: &dyn Source,
    rules: RulesAt<'_>,
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
        &rules.rules.judged_fields(),
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
    rules: RulesAt<'_>,
) {
    if rules.rules.judge(opportunity, rules.at) == Match::Qualifies
        && let Some(owner) = opportunity.id("OwnerId")
    {
        owners.entry(of).or_default().insert(owner);
    }
}

fn opportunity_of(role: &Row) -> Option<SalesforceId> {
    role.fields().ok()?.id("OpportunityId")
}
