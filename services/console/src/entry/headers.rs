//! What every answer tells the browser, and how much a request may bring.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use tokio_util::sync::CancellationToken;

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
    // Of somebody at one time, as is a redirect that brings a cookie; what may be kept says so itself.
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses a body that does not come to its end in time: nobody holds a place for long by sending
/// little at a time. Nothing is done before a body was read, so nothing is left half done.
pub(crate) async fn in_time(
    State(patience): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let read = CancellationToken::new();
    // Dropped with the body, by whoever has read it to its end or does not want it.
    let done = read.clone().drop_guard();
    let request = request.map(|body| {
        let pieces = body.into_data_stream();
        Body::from_stream(pieces.inspect(move |_piece| {
            let _held = &done;
        }))
    });
    let late = async {
        if tokio::time::timeout(patience, read.cancelled())
            .await
            .is_ok()
        {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = late => {
            let seconds = patience.as_secs();
            let said = format!(
                "the request's body did not come to its end within {seconds} s, so nothing was done; send it again"
            );
            refused(&path, StatusCode::REQUEST_TIMEOUT, OpsError::Invalid(said))
        }
    }
}

fn too_much(request: &Request, status: StatusCode, said: &str) -> Response {
    let path = request.uri().path();
    refused(path, status, OpsError::TooLarge(said.to_owned()))
}

/// Said as everything else on that path is.
fn refused(path: &str, status: StatusCode, error: OpsError) -> Response {
    let mut response = if path.starts_with("/api/") {
        api::refusal(error)
    } else {
        PageFault::bare(error).into_response()
    };
    *response.status_mut() = status;
    response
}
