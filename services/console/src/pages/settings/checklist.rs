//! The first-run checklist.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::{PATH, answer};
use crate::pages::Desk;
use crate::pages::context::PageContext;
use crate::pages::fault::sentence;
use crate::pages::layout::Page;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{badge, card};
use crate::views::{ChecklistItem, ChecklistState};

pub(in crate::pages) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    let page = desk.operations.checklist().await.map(|list| {
        let done = list
            .items
            .iter()
            .filter(|item| item.state == ChecklistState::Done)
            .count();
        let body = card::card(
            "What the first sync needs",
            &html! {
                ol.checklist { @for item in &list.items { li { (shown(item)) } } }
            },
        );
        Page::new("First-run checklist", Icon::Settings, body)
            .hint(html! { (done) " of " (list.items.len()) " are done, as far as can be checked." })
            .actions(html! {
                a.button href=(PATH) { "mOS Settings" }
                a.button href=(super::CHECKLIST) { "Look again" }
            })
    });
    answer(&context, page)
}

fn shown(item: &ChecklistItem) -> Markup {
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
                p.quiet { (sentence(&item.evidence)) }
                @if let Some(fix) = &item.fix { p { (fix) } }
                @if item.id == "org" && item.fix.is_some() { p { a href=(super::CONFIRM_ORG) { "Confirm the connected org" } } }
            }
        }
    }
}
