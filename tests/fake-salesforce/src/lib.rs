//! A stand-in for a Salesforce org, faithful on the wire.
//!
//! An [`org::Org`] holds the records; every write is one transaction and becomes a
//! [`commit::Commit`] in its ledger. The HTTP doors and the Pub/Sub server read and write that org.
//! Everything that can be seen from outside follows Salesforce's documented behaviour; this crate
//! shares no code with the client it tests but the generated protobuf types.
pub mod commit;
pub mod dml;
pub mod error;
pub mod faults;
pub mod id;
pub mod org;
pub mod pubsub;
pub mod record;
pub mod schema;
mod table;
mod time;
pub mod tokens;
