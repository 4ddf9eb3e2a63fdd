//! The field mapping of the org's custom metadata, taken over as a revision of the settings.

use std::collections::BTreeMap;

use domain::ObjectKind;
use domain::mapping::metadata::{MetadataRow, same};
use domain::mapping::{Mapping, MappingRow};
use domain::settings::diff;
use ports::source::{FieldDescription, SourceError};
use runtime::readback::for_each_row;

use crate::OpsError;
use crate::document::Parsed;
use crate::operations::{Author, Operations};
use crate::views::{FaultView, ImportMapping, ImportedView, SavedView};

/// The custom metadata type of the mOS package (label "mOS field mapping").
const PACKAGED: &str = "mOS_Field_Mapping__mdt";
/// No mapping needs more: the contract has fewer than a hundred fields.
const MOST_RECORDS: usize = 1_000;

/// A column of the type: how it is called, by API name or label.
struct Column {
    what: &'static str,
    names: &'static [&'static str],
}

const OBJECT: Column = Column {
    what: "object",
    names: &["Object"],
};
const MOS_FIELD: Column = Column {
    what: "mOS field",
    names: &["mOS Field"],
};
const SALESFORCE_FIELD: Column = Column {
    what: "Salesforce field",
    names: &["Salesforce Field", "Salesforce Field (API name)"],
};
const IS_ACTIVE: Column = Column {
    what: "is active",
    names: &["Is Active", "Active"],
};
const TERM_TYPE: Column = Column {
    what: "ContractTermType",
    names: &["ContractTermType"],
};

/// The field mapping of the org's custom metadata.
#[derive(Debug)]
pub(crate) struct OrgMapping {
    /// It, with what no record names as standard.
    pub(crate) mapping: Mapping,
    /// How many records there are.
    records: u64,
    /// What somebody should know of them.
    pub(crate) remarks: Vec<String>,
}

impl Operations {
    /// Saves the field mapping of the org's custom metadata in the place of the one in force; or
    /// only says what that would change. What its records do not name is mapped as standard.
    ///
    /// # Errors
    /// [`OpsError::NotFound`] where the org has no such type, [`OpsError::Refused`] with every
    /// record that is no row of a mapping or does not fit the org, by its name, and those of
    /// [`Self::save_settings`]. Nothing is changed then.
    pub async fn import_mapping(
        &self,
        asked: &ImportMapping,
        author: &Author,
    ) -> Result<ImportedView, OpsError> {
        let base = self.base_of(asked.base, asked.dry_run).await?;
        let metadata_type = asked.metadata_type.as_deref().unwrap_or(PACKAGED).trim();
        let OrgMapping {
            mapping,
            records,
            remarks,
        } = self
            .mapping_in(metadata_type, &base.settings.mapping)
            .await?;
        let mut settings = base.settings.clone();
        settings.mapping = mapping;
        let outcome = if asked.dry_run {
            SavedView::unsaved(base.revision, diff(&base.settings, &settings))
        } else {
            let parsed = Parsed {
                settings,
                faults: Vec::new(),
            };
            self.save_parsed(parsed, &base, author).await?
        };
        Ok(ImportedView {
            metadata_type: metadata_type.to_owned(),
            records,
            remarks,
            outcome,
        })
    }

    /// The field mapping in the custom metadata of the mOS package, to be looked at and saved.
    ///
    /// # Errors
    /// Those of [`Self::import_mapping`].
    pub(crate) async fn mapping_of_org(&self, current: &Mapping) -> Result<OrgMapping, OpsError> {
        self.mapping_in(PACKAGED, current).await
    }

    async fn mapping_in(
        &self,
        metadata_type: &str,
        current: &Mapping,
    ) -> Result<OrgMapping, OpsError> {
        let records = self.metadata(metadata_type).await?;
        let read = read(&records);
        if !read.faults.is_empty() {
            return Err(OpsError::Refused(read.faults));
        }
        let mapping = Mapping::new(read.rows.iter().map(|(_, row)| row.clone()).collect());
        let mapping = mapping.map_err(|faults| {
            // Each row alone was looked at; what is left would be news.
            let faults = faults
                .iter()
                .map(|fault| fault_at("mapping", fault.to_string()));
            OpsError::Refused(faults.collect())
        })?;
        if mapping != *current {
            let misfits = self.misfits(&mapping).await?;
            let faults = misfits
                .iter()
                .map(|misfit| match read.name_of(misfit.fills()) {
                    Some(name) => fault_at(name, format!("the record {name}: {misfit}")),
                    None => fault_at("mapping", misfit.to_string()),
                });
            let faults: Vec<FaultView> = faults.collect();
            if !faults.is_empty() {
                return Err(OpsError::Refused(faults));
            }
        }
        Ok(OrgMapping {
            mapping,
            records: u64::try_from(records.len()).unwrap_or(u64::MAX),
            remarks: read.remarks,
        })
    }

