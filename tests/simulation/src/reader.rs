//! The snapshot reader by itself: a listener, an org, and somebody who counts every unit that it
//! publishes. Salesforce breaks its promises here in ways that scripts leave out.

#![expect(
    clippy::large_futures,
    reason = "the size of a listener matters to nobody here"
)]

mod bench;
mod breaching;
mod chunks;
mod heavy;
mod held;
mod kills;
mod lost;
mod nameless;
mod position;
mod promises;
mod retries;
mod semi_joins;
mod window;

use std::time::Duration;

use domain::job::{Statement, Way};
use domain::permission::Grant;
use domain::{ObjectKind, SalesforceId};
use ports::Clock;

use bench::{Bench, started};

#[tokio::test(start_paused = true)]
async fn a_full_load_reads_everything_by_either_way() {
    for bulk_from in [0, 10, 10_000] {
        let bench = Bench::new(1, bulk_from).await;
        let _counting = bench.counts_all_but(&[]);
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        bench.is_complete(&job, false).await;
        let plan = bench.plan(&job).await;
        // Parents first.
        let objects = |phase: &Vec<Statement>| {
            let objects = phase.iter().map(|statement| statement.object);
            objects.collect::<Vec<_>>()
        };
        assert_eq!(
            plan.phases.iter().map(objects).collect::<Vec<_>>(),
            [
                vec![ObjectKind::User, ObjectKind::Account],
                vec![ObjectKind::Contact],
                vec![ObjectKind::Opportunity],
                vec![ObjectKind::OpportunityContactRole],
            ]
        );
        for statement in plan.phases.iter().flatten() {
            let bulk = statement.total.unwrap() > bulk_from;
            assert_eq!(statement.way == Way::Bulk, bulk);
        }
        let asked = bench.source.created.lock().unwrap().len();
        assert_eq!(
            asked,
            [5, 2, 0][[0, 10, 10_000]
                .iter()
                .position(|from| *from == bulk_from)
                .unwrap()]
        );
        listener.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_phase_waits_until_the_one_before_is_counted() {
    let bench = Bench::new(2, 0).await;
    let listener = started(bench.listener());
    let waits = bench
        .until("the first phase is published", |job| {
            job.progress.statement == 2
        })
        .await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let still = bench.job().await.unwrap();
    assert_eq!(still.progress, waits.progress);
    assert_eq!((still.progress.phase, still.units), (0, 2));
    let _counting = bench.counts_all_but(&[]);
    let job = bench.until_over().await;
    bench.is_complete(&job, false).await;
    listener.abort();
}

#[tokio::test(start_paused = true)]
async fn owners_whose_permission_has_run_out_are_not_read() {
    let bench = Bench::new(18, 10).await;
    let permissions = &bench.stores.permissions;
    let mut snapshot = permissions.latest().await.unwrap();
    let [owner] = snapshot.holders.keys().copied().collect::<Vec<_>>()[..] else {
        panic!("one holder")
    };
    let over = Grant {
        permission_set: "mOS_User".to_owned(),
        group: None,
        expires: Some(bench.clock.now().before(Duration::from_secs(1))),
    };
    let former = SalesforceId::parse(bench.org.admin_id()).unwrap();
    snapshot.holders.insert(former, [over].into());
    snapshot.number += 1;
    permissions.store(&snapshot, None).await.unwrap();
    let _counting = bench.counts_all_but(&[]);
    let listener = started(bench.listener());
    let job = bench.until_over().await;
    let plan = bench.plan(&job).await;
    for statement in plan.phases.iter().flatten() {
        assert_eq!(statement.owners, Some([owner].into()), "{statement:?}");
    }
    listener.abort();
}
