//! What the API answers and takes, and what the commands print. Times are microseconds since
//! 1970-01-01T00:00:00Z.

mod access;
mod checklist;
mod dead;
mod explain;
mod fields;
mod jobs;
mod left;
mod logs;
mod notifications;
mod org;
mod parked;
mod preview;
mod settings;
mod status;
mod sync_all;
mod users;

pub use access::{MakeToken, NewTokenView, TokenList, TokenView};
pub use checklist::{ChecklistItem, ChecklistState, ChecklistView};
pub use dead::{DeadList, DeadOutcome, DeadView};
pub use explain::{
    ExplainCode, ExplainCondition, ExplainGate, ExplainMos, ExplainOpportunity, ExplainOwner,
    ExplainSeen, ExplainSettings, ExplainThrough, ExplainView, Found, ThroughOwner,
};
pub use fields::{FieldList, FieldView};
pub use jobs::{JobList, JobSearch, JobView, ObjectView, PauseView, Reason, SyncAllView};
pub use left::{LeftRecord, LeftView, LeftWhy};
pub use logs::{Format, LogLine, LogPageView, LogSearch};
pub use notifications::{
    DeliveryView, IncidentView, MailView, NotificationList, NotificationView, TestView, TriedView,
};
pub use org::OrgView;
pub use parked::{
    DismissalView, GroupSearch, GroupView, Groups, ParkedList, ParkedSearch, ParkedView, RecordId,
    Selection, Touched,
};
pub use preview::{
    CallsView, CostView, EffectView, PreviewView, PreviewedList, PreviewedSearch, PreviewedView,
    RateView,
};
pub use settings::{
    ConfirmOrg, FaultView, ImportMapping, ImportedView, PastSave, RevertSettings, SaveSettings,
    SavedView, SettingsConflict, SettingsDiff, SettingsHistory, SettingsView, ValidationView,
};
pub use status::{
    ApiView, ExpiryView, HourView, PollView, StageView, StatusView, StreamView, TroubleKind,
    TroubleView, UnreadableView, Verdict, WindowsView,
};
pub use sync_all::ExpectedSyncAll;
pub use users::{HolderView, OtherView, UserView, UsersView};

use serde::{Deserialize, Serialize};

/// What the API says instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorView {
    /// Why the request was not done.
    pub error: ErrorDetail,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs, such as `not_found`.
    pub code: String,
    /// For people: what happened, to what, and what to do next.
    pub message: String,
    /// Each thing that is wrong with a document that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultView>,
    /// What two saves differ in that were made from the same revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Box<SettingsConflict>>,
}
