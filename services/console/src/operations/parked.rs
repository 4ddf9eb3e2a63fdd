//! Parked records: looked at, tried again, dismissed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::error_group::{Chains, ErrorGroup};
use domain::failure::FailureKind;
use domain::hex::hex;
use domain::job::JobId;
use domain::parked::{Dismissal, Parked};
use domain::{ObjectKind, SalesforceId};
use futures::Stream;
use futures::future::try_join_all;
use ports::stores::{ParkedFilter, StoreError};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::{
    About, Caller, MAX_PAGE, Operations, object_of, page_size, pages, reason_of, record_of,
};
use crate::OpsError;
use crate::views::{
    GroupSearch, GroupView, Groups, ParkedList, ParkedSearch, ParkedView, RecordId, Selection,
    Touched,
};

/// Entries read, or something is done about, at a time.
const BATCH: usize = 500;
/// Records that can be named in one request; each gets a line of its own in the log.
const MAX_NAMED: usize = 200;

/// What is said of the rest of a bulk order.
const THEN_STOPPED: &str = "then it stopped, so give it again for the others";

/// How long many parked records are not counted anew, unless other ones are open: every view of a
/// page asks for that.
const FRESH: Duration = Duration::from_secs(10);

/// By what records are filtered: object, job, and the record that they wait for.
type Bucket = (
    ObjectKind,
    Option<JobId>,
    Option<(ObjectKind, SalesforceId)>,
);

/// Records of a group that a filter cannot tell apart.
struct Cell {
    object: ObjectKind,
    job: Option<JobId>,
    parent: Option<(ObjectKind, SalesforceId)>,
    group: GroupView,
}

impl Cell {
    fn matches(&self, filter: &ParkedFilter, group: Option<&str>) -> bool {
        let ParkedFilter {
            object,
            kind,
            parent,
            job,
            dismissed,
        } = filter;
        object.is_none_or(|object| object == self.object)
            && kind.is_none_or(|kind| kind == self.group.kind)
            && (parent.is_none() || *parent == self.parent)
            && (job.is_none() || *job == self.job)
            && dismissed.is_none_or(|dismissed| dismissed == self.group.dismissed)
            && group.is_none_or(|group| group == self.group.id)
    }
}

/// What was counted when so many were open.
struct Census {
    at: Timestamp,
    /// How long that took.
    took: Duration,
    open: BTreeMap<FailureKind, u64>,
    cells: Arc<Vec<Cell>>,
}

/// The last census of many records.
#[derive(Clone, Default)]
pub(super) struct ParkedMemory(Arc<Mutex<Option<Census>>>);

/// What is to be done about parked records.
enum Deed<'a> {
    Retry,
    Dismiss(&'a Dismissal),
}

impl Deed<'_> {
    /// What somebody has typed as their reason.
    fn reason(&self) -> Option<&str> {
        match self {
            Self::Retry => None,
            Self::Dismiss(dismissal) => Some(&dismissal.reason),
        }
    }
}

impl Operations {
    /// Parked records by cause.
    ///
    /// # Errors
    /// [`OpsError`].
    pub async fn parked_groups(&self, search: &GroupSearch) -> Result<Groups, OpsError> {
        let job = search.job.as_deref().map(JobId::of);
        let census = self.census().await?;
        let mut groups = BTreeMap::<(bool, &str), GroupView>::new();
        for cell in census.iter() {
            if job.is_some() && job != cell.job {
                continue;
            }
            let group = &cell.group;
            match groups.entry((group.dismissed, &group.id)) {
                Entry::Vacant(free) => {
                    free.insert(group.clone());
                }
                Entry::Occupied(known) => merge(known.into_mut(), group.clone()),
            }
        }
        let mut groups = groups.into_values().collect::<Vec<_>>();
        groups.sort_by_key(|group| (group.dismissed, std::cmp::Reverse(group.count)));
        let records = |dismissed| {
            groups
                .iter()
                .filter(|group| group.dismissed == dismissed)
                .map(|group| group.count)
                .sum()
        };
        Ok(Groups {
            open: records(false),
            dismissed: records(true),
            groups,
        })
    }

