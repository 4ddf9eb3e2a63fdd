//! `mosync settings`.

mod preview;

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use boot::console::views::{
    ImportMapping, PastSave, RevertSettings, SavedView, SettingsView, ValidationView,
};
use boot::console::{Client, Document, OpsError};
use domain::settings::{Change, Settings, diff};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::preview::Shown;
use crate::cli::{Configured, SettingsCommand};
use crate::exit::{Failure, print, say};

/// Looks at settings, or changes them.
pub(crate) async fn run(command: SettingsCommand) -> Result<ExitCode, Failure> {
    match command {
        SettingsCommand::Get {
            configured,
            revision,
            json,
        } => get(&client(&configured).await?, revision, json).await?,
        SettingsCommand::Set {
            configured,
            key,
            values,
            preview,
        } => set(&client(&configured).await?, &key, &values, preview).await?,
        SettingsCommand::Preview {
            configured,
            file,
            base,
            effect,
            format,
            json,
        } => {
            let document = read(&file)?;
            let client = client(&configured).await?;
            let base = base_of(&client, base).await?;
            let shown = Shown {
                json,
                format,
                effect,
            };
            preview::show(&client, base, &document, shown).await?;
        }
        SettingsCommand::History {
            configured,
            limit,
            before,
            json,
        } => history(&client(&configured).await?, before, limit, json).await?,
        SettingsCommand::Diff {
            configured,
            a,
            b,
            json,
        } => compare(&client(&configured).await?, a, b, json).await?,
        SettingsCommand::Revert {
            configured,
            to,
            dry_run,
            yes,
        } => revert(&client(&configured).await?, to, dry_run, yes).await?,
        SettingsCommand::Export {
            configured,
            revision,
            output,
        } => export(&client(&configured).await?, revision, output.as_deref()).await?,
        SettingsCommand::Import {
            configured,
            file,
            base,
            merge,
            dry_run,
        } => {
            let document = read(&file)?;
            let client = client(&configured).await?;
            import(&client, &document, base, merge, dry_run).await?;
        }
        SettingsCommand::ImportMapping {
            configured,
            metadata_type,
            dry_run,
            yes,
        } => import_mapping(&client(&configured).await?, metadata_type, dry_run, yes).await?,
        SettingsCommand::ConfirmOrg { configured, org } => {
            told(&client(&configured).await?.confirm_org(&org).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn client(configured: &Configured) -> Result<Client, Failure> {
    Ok(super::reach(configured)?.client().await?)
}

async fn get(client: &Client, revision: Option<u64>, json: bool) -> Result<(), Failure> {
    let view = match revision {
        Some(revision) => client.settings_revision(revision).await?,
        None => client.settings().await?,
    };
    if json {
        return print_json(&view);
    }
    let SettingsView {
        revision, author, ..
    } = &view;
    print(&match view.saved {
        Some(saved) => format!("revision {revision}, saved {saved} by {author}"),
        None => "revision 0: nothing was saved yet".to_owned(),
    });
    for (key, value) in parts(&view.settings)? {
        print(&format!("{}: {}", key.replace('_', "-"), shown(&value)));
    }
    Ok(())
}

/// A value for a person; what `set` takes where it is simple.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items = items.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            if items.is_empty() {
                "none".to_owned()
            } else {
                items.join(", ")
            }
        }
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn parts(settings: &Settings) -> Result<Map<String, Value>, Failure> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(parts)) => Ok(parts),
        Ok(other) => Err(Failure::failed(format!("the settings are {other}"))),
        Err(error) => Err(Failure::failed(error.to_string())),
    }
}

/// One key changed in the document in force. What the value must be, the API knows.
async fn set(client: &Client, key: &str, values: &[String], preview: bool) -> Result<(), Failure> {
    let current = client.settings().await?;
    let mut document = parts(&current.settings)?;
    let key = key.replace('-', "_");
    let value = typed(document.get(&key), values);
    document.insert(key, value);
    let document = raw(&Value::Object(document))?;
    if preview {
        return preview::show(client, current.revision, &document, Shown::default()).await;
    }
    told(&client.save_settings(current.revision, &document).await?);
    Ok(())
}

