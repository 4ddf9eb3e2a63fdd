//! Parked Records: by cause, one by one, and what is done about them.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use domain::ObjectKind;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::Page;
use super::parts::form::{self, Field};
use super::parts::icon::Icon;
use super::parts::pager::{self, address};
use super::parts::table::number;
use super::parts::{badge, card, empty, notice, record, table, time};
use super::sent::Sent;
use super::{Desk, PageFault, dead, download, explain, fault, job, logs, words};
use crate::OpsError;
use crate::rights::Right;
use crate::views::{
    GroupSearch, GroupView, Groups, ParkedList, ParkedSearch, ParkedView, Selection, Touched,
};

/// Where it is.
pub(super) const PATH: &str = "/parked";
/// The same as CSV.
pub(super) const EXPORT: &str = "/parked/export";

/// Where orders go.
pub(super) const RETRY: &str = "/parked/retry";
/// The same.
pub(super) const DISMISS: &str = "/parked/dismiss";

/// Records a page.
const PAGE: usize = 50;

/// What was written into the form of orders, and what is wrong with it.
#[derive(Default)]
struct Written {
    reason: String,
    /// Beside the reason.
    error: Option<String>,
    /// The records that were ticked.
    records: Vec<String>,
}

fn search(asked: &Sent) -> ParkedSearch {
    ParkedSearch {
        object: asked.get("object"),
        kind: asked.get("kind"),
        parent: asked.get("parent"),
        job: asked.get("job"),
        group: asked.get("group"),
        dismissed: Some(asked.get("dismissed").as_deref() == Some("yes")),
        after: asked.get("after"),
        limit: Some(PAGE),
    }
}

/// The filter, as an address carries it.
fn filter(search: &ParkedSearch) -> [(&'static str, &str); 6] {
    [
        ("object", search.object.as_deref().unwrap_or_default()),
        ("kind", search.kind.as_deref().unwrap_or_default()),
        ("parent", search.parent.as_deref().unwrap_or_default()),
        ("job", search.job.as_deref().unwrap_or_default()),
        ("group", search.group.as_deref().unwrap_or_default()),
        (
            "dismissed",
            if search.dismissed == Some(true) {
                "yes"
            } else {
                ""
            },
        ),
    ]
}

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let search = search(&Sent::asked(query.as_deref()));
    let page = page(&desk, &context, &search, &Written::default()).await;
    answer(&context, page)
}

fn answer(context: &PageContext, page: Result<Page, OpsError>) -> Response {
    match page {
        Ok(page) => page.response(context),
        Err(error) => PageFault::within(context, error).into_response(),
    }
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Retry,
    Dismiss,
}

pub(super) async fn retry(State(desk): State<Desk>, context: PageContext, sent: Sent) -> Response {
    order(&desk, &context, &sent, Deed::Retry).await
}

pub(super) async fn dismiss(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    order(&desk, &context, &sent, Deed::Dismiss).await
}

async fn order(desk: &Desk, context: &PageContext, sent: &Sent, deed: Deed) -> Response {
    let reason = sent.get("reason");
    let done = match selection(sent) {
        Ok(selection) => {
            let ops = &desk.operations;
            match deed {
                Deed::Retry => ops.retry_parked(&selection, context.caller()).await,
                Deed::Dismiss => ops.dismiss_parked(&selection, context.caller()).await,
            }
        }
        Err(error) => Err(error),
    };
    let search = search(sent);
    let page = match done {
        Ok(Touched { records }) => {
            let page = page(desk, context, &search, &Written::default()).await;
            page.map(|page| page.notice(notice::done(&said(deed, records))))
        }
        Err(error @ (OpsError::Invalid(_) | OpsError::NotFound(_) | OpsError::Conflict(_))) => {
            let sentence = fault::sentence(&error.to_string());
            let lacks_reason = deed == Deed::Dismiss && reason.is_none();
            let written = Written {
                error: lacks_reason.then(|| sentence.clone()),
                reason: reason.unwrap_or_default(),
                records: sent.all("record").collect(),
            };
            let page = page(desk, context, &search, &written).await;
            let status = error.status();
            page.map(|page| {
                page.notice(notice::failed(&html! { (sentence) }))
                    .status(status)
            })
        }
        Err(error) => Err(error),
    };
    answer(context, page)
}

fn said(deed: Deed, records: u64) -> Markup {
    let records = match records {
        1 => "1 record".to_owned(),
        records => format!("{} records", number(records)),
    };
    html! {
        @match deed {
            Deed::Retry => {
                (records) " will be read back from Salesforce and tried again now. Whatever mOS takes leaves this list."
            }
            Deed::Dismiss => {
                (records) " dismissed. The entries stay, with the reason, and are no trouble any more."
            }
        }
    }
}

