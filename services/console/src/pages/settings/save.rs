//! From a document to a saved revision: what it would do, the save, and the choice when somebody else
//! has saved meanwhile.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::effect;
use super::written::{Faults, Written};
use super::{PATH, SCRIPT, answer, form};
use crate::operations::settings::NOT_KNOWN;
use crate::pages::Desk;
use crate::pages::context::PageContext;
use crate::pages::layout::Page;
use crate::pages::parts::form as parts;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{card, notice};
use crate::pages::sent::Sent;
use crate::views::{FaultView, SaveSettings, SettingsConflict};
use crate::{Author, OpsError};

/// From which page a document comes: where one goes who does not save it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pages) enum Came {
    /// mOS Settings.
    Form,
    /// The history.
    History,
    /// A file.
    File,
    /// Field Mapping.
    Mapping,
}

impl Came {
    /// As forms carry it.
    const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::History => "history",
            Self::File => "file",
            Self::Mapping => "mapping",
        }
    }

    fn of(name: &str) -> Self {
        [Self::History, Self::File, Self::Mapping]
            .into_iter()
            .find(|came| came.name() == name)
            .unwrap_or(Self::Form)
    }

    /// The page, as it is without what was written.
    const fn path(self) -> &'static str {
        match self {
            Self::Form => PATH,
            Self::History => super::HISTORY,
            Self::File => super::TRANSFER,
            Self::Mapping => crate::pages::mapping::PATH,
        }
    }

    /// Whether something was written there that one may want to correct.
    const fn is_form(self) -> bool {
        !matches!(self, Self::History)
    }
}

/// The id of the form that saves.
const FORM: &str = "save";

/// What was looked at, to be saved or to be written on.
pub(super) fn kept(context: &PageContext, base: u64, document: &str, came: Came) -> Markup {
    parts::order_as(
        context,
        FORM,
        super::SAVE,
        true,
        html! {
            input type="hidden" name="base" value=(base);
            input type="hidden" name="document" value=(document);
            input type="hidden" name="came" value=(came.name());
        },
    )
}

/// What can be done with it.
pub(super) fn buttons(came: Came) -> Markup {
    html! {
        (parts::leave(came.path(), "Cancel"))
        @if came.is_form() {
            button.button type="submit" form=(FORM) formaction=(super::EDIT) { "Back to the form" }
        }
        button.brand-button type="submit" form=(FORM) { "Save" }
    }
}

/// What saving a document would do; the choice, when somebody else has saved since its base.
///
/// # Errors
/// Those of a preview but a conflict.
pub(in crate::pages) async fn foresee(
    desk: &Desk,
    context: &PageContext,
    asked: &SaveSettings,
    document: Value,
    came: Came,
) -> Result<Page, OpsError> {
    match desk.operations.preview_settings(asked).await {
        Ok(preview) if preview.changes.is_empty() => {
            let path = came.path();
            let body = html! {
                section.card.fault {
                    p { "Nothing differs from the settings in force, so there is nothing to save." }
                    p { a.button href=(path) { "Back" } }
                }
            };
            Ok(Page::new("Nothing to save", Icon::Settings, body))
        }
        Ok(preview) => Ok(effect::page(context, &preview, &document.to_string(), came)),
        // Nobody knows yet who holds permission: what can be told is what differs.
        Err(OpsError::Conflict(why)) => {
            let validated = desk.operations.validate_settings(asked).await?;
            if !validated.faults.is_empty() {
                return Err(OpsError::Refused(validated.faults));
            }
            let base = asked.base.unwrap_or_default();
            let page = untold(context, &validated.changes, (base, &document), came);
            let why = html! { (crate::pages::fault::sentence(&why)) };
            Ok(page.notice(notice::warning(&why)))
        }
        Err(OpsError::SettingsConflict(conflict)) => {
            Ok(choice(context, &conflict, &document, came))
        }
        Err(error) => Err(error),
    }
}

