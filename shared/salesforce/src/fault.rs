//! What to make of an answer that is no success: HTTP status and Salesforce's error code to the
//! port's errors, and whether the same request may succeed in a moment.

use std::time::Duration;

use http::StatusCode;
use ports::source::SourceError;
use serde::Deserialize;

use crate::http::Answer;

/// How much of Salesforce's own words is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) error: SourceError,
    /// Of the answer, where there was one.
    pub(crate) status: Option<StatusCode>,
    /// The same request may succeed in a moment.
    pub(crate) transient: bool,
    /// How long the server wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl Fault {
    pub(crate) const fn passing(error: SourceError) -> Self {
        Self {
            error,
            status: None,
            transient: true,
            retry_after: None,
        }
    }

    pub(crate) const fn lasting(error: SourceError) -> Self {
        Self {
            error,
            status: None,
            transient: false,
            retry_after: None,
        }
    }

    /// From an answer of the data API with a status other than 2xx (REST guide, "Status codes and
    /// error responses").
    pub(crate) fn of_answer(answer: &Answer) -> Self {
        Self {
            status: Some(answer.status),
            ..Self::judged(answer)
        }
    }

    fn judged(answer: &Answer) -> Self {
        let status = answer.status;
        let reported = serde_json::from_slice::<Vec<ReportedError>>(&answer.body)
            .ok()
            .and_then(|errors| errors.into_iter().next());
        let code = reported.as_ref().map_or_else(
            || format!("HTTP_{}", status.as_u16()),
            |error| error.error_code.clone(),
        );
        let message = reported.map_or_else(
            || "no further explanation".to_owned(),
            |error| presentable(&code, &error.message),
        );
        let told = format!("{code}: {message}");
        match code.as_str() {
            "REQUEST_LIMIT_EXCEEDED" | "LIMIT_EXCEEDED" => {
                return Self::lasting(SourceError::Quota(told));
            }
            "INVALID_QUERY_LOCATOR" => return Self::lasting(SourceError::Expired(told)),
            "INVALID_SESSION_ID" => return Self::lasting(SourceError::SignIn(told)),
            "UNABLE_TO_LOCK_ROW" | "TXN_SECURITY_METERING_ERROR" | "SERVER_UNAVAILABLE" => {
                return Self {
                    retry_after: answer.retry_after,
                    ..Self::passing(SourceError::Unreachable(told))
                };
            }
            _ => {}
        }
        if status == StatusCode::UNAUTHORIZED {
            Self::lasting(SourceError::SignIn(told))
        } else if is_transient(status) {
            Self {
                retry_after: answer.retry_after,
                ..Self::passing(SourceError::Unreachable(told))
            }
        } else if status.is_redirection() || status.is_success() {
            Self::lasting(SourceError::Garbled(format!(
                "HTTP {} where data was expected; is the instance address right?",
                status.as_u16()
            )))
        } else {
            Self::lasting(SourceError::Refused { code, message })
        }
    }
}

/// 406 and 420 come from the edge while it is busy "setting things up", often without a body.
fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 406 | 408 | 420 | 429)
}

#[derive(Deserialize)]
struct ReportedError {
    #[serde(rename = "errorCode")]
    error_code: String,
    #[serde(default)]
    message: String,
}

/// Salesforce quotes the query around a fault, and with it values of the filter: only what
/// follows the excerpt is kept, and in syntax errors the quoted piece is left out too.
pub(crate) fn presentable(code: &str, message: &str) -> String {
    let explanation = match message.rsplit_once("ERROR at Row:") {
        Some((_, tail)) => tail
            .split_once('\n')
            .map_or(tail, |(_, explanation)| explanation),
        None => message,
    };
    let explanation = explanation.split_whitespace().collect::<Vec<_>>().join(" ");
    let explanation = if code == "MALFORMED_QUERY" {
        without_quoted(&explanation)
    } else {
        explanation
    };
    shortened(&explanation)
}

/// At most as much as a person reads.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn without_quoted(text: &str) -> String {
    text.split('\'')
        .enumerate()
        .map(|(place, piece)| if place % 2 == 0 { piece } else { "'...'" })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, body: &str) -> Fault {
        Fault::of_answer(&Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some(Duration::from_secs(7)),
            body: body.as_bytes().to_vec(),
        })
    }

    fn reported(code: &str) -> String {
        format!(r#"[{{"message":"words","errorCode":"{code}"}}]"#)
    }

    #[test]
    fn codes_decide_before_the_status() {
        assert!(matches!(
            fault(403, &reported("REQUEST_LIMIT_EXCEEDED")).error,
            SourceError::Quota(_)
        ));
        assert!(matches!(
            fault(400, &reported("INVALID_QUERY_LOCATOR")).error,
            SourceError::Expired(_)
        ));
        assert!(matches!(
            fault(401, &reported("INVALID_SESSION_ID")).error,
            SourceError::SignIn(_)
        ));
        assert!(fault(400, &reported("UNABLE_TO_LOCK_ROW")).transient);
        let refused = fault(400, &reported("INVALID_FIELD"));
        assert_eq!(
            refused.error,
            SourceError::Refused {
                code: "INVALID_FIELD".to_owned(),
                message: "words".to_owned()
            }
        );
        assert!(!refused.transient);
    }

    #[test]
    fn answers_without_a_readable_body_are_judged_by_status() {
        for status in [406, 420, 429, 500, 502, 503, 504] {
            let fault = fault(status, "<html>one moment</html>");
            assert!(
                fault.transient && matches!(fault.error, SourceError::Unreachable(_)),
                "{status}"
            );
            assert_eq!(fault.retry_after, Some(Duration::from_secs(7)));
        }
        assert!(matches!(fault(401, "").error, SourceError::SignIn(_)));
        assert!(matches!(fault(302, "").error, SourceError::Garbled(_)));
        assert!(
            matches!(fault(404, "").error, SourceError::Refused { ref code, .. } if code == "HTTP_404")
        );
    }

    #[test]
    fn values_of_the_query_do_not_reach_the_message() {
        let body = r#"[{"errorCode":"INVALID_FIELD","message":"\nSELECT Nme FROM Account WHERE Name = 'Secret Ltd'\n       ^\nERROR at Row:1:Column:8\nNo such column 'Nme' on entity 'Account'."}]"#;
        let SourceError::Refused { message, .. } = fault(400, body).error else {
            panic!("not refused")
        };
        assert_eq!(message, "No such column 'Nme' on entity 'Account'.");
        let body = r#"[{"errorCode":"MALFORMED_QUERY","message":"\nWHERE Name = 'Secret\n ^\nERROR at Row:1:Column:8\nunexpected token: 'Secret'"}]"#;
        let SourceError::Refused { message, .. } = fault(400, body).error else {
            panic!("not refused")
        };
        assert_eq!(message, "unexpected token: '...'");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(400)).chars().count(), MAX_MESSAGE + 3);
    }
}