/// A value as the document has it: a switch by the words people use, a list of texts item by item,
/// anything else as JSON, or else as a text.
fn typed(before: Option<&Value>, values: &[String]) -> Value {
    let [value] = values else {
        return Value::from(values);
    };
    match (before, value.as_str()) {
        (Some(Value::Bool(_)), "on" | "yes") => Value::Bool(true),
        (Some(Value::Bool(_)), "off" | "no") => Value::Bool(false),
        (_, text) => serde_json::from_str(text).unwrap_or_else(|_no_json| Value::from(text)),
    }
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(value).map_err(|error| Failure::failed(error.to_string()))
}

async fn history(
    client: &Client,
    before: Option<u64>,
    limit: u16,
    json: bool,
) -> Result<(), Failure> {
    let history = client.settings_history(before, limit.into()).await?;
    if json {
        return print_json(&history);
    }
    for PastSave {
        revision,
        saved,
        author,
        changes,
        ..
    } in &history.revisions
    {
        print(&format!("revision {revision}, saved {saved} by {author}"));
        list(changes);
    }
    match (history.revisions.is_empty(), history.next) {
        (true, _) => print("nothing was saved"),
        (false, Some(next)) => print(&format!("more: --before {next}")),
        (false, None) => {}
    }
    Ok(())
}

async fn compare(
    client: &Client,
    a: Option<u64>,
    b: Option<u64>,
    json: bool,
) -> Result<(), Failure> {
    let difference = client.settings_diff(a, b).await?;
    if json {
        return print_json(&difference);
    }
    print(&format!(
        "from revision {} to revision {}",
        difference.from, difference.to
    ));
    if difference.changes.is_empty() {
        print("    nothing differs");
    }
    list(&difference.changes);
    Ok(())
}

fn list(changes: &[Change]) {
    for change in changes {
        print(&format!("    {}", change.words));
    }
}

async fn revert(client: &Client, to: u64, dry_run: bool, yes: bool) -> Result<(), Failure> {
    let effect = RevertSettings {
        to: Some(to),
        base: None,
        dry_run: true,
    };
    let effect = client.revert_settings(&effect).await?;
    if effect.changes.is_empty() {
        print(&format!(
            "revision {to} says the same as revision {}, which is in force; nothing was changed",
            effect.revision
        ));
        return Ok(());
    }
    print(&format!("going back to revision {to} changes"));
    list(&effect.changes);
    tell_effects(client, to, effect.revision).await?;
    if dry_run {
        print("nothing was changed");
        return Ok(());
    }
    if !yes && std::io::stdin().is_terminal() && !agreed()? {
        print("nothing was changed");
        return Ok(());
    }
    let revert = RevertSettings {
        to: Some(to),
        base: Some(effect.revision),
        dry_run: false,
    };
    told(&client.revert_settings(&revert).await?);
    Ok(())
}

async fn import_mapping(
    client: &Client,
    metadata_type: Option<String>,
    dry_run: bool,
    yes: bool,
) -> Result<(), Failure> {
    let mut asked = ImportMapping {
        metadata_type,
        base: None,
        dry_run: true,
    };
    let effect = client.import_mapping(&asked).await?;
    print(&format!(
        "{} has {} records",
        effect.metadata_type, effect.records
    ));
    for remark in &effect.remarks {
        print(&format!("    {remark}"));
    }
    let SavedView {
        revision, changes, ..
    } = &effect.outcome;
    if changes.is_empty() {
        print(&format!(
            "nothing differs from revision {revision}, so nothing was saved"
        ));
        return Ok(());
    }
    print(&format!("against revision {revision} it changes"));
    list(changes);
    if dry_run {
        print("nothing was changed");
        return Ok(());
    }
    if !yes && std::io::stdin().is_terminal() && !agreed()? {
        print("nothing was changed");
        return Ok(());
    }
    asked.base = Some(*revision);
    asked.dry_run = false;
    told(&client.import_mapping(&asked).await?.outcome);
    Ok(())
}

/// What going back does. That this cannot be told, because Salesforce does not answer, keeps nobody
/// from going back.
async fn tell_effects(client: &Client, to: u64, base: u64) -> Result<(), Failure> {
    let mut older = client.settings_revision(to).await?.settings;
    // Which org is served is confirmed, not reverted.
    older.org = None;
    match client.preview_settings(base, &raw(&older)?).await {
        Ok(view) => {
            print("and does");
            preview::effects(&view, false);
        }
        Err(error) => print(&format!("what it does cannot be told now: {error}")),
    }
    Ok(())
}

