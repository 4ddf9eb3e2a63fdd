//! Both stages of a job side by side: Salesforce Job Status and mOS Job Status.

use std::time::Duration;

use domain::ObjectKind;
use domain::job::{JobKind, SalesforceShown};
use domain::tally::Count;
use maud::{Markup, html};

use super::parts::table::number;
use super::parts::{badge, bar, card, pager, time};
use super::words;
use crate::views::{Groups, JobView, ObjectView};

/// What has become of records, as the bars show it: class, word, and what is counted.
const OUTCOMES: [(&str, &str, &[Count]); 4] = [
    (
        "in-mos",
        "Created or updated",
        &[Count::Created, Count::Updated],
    ),
    ("same", "Unchanged", &[Count::Unchanged, Count::Stale]),
    (
        "left-out",
        "Left out",
        &[
            Count::Skipped,
            Count::Collapsed,
            Count::Gone,
            Count::Unreadable,
            Count::Filtered,
            Count::NotPermitted,
            Count::Cancelled,
        ],
    ),
    ("parked", "Parked", &[Count::Parked]),
];

/// Both, for a job; with what is still parked under it, where that was read.
pub(super) fn both(job: &JobView, still: Option<&Groups>) -> Markup {
    html! {
        div.columns {
            (card::with_actions("Salesforce Job Status", &badge::salesforce(job.salesforce), &reading(job)))
            (card::with_actions("mOS Job Status", &badge::mos(job.mos), &writing(job, still)))
        }
    }
}

fn reading(job: &JobView) -> Markup {
    let read = if job.kind == JobKind::Live {
        job.done
    } else {
        job.objects.values().map(|object| object.read).sum()
    };
    let errors: u64 = job.objects.values().map(|object| object.errors).sum();
    html! {
        (card::figures(&[
            ("Records read", published_of(read, job.total)),
            ("Units published", number(job.units)),
            ("Errors while reading", number(errors)),
        ]))
        @if let Some(pause) = &job.paused {
            p.paused {
                "Paused since " (time::at(pause.since)) ": " (time::within(&pause.why)) "."
                @if let Some(until) = pause.until { " It goes on by itself at " (time::at(until)) "." }
                @else { " Somebody has to resume it." }
            }
        }
        @if let Some(error) = &job.error { p.wrong { (super::fault::said(error)) } }
        ul.bars {
            @for (object, view) in &job.objects {
                @if view.total.is_some() || view.read > 0 || view.started.is_some() {
                    li { (read_of(job, *object, view)) }
                }
            }
        }
        @if job.objects.values().all(|view| view.total.is_none() && view.read == 0 && view.started.is_none()) {
            p.quiet { (nothing_read(job)) }
        }
    }
}

/// A live job counts what comes, and how much there will be nobody knows.
fn nothing_read(job: &JobView) -> &'static str {
    if job.kind == JobKind::Live {
        "Changes come by themselves, so there is no total to read."
    } else if job.over.is_some() {
        "Nothing was read."
    } else {
        "Nothing is read yet."
    }
}

fn published_of(read: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!("{} of {}", number(read), number(total)),
        None => number(read),
    }
}

/// Whether nothing more is read for it.
const fn is_read(job: &JobView) -> bool {
    matches!(
        job.salesforce,
        SalesforceShown::Sealed
            | SalesforceShown::Completed
            | SalesforceShown::Failed
            | SalesforceShown::Cancelled
    )
}

fn read_of(job: &JobView, object: ObjectKind, view: &ObjectView) -> Markup {
    let total = view.total.unwrap_or(view.read);
    html! {
        div.bar-name {
            strong { (object.api_name()) }
            span { (published_of(view.read, view.total)) }
        }
        (bar::progress(&format!("{object}, records read"), view.read, total))
        p.bar-note {
            @match (view.started, view.finished) {
                (_, Some(finished)) => { "Read by " (time::at(finished)) }
                // Where named records are read, or somebody has ended it, nobody says when it was done.
                (Some(started), None) if is_read(job) => { "Reading began " (time::at(started)) }
                (Some(started), None) => { "Reading since " (time::at(started)) }
                (None, None) => { "Not begun" }
            }
            @if view.total.is_none() { " · total not known yet" }
            @if view.errors > 0 { " · " (number(view.errors)) " errors" }
        }
        @if let Some(error) = &view.last_error {
            p.wrong { "Last error: " (super::fault::said(error)) " It is tried again by itself while the job runs." }
        }
    }
}

