//! Reading records back: events say that something changed, the truth is in the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use domain::failure::FailureKind;
use domain::filter;
use domain::parked::Parked;
use domain::row::Fields;
use domain::rule::{Rules, Visible};
use domain::settings::SettingsRevision;
use domain::soql;
use domain::unit::Stage;
use domain::{ObjectKind, Row, SalesforceId, Ticket};
use ports::source::{Source, SourceError};
use ports::stores::{Stores, UNSEEN_FIELDS};

use crate::describe;
use crate::worker::Outage;

/// How many ids go into one retrieve (REST API developer guide, sObject collections).
const RETRIEVE_MAX: usize = 2_000;
/// How many ids go into one `IN (...)`: well below SOQL's 100,000 characters and a URL's 16 KiB.
const IDS_PER_QUERY: usize = 300;
/// The most rows that an aggregate query answers; it has no further pages (SOQL reference, GROUP BY).
pub const MAX_GROUPS: usize = 2_000;

/// A record's row, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// The current row.
    Row(Row),
    /// In the recycle bin.
    Deleted,
    /// Neither among the records nor in the recycle bin: purged, or not visible to the
    /// integration user.
    Absent,
}

/// Reads records of one object by id.
///
/// # Errors
/// Salesforce's.
pub async fn read(
    source: &dyn Source,
    object: ObjectKind,
    ids: &BTreeSet<SalesforceId>,
    fields: &BTreeSet<String>,
) -> Result<BTreeMap<SalesforceId, Read>, SourceError> {
    let ids = ids.iter().copied().collect::<Vec<_>>();
    let fields = fields.iter().cloned().collect::<Vec<_>>();
    let mut found = BTreeMap::new();
    if fields.iter().any(|field| field.contains('.')) {
        found.extend(ids.iter().map(|id| (*id, Read::Absent)));
        queried(source, object, &ids, &fields, &mut found).await?;
    } else {
        retrieved(source, object, &ids, &fields, &mut found).await?;
    }
    let absent = found
        .iter()
        .filter(|(_, read)| **read == Read::Absent)
        .map(|(id, _)| *id)
        .collect::<Vec<_>>();
    for deleted in deleted(source, object, &absent).await? {
        found.insert(deleted, Read::Deleted);
    }
    Ok(found)
}

/// In one call for many; it knows the fields of the object itself alone.
async fn retrieved(
    source: &dyn Source,
    object: ObjectKind,
    ids: &[SalesforceId],
    fields: &[String],
    found: &mut BTreeMap<SalesforceId, Read>,
) -> Result<(), SourceError> {
    for chunk in ids.chunks(RETRIEVE_MAX) {
        let rows = source.retrieve(object, chunk, fields).await?;
        if rows.len() != chunk.len() {
            return Err(SourceError::Garbled(format!(
                "asked for {} records of {object}, got {}",
                chunk.len(),
                rows.len()
            )));
        }
        for (id, row) in chunk.iter().zip(rows) {
            found.insert(*id, row.map_or(Read::Absent, Read::Row));
        }
    }
    Ok(())
}

/// Where a parent's field is among those wanted.
async fn queried(
    source: &dyn Source,
    object: ObjectKind,
    ids: &[SalesforceId],
    fields: &[String],
    found: &mut BTreeMap<SalesforceId, Read>,
) -> Result<(), SourceError> {
    // Salesforce answers no field that is not asked for, and without its id nobody knows whose row
    // it is.
    let mut wanted = fields.iter().map(String::as_str).collect::<BTreeSet<_>>();
    wanted.insert("Id");
    let select = wanted.into_iter().collect::<Vec<_>>().join(", ");
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let soql = format!(
            "SELECT {select} FROM {object} WHERE Id IN {}",
            soql::in_list(chunk.iter().map(SalesforceId::as_str))
        );
        for_each_row(source, &soql, false, |row| {
            if let Some(id) = row.fields().ok().and_then(|fields| fields.id("Id")) {
                found.insert(id, Read::Row(row.clone()));
            }
            true
        })
        .await?;
    }
    Ok(())
}

