//! What a page is asked with. What cannot be understood is said on a page, in a sentence.

use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::context::PageContext;
use super::{Desk, PageFault};
use crate::OpsError;

/// What stands after `?`.
pub(super) struct Query<T>(pub(super) T);

/// The name in the path.
pub(super) struct Path<T>(pub(super) T);

/// A form.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Desk> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Response> {
        let asked = axum::extract::Query::<T>::from_request_parts(parts, desk).await;
        let said = match asked {
            Ok(axum::extract::Query(asked)) => return Ok(Self(asked)),
            Err(rejection) => of_query(&rejection),
        };
        Err(refused(parts, desk, said).await)
    }
}

fn of_query(rejection: &QueryRejection) -> String {
    format!(
        "what stands after `?` in the address cannot be understood: {}; follow a link of the console",
        rejection.body_text()
    )
}

impl<T: DeserializeOwned + Send> FromRequestParts<Desk> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Response> {
        let named = axum::extract::Path::<T>::from_request_parts(parts, desk).await;
        let said = match named {
            Ok(axum::extract::Path(named)) => return Ok(Self(named)),
            Err(rejection) => of_path(&rejection),
        };
        Err(refused(parts, desk, said).await)
    }
}

fn of_path(rejection: &PathRejection) -> String {
    format!(
        "the address cannot be read: {}; follow a link of the console",
        rejection.body_text()
    )
}

impl<T: DeserializeOwned + Send> FromRequest<Desk> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let request = Request::from_parts(parts.clone(), body);
        let sent = axum::extract::Form::<T>::from_request(request, desk).await;
        let said = match sent {
            Ok(axum::extract::Form(sent)) => return Ok(Self(sent)),
            Err(rejection) => of_form(&rejection),
        };
        Err(refused(&mut parts, desk, said).await)
    }
}

fn of_form(rejection: &FormRejection) -> String {
    format!(
        "the form cannot be understood, so nothing was done: {}; open the page again and send it from there",
        rejection.body_text()
    )
}

/// Within the frame where somebody has signed in.
async fn refused(parts: &mut Parts, desk: &Desk, said: String) -> Response {
    let error = OpsError::Invalid(said);
    match PageContext::from_request_parts(parts, desk).await {
        Ok(context) => PageFault::within(&context, error).into_response(),
        Err(_nobody) => PageFault::bare(error).into_response(),
    }
}
