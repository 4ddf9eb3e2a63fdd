//! Lists as files.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use http::header;

use super::PageFault;
use super::context::PageContext;
use crate::OpsError;
use crate::export::{self, Line};
use crate::views::Format;

/// A list as CSV, read page by page as it is taken. What keeps the first page from being read is said
/// on a page instead; when a later one cannot be read, the file breaks off without its regular end, so
/// that nobody takes it for whole.
pub(super) async fn csv<L: Line + Send + Sync + 'static>(
    context: &PageContext,
    file: &str,
    pages: impl Stream<Item = Result<Vec<L>, OpsError>> + Send + 'static,
) -> Response {
    list(context, file, Format::Csv, pages).await
}

/// The same in a format.
pub(super) async fn list<L: Line + Send + Sync + 'static>(
    context: &PageContext,
    file: &str,
    format: Format,
    pages: impl Stream<Item = Result<Vec<L>, OpsError>> + Send + 'static,
) -> Response {
    let mut pages = Box::pin(pages.peekable());
    if let Some(Err(error)) = pages.as_mut().peek().await {
        return PageFault::within(context, error.clone()).into_response();
    }
    let body = export::file(format, pages);
    attached(file, format.media_type(), body)
}

/// A list that is whole already, as CSV.
pub(super) async fn whole<L: Line + Send + Sync + 'static>(
    context: &PageContext,
    file: &str,
    lines: Result<Vec<L>, OpsError>,
) -> Response {
    let whole = futures::stream::once(std::future::ready(lines));
    csv(context, file, whole).await
}

/// What browsers save under that name.
pub(super) fn attached(file: &str, media_type: &str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file}\""),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, body).into_response()
}
