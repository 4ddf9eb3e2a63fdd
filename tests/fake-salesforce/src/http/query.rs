//! Queries by the page.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::reply::Reply;
use super::{App, Incoming};
use crate::error::ApiError;
use crate::id;
use crate::soql::Answer;

/// Rows of a page where the client asks for nothing else.
const PAGE: usize = 2000;

/// How many open results are kept; the oldest goes first.
const MAX_OPEN: usize = 50;

/// How long a result stays open: two days.
const OPEN_MICROS: i64 = 2 * 24 * 3600 * 1_000_000;

/// Results of which pages are left. Rows are kept as written, so that a page can be read again.
#[derive(Default)]
pub(crate) struct Cursors(Mutex<Open>);

#[derive(Default)]
struct Open {
    next: u64,
    results: BTreeMap<String, Arc<Result>>,
}

struct Result {
    rows: Vec<Box<str>>,
    page: usize,
    /// By the org's clock, in microseconds since the epoch.
    opened: i64,
}

impl Cursors {
    fn keep(&self, result: Arc<Result>) -> String {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.next += 1;
        let locator = id::mint("01g", open.next);
        open.results.insert(locator.clone(), result);
        while open.results.len() > MAX_OPEN {
            open.results.pop_first();
        }
        locator
    }

    fn get(&self, locator: &str, now: i64) -> Option<Arc<Result>> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let result = open.results.get(locator);
        let result = result.filter(|result| now - result.opened < OPEN_MICROS);
        result.cloned()
    }
}

/// `GET /query?q=` and `GET /queryAll?q=`.
pub(crate) fn first_page(app: &App, incoming: &Incoming, version: &str, all_rows: bool) -> Reply {
    let Some(soql) = incoming.parameter("q") else {
        return Reply::from(ApiError::new(
            "MALFORMED_QUERY",
            "A query string has to be specified",
        ));
    };
    let page = incoming.header("sforce-query-options").and_then(batch_size);
    let mut rows: Vec<Box<str>> = Vec::new();
    let size = page.unwrap_or(PAGE);
    let answer = app.org.run(soql, all_rows, Some(version), &mut |mut row| {
        for value in row.values_mut() {
            cut_children(app, value, size, version);
        }
        rows.push(Value::Object(row).to_string().into_boxed_str());
    });
    match answer {
        Err(error) => Reply::from(error),
        Ok(Answer::Count(count)) => Reply::json(
            200,
            &json!({"totalSize": count, "done": true, "records": []}),
        ),
        Ok(Answer::Rows) => {
            let page = page.unwrap_or(PAGE);
            let opened = app.org.now_micros();
            let result = Arc::new(Result { rows, page, opened });
            let locator = if result.rows.len() > page {
                app.cursors.keep(Arc::clone(&result))
            } else {
                String::new()
            };
            page_reply(&result, &locator, 0, version)
        }
    }
}

/// Leaves a page of a row's children in it; the rest can be asked for.
fn cut_children(app: &App, value: &mut Value, page: usize, version: &str) {
    let Some(nested) = value.as_object_mut() else {
        return;
    };
    let is_result = nested.contains_key("totalSize");
    let records = nested.get_mut("records").and_then(Value::as_array_mut);
    let Some(records) = records.filter(|records| is_result && records.len() > page) else {
        return;
    };
    let rows = records.iter();
    let rows = rows.map(|row| row.to_string().into_boxed_str()).collect();
    records.truncate(page);
    let opened = app.org.now_micros();
    let locator = app.cursors.keep(Arc::new(Result { rows, page, opened }));
    nested.insert("done".to_owned(), false.into());
    let next = format!("/services/data/v{version}/query/{locator}-{page}");
    nested.insert("nextRecordsUrl".to_owned(), next.into());
}

/// `GET /query/<locator>-<offset>`.
pub(crate) fn next_page(app: &App, cursor: &str, version: &str) -> Reply {
    let found = cursor.rsplit_once('-').and_then(|(locator, offset)| {
        let result = app.cursors.get(locator, app.org.now_micros())?;
        let offset: usize = offset.parse().ok()?;
        (offset <= result.rows.len()).then_some((result, locator, offset))
    });
    match found {
        Some((result, locator, offset)) => page_reply(&result, locator, offset, version),
        None => Reply::from(ApiError::new(
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
        )),
    }
}

fn page_reply(result: &Result, locator: &str, offset: usize, version: &str) -> Reply {
    let end = (offset + result.page).min(result.rows.len());
    let rows = result.rows.get(offset..end).unwrap_or_default();
    let done = end == result.rows.len();
    let next = if done {
        String::new()
    } else {
        format!(",\"nextRecordsUrl\":\"/services/data/v{version}/query/{locator}-{end}\"")
    };
    let body = format!(
        "{{\"totalSize\":{},\"done\":{done}{next},\"records\":[{}]}}",
        result.rows.len(),
        rows.join(",")
    );
    Reply::text(200, "application/json;charset=UTF-8", body.into_bytes())
}

/// `batchSize=200` in `Sforce-Query-Options`, within what Salesforce allows.
fn batch_size(options: &str) -> Option<usize> {
    let (name, value) = options.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("batchSize") {
        return None;
    }
    let size: usize = value.trim().parse().ok()?;
    Some(size.clamp(200, PAGE))
}
