//! Integration Logs: searched, exported, and read as the timeline of a record.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use domain::{ObjectKind, SalesforceId, Timestamp};
use maud::{Markup, html};

use super::context::PageContext;
use super::layout::Page;
use super::parts::form::Field;
use super::parts::icon::Icon;
use super::parts::{badge, card, empty, notice, pager, record, table, time};
use super::sent::Sent;
use super::{Desk, PageFault, assets, download, explain, fault, job};
use crate::operations::logs::{ACCESS, query_of};
use crate::rights::Right;
use crate::views::{Format, LogLine, LogPageView, LogSearch};
use crate::wording;

/// Where it is.
pub(super) const PATH: &str = "/logs";
/// The same as a file.
pub(super) const EXPORT: &str = "/logs/export";

/// Lines a page.
const PAGE: usize = 100;
/// What lines are about; others can be written into the address.
const TOPICS: [&str; 11] = [
    "stream",
    "poll",
    "gap",
    "job",
    "settings",
    "permissions",
    "salesforce",
    "mos",
    "parked",
    "dead",
    ACCESS,
];

/// What was asked for, as it was written, and what is wrong with each.
struct Asked {
    search: LogSearch,
    since: String,
    until: String,
    errors: BTreeMap<&'static str, String>,
}

impl Asked {
    fn of(query: Option<&str>) -> Self {
        let sent = Sent::asked(query);
        let written = |name| sent.get(name).map(|text: String| text.trim().to_owned());
        let (since, until) = (written("since"), written("until"));
        let search = LogSearch {
            record: written("record"),
            job: written("job"),
            object: written("object"),
            level: written("level"),
            topic: written("topic"),
            text: written("text"),
            since: since.as_deref().map(moment),
            until: until.as_deref().map(moment),
            before: sent.get("before"),
            limit: Some(PAGE),
            format: None,
        };
        let errors = faults(&search);
        Self {
            search,
            since: since.unwrap_or_default(),
            until: until.unwrap_or_default(),
            errors,
        }
    }

    fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// As an address carries it.
    fn address(&self, path: &str, further: &[(&str, &str)]) -> String {
        let search = &self.search;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (record, job, object) = (
            text(&search.record),
            text(&search.job),
            text(&search.object),
        );
        let (level, topic) = (text(&search.level), text(&search.topic));
        let words = text(&search.text);
        let mut values = vec![
            ("record", record.as_str()),
            ("job", job.as_str()),
            ("object", object.as_str()),
            ("level", level.as_str()),
            ("topic", topic.as_str()),
            ("text", words.as_str()),
            ("since", self.since.as_str()),
            ("until", self.until.as_str()),
        ];
        values.extend_from_slice(further);
        pager::address(path, &values)
    }
}

/// What browsers write into a field of date and time, which has no zone, is UTC here.
fn moment(text: &str) -> String {
    let has_seconds = text.matches(':').count() == 2;
    match (text.ends_with(['Z', 'z']), has_seconds) {
        (true, _) => text.to_owned(),
        (false, true) => format!("{text}Z"),
        (false, false) => format!("{text}:00Z"),
    }
}

/// As a field of date and time takes it, in UTC.
fn in_field(written: &str) -> String {
    let at = Timestamp::parse(&moment(written)).map(|at| at.to_string());
    let seconds = at.as_deref().and_then(|at| at.get(..19));
    seconds.unwrap_or_default().to_owned()
}

/// Each value alone, so that what is wrong is said where it was written.
fn faults(search: &LogSearch) -> BTreeMap<&'static str, String> {
    let none = LogSearch::default;
    let alone = [
        (
            "record",
            LogSearch {
                record: search.record.clone(),
                ..none()
            },
        ),
        (
            "object",
            LogSearch {
                object: search.object.clone(),
                ..none()
            },
        ),
        (
            "level",
            LogSearch {
                level: search.level.clone(),
                ..none()
            },
        ),
        (
            "text",
            LogSearch {
                text: search.text.clone(),
                ..none()
            },
        ),
        (
            "since",
            LogSearch {
                since: search.since.clone(),
                ..none()
            },
        ),
        (
            "until",
            LogSearch {
                until: search.until.clone(),
                ..none()
            },
        ),
    ];
    fault::at_fields(alone.map(|(name, search)| (name, query_of(&search))))
}

