//! Why an operation was not done, as a sentence and as a kind that programs can tell apart.

use http::StatusCode;
use ports::queue::LinkLost;
use ports::source::SourceError;
use ports::stores::StoreError;
use ports::target::TargetError;
use runtime::worker::Outage;

use crate::journal::JournalError;
use crate::views::{ErrorDetail, FaultView, SettingsConflict};

/// Why an operation was not done. The message says what happened, to what, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpsError {
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// The request cannot be understood as it is.
    #[error("{0}")]
    Invalid(String),
    /// A settings document that cannot be meant like that; nothing was changed.
    #[error("the settings are refused and nothing was changed:{}", list(.0))]
    Refused(Vec<FaultView>),
    /// Somebody else saved settings from the same revision; nothing was changed.
    #[error("{}", .0.sentence())]
    SettingsConflict(Box<SettingsConflict>),
    /// It is understood, but does not fit how things stand.
    #[error("{0}")]
    Conflict(String),
    /// The caller has not shown who they are.
    #[error("{0}")]
    NotAllowed(String),
    /// The caller is known, and may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The caller asks too often.
    #[error("{0}")]
    TooMany(String),
    /// The request is larger than it may be.
    #[error("{0}")]
    TooLarge(String),
    /// The path is known, the method is not.
    #[error("{0}")]
    WrongMethod(String),
    /// A store, the broker, Salesforce, mOS, or the process that serves the API does not answer, or
    /// not what it is asked.
    #[error("{0}")]
    OutOfReach(String),
    /// What is stored cannot be read, or what mosync itself has made cannot be used.
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
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) | Self::SettingsConflict(_) => StatusCode::CONFLICT,
            Self::NotAllowed(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
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
            Self::Refused(_) => "refused",
            Self::SettingsConflict(_) => "settings_conflict",
            Self::Conflict(_) => "conflict",
            Self::NotAllowed(_) => "not_allowed",
            Self::Forbidden(_) => "forbidden",
            Self::TooMany(_) => "too_many",
            Self::TooLarge(_) => "too_large",
            Self::WrongMethod(_) => "wrong_method",
            Self::OutOfReach(_) => "out_of_reach",
            Self::Broken(_) => "broken",
        }
    }

    /// As the API says it.
    #[must_use]
    pub fn detail(&self) -> ErrorDetail {
        let mut detail = ErrorDetail {
            code: self.code().to_owned(),
            message: self.to_string(),
            faults: Vec::new(),
            conflict: None,
        };
        if let Self::Refused(faults) = self {
            detail.faults.clone_from(faults);
        }
        if let Self::SettingsConflict(conflict) = self {
            detail.conflict = Some(conflict.clone());
        }
        detail
    }

    /// From an answer of the API.
    #[must_use]
    pub fn of_answer(status: StatusCode, detail: ErrorDetail) -> Self {
        let message = detail.message;
        match (status, detail.conflict) {
            (StatusCode::CONFLICT, Some(conflict)) => Self::SettingsConflict(conflict),
            (StatusCode::UNPROCESSABLE_ENTITY, _) => Self::Refused(detail.faults),
            (StatusCode::NOT_FOUND, _) => Self::NotFound(message),
            (StatusCode::BAD_REQUEST, _) => Self::Invalid(message),
            (StatusCode::CONFLICT, None) => Self::Conflict(message),
            (StatusCode::UNAUTHORIZED, _) => Self::NotAllowed(message),
            (StatusCode::FORBIDDEN, _) => Self::Forbidden(message),
            (StatusCode::TOO_MANY_REQUESTS, _) => Self::TooMany(message),
            (StatusCode::PAYLOAD_TOO_LARGE, _) => Self::TooLarge(message),
            (StatusCode::METHOD_NOT_ALLOWED, _) => Self::WrongMethod(message),
            (StatusCode::SERVICE_UNAVAILABLE, _) => Self::OutOfReach(message),
            _ => Self::Broken(message),
        }
    }
}

fn list(faults: &[FaultView]) -> String {
    let lines = faults.iter().map(|fault| format!("\n  {}", fault.message));
    lines.collect()
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
        Self::OutOfReach(match error {
            SourceError::Refused { .. } => format!(
                "{error}; if it names an object or a field, let the integration user read it"
            ),
            SourceError::Unreachable(_)
            | SourceError::SignIn(_)
            | SourceError::Quota(_)
            | SourceError::PositionRejected(_)
            | SourceError::Expired(_)
            | SourceError::Garbled(_) => error.to_string(),
        })
    }
}

impl From<TargetError> for OpsError {
    fn from(error: TargetError) -> Self {
        Self::OutOfReach(error.to_string())
    }
}

impl From<JournalError> for OpsError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => error.into(),
            error @ (JournalError::File { .. }
            | JournalError::Line { .. }
            | JournalError::Held(_)) => {
                Self::OutOfReach(format!("{error}; the settings were not changed"))
            }
        }
    }
}

impl From<Outage> for OpsError {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Source(error) => error.into(),
            Outage::Store(error) => error.into(),
            Outage::Other(why) => Self::Broken(why),
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
    use crate::views::SettingsView;
    use domain::settings::{Settings, SettingsRevision};

    #[test]
    fn an_answer_and_its_error_name_each_other() {
        let text = || "x".to_owned();
        let fault = FaultView {
            at: "disabled".to_owned(),
            message: "wrong".to_owned(),
        };
        let conflict = SettingsConflict {
            base: 1,
            current: SettingsView::from(SettingsRevision::initial()),
            theirs: Vec::new(),
            yours: Vec::new(),
            merged: Some(Settings::default()),
            both: Vec::new(),
        };
        for error in [
            OpsError::NotFound(text()),
            OpsError::Invalid(text()),
            OpsError::Refused(vec![fault]),
            OpsError::SettingsConflict(Box::new(conflict)),
            OpsError::Conflict(text()),
            OpsError::NotAllowed(text()),
            OpsError::Forbidden(text()),
            OpsError::TooMany(text()),
            OpsError::TooLarge(text()),
            OpsError::WrongMethod(text()),
            OpsError::OutOfReach(text()),
            OpsError::Broken(text()),
        ] {
            assert_eq!(OpsError::of_answer(error.status(), error.detail()), error);
        }
    }
}
