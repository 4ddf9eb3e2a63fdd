//! Why an operation was not done, as a sentence and as a kind that programs can tell apart.

use http::StatusCode;
use ports::queue::LinkLost;
use ports::source::SourceError;
use ports::stores::StoreError;

/// Why an operation was not done. The message says what happened, to what, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpsError {
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// The request cannot be understood as it is.
    #[error("{0}")]
    Invalid(String),
    /// It is understood, but does not fit how things stand.
    #[error("{0}")]
    Conflict(String),
    /// The caller has not shown who they are.
    #[error("{0}")]
    NotAllowed(String),
    /// The request is larger than it may be.
    #[error("{0}")]
    TooLarge(String),
    /// The path is known, the method is not.
    #[error("{0}")]
    WrongMethod(String),
    /// A store, the broker, or the process that serves the API does not answer.
    #[error("{0}")]
    OutOfReach(String),
    /// What is stored cannot be read, or an answer cannot be understood.
    #[error("{0}")]
    Broken(String),
}

impl OpsError {
    /// The HTTP status that stands for it.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::NotAllowed(_) => StatusCode::UNAUTHORIZED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::OutOfReach(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Its name in the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Invalid(_) => "invalid",
            Self::Conflict(_) => "conflict",
            Self::NotAllowed(_) => "not_allowed",
            Self::TooLarge(_) => "too_large",
            Self::WrongMethod(_) => "wrong_method",
            Self::OutOfReach(_) => "out_of_reach",
            Self::Broken(_) => "broken",
        }
    }

    /// From an answer of the API.
    #[must_use]
    pub fn of_status(status: StatusCode, message: String) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound(message),
            StatusCode::BAD_REQUEST => Self::Invalid(message),
            StatusCode::CONFLICT => Self::Conflict(message),
            StatusCode::UNAUTHORIZED => Self::NotAllowed(message),
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge(message),
            StatusCode::METHOD_NOT_ALLOWED => Self::WrongMethod(message),
            StatusCode::SERVICE_UNAVAILABLE => Self::OutOfReach(message),
            _ => Self::Broken(message),
        }
    }
}

impl From<StoreError> for OpsError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Unreachable(_) | StoreError::ClockSteppedBack(_) => {
                Self::OutOfReach(message)
            }
            StoreError::Corrupt(_) => Self::Broken(message),
            StoreError::Conflict { .. } => Self::Conflict(message),
        }
    }
}

impl From<SourceError> for OpsError {
    fn from(error: SourceError) -> Self {
        let message = error.to_string();
        match error {
            SourceError::Unreachable(_)
            | SourceError::SignIn(_)
            | SourceError::Quota(_)
            | SourceError::PositionRejected(_)
            | SourceError::Expired(_) => Self::OutOfReach(message),
            SourceError::Refused { .. } | SourceError::Garbled(_) => Self::Broken(message),
        }
    }
}

impl From<LinkLost> for OpsError {
    fn from(lost: LinkLost) -> Self {
        Self::OutOfReach(lost.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_error_name_each_other() {
        let text = || "x".to_owned();
        for error in [
            OpsError::NotFound(text()),
            OpsError::Invalid(text()),
            OpsError::Conflict(text()),
            OpsError::NotAllowed(text()),
            OpsError::TooLarge(text()),
            OpsError::WrongMethod(text()),
            OpsError::OutOfReach(text()),
            OpsError::Broken(text()),
        ] {
            assert_eq!(OpsError::of_status(error.status(), text()), error);
        }
    }
}
