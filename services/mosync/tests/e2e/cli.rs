//! What a person at the command line gets: exit codes and sentences.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::embedded::run_all;
use crate::world::{Options, World, mosync};

/// A configuration that has everything; nobody listens at its addresses.
fn configuration(folder: &Path, more: &str) -> PathBuf {
    let file = folder.join("mosync.toml");
    let text = format!(
        "allow_plaintext = true\n\
         [salesforce]\nlogin_url = \"http://127.0.0.1:9\"\nclient_id = \"id\"\nclient_secret = \"not-a-real-secret\"\npubsub_endpoint = \"http://127.0.0.1:9\"\n\
         [mos]\nurl = \"http://127.0.0.1:9\"\napi_key = \"not-a-real-key\"\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    file
}

pub(crate) fn embedded(folder: &Path, more: &str) -> PathBuf {
    let home = folder.join("data");
    configuration(folder, &format!("[embedded]\nfolder = {home:?}\n{more}"))
}

#[tokio::test]
async fn a_bad_configuration_is_one_message_with_key_fault_and_fix() {
    let folder = tempfile::tempdir().unwrap();
    let config = embedded(
        folder.path(),
        "[permissions]\npoll_s = \"often\"\npol_s = 3\n",
    );
    let answer = mosync(&["status", "--config", config.to_str().unwrap()]).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert_eq!(answer.stdout, "");
    for word in ["2 faults", "permissions.poll_s", "permissions.pol_s", "; "] {
        assert!(answer.stderr.contains(word), "{word}: {}", answer.stderr);
    }
    let answer = mosync(&["status", "--config", "/no/such/file.toml"]).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("/no/such/file.toml"), "{answer:?}");
    assert_eq!(mosync(&["no-such-command"]).await.code, Some(2));
    assert_eq!(mosync(&["--help"]).await.code, Some(0));
}

/// How a command ends whose result nobody reads, and what it says: as `mosync logs | head` when that has
/// its lines.
async fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, result) = std::io::pipe().unwrap();
    drop(reader);
    let command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mosync"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(result)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let answer = command.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    (answer.status.code(), said.into_owned())
}

#[tokio::test]
async fn whoever_reads_no_further_ends_the_command_without_a_word() {
    let ended = unread(&["console-token"]).await;
    assert_eq!(ended, (Some(1), String::new()));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = embedded(folder.path(), &format!("[http]\nlisten = {address:?}\n"));
    let answer = mosync(&["all", "--config", config.to_str().unwrap()]).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains(&address), "{answer:?}");
}

