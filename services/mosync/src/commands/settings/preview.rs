//! `mosync settings preview`: what a save would do, before it.

use boot::console::Client;
use boot::console::views::{CostView, EffectView, PreviewView, PreviewedSearch, PreviewedView};
use domain::rule::Effect;
use serde_json::value::RawValue;

use super::{list, print_json};
use crate::cli::{PreviewedEffect, PreviewedFormat};
use crate::commands::{logs, words};
use crate::exit::{Failure, print};

/// How it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown {
    /// As JSON.
    pub(crate) json: bool,
    /// The list instead of the summary.
    pub(crate) format: Option<PreviewedFormat>,
    /// Of one effect alone.
    pub(crate) effect: Option<PreviewedEffect>,
}

/// Shows what saving a document would do that was made from revision `base`.
pub(super) async fn show(
    client: &Client,
    base: u64,
    document: &RawValue,
    shown: Shown,
) -> Result<(), Failure> {
    let view = client.preview_settings(base, document).await?;
    if let Some(format) = shown.format {
        let search = PreviewedSearch {
            effect: shown.effect.map(|effect| effect.of().name().to_owned()),
            format: Some(format.of()),
            ..PreviewedSearch::default()
        };
        let pieces = client.export_previewed(&view.id, &search).await?;
        return logs::write_out(pieces).await;
    }
    if shown.json {
        return print_json(&view);
    }
    if view.changes.is_empty() {
        print(&format!(
            "nothing differs from revision {}, so nothing would be saved",
            view.base
        ));
        return Ok(());
    }
    print(&format!("against revision {}, saving changes", view.base));
    list(&view.changes);
    print("and does");
    effects(&view, true);
    Ok(())
}

/// The effects of a save.
pub(super) fn effects(view: &PreviewView, lists: bool) {
    for effect in Effect::ALL {
        one(effect, view.effect(effect), lists);
    }
    match &view.job {
        Some(job) => print(&format!("    {}", cost(job))),
        None => print("    no opportunity is read or sent because of it"),
    }
    for sentence in &view.words {
        print(&format!("    {sentence}"));
    }
}

fn one(effect: Effect, view: &EffectView, lists: bool) {
    let name = match effect {
        Effect::Enters => "enter",
        Effect::Leaves => "leave",
        Effect::SentAgain => "are sent again",
    };
    print(&match view.count {
        Some(count) if view.exact => format!("    {count} opportunities {name}"),
        Some(count) => format!("    at most {count} opportunities {name}"),
        None => format!("    it cannot be told how many opportunities {name}"),
    });
    for why in &view.why {
        print(&format!("        SOQL alone does not tell: {why}"));
    }
    if let Some(judged) = view.judged {
        print(&format!(
            "        so {judged} opportunities were read and judged one by one"
        ));
    }
    for opportunity in &view.sample {
        print(&format!("        {}", line(opportunity)));
    }
    let shown = view.sample.len() as u64;
    if let Some(more) = view.count.and_then(|count| count.checked_sub(shown))
        && more > 0
    {
        let all = if lists {
            format!("; --format csv --effect {} lists all", flag(effect))
        } else {
            String::new()
        };
        print(&format!("        ... and {more} more{all}"));
    }
}

const fn flag(effect: Effect) -> &'static str {
    match effect {
        Effect::Enters => "enters",
        Effect::Leaves => "leaves",
        Effect::SentAgain => "sent-again",
    }
}

fn line(opportunity: &PreviewedView) -> String {
    let name = opportunity.name.as_deref().unwrap_or("without a name");
    let owner = opportunity.owner_name.as_deref();
    let owner = owner.map_or_else(String::new, |owner| format!(", owned by {owner}"));
    format!("{} {name}{owner}", opportunity.id)
}

fn cost(job: &CostView) -> String {
    let records = match job.records {
        Some(records) => format!("{records} records"),
        None => "more records than Salesforce can count in time".to_owned(),
    };
    let calls = &job.api_calls;
    let about = if calls.at_least { "at least" } else { "about" };
    let left = job.api_calls_left.map_or_else(String::new, |left| {
        format!(" of {left} that the org has left")
    });
    let bulk = match job.bulk_statements {
        0 => String::new(),
        jobs => format!(", {jobs} of them by the Bulk API"),
    };
    let queries = job.rest_statements + job.bulk_statements;
    let time = match (job.seconds, &job.rate) {
        (Some(seconds), Some(rate)) => format!(
            "it takes about {}, at {:.0} records a second as in {}",
            words::seconds(seconds),
            rate.per_second,
            rate.jobs.join(", ")
        ),
        _ => "how long it takes is not known before a job has shown how fast records go".to_owned(),
    };
    format!(
        "a job reads {records} by {queries} queries{bulk}, {about} {} API requests{left}; {time}",
        calls.total
    )
}
