//! Pages that say what went wrong, in the same frame where that can be drawn.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::{self, Page};
use super::parts::icon::Icon;
use super::parts::time;
use super::{sign_in, sync_status};
use crate::entry::{Console, Peer, Person};
use crate::limits::Kind;
use crate::{OpsError, wording};

/// Why a page is not shown.
pub(crate) struct PageFault {
    error: OpsError,
    context: Option<Box<PageContext>>,
}

impl PageFault {
    /// Within the frame.
    pub(crate) fn within(context: &PageContext, error: OpsError) -> Self {
        Self {
            error,
            context: Some(Box::new(context.clone())),
        }
    }

    /// Without what the frame shows: nobody has signed in, or a store does not answer.
    pub(crate) const fn bare(error: OpsError) -> Self {
        Self {
            error,
            context: None,
        }
    }
}

fn title(error: &OpsError) -> &'static str {
    match error {
        OpsError::NotFound(_) => "There is no such page",
        OpsError::Invalid(_) => "Please check what you entered",
        OpsError::Refused(_) => "The settings are refused",
        OpsError::SettingsConflict(_) | OpsError::Conflict(_) => "This cannot be done now",
        OpsError::NotAllowed(_) | OpsError::Forbidden(_) => "This is not allowed",
        OpsError::TooMany(_) => "Too many requests",
        OpsError::TooLarge(_) => "This is too large",
        OpsError::WrongMethod(_) => "This cannot be asked like that",
        OpsError::OutOfReach(_) => "Something is out of reach",
        OpsError::Broken(_) => "Something is wrong",
    }
}

impl IntoResponse for PageFault {
    fn into_response(self) -> Response {
        let title = title(&self.error);
        let body = html! {
            section.card.fault {
                h2 { (title) }
                p { (said(&self.error.to_string())) }
                p { a href=(sync_status::PATH) { "Go to Sync Status" } }
            }
        };
        let markup = match &self.context {
            Some(context) => Page::new(title, Icon::Fault, body).markup(context),
            None => layout::bare(title, &body),
        };
        layout::respond(self.error.status(), markup)
    }
}

/// Begins with a capital letter.
pub(super) fn capital(text: &str) -> String {
    // The name keeps its small letter.
    if text.starts_with("mOS") {
        return text.to_owned();
    }
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

/// Begins with a capital letter, ends with a full stop, and calls things as pages do.
pub(super) fn sentence(text: &str) -> String {
    let mut sentence = capital(&wording::on_pages(text));
    if !sentence.ends_with(['.', '!', '?', ':', ')']) {
        sentence.push('.');
    }
    sentence
}

/// A sentence in which each moment is shown as one.
pub(super) fn said(text: &str) -> Markup {
    time::within(&sentence(text))
}

/// Of values of a search, each checked alone, what is wrong, so that it is said at its field.
pub(super) fn at_fields<T>(
    checked: impl IntoIterator<Item = (&'static str, Result<T, OpsError>)>,
) -> BTreeMap<&'static str, String> {
    let wrong = checked.into_iter().filter_map(|(name, checked)| {
        let error = checked.err()?;
        Some((name, sentence(&error.to_string())))
    });
    wrong.collect()
}

/// What somebody with a session is told instead of a page: in the frame for who has a role, and whom
/// to ask for who has none.
pub(crate) async fn refuse(
    console: &Console,
    person: &Person,
    path: &str,
    error: OpsError,
) -> Response {
    let Some(role) = person.role else {
        return sign_in::outsider(console, &person.session, Some(&person.form_token)).await;
    };
    match PageContext::read(console, person.viewer(role), path).await {
        Ok(context) => PageFault::within(&context, error).into_response(),
        Err(_out_of_reach) => PageFault::bare(error).into_response(),
    }
}

/// The same to somebody of whom nothing is known yet.
pub(super) async fn to_whoever(
    console: &Console,
    headers: &HeaderMap,
    peer: &Peer,
    path: &str,
    error: OpsError,
) -> Response {
    match console.person(headers, peer, Kind::Look, true).await {
        Ok(Some(person)) => refuse(console, &person, path, error).await,
        Err(error @ OpsError::TooMany(_)) => PageFault::bare(error).into_response(),
        Ok(None) | Err(_) => PageFault::bare(error).into_response(),
    }
}
