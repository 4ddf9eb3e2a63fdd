//! `mosync decode-event`.

use std::path::Path;
use std::process::ExitCode;

use crate::exit::{Failure, print};

/// Prints an event, or a schema's fields, as JSON.
pub(crate) fn run(schema: &Path, payload: Option<&Path>) -> Result<ExitCode, Failure> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Failure::usage(format!("{} cannot be read: {error}", path.display()))
    };
    let schema = std::fs::read_to_string(schema).map_err(|error| unreadable(schema, error))?;
    let payload = payload
        .map(|path| std::fs::read(path).map_err(|error| unreadable(path, error)))
        .transpose()?;
    let event = boot::decode_event(&schema, payload.as_deref())
        .map_err(|error| Failure::failed(error.to_string()))?;
    print(
        &serde_json::to_string_pretty(&event)
            .map_err(|error| Failure::failed(error.to_string()))?,
    );
    Ok(ExitCode::SUCCESS)
}
