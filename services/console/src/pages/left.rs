//! Left the scope: opportunities that mOS holds and that do not qualify any more, a stretch at a time.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::SalesforceId;
use maud::{Markup, html};

use super::context::PageContext;
use super::fault::{capital, sentence};
use super::layout::{Page, answer};
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{card, empty, pager, record, table, time};
use super::sent::Sent;
use super::{Desk, download, explain};
use crate::OpsError;
use crate::views::{LeftRecord, LeftView, LeftWhy};

/// Where it is.
pub(super) const PATH: &str = "/left";
/// All of it as CSV.
pub(super) const EXPORT: &str = "/left/export";

/// What the page, and every way to it, is called.
const TITLE: &str = "Left the scope";

/// The way here from another page.
pub(super) fn button() -> Markup {
    html! { a.button href=(PATH) { (TITLE) } }
}

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let after = Sent::asked(query.as_deref()).get("after");
    let page = match desk.operations.left(after.as_deref(), None).await {
        Ok(view) => Ok(page(&context, after.is_none(), &view)),
        // Permissions were not read yet.
        Err(OpsError::Conflict(why)) => Ok(unread(&why)),
        Err(error) => Err(error),
    };
    answer(&context, page)
}

pub(super) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let all = desk.operations.all_left();
    download::csv(&context, "mosync-left.csv", all).await
}

fn titled(body: Markup) -> Page {
    Page::new(TITLE, Icon::Explain, body)
}

fn unread(why: &str) -> Page {
    titled(card::card(
        "How many, and why",
        &empty::empty(
            Icon::Explain,
            "Nobody knows yet what left the scope.",
            &html! { (sentence(why)) },
        ),
    ))
}

fn page(context: &PageContext, is_first: bool, view: &LeftView) -> Page {
    let next = view.next.as_deref();
    let next = next.map(|after| pager::address(PATH, &[("after", after)]));
    let body = html! {
        (card::card("How many, and why", &counted(is_first, view)))
        @if !view.left.is_empty() { (card::card("Which", &named(context, view))) }
        (pager::pages(next.as_deref(), (!is_first).then_some(PATH)))
    };
    titled(body)
        .hint(html! {
            "Opportunities that were synced once and do not qualify any more: they stay in mOS as they are, and receive nothing more. Read "
            (time::at(view.read_at)) "."
        })
        .actions(html! { a.button href=(EXPORT) { "Export CSV" } })
}

fn counted(is_first: bool, view: &LeftView) -> Markup {
    if view.held == 0 {
        return if is_first {
            empty::empty(
                Icon::Explain,
                "mOS holds no opportunity.",
                &html! { "What was synced and leaves the scope later is counted and named here." },
            )
        } else {
            empty::empty(
                Icon::Explain,
                "mOS holds no further opportunity.",
                &html! { "All that it holds was looked at on the pages before." },
            )
        };
    }
    if view.left.is_empty() {
        return empty::empty(
            Icon::Explain,
            &format!("{}, none left the scope.", stretch(is_first, view)),
            &html! { "Each of them qualifies by the settings and the permissions in force." },
        );
    }
    let left = number(view.left.len() as u64);
    let counts = by_reason(&view.left);
    let rows = counts
        .iter()
        .map(|(why, count)| vec![html! { (capital(why.words())) }, html! { (number(*count)) }]);
    html! {
        p { (stretch(is_first, view)) ", " strong { (left) } " left the scope." }
        (table::table("How many left the scope, and why", &["Why", "Opportunities"], rows))
    }
}

/// How the sentence about a stretch begins.
fn stretch(is_first: bool, view: &LeftView) -> String {
    let which = match (is_first, view.next.is_some()) {
        (true, false) => "",
        (true, true) => "first ",
        (false, true) => "next ",
        (false, false) => "last ",
    };
    let what = if view.held == 1 {
        "opportunity"
    } else {
        "opportunities"
    };
    format!("Of the {which}{} {what} that mOS holds", number(view.held))
}

fn by_reason(left: &[LeftRecord]) -> BTreeMap<LeftWhy, u64> {
    let mut counts = BTreeMap::new();
    for record in left {
        *counts.entry(record.why).or_default() += 1;
    }
    counts
}

fn named(context: &PageContext, view: &LeftView) -> Markup {
    let rows = view.left.iter().map(|record| row(context, record));
    table::table(
        "Which left the scope",
        &["Opportunity", "Owner", "Why", ""],
        rows,
    )
}

fn row(context: &PageContext, left: &LeftRecord) -> Vec<Markup> {
    let id = SalesforceId::parse(&left.id).ok();
    vec![
        html! {
            div.who {
                @if let Some(name) = &left.name { strong { (name) } }
                @match &id { Some(id) => (record::id(context, id)), None => code { (left.id) } }
            }
        },
        html! {
            @match &left.owner { Some(owner) => (record::id(context, owner)), None => "not known" }
        },
        html! { (capital(left.why.words())) },
        html! { @if id.is_some() { (explain::link(&left.id)) } },
    ]
}