    /// How many records are like that, on all pages together.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] names the value that cannot be understood.
    pub async fn parked_count(&self, search: &ParkedSearch) -> Result<u64, OpsError> {
        let filter = filter_of(search)?;
        let group = search.group.as_deref();
        let census = self.census().await?;
        let found = census.iter().filter(|cell| cell.matches(&filter, group));
        Ok(found.map(|cell| cell.group.count).sum())
    }

    /// All parked records, counted. Whoever comes while it is counted waits, and shares the result.
    async fn census(&self) -> Result<Arc<Vec<Cell>>, OpsError> {
        let mut known = self.parked_memory.0.lock().await;
        let (now, open) = (self.now(), self.stores.parked.counts().await?);
        if let Some(census) = &*known {
            let age = now.since(census.at);
            // While ever more are parked, it is counted for a small part of the time.
            if (census.open == open && age < FRESH) || age < census.took * 10 {
                return Ok(Arc::clone(&census.cells));
            }
        }
        let mut cells = BTreeMap::<(Bucket, bool, String), GroupView>::new();
        let (mut after, mut records) = (None, 0);
        loop {
            let page = self.parked_page(&ParkedFilter::default(), after).await?;
            after = page.last().map(Parked::record);
            records += page.len();
            count(&page, &self.chains(&page).await?, &mut cells);
            if page.len() < BATCH {
                break;
            }
        }
        let cells = cells.into_iter().map(|((bucket, ..), group)| {
            let (object, job, parent) = bucket;
            Cell {
                object,
                job,
                parent,
                group,
            }
        });
        let cells = Arc::new(cells.collect::<Vec<_>>());
        let at = self.now();
        *known = (records >= BATCH).then(|| Census {
            at,
            took: at.since(now),
            open,
            cells: Arc::clone(&cells),
        });
        Ok(cells)
    }

    /// A page of parked records.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] names the value that cannot be understood.
    pub async fn parked(&self, search: &ParkedSearch) -> Result<ParkedList, OpsError> {
        let max = page_size(search.limit)?;
        let filter = filter_of(search)?;
        let mut after = search.after.as_deref().map(record_of).transpose()?;
        let group = search.group.as_deref();
        let mut records = Vec::new();
        // One more tells whether there is a next page.
        while records.len() <= max {
            let wanted = if group.is_some() { BATCH } else { max + 1 };
            let page = self.stores.parked.list(&filter, after, wanted).await?;
            let is_last = page.len() < wanted;
            after = page.last().map(Parked::record);
            let chains = self.chains(&page).await?;
            let viewed = page.into_iter().map(|parked| view(parked, &chains));
            records.extend(viewed.filter(|view| group.is_none_or(|group| view.group == group)));
            if is_last {
                break;
            }
        }
        let more = records.len() > max;
        records.truncate(max);
        let next = records.last().filter(|_| more);
        Ok(ParkedList {
            next: next.map(|record| record.id.to_string()),
            records,
        })
    }

    /// All records, in the order of object and id, read page by page as they are taken.
    pub fn all_parked(
        &self,
        search: &ParkedSearch,
    ) -> impl Stream<Item = Result<Vec<ParkedView>, OpsError>> + Send + use<> {
        let first = ParkedSearch {
            limit: Some(MAX_PAGE),
            ..search.clone()
        };
        let operations = self.clone();
        pages(first, move |search| {
            let operations = operations.clone();
            async move {
                let list = operations.parked(&search).await?;
                let next = list.next.map(|after| ParkedSearch {
                    after: Some(after),
                    ..search
                });
                Ok((list.records, next))
            }
        })
    }

    /// Reads these records back from Salesforce, now; dismissed ones that are named by id are open
    /// again.
    ///
    /// # Errors
    /// [`OpsError::Invalid`], [`OpsError::NotFound`] when none of them is parked,
    /// [`OpsError::Conflict`] when there are more than were seen.
    pub async fn retry_parked(
        &self,
        selection: &Selection,
        caller: Caller,
    ) -> Result<Touched, OpsError> {
        let message = format!("to be tried again at once, says {}", caller.name());
        self.each(selection, &Deed::Retry, &caller, &message).await
    }

