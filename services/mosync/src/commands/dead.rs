//! `mosync dead`.

use std::process::ExitCode;

use boot::console::Client;
use boot::console::views::{DeadView, Reason};

use crate::cli::{Configured, DeadCommand};
use crate::exit::{Failure, print, say};

/// How many are listed.
const LISTED: usize = 1000;

/// Lists dead messages, or does something about one.
pub(crate) async fn run(command: DeadCommand) -> Result<ExitCode, Failure> {
    match command {
        DeadCommand::List { configured, json } => list(&client(&configured).await?, json).await?,
        DeadCommand::Show { configured, id } => {
            let message = client(&configured).await?.dead_message(&id).await?;
            tell(&message);
            for record in message.records.iter().flatten() {
                print(&format!("    {} {}", record.object, record.id));
            }
        }
        DeadCommand::Replay { configured, id } => {
            client(&configured).await?.replay_dead(&id).await?;
            print(&format!("{id} is back in its queue"));
        }
        DeadCommand::Discard {
            configured,
            id,
            reason,
        } => {
            let reason = Reason {
                reason: Some(reason),
            };
            let outcome = client(&configured)
                .await?
                .discard_dead(&id, &reason)
                .await?;
            print(&format!(
                "{id} is discarded; {} records are counted as cancelled",
                outcome.cancelled
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn client(configured: &Configured) -> Result<Client, Failure> {
    Ok(super::reach(configured)?.client().await?)
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let list = client.dead(LISTED).await?;
    for message in &list.messages {
        if json {
            print(
                &serde_json::to_string(message)
                    .map_err(|error| Failure::failed(error.to_string()))?,
            );
        } else {
            tell(message);
        }
    }
    if list.messages.is_empty() && !json {
        print("no message is dead");
    }
    let shown = u64::try_from(list.messages.len()).unwrap_or(u64::MAX);
    if list.total > shown {
        let more = format!("... and {} more", list.total - shown);
        // Lines of JSON are the result alone.
        if json {
            say(&more);
        } else {
            print(&more);
        }
    }
    Ok(())
}

fn tell(message: &DeadView) {
    let from = message.queue.as_deref().unwrap_or("no queue");
    let since = message
        .since
        .map(|since| format!(" since {since}"))
        .unwrap_or_default();
    let unit = match (&message.job, message.index) {
        (Some(job), Some(index)) => format!("unit {index} of {job}"),
        _ => format!(
            "{} bytes of type `{}` that nobody can read",
            message.bytes, message.message_type
        ),
    };
    print(&format!(
        "{} from {from}{since}, delivered {} times: {unit}: {}",
        message.id, message.deliveries, message.reason
    ));
}
