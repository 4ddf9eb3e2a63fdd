//! `mosync logs`.

use std::process::ExitCode;
use std::time::Duration;

use boot::console::OpsError;
use boot::console::views::{Format, LogLine, LogSearch};
use domain::Timestamp;
use futures::{Stream, StreamExt as _};
use ports::Clock as _;
use runtime::time::SystemClock;

use crate::cli::{LogsArguments, LogsFormat};
use crate::exit::{self, Failure, print};

/// Prints lines of the integration log, newest first.
pub(crate) async fn run(arguments: &LogsArguments) -> Result<ExitCode, Failure> {
    let now = SystemClock.now();
    let time = |text: &Option<String>| text.as_deref().map(|text| moment(text, now)).transpose();
    let search = LogSearch {
        record: arguments.record.clone(),
        job: arguments.job.clone(),
        object: arguments.object.clone(),
        level: arguments.level.clone(),
        topic: arguments.topic.clone(),
        text: arguments.text.clone(),
        since: time(&arguments.since)?,
        until: time(&arguments.until)?,
        ..LogSearch::default()
    };
    let client = super::reach(&arguments.configured)?.client().await?;
    let format = match arguments.format {
        LogsFormat::Text => None,
        LogsFormat::Csv => Some(Format::Csv),
        LogsFormat::Jsonl => Some(Format::Jsonl),
    };
    if format.is_some() {
        let pieces = client.export_logs(&LogSearch { format, ..search }).await?;
        write_out(pieces).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let limit = Some(usize::from(arguments.limit));
    let page = client.logs(&LogSearch { limit, ..search }).await?;
    if page.entries.is_empty() {
        print("no such line");
    }
    for entry in &page.entries {
        tell(entry);
    }
    if page.next.is_some() {
        print("... older lines: give --limit, --until, or --format csv for all");
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes an export to the standard output as it comes.
pub(super) async fn write_out(
    mut pieces: impl Stream<Item = Result<impl AsRef<[u8]>, OpsError>> + Unpin,
) -> Result<(), Failure> {
    while let Some(piece) = pieces.next().await {
        exit::write_out(piece?.as_ref());
    }
    Ok(())
}

fn tell(line: &LogLine) {
    let job = line
        .job
        .as_ref()
        .map(|job| format!(" {job}"))
        .unwrap_or_default();
    let record = match (line.object, line.record) {
        (Some(object), Some(id)) => format!(" {object} {id}"),
        _ => String::new(),
    };
    print(&format!(
        "{} {} {}{job}{record}: {}",
        line.time,
        line.level.name(),
        line.topic,
        line.message
    ));
}

/// A point in time as the API wants it, from one or from how long ago.
fn moment(text: &str, now: Timestamp) -> Result<String, Failure> {
    let unit = |unit| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    };
    let ago = text.chars().next_back().and_then(unit).and_then(|unit| {
        let number = text.get(..text.len() - 1)?.parse::<u64>().ok()?;
        Some(Duration::from_secs(number.checked_mul(unit)?))
    });
    let at = ago.map_or_else(|| Timestamp::parse(text), |ago| Some(now.before(ago)));
    at.map(|at| at.to_string()).ok_or_else(|| {
        Failure::usage(format!(
            "`{text}` is no time; write it as 2026-11-22T15:04:05Z, or how long ago as 30m, 2h or 7d"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let now = Timestamp::parse("2026-11-22T15:00:00Z").unwrap();
        let told = |text| moment(text, now).ok();
        for (text, time) in [
            ("30m", "2026-11-22T14:30:00.000Z"),
            ("2h", "2026-11-22T13:00:00.000Z"),
            ("7d", "2026-11-15T15:00:00.000Z"),
            ("2026-11-22T01:02:03Z", "2026-11-22T01:02:03.000Z"),
        ] {
            assert_eq!(told(text).as_deref(), Some(time), "{text}");
        }
        for text in ["", "m", "2w", "-1h", "yesterday", "99999999999999999999d"] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
