//! Parked Records: by cause, one by one, and what is done about them.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::ObjectKind;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{Page, answer};
use super::parts::form::{self, Field};
use super::parts::icon::Icon;
use super::parts::pager::{self, address};
use super::parts::table::number;
use super::parts::{badge, card, empty, notice, record, table, time};
use super::sent::Sent;
use super::{Desk, dead, download, explain, fault, job, logs, words};
use crate::OpsError;
use crate::operations::LONGEST_REASON;
use crate::operations::parked::filter_of;
use crate::rights::Right;
use crate::views::{
    GroupSearch, GroupView, Groups, ParkedList, ParkedSearch, ParkedView, Selection, Touched,
};

/// Where it is.
pub(super) const PATH: &str = "/parked";
/// The same as CSV.
pub(super) const EXPORT: &str = "/parked/export";

/// The causes as CSV.
pub(super) const CAUSES_EXPORT: &str = "/parked/causes/export";

/// Where orders go.
pub(super) const RETRY: &str = "/parked/retry";
/// The same.
pub(super) const DISMISS: &str = "/parked/dismiss";

/// The form of the buttons beside each record, which are not those of the whole list.
const ONE: &str = "one-record";
/// Causes that are shown; the export has all.
const CAUSES: usize = 100;

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
    /// All that are listed were meant, and not the ticked ones.
    is_all: bool,
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

