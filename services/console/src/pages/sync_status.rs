//! Sync Status: how the sync is, as a whole.

use axum::response::Response;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{Page, job_name};
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{badge, card, empty, table, time};
use crate::views::StatusView;

/// Where it is.
pub(crate) const PATH: &str = "/sync-status";

pub(super) async fn show(context: PageContext) -> Response {
    let status = &context.status;
    let body = html! {
        div.columns {
            (card::card("Now", &now(status)))
            (card::card("On the way", &on_the_way(status)))
        }
        (card::card("Jobs", &jobs(status)))
    };
    let hint = html! {
        @if status.at_rest { "At rest: everything heard from Salesforce is in mOS or parked." }
        @else { "Waiting for " (status.waiting_for.join(", ")) "." }
    };
    Page::new("Sync Status", Icon::Status, body)
        .hint(hint)
        .response(&context)
}

fn now(status: &StatusView) -> Markup {
    let now = status.read_at;
    let stream = html! {
        @match &status.stream {
            Some(stream) => {
                "last event " (time::or_never(stream.last_event, "none yet"))
                ", last heard " (time::ago(stream.heard, now))
            }
            None => { "not heard yet" }
        }
    };
    let permissions = html! {
        (number(status.permitted_users)) " users hold mOS permission, read "
        (time::or_never(status.permissions_polled, "never"))
    };
    html! {
        (card::facts(&[("Event stream", stream), ("Permissions", permissions)]))
        @for warning in &status.warnings { p.quiet { (warning) } }
    }
}

fn on_the_way(status: &StatusView) -> Markup {
    let queued: u64 = status.queues.values().sum();
    let parked: u64 = status.parked.values().sum();
    card::figures(&[
        ("Units in queues", number(queued)),
        ("Waiting to be retried", number(status.waiting_to_retry)),
        ("Set aside", number(status.dead)),
        ("Parked records", number(parked)),
    ])
}

fn jobs(status: &StatusView) -> Markup {
    if status.jobs.is_empty() {
        return empty::empty(
            Icon::Jobs,
            "No job has run yet.",
            &html! { "The first load begins by itself when the listener reaches Salesforce." },
        );
    }
    let rows = status.jobs.iter().map(|job| {
        vec![
            html! { (job_name(job.kind)) },
            html! { code { (job.id) } },
            badge::salesforce(job.salesforce),
            badge::mos(job.mos),
            html! { (number(job.done)) @if let Some(total) = job.total { " of " (number(total)) } },
            time::at(job.requested),
        ]
    });
    table::table(
        "Newest jobs",
        &[
            "Kind",
            "Job",
            "Salesforce Job Status",
            "mOS Job Status",
            "Records",
            "Asked for",
        ],
        rows,
    )
}
