//! The integration log: a stream whose entries are numbered, with a field for whatever can be asked
//! for. A search looks at so many lines a script, so that nobody waits long behind it; it passes over
//! blocks of lines by their words and their highest level. Lines of a record or a job have an index.

use async_trait::async_trait;
use domain::Timestamp;
use domain::job::JobId;
use ports::stores::{LogEntry, LogPage, LogPosition, LogQuery, LogStore, StoreError};

use crate::link::{Link, of_doc, script, to_doc};

/// Lines that one script looks at.
const LOOK_AT: usize = 2_000;

#[async_trait]
impl LogStore for Link {
    async fn append(&self, entry: &LogEntry) -> Result<(), StoreError> {
        let (object, record) = entry.record.unzip();
        let arguments = [
            format!("{}.{}", self.client(), self.next_call()),
            entry.at.as_micros().to_string(),
            (entry.level as u8).to_string(),
            entry.topic.clone(),
            text(entry.job.as_ref().map(JobId::as_str)),
            text(object),
            text(record),
            to_doc(entry)?,
            entry.message.to_ascii_lowercase(),
        ];
        self.run(script!("append_log"), &arguments).await
    }

    async fn search(
        &self,
        query: &LogQuery,
        before: Option<LogPosition>,
        max: usize,
    ) -> Result<LogPage, StoreError> {
        let mut page = LogPage::default();
        let mut from = match before {
            Some(LogPosition(before)) => before.saturating_sub(1).to_string(),
            None => "+".to_owned(),
        };
        // One more tells whether there is more.
        let wanted = max.saturating_add(1);
        while !from.is_empty() && from != "0" && page.entries.len() < wanted {
            let found: Vec<String> = self
                .run(
                    script!("search_log"),
                    &question(query, from, wanted - page.entries.len()),
                )
                .await?;
            let mut found = found.into_iter();
            from = found.next().unwrap_or_default();
            while let (Some(place), Some(doc)) = (found.next(), found.next()) {
                let place = place
                    .parse()
                    .map_err(|_error| StoreError::Corrupt(format!("line {place} of the log")))?;
                page.entries.push((place, of_doc(&doc)?));
            }
        }
        if page.entries.len() > max {
            page.entries.truncate(max);
            page.next = page.entries.last().map(|(place, _)| *place).or(before);
        }
        Ok(page)
    }

    async fn trim(&self, lines: u64, since: Timestamp) -> Result<u64, StoreError> {
        let arguments = [lines.to_string(), since.as_micros().to_string()];
        self.run(script!("trim_log"), &arguments).await
    }
}

fn question(query: &LogQuery, from: String, max: usize) -> Vec<String> {
    let (object, record) = query.record.unzip();
    let wanted = query.text.clone().unwrap_or_default();
    vec![
        from,
        LOOK_AT.to_string(),
        max.to_string(),
        text(query.level.map(|level| level as u8)),
        text(query.topic.as_ref()),
        text(query.job.as_ref().map(JobId::as_str)),
        text(object.or(query.object)),
        text(record),
        text(query.since.map(Timestamp::as_micros)),
        text(query.until.map(Timestamp::as_micros)),
        wanted.to_ascii_lowercase(),
        in_json(&wanted).to_ascii_lowercase(),
        text(query.without_topic.as_ref()),
    ]
}

/// As it is written within a text of JSON.
fn in_json(text: &str) -> String {
    let written = serde_json::Value::from(text).to_string();
    let inner = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

fn text(value: Option<impl std::fmt::Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
