//! The loader's gates: Disable mOS Sync, Run In Sandbox, and permissions that are known.

use std::sync::Arc;
use std::time::Duration;

use ports::Clock;
use ports::source::{Organization, Source};
use ports::stores::Stores;
use runtime::gate::Gates;
use tokio_util::sync::CancellationToken;

const SETTINGS: &str = "settings";
const ORG: &str = "org";
const PERMISSIONS: &str = "permissions";
/// How often the settings are looked at; nothing reaches mOS within 2 s of a save that disables.
const EVERY: Duration = Duration::from_secs(1);

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
    loop {
        if org.is_none() {
            match source.organization().await {
                Ok(known) => org = Some(known),
                Err(error) => gates.close(ORG, &error.to_string()),
            }
        }
        match stores.settings.current().await {
            Ok(revision) => judge(
                &gates,
                org.as_ref(),
                revision.settings.disabled,
                revision.settings.run_in_sandbox,
            ),
            Err(error) => gates.close(SETTINGS, &error.to_string()),
        }
        match stores.permissions.last_poll().await {
            Ok(Some(polled)) if clock.now().since(polled) <= permissions_for => {
                gates.open(PERMISSIONS);
            }
            Ok(_) => gates.close(
                PERMISSIONS,
                "permissions have not been read from Salesforce lately",
            ),
            Err(error) => gates.close(PERMISSIONS, &error.to_string()),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn judge(gates: &Gates, org: Option<&Organization>, disabled: bool, run_in_sandbox: bool) {
    if disabled {
        gates.close(SETTINGS, "mOS Sync is disabled in mOS Settings");
    } else {
        gates.open(SETTINGS);
    }
    match org {
        Some(org) if org.is_sandbox && !run_in_sandbox => gates.close(
            ORG,
            "the connected org is a sandbox and Run In Sandbox is off in mOS Settings",
        ),
        Some(_) => gates.open(ORG),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SalesforceId;
    use runtime::gate::Gate;

    fn org(is_sandbox: bool) -> Organization {
        Organization {
            id: SalesforceId::parse("00D000000000001").unwrap(),
            name: "Acme".to_owned(),
            is_sandbox,
            time_zone: "UTC".to_owned(),
        }
    }

    #[test]
    fn a_sandbox_needs_its_switch_and_disabling_always_closes() {
        let gates = Gates::default();
        let watch = gates.watch();
        judge(&gates, Some(&org(true)), false, false);
        assert!(matches!(&*watch.borrow(), Gate::Closed(why) if why.contains("Run In Sandbox")));
        judge(&gates, Some(&org(true)), false, true);
        assert_eq!(*watch.borrow(), Gate::Open);
        judge(&gates, Some(&org(false)), true, true);
        assert!(matches!(&*watch.borrow(), Gate::Closed(why) if why.contains("disabled")));
    }
}
