//! The statements of a full load: for each of the five objects, which rows of Salesforce are asked
//! for.
//!
//! Opportunities and contact roles are asked for by the filter itself. Users, accounts and contacts
//! are asked for by a semi-join (`Id IN (SELECT AccountId FROM Opportunity WHERE ...)`), within
//! what Salesforce allows of them: it stands at the top among conditions joined by AND, there is
//! one, it is not nested, its own query is on another object, selects a reference of its own and
//! has neither ORDER BY nor LIMIT. An org may still refuse one or need too long for it; then
//! [`Form::Plain`] asks for more rows than are in scope, and the workers, who judge every row
//! again, leave the rest out.
//!
//! What is asked for is never less than what is in scope. With owners in several chunks, an account
//! or contact whose opportunities belong to owners of different chunks is in the answers of each.

use crate::id::SalesforceId;
use crate::object::ObjectKind;
use crate::rule::Rules;
use crate::soql::{self, IDS_PER_CONDITION, MAX_IN_URL};
use crate::time::Timestamp;

/// How the objects around opportunities are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Form {
    /// By the opportunities that refer to them.
    #[default]
    SemiJoin,
    /// All accounts and contacts, and users by their ids: for an org that refuses semi-joins.
    Plain,
}

/// What a load is narrowed to, beside the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Narrowed<'o> {
    /// When: relative dates are counted from the day that it is then.
    pub at: Timestamp,
    /// Only what hangs on these owners' opportunities; `None`: whoever owns them. Of no owners,
    /// nothing is asked for at all.
    pub owners: Option<&'o [SalesforceId]>,
    /// Also opportunities that may have closed since this time; see [`Rules::open_condition`].
    pub closed_since: Option<Timestamp>,
    /// How the objects around opportunities are asked for.
    pub form: Form,
    /// The condition of the opportunities, instead of those that the rules let in; `""` is none.
    pub instead: Option<&'o str>,
}

/// A query of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The fields to read, at least `Id`.
    pub select: Vec<String>,
    /// The object.
    pub from: ObjectKind,
    /// The WHERE condition, parts of it joined by AND alone; `None`: every row.
    pub condition: Option<String>,
}

impl Statement {
    /// The query for all rows, in no particular order: what a Bulk API job is given.
    #[must_use]
    pub fn to_soql(&self) -> String {
        format!(
            "SELECT {} FROM {}{}",
            self.select.join(", "),
            self.from,
            clause(self.condition.as_deref())
        )
    }

    /// The query for a page of up to `limit` rows in the order of their ids, those after `after`.
    #[must_use]
    pub fn page_soql(&self, after: Option<SalesforceId>, limit: usize) -> String {
        let after = after.map(|id| format!("Id > {}", soql::quote(id.as_str())));
        let condition = all_of([after, self.condition.clone()]);
        format!(
            "SELECT {} FROM {}{} ORDER BY Id LIMIT {limit}",
            self.select.join(", "),
            self.from,
            clause(condition.as_deref())
        )
    }

    /// The query for the number of rows.
    #[must_use]
    pub fn count_soql(&self) -> String {
        format!(
            "SELECT COUNT() FROM {}{}",
            self.from,
            clause(self.condition.as_deref())
        )
    }
}

/// The statements that together ask for every record of an object that may be in scope: one, or
/// one for each chunk of owners that a query can name.
#[must_use]
pub fn statements(rules: &Rules, object: ObjectKind, narrowed: Narrowed<'_>) -> Vec<Statement> {
    owner_chunks(rules, object, narrowed)
        .into_iter()
        .map(|owners| statement(rules, object, Narrowed { owners, ..narrowed }))
        .collect()
}

