//! One job: both stages, what became of its records, its errors, its log, and orders.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use domain::ObjectKind;
use domain::job::{JobKind, SalesforceShown};
use domain::tally::Count;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{Page, answer};
use super::parts::form::{self, Field};
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{badge, card, empty, notice, pager, table, time};
use super::sent::Sent;
use super::{Desk, assets, fault, logs, parked, stages, words};
use crate::OpsError;
use crate::pages::asked::Path;
use crate::rights::Right;
use crate::views::{GroupSearch, Groups, JobView, LogLine, LogPageView, LogSearch};

/// Lines of its log on the page.
const LINES: usize = 50;

/// The columns of a list of jobs.
pub(super) const COLUMNS: [&str; 6] = [
    "Job",
    "Salesforce Job Status",
    "mOS Job Status",
    "Records",
    "Asked for",
    "Over",
];

/// A job in a list.
pub(super) fn row(job: &JobView) -> Vec<Markup> {
    vec![
        html! {
            (link(&job.id, words::job(job.kind)))
            br; code { (job.id) }
        },
        badge::salesforce(job.salesforce),
        badge::mos(job.mos),
        html! { (number(job.done)) @if let Some(total) = job.total { " of " (number(total)) } },
        time::at(job.requested),
        html! { @match job.over { Some(over) => (time::at(over)), None => "–" } },
    ]
}

/// A link to a job's page.
pub(super) fn link(id: &str, words: &str) -> Markup {
    html! { a href=(address(id, "")) { (words) } }
}

/// The page of a job, or of an order to it.
pub(super) fn address(id: &str, deed: &str) -> String {
    format!("/jobs/{}{deed}", pager::part(id))
}

/// What was written into the forms of orders, and what is wrong with it.
#[derive(Default)]
struct Written {
    /// Why it is paused.
    pause: String,
    /// Why it is cancelled.
    cancel: String,
    /// Beside the one that was given.
    error: Option<String>,
}

impl Written {
    const fn is_empty(&self) -> bool {
        self.pause.is_empty() && self.cancel.is_empty() && self.error.is_none()
    }

    /// Whether it was to be paused: without a reason nothing is wrong with that.
    const fn is_of_pause(&self) -> bool {
        !self.pause.is_empty()
    }
}

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
) -> Response {
    answer(
        &context,
        page(&desk, &context, &id, &Written::default()).await,
    )
}

pub(super) async fn pause(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let reason = sent.get("reason");
    let ordered = desk
        .operations
        .pause_job(&id, reason.clone(), context.caller());
    let done = ordered.await.map(|_| "The job is paused. What is on the way is finished; nothing more is read until it is resumed.");
    let written = Written {
        pause: reason.unwrap_or_default(),
        ..Written::default()
    };
    ordered_page(&desk, &context, &id, written, done).await
}

pub(super) async fn resume(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
) -> Response {
    let ordered = desk.operations.resume_job(&id, context.caller()).await;
    let done = ordered.map(|_| "The job goes on.");
    ordered_page(&desk, &context, &id, Written::default(), done).await
}

pub(super) async fn cancel(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let reason = sent.get("reason");
    // Not to be taken back: somebody who reads the log later has to know why.
    let done = if reason.is_none() {
        Err(OpsError::Invalid(
            "write down why the job is cancelled, so that somebody who finds it later knows"
                .to_owned(),
        ))
    } else {
        let ordered = desk
            .operations
            .cancel_job(&id, reason.clone(), context.caller());
        ordered.await.map(|_| "The job is cancelled. Nothing more is read for it, what is in hand is finished, and nothing is undone in mOS.")
    };
    let written = Written {
        cancel: reason.unwrap_or_default(),
        ..Written::default()
    };
    ordered_page(&desk, &context, &id, written, done).await
}

