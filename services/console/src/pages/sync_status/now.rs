//! Figures of this moment, what needs attention, and where changes come from.

use std::time::Duration;

use maud::{Markup, html};

use crate::pages::parts::icon::Icon;
use crate::pages::parts::pager::address;
use crate::pages::parts::table::number;
use crate::pages::parts::{badge, bar, card, empty, table, time};
use crate::pages::{fault, job, words};
use crate::views::{ApiView, StageView, StatusView, TroubleKind, TroubleView};

/// Instead of an age.
const NOT_KNOWN: &str = "not known";

/// What moves all the time.
pub(super) fn figures(status: &StatusView) -> Markup {
    let hour = status.hours.last();
    let rate = status.live.as_ref().and_then(|job| job.per_second);
    let queued = status.queues.as_ref().map(|queues| queues.values().sum());
    html! {
        (card::figures(&[
            ("Changes/s this hour", rate.map_or_else(|| "0.0".to_owned(), |rate| format!("{rate:.1}"))),
            ("Changes this hour", number(hour.map_or(0, |hour| hour.read))),
            ("Lag", lag(status)),
            ("Units in queues", table::number_or_unknown(queued)),
            ("Waiting to be retried", table::number_or_unknown(status.waiting_to_retry)),
            ("Parked records", number(status.parked.values().sum())),
            ("Dead messages", table::number_or_unknown(status.dead)),
        ]))
        @match &status.api {
            Some(api) => (allowance(api)),
            None => p.quiet { "The org's API allowance is not known yet." }
        }
    }
}

/// How old the oldest unit on its way is, as far as the stages know.
fn lag(status: &StatusView) -> String {
    let known = status.stages.iter().filter_map(|stage| stage.oldest_age_s);
    let known = known.max().map(Duration::from_secs);
    let some_untold = status.stages.iter().any(is_untold);
    match known {
        Some(known) if some_untold => format!("{} or more", time::long(known)),
        Some(known) => time::long(known),
        None if some_untold || status.waiting_to_retry != Some(0) => NOT_KNOWN.to_owned(),
        None => "none".to_owned(),
    }
}

/// Whether units are before the stage whose age nobody knows, or may be.
fn is_untold(stage: &StageView) -> bool {
    stage.oldest_age_s.is_none() && stage.ready != Some(0)
}

fn allowance(api: &ApiView) -> Markup {
    html! {
        div.allowance {
            div.bar-name {
                strong { "Salesforce API requests of the last 24 hours" }
                span { (number(api.used)) " of " (number(api.max)) " used" }
            }
            (bar::progress("API requests used", api.used, api.max))
            p.bar-note {
                (number(api.ours)) " of them by mosync, which stops to read in bulk after " (number(api.share))
                "; " (number(api.reserve)) " are left to others"
            }
            @if let Some(until) = api.bulk_held_until {
                p.wrong { "Bulk reading is held and tried again " (time::at(until)) "." }
            }
            @if let Some(until) = api.live_held_until {
                p.wrong { "Live changes are held and tried again " (time::at(until)) "." }
            }
        }
    }
}

/// What a person should look at, with what to do.
pub(super) fn attention(status: &StatusView) -> Markup {
    // Parked records and messages have entries of their own, with links.
    let has_entry = |trouble: &&TroubleView| {
        matches!(trouble.about, TroubleKind::Parked | TroubleKind::Messages)
    };
    let troubles = status.troubles.iter().filter(|trouble| !has_entry(trouble));
    let nothing = status.troubles.is_empty()
        && status.parked.is_empty()
        && status.open_gaps.is_empty()
        && status.warnings.is_empty();
    let body = html! {
        @if nothing {
            (empty::empty(Icon::Status, "Nothing needs attention.", &html! { "No record is parked, no gap is open." }))
        }
        ul.attention {
            @for trouble in troubles { li.bad { p { strong { (fault::said(&trouble.message)) } } } }
            @for gap in &status.open_gaps {
                li {
                    p { strong { "Gap: " (words::gap(gap.cause)) } " " (badge::badge(badge::Tone::Warning, "Open")) }
                    p {
                        "Changes since " (time::at(gap.since)) " may be missing; noticed " (time::at(gap.opened)) ". "
                        (job::link(gap.job.as_str(), "The job that catches them up"))
                    }
                    p.quiet { (fault::said(&gap.evidence)) }
                }
            }
            @for (kind, records) in status.parked.iter().filter(|(_, records)| **records > 0) {
                li {
                    p {
                        a href=(address("/parked", &[("kind", kind.name())])) {
                            strong { (number(*records)) " parked: " (words::failure(*kind)) }
                        }
                    }
                    p { (kind.advice()) }
                    @if *kind == domain::failure::FailureKind::Unreadable {
                        @for (object, unreadable) in &status.unreadable {
                            p { strong { (object.api_name()) ": " (number(unreadable.records)) ". " } (unreadable.advice) }
                        }
                    }
                }
            }
            @if let Some(dead) = status.dead.filter(|dead| *dead > 0) {
                li {
                    p { a href=(crate::pages::dead::PATH) { strong { (number(dead)) @if dead == 1 { " message is" } @else { " messages are" } " dead" } } }
                    p { "No worker could process them. Look at each, then send it back or discard it." }
                }
            }
            @for warning in &status.warnings { li { p { (fault::said(warning)) } } }
        }
    };
    card::card("Needs attention", &body)
}

/// Stage by stage.
pub(super) fn way(status: &StatusView) -> Markup {
    let rows = status.stages.iter().map(|stage| {
        let age = stage.oldest_age_s.map(Duration::from_secs);
        vec![
            html! { (words::stage(stage.stage)) },
            html! { (table::number_or_unknown(stage.ready)) },
            html! { (number(stage.unsettled)) },
            html! {
                @match age {
                    Some(age) => (time::long(age)),
                    None if is_untold(stage) => (NOT_KNOWN),
                    None => "–",
                }
            },
        ]
    });
    table::table(
        "Units before each stage",
        &["Stage", "Ready", "In hand", "Oldest"],
        rows,
    )
}

/// The stream, polls, windows and permissions.
pub(super) fn sources(status: &StatusView) -> Markup {
    let windows = status.windows.as_ref();
    let is_between_windows = windows.is_some_and(|windows| windows.next.is_some());
    let stream = html! {
        @match &status.stream {
            Some(stream) => {
                @if stream.at_end { "At its end" }
                @else if is_between_windows { "Taken up to the last window" }
                @else { "Being read" }
                ", last event " (time::or_never(stream.last_event, "none yet"))
                ", last heard " (time::at(stream.heard))
            }
            None => "Not heard yet"
        }
    };
    let permissions = html! {
        (number(status.permitted_users)) " users hold mOS permission, read "
        (time::or_never(status.permissions_polled, "never"))
    };
    let windows = windows.map(|windows| {
        html! {
            (words::state(&windows.frequency)) ", next "
            (time::or_never(windows.next, "while one is being taken"))
            "; the last one brought " (number(windows.changes)) " changes of " (number(windows.records)) " records; "
            (number(windows.reads_saved)) " reads of a record saved in 24 h"
        }
    });
    let polls = status.polls.iter().map(|(object, poll)| {
        let polled = poll.and_then(|poll| poll.polled);
        let polled = html! { "polled " (time::or_never(polled, "not yet")) };
        (object.api_name(), polled)
    });
    let mut facts = vec![("Event stream", stream)];
    facts.extend(windows.map(|windows| ("Windows", windows)));
    facts.extend(polls);
    facts.push(("Permissions", permissions));
    card::facts(&facts)
}
