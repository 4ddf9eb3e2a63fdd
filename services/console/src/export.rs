//! Lines of the log, and of other lists, as CSV or JSON lines.

use axum::body::{Body, Bytes};
use domain::unit::Stage;
use domain::{ObjectKind, SalesforceId, Timestamp};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use crate::OpsError;
use crate::views::{
    DeadView, DeliveryView, Format, GroupView, IncidentView, JobView, LeftRecord, LogLine,
    NotificationView, ParkedView, PastSave, PreviewedView, TokenView, UserView, UsersView,
};

/// A line of an export.
pub trait Line: Serialize {
    /// The headings of the CSV.
    const HEADINGS: &'static [&'static str];

    /// What stands under them.
    fn cells(&self) -> Vec<String>;
}

impl Line for LogLine {
    const HEADINGS: &'static [&'static str] = &[
        "time", "level", "topic", "job", "object", "record", "message",
    ];

    fn cells(&self) -> Vec<String> {
        let object = self.object.map(ObjectKind::api_name).unwrap_or_default();
        let record = self.record.map(|id| id.to_string()).unwrap_or_default();
        vec![
            self.time.clone(),
            self.level.name().to_owned(),
            self.topic.clone(),
            self.job.clone().unwrap_or_default(),
            object.to_owned(),
            record,
            self.message.clone(),
        ]
    }
}

impl Line for PreviewedView {
    const HEADINGS: &'static [&'static str] = &["effect", "id", "name", "owner", "owner_name"];

    fn cells(&self) -> Vec<String> {
        let owner = self.owner.as_ref().map(SalesforceId::to_string);
        vec![
            self.effect.name().to_owned(),
            self.id.to_string(),
            self.name.clone().unwrap_or_default(),
            owner.unwrap_or_default(),
            self.owner_name.clone().unwrap_or_default(),
        ]
    }
}

/// A notification on one of its ways; one line without a way when there was nobody to tell.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryLine {
    /// When it was found, for people: ISO 8601, UTC.
    time: String,
    id: String,
    incident: String,
    matter: &'static str,
    event: &'static str,
    headline: String,
    object: String,
    count: u64,
    lasted_s: Option<u64>,
    #[serde(flatten)]
    way: Option<DeliveryView>,
}

impl DeliveryLine {
    fn of(notification: &NotificationView, way: Option<&DeliveryView>) -> Self {
        Self {
            time: notification.at.to_string(),
            id: notification.id.clone(),
            incident: notification.incident.clone(),
            matter: notification.matter.name(),
            event: notification.event.name(),
            headline: notification.headline.clone(),
            object: notification.object.clone(),
            count: notification.count,
            lasted_s: notification.lasted_s,
            way: way.cloned(),
        }
    }
}

impl Line for DeliveryLine {
    const HEADINGS: &'static [&'static str] = &[
        "time",
        "id",
        "incident",
        "matter",
        "event",
        "headline",
        "object",
        "count",
        "lasted_s",
        "by",
        "receivers",
        "to",
        "state",
        "attempts",
        "due",
        "tried",
        "said",
    ];

    fn cells(&self) -> Vec<String> {
        let way = self.way.as_ref();
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let cells = [
            Some(self.time.clone()),
            Some(self.id.clone()),
            Some(self.incident.clone()),
            Some(self.matter.to_owned()),
            Some(self.event.to_owned()),
            Some(self.headline.clone()),
            Some(self.object.clone()),
            number(Some(self.count)),
            number(self.lasted_s),
            way.map(|way| way.by.clone()),
            number(way.map(|way| way.receivers)),
            way.map(|way| way.to.join("; ")),
            way.map(|way| way.state.name().to_owned()),
            number(way.map(|way| u64::from(way.attempts))),
            way.and_then(|way| way.due).map(|at| at.to_string()),
            way.and_then(|way| way.tried).map(|at| at.to_string()),
            way.and_then(|way| way.said.clone()),
        ];
        cells.map(Option::unwrap_or_default).into()
    }
}

