//! What became of the records, each idempotency key counted once; and the ledger's file.

use fake_mos::{Fault, Mos, RecordType, RejectCode};
use serde_json::json;

use crate::desk::*;
use crate::doors::Door;

#[test]
fn a_request_and_its_repetitions_count_once() {
    let desk = Desk::new();
    let body = json!({ "records": [owner(1), role(1)] }).to_string();
    let lost = Fault::ApplyThenLoseAnswer { count: Some(1) };
    desk.mos.fault(lost).unwrap();
    desk.mos.handle_upsert(Some("k"), body.as_bytes());
    let tallies = desk.mos.outcomes();
    assert_eq!(
        (tallies.keys, tallies.applied.0[&RecordType::User].created),
        (1, 1)
    );
    // The caller knows nothing of it yet.
    assert_eq!(tallies.delivered.0[&RecordType::User].created, 0);
    for _ in 0..3 {
        desk.mos.handle_upsert(Some("k"), body.as_bytes());
    }
    let tallies = desk.mos.outcomes();
    assert_eq!(tallies.keys, 1);
    assert_eq!(tallies.delivered, tallies.applied);
    assert_eq!(tallies.applied.0[&RecordType::User].created, 1);
    let roles = &tallies.applied.0[&RecordType::ContactRole];
    assert_eq!(roles.rejected[&RejectCode::ParentMissing], 1);
    assert_eq!(roles.total(), 1);

    // Another key is another answer; a refused request is none.
    desk.one(&owner(1));
    desk.one(&owner(2));
    desk.send_raw("nonsense");
    let status = Fault::Status {
        status: 503,
        retry_after_s: None,
        count: Some(1),
    };
    desk.mos.fault(status).unwrap();
    desk.send(&[owner(3)]);
    let users = desk.mos.outcomes().applied.0[&RecordType::User].clone();
    assert_eq!((users.created, users.unchanged, users.total()), (1, 2, 3));
}

#[test]
fn the_ledger_is_a_file_of_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mos = Mos::new_in(fake_mos::system_clock(), "key", Some(folder.path())).unwrap();
    for number in 0..20_u64 {
        let body = json!({ "records": [owner(number)] }).to_string();
        mos.handle_upsert(Some(&format!("k{number}")), body.as_bytes());
    }
    let text = std::fs::read_to_string(folder.path().join("ledger.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 20);
    let page = mos.ledger_page(5, 3);
    let indexes: Vec<u64> = page.iter().map(|entry| entry.index).collect();
    assert_eq!(indexes, [6, 7, 8]);
    assert!(page[0].records[0].fields.get().contains('{'));
    assert_eq!((mos.ledger_len(), mos.ledger_since(18).len()), (20, 2));
}

#[tokio::test]
async fn outcomes_and_pages_of_the_ledger_are_read_over_http() {
    let door = Door::open().await;
    for number in 1..=3_u64 {
        let body = json!({ "records": [owner(number)] }).to_string();
        let key = format!("k{number}");
        assert_eq!(door.upsert(&key, body).send().await.unwrap().status(), 200);
    }
    let outcomes = door.get_json("/admin/outcomes").await;
    assert_eq!(outcomes["keys"], 3);
    assert_eq!(outcomes["applied"], outcomes["delivered"]);
    let users = &outcomes["applied"]["user"];
    assert_eq!(
        users,
        &json!({"created": 1, "updated": 0, "unchanged": 2, "stale": 0, "skipped": 0, "rejected": {}})
    );
    let page = door.get_json("/admin/ledger?after=1&limit=1").await;
    assert_eq!(page["entries"].as_array().unwrap().len(), 1);
    assert_eq!(page["entries"][0]["index"], 2);
    let none = door.get_json("/admin/ledger?after=9").await;
    assert_eq!(none["entries"], json!([]));
}
