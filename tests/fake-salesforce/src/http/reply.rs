//! Answers.
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use crate::error::ApiError;

/// An answer in the making.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Content,
}

enum Content {
    Whole(Vec<u8>),
    /// Written while it is sent.
    Stream(Body),
}

impl Reply {
    /// A status alone.
    pub(crate) fn status(status: u16) -> Self {
        Reply {
            status,
            headers: Vec::new(),
            body: Content::Whole(Vec::new()),
        }
    }

    /// A JSON document.
    pub(crate) fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Reply::text(status, "application/json;charset=UTF-8", body),
            Err(_) => Reply::status(500),
        }
    }

    /// A document of any type.
    pub(crate) fn text(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Reply {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: Content::Whole(body),
        }
    }

    /// A JSON document in pieces, each made when the one before it was sent.
    pub(crate) fn pieces(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Self {
        let pieces = pieces.map(Ok::<_, std::convert::Infallible>);
        let body = Body::from_stream(futures::stream::iter(pieces));
        Reply::stream("application/json;charset=UTF-8", body)
    }

    /// A document of any type that comes by and by.
    pub(crate) fn stream(content_type: &str, body: Body) -> Self {
        Reply {
            status: 200,
            headers: vec![("content-type", content_type.to_owned())],
            body: Content::Stream(body),
        }
    }

    /// The answer to a path that leads nowhere.
    pub(crate) fn not_found() -> Self {
        Reply::from(ApiError::new(
            "NOT_FOUND",
            "The requested resource does not exist",
        ))
    }

    /// The status, and the body as JSON.
    pub(crate) fn into_parts(self) -> (u16, serde_json::Value) {
        let body = match self.body {
            Content::Whole(body) => serde_json::from_slice(&body).unwrap_or_default(),
            // No part of a composite request answers so.
            Content::Stream(_) => serde_json::Value::Null,
        };
        (self.status, body)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let body = match self.body {
            Content::Whole(body) => Body::from(body),
            Content::Stream(body) => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let status = match error.code {
            "INVALID_SESSION_ID" => 401,
            "REQUEST_LIMIT_EXCEEDED" => 403,
            "NOT_FOUND" | "ENTITY_IS_DELETED" => 404,
            "METHOD_NOT_ALLOWED" => 405,
            "VERSION_CONFLICT" => 409,
            "UNSUPPORTED_MEDIA_TYPE" => 415,
            "UNSUPPORTED_API_VERSION" => 410,
            _ => 400,
        };
        Reply::json(status, &json!([error]))
    }
}
