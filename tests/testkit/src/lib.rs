//! Real servers as child processes, a proxy that breaks links, one that encrypts them, and a mail
//! server that can be told to misbehave. What is missing on the machine is a panic that says what to
//! install, never a test that silently does nothing.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test tool: it panics where a test would, and waits for real processes in real time"
)]

pub mod mail;
pub mod process;
pub mod proxy;
pub mod rabbit;
pub mod redis;
pub mod tls;

pub use mail::MailServer;
pub use proxy::TcpProxy;
pub use rabbit::Rabbit;
pub use redis::Redis;
pub use tls::TlsFront;

/// The Debian packages that are missing for [`Rabbit::start`] and [`Redis::start`].
#[must_use]
pub fn missing_packages() -> Vec<&'static str> {
    let redis = std::process::Command::new("redis-server")
        .arg("--version")
        .output();
    let missing = [
        ("rabbitmq-server", !rabbit::is_installed()),
        ("redis-server", redis.is_err()),
    ];
    let missing = missing.into_iter().filter(|(_, missing)| *missing);
    missing.map(|(package, _)| package).collect()
}
