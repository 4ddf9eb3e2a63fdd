//! The first-run checklist: each item with what is known of it. What cannot be checked says so.

use std::collections::BTreeSet;

use domain::job::JobKind;
use domain::notification::DeliveryState;
use domain::permission::PermissionSnapshot;
use domain::right::Right;
use domain::settings::SettingsRevision;
use domain::tally::Count;
use domain::{ObjectKind, soql};
use ports::source::SourceError;
use ports::target::TargetError;

use super::{Operations, soon};
use crate::OpsError;
use crate::views::{ChecklistItem, ChecklistState, ChecklistView, DeliveryView, NotificationView};

/// Jobs in which changes that were heard are looked for.
const NEWEST: usize = 500;

fn item(
    id: impl Into<String>,
    title: impl Into<String>,
    state: ChecklistState,
    evidence: impl Into<String>,
    fix: impl Into<String>,
) -> ChecklistItem {
    let fix = Some(fix.into()).filter(|_| state != ChecklistState::Done);
    ChecklistItem {
        id: id.into(),
        title: title.into(),
        state,
        evidence: evidence.into(),
        fix,
    }
}

impl Operations {
    /// How far the set-up is.
    ///
    /// # Errors
    /// [`OpsError::OutOfReach`] when a store does not answer. Salesforce and mOS that do not answer
    /// are items that are not done.
    pub async fn checklist(&self) -> Result<ChecklistView, OpsError> {
        let revision = self.stores.settings.current().await?;
        let snapshot = self.stores.permissions.latest().await?;
        let mut items = vec![self.org_item(&revision).await];
        items.extend(self.capture_items().await?);
        items.extend(self.permission_items(&snapshot).await);
        items.push(self.key_item().await);
        let newest = self.notifications(None, None, Right::Administer).await?;
        let newest = newest.notifications;
        items.push(mail_item(&revision, &newest));
        Ok(ChecklistView { items })
    }

    async fn org_item(&self, revision: &SettingsRevision) -> ChecklistItem {
        let title = "Salesforce org connected";
        match soon(self.source.organization()).await {
            Ok(org) => match runtime::org::refusal(revision, &org) {
                None => item(
                    "org",
                    title,
                    ChecklistState::Done,
                    format!("{} ({}) answers", org.name, org.id),
                    "",
                ),
                Some(why) => item(
                    "org",
                    title,
                    ChecklistState::ToDo,
                    why,
                    "If this is the org to be synced, confirm it, or switch Run In Sandbox on for a sandbox; otherwise correct the address and the sign-in of Salesforce in the configuration.",
                ),
            },
            Err(error) => item(
                "org",
                title,
                ChecklistState::ToDo,
                error.to_string(),
                "Check the login address, the client id, and the key or secret of the connected app in the configuration, and that this machine reaches Salesforce.",
            ),
        }
    }

    /// Salesforce's data API does not tell which objects are selected. A change that was heard does.
    async fn capture_items(&self) -> Result<Vec<ChecklistItem>, OpsError> {
        let jobs = self.stores.jobs.list(NEWEST).await?;
        let live: Vec<_> = jobs
            .iter()
            .filter(|job| job.kind == JobKind::Live)
            .collect();
        let stream = self.stores.position.stream(&self.topic).await?;
        let items = ObjectKind::ALL.into_iter().map(|object| {
            let (id, title) = (
                format!("change_capture.{object}"),
                format!("Change Data Capture on for {object}"),
            );
            if self.polled.contains(&object) {
                let evidence = format!("{object} is polled by the configuration, so its changes are found without Change Data Capture");
                return item(id, title, ChecklistState::Done, evidence, "");
            }
            let heard = live
                .iter()
                .find(|job| job.tally.get(object, Count::Read) > 0);
            if let Some(job) = heard {
                let evidence = format!("changes of {object} were heard in the hour from {}", job.requested);
                return item(id, title, ChecklistState::Done, evidence, "");
            }
            let evidence = match &stream {
                Some(stream) => format!(
                    "the event stream was last heard {}, and no change of {object} was in it yet; which objects are selected Salesforce does not tell the integration user",
                    stream.heard
                ),
                None => "the event stream was not heard yet; which objects are selected Salesforce does not tell the integration user".to_owned(),
            };
            let fix = format!(
                "In Salesforce, Setup, Change Data Capture: move {object} to the selected entities and save. Then change a record of it, and look again."
            );
            item(id, title, ChecklistState::Unknown, evidence, fix)
        });
        Ok(items.collect())
    }

