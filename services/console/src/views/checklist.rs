//! What has to be set up before the first sync, and how it stands.

use serde::{Deserialize, Serialize};

/// The checklist, in the order in which one goes through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistView {
    /// The items.
    pub items: Vec<ChecklistItem>,
}

/// One thing to set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// Its name for programs, such as `org` or `change_capture.Account`.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// How it stands.
    pub state: ChecklistState,
    /// What that is known by, or why it is not known.
    pub evidence: String,
    /// What to do; absent where nothing is to do.
    pub fix: Option<String>,
}

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecklistState {
    /// There is evidence that it is done.
    Done,
    /// There is evidence that it is not.
    ToDo,
    /// It cannot be checked, or not now.
    Unknown,
}
