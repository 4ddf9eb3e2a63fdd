//! Parked records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::failure::{FailureKind, RELEASED_AGAIN, retry_delay};
use domain::job::{Job, JobKind, JobScope, SalesforceStatus};
use domain::parked::{Dismissal, Parked, Release};
use domain::unit::Stage;
use domain::{ObjectKind, SalesforceId, Timestamp, Version};
use tokio::task::JoinSet;

use super::{StoreHarness, at, get, id, job_id};
use crate::stores::{ParkedFilter, Stores};

const ALL: ParkedFilter = ParkedFilter {
    object: None,
    kind: None,
    parent: None,
    job: None,
    dismissed: None,
};

fn parked(object: ObjectKind, number: u32) -> Parked {
    Parked {
        object,
        id: id(object, number),
        stage: Stage::Load,
        kind: FailureKind::InvalidField,
        code: Some("invalid_field".to_owned()),
        message: "the \"amount\" is no number".to_owned(),
        parent: None,
        rule_revision: 3,
        version: Version::at(at(5)),
        since: at(0),
        retries: 0,
        retry_at: None,
        released: None,
        job: Some(job_id(JobKind::Backfill, "one")),
        dismissed: None,
    }
}

fn key(record: &Parked) -> (ObjectKind, SalesforceId) {
    record.record()
}

/// The records that the retry job names which was made, each an entry as it is now.
async fn taken(stores: &Stores, now: Timestamp, max: usize) -> Vec<Parked> {
    let job = stores.parked.take_due(now, max).await;
    named_by(stores, job.expect("the store answers")).await
}

async fn named_by(stores: &Stores, job: Option<Job>) -> Vec<Parked> {
    let Some(job) = job else { return Vec::new() };
    let JobScope::Records { records } = &job.scope else {
        panic!("a retry job of {:?}", job.scope);
    };
    let all = stores.parked.list(&ALL, None, 10_000).await;
    let mut all = all.expect("the store answers");
    all.retain(|record| records.contains(&key(record)));
    assert_eq!(all.len(), records.len(), "what is taken up stays");
    all
}

