//! Notifications: what the administrators were told, of which incident, and whether it arrived.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use domain::notification::{DeliveryState, Event, Matter};
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{Page, answer};
use super::parts::badge::{self, Tone};
use super::parts::icon::Icon;
use super::parts::table::number;
use super::parts::{card, empty, form, notice, pager, table, time};
use super::sent::Sent;
use super::{Desk, PageFault, download, fault, right_to_see, settings};
use crate::pages::asked::Path;
use crate::rights::Right;
use crate::views::{DeliveryView, IncidentView, MailView, NotificationList, NotificationView};
use crate::{OpsError, export};

/// Where it is.
pub(super) const PATH: &str = "/notifications";
/// The same as CSV.
pub(super) const EXPORT: &str = "/notifications/export";
/// The incidents that are not over, as CSV.
pub(super) const INCIDENTS: &str = "/notifications/incidents/export";
/// Where a test is ordered.
pub(super) const TEST: &str = "/notifications/test";

/// Notifications a page.
const PAGE: usize = 50;

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let before = Sent::asked(query.as_deref()).get("before");
    answer(&context, page(&desk, &context, before.as_deref()).await)
}

/// The page that begins there; the first, with a notice, when there is no such place.
async fn page(desk: &Desk, context: &PageContext, before: Option<&str>) -> Result<Page, OpsError> {
    let may = context.viewer.role.right();
    let operations = &desk.operations;
    match operations.notifications(before, Some(PAGE), may).await {
        Ok(list) => Ok(list_page(context, &list, before.is_some())),
        Err(error @ OpsError::Invalid(_)) => {
            let status = error.status();
            let said = html! {
                p { (fault::sentence(&error.to_string())) }
                p { "The newest notifications are shown." }
            };
            let list = operations.notifications(None, Some(PAGE), may).await?;
            let page = list_page(context, &list, false);
            Ok(page.notice(notice::failed(&said)).status(status))
        }
        Err(error) => Err(error),
    }
}

/// Sends a test, and shows what each receiver has answered above the list.
pub(super) async fn test(State(desk): State<Desk>, context: PageContext) -> Response {
    let told = match desk.operations.test_notification(context.caller()).await {
        Ok(test) => settings::tried(&test),
        Err(OpsError::Conflict(why)) => notice::failed(&html! { (fault::sentence(&why)) }),
        Err(error) => return PageFault::within(&context, error).into_response(),
    };
    let page = page(&desk, &context, None).await;
    answer(&context, page.map(|page| page.notice(told)))
}

fn list_page(context: &PageContext, list: &NotificationList, is_later: bool) -> Page {
    let body = html! {
        @if !list.open.is_empty() {
            (card::with_actions(
                "Incidents that are not over",
                &html! { a.button href=(INCIDENTS) { "Export CSV" span.only-read { " of incidents" } } },
                &incidents(context, &list.open),
            ))
        }
        (card::card("Notifications, newest first", &html! {
            (notifications(list))
            (pager::pager(
                list.next.as_deref().map(|next| pager::address(PATH, &[("before", next)])).as_deref(),
                is_later.then_some(PATH),
            ))
        }))
    };
    let actions = html! {
        @if context.viewer.may(Right::Administer) {
            (form::order(context, TEST, html! {
                button.button type="submit" { "Send a test" }
            }))
        }
        a.button href=(EXPORT) { "Export CSV" }
    };
    Page::new("Notifications", Icon::Notifications, body)
        .hint(html! {
            "What the administrators were told: once when an incident opens, when it has grown, and when it is over. Addresses are named in mOS Settings, and shown to administrators."
        })
        .actions(actions)
}

fn incidents(context: &PageContext, open: &[IncidentView]) -> Markup {
    let rows = open.iter().map(|incident| {
        vec![
            html! {
                strong { (matter(incident.matter)) } ": " (incident.object)
                p.quiet { (fault::said(&incident.cause)) " " (fault::said(&incident.advice)) }
            },
            html! { (number(incident.count)) },
            time::at(incident.since),
            html! {
                @match incident.told {
                    Some(told) => { (number(incident.messages)) ", last " (time::at(told)) }
                    None => "not yet: it has not lasted long enough"
                }
            },
            look(context, &incident.page),
        ]
    });
    table::table(
        "Incidents that are not over",
        &["Incident", "Count", "Since", "Told", ""],
        rows,
    )
}

