//! How many opportunities match the rules, by owner: asked of Salesforce as counts, never as rows.

use std::collections::{BTreeMap, BTreeSet};

use domain::rule::Rules;
use domain::{Row, SalesforceId, Timestamp, soql};
use ports::source::{Source, SourceError};

use crate::readback::{self, MAX_GROUPS};

/// Owners named in one query: well below a URL's 16 KiB.
const OWNERS_PER_QUERY: usize = 300;

/// Opportunities that would be in scope, were their owner's permission all that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByOwner {
    /// Owner to opportunities; who owns none is left out.
    pub opportunities: BTreeMap<SalesforceId, u64>,
    /// Why SOQL does not say the filter exactly, so that some that are counted do not match it;
    /// empty where it does.
    pub why_not_exact: Vec<String>,
}

/// Counts the opportunities of these owners, or of everybody, that match at that time. Each query is
/// of its own moment.
///
/// # Errors
/// Salesforce's.
pub async fn count(
    source: &dyn Source,
    rules: &Rules,
    at: Timestamp,
    owners: Option<&BTreeSet<SalesforceId>>,
) -> Result<ByOwner, SourceError> {
    let filter = rules.soql_condition("", at);
    let mut counted = ByOwner {
        opportunities: BTreeMap::new(),
        why_not_exact: filter.why_not,
    };
    let matching = [filter.condition, rules.open_condition("", None)];
    let matching: Vec<String> = matching.into_iter().flatten().collect();
    let Some(owners) = owners else {
        pages(source, &matching, &mut counted).await?;
        return Ok(counted);
    };
    let owners: Vec<&str> = owners.iter().map(SalesforceId::as_str).collect();
    for chunk in owners.chunks(OWNERS_PER_QUERY) {
        let list = soql::in_list(chunk.iter().copied());
        pages(
            source,
            &with(&matching, format!("OwnerId IN {list}")),
            &mut counted,
        )
        .await?;
    }
    Ok(counted)
}

fn with(conditions: &[String], one: String) -> Vec<String> {
    conditions.iter().cloned().chain([one]).collect()
}

/// Groups in the order of their owners; where one answer is full, the next begins after its last.
async fn pages(
    source: &dyn Source,
    conditions: &[String],
    counted: &mut ByOwner,
) -> Result<(), SourceError> {
    let mut last: Option<SalesforceId> = None;
    loop {
        let after = last.map(|id| format!("OwnerId > {}", soql::quote(id.as_str())));
        let all: Vec<String> = after
            .into_iter()
            .chain(conditions.iter().cloned())
            .collect();
        let clause = if all.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", all.join(" AND "))
        };
        let soql = format!(
            "SELECT OwnerId, COUNT(Id) opportunities FROM Opportunity{clause} GROUP BY OwnerId ORDER BY OwnerId LIMIT {MAX_GROUPS}"
        );
        let groups = readback::rows(source, &soql).await?;
        for row in &groups {
            let (owner, count) = group(row).ok_or_else(|| {
                SourceError::Garbled("a group came without its owner or its count".to_owned())
            })?;
            if last.is_some_and(|last| owner <= last) {
                return Err(SourceError::Garbled(
                    "owners do not come in the order of their ids".to_owned(),
                ));
            }
            last = Some(owner);
            counted.opportunities.insert(owner, count);
        }
        if groups.len() < MAX_GROUPS {
            return Ok(());
        }
    }
}

fn group(row: &Row) -> Option<(SalesforceId, u64)> {
    let fields = row.fields().ok()?;
    Some((
        fields.id("OwnerId")?,
        fields.raw("opportunities")?.parse().ok()?,
    ))
}