/// One entry per record; a replacement keeps since when and how often, and replaces the rest.
pub async fn parked_entry_keeps_since_and_retries(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut first = parked(ObjectKind::Account, 1);
    first.retries = 4;
    assert_eq!(stores.parked.park(&[first.clone()]).await, Ok(()));
    let mut second = first.clone();
    second.kind = FailureKind::RetryLater;
    second.message = "busy".to_owned();
    second.version = Version::at(at(6));
    second.since = at(50);
    second.retries = 0;
    second.retry_at = Some(at(60));
    assert_eq!(stores.parked.park(&[second.clone()]).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    second.since = first.since;
    second.retries = first.retries;
    assert_eq!(
        stores.parked.list(&ALL, None, 10).await,
        Ok(vec![second.clone()])
    );
    // One alone, of its object.
    let (object, same) = second.record();
    assert_eq!(stores.parked.get(object, &same).await, Ok(Some(second)));
    let next = id(ObjectKind::Account, 2);
    assert_eq!(stores.parked.get(object, &next).await, Ok(None));
    assert_eq!(stores.parked.get(ObjectKind::User, &same).await, Ok(None));
}

/// A record that fails whenever it is retried is retried at the times that its retries set, and
/// after the last one no more; what waits for a person has no time.
pub async fn parked_entry_keeps_when_it_is_retried(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut busy = parked(ObjectKind::Account, 1);
    busy.kind = FailureKind::RetryLater;
    let mut seconds = 0;
    let mut retries = 0;
    // As a worker parks it: it does not know how often this was tried before.
    let fails_at = async |seconds: i64| {
        let mut again = busy.clone();
        again.version = Version::at(at(5 + seconds));
        again.since = at(seconds);
        again.retry_at = retry_delay(0).map(|delay| at(seconds).after(delay));
        assert_eq!(stores.parked.park(&[again.clone()]).await, Ok(()));
        let (object, id) = again.record();
        let entry = stores.parked.get(object, &id).await;
        entry.expect("the store answers").expect("an entry")
    };
    while let Some(delay) = retry_delay(retries) {
        let due = at(seconds).after(delay);
        for later in [1, 2] {
            let entry = fails_at(seconds + later).await;
            let expected = if retries == 0 {
                at(1).after(delay)
            } else {
                due
            };
            assert_eq!(entry.retry_at, Some(expected), "after {retries} retries");
            assert_eq!(entry.retries, retries);
        }
        seconds += i64::try_from(delay.as_secs()).expect("a delay") + 10;
        let taken_up = taken(&stores, at(seconds), 10).await;
        assert_eq!(taken_up.len(), 1, "after {retries} retries");
        retries += 1;
    }
    assert_eq!(retries, domain::failure::MAX_RETRIES_BY_ITSELF);
    let entry = fails_at(seconds + 1).await;
    assert_eq!((entry.retries, entry.retry_at), (retries, None));
    let far = at(seconds + 1_000_000);
    assert_eq!(stores.parked.take_due(far, 10).await, Ok(None));
    // Retried because a person wants it, it fails in a way that a person has to mend.
    let key = key(&entry);
    assert_eq!(stores.parked.retry(&[key], far).await, Ok(1));
    let mut person = entry;
    person.kind = FailureKind::InvalidField;
    person.retry_at = None;
    assert_eq!(stores.parked.park(&[person.clone()]).await, Ok(()));
    let entry = stores.parked.get(key.0, &key.1).await;
    assert_eq!(entry, Ok(Some(person)));
}

async fn parked_ids(stores: &Stores) -> Vec<(ObjectKind, SalesforceId)> {
    let list = stores.parked.list(&ALL, None, 100).await;
    list.expect("the store answers").iter().map(key).collect()
}

/// What failed with an older row does not replace what failed with a newer one; of the same
/// version the last one stands.
pub async fn parked_entry_is_not_replaced_by_an_older_one(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let newer = parked(ObjectKind::Account, 1);
    let mut older = newer.clone();
    older.version = Version::at(Timestamp::from_micros(at(5).as_micros() - 1));
    older.kind = FailureKind::RetryLater;
    older.parent = Some((ObjectKind::User, id(ObjectKind::User, 1)));
    older.retry_at = Some(at(6));
    // In one call the order of the entries makes no difference either.
    for records in [
        &[newer.clone(), older.clone()],
        &[older.clone(), newer.clone()],
    ] {
        assert_eq!(stores.parked.park(records).await, Ok(()));
        assert_eq!(stores.parked.park(&[older.clone()]).await, Ok(()));
        let list = stores.parked.list(&ALL, None, 10).await;
        assert_eq!(list, Ok(vec![newer.clone()]));
    }
    let counts = BTreeMap::from([(newer.kind, 1)]);
    assert_eq!(stores.parked.counts().await, Ok(counts));
    assert_eq!(stores.parked.take_due(at(7), 10).await, Ok(None));
    let user = (ObjectKind::User, id(ObjectKind::User, 1));
    let accepted = stores.parked.accepted(&[user], older.version, at(7)).await;
    assert_eq!(accepted, Ok(0));
    let mut same = older;
    same.version = newer.version;
    assert_eq!(stores.parked.park(&[same.clone()]).await, Ok(()));
    assert_eq!(stores.parked.list(&ALL, None, 10).await, Ok(vec![same]));
}

/// An acceptance clears the record's entry, unless it failed with a newer row than was accepted.
pub async fn parked_entries_leave_when_accepted(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (mut older, same, mut newer, other) = (
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        parked(ObjectKind::Account, 3),
        parked(ObjectKind::Account, 4),
    );
    older.version = Version::at(at(4));
    newer.version = Version::at(Timestamp::from_micros(at(5).as_micros() + 1));
    let all = [older.clone(), same.clone(), newer.clone(), other.clone()];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let unknown = (ObjectKind::User, id(ObjectKind::User, 9));
    let records = [unknown, key(&older), key(&same), key(&newer)];
    for _ in 0..2 {
        let accepted = stores.parked.accepted(&records, same.version, at(9)).await;
        assert_eq!(accepted, Ok(0), "nobody waits for them");
        let list = stores.parked.list(&ALL, None, 10).await;
        assert_eq!(list, Ok(vec![newer.clone(), other.clone()]));
    }
    let accepted = stores.parked.accepted(&records, newer.version, at(9)).await;
    assert_eq!(accepted, Ok(0));
    assert_eq!(parked_ids(&stores).await, [key(&other)]);
}

/// Whoever waits for an accepted record, of whatever version, waits no longer: it is due, and
/// taken up once. It stays until it is accepted itself.
pub async fn parked_children_are_released_once(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let account = parked(ObjectKind::Account, 1);
    let mut contact = parked(ObjectKind::Contact, 1);
    contact.parent = Some(key(&account));
    contact.version = Version::at(at(30));
    let mut deal = parked(ObjectKind::Opportunity, 1);
    deal.parent = Some(key(&account));
    deal.retry_at = Some(at(9000));
    deal.retries = domain::failure::MAX_RETRIES_BY_ITSELF;
    let mut other = parked(ObjectKind::Opportunity, 2);
    other.parent = Some((ObjectKind::Account, id(ObjectKind::Account, 2)));
    let mut role = parked(ObjectKind::OpportunityContactRole, 1);
    role.parent = Some(key(&account));
    let all = [
        account.clone(),
        contact.clone(),
        deal.clone(),
        other.clone(),
        role.clone(),
    ];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    // One that waits for another parent by now, and one accepted together with its parent, are
    // not released.
    role.parent = other.parent;
    assert_eq!(stores.parked.park(&[role.clone()]).await, Ok(()));
    let mut together = parked(ObjectKind::Contact, 2);
    together.parent = Some(key(&account));
    assert_eq!(stores.parked.park(&[together.clone()]).await, Ok(()));
    let accepted = async |records: &[(ObjectKind, SalesforceId)], now| {
        let version = account.version;
        stores.parked.accepted(records, version, now).await
    };
    let both = [key(&account), key(&together)];
    assert_eq!(accepted(&both, at(20)).await, Ok(2));
    let release = Release {
        at: at(20),
        parent: key(&account),
    };
    for child in [&mut contact, &mut deal] {
        child.parent = None;
        child.retry_at = Some(at(20));
        child.released = Some(release.clone());
    }
    let list = stores.parked.list(&ALL, None, 10).await;
    let expected = vec![contact.clone(), deal.clone(), other.clone(), role.clone()];
    assert_eq!(list, Ok(expected));
    assert_eq!(accepted(&both, at(21)).await, Ok(0));
    assert_eq!(stores.parked.take_due(at(19), 10).await, Ok(None));
    let taken_up = taken(&stores, at(20), 10).await;
    contact.retries = 1;
    contact.retry_at = retry_delay(1).map(|delay| at(20).after(delay));
    deal.retries = domain::failure::MAX_RETRIES_BY_ITSELF + 1;
    deal.retry_at = None;
    assert_eq!(taken_up, [contact.clone(), deal]);
    assert_eq!(accepted(&[key(&account)], at(22)).await, Ok(0));
    assert_eq!(stores.parked.take_due(at(22), 10).await, Ok(None));
}

/// Parked under the same parent once more, a child is not retried over and over because that parent
/// is accepted over and over: only its schedule does, and a later acceptance. Another parent
/// releases it at once.
pub async fn parked_children_are_not_released_over_and_over(harness: &dyn StoreHarness) {
    let [one, two] = [1, 2].map(|number| (ObjectKind::Account, id(ObjectKind::Account, number)));
    let mut child = parked(ObjectKind::Contact, 1);
    child.kind = FailureKind::ParentMissing;
    // As a worker parks it: it does not know what became of it before.
    let fails_for = async |parent, second| {
        let mut again = child.clone();
        again.version = Version::at(at(second));
        again.since = at(second);
        again.parent = Some(parent);
        again.retry_at = retry_delay(0).map(|delay| at(second).after(delay));
        let stores = harness.stores().await;
        assert_eq!(stores.parked.park(&[again]).await, Ok(()));
    };
    let accepted = async |parent, second| {
        let stores = harness.stores().await;
        let version = Version::at(at(second));
        let released = stores.parked.accepted(&[parent], version, at(second)).await;
        released.expect("the store answers")
    };
    let again = i64::try_from(RELEASED_AGAIN.as_secs()).expect("seconds");
    fails_for(one, 10).await;
    assert_eq!(accepted(one, 20).await, 1);
    assert_eq!(taken(&harness.stores().await, at(20), 10).await.len(), 1);
    fails_for(one, 21).await;
    harness.restart().await;
    for second in [21, 22, 20 + again - 1] {
        assert_eq!(accepted(one, second).await, 0, "after {second} s");
    }
    let (object, same) = key(&child);
    let entry = harness.stores().await.parked.get(object, &same).await;
    let expected = Parked {
        parent: Some(one),
        version: Version::at(at(21)),
        since: at(10),
        retries: 1,
        retry_at: retry_delay(1).map(|delay| at(20).after(delay)),
        released: Some(Release {
            at: at(20),
            parent: one,
        }),
        ..child.clone()
    };
    assert_eq!(entry, Ok(Some(expected)));
    assert_eq!(accepted(one, 20 + again).await, 1);
    // The other parent that it turns out to lack, at once.
    fails_for(two, 21 + again).await;
    assert_eq!(accepted(two, 22 + again).await, 1);
    // One whose retries are used up has no time of its own to wait for.
    let mut last = parked(ObjectKind::Contact, 2);
    last.kind = FailureKind::ParentMissing;
    last.parent = Some(one);
    last.retries = domain::failure::MAX_RETRIES_BY_ITSELF + 1;
    let stores = harness.stores().await;
    let (object, id) = key(&last);
    for (second, released, due) in [
        (30 + again, 1, 30 + again),
        (40 + again, 0, 30 + again + again),
    ] {
        assert_eq!(stores.parked.park(&[last.clone()]).await, Ok(()));
        assert_eq!(accepted(one, second).await, released);
        let entry = stores.parked.get(object, &id).await;
        let entry = entry.expect("the store answers").expect("an entry");
        assert_eq!(entry.retry_at, Some(at(due)));
        // Taken up, and failed again.
        stores
            .parked
            .take_due(at(second), 10)
            .await
            .expect("the store answers");
    }
}

/// However many wait for the same parent, all that are open are released by its acceptance.
pub async fn parked_children_are_released_however_many(harness: &dyn StoreHarness) {
    const CHILDREN: u32 = 2_500;
    let stores = harness.stores().await;
    let parent = parked(ObjectKind::Account, 1);
    let other = (ObjectKind::Account, id(ObjectKind::Account, 2));
    let mut children = Vec::new();
    for number in 0..CHILDREN {
        let mut child = parked(ObjectKind::Contact, number);
        child.parent = Some(if number % 5 == 0 { other } else { key(&parent) });
        children.push(child);
    }
    for some in children.chunks(500) {
        assert_eq!(stores.parked.park(some).await, Ok(()));
    }
    // Those that are dismissed stay with their parent, and keep no other from being released.
    let dismissed = children.iter().take(50).map(key).collect::<Vec<_>>();
    let found = stores.parked.dismiss(&dismissed, &dismissal(9)).await;
    assert_eq!(found, Ok(50));
    let arrived = [key(&parent), other];
    let expected = u64::from(CHILDREN) - 50;
    for released in [expected, 0] {
        let accepted = stores
            .parked
            .accepted(&arrived, parent.version, at(10))
            .await;
        assert_eq!(accepted, Ok(released));
    }
    let mut due = 0;
    loop {
        let some = taken(&stores, at(10), 1_000).await.len();
        if some == 0 {
            break;
        }
        due += u64::try_from(some).unwrap_or_default();
    }
    assert_eq!(due, expected);
}

/// A cleared entry is gone, unless it failed with a newer row than was judged; nobody is released.
pub async fn parked_entries_are_cleared(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let (one, mut two, mut newer, mut child) = (
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        parked(ObjectKind::Account, 3),
        parked(ObjectKind::Contact, 1),
    );
    two.version = Version::at(at(4));
    newer.version = Version::at(Timestamp::from_micros(at(5).as_micros() + 1));
    child.parent = Some(key(&one));
    let all = [one.clone(), two.clone(), newer.clone(), child.clone()];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let unknown = (ObjectKind::User, id(ObjectKind::User, 9));
    let records = [key(&one), key(&newer), unknown];
    for _ in 0..2 {
        assert_eq!(stores.parked.clear(&records, one.version).await, Ok(()));
        let list = stores.parked.list(&ALL, None, 10).await;
        assert_eq!(list, Ok(vec![two.clone(), newer.clone(), child.clone()]));
    }
    let records = [key(&two), key(&newer)];
    assert_eq!(stores.parked.clear(&records, newer.version).await, Ok(()));
    assert_eq!(
        stores.parked.list(&ALL, None, 10).await,
        Ok(vec![child.clone()])
    );
    // It still waits, and an acceptance of the record that was cleared releases it.
    let accepted = stores
        .parked
        .accepted(&[key(&one)], one.version, at(9))
        .await;
    assert_eq!(accepted, Ok(1));
}

/// The list is in the order of object and id, and goes on after any entry, present or not.
pub async fn parked_entries_are_listed_in_pages(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let ordered = [
        parked(ObjectKind::User, 2),
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 3),
        parked(ObjectKind::Contact, 1),
        parked(ObjectKind::Opportunity, 1),
        parked(ObjectKind::OpportunityContactRole, 1),
    ];
    let mut shuffled = ordered.clone();
    shuffled.reverse();
    assert_eq!(stores.parked.park(&shuffled).await, Ok(()));
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = stores.parked.list(&ALL, after, 2).await.expect("a page");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(key(last));
        seen.extend(page);
        assert!(seen.len() <= ordered.len(), "a page begins after the last");
    }
    assert_eq!(seen, ordered);
    let absent = (ObjectKind::Account, id(ObjectKind::Account, 2));
    let page = stores
        .parked
        .list(&ALL, Some(absent), 1)
        .await
        .expect("a page");
    assert_eq!(page, [parked(ObjectKind::Account, 3)]);
}

