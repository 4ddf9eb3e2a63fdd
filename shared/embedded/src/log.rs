//! The integration log: a row each, with a column for whatever can be asked for.

use async_trait::async_trait;
use domain::{ObjectKind, Timestamp};
use ports::stores::{LogEntry, LogLevel, LogPage, LogPosition, LogQuery, LogStore, StoreError};
use rusqlite::params;
use rusqlite::types::Value;

use crate::core::{limit, of_doc, of_sql, to_doc, to_sql};
use crate::stores::Tables;

#[async_trait]
impl LogStore for Tables {
    async fn append(&self, entry: &LogEntry) -> Result<(), StoreError> {
        let entry = entry.clone();
        let appended = self.0.run(move |tx| {
            let (object, record) = entry.record.unzip();
            tx.db
                .prepare_cached(
                    "INSERT INTO log (at, level, topic, job, object, record, doc)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    entry.at.as_micros(),
                    rank(entry.level),
                    entry.topic,
                    entry.job.as_ref().map(domain::job::JobId::as_str),
                    object.map(place),
                    record.as_ref().map(domain::SalesforceId::as_str),
                    to_doc(&entry)?
                ])?;
            Ok(())
        });
        Ok(appended.await?)
    }

    async fn search(
        &self,
        query: &LogQuery,
        before: Option<LogPosition>,
        max: usize,
    ) -> Result<LogPage, StoreError> {
        let (sql, mut values) = statement(query, before);
        // One more tells whether there is more.
        values.push(Value::Integer(limit(max.saturating_add(1))));
        let page = self.0.run(move |tx| {
            let mut select = tx.db.prepare_cached(&sql)?;
            let mut rows = select.query(rusqlite::params_from_iter(values))?;
            let mut page = LogPage::default();
            while let Some(row) = rows.next()? {
                if page.entries.len() == max {
                    page.next = page.entries.last().map(|(position, _)| *position);
                    break;
                }
                let position = LogPosition(of_sql(row.get(0)?));
                page.entries
                    .push((position, of_doc(&row.get::<_, String>(1)?)?));
            }
            Ok(page)
        });
        Ok(page.await?)
    }

    async fn trim(&self, lines: u64, since: Timestamp) -> Result<u64, StoreError> {
        let trimmed = self.0.run(move |tx| {
            let forgotten = tx
                .db
                .prepare_cached(
                    "DELETE FROM log WHERE
                     seq <= (SELECT seq FROM log ORDER BY seq DESC LIMIT 1 OFFSET ?1)
                     OR seq < coalesce(
                         (SELECT seq FROM log WHERE at >= ?2 ORDER BY seq LIMIT 1),
                         (SELECT max(seq) + 1 FROM log))",
                )?
                .execute(params![to_sql(lines), since.as_micros()])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        });
        Ok(trimmed.await?)
    }
}

/// The statement that finds the lines, and its values but for the last, how many.
fn statement(query: &LogQuery, before: Option<LogPosition>) -> (String, Vec<Value>) {
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        let escaped = if condition.ends_with("LIKE") {
            " ESCAPE '\\'"
        } else {
            ""
        };
        conditions.push(format!("{condition} ?{}{escaped}", values.len()));
    };
    if let Some((object, id)) = &query.record {
        and("record =", Value::Text(id.as_str().to_owned()));
        and("object =", Value::Integer(place(*object)));
    }
    if let Some(job) = &query.job {
        and("job =", Value::Text(job.as_str().to_owned()));
    }
    if let Some(object) = query.object {
        and("object =", Value::Integer(place(object)));
    }
    if let Some(level) = query.level {
        and("level >=", Value::Integer(rank(level)));
    }
    if let Some(topic) = &query.topic {
        and("topic =", Value::Text(topic.clone()));
    }
    if let Some(topic) = &query.without_topic {
        and("topic <>", Value::Text(topic.clone()));
    }
    if let Some(text) = &query.text {
        // Within the document its signs are written as JSON writes them; that sorts out most lines
        // without reading them.
        and("doc LIKE", Value::Text(pattern(&in_json(text))));
        and(
            "json_extract(doc, '$.message') LIKE",
            Value::Text(pattern(text)),
        );
    }
    if let Some(since) = query.since {
        and("at >=", Value::Integer(since.as_micros()));
    }
    if let Some(until) = query.until {
        and("at <", Value::Integer(until.as_micros()));
    }
    if let Some(before) = before {
        and("seq <", Value::Integer(to_sql(before.0)));
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    };
    let sql = format!(
        "SELECT seq, doc FROM log{filter} ORDER BY seq DESC LIMIT ?{}",
        values.len() + 1
    );
    (sql, values)
}

/// What LIKE looks for: these words, anywhere. It takes A to Z for the same as a to z.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for char in text.chars() {
        if matches!(char, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

/// As it is written within a text of JSON.
fn in_json(text: &str) -> String {
    let written = serde_json::Value::from(text).to_string();
    let inner = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

const fn place(object: ObjectKind) -> i64 {
    object as i64
}

const fn rank(level: LogLevel) -> i64 {
    level as i64
}
