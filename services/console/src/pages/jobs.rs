//! Jobs: the history.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use domain::job::JobKind;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::Page;
use super::parts::form::Field;
use super::parts::icon::Icon;
use super::parts::{card, empty, notice, pager, table};
use super::sent::Sent;
use super::{Desk, PageFault, download, fault, job, words};
use crate::OpsError;
use crate::operations::jobs::{STATES, Wanted};
use crate::views::{JobList, JobSearch};

/// Where it is.
pub(super) const PATH: &str = "/jobs";
/// The same as CSV.
pub(super) const EXPORT: &str = "/jobs/export";

/// Jobs a page.
const PAGE: usize = 50;

fn search(query: Option<&str>) -> JobSearch {
    let asked = Sent::asked(query);
    JobSearch {
        kind: asked.get("kind"),
        state: asked.get("state"),
        before: asked.get("before"),
        limit: Some(PAGE),
    }
}

/// Each value alone, so that what is wrong is said where it was chosen.
fn faults(search: &JobSearch) -> BTreeMap<&'static str, String> {
    let alone = [
        (
            "kind",
            JobSearch {
                kind: search.kind.clone(),
                ..JobSearch::default()
            },
        ),
        (
            "state",
            JobSearch {
                state: search.state.clone(),
                ..JobSearch::default()
            },
        ),
    ];
    fault::at_fields(alone.map(|(name, search)| (name, Wanted::of(&search))))
}

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let search = search(query.as_deref());
    let wrong = faults(&search);
    let filters = filters(&search, &wrong);
    match desk.operations.jobs(&search).await {
        Ok(list) => page(&search, &filters, &list).response(&context),
        // Of the first page, so that there is something to look at.
        Err(error @ OpsError::Invalid(_)) => {
            let status = error.status();
            let said = html! {
                @if wrong.is_empty() { p { (fault::sentence(&error.to_string())) } p { "All jobs are shown." } }
                @else { "All jobs are shown: correct what is marked." }
            };
            let all = JobSearch {
                limit: Some(PAGE),
                ..JobSearch::default()
            };
            match desk.operations.jobs(&all).await {
                Ok(list) => page(&all, &filters, &list)
                    .notice(notice::failed(&said))
                    .status(status)
                    .response(&context),
                Err(error) => PageFault::within(&context, error).into_response(),
            }
        }
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

fn page(search: &JobSearch, filters: &Markup, list: &JobList) -> Page {
    let filter = [
        ("kind", search.kind.as_deref().unwrap_or_default()),
        ("state", search.state.as_deref().unwrap_or_default()),
    ];
    let body = html! {
        (card::card("Jobs, newest first", &html! {
            (filters)
            (rows(search, list))
        }))
    };
    let actions = html! { a.button href=(pager::address(EXPORT, &filter)) { "Export CSV" } };
    Page::new("Jobs", Icon::Jobs, body)
        .hint(html! { "What was read from Salesforce, and what became of it in mOS. Live changes are one job an hour." })
        .actions(actions)
}

fn filters(search: &JobSearch, wrong: &BTreeMap<&str, String>) -> Markup {
    let error = |name: &str| wrong.get(name).map(String::as_str);
    let mut kinds = vec![("", "All kinds")];
    kinds.extend(JobKind::ALL.map(|kind| (kind.name(), words::job(kind))));
    let states: Vec<(&str, String)> = STATES
        .iter()
        .map(|state| (*state, words::state(state)))
        .collect();
    let mut shown = vec![("", "Any status")];
    shown.extend(states.iter().map(|(state, words)| (*state, words.as_str())));
    html! {
        form.filters method="get" action=(PATH) {
            div.row {
                (Field::new("kind", "Kind").error(error("kind")).select(&kinds, search.kind.as_deref().unwrap_or_default()))
                (Field::new("state", "Status, on either side").error(error("state")).select(&shown, search.state.as_deref().unwrap_or_default()))
                div.field.go { button.button type="submit" { "Show" } }
            }
        }
    }
}

fn rows(search: &JobSearch, list: &JobList) -> Markup {
    let is_filtered = search.kind.is_some() || search.state.is_some();
    if list.jobs.is_empty() {
        return if is_filtered || search.before.is_some() {
            empty::empty(
                Icon::Jobs,
                "No job is like that.",
                &html! { a href=(PATH) { "Show all jobs" } },
            )
        } else {
            empty::empty(
                Icon::Jobs,
                "No job has run yet.",
                &html! { "The first load begins by itself when the listener reaches Salesforce." },
            )
        };
    }
    let filter = |before: &str| {
        pager::address(
            PATH,
            &[
                ("kind", search.kind.as_deref().unwrap_or_default()),
                ("state", search.state.as_deref().unwrap_or_default()),
                ("before", before),
            ],
        )
    };
    let next = list.next.as_deref().map(filter);
    let first = search.before.as_ref().map(|_| filter(""));
    html! {
        (table::table("Jobs", &job::COLUMNS, list.jobs.iter().map(job::row)))
        (pager::pager(next.as_deref(), first.as_deref()))
    }
}

pub(super) async fn export(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let search = JobSearch {
        limit: None,
        ..search(query.as_deref())
    };
    let all = desk.operations.all_jobs(&search);
    download::csv(&context, "mosync-jobs.csv", all).await
}
