//! An order that comes to its end half-way: what was done is in the integration log, or is said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use console::views::{MakeToken, Selection};
use console::{Caller, Operations};
use domain::failure::FailureKind;
use domain::job::Job;
use domain::parked::{Dismissal, Parked};
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use ports::stores::{
    LogEntry, LogPage, LogPosition, LogQuery, LogStore, ParkedFilter, ParkedStore, StoreError,
    Stores,
};

use crate::desk::{Desk, TOPIC};

type Record = (ObjectKind, SalesforceId);

/// Dismisses so often, and then no more.
struct Tiring {
    real: Arc<dyn ParkedStore>,
    left: AtomicU32,
}

#[async_trait]
impl ParkedStore for Tiring {
    async fn park(&self, records: &[Parked]) -> Result<(), StoreError> {
        self.real.park(records).await
    }
    async fn accepted(
        &self,
        records: &[Record],
        version: Version,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.real.accepted(records, version, now).await
    }
    async fn clear(&self, records: &[Record], version: Version) -> Result<(), StoreError> {
        self.real.clear(records, version).await
    }
    async fn get(
        &self,
        object: ObjectKind,
        id: &SalesforceId,
    ) -> Result<Option<Parked>, StoreError> {
        self.real.get(object, id).await
    }
    async fn list(
        &self,
        filter: &ParkedFilter,
        after: Option<Record>,
        max: usize,
    ) -> Result<Vec<Parked>, StoreError> {
        self.real.list(filter, after, max).await
    }
    async fn counts(&self) -> Result<BTreeMap<FailureKind, u64>, StoreError> {
        self.real.counts().await
    }
    async fn take_due(&self, now: Timestamp, max: usize) -> Result<Option<Job>, StoreError> {
        self.real.take_due(now, max).await
    }
    async fn retry(&self, records: &[Record], now: Timestamp) -> Result<u64, StoreError> {
        self.real.retry(records, now).await
    }
    async fn dismiss(&self, records: &[Record], dismissal: &Dismissal) -> Result<u64, StoreError> {
        let left = self.left.load(Ordering::SeqCst).checked_sub(1);
        let left = left.ok_or_else(|| StoreError::Unreachable("connection reset".to_owned()))?;
        self.left.store(left, Ordering::SeqCst);
        self.real.dismiss(records, dismissal).await
    }
}

/// The operations of a desk whose store has enough after so many dismissals.
fn tired_after(desk: &Desk, times: u32) -> Operations {
    let tiring = Tiring {
        real: Arc::clone(&desk.stores.parked),
        left: AtomicU32::new(times),
    };
    let stores = Stores {
        parked: Arc::new(tiring),
        ..desk.stores.clone()
    };
    let queue = Arc::clone(&desk.queue);
    Operations::new(stores, queue, desk.clock(), desk.source(), TOPIC)
}

#[tokio::test]
async fn a_dismissal_of_all_that_stops_half_way_is_in_the_log() {
    let desk = Desk::open();
    // More than are dismissed at a time.
    for number in 0..700 {
        desk.park(number, |_| {}).await;
    }
    let all = Selection {
        all: true,
        reason: Some("not wanted".to_owned()),
        ..Selection::default()
    };
    for (times, lines) in [(0, 0), (1, 1)] {
        let ops = tired_after(&desk, times);
        let done = ops.dismiss_parked(&all, Caller::CommandLine).await;
        let error = done.unwrap_err();
        assert_eq!(error.code(), "out_of_reach");
        let is_told = error
            .to_string()
            .contains("500 parked records; then it stopped");
        assert_eq!(is_told, times > 0, "{error}");
        assert_eq!(desk.log().await.len(), lines);
    }
    let log = desk.log().await;
    let said = &log[0].message;
    for part in [
        "500 parked records",
        "not wanted",
        "the command line",
        "connection reset",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test]
async fn a_dismissal_of_named_records_that_stops_half_way_says_how_far_it_came() {
    let desk = Desk::open();
    let mut records = Vec::new();
    for number in 0..3 {
        records.push(desk.park(number, |_| {}).await.id.to_string());
    }
    let named = Selection {
        records,
        reason: Some("not wanted".to_owned()),
        ..Selection::default()
    };
    // Those that were dismissed before are dismissed once more.
    for (times, told) in [
        (0, None),
        (1, Some("for 1 of these records; then it stopped")),
        (2, Some("for 2 of these records; then it stopped")),
    ] {
        let ops = tired_after(&desk, times);
        let done = ops.dismiss_parked(&named, Caller::CommandLine).await;
        let error = done.unwrap_err();
        assert_eq!(error.code(), "out_of_reach");
        let said = error.to_string();
        assert!(said.contains("connection reset"), "{said}");
        assert_eq!(said.contains("was carried out"), told.is_some(), "{said}");
        assert!(said.contains(told.unwrap_or_default()), "{said}");
    }
}

/// A log in which nothing more can be written.
struct Full(Arc<dyn LogStore>);

#[async_trait]
impl LogStore for Full {
    async fn append(&self, _entry: &LogEntry) -> Result<(), StoreError> {
        Err(StoreError::Unreachable("connection reset".to_owned()))
    }
    async fn search(
        &self,
        query: &LogQuery,
        before: Option<LogPosition>,
        max: usize,
    ) -> Result<LogPage, StoreError> {
        self.0.search(query, before, max).await
    }
    async fn trim(&self, lines: u64, since: Timestamp) -> Result<u64, StoreError> {
        self.0.trim(lines, since).await
    }
}

#[tokio::test]
async fn a_token_that_nobody_has_seen_and_is_in_force_is_told_of() {
    let desk = Desk::open();
    let stores = Stores {
        log: Arc::new(Full(Arc::clone(&desk.stores.log))),
        ..desk.stores.clone()
    };
    let queue = Arc::clone(&desk.queue);
    let ops = Operations::new(stores, queue, desk.clock(), desk.source(), TOPIC);
    let asked = MakeToken {
        name: "Report".to_owned(),
        scope: "read".to_owned(),
    };
    let error = ops.make_token(&asked, &Caller::Api).await.unwrap_err();
    assert_eq!(error.code(), "out_of_reach");
    for part in [
        "`Report` may have been made",
        "look at the page Access of the console, and revoke it",
        "connection reset",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let tokens = desk.ops.tokens().await.unwrap().tokens;
    assert_eq!(tokens.len(), 1);
    assert_eq!((&*tokens[0].name, tokens[0].revoked), ("Report", None));
}
