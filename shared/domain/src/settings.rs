//! The settings document and its revisions.

use serde::{Deserialize, Serialize};

use crate::filter::{FieldTypes, Filter};
use crate::mapping::Mapping;
use crate::time::Timestamp;

/// What an administrator decides (mOS Settings).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Disable mOS Sync: nothing is sent to mOS.
    pub disabled: bool,
    /// Run In Sandbox: without it, nothing is sent while the connected org is a sandbox.
    pub run_in_sandbox: bool,
    /// Sync closed opportunities too.
    pub sync_closed: bool,
    /// The opportunity filter: at most 10 conditions; none matches everything.
    pub filter: Filter,
    /// Which Salesforce field fills which field in mOS; not written where it is the standard one.
    #[serde(skip_serializing_if = "Mapping::is_standard")]
    pub mapping: Mapping,
}

impl Settings {
    /// Whether a change from `self` to `other` changes what qualifies or what is written of it.
    #[must_use]
    pub fn rules_differ(&self, other: &Self) -> bool {
        self.sync_closed != other.sync_closed
            || self.filter != other.filter
            || self.mapping != other.mapping
    }
}

/// Settings as they were saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsRevision {
    /// 0 before the first save; never repeats.
    pub revision: u64,
    /// Moves with every save that changes what qualifies or what is written of it.
    pub rule_revision: u64,
    /// When it was saved.
    pub saved: Timestamp,
    /// Who saved it.
    pub author: String,
    /// The document.
    pub settings: Settings,
    /// The types of the filtered fields, from describe at the time of saving.
    pub field_types: FieldTypes,
}

impl SettingsRevision {
    /// What is in force before anything was saved: no filter, open opportunities only.
    #[must_use]
    pub fn initial() -> Self {
        Self {
            revision: 0,
            rule_revision: 0,
            saved: Timestamp::default(),
            author: "default".to_owned(),
            settings: Settings::default(),
            field_types: FieldTypes::new(),
        }
    }

    /// The revision that a save by `author` makes of this one.
    #[must_use]
    pub fn next(
        &self,
        settings: Settings,
        field_types: FieldTypes,
        author: &str,
        saved: Timestamp,
    ) -> Self {
        let rules_moved = self.settings.rules_differ(&settings);
        Self {
            revision: self.revision + 1,
            rule_revision: self.rule_revision + u64::from(rules_moved),
            saved,
            author: author.to_owned(),
            settings,
            field_types,
        }
    }
}