/// A record that should be there and cannot be seen is parked: nobody knows whether it is in scope,
/// and it may become visible again.
#[must_use]
pub fn unreadable(object: ObjectKind, id: SalesforceId, stage: Stage, ticket: Ticket) -> Parked {
    let message = "Salesforce neither shows this record nor has it in the recycle bin".to_owned();
    let now = ticket.version.time();
    Parked::new(
        (object, id),
        stage,
        FailureKind::Unreadable,
        message,
        ticket,
        now,
    )
}

/// Which of these are in the recycle bin. Users never are: they cannot be deleted.
async fn deleted(
    source: &dyn Source,
    object: ObjectKind,
    ids: &[SalesforceId],
) -> Result<BTreeSet<SalesforceId>, SourceError> {
    let mut deleted = BTreeSet::new();
    if object == ObjectKind::User {
        return Ok(deleted);
    }
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let soql = format!(
            "SELECT Id FROM {object} WHERE IsDeleted = true AND Id IN {}",
            soql::in_list(chunk.iter().map(SalesforceId::as_str))
        );
        for_each_row(source, &soql, true, |row| {
            deleted.extend(row.fields().ok().and_then(|fields| fields.id("Id")));
            true
        })
        .await?;
    }
    Ok(deleted)
}

/// Every row of a query.
///
/// # Errors
/// Those of [`for_each_row`].
pub async fn rows(source: &dyn Source, soql: &str) -> Result<Vec<Row>, SourceError> {
    let mut rows = Vec::new();
    for_each_row(source, soql, false, |row| {
        rows.push(row.clone());
        true
    })
    .await?;
    Ok(rows)
}

pub(crate) fn fields(row: &Row) -> Result<Fields<'_>, SourceError> {
    row.fields()
        .map_err(|error| SourceError::Garbled(error.to_string()))
}

/// Runs a query page by page until `each` answers `false`.
///
/// # Errors
/// Salesforce's, and that of [`all_came`] where the last page has come.
pub async fn for_each_row(
    source: &dyn Source,
    soql: &str,
    include_deleted: bool,
    mut each: impl FnMut(&Row) -> bool + Send,
) -> Result<(), SourceError> {
    let mut page = source.query(soql, include_deleted).await?;
    let promised = page.total;
    let mut came = 0;
    loop {
        for row in &page.rows {
            if !each(row) {
                return Ok(());
            }
            came += 1;
        }
        match page.next {
            Some(locator) => page = source.next_page(&locator).await?,
            None => return all_came(promised, came),
        }
    }
}

/// That a query's pages had as many rows together as the first of them promised. A short answer
/// must not be taken for all there is: what is not in it would count as out of scope.
///
/// # Errors
/// [`SourceError::Garbled`] when they had not.
pub fn all_came(promised: u64, came: usize) -> Result<(), SourceError> {
    if came as u64 == promised {
        return Ok(());
    }
    Err(SourceError::Garbled(format!(
        "{promised} rows were promised for a query, {came} came"
    )))
}

/// Runs `SELECT {select} FROM {from} WHERE {field} IN (ids) {and}` in as many queries as the ids
/// need.
///
/// # Errors
/// Salesforce's.
pub async fn for_each_related(
    source: &dyn Source,
    query: RelatedQuery<'_>,
    ids: &BTreeSet<SalesforceId>,
    mut each: impl FnMut(&Row) + Send,
) -> Result<(), SourceError> {
    let ids = ids.iter().copied().collect::<Vec<_>>();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let RelatedQuery {
            select,
            from,
            field,
            and,
        } = query;
        let soql = format!(
            "SELECT {select} FROM {from} WHERE {field} IN {}{and}",
            soql::in_list(chunk.iter().map(SalesforceId::as_str))
        );
        for_each_row(source, &soql, false, |row| {
            each(row);
            true
        })
        .await?;
    }
    Ok(())
}

/// The parts of a query by a reference field.
#[derive(Debug, Clone, Copy)]
pub struct RelatedQuery<'a> {
    /// The field list.
    pub select: &'a str,
    /// The object.
    pub from: &'a str,
    /// The reference field.
    pub field: &'a str,
    /// Further conditions, each beginning with ` AND `.
    pub and: &'a str,
}

/// The rules in force, compiled once per revision, with the fields that can be seen at that time.
pub struct RulesInForce {
    stores: Stores,
    source: Arc<dyn Source>,
    cached: Mutex<Option<Arc<Rules>>>,
}

