//! The org behind the desk: what it is, which fields it has, whether it answers. Rows come from a
//! stand-in org.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use domain::filter::FieldType;
use domain::{ObjectKind, Row, SalesforceId};
use fake_salesforce::error::ApiError;
use fake_salesforce::org::Org;
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription, Organization,
    Page, Source, SourceError, StreamStart,
};
use serde_json::{Value, json};

pub(crate) const ORG: &str = "00D000000000001EAA";

#[derive(Debug)]
pub(crate) struct DeskOrg(Mutex<State>, Arc<Org>);

#[derive(Debug)]
struct State {
    id: SalesforceId,
    fields: Vec<FieldDescription>,
    answers: bool,
    is_sandbox: bool,
    /// Held: nobody is told yet what the org is, or which fields it has.
    held: Arc<tokio::sync::Mutex<()>>,
    time_zone: &'static str,
    hidden: BTreeSet<SalesforceId>,
    counts: bool,
    shows_opportunities: bool,
    asked: u64,
}

fn field(name: &str, field_type: Option<FieldType>, filterable: bool) -> FieldDescription {
    FieldDescription {
        name: name.to_owned(),
        label: format!("The {name}"),
        field_type,
        filterable,
        calculated: false,
        reference_to: BTreeSet::new(),
        values: BTreeSet::new(),
        relationship: None,
    }
}

impl DeskOrg {
    /// With the rows of this one.
    pub(crate) fn of(salesforce: Arc<Org>) -> Self {
        let state = State {
            id: SalesforceId::parse(ORG).unwrap(),
            fields: vec![
                field("Amount", Some(FieldType::Currency), true),
                FieldDescription {
                    values: ["Prospecting", "Closed Won"].map(str::to_owned).into(),
                    ..field("StageName", Some(FieldType::Picklist), true)
                },
                FieldDescription {
                    calculated: true,
                    ..field("Weighted__c", Some(FieldType::Currency), true)
                },
                field("Name", Some(FieldType::Text), true),
                field("CloseDate", Some(FieldType::Date), true),
                field("Description", Some(FieldType::Text), false),
                field("Site__c", None, true),
            ],
            answers: true,
            is_sandbox: false,
            held: Arc::default(),
            time_zone: "UTC",
            hidden: BTreeSet::new(),
            counts: true,
            shows_opportunities: true,
            asked: 0,
        };
        Self(Mutex::new(state), salesforce)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on it answers, or does not.
    pub(crate) fn answers(&self, answers: bool) {
        self.state().answers = answers;
    }

    /// From now on it has too much to count it in time.
    pub(crate) fn counts_no_more(&self) {
        self.state().counts = false;
    }

    /// The integration user may read no opportunity any more.
    pub(crate) fn refuses_opportunities(&self) {
        self.state().shows_opportunities = false;
    }

    /// It was a sandbox all along.
    pub(crate) fn is_sandbox(&self) {
        self.state().is_sandbox = true;
    }

    /// Whoever asks what it is, or which fields it has, waits until this is dropped.
    pub(crate) fn keeps_waiting(&self) -> tokio::sync::OwnedMutexGuard<()> {
        let held = Arc::clone(&self.state().held);
        held.try_lock_owned().unwrap()
    }

    /// It was in this zone all along; a profile that was stored before says otherwise.
    pub(crate) fn is_in(&self, time_zone: &'static str) {
        self.state().time_zone = time_zone;
    }

    /// The integration user sees this field no more.
    pub(crate) fn hides(&self, field: &str) {
        self.state().fields.retain(|known| known.name != field);
    }

    /// The integration user cannot read this record any more, while what refers to it is still
    /// there to be read: it was hidden between the two.
    pub(crate) fn hides_record(&self, id: SalesforceId) {
        self.state().hidden.insert(id);
    }

    /// It has one more field, with this label.
    pub(crate) fn has_labelled(&self, name: &str, label: &str) {
        let mut new = field(name, Some(FieldType::Text), true);
        label.clone_into(&mut new.label);
        self.state().fields.push(new);
    }

    /// From now on this field is a formula.
    pub(crate) fn calculates(&self, field: &str) {
        let mut state = self.state();
        let known = state.fields.iter_mut().find(|known| known.name == field);
        known.unwrap().calculated = true;
    }

    /// It sees the amount again.
    pub(crate) fn shows_amount(&self) {
        self.state()
            .fields
            .insert(0, field("Amount", Some(FieldType::Currency), true));
    }

    fn asked(&self) -> Result<MutexGuard<'_, State>, SourceError> {
        let mut state = self.state();
        state.asked += 1;
        if state.answers {
            Ok(state)
        } else {
            Err(not_here())
        }
    }

    /// The same, where it is asked for opportunities.
    fn asked_for_opportunities(&self) -> Result<MutexGuard<'_, State>, SourceError> {
        let state = self.asked()?;
        if state.shows_opportunities {
            return Ok(state);
        }
        Err(SourceError::Refused {
            code: "INVALID_TYPE".to_owned(),
            message: "sObject type Opportunity is not supported.".to_owned(),
        })
    }
}