/// Notifications, a line for each way of each.
pub(crate) fn deliveries(
    pages: impl Stream<Item = Result<Vec<NotificationView>, OpsError>> + Send + 'static,
) -> impl Stream<Item = Result<Vec<DeliveryLine>, OpsError>> + Send + 'static {
    pages.map_ok(|page| {
        let lines = page.iter().flat_map(|told| {
            let nobody = told.deliveries.is_empty();
            let nobody = nobody.then(|| DeliveryLine::of(told, None));
            let ways = told.deliveries.iter();
            let ways = ways.map(|way| DeliveryLine::of(told, Some(way)));
            ways.chain(nobody).collect::<Vec<_>>()
        });
        lines.collect()
    })
}

impl Line for JobView {
    const HEADINGS: &'static [&'static str] = &[
        "job",
        "kind",
        "reads",
        "salesforce",
        "mos",
        "requested",
        "started",
        "sealed",
        "over",
        "units",
        "done",
        "total",
        "pending",
        "error",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.kind.name().to_owned(),
            self.reads.clone(),
            self.salesforce.name().to_owned(),
            self.mos.name().to_owned(),
            self.requested.to_string(),
            time(self.started),
            time(self.sealed),
            time(self.over),
            self.units.to_string(),
            self.done.to_string(),
            self.total
                .map(|total| total.to_string())
                .unwrap_or_default(),
            self.pending.to_string(),
            self.error.clone().unwrap_or_default(),
        ]
    }
}

impl Line for ParkedView {
    const HEADINGS: &'static [&'static str] = &[
        "object",
        "id",
        "stage",
        "kind",
        "code",
        "message",
        "advice",
        "parent",
        "since",
        "retries",
        "retry_at",
        "job",
        "group",
        "dismissed_at",
        "dismissed_by",
        "dismissed_reason",
    ];

    fn cells(&self) -> Vec<String> {
        let dismissed = self.dismissed.as_ref();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        vec![
            self.object.api_name().to_owned(),
            self.id.to_string(),
            stage(self.stage).to_owned(),
            self.kind.name().to_owned(),
            text(self.code.as_ref()),
            self.message.clone(),
            self.advice.clone(),
            self.parent
                .map(|parent| parent.id.to_string())
                .unwrap_or_default(),
            self.since.to_string(),
            self.retries.to_string(),
            time(self.retry_at),
            text(self.job.as_ref()),
            self.group.clone(),
            time(dismissed.map(|dismissal| dismissal.at)),
            text(dismissed.map(|dismissal| &dismissal.by)),
            text(dismissed.map(|dismissal| &dismissal.reason)),
        ]
    }
}

impl Line for DeadView {
    const HEADINGS: &'static [&'static str] = &[
        "id",
        "queue",
        "reason",
        "since",
        "deliveries",
        "message_type",
        "bytes",
        "job",
        "index",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.queue.clone().unwrap_or_default(),
            self.reason.clone(),
            time(self.since),
            self.deliveries.to_string(),
            self.message_type.clone(),
            self.bytes.to_string(),
            self.job.clone().unwrap_or_default(),
            self.index
                .map(|index| index.to_string())
                .unwrap_or_default(),
        ]
    }
}

impl Line for GroupView {
    const HEADINGS: &'static [&'static str] = &[
        "group",
        "stage",
        "kind",
        "cause",
        "advice",
        "records",
        "first",
        "last",
        "samples",
        "dismissed",
    ];

    fn cells(&self) -> Vec<String> {
        let samples = self.samples.iter().map(|sample| sample.id.to_string());
        vec![
            self.id.clone(),
            stage(self.stage).to_owned(),
            self.kind.name().to_owned(),
            self.cause.clone(),
            self.advice.clone(),
            self.count.to_string(),
            self.first.to_string(),
            self.last.to_string(),
            samples.collect::<Vec<_>>().join("; "),
            yes_or_no(self.dismissed).to_owned(),
        ]
    }
}

