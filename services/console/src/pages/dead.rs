//! Dead messages: those that no worker could process.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{Page, answer};
use super::parts::form::{self, Field};
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{card, empty, notice, pager, record, table, time};
use super::sent::Sent;
use super::{Desk, PageFault, download, explain, fault, job};
use crate::OpsError;
use crate::operations::dead::EXPORTED;
use crate::pages::asked::Path;
use crate::rights::Right;
use crate::views::{DeadList, DeadView, RecordId};

/// Where it is.
pub(super) const PATH: &str = "/parked/dead";
/// The same as CSV.
pub(super) const EXPORT: &str = "/parked/dead/export";

/// How many are listed.
const LISTED: usize = 200;

pub(super) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    match desk.operations.dead(Some(LISTED)).await {
        Ok(list) => list_page(&list).response(&context),
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

fn list_page(list: &DeadList) -> Page {
    let body = card::card("Dead messages, oldest first", &messages(list));
    Page::new("Dead Messages", Icon::Parked, body)
        .hint(html! {
            (number(list.total)) " messages that no worker could process. Nothing happens to them until somebody decides."
        })
        .actions(html! {
            a.button href=(super::parked::PATH) { "Parked records" }
            a.button href=(EXPORT) { "Export CSV" }
        })
}

fn messages(list: &DeadList) -> Markup {
    if list.messages.is_empty() {
        return empty::empty(
            Icon::Parked,
            "No message is dead.",
            &html! { "Every message could be processed." },
        );
    }
    let rows = list.messages.iter().map(|message| {
        vec![
            html! { a href=(address(&message.id, "")) { code { (message.id) } } },
            html! { (message.reason) },
            html! { (message.queue.as_deref().unwrap_or("never in a queue")) },
            time::or_never(message.since, "not known"),
            html! { (number(u64::from(message.deliveries))) },
            html! {
                @match &message.job { Some(id) => (job::link(id, id)), None => "not readable" }
            },
        ]
    });
    let shown = u64::try_from(list.messages.len()).unwrap_or(u64::MAX);
    html! {
        (table::table(
            "Dead messages",
            &["Message", "Why", "Queue", "Since", "Deliveries", "Job"],
            rows,
        ))
        @if list.total > shown {
            p.quiet { "The oldest " (number(shown)) " of " (number(list.total)) " are shown; more come up when these are dealt with." }
        }
        @if list.total > EXPORTED as u64 {
            p.quiet { "The CSV has the oldest " (number(EXPORTED as u64)) " of them." }
        }
    }
}

fn address(id: &str, deed: &str) -> String {
    format!("{PATH}/message/{}{deed}", pager::part(id))
}

/// What was written into the form of orders, and what is wrong with it.
#[derive(Default)]
struct Written {
    reason: String,
    error: Option<String>,
}

pub(super) async fn message(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
) -> Response {
    match desk.operations.dead_message(&id).await {
        Ok(message) => message_page(&context, &message, &Written::default()).response(&context),
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

pub(super) async fn replay(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
) -> Response {
    let done = desk.operations.replay_dead(&id, context.caller()).await;
    let said = done.map(|_| "The message was sent back to its queue. If it comes here again, what it says is still wrong.".to_owned());
    after(&desk, &context, &id, None, said).await
}

pub(super) async fn discard(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let reason = sent.get("reason");
    let done = desk
        .operations
        .discard_dead(&id, reason.clone(), context.caller())
        .await;
    let said = done.map(|outcome| {
        format!(
            "The message was discarded. {} of its records are counted as cancelled and named in the log.",
            number(outcome.cancelled)
        )
    });
    after(&desk, &context, &id, reason, said).await
}

/// The list after what was done, or the message again with what is wrong.
async fn after(
    desk: &Desk,
    context: &PageContext,
    id: &str,
    reason: Option<String>,
    done: Result<String, OpsError>,
) -> Response {
    let page = match done {
        Ok(said) => {
            let context = &context.again(desk).await;
            let list = desk.operations.dead(Some(LISTED)).await;
            let said = notice::done(&html! { (said) });
            return answer(context, list.map(|list| list_page(&list).notice(said)));
        }
        Err(error @ (OpsError::Invalid(_) | OpsError::Conflict(_))) => {
            let status = error.status();
            let said = fault::sentence(&error.to_string());
            let written = Written {
                reason: reason.unwrap_or_default(),
                error: matches!(error, OpsError::Invalid(_)).then(|| said.clone()),
            };
            desk.operations.dead_message(id).await.map(|message| {
                message_page(context, &message, &written)
                    .notice(notice::failed(&html! { (said) }))
                    .status(status)
            })
        }
        Err(error) => Err(error),
    };
    answer(context, page)
}

fn message_page(context: &PageContext, message: &DeadView, written: &Written) -> Page {
    let job = html! {
        @match &message.job { Some(id) => (job::link(id, id)), None => "the message cannot be read" }
    };
    let mut facts = vec![
        ("Why", html! { (message.reason) }),
        (
            "Queue it goes back to",
            html! { (message.queue.as_deref().unwrap_or("none: it never was in one")) },
        ),
        ("Dead since", time::or_never(message.since, "not known")),
        (
            "Deliveries",
            html! { (number(u64::from(message.deliveries))) },
        ),
        ("Type", html! { code { (message.message_type) } }),
        ("Size", html! { (number(message.bytes)) " bytes" }),
        ("Job", job),
    ];
    if let Some(index) = message.index {
        facts.push(("Unit", html! { (number(index)) }));
    }
    let body = html! {
        (card::card("Message", &card::facts(&facts)))
        @if let Some(records) = &message.records {
            (card::card("Its records that are still open", &its_records(context, records)))
        }
        @if context.viewer.may(Right::Operate) {
            (card::card("Orders", &orders(context, message, written)))
        }
    };
    Page::new("Dead Message", Icon::Parked, body)
        .hint(html! { code { (message.id) } })
        .actions(html! { a.button href=(PATH) { "All dead messages" } })
}

fn its_records(context: &PageContext, records: &[RecordId]) -> Markup {
    if records.is_empty() {
        return html! { p.quiet { "None." } };
    }
    let rows = records.iter().map(|record| {
        vec![
            html! { (record.object.api_name()) },
            record::id(context, &record.id),
            html! { (explain::link(&record.id.to_string())) },
        ]
    });
    table::table("Records of the message", &["Object", "Record", ""], rows)
}

fn orders(context: &PageContext, message: &DeadView, written: &Written) -> Markup {
    let reason = Field::reason("Reason for discarding")
        .help("Discarding needs one. The records that are still open are counted as cancelled.")
        .error(written.error.as_deref());
    // A form for each order: Enter in the reason discards, as the reason says.
    html! {
        @if message.queue.is_some() {
            (form::order(context, &address(&message.id, "/replay"), html! {
                div.actions {
                    button.brand-button type="submit" { "Send back to its queue" }
                }
            }))
        }
        (form::order(context, &address(&message.id, "/discard"), html! {
            (reason.input("text", &written.reason))
            div.actions { button.bad-button type="submit" { "Discard" } }
        }))
    }
}

pub(super) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let all = desk.operations.all_dead();
    download::csv(&context, "mosync-dead.csv", all).await
}
