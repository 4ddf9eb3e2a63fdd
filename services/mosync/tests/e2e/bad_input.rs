//! What nobody can read, and holes in the stream: kept or caught up, never in the way.

use fake_mos::Fault as MosFault;
use fake_salesforce::faults::Fault;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::people;
use crate::world::{Options, World};

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
        let status = world
            .until("the gap is shown", |status| !open_gaps(status).is_empty())
            .await;
        assert!(
            open_gaps(&status)[0]["evidence"]
                .as_str()
                .unwrap()
                .contains(evidence),
            "{status:#}"
        );
        world.mos.mos.fault(MosFault::Clear).unwrap();
        world
            .until("the gap closes", |status| open_gaps(status).is_empty())
            .await;
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
    let status = world
        .until("the gap is shown", |status| !open_gaps(status).is_empty())
        .await;
    assert_eq!(open_gaps(&status)[0]["cause"], "position_rejected");
    world.mos.mos.fault(MosFault::Clear).unwrap();
    world
        .until("the gap closes", |status| open_gaps(status).is_empty())
        .await;
    world.rest().await;
    world.audit(&format!("the position was lost\n{}", chance.trace()), &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_can_read_is_set_aside_and_the_next_one_is_processed() {
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
        .until("they are set aside", |status| {
            status["dead"] == json!(published)
        })
        .await;
    assert_eq!(status["verdict"], "degraded");
    world.rest().await;
    world.audit("messages were unreadable", &[]);
    let human = world.mosync(&["status"]).await;
    assert_eq!(human.code, Some(1));
    let first = human.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("degraded: ") && first.contains("set aside"),
        "{first}"
    );
}

fn open_gaps(status: &Value) -> &Vec<Value> {
    status["open_gaps"].as_array().unwrap()
}
