//! Settings, as they are asked for and saved.

use domain::Timestamp;
use domain::settings::{Change, Settings, SettingsRevision};
use serde::{Deserialize, Serialize};

use crate::document::Document;

/// A revision of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsView {
    /// Its number; 0 before the first save.
    pub revision: u64,
    /// Moves with every save that changes what is synced.
    pub rule_revision: u64,
    /// When it was saved; absent before the first save.
    pub saved: Option<Timestamp>,
    /// Who saved it.
    pub author: String,
    /// The document.
    pub settings: Settings,
}

impl From<SettingsRevision> for SettingsView {
    fn from(revision: SettingsRevision) -> Self {
        Self {
            revision: revision.revision,
            rule_revision: revision.rule_revision,
            saved: (revision.revision > 0).then_some(revision.saved),
            author: revision.author,
            settings: revision.settings,
        }
    }
}

/// A save of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastSave {
    /// The revision that it made.
    pub revision: u64,
    /// Moves with every save that changes what is synced.
    pub rule_revision: u64,
    /// When.
    pub saved: Timestamp,
    /// Who.
    pub author: String,
    /// What it changed in the revision before, as far as that one is kept.
    pub changes: Vec<Change>,
}

/// Saves, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsHistory {
    /// Them.
    pub revisions: Vec<PastSave>,
    /// `before` of the next page; absent on the last.
    pub next: Option<u64>,
}

/// What two revisions differ in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsDiff {
    /// The older side.
    pub from: u64,
    /// The newer side.
    pub to: u64,
    /// The differences; none when there is none.
    pub changes: Vec<Change>,
}

/// Settings to be saved, or looked at before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveSettings {
    /// The revision that the document was made from.
    pub base: Option<u64>,
    /// The whole document; what it leaves out is as it comes, but `org`, which stays.
    pub settings: Option<Document>,
}

/// An older revision to be saved as a new one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RevertSettings {
    /// The older revision.
    pub to: Option<u64>,
    /// The revision that is in force, as the caller has seen it.
    pub base: Option<u64>,
    /// Only say what it would change.
    pub dry_run: bool,
}

/// The field mapping of the org's custom metadata, to be saved, or looked at before.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportMapping {
    /// API name of the custom metadata type; that of the mOS package when left out.
    pub metadata_type: Option<String>,
    /// The revision that is in force, as the caller has seen it.
    pub base: Option<u64>,
    /// Only say what it would change.
    pub dry_run: bool,
}

/// What has become of a field mapping that was taken from the org's custom metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedView {
    /// API name of the custom metadata type that was read.
    pub metadata_type: String,
    /// How many records it has.
    pub records: u64,
    /// What is to be known of some of them, each by its name: those that are not active.
    pub remarks: Vec<String>,
    /// The save.
    pub outcome: SavedView,
}

/// The org to serve from now on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmOrg {
    /// Its id, `00D...`.
    pub org: Option<String>,
}

/// What has become of a save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedView {
    /// Whether a new revision was made; not when nothing differs, nor when it was only asked what
    /// would.
    pub saved: bool,
    /// The revision in force now.
    pub revision: u64,
    /// What the save changes.
    pub changes: Vec<Change>,
    /// What is to be known of what it newly names, such as that a formula changes without an event.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The job that brings what is newly let in.
    pub job: Option<String>,
}

impl SavedView {
    /// Nothing was saved: nothing differs, or it was only asked what would.
    pub(crate) const fn unsaved(revision: u64, changes: Vec<Change>) -> Self {
        Self {
            saved: false,
            revision,
            changes,
            warnings: Vec::new(),
            job: None,
        }
    }
}

/// What a document would change, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationView {
    /// The revision that it was compared with.
    pub base: u64,
    /// What is wrong; a document without faults can be saved.
    pub faults: Vec<FaultView>,
    /// What it would change, as far as it can be read.
    pub changes: Vec<Change>,
    /// What is to be known of what it newly names; only for a document without faults.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultView {
    /// Where, such as `filter.conditions[2]`, rows counted from 1; empty for the whole.
    pub at: String,
    /// What is wrong and what to do, for a person.
    pub message: String,
}

/// Two administrators saved from the same revision: what each changed, for the second to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsConflict {
    /// The revision that both began with.
    pub base: u64,
    /// What is in force meanwhile.
    pub current: SettingsView,
    /// What was saved meanwhile, against the base.
    pub theirs: Vec<Change>,
    /// What the refused save changes, against the base.
    pub yours: Vec<Change>,
    /// Both together, to be saved on the revision in force; absent when both changed the same.
    pub merged: Option<Settings>,
    /// The settings that both changed, each to something else.
    pub both: Vec<String>,
}

impl SettingsConflict {
    /// The conflict as a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let words = |changes: &[Change]| {
            let words = changes
                .iter()
                .map(|change| format!("\n    {}", change.words));
            words.collect::<String>()
        };
        let choice = if self.merged.is_some() {
            "both can be put together: save the merged document on the revision in force, or yours to undo theirs"
                .to_owned()
        } else {
            format!(
                "both changed {}: look at their change, then save yours again on the revision in force",
                self.both.join(", ")
            )
        };
        format!(
            "somebody else ({}) saved revision {} since revision {}, from which your change was made; nothing was changed\n  theirs:{}\n  yours:{}\n  {choice}",
            self.current.author,
            self.current.revision,
            self.base,
            words(&self.theirs),
            words(&self.yours),
        )
    }
}