async fn base_of(client: &Client, base: Option<u64>) -> Result<u64, Failure> {
    match base {
        Some(base) => Ok(base),
        None => Ok(client.settings().await?.revision),
    }
}

fn agreed() -> Result<bool, Failure> {
    say("Save this as a new revision? Type yes:");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::failed(format!("no answer can be read: {error}")))?;
    Ok(answer.trim() == "yes")
}

async fn export(
    client: &Client,
    revision: Option<u64>,
    output: Option<&Path>,
) -> Result<(), Failure> {
    let settings = client.export_settings(revision).await?;
    let text = serde_json::to_string_pretty(&settings)
        .map_err(|error| Failure::failed(error.to_string()))?;
    match output {
        None => print(&text),
        Some(file) => std::fs::write(file, text + "\n").map_err(|error| {
            Failure::usage(format!("{} cannot be written: {error}", file.display()))
        })?,
    }
    Ok(())
}

/// The document as it was written, so that the API sees what is written twice.
fn read(file: &Path) -> Result<Box<RawValue>, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    let refused = |error: serde_json::Error| {
        Failure::usage(format!(
            "{} is not a settings document: {error}",
            file.display()
        ))
    };
    text.parse::<Document>().map_err(refused)?;
    RawValue::from_string(text.trim().to_owned()).map_err(refused)
}

async fn import(
    client: &Client,
    document: &RawValue,
    base: Option<u64>,
    merge: bool,
    dry_run: bool,
) -> Result<(), Failure> {
    let base = base_of(client, base).await?;
    if dry_run {
        return foresee(&client.validate_settings(base, document).await?);
    }
    match client.save_settings(base, document).await {
        Err(OpsError::SettingsConflict(conflict)) if merge => {
            let Some(merged) = conflict.merged else {
                return Err(OpsError::SettingsConflict(conflict).into());
            };
            say(&format!(
                "{} saved revision {} meanwhile; both changes are saved together",
                conflict.current.author, conflict.current.revision
            ));
            list(&diff(&conflict.current.settings, &merged));
            told(
                &client
                    .save_settings(conflict.current.revision, &raw(&merged)?)
                    .await?,
            );
        }
        Err(conflict @ OpsError::SettingsConflict(_)) => {
            say(
                "with --merge both changes are saved together; without --base the document replaces what is in force",
            );
            return Err(conflict.into());
        }
        saved => told(&saved?),
    }
    Ok(())
}

fn foresee(view: &ValidationView) -> Result<(), Failure> {
    if !view.faults.is_empty() {
        return Err(OpsError::Refused(view.faults.clone()).into());
    }
    print(&format!(
        "the document can be saved; against revision {} it changes",
        view.base
    ));
    if view.changes.is_empty() {
        print("    nothing");
    }
    list(&view.changes);
    warn(&view.warnings);
    Ok(())
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        print(&format!("warning: {warning}"));
    }
}

fn told(saved: &SavedView) {
    if !saved.saved {
        print(&format!(
            "nothing differs from revision {}, so nothing was saved",
            saved.revision
        ));
        return;
    }
    print(&format!("settings revision {} saved", saved.revision));
    list(&saved.changes);
    warn(&saved.warnings);
    if let Some(job) = &saved.job {
        print(&format!("{job} brings what is newly let in"));
    }
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    print(&text.map_err(|error| Failure::failed(error.to_string()))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_typed_by_what_is_there() {
        for (before, values, wanted) in [
            (json!(false), vec!["on"], json!(true)),
            (json!(true), vec!["no"], json!(false)),
            (json!(false), vec!["true"], json!(true)),
            (json!(false), vec!["perhaps"], json!("perhaps")),
            (json!([]), vec!["a@x.org"], json!("a@x.org")),
            (
                json!([]),
                vec!["a@x.org", "b@x.org"],
                json!(["a@x.org", "b@x.org"]),
            ),
            (json!(null), vec!["{\"a\": 1}"], json!({"a": 1})),
            (json!("x"), vec!["y"], json!("y")),
        ] {
            let values = values.into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(typed(Some(&before), &values), wanted, "{values:?}");
        }
    }
}