fn refused(error: ApiError) -> SourceError {
    SourceError::Refused {
        code: error.code.to_owned(),
        message: error.message,
    }
}

/// What a `COUNT()` answers: no row, and how many there are.
const fn counted(total: u64) -> Page {
    Page {
        total,
        rows: Vec::new(),
        next: None,
    }
}

fn not_here() -> SourceError {
    SourceError::Unreachable("connection refused".to_owned())
}

#[async_trait]
impl Source for DeskOrg {
    async fn organization(&self) -> Result<Organization, SourceError> {
        let held = Arc::clone(&self.state().held);
        drop(held.lock().await);
        let state = self.asked()?;
        Ok(Organization {
            id: state.id,
            name: "Acme".to_owned(),
            is_sandbox: state.is_sandbox,
            time_zone: state.time_zone.to_owned(),
        })
    }
    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError> {
        let held = Arc::clone(&self.state().held);
        drop(held.lock().await);
        if object == "Opportunity" {
            return Ok(self.asked_for_opportunities()?.fields.clone());
        }
        drop(self.asked()?);
        let described = self
            .1
            .describe(object)
            .map_err(|_no_such| SourceError::Refused {
                code: "NOT_FOUND".to_owned(),
                message: "The requested resource does not exist".to_owned(),
            })?;
        let fields = described["fields"].as_array().unwrap().iter();
        Ok(fields
            .map(|field| FieldDescription {
                name: field["name"].as_str().unwrap().to_owned(),
                label: field["label"].as_str().unwrap().to_owned(),
                field_type: Some(FieldType::Text),
                filterable: true,
                calculated: false,
                reference_to: BTreeSet::new(),
                values: BTreeSet::new(),
                relationship: None,
            })
            .collect())
    }
    fn api_calls(&self) -> u64 {
        self.state().asked
    }
    async fn user(&self) -> Result<SalesforceId, SourceError> {
        let _answers = self.asked()?;
        Ok(crate::desk::record(ObjectKind::User, 1))
    }
    /// The org's own record and the user's; everything else is the stand-in org's.
    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        let (id, counts) = {
            let state = if soql.contains("FROM Opportunity") {
                self.asked_for_opportunities()?
            } else {
                self.asked()?
            };
            (state.id, state.counts)
        };
        let is_count = soql.starts_with("SELECT COUNT() ");
        if is_count && !counts {
            return Err(SourceError::Refused {
                code: "QUERY_TIMEOUT".to_owned(),
                message: "Your query request was running for too long.".to_owned(),
            });
        }
        let rows = if soql.contains("FROM Organization") {
            vec![
                json!({"Id": id, "IsSandbox": false, "TimeZoneSidKey": "UTC",
                "DefaultLocaleSidKey": "en_US", "FiscalYearStartMonth": 1}),
            ]
        } else if soql.contains("SELECT TimeZoneSidKey, LocaleSidKey FROM User ") {
            vec![json!({"TimeZoneSidKey": "UTC", "LocaleSidKey": "en_US"})]
        } else {
            let rows = self.1.query(soql, deleted).map_err(refused)?;
            if is_count {
                return Ok(counted(rows[0]["expr0"].as_u64().unwrap()));
            }
            rows.into_iter().map(Value::Object).collect()
        };
        Ok(Page {
            total: rows.len() as u64,
            rows: rows.iter().map(|row| Row::of(row).unwrap()).collect(),
            next: None,
        })
    }
    async fn next_page(&self, _locator: &str) -> Result<Page, SourceError> {
        Err(not_here())
    }
    async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        let hidden = if object == ObjectKind::Opportunity {
            self.asked_for_opportunities()?.hidden.clone()
        } else {
            self.asked()?.hidden.clone()
        };
        let names: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let rows = self.1.retrieve(object.api_name(), &names, fields);
        let rows = ids.iter().zip(rows.map_err(refused)?);
        let seen = rows.map(|(id, row)| row.filter(|_| !hidden.contains(id)));
        Ok(seen
            .map(|row| row.map(|row| Row::of(&row).unwrap()))
            .collect())
    }
    async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        Err(not_here())
    }
    async fn create_bulk_query(&self, _soql: &str) -> Result<BulkQueryId, SourceError> {
        Err(not_here())
    }
    async fn bulk_query(&self, _id: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        Err(not_here())
    }
    async fn bulk_results(
        &self,
        _id: &BulkQueryId,
        _columns: &[String],
        _locator: Option<&str>,
        _max_rows: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        Err(not_here())
    }
    async fn remove_bulk_query(&self, _id: &BulkQueryId) -> Result<(), SourceError> {
        Err(not_here())
    }
    async fn subscribe(
        &self,
        _topic: &str,
        _from: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError> {
        Err(not_here())
    }
}
