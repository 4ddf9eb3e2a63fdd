//! Notifications on their way out: real conversations with a mail server, real requests, real files.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of these tests are not marked as tests"
)]

mod hook;
mod letters;
mod mails;

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::notification::{Event, Matter, Notice, Notification, notice_id};
use notify::{Config, Notify, Smtp, Tls};
use ports::Clock;
use ports::courier::Courier;
use testkit::MailServer;
use testkit::mail::CERTIFICATE;

/// Seconds since 1970.
const NOW: i64 = 1_790_000_000;

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(NOW * 1_000_000)
    }
}

fn notice(matter: Matter, event: Event) -> Notice {
    Notice {
        id: notice_id("a test", &format!("{} {}", matter.name(), event.name())),
        incident: notice_id("a test", matter.name()),
        matter,
        event,
        at: Stopped.now(),
        object: "Contact".to_owned(),
        count: 812,
        cause: "a text is longer than mOS takes".to_owned(),
        advice: "Shorten the field named in the message in Salesforce, then retry.".to_owned(),
        page: "/parked".to_owned(),
        details: vec!["812 at load: value_too_long".to_owned()],
        lasted_s: None,
    }
}

fn config() -> Config {
    Config {
        from: "mosync@acme.example".to_owned(),
        public_url: Some("https://mosync.acme.example/".parse().unwrap()),
        smtp: None,
        folder: None,
        webhook: None,
        timeout: Duration::from_secs(20),
    }
}

fn courier(config: Config) -> Notify {
    Notify::new(config, Arc::new(Stopped)).unwrap()
}

fn by(server: &MailServer, tls: Tls) -> Config {
    let host = match tls {
        Tls::Off => "127.0.0.1",
        Tls::StartTls | Tls::Implicit => "localhost",
    };
    Config {
        smtp: Some(Smtp {
            host: host.to_owned(),
            port: server.port(),
            tls,
            ca: Some(CERTIFICATE.as_bytes().to_vec()),
            login: Some(("mosync".to_owned(), "pa55word".to_owned().into())),
        }),
        ..config()
    }
}

fn to(courier: &Notify, notice: Notice, addresses: &[&str]) -> Notification {
    let addresses = addresses.iter().map(|to| (*to).to_owned());
    Notification::new(notice, courier.ways(&addresses.collect::<Vec<_>>()))
}
