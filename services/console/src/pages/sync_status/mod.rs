//! Sync Status: how the sync is, as a whole, and live.

mod chart;
mod now;

use axum::response::Response;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{self, Page};
use super::live::Parts;
use super::parts::icon::Icon;
use super::parts::{card, empty, notice, table};
use super::{assets, fault, job, left, settings, stages};
use crate::OpsError;
use crate::rights::Right;
use crate::views::{JobView, StatusView, Verdict};

/// Where it is.
pub(crate) const PATH: &str = "/sync-status";

/// How much of what keeps it from rest is named.
const WAITING: usize = 3;
/// How many of the newest jobs are shown here.
const JOBS: usize = 8;

pub(super) async fn show(context: PageContext) -> Response {
    let status = &context.status;
    let part = |name: &'static str| live(name, &content(name, status));
    let body = html! {
        p.only-read data-live-part="said" aria-live="polite" { (said(status)) }
        (part("trouble"))
        (part("now"))
        (part("job"))
        div.columns {
            div { (part("attention")) (part("way")) }
            div { (part("hours")) (part("stream")) }
        }
        (part("jobs"))
    };
    let state = html! {
        span.live-state id="live-state" role="status" hidden { }
        noscript { a.button href=(PATH) { "Read again" } }
        (left::button())
        @if context.viewer.may(Right::Operate) {
            a.button href=(settings::SYNC_ALL) { "Sync all data to mOS" }
        }
    };
    Page::new("Sync Status", Icon::Status, body)
        .hint(html! { span data-live-part="rest" { (rest(status)) } })
        .actions(state)
        .script(assets::LIVE)
        .script(assets::MOMENTS)
        .response(&context)
}

fn live(name: &'static str, content: &Markup) -> Markup {
    html! { div data-live-part=(name) { (content) } }
}

/// The cards of the page.
const CARDS: [&str; 8] = [
    "trouble",
    "now",
    "job",
    "attention",
    "way",
    "hours",
    "stream",
    "jobs",
];

/// Everything that is live, of one reading. When it cannot be read, that alone is said, and the rest
/// stays as it was.
pub(super) fn parts(read: Result<StatusView, OpsError>) -> Parts {
    let status = match read {
        Ok(status) => status,
        Err(error) => {
            let sentence = fault::sentence(&error.to_string());
            let notice = notice::failed(&html! {
                p { strong { "What you see is not up to date." } " " (sentence) }
            });
            return vec![("trouble", notice.into_string())];
        }
    };
    let cards = CARDS.map(|name| (name, content(name, &status).into_string()));
    let frame = [
        ("said", html! { (said(&status)) }),
        ("rest", rest(&status)),
        ("verdict", layout::verdict(&status)),
        ("recent", layout::recent(&status)),
    ];
    let frame = frame.map(|(name, content)| (name, content.into_string()));
    cards.into_iter().chain(frame).collect()
}

fn content(name: &str, status: &StatusView) -> Markup {
    match name {
        "now" => card::card("Now", &now::figures(status)),
        "job" => main_job(status),
        "attention" => now::attention(status),
        "way" => card::card("On the way to mOS", &now::way(status)),
        "hours" => card::card(
            "Live changes of the last 24 hours",
            &chart::chart(&status.hours),
        ),
        "stream" => card::card("Where changes come from", &now::sources(status)),
        "jobs" => card::with_actions(
            "Newest jobs",
            &html! { a.button href="/jobs" { "All jobs" } },
            &newest(status),
        ),
        _ => html! {},
    }
}

/// The job that runs, a sync-all first, else the one that ended last; live changes only where there
/// is no other.
pub(super) fn main_of(status: &StatusView) -> Option<&JobView> {
    let last_sync_all = status.last_sync_all.as_ref();
    last_sync_all
        .filter(|job| job.over.is_none())
        .or_else(|| status.unfinished.first())
        .or(status.last_ended.as_ref())
        .or_else(|| status.jobs.first())
}

fn main_job(status: &StatusView) -> Markup {
    let Some(job) = main_of(status) else {
        return card::card(
            "Salesforce Job Status and mOS Job Status",
            &empty::empty(
                Icon::Jobs,
                "No job has run yet.",
                &html! { "The first load begins by itself when the listener reaches Salesforce." },
            ),
        );
    };
    html! {
        p.job-line {
            strong { @if job.over.is_none() { "Running: " } @else { "Latest: " } }
            (stages::line(job)) " " (job::link(&job.id, "Open the job"))
        }
        (stages::both(job, None))
    }
}

fn rest(status: &StatusView) -> Markup {
    html! {
        @if status.at_rest { "At rest: everything heard from Salesforce is in mOS or parked." }
        @else {
            @let shown: Vec<&str> = status.waiting_for.iter().take(WAITING).map(String::as_str).collect();
            "Waiting for " (shown.join(", "))
            @if status.waiting_for.len() > WAITING { " and " (status.waiting_for.len() - WAITING) " more" }
            "."
        }
    }
}

/// What is read aloud when it changes: no numbers that grow all the time.
fn said(status: &StatusView) -> String {
    let verdict = match status.verdict {
        Verdict::Healthy => "Healthy",
        Verdict::Degraded => "Degraded",
        Verdict::OutOfReach => "Out of reach",
    };
    match main_of(status) {
        Some(job) => format!("{verdict}. {}", stages::said(job)),
        None => format!("{verdict}."),
    }
}

fn newest(status: &StatusView) -> Markup {
    if status.jobs.is_empty() {
        return html! { p.quiet { "None yet." } };
    }
    let rows = status.jobs.iter().take(JOBS).map(job::row);
    html! {
        (table::table("Newest jobs", &job::COLUMNS, rows))
    }
}