/// The page after an order.
async fn ordered_page(
    desk: &Desk,
    context: &PageContext,
    id: &str,
    written: Written,
    done: Result<&str, OpsError>,
) -> Response {
    let error = match done {
        Ok(words) => {
            let context = &context.again(desk).await;
            let page = page(desk, context, id, &Written::default()).await;
            let said = notice::done(&html! { (words) });
            return answer(context, page.map(|page| page.notice(said)));
        }
        Err(error) => error,
    };
    let said = fault::sentence(&error.to_string());
    let status = error.status();
    let in_place = matches!(error, OpsError::Invalid(_));
    if !in_place && !matches!(error, OpsError::Conflict(_)) {
        return answer(context, Err(error));
    }
    let written = Written {
        error: in_place.then(|| said.clone()),
        ..written
    };
    let page = page(desk, context, id, &written).await;
    answer(
        context,
        page.map(|page| {
            page.notice(notice::failed(&html! { (said) }))
                .status(status)
        }),
    )
}

async fn page(
    desk: &Desk,
    context: &PageContext,
    id: &str,
    written: &Written,
) -> Result<Page, OpsError> {
    let job = desk.operations.job(id).await?;
    let of_job = GroupSearch {
        job: Some(job.id.clone()),
    };
    let groups = desk.operations.parked_groups(&of_job).await?;
    let lines = LogSearch {
        job: Some(job.id.clone()),
        limit: Some(LINES),
        ..LogSearch::default()
    };
    let log = desk
        .operations
        .logs(&lines, context.viewer.role.right())
        .await?;
    let may_steer =
        context.viewer.may(Right::Operate) && job.over.is_none() && job.kind != JobKind::Live;
    let body = html! {
        p.only-read data-live-own="said" aria-live="polite" { (stages::said(&job)) }
        // Says so while nothing of this can be read again.
        div data-live-part="trouble" {}
        (live("stages", &stages::both(&job, Some(&groups))))
        @let orders = html! {
            @if may_steer { (card::card("Orders", &orders(context, &job, written))) }
        };
        // What is wrong with an order, and what was written for it, stays where it is.
        @if written.is_empty() { (live("orders", &orders)) } @else { (orders) }
        (live("records", &card::card("What became of the records", &tally(&job))))
        (live("parked", &card::card("Parked records of this job", &errors(context, &job, &groups))))
        (live("log", &card::with_actions(
            "Log of this job",
            &html! { a.button href=(pager::address(logs::PATH, &[("job", &job.id)])) { "All lines" } },
            &its_log(context, &log),
        )))
    };
    let hint = html! { span data-live-own="line" { (stages::line(&job)) } " " code { (job.id) } };
    let own = address(&job.id, "");
    let actions = html! {
        span.live-state #live-state role="status" data-own=(own) hidden { }
        a.button href=(super::jobs::PATH) { "All jobs" }
        a.button href=(own) { "Read again" }
    };
    let page = Page::new(words::job(job.kind), Icon::Jobs, body)
        .hint(hint)
        .actions(actions);
    // What is over stays as it is.
    Ok(if job.over.is_none() {
        page.script(assets::LIVE)
    } else {
        page
    })
}

/// A part of the page that a script reads again while the job runs.
fn live(name: &str, content: &Markup) -> Markup {
    html! { div data-live-own=(name) { (content) } }
}

fn orders(context: &PageContext, job: &JobView, written: &Written) -> Markup {
    // What is read already cannot be held.
    let may_pause = !matches!(
        job.salesforce,
        SalesforceShown::Sealed | SalesforceShown::Cancelled
    );
    // A form for each order: Enter in a field gives the order that the field belongs to.
    html! {
        @if job.paused.is_some() {
            (form::order(context, &address(&job.id, "/resume"), html! {
                div.actions { button.brand-button type="submit" { "Resume" } }
            }))
        } @else if may_pause {
            (form::order(context, &address(&job.id, "/pause"), html! {
                (Field::reason("Why it is paused")
                    .id("pause-reason")
                    .help("Written to the integration log. It may be left empty.")
                    .error(written.error.as_deref().filter(|_| written.is_of_pause()))
                    .input("text", &written.pause))
                div.actions { button.button type="submit" { "Pause" } }
            }))
        }
        (form::order(context, &address(&job.id, "/cancel"), html! {
            (Field::reason("Why it is cancelled")
                .help("Written to the integration log. A cancellation needs it, and cannot be taken back.")
                .error(written.error.as_deref().filter(|_| !written.is_of_pause()))
                .input("text", &written.cancel))
            div.actions { button.bad-button type="submit" { "Cancel this job" } }
        }))
    }
}