    /// These records need not come to mOS as they are: their entries stay, with the reason, and
    /// are no trouble any more.
    ///
    /// # Errors
    /// [`OpsError::Invalid`], among others without a reason or with too long a one; [`OpsError::NotFound`] when none of
    /// them is parked; [`OpsError::Conflict`] when there are more than were seen.
    pub async fn dismiss_parked(
        &self,
        selection: &Selection,
        caller: Caller,
    ) -> Result<Touched, OpsError> {
        let reason = reason_of(selection.reason.clone())?.ok_or_else(|| {
            OpsError::Invalid(
                "a dismissal needs a reason, so that somebody who finds the record later knows why it is not in mOS".to_owned(),
            )
        })?;
        let message = format!("dismissed by {}: {reason}", caller.name());
        let dismissal = Dismissal {
            at: self.now(),
            by: caller.name(),
            reason,
        };
        let deed = Deed::Dismiss(&dismissal);
        self.each(selection, &deed, &caller, &message).await
    }

    async fn each(
        &self,
        selection: &Selection,
        deed: &Deed<'_>,
        by: &Caller,
        message: &str,
    ) -> Result<Touched, OpsError> {
        let chosen = [
            !selection.records.is_empty(),
            selection.group.is_some(),
            selection.all,
        ];
        if chosen.into_iter().filter(|chosen| *chosen).count() != 1 {
            return Err(OpsError::Invalid(
                "say which records: either their ids, or one group, or all".to_owned(),
            ));
        }
        if !selection.records.is_empty() {
            if selection.is_narrowed() || selection.seen.is_some() {
                return Err(OpsError::Invalid(
                    "records that are named are meant as they are; leave out object, kind, parent, job, dismissed and seen".to_owned(),
                ));
            }
            let records = &selection.records;
            return self.each_named(records, deed, by, message).await;
        }
        let mut touched = 0;
        let done = self.each_found(selection, deed, &mut touched).await;
        if touched == 0 {
            done.clone()?;
        }
        // Whoever has given an order looks for what came of it.
        *self.parked_memory.0.lock().await = None;
        let which = described(selection, touched);
        // What was done is told also where not all of it was.
        let end = match &done {
            Ok(()) => String::new(),
            Err(error) => format!("; then it stopped, and others stay as they were: {error}"),
        };
        let about = About::topic("parked").because(deed.reason());
        let noted = self.note(about, by, format!("{which}: {message}{end}"));
        let noted = noted.await;
        done.map_err(|error| half_done(&which, THEN_STOPPED, &error))?;
        noted.map_err(|error| half_done(&which, "the integration log does not say so", &error))?;
        Ok(Touched { records: touched })
    }

    /// Those of a group, or all, as far as they match.
    async fn each_found(
        &self,
        selection: &Selection,
        deed: &Deed<'_>,
        touched: &mut u64,
    ) -> Result<(), OpsError> {
        let group = selection.group.as_deref();
        if selection.dismissed && matches!(deed, Deed::Dismiss(_)) {
            return Err(OpsError::Invalid(
                "these records are dismissed already; what can be done about them is to try them again".to_owned(),
            ));
        }
        // Those that are there now, and none that is parked meanwhile.
        let found = self.found(&filter_of(&selection.search())?, group).await?;
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        if let Some(seen) = selection.seen.filter(|seen| count > *seen) {
            // Whoever looks again sees how many there are.
            *self.parked_memory.0.lock().await = None;
            return Err(OpsError::Conflict(format!(
                "there are {count} of these records by now, instead of the {seen} that were looked at, so nothing was done; look again, and give the order again"
            )));
        }
        for records in found.chunks(BATCH) {
            *touched += self.done_about(records, deed).await?;
        }
        if let (0, Some(group)) = (*touched, group) {
            return Err(OpsError::NotFound(format!(
                "no such record is parked in a group `{group}`; `mosync parked list` shows the groups"
            )));
        }
        Ok(())
    }

