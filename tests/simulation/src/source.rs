//! Salesforce as the port, in process. Every call sleeps before it reads and after, so that rows
//! are read at odd moments; streams break off, events lose their detail, positions are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use domain::change::{ChangeEvent, ChangeType, EventRecords};
use domain::filter::FieldType;
use domain::{ObjectKind, Row, SalesforceId, Timestamp};
use fake_salesforce::error::ApiError;
use fake_salesforce::org::Org;
use fake_salesforce::pubsub::{EventLog, StoredEvent};
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription, Organization,
    Page, ReplayId, Source, SourceError, StreamBatch, StreamEvent, StreamStart, Undecodable,
};
use salesforce::EventSchema;

use crate::bulk::BulkJobs;
use crate::chance::Chance;

const LATENCY_MS: u64 = 200;
/// How long after its stamp a record may become visible.
const SEEN_LATEST: Duration = Duration::from_secs(9 * 60);
/// After how long a silence the stream says that it is there, where a test says nothing else.
/// Salesforce takes its time: up to 270 s.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct SimSource {
    pub(crate) org: Arc<Org>,
    pub(crate) log: Arc<EventLog>,
    pub(crate) chance: Arc<Chance>,
    pages: Arc<Mutex<BTreeMap<String, Vec<Row>>>>,
    schemas: Arc<Mutex<BTreeMap<String, Arc<EventSchema>>>>,
    locators: Arc<AtomicU64>,
    bulk: Arc<BulkJobs>,
    calls: Arc<AtomicU64>,
    /// Statements and reads of the five objects' rows, in order.
    read: Arc<Mutex<Vec<String>>>,
    allowance: Arc<Mutex<ApiAllowance>>,
    /// Fields that describe calls formulas, and those that nobody may see, by object.
    calculated: Arc<Mutex<BTreeSet<(String, String)>>>,
    hidden: Arc<Mutex<BTreeSet<(String, String)>>>,
    /// Types of fields of Opportunity that describe tells instead of their own.
    retyped: Arc<Mutex<BTreeMap<String, FieldType>>>,
    /// Words of statements whose answers lack a row, and how many more do.
    short: Arc<Mutex<(String, u32)>>,
    keep_alive: Arc<Mutex<Duration>>,
    /// How far the clock by which events are stamped is behind.
    behind: Arc<Mutex<Duration>>,
    slow: Arc<Mutex<Option<Slow>>>,
}

/// Statements with these words are answered late, with what was there when they were asked, or
/// given up on.
#[derive(Clone, Copy)]
pub(crate) struct Slow {
    pub(crate) words: &'static str,
    pub(crate) time: Duration,
    pub(crate) gives_up: bool,
}

/// Stands for all fields of an object.
const WHOLE: &str = "";

impl SimSource {
    pub(crate) fn new(org: Arc<Org>, log: Arc<EventLog>, chance: Arc<Chance>) -> Self {
        let bulk = Arc::new(BulkJobs::new(Arc::clone(&org), Arc::clone(&chance)));
        Self {
            org,
            log,
            chance,
            bulk,
            pages: Arc::default(),
            schemas: Arc::default(),
            locators: Arc::default(),
            calls: Arc::default(),
            read: Arc::default(),
            calculated: Arc::default(),
            hidden: Arc::default(),
            retyped: Arc::default(),
            short: Arc::default(),
            keep_alive: Arc::new(Mutex::new(KEEP_ALIVE)),
            behind: Arc::default(),
            slow: Arc::default(),
            allowance: Arc::new(Mutex::new(ApiAllowance {
                max: 100_000,
                remaining: 100_000,
            })),
        }
    }

    /// What the org says of its allowance from now on.
    pub(crate) fn allow(&self, max: u64, remaining: u64) {
        let mut allowance = self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *allowance = ApiAllowance { max, remaining };
    }

    /// A stream without events is silent for so long from now on.
    pub(crate) fn keep_alive_after(&self, silence: Duration) {
        let keep_alive = self.keep_alive.lock();
        *keep_alive.unwrap_or_else(PoisonError::into_inner) = silence;
    }

