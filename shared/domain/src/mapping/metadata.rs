//! Records of the org's custom metadata type "mOS field mapping", read as rows of the mapping.
//!
//! People wrote them for people: an object or field of mOS may be spelled with blanks and capitals
//! (`Contract Term` for `contract_term`).

use super::contract::{self, Shape};
use super::term::ContractTermType;
use super::{MappingRow, is_field_path};
use crate::object::ObjectKind;

/// A record of the custom metadata type, as Salesforce has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetadataRow {
    /// `DeveloperName`, by which people find it.
    pub name: String,
    /// The object.
    pub object: Option<String>,
    /// The field in mOS.
    pub mos_field: Option<String>,
    /// The field's API name in Salesforce.
    pub salesforce_field: Option<String>,
    /// Only active ones are synced.
    pub active: bool,
    /// What a contract term counts; every record may have it, as the type has a default.
    pub contract_term_type: Option<String>,
}

/// Why a record of the custom metadata type is no row of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// A value that is needed is not there.
    #[error("leaves its {what} empty; fill it in")]
    Empty {
        /// Which.
        what: &'static str,
    },
    /// Not one of the five objects.
    #[error(
        "is of the object `{object}`; mosync knows User, Account, Contact, Opportunity and OpportunityContactRole"
    )]
    UnknownObject {
        /// As written.
        object: String,
    },
    /// Not in the contract.
    #[error("fills `{mos_field}`, but mOS has no such field of {object}; use one of {}", super::names(*.object))]
    UnknownMosField {
        /// Its object.
        object: ObjectKind,
        /// As written.
        mos_field: String,
    },
    /// Not a field's API name.
    #[error(
        "fills `{mos_field}` from `{salesforce_field}`, which cannot be a field; write its API name, such as Amount or ARR__c"
    )]
    NotAFieldName {
        /// The field to fill.
        mos_field: &'static str,
        /// As written.
        salesforce_field: String,
    },
    /// Not a unit of a contract term.
    #[error(
        "counts the contract term in `{written}`; write Monthly, Quarterly, Half Yearly or Yearly"
    )]
    UnknownTermType {
        /// As written.
        written: String,
    },
}

impl MetadataRow {
    /// The row of the mapping that it stands for.
    ///
    /// # Errors
    /// The first thing that is wrong with it; the sentence goes on from its name.
    pub fn row(&self) -> Result<MappingRow, MetadataFault> {
        let written = given(self.object.as_ref(), "object")?;
        let object = ObjectKind::ALL
            .into_iter()
            .find(|object| same(object.api_name(), written))
            .ok_or_else(|| MetadataFault::UnknownObject {
                object: written.to_owned(),
            })?;
        let written = given(self.mos_field.as_ref(), "mOS field")?;
        let field = contract::fields(object)
            .iter()
            .find(|field| same(field.name, written))
            .ok_or_else(|| MetadataFault::UnknownMosField {
                object,
                mos_field: written.to_owned(),
            })?;
        let salesforce_field = given(self.salesforce_field.as_ref(), "Salesforce field")?;
        if !is_field_path(salesforce_field) {
            return Err(MetadataFault::NotAFieldName {
                mos_field: field.name,
                salesforce_field: salesforce_field.to_owned(),
            });
        }
        // Of other fields it says nothing.
        let term_type = self.contract_term_type.as_deref().map(str::trim);
        let term_type =
            term_type.filter(|written| field.shape == Shape::Term && !written.is_empty());
        Ok(MappingRow {
            object,
            mos_field: field.name.to_owned(),
            salesforce_field: salesforce_field.to_owned(),
            active: self.active,
            contract_term_type: term_type.map(unit).transpose()?,
        })
    }
}

fn given<'a>(value: Option<&'a String>, what: &'static str) -> Result<&'a str, MetadataFault> {
    let value = value.map(|value| value.trim());
    let value = value.filter(|value| !value.is_empty());
    value.ok_or(MetadataFault::Empty { what })
}

fn unit(written: &str) -> Result<ContractTermType, MetadataFault> {
    let known = ContractTermType::ALL.into_iter();
    let mut known = known.filter(|unit| same(unit.name(), written));
    known.next().ok_or_else(|| MetadataFault::UnknownTermType {
        written: written.to_owned(),
    })
}

/// Whether two names are the same but for capitals and whatever is no letter or digit.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(object: &str, mos_field: &str, salesforce_field: &str, term: &str) -> MetadataRow {
        let text = |text: &str| Some(text.to_owned());
        MetadataRow {
            name: "A_row".to_owned(),
            object: text(object),
            mos_field: text(mos_field),
            salesforce_field: text(salesforce_field),
            active: true,
            contract_term_type: text(term),
        }
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        for (object, mos_field, wanted) in [
            ("Opportunity", "contract_term", "contract_term"),
            ("opportunity", "Contract Term", "contract_term"),
            ("Opportunity", "One-off Cost", "one_off_cost"),
            ("Opportunity", "ARR", "arr"),
            ("Opportunity Contact Role", "Is Primary", "is_primary"),
        ] {
            let row = record(object, mos_field, " Some__c ", "").row().unwrap();
            assert_eq!((row.mos_field.as_str(), row.active), (wanted, true));
            assert_eq!(row.salesforce_field, "Some__c");
        }
    }

    #[test]
    fn the_unit_counts_for_the_contract_term_alone() {
        for (written, unit) in [
            ("Monthly", Some(ContractTermType::Monthly)),
            ("Half Yearly", Some(ContractTermType::HalfYearly)),
            ("half-yearly", Some(ContractTermType::HalfYearly)),
            ("", None),
        ] {
            let row = record("Opportunity", "contract_term", "Term__c", written).row();
            assert_eq!(row.unwrap().contract_term_type, unit, "{written}");
        }
        // The type's default stands in every record.
        for written in ["Monthly", "Weekly"] {
            let row = record("Opportunity", "arr", "ARR__c", written).row();
            assert_eq!(row.unwrap().contract_term_type, None, "{written}");
        }
    }

    #[test]
    fn every_fault_is_a_sentence_that_goes_on_from_the_name() {
        for (record, words) in [
            (record(" ", "arr", "ARR__c", ""), "leaves its object empty"),
            (
                record("Opportunity", "", "ARR__c", ""),
                "leaves its mOS field empty",
            ),
            (
                record("Opportunity", "arr", "", ""),
                "leaves its Salesforce field empty",
            ),
            (record("Lead", "arr", "ARR__c", ""), "the object `Lead`"),
            (
                record("Account", "arr", "ARR__c", ""),
                "no such field of Account; use one of name",
            ),
            (
                record("Opportunity", "arr", "ARR c", ""),
                "which cannot be a field",
            ),
            (
                record("Opportunity", "contract_term", "T__c", "Weekly"),
                "`Weekly`; write Monthly",
            ),
        ] {
            let fault = record.row().unwrap_err().to_string();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
