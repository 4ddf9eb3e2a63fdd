//! Errors as Salesforce words them.
use serde::Serialize;

/// An error of the data API: its code, its text and, where it concerns fields, their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// `errorCode`, for example `INVALID_FIELD`.
    #[serde(rename = "errorCode")]
    pub code: &'static str,
    /// The text for a person.
    pub message: String,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
}

impl ApiError {
    /// An error that concerns no field in particular.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            code,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// An error that concerns one field.
    pub fn on_field(code: &'static str, message: impl Into<String>, field: &str) -> Self {
        ApiError {
            code,
            message: message.into(),
            fields: vec![field.to_owned()],
        }
    }
}
