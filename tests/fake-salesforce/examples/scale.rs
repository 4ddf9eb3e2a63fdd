//! Measures a generated org: seconds to make it, memory for each record, time of the queries that a
//! bulk reader sends. Nothing passes or fails.
//!
//! ```text
//! cargo run --release -p fake-salesforce --example scale -- 200000
//! ```
use fake_salesforce::org::Org;
use fake_salesforce::server::system_clock;
use tokio::time::Instant;

const OBJECTS: [&str; 4] = [
    "Account",
    "Contact",
    "Opportunity",
    "OpportunityContactRole",
];

#[expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement for the person who started it"
)]
fn main() {
    let opportunities = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let org = Org::new(system_clock(), 1);
    let before = resident_bytes();
    let start = Instant::now();
    org.generate(opportunities.unwrap_or(10_000), 1);
    let seconds = start.elapsed().as_secs_f64();
    let count = |entity: &str| {
        let soql = format!("SELECT COUNT() FROM {entity}");
        let rows = org.query(&soql, false).unwrap_or_default();
        let first = rows.first().and_then(|row| row.get("expr0"));
        first
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default()
    };
    let records: u64 = OBJECTS.iter().map(|entity| count(entity)).sum();
    let bytes = resident_bytes().saturating_sub(before);
    println!("{records} records in {seconds:.1} s");
    println!(
        "{:.0} MB, {:.0} bytes a record",
        bytes as f64 / 1e6,
        bytes as f64 / records.max(1) as f64
    );
    for soql in statements(&org) {
        let start = Instant::now();
        let rows = org.query(&soql, false).map_or(0, |rows| rows.len());
        let shown: String = soql.chars().take(110).collect();
        println!(
            "{:>10.2} ms  {rows:>7} rows  {shown}",
            start.elapsed().as_secs_f64() * 1e3
        );
    }
}

fn statements(org: &Org) -> Vec<String> {
    let ids = |soql: &str| -> Vec<String> {
        let rows = org.query(soql, false).unwrap_or_default();
        let ids = rows.iter().filter_map(|row| row.get("Id")?.as_str());
        ids.map(|id| format!("'{id}'")).collect()
    };
    let accounts = ids("SELECT Id FROM Account ORDER BY Id LIMIT 200").join(",");
    let owners = ids("SELECT Id FROM User WHERE IsActive = true LIMIT 15").join(",");
    let middle = ids("SELECT Id FROM Opportunity ORDER BY Id LIMIT 5000");
    let middle = middle.last().cloned().unwrap_or_default();
    let won = "SELECT AccountId FROM Opportunity WHERE IsWon = true";
    vec![
        format!("SELECT Id, Name, StageName, Amount FROM Opportunity WHERE AccountId IN ({accounts})"),
        format!("SELECT Id FROM Opportunity WHERE OwnerId IN ({owners}) AND Id > {middle} ORDER BY Id LIMIT 2000"),
        format!("SELECT Id FROM Opportunity WHERE Id > {middle} ORDER BY Id LIMIT 2000"),
        format!("SELECT Id FROM Account WHERE Id IN ({won}) ORDER BY Id LIMIT 2000"),
        format!("SELECT COUNT() FROM Account WHERE Id IN ({won})"),
        format!("SELECT COUNT() FROM Account WHERE Id NOT IN ({won})"),
        format!("SELECT COUNT() FROM Contact WHERE Id IN (SELECT ContactId FROM OpportunityContactRole WHERE Opportunity.StageName = 'Closed Won' AND Opportunity.OwnerId IN ({owners}))"),
        format!("SELECT COUNT() FROM Opportunity WHERE Account.Industry = 'Energy' AND OwnerId IN ({owners})"),
        "SELECT StageName, COUNT(Id), SUM(Amount) FROM Opportunity GROUP BY StageName HAVING COUNT(Id) > 1 ORDER BY SUM(Amount)".to_owned(),
        "SELECT COUNT_DISTINCT(AccountId) FROM Opportunity".to_owned(),
        "SELECT Id, SystemModstamp FROM Opportunity WHERE SystemModstamp > 2020-01-01T00:00:00Z ORDER BY SystemModstamp, Id LIMIT 2000".to_owned(),
    ]
}

/// What the process holds of the machine's memory.
fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}
