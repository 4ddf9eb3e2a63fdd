//! What an administrator and the org's allowance let the listener do at the moment. Whoever waits
//! for a time waits for a change of these as well, so that a save takes effect at once.

use std::time::Duration;

use domain::Timestamp;
use domain::allowance::ApiShare;
use domain::frequency::Frequency;
use domain::settings::Settings;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Active, in_words};

/// How often the settings are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Switches {
    pub(crate) frequency: Frequency,
    /// The org's zone, by its IANA name; daily windows keep to it.
    pub(crate) zone: String,
    pub(crate) api_share: ApiShare,
    /// Jobs wait for the org's allowance.
    pub(crate) bulk_held: Option<Held>,
    /// Stream and polls do too.
    pub(crate) live_held: Option<Held>,
}

/// Something that waits for the org's allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) why: String,
    pub(crate) until: Timestamp,
}

impl Switches {
    pub(crate) fn of(settings: &Settings, zone: &str) -> Self {
        let mut switches = Self {
            zone: zone.to_owned(),
            ..Self::default()
        };
        switches.take(settings);
        switches
    }

    fn take(&mut self, settings: &Settings) {
        self.frequency = settings.frequency;
        self.api_share = settings.api_share;
    }

    /// Whether the stream stays open.
    pub(crate) fn is_real_time(&self) -> bool {
        self.frequency == Frequency::RealTime && self.live_held.is_none()
    }

    /// Whether no window goes on: the stream stays open, or is not to be open at all.
    pub(crate) fn ends_windows(&self) -> bool {
        self.frequency == Frequency::RealTime || self.live_held.is_some()
    }
}

/// Keeps up with the settings; ends when they say that the listener must not work.
pub(crate) async fn follow(active: &Active) -> Result<(), String> {
    loop {
        let settings = active.listener.stores.settings.current().await;
        let settings = settings.map_err(in_words)?.settings;
        if settings.disabled || (active.is_sandbox && !settings.run_in_sandbox) {
            return Ok(());
        }
        active.switches.send_if_modified(|switches| {
            let before = switches.clone();
            switches.take(&settings);
            *switches != before
        });
        tokio::time::sleep(EVERY).await;
    }
}

/// The org is in this zone now.
pub(crate) fn move_to(active: &Active, zone: &str) {
    active.switches.send_if_modified(|switches| {
        let moved = switches.zone != zone;
        if moved {
            zone.clone_into(&mut switches.zone);
        }
        moved
    });
}

/// Waits until that moment, where there is one, or until something is switched.
pub(crate) async fn until(at: Option<Instant>, switches: &mut watch::Receiver<Switches>) {
    let moment = async {
        match at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        changed = switches.changed() => if changed.is_err() {
            // Nobody switches any more: the listener is being left.
            std::future::pending::<()>().await;
        },
        () = moment => {}
    }
}

/// The moment of a time that lies ahead; now for one that does not.
pub(crate) fn moment(active: &Active, at: Timestamp) -> Instant {
    Instant::now() + at.since(active.listener.clock.now())
}
