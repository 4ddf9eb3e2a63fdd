//! How fast a full load is, end to end, and what it could be at best on this machine:
//!
//!     cargo bench -p mosync --bench full_load [-- OPPORTUNITIES]
//!
//! Records a second from the stand-in for Salesforce to the stand-in for mOS, all on this machine,
//! over the embedded queue and stores in one process, and over `RabbitMQ` and Redis with a process
//! for each worker. In the same run, what the stand-ins alone can do, and a bare hop through the
//! broker with messages of a unit's size.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a harness panics where a test would, and prints what it measured"
)]

use std::time::Duration;

use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

// The world and its judge are the end-to-end tests'.
#[path = "../tests/e2e/judge.rs"]
#[expect(dead_code, reason = "the bench does not judge")]
mod judge;
#[path = "../tests/e2e/servers.rs"]
mod servers;
#[path = "../tests/e2e/world.rs"]
#[expect(dead_code, reason = "the bench needs a part of it")]
mod world;

use world::{Options, WORKERS, World};

/// Opportunities in the org, when nothing else is asked for.
const OPPORTUNITIES: usize = 20_000;
/// Records in a unit.
const UNIT: usize = 200;
/// Bytes of a record in a unit, about.
const RECORD_BYTES: usize = 1_200;
/// Requests to mOS at a time.
const AT_A_TIME: usize = 8;

#[tokio::main]
async fn main() {
    let opportunities = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(OPPORTUNITIES);
    let options = Options {
        opportunities,
        all_in_scope: true,
        patience: Duration::from_secs(120 + opportunities as u64 / 20),
        ..Options::default()
    };

    let mut world = World::between_stand_ins(options).await;
    let folder = world.folder.path().join("embedded");
    world.configure(&format!("[embedded]\nfolder = {:?}\n", folder));
    let began = Instant::now();
    world.start("all");
    tell("embedded, one process", &load(&world).await, began);
    drop(world);

    let mut world = World::prepare(options).await;
    let began = Instant::now();
    for worker in WORKERS {
        world.start(worker);
    }
    tell(
        "RabbitMQ and Redis, four processes",
        &load(&world).await,
        began,
    );

    let rows = extract(&world).await;
    println!("the stand-in for Salesforce alone, Bulk API 2.0 results: {rows:.0} records/s");
    let records = ingest(&world).await;
    println!("the stand-in for mOS alone, {AT_A_TIME} requests at a time: {records:.0} records/s");
    let (units, bytes) = hop(&world).await;
    println!(
        "a bare hop through a quorum queue, confirmed, units of {bytes} bytes: {units:.0} units/s, {:.0} records/s",
        units * UNIT as f64
    );
}

fn tell(how: &str, job: &Value, began: Instant) {
    let records = job["done"].as_f64().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "full load, {how}: {records:.0} records in {seconds:.1} s, {:.0} records/s",
        records / seconds
    );
}

/// The first load, once everything is in mOS.
async fn load(world: &World) -> Value {
    let status = world
        .until("the full load ends", |status| {
            !status["last_sync_all"]["over"].is_null()
        })
        .await;
    let job = status["last_sync_all"].clone();
    assert_eq!(job["mos"], "completed", "{job:#}");
    job
}