/// A link to the page that an incident is about, for whom it is there.
fn look(context: &PageContext, page: &str) -> Markup {
    let may = right_to_see(page).is_some_and(|needs| context.viewer.may(needs));
    html! {
        @if may && page != PATH { a href=(page) { "Look" } }
    }
}

fn notifications(list: &NotificationList) -> Markup {
    if list.notifications.is_empty() {
        return empty::empty(
            Icon::Notifications,
            "Nobody had to be told anything.",
            &html! { "Incidents, ended jobs and failures would be listed here, sent or not." },
        );
    }
    let rows = list.notifications.iter().map(row);
    table::table(
        "Notifications",
        &["Told", "Event", "Count", "Found", "Delivery"],
        rows,
    )
}

fn row(told: &NotificationView) -> Vec<Markup> {
    vec![
        html! {
            div {
                a href=(address(&told.id, "")) { (fault::capital(&told.headline)) }
                p.quiet { (fault::said(&told.cause)) }
            }
        },
        event(told),
        html! { (number(told.count)) },
        time::at(told.at),
        html! {
            @if told.deliveries.is_empty() { (badge::badge(Tone::Warning, "Nobody to tell")) }
            ul {
                @for way in &told.deliveries {
                    li { (way_in_words(way)) " " (state(way.state)) }
                }
            }
        },
    ]
}

/// Where it goes: the address for who may see it.
fn way_in_words(way: &DeliveryView) -> Markup {
    let addresses = match way.receivers {
        1 => "1 address".to_owned(),
        many => format!("{} addresses", number(many)),
    };
    html! {
        @match way.by.as_str() {
            "mail" => "Mail",
            "folder" => "File in the folder of mails",
            "webhook" => "Webhook",
            other => (other),
        }
        @if !way.to.is_empty() { " to " (way.to.join(", ")) }
        @else if way.receivers > 0 { " to " (addresses) }
    }
}

fn event(told: &NotificationView) -> Markup {
    match told.event {
        Event::Opened => badge::badge(Tone::Bad, "Opened"),
        Event::Grown => badge::badge(Tone::Warning, "Grown"),
        Event::Closed => badge::badge(Tone::Good, "Over"),
        Event::Happened if told.matter == Matter::JobFailed => badge::badge(Tone::Bad, "Happened"),
        Event::Happened => badge::badge(Tone::Plain, "Happened"),
    }
}

fn state(state: DeliveryState) -> Markup {
    let (tone, word) = match state {
        DeliveryState::Pending => (Tone::Busy, "Waiting"),
        DeliveryState::Sending => (Tone::Busy, "Being sent"),
        DeliveryState::Sent => (Tone::Good, "Sent"),
        DeliveryState::Failed => (Tone::Bad, "Failed"),
        DeliveryState::Dropped => (Tone::Plain, "Not wanted any more"),
    };
    badge::badge(tone, word)
}

/// What an incident is about, for people.
const fn matter(matter: Matter) -> &'static str {
    match matter {
        Matter::RecordsParked => "Records are parked",
        Matter::DeadMessages => "Messages are dead",
        Matter::Gap => "Changes may be missing",
        Matter::JobFinished => "A job has finished",
        Matter::JobFailed => "A job has failed",
        Matter::JobStalled => "Jobs are stalled",
        Matter::JobsPaused => "Jobs are paused",
        Matter::Quota => "The API allowance is used up",
        Matter::PermissionsExpiring => "Permissions run out",
        Matter::OutOfReach => "Something is out of reach",
        Matter::ServiceFailing => "A service cannot do its work",
        Matter::ServiceSilent => "A service has not been heard of",
        Matter::SyncPaused => "The sync is paused",
        Matter::SyncDisabled => "mOS Sync is disabled",
        Matter::FieldsLost => "Fields can no longer be seen",
        Matter::StreamLate => "The event stream is silent",
        Matter::Test => "A test",
    }
}

