//! The opportunities on which a user, account or contact hangs, and which of them match the rules:
//! for a person who asks, so counted where that is enough.

use std::collections::{BTreeMap, BTreeSet};

use domain::row::Fields;
use domain::rule::{Match, Rules};
use domain::{ObjectKind, Row, SalesforceId, Timestamp, soql};
use ports::source::{Source, SourceError};

use crate::readback::{MAX_GROUPS, all_came, for_each_row};

/// So many opportunities are named.
const EXAMPLES: usize = 5;
/// So many matching ones are counted one by one, where Salesforce cannot count them.
const MAX_COUNTED: usize = 2_000;

/// The opportunities on which a record hangs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Through {
    /// How many there are; of a contact, how many roles on opportunities.
    pub all: u64,
    /// Owner to how many of theirs match, open ones only unless closed ones are synced.
    pub by_owner: BTreeMap<SalesforceId, u64>,
    /// Some of those whose owner holds permission; none only where there is none.
    pub examples: Vec<SalesforceId>,
    /// There may be more that match than were counted.
    pub cut_short: bool,
}

/// Whether an owner holds permission.
pub type Permits<'a> = dyn Fn(&SalesforceId) -> bool + Sync + 'a;

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
    permits: &Permits<'_>,
) -> Result<Through, SourceError> {
    let Some(reference) = Reference::of(object) else {
        return Ok(Through::default());
    };
    let Reference {
        from, field, path, ..
    } = reference;
    let is_it = format!("{field} = {}", soql::quote(id.as_str()));
    let filter = rules.soql_condition(path, at);
    let matching: Vec<String> = [filter.condition, rules.open_condition(path, None)]
        .into_iter()
        .flatten()
        .collect();
    let asking = Asking {
        source,
        rules,
        at,
        reference,
        condition: [vec![is_it.clone()], matching].concat().join(" AND "),
        permits,
    };
    let all = format!("SELECT COUNT() FROM {from} WHERE {is_it}");
    let all = async { Ok::<_, SourceError>(source.query(&all, false).await?.total) };
    let counted = asking.matching(filter.exact && path.is_empty());
    let (all, matching) = tokio::try_join!(all, counted)?;
    Ok(Through { all, ..matching })
}

/// What is asked about the opportunities of one record.
struct Asking<'a> {
    source: &'a dyn Source,
    rules: &'a Rules,
    at: Timestamp,
    reference: Reference,
    /// Of those that hang on the record and match, as far as SOQL can say it.
    condition: String,
    permits: &'a Permits<'a>,
}

impl Asking<'_> {
    /// Counted by Salesforce where it can, otherwise one by one.
    async fn matching(&self, by_salesforce: bool) -> Result<Through, SourceError> {
        if by_salesforce && let Some(by_owner) = self.groups().await? {
            let examples = self.examples(&by_owner).await?;
            return Ok(Through {
                by_owner,
                examples,
                ..Through::default()
            });
        }
        self.rows("").await
    }

    /// `None` when there are too many owners for one answer.
    async fn groups(&self) -> Result<Option<BTreeMap<SalesforceId, u64>>, SourceError> {
        let soql = format!(
            "SELECT OwnerId, COUNT(Id) opportunities FROM Opportunity WHERE {} GROUP BY OwnerId LIMIT {MAX_GROUPS}",
            self.condition
        );
        let answer = self.source.query(&soql, false).await?;
        if answer.rows.len() >= MAX_GROUPS || answer.next.is_some() {
            return Ok(None);
        }
        all_came(answer.total, answer.rows.len())?;
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

    async fn examples(
        &self,
        by_owner: &BTreeMap<SalesforceId, u64>,
    ) -> Result<Vec<SalesforceId>, SourceError> {
        let permitted = by_owner.keys().filter(|owner| (self.permits)(owner));
        let permitted: Vec<&str> = permitted.take(EXAMPLES).map(SalesforceId::as_str).collect();
        if permitted.is_empty() {
            return Ok(Vec::new());
        }
        let of_them = soql::in_list(permitted);
        let and = format!(" AND OwnerId IN {of_them} ORDER BY Id LIMIT {EXAMPLES}");
        Ok(self.rows(&and).await?.examples)
    }

    /// Read and judged one by one: until enough are counted and one of them is in scope.
    async fn rows(&self, and: &str) -> Result<Through, SourceError> {
        let Reference {
            from,
            path,
            opportunity,
            ..
        } = self.reference;
        let select: Vec<String> = self
            .rules
            .judged_fields()
            .iter()
            .map(|field| format!("{path}{field}"))
            .chain([opportunity.to_owned()])
            .collect();
        let soql = format!(
            "SELECT {} FROM {from} WHERE {}{and}",
            select.join(", "),
            self.condition
        );
        let mut through = Through::default();
        let mut seen = BTreeSet::new();
        for_each_row(self.source, &soql, false, |row| {
            if let Some((id, owner)) = self.judged(row)
                // A contact may have several roles on one opportunity.
                && seen.insert(id)
            {
                *through.by_owner.entry(owner).or_default() += 1;
                if through.examples.len() < EXAMPLES && (self.permits)(&owner) {
                    through.examples.push(id);
                }
            }
            through.cut_short = seen.len() >= MAX_COUNTED && !through.examples.is_empty();
            !through.cut_short
        })
        .await?;
        Ok(through)
    }

    /// The opportunity behind a row and its owner, if it matches.
    fn judged(&self, row: &Row) -> Option<(SalesforceId, SalesforceId)> {
        let fields = row.fields().ok()?;
        let id = fields.id(self.reference.opportunity)?;
        let parent: Row;
        let inner: Fields<'_>;
        let opportunity = if self.reference.path.is_empty() {
            &fields
        } else {
            parent = serde_json::from_str(&fields.raw("Opportunity")?).ok()?;
            inner = parent.fields().ok()?;
            &inner
        };
        if self.rules.judge(opportunity, self.at) != Match::Qualifies {
            return None;
        }
        Some((id, opportunity.id("OwnerId")?))
    }
}
