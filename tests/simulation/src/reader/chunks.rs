//! More owners than a statement can name: several statements of an object, read as one.

use std::sync::atomic::Ordering;

use domain::job::{Job, MosStatus};
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId};
use serde_json::json;

use super::bench::{Bench, DEALS, started};
use crate::salesforce::{insert, insert_all};

/// Owners beside the one of the bench.
const OWNERS: usize = 900;

/// A bench with many owners more, a deal each, all of one account; the contact has a role on the
/// deals of the first and the last of all owners.
async fn crowded(bulk_from: u64) -> Bench {
    let bench = Bench::new(21, bulk_from).await;
    let org = &bench.org;
    let account = org.records("Account")[0].id().to_owned();
    let contact = org.records("Contact")[0].id().to_owned();
    let users = (0..OWNERS).map(|number| {
        let name = format!("owner{number}@example.com");
        json!({ "LastName": name, "Username": name, "Email": name })
    });
    let users = insert_all(org, "User", users);
    let deals = users.iter().map(|owner| {
        json!({ "Name": "one of many", "StageName": "Prospecting", "CloseDate": "2026-12-01",
            "OwnerId": owner, "AccountId": account })
    });
    let deals = insert_all(org, "Opportunity", deals);
    let last = deals.last().unwrap();
    let role = json!({ "OpportunityId": last, "ContactId": contact });
    insert(org, "OpportunityContactRole", &role);
    let permissions = &bench.stores.permissions;
    let mut snapshot = permissions.latest().await.unwrap();
    let grants = snapshot.holders.values().next().cloned().unwrap();
    let users = users.iter().map(|user| SalesforceId::parse(user).unwrap());
    snapshot
        .holders
        .extend(users.map(|user| (user, grants.clone())));
    snapshot.number += 1;
    permissions.store(&snapshot, None).await.unwrap();
    bench
}

/// Waits until the job is over. No object is said to be finished before all of it is read.
async fn until_over(bench: &Bench) -> Job {
    bench
        .until("it is never over", |job| {
            for (object, extracted) in &job.progress.objects {
                let total = extracted.total.unwrap_or_default();
                assert!(
                    extracted.finished.is_none() || extracted.read >= total,
                    "{object} is finished with {} of {total}",
                    extracted.read
                );
            }
            job.is_over()
        })
        .await
}

async fn statements_of(bench: &Bench, job: &Job, object: ObjectKind) -> u64 {
    let plan = bench.plan(job).await;
    let statements = plan.phases.iter().flatten();
    statements
        .filter(|statement| statement.object == object)
        .count() as u64
}

/// Every deal of every owner was published in exactly one unit, or, after a kill, in one at least.
fn deals_are_published(bench: &Bench, once: bool) {
    let published = bench.units.of_records();
    for deal in bench.org.records("Opportunity") {
        let id = SalesforceId::parse(deal.id()).unwrap();
        let times = published.get(&id).copied().unwrap_or_default();
        assert!(times == 1 || times > 1 && !once, "{id}: {times}");
    }
}

/// So much was read of each object, as was counted before, and all of it was counted.
fn read_as_counted(job: &Job, expected: [u64; 5]) {
    assert_eq!(
        job.outcome(),
        Some(MosStatus::Completed),
        "{:?}",
        job.failure()
    );
    for (object, rows) in ObjectKind::ALL.into_iter().zip(expected) {
        let extracted = &job.progress.objects[&object];
        assert_eq!(
            (extracted.total, extracted.read),
            (Some(rows), rows),
            "{object}"
        );
        for count in [Count::Read, Count::Created] {
            assert_eq!(job.tally.get(object, count), rows, "{object}");
        }
    }
}

const USERS: u64 = OWNERS as u64 + 1;
const ALL_DEALS: u64 = (OWNERS + DEALS) as u64;
const ROLES: u64 = DEALS.div_ceil(10) as u64 + 1;

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_in_several_statements_is_read_as_a_whole() {
    for bulk_from in [0, 10_000] {
        let bench = crowded(bulk_from).await;
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        let job = until_over(&bench).await;
        for object in ObjectKind::ALL {
            assert!(statements_of(&bench, &job, object).await >= 2, "{object}");
        }
        // The account belongs to deals of every statement, the contact to those of two.
        let accounts = statements_of(&bench, &job, ObjectKind::Account).await;
        read_as_counted(&job, [USERS, accounts, 2, ALL_DEALS, ROLES]);
        deals_are_published(&bench, true);
        assert_eq!(bench.units.faults(), Vec::<String>::new());
        listener.abort();
    }
}

/// At the first statement of an object, or after some of its statements were taken.
#[tokio::test(start_paused = true)]
async fn several_statements_whose_semi_joins_are_refused_are_replaced_together() {
    for taken in [0, 1] {
        let bench = crowded(0).await;
        bench.source.joins_taken.store(taken, Ordering::SeqCst);
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        let job = until_over(&bench).await;
        // All accounts and contacts, in a statement each; the users are named by their ids.
        assert_eq!(statements_of(&bench, &job, ObjectKind::Account).await, 1);
        assert!(statements_of(&bench, &job, ObjectKind::User).await >= 2);
        read_as_counted(&job, [USERS, 2, 1, ALL_DEALS, ROLES]);
        deals_are_published(&bench, true);
        listener.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_between_two_statements_of_an_object_loses_none_of_it() {
    for bulk_from in [0, 10_000] {
        let bench = crowded(bulk_from).await;
        let listener = started(bench.listener());
        let _counting = bench.counts_all_but(&[]);
        bench
            .until("the first statement is read", |job| {
                (job.progress.phase, job.progress.statement) == (2, 1)
            })
            .await;
        listener.abort();
        assert!(listener.await.unwrap_err().is_cancelled());
        let listener = started(bench.listener());
        let job = until_over(&bench).await;
        assert_eq!(
            job.outcome(),
            Some(MosStatus::Completed),
            "{:?}",
            job.failure()
        );
        deals_are_published(&bench, bulk_from == 0);
        assert_eq!(bench.units.faults(), Vec::<String>::new());
        listener.abort();
    }
}
