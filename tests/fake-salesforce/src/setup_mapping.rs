//! The custom metadata type "mOS field mapping", which the mOS package brings along, and its records.
//! Records of custom metadata come with a deployment: no API writes them, and nobody is told of it.
use serde::Deserialize;

use crate::commit::Row;
use crate::error::ApiError;
use crate::org::Org;
use crate::record::{Cell, Record};
use crate::transaction::{Transaction, row};

/// A record of the type.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldMapping {
    /// Its name; deploying one of a name that is there already changes it.
    pub developer_name: String,
    /// API name of an object.
    #[serde(default)]
    pub object: String,
    /// Name of a field in mOS.
    #[serde(default)]
    pub mos_field: String,
    /// API name of a field of the object.
    #[serde(default)]
    pub salesforce_field: String,
    /// Only active ones are synced.
    pub is_active: bool,
    /// What a contract term counts.
    #[serde(default)]
    pub contract_term_type: String,
}

const TYPE: &str = "mOS_Field_Mapping__mdt";

impl FieldMapping {
    fn fields(&self) -> [(&'static str, String); 5] {
        [
            ("Object__c", self.object.clone()),
            ("mOS_Field__c", self.mos_field.clone()),
            ("Salesforce_Field__c", self.salesforce_field.clone()),
            ("Is_Active__c", self.is_active.to_string()),
            ("ContractTermType__c", self.contract_term_type.clone()),
        ]
    }

    fn row(&self) -> Row {
        let name = &self.developer_name;
        let mut all = row([
            ("DeveloperName", name.clone()),
            ("MasterLabel", name.replace('_', " ")),
            ("Label", name.replace('_', " ")),
            ("QualifiedApiName", name.clone()),
        ]);
        all.extend(row(self.fields()));
        all
    }

    fn cells(&self) -> Vec<(&'static str, Cell)> {
        let fields = self.fields().into_iter();
        fields
            .map(|(name, text)| {
                let cell = match (name, text.as_str()) {
                    ("Is_Active__c", _) => Cell::from(self.is_active),
                    (_, "") => Cell::Null,
                    (_, text) => Cell::from(text),
                };
                (name, cell)
            })
            .collect()
    }
}

impl Org {
    /// Deploys records of the type; the first time, the type with them.
    ///
    /// # Errors
    /// A value that does not fit.
    pub fn deploy_field_mapping(&self, wanted: &[FieldMapping]) -> Result<(), ApiError> {
        if self.entity(TYPE).is_none() {
            self.turn_on(TYPE)?;
        }
        let mut writer = self.writer();
        let at = self.now_micros();
        let entity = self
            .entity(TYPE)
            .ok_or_else(|| ApiError::new("INVALID_TYPE", TYPE))?;
        let known: Vec<Record> = {
            let state = self.state();
            let table = state.table(TYPE);
            table
                .into_iter()
                .flat_map(|table| table.all().cloned())
                .collect()
        };
        let written = {
            let state = self.state();
            let mut transaction = Transaction::trusted(&state, &mut writer, self.admin_id(), at);
            for record in wanted {
                let named = |known: &&Record| {
                    known.text("DeveloperName") == Some(record.developer_name.as_str())
                };
                match known.iter().find(named) {
                    Some(before) => transaction.set_fields(before, &record.cells()),
                    None => {
                        transaction.insert(entity, &record.row())?;
                    }
                }
            }
            transaction.finish()
        };
        self.commit(&mut writer, at, self.admin_id(), "", written);
        Ok(())
    }
}