/// The page of a notification, or of a part of it.
pub(super) fn address(id: &str, part: &str) -> String {
    format!("{PATH}/{}{part}", pager::part(id))
}

pub(super) async fn one(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
) -> Response {
    let may = context.viewer.role.right();
    let told = desk.operations.notification(&id, may).await;
    answer(&context, told.map(|told| one_page(&context, &told)))
}

fn one_page(context: &PageContext, told: &NotificationView) -> Page {
    let mut facts = vec![
        ("What", html! { (told.object) }),
        ("How many", html! { (number(told.count)) }),
        ("Event", event(told)),
        ("Found", time::at(told.at)),
        ("Why", fault::said(&told.cause)),
        ("What to do", fault::said(&told.advice)),
        ("Incident", html! { code { (told.incident) } }),
    ];
    if let Some(seconds) = told.lasted_s {
        let lasted = std::time::Duration::from_secs(seconds);
        facts.insert(4, ("It lasted", html! { (time::long(lasted)) }));
    }
    let body = html! {
        (card::card("What was told", &html! {
            (card::facts(&facts))
            @if !told.details.is_empty() {
                ul.attention { @for line in &told.details { li { (time::within(line)) } } }
            }
        }))
        (card::card("Where it went", &ways(told)))
    };
    Page::new(fault::capital(&told.headline), Icon::Notifications, body).actions(html! {
        (look(context, &told.page))
        a.button href=(PATH) { "All notifications" }
    })
}

fn ways(told: &NotificationView) -> Markup {
    if told.deliveries.is_empty() {
        return empty::empty(
            Icon::Notifications,
            "There was nobody to tell.",
            &html! { "Neither an address in mOS Settings nor a webhook was there when it was found." },
        );
    }
    let rows = told.deliveries.iter().map(|way| {
        vec![
            html! {
                div {
                    (way_in_words(way))
                    @if way.by == "folder" && way.state == DeliveryState::Sent {
                        br; a href=(address(&told.id, "/mail")) { "Read the mail" }
                    }
                }
            },
            state(way.state),
            html! { (number(u64::from(way.attempts))) },
            time::or_never(way.tried, "not yet"),
            time::or_never(way.due, "–"),
            html! { (way.said.as_deref().unwrap_or("–")) },
        ]
    });
    table::table(
        "Deliveries",
        &["To", "State", "Attempts", "Last", "Next", "Answer"],
        rows,
    )
}

pub(super) async fn mail(
    State(desk): State<Desk>,
    context: PageContext,
    Path(id): Path<String>,
) -> Response {
    let may = context.viewer.role.right();
    let mail = desk.operations.notification_mail(&id, may).await;
    answer(&context, mail.map(|mail| mail_page(&id, &mail)))
}

/// The mail as plain text, whatever is in it.
fn mail_page(id: &str, mail: &MailView) -> Page {
    let mut facts = vec![
        ("Subject", html! { (mail.subject) }),
        ("From", html! { (mail.from) }),
        ("File", html! { code { (mail.file) } }),
    ];
    if !mail.to.is_empty() {
        facts.insert(2, ("To", html! { (mail.to.join(", ")) }));
    }
    let body = card::card(
        "Mail",
        &html! {
            (card::facts(&facts))
            pre.mail { (mail.text) }
        },
    );
    Page::new("Mail in the folder", Icon::Notifications, body).actions(html! {
        a.button href=(address(id, "")) { "Its notification" }
        a.button href=(PATH) { "All notifications" }
    })
}

pub(super) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let may = context.viewer.role.right();
    let all = export::deliveries(desk.operations.all_notifications(may));
    download::csv(&context, "mosync-notifications.csv", all).await
}

pub(super) async fn export_incidents(State(desk): State<Desk>, context: PageContext) -> Response {
    let may = context.viewer.role.right();
    let list = desk.operations.notifications(None, Some(1), may).await;
    let open = list.map(|list| list.open);
    download::whole(&context, "mosync-incidents.csv", open).await
}