/// Counts by reason; reasons that no entry has are left out.
pub async fn parked_entries_are_counted_by_reason(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    assert_eq!(stores.parked.counts().await, Ok(BTreeMap::new()));
    let mut busy = parked(ObjectKind::Contact, 1);
    busy.kind = FailureKind::RetryLater;
    let all = [
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        busy.clone(),
    ];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let expected = BTreeMap::from([(FailureKind::InvalidField, 2), (FailureKind::RetryLater, 1)]);
    assert_eq!(stores.parked.counts().await, Ok(expected));
    // An entry that changes its reason leaves the old count, one that is cleared leaves both.
    busy.kind = FailureKind::InvalidField;
    assert_eq!(stores.parked.park(&[busy.clone()]).await, Ok(()));
    let cleared = stores.parked.clear(&[key(&busy)], busy.version).await;
    assert_eq!(cleared, Ok(()));
    let expected = BTreeMap::from([(FailureKind::InvalidField, 2)]);
    assert_eq!(stores.parked.counts().await, Ok(expected));
}

/// What is due is taken up once, with its retries raised and its next time set; what is not due,
/// or waits for a person, is not.
pub async fn parked_entries_are_taken_up_when_due_by_one(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut due = parked(ObjectKind::Account, 1);
    due.kind = FailureKind::RetryLater;
    due.retry_at = Some(at(10));
    let mut last = parked(ObjectKind::Account, 2);
    last.kind = FailureKind::RetryLater;
    last.retries = domain::failure::MAX_RETRIES_BY_ITSELF - 1;
    last.retry_at = Some(at(20));
    let mut later = parked(ObjectKind::Account, 3);
    later.kind = FailureKind::RetryLater;
    later.retry_at = Some(at(21));
    let person = parked(ObjectKind::Account, 4);
    let all = [due.clone(), last.clone(), later, person];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    assert_eq!(stores.parked.take_due(at(9), 10).await, Ok(None));
    let mut taking = JoinSet::new();
    for _ in 0..4 {
        let parked = Arc::clone(&stores.parked);
        taking.spawn(async move { parked.take_due(at(20), 10).await });
    }
    let mut made = Vec::new();
    for answer in taking.join_all().await {
        made.extend(answer.expect("the store answers"));
    }
    assert_eq!(made.len(), 1, "one of them takes up what is due");
    let taken_up = named_by(&stores, made.pop()).await;
    due.retries = 1;
    due.retry_at = retry_delay(1).map(|delay| at(20).after(delay));
    last.retries = domain::failure::MAX_RETRIES_BY_ITSELF;
    last.retry_at = None;
    assert_eq!(taken_up, [due.clone(), last.clone()]);
    let list = stores.parked.list(&ALL, None, 2).await;
    assert_eq!(list, Ok(vec![due.clone(), last]));
    // Hourly from then on; no more than asked for at a time.
    let far = at(100_000);
    let one = taken(&stores, far, 1).await;
    assert_eq!(one.len(), 1);
    let other = taken(&stores, far, 10).await;
    assert_eq!(other.len(), 1);
    assert_ne!(one, other);
}

