//! End to end: the real executable in processes of its own, a real `RabbitMQ` and Redis, stand-ins
//! for Salesforce and mOS over real sockets. The oracle judges, once, whenever mosync itself says
//! that it is at rest.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "harness and tests panic where a test would"
)]

// Who changes the org all the time is the demo's.
#[path = "../../src/demo/author.rs"]
mod author;
mod bad_input;
mod chance;
mod cli;
mod clock;
mod demo;
mod disabled;
mod embedded;
mod judge;
mod kills;
mod load;
mod mapping;
mod mos_faults;
mod notify;
mod operators;
mod people;
mod scripts;
mod servers;
mod settings;
// The steps that people take in an org are the simulation's.
#[path = "../../../../tests/simulation/src/steps.rs"]
mod steps;
mod users;
mod world;
