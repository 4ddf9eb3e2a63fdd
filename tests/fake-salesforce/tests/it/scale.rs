//! A generated org of some size: what must come from an index does not come from a scan.
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fake_salesforce::org::Org;
use serde_json::{Value, json};

use crate::common::{org, update};

fn names(org: &Org, soql: &str, column: &str) -> Vec<String> {
    let rows = org.query(soql, false).unwrap();
    let texts = rows
        .iter()
        .map(|row| row[column].as_str().unwrap().to_owned());
    texts.collect()
}

/// Pages of a keyset query, as a bulk reader without Bulk API asks for them.
fn pages(org: &Org, condition: &str, entity: &str, size: usize) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().cloned().unwrap_or_default();
        let keyset = if after.is_empty() {
            String::new()
        } else {
            format!(" AND Id > '{after}'")
        };
        let soql =
            format!("SELECT Id FROM {entity} WHERE {condition}{keyset} ORDER BY Id LIMIT {size}");
        let page = names(org, &soql, "Id");
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

#[test]
fn joins_and_pages_agree_with_plain_scans() {
    let (org, _) = org();
    // Beyond 5,000 records a sub-select is not carried out but asked for each id.
    org.generate(6_000, 5);
    let deals = org.records("Opportunity");
    let won: Vec<_> = deals.iter().filter(|deal| deal.flag("IsWon")).collect();
    let accounts: BTreeSet<String> = won
        .iter()
        .filter_map(|deal| deal.text("AccountId").map(str::to_owned))
        .collect();
    let joined = "Id IN (SELECT AccountId FROM Opportunity WHERE IsWon = true)";
    let by_join = pages(&org, joined, "Account", 100);
    assert_eq!(by_join, accounts.iter().cloned().collect::<Vec<_>>());
    let anti = "Id NOT IN (SELECT AccountId FROM Opportunity WHERE IsWon = true)";
    let others = pages(&org, anti, "Account", 400);
    assert_eq!(by_join.len() + others.len(), org.records("Account").len());

    let owners: Vec<&str> = deals
        .iter()
        .take(3)
        .filter_map(|deal| deal.text("OwnerId"))
        .collect();
    let list = owners
        .iter()
        .map(|id| format!("'{id}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let expected: Vec<String> = deals
        .iter()
        .filter(|deal| owners.contains(&deal.text("OwnerId").unwrap()))
        .map(|deal| deal.id().to_owned())
        .collect();
    let owned = format!("OwnerId IN ({list})");
    assert_eq!(pages(&org, &owned, "Opportunity", 70), expected);
    let contacts = format!(
        "Id IN (SELECT ContactId FROM OpportunityContactRole WHERE Opportunity.StageName = 'Closed Won' AND Opportunity.OwnerId IN ({list}))"
    );
    let wanted: BTreeSet<String> = org
        .records("OpportunityContactRole")
        .iter()
        .filter(|role| {
            let deal = org
                .record("Opportunity", role.text("OpportunityId").unwrap())
                .unwrap();
            deal.text("StageName") == Some("Closed Won")
                && owners.contains(&deal.text("OwnerId").unwrap())
        })
        .map(|role| role.text("ContactId").unwrap().to_owned())
        .collect();
    assert_eq!(
        pages(&org, &contacts, "Contact", 50),
        wanted.into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn a_poll_by_stamp_and_id_reads_every_record_once() {
    let (org, hands) = org();
    org.generate(500, 5);
    let deals: Vec<String> = org
        .records("Opportunity")
        .iter()
        .map(|deal| deal.id().to_owned())
        .collect();
    hands.forward_s(60);
    for deal in deals.iter().skip(100).take(30) {
        update(&org, "Opportunity", deal, json!({"NextStep": "again"}));
    }
    let (mut found, mut since) = (
        Vec::new(),
        String::from("SystemModstamp > 1999-01-01T00:00:00Z"),
    );
    loop {
        let soql = format!(
            "SELECT Id, SystemModstamp FROM Opportunity WHERE {since} ORDER BY SystemModstamp, Id LIMIT 40"
        );
        let rows = org.query(&soql, false).unwrap();
        let Some(last) = rows.last() else { break };
        let (stamp, id) = (
            last["SystemModstamp"].as_str().unwrap(),
            last["Id"].as_str().unwrap(),
        );
        since = format!("(SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > '{id}'))");
        found.extend(
            rows.iter()
                .map(|row| row["Id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(found.len(), deals.len());
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), deals.len());
    // What changed last comes last.
    assert_eq!(found[deals.len() - 30..], deals[100..130]);
}

#[test]
fn a_query_sees_one_moment_and_holds_up_nobody() {
    let (org, _) = org();
    org.generate(300, 5);
    let count = |soql: &str| org.query(soql, false).unwrap()[0]["expr0"].clone();
    let before = count("SELECT COUNT() FROM Opportunity");
    // A reader in the middle of its answer, played by a hook that runs while the writer waits.
    let seen = Arc::new(AtomicUsize::new(0));
    let hook = {
        let (org, seen) = (Arc::downgrade(&org), Arc::clone(&seen));
        Box::new(move |_: &Arc<fake_salesforce::commit::Commit>| {
            let org = org.upgrade().unwrap();
            let rows = org.query("SELECT Id FROM Opportunity", false).unwrap();
            seen.store(rows.len(), Ordering::SeqCst);
        })
    };
    org.on_commit(hook);
    crate::common::insert(
        &org,
        "Opportunity",
        json!({"Name": "One more", "StageName": "Prospecting", "CloseDate": "2026-07-01"}),
    );
    let after = count("SELECT COUNT() FROM Opportunity");
    assert_eq!(after.as_u64(), before.as_u64().map(|before| before + 1));
    assert_eq!(Some(seen.load(Ordering::SeqCst) as u64), after.as_u64());
}

#[test]
fn the_ledger_on_disk_gives_back_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, hands) = crate::common::standing_clock();
    let org = Org::new_in(clock, 7, Some(folder.path())).unwrap();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    org.on_commit(Box::new(move |commit| {
        hook.lock()
            .unwrap()
            .push(serde_json::to_value(&**commit).unwrap());
    }));
    let first = org.commits();
    org.generate(40, 3);
    let deal = org.records("Opportunity")[3].id().to_owned();
    hands.forward_s(5);
    update(
        &org,
        "Opportunity",
        &deal,
        json!({"Amount": 12.5, "NextStep": null, "Name": "Ünï"}),
    );
    let read: Vec<Value> = org
        .history(first, usize::MAX)
        .map(|commit| serde_json::to_value(&commit).unwrap())
        .collect();
    assert_eq!(read, *told.lock().unwrap());
    assert_eq!(org.history(first, 1).count(), 1);
    assert!(
        std::fs::metadata(folder.path().join("commits"))
            .unwrap()
            .len()
            > 10_000
    );
}