fn dismissal(seconds: i64) -> Dismissal {
    Dismissal {
        at: at(seconds),
        by: "ada@example.com".to_owned(),
        reason: "a \"test\" account".to_owned(),
    }
}

/// Whatever is asked for, alone and together, in pages too.
pub async fn parked_entries_are_listed_by_filter(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let parent = (ObjectKind::Account, id(ObjectKind::Account, 1));
    let mut all = Vec::new();
    for number in 0..36 {
        let object = if number % 2 == 0 {
            ObjectKind::Account
        } else {
            ObjectKind::Contact
        };
        let mut record = parked(object, number);
        if number % 3 == 0 {
            record.kind = FailureKind::ParentMissing;
        }
        record.parent = (number % 4 < 2).then_some(parent);
        record.job = (number % 5 > 0).then(|| job_id(JobKind::SyncAll, &(number % 5).to_string()));
        all.push(record);
    }
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    all.sort_by_key(key);
    for record in all.iter_mut().skip(9).step_by(2) {
        let found = stores.parked.dismiss(&[key(record)], &dismissal(9)).await;
        assert_eq!(found, Ok(1));
        record.dismissed = Some(dismissal(9));
    }
    for object in [
        None,
        Some(ObjectKind::Account),
        Some(ObjectKind::Opportunity),
    ] {
        for kind in [None, Some(FailureKind::ParentMissing)] {
            for parent in [None, Some(parent)] {
                for job in [None, Some(job_id(JobKind::SyncAll, "2"))] {
                    for dismissed in [None, Some(true), Some(false)] {
                        let filter = ParkedFilter {
                            object,
                            kind,
                            parent,
                            job: job.clone(),
                            dismissed,
                        };
                        let mut expected = all.clone();
                        expected.retain(|record| filter.matches(record));
                        let mut seen = Vec::new();
                        let mut after = None;
                        loop {
                            let page = stores.parked.list(&filter, after, 4).await;
                            let page = page.expect("a page");
                            assert!(page.len() <= 4);
                            let Some(last) = page.last() else { break };
                            after = Some(key(last));
                            seen.extend(page);
                            assert!(seen.len() <= all.len(), "a page begins after the last");
                        }
                        assert_eq!(seen, expected, "{filter:?}");
                    }
                }
            }
        }
    }
}

