//! The Pub/Sub API's server: change events of the org's commits over gRPC.
//!
//! [`EventLog`] turns commits into events and keeps them for 72 hours; it can be read in process,
//! for a simulation, and is what [`serve`] delivers from.
pub mod avro;
pub mod bitmap;
mod event;
pub mod log;
pub mod schema;
mod server;
mod status;
mod subscription;
pub mod topic;

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod testing;

pub use log::{EventLog, InjectError, ReplayError, StoredEvent};
pub use server::{Timing, serve, serve_log};
