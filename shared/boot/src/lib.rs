//! The composition root: configuration in, running services out. The only crate that knows
//! adapters, and the only one that services do not.

mod adapters;
mod notifications;
mod operators;
mod services;

pub use adapters::{Adapters, BootError, apply_topology, salesforce, target};
pub use operators::{Reach, start_console};
pub use services::{Service, count_calls, start};
// The views and the client of the API, which the commands use as they are.
pub use ::console;
// A pure function of the adapter that a command offers as it is.
pub use ::salesforce::decode_event;
