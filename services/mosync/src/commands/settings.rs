//! `mosync settings`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use domain::Timestamp;
use domain::filter::FieldTypes;
use domain::job::Job;
use domain::org::OrgProfile;
use domain::settings::Settings;
use ports::source::{Source, SourceError};
use ports::stores::{LogEntry, LogLevel};
use runtime::config::Config;
use runtime::time::SystemClock;

use crate::exit::{Failure, print};

/// Saves a document: read, compared with the org's describe, stored with author and time. A change
/// of what qualifies starts a backfill.
pub(crate) async fn import(
    config: &Config,
    file: &Path,
    author: &str,
) -> Result<ExitCode, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    let settings: Settings = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!(
            "{} is not a settings document: {error}",
            file.display()
        ))
    })?;
    let adapters = super::connect(config).await?;
    let source = boot::salesforce(config, Arc::new(SystemClock))?;
    let now = adapters.clock.now();
    let (field_types, org) = checked(&*source, &settings, now).await?;
    let current = adapters.stores.settings.current().await?;
    let next = current.next(settings, field_types, org, author, now);
    let backfill = Job::of_save(&current, &next);
    adapters
        .stores
        .settings
        .save(&next, backfill.as_ref())
        .await?;
    let message = format!("settings revision {} saved by {author}", next.revision);
    let entry = LogEntry {
        at: now,
        level: LogLevel::Info,
        topic: "settings".to_owned(),
        job: None,
        record: None,
        message: message.clone(),
    };
    adapters.stores.log.append(&entry).await?;
    print(&message);
    Ok(ExitCode::SUCCESS)
}

/// The types of the filtered fields, from describe, and the org's profile; refuses what the filter
/// cannot mean.
async fn checked(
    source: &dyn Source,
    settings: &Settings,
    now: Timestamp,
) -> Result<(FieldTypes, OrgProfile), Failure> {
    let org = runtime::profile::read(source).await.map_err(failure)?;
    let mut types = FieldTypes::new();
    if !settings.filter.conditions.is_empty() {
        let filter = &settings.filter;
        types = runtime::fields::types(source, filter)
            .await
            .map_err(failure)?;
    }
    settings.check_filter(&types, &org, now).map_err(|faults| {
        let faults = faults
            .iter()
            .map(|fault| format!("\n  {fault}"))
            .collect::<String>();
        Failure::usage(format!(
            "the filter is refused and nothing was changed:{faults}"
        ))
    })?;
    types.retain(|field, _| settings.filter.fields().contains(field));
    Ok((types, org))
}

fn failure(error: SourceError) -> Failure {
    match error {
        SourceError::SignIn(_) | SourceError::Refused { .. } => Failure::usage(error.to_string()),
        SourceError::Unreachable(_)
        | SourceError::Quota(_)
        | SourceError::PositionRejected(_)
        | SourceError::Expired(_)
        | SourceError::Garbled(_) => Failure::out_of_reach(error.to_string()),
    }
}
