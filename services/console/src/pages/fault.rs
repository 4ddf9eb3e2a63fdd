//! Pages that say what went wrong, in the same frame where that can be drawn.

use axum::response::{IntoResponse, Response};
use http::{Method, Uri};
use maud::html;

use super::context::PageContext;
use super::layout::{self, Page};
use super::parts::icon::Icon;
use super::sync_status;
use crate::OpsError;

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
        OpsError::NotAllowed(_) => "This is not allowed",
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

/// Begins with a capital letter and ends with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    let mut sentence: String = first.into_iter().flatten().chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?', ':', ')']) {
        sentence.push('.');
    }
    sentence
}

pub(super) async fn no_such_page(context: PageContext, uri: Uri) -> PageFault {
    let error = OpsError::NotFound(format!("there is no page at {}", uri.path()));
    PageFault::within(&context, error)
}

pub(super) async fn wrong_method(context: PageContext, method: Method, uri: Uri) -> PageFault {
    let error = OpsError::WrongMethod(format!("{} cannot be asked by {method}", uri.path()));
    PageFault::within(&context, error)
}
