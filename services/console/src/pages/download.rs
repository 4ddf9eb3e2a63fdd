//! Lists as files.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use http::header;

use crate::OpsError;
use crate::export::csv;

/// Rows of a page, and where the next page begins.
pub(super) type Rows<const N: usize> = (Vec<[String; N]>, Option<String>);

/// A list as CSV, read page by page as it is taken. When a page cannot be read, the file breaks off
/// without its regular end, so that nobody takes it for whole.
///
/// # Errors
/// Of the first page, before anything is sent.
pub(super) async fn of_pages<const N: usize, F>(
    file: &str,
    headings: [&str; N],
    read: impl Fn(Option<String>) -> F + Send + 'static,
) -> Result<Response, OpsError>
where
    F: Future<Output = Result<Rows<N>, OpsError>> + Send,
{
    let (rows, next) = read(None).await?;
    let head = csv([headings.map(str::to_owned)])?;
    let beginning = [head, csv(rows)?];
    let beginning = stream::iter(beginning.map(Ok::<Bytes, OpsError>));
    let rest = stream::try_unfold((next, read), |(next, read)| async move {
        let Some(next) = next else { return Ok(None) };
        let (rows, next) = read(Some(next)).await?;
        Ok::<_, OpsError>(Some((csv(rows)?, (next, read))))
    });
    let body = Body::from_stream(futures::StreamExt::chain(beginning, rest));
    Ok(attached(file, "text/csv; charset=utf-8", body))
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
