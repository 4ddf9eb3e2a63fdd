//! Errors as the Pub/Sub API reports them: a gRPC status whose trailers name a code.
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::log::ReplayError;

/// What all error codes begin with.
const PREFIX: &str = "sfdc.platform.eventbus.grpc";

/// A status with its `error-code` and `rpc-id` trailers.
pub(crate) fn status(code: Code, error_code: &str, message: &str, rpc_id: &str) -> Status {
    let mut status = Status::new(code, format!("{message} rpcId: {rpc_id}"));
    let trailers = [
        ("error-code", format!("{PREFIX}.{error_code}")),
        ("rpc-id", rpc_id.to_owned()),
    ];
    for (key, value) in trailers {
        if let Ok(value) = MetadataValue::try_from(value) {
            status.metadata_mut().insert(key, value);
        }
    }
    status
}

/// A bad or expired token, or another org's.
pub(crate) fn unauthenticated(rpc_id: &str) -> Status {
    status(
        Code::Unauthenticated,
        "service.auth.error",
        "An authentication exception occurred. Provide valid authentication via metadata headers.",
        rpc_id,
    )
}

/// One of the three metadata headers is missing or malformed.
pub(crate) fn headers_invalid(rpc_id: &str) -> Status {
    status(
        Code::Unauthenticated,
        "service.auth.headers.invalid",
        "An authentication exception occurred. Provide valid authentication via metadata headers.",
        rpc_id,
    )
}

/// A topic that does not exist.
pub(crate) fn topic_not_found(rpc_id: &str) -> Status {
    status(
        Code::NotFound,
        "topic.not.found",
        "The requested topic was not found. Ensure that the topic exists and that you have access to it.",
        rpc_id,
    )
}

/// No topic at all.
pub(crate) fn topic_empty(rpc_id: &str) -> Status {
    status(
        Code::InvalidArgument,
        "topic.validation.empty",
        "The topic name is empty. Specify a topic name.",
        rpc_id,
    )
}

/// A fault of a Subscribe request, by its code.
pub(crate) fn bad_fetch(error_code: &str, message: &str, rpc_id: &str) -> Status {
    let error_code = format!("subscription.fetch.{error_code}");
    status(Code::InvalidArgument, &error_code, message, rpc_id)
}

/// A replay id that can not be resumed from.
pub(crate) fn replay(error: ReplayError, rpc_id: &str) -> Status {
    let error_code = match error {
        ReplayError::Empty => "replayid.validation.failed",
        ReplayError::Corrupted => "replayid.corrupted",
    };
    bad_fetch(error_code, &error.to_string(), rpc_id)
}

/// The connection is cut, as in a release window: no trailers.
pub(crate) fn cut() -> Status {
    Status::unavailable("RST_STREAM closed stream. HTTP/2 error code: NO_ERROR")
}

/// The server ends.
pub(crate) fn going_away(rpc_id: &str) -> Status {
    status(
        Code::Unavailable,
        "service.unavailable",
        "The service is temporarily unavailable. Try again later.",
        rpc_id,
    )
}