    /// The records of the type, in the order of their names.
    async fn metadata(&self, metadata_type: &str) -> Result<Vec<MetadataRow>, OpsError> {
        let letters = metadata_type.strip_suffix("__mdt").unwrap_or_default();
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if letters.is_empty() || !letters.chars().all(is_name) {
            return Err(OpsError::Invalid(format!(
                "`{metadata_type}` is no custom metadata type; its API name ends with __mdt"
            )));
        }
        let fields = match self.source.describe(metadata_type).await {
            Err(SourceError::Refused { code, .. })
                if code == "NOT_FOUND" || code == "INVALID_TYPE" =>
            {
                return Err(OpsError::NotFound(format!(
                    "the org has no custom metadata type {metadata_type} that the integration user can see; install the mOS package, give the user access to the type, or name another one"
                )));
            }
            described => described?,
        };
        let columns = [
            &OBJECT,
            &MOS_FIELD,
            &SALESFORCE_FIELD,
            &IS_ACTIVE,
            &TERM_TYPE,
        ];
        let found = columns.map(|column| found(column, &fields));
        let missing: Vec<&str> = columns
            .iter()
            .zip(&found)
            .filter(|(column, found)| found.is_none() && column.what != TERM_TYPE.what)
            .map(|(column, _)| column.what)
            .collect();
        if !missing.is_empty() {
            return Err(OpsError::Conflict(format!(
                "the custom metadata type {metadata_type} has no field for: {}; the integration user must be able to see them, or it is another type",
                missing.join(", ")
            )));
        }
        let select: Vec<&str> = found.iter().flatten().map(String::as_str).collect();
        let soql = format!(
            "SELECT DeveloperName, {} FROM {metadata_type} ORDER BY DeveloperName",
            select.join(", ")
        );
        let [object, mos_field, salesforce_field, active, term_type] = &found;
        let mut records = Vec::new();
        for_each_row(&*self.source, &soql, false, |row| {
            if let Ok(fields) = row.fields() {
                let text = |name: &Option<String>| fields.text(name.as_deref()?);
                records.push(MetadataRow {
                    name: fields.text("DeveloperName").unwrap_or_default(),
                    object: text(object),
                    mos_field: text(mos_field),
                    salesforce_field: text(salesforce_field),
                    active: active.as_ref().is_some_and(|name| fields.flag(name)),
                    contract_term_type: text(term_type),
                });
            }
            records.len() <= MOST_RECORDS
        })
        .await?;
        if records.len() > MOST_RECORDS {
            return Err(OpsError::Conflict(format!(
                "{metadata_type} has more than {MOST_RECORDS} records, so it is no field mapping; name another type"
            )));
        }
        Ok(records)
    }
}

/// The API name of a column, found by its own or its label, whatever namespace it has.
fn found(column: &Column, fields: &[FieldDescription]) -> Option<String> {
    let is_it = |name: &str| column.names.iter().any(|known| same(known, name));
    let custom = fields.iter().filter(|field| field.name.ends_with("__c"));
    let bare = |name: &str| {
        let name = name.strip_suffix("__c").unwrap_or(name);
        name.rsplit("__").next().unwrap_or(name).to_owned()
    };
    let by_name = custom.clone().find(|field| is_it(&bare(&field.name)));
    let by_label = || custom.clone().find(|field| is_it(&field.label));
    by_name.or_else(by_label).map(|field| field.name.clone())
}

/// Records as rows of a mapping.
#[derive(Debug, Default)]
struct Read {
    /// With the name of the record.
    rows: Vec<(String, MappingRow)>,
    faults: Vec<FaultView>,
    remarks: Vec<String>,
}

impl Read {
    /// The record that fills a field.
    fn name_of(&self, (object, mos_field): (ObjectKind, &str)) -> Option<&str> {
        let mut rows = self.rows.iter();
        let found =
            rows.find(|(_, row)| row.active && row.object == object && row.mos_field == mos_field);
        found.map(|(name, _)| name.as_str())
    }
}

fn read(records: &[MetadataRow]) -> Read {
    let mut read = Read::default();
    let mut fills: BTreeMap<(ObjectKind, String), &str> = BTreeMap::new();
    for record in records {
        let name = record.name.as_str();
        match record.row() {
            Ok(row) if !row.active => read.rows.push((name.to_owned(), row)),
            Ok(row) => {
                let key = (row.object, row.mos_field.clone());
                if let Some(other) = fills.insert(key, name) {
                    read.faults.push(fault_at(
                        name,
                        format!(
                            "the records {other} and {name} both fill `{}` of {}; deactivate one of them",
                            row.mos_field, row.object
                        ),
                    ));
                }
                read.rows.push((name.to_owned(), row));
            }
            Err(fault) if !record.active => read.remarks.push(format!(
                "the record {name} is not active and is left out: it {fault}"
            )),
            Err(fault) => {
                read.faults
                    .push(fault_at(name, format!("the record {name} {fault}")));
            }
        }
    }
    let Read { rows, remarks, .. } = &mut read;
    rows.retain(|(name, row)| {
        if row.active {
            return true;
        }
        let (object, mos_field) = (row.object, &row.mos_field);
        let filled_by = fills.get(&(object, mos_field.clone()));
        remarks.push(match filled_by {
            Some(other) => {
                format!("the record {name} is not active: {other} fills `{mos_field}` of {object}")
            }
            None => format!(
                "the record {name} is not active: `{mos_field}` of {object} stays in mOS as it is"
            ),
        });
        // One that is active stands for the field, whatever others are not.
        filled_by.is_none()
    });
    read
}

fn fault_at(at: &str, message: String) -> FaultView {
    FaultView {
        at: at.to_owned(),
        message,
    }
}