/// Taking up and its retry job are one step: the job names what was taken up, and is queued.
pub async fn parked_entries_taken_up_have_a_job(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut records = BTreeSet::new();
    for number in 1..=3 {
        let mut due = parked(ObjectKind::Account, number);
        due.retry_at = Some(at(i64::from(number)));
        assert_eq!(stores.parked.park(&[due.clone()]).await, Ok(()));
        records.insert(key(&due));
    }
    let job = stores.parked.take_due(at(10), 10).await;
    let job = job.expect("the store answers").expect("a job");
    harness.restart().await;
    let stores = harness.stores().await;
    assert_eq!(get(&stores, &job.id).await, job);
    assert_eq!(job.kind, JobKind::Retry);
    assert_eq!(job.salesforce, SalesforceStatus::Queued);
    assert_eq!(job.requested, at(10));
    assert_eq!(job.scope, JobScope::Records { records });
    assert_eq!(stores.parked.take_due(at(10), 10).await, Ok(None));
    // The same records, due again at the same time, get another job.
    let account = parked(ObjectKind::Account, 1);
    assert_eq!(stores.parked.retry(&[key(&account)], at(10)).await, Ok(1));
    let first = stores.parked.take_due(at(10), 10).await.expect("an answer");
    assert_eq!(stores.parked.retry(&[key(&account)], at(10)).await, Ok(1));
    let second = stores.parked.take_due(at(10), 10).await.expect("an answer");
    assert!(first.is_some() && second.is_some());
    assert_ne!(first.map(|job| job.id), second.map(|job| job.id));
    assert_eq!(stores.jobs.list(10).await.expect("jobs").len(), 3);
}

