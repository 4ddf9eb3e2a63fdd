//! Which opportunities a save does something to: counted by Salesforce where SOQL can say it, and
//! otherwise read and judged here.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::filter::Pushdown;
use domain::job::REST_PAGE;
use domain::load_soql::{self, Statement};
use domain::row::Fields;
use domain::rule::{Effect, Match};
use domain::{Row, SalesforceId};
use futures::{StreamExt as _, TryStreamExt as _};
use ports::source::{Source, SourceError};
use runtime::readback;

use super::{Compared, Foreseen, UNJUDGED, nothing};
use crate::OpsError;
use crate::operations::Operations;
use crate::views::{EffectView, PreviewedView};

/// Requests under way at a time.
const SIDE_BY_SIDE: usize = 4;
/// How many of them are shown at once.
const SAMPLE: usize = 10;
/// More rows than these are not read for a preview.
const MOST_JUDGED: u64 = 200_000;

/// How opportunities are looked for.
#[derive(Debug)]
pub(super) enum Sought {
    /// There are none.
    Nobody,
    /// Those that satisfy this condition, and more where it is not exact.
    Those(Pushdown),
    /// Nobody can tell, and why.
    Unknown(&'static str),
}

impl Foreseen {
    pub(super) fn sought(&self, effect: Effect) -> Sought {
        match (self.compared, effect) {
            (Compared::Same | Compared::Both { sent_again: false }, Effect::SentAgain)
            | (Compared::Same, _) => Sought::Nobody,
            (Compared::Both { .. }, effect) => Sought::Those(self.effects().condition(effect)),
            (Compared::New(_), Effect::Enters) => Sought::Those(self.everything()),
            (Compared::New(UNJUDGED), Effect::Leaves) => Sought::Unknown(UNJUDGED),
            (Compared::New(_), Effect::Leaves | Effect::SentAgain) => Sought::Nobody,
        }
    }

    /// All that qualifies by the new rules.
    fn everything(&self) -> Pushdown {
        let mut found = self.after.soql_condition("", self.at);
        let parts = [found.condition.take(), self.after.open_condition("", None)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        found.condition = (!parts.is_empty()).then(|| parts.join(" AND "));
        found
    }

    fn has(&self, effect: Effect, row: &Fields<'_>) -> bool {
        match self.compared {
            Compared::Same => false,
            Compared::Both { .. } => self.effects().has(effect, row),
            Compared::New(_) => {
                effect == Effect::Enters && self.after.judge(row, self.at) == Match::Qualifies
            }
        }
    }

    /// What is read of an opportunity: what is shown of it, and where it has to be judged, by what.
    fn fields(&self, exact: bool) -> Vec<String> {
        let shown = ["Id", "Name", "OwnerId", "Owner.Name"].map(str::to_owned);
        let mut fields: Vec<String> = shown.into();
        if !exact {
            let judged = match self.compared {
                Compared::Same | Compared::New(_) => self.after.judged_fields(),
                Compared::Both { .. } => self.effects().judged_fields(),
            };
            let more = judged.into_iter().filter(|field| !fields.contains(field));
            let more: Vec<String> = more.collect();
            fields.extend(more);
        }
        fields
    }

    fn previewed(&self, effect: Effect, row: &Row, exact: bool) -> Option<PreviewedView> {
        let fields = row.fields().ok()?;
        (exact || self.has(effect, &fields)).then_some(())?;
        Some(PreviewedView {
            effect,
            id: fields.id("Id")?,
            name: fields.text("Name"),
            owner: fields.id("OwnerId"),
            owner_name: fields.text("Owner.Name"),
        })
    }
}

/// The opportunities of which the same becomes, found by these statements.
pub(super) struct Found {
    foreseen: Arc<Foreseen>,
    effect: Effect,
    exact: bool,
    statements: Vec<Statement>,
}

impl Found {
    /// The opportunities that satisfy a condition, in parts that can be read side by side.
    pub(super) fn by(foreseen: &Arc<Foreseen>, effect: Effect, sought: &Pushdown) -> Self {
        let select = foreseen.fields(sought.exact);
        let condition = sought.condition.as_deref();
        // Counted with one query, read with several at a time.
        let parts = if sought.exact { 1 } else { SIDE_BY_SIDE };
        let owners = foreseen.owners.len().div_ceil(parts).max(1);
        let statements = foreseen
            .owners
            .chunks(owners)
            .flat_map(|owners| load_soql::of_owners(&select, condition, owners))
            .collect();
        Self {
            foreseen: Arc::clone(foreseen),
            effect,
            exact: sought.exact,
            statements,
        }
    }

    fn parts(&self, source: &Arc<dyn Source>) -> Vec<Part> {
        let part = |statement: &Statement| Part {
            source: Arc::clone(source),
            foreseen: Arc::clone(&self.foreseen),
            effect: self.effect,
            exact: self.exact,
            statement: statement.clone(),
        };
        self.statements.iter().map(part).collect()
    }

    /// Those after an id, up to so many, in the order of ids.
    pub(super) async fn first(
        &self,
        source: &Arc<dyn Source>,
        after: Option<SalesforceId>,
        most: usize,
    ) -> Result<Vec<PreviewedView>, SourceError> {
        let parts = self.parts(source).into_iter();
        let parts: Vec<_> = parts.map(|part| part.first(after, most)).collect();
        let parts: Vec<_> = futures::stream::iter(parts)
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        let all: BTreeMap<SalesforceId, PreviewedView> = parts
            .into_iter()
            .flatten()
            .map(|opportunity| (opportunity.id, opportunity))
            .collect();
        Ok(all.into_values().take(most).collect())
    }