impl Line for IncidentView {
    const HEADINGS: &'static [&'static str] = &[
        "incident", "matter", "object", "count", "cause", "advice", "page", "since", "told",
        "messages",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.matter.name().to_owned(),
            self.object.clone(),
            self.count.to_string(),
            self.cause.clone(),
            self.advice.clone(),
            self.page.clone(),
            self.since.to_string(),
            time(self.told),
            self.messages.to_string(),
        ]
    }
}

impl Line for TokenView {
    const HEADINGS: &'static [&'static str] = &[
        "id",
        "name",
        "scope",
        "created",
        "created_by",
        "used",
        "revoked",
        "revoked_by",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            self.scope.name().to_owned(),
            self.created.to_string(),
            self.created_by.clone(),
            time(self.used),
            time(self.revoked),
            self.revoked_by.clone().unwrap_or_default(),
        ]
    }
}

impl Line for PastSave {
    const HEADINGS: &'static [&'static str] =
        &["revision", "rule_revision", "saved", "author", "changes"];

    fn cells(&self) -> Vec<String> {
        let changes = self.changes.iter().map(|change| change.words.as_str());
        vec![
            self.revision.to_string(),
            self.rule_revision.to_string(),
            self.saved.to_string(),
            self.author.clone(),
            changes.collect::<Vec<_>>().join("; "),
        ]
    }
}

const fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn time(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// A stage of the way to mOS, as it is named in JSON.
const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Filter => "filter",
        Stage::Permission => "permission",
        Stage::Load => "load",
    }
}

/// A user in a list of those who hold mOS permission, or matter without.
#[derive(Debug, Serialize)]
struct UserLine<'a> {
    user: &'a UserView,
    holds: bool,
    sets: Vec<String>,
    until: Option<String>,
    opportunities: u64,
    remarks: &'a [String],
}

impl Line for UserLine<'_> {
    const HEADINGS: &'static [&'static str] = &[
        "user",
        "name",
        "username",
        "active",
        "holds_permission",
        "permission_sets",
        "until",
        "opportunities",
        "remarks",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.user.id.to_string(),
            self.user.name.clone().unwrap_or_default(),
            self.user.username.clone().unwrap_or_default(),
            self.user.is_active.map_or("", yes_or_no).to_owned(),
            yes_or_no(self.holds).to_owned(),
            self.sets.join("; "),
            self.until.clone().unwrap_or_default(),
            self.opportunities.to_string(),
            self.remarks.join("; "),
        ]
    }
}

impl Line for LeftRecord {
    const HEADINGS: &'static [&'static str] = &["id", "why", "owner", "name"];

    fn cells(&self) -> Vec<String> {
        let owner = self.owner.map(|owner| owner.to_string());
        vec![
            self.id.clone(),
            self.why.name().to_owned(),
            owner.unwrap_or_default(),
            self.name.clone().unwrap_or_default(),
        ]
    }
}

/// Holders, then the others, as CSV.
///
/// # Errors
/// Never for these texts; handed on for the caller to report.
pub(crate) fn users(users: &UsersView) -> Result<Vec<u8>, OpsError> {
    let set = |grant: &domain::permission::Grant| match &grant.group {
        Some(group) => format!("{} through {group}", grant.permission_set),
        None => grant.permission_set.clone(),
    };
    let holders = users.holders.iter().map(|holder| UserLine {
        user: &holder.user,
        holds: true,
        sets: holder.grants.iter().map(set).collect(),
        until: holder.until.map(|until| until.to_string()),
        opportunities: holder.opportunities,
        remarks: &holder.words,
    });
    let others = users.others.iter().map(|other| UserLine {
        user: &other.user,
        holds: false,
        sets: Vec::new(),
        until: None,
        opportunities: other.opportunities,
        remarks: &other.words,
    });
    let lines: Vec<UserLine<'_>> = holders.chain(others).collect();
    let mut text = Format::Csv.head::<UserLine<'_>>()?.to_vec();
    text.extend(Format::Csv.lines(&lines)?);
    Ok(text)
}

