//! `mosync users`.

use std::process::ExitCode;

use boot::console::views::{HolderView, OtherView, UserView, UsersView};

use super::words;
use crate::cli::Configured;
use crate::exit::{Failure, print};

/// Prints who holds mOS permission, and who owns matching opportunities without it.
pub(crate) async fn run(configured: &Configured, json: bool) -> Result<ExitCode, Failure> {
    let users = super::reach(configured)?.client().await?.users().await?;
    if json {
        let text = serde_json::to_string_pretty(&users)
            .map_err(|error| Failure::failed(error.to_string()))?;
        print(&text);
    } else {
        print(&lines(&users).join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(users: &UsersView) -> Vec<String> {
    let polled = users
        .permissions_polled
        .map_or_else(|| "never".to_owned(), |at| words::ago(at, users.read_at));
    let in_scope: u64 = users.holders.iter().map(|user| user.opportunities).sum();
    let mut lines = vec![format!(
        "{} users hold mOS permission, with {in_scope} opportunities in scope; read {polled}",
        users.holders.len()
    )];
    for why in &users.why_not_exact {
        lines.push(format!(
            "the numbers are of at most so many opportunities: {why}"
        ));
    }
    for holder in &users.holders {
        lines.extend(of_holder(holder));
    }
    let others = u64::try_from(users.others.len()).unwrap_or(u64::MAX);
    lines.push(format!(
        "{} users without it own {} matching opportunities, which are not synced, or hold a permission set that does not count",
        others.saturating_add(users.others_left_off),
        users.others_opportunities
    ));
    for other in &users.others {
        lines.extend(of_other(other));
    }
    if users.others_left_off > 0 {
        lines.push(format!("... and {} more", users.others_left_off));
    }
    lines
}

fn of_holder(holder: &HolderView) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} opportunities in scope",
        named(&holder.user),
        holder.opportunities
    )];
    lines.extend(holder.words.iter().map(|word| format!("    {word}")));
    let misses = holder.not_counted.iter();
    lines.extend(misses.map(|miss| format!("    {}", miss.words())));
    lines
}

fn of_other(other: &OtherView) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} matching opportunities",
        named(&other.user),
        other.opportunities
    )];
    lines.extend(other.words.iter().map(|word| format!("    {word}")));
    lines
}

fn named(user: &UserView) -> String {
    match (&user.name, &user.username) {
        (Some(name), Some(username)) => format!("{} {name} <{username}>", user.id),
        (Some(name), None) | (None, Some(name)) => format!("{} {name}", user.id),
        (None, None) => format!("{} (cannot be read by the integration user)", user.id),
    }
}