    /// All of them, read and judged: how many were read, how many they are, and the first.
    async fn judged(&self, source: &Arc<dyn Source>) -> Result<Judged, SourceError> {
        let parts: Vec<_> = self.parts(source).into_iter().map(Part::judged).collect();
        let parts: Vec<Judged> = futures::stream::iter(parts)
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        let mut all = Judged::default();
        for part in parts {
            all.read += part.read;
            all.count += part.count;
            all.sample.extend(part.sample);
        }
        Ok(all)
    }
}

#[derive(Default)]
struct Judged {
    read: u64,
    count: u64,
    sample: BTreeMap<SalesforceId, PreviewedView>,
}

/// One statement.
struct Part {
    source: Arc<dyn Source>,
    foreseen: Arc<Foreseen>,
    effect: Effect,
    exact: bool,
    statement: Statement,
}

impl Part {
    async fn first(
        self,
        mut after: Option<SalesforceId>,
        most: usize,
    ) -> Result<Vec<PreviewedView>, SourceError> {
        let page = if self.exact { most } else { REST_PAGE };
        let mut found = Vec::new();
        while found.len() < most {
            let rows = self.page(after, page).await?;
            found.extend(rows.iter().filter_map(|row| self.previewed(row)));
            if rows.len() < page {
                break;
            }
            after = Some(last(&rows)?);
        }
        Ok(found)
    }

    async fn judged(self) -> Result<Judged, SourceError> {
        let mut judged = Judged::default();
        let mut after = None;
        loop {
            let rows = self.page(after, REST_PAGE).await?;
            judged.read += rows.len() as u64;
            for opportunity in rows.iter().filter_map(|row| self.previewed(row)) {
                judged.count += 1;
                if judged.sample.len() < SAMPLE {
                    judged.sample.insert(opportunity.id, opportunity);
                }
            }
            if rows.len() < REST_PAGE {
                return Ok(judged);
            }
            after = Some(last(&rows)?);
        }
    }

    fn previewed(&self, row: &Row) -> Option<PreviewedView> {
        self.foreseen.previewed(self.effect, row, self.exact)
    }

    async fn page(
        &self,
        after: Option<SalesforceId>,
        most: usize,
    ) -> Result<Vec<Row>, SourceError> {
        let soql = self.statement.page_soql(after, most);
        readback::rows(&*self.source, &soql).await
    }
}

/// Where the next page begins.
fn last(rows: &[Row]) -> Result<SalesforceId, SourceError> {
    let last = rows.last().and_then(|row| row.fields().ok()?.id("Id"));
    last.ok_or_else(|| SourceError::Garbled("an opportunity came without its id".to_owned()))
}

/// What each `COUNT()` answers; `None` for what Salesforce cannot count in time, or does not let be
/// asked for through what refers to it.
pub(super) async fn counts(
    source: &Arc<dyn Source>,
    statements: Vec<String>,
) -> Result<Vec<Option<u64>>, SourceError> {
    let counts = statements
        .into_iter()
        .map(|soql| count(Arc::clone(source), soql))
        .collect::<Vec<_>>();
    futures::stream::iter(counts)
        .buffered(SIDE_BY_SIDE)
        .try_collect()
        .await
}

async fn count(source: Arc<dyn Source>, soql: String) -> Result<Option<u64>, SourceError> {
    let is_joined = soql.contains(" Id IN (SELECT ");
    match source.query(&soql, false).await {
        Ok(page) => Ok(Some(page.total)),
        Err(SourceError::Refused { code, .. }) if code == "QUERY_TIMEOUT" || is_joined => Ok(None),
        Err(error) => Err(error),
    }
}

impl Operations {
    /// How many opportunities this becomes of, and the first of them.
    pub(super) async fn effect(
        &self,
        foreseen: &Arc<Foreseen>,
        effect: Effect,
    ) -> Result<EffectView, OpsError> {
        let sought = match foreseen.sought(effect) {
            Sought::Nobody => return Ok(nothing()),
            Sought::Unknown(why) => {
                return Ok(EffectView {
                    why: vec![why.to_owned()],
                    ..EffectView::default()
                });
            }
            Sought::Those(sought) => sought,
        };
        let found = Found::by(foreseen, effect, &sought);
        let statements = found.statements.iter().map(Statement::count_soql);
        let counted = counts(&self.source, statements.collect()).await?;
        let counted: Option<u64> = counted.into_iter().sum();
        let mut view = EffectView {
            count: counted,
            exact: sought.exact && counted.is_some(),
            judged: None,
            why: sought.why_not,
            sample: Vec::new(),
        };
        match counted {
            None => view
                .why
                .push("Salesforce cannot count them in time".to_owned()),
            Some(0) => view.exact = true,
            Some(count) if !sought.exact && count <= MOST_JUDGED => {
                let judged = found.judged(&self.source).await?;
                view.count = Some(judged.count);
                view.exact = true;
                view.judged = Some(judged.read);
                view.sample = judged.sample.into_values().take(SAMPLE).collect();
            }
            Some(_) => view.sample = found.first(&self.source, None, SAMPLE).await?,
        }
        Ok(view)
    }
}