/// The difference alone, where the effect cannot be told.
fn untold(
    context: &PageContext,
    changes: &[domain::settings::Change],
    (base, document): (u64, &Value),
    came: Came,
) -> Page {
    let body = html! {
        (kept(context, base, &document.to_string(), came))
        (card::card("What changes in the settings", &effect::changes(changes)))
    };
    Page::new("Save these settings?", Icon::Settings, body)
        .actions(buttons(came))
        .script(SCRIPT)
}

/// A document that was looked at and sent, and where it comes from.
struct Received {
    asked: SaveSettings,
    document: Value,
    came: Came,
}

impl Received {
    fn of(sent: &Sent) -> Result<Self, OpsError> {
        let unreadable = |error: serde_json::Error| {
            OpsError::Invalid(format!(
                "the document cannot be read ({error}); go back to mOS Settings and begin there"
            ))
        };
        let text = sent.get("document").unwrap_or_default();
        Ok(Self {
            asked: SaveSettings {
                base: Some(sent.needed("base")?),
                settings: Some(serde_json::from_str(&text).map_err(unreadable)?),
            },
            document: serde_json::from_str(&text).map_err(unreadable)?,
            came: Came::of(&sent.get("came").unwrap_or_default()),
        })
    }
}

pub(in crate::pages) async fn save(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    let received = match Received::of(&sent) {
        Ok(received) => received,
        Err(error) => return answer(&context, Err(error)),
    };
    let author = Author::of(&context.caller(), None);
    let saved = desk
        .operations
        .save_settings(&received.asked, &author)
        .await;
    let unsaved = match saved {
        Ok(saved) => {
            return Redirect::to(&format!("{PATH}?saved={}", saved.revision)).into_response();
        }
        Err(OpsError::SettingsConflict(conflict)) => {
            let Received { document, came, .. } = &received;
            Ok(choice(&context, &conflict, document, *came))
        }
        Err(error) => Err(error),
    };
    let page = kept_on_page(&desk, &context, &received, unsaved).await;
    answer(&context, page)
}

/// Back to the form, with what was written in it.
pub(in crate::pages) async fn edit(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    let page = async {
        let received = Received::of(&sent)?;
        written(&desk, &context, &received, &[]).await
    };
    let page: Result<Page, OpsError> = page.await;
    answer(&context, page)
}

/// What saving a document of the choice would do.
pub(in crate::pages) async fn look(
    State(desk): State<Desk>,
    context: PageContext,
    sent: Sent,
) -> Response {
    let received = match Received::of(&sent) {
        Ok(received) => received,
        Err(error) => return answer(&context, Err(error)),
    };
    let document = received.document.clone();
    let looked = foresee(&desk, &context, &received.asked, document, received.came).await;
    let page = kept_on_page(&desk, &context, &received, looked).await;
    answer(&context, page)
}

