//! A stand-in org as the port, in process.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{ObjectKind, Row, SalesforceId};
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use ports::source::{
    ApiAllowance, BulkPage, BulkQuery, BulkQueryId, EventStream, FieldDescription, Organization,
    Page, Source, SourceError, StreamStart,
};
use serde_json::Value;

/// An org whose time is the desk's.
pub(crate) struct OrgSource(pub(crate) Arc<Org>);

/// Inserts a record, and answers its id.
pub(crate) fn insert(org: &Org, entity: &str, fields: &Value) -> String {
    let op = Dml::Insert {
        entity: entity.to_owned(),
        fields: fields.as_object().cloned().unwrap(),
    };
    let results = org.transact(org.admin_id(), "test", vec![op]).unwrap();
    results.into_iter().next().unwrap().id.unwrap()
}

/// Changes a record.
pub(crate) fn update(org: &Org, entity: &str, id: &str, fields: &Value) {
    let op = Dml::Update {
        entity: entity.to_owned(),
        id: id.to_owned(),
        fields: fields.as_object().cloned().unwrap(),
    };
    org.transact(org.admin_id(), "test", vec![op]).unwrap();
}

fn refused(error: fake_salesforce::error::ApiError) -> SourceError {
    SourceError::Refused {
        code: error.code.to_owned(),
        message: error.message,
    }
}

fn not_asked<T>() -> Result<T, SourceError> {
    Err(SourceError::Unreachable(
        "nobody asks for that here".to_owned(),
    ))
}

#[async_trait]
impl Source for OrgSource {
    async fn query(&self, soql: &str, deleted: bool) -> Result<Page, SourceError> {
        let rows = self.0.query(soql, deleted).map_err(refused)?;
        if soql.starts_with("SELECT COUNT() ") {
            return Ok(Page {
                total: rows[0]["expr0"].as_u64().unwrap(),
                rows: Vec::new(),
                next: None,
            });
        }
        Ok(Page {
            total: rows.len() as u64,
            rows: rows.iter().map(|row| Row::of(row).unwrap()).collect(),
            next: None,
        })
    }
    async fn retrieve(
        &self,
        object: ObjectKind,
        ids: &[SalesforceId],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, SourceError> {
        let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let rows = self.0.retrieve(object.api_name(), &ids, fields);
        let rows = rows.map_err(refused)?.into_iter();
        Ok(rows
            .map(|row| row.map(|row| Row::of(&row).unwrap()))
            .collect())
    }
    async fn organization(&self) -> Result<Organization, SourceError> {
        not_asked()
    }
    async fn next_page(&self, _: &str) -> Result<Page, SourceError> {
        not_asked()
    }
    /// By name alone.
    async fn describe(&self, object: &str) -> Result<Vec<FieldDescription>, SourceError> {
        let entity = self.0.entity(object).unwrap();
        let fields = entity.fields.iter();
        Ok(fields
            .filter(|field| !field.hidden && !field.removed)
            .map(|field| FieldDescription {
                name: field.name.to_owned(),
                label: field.name.to_owned(),
                field_type: None,
                filterable: false,
                calculated: false,
                reference_to: std::collections::BTreeSet::new(),
                relationship: None,
            })
            .collect())
    }
    async fn limits(&self) -> Result<ApiAllowance, SourceError> {
        not_asked()
    }
    async fn create_bulk_query(&self, _: &str) -> Result<BulkQueryId, SourceError> {
        not_asked()
    }
    async fn bulk_query(&self, _: &BulkQueryId) -> Result<BulkQuery, SourceError> {
        not_asked()
    }
    async fn bulk_results(
        &self,
        _: &BulkQueryId,
        _: &[String],
        _: Option<&str>,
        _: u32,
    ) -> Result<Box<dyn BulkPage>, SourceError> {
        not_asked()
    }
    async fn remove_bulk_query(&self, _: &BulkQueryId) -> Result<(), SourceError> {
        not_asked()
    }
    async fn subscribe(
        &self,
        _: &str,
        _: StreamStart,
    ) -> Result<Box<dyn EventStream>, SourceError> {
        not_asked()
    }
}
