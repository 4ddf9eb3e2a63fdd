//! Whether an order comes from a page of the console itself, and not from another site that uses the
//! browser's cookies.

use http::HeaderMap;
use http::header::ORIGIN;

use super::Web;
use crate::{OpsError, token};

/// Scripts send the session's form token in this header.
pub(crate) const FORM_TOKEN_HEADER: &str = "mosync-form-token";

/// What forms of a session carry. Who does not know the session's id cannot guess it, and it does not
/// give the id away.
pub(crate) fn form_token(session: &str) -> String {
    token::hash_in_words(&token::hash(&format!("mosync form {session}")))
}

/// By what the browser itself says: `Origin`, which it sends with every order, and
/// `Sec-Fetch-Site`.
///
/// # Errors
/// [`OpsError::Forbidden`].
pub(crate) fn same_origin(web: &Web, headers: &HeaderMap) -> Result<(), OpsError> {
    let own = web.origin();
    let says = |name: http::HeaderName| headers.get(name).map(http::HeaderValue::as_bytes);
    let site = says(http::HeaderName::from_static("sec-fetch-site"));
    let is_ours =
        says(ORIGIN) == Some(own.as_bytes()) && site.is_none_or(|site| site == b"same-origin");
    if is_ours {
        return Ok(());
    }
    Err(OpsError::Forbidden(format!(
        "this order did not come from a page of the console at {own}, so nothing was done; open the console there and try again"
    )))
}