/// What there is to show, or else a page that keeps what was to be saved, with what is wrong.
async fn kept_on_page(
    desk: &Desk,
    context: &PageContext,
    received: &Received,
    shown: Result<Page, OpsError>,
) -> Result<Page, OpsError> {
    match shown {
        // The org has changed since the look before.
        Err(OpsError::Refused(found)) => {
            let page = written(desk, context, received, &found).await;
            page.map(|page| page.status(StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(error) if super::is_kept_with(&error) => held(desk, context, received, &error).await,
        other => other,
    }
}

/// Something is out of reach, or not as it should be: what was to be saved is kept on the page, to be
/// saved again. Should it be saved already, that is a conflict then, which shows both.
async fn held(
    desk: &Desk,
    context: &PageContext,
    received: &Received,
    error: &OpsError,
) -> Result<Page, OpsError> {
    let base = received.asked.base.unwrap_or_default();
    // The very store may be away that did not answer.
    let before = desk.operations.settings_revision(base).await.ok();
    let document = received.asked.settings.as_ref();
    let changes = before.zip(document).map(|(before, document)| {
        let after = document.read(&before.settings).settings;
        domain::settings::diff(&before.settings, &after)
    });
    let changes = changes.unwrap_or_default();
    let page = untold(context, &changes, (base, &received.document), received.came);
    let error_said = error.to_string();
    let is_open = error_said.contains(NOT_KNOWN);
    let said = crate::pages::fault::sentence(&error_said);
    Ok(page.status(error.status()).notice(notice::failed(&html! {
        @if !is_open { p { strong { "Nothing was saved." } } }
        p { (said) }
        p {
            "Your change is kept on this page: save it again when that "
            @if matches!(error, OpsError::OutOfReach(_)) { "answers." } @else { "is mended." }
        }
    })))
}

/// The page where a document was written, with the document in it and what is wrong with it.
async fn written(
    desk: &Desk,
    context: &PageContext,
    received: &Received,
    found: &[FaultView],
) -> Result<Page, OpsError> {
    let base = received.asked.base.unwrap_or_default();
    let before = desk.operations.settings_revision(base).await?.settings;
    let Some(document) = &received.asked.settings else {
        return Err(OpsError::Refused(found.to_vec()));
    };
    let settings = document.read(&before).settings;
    match received.came {
        Came::Mapping => {
            Ok(crate::pages::mapping::again(desk, context, (base, &settings.mapping), found).await)
        }
        Came::File => {
            let text = serde_json::to_string_pretty(&received.document);
            let text = text.unwrap_or_else(|_unwritable| received.document.to_string());
            Ok(super::transfer::again(context, base, &text, found))
        }
        Came::Form | Came::History => {
            let written = Written::of_settings(base, &settings);
            let mut faults = Faults::default();
            written.place(found, &mut faults);
            let current = desk.operations.settings().await?;
            form(desk, context, &current, &written, &faults, true).await
        }
    }
}

/// Both changes side by side, and what can be done.
fn choice(context: &PageContext, conflict: &SettingsConflict, mine: &Value, came: Came) -> Page {
    let current = &conflict.current;
    let mut own = mine.clone();
    // Which org is served is confirmed, not taken back.
    if let (Some(own), Some(org)) = (own.as_object_mut(), current.settings.org) {
        own.insert("org".to_owned(), json!(org));
    }
    let option = |id: &str, document: &Value, label: &str, help: &str, main: bool| {
        html! {
            div.option {
                (parts::order_as(context, id, super::LOOK, true, html! {
                    input type="hidden" name="base" value=(current.revision);
                    input type="hidden" name="document" value=(document.to_string());
                    input type="hidden" name="came" value=(came.name());
                    button class=(if main { "brand-button" } else { "button" }) type="submit" { (label) }
                }))
                p.help { (help) }
            }
        }
    };
    let body = html! {
        div.columns {
            (card::card(&format!("Saved meanwhile by {}", current.author), &effect::changes(&conflict.theirs)))
            (card::card("Your change", &effect::changes(&conflict.yours)))
        }
        (card::card("What should be in force?", &html! {
            @match &conflict.merged {
                Some(merged) => (option("both", &json!(merged), "Put both together", "The two changes touch different settings.", true)),
                None => p { "Both change " (both(&conflict.both)) ", so they cannot be put together." }
            }
            (option("mine", &own, "Take yours, and undo theirs", "Your settings as you left them; what was saved meanwhile is undone.", false))
            div.option {
                (parts::leave(PATH, "Keep theirs"))
                p.help { "Your change is not saved." }
            }
        }))
    };
    Page::new("Somebody else has saved meanwhile", Icon::Settings, body)
        .status(StatusCode::CONFLICT)
        .notice(notice::warning(&html! {
            "Revision " (current.revision) " was saved since revision " (conflict.base)
            ", from which your change was made. Nothing of yours is saved yet."
        }))
        .script(SCRIPT)
}

fn both(paths: &[String]) -> Markup {
    let labels = paths.iter().map(|path| domain::settings::label_of(path));
    html! { (labels.collect::<Vec<_>>().join(", ")) }
}
