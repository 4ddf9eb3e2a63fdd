//! How long a preview takes of an org with many opportunities, over HTTP:
//!
//!     cargo bench -p operators --bench preview [-- OPPORTUNITIES]
//!
//! The stand-in org runs in this process too. It fails when a preview takes longer than the bar.
#![expect(clippy::print_stdout, reason = "the figures are for a person")]
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use console::Operations;
use console::views::{PreviewedSearch, SaveSettings};
use domain::permission::{Grant, PermissionSnapshot};
use domain::rule::Effect;
use domain::{SalesforceId, Timestamp};
use embedded::{Embedded, Location};
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::server::{Options, Running, serve, system_clock};
use futures::StreamExt as _;
use ports::Clock as _;
use runtime::time::SystemClock;
use serde_json::{Value, json};
use tokio::time::Instant;

const OPPORTUNITIES: usize = 100_000;
/// What a preview of so many must stay under.
const BAR: Duration = Duration::from_secs(5);
const USERS: usize = 600;
/// With permission; more than one statement can name.
const HOLDERS: usize = 500;
const ACCOUNTS: usize = 1_000;
const TRANSACTION: usize = 10_000;
const STAGES: [&str; 4] = ["Prospecting", "Qualification", "Closed Won", "Closed Lost"];

fn main() -> anyhow::Result<()> {
    let opportunities = std::env::args().find_map(|word| word.parse().ok());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(opportunities.unwrap_or(OPPORTUNITIES)))
}

async fn run(opportunities: usize) -> anyhow::Result<()> {
    let org = Org::new(system_clock(), 1);
    let begun = Instant::now();
    let users = fill(&org, opportunities)?;
    println!(
        "{opportunities} opportunities made in {:.1?}",
        begun.elapsed()
    );
    let accounts = org.records("Account");
    let account = accounts.first().context("no account")?.id().to_owned();
    let options = Options::default();
    let keys = (options.client_id.clone(), options.client_secret.clone());
    let running = serve(options, org).await?;
    let operations = operations(&running, keys, &users).await?;
    let condition = |field: &str, operator: &str, value: &str| json!({ "conditions": [{"field": field, "operator": operator, "values": [value]}] });
    let mapping = json!([{"object": "Opportunity", "mos_field": "next_step",
        "salesforce_field": "Name", "active": true}]);
    let mut slowest = Duration::ZERO;
    for (what, settings) in [
        (
            "a filter that leaves half out",
            json!({ "filter": condition("Amount", "greater_than", "500000") }),
        ),
        ("closed ones too", json!({ "sync_closed": true })),
        (
            "a mapping, and closed ones too",
            json!({ "sync_closed": true, "mapping": mapping }),
        ),
        (
            "a filter that SOQL cannot say, closed ones too",
            json!({ "sync_closed": true, "filter": condition("AccountId", "starts_with", &account) }),
        ),
    ] {
        slowest = slowest.max(measure(&running, &operations, what, settings).await?);
    }
    running.stop().await;
    if opportunities > OPPORTUNITIES {
        println!("no bar is set for so many");
        return Ok(());
    }
    let is_met = slowest < BAR;
    println!(
        "every preview under {BAR:?}: {}, the longest took {slowest:.2?}",
        if is_met { "met" } else { "missed" }
    );
    ensure!(is_met, "a preview took {slowest:.2?}");
    Ok(())
}

