//! The composition root: configuration in, running services out. The only crate that knows
//! adapters, and the only one that services do not.

mod adapters;
mod services;
pub mod status;

pub use adapters::{Adapters, BootError, apply_topology, salesforce, target};
pub use services::{Service, start};
// A pure function of the adapter that a command offers as it is.
pub use ::salesforce::decode_event;