    /// Which records are like that.
    async fn found(
        &self,
        filter: &ParkedFilter,
        group: Option<&str>,
    ) -> Result<Vec<(ObjectKind, SalesforceId)>, OpsError> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.parked_page(filter, after).await?;
            after = page.last().map(Parked::record);
            let chains = match group {
                Some(_) => self.chains(&page).await?,
                None => Chains::default(),
            };
            let is_meant =
                |parked: &&Parked| group.is_none_or(|group| group_of(parked, &chains) == group);
            found.extend(page.iter().filter(is_meant).map(Parked::record));
            if page.len() < BATCH {
                return Ok(found);
            }
        }
    }

    async fn each_named(
        &self,
        ids: &[String],
        deed: &Deed<'_>,
        by: &Caller,
        message: &str,
    ) -> Result<Touched, OpsError> {
        if ids.len() > MAX_NAMED {
            return Err(OpsError::Invalid(format!(
                "{} records are more than the {MAX_NAMED} that can be named at once; name a group, or ask several times",
                ids.len()
            )));
        }
        let mut records = ids
            .iter()
            .map(|id| record_of(id))
            .collect::<Result<Vec<_>, _>>()?;
        records.sort_unstable();
        records.dedup();
        let mut touched = 0;
        let done = self
            .each_one(records, deed, by, message, &mut touched)
            .await;
        match (done, touched) {
            (Ok(()), 0) => Err(OpsError::NotFound(
                "none of these records is parked; `mosync parked list --all` shows those that are"
                    .to_owned(),
            )),
            (Ok(()), touched) => Ok(Touched { records: touched }),
            (Err(error), 0) => Err(error),
            // What was done is told also where not all of it was.
            (Err(error), touched) => Err(half_done(&records_of(touched), THEN_STOPPED, &error)),
        }
    }

    /// One after the other, each with its line in the log.
    async fn each_one(
        &self,
        records: Vec<(ObjectKind, SalesforceId)>,
        deed: &Deed<'_>,
        by: &Caller,
        message: &str,
        touched: &mut u64,
    ) -> Result<(), OpsError> {
        for record in records {
            if self.done_about(&[record], deed).await? > 0 {
                *touched += 1;
                let about = About {
                    record: Some(record),
                    ..About::topic("parked").because(deed.reason())
                };
                self.note(about, by, message.to_owned()).await?;
            }
        }
        Ok(())
    }

    async fn done_about(
        &self,
        records: &[(ObjectKind, SalesforceId)],
        deed: &Deed<'_>,
    ) -> Result<u64, OpsError> {
        if records.is_empty() {
            return Ok(0);
        }
        Ok(match deed {
            Deed::Retry => self.stores.parked.retry(records, self.now()).await?,
            Deed::Dismiss(dismissal) => self.stores.parked.dismiss(records, dismissal).await?,
        })
    }

    /// What the parents of these records wait for themselves.
    pub(super) async fn chains(&self, records: &[Parked]) -> Result<Chains, StoreError> {
        let mut chains = Chains::default();
        let mut asked = BTreeSet::new();
        let mut above = parents(records);
        while !above.is_empty() {
            let entries = above
                .iter()
                .map(|(object, id)| self.stores.parked.get(*object, id));
            let entries = try_join_all(entries).await?;
            asked.append(&mut above);
            let entries = entries.into_iter().flatten().collect::<Vec<_>>();
            entries.iter().for_each(|entry| chains.add(entry));
            above = &parents(&entries) - &asked;
        }
        Ok(chains)
    }

    async fn parked_page(
        &self,
        filter: &ParkedFilter,
        after: Option<(ObjectKind, SalesforceId)>,
    ) -> Result<Vec<Parked>, OpsError> {
        Ok(self.stores.parked.list(filter, after, BATCH).await?)
    }
}

