//! Log lines to standard error, as text for people or as JSON for machines.

use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log, LogFormat};

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter's text is none.
    #[error(
        "log.filter cannot be read ({0}); write a level such as info, or levels per module such as info,loader=debug"
    )]
    Filter(String),
    /// It is there already.
    #[error("logging was set up twice in one process; only main may do so")]
    Twice,
}

/// While this lives, a panic is one log line like any other. Keep it until main ends.
#[derive(Debug)]
#[must_use = "dropping it gives panics back to Rust's own report"]
pub struct Telemetry(());

/// Starts logging. Called once, by main.
///
/// # Errors
/// When the filter cannot be read or logging is installed already.
pub fn install(log: &Log) -> Result<Telemetry, TelemetryError> {
    let subscriber = subscriber(log, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_already_set| TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Telemetry(()))
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::panic::take_hook());
        }
    }
}

/// Whether `filter` can be read.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    EnvFilter::try_new(filter)
        .map(|_readable| ())
        .map_err(|fault| fault.to_string())
}

fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|fault| TelemetryError::Filter(fault.to_string()))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match log.format {
        LogFormat::Text => Box::new(lines.with_ansi(false).finish()),
        LogFormat::Json => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .finish(),
        ),
    })
}

/// The place always; the words only where they are part of the program, since words made at run
/// time may quote a record.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let words = panic
        .payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("its message is left out, it may quote data");
    tracing::error!(
        place,
        "mosync panicked at {place}: {words}; please report this"
    );
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = Log {
            format,
            filter: filter.to_owned(),
        };
        let subscriber = subscriber(&log, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_have_the_fields_at_the_top() {
        let text = logged(LogFormat::Json, "info", || {
            tracing::info!(unit = 7, "unit 7 done");
            tracing::debug!("not this one");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "unit 7 done");
        assert_eq!(line["unit"], 7);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_lines_are_plain_and_filtered() {
        let text = logged(LogFormat::Text, "off,runtime=debug", || {
            tracing::debug!(unit = 7, "unit 7 done");
            tracing::error!(target: "elsewhere", "not this one");
        });
        assert!(text.contains("unit 7 done unit=7"), "{text}");
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let log = Log {
            format: LogFormat::Text,
            filter: "loader=loud".to_owned(),
        };
        let fault = subscriber(&log, io::sink).err().unwrap().to_string();
        assert!(fault.starts_with("log.filter cannot be read ("), "{fault}");
    }

    #[test]
    fn a_panic_is_a_line_without_words_made_at_run_time() {
        let text = logged(LogFormat::Text, "info", || {
            std::panic::set_hook(Box::new(log_panic));
            let name = "Ada Lovelace";
            let caught = std::panic::catch_unwind(|| panic!("no such person: {name}"));
            drop(std::panic::take_hook());
            assert!(caught.is_err());
        });
        assert!(
            text.contains("telemetry.rs") && text.contains("panicked"),
            "{text}"
        );
        assert!(!text.contains("Lovelace"), "{text}");
    }
}