/// Ways in and ways out, object by object, with the sums.
fn tally(job: &JobView) -> Markup {
    let objects: Vec<ObjectKind> = ObjectKind::ALL
        .into_iter()
        .filter(|object| {
            job.objects
                .get(object)
                .is_some_and(|view| !view.tally.is_empty())
        })
        .collect();
    if objects.is_empty() {
        return html! { p.quiet { "Nothing is counted yet. A unit of up to 200 records is counted when its last record is done." } };
    }
    let of = |object: &ObjectKind, counts: &dyn Fn(Count) -> bool| -> u64 {
        let tally: Option<&BTreeMap<Count, u64>> = job.objects.get(object).map(|view| &view.tally);
        let counted = tally.into_iter().flatten();
        counted
            .filter(|(count, _)| counts(**count))
            .map(|(_, records)| records)
            .sum()
    };
    let line = |name: &str, counts: &dyn Fn(Count) -> bool, is_sum: bool| {
        let each: Vec<u64> = objects.iter().map(|object| of(object, counts)).collect();
        let all: u64 = each.iter().sum();
        let cell = |records: u64| html! { @if is_sum { strong { (number(records)) } } @else { (number(records)) } };
        let name = html! { @if is_sum { strong { (name) } } @else { (name) } };
        let cells = each.into_iter().map(cell);
        (
            all,
            std::iter::once(name)
                .chain(cells)
                .chain([cell(all)])
                .collect::<Vec<_>>(),
        )
    };
    let mut rows = Vec::new();
    let ways = |is_way_in: bool| {
        Count::ALL
            .into_iter()
            .filter(move |count| count.is_way_in() == is_way_in)
    };
    let mut sums = Vec::new();
    for (is_way_in, sum) in [(true, "In, together"), (false, "Out, together")] {
        for count in ways(is_way_in) {
            let (all, cells) = line(words::count(count), &|known| known == count, false);
            if all > 0 {
                rows.push(cells);
            }
        }
        let (all, cells) = line(sum, &|known| known.is_way_in() == is_way_in, true);
        sums.push(all);
        rows.push(cells);
    }
    let mut columns = vec!["Records"];
    columns.extend(objects.iter().map(|object| object.api_name()));
    columns.push("All");
    let is_closed = sums.first() == sums.last();
    html! {
        (table::table("What became of the records", &columns, rows))
        p.quiet {
            @if is_closed { "Every record that came in has gone out: the sums are equal." }
            @else { "The sums are not equal: please report this with the job's id." }
        }
    }
}

fn errors(context: &PageContext, job: &JobView, groups: &Groups) -> Markup {
    if groups.groups.is_empty() && job.tally.total(Count::Parked) > 0 {
        return empty::empty(
            Icon::Parked,
            "No record is parked under this job any more.",
            &html! { a href=(stages::logged(&job.id)) { "What the log says of them" } },
        );
    }
    if groups.groups.is_empty() {
        return empty::empty(
            Icon::Parked,
            "No record of this job is parked.",
            &html! { "Records that mOS could not take are listed here, by cause." },
        );
    }
    let listed = |dismissed: &str| {
        let values = [("job", job.id.as_str()), ("dismissed", dismissed)];
        pager::address(parked::PATH, &values)
    };
    html! {
        (parked::groups_table(context, groups, Some(&job.id), false))
        p {
            @if groups.open > 0 { a href=(listed("")) { "List these records" } }
            @if groups.open > 0 && groups.dismissed > 0 { " · " }
            @if groups.dismissed > 0 { a href=(listed("yes")) { "List the dismissed ones" } }
        }
    }
}

fn its_log(context: &PageContext, log: &LogPageView) -> Markup {
    if log.entries.is_empty() {
        return html! { p.quiet { "Nothing is logged about it." } };
    }
    // One is on the job's page already.
    let entries = log.entries.iter().cloned();
    let lines: Vec<_> = entries.map(|line| LogLine { job: None, ..line }).collect();
    logs::lines(context, &lines)
}
