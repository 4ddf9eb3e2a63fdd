//! Pages that say what went wrong, in the same frame where that can be drawn.

use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use maud::html;

use super::context::PageContext;
use super::layout::{self, Page};
use super::parts::icon::Icon;
use super::{sign_in, sync_status};
use crate::OpsError;
use crate::entry::{Console, Peer, Person};
use crate::limits::Kind;

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
        OpsError::Invalid(_) => "This cannot be understood",
        OpsError::Refused(_) => "The settings are refused",
        OpsError::SettingsConflict(_) | OpsError::Conflict(_) => "This does not fit",
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
                p { (sentence(&self.error.to_string())) }
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

/// Begins with a capital letter and ends with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut sentence = capital(text);
    if !sentence.ends_with(['.', '!', '?', ':', ')']) {
        sentence.push('.');
    }
    sentence
}

/// Without what commands a shell has for it, such as "see mosync dead list" in brackets: on a page
/// there are links.
pub(super) fn without_commands(text: &str) -> String {
    const SEE: &str = " (see `mosync ";
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    while let Some((before, behind)) = rest.split_once(SEE) {
        kept.push_str(before);
        rest = behind.split_once(')').map_or("", |(_, behind)| behind);
    }
    kept + rest
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_a_shell_are_left_out() {
        let said = "2 messages are set aside (see `mosync dead list`); 1 record is parked (see `mosync parked list`); the end";
        assert_eq!(
            without_commands(said),
            "2 messages are set aside; 1 record is parked; the end"
        );
        assert_eq!(without_commands("all (is) well"), "all (is) well");
    }
}