    fn silence(&self) -> Duration {
        let keep_alive = self.keep_alive.lock();
        *keep_alive.unwrap_or_else(PoisonError::into_inner)
    }

    /// Events are stamped by a clock that is so far behind from now on.
    pub(crate) fn set_back(&self, behind: Duration) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    /// Some statements take so long from now on, and no others.
    pub(crate) fn slow_down(&self, slow: Option<Slow>) {
        *self.slow.lock().unwrap_or_else(PoisonError::into_inner) = slow;
    }

    fn slow(&self, soql: &str) -> Option<Slow> {
        let slow = *self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.filter(|slow| soql.contains(slow.words))
    }

    /// The statements and reads of rows since the last time, of the five objects alone.
    pub(crate) fn reads(&self) -> Vec<String> {
        std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_read(&self, object: &str, what: String) {
        if object.parse::<ObjectKind>().is_ok() {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.push(what);
        }
    }

    /// From now on describe says that a field is a formula.
    pub(crate) fn calculate(&self, object: &str, field: &str) {
        let calculated = self.calculated.lock();
        let mut calculated = calculated.unwrap_or_else(PoisonError::into_inner);
        calculated.insert((object.to_owned(), field.to_owned()));
    }

    /// A field of Opportunity becomes one of another type.
    pub(crate) fn retype(&self, field: &str, field_type: FieldType) {
        let retyped = self.retyped.lock();
        let mut retyped = retyped.unwrap_or_else(PoisonError::into_inner);
        retyped.insert(field.to_owned(), field_type);
    }

    fn type_of(&self, object: &str, field: &str) -> Option<FieldType> {
        let retyped = self.retyped.lock();
        let retyped = retyped.unwrap_or_else(PoisonError::into_inner);
        retyped
            .get(field)
            .copied()
            .filter(|_| object == "Opportunity")
    }

    /// The integration user loses access to a field.
    pub(crate) fn hide(&self, object: &str, field: &str) {
        let hidden = self.hidden.lock();
        let mut hidden = hidden.unwrap_or_else(PoisonError::into_inner);
        hidden.insert((object.to_owned(), field.to_owned()));
    }

    /// And gets all of it back.
    pub(crate) fn hide_nothing(&self) {
        let hidden = self.hidden.lock();
        hidden.unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The integration user loses Read of a whole object.
    pub(crate) fn hide_object(&self, object: &str) {
        self.hide(object, WHOLE);
    }

    /// The active values of an object's picklists.
    fn picklists(&self, object: &str) -> BTreeMap<String, BTreeSet<String>> {
        let described = self.org.describe(object).unwrap();
        let fields = described["fields"].as_array().unwrap().iter();
        fields
            .map(|field| {
                let values = field["picklistValues"].as_array().unwrap().iter();
                let values = values.filter(|value| value["active"] == true);
                let values = values.map(|value| value["value"].as_str().unwrap().to_owned());
                let name = field["name"].as_str().unwrap().to_owned();
                (name, values.collect())
            })
            .collect()
    }

    fn is_hidden(&self, object: &str, field: &str) -> bool {
        let hidden = self.hidden.lock();
        let hidden = hidden.unwrap_or_else(PoisonError::into_inner);
        hidden.contains(&(object.to_owned(), field.to_owned()))
    }

    /// What names a field that the integration user does not see is refused as a whole.
    fn refuse_hidden<'f>(
        &self,
        object: &str,
        mut fields: impl Iterator<Item = &'f str>,
    ) -> Result<(), SourceError> {
        if self.is_hidden(object, WHOLE) {
            return Err(SourceError::Refused {
                code: "INVALID_TYPE".to_owned(),
                message: format!("sObject type '{object}' is not supported."),
            });
        }
        match fields.find(|field| self.is_hidden(object, field)) {
            None => Ok(()),
            Some(field) => Err(SourceError::Refused {
                code: "INVALID_FIELD".to_owned(),
                message: format!("No such column '{field}' on entity '{object}'"),
            }),
        }
    }

    /// The object that a statement reads, unless it names what the integration user does not see.
    fn refuse_unseen<'s>(&self, soql: &'s str) -> Result<&'s str, SourceError> {
        let words = soql.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let from = words.clone().skip_while(|word| *word != "FROM").nth(1);
        let from = from.unwrap_or_default();
        self.refuse_hidden(from, words)?;
        Ok(from)
    }

    async fn asked(&self) -> Result<(), SourceError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.on_the_way().await?;
        let allowance = self.allowance.lock();
        if allowance.unwrap_or_else(PoisonError::into_inner).remaining == 0 {
            return Err(SourceError::Quota(
                "TotalRequests Limit exceeded.".to_owned(),
            ));
        }
        Ok(())
    }

    async fn on_the_way(&self) -> Result<(), SourceError> {
        self.chance.delay(LATENCY_MS).await;
        if self.chance.fault(|rates| rates.source_unreachable / 2.0) {
            return Err(SourceError::Unreachable("simulated".to_owned()));
        }
        Ok(())
    }

    /// So many answers to statements with these words lack the last of the rows that they promise.
    pub(crate) fn cut_short(&self, words: &str, answers: u32) {
        *self.short.lock().unwrap_or_else(PoisonError::into_inner) = (words.to_owned(), answers);
    }

    /// How many answers are yet to be cut short.
    pub(crate) fn to_be_cut_short(&self) -> u32 {
        self.short.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn lose_last(&self, soql: &str, rows: &mut Vec<Row>) {
        let mut short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        let (words, answers) = &mut *short;
        if *answers > 0 && soql.contains(words.as_str()) && rows.pop().is_some() {
            *answers -= 1;
        }
    }

    fn page(&self, total: usize, mut rows: Vec<Row>) -> Page {
        let size = if self.chance.happens(0.7) {
            2_000
        } else {
            1 + self.chance.below(20)
        };
        let rest = rows.split_off(size.min(rows.len()));
        let next = (!rest.is_empty()).then(|| {
            let locator = format!("page-{}", self.locators.fetch_add(1, Ordering::SeqCst));
            self.pages
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(locator.clone(), rest);
            locator
        });
        Page {
            total: total as u64,
            rows,
            next,
        }
    }

    /// Rows of transactions that were stamped already and are not committed yet.
    fn hide_late(&self, rows: &mut Vec<Row>) {
        let certain = self.chance.now().before(SEEN_LATEST);
        rows.retain(|row| {
            let stamp = row.fields().unwrap().text("SystemModstamp").unwrap();
            let stamp = Timestamp::parse(&stamp).unwrap();
            stamp < certain || !self.chance.fault(|rates| rates.seen_late)
        });
    }

    fn schema(&self, id: &str) -> Arc<EventSchema> {
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let schema = schemas.entry(id.to_owned()).or_insert_with(|| {
            Arc::new(EventSchema::parse(&self.log.schema_json(id).unwrap()).unwrap())
        });
        Arc::clone(schema)
    }
}