/// How long the preview took.
async fn measure(
    running: &Running,
    operations: &Operations,
    what: &str,
    settings: Value,
) -> anyhow::Result<Duration> {
    let asked: SaveSettings = serde_json::from_value(json!({ "settings": settings }))?;
    let (calls, begun) = (running.api_calls(), Instant::now());
    let view = operations.preview_settings(&asked).await?;
    let (took, calls) = (begun.elapsed(), running.api_calls() - calls);
    let told = Effect::ALL.map(|effect| {
        let told = view.effect(effect);
        let count = told.count.unwrap_or_default();
        format!("{} {count} (exact {})", effect.name(), told.exact)
    });
    println!("{what}: {took:.2?}, {calls} API calls: {}", told.join(", "));
    let begun = Instant::now();
    let lines = operations.all_previewed(&view.id, &PreviewedSearch::default())?;
    let mut lines = std::pin::pin!(lines);
    let mut listed = 0;
    while let Some(page) = lines.next().await {
        listed += page?.len();
    }
    println!("    {listed} listed in {:.2?}", begun.elapsed());
    let counted: u64 = Effect::ALL
        .into_iter()
        .filter_map(|effect| view.effect(effect).count)
        .sum();
    ensure!(u64::try_from(listed)? == counted, "the list is another");
    Ok(took)
}

/// On stores that know who holds permission, and an org over HTTP.
async fn operations(
    running: &Running,
    (client_id, client_secret): (String, String),
    users: &[String],
) -> anyhow::Result<Operations> {
    let clock = Arc::new(SystemClock);
    let config = salesforce::Config {
        login_url: running.instance_url().parse()?,
        api_version: salesforce::config::API_VERSION.to_owned(),
        grant: salesforce::Grant::ClientCredentials {
            client_id,
            client_secret: client_secret.into(),
        },
        pubsub_endpoint: format!("http://{}", running.grpc).parse()?,
        watchdog: salesforce::config::WATCHDOG,
        request_timeout: salesforce::config::REQUEST_TIMEOUT,
        plaintext_allowed: false,
    };
    let source = salesforce::connect(config, Arc::<SystemClock>::clone(&clock))?;
    let embedded = Embedded::open(Location::Memory, Arc::<SystemClock>::clone(&clock))?;
    let stores = embedded.stores();
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: None,
        expires: None::<Timestamp>,
    };
    let holders = users.iter().take(HOLDERS);
    let holders = holders.map(|user| Ok((SalesforceId::parse(user)?, [grant.clone()].into())));
    let snapshot = PermissionSnapshot {
        number: 1,
        taken: clock.now(),
        holders: holders.collect::<anyhow::Result<_>>()?,
        ..PermissionSnapshot::default()
    };
    stores.permissions.store(&snapshot, None).await?;
    Ok(Operations::new(
        stores,
        embedded.queue(),
        clock,
        Arc::new(source),
        "/data/ChangeEvents",
    ))
}

/// Users, whose ids are answered, accounts and opportunities.
fn fill(org: &Org, opportunities: usize) -> anyhow::Result<Vec<String>> {
    let users = (0..USERS).map(|number| {
        let name = format!("user{number}@example.com");
        json!({"LastName": name, "Username": name, "Email": name})
    });
    let users = insert(org, "User", users)?;
    let accounts = (0..ACCOUNTS).map(|number| json!({"Name": format!("Acme {number}")}));
    let accounts = insert(org, "Account", accounts)?;
    for start in (0..opportunities).step_by(TRANSACTION) {
        let numbers = start..opportunities.min(start + TRANSACTION);
        let made = numbers.map(|number| {
            json!({
                "Name": format!("New licences {number}"),
                "AccountId": accounts.get(number % ACCOUNTS),
                "OwnerId": users.get(number % USERS),
                "StageName": STAGES.get(number / 7 % STAGES.len()),
                "Amount": number * 7919 % 1_000_000,
                "CloseDate": "2026-07-01",
                "Description": "Line one\nline 'two'",
            })
        });
        insert(org, "Opportunity", made)?;
    }
    Ok(users)
}

fn insert(
    org: &Org,
    entity: &str,
    rows: impl Iterator<Item = Value>,
) -> anyhow::Result<Vec<String>> {
    let rows = rows.map(|row| Dml::Insert {
        entity: entity.to_owned(),
        fields: row.as_object().cloned().unwrap_or_default(),
    });
    let made = org.transact(org.admin_id(), "", rows.collect())?;
    Ok(made.into_iter().filter_map(|made| made.id).collect())
}
