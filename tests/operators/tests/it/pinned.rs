//! Which org may be worked on: written down at the first contact, refused when it is another. And what
//! pages call it.

use domain::settings::MOSYNC;
use ports::source::Organization;
use runtime::org::settle;

use crate::desk::{Desk, ORG};

fn org(id: &str, is_sandbox: bool) -> Organization {
    Organization {
        id: id.parse().unwrap(),
        name: "Acme".to_owned(),
        is_sandbox,
        time_zone: "UTC".to_owned(),
    }
}

#[tokio::test]
async fn the_first_contact_is_written_down_once() {
    let desk = Desk::open();
    let first = org(ORG, false);
    for _ in 0..3 {
        let settled = settle(&desk.stores, &first, desk.now()).await.unwrap();
        assert_eq!(settled.refused, None);
        assert_eq!(settled.revision.revision, 1);
        assert_eq!(settled.revision.author, MOSYNC);
        assert_eq!(settled.revision.settings.org, Some(first.id));
        assert_eq!(settled.revision.rule_revision, 0, "nothing is read anew");
    }
    let log = desk.log().await;
    assert_eq!(log.len(), 1);
    assert!(log[0].message.contains(ORG), "{}", log[0].message);
}

#[tokio::test]
async fn another_org_is_refused_with_what_to_do_and_a_sandbox_without_its_switch() {
    let desk = Desk::open();
    let settled = settle(&desk.stores, &org(ORG, false), desk.now()).await;
    settled.unwrap();
    let other = org("00D000000000002", false);
    let refused = settle(&desk.stores, &other, desk.now()).await.unwrap();
    let why = refused.refused.unwrap();
    for word in [
        ORG,
        "mosync settings confirm-org 00D000000000002",
        "configuration",
    ] {
        assert!(why.contains(word), "{word}: {why}");
    }
    let sandbox = org(ORG, true);
    let refused = settle(&desk.stores, &sandbox, desk.now()).await.unwrap();
    assert!(refused.refused.unwrap().contains("Run In Sandbox is off"));
    desk.save(|settings| settings.run_in_sandbox = true).await;
    let settled = settle(&desk.stores, &sandbox, desk.now()).await.unwrap();
    assert_eq!(settled.refused, None);
}

#[tokio::test]
async fn whoever_comes_while_the_org_is_asked_for_its_name_is_told_it_as_well() {
    let desk = Desk::open();
    let name = async || desk.ops.org().await.unwrap().name;
    let acme = Some("Acme".to_owned());
    // Nothing was answered yet: both wait for the one question.
    let held = desk.org.keeps_waiting();
    let told = async { tokio::join!(name(), name()) };
    let let_go = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (told, ()) = tokio::join!(told, let_go);
    assert_eq!(told, (acme.clone(), acme.clone()));
    // Later there is an answer, and nobody else waits for the next.
    desk.pass(301);
    let _held = desk.org.keeps_waiting();
    let later = tokio::select! {
        biased;
        _ = name() => panic!("it waits for the org"),
        later = name() => later,
    };
    assert_eq!(later, acme);
}
