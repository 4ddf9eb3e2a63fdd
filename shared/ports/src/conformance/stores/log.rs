//! The integration log.

use domain::job::JobKind;
use domain::{ObjectKind, Timestamp};

use super::{StoreHarness, at, id, job_id};
use crate::stores::{LogEntry, LogLevel, LogPage, LogPosition, LogQuery, Stores};

fn entry(number: i64) -> LogEntry {
    LogEntry {
        at: at(number),
        level: LogLevel::Warning,
        topic: "gap".to_owned(),
        job: (number == 1).then(|| job_id(JobKind::CatchUp, "one")),
        record: (number == 2).then(|| (ObjectKind::Account, id(ObjectKind::Account, 1))),
        message: format!("line {number}"),
    }
}

fn lines(page: &LogPage) -> Vec<LogEntry> {
    page.entries
        .iter()
        .map(|(_, entry)| entry.clone())
        .collect()
}

async fn newest(stores: &Stores, max: usize) -> Vec<LogEntry> {
    let page = stores.log.search(&LogQuery::default(), None, max).await;
    lines(&page.expect("the store answers"))
}

/// All that match, in pages of that many.
async fn in_pages(stores: &Stores, query: &LogQuery, max: usize) -> Vec<LogEntry> {
    let mut seen = Vec::new();
    let mut before: Option<LogPosition> = None;
    loop {
        let page = stores.log.search(query, before, max).await;
        let page = page.expect("the store answers");
        assert!(page.entries.len() <= max);
        let full = page.entries.len() == max;
        let mut last = before;
        for (position, _) in &page.entries {
            assert!(last.is_none_or(|last| *position < last), "newest first");
            last = Some(*position);
        }
        seen.extend(lines(&page));
        match page.next {
            Some(next) => {
                assert!(full, "a page that is followed by another is full");
                before = Some(next);
            }
            None => return seen,
        }
    }
}

/// The newest lines, newest first, as many as asked for, also after a restart.
pub async fn log_answers_the_newest_first(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(newest(&stores, 10).await, []);
    for number in 1..=3 {
        assert_eq!(stores.log.append(&entry(number)).await, Ok(()));
    }
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(newest(&stores, 10).await, [entry(3), entry(2), entry(1)]);
    assert_eq!(newest(&stores, 1).await, [entry(3)]);
    assert_eq!(newest(&stores, 0).await, []);
}

