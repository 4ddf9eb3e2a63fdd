//! What a save would do, shown before it is done.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::PREVIEWED;
use super::save::{self, Came};
use crate::pages::asked::Path;
use crate::pages::context::PageContext;
use crate::pages::fault::sentence;
use crate::pages::layout::Page;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::table::number;
use crate::pages::parts::{card, pager, record, table, time};
use crate::pages::sent::Sent;
use crate::pages::{Desk, PageFault, download};
use crate::views::{CostView, EffectView, PreviewView, PreviewedSearch, PreviewedView};
use domain::filter::Operator;
use domain::rule::Effect;
use domain::settings::Change;

/// The page before a save.
pub(super) fn page(
    context: &PageContext,
    preview: &PreviewView,
    document: &str,
    came: Came,
) -> Page {
    let touches = preview.job.is_some();
    let body = html! {
        (save::kept(context, preview.base, document, came))
        (card::card("What changes in the settings", &changes(&preview.changes)))
        (card::card("What that does", &html! {
            ul.sentences { @for words in &preview.words { li { (sentence(words)) } } }
            @if preview.words.is_empty() && !touches {
                p { "No opportunity enters or leaves the sync, and nothing is sent again." }
            }
            @if touches {
                (card::figures(&[
                    ("Enter the sync", told(&preview.enters)),
                    ("Leave it", told(&preview.leaves)),
                    ("Are sent again", told(&preview.sent_again)),
                ]))
                p.help { "Nothing is deleted in mOS." }
            }
        }))
        @if let Some(job) = &preview.job { (card::card("The job that brings it", &cost(job))) }
        @for (heading, view, effect) in [
            ("Enter the sync", &preview.enters, Effect::Enters),
            ("Leave the sync", &preview.leaves, Effect::Leaves),
            ("Are sent again", &preview.sent_again, Effect::SentAgain),
        ] {
            @if !view.sample.is_empty() || !view.why.is_empty() {
                @let path = PREVIEWED.replace("{preview}", &pager::part(&preview.id));
                @let file = pager::address(&path, &[("effect", effect.name())]);
                (card::card(heading, &sample(context, heading, view, &file)))
            }
        }
    };
    Page::new("Save these settings?", Icon::Settings, body)
        .hint(html! { "Nothing is saved yet. As of " (time::at(preview.at)) "." })
        .actions(save::buttons(came))
        .script(super::SCRIPT)
}

/// Differences, a line each.
pub(super) fn changes(changes: &[Change]) -> Markup {
    html! {
        @if changes.is_empty() { p { "Nothing differs." } }
        @else { ul.changes { @for change in changes { li { (in_words(&change.words)) } } } }
    }
}

/// With operators as the builder calls them.
fn in_words(words: &str) -> String {
    let named = |words: String, operator: Operator| {
        let label = super::filter::operator_label(operator);
        words.replace(&format!(" {} ", operator.name()), &format!(" {label} "))
    };
    Operator::ALL.into_iter().fold(words.to_owned(), named)
}

fn told(effect: &EffectView) -> String {
    match (effect.count, effect.exact) {
        (Some(count), true) => number(count),
        (Some(count), false) => format!("at most {}", number(count)),
        (None, _) => "not known".to_owned(),
    }
}

/// The opportunities of which the same becomes, as CSV.
pub(in crate::pages) async fn export(
    State(desk): State<Desk>,
    context: PageContext,
    Path(preview): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let search = PreviewedSearch {
        effect: Sent::asked(query.as_deref()).get("effect"),
        ..PreviewedSearch::default()
    };
    match desk.operations.all_previewed(&preview, &search) {
        Ok(pages) => download::csv(&context, "mosync-preview.csv", pages).await,
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

fn sample(context: &PageContext, heading: &str, effect: &EffectView, file: &str) -> Markup {
    let rows = effect
        .sample
        .iter()
        .map(|opportunity| line(context, opportunity));
    html! {
        @for why in &effect.why { p.quiet { (sentence(why)) } }
        @if !effect.sample.is_empty() {
            (table::table(heading, &["Opportunity", "Name", "Owner"], rows))
            @if effect.count.is_none_or(|count| count > effect.sample.len() as u64) {
                p.help { "These are the first of them." }
            }
            p.spaced { a.button href=(file) download { "Export CSV" span.only-read { ": " (heading) } } }
        }
    }
}

fn line(context: &PageContext, opportunity: &PreviewedView) -> Vec<Markup> {
    vec![
        record::id(context, &opportunity.id),
        html! { (opportunity.name.as_deref().unwrap_or("no name that can be read")) },
        html! {
            div {
                (opportunity.owner_name.as_deref().unwrap_or("not known"))
                @if let Some(owner) = &opportunity.owner { " " (record::id(context, owner)) }
            }
        },
    ]
}

/// Requests, records and time of a job.
pub(super) fn cost(cost: &CostView) -> Markup {
    let calls = &cost.api_calls;
    let at_least = if calls.at_least {
        "at least "
    } else {
        "about "
    };
    let time = match (cost.seconds, &cost.rate) {
        (Some(seconds), Some(rate)) => html! {
            "about " (time::long(std::time::Duration::from_secs(seconds)))
            ", at " (format!("{:.0}", rate.per_second)) " records a second as in the jobs before"
        },
        _ => html! { "not known: no job has shown yet how fast it goes here" },
    };
    let left = cost.api_calls_left.map_or_else(
        || "not known: the org does not say".to_owned(),
        |left| format!("{} within 24 hours", number(left)),
    );
    card::facts(&[
        (
            "Records to read",
            html! { (cost.records.map_or_else(|| "Salesforce cannot count them in time".to_owned(), number)) },
        ),
        ("Time", time),
        (
            "API requests",
            html! {
                (at_least) (number(calls.total)) " (" (number(calls.counting)) " to count, "
                (number(calls.reading)) " to read, " (number(calls.around)) " for what belongs to it)"
            },
        ),
        ("Left to the org", html! { (left) }),
    ])
}
