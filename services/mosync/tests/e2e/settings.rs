//! Settings at the command line, on a folder and on servers: what they do, and that they outlive
//! the store.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use fake_mos::{Fault, RecordType};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::embedded::Embedded;
use crate::world::{self, Answer, Options, World};

fn parsed(answer: &Answer) -> Value {
    serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn once_disabled_nothing_reaches_mos_after_two_seconds() {
    let world = World::at_rest(Options::default()).await;
    // mOS is slow, so that the loader has units in hand that wait for their turn.
    let slow = Fault::Slow {
        ms: 3_000,
        count: None,
    };
    world.mos.mos.fault(slow).unwrap();
    let before = world.mos.mos.ledger_since(0).len();
    let deadline = Instant::now() + Options::default().patience;
    while world.mos.mos.ledger_since(0).len() < before + 2 {
        world.touch_all_deals();
        assert!(Instant::now() < deadline, "nothing is sent");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let set = world.mosync(&["settings", "set", "disabled", "on"]).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    let saved = parsed(&world.mosync(&["settings", "get", "--json"]).await);
    let saved = saved["saved"].as_i64().unwrap();
    // There is more to be sent all the time, until mOS's own clock is well past the two seconds.
    while world.now() < saved + 8_000_000 {
        world.touch_all_deals();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert!(Instant::now() < deadline);
    }
    let status = world
        .until("the loader is paused", |status| {
            let state = status["workers"]["loader"]["state"].to_string();
            state.contains("disabled in mOS Settings") && world::pending(status) > 0
        })
        .await;
    assert_eq!(status["verdict"], "degraded");
    let late = |world: &World| {
        let ledger = world.mos.mos.ledger_since(0);
        let late = ledger
            .iter()
            .filter(|entry| entry.at_micros > saved + 2_000_000)
            .map(|entry| entry.at_micros - saved);
        late.collect::<Vec<_>>()
    };
    assert_eq!(late(&world), [0; 0], "microseconds after the save");
    world.mos.mos.fault(Fault::Clear).unwrap();
    let set = world.mosync(&["settings", "set", "disabled", "off"]).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    world.rest_and_audit("what was held back arrives").await;
    assert!(!late(&world).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_org_is_refused_until_an_administrator_confirms_it() {
    let mut world = Embedded::prepare().await;
    // What was kept of another org.
    let folder = world.folder.path().join("data");
    std::fs::create_dir_all(&folder).unwrap();
    let other = "00D0000000000zzEAA";
    let kept = json!({"saved": {
        "revision": 7, "rule_revision": 3, "saved": 1_790_000_000_000_000_i64, "author": "ada",
        "settings": {"org": other}, "field_types": {},
    }});
    std::fs::write(folder.join("settings.jsonl"), format!("{kept}\n")).unwrap();
    world.start();
    let real = world.salesforce.org.org_id().to_owned();
    let deadline = Instant::now() + Options::default().patience;
    let refused = loop {
        let status = world.mosync(&["status"]).await;
        let line = status.first_line().to_owned();
        if line.contains("the listener is paused") && line.contains("the loader is paused") {
            break line;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    for word in [&*real, other, "mosync settings confirm-org"] {
        assert!(refused.contains(word), "{word}: {refused}");
    }
    let wrong = world.mosync(&["settings", "confirm-org", other]).await;
    assert_eq!(
        wrong.code,
        Some(0),
        "it is what was confirmed before: {wrong:?}"
    );
    assert!(wrong.first_line().contains("nothing differs"), "{wrong:?}");
    let wrong = world
        .mosync(&["settings", "confirm-org", "00D000000000yyy"])
        .await;
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("only that one"), "{wrong:?}");
    assert!(world.mos.mos.ledger_since(0).is_empty(), "nothing was sent");

    let confirmed = world.mosync(&["settings", "confirm-org", &real]).await;
    assert_eq!(confirmed.code, Some(0), "{confirmed:?}");
    assert_eq!(confirmed.first_line(), "settings revision 8 saved");
    world.sync_all().await;
    assert!(!world.mos.mos.records(RecordType::Opportunity).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_compared_and_taken_back_while_mosync_runs_and_while_not() {
    let mut world = Embedded::prepare().await;
    for running in [false, true] {
        if running {
            world.start();
        }
        let base = parsed(&world.mosync(&["settings", "get", "--json"]).await);
        let base = base["revision"].as_u64().unwrap();
        for (arguments, line) in [
            (
                &["set", "sync-closed", "on"][..],
                "Sync closed opportunities: off",
            ),
            (
                &["set", "admin-emails", "ada@example.com", "bo@example.com"],
                "ada@example.com",
            ),
            (
                &[
                    "set",
                    "filter",
                    r#"{"conditions": [{"field": "Amount", "operator": "greater_than", "values": ["1"]}]}"#,
                ],
                "condition 1: added: Amount greater_than 1",
            ),
        ] {
            let arguments = [&["settings"], arguments].concat();
            let answer = world.mosync(&arguments).await;
            assert_eq!(answer.code, Some(0), "{answer:?}");
            assert!(answer.stdout.contains(line), "{answer:?}");
        }
        let shown = world.mosync(&["settings", "get"]).await;
        assert!(shown.first_line().contains("(command line)"), "{shown:?}");
        assert!(shown.stdout.contains("sync-closed: on"), "{shown:?}");
        let newest = world.mosync(&["settings", "diff"]).await;
        assert!(
            newest.stdout.contains("Amount greater_than 1"),
            "{newest:?}"
        );
        let history = parsed(&world.mosync(&["settings", "history", "--json"]).await);
        assert!(history["revisions"].as_array().unwrap().len() >= 3);

        let file = world.folder.path().join("exported.json");
        let file = file.to_str().unwrap();
        let exported = world
            .mosync(&["settings", "export", "--output", file])
            .await;
        assert_eq!(exported.code, Some(0), "{exported:?}");
        preview(&world, running).await;
        let old = base.to_string();
        let effect = world
            .mosync(&["settings", "revert", &old, "--dry-run"])
            .await;
        assert!(effect.stdout.contains("nothing was changed"), "{effect:?}");
        let does = if running {
            "opportunities leave"
        } else {
            "what it does cannot be told now"
        };
        assert!(effect.stdout.contains(does), "{effect:?}");
        let reverted = world.mosync(&["settings", "revert", &old]).await;
        assert_eq!(reverted.code, Some(0), "{reverted:?}");
        assert!(reverted.stdout.contains("removed: Amount"), "{reverted:?}");
        let shown = world.mosync(&["settings", "get"]).await;
        assert!(shown.stdout.contains("sync-closed: off"), "{shown:?}");
        let imported = world.mosync(&["settings", "import", file]).await;
        assert!(imported.stdout.contains("added: Amount"), "{imported:?}");
        let again = world.mosync(&["settings", "import", file]).await;
        assert!(again.stdout.contains("nothing differs"), "{again:?}");
        // Made from an older revision: both changes are told, and nothing is overwritten.
        let stale = world
            .mosync(&["settings", "import", file, "--base", &old])
            .await;
        assert_eq!(stale.code, Some(0), "the same on both sides: {stale:?}");
        let other = world.folder.path().join("other.json");
        std::fs::write(&other, r#"{"disabled": true}"#).unwrap();
        let other = other.to_str().unwrap();
        let stale = world
            .mosync(&["settings", "import", other, "--base", &old])
            .await;
        assert_eq!(stale.code, Some(1), "{stale:?}");
        for word in [
            "theirs:",
            "Amount greater_than 1",
            "yours:",
            "Disable mOS Sync",
            "--merge",
        ] {
            assert!(stale.stderr.contains(word), "{word}: {stale:?}");
        }
        let merged = world
            .mosync(&["settings", "import", other, "--base", &old, "--merge"])
            .await;
        assert_eq!(merged.code, Some(0), "{merged:?}");
        let shown = world.mosync(&["settings", "get"]).await;
        assert!(shown.stdout.contains("disabled: on"), "{shown:?}");
        assert!(shown.stdout.contains("sync-closed: on"), "{shown:?}");
        std::fs::write(other, "{}").unwrap();
        let cleared = world.mosync(&["settings", "import", other]).await;
        assert_eq!(cleared.code, Some(0), "{cleared:?}");
    }
    for (arguments, word) in [
        (
            &["set", "disabled", "perhaps"][..],
            "`disabled` cannot be read",
        ),
        (&["set", "disable", "on"], "`disable` is no setting"),
        (&["set", "admin-emails", "ada"], "no domain"),
        (&["set", "org", "00D000000000yyy"], "only that one"),
        (&["revert", "99"], "no settings revision 99"),
        (&["diff", "99"], "no settings revision 99"),
        (&["get", "--revision", "99"], "no settings revision 99"),
        (&["confirm-org", "Acme"], "no org id"),
        (&["import", "/no/such/file"], "/no/such/file"),
    ] {
        let arguments = [&["settings"], arguments].concat();
        let answer = world.mosync(&arguments).await;
        assert_eq!(answer.code, Some(2), "{answer:?}");
        assert!(answer.stderr.contains(word), "{word}: {answer:?}");
    }
    let log = world.mosync(&["logs", "--topic", "settings"]).await;
    assert!(log.stdout.contains("(command line)"), "{log:?}");
    assert!(!log.stdout.contains("example.com"), "{log:?}");
}

/// What a save would do is told once it is known who holds permission, and nothing is saved.
async fn preview(world: &Embedded, running: bool) {
    let set = ["settings", "set", "sync-closed", "off", "--preview"];
    let deadline = Instant::now() + Options::default().patience;
    let told = loop {
        let told = world.mosync(&set).await;
        if told.code == Some(0) {
            break told;
        }
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(
            told.stderr.contains("permissions have been read"),
            "{told:?}"
        );
        if !running {
            return;
        }
        assert!(Instant::now() < deadline, "{told:?}");
    };
    assert!(running, "nobody has read permissions: {told:?}");
    for words in [
        "opportunities leave",
        "closed opportunities are synced no more",
        "API requests",
    ] {
        assert!(told.stdout.contains(words), "{words}: {told:?}");
    }
    let shown = world.mosync(&["settings", "get"]).await;
    assert!(shown.stdout.contains("sync-closed: on"), "{shown:?}");
    let file = world.folder.path().join("previewed.json");
    std::fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    let summary = world.mosync(&["settings", "preview", file, "--json"]).await;
    let summary = parsed(&summary);
    let count = |effect: &str| summary[effect]["count"].as_u64().unwrap();
    assert!(count("leaves") > 0, "{summary}");
    let arguments = ["settings", "preview", file, "--format", "jsonl"];
    let all = world.mosync(&arguments).await;
    assert_eq!(
        all.stdout.lines().count() as u64,
        count("enters") + count("leaves"),
        "{summary}: {all:?}"
    );
    let arguments = [&arguments[..], &["--effect", "leaves"]].concat();
    let leaving = world.mosync(&arguments).await;
    assert_eq!(leaving.stdout.lines().count() as u64, count("leaves"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_outlive_a_folder_whose_database_is_lost() {
    let mut world = Embedded::prepare().await;
    world.start();
    let set = world
        .mosync(&["settings", "set", "sync-closed", "on"])
        .await;
    assert_eq!(set.code, Some(0), "{set:?}");
    let before = parsed(&world.mosync(&["settings", "get", "--json"]).await);
    world.end();
    for file in ["mosync.db", "mosync.db-wal", "mosync.db-shm"] {
        let file = world.folder.path().join("data").join(file);
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    world.start();
    let after = parsed(&world.mosync(&["settings", "get", "--json"]).await);
    assert_eq!(after, before);
    let log = world.mosync(&["logs", "--topic", "settings"]).await;
    assert!(log.stdout.contains("from the settings journal"), "{log:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_outlive_a_redis_that_forgets_everything() {
    let mut world = World::prepare(Options::default()).await;
    let journal = world.folder.path().join("settings.jsonl");
    let text = std::fs::read_to_string(world.config()).unwrap();
    let redis = text
        .lines()
        .find_map(|line| line.strip_prefix("redis_url = "));
    let redis = redis.unwrap().trim_matches('"').to_owned();
    world.start_with(
        "console",
        &[
            ("MOSYNC_CONSOLE_LISTEN", "127.0.0.1:0"),
            ("MOSYNC_CONSOLE_JOURNAL", journal.to_str().unwrap()),
        ],
    );
    world.until_logged("console", "mosync runs").await;
    // By a command, which keeps no journal here: the console writes it down.
    let set = world.mosync(&["settings", "set", "disabled", "on"]).await;
    assert_eq!(set.code, Some(0), "{set:?}");
    let before = parsed(&world.mosync(&["settings", "get", "--json"]).await);
    let deadline = Instant::now() + Options::default().patience;
    while !std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"disabled\":true")) {
        assert!(Instant::now() < deadline, "the console writes it down");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    forget(&redis);
    loop {
        let after = parsed(&world.mosync(&["settings", "get", "--json"]).await);
        if after["revision"] != 0 {
            assert_eq!(after, before);
            break;
        }
        assert!(Instant::now() < deadline, "the console restores it");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Empties a Redis.
fn forget(url: &str) {
    let rest = url.strip_prefix("redis://").unwrap();
    let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
    let address = address.split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"FLUSHALL\r\n").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}
