//! `mosync demo`, small: an audit that is clean, and a report that has everything.

use std::path::Path;

use serde_json::Value;

use crate::servers;
use crate::world::mosync;

async fn demo(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let report = file.to_str().unwrap();
    let mut all = vec!["demo", "--headless", "--report", report];
    all.extend(arguments);
    let answer = mosync(&all).await;
    assert_eq!(answer.code, Some(0), "{}\n{}", answer.stdout, answer.stderr);
    assert!(
        answer
            .stdout
            .contains("audit: missing 0, stale 0, sent out of scope 0"),
        "{}",
        answer.stdout
    );
    // The first load is a sync-all, and both of its stages are shown.
    for words in [
        "Salesforce completed, mOS completed, 0 units on the way",
        " User: Salesforce ",
        " OpportunityContactRole: Salesforce ",
        " units; mOS read ",
    ] {
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for key in ["missing", "stale", "out_of_scope"] {
        assert_eq!(report[key], 0, "{report:#}");
    }
    assert!(report["changes"].as_u64().unwrap() > 0, "{report:#}");
    assert!(report["changes_per_second"].as_f64().unwrap() > 0.0);
    assert!(
        report["latency_ms"]["p50"].as_f64() > Some(0.0),
        "{report:#}"
    );
    assert!(report["latency_ms"]["p99"].as_f64() >= report["latency_ms"]["p50"].as_f64());
    assert!(report["peak_rss_mib"].as_f64().unwrap() > 1.0);
    assert!(report["salesforce_api_calls"].as_u64().unwrap() > 0);
    report
}

#[tokio::test]
async fn embedded() {
    let report = demo(&["--opportunities", "300", "--duration", "5", "--seed", "7"]).await;
    assert_eq!(report["adapters"], "embedded");
}

#[tokio::test]
async fn an_org_of_one_s_own() {
    let org = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/org");
    let org = org.to_str().unwrap();
    demo(&[
        "--load",
        org,
        "--duration",
        "3",
        "--changes-per-second",
        "20",
    ])
    .await;
}

#[tokio::test]
async fn on_servers_of_its_own() {
    // Two brokers at a time are too much for a small machine.
    let _alone = servers::take().await;
    let report = demo(&["--real", "--opportunities", "100", "--duration", "3"]).await;
    assert_eq!(report["adapters"], "RabbitMQ and Redis");
}
