//! A job as the fields of a hash; absent values are empty.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use domain::job::{Cursor, Job, JobId, JobKind, Progress, SalesforceStatus};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, SalesforceId, Timestamp};
use ports::stores::StoreError;

use crate::link::{of_doc, to_doc};

/// Names and values as Redis answers them.
pub(super) type Fields = BTreeMap<String, String>;

/// Names and values of a job's fields, in turn.
pub(super) fn write(job: &Job) -> Result<Vec<String>, StoreError> {
    let time = |time: Option<Timestamp>| {
        time.map(|time| time.as_micros().to_string())
            .unwrap_or_default()
    };
    let paused = job.paused.as_ref();
    let mut fields: Vec<String> = [
        ("id", job.id.to_string()),
        ("kind", job.kind.name().to_owned()),
        ("scope", to_doc(&job.scope)?),
        ("requested", job.requested.as_micros().to_string()),
        ("started", time(job.started)),
        ("sealed", time(job.sealed)),
        ("ended", time(job.ended)),
        ("salesforce", job.salesforce.name().to_owned()),
        ("progress", to_doc(&job.progress)?),
        ("next_index", job.progress.next_index.to_string()),
        ("announced", job.progress.announced.to_string()),
        ("units", job.units.to_string()),
        ("counted", job.counted.to_string()),
        ("abandoned", job.abandoned.to_string()),
        ("last_advanced", time(job.last_advanced)),
        ("last_counted", time(job.last_counted)),
        (
            "paused",
            paused.map(to_doc).transpose()?.unwrap_or_default(),
        ),
        (
            "paused_by",
            paused.map_or("", |pause| pause.by.name()).to_owned(),
        ),
        ("paused_since", time(paused.map(|pause| pause.since))),
        ("paused_for", job.paused_for.as_micros().to_string()),
        ("resumed", time(job.resumed)),
        ("error", job.error.clone().unwrap_or_default()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect();
    for (object, count, records) in job.tally.iter() {
        fields.push(format!("{object}.{}", count.name()));
        fields.push(records.to_string());
    }
    Ok(fields)
}

/// The job of these fields. Fields that came after the first version of a job may be missing.
pub(super) fn read(fields: &Fields) -> Result<Job, StoreError> {
    let id = text(fields, "id")?;
    let unknown =
        |what: &str, value: &str| StoreError::Corrupt(format!("job {id}: {what} {value}"));
    let (kind, status) = (text(fields, "kind")?, text(fields, "salesforce")?);
    let paused = later(fields, "paused");
    let error = text(fields, "error")?;
    Ok(Job {
        id: JobId::of(id),
        kind: JobKind::of_name(kind).ok_or_else(|| unknown("kind", kind))?,
        scope: of_doc(text(fields, "scope")?)?,
        requested: time(fields, "requested")?.unwrap_or_default(),
        started: time(fields, "started")?,
        sealed: time(fields, "sealed")?,
        ended: time(fields, "ended")?,
        salesforce: SalesforceStatus::of_name(status).ok_or_else(|| unknown("status", status))?,
        progress: progress(fields)?,
        units: number(fields, "units")?,
        counted: number(fields, "counted")?,
        abandoned: number(fields, "abandoned")?,
        last_advanced: time(fields, "last_advanced")?,
        last_counted: time(fields, "last_counted")?,
        paused: (!paused.is_empty()).then(|| of_doc(paused)).transpose()?,
        paused_for: match later(fields, "paused_for") {
            "" => Duration::ZERO,
            _ => Duration::from_micros(number(fields, "paused_for")?),
        },
        resumed: time(fields, "resumed")?,
        tally: tally(fields)?,
        error: (!error.is_empty()).then(|| error.to_owned()),
    })
}

fn progress(fields: &Fields) -> Result<Progress, StoreError> {
    let doc = later(fields, "progress");
    if !doc.is_empty() {
        return of_doc(doc);
    }
    let next_index = number(fields, "next_index")?;
    let after = match later(fields, "after") {
        "" => None,
        id => {
            Some(SalesforceId::parse(id).map_err(|error| StoreError::Corrupt(error.to_string()))?)
        }
    };
    Ok(Progress {
        cursor: Cursor::Rest { after },
        next_index,
        announced: next_index,
        ..Progress::default()
    })
}

fn tally(fields: &Fields) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for name in fields.keys() {
        let Some((object, count)) = name.split_once('.') else {
            continue;
        };
        let (Ok(object), Some(count)) = (object.parse::<ObjectKind>(), Count::of_name(count))
        else {
            return Err(StoreError::Corrupt(format!("a count named {name}")));
        };
        tally.add_many(object, count, number(fields, name)?);
    }
    Ok(tally)
}

fn text<'f>(fields: &'f Fields, name: &str) -> Result<&'f str, StoreError> {
    fields
        .get(name)
        .map(String::as_str)
        .ok_or_else(|| StoreError::Corrupt(format!("a job without {name}")))
}

/// A field that came later.
fn later<'f>(fields: &'f Fields, name: &str) -> &'f str {
    fields.get(name).map_or("", String::as_str)
}

fn number<T: FromStr>(fields: &Fields, name: &str) -> Result<T, StoreError> {
    let value = text(fields, name)?;
    value
        .parse()
        .map_err(|_not_a_number| StoreError::Corrupt(format!("a job whose {name} is {value}")))
}

fn time(fields: &Fields, name: &str) -> Result<Option<Timestamp>, StoreError> {
    match later(fields, name) {
        "" => Ok(None),
        _ => number(fields, name).map(Timestamp::from_micros).map(Some),
    }
}