    async fn permission_items(&self, snapshot: &PermissionSnapshot) -> Vec<ChecklistItem> {
        let existing = soon(self.existing_sets()).await;
        let now = self.now();
        self.permission_sets
            .iter()
            .map(|set| {
                let (id, title) = (
                    format!("permission_set.{set}"),
                    format!("Permission set {set} exists and is assigned"),
                );
                let grants = snapshot.holders.values();
                let holders = grants
                    .filter(|grants| {
                        grants.iter().any(|grant| {
                            grant.counts(now) && grant.permission_set.eq_ignore_ascii_case(set)
                        })
                    })
                    .count();
                if holders > 0 {
                    let evidence = match holders {
                        1 => "1 active user holds it, as last read from Salesforce".to_owned(),
                        many => format!("{many} active users hold it, as last read from Salesforce"),
                    };
                    return item(id, title, ChecklistState::Done, evidence, "");
                }
                let assign = format!(
                    "In Salesforce, Setup, Permission Sets, {set}, Manage Assignments: add the users. A new assignment counts within a few minutes."
                );
                match &existing {
                    Ok(names) if !names.contains(&set.to_lowercase()) => item(
                        id,
                        title,
                        ChecklistState::ToDo,
                        format!("the org has no permission set {set} that the integration user can see"),
                        "Install the mOS package, or deploy its permission sets; or name the sets of this org in the configuration as salesforce.permission_sets.",
                    ),
                    Ok(_) => item(
                        id,
                        title,
                        ChecklistState::ToDo,
                        if snapshot.number == 0 {
                            "it exists; who holds it was not read yet".to_owned()
                        } else {
                            "it exists, and no active user holds it".to_owned()
                        },
                        assign,
                    ),
                    Err(error) => item(id, title, ChecklistState::Unknown, error.to_string(), assign),
                }
            })
            .collect()
    }

    /// The names in lower case, with the namespace.
    async fn existing_sets(&self) -> Result<BTreeSet<String>, SourceError> {
        let bare = |set: &String| {
            let bare = set.split_once("__").map_or(set.as_str(), |(_, bare)| bare);
            bare.to_owned()
        };
        let names: Vec<String> = self.permission_sets.iter().map(bare).collect();
        let names = soql::in_list(names.iter().map(String::as_str));
        let page = self
            .source
            .query(
                &format!("SELECT Name, NamespacePrefix FROM PermissionSet WHERE Name IN {names}"),
                false,
            )
            .await?;
        let rows = page.rows.iter().filter_map(|row| row.fields().ok());
        Ok(rows
            .filter_map(|fields| {
                let name = fields.text("Name")?;
                Some(match fields.text("NamespacePrefix") {
                    Some(namespace) => format!("{namespace}__{name}").to_lowercase(),
                    None => name.to_lowercase(),
                })
            })
            .collect())
    }

    async fn key_item(&self) -> ChecklistItem {
        let (id, title) = ("mos_key", "mOS API key accepted");
        let fix = "Ask mOS for an API key with ingest right, and put it into the configuration as mos.api_key_file.";
        let Some(target) = &self.target else {
            let evidence = "this process has no connection to mOS, so the key cannot be tried here";
            return item(id, title, ChecklistState::Unknown, evidence, fix);
        };
        match target.probe().await {
            Ok(()) => item(
                id,
                title,
                ChecklistState::Done,
                "mOS has answered a request without records with this key",
                "",
            ),
            Err(error @ TargetError::Forbidden(_)) => {
                item(id, title, ChecklistState::ToDo, error.to_string(), fix)
            }
            Err(error) => item(
                id,
                title,
                ChecklistState::Unknown,
                error.to_string(),
                "Check the address of mOS in the configuration, and look again when mOS answers.",
            ),
        }
    }
}

/// By what became of the newest notification that went to an address of the settings.
fn mail_item(revision: &SettingsRevision, newest: &[NotificationView]) -> ChecklistItem {
    let (id, title) = ("mail", "Notifications reach the administrators");
    let emails = &revision.settings.admin_emails;
    if emails.is_empty() {
        let fix = "Write the addresses into mOS Settings, mOS Admin Email Notification.";
        return item(id, title, ChecklistState::ToDo, "no address is named", fix);
    }
    let named = |delivery: &&DeliveryView| {
        delivery.tried.is_some() && delivery.to.iter().any(|to| emails.contains(to))
    };
    let tried = newest.iter().find_map(|notification| {
        let tried = || notification.deliveries.iter().filter(named);
        // One address that nothing reaches is a trouble, whoever else has taken it.
        let refused = tried().find(|delivery| delivery.state != DeliveryState::Sent);
        refused.or_else(|| tried().next())
    });
    let test = "Send a test, and ask whoever reads these addresses whether it has arrived.";
    let Some(delivery) = tried else {
        let evidence = "addresses are named, and no notification was sent to them yet";
        return item(id, title, ChecklistState::Unknown, evidence, test);
    };
    let said = delivery.said.clone().unwrap_or_default();
    match delivery.state {
        DeliveryState::Sent if delivery.by == "mail" => item(
            id,
            title,
            ChecklistState::Done,
            format!("the mail server has taken the newest notification: {said}"),
            "",
        ),
        DeliveryState::Sent => item(
            id,
            title,
            ChecklistState::Unknown,
            "notifications are written into a folder, because no mail server is configured",
            "Name a mail server in section [notify] of the configuration, and send a test.",
        ),
        DeliveryState::Pending
        | DeliveryState::Sending
        | DeliveryState::Failed
        | DeliveryState::Dropped => item(
            id,
            title,
            ChecklistState::ToDo,
            format!("the newest notification was not taken: {said}"),
            "Correct the addresses in mOS Settings, or the mail server in section [notify] of the configuration, and send a test.",
        ),
    }
}