/// Each value alone, so that what is wrong is said where it was chosen.
fn faults(search: &ParkedSearch) -> BTreeMap<&'static str, String> {
    let alone = [
        (
            "object",
            ParkedSearch {
                object: search.object.clone(),
                ..ParkedSearch::default()
            },
        ),
        (
            "kind",
            ParkedSearch {
                kind: search.kind.clone(),
                ..ParkedSearch::default()
            },
        ),
    ];
    fault::at_fields(alone.map(|(name, search)| (name, filter_of(&search))))
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
            let context = &context.again(desk).await;
            let page = page(desk, context, &search, &Written::default()).await;
            let page = page.map(|page| page.notice(notice::done(&said(deed, records))));
            return answer(context, page);
        }
        Err(
            error @ (OpsError::Invalid(_)
            | OpsError::NotFound(_)
            | OpsError::Conflict(_)
            | OpsError::OutOfReach(_)),
        ) => {
            let sentence = fault::sentence(&error.to_string());
            let is_wrong = |reason: &String| reason.chars().count() > LONGEST_REASON;
            let is_reason_wrong = deed == Deed::Dismiss && reason.as_ref().is_none_or(is_wrong);
            let written = Written {
                error: is_reason_wrong.then(|| sentence.clone()),
                reason: reason.unwrap_or_default(),
                records: sent.all("record").collect(),
                is_all: is_all(sent),
            };
            let page = page(desk, context, &search, &written).await;
            let status = error.status();
            // Should the list be out of reach as well, what became of the order says more.
            page.map_err(|_unread| error).map(|page| {
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
    if is_all(sent) {
        // All that the list shows, on all its pages, and no more of them than it has said.
        let listed = search(sent);
        return Ok(Selection {
            all: listed.group.is_none(),
            group: listed.group,
            object: listed.object,
            kind: listed.kind,
            parent: listed.parent,
            job: listed.job,
            dismissed: listed.dismissed == Some(true),
            seen: Some(sent.needed("seen")?),
            records: Vec::new(),
            reason,
        });
    }
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

fn is_all(sent: &Sent) -> bool {
    sent.get("which").as_deref() == Some("all")
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
    let mut search = search.clone();
    let mut found = desk.operations.parked(&search).await;
    let is_past_the_end = found.as_ref().is_ok_and(|list| list.records.is_empty());
    if is_past_the_end && search.after.take().is_some() {
        // Whatever stood on this page is gone: what is left begins on the first one.
        found = desk.operations.parked(&search).await;
    }
    let search = &search;
    let (list, refused) = match found {
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
    let matching = match refused {
        None => desk.operations.parked_count(search).await?,
        Some(_) => 0,
    };
    let wrong = faults(search);
    let is_dismissed = search.dismissed == Some(true);
    let which = if is_dismissed {
        "Dismissed records"
    } else {
        "Open records"
    };
    let heading = match &search.group {
        Some(id) => {
            let group = groups.groups.iter().find(|group| group.id == *id);
            let cause = group.map_or_else(|| format!("group {id}"), cause_of);
            format!("{which}: {cause}")
        }
        None => which.to_owned(),
    };
    let body = html! {
        (card::with_actions("By cause", &html! {
            @if !groups.groups.is_empty() { a.button href=(CAUSES_EXPORT) { "Export CSV" span.only-read { " of causes" } } }
        }, &html! {
            @if groups.groups.is_empty() { (nothing()) }
            @else { (groups_table(context, &groups, None, context.viewer.may(Right::Operate))) }
        }))
        @if !groups.groups.is_empty() || refused.is_some() {
            (card::card(&heading, &html! {
                (filters(search, &wrong))
                (records(context, search, (&list, matching), written))
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
        let said = html! {
            @if wrong.is_empty() { (fault::sentence(&error.to_string())) }
            @else { "Nothing was searched: correct what is marked." }
        };
        page = page.status(error.status()).notice(notice::failed(&said));
    }
    Ok(page)
}

/// A cause in words, with what mOS or Salesforce calls it.
fn cause_of(group: &GroupView) -> String {
    let words = words::failure(group.kind);
    if group.cause == group.kind.name() {
        words.to_owned()
    } else {
        format!("{words}: {}", group.cause)
    }
}

fn nothing() -> Markup {
    empty::empty(
        Icon::Parked,
        "No record is parked.",
        &html! { "Everything in scope could be brought to mOS." },
    )
}

/// Groups with their advice, of one job or of all; with orders where they may be given.
pub(super) fn groups_table(
    context: &PageContext,
    groups: &Groups,
    job: Option<&str>,
    with_orders: bool,
) -> Markup {
    let rows = groups.groups.iter().take(CAUSES);
    let rows = rows.map(|group| group_row(context, group, job, with_orders));
    let left_off = groups.groups.len().saturating_sub(CAUSES);
    html! {
        (table::table(
            "Parked records by cause",
            &["Cause", "Records", "First", "Last", "Samples", ""],
            rows,
        ))
        @if left_off > 0 {
            p.quiet { (left_off) " more causes, each of fewer records, are not listed here; the file of causes has all." }
        }
    }
}

fn group_row(
    context: &PageContext,
    group: &GroupView,
    job: Option<&str>,
    with_orders: bool,
) -> Vec<Markup> {
    let listed = address(
        PATH,
        &[
            ("group", &group.id),
            ("job", job.unwrap_or_default()),
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

fn filters(search: &ParkedSearch, wrong: &BTreeMap<&str, String>) -> Markup {
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
    let error = |name: &str| wrong.get(name).map(String::as_str);
    html! {
        form.filters method="get" action=(PATH) {
            div.row {
                (Field::new("object", "Object").error(error("object")).select(&objects, object))
                (Field::new("kind", "Reason").error(error("kind")).select(&kinds, kind))
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
    (list, matching): (&ParkedList, u64),
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
        @if may {
            (form::order_named(context, ONE, RETRY, html! { (kept(search)) }))
            (form::order(context, if search.dismissed == Some(true) { RETRY } else { DISMISS }, html! {
                (kept(search))
                (list_table)
                (orders(search, (list, matching), written))
            }))
        }
        @else { (list_table) }
        (pager::pages(next.as_deref(), first.as_deref()))
    }
}

/// The filter, and how far on in the list, for the page after an order.
fn kept(search: &ParkedSearch) -> Markup {
    html! {
        @for (name, value) in filter(search).into_iter().filter(|(_, value)| !value.is_empty()) {
            input type="hidden" name=(name) value=(value);
        }
        @if let Some(after) = &search.after { input type="hidden" name="after" value=(after); }
    }
}

/// Enter in a field gives the form's first order: it is the one that the reason is for, and that
/// does nothing without one.
fn orders(
    search: &ParkedSearch,
    (list, matching): (&ParkedList, u64),
    written: &Written,
) -> Markup {
    let is_dismissed = search.dismissed == Some(true);
    let state = if is_dismissed { "dismissed" } else { "open" };
    let is_filtered = filter(search)
        .iter()
        .any(|(name, value)| *name != "dismissed" && !value.is_empty());
    let all = match (matching, is_filtered) {
        (1, _) => format!("The one {state} record that is listed"),
        (_, false) => format!("All {} {state} records", number(matching)),
        (_, true) => format!(
            "All {} {state} records that the filter shows",
            number(matching)
        ),
    };
    let which = [("records", "The ticked records"), ("all", all.as_str())];
    let reason = Field::reason("Reason for a dismissal")
        .help("A dismissal needs one: somebody who finds the record later wants to know why it is not in mOS.")
        .error(written.error.as_deref());
    let with = Field::new("which", "With");
    let chosen = if written.is_all { "all" } else { "records" };
    html! {
        fieldset.orders {
            legend { "What to do" }
            p.quiet { (list.records.len()) " records on this page." }
            input type="hidden" name="seen" value=(matching);
            @if is_dismissed {
                (with.select(&which, chosen))
            } @else {
                div.row.tops {
                    (with.select(&which, chosen))
                    (reason.input("text", &written.reason))
                }
            }
            div.actions {
                @if !is_dismissed { button.bad-button type="submit" { "Dismiss" } }
                button.brand-button type="submit" formaction=(RETRY) { "Retry now" }
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
                    @if may { label for=(box_id) { (parked.object.api_name()) span.only-read { " " (id) } } }
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
                    button.as-link type="submit" form=(ONE) name="only" value=(id) { "Retry" span.only-read { " " (id) } }
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

pub(super) async fn export_causes(State(desk): State<Desk>, context: PageContext) -> Response {
    let groups = desk.operations.parked_groups(&GroupSearch::default()).await;
    let groups = groups.map(|groups| groups.groups);
    download::whole(&context, "mosync-causes.csv", groups).await
}
