//! `mosync explain`.

use std::process::ExitCode;

use boot::console::views::{
    ExplainMos, ExplainOpportunity, ExplainOwner, ExplainSeen, ExplainSettings, ExplainThrough,
    ExplainView, Found,
};

use super::words;
use crate::cli::Configured;
use crate::exit::{Failure, print};

/// Prints why a record is in mOS or is not: the answer first, then what it rests on.
pub(crate) async fn run(
    configured: &Configured,
    asked: &str,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut reach = super::reach(configured)?;
    let view = reach.client().await?.explain(asked).await?;
    if json {
        let text = serde_json::to_string_pretty(&view)
            .map_err(|error| Failure::failed(error.to_string()))?;
        print(&text);
    } else {
        print(&lines(&view).join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(view: &ExplainView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(object) = view.object {
        lines.push(format!("{object} {}", view.id));
    }
    lines.push(format!("Verdict: {}", view.verdict));
    lines.push(format!("To do: {}", view.advice));
    lines.extend(view.found.iter().map(|found| salesforce(*found, view)));
    lines.extend(view.seen.iter().flat_map(|seen| heard(seen, view)));
    lines.extend(view.settings.iter().map(of_settings));
    lines.extend(view.opportunity.iter().flat_map(of_opportunity));
    lines.extend(view.owner.iter().flat_map(of_owner));
    lines.extend(view.through.iter().flat_map(of_through));
    lines.extend(gates(view));
    lines.extend(view.mos.iter().flat_map(|mos| of_mos(mos, view)));
    if let Some(parked) = &view.parked {
        lines.push(format!(
            "Parked {}: {} ({}), taken up {} times",
            words::ago(parked.since, view.read_at),
            parked.message,
            parked.code.as_deref().unwrap_or(parked.kind.name()),
            parked.retries
        ));
    }
    lines.extend(jobs(view));
    if !view.log.is_empty() {
        lines.push("Last in the integration log:".to_owned());
    }
    for line in &view.log {
        lines.push(format!("    {} {}", line.time, line.message));
    }
    lines
}

fn salesforce(found: Found, view: &ExplainView) -> String {
    let found = match found {
        Found::Row => "the record is there",
        Found::Deleted => "the record is in the recycle bin",
        Found::Absent => "the record is not to be seen",
    };
    let modified = view.seen.as_ref().and_then(|seen| seen.modified);
    let modified = modified.map_or(String::new(), |modified| {
        format!(", last changed {}", words::ago(modified, view.read_at))
    });
    format!("Salesforce: {found}{modified}")
}

/// How far changes of its object were heard of.
fn heard(seen: &ExplainSeen, view: &ExplainView) -> Vec<String> {
    let ago = |at| words::ago(at, view.read_at);
    let stream = seen.stream.as_ref().map(|stream| {
        let event = stream.last_event.map_or("no event yet".to_owned(), |at| {
            format!("the last event came {}", ago(at))
        });
        let behind = if stream.at_end { "" } else { "; it is behind" };
        format!(
            "    event stream heard {}, {event}{behind}",
            ago(stream.heard)
        )
    });
    let poll = seen.poll.as_ref().map(|poll| match poll.polled {
        Some(polled) => format!("    polled to the end {}", ago(polled)),
        None => "    not polled to the end yet".to_owned(),
    });
    stream.into_iter().chain(poll).collect()
}

fn of_settings(settings: &ExplainSettings) -> String {
    format!(
        "Settings: revision {} of {}, saved by {}; changes are taken: {}",
        settings.revision, settings.saved, settings.author, settings.frequency
    )
}

fn of_opportunity(opportunity: &ExplainOpportunity) -> Vec<String> {
    let yes = |yes: bool| if yes { "yes" } else { "NO" };
    let mut lines = vec![format!(
        "Opportunity {}: the filter matches: {}; closed: {} (closed ones are {}synced)",
        opportunity.id,
        yes(opportunity.matches),
        if opportunity.is_closed { "yes" } else { "no" },
        if opportunity.sync_closed { "" } else { "not " }
    )];
    for one in &opportunity.conditions {
        lines.push(format!(
            "    {}. {} {} {}: is {} -> {}",
            one.number,
            one.field,
            one.operator,
            one.values.join(", "),
            one.met.as_deref().unwrap_or("(blank)"),
            one.holds.map_or("unknown", yes)
        ));
    }
    let logic = opportunity.logic.iter();
    lines.extend(logic.map(|logic| format!("    logic: {logic}")));
    lines
}

fn of_owner(owner: &ExplainOwner) -> Vec<String> {
    let name = owner.user.name.as_deref().unwrap_or("(cannot be read)");
    let mut lines = vec![format!(
        "Permission: {name} ({}) {}",
        owner.user.id,
        if owner.permitted {
            "counts"
        } else {
            "does NOT count"
        }
    )];
    lines.extend(owner.words.iter().map(|word| format!("    {word}")));
    lines
}

fn of_through(through: &ExplainThrough) -> Vec<String> {
    let more = if through.cut_short { "at least " } else { "" };
    let mut lines = vec![format!(
        "Opportunities: {} in all, {more}{} match the settings, {more}{} of them in scope",
        through.all, through.matching, through.in_scope
    )];
    for one in &through.owners {
        lines.push(format!(
            "    {} of owner {}: {}",
            one.opportunities,
            one.owner,
            one.words.join("; ")
        ));
    }
    if through.owners_left_off > 0 {
        lines.push(format!("    and {} more owners", through.owners_left_off));
    }
    if !through.examples.is_empty() {
        let examples: Vec<&str> = through.examples.iter().map(|id| id.as_str()).collect();
        lines.push(format!(
            "    in scope, for example: {}",
            examples.join(", ")
        ));
    }
    lines
}

fn gates(view: &ExplainView) -> Vec<String> {
    let gates = view.gates.iter();
    let mut lines: Vec<String> = gates
        .map(|gate| format!("Held up: {}", gate.words))
        .collect();
    if let Some(next) = view.next_window {
        let when = words::ago(next, view.read_at);
        lines.push(format!("The next window begins {when}, at {next}"));
    }
    lines
}

fn jobs(view: &ExplainView) -> Vec<String> {
    let last = view.last_job.iter();
    let last = last.map(|job| format!("Last job named with it: {job}"));
    let possible = (!view.possible_jobs.is_empty()).then(|| {
        format!(
            "What mOS holds was brought by {}{}",
            if view.possible_jobs.len() > 1 {
                "one of "
            } else {
                ""
            },
            view.possible_jobs.join(", ")
        )
    });
    last.chain(possible).collect()
}

fn of_mos(mos: &ExplainMos, view: &ExplainView) -> Vec<String> {
    let mut lines = vec![match (mos.held, mos.as_of, &mos.version) {
        (Some(true), Some(as_of), Some(version)) => format!(
            "mOS: holds it, as it was in Salesforce {} (version {version})",
            words::ago(as_of, view.read_at)
        ),
        (Some(true), ..) => "mOS: holds it".to_owned(),
        (Some(false), ..) => "mOS: does not hold it".to_owned(),
        (None, ..) => "mOS: has not said".to_owned(),
    }];
    match &mos.differs {
        Some(differs) if differs.is_empty() => {
            lines.push("    every mapped field is as it is in Salesforce".to_owned());
        }
        Some(differs) => lines.push(format!("    would change now: {}", differs.join(", "))),
        None => {}
    }
    lines.extend(mos.trouble.iter().map(|trouble| format!("    {trouble}")));
    lines
}