/// What a person wants tried again is due now, once, also when it waited for a person or was
/// dismissed; its parent still releases it.
pub async fn parked_entries_are_retried_when_asked(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let parent = parked(ObjectKind::Account, 9);
    let (mut person, mut given_up, mut child) = (
        parked(ObjectKind::Account, 1),
        parked(ObjectKind::Account, 2),
        parked(ObjectKind::Contact, 1),
    );
    child.parent = Some(key(&parent));
    child.retry_at = Some(at(5_000));
    let other = parked(ObjectKind::Contact, 2);
    let all = [
        person.clone(),
        given_up.clone(),
        child.clone(),
        other.clone(),
    ];
    assert_eq!(stores.parked.park(&all).await, Ok(()));
    let dismissed = stores
        .parked
        .dismiss(&[key(&given_up)], &dismissal(9))
        .await;
    assert_eq!(dismissed, Ok(1));
    let unknown = (ObjectKind::User, id(ObjectKind::User, 9));
    let wanted = [
        key(&person),
        key(&given_up),
        key(&child),
        unknown,
        key(&child),
    ];
    for _ in 0..2 {
        assert_eq!(stores.parked.retry(&wanted, at(20)).await, Ok(3));
    }
    assert_eq!(
        stores.parked.counts().await,
        Ok(BTreeMap::from([(person.kind, 4)]))
    );
    assert_eq!(stores.parked.take_due(at(19), 10).await, Ok(None));
    for record in [&mut person, &mut given_up, &mut child] {
        record.retries = 1;
        record.retry_at = retry_delay(1).map(|delay| at(20).after(delay));
    }
    let taken_up = taken(&stores, at(20), 10).await;
    assert_eq!(taken_up, [person, given_up, child]);
    assert_eq!(stores.parked.take_due(at(20), 10).await, Ok(None));
    let released = stores
        .parked
        .accepted(&[key(&parent)], parent.version, at(21))
        .await;
    assert_eq!(released, Ok(1));
    assert_eq!(stores.parked.retry(&[], at(21)).await, Ok(0));
}

