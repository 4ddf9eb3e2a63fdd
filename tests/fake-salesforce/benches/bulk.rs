//! Rows a second of Bulk API 2.0 results, computed and served:
//!
//!     taskset -c 0 cargo bench -p fake-salesforce --bench bulk [-- ROWS]
//!
//! Everything runs in this one process, the client too; `taskset` keeps it on one core.
#![expect(clippy::print_stdout, reason = "the figures are for a person")]
use std::time::Duration;

use anyhow::{Context, ensure};
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::server::{
    DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, Options, Running, serve, system_clock,
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

const ROWS: usize = 1_000_000;
const ACCOUNTS: usize = 1000;
const TRANSACTION: usize = 10_000;
const PAGE: &str = "maxRecords=50000";
const JOBS: &str = "/services/data/v67.0/jobs/query";
/// Rows a second, at least.
const BAR: u128 = 100_000;
const SOQL: &str = "SELECT Id, Name, AccountId, OwnerId, StageName, Amount, Probability, CloseDate, Type, LeadSource, NextStep, Description, IsClosed, IsWon, ForecastCategoryName, CreatedDate, LastModifiedDate, SystemModstamp, Account.Name, Owner.Username FROM Opportunity";

fn main() -> anyhow::Result<()> {
    let rows = std::env::args().find_map(|word| word.parse().ok());
    let rows: usize = rows.unwrap_or(ROWS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(rows))
}

async fn run(rows: usize) -> anyhow::Result<()> {
    let org = Org::new(system_clock(), 1);
    let begun = Instant::now();
    fill(&org, rows)?;
    println!("{rows} opportunities made in {:.1?}", begun.elapsed());
    let bench = Bench::open(serve(Options::default(), org).await?).await?;
    let id = bench.compute(rows).await?;
    bench.read(&id, rows, "identity").await?;
    bench.read(&id, rows, "gzip").await?;
    bench.running.stop().await;
    Ok(())
}

fn fill(org: &Org, rows: usize) -> anyhow::Result<()> {
    let accounts =
        (0..ACCOUNTS).map(|number| insert("Account", json!({"Name": format!("Acme {number}")})));
    let accounts = org.transact(org.admin_id(), "", accounts.collect())?;
    let accounts: Vec<String> = accounts.into_iter().filter_map(|made| made.id).collect();
    for start in (0..rows).step_by(TRANSACTION) {
        let numbers = start..rows.min(start + TRANSACTION);
        let opportunities = numbers.map(|number| {
            insert(
                "Opportunity",
                json!({
                    "Name": format!("New licences \"Gold\" {number}"),
                    "AccountId": accounts.get(number % ACCOUNTS),
                    "StageName": "Proposal/Price Quote",
                    "Amount": number * 25,
                    "CloseDate": "2026-07-01",
                    "Type": "New Customer",
                    "LeadSource": "Partner Referral",
                    "NextStep": "Call back, \"soon\"",
                    "Description": "Line one\nline 'two'",
                }),
            )
        });
        org.transact(org.admin_id(), "", opportunities.collect())?;
    }
    Ok(())
}

fn insert(entity: &str, fields: Value) -> Dml {
    Dml::Insert {
        entity: entity.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

struct Bench {
    running: Running,
    client: Client,
    token: String,
}

impl Bench {
    async fn open(running: Running) -> anyhow::Result<Self> {
        let client = Client::builder().build()?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", DEFAULT_CLIENT_ID),
            ("client_secret", DEFAULT_CLIENT_SECRET),
        ];
        let url = format!("{}/services/oauth2/token", running.instance_url());
        let answer: Value = client.post(url).form(&form).send().await?.json().await?;
        let token = answer
            .get("access_token")
            .and_then(Value::as_str)
            .context("no token")?;
        Ok(Bench {
            token: token.to_owned(),
            running,
            client,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{JOBS}{path}", self.running.instance_url())
    }

    async fn compute(&self, rows: usize) -> anyhow::Result<String> {
        let body = json!({"operation": "query", "query": SOQL});
        let request = self.client.post(self.url("")).bearer_auth(&self.token);
        let job: Value = request.json(&body).send().await?.json().await?;
        let id = job
            .get("id")
            .and_then(Value::as_str)
            .context("no job")?
            .to_owned();
        let path = self.url(&format!("/{id}"));
        loop {
            let request = self.client.get(&path).bearer_auth(&self.token);
            let job: Value = request.send().await?.json().await?;
            let state = job.get("state").and_then(Value::as_str);
            if state == Some("JobComplete") {
                let took = job
                    .get("totalProcessingTime")
                    .and_then(Value::as_u64)
                    .context("no time")?;
                print_rate("computed", rows, Duration::from_millis(took));
                return Ok(id);
            }
            ensure!(state != Some("Failed"), "the job failed: {job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn read(&self, id: &str, rows: usize, encoding: &str) -> anyhow::Result<()> {
        let begun = Instant::now();
        let (mut bytes, mut found, mut locator) = (0, 0, None);
        loop {
            let place = locator.map(|locator| format!("&locator={locator}"));
            let path = format!("/{id}/results?{PAGE}{}", place.unwrap_or_default());
            let request = self.client.get(self.url(&path)).bearer_auth(&self.token);
            let request = request.header("accept-encoding", encoding);
            let mut response = request.send().await?.error_for_status()?;
            let header = |name: &str| {
                let value = response.headers().get(name);
                value
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned)
            };
            let number: usize = header("sforce-numberofrecords")
                .context("no number")?
                .parse()?;
            let next = header("sforce-locator").context("no locator")?;
            while let Some(piece) = response.chunk().await? {
                bytes += piece.len();
            }
            found += number;
            if next == "null" {
                break;
            }
            locator = Some(next);
        }
        ensure!(found == rows, "{found} rows came of {rows}");
        print_rate(&format!("served ({encoding})"), rows, begun.elapsed());
        println!("  {} bytes a row", bytes / rows.max(1));
        Ok(())
    }
}

fn print_rate(what: &str, rows: usize, took: Duration) {
    let rate = u128::try_from(rows).unwrap_or_default() * 1000 / took.as_millis().max(1);
    let bar = if rate >= BAR { "met" } else { "MISSED" };
    println!("{what}: {rows} rows in {took:.2?}, {rate} rows/s (at least {BAR}: {bar})");
}
