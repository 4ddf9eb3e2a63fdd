//! The integration log, searched and exported.

use domain::Timestamp;
use domain::job::JobId;
use futures::Stream;
use ports::stores::{LogLevel, LogPosition, LogQuery};

use super::{MAX_PAGE, Operations, object_of, one_of, page_size, pages, record_of};
use crate::OpsError;
use crate::rights::Right;
use crate::views::{LogLine, LogPageView, LogSearch};

/// The topic of who came in, went or was refused.
pub(crate) const ACCESS: &str = "access";
/// What is looked for in the sentences of lines has at most so many letters.
const LONGEST_TEXT: usize = 200;

impl Operations {
    /// A page of lines, newest first. Those of who came in, which name people, are for whoever may
    /// administer.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] names the value that cannot be understood; [`OpsError::Forbidden`] when
    /// lines are asked for that are for others.
    pub async fn logs(&self, search: &LogSearch, may: Right) -> Result<LogPageView, OpsError> {
        if search.format.is_some() {
            return Err(OpsError::Invalid(
                "format is for /api/v1/logs/export; a page is JSON".to_owned(),
            ));
        }
        let max = page_size(search.limit)?;
        let before = search.before.as_deref().map(place_of).transpose()?;
        let page = self
            .stores
            .log
            .search(&shown_to(may, query_of(search)?)?, before, max)
            .await?;
        Ok(LogPageView {
            entries: page
                .entries
                .into_iter()
                .map(|(_, entry)| LogLine::from(entry))
                .collect(),
            next: page.next.map(|place| place.to_string()),
        })
    }

    /// All lines, newest first, read page by page as they are taken; without those of who came in, as
    /// above.
    ///
    /// # Errors
    /// [`OpsError::Invalid`] and [`OpsError::Forbidden`] before anything is read; later ones are in the
    /// stream.
    pub fn all_logs(
        &self,
        search: &LogSearch,
        may: Right,
    ) -> Result<impl Stream<Item = Result<Vec<LogLine>, OpsError>> + Send + use<>, OpsError> {
        if search.limit.is_some() {
            return Err(OpsError::Invalid(
                "limit is for pages; an export has every line".to_owned(),
            ));
        }
        let query = shown_to(may, query_of(search)?)?;
        let before = search.before.as_deref().map(place_of).transpose()?;
        let log = std::sync::Arc::clone(&self.stores.log);
        Ok(pages(before, move |before| {
            let (log, query) = (std::sync::Arc::clone(&log), query.clone());
            async move {
                let page = log.search(&query, before, MAX_PAGE).await?;
                let lines = page
                    .entries
                    .into_iter()
                    .map(|(_, entry)| LogLine::from(entry))
                    .collect();
                Ok((lines, page.next.map(Some)))
            }
        }))
    }
}

/// What of it somebody is shown who may so much.
///
/// # Errors
/// [`OpsError::Forbidden`].
fn shown_to(may: Right, mut query: LogQuery) -> Result<LogQuery, OpsError> {
    if may.covers(Right::Administer) {
        return Ok(query);
    }
    if query.topic.as_deref() == Some(ACCESS) {
        return Err(OpsError::Forbidden(
            "the lines of the topic access name who came in and who was refused; they are for administrators"
                .to_owned(),
        ));
    }
    query.without_topic = Some(ACCESS.to_owned());
    Ok(query)
}

/// What is looked for.
///
/// # Errors
/// [`OpsError::Invalid`] names the value that cannot be understood.
pub(crate) fn query_of(search: &LogSearch) -> Result<LogQuery, OpsError> {
    let time = |name: &str, text: &Option<String>| {
        text.as_deref()
            .map(|text| {
                Timestamp::parse(text).ok_or_else(|| {
                    OpsError::Invalid(format!(
                        "{name} `{text}` is no time; write it as 2026-11-22T15:04:05Z"
                    ))
                })
            })
            .transpose()
    };
    Ok(LogQuery {
        record: search.record.as_deref().map(record_of).transpose()?,
        job: search.job.as_deref().map(JobId::of),
        object: search.object.as_deref().map(object_of).transpose()?,
        level: search
            .level
            .as_deref()
            .map(|text| one_of("level", text, LogLevel::ALL, |level| level.name()))
            .transpose()?,
        topic: search.topic.clone(),
        without_topic: None,
        text: words(search.text.as_deref())?,
        since: time("since", &search.since)?,
        until: time("until", &search.until)?,
    })
}

/// # Errors
/// [`OpsError::Invalid`] when they are too many.
fn words(text: Option<&str>) -> Result<Option<String>, OpsError> {
    let text = text.filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > LONGEST_TEXT) {
        return Err(OpsError::Invalid(format!(
            "text has more than {LONGEST_TEXT} letters; write fewer of the words that the line has"
        )));
    }
    if text.is_some_and(|text| text.contains('\0')) {
        return Err(OpsError::Invalid(
            "text has a character without a shape, which no line has; leave it out".to_owned(),
        ));
    }
    Ok(text.map(str::to_owned))
}

fn place_of(text: &str) -> Result<LogPosition, OpsError> {
    text.parse().map_err(|_no_number| {
        OpsError::Invalid(format!(
            "before `{text}` is no place in the log; give `next` of the page before"
        ))
    })
}
