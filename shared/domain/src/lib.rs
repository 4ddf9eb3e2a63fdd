//! What mosync is about, as pure functions and plain values. Nothing here reads a clock, a socket
//! or a file; every worker, command and test that decides something decides it with these.

pub mod allowance;
pub mod change;
pub mod error_group;
pub mod failure;
pub mod filter;
pub mod frequency;
pub mod hex;
pub mod id;
pub mod job;
pub mod load_soql;
pub mod mapping;
pub mod notification;
pub mod object;
pub mod org;
pub mod parked;
pub mod permission;
pub mod right;
pub mod row;
pub mod rule;
pub mod settings;
pub mod soql;
pub mod tally;
pub mod ticket;
pub mod time;
pub mod unit;

pub use id::SalesforceId;
pub use object::ObjectKind;
pub use row::Row;
pub use ticket::{Ticket, Version};
pub use time::Timestamp;
