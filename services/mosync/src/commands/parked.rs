//! `mosync parked`.

use std::process::ExitCode;

use boot::console::Client;
use boot::console::views::{GroupView, ParkedSearch, ParkedView, Selection};
use serde::Serialize;

use crate::cli::{Configured, ParkedCommand, Which};
use crate::exit::{Failure, print};

const PAGE: usize = 500;

/// Lists parked records, or does something about them.
pub(crate) async fn run(command: ParkedCommand) -> Result<ExitCode, Failure> {
    match command {
        ParkedCommand::List {
            configured,
            all,
            group,
            json,
        } => {
            let client = client(&configured).await?;
            if all || group.is_some() {
                records(&client, group.as_deref(), json).await?;
            } else {
                groups(&client, json).await?;
            }
        }
        ParkedCommand::Retry { configured, which } => {
            let touched = client(&configured)
                .await?
                .retry_parked(&selection(which, None))
                .await?;
            print(&format!(
                "{} records are read back from Salesforce and tried again",
                touched.records
            ));
        }
        ParkedCommand::Dismiss {
            configured,
            which,
            reason,
        } => {
            let touched = client(&configured)
                .await?
                .dismiss_parked(&selection(which, Some(reason)))
                .await?;
            print(&format!("{} records are dismissed", touched.records));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn client(configured: &Configured) -> Result<Client, Failure> {
    Ok(super::reach(configured)?.client().await?)
}

fn selection(which: Which, reason: Option<String>) -> Selection {
    Selection {
        records: which.records,
        group: which.group,
        all: which.all,
        reason,
        ..Selection::default()
    }
}

async fn groups(client: &Client, json: bool) -> Result<(), Failure> {
    let groups = client.parked_groups().await?;
    for group in &groups.groups {
        if json {
            print(&line(group)?);
        } else {
            tell_group(group);
        }
    }
    if groups.groups.is_empty() && !json {
        print("nothing is parked");
    }
    Ok(())
}

fn tell_group(group: &GroupView) {
    let dismissed = if group.dismissed { ", dismissed" } else { "" };
    print(&format!(
        "group {}: {} records{dismissed}, {} ({}), first {}, last {}",
        group.id,
        group.count,
        group.kind.name(),
        group.cause,
        group.first,
        group.last
    ));
    let samples = group
        .samples
        .iter()
        .map(|record| format!("{} {}", record.object, record.id))
        .collect::<Vec<_>>();
    let more = if u64::try_from(samples.len()).is_ok_and(|shown| shown < group.count) {
        ", ..."
    } else {
        ""
    };
    print(&format!("    {}{more}", samples.join(", ")));
    print(&format!("    {}", group.advice));
}

async fn records(client: &Client, group: Option<&str>, json: bool) -> Result<(), Failure> {
    let mut search = ParkedSearch {
        limit: Some(PAGE),
        ..ParkedSearch::default()
    };
    let mut shown = 0_usize;
    loop {
        let page = client.parked(&search).await?;
        let records = page.records.iter();
        for record in records.filter(|record| group.is_none_or(|group| record.group == group)) {
            shown += 1;
            if json {
                print(&line(record)?);
            } else {
                tell(record);
            }
        }
        search.after = page.next;
        if search.after.is_none() {
            break;
        }
    }
    if shown == 0 && !json {
        print("nothing is parked");
    }
    Ok(())
}

fn tell(record: &ParkedView) {
    let parent = record
        .parent
        .map(|parent| format!(", waits for {} {}", parent.object, parent.id))
        .unwrap_or_default();
    print(&format!(
        "{} {} since {}: {}{parent}: {}",
        record.object,
        record.id,
        record.since,
        record.kind.name(),
        record.message
    ));
    match &record.dismissed {
        Some(dismissed) => print(&format!(
            "    dismissed {} by {}: {}",
            dismissed.at, dismissed.by, dismissed.reason
        )),
        None => print(&format!("    {}", record.advice)),
    }
}

fn line(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::failed(error.to_string()))
}