fn writing(job: &JobView, still: Option<&Groups>) -> Markup {
    let sent = sum(&job.objects, &[Count::Created, Count::Updated]);
    let parked = sum(&job.objects, &[Count::Parked]);
    let mut figures = vec![("Records done", published_of(job.done, job.total))];
    if let Some(percent) = job.percent {
        figures.push(("Done", format!("{percent:.1} %")));
    }
    figures.push(("Created or updated", number(sent)));
    if let Some(rate) = job.per_second {
        figures.push(("Records/s", format!("{rate:.1}")));
    }
    if let Some(seconds) = job.remaining_s {
        figures.push(("Time left", time::long(Duration::from_secs(seconds))));
    }
    html! {
        (card::figures(&figures))
        @if parked > 0 {
            p.wrong { (parked_of(job, parked, still)) }
        }
        ul.bars {
            @for (object, view) in &job.objects {
                @if !view.tally.is_empty() || view.pending.is_some() {
                    li { (written(*object, view)) }
                }
            }
        }
        @if job.objects.values().all(|view| view.tally.is_empty() && view.pending.is_none()) {
            p.quiet { "Nothing has come here yet." }
        } @else {
            p.legend aria-hidden="true" {
                @for (class, word, _) in OUTCOMES { span { i class=(class) {} (word) } }
            }
        }
    }
}

/// An entry names the job that has parked its record last, so there may be fewer than were counted.
fn parked_of(job: &JobView, parked: u64, still: Option<&Groups>) -> Markup {
    let listed = pager::address(super::parked::PATH, &[("job", &job.id)]);
    let is = |records: u64| if records == 1 { "is" } else { "are" };
    html! {
        @if parked == 1 { "1 record was parked" } @else { (number(parked)) " records were parked" }
        @match still {
            None => {
                ". " a href=(super::job::address(&job.id, "")) { "See why, and what to do" }
            }
            Some(still) if still.open >= parked || (still.open > 0 && job.over.is_none()) => {
                ". " a href=(listed) { "See why, and what to do" }
            }
            Some(still) => {
                @let left = parked.saturating_sub(still.open + still.dismissed);
                ": " (number(still.open)) " still " (is(still.open)) " under this job"
                @if still.dismissed > 0 { ", " (number(still.dismissed)) " " (is(still.dismissed)) " dismissed" }
                ". "
                @if left > 0 {
                    (number(left)) " no longer " (is(left)) ": mOS has them, they are out of scope, or a later job has taken them up. "
                }
                @if still.open > 0 { a href=(listed) { "See why, and what to do" } " · " }
                a href=(logged(&job.id)) { "What the log says of them" }
            }
        }
    }
}

/// The lines of the log about what a job could not do.
pub(super) fn logged(job: &str) -> String {
    pager::address(super::logs::PATH, &[("job", job), ("level", "warning")])
}

fn written(object: ObjectKind, view: &ObjectView) -> Markup {
    let of = |counts: &[Count]| -> u64 {
        counts
            .iter()
            .filter_map(|count| view.tally.get(count))
            .sum()
    };
    let outcomes = OUTCOMES.map(|(class, word, counts)| (class, word, of(counts)));
    let done: u64 = outcomes.iter().map(|(.., records)| records).sum();
    let came = of(&[Count::Read, Count::Added]);
    let total = view.total.unwrap_or_default().max(came);
    html! {
        div.bar-name {
            strong { (object.api_name()) }
            span {
                (number(done)) " done"
                @if let Some(pending) = view.pending.filter(|pending| *pending > 0) { ", " (number(pending)) " on the way" }
            }
        }
        (bar::stack(&outcomes.map(|(class, _, records)| (class, records)), total))
        p.bar-note {
            @for (place, (_, word, records)) in outcomes.iter().filter(|(.., records)| *records > 0).enumerate() {
                @if place > 0 { " · " }
                (word) " " (number(*records))
            }
            @if done == 0 { "Nothing yet" }
            @if let Some(rate) = view.per_second { " · " (format!("{rate:.1}")) " records/s" }
            @if let Some(seconds) = view.remaining_s.filter(|seconds| *seconds > 0) {
                " · " (time::long(Duration::from_secs(seconds))) " left"
            }
        }
    }
}

fn sum(objects: &std::collections::BTreeMap<ObjectKind, ObjectView>, counts: &[Count]) -> u64 {
    let tallies = objects.values().map(|view| &view.tally);
    tallies
        .flat_map(|tally| counts.iter().filter_map(|count| tally.get(count)))
        .sum()
}

/// What is read aloud of a job when it changes: no numbers that grow all the time.
pub(super) fn said(job: &JobView) -> String {
    format!(
        "{}: Salesforce Job Status {}, mOS Job Status {}.",
        words::job(job.kind),
        words::state(job.salesforce.name()),
        words::state(job.mos.name())
    )
}

/// The job in a line.
pub(super) fn line(job: &JobView) -> Markup {
    html! {
        (words::job(job.kind)) ": " (time::within(&job.reads)) ". Asked for " (time::at(job.requested))
        @if let Some(over) = job.over { ", over " (time::at(over)) }
        "."
    }
}
