//! The org's profile and the types of a filter's fields, read over the wire.

use std::sync::Arc;

use domain::filter::{Condition, Filter, Operator};
use domain::org::DatedRate;
use fake_salesforce::server::{self, Options};
use fake_salesforce::setup_org::OrgCurrencies;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use runtime::time::SystemClock;
use salesforce::{Config, Grant, Salesforce};
use serde_json::json;

use crate::org::{Filled, empty};

/// A client of the org, and the server, which ends with it.
async fn client(org: Arc<fake_salesforce::org::Org>) -> (server::Running, Salesforce) {
    let options = Options::default();
    let (client_id, client_secret) = (options.client_id.clone(), options.client_secret.clone());
    let running = server::serve(options, org).await.unwrap();
    let config = Config {
        login_url: running.instance_url().parse().unwrap(),
        api_version: salesforce::config::API_VERSION.to_owned(),
        grant: Grant::ClientCredentials {
            client_id,
            client_secret: client_secret.into(),
        },
        pubsub_endpoint: format!("http://{}", running.grpc).parse().unwrap(),
        watchdog: salesforce::config::WATCHDOG,
        request_timeout: salesforce::config::REQUEST_TIMEOUT,
        plaintext_allowed: false,
    };
    (
        running,
        salesforce::connect(config, Arc::new(SystemClock)).unwrap(),
    )
}

#[tokio::test]
async fn profile_and_types_are_those_of_the_org() {
    let (mut custom, mut several, mut with_record_types) = (0, 0, 0);
    for seed in 0..12 {
        let filled = Filled::by_chance(&mut StdRng::seed_from_u64(seed), 1);
        let (running, client) = client(Arc::clone(&filled.org)).await;
        let read = runtime::profile::read(&client).await.unwrap();
        assert_eq!(read, filled.profile, "seed {seed}");
        let condition = |field: &String| Condition {
            field: field.clone(),
            operator: Operator::Equals,
            values: Vec::new(),
        };
        let mut filter = Filter {
            conditions: filled.types.keys().map(condition).collect(),
            logic: None,
        };
        let nowhere = [
            "Nothing.Name",
            "Account.Nothing",
            "AccountId.Name",
            "Account",
        ];
        let strange = nowhere.map(|field| condition(&field.to_owned()));
        filter.conditions.extend(strange);
        let types = runtime::fields::types(&client, &filter).await.unwrap();
        // What changes with a parent that has changes of its own cannot be filtered by.
        let mut expected = filled.types.clone();
        expected.retain(|field, _| !field.starts_with("Account."));
        assert_eq!(types, expected, "seed {seed}");
        custom += usize::from(matches!(read.fiscal, domain::org::Fiscal::Custom { .. }));
        several += usize::from(read.currencies.is_some());
        with_record_types += usize::from(types.contains_key("RecordType.DeveloperName"));
        running.stop().await;
    }
    assert!(custom > 0 && several > 0 && with_record_types > 0);
}

#[tokio::test]
async fn dated_rates_are_read() {
    let org = empty(Arc::new(|| 0));
    let wanted: OrgCurrencies = serde_json::from_value(json!({
        "corporate": "USD",
        "others": [["EUR", 0.92]],
        "dated": [
            ["EUR", "2026-01-01", "2026-07-01", 0.9],
            ["EUR", "2026-07-01", null, 1.0],
        ],
    }))
    .unwrap();
    org.enable_currencies(&wanted).unwrap();
    let (running, client) = client(org).await;
    let read = runtime::profile::read(&client).await.unwrap();
    let currencies = read.currencies.unwrap();
    assert_eq!(currencies.corporate, "USD");
    assert_eq!(currencies.rates["EUR"], "0.92");
    assert_eq!(currencies.rates["USD"], "1");
    let rate = |start: &str, next: Option<&str>, rate: &str| DatedRate {
        currency: "EUR".to_owned(),
        start: start.parse().unwrap(),
        next: next.map(|next| next.parse().unwrap()),
        rate: rate.to_owned(),
    };
    assert_eq!(
        currencies.dated,
        [
            rate("2026-01-01", Some("2026-07-01"), "0.9"),
            rate("2026-07-01", None, "1"),
        ]
    );
    running.stop().await;
}
