//! Settings as a file: out, and in again.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

use super::save::{Came, foresee};
use super::{EXPORT, PATH, SCRIPT, TRANSFER, answer};
use crate::OpsError;
use crate::pages::context::PageContext;
use crate::pages::fault::{PageFault, sentence};
use crate::pages::layout::Page;
use crate::pages::parts::form::{self, Field};
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{card, notice};
use crate::pages::sent::Sent;
use crate::pages::{Desk, download};
use crate::views::{FaultView, SaveSettings};

pub(in crate::pages) async fn show(State(desk): State<Desk>, context: PageContext) -> Response {
    let page = async {
        let base = desk.operations.settings().await?.revision;
        Ok(page(&context, base, "", &[]))
    };
    answer(&context, page.await)
}

fn page(context: &PageContext, base: u64, document: &str, faults: &[String]) -> Page {
    let body = html! {
        (card::card("Export", &html! {
            p { "The settings in force as a file, with the Field Mapping, and without the org's id: it can be taken to another org." }
            p.spaced { a.button href=(EXPORT) { "Export as a file" } }
        }))
        (card::card("Import", &import_form(context, base, document, faults)))
    };
    Page::new("Export and import", Icon::Settings, body)
        .actions(html! { a.button href=(PATH) { "mOS Settings" } })
        .script(SCRIPT)
}

/// With a document that was looked at, and what is wrong with it.
pub(super) fn again(context: &PageContext, base: u64, document: &str, found: &[FaultView]) -> Page {
    let faults = found.iter().map(|fault| sentence(&fault.message));
    page(context, base, document, &faults.collect::<Vec<_>>())
}

fn import_form(context: &PageContext, base: u64, document: &str, faults: &[String]) -> Markup {
    let told = (!faults.is_empty()).then(|| faults.join(" "));
    form::order(
        context,
        TRANSFER,
        html! {
            p { "What the document leaves out becomes as it comes. What the import would do is shown before it is saved." }
            input type="hidden" name="base" value=(base);
            div.field.only-with-script {
                label for="file" { "File" }
                input id="file" type="file" accept=".json,application/json" data-into="document";
            }
            (Field::new("document", "Document")
                .help("The content of an exported file.")
                .error(told.as_deref())
                .required()
                .area(document, 12))
            (form::submit("Look at the import"))
        },
    )
}

pub(in crate::pages) async fn import(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    let base = match sent.needed("base") {
        Ok(base) => base,
        Err(error) => return answer(&context, Err(error)),
    };
    let text = sent.get("document").unwrap_or_default();
    let text = text.as_str();
    let refused = |faults: &[String]| {
        let page = page(&context, base, text, faults)
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .notice(notice::failed(&html! { "Nothing was saved." }));
        answer(&context, Ok(page))
    };
    let parsed = text.parse::<crate::Document>();
    let value = serde_json::from_str::<Value>(text);
    let (document, value) = match (parsed, value) {
        (Ok(document), Ok(value)) => (document, value),
        (Err(error), _) | (_, Err(error)) => {
            return refused(&[format!(
                "This is no settings document: {error}. Take the file as it was exported."
            )]);
        }
    };
    let asked = SaveSettings {
        base: Some(base),
        settings: Some(document),
    };
    match foresee(&desk, &context, &asked, value, Came::File).await {
        Err(OpsError::Refused(found)) => {
            let sentences = found.iter().map(|fault| sentence(&fault.message));
            refused(&sentences.collect::<Vec<_>>())
        }
        Err(error) if super::is_kept_with(&error) => {
            let page = page(&context, base, text, &[]).status(error.status());
            let told = sentence(&error.to_string());
            let said = notice::failed(&html! { "Nothing was saved. " (told) });
            answer(&context, Ok(page.notice(said)))
        }
        other => answer(&context, other),
    }
}

pub(in crate::pages) async fn export(State(desk): State<Desk>, context: PageContext) -> Response {
    let written = desk
        .operations
        .export_settings(None)
        .await
        .and_then(|settings| {
            serde_json::to_string_pretty(&settings).map_err(|error| {
                OpsError::Broken(format!("the settings cannot be written: {error}"))
            })
        });
    match written {
        Ok(text) => download::attached(
            "mos-settings.json",
            "application/json",
            (text + "\n").into(),
        ),
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}