/// The owners that each of the [`statements`] names; `None` where a statement names none. Who has
/// to go on in the middle of a statement, when the rules may be others, keeps these and asks for the
/// [`statement`] of each.
#[must_use]
pub fn owner_chunks<'o>(
    rules: &Rules,
    object: ObjectKind,
    narrowed: Narrowed<'o>,
) -> Vec<Option<&'o [SalesforceId]>> {
    match narrowed.owners {
        None => vec![None],
        Some([]) => Vec::new(),
        Some(_) if !names_owners(object, narrowed.form) => vec![None],
        Some(owners) => {
            let of_nobody = Narrowed {
                owners: Some(&[]),
                ..narrowed
            };
            owners
                .chunks(owners_in_one(&statement(rules, object, of_nobody)))
                .map(Some)
                .collect()
        }
    }
}

/// The one statement that names all of these owners, however many; none are named where there are
/// `None`.
#[must_use]
pub fn statement(rules: &Rules, object: ObjectKind, narrowed: Narrowed<'_>) -> Statement {
    Statement {
        select: rules.fields_to_read(object).into_iter().collect(),
        from: object,
        condition: condition(rules, object, narrowed.owners, &narrowed),
    }
}

/// The statements that together ask for the opportunities of these owners that satisfy a condition
/// (`None`: all of theirs), as many owners in each as it has room for.
#[must_use]
pub fn of_owners(
    select: &[String],
    condition: Option<&str>,
    owners: &[SalesforceId],
) -> Vec<Statement> {
    let statement = |owners| Statement {
        select: select.to_vec(),
        from: ObjectKind::Opportunity,
        condition: all_of([condition.map(str::to_owned), among("OwnerId", Some(owners))]),
    };
    owners
        .chunks(owners_in_one(&statement(&[])))
        .map(statement)
        .collect()
}

/// Whether the object's statements narrow it to owners.
const fn names_owners(object: ObjectKind, form: Form) -> bool {
    match (object, form) {
        (ObjectKind::Account | ObjectKind::Contact, Form::Plain) => false,
        (ObjectKind::Account | ObjectKind::Contact, Form::SemiJoin)
        | (ObjectKind::User | ObjectKind::Opportunity | ObjectKind::OpportunityContactRole, _) => {
            true
        }
    }
}

/// How many owners a statement has room for, whose list of owners is empty yet. Where fields leave
/// little room, the rows have to be read by the Bulk API, whose queries are in no URL, and only the
/// count must fit one.
fn owners_in_one(statement: &Statement) -> usize {
    /// A quoted id and its comma.
    const ID: usize = 27;
    /// `Id > '...' AND `, ` ORDER BY Id LIMIT 2000`.
    const PAGE: usize = 120;
    let room = |query: &str| MAX_IN_URL.saturating_sub(soql::length_in_url(query) + PAGE) / ID;
    let with_fields = room(&statement.to_soql());
    let few = IDS_PER_CONDITION / 4;
    let room = if with_fields < few {
        room(&statement.count_soql())
    } else {
        with_fields
    };
    room.clamp(1, IDS_PER_CONDITION)
}

fn condition(
    rules: &Rules,
    object: ObjectKind,
    owners: Option<&[SalesforceId]>,
    narrowed: &Narrowed<'_>,
) -> Option<String> {
    let of_opportunities = |path: &str, owners| {
        let owned = among(&format!("{path}OwnerId"), owners);
        if let Some(instead) = narrowed.instead {
            let instead = Some(instead.to_owned()).filter(|condition| !condition.is_empty());
            return all_of([instead, owned]);
        }
        all_of([
            rules.soql_condition(path, narrowed.at).condition,
            rules.open_condition(path, narrowed.closed_since),
            owned,
        ])
    };
    let joined = |field: &str, from: ObjectKind, condition: Option<String>| {
        (narrowed.form == Form::SemiJoin).then(|| {
            let clause = clause(condition.as_deref());
            format!("Id IN (SELECT {field} FROM {from}{clause})")
        })
    };
    match object {
        ObjectKind::Opportunity => of_opportunities("", owners),
        ObjectKind::OpportunityContactRole => of_opportunities("Opportunity.", owners),
        // The owners are the users themselves, and need not be named twice.
        ObjectKind::User => all_of([
            among("Id", owners),
            joined(
                "OwnerId",
                ObjectKind::Opportunity,
                of_opportunities("", None),
            ),
        ]),
        ObjectKind::Account => joined(
            "AccountId",
            ObjectKind::Opportunity,
            of_opportunities("", owners),
        ),
        ObjectKind::Contact => joined(
            "ContactId",
            ObjectKind::OpportunityContactRole,
            of_opportunities("Opportunity.", owners),
        ),
    }
}