/// Whatever is asked for, alone and together, also far back.
pub async fn log_is_searched_by_whatever_is_asked(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let record = (ObjectKind::Contact, id(ObjectKind::Contact, 1));
    let same_object = (ObjectKind::Contact, id(ObjectKind::Contact, 2));
    let job = job_id(JobKind::SyncAll, "one");
    let mut all = Vec::new();
    for number in 0..3_000_i64 {
        let line = LogEntry {
            at: at(number),
            level: match number % 3 {
                0 => LogLevel::Info,
                1 => LogLevel::Warning,
                _ => LogLevel::Error,
            },
            topic: if number % 4 == 0 { "job" } else { "parked" }.to_owned(),
            job: (number % 5 == 0).then(|| job.clone()),
            record: match number {
                0 | 2_400 => Some(record),
                _ if number % 6 == 0 => Some(same_object),
                _ => None,
            },
            message: format!("\"line\" {number}: 50 % of Größe_X\\n"),
        };
        assert_eq!(stores.log.append(&line).await, Ok(()));
        all.insert(0, line);
    }
    let anything = LogQuery::default();
    let of = |text: &str| LogQuery {
        text: Some(text.to_owned()),
        ..LogQuery::default()
    };
    let queries = [
        anything.clone(),
        LogQuery {
            record: Some(record),
            ..anything.clone()
        },
        LogQuery {
            object: Some(ObjectKind::Contact),
            ..anything.clone()
        },
        LogQuery {
            object: Some(ObjectKind::User),
            ..anything.clone()
        },
        LogQuery {
            job: Some(job.clone()),
            ..anything.clone()
        },
        LogQuery {
            job: Some(job_id(JobKind::SyncAll, "other")),
            ..anything.clone()
        },
        LogQuery {
            level: Some(LogLevel::Info),
            ..anything.clone()
        },
        LogQuery {
            level: Some(LogLevel::Warning),
            ..anything.clone()
        },
        LogQuery {
            level: Some(LogLevel::Error),
            ..anything.clone()
        },
        LogQuery {
            topic: Some("job".to_owned()),
            ..anything.clone()
        },
        LogQuery {
            without_topic: Some("job".to_owned()),
            ..anything.clone()
        },
        LogQuery {
            without_topic: Some("job".to_owned()),
            job: Some(job.clone()),
            ..anything.clone()
        },
        // In either case, with whatever a store may take for its own signs.
        of("LINE\" 1"),
        of("50 % of gr"),
        of("ÖSSE"),
        of("Größe_x"),
        of("GrößeXX"),
        of("X\\N"),
        of("%"),
        of("_"),
        of("\"topic\""),
        of("nothing like that"),
        LogQuery {
            text: Some("LINE\" 24".to_owned()),
            job: Some(job.clone()),
            ..anything.clone()
        },
        LogQuery {
            since: Some(at(2_990)),
            ..anything.clone()
        },
        LogQuery {
            until: Some(at(10)),
            ..anything.clone()
        },
        LogQuery {
            record: None,
            job: Some(job),
            object: Some(ObjectKind::Contact),
            level: Some(LogLevel::Info),
            topic: Some("job".to_owned()),
            without_topic: Some("parked".to_owned()),
            text: Some("line".to_owned()),
            since: Some(at(60)),
            until: Some(at(2_400)),
        },
    ];
    for query in queries {
        let mut expected = all.clone();
        expected.retain(|line| query.matches(line));
        let seen = in_pages(&stores, &query, 700).await;
        assert!(
            seen == expected,
            "{query:?}: {} of {}",
            seen.len(),
            expected.len()
        );
    }
}

/// A place names the same line whatever is written or forgotten meanwhile.
pub async fn log_pages_stay_while_lines_come_and_go(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for number in 1..=6 {
        assert_eq!(stores.log.append(&entry(number)).await, Ok(()));
    }
    let anything = LogQuery::default();
    let first = stores.log.search(&anything, None, 2).await.expect("a page");
    assert_eq!(lines(&first), [entry(6), entry(5)]);
    assert_eq!(stores.log.append(&entry(7)).await, Ok(()));
    assert_eq!(stores.log.trim(5, Timestamp::default()).await, Ok(2));
    harness.restart().await;
    let stores = harness.stores().await;
    let rest = stores.log.search(&anything, first.next, 10).await;
    let rest = rest.expect("a page");
    assert_eq!((lines(&rest), rest.next), (vec![entry(4), entry(3)], None));
    // What is left of a trimmed log is not taken for its beginning.
    assert_eq!(stores.log.trim(0, Timestamp::default()).await, Ok(5));
    assert_eq!(newest(&stores, 10).await, []);
    assert_eq!(stores.log.append(&entry(8)).await, Ok(()));
    let again = stores.log.search(&anything, first.next, 10).await;
    assert_eq!(again, Ok(LogPage::default()));
    assert_eq!(newest(&stores, 10).await, [entry(8)]);
}

/// Kept are the newest lines, no older than asked for; trimming again forgets no more.
pub async fn log_is_trimmed_by_lines_and_age(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.log.trim(10, at(1)).await, Ok(0));
    for number in 1..=600 {
        assert_eq!(stores.log.append(&entry(number)).await, Ok(()));
    }
    // By lines, then by age, then by neither.
    for (lines, since, forgotten, left) in [
        (590, at(0), 10, 590),
        (590, at(581), 570, 20),
        (20, at(581), 0, 20),
        (15, at(581), 5, 15),
        (100, at(700), 15, 0),
    ] {
        assert_eq!(stores.log.trim(lines, since).await, Ok(forgotten));
        assert_eq!(newest(&stores, 1_000).await.len(), left);
    }
}
