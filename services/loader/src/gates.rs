//! The loader's gates: Disable mOS Sync, the org that the settings are for, Run In Sandbox, and
//! permissions that are known.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::settings::SettingsRevision;
use ports::Clock;
use ports::source::{Organization, Source};
use ports::stores::{StoreError, Stores};
use runtime::gate::Gates;
use runtime::org::{Settled, settle};
use tokio_util::sync::CancellationToken;

const SETTINGS: &str = "settings";
const ORG: &str = "org";
const PERMISSIONS: &str = "permissions";
/// How often the settings are looked at; nothing reaches mOS within 2 s of a save that disables.
const EVERY: Duration = Duration::from_millis(500);

/// Whether a person's decision has closed the gate: then what is in hand goes back too.
pub(crate) fn closed_by_settings(gates: &Gates) -> bool {
    gates.is_closed_by(SETTINGS) || gates.is_closed_by(ORG)
}

/// Keeps the gates until `stop`. Until the settings and the org are known, nothing is sent; nor
/// while permissions are older than `permissions_for`.
pub async fn keep(
    gates: Arc<Gates>,
    stores: Stores,
    source: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
    permissions_for: Duration,
    stop: CancellationToken,
) {
    gates.close(ORG, "the Salesforce org is not known yet");
    let mut org = None;
    let mut newest = 0;
    loop {
        if org.is_none() {
            match source.organization().await {
                Ok(known) => org = Some(known),
                Err(error) => gates.close(ORG, &error),
            }
        }
        match settings(&stores, org.as_ref(), clock.now()).await {
            Ok((revision, refused)) => {
                judge(&gates, &revision, newest);
                newest = newest.max(revision.revision);
                match refused {
                    Some(Some(why)) => gates.close(ORG, why),
                    Some(None) => gates.open(ORG),
                    None => {}
                }
            }
            Err(error) => gates.close(SETTINGS, error.to_string()),
        }
        match stores.permissions.last_poll().await {
            Ok(Some(polled)) if clock.now().since(polled) <= permissions_for => {
                gates.open(PERMISSIONS);
            }
            Ok(_) => gates.close(
                PERMISSIONS,
                "permissions have not been read from Salesforce lately",
            ),
            Err(error) => gates.close(PERMISSIONS, error.to_string()),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// The settings, and what they say of the org where it is known.
async fn settings(
    stores: &Stores,
    org: Option<&Organization>,
    now: Timestamp,
) -> Result<(SettingsRevision, Option<Option<String>>), StoreError> {
    match org {
        None => Ok((stores.settings.current().await?, None)),
        Some(org) => {
            let Settled { revision, refused } = settle(stores, org, now).await?;
            Ok((revision, Some(refused)))
        }
    }
}

/// `newest` is the highest revision seen so far: settings that go back have been lost, and what
/// stands in for them may let through what was shut out.
fn judge(gates: &Gates, revision: &SettingsRevision, newest: u64) {
    if revision.settings.disabled {
        gates.close(SETTINGS, "mOS Sync is disabled in mOS Settings");
    } else if revision.revision < newest {
        gates.close(
            SETTINGS,
            format!(
                "the settings were at revision {newest} and are at {} now, so the status store has lost them; the console restores them from its file when it runs, after that start the loader again if this goes on",
                revision.revision
            ),
        );
    } else {
        gates.open(SETTINGS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::settings::Settings;
    use runtime::gate::Gate;

    fn revision(number: u64, disabled: bool) -> SettingsRevision {
        SettingsRevision {
            revision: number,
            settings: Settings {
                disabled,
                ..Settings::default()
            },
            ..SettingsRevision::initial()
        }
    }

    #[test]
    fn disabling_closes_and_so_do_settings_that_go_back() {
        let gates = Gates::default();
        let watch = gates.watch();
        judge(&gates, &revision(2, false), 2);
        assert_eq!(*watch.borrow(), Gate::Open);
        assert!(!closed_by_settings(&gates));
        judge(&gates, &revision(3, true), 2);
        assert!(
            matches!(&*watch.borrow(), Gate::Closed(why) if why.to_string().contains("disabled"))
        );
        judge(&gates, &revision(0, false), 3);
        assert!(
            matches!(&*watch.borrow(), Gate::Closed(why) if why.to_string().contains("revision 3"))
        );
        assert!(closed_by_settings(&gates));
        judge(&gates, &revision(3, false), 3);
        assert_eq!(*watch.borrow(), Gate::Open);
    }
}