/// A file: a page of lines is in memory at a time. When a page cannot be read, the answer breaks off
/// without its regular end, so that nobody takes it for whole.
pub(crate) fn file<L: Line + Send + Sync + 'static>(
    format: Format,
    pages: impl Stream<Item = Result<Vec<L>, OpsError>> + Send + 'static,
) -> Body {
    let head = futures::stream::once(std::future::ready(format.head::<L>()));
    let lines = pages.map(move |page| format.lines(&page?));
    let body = head.chain(lines).try_filter(|bytes: &Bytes| {
        let something = !bytes.is_empty();
        std::future::ready(something)
    });
    Body::from_stream(body)
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
    pub fn head<L: Line>(self) -> Result<Bytes, OpsError> {
        match self {
            Self::Csv => rows([L::HEADINGS.iter().map(|heading| (*heading).to_owned())]),
            Self::Jsonl => Ok(Bytes::new()),
        }
    }

    /// These lines.
    ///
    /// # Errors
    /// Never for these texts; handed on for the caller to report.
    pub fn lines<L: Line>(self, lines: &[L]) -> Result<Bytes, OpsError> {
        match self {
            Self::Csv => rows(lines.iter().map(|line| line.cells().into_iter())),
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

/// RFC 4180: quotes where needed, lines end with CR LF. No cell is a formula.
fn rows(rows: impl IntoIterator<Item = impl Iterator<Item = String>>) -> Result<Bytes, OpsError> {
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

/// A spreadsheet takes a cell that begins so for a formula, some of them also with the wide letters
/// of East Asia, and what is in the cell may come from anybody who can write in Salesforce: an
/// apostrophe before it makes it a text.
fn harmless(cell: &str) -> String {
    match cell.chars().next() {
        Some(
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}'
            | '\u{ff20}',
        ) => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

fn broken(error: &dyn std::error::Error) -> OpsError {
    OpsError::Broken(format!("the file could not be written out: {error}"))
}

#[cfg(test)]
mod tests {
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
        let head = String::from_utf8(Format::Csv.head::<LogLine>().unwrap().to_vec()).unwrap();
        assert_eq!(head, "time,level,topic,job,object,record,message\r\n");
        assert_eq!(
            written("he said \"a, b\"\nand left"),
            "1970-01-01T00:00:00.000Z,info,job,,User,,\"he said \"\"a, b\"\"\nand left\"\r\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for first in ["=", "+", "-", "@", "\t", "＝", "＋", "－", "＠"] {
            let text = written(&format!("{first}cmd|' /C calc'!A0"));
            assert!(text.contains(&format!(",'{first}cmd")), "{text:?}");
        }
        for first in ["\r", "\n"] {
            let quoted = written(&format!("{first}=1"));
            assert!(quoted.contains(&format!("\"'{first}=1\"")), "{quoted:?}");
        }
        assert!(written("1=1").contains(",1=1\r\n"));
    }

    #[test]
    fn what_left_is_a_row_each() {
        let record = LeftRecord {
            id: "006000000000001AAA".to_owned(),
            name: Some("=1, and more".to_owned()),
            owner: None,
            why: crate::views::LeftWhy::OwnerWithoutPermission,
        };
        let text = Format::Csv.lines(&[record]).unwrap();
        assert_eq!(
            text,
            "006000000000001AAA,owner_without_permission,,\"'=1, and more\"\r\n"
        );
        assert_eq!(
            Format::Csv.head::<LeftRecord>().unwrap(),
            "id,why,owner,name\r\n"
        );
    }

    #[test]
    fn json_lines_are_one_each() {
        let text = Format::Jsonl.lines(&[line("a\nb"), line("c")]).unwrap();
        let lines = std::str::from_utf8(&text).unwrap().lines();
        let read = lines.map(|line| serde_json::from_str::<LogLine>(line).unwrap().message);
        assert_eq!(read.collect::<Vec<_>>(), ["a\nb", "c"]);
    }
}