/// Reads all opportunities and contact roles by the Bulk API and drops them.
async fn extract(world: &World) -> f64 {
    let client = reqwest::Client::new();
    let base = format!("http://{}", world.salesforce.http);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", fake_salesforce::server::DEFAULT_CLIENT_ID),
        (
            "client_secret",
            fake_salesforce::server::DEFAULT_CLIENT_SECRET,
        ),
    ];
    let token = client
        .post(format!("{base}/services/oauth2/token"))
        .form(&form);
    let token: Value = token.send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap();
    let jobs = format!("{base}/services/data/v67.0/jobs/query");
    let mut rows = 0;
    let began = Instant::now();
    for object in ["Opportunity", "OpportunityContactRole"] {
        let fields = match object {
            "Opportunity" => {
                "Id, Name, StageName, Amount, CloseDate, OwnerId, AccountId, IsClosed, SystemModstamp"
            }
            _ => "Id, OpportunityId, ContactId, Role, IsPrimary, SystemModstamp",
        };
        let body = json!({"operation": "query", "query": format!("SELECT {fields} FROM {object}")});
        let job: Value = client
            .post(&jobs)
            .bearer_auth(token)
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let job = format!("{jobs}/{}", job["id"].as_str().unwrap());
        loop {
            let state: Value = client
                .get(&job)
                .bearer_auth(token)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            if state["state"] == "JobComplete" {
                rows += state["numberRecordsProcessed"].as_u64().unwrap();
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut page = format!("{job}/results?maxRecords=50000");
        loop {
            let answer = client
                .get(&page)
                .bearer_auth(token)
                .send()
                .await
                .unwrap()
                .error_for_status()
                .unwrap();
            let locator = answer.headers()["Sforce-Locator"]
                .to_str()
                .unwrap()
                .to_owned();
            answer.bytes().await.unwrap();
            if locator == "null" {
                break;
            }
            page = format!("{job}/results?maxRecords=50000&locator={locator}");
        }
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

/// Sends users that mOS has never seen.
async fn ingest(world: &World) -> f64 {
    const REQUESTS: usize = 400;
    let client = reqwest::Client::new();
    let url = format!("http://{}{}", world.mos.http, "/v1/records/upsert");
    // As many digits as mosync writes: mOS takes no others.
    let version = format!("{:019}", world.now());
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for request in 0..REQUESTS {
        let records = (0..UNIT)
            .map(|record| {
                json!({
                    "type": "user",
                    "external_id": format!("005{:012}AAA", request * UNIT + record),
                    "version": version,
                    "fields": {"name": format!("Person {record}"), "email": format!("person{record}@example.com"), "is_active": true},
                })
            })
            .collect::<Vec<_>>();
        let send = client
            .post(&url)
            .bearer_auth(fake_mos::DEFAULT_API_KEY)
            .header("Idempotency-Key", format!("bench-{request}"))
            .json(&json!({"records": records}));
        if running.len() == AT_A_TIME {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(async move {
            let answer = send.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap();
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    (REQUESTS * UNIT) as f64 / began.elapsed().as_secs_f64()
}

/// Messages a second through one quorum queue: each confirmed, at most ten at a time, and consumed.
async fn hop(world: &World) -> (f64, usize) {
    const UNITS: usize = 1_000;
    let body = vec![b'x'; UNIT * RECORD_BYTES];
    let bytes = body.len();
    let connect = || Connection::connect(&world.rabbitmq, ConnectionProperties::default());
    let (publishing, consuming) = (connect().await.unwrap(), connect().await.unwrap());
    let publisher = publishing.create_channel().await.unwrap();
    let consumer = consuming.create_channel().await.unwrap();
    publisher
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    publisher
        .queue_declare("bench".into(), QueueDeclareOptions::durable(), arguments)
        .await
        .unwrap();
    consumer
        .basic_qos(20, BasicQosOptions::default())
        .await
        .unwrap();
    let mut deliveries = consumer
        .basic_consume(
            "bench".into(),
            "bench".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let began = Instant::now();
    let publish = async {
        for _ in 0..UNITS / 10 {
            let mut confirms = Vec::new();
            for _ in 0..10 {
                let properties = BasicProperties::default().with_delivery_mode(2);
                confirms.push(
                    publisher
                        .basic_publish(
                            "".into(),
                            "bench".into(),
                            BasicPublishOptions::default(),
                            &body,
                            properties,
                        )
                        .await
                        .unwrap(),
                );
            }
            for confirm in confirms {
                confirm.await.unwrap();
            }
        }
    };
    let consume = async {
        for _ in 0..UNITS {
            let delivery = deliveries.next().await.unwrap().unwrap();
            delivery.ack(BasicAckOptions::default()).await.unwrap();
        }
    };
    tokio::join!(publish, consume);
    (UNITS as f64 / began.elapsed().as_secs_f64(), bytes)
}
