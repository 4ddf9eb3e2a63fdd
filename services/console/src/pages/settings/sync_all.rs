//! "Sync all data to mOS": asked before it is done.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::ObjectKind;
use http::StatusCode;
use maud::{Markup, html};

use super::{PATH, SYNC_ALL, answer, effect};
use crate::OpsError;
use crate::pages::context::PageContext;
use crate::pages::fault::sentence;
use crate::pages::layout::Page;
use crate::pages::parts::form;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::table::number;
use crate::pages::parts::{badge, card, notice, table, time};
use crate::pages::words;
use crate::pages::{Desk, job, sync_status};
use crate::rights::Right;
use crate::views::{ExpectedSyncAll, JobView};

pub(in crate::pages) async fn ask(State(desk): State<Desk>, context: PageContext) -> Response {
    let expected = desk.operations.expected_sync_all().await;
    answer(&context, expected.map(|expected| page(&context, &expected)))
}

pub(in crate::pages) async fn start(State(desk): State<Desk>, context: PageContext) -> Response {
    let started = async {
        let expected = desk.operations.expected_sync_all().await?;
        if !expected.why_not.is_empty() {
            return Ok(Err(page(&context, &expected).status(StatusCode::CONFLICT)));
        }
        Ok(Ok(desk.operations.sync_all(context.caller()).await?.job))
    };
    let started: Result<Result<JobView, Page>, OpsError> = started.await;
    match started {
        Ok(Ok(job)) => Redirect::to(&job::address(&job.id, "")).into_response(),
        Ok(Err(page)) => answer(&context, Ok(page)),
        Err(error) => answer(&context, Err(error)),
    }
}

fn page(context: &PageContext, expected: &ExpectedSyncAll) -> Page {
    let can_run = expected.why_not.is_empty();
    let back = if context.viewer.may(Right::Administer) {
        PATH
    } else {
        sync_status::PATH
    };
    let body = html! {
        @if !can_run {
            (notice::warning(&html! {
                p { strong { "It cannot run now." } }
                ul { @for why in &expected.why_not { li { (time::within(&sentence(why))) } } }
            }))
        }
        @if can_run && !expected.waits.is_empty() {
            (notice::warning(&html! {
                p { strong { "It would not go through at once." } " It begins, or goes on, by itself when this is over:" }
                ul { @for why in &expected.waits { li { (time::within(&sentence(why))) } } }
            }))
        }
        @if let Some(running) = &expected.running { (card::card("Running now", &runs(running))) }
        (card::card("What it does", &html! {
            p { "This sends everything in scope from Salesforce to mOS: opportunities that match the filter and whose owners have mOS permission, with their accounts, contacts, contact roles and owners." }
            ul.sentences {
                li { strong { "No data is deleted on the mOS side." } }
                li { "It is best done while the mOS account is a blank slate. What is in mOS already is brought up to date." }
                li { "Live changes go on meanwhile." }
            }
        }))
        @if !expected.records.is_empty() { (card::card("What it will read", &records(expected))) }
        @if let Some(cost) = &expected.cost { (card::card("What it takes", &effect::cost(cost))) }
        (form::order_as(context, "sync-all", SYNC_ALL, false, html! {}))
    };
    Page::new("Sync all data to mOS?", Icon::Status, body)
        .hint(html! { "Nothing has begun yet." })
        .actions(html! {
            a.button href=(back) { "Cancel" }
            button.brand-button type="submit" form="sync-all" disabled[!can_run] { "Sync all data to mOS" }
        })
}

fn runs(job: &JobView) -> Markup {
    html! {
        p {
            (words::job(job.kind)) " " a href=(job::address(&job.id, "")) { code { (job.id) } } ": "
            (badge::salesforce(job.salesforce)) " " (badge::mos(job.mos)) " "
            (number(job.done)) @if let Some(total) = job.total { " of " (number(total)) } " records"
        }
    }
}

fn records(expected: &ExpectedSyncAll) -> Markup {
    let of = |object: ObjectKind| expected.records.get(&object).copied().flatten();
    let rows = ObjectKind::ALL.into_iter().map(|object| {
        let count = of(object).map_or_else(|| "cannot be counted in time".to_owned(), number);
        vec![html! { (object.api_name()) }, html! { (count) }]
    });
    table::table("Records in scope", &["Object", "Records"], rows)
}
