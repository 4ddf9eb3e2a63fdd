//! Stream positions and gaps.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::job::Job;

use super::{StoreHarness, at, job};
use crate::source::ReplayId;
use crate::stores::{Gap, GapCause, Stores, StreamState};

/// A position is `None` before it is stored, then what was stored last, each channel its own, also
/// after a restart.
pub async fn position_is_replaced_and_kept(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.position.stream("/data/A").await, Ok(None));
    let first = StreamState {
        position: ReplayId(vec![0, 1, 255]),
        at_end: false,
        window_over: true,
        heard: at(1),
        last_event: None,
    };
    let second = StreamState {
        position: ReplayId(vec![0, 2, 0]),
        at_end: true,
        window_over: false,
        heard: at(2),
        last_event: Some(at(2)),
    };
    for state in [&first, &second] {
        let stored = stores.position.store_stream("/data/A", state).await;
        assert_eq!(stored, Ok(()));
    }
    let stored = stores.position.store_stream("/data/B", &first).await;
    assert_eq!(stored, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.position.stream("/data/A").await, Ok(Some(second)));
    assert_eq!(stores.position.stream("/data/B").await, Ok(Some(first)));
    assert_eq!(stores.position.stream("/data/C").await, Ok(None));
}

fn gap(name: &str, opened: Timestamp, job: &Job) -> Gap {
    Gap {
        id: name.to_owned(),
        cause: GapCause::Overflow,
        since: at(-60),
        opened,
        evidence: "event 17".to_owned(),
        job: job.id.clone(),
        closed: None,
    }
}

/// Noticing a gap twice opens one gap and creates one job, both or neither.
pub async fn gap_opens_once_together_with_its_job(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (job, other) = (job("one", at(1)), job("two", at(2)));
    let gap_one = gap("gap", at(1), &job);
    let opened = stores.position.open_gap(&gap_one, &job).await;
    assert_eq!(opened, Ok(()));
    let again = stores
        .position
        .open_gap(&gap("gap", at(2), &other), &other)
        .await;
    assert_eq!(again, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(stores.position.gaps().await, Ok(vec![gap_one]));
    assert_eq!(stores.jobs.list(10).await, Ok(vec![job]));
}

/// The first close stands; an unknown gap is no error.
pub async fn gap_closes_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let job = job("one", at(1));
    let open = gap("gap", at(1), &job);
    assert_eq!(stores.position.open_gap(&open, &job).await, Ok(()));
    for (name, when) in [("gap", at(5)), ("gap", at(9)), ("unknown", at(5))] {
        assert_eq!(stores.position.close_gap(name, when).await, Ok(()));
    }
    let mut expected = gap("gap", at(1), &job);
    expected.closed = Some(at(5));
    assert_eq!(stores.position.gaps().await, Ok(vec![expected]));
}

/// Oldest first, by the time they were opened.
pub async fn gaps_are_listed_oldest_first(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for (name, opened) in [("b", at(2)), ("c", at(3)), ("a", at(1))] {
        let job = job(name, opened);
        let gap = gap(name, opened, &job);
        assert_eq!(stores.position.open_gap(&gap, &job).await, Ok(()));
    }
    let gaps = stores.position.gaps().await.expect("the store answers");
    let names: Vec<_> = gaps.iter().map(|gap| gap.id.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

/// Open gaps are told apart from closed ones, also after a restart.
pub async fn gaps_that_are_open_are_listed(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let open = async |stores: &Stores| {
        let gaps = stores.position.open_gaps().await;
        let gaps = gaps.expect("the store answers");
        gaps.into_iter().map(|gap| gap.id).collect::<Vec<_>>()
    };
    assert_eq!(open(&stores).await, [""; 0]);
    for (name, opened) in [("b", at(2)), ("c", at(3)), ("a", at(1))] {
        let job = job(name, opened);
        let gap = gap(name, opened, &job);
        assert_eq!(stores.position.open_gap(&gap, &job).await, Ok(()));
    }
    assert_eq!(open(&stores).await, ["a", "b", "c"]);
    assert_eq!(stores.position.close_gap("b", at(5)).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(open(&stores).await, ["a", "c"]);
    for name in ["a", "c"] {
        assert_eq!(stores.position.close_gap(name, at(6)).await, Ok(()));
    }
    assert_eq!(open(&stores).await, [""; 0]);
}

/// Gaps closed before a time are forgotten, those that are open never.
pub async fn gaps_closed_for_long_are_forgotten(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let position = &stores.position;
    for (name, closed) in [("long", Some(5)), ("lately", Some(10)), ("open", None)] {
        let job = job(name, at(1));
        let gap = gap(name, at(1), &job);
        assert_eq!(position.open_gap(&gap, &job).await, Ok(()));
        if let Some(closed) = closed {
            assert_eq!(position.close_gap(name, at(closed)).await, Ok(()));
        }
    }
    assert_eq!(position.forget_gaps(at(5)).await, Ok(0));
    assert_eq!(position.forget_gaps(at(10)).await, Ok(1));
    assert_eq!(position.forget_gaps(at(10)).await, Ok(0));
    harness.restart().await;
    let stores = harness.stores().await;
    let left = stores.position.gaps().await.expect("the store answers");
    let left = left.iter().map(|gap| (gap.id.as_str(), gap.closed));
    let left = left.collect::<BTreeMap<_, _>>();
    let expected = BTreeMap::from([("lately", Some(at(10))), ("open", None)]);
    assert_eq!(left, expected);
    // What is noticed again after that is another gap.
    let job = job("again", at(20));
    let again = gap("long", at(20), &job);
    assert_eq!(stores.position.open_gap(&again, &job).await, Ok(()));
    assert_eq!(stores.position.forget_gaps(at(30)).await, Ok(1));
    let left = stores.position.open_gaps().await;
    let left = left.expect("the store answers");
    let left = left.iter().map(|gap| gap.id.as_str()).collect::<Vec<_>>();
    assert_eq!(left, ["open", "long"]);
}
