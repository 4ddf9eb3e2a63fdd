//! The queue port on `RabbitMQ` 3.10 to 4.x.
//!
//! Reconnecting is starting again: whatever goes wrong on a link ends its [`session`], everything
//! that hangs on it answers [`ports::queue::LinkLost`], and the next call builds a new one. The
//! topology is one table in [`topology`]; workers only check that it was applied.

mod consumer;
mod dead;
mod envelope;
mod queue;
mod session;
pub mod topology;

pub use queue::Amqp;
pub use session::ConnectError;
