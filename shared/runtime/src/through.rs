//! The opportunities on which a user, account or contact hangs, and which of them match the rules:
//! for a person who asks, so counted where that is enough.

use std::collections::BTreeMap;

use domain::row::Fields;
use domain::rule::{Match, Rules};
use domain::{ObjectKind, Row, SalesforceId, Timestamp, soql};
use ports::source::{Source, SourceError};

use crate::readback::for_each_row;

/// The most rows that an aggregate query answers; it has no further pages (SOQL reference, GROUP BY).
const MAX_GROUPS: usize = 2_000;
/// So many opportunities are named.
const EXAMPLES: usize = 5;
/// So many matching ones are counted one by one, where Salesforce cannot count them.
const MAX_COUNTED: u64 = 2_000;

/// The opportunities on which a record hangs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Through {
    /// How many there are; of a contact, how many roles on opportunities.
    pub all: u64,
    /// Owner to how many of theirs match, open ones only unless closed ones are synced.
    pub by_owner: BTreeMap<SalesforceId, u64>,
    /// Some of those, with their owners; some of each owner's only by chance.
    pub examples: Vec<(SalesforceId, SalesforceId)>,
    /// There may be more that match than were counted.
    pub cut_short: bool,
}

/// Where the reference to the record is.
#[derive(Clone, Copy)]
struct Reference {
    from: &'static str,
    field: &'static str,
    /// The way from there to the opportunity.
    path: &'static str,
    /// The opportunity's own id, from there.
    opportunity: &'static str,
}

impl Reference {
    const fn of(object: ObjectKind) -> Option<Self> {
        let field = match object {
            ObjectKind::User => "OwnerId",
            ObjectKind::Account => "AccountId",
            ObjectKind::Contact => {
                return Some(Self {
                    from: "OpportunityContactRole",
                    field: "ContactId",
                    path: "Opportunity.",
                    opportunity: "OpportunityId",
                });
            }
            ObjectKind::Opportunity | ObjectKind::OpportunityContactRole => return None,
        };
        Some(Self {
            from: "Opportunity",
            field,
            path: "",
            opportunity: "Id",
        })
    }
}

/// Looks a user, account or contact up, as the rules are at `at`. Opportunities and contact roles hang
/// on themselves and one opportunity; nothing is asked for them.
///
/// # Errors
/// Salesforce's.
pub async fn read(
    source: &dyn Source,
    rules: &Rules,
    at: Timestamp,
    (object, id): (ObjectKind, SalesforceId),
) -> Result<Through, SourceError> {
    let Some(reference) = Reference::of(object) else {
        return Ok(Through::default());
    };
    let Reference {
        from, field, path, ..
    } = reference;
    let is_it = format!("{field} = {}", soql::quote(id.as_str()));
    let filter = rules.soql_condition(path, at);
    let conditions = [filter.condition, rules.open_condition(path, None)];
    let and: String = conditions
        .iter()
        .flatten()
        .map(|condition| format!(" AND {condition}"))
        .collect();
    let all = format!("SELECT COUNT() FROM {from} WHERE {is_it}");
    let all = async { Ok::<_, SourceError>(source.query(&all, false).await?.total) };
    let matching = async {
        if filter.exact && path.is_empty() {
            let condition = format!("{is_it}{and}");
            let (groups, examples) = tokio::try_join!(
                groups(source, &condition),
                rows(source, rules, at, reference, (&is_it, &and), true),
            )?;
            if let Some(by_owner) = groups {
                return Ok(Through {
                    by_owner,
                    cut_short: false,
                    ..examples
                });
            }
        }
        rows(source, rules, at, reference, (&is_it, &and), false).await
    };
    let (all, matching) = tokio::try_join!(all, matching)?;
    Ok(Through { all, ..matching })
}

/// Counted by Salesforce; `None` when there are too many owners for one answer.
async fn groups(
    source: &dyn Source,
    condition: &str,
) -> Result<Option<BTreeMap<SalesforceId, u64>>, SourceError> {
    let soql = format!(
        "SELECT OwnerId, COUNT(Id) opportunities FROM Opportunity WHERE {condition} GROUP BY OwnerId LIMIT {MAX_GROUPS}"
    );
    let answer = source.query(&soql, false).await?;
    if answer.rows.len() >= MAX_GROUPS || answer.next.is_some() {
        return Ok(None);
    }
    let groups = answer.rows.iter().map(|row| {
        let fields = row.fields().ok()?;
        let count = fields.raw("opportunities")?.parse().ok()?;
        Some((fields.id("OwnerId")?, count))
    });
    let groups = groups.collect::<Option<BTreeMap<_, _>>>().ok_or_else(|| {
        SourceError::Garbled("a group came without its owner or its count".to_owned())
    })?;
    Ok(Some(groups))
}

/// Read and judged one by one.
async fn rows(
    source: &dyn Source,
    rules: &Rules,
    at: Timestamp,
    reference: Reference,
    (is_it, and): (&str, &str),
    examples_only: bool,
) -> Result<Through, SourceError> {
    let Reference {
        from,
        path,
        opportunity,
        ..
    } = reference;
    let judged = rules.judged_fields();
    let select: Vec<String> = judged
        .iter()
        .map(|field| format!("{path}{field}"))
        .chain([opportunity.to_owned()])
        .collect();
    let limit = if examples_only {
        format!(" LIMIT {EXAMPLES}")
    } else {
        String::new()
    };
    let soql = format!(
        "SELECT {} FROM {from} WHERE {is_it}{and}{limit}",
        select.join(", ")
    );
    let mut through = Through::default();
    let mut seen = std::collections::BTreeSet::new();
    let mut counted = 0_u64;
    for_each_row(source, &soql, false, |row| {
        if let Some((id, owner)) = matching(row, rules, at, reference)
            // A contact may have several roles on one opportunity.
            && seen.insert(id)
        {
            counted += 1;
            *through.by_owner.entry(owner).or_default() += 1;
            if through.examples.len() < EXAMPLES {
                through.examples.push((id, owner));
            }
        }
        counted < MAX_COUNTED
    })
    .await?;
    through.cut_short = counted >= MAX_COUNTED;
    Ok(through)
}

/// The opportunity behind a row and its owner, if it matches.
fn matching(
    row: &Row,
    rules: &Rules,
    at: Timestamp,
    reference: Reference,
) -> Option<(SalesforceId, SalesforceId)> {
    let fields = row.fields().ok()?;
    let id = fields.id(reference.opportunity)?;
    let parent: Row;
    let inner: Fields<'_>;
    let opportunity = if reference.path.is_empty() {
        &fields
    } else {
        parent = serde_json::from_str(&fields.raw("Opportunity")?).ok()?;
        inner = parent.fields().ok()?;
        &inner
    };
    if rules.judge(opportunity, at) != Match::Qualifies {
        return None;
    }
    Some((id, opportunity.id("OwnerId")?))
}
