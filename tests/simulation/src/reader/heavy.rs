//! Rows with long texts: what the reader has in memory at a time is bounded by its weight.

use domain::ObjectKind;
use domain::job::MosStatus;
use domain::tally::Count;
use serde_json::json;

use super::bench::{Bench, DEALS, started};
use crate::salesforce::insert_all;

/// More than a unit may weigh, in fewer rows than a unit may have.
const TEXT: usize = 30_000;
const HEAVY_DEALS: usize = 900;
const MIB: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn long_texts_are_read_and_published_few_at_a_time() {
    for bulk_from in [0, 10_000] {
        let bench = Bench::new(23, bulk_from).await;
        let org = &bench.org;
        let owner = org.records("Opportunity")[0]
            .text("OwnerId")
            .unwrap()
            .to_owned();
        let deals = (0..HEAVY_DEALS).map(|number| {
            json!({ "Name": format!("heavy {number}"), "StageName": "Prospecting",
                "CloseDate": "2026-12-01", "OwnerId": owner, "Description": "x".repeat(TEXT) })
        });
        insert_all(org, "Opportunity", deals);
        let _counting = bench.counts_all_but(&[]);
        let listener = started(bench.listener());
        let job = bench.until_over().await;
        assert_eq!(job.outcome(), Some(MosStatus::Completed));
        let read = job.tally.get(ObjectKind::Opportunity, Count::Read);
        assert_eq!(read, (DEALS + HEAVY_DEALS) as u64);
        let published = bench.units.heaviest();
        assert!(published > MIB && published < 7 * MIB, "{published}");
        // The first rows are small, and those of the next page are not.
        let answers = bench.source.answers.lock().unwrap().clone();
        let heavy = answers.iter().filter(|answer| **answer > 5 * MIB);
        assert!(heavy.count() <= 1, "{answers:?}");
        assert!(answers.iter().all(|answer| *answer < 13 * MIB));
        assert_eq!(bench.units.faults(), Vec::<String>::new());
        listener.abort();
    }
}
