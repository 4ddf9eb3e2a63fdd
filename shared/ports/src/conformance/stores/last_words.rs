//! Last words that mOS had no deal for.

use domain::{ObjectKind, SalesforceId, Timestamp, Version};

use super::{StoreHarness, at, id};
use crate::stores::Stores;

fn deal(number: u32, seconds: i64) -> (SalesforceId, Version) {
    let id = id(ObjectKind::Opportunity, number);
    (id, Version::at(at(seconds)))
}

/// A deal created from a row older than its last word is named, however often it is asked, until
/// it is created from a row as new as that; also over a restart.
pub async fn last_words_overtake_older_rows(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let created = [deal(1, 1), deal(2, 2), deal(3, 3), deal(4, 4)];
    let ask = async |stores: &Stores| stores.last_words.overtaken(&created).await;
    assert_eq!(ask(&stores).await, Ok(vec![]));
    // Older than the row, as old, newer, newer by a microsecond.
    let newer_by_one = Version::at(Timestamp::from_micros(at(4).as_micros() + 1));
    let marks = [
        deal(1, 0),
        deal(2, 2),
        deal(3, 4),
        (deal(4, 4).0, newer_by_one),
    ];
    assert_eq!(stores.last_words.mark(&marks, at(5)).await, Ok(()));
    assert_eq!(stores.last_words.mark(&[], at(5)).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    let overtaken = vec![deal(3, 3).0, deal(4, 4).0];
    for _ in 0..2 {
        assert_eq!(ask(&stores).await, Ok(overtaken.clone()));
    }
    // The first two have lost their marks, so an older row is not overtaken by them any more.
    let older = [deal(1, -1), deal(2, 1)];
    assert_eq!(stores.last_words.overtaken(&older).await, Ok(vec![]));
    let same = [deal(3, 4), deal(4, 5)];
    assert_eq!(stores.last_words.overtaken(&same).await, Ok(vec![]));
    assert_eq!(ask(&stores).await, Ok(vec![]));
    assert_eq!(stores.last_words.overtaken(&[]).await, Ok(vec![]));
}

/// Of several last words of a deal the one of the highest version counts, in whatever order they
/// came.
pub async fn last_words_keep_the_highest_version(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    for seconds in [5, 7, 6] {
        let marked = stores.last_words.mark(&[deal(1, seconds)], at(8)).await;
        assert_eq!(marked, Ok(()));
    }
    let overtaken = stores.last_words.overtaken(&[deal(1, 6)]).await;
    assert_eq!(overtaken, Ok(vec![deal(1, 6).0]));
    assert_eq!(stores.last_words.overtaken(&[deal(1, 7)]).await, Ok(vec![]));
    assert_eq!(stores.last_words.overtaken(&[deal(1, 6)]).await, Ok(vec![]));
}

/// A mark outlives a day less a second and not a day; marking again begins the day anew.
pub async fn last_words_are_forgotten_after_a_day(harness: &dyn StoreHarness) {
    const DAY: i64 = 24 * 60 * 60;
    let stores = harness.stores().await;
    let words = &stores.last_words;
    let created = [deal(1, 1), deal(2, 1)];
    assert_eq!(words.mark(&[deal(1, 3), deal(2, 3)], at(10)).await, Ok(()));
    // Neither a lower version nor an earlier time shortens the day.
    for (number, now) in [(2, DAY), (2, 9)] {
        assert_eq!(words.mark(&[deal(number, 2)], at(now)).await, Ok(()));
    }
    let before = at(10 + DAY - 1);
    assert_eq!(words.mark(&[deal(9, 1)], before).await, Ok(()));
    let both = vec![deal(1, 1).0, deal(2, 1).0];
    assert_eq!(words.overtaken(&created).await, Ok(both));
    let after = at(10 + DAY);
    assert_eq!(words.mark(&[deal(9, 1)], after).await, Ok(()));
    let second = vec![deal(2, 1).0];
    assert_eq!(words.overtaken(&created).await, Ok(second));
}
