//! What nobody can read, and holes in the stream: kept or caught up, never in the way.

use fake_mos::Fault as MosFault;
use fake_salesforce::faults::Fault;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::people;
use crate::world::{self, Options, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_in_the_stream_is_shown_and_caught_up() {
    let mut world = World::at_rest(Options::default()).await;
    let chance = Chance::of_seed(5);
    let account = || "Account".to_owned();
    for (fault, evidence) in [
        (
            Fault::Overflow { entity: account() },
            "all records of Account",
        ),
        (
            Fault::Wildcard { entity: account() },
            "all records of Account",
        ),
        (Fault::Truncated { entity: account() }, "cannot be read"),
    ] {
        // While mOS is down the gap cannot close.
        world
            .mos
            .mos
            .fault(MosFault::Down { refuse: false })
            .unwrap();
        people::work(&world, &chance, 3).await;
        world.salesforce.faults.apply(fault);
        people::work(&world, &chance, 3).await;
        let status = the_gap_is_shown(&world).await;
        assert!(
            open_gaps(&status)[0]["evidence"]
                .as_str()
                .unwrap()
                .contains(evidence),
            "{status:#}"
        );
        the_gap_closes(&world).await;
        world.rest().await;
        world.audit(&format!("{evidence}\n{}", chance.trace()), &[]);
    }
    let status = world.rest().await;
    assert_eq!(status["dead"], 1, "the unreadable event is kept");

    // Gap events name records and say nothing about them.
    for entity in ["Opportunity", "Contact", "User", "OpportunityContactRole"] {
        world.salesforce.faults.apply(Fault::Gap {
            entity: entity.to_owned(),
            ids: Vec::new(),
            change: fake_salesforce::faults::GapKind::Update,
        });
    }
    world
        .salesforce
        .faults
        .apply(Fault::DuplicateNext { count: 5 });
    world.salesforce.faults.apply(Fault::DropStreams {});
    people::work(&world, &chance, 5).await;
    world.salesforce.faults.apply(Fault::ExpireTokens {});
    people::work(&world, &chance, 5).await;
    world.rest().await;
    world.audit(&format!("gap events\n{}", chance.trace()), &[]);

    // Changes whose events are lost with the position: only reading everything brings them.
    world.kill9("listener");
    people::work(&world, &chance, 15).await;
    world.salesforce.faults.apply(Fault::InvalidateReplayIds {});
    world
        .mos
        .mos
        .fault(MosFault::Down { refuse: true })
        .unwrap();
    world.start("listener");
    let status = the_gap_is_shown(&world).await;
    assert_eq!(open_gaps(&status)[0]["cause"], "position_rejected");
    the_gap_closes(&world).await;
    world.rest().await;
    world.audit(&format!("the position was lost\n{}", chance.trace()), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_can_read_is_dead_and_the_next_one_is_processed() {
    let world = World::at_rest(Options::default()).await;
    let (connection, channel) = world.channel().await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let mut published = 0;
    for queue in ["filter.live", "permission.bulk", "load.live"] {
        for (kind, version, body) in [
            ("mosync.unit", 1, &b"{\"not\": \"a unit\"}"[..]),
            ("mosync.unit", 99, b"{}"),
            ("other", 1, b"{}"),
            ("", 0, b"\xff\xfe\x00"),
        ] {
            let mut headers = FieldTable::default();
            headers.insert("version".into(), AMQPValue::LongLongInt(version));
            let properties = BasicProperties::default()
                .with_type(kind.into())
                .with_headers(headers);
            // By which people name it; a stranger may well publish without.
            let properties = match kind {
                "" => properties,
                _ => properties.with_message_id(format!("unreadable-{published}").into()),
            };
            channel
                .basic_publish(
                    "mosync".into(),
                    queue.into(),
                    BasicPublishOptions::default(),
                    body,
                    properties,
                )
                .await
                .unwrap()
                .await
                .unwrap();
            published += 1;
        }
    }
    connection.close(200, "bye".into()).await.unwrap();
    world.touch_all_deals();
    let status = world
        .until("they are dead", |status| status["dead"] == json!(published))
        .await;
    assert_eq!(status["verdict"], "degraded");
    world.rest().await;
    world.audit("messages were unreadable", &[]);
    let human = world.mosync(&["status"]).await;
    assert_eq!(human.code, Some(1));
    let first = human.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("degraded: ") && first.contains("messages are dead"),
        "{first}"
    );
    dead_messages_are_looked_at_and_dealt_with(&world, published).await;
}

/// Listed, shown, replayed to their queue and discarded, by commands.
async fn dead_messages_are_looked_at_and_dealt_with(world: &World, published: usize) {
    let list = world.mosync(&["dead", "list"]).await;
    assert_eq!(list.stdout.lines().count(), published, "{list:?}");
    let list = world.mosync(&["dead", "list", "--json"]).await;
    let list = list.stdout.lines();
    let list = list.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let list = list.collect::<Vec<_>>();
    let from_the_future = list.iter().find(|message| {
        message["reason"]
            .as_str()
            .unwrap()
            .contains("version is 99")
    });
    let message = from_the_future.unwrap();
    let id = message["id"].as_str().unwrap();
    let shown = world.mosync(&["dead", "show", id]).await;
    let queue = message["queue"].as_str().unwrap();
    for words in [id, queue, "update the worker, then replay it"] {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
    // No worker reads it now either.
    let replayed = world.mosync(&["dead", "replay", id]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert!(
        replayed.stdout.contains("is back in its queue"),
        "{replayed:?}"
    );
    world
        .until("it is dead again", |status| {
            status["dead"] == json!(published) && world::ready(status) == 0
        })
        .await;
    let list = world.mosync(&["dead", "list", "--json"]).await;
    let without_id = list.stdout.matches("\"without-id-").count();
    assert_eq!(without_id, 3, "{list:?}");
    for line in list.stdout.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let id = message["id"].as_str().unwrap();
        let why = ["dead", "discard", id, "--reason", "nobody can read it"];
        let discarded = world.mosync(&why).await;
        assert_eq!(discarded.code, Some(0), "{discarded:?}");
        assert!(discarded.stdout.contains("is discarded"), "{discarded:?}");
    }
    let log = world.mosync(&["logs", "--topic", "dead"]).await;
    let reasons = log.stdout.matches("nobody can read it").count();
    assert_eq!(reasons, published, "{log:?}");
    let status = world
        .until("no message is dead", |status| status["dead"] == 0)
        .await;
    assert_eq!(status["verdict"], "healthy", "{status:#}");
}

/// Asks the stand-in org for a fault of its Bulk API.
async fn bulk_fault(world: &World, fault: Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/admin/faults", world.salesforce.http);
    let body = fault.to_string();
    let request = client.post(url).header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204, "{fault}");
}

/// Whatever the Bulk API answers, everything comes in the end or the job fails with that reason.
/// What the reader does about each of these is tested in the simulation; here it is this very
/// client that meets this very server.
#[tokio::test(flavor = "multi_thread")]
async fn bulk_queries_that_go_wrong_are_read_again_or_fail_the_job_with_their_reason() {
    let mut world = World::prepare(Options {
        all_in_scope: true,
        bulk_from: Some(1),
        ..Options::default()
    })
    .await;
    bulk_fault(&world, json!({"kind": "bulk_page_rows", "rows": 5})).await;
    let faults = [
        json!({"kind": "bulk_job_failed", "object": "User", "message": "QUERY_TOO_SLOW : no luck"}),
        json!({"kind": "bulk_page_5xx", "object": "User"}),
        json!({"kind": "bulk_page_truncated", "object": "Account", "clean": true}),
        json!({"kind": "bulk_page_truncated", "object": "Account", "page": 2}),
        json!({"kind": "bulk_job_aborted", "object": "Contact"}),
        json!({"kind": "bulk_page_short", "object": "Contact"}),
        json!({"kind": "bulk_page_garbage", "object": "Opportunity"}),
        json!({"kind": "bulk_results_expired", "object": "Opportunity", "page": 2}),
        json!({"kind": "bulk_page_header", "object": "OpportunityContactRole"}),
        json!({"kind": "bulk_job_miscounts", "object": "OpportunityContactRole", "by": 1}),
    ];
    for fault in faults {
        bulk_fault(&world, fault).await;
    }
    world.start_all();
    let load = sync_all(&world, 0).await;
    world.rest_and_audit("the Bulk API answered badly").await;
    let log = world.mosync(&["logs", "--job", &load]).await.stdout;
    let lines = |words: &[&str]| {
        let lines = log.lines();
        let like = lines.filter(|line| words.iter().all(|word| line.contains(word)));
        assert_eq!(like.count(), 1, "{words:?}: {log}");
    };
    for (phase, reason) in [
        (1, "gave up the query for User: QUERY_TOO_SLOW : no luck"),
        (2, "somebody aborted the query for Contact"),
        (3, "expired"),
        (4, "rows were promised for the query"),
    ] {
        let phase = format!("phase {phase} of {load} begins again (run 2)");
        lines(&[&phase, reason]);
    }
    // The line may have been at fault: it is asked again, and nothing begins anew.
    assert_eq!(log.matches("begins again").count(), 4, "{log}");
    assert!(
        log.contains("waits and asks again: Salesforce's answer could not be read"),
        "{log}"
    );

    // One time too often.
    let fault = json!({"kind": "bulk_job_failed", "object": "Opportunity", "count": 4, "message": "QUERY_TOO_SLOW : no luck"});
    bulk_fault(&world, fault).await;
    let failed = sync_all(&world, 1).await;
    let shown = world.mosync(&["jobs", "show", &failed, "--json"]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let statuses = (&shown["salesforce"], &shown["mos"]);
    assert_eq!(statuses, (&json!("failed"), &json!("failed")), "{shown:#}");
    let why = "Salesforce gave up the query for Opportunity: QUERY_TOO_SLOW : no luck";
    assert_eq!(shown["error"], why, "{shown:#}");
    world.rest().await;
    world.audit("the Bulk API gave up", &[]);
}

/// Waits for a sync-all that ends with this exit code; its id.
async fn sync_all(world: &World, code: i32) -> String {
    let load = world.mosync(&["sync-all", "--wait"]).await;
    assert_eq!(load.code, Some(code), "{load:?}");
    load.stdout.trim().to_owned()
}

async fn the_gap_is_shown(world: &World) -> Value {
    world
        .until("the gap is shown", |status| !open_gaps(status).is_empty())
        .await
}

/// As soon as mOS is there again.
async fn the_gap_closes(world: &World) {
    world.mos.mos.fault(MosFault::Clear).unwrap();
    world
        .until("the gap closes", |status| open_gaps(status).is_empty())
        .await;
}

fn open_gaps(status: &Value) -> &Vec<Value> {
    status["open_gaps"].as_array().unwrap()
}