impl std::fmt::Debug for RulesInForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RulesInForce")
    }
}

impl RulesInForce {
    /// Reads rules from `stores`, and from `source` which fields are visible.
    #[must_use]
    pub fn new(stores: Stores, source: Arc<dyn Source>) -> Self {
        Self {
            stores,
            source,
            cached: Mutex::new(None),
        }
    }

    /// Takes a ticket together with the very rules it names.
    ///
    /// # Errors
    /// The stores', or a stored filter that cannot be compiled (another version wrote it).
    pub async fn ticket(&self) -> Result<(Ticket, Arc<Rules>), Outage> {
        loop {
            let ticket = self.stores.ticket.take().await?;
            if let Some(rules) = self
                .cached()
                .filter(|rules| rules.rule_revision == ticket.rule_revision)
            {
                return Ok((ticket, rules));
            }
            let revision = self.stores.settings.current().await?;
            let (visible, calculated) = self.described(&revision).await?;
            let rules = Rules::of(&revision, visible).map_err(|faults| {
                Outage::Other(format!(
                    "the stored filter cannot be used: {}",
                    filter::in_words(&faults)
                ))
            })?;
            let rules = rules.with_calculated(calculated);
            self.note_unseen(&rules).await?;
            *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(rules));
        }
    }

    /// The org is looked at once a day. That a field cannot be read is found out here much sooner,
    /// and noted for the listener.
    async fn note_unseen(&self, rules: &Rules) -> Result<(), Outage> {
        let unseen = serde_json::to_string(&rules.unseen())
            .map_err(|error| Outage::Other(error.to_string()))?;
        let notes = &self.stores.notes;
        let known = notes.note(UNSEEN_FIELDS).await?;
        if known.as_deref().unwrap_or("[]") != unseen {
            notes.keep(UNSEEN_FIELDS, &unseen).await?;
        }
        Ok(())
    }

    /// The rules of an earlier settings revision, to judge by; `None` where it is lost. What could
    /// be seen at that time is not known.
    ///
    /// # Errors
    /// The stores', or a stored filter that cannot be compiled.
    pub async fn of_revision(&self, number: u64) -> Result<Option<Rules>, Outage> {
        let Some(revision) = self.stores.settings.revision(number).await? else {
            return Ok(None);
        };
        let rules = Rules::of(&revision, Visible::new()).map_err(|faults| {
            Outage::Other(format!(
                "the filter of settings revision {number} cannot be used: {}",
                filter::in_words(&faults)
            ))
        })?;
        Ok(Some(rules))
    }

    /// Passes an answer on. Where Salesforce has refused a query, what can be seen has changed, and
    /// is looked up again for the next one.
    ///
    /// # Errors
    /// The answer's own.
    pub fn seen_anew_if_refused<T>(&self, answer: Result<T, Outage>) -> Result<T, Outage> {
        if let Err(Outage::Source(SourceError::Refused { .. })) = &answer {
            self.see_anew();
        }
        answer
    }

    /// What can be seen may have changed, and is looked up again for the next query.
    pub fn see_anew(&self) {
        *self.cached.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The fields of each object, and those of parents that the mapping or the filter names; and
    /// which of the object's own are calculated.
    async fn described(
        &self,
        revision: &SettingsRevision,
    ) -> Result<(Visible, Visible), SourceError> {
        let mut described = describe::Fields::new(&*self.source);
        let (mut visible, mut calculated) = (Visible::new(), Visible::new());
        for object in ObjectKind::ALL {
            let fields = described.of(object.api_name()).await?;
            let formulas = fields.iter().filter(|field| field.calculated);
            let formulas = formulas.map(|field| field.name.clone()).collect();
            calculated.insert(object, formulas);
            let mut names: BTreeSet<_> = fields.iter().map(|field| field.name.clone()).collect();
            let mut named = revision.settings.mapping.salesforce_fields(object);
            if object == ObjectKind::Opportunity {
                named.extend(revision.settings.filter.fields());
            }
            for path in named.into_iter().filter(|field| field.contains('.')) {
                if described.find(object.api_name(), &path).await?.is_some() {
                    names.insert(path);
                }
            }
            visible.insert(object, names);
        }
        Ok((visible, calculated))
    }

    fn cached(&self) -> Option<Arc<Rules>> {
        self.cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