pub(super) async fn show(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked::of(query.as_deref());
    let read = if asked.errors.is_empty() {
        let may = context.viewer.role.right();
        desk.operations.logs(&asked.search, may).await
    } else {
        Ok(LogPageView {
            entries: Vec::new(),
            next: None,
        })
    };
    match read {
        Ok(found) => page(&context, &asked, &found).response(&context),
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

fn page(context: &PageContext, asked: &Asked, found: &LogPageView) -> Page {
    let record = asked
        .search
        .record
        .as_deref()
        .filter(|_| asked.error("record").is_none());
    let heading = record.map_or_else(
        || "Lines, newest first".to_owned(),
        |record| format!("Timeline of {record}"),
    );
    let body = html! {
        (card::card("Search", &form(context, asked)))
        @if asked.errors.is_empty() {
            (card::with_actions(&heading, &of_record(context, record), &result(context, asked, found, record.is_some())))
        }
    };
    let page = Page::new("Integration Logs", Icon::Logs, body)
        .script(assets::MOMENTS)
        .hint(html! { "What mosync did and met, and what was ordered by whom. No field values." });
    if !asked.errors.is_empty() {
        let said = html! { "Nothing was searched: correct what is marked." };
        return page
            .notice(notice::failed(&said))
            .status(http::StatusCode::BAD_REQUEST);
    }
    page.actions(html! {
        a.button href=(asked.address(EXPORT, &[("format", "csv")])) { "Export CSV" }
        a.button href=(asked.address(EXPORT, &[("format", "jsonl")])) { "Export JSON lines" }
    })
}

/// Where else the record can be looked at.
fn of_record(context: &PageContext, record: Option<&str>) -> Markup {
    let id = record.and_then(|record| SalesforceId::parse(record).ok());
    html! {
        @if let Some(id) = id {
            (record::id(context, &id))
            " " (explain::link(&id.to_string()))
        }
    }
}

fn form(context: &PageContext, asked: &Asked) -> Markup {
    let search = &asked.search;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut objects = vec![("", "All objects")];
    objects.extend(ObjectKind::ALL.map(|object| (object.api_name(), object.api_name())));
    let levels = [
        ("", "All levels"),
        ("warning", "Warnings and errors"),
        ("error", "Errors"),
    ];
    let topic = text(&search.topic);
    let mut topics = vec![("", "All topics")];
    let is_shown = |topic: &&str| *topic != ACCESS || context.viewer.may(Right::Administer);
    topics.extend(
        TOPICS
            .into_iter()
            .filter(is_shown)
            .map(|topic| (topic, topic)),
    );
    if !topic.is_empty() && !TOPICS.contains(&topic.as_str()) {
        topics.push((&topic, &topic));
    }
    let time = |name, label, value: &str| {
        let field = Field::new(name, label).error(asked.error(name));
        // A browser shows nothing of what is no time: then it is a text.
        if asked.error(name).is_some() {
            return field.input("text", value);
        }
        // A script shows it in the zone of whoever looks, and sends it with its zone.
        field.around(&html! {
            input id=(name) name=(name) type="datetime-local" step="1" value=(in_field(value)) data-moment;
        })
    };
    html! {
        form.filters method="get" action=(PATH) {
            div.row {
                (Field::new("text", "Words").error(asked.error("text")).input("search", &text(&search.text)))
                (Field::new("record", "Record id").error(asked.error("record")).input("search", &text(&search.record)))
                (Field::new("job", "Job").input("search", &text(&search.job)))
                (Field::new("object", "Object").error(asked.error("object")).select(&objects, &text(&search.object)))
                (Field::new("level", "Level").error(asked.error("level")).select(&levels, &text(&search.level)))
                (Field::new("topic", "Topic").select(&topics, &topic))
                (time("since", "From (UTC)", &asked.since))
                (time("until", "Until (UTC)", &asked.until))
                div.field.go.below {
                    button.brand-button type="submit" { "Search" } " "
                    a.button href=(PATH) { "Clear" }
                }
            }
        }
    }
}

fn result(context: &PageContext, asked: &Asked, found: &LogPageView, is_timeline: bool) -> Markup {
    if found.entries.is_empty() {
        let is_everything = asked.address(PATH, &[]) == PATH;
        return empty::empty(
            Icon::Logs,
            if is_everything {
                "Nothing is logged yet."
            } else {
                "No line is like that."
            },
            &html! {
                @if is_everything { "Lines come as soon as something happens." }
                @else { "Lines are kept for a limited time; take a condition away, or " a href=(PATH) { "see all lines" } "." }
            },
        );
    }
    let next = found
        .next
        .as_deref()
        .map(|next| asked.address(PATH, &[("before", next)]));
    let first = asked
        .search
        .before
        .as_ref()
        .map(|_| asked.address(PATH, &[]));
    html! {
        @if is_timeline { (timeline(&found.entries)) }
        @else { (lines(context, &found.entries)) }
        (pager::pager(next.as_deref(), first.as_deref()))
    }
}

/// Lines as a table.
pub(super) fn lines(context: &PageContext, lines: &[LogLine]) -> Markup {
    let rows = lines.iter().map(|line| {
        vec![
            time::at(line.at),
            badge::level(line.level),
            html! { a href=(pager::address(PATH, &[("topic", &line.topic)])) { (line.topic) } },
            html! {
                (said(line))
                @if line.record.is_some() || line.job.is_some() { p.about { (about(context, line)) } }
            },
        ]
    });
    html! {
        div.log { (table::table("Lines of the log", &["Time", "Level", "Topic", "What happened"], rows)) }
    }
}

/// A line as pages say it.
fn said(line: &LogLine) -> Markup {
    time::within(&wording::on_pages(&line.message))
}

fn about(context: &PageContext, line: &LogLine) -> Markup {
    html! {
        @if let Some(id) = &line.record {
            @if let Some(object) = line.object { (object.api_name()) " " }
            (record::id(context, id))
            " " a href=(pager::address(PATH, &[("record", &id.to_string())])) { "Timeline" }
            " " (explain::link(&id.to_string()))
        }
        @if let Some(id) = &line.job {
            // Not twice, one above the other.
            " " @if line.message.contains(id.as_str()) { (job::link(id, "Open the job")) } @else { (job::link(id, id)) }
        }
    }
}

/// Lines of one record, one below the other.
fn timeline(lines: &[LogLine]) -> Markup {
    html! {
        ol.timeline {
            @for line in lines {
                li class=(line.level.name()) {
                    p.timeline-time { (time::at(line.at)) " " (badge::level(line.level)) " " (line.topic) }
                    p { (said(line)) }
                    @if let Some(id) = &line.job { p.about { (job::link(id, id)) } }
                }
            }
        }
    }
}

pub(super) async fn export(
    State(desk): State<Desk>,
    context: PageContext,
    RawQuery(query): RawQuery,
) -> Response {
    let format = Sent::asked(query.as_deref()).get("format");
    let (format, file) = match format.as_deref() {
        Some("jsonl") => (Format::Jsonl, "mosync-log.jsonl"),
        _ => (Format::Csv, "mosync-log.csv"),
    };
    let search = LogSearch {
        limit: None,
        format: Some(format),
        ..Asked::of(query.as_deref()).search
    };
    match desk
        .operations
        .all_logs(&search, context.viewer.role.right())
    {
        Ok(pages) => download::list(&context, file, format, pages).await,
        Err(error) => PageFault::within(&context, error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        for (written, meant) in [
            ("2026-11-22T15:04", "2026-11-22T15:04:00Z"),
            ("2026-11-22T15:04:05", "2026-11-22T15:04:05Z"),
            ("2026-11-22T15:04:05Z", "2026-11-22T15:04:05Z"),
        ] {
            assert_eq!(moment(written), meant);
            assert!(Timestamp::parse(meant).is_some());
        }
        assert!(Timestamp::parse(&moment("yesterday")).is_none());
        for (written, shown) in [
            ("2026-11-22T15:04", "2026-11-22T15:04:00"),
            ("2026-11-22T15:04:05.000Z", "2026-11-22T15:04:05"),
            ("2026-11-22T15:04:05+02:00", ""),
            ("", ""),
        ] {
            assert_eq!(in_field(written), shown, "{written}");
        }
    }
}