/// `which` says what the order is about; a button of a group or of a record names it in its value.
fn selection(sent: &Sent) -> Result<Selection, OpsError> {
    let reason = sent.get("reason");
    if let Some(one) = sent.get("only") {
        return Ok(Selection {
            records: vec![one],
            reason,
            ..Selection::default()
        });
    }
    if let Some(group) = sent.get("in_group") {
        return Ok(Selection {
            group: Some(group),
            reason,
            ..Selection::default()
        });
    }
    match sent.get("which").as_deref() {
        Some("all") => Ok(Selection {
            all: true,
            reason,
            ..Selection::default()
        }),
        Some("group") => Ok(Selection {
            group: sent.get("group"),
            reason,
            ..Selection::default()
        }),
        _ => {
            let records: Vec<String> = sent.all("record").collect();
            if records.is_empty() {
                return Err(OpsError::Invalid(
                    "tick the records that are meant, or choose all of them".to_owned(),
                ));
            }
            Ok(Selection {
                records,
                reason,
                ..Selection::default()
            })
        }
    }
}

async fn page(
    desk: &Desk,
    context: &PageContext,
    search: &ParkedSearch,
    written: &Written,
) -> Result<Page, OpsError> {
    let groups = desk
        .operations
        .parked_groups(&GroupSearch::default())
        .await?;
    let (list, refused) = match desk.operations.parked(search).await {
        Ok(list) => (list, None),
        Err(error @ OpsError::Invalid(_)) => {
            let none = ParkedList {
                records: Vec::new(),
                next: None,
            };
            (none, Some(error))
        }
        Err(error) => return Err(error),
    };
    let is_dismissed = search.dismissed == Some(true);
    let heading = match (&search.group, is_dismissed) {
        (Some(group), _) => format!("Records of group {group}"),
        (None, true) => "Dismissed records".to_owned(),
        (None, false) => "Open records".to_owned(),
    };
    let body = html! {
        (card::card("By cause", &html! {
            @if groups.groups.is_empty() { (nothing()) }
            @else { (groups_table(context, &groups, context.viewer.may(Right::Operate))) }
        }))
        @if !groups.groups.is_empty() || refused.is_some() {
            (card::card(&heading, &html! {
                (filters(search))
                (records(context, search, &list, written))
            }))
        }
    };
    let dead = context.status.dead;
    let actions = html! {
        a.button href=(dead::PATH) {
            "Dead messages" @if let Some(dead) = dead { " (" (number(dead)) ")" }
        }
        a.button href=(address(EXPORT, &filter(search))) { "Export CSV" }
    };
    let hint = html! {
        (number(groups.open)) " open, " (number(groups.dismissed)) " dismissed. A parked record is in scope and could not be brought to mOS."
    };
    let mut page = Page::new("Parked Records", Icon::Parked, body)
        .hint(hint)
        .actions(actions);
    if let Some(error) = refused {
        let said = fault::sentence(&error.to_string());
        page = page
            .status(error.status())
            .notice(notice::failed(&html! { (said) }));
    }
    Ok(page)
}

fn nothing() -> Markup {
    empty::empty(
        Icon::Parked,
        "No record is parked.",
        &html! { "Everything in scope could be brought to mOS." },
    )
}

/// Groups with their advice; with orders where they may be given.
pub(super) fn groups_table(context: &PageContext, groups: &Groups, with_orders: bool) -> Markup {
    let rows = groups
        .groups
        .iter()
        .map(|group| group_row(context, group, with_orders));
    table::table(
        "Parked records by cause",
        &["Cause", "Records", "First", "Last", "Samples", ""],
        rows,
    )
}

fn group_row(context: &PageContext, group: &GroupView, with_orders: bool) -> Vec<Markup> {
    let listed = address(
        PATH,
        &[
            ("group", &group.id),
            ("dismissed", if group.dismissed { "yes" } else { "" }),
        ],
    );
    vec![
        html! {
            strong { (words::failure(group.kind)) }
            @if group.cause != group.kind.name() { ": " code { (group.cause) } }
            @if group.dismissed { " " (badge::badge(badge::Tone::Plain, "Dismissed")) }
            p.quiet { (words::stage(group.stage)) " · " (group.advice) }
        },
        html! { (number(group.count)) },
        time::at(group.first),
        time::at(group.last),
        html! {
            @for (place, sample) in group.samples.iter().enumerate() {
                @if place > 0 { br; }
                (record::id(context, &sample.id))
            }
        },
        html! {
            div.actions {
                a.button href=(listed) { "List" }
                @if with_orders && !group.dismissed {
                    (form::order(context, RETRY, html! {
                        button.button type="submit" name="in_group" value=(group.id) {
                            "Retry all " (number(group.count))
                        }
                    }))
                }
            }
        },
    ]
}