#[tokio::test]
async fn a_second_process_on_one_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = embedded(folder.path(), "");
    let (mut first, _said) = run_all(&config);
    let second = mosync(&["all", "--config", config.to_str().unwrap()]).await;
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(second.code, Some(2), "{second:?}");
    let home = folder.path().join("data").display().to_string();
    assert!(second.stderr.contains(&home), "{second:?}");
    assert!(second.stderr.contains("another"), "{second:?}");
    // What the first left behind can be opened again.
    let status = mosync(&["status", "--config", config.to_str().unwrap()]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_reach_is_exit_code_3() {
    let world = World::prepare(Options::default()).await;
    let text = std::fs::read_to_string(world.config()).unwrap();
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let closed = nobody.local_addr().unwrap().port();
    drop(nobody);
    let file = world.folder.path().join("other.toml");
    let run = async |text: String, command: &str| {
        std::fs::write(&file, text).unwrap();
        mosync(&[command, "--config", file.to_str().unwrap()]).await
    };
    let without = |key: &str, line: &str| {
        text.lines()
            .map(|old| if old.starts_with(key) { line } else { old })
            .collect::<Vec<_>>()
            .join("\n")
    };

    let broker = without(
        "rabbitmq_url",
        &format!("rabbitmq_url = \"amqp://guest:hidden@127.0.0.1:{closed}/%2f\""),
    );
    for command in ["status", "listener"] {
        let answer = run(broker.clone(), command).await;
        assert_eq!(answer.code, Some(3), "{answer:?}");
        // A status tells everything else, and that first.
        let said = match command {
            "status" => answer.stdout.lines().next().unwrap_or_default(),
            _ => &answer.stderr,
        };
        assert!(said.contains("message broker"), "{answer:?}");
        let all = format!("{}{}", answer.stdout, answer.stderr);
        assert!(!all.contains("hidden"), "{answer:?}");
    }
    let redis = without(
        "redis_url",
        &format!("redis_url = \"redis://:hidden@127.0.0.1:{closed}/\""),
    );
    for command in ["status", "loader"] {
        let answer = run(redis.clone(), command).await;
        assert_eq!(answer.code, Some(3), "{answer:?}");
        assert!(answer.stderr.contains("Redis"), "{answer:?}");
        assert!(!answer.stderr.contains("hidden"), "{answer:?}");
    }
    // A broker that nobody has prepared is a matter of set-up.
    let root = world.rabbitmq.rsplit_once('/').unwrap().0;
    let bare = without("rabbitmq_url", &format!("rabbitmq_url = \"{root}/%2f\""));
    let answer = run(bare, "filter").await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(
        answer.stderr.contains("mosync topology apply"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_event_is_decoded_by_name_or_refused() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/salesforce/tests/data");
    let schema = data
        .join("AccountChangeEvent.85.avsc")
        .display()
        .to_string();
    let wrong = data
        .join("AccountChangeEvent.87.avsc")
        .display()
        .to_string();
    let payload = data.join("account-update.bin");
    let decode = async |schema: &str, payload: &Path| {
        let payload = payload.to_str().unwrap();
        mosync(&["decode-event", "--schema", schema, "--payload", payload]).await
    };
    let decoded = [
        decode(&schema, &payload).await,
        decode(&wrong, &payload).await,
    ];
    let well = decoded.iter().filter(|answer| answer.code == Some(0));
    let [event] = well.collect::<Vec<_>>()[..] else {
        panic!("one of the two schemas is the event's: {decoded:?}");
    };
    let event: Value = serde_json::from_str(&event.stdout).unwrap();
    assert!(event.to_string().contains("Account"), "{event:#}");
    assert!(decoded.iter().any(|answer| answer.code == Some(1)));

    let bytes = std::fs::read(&payload).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("short.bin");
    std::fs::write(&short, &bytes[..bytes.len() - 1]).unwrap();
    for schema in [&schema, &wrong] {
        let answer = decode(schema, &short).await;
        assert_eq!(answer.code, Some(1), "{answer:?}");
    }
    let answer = decode("/no/such/schema", &payload).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    let fields = mosync(&["decode-event", "--schema", &schema]).await;
    assert_eq!(fields.code, Some(0), "{fields:?}");
    assert!(fields.stdout.contains("BillingCity") || fields.stdout.contains("BillingAddress"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_narrows_and_widens_what_is_synced() {
    let mut world = World::prepare(Options::default()).await;
    let amount = |operator: &str| {
        json!({"filter": {"conditions": [
            {"field": "Amount", "operator": operator, "values": ["50000"]}
        ]}})
        .to_string()
    };
    world.import(&amount("greater_than")).await;
    world.start_all();
    world.rest_and_audit("the filter was there first").await;
    let deals = |world: &World| {
        world
            .mos
            .mos
            .records(fake_mos::RecordType::Opportunity)
            .len()
    };
    let narrow = deals(&world);
    assert!(narrow > 0);

    // Wider: what it newly lets in comes by itself.
    world.import("{}").await;
    let status = world.rest_and_audit("the filter was lifted").await;
    assert!(deals(&world) > narrow);
    // One is mosync's own: which org this is.
    assert_eq!(status["settings_revision"], 3);
    let human = world.mosync(&["status"]).await;
    assert_eq!(human.code, Some(0), "{human:?}");
    assert_eq!(
        human.stdout.lines().next(),
        Some("healthy: everything heard from Salesforce is in mOS")
    );

    // Narrower: what has left stays as it is and receives nothing more.
    world.import(&amount("greater_than")).await;
    world.rest().await;
    let sent_before = world.mos.mos.ledger_since(0).len();
    world.touch_all_deals();
    world.rest().await;
    let outside = |id: &str| {
        let deal = world.salesforce.org.record("Opportunity", id).unwrap();
        let amount = deal.row()["Amount"].as_f64();
        amount.is_none_or(|amount| amount <= 50_000.0)
    };
    let ledger = world.mos.mos.ledger_since(0);
    let sent = ledger
        .iter()
        .skip(sent_before)
        .flat_map(|entry| &entry.records)
        .filter(|record| record.kind == "opportunity")
        .collect::<Vec<_>>();
    assert!(!sent.is_empty());
    for record in sent {
        assert!(!outside(&record.external_id), "{}", record.external_id);
    }

    // And is counted and named.
    let held = world.mos.mos.records(fake_mos::RecordType::Opportunity);
    let stayed = held.iter().map(|record| record.external_id.clone());
    let stayed = stayed.filter(|id| outside(id)).collect::<BTreeSet<_>>();
    assert!(!stayed.is_empty());
    let left = world.mosync(&["left", "--format", "jsonl"]).await;
    assert_eq!(left.code, Some(0), "{left:?}");
    let lines = left.stdout.lines();
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let filtered = lines.filter(|line| line["why"] == "filter");
    let filtered = filtered.map(|line| line["id"].as_str().unwrap().to_owned());
    assert_eq!(filtered.collect::<BTreeSet<_>>(), stayed);
    let config = world.config();
    for (command, format) in [("left", "csv"), ("left", "jsonl"), ("logs", "csv")] {
        let config = config.to_str().unwrap();
        let ended = unread(&[command, "--format", format, "--config", config]).await;
        assert_eq!(ended, (Some(1), String::new()), "{command} {format}");
    }
    let left = world.mosync(&["left", "--limit", "1"]).await;
    let counted = format!("of the {} opportunities in mOS", held.len());
    assert!(left.stdout.contains(&counted), "{left:?}");
    let counted = format!("    {}: the filter does not match", stayed.len());
    assert!(left.stdout.contains(&counted), "{left:?}");

    // Refused as a whole, with a sentence for each fault.
    let file = world.folder.path().join("bad.json");
    let bad = json!({"filter": {"conditions": [
        {"field": "NoSuchField", "operator": "equals", "values": ["1"]},
        {"field": "Amount", "operator": "greater_than", "values": ["much"]},
    ], "logic": "1 AND 3"}});
    std::fs::write(&file, bad.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let answer = world.mosync(&["settings", "import", file]).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    for word in ["nothing was changed", "NoSuchField", "Amount", "3"] {
        assert!(answer.stderr.contains(word), "{word}: {answer:?}");
    }
    assert!(answer.stderr.lines().count() >= 4, "{answer:?}");
    std::fs::write(file, "{\"fitler\": {}}").unwrap();
    let answer = world.mosync(&["settings", "import", file]).await;
    assert_eq!(answer.code, Some(2), "{answer:?}");
    assert!(answer.stderr.contains("fitler"), "{answer:?}");
    assert_eq!(world.rest().await["settings_revision"], 4);
}
