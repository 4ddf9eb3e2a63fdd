//! From a document to a saved revision: what it would do, the save, and the choice when somebody else
//! has saved meanwhile.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::settings::Settings;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::effect;
use super::written::{Faults, Written};
use super::{PATH, SCRIPT, answer, form};
use crate::pages::Desk;
use crate::pages::asked::Form;
use crate::pages::context::PageContext;
use crate::pages::layout::Page;
use crate::pages::parts::form as parts;
use crate::pages::parts::icon::Icon;
use crate::pages::parts::{card, notice};
use crate::views::{SaveSettings, SettingsConflict};
use crate::{Author, Caller, OpsError};

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
    const fn back(self) -> (&'static str, &'static str) {
        match self {
            Self::Form => effect::BACK,
            Self::History => (super::HISTORY, "Cancel"),
            Self::File => (super::TRANSFER, "Cancel"),
            Self::Mapping => (crate::pages::mapping::PATH, "Cancel"),
        }
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
            let (path, _) = came.back();
            let body = html! {
                section.card.fault {
                    p { "Nothing differs from the settings in force, so there is nothing to save." }
                    p { a.button href=(path) { "Back" } }
                }
            };
            Ok(Page::new("Nothing to save", Icon::Settings, body))
        }
        Ok(preview) => {
            let page = effect::page(context, &preview, &document.to_string(), came.back());
            let warnings = desk.operations.validate_settings(asked).await?.warnings;
            Ok(warned(page, &warnings))
        }
        // Nobody knows yet who holds permission: what can be told is what differs.
        Err(OpsError::Conflict(why)) => {
            let validated = desk.operations.validate_settings(asked).await?;
            if !validated.faults.is_empty() {
                return Err(OpsError::Refused(validated.faults));
            }
            Ok(untold(
                context,
                &validated.changes,
                asked,
                &document,
                &why,
                came,
            ))
        }
        Err(OpsError::SettingsConflict(conflict)) => Ok(choice(context, &conflict, &document)),
        Err(error) => Err(error),
    }
}

/// With what should be known before the save, and keeps nobody from it.
fn warned(page: Page, warnings: &[String]) -> Page {
    if warnings.is_empty() {
        return page;
    }
    page.notice(notice::warning(&html! {
        ul { @for warning in warnings { li { (crate::pages::fault::sentence(warning)) } } }
    }))
}

/// The difference alone, where the effect cannot be told.
fn untold(
    context: &PageContext,
    changes: &[domain::settings::Change],
    asked: &SaveSettings,
    document: &Value,
    why: &str,
    came: Came,
) -> Page {
    let (path, name) = came.back();
    let body = html! {
        (parts::order_as(context, "save", super::SAVE, true, html! {
            input type="hidden" name="base" value=(asked.base.unwrap_or_default());
            input type="hidden" name="document" value=(document.to_string());
        }))
        (card::card("What changes in the settings", &effect::changes(changes)))
    };
    Page::new("Save these settings?", Icon::Settings, body)
        .notice(notice::warning(
            &html! { (crate::pages::fault::sentence(why)) },
        ))
        .actions(html! {
            a.button href=(path) { (name) }
            button.brand-button type="submit" form="save" { "Save" }
        })
        .script(SCRIPT)
}

/// What is saved: a document that was looked at.
#[derive(Debug, Deserialize)]
pub(in crate::pages) struct Saving {
    base: u64,
    #[serde(default)]
    document: String,
}

pub(in crate::pages) async fn save(
    State(desk): State<Desk>,
    context: PageContext,
    Form(saving): Form<Saving>,
) -> Response {
    let document: Value = match serde_json::from_str(&saving.document) {
        Ok(document) => document,
        Err(error) => {
            let error = OpsError::Invalid(format!(
                "the document to save cannot be read ({error}); go back to mOS Settings and save from there"
            ));
            return answer(&context, Err(error));
        }
    };
    let asked = SaveSettings {
        base: Some(saving.base),
        settings: serde_json::from_str(&saving.document).ok(),
    };
    let author = Author::of(
        &Caller::Person(context.viewer.username.as_str().into()),
        None,
    );
    match desk.operations.save_settings(&asked, &author).await {
        Ok(saved) => Redirect::to(&format!("{PATH}?saved={}", saved.revision)).into_response(),
        Err(OpsError::SettingsConflict(conflict)) => {
            answer(&context, Ok(choice(&context, &conflict, &document)))
        }
        Err(OpsError::Refused(found)) => {
            let page = refused(&desk, &context, &saving, document, &found).await;
            answer(&context, page)
        }
        Err(error) => answer(&context, Err(error)),
    }
}

/// What saving a document of the choice would do.
pub(in crate::pages) async fn look(
    State(desk): State<Desk>,
    context: PageContext,
    Form(saving): Form<Saving>,
) -> Response {
    let page = async {
        let document: Value = serde_json::from_str(&saving.document).map_err(|error| {
            OpsError::Invalid(format!(
                "the document cannot be read ({error}); go back to mOS Settings and begin there"
            ))
        })?;
        let asked = SaveSettings {
            base: Some(saving.base),
            settings: serde_json::from_str(&saving.document).ok(),
        };
        foresee(&desk, &context, &asked, document, Came::Form).await
    };
    let page: Result<Page, OpsError> = page.await;
    answer(&context, page)
}

/// The org has changed between the look and the save.
async fn refused(
    desk: &Desk,
    context: &PageContext,
    saving: &Saving,
    document: Value,
    found: &[crate::views::FaultView],
) -> Result<Page, OpsError> {
    let Ok(settings) = serde_json::from_value::<Settings>(document) else {
        return Err(OpsError::Refused(found.to_vec()));
    };
    let written = Written::of_settings(saving.base, &settings);
    let mut faults = Faults::default();
    written.place(found, &mut faults);
    let current = desk.operations.settings().await?;
    let page = form(desk, context, &current, &written, &faults, true).await?;
    Ok(page.status(StatusCode::UNPROCESSABLE_ENTITY))
}

/// Both changes side by side, and what can be done.
fn choice(context: &PageContext, conflict: &SettingsConflict, mine: &Value) -> Page {
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
                a.button href=(PATH) { "Keep theirs" }
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
