//! The first-run checklist.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::{PATH, TEST_MAIL, answer};
use crate::OpsError;
use crate::pages::context::PageContext;
use crate::pages::fault::sentence;
use crate::pages::layout::Page;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{badge, card, form, notice, time};
use crate::pages::{Desk, notifications};
use crate::views::{ChecklistItem, ChecklistState, ChecklistView, TestView};

pub(in crate::pages) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    let list = desk.operations.checklist().await;
    answer(&context, list.map(|list| page(&context, &list)))
}

/// Sends a test mail, and shows what each receiver has answered.
pub(in crate::pages) async fn test_mail(
    State(desk): State<Desk>,
    context: PageContext,
) -> Response {
    let shown = async {
        let told = match desk.operations.test_notification(context.caller()).await {
            Ok(test) => tried(&test),
            Err(OpsError::Conflict(why)) => notice::failed(&html! { (sentence(&why)) }),
            Err(error) => return Err(error),
        };
        let list = desk.operations.checklist().await?;
        Ok(page(&context, &list).notice(told))
    };
    answer(&context, shown.await)
}

/// What each receiver of a test has answered.
pub(in crate::pages) fn tried(test: &TestView) -> Markup {
    let lines = html! {
        p { strong { "A test was sent." } }
        ul {
            @for way in &test.tried {
                li {
                    (way.by) @if !way.to.is_empty() { " to " (way.to.join(", ")) } ": "
                    @if way.taken { "taken" } @else { "not taken" }
                    " (" (way.said) ")"
                }
            }
        }
        p { a href=(notifications::address(&test.id, "")) { "Look at what was sent" } }
    };
    if test.tried.iter().all(|way| way.taken) {
        notice::done(&lines)
    } else {
        notice::failed(&lines)
    }
}

fn page(context: &PageContext, list: &ChecklistView) -> Page {
    let items = list.items.iter();
    let done = items
        .filter(|item| item.state == ChecklistState::Done)
        .count();
    let body = card::card(
        "What the first sync needs",
        &html! { ol.checklist { @for item in &list.items { li { (shown(context, item)) } } } },
    );
    Page::new("First-run checklist", Icon::Settings, body)
        .hint(html! { (done) " of " (list.items.len()) " are done, as far as can be checked." })
        .actions(html! {
            a.button href=(PATH) { "mOS Settings" }
            a.button href=(super::CHECKLIST) { "Look again" }
        })
}

fn shown(context: &PageContext, item: &ChecklistItem) -> Markup {
    let (tone, word) = match item.state {
        ChecklistState::Done => (badge::Tone::Good, "Done"),
        ChecklistState::ToDo => (badge::Tone::Bad, "To do"),
        ChecklistState::Unknown => (badge::Tone::Warning, "Cannot be checked"),
    };
    html! {
        div.check-item {
            div.check-state { (badge::badge(tone, word)) }
            div {
                strong { (item.title) }
                p.quiet { (time::within(&sentence(&item.evidence))) }
                @if let Some(fix) = &item.fix { p { (fix) } }
                @if item.id == "org" && item.fix.is_some() { p { a href=(super::CONFIRM_ORG) { "Confirm the connected org" } } }
                @if item.id == "mail" {
                    (form::order(context, TEST_MAIL, html! {
                        button.button type="submit" { "Send a test mail" }
                    }))
                }
            }
        }
    }
}
