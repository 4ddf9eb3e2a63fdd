//! How long it takes to explain a record, as whoever asks the API waits:
//!
//!     cargo bench -p mosync --bench explain [-- OPPORTUNITIES]
//!
//! Against the stand-ins on this machine, over the embedded stores: once as near as they are, and
//! once with both as far away as a data centre is, by a delay in each direction. Records of every
//! object in turn, one after the other, and ids that were never seen. It fails when the p95 is over
//! the bar.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a harness panics where a test would, and prints what it measured"
)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::TcpProxy;
use testkit::proxy::Behaviour;
use tokio::time::Instant;

/// Opportunities in the org, when nothing else is asked for.
const OPPORTUNITIES: usize = 2_000;
/// Explanations of each object.
const OF_EACH: usize = 200;
/// To Salesforce and to mOS, and as much back.
const ONE_WAY: Duration = Duration::from_millis(30);
/// What the p95 must stay under, near and far.
const BAR: Duration = Duration::from_millis(300);
/// Objects by the prefix of their ids.
const OBJECTS: [(&str, &str); 5] = [
    ("User", "005"),
    ("Account", "001"),
    ("Contact", "003"),
    ("Opportunity", "006"),
    ("OpportunityContactRole", "00K"),
];

/// `mosync all`, which ends with this value.
struct Mosync(Child);

impl Drop for Mosync {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        if self.0.kill().is_ok() && self.0.wait().is_ok() {}
    }
}

/// The API of a running mosync.
struct Api {
    client: reqwest::Client,
    address: String,
    token: String,
}

impl Api {
    /// As soon as the process has left its address in the folder.
    async fn of(folder: &Path) -> Self {
        let file = folder.join("console.json");
        let access: Value = loop {
            if let Ok(text) = std::fs::read(&file) {
                break serde_json::from_slice(&text).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Self {
            client: reqwest::Client::new(),
            address: access["address"].as_str().unwrap().to_owned(),
            token: access["token"].as_str().unwrap().to_owned(),
        }
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let request = self.client.get(url).bearer_auth(&self.token);
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let opportunities = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(OPPORTUNITIES);

    // Sign-ins answer the proxy's address, so it must be known before the org is there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let port = port.unwrap().port();
    let to_salesforce = TcpProxy::start(port).await;
    let options = fake_salesforce::server::Options {
        http: ([127, 0, 0, 1], port).into(),
        instance_url: Some(format!("http://127.0.0.1:{}", to_salesforce.port())),
        opportunities: Some(opportunities),
        keepalive_s: 1,
        ..fake_salesforce::server::Options::default()
    };
    let salesforce =
        fake_salesforce::server::start(options, fake_salesforce::server::system_clock())
            .await
            .unwrap();
    let options = fake_mos::Options {
        http: ([127, 0, 0, 1], 0).into(),
        api_key: fake_mos::DEFAULT_API_KEY.to_owned(),
        ..fake_mos::Options::default()
    };
    let mos = fake_mos::start(options, fake_mos::system_clock())
        .await
        .unwrap();
    let to_mos = TcpProxy::start(mos.http.port()).await;

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("mosync.toml");
    let text = format!(
        "allow_plaintext = true\n\
         [salesforce]\nlogin_url = \"http://127.0.0.1:{}\"\nclient_id = {:?}\nclient_secret = {:?}\npubsub_endpoint = \"http://{}\"\n\
         [mos]\nurl = \"http://127.0.0.1:{}\"\napi_key = {:?}\n[embedded]\nfolder = {data:?}\n",
        to_salesforce.port(),
        fake_salesforce::server::DEFAULT_CLIENT_ID,
        fake_salesforce::server::DEFAULT_CLIENT_SECRET,
        salesforce.grpc,
        to_mos.port(),
        fake_mos::DEFAULT_API_KEY,
    );
    std::fs::write(&config, text).unwrap();
    let running = Command::new(env!("CARGO_BIN_EXE_mosync"))
        .arg("all")
        .arg("--config")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _running = Mosync(running.unwrap());
    let api = Api::of(&data).await;
    while api.get("status").await["last_sync_all"]["over"].is_null() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let ids = ids(&salesforce.org);
    println!("{opportunities} opportunities, everything at hand:");
    let mut slowest = measure(&api, &ids).await;
    let behaviour = Behaviour {
        delay: ONE_WAY,
        ..Behaviour::default()
    };
    to_salesforce.behave(behaviour);
    to_mos.behave(behaviour);
    println!(
        "Salesforce and mOS {} ms away and {} ms back:",
        ONE_WAY.as_millis(),
        ONE_WAY.as_millis()
    );
    slowest = slowest.max(measure(&api, &ids).await);
    let is_met = slowest < BAR;
    println!(
        "p95 of all under {} ms: {}, it is {} ms",
        BAR.as_millis(),
        if is_met { "met" } else { "missed" },
        slowest.as_millis()
    );
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Object to ids of it, spread over all there are, and ids that were never given.
fn ids(org: &fake_salesforce::org::Org) -> Vec<(&'static str, Vec<String>)> {
    let of = |object: &str| {
        let records = org.records(object);
        let step = (records.len() / OF_EACH).max(1);
        let spread = records.iter().step_by(step).take(OF_EACH);
        spread.map(|record| record.id().to_owned()).collect()
    };
    let mut ids: Vec<(&str, Vec<String>)> = OBJECTS
        .into_iter()
        .map(|(object, _)| (object, of(object)))
        .collect();
    let unseen = (0..OF_EACH).map(|number| {
        let (_, prefix) = OBJECTS[number % OBJECTS.len()];
        format!("{prefix}zzzzzzzzz{number:03}")
    });
    ids.push(("never seen", unseen.collect()));
    ids
}

/// Measures; answers the p95 of all.
async fn measure(api: &Api, ids: &[(&str, Vec<String>)]) -> Duration {
    let mut all = Vec::new();
    for (object, ids) in ids {
        let mut times = Vec::new();
        for id in ids {
            let began = Instant::now();
            let view = api.get(&format!("explain/{id}")).await;
            times.push(began.elapsed());
            assert!(view["verdict"].is_string(), "{view}");
        }
        all.extend(times.iter().copied());
        tell(object, times);
    }
    tell("all", all)
}

/// Prints the figures; answers the p95.
fn tell(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let ms = |percent: usize| at(percent).as_millis();
    println!(
        "  {what}: {} explanations, p50 {} ms, p95 {} ms, p99 {} ms, longest {} ms",
        times.len(),
        ms(50),
        ms(95),
        ms(99),
        ms(100)
    );
    at(95)
}
