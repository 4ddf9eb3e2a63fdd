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
    /// Only what hangs on these owners' opportunities; `None`: whoever owns them. Of no owners,
    /// nothing is asked for at all.
    pub owners: Option<&'o [SalesforceId]>,
    /// Also opportunities that may have closed since this time; see [`Rules::open_condition`].
    pub closed_since: Option<Timestamp>,
    /// How the objects around opportunities are asked for.
    pub form: Form,
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
    let statement = |owners: Option<&[SalesforceId]>| Statement {
        select: rules.fields_to_read(object).into_iter().collect(),
        from: object,
        condition: condition(rules, object, owners, &narrowed),
    };
    match narrowed.owners {
        None => vec![statement(None)],
        Some([]) => Vec::new(),
        Some(_) if !names_owners(object, narrowed.form) => vec![statement(None)],
        Some(owners) => owners
            .chunks(owners_in_one(&statement(Some(&[]))))
            .map(|chunk| statement(Some(chunk)))
            .collect(),
    }
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
        all_of([
            rules.soql_condition(path).condition,
            rules.open_condition(path, narrowed.closed_since),
            among(&format!("{path}OwnerId"), owners),
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
