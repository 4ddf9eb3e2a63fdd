//! Whether the connected org is the one that the settings are for.

use domain::Timestamp;
use domain::settings::{MOSYNC, SettingsRevision, diff};
use ports::source::Organization;
use ports::stores::{LogEntry, LogLevel, StoreError, Stores};

/// The settings in force, and what they say of the connected org.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The settings.
    pub revision: SettingsRevision,
    /// Why nothing may run with this org, and what to do; `None` when it may.
    pub refused: Option<String>,
}

/// Looks whether mosync may work with this org. At the first contact its id is written into the
/// settings; from then on another org is refused until an administrator confirms it.
///
/// # Errors
/// The store's.
pub async fn settle(
    stores: &Stores,
    org: &Organization,
    now: Timestamp,
) -> Result<Settled, StoreError> {
    loop {
        let current = stores.settings.current().await?;
        if current.settings.org.is_some() {
            return Ok(Settled {
                refused: refusal(&current, org),
                revision: current,
            });
        }
        let mut settings = current.settings.clone();
        settings.org = Some(org.id);
        let (types, profile) = (current.field_types.clone(), current.org.clone());
        let pinned = current.next(settings, types, profile, MOSYNC, now);
        match stores.settings.save(&pinned, None).await {
            Ok(()) => note(stores, &current, &pinned).await?,
            // Somebody was first: what they have saved is in force.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Why nothing may run with this org under these settings, and what to do; `None` when it may.
#[must_use]
pub fn refusal(current: &SettingsRevision, org: &Organization) -> Option<String> {
    match current.settings.org {
        Some(pinned) if pinned != org.id => Some(format!(
            "the connected org is {} ({}), but the settings are for {pinned}, so nothing runs; if mosync is to serve the connected org from now on, confirm it with `mosync settings confirm-org {}`, otherwise correct the address and the sign-in of Salesforce in the configuration",
            org.id, org.name, org.id
        )),
        _ if org.is_sandbox && !current.settings.run_in_sandbox => Some(
            "the connected org is a sandbox and Run In Sandbox is off in mOS Settings".to_owned(),
        ),
        _ => None,
    }
}

async fn note(
    stores: &Stores,
    before: &SettingsRevision,
    pinned: &SettingsRevision,
) -> Result<(), StoreError> {
    let changes = diff(&before.settings, &pinned.settings);
    let changes = changes.iter().map(domain::settings::Change::discreet);
    let message = format!(
        "settings revision {} saved by {MOSYNC} at the first contact with the org: {}",
        pinned.revision,
        changes.collect::<Vec<_>>().join("; ")
    );
    tracing::info!(topic = "settings", "{message}");
    let entry = LogEntry {
        at: pinned.saved,
        level: LogLevel::Info,
        topic: "settings".to_owned(),
        job: None,
        record: None,
        message,
    };
    stores.log.append(&entry).await
}
