//! What a form has sent. A field may come several times, as those of checkboxes do.

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse as _, Response};

use super::{MAX_FORM, PageFault};
use crate::OpsError;

/// Names and values, in the form's order.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent(Vec<(String, String)>);

impl Sent {
    /// The first value of that name; absent when it is empty, too.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.all(name).find(|value| !value.trim().is_empty())
    }

    /// The number of that name in an address; absent when it is empty, too.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for what is no number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, OpsError> {
        let read = |text: String| text.trim().parse().map_err(|_none| text);
        self.get(name).map(read).transpose().map_err(|text| {
            OpsError::Invalid(format!(
                "what stands after `?` in the address cannot be understood: {name} `{text}` is no whole number; follow a link of the console"
            ))
        })
    }

    /// The number of that name in a form, which our forms always have.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] for what is no number.
    pub(super) fn needed(&self, name: &str) -> Result<u64, OpsError> {
        let number = self.get(name).and_then(|text| text.trim().parse().ok());
        number.ok_or_else(|| {
            OpsError::Invalid(format!(
                "the form cannot be understood, so nothing was done: {name} is no whole number; open the page again and send it from there"
            ))
        })
    }

    /// All of them.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Every value of that name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = String> {
        let values = self.0.iter().filter(move |(known, _)| known == name);
        values.map(|(_, value)| value.clone())
    }

    fn of(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text);
        Self(pairs.into_owned().collect())
    }

    /// What is asked after `?`.
    pub(super) fn asked(query: Option<&str>) -> Self {
        Self::of(query.unwrap_or_default().as_bytes())
    }
}

impl<S: Send + Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    /// Whoever let the request in has read it already, so it is not too large.
    async fn from_request(request: Request, _state: &S) -> Result<Self, Response> {
        let body = axum::body::to_bytes(request.into_body(), MAX_FORM).await;
        let body = body.map_err(|_too_large| {
            let error = OpsError::TooLarge(format!("a form has at most {MAX_FORM} bytes"));
            PageFault::bare(error).into_response()
        })?;
        Ok(Self::of(&body))
    }
}
