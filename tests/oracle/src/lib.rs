//! The independent judge of the sync rule.
//!
//! It is given what happened in Salesforce ([`History`]), the settings ([`Settings`]), what mOS
//! holds ([`MosState`]) and every request mOS received ([`MosLedger`]), and says what is missing,
//! what is stale, what should never have been sent, and how long changes took. It knows the rule
//! from its description alone and shares no code with the product nor with the stand-in servers.
//!
//! The rule: an opportunity qualifies when it is not deleted, its owner is an active user who holds
//! one of the permission sets (directly or through a group, unexpired), the filter matches, and it
//! is open or "sync closed" is on. In scope are the qualifying opportunities, their owners,
//! accounts and contact roles, and the contacts on those roles.

mod calendar;
mod filter;
mod history;
mod judge;
mod ledger;
mod mapping;
mod number;
mod org;
mod reason;
mod settings;
mod timeline;

pub use calendar::midnight_after;
pub use history::{Change, ChangeKind, Commit, History, HistoryError};
pub use judge::{
    Audit, LatencySample, Mismatch, OutOfScope, audit, in_scope, last_words, latency, out_of_scope,
    percentile,
};
pub use ledger::{Kind, LedgerEntry, LedgerRecord, MosLedger, MosRecord, MosState, Outcome};
pub use mapping::{MappingRow, TermType};
pub use org::{Currencies, Fiscal, OrgProfile, Period};
pub use reason::{Reason, Reasons};
pub use settings::{
    Blanks, Condition, Filter, Operator, PermissionConfig, Settings, SettingsError, WhoseZone,
};
pub use timeline::{Epoch, RecordId, Span, Timeline};
