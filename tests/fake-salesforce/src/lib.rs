//! A stand-in for a Salesforce org, faithful on the wire.
//!
//! An [`org::Org`] holds the records; every write is one transaction and becomes a
//! [`commit::Commit`] in its ledger. The HTTP doors and the Pub/Sub server read and write that org.
//! Everything that can be seen from outside follows Salesforce's documented behaviour; this crate
//! shares no code with the client it tests but the generated protobuf types.
#![recursion_limit = "256"]

pub mod bulk;
pub mod commit;
mod derive;
mod describe;
pub mod dml;
pub mod error;
pub mod faults;
mod generate;
mod http;
pub mod id;
pub mod ledger;
pub mod load;
pub mod org;
mod person;
pub mod pubsub;
pub mod record;
pub mod schema;
pub mod server;
pub mod setup;
pub mod setup_fields;
pub mod setup_mapping;
pub mod setup_org;
mod sharing;
mod soap;
mod soql;
mod sorted;
mod table;
mod time;
pub mod tokens;
mod transaction;
mod value;