fn refused(error: ApiError) -> SourceError {
    SourceError::Refused {
        code: error.code.to_owned(),
        message: error.message,
    }
}

fn id(text: &str) -> SalesforceId {
    SalesforceId::parse(text).unwrap()
}

#[async_trait]
impl Source for SimSource {
    async fn organization(&self) -> Result<Organization, SourceError> {
        self.asked().await?;
        let org = self.org.record("Organization", self.org.org_id()).unwrap();
        Ok(Organization {
            id: id(org.id()),
            name: org.text("Name").unwrap().to_owned(),
            is_sandbox: org.flag("IsSandbox"),
            time_zone: org.text("TimeZoneSidKey").unwrap().to_owned(),
        })
    }

    async fn user(&self) -> Result<SalesforceId, SourceError> {
        self.asked().await?;
        Ok(id(self.org.admin_id()))
    }

    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        self.asked().await?;
        let from = self.refuse_unseen(soql)?;
        self.note_read(from, soql.to_owned());
        let found = self.org.query(soql, deleted).map_err(|error| {
            self.chance.note(format!("REFUSED {error}: {soql}"));
            refused(error)
        })?;
        let page = if soql.starts_with("SELECT COUNT() ") {
            Page {
                total: found[0]["expr0"].as_u64().unwrap(),
                rows: Vec::new(),
                next: None,
            }
        } else {
            let mut rows = found
                .iter()
                .map(|row| Row::of(row).unwrap())
                .collect::<Vec<_>>();
            if soql.contains("ORDER BY SystemModstamp") {
                self.hide_late(&mut rows);
            }
            let promised = rows.len();
            self.lose_last(soql, &mut rows);
            self.page(promised, rows)
        };
        if let Some(slow) = self.slow(soql) {
            tokio::time::sleep(slow.time).await;
            if slow.gives_up {
                return Err(SourceError::Unreachable("given up".to_owned()));
            }
        }
        self.on_the_way().await?;
        Ok(page)
    }

    async fn next_page(&self, locator: &str) -> Result<Page, SourceError> {
        self.asked().await?;
        let rows = self
            .pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(locator)
            .ok_or_else(|| SourceError::Expired(locator.to_owned()))?;
        self.on_the_way().await?;
        Ok(self.page(rows.len(), rows))
    }

    async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        self.asked().await?;
        self.refuse_hidden(object.api_name(), fields.iter().map(String::as_str))?;
        self.note_read(object.api_name(), format!("retrieve {object}"));
        let ids = ids
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect::<Vec<_>>();
        let found = self
            .org
            .retrieve(object.api_name(), &ids, fields)
            .map_err(|error| {
                self.chance
                    .note(format!("REFUSED {error}: retrieve {object}"));
                refused(error)
            })?;
        let rows = found
            .iter()
            .map(|row| row.as_ref().map(|row| Row::of(row).unwrap()))
            .collect();
        self.on_the_way().await?;
        Ok(rows)
    }

    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError> {
        self.asked().await?;
        self.refuse_hidden(object, std::iter::empty())
            .map_err(|_hidden| SourceError::Refused {
                code: "NOT_FOUND".to_owned(),
                message: "The requested resource does not exist".to_owned(),
            })?;
        let entity = self.org.entity(object).unwrap();
        let mut values = self.picklists(object);
        Ok(entity
            .fields
            .iter()
            .filter(|field| !field.hidden && !field.removed)
            .filter(|field| !self.is_hidden(object, field.name))
            .map(|field| FieldDescription {
                name: field.name.to_owned(),
                label: field.name.to_owned(),
                field_type: self
                    .type_of(object, field.name)
                    .or_else(|| FieldType::of_describe(field.kind.name())),
                filterable: field.filterable,
                calculated: field.is_calculated()
                    || self
                        .calculated
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .contains(&(object.to_owned(), field.name.to_owned())),
                reference_to: field
                    .reference
                    .iter()
                    .map(|(target, _)| (*target).to_owned())
                    .collect(),
                values: values.remove(field.name).unwrap_or_default(),
                relationship: field.reference.map(|(_, name)| name.to_owned()),
            })
            .collect())
    }

    async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        self.asked().await?;
        Ok(*self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    fn api_calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn create_bulk_query(&self, soql: &str) -> Result<BulkQueryId, SourceError> {
        self.asked().await?;
        self.refuse_unseen(soql)?;
        let id = self.bulk.create(soql)?;
        self.on_the_way().await?;
        Ok(id)
    }

    async fn bulk_query(&self, id: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        self.asked().await?;
        let query = self.bulk.state(id)?;
        self.on_the_way().await?;
        Ok(query)
    }

    async fn bulk_results(
        &self,
        id: &BulkQueryId,
        columns: &[String],
        locator: Option<&str>,
        max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        self.asked().await?;
        let page = self.bulk.results(id, columns, locator, max_rows)?;
        self.on_the_way().await?;
        Ok(Box::new(page))
    }

    async fn remove_bulk_query(&self, id: &BulkQueryId) -> Result<(), SourceError> {
        self.asked().await?;
        self.bulk.remove(id);
        self.on_the_way().await
    }

    async fn subscribe(
        &self,
        _topic: &str,
        from: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError> {
        self.asked().await?;
        let after = match from {
            StreamStart::Latest => Some(self.log.latest_replay_id()),
            StreamStart::Earliest => None,
            StreamStart::After(position) => Some(position.0),
        };
        self.log
            .events_after(after.as_deref(), 1)
            .map_err(|error| SourceError::PositionRejected(error.to_string()))?;
        self.chance.note(format!(
            "subscribed after {:?}",
            after.as_ref().map(|after| ReplayId(after.clone()))
        ));
        Ok(Box::new(SimStream {
            source: self.clone(),
            after,
        }))
    }
}

struct SimStream {
    source: SimSource,
    after: Option<Vec<u8>>,
}

#[async_trait]
impl EventStream for SimStream {
    async fn next(&mut self) -> Result<StreamBatch, SourceError> {
        let chance = Arc::clone(&self.source.chance);
        let silent_since = tokio::time::Instant::now();
        let keep_alive = self.source.silence();
        loop {
            chance.delay(100).await;
            if chance.fault(|rates| rates.stream_drop) {
                chance.note("the stream breaks off");
                return Err(SourceError::Unreachable("simulated".to_owned()));
            }
            let most = 1 + chance.below(40);
            let events = self
                .source
                .log
                .events_after(self.after.as_deref(), most)
                .map_err(|error| SourceError::Unreachable(error.to_string()))?;
            let latest = self.source.log.latest_replay_id();
            if events.is_empty() {
                if silent_since.elapsed() >= keep_alive {
                    self.after = Some(latest.clone());
                    return Ok(StreamBatch {
                        events: Vec::new(),
                        latest: ReplayId(latest),
                    });
                }
                continue;
            }
            self.after = events.last().map(|event| event.replay_id.clone());
            return Ok(StreamBatch {
                events: events.iter().map(|event| self.event(event)).collect(),
                latest: ReplayId(latest),
            });
        }
    }
}

impl SimStream {
    fn event(&self, stored: &StoredEvent) -> StreamEvent {
        let replay = ReplayId(stored.replay_id.clone());
        let chance = &self.source.chance;
        if chance.fault(|rates| rates.undecodable) {
            chance.note(format!("event {replay:?} is made unreadable"));
            return StreamEvent {
                replay,
                body: Err(Undecodable {
                    schema_id: stored.schema_id.clone(),
                    reason: "simulated".to_owned(),
                    payload: stored.payload.clone(),
                }),
            };
        }
        let schema = self.source.schema(&stored.schema_id);
        let mut event = schema.decode(&stored.payload).unwrap();
        let behind = self.source.behind.lock();
        event.committed = event
            .committed
            .before(*behind.unwrap_or_else(PoisonError::into_inner));
        let event = self.with_less_detail(event);
        chance.note(format!(
            "event {replay:?} {:?} {} {:?} {:?}",
            event.change_type, event.entity, event.records, event.changed
        ));
        StreamEvent {
            replay,
            body: Ok(event),
        }
    }

    /// What Salesforce sends when it cannot describe a change.
    fn with_less_detail(&self, event: ChangeEvent) -> ChangeEvent {
        let chance = &self.source.chance;
        let gap = match event.change_type {
            ChangeType::Create => ChangeType::GapCreate,
            ChangeType::Update => ChangeType::GapUpdate,
            ChangeType::Delete => ChangeType::GapDelete,
            ChangeType::Undelete => ChangeType::GapUndelete,
            other @ (ChangeType::GapCreate
            | ChangeType::GapUpdate
            | ChangeType::GapDelete
            | ChangeType::GapUndelete
            | ChangeType::GapOverflow
            | ChangeType::Snapshot) => other,
        };
        let bare = ChangeEvent {
            changed: BTreeSet::new(),
            nulled: BTreeSet::new(),
            ..event.clone()
        };
        if chance.fault(|rates| rates.event_as_all) {
            ChangeEvent {
                change_type: ChangeType::GapOverflow,
                records: EventRecords::All,
                ..bare
            }
        } else if chance.fault(|rates| rates.event_as_gap) {
            ChangeEvent {
                change_type: gap,
                ..bare
            }
        } else {
            event
        }
    }
}
