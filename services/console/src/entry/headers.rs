//! What every answer tells the browser, and how much a request may bring.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};

use super::Web;
use crate::pages::PageFault;
use crate::{OpsError, api};

/// Names and values of a request's headers together, in bytes.
const MAX_HEADERS: usize = 16 * 1024;
/// The longest path with its query, in bytes.
const MAX_TARGET: usize = 8 * 1024;

/// What every answer carries.
#[derive(Debug, Clone)]
pub(crate) struct Policy(Vec<(HeaderName, HeaderValue)>);

impl Policy {
    /// Nothing but the console's own scripts, styles and forms; nobody shows it in a frame but who is
    /// configured.
    pub(crate) fn of(web: Option<&Web>) -> Self {
        let ancestors = web.map(|web| web.frame_ancestors.as_slice());
        let ancestors = ancestors.unwrap_or_default().join(" ");
        let ancestors = if ancestors.is_empty() {
            "'none'"
        } else {
            ancestors.as_str()
        };
        let content = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
        );
        let mut headers = vec![
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // Of the console's own pages alone: an order has to say where it comes from.
            (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        ];
        headers.extend(
            HeaderValue::from_str(&content)
                .ok()
                .map(|content| (CONTENT_SECURITY_POLICY, content)),
        );
        if ancestors == "'none'" {
            headers.push((X_FRAME_OPTIONS, HeaderValue::from_static("DENY")));
        }
        if web.is_some_and(|web| web.url.scheme() == "https") {
            headers.push((
                STRICT_TRANSPORT_SECURITY,
                HeaderValue::from_static("max-age=31536000"),
            ));
        }
        Self(headers)
    }
}

/// Refuses requests that bring too much, and puts the headers on every answer.
pub(crate) async fn policy(
    State(Policy(headers)): State<Policy>,
    request: Request,
    next: Next,
) -> Response {
    let brought: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let target = request.uri().path_and_query();
    let is_too_long = target.is_some_and(|target| target.as_str().len() > MAX_TARGET);
    let mut response = if brought > MAX_HEADERS {
        let said = "the request's headers are longer than the 16,384 bytes that are read; send fewer, or delete this site's cookies";
        too_much(&request, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, said)
    } else if is_too_long {
        let said =
            "the address is longer than the 8,192 bytes that are read; ask for less at a time";
        too_much(&request, StatusCode::URI_TOO_LONG, said)
    } else {
        next.run(request).await
    };
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Said as everything else on that path is.
fn too_much(request: &Request, status: StatusCode, said: &str) -> Response {
    let error = OpsError::TooLarge(said.to_owned());
    let mut response = if request.uri().path().starts_with("/api/") {
        api::refusal(error)
    } else {
        PageFault::bare(error).into_response()
    };
    *response.status_mut() = status;
    response
}
