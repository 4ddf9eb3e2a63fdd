//! mOS Settings: the form, what a save would do, the save, and what belongs to it.

mod checklist;
mod confirm_org;
mod effect;
mod filter;
mod history;
mod save;
mod sync_all;
mod transfer;
mod values;
mod view;
pub(super) mod written;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use domain::ObjectKind;
use domain::filter::MAX_CONDITIONS;
use http::StatusCode;
use maud::html;

use super::Desk;
use super::context::PageContext;
use super::fault::sentence;
use super::layout::Page;
pub(super) use super::layout::answer;
use super::left;
use super::parts::notice;
use super::sent::Sent;
use crate::OpsError;
use crate::views::{SaveSettings, SettingsView};
use filter::Choice;
use view::Shown;
use written::{Faults, Written, WrittenRow};

pub(super) use checklist::{show as show_checklist, test_mail, tried};
pub(super) use confirm_org::{ask as ask_confirm_org, confirm as confirm_org};
pub(super) use effect::export as export_previewed;
pub(super) use history::{export as export_history, revert, show as show_history};
pub(super) use save::{Came, edit, foresee, look, save};
pub(super) use sync_all::{ask as ask_sync_all, start as start_sync_all};
pub(super) use transfer::{export, import, show as show_transfer};

/// Where it is.
pub(super) const PATH: &str = "/settings";
/// Where a script asks for more rows, fewer, or what fits them.
pub(crate) const ROWS: &str = "/settings/rows";
pub(super) const SAVE: &str = "/settings/save";
pub(super) const EDIT: &str = "/settings/edit";
pub(super) const LOOK: &str = "/settings/look";
pub(super) const HISTORY: &str = "/settings/history";
pub(super) const HISTORY_EXPORT: &str = "/settings/history/export";
pub(super) const PREVIEWED: &str = "/settings/preview/{preview}/export";
pub(super) const REVERT: &str = "/settings/revert";
pub(super) const TRANSFER: &str = "/settings/transfer";
pub(super) const EXPORT: &str = "/settings/export";
pub(super) const CHECKLIST: &str = "/settings/checklist";
pub(super) const CONFIRM_ORG: &str = "/settings/confirm-org";
pub(super) const TEST_MAIL: &str = "/settings/test-mail";
pub(super) const SYNC_ALL: &str = "/settings/sync-all";

/// The script of these pages.
pub(super) const SCRIPT: &str = "settings.js";

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let page = async {
        // Which revision was saved by whoever is sent here.
        let saved = Sent::asked(query.as_deref()).number("saved")?;
        let current = desk.operations.settings().await?;
        let written = Written::of(&current);
        let page = form(
            &desk,
            &context,
            &current,
            &written,
            &Faults::default(),
            false,
        )
        .await?;
        Ok(match saved {
            Some(saved) if saved == current.revision => page.notice(done(&current)),
            _ => page,
        })
    };
    answer(&context, page.await)
}

fn done(current: &SettingsView) -> maud::Markup {
    notice::done(&html! {
        "Revision " (current.revision) " is saved and in force. "
        a href=(HISTORY) { "What it changed" }
        " · "
        a href=(left::PATH) { "What left the scope and stays in mOS" }
    })
}

/// The form, with what is written in it.
async fn form(
    desk: &Desk,
    context: &PageContext,
    current: &SettingsView,
    written: &Written,
    faults: &Faults,
    unsaved: bool,
) -> Result<Page, OpsError> {
    let fields = desk.operations.fields_of(ObjectKind::Opportunity).await;
    let shown = Shown {
        written,
        faults,
        unsaved,
        current,
        fields: fields.as_ref().map_err(ToString::to_string),
    };
    Ok(view::page(context, &shown))
}

/// The form was sent, by one of its buttons.
pub(super) async fn act(State(desk): State<Desk>, context: PageContext, sent: Sent) -> Response {
    let deed = sent.get("do");
    let deed = deed.as_deref().unwrap_or("preview");
    let written = Written::read(sent.pairs());
    if deed == "preview" {
        return preview(&desk, &context, &written).await;
    }
    answer(&context, changed(&desk, &context, written, deed).await)
}

/// A script asks for the form with other rows, or with what fits them: that and nothing else, since it
/// may ask often.
pub(super) async fn rows(State(desk): State<Desk>, context: PageContext, sent: Sent) -> Response {
    let deed = sent.get("do").unwrap_or_default();
    let written = Written::read(sent.pairs());
    answer(&context, changed(&desk, &context, written, &deed).await)
}

/// The form with a row more or less, or with what fits the chosen fields.
async fn changed(
    desk: &Desk,
    context: &PageContext,
    mut written: Written,
    deed: &str,
) -> Result<Page, OpsError> {
    let fields = desk.operations.fields_of(ObjectKind::Opportunity).await;
    let fields = fields.map(|list| list.fields).unwrap_or_default();
    Choice { fields: &fields }.settle(&mut written);
    let removed = deed
        .strip_prefix("remove.")
        .and_then(|number| number.parse::<usize>().ok());
    if deed == "add" && written.rows.len() < MAX_CONDITIONS {
        written.rows.push(WrittenRow {
            operator: "equals".to_owned(),
            ..WrittenRow::default()
        });
    }
    if let Some(place) = removed.and_then(|number| number.checked_sub(1))
        && place < written.rows.len()
    {
        written.rows.remove(place);
    }
    let current = desk.operations.settings().await?;
    form(desk, context, &current, &written, &Faults::default(), true).await
}

/// What saving the form would do; or the form again, with what is wrong.
async fn preview(desk: &Desk, context: &PageContext, written: &Written) -> Response {
    let looked = async {
        let base = desk.operations.settings_revision(written.base).await?;
        let (document, mut faults) = written.document(&base.settings);
        let asked = SaveSettings {
            base: Some(written.base),
            settings: serde_json::from_value(document.clone()).ok(),
        };
        let found = if faults.is_empty() {
            match foresee(desk, context, &asked, document, Came::Form).await {
                Err(OpsError::Refused(found)) => found,
                other => return other,
            }
        } else {
            desk.operations.validate_settings(&asked).await?.faults
        };
        written.place(&found, &mut faults);
        let current = desk.operations.settings().await?;
        let page = form(desk, context, &current, written, &faults, true).await?;
        Ok(page.status(StatusCode::UNPROCESSABLE_ENTITY))
    };
    match looked.await {
        Err(error) if is_kept_with(&error) => {
            let again = again(desk, context, written, &error).await;
            answer(context, again)
        }
        other => answer(context, other),
    }
}

/// Whether what was written stays on the page with this error. Who may not save has nothing to keep.
pub(super) const fn is_kept_with(error: &OpsError) -> bool {
    !matches!(error, OpsError::Forbidden(_))
}

/// The form with what was written, when something else than that is wrong.
async fn again(
    desk: &Desk,
    context: &PageContext,
    written: &Written,
    error: &OpsError,
) -> Result<Page, OpsError> {
    let current = desk.operations.settings().await?;
    let page = form(desk, context, &current, written, &Faults::default(), true).await?;
    Ok(page.status(error.status()).notice(notice::failed(
        &html! { "Nothing was saved. " (sentence(&error.to_string())) },
    )))
}