/// Adds a page of records to what is counted.
fn count(
    page: &[Parked],
    chains: &Chains,
    cells: &mut BTreeMap<(Bucket, bool, String), GroupView>,
) {
    let mut buckets = BTreeMap::<Bucket, Vec<&Parked>>::new();
    for parked in page {
        let bucket = (parked.object, parked.job.clone(), parked.parent);
        buckets.entry(bucket).or_default().push(parked);
    }
    for (bucket, records) in buckets {
        for group in ErrorGroup::of(records, chains) {
            let group = group_view(group);
            match cells.entry((bucket.clone(), group.dismissed, group.id.clone())) {
                Entry::Vacant(free) => {
                    free.insert(group);
                }
                Entry::Occupied(known) => merge(known.into_mut(), group),
            }
        }
    }
}

fn records_of(touched: u64) -> String {
    match touched {
        1 => "1 of these records".to_owned(),
        many => format!("{many} of these records"),
    }
}

/// An order that came to its end before it was carried out for all.
fn half_done(which: &str, then: &str, error: &OpsError) -> OpsError {
    OpsError::OutOfReach(format!(
        "the order was carried out for {which}; {then}: {error}"
    ))
}

/// Which records an order was about, for the log.
fn described(selection: &Selection, touched: u64) -> String {
    let dismissed = if selection.dismissed {
        "dismissed"
    } else {
        "parked"
    };
    let mut which = match &selection.group {
        Some(group) => format!("{touched} {dismissed} records of group {group}"),
        None if selection.is_narrowed() => format!("{touched} {dismissed} records"),
        None => format!("all {touched} {dismissed} records"),
    };
    for (name, value) in [
        ("object", &selection.object),
        ("reason", &selection.kind),
        ("parent", &selection.parent),
        ("job", &selection.job),
    ] {
        if let Some(value) = value {
            which.push_str(&format!(", {name} {value}"));
        }
    }
    which
}

/// What is looked for.
///
/// # Errors
/// [`OpsError::Invalid`] names the value that cannot be understood.
pub(crate) fn filter_of(search: &ParkedSearch) -> Result<ParkedFilter, OpsError> {
    Ok(ParkedFilter {
        object: search.object.as_deref().map(object_of).transpose()?,
        kind: search.kind.as_deref().map(kind_of).transpose()?,
        parent: search.parent.as_deref().map(record_of).transpose()?,
        job: search.job.as_deref().map(JobId::of),
        dismissed: search.dismissed,
    })
}

fn kind_of(name: &str) -> Result<FailureKind, OpsError> {
    serde_json::from_value(name.into()).map_err(|_unknown| {
        OpsError::Invalid(format!(
            "kind `{name}` is not known; `mosync parked list` shows those that occur"
        ))
    })
}

fn parents(records: &[Parked]) -> BTreeSet<(ObjectKind, SalesforceId)> {
    records.iter().filter_map(|record| record.parent).collect()
}

pub(super) fn view(parked: Parked, chains: &Chains) -> ParkedView {
    let group = group_of(&parked, chains);
    ParkedView::of(parked, group)
}

/// The id of a record's group.
fn group_of(parked: &Parked, chains: &Chains) -> String {
    ErrorGroup::of(std::iter::once(parked), chains)
        .first()
        .map(group_id)
        .unwrap_or_default()
}

/// Short enough to be typed; open and dismissed records of one cause share it.
fn group_id(group: &ErrorGroup) -> String {
    let cause = format!("{:?}/{}/{}", group.stage, group.kind.name(), group.cause);
    let digest = Sha256::digest(cause.as_bytes());
    hex(digest.get(..5).unwrap_or_default())
}

fn group_view(group: ErrorGroup) -> GroupView {
    GroupView {
        id: group_id(&group),
        stage: group.stage,
        kind: group.kind,
        advice: group.advice.to_owned(),
        count: group.count,
        first: group.first,
        last: group.last,
        samples: group.samples.into_iter().map(RecordId::from).collect(),
        dismissed: group.dismissed,
        cause: group.cause,
    }
}

/// The same group, of another page.
fn merge(group: &mut GroupView, other: GroupView) {
    group.count += other.count;
    group.first = group.first.min(other.first);
    group.last = group.last.max(other.last);
    group.samples.extend(other.samples);
    group.samples.truncate(domain::error_group::SAMPLES);
}
