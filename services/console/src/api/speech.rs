//! How requests are understood and refused: always in JSON, always with a sentence.

use std::fmt;
use std::marker::PhantomData;

use axum::Json;
use axum::body::HttpBody as _;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::rights::Right;
use crate::views::ErrorView;
use crate::{Author, Caller, OpsError};

/// An error as the API says it.
#[derive(Debug)]
pub(super) struct Refused(pub(super) OpsError);

impl From<OpsError> for Refused {
    fn from(error: OpsError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let view = ErrorView {
            error: error.detail(),
        };
        (error.status(), Json(view)).into_response()
    }
}

/// The values after `?`.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection: QueryRejection| {
                Refused(OpsError::Invalid(format!(
                    "what is asked after `?` cannot be understood: {}",
                    rejection.body_text()
                )))
            })
    }
}

/// The name in the path.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name))
            .map_err(|rejection: PathRejection| {
                Refused(OpsError::Invalid(format!(
                    "the path cannot be read: {}",
                    rejection.body_text()
                )))
            })
    }
}

/// The JSON body; none at all is the default.
pub(super) struct Told<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        if request.body().size_hint().exact() == Some(0) {
            return Ok(Self(T::default()));
        }
        let body = Json::<Object<T>>::from_request(request, state).await;
        body.map(|Json(Object(told))| Self(told))
            .map_err(|rejection: JsonRejection| {
                let sentence = format!("the body cannot be understood: {}", rejection.body_text());
                Refused(if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    OpsError::TooLarge(format!("{sentence}; at most 65,536 bytes are read"))
                } else {
                    OpsError::Invalid(sentence)
                })
            })
    }
}

/// A JSON object. What serde makes of a struct also takes a list of its values, of which the document
/// of this API says nothing.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// Who calls.
pub(super) struct CalledBy(pub(super) Caller);

impl<S: Send + Sync> FromRequestParts<S> for CalledBy {
    type Rejection = Refused;

    /// Put there by whoever let the request in.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        parts.extensions.get().cloned().map(Self).ok_or_else(|| {
            Refused(OpsError::NotAllowed(
                "nobody has said who calls; please report this".to_owned(),
            ))
        })
    }
}

/// What whoever calls may.
pub(super) struct May(pub(super) Right);

impl<S: Send + Sync> FromRequestParts<S> for May {
    type Rejection = Refused;

    /// Put there by whoever let the request in.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        parts.extensions.get().copied().map(Self).ok_or_else(|| {
            Refused(OpsError::NotAllowed(
                "nobody has said what the caller may; please report this".to_owned(),
            ))
        })
    }
}

/// Whom a change is to name.
pub(super) struct SignedBy(pub(super) Author);

impl<S: Send + Sync> FromRequestParts<S> for SignedBy {
    type Rejection = Refused;

    /// Put there by whoever let the request in.
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        parts.extensions.get().cloned().map(Self).ok_or_else(|| {
            Refused(OpsError::NotAllowed(
                "nobody has said who calls; please report this".to_owned(),
            ))
        })
    }
}