fn among(field: &str, ids: Option<&[SalesforceId]>) -> Option<String> {
    let list = soql::in_list(ids?.iter().map(SalesforceId::as_str));
    Some(format!("{field} IN {list}"))
}

fn all_of<const N: usize>(parts: [Option<String>; N]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

fn clause(condition: Option<&str>) -> String {
    condition.map_or_else(String::new, |condition| format!(" WHERE {condition}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::filter::{Condition, FieldType, Filter, Operator};
    use crate::settings::{Settings, SettingsRevision};

    fn rules(sync_closed: bool, values: &[String]) -> Rules {
        let mut revision = SettingsRevision::initial();
        let condition = Condition {
            field: "StageName".to_owned(),
            operator: Operator::Equals,
            values: values.to_vec(),
        };
        revision.settings = Settings {
            sync_closed,
            filter: Filter {
                conditions: if values.is_empty() {
                    vec![]
                } else {
                    vec![condition]
                },
                logic: None,
            },
            ..Settings::default()
        };
        revision
            .field_types
            .insert("StageName".to_owned(), FieldType::Picklist);
        Rules::of(&revision, BTreeMap::new()).unwrap()
    }

    fn owners(count: usize) -> Vec<SalesforceId> {
        (0..count)
            .map(|number| SalesforceId::parse(&format!("005{number:012}")).unwrap())
            .collect()
    }

    fn condition_of(rules: &Rules, object: ObjectKind, narrowed: Narrowed<'_>) -> Option<String> {
        let mut all = statements(rules, object, narrowed);
        assert_eq!(all.len(), 1, "{object}");
        all.remove(0).condition
    }

    #[test]
    fn each_object_is_asked_for_by_the_opportunities_in_scope() {
        let rules = rules(false, &["a".to_owned(), "b".to_owned()]);
        let owners = owners(2);
        let list = "('005000000000000AAA','005000000000001AAA')";
        let narrowed = |form| Narrowed {
            at: Timestamp::default(),
            owners: Some(&owners),
            closed_since: None,
            form,
            instead: None,
        };
        let own = "StageName IN ('a','b') AND IsClosed = false";
        let of_role = "Opportunity.StageName IN ('a','b') AND Opportunity.IsClosed = false";
        for (object, joined, plain) in [
            (
                ObjectKind::User,
                format!("Id IN {list} AND Id IN (SELECT OwnerId FROM Opportunity WHERE {own})"),
                Some(format!("Id IN {list}")),
            ),
            (
                ObjectKind::Account,
                format!(
                    "Id IN (SELECT AccountId FROM Opportunity WHERE {own} AND OwnerId IN {list})"
                ),
                None,
            ),
            (
                ObjectKind::Contact,
                format!(
                    "Id IN (SELECT ContactId FROM OpportunityContactRole WHERE {of_role} AND Opportunity.OwnerId IN {list})"
                ),
                None,
            ),
            (
                ObjectKind::Opportunity,
                format!("{own} AND OwnerId IN {list}"),
                Some(format!("{own} AND OwnerId IN {list}")),
            ),
            (
                ObjectKind::OpportunityContactRole,
                format!("{of_role} AND Opportunity.OwnerId IN {list}"),
                Some(format!("{of_role} AND Opportunity.OwnerId IN {list}")),
            ),
        ] {
            let found = condition_of(&rules, object, narrowed(Form::SemiJoin));
            assert_eq!(found, Some(joined), "{object}");
            assert_eq!(
                condition_of(&rules, object, narrowed(Form::Plain)),
                plain,
                "{object}"
            );
        }
    }

    #[test]
    fn closed_deals_are_asked_for_where_they_count() {
        let since = Timestamp::parse("2026-01-31T12:00:00Z");
        let narrowed = |closed_since| Narrowed {
            closed_since,
            ..Narrowed::default()
        };
        let own = |rules: &Rules, narrowed| condition_of(rules, ObjectKind::Opportunity, narrowed);
        assert_eq!(own(&rules(true, &[]), narrowed(since)), None);
        assert_eq!(
            own(&rules(false, &[]), narrowed(None)).as_deref(),
            Some("IsClosed = false")
        );
        assert_eq!(
            own(&rules(false, &[]), narrowed(since)).as_deref(),
            Some("(IsClosed = false OR SystemModstamp >= 2026-01-31T12:00:00Z)")
        );
        assert_eq!(
            condition_of(&rules(true, &[]), ObjectKind::Account, narrowed(None)).as_deref(),
            Some("Id IN (SELECT AccountId FROM Opportunity)"),
            "accounts without an opportunity are in nobody's scope"
        );
    }

    #[test]
    fn a_statement_is_read_whole_by_the_page_or_counted() {
        let mut statement = Statement {
            select: vec!["Id".to_owned(), "Name".to_owned()],
            from: ObjectKind::Account,
            condition: Some("Name != null".to_owned()),
        };
        let after = owners(1).pop();
        assert_eq!(
            statement.to_soql(),
            "SELECT Id, Name FROM Account WHERE Name != null"
        );
        assert_eq!(
            statement.count_soql(),
            "SELECT COUNT() FROM Account WHERE Name != null"
        );
        assert_eq!(
            statement.page_soql(after, 2_000),
            "SELECT Id, Name FROM Account WHERE Id > '005000000000000AAA' AND Name != null ORDER BY Id LIMIT 2000"
        );
        statement.condition = None;
        assert_eq!(
            statement.page_soql(None, 5),
            "SELECT Id, Name FROM Account ORDER BY Id LIMIT 5"
        );
    }

    #[test]
    fn opportunities_are_asked_for_by_their_owners() {
        let many = owners(1_001);
        let select = ["Id".to_owned()];
        let all = of_owners(&select, Some("Amount > 1"), &many);
        assert_eq!(all.len(), 3);
        for statement in &all {
            let page = statement.page_soql(many.first().copied(), 2_000);
            assert!(soql::length_in_url(&page) <= MAX_IN_URL);
        }
        assert_eq!(
            of_owners(&select, None, &many[..1])[0].count_soql(),
            "SELECT COUNT() FROM Opportunity WHERE OwnerId IN ('005000000000000AAA')"
        );
        assert!(of_owners(&select, None, &[]).is_empty());
    }

    #[test]
    fn owners_are_named_in_chunks_that_fit_a_url() {
        let short = rules(false, &[]);
        let long: Vec<String> = (0..240).map(|number| format!("Stage {number}")).collect();
        let long = rules(false, &long);
        let many = owners(1_001);
        let narrowed = Narrowed {
            owners: Some(&many),
            ..Narrowed::default()
        };
        for (rules, fewest) in [(&short, 3), (&long, 4)] {
            for object in ObjectKind::ALL {
                let all = statements(rules, object, narrowed);
                assert!(all.len() >= fewest, "{object}: {}", all.len());
                for statement in &all {
                    let page = statement.page_soql(many.first().copied(), 2_000);
                    for query in [page, statement.count_soql()] {
                        assert!(soql::length_in_url(&query) <= MAX_IN_URL, "{object}");
                        assert!(query.len() <= soql::MAX_QUERY, "{object}");
                    }
                }
                let named: usize = all
                    .iter()
                    .map(|statement| statement.to_soql().matches("'005").count())
                    .sum();
                assert_eq!(named, many.len(), "{object}: each owner once");
            }
        }
        assert!(
            statements(
                &short,
                ObjectKind::Account,
                Narrowed {
                    owners: Some(&[]),
                    form: Form::Plain,
                    ..Narrowed::default()
                }
            )
            .is_empty()
        );
    }
}