/// A dismissed entry stays, is not open and never due, whatever failed again under the same
/// version; a newer version opens it, an acceptance clears it.
pub async fn parked_entries_are_dismissed_until_something_new(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let mut busy = parked(ObjectKind::Account, 1);
    busy.kind = FailureKind::RetryLater;
    busy.retry_at = Some(at(10));
    let other = parked(ObjectKind::Account, 2);
    assert_eq!(
        stores.parked.park(&[busy.clone(), other.clone()]).await,
        Ok(())
    );
    let unknown = (ObjectKind::User, id(ObjectKind::User, 9));
    for seconds in [7, 8] {
        let records = [key(&busy), unknown, key(&busy)];
        let found = stores.parked.dismiss(&records, &dismissal(seconds)).await;
        assert_eq!(found, Ok(1));
    }
    // Under the same version it stays dismissed.
    let mut again = busy.clone();
    again.message = "busy again".to_owned();
    assert_eq!(stores.parked.park(&[again.clone()]).await, Ok(()));
    harness.restart().await;
    let stores = harness.stores().await;
    again.dismissed = Some(dismissal(8));
    again.retry_at = None;
    let list = stores.parked.list(&ALL, None, 10).await;
    assert_eq!(list, Ok(vec![again, other.clone()]));
    let open = |busy: Option<u64>| {
        let mut open = BTreeMap::from([(FailureKind::InvalidField, 1)]);
        open.extend(busy.map(|records| (FailureKind::RetryLater, records)));
        Ok(open)
    };
    assert_eq!(stores.parked.counts().await, open(None));
    assert_eq!(stores.parked.take_due(at(90_000), 10).await, Ok(None));
    let mut newer = busy.clone();
    newer.version = Version::at(at(6));
    assert_eq!(stores.parked.park(&[newer.clone()]).await, Ok(()));
    assert_eq!(stores.parked.counts().await, open(Some(1)));
    let list = stores.parked.list(&ALL, None, 10).await;
    assert_eq!(list, Ok(vec![newer.clone(), other.clone()]));
    assert_eq!(taken(&stores, at(10), 10).await.len(), 1);
    let found = stores.parked.dismiss(&[key(&newer)], &dismissal(9)).await;
    assert_eq!(found, Ok(1));
    let accepted = stores
        .parked
        .accepted(&[key(&newer)], newer.version, at(11))
        .await;
    assert_eq!(accepted, Ok(0));
    assert_eq!(stores.parked.counts().await, open(None));
    assert_eq!(parked_ids(&stores).await, [key(&other)]);
}

/// A dismissed child is not taken up because its parent has arrived; once it is open again, it is.
pub async fn parked_children_that_are_dismissed_stay(harness: &dyn StoreHarness) {
    let stores = harness.stores().await;
    let parent = parked(ObjectKind::Account, 1);
    let (mut one, mut two) = (
        parked(ObjectKind::Contact, 1),
        parked(ObjectKind::Contact, 2),
    );
    for child in [&mut one, &mut two] {
        child.parent = Some(key(&parent));
    }
    assert_eq!(
        stores.parked.park(&[one.clone(), two.clone()]).await,
        Ok(())
    );
    let dismissed = stores.parked.dismiss(&[key(&one)], &dismissal(9)).await;
    assert_eq!(dismissed, Ok(1));
    let arrived = async |now| {
        let records = [key(&parent)];
        stores.parked.accepted(&records, parent.version, now).await
    };
    assert_eq!(arrived(at(10)).await, Ok(1));
    let due = taken(&stores, at(10), 10).await;
    assert_eq!(due.iter().map(key).collect::<Vec<_>>(), [key(&two)]);
    one.version = Version::at(at(6));
    assert_eq!(stores.parked.park(&[one]).await, Ok(()));
    assert_eq!(arrived(at(11)).await, Ok(1));
}
