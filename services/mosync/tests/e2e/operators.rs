//! What operators ask and order at the command line: exit codes, first lines, and that it works
//! while another process holds an embedded folder.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use boot::Adapters;
use boot::console::{Client, access};
use domain::Timestamp;
use fake_mos::{Fault, RecordType, RejectCode};
use runtime::config::Config;
use runtime::health::Readiness;
use runtime::lifecycle::Lifecycle;
use runtime::time::SystemClock;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::embedded::Embedded;
use crate::world::{self, Options, World, mosync};

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_process_that_holds_the_folder() {
    let mut world = Embedded::prepare().await;
    world.start();
    let file = world.folder.path().join("data/console.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // One sync-all at a time: the first load is one, or this is; either way it completes.
    let load = world.sync_all().await;
    let id = load.first_line().to_owned();
    assert!(id.starts_with("sync_all-"), "{load:?}");
    assert!(load.stderr.contains("mOS completed"), "{load:?}");
    // No terminal: lines, each with both sides, and no bars.
    let line = format!("job {id}: Salesforce ");
    let lines = load.stderr.lines().filter(|told| told.starts_with(&line));
    assert!(lines.clone().all(|told| told.contains("mOS ")), "{load:?}");
    assert!(lines.count() > 0 && !load.stderr.contains('['), "{load:?}");
    assert!(!world.mos.mos.records(RecordType::Opportunity).is_empty());
    let job = world.mosync(&["jobs", "show", &id, "--json"]).await;
    let job: Value = serde_json::from_str(&job.stdout).unwrap();
    assert_eq!(job["salesforce"], "completed");
    assert_eq!(job["mos"], "completed");
    assert_eq!(job["percent"], 100.0);
    let same = world.mosync(&["status", &id]).await;
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(same.first_line().contains(&id), "{same:?}");
    status_tells_how_the_sync_is(&world, &id).await;
    status_is_watched(&world).await;
    bars_are_drawn_on_a_terminal(&world).await;

    for (arguments, code, word) in [
        (&["jobs", "show", "nobody"][..], 2, "`nobody`"),
        (&["jobs", "pause", &id], 1, "is over"),
        (&["jobs", "cancel", "nobody"], 2, "`nobody`"),
        (&["dead", "show", "nobody"], 2, "`nobody`"),
        (&["parked", "retry", "003"], 2, "no record id"),
        (&["parked", "retry"], 2, "--all"),
        (&["parked", "dismiss", "--all"], 2, "--reason"),
        (&["logs", "--level", "loud"], 2, "`loud`"),
        (&["logs", "--since", "yesterday"], 2, "30m"),
    ] {
        let answer = world.mosync(arguments).await;
        assert_eq!(answer.code, Some(code), "{arguments:?} {answer:?}");
        assert!(answer.stderr.contains(word), "{arguments:?} {answer:?}");
        assert_eq!(answer.stdout, "", "{arguments:?}");
    }
    for (arguments, line) in [
        (&["parked", "list"][..], "nothing is parked"),
        (&["parked", "list", "--all"], "nothing is parked"),
        (&["dead", "list"], "no message is dead"),
        (&["logs", "--topic", "nothing"], "no such line"),
    ] {
        let answer = world.mosync(arguments).await;
        assert_eq!((answer.code, answer.first_line()), (Some(0), line));
    }
    let log = world.mosync(&["logs", "--job", &id, "--since", "1h"]).await;
    assert!(log.stdout.contains("the command line"), "{log:?}");
    let csv = world.mosync(&["logs", "--format", "csv"]).await;
    assert_eq!(
        csv.first_line(),
        "time,level,topic,job,object,record,message"
    );

    // Killed, it leaves its file behind; the folder is free, and commands open it themselves.
    world.end();
    assert!(file.exists());
    let alone = world.mosync(&["status", "--json"]).await;
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    assert_eq!(alone["last_sync_all"]["mos"], "completed");
    let asked = world.mosync(&["sync-all"]).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let paused = world
        .mosync(&["jobs", "pause", asked.first_line(), "--reason", "night"])
        .await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert!(paused.stdout.contains("Salesforce paused"), "{paused:?}");
    // A pause is still one after the next start.
    world.start();
    let status = world.mosync(&["status", asked.first_line()]).await;
    assert!(status.stdout.contains("night"), "{status:?}");
    let cancelled = world.mosync(&["jobs", "cancel", asked.first_line()]).await;
    assert!(cancelled.stdout.contains("mOS cancelled"), "{cancelled:?}");
    let org = &world.salesforce.org;
    assert!(!org.records("Opportunity").is_empty());
}

/// Like what the services read, it is of the share that mosync may use.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_console_asks_of_salesforce_is_counted() {
    // Only the first of many tests installs it.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let world = Embedded::prepare().await;
    let text = std::fs::read_to_string(world.config()).unwrap();
    let config = Config::read(&text, []).unwrap();
    let connected = Adapters::connect(&config.transport, Arc::new(SystemClock));
    let adapters = connected.await.unwrap();
    let stop = CancellationToken::new();
    let lifecycle = Lifecycle::with_tokens(stop.clone(), CancellationToken::new());
    let anywhere = ([127, 0, 0, 1], 0).into();
    let readiness = Readiness::default();
    boot::start_console(&config, &adapters, anywhere, &lifecycle, &readiness)
        .await
        .unwrap();
    let access = access::read(&world.folder.path().join("data")).unwrap();
    let deal = world.salesforce.org.records("Opportunity").remove(0);
    let explained = Client::of_process(access).explain(deal.id()).await;
    assert!(explained.is_ok(), "{explained:?}");
    stop.cancel();
    lifecycle.wait().await.unwrap();
    let calls = adapters.stores.calls.calls(Timestamp::default()).await;
    assert!(calls.unwrap().values().sum::<u64>() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_asks_of_salesforce_is_counted() {
    let world = Embedded::prepare().await;
    let deal = world.salesforce.org.records("Opportunity").remove(0);
    // Nothing runs, so it opens the stores itself.
    let explained = world.mosync(&["explain", deal.id()]).await;
    assert_eq!(explained.code, Some(0), "{explained:?}");
    let text = std::fs::read_to_string(world.config()).unwrap();
    let config = Config::read(&text, []).unwrap();
    let connected = Adapters::connect(&config.transport, Arc::new(SystemClock));
    let calls = connected.await.unwrap().stores.calls;
    let counted = calls.calls(Timestamp::default()).await.unwrap();
    let (counted, asked) = (counted.values().sum::<u64>(), world.salesforce.api_calls());
    assert!(asked > 0 && counted >= asked, "{counted} of {asked}");
}

async fn status_tells_how_the_sync_is(world: &Embedded, sync_all: &str) {
    let status = world.mosync(&["status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.first_line().starts_with("healthy: "), "{status:?}");
    let line = |beginning: &str, words: &[&str]| {
        let line = status
            .stdout
            .lines()
            .find(|line| line.starts_with(beginning));
        let line = line.unwrap_or_else(|| panic!("{beginning}: {status:?}"));
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
    };
    line("event stream: last event ", &["last event or keep-alive "]);
    line("oldest unsettled: ", &["filter ", "permission ", "load "]);
    line(
        &format!("last sync-all: {sync_all}, over "),
        &["Salesforce completed, mOS completed; read "],
    );
    line("most recent sync: ", &[", over ", ": Salesforce "]);
    line("permissions: ", &[" users, read "]);
    line("queues: ", &["filter.live ", "load.bulk ", "dead 0"]);
    line("workers: ", &["listener runs", "loader runs"]);
}

/// A status again and again until somebody ends it; of a job until the job is over.
async fn status_is_watched(world: &Embedded) {
    let mut watching = Command::new(env!("CARGO_BIN_EXE_mosync"))
        .args(["status", "--watch", "--json", "--config"])
        .arg(world.config())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let read = tokio::task::spawn_blocking(|| lines.take(2).collect::<Result<Vec<_>, _>>());
    let lines = read.await.unwrap().unwrap();
    watching.kill().unwrap();
    watching.wait().unwrap();
    let read_at = |line: &String| {
        let status: Value = serde_json::from_str(line).unwrap();
        status["read_at"].as_i64().unwrap()
    };
    assert!(read_at(&lines[0]) < read_at(&lines[1]), "{lines:?}");

    let asked = world.mosync(&["sync-all"]).await;
    let job = asked.first_line();
    let watched = world.mosync(&["status", job, "--watch"]).await;
    assert_eq!(watched.code, Some(0), "{watched:?}");
    let mut seen = watched.stdout.lines().rev();
    let last = seen.find(|line| line.starts_with(&format!("job {job}: ")));
    assert!(last.unwrap().contains("mOS completed"), "{watched:?}");
}

/// One for each side; what the command itself answers is on its standard output as ever.
async fn bars_are_drawn_on_a_terminal(world: &Embedded) {
    let command = format!(
        "{} sync-all --wait --config {}",
        env!("CARGO_BIN_EXE_mosync"),
        world.config().display()
    );
    let drawn = tokio::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let drawn_text = String::from_utf8_lossy(&drawn.stdout);
    assert!(drawn.status.success(), "{drawn_text}");
    for words in ["Salesforce [", "mOS [", "mOS completed"] {
        assert!(drawn_text.contains(words), "{words}: {drawn_text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_explained_to_whoever_pastes_its_id_or_address() {
    let mut world = Embedded::prepare().await;
    world.start();
    let load = world.sync_all().await;
    let held = world.mos.mos.records(RecordType::Opportunity);
    let held = held.first().unwrap();
    let id = held.external_id.as_str();
    let page = format!("https://acme.lightning.force.com/lightning/r/Opportunity/{id}/view");
    let short = id.chars().take(15).collect::<String>();
    for asked in [id, &short, &page] {
        let told = world.mosync(&["explain", asked]).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert_eq!(told.first_line(), format!("Opportunity {id}"));
        for words in [
            "mOS holds it as it is in Salesforce",
            &format!("(version {})", held.version),
            "holds mOS_",
            "every mapped field is as it is",
            "event stream heard",
        ] {
            assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
        }
    }
    let json = world.mosync(&["explain", id, "--json"]).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["code"], "in_scope_and_current");
    assert_eq!(json["mos"]["fields"]["name"], held.fields["name"]);
    let possible = json["possible_jobs"].as_array().unwrap();
    let load = load.first_line();
    assert!(possible.iter().any(|job| job == load), "{json:#}");

    let unseen = world.mosync(&["explain", "001zzzzzzzzz001"]).await;
    assert_eq!(unseen.code, Some(0), "{unseen:?}");
    assert!(unseen.stdout.contains("never existed"), "{unseen:?}");
    let other = world.mosync(&["explain", "500000000000001"]).await;
    assert_eq!(other.code, Some(0), "{other:?}");
    assert!(other.stdout.contains("syncs no other object"), "{other:?}");
    for (asked, words) in [
        ("Acme", "15 or 18 characters"),
        ("https://acme.my.salesforce.com/", "no Salesforce id"),
    ] {
        let refused = world.mosync(&["explain", asked]).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
}

#[tokio::test]
async fn a_token_is_shown_once_with_its_hash() {
    let answer = mosync(&["console-token"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let value = |name: &str| {
        let line = answer
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(name));
        line.unwrap().to_owned()
    };
    let (token, hash) = (value("token: "), value("token_sha256: "));
    assert_eq!((token.len(), hash.len()), (64, 64));
    assert_ne!(token, hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_serves_the_same_numbers_beside_the_workers() {
    let mut world = World::at_rest(Options::default()).await;
    let token = mosync(&["console-token"]).await.stdout;
    let value = |name: &str| {
        let line = token.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().to_owned()
    };
    world.start_with(
        "console",
        &[
            ("MOSYNC_CONSOLE_LISTEN", "127.0.0.1:0"),
            ("MOSYNC_CONSOLE_TOKEN_SHA256", &value("token_sha256: ")),
        ],
    );
    let address = world
        .until_logged("console", "answers at /api/v1 address=")
        .await;
    let get = async |path: &str, token: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        (status, serde_json::from_str::<Value>(body).unwrap())
    };
    let (status, refused) = get("/api/v1/status", "x").await;
    assert_eq!(status, "401", "{refused:#}");
    let token = value("token: ");
    let (status, served) = get("/api/v1/jobs", &token).await;
    assert_eq!(status, "200", "{served:#}");
    let printed = world.mosync(&["jobs", "--json"]).await;
    let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
    let ids = |list: &Value| {
        let jobs = list["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&served), ids(&printed));
    assert!(!ids(&served).is_empty());
    let (_, document) = get("/api/openapi.json", "").await;
    assert_eq!(document["openapi"], "3.1.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_record_is_retried_at_once_or_dismissed_with_a_reason() {
    let world = World::at_rest(Options::default()).await;
    let deals = world.mos.mos.records(RecordType::Opportunity);
    let mut open = deals.iter().map(|deal| deal.external_id.clone());
    let ids = [open.next().unwrap(), open.next().unwrap()];
    let reject = Fault::Reject {
        code: RejectCode::ValueTooLong,
        field: Some("name".to_owned()),
        probability: None,
        ids: ids.to_vec(),
        count: None,
    };
    world.mos.mos.fault(reject).unwrap();
    let load = world.mosync(&["sync-all", "--wait"]).await;
    assert_eq!(load.code, Some(1), "{load:?}");
    assert!(
        load.stderr.contains("mOS completed_with_errors"),
        "{load:?}"
    );
    let groups = world.mosync(&["parked", "list", "--json"]).await;
    let group: Value = serde_json::from_str(groups.stdout.trim()).unwrap();
    assert_eq!(group["count"], 2, "{groups:?}");
    let records = ["parked", "list", "--group", group["id"].as_str().unwrap()];
    let records = world.mosync(&records).await;
    assert!(
        ids.iter().all(|id| records.stdout.contains(id)),
        "{records:?}"
    );

    let why = [
        "parked",
        "dismiss",
        &ids[0],
        "--reason",
        "too long for ever",
    ];
    let dismissed = world.mosync(&why).await;
    assert_eq!(dismissed.code, Some(0), "{dismissed:?}");
    let log = world.mosync(&["logs", "--record", &ids[0]]).await;
    assert!(log.stdout.contains("too long for ever"), "{log:?}");
    world.mos.mos.fault(Fault::Clear).unwrap();
    let retried = world.mosync(&["parked", "retry", "--all"]).await;
    assert_eq!(retried.first_line().split(' ').next(), Some("1"));
    let status = world
        .until("nothing is open", |status| {
            status["parked"] == serde_json::json!({}) && world::pending(status) == 0
        })
        .await;
    assert_eq!(status["verdict"], "healthy", "{status:#}");
    let left = world.mosync(&["parked", "list", "--all"]).await.stdout;
    assert!(left.contains(&ids[0]) && !left.contains(&ids[1]), "{left}");
    assert!(left.contains("too long for ever"), "{left}");
}
