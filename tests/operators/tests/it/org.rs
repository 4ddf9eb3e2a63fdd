//! The org that settings are compared with: what it is, which fields it has, whether it answers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use domain::filter::FieldType;
use domain::{ObjectKind, Row, SalesforceId};
use fake_salesforce::org::Org;
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription, Organization,
    Page, Source, SourceError, StreamStart,
};
use serde_json::value::RawValue;

use crate::salesforce::OrgSource;

pub(crate) const ORG: &str = "00D000000000001EAA";

pub(crate) struct DeskOrg {
    state: Mutex<State>,
    /// Its records.
    records: OrgSource,
}

#[derive(Debug)]
struct State {
    id: SalesforceId,
    fields: Vec<FieldDescription>,
    answers: bool,
    is_sandbox: bool,
}

impl DeskOrg {
    /// With the records of a stand-in org.
    pub(crate) fn over(records: Arc<Org>) -> Self {
        let field = |name: &str, field_type, filterable| FieldDescription {
            name: name.to_owned(),
            label: format!("The {name}"),
            field_type,
            filterable,
            calculated: false,
            reference_to: BTreeSet::new(),
            relationship: None,
        };
        let state = State {
            id: SalesforceId::parse(ORG).unwrap(),
            fields: vec![
                field("Amount", Some(FieldType::Currency), true),
                field("StageName", Some(FieldType::Picklist), true),
                field("Name", Some(FieldType::Text), true),
                field("CloseDate", Some(FieldType::Date), true),
                field("Description", Some(FieldType::Text), false),
                field("Site__c", None, true),
            ],
            answers: true,
            is_sandbox: false,
        };
        Self {
            state: Mutex::new(state),
            records: OrgSource(records),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on it answers, or does not.
    pub(crate) fn answers(&self, answers: bool) {
        self.state().answers = answers;
    }

    /// It was a sandbox all along.
    pub(crate) fn is_sandbox(&self) {
        self.state().is_sandbox = true;
    }

    /// The integration user sees this field no more.
    pub(crate) fn hides(&self, field: &str) {
        self.state().fields.retain(|known| known.name != field);
    }

    fn asked(&self) -> Result<MutexGuard<'_, State>, SourceError> {
        let state = self.state();
        if state.answers {
            Ok(state)
        } else {
            Err(not_here())
        }
    }
}

fn not_here() -> SourceError {
    SourceError::Unreachable("connection refused".to_owned())
}

#[async_trait]
impl Source for DeskOrg {
    async fn organization(&self) -> Result<Organization, SourceError> {
        let state = self.asked()?;
        Ok(Organization {
            id: state.id,
            name: "Acme".to_owned(),
            is_sandbox: state.is_sandbox,
            time_zone: "UTC".to_owned(),
        })
    }
    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError> {
        let fields = self.asked()?.fields.clone();
        if object == "Opportunity" {
            Ok(fields)
        } else {
            self.records.describe(object).await
        }
    }
    /// The org's calendar, as it comes with every filter: UTC, one currency.
    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        let id = self.asked()?.id;
        let row = if soql.contains("FROM Organization") {
            format!(
                r#"{{"Id":"{id}","IsSandbox":false,"TimeZoneSidKey":"UTC","DefaultLocaleSidKey":"en_US","FiscalYearStartMonth":1}}"#
            )
        } else if soql.contains("FROM User ") {
            r#"{"TimeZoneSidKey":"UTC","LocaleSidKey":"en_US"}"#.to_owned()
        } else {
            return self.records.query(soql, deleted).await;
        };
        let row = Row::new(RawValue::from_string(row).unwrap());
        Ok(Page {
            total: 1,
            rows: vec![row],
            next: None,
        })
    }
    async fn user(&self) -> Result<SalesforceId, SourceError> {
        let _answers = self.asked()?;
        Ok(SalesforceId::parse("005000000000001").unwrap())
    }
    fn api_calls(&self) -> u64 {
        0
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
        let _answers = self.asked()?;
        self.records.retrieve(object, ids, fields).await
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