fn filters(search: &ParkedSearch) -> Markup {
    let mut objects = vec![("", "All objects")];
    objects.extend(ObjectKind::ALL.map(|object| (object.api_name(), object.api_name())));
    let mut kinds = vec![("", "All reasons")];
    kinds.extend(words::FAILURES.map(|kind| (kind.name(), words::failure(kind))));
    let states = [("", "Open"), ("yes", "Dismissed")];
    let dismissed = if search.dismissed == Some(true) {
        "yes"
    } else {
        ""
    };
    let object = search.object.as_deref().unwrap_or_default();
    let kind = search.kind.as_deref().unwrap_or_default();
    html! {
        form.filters method="get" action=(PATH) {
            div.row {
                (Field::new("object", "Object").select(&objects, object))
                (Field::new("kind", "Reason").select(&kinds, kind))
                (Field::new("job", "Job").input("text", search.job.as_deref().unwrap_or_default()))
                (Field::new("dismissed", "State").select(&states, dismissed))
                div.field.go {
                    button.button type="submit" { "Show" }
                    @if search.group.is_some() || search.parent.is_some() { " " a.button href=(PATH) { "Show all" } }
                }
            }
        }
    }
}

fn records(
    context: &PageContext,
    search: &ParkedSearch,
    list: &ParkedList,
    written: &Written,
) -> Markup {
    if list.records.is_empty() {
        return empty::empty(
            Icon::Parked,
            "No record is like that.",
            &html! { a href=(PATH) { "Show all open records" } },
        );
    }
    let may = context.viewer.may(Right::Operate);
    let list_table = listed(context, list, may, written);
    let page_of = |after: &str| {
        let mut values = filter(search).to_vec();
        values.push(("after", after));
        address(PATH, &values)
    };
    let next = list.next.as_deref().map(page_of);
    let first = search.after.as_ref().map(|_| page_of(""));
    html! {
        @if may { (form::order(context, RETRY, html! {
            @for (name, value) in filter(search).into_iter().filter(|(_, value)| !value.is_empty()) {
                input type="hidden" name=(name) value=(value);
            }
            (list_table)
            (orders(search, list, written))
        })) }
        @else { (list_table) }
        (pager::pager(next.as_deref(), first.as_deref()))
    }
}

fn orders(search: &ParkedSearch, list: &ParkedList, written: &Written) -> Markup {
    let mut which = vec![("records", "The ticked records")];
    if search.group.is_some() && search.dismissed != Some(true) {
        which.push(("group", "All open records of this group"));
    }
    which.push(("all", "All open records"));
    let reason = Field::new("reason", "Reason")
        .help("A dismissal needs one: somebody who finds the record later wants to know why it is not in mOS.")
        .error(written.error.as_deref());
    html! {
        fieldset.orders {
            legend { "What to do" }
            p.quiet { (list.records.len()) " records on this page." }
            div.row.tops {
                (Field::new("which", "With").select(&which, "records"))
                (reason.input("text", &written.reason))
            }
            div.actions {
                button.brand-button type="submit" { "Retry now" }
                button.bad-button type="submit" formaction=(DISMISS) { "Dismiss" }
            }
        }
    }
}

fn listed(context: &PageContext, list: &ParkedList, may: bool, written: &Written) -> Markup {
    let rows = list
        .records
        .iter()
        .map(|parked| record_row(context, parked, may, written));
    table::table(
        "Parked records",
        &["Record", "Why", "Parked since", "Tried again", "More"],
        rows,
    )
}

fn record_row(
    context: &PageContext,
    parked: &ParkedView,
    may: bool,
    written: &Written,
) -> Vec<Markup> {
    let id = parked.id.to_string();
    let box_id = format!("record-{id}");
    let ticked = written.records.contains(&id);
    vec![
        html! {
            div.ticked {
                @if may { input type="checkbox" id=(box_id) name="record" value=(id) checked[ticked]; " " }
                div {
                    @if may { label for=(box_id) { (parked.object.api_name()) } }
                    @else { (parked.object.api_name()) }
                    br; (record::id(context, &parked.id))
                }
            }
        },
        html! {
            strong { (words::failure(parked.kind)) }
            @if let Some(code) = &parked.code { " " code { (code) } }
            p { (parked.message) }
            @if let Some(parent) = &parked.parent {
                p { "Waits for " (parent.object.api_name()) " " (record::id(context, &parent.id)) }
            }
            @if let Some(dismissal) = &parked.dismissed {
                p {
                    (badge::badge(badge::Tone::Plain, "Dismissed")) " by " (dismissal.by) " "
                    (time::at(dismissal.at)) ": " (dismissal.reason)
                }
            } @else {
                p.quiet { (parked.advice) }
            }
        },
        time::at(parked.since),
        html! {
            (number(u64::from(parked.retries))) " times"
            @if let Some(at) = parked.retry_at { br; "next " (time::at(at)) }
        },
        html! {
            ul.links {
                li { (explain::link(&id)) }
                li { a href=(address(logs::PATH, &[("record", &id)])) { "Timeline" } }
                @if let Some(job) = &parked.job { li { (job::link(job, "Job")) } }
                @if may { li {
                    button.as-link type="submit" name="only" value=(id) { "Retry" span.only-read { " " (id) } }
                } }
            }
        },
    ]
}

pub(super) async fn export(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let search = ParkedSearch {
        limit: None,
        after: None,
        ..search(&Sent::asked(query.as_deref()))
    };
    let all = desk.operations.all_parked(&search);
    download::csv(&context, "mosync-parked.csv", all).await
}
