//! Lists as CSV, and lines of the log as JSON lines, too.

use axum::body::{Body, Bytes};
use domain::ObjectKind;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::views::{Format, LogLine, LogSearch};
use crate::{Operations, OpsError};

/// The headings of the CSV.
const HEADINGS: [&str; 7] = [
    "time", "level", "topic", "job", "object", "record", "message",
];

/// The log as a file: a page of lines is in memory at a time. When a page cannot be read, the answer
/// breaks off without its regular end, so that nobody takes it for whole.
///
/// # Errors
/// [`OpsError::Invalid`] before anything is read.
pub(crate) fn log(operations: &Operations, search: &LogSearch) -> Result<Body, OpsError> {
    let format = search.format.unwrap_or(Format::Csv);
    let pages = operations.all_logs(search)?;
    let head = futures::stream::once(std::future::ready(format.head()));
    let lines = pages.map(move |page| format.lines(&page?));
    let body = head.chain(lines).try_filter(|bytes: &Bytes| {
        let something = !bytes.is_empty();
        std::future::ready(something)
    });
    Ok(Body::from_stream(body))
}

impl Format {
    /// Its media type.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl; charset=utf-8",
        }
    }

    /// What comes before the first line.
    ///
    /// # Errors
    /// Never for this text; handed on for the caller to report.
    pub(crate) fn head(self) -> Result<Bytes, OpsError> {
        match self {
            Self::Csv => csv([HEADINGS.map(str::to_owned)]),
            Self::Jsonl => Ok(Bytes::new()),
        }
    }

    /// These lines.
    ///
    /// # Errors
    /// Never for these texts; handed on for the caller to report.
    pub(crate) fn lines(self, lines: &[LogLine]) -> Result<Bytes, OpsError> {
        match self {
            Self::Csv => csv(lines.iter().map(cells)),
            Self::Jsonl => {
                let mut text = Vec::new();
                for line in lines {
                    serde_json::to_writer(&mut text, line).map_err(|error| broken(&error))?;
                    text.push(b'\n');
                }
                Ok(text.into())
            }
        }
    }
}

fn cells(line: &LogLine) -> [String; 7] {
    let object = line.object.map(ObjectKind::api_name).unwrap_or_default();
    let record = line.record.map(|id| id.to_string()).unwrap_or_default();
    [
        line.time.clone(),
        line.level.name().to_owned(),
        line.topic.clone(),
        line.job.clone().unwrap_or_default(),
        object.to_owned(),
        record,
        line.message.clone(),
    ]
}

/// RFC 4180: quotes where needed, lines end with CR LF. No cell is a formula.
///
/// # Errors
/// Never for texts; handed on for the caller to report.
pub(crate) fn csv<const N: usize>(
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<Bytes, OpsError> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        let row = row.map(|cell| harmless(&cell));
        writer.write_record(row).map_err(|error| broken(&error))?;
    }
    let text = writer.into_inner().map_err(|error| broken(&error))?;
    Ok(text.into())
}

/// A spreadsheet takes a cell that begins so for a formula, and what is in the cell may come from
/// anybody who can write in Salesforce: an apostrophe before it makes it a text.
fn harmless(cell: &str) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

fn broken(error: &dyn std::error::Error) -> OpsError {
    OpsError::Broken(format!("the list could not be written out: {error}"))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use ports::stores::LogLevel;

    use super::*;

    fn line(message: &str) -> LogLine {
        LogLine {
            at: Timestamp::from_micros(0),
            time: Timestamp::from_micros(0).to_string(),
            level: LogLevel::Info,
            topic: "job".to_owned(),
            job: None,
            object: Some(ObjectKind::User),
            record: None,
            message: message.to_owned(),
        }
    }

    fn written(message: &str) -> String {
        let text = Format::Csv.lines(&[line(message)]).unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[test]
    fn csv_is_as_rfc_4180_wants_it() {
        let head = String::from_utf8(Format::Csv.head().unwrap().to_vec()).unwrap();
        assert_eq!(head, "time,level,topic,job,object,record,message\r\n");
        assert_eq!(
            written("he said \"a, b\"\nand left"),
            "1970-01-01T00:00:00.000Z,info,job,,User,,\"he said \"\"a, b\"\"\nand left\"\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for first in ["=", "+", "-", "@", "\t"] {
            let text = written(&format!("{first}cmd|' /C calc'!A0"));
            assert!(text.contains(&format!(",'{first}cmd")), "{text:?}");
        }
        let quoted = written("\r=1");
        assert!(quoted.contains("\"'\r=1\""), "{quoted:?}");
        assert!(written("1=1").contains(",1=1\r\n"));
    }

    #[test]
    fn json_lines_are_one_each() {
        let text = Format::Jsonl.lines(&[line("a\nb"), line("c")]).unwrap();
        let lines = std::str::from_utf8(&text).unwrap().lines();
        let read = lines.map(|line| serde_json::from_str::<LogLine>(line).unwrap().message);
        assert_eq!(read.collect::<Vec<_>>(), ["a\nb", "c"]);
    }
}
