//! Serving another org from now on: asked before it is done.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::{CHECKLIST, CONFIRM_ORG, PATH, answer};
use crate::pages::Desk;
use crate::pages::context::PageContext;
use crate::pages::layout::Page;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{card, empty, form, record};
use crate::pages::sent::Sent;
use crate::views::ConfirmOrg;
use crate::{Author, OpsError};
use domain::SalesforceId;

pub(in crate::pages) async fn ask(State(desk): State<Desk>, context: PageContext) -> Response {
    let page = async {
        let pinned = desk.operations.settings().await?.settings.org;
        let connected = context.org.id.filter(|_| context.org.name.is_some());
        let body = match connected {
            Some(connected) if pinned != Some(connected) => choice(&context, pinned, connected),
            Some(_) => card::card(
                "Connected org",
                &html! { p { "The settings are for the connected org. There is nothing to confirm." } },
            ),
            None => card::card(
                "Connected org",
                &empty::empty(
                    Icon::Fault,
                    "Salesforce does not answer.",
                    &html! { "Only an org that answers can be confirmed. Try again when it does." },
                ),
            ),
        };
        Ok(Page::new("Confirm the connected org", Icon::Settings, body)
            .actions(html! { a.button href=(CHECKLIST) { "First-run checklist" } }))
    };
    let page: Result<Page, OpsError> = page.await;
    answer(&context, page)
}

fn choice(context: &PageContext, pinned: Option<SalesforceId>, connected: SalesforceId) -> Markup {
    card::card(
        "Serve this org from now on?",
        &html! {
            (card::facts(&[
                ("Connected now", html! { strong { (context.org.name.as_deref().unwrap_or_default()) } " " (record::org(context, &connected)) }),
                ("The settings are for", html! {
                    @match pinned {
                        Some(pinned) => code { (pinned) },
                        None => "no org yet",
                    }
                }),
            ]))
            p.spaced { "Until it is confirmed, nothing is read or sent. From then on everything in scope of this org is brought to mOS. What came from the other org stays in mOS: nothing is deleted there." }
            p { "If this is not the org that mosync should serve, correct the address and the sign-in of Salesforce in the configuration instead." }
            div.spaced {
                (form::order(context, CONFIRM_ORG, html! {
                    input type="hidden" name="org" value=(connected);
                    (form::submit("Confirm this org"))
                }))
            }
        },
    )
}

pub(in crate::pages) async fn confirm(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    let asked = ConfirmOrg {
        org: Some(sent.get("org").unwrap_or_default()),
    };
    let author = Author::of(&context.caller(), None);
    match desk.operations.confirm_org(&asked, &author).await {
        Ok(saved) => Redirect::to(&format!("{PATH}?saved={}", saved.revision)).into_response(),
        Err(error) => answer(&context, Err(error)),
    }
}
