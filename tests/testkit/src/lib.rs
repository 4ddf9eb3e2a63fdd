//! Real servers as child processes, and a proxy that breaks links. What is missing on the machine
//! is a panic that says what to install, never a test that silently does nothing.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test tool: it panics where a test would, and waits for real processes in real time"
)]

mod process;
pub mod proxy;
pub mod rabbit;
pub mod redis;

pub use proxy::TcpProxy;
pub use rabbit::Rabbit;
pub use redis::Redis;
