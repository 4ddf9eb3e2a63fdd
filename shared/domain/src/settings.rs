//! The settings document and its revisions.

mod diff;
mod merge;

use serde::{Deserialize, Serialize};

use crate::allowance::ApiShare;
use crate::filter::{
    BlankRule, CompiledFilter, DependsOn, FieldTypes, Filter, FilterFault, Meaning, ZoneOf,
};
use crate::frequency::Frequency;
use crate::id::SalesforceId;
use crate::mapping::Mapping;
use crate::org::OrgProfile;
use crate::time::Timestamp;

pub use diff::{Change, Rows, diff, label_of};
pub use merge::merge;

/// The author of revisions that mosync saves by itself: the first contact with an org.
pub const MOSYNC: &str = "mosync";

/// What an administrator decides (mOS Settings).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// mOS Admin Email Notification: who receives every notification of the integration.
    pub admin_emails: Vec<String>,
    /// Disable mOS Sync: nothing is sent to mOS.
    pub disabled: bool,
    /// Run In Sandbox: without it, nothing is sent while the connected org is a sandbox.
    pub run_in_sandbox: bool,
    /// Sync closed opportunities too.
    pub sync_closed: bool,
    /// How often changes are taken from Salesforce.
    pub frequency: Frequency,
    /// What mosync may take of the org's API allowance.
    pub api_share: ApiShare,
    /// The opportunity filter: at most 10 conditions; none matches everything.
    pub filter: Filter,
    /// Whether a blank field satisfies the filter's negations.
    pub blanks: BlankRule,
    /// Whose zone and week the filter's dates are in.
    pub zone: ZoneOf,
    /// Which Salesforce field fills which field in mOS, where that is not the standard one.
    pub mapping: Mapping,
    /// The org that these settings are for: while another one is connected, nothing runs. Absent
    /// until the first contact, at which mosync writes it down by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<SalesforceId>,
}

impl Settings {
    /// Whether a change from `self` to `other` changes what qualifies or what is written of it.
    #[must_use]
    pub fn rules_differ(&self, other: &Self) -> bool {
        self.sync_closed != other.sync_closed
            || self.filter != other.filter
            || self.blanks != other.blanks
            || self.zone != other.zone
            || self.mapping != other.mapping
    }

    /// What the filter is read with.
    #[must_use]
    pub const fn meaning<'o>(&self, org: &'o OrgProfile) -> Meaning<'o> {
        Meaning {
            org,
            zone: self.zone,
            blanks: self.blanks,
        }
    }

    /// The filter, checked and ready to judge rows.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile_filter(
        &self,
        types: &FieldTypes,
        org: &OrgProfile,
    ) -> Result<CompiledFilter, Vec<FilterFault>> {
        self.filter.compile(types, self.meaning(org))
    }

    /// Whether the filter can be saved at `at`.
    ///
    /// # Errors
    /// Everything that is wrong with it, and date literals that have no range at `at`.
    pub fn check_filter(
        &self,
        types: &FieldTypes,
        org: &OrgProfile,
        at: Timestamp,
    ) -> Result<(), Vec<FilterFault>> {
        let undefined = self.compile_filter(types, org)?.undefined(at);
        if undefined.is_empty() {
            Ok(())
        } else {
            Err(undefined)
        }
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
    /// The org's calendars and currencies at the time of saving.
    #[serde(default)]
    pub org: OrgProfile,
}

impl SettingsRevision {
    /// Whether a person saved it, and not mosync by itself.
    #[must_use]
    pub fn is_by_person(&self) -> bool {
        self.revision > 0 && self.author != MOSYNC
    }

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
            org: OrgProfile::default(),
        }
    }

    /// The revision that a save by `author` makes of this one. The rules move when the settings, the
    /// types of the filtered fields or the org's profile differ in what the filter depends on.
    #[must_use]
    pub fn next(
        &self,
        settings: Settings,
        field_types: FieldTypes,
        org: OrgProfile,
        author: &str,
        saved: Timestamp,
    ) -> Self {
        let mut next = Self {
            revision: self.revision + 1,
            rule_revision: self.rule_revision,
            saved,
            author: author.to_owned(),
            settings,
            field_types,
            org,
        };
        next.rule_revision += u64::from(self.rules_differ(&next));
        next
    }

    /// Whether another revision means something else by its rules.
    #[must_use]
    pub fn rules_differ(&self, other: &Self) -> bool {
        self.settings.rules_differ(&other.settings)
            || self.filtered_types() != other.filtered_types()
            || self.depends_on() != other.depends_on()
    }

    fn filtered_types(&self) -> FieldTypes {
        let fields = self.settings.filter.fields();
        let mut types = self.field_types.clone();
        types.retain(|field, _| fields.contains(field));
        types
    }

    fn depends_on(&self) -> DependsOn<'_> {
        let meaning = self.settings.meaning(&self.org);
        self.settings.filter.depends_on(&self.field_types, meaning)
    }
}
