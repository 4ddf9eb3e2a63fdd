//! `mosync notify`.

use std::process::ExitCode;

use boot::console::views::{NotificationView, TestView};
use serde::Serialize;

use crate::cli::NotifyCommand;
use crate::exit::{Failure, print};

/// Lists notifications, or sends a test.
pub(crate) async fn run(command: NotifyCommand) -> Result<ExitCode, Failure> {
    match command {
        NotifyCommand::List {
            configured,
            limit,
            json,
        } => {
            let client = super::reach(&configured)?.client().await?;
            let list = client.notifications(None, usize::from(limit)).await?;
            let text = if json {
                as_json(&list)?
            } else if list.notifications.is_empty() {
                "nothing has been told yet".to_owned()
            } else {
                let lines = list.notifications.iter().flat_map(lines);
                lines.collect::<Vec<_>>().join("\n")
            };
            print(&text);
            Ok(ExitCode::SUCCESS)
        }
        NotifyCommand::Test { configured, json } => {
            let client = super::reach(&configured)?.client().await?;
            let test = client.test_notification().await?;
            let text = if json {
                as_json(&test)?
            } else {
                of_test(&test).join("\n")
            };
            print(&text);
            if test.tried.iter().all(|way| way.taken) {
                Ok(ExitCode::SUCCESS)
            } else {
                Ok(ExitCode::from(1))
            }
        }
    }
}

fn as_json(view: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(view).map_err(|error| Failure::failed(error.to_string()))
}

fn lines(notification: &NotificationView) -> Vec<String> {
    let mut lines = vec![format!("{} {}", notification.at, notification.headline)];
    if notification.deliveries.is_empty() {
        lines.push("    nobody was told: no address, mail server, folder or webhook".to_owned());
    }
    for way in &notification.deliveries {
        let said = way.said.as_deref().unwrap_or("not tried yet");
        lines.push(format!(
            "    {}: {}, {} attempts; {said}",
            named(&way.by, &way.to),
            way.state.name(),
            way.attempts
        ));
    }
    lines
}

fn of_test(test: &TestView) -> Vec<String> {
    let of_way = |way: &boot::console::views::TriedView| {
        let taken = if way.taken { "taken" } else { "NOT TAKEN" };
        format!("{}: {taken}; {}", named(&way.by, &way.to), way.said)
    };
    test.tried.iter().map(of_way).collect()
}

fn named(by: &str, to: &[String]) -> String {
    if to.is_empty() {
        by.to_owned()
    } else {
        format!("{by} to {}", to.join(", "))
    }
}
