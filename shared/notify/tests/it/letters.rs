//! Mails in a folder: what each kind of notification looks like, to the letter.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use domain::notification::{Event, Matter, Notice, Notification, Settled, Way};
use notify::{Config, Notify};
use ports::courier::Courier;

use super::{config, courier, notice, to};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn into(folder: &Path) -> Notify {
    courier(Config {
        folder: Some(folder.join("mail")),
        ..config()
    })
}

async fn put(courier: &Notify, letter: &Notification) -> String {
    match courier.deliver(letter, &letter.deliveries[0].way).await {
        Settled::Sent(said) => said.strip_prefix("written to ").unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Object, count, cause and details, much as the console finds them.
fn sample(matter: Matter, event: Event) -> Notice {
    let load = [
        "Account: read 3, created 3",
        "Contact: read 5, created 4, parked 1",
    ];
    let jobs = ["backfill-4711", "sync_all-4711"];
    let (object, count, cause, details): (_, _, _, &[&str]) = match matter {
        Matter::RecordsParked => (
            "Account, Contact",
            812,
            "a text is longer than mOS takes",
            &[
                "800 at load: value_too_long",
                "12 at load: Account 001000000000001AAA",
            ],
        ),
        Matter::DeadMessages => (
            "messages in the dead queue",
            1,
            "no worker could process them",
            &[],
        ),
        Matter::Gap => (
            "the event stream",
            2,
            "a transaction changed more than the stream carries",
            &["changes since 2026-09-21T14:13:20.000Z may be missing; catch_up-4711 reads them"],
        ),
        Matter::JobFinished => ("job sync_all-4711", 1, "everything is in mOS", &load),
        Matter::JobFailed => (
            "job backfill-4711",
            1,
            "Salesforce refuses the query (INVALID_FIELD)",
            &load,
        ),
        Matter::JobStalled => ("jobs", 2, "nothing has happened for 5 minutes", &jobs),
        Matter::JobsPaused => ("jobs", 1, "somebody holds them", &jobs[..1]),
        Matter::Quota => (
            "live changes",
            1,
            "the org's API allowance is used up; it is tried again at 2026-09-21T15:00:00.000Z",
            &[],
        ),
        Matter::PermissionsExpiring => (
            "users who hold mOS permission",
            3,
            "their permission set assignments end, the first at 2026-09-25T00:00:00.000Z",
            &[],
        ),
        Matter::OutOfReach => ("the message broker", 1, "it does not answer", &[]),
        Matter::ServiceFailing => ("the listener", 1, "Salesforce does not answer", &[]),
        Matter::ServiceSilent => ("the filter", 1, "it has never run", &[]),
        Matter::SyncPaused => ("the filter, the loader", 2, "mOS answers 503", &[]),
        Matter::SyncDisabled => ("the whole sync", 1, "an administrator has disabled it", &[]),
        Matter::FieldsLost => (
            "Opportunity.Term__c",
            1,
            "the integration user can no longer see what the settings name",
            &[],
        ),
        Matter::StreamLate => ("the event stream", 1, "it was last heard 50 hours ago", &[]),
        Matter::Test => (
            "notifications of mosync",
            1,
            "somebody has ordered a test",
            &[],
        ),
    };
    Notice {
        object: object.to_owned(),
        count,
        cause: cause.to_owned(),
        advice: match matter {
            Matter::JobFinished => String::new(),
            _ => "See Sync Status & what it names, then <act>.".to_owned(),
        },
        page: "/status".to_owned(),
        details: details.iter().map(|line| (*line).to_owned()).collect(),
        lasted_s: (event == Event::Closed).then_some(3_900),
        ..notice(matter, event)
    }
}

#[tokio::test]
async fn every_kind_looks_as_it_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let courier = into(folder.path());
    let actual = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut differing = Vec::new();
    let mut expected = BTreeSet::new();
    for matter in Matter::ALL {
        let events: &[Event] = match matter {
            Matter::JobFinished | Matter::JobFailed | Matter::Test => &[Event::Happened],
            Matter::RecordsParked => &[Event::Opened, Event::Grown, Event::Closed],
            _ => &[Event::Opened, Event::Closed],
        };
        for event in events {
            let letter = to(&courier, sample(matter, *event), &["ada@acme.example"]);
            let file = put(&courier, &letter).await;
            let text = std::fs::read_to_string(folder.path().join("mail").join(file)).unwrap();
            let name = format!("{}-{}.eml", matter.name(), event.name());
            // Kept with the line ends of other files.
            let text = text.replace("\r\n", "\n");
            let known = std::fs::read_to_string(Path::new(GOLDEN).join(&name)).unwrap_or_default();
            if text != known {
                std::fs::write(actual.join(&name), &text).unwrap();
                differing.push(name.clone());
            }
            expected.insert(name);
        }
    }
    assert!(
        differing.is_empty(),
        "these differ from {GOLDEN}; they are in {}: {differing:?}",
        actual.display()
    );
    let there = std::fs::read_dir(GOLDEN).unwrap();
    let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(there.collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn a_mail_is_one_file_of_its_user_however_often_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let courier = into(folder.path());
    let letter = to(&courier, sample(Matter::Gap, Event::Opened), &[]);
    assert!(matches!(&letter.deliveries[0].way, Way::Folder { to } if to.is_empty()));
    let name = put(&courier, &letter).await;
    assert_eq!(put(&courier, &letter).await, name);
    let files = std::fs::read_dir(folder.path().join("mail")).unwrap();
    assert_eq!(files.count(), 1);
    let file = std::fs::metadata(folder.path().join("mail").join(&name)).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert!(name.contains(letter.id()), "{name}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_says_so_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mail"), "a file").unwrap();
    let courier = into(folder.path());
    let letter = to(&courier, sample(Matter::Gap, Event::Opened), &[]);
    let settled = courier.deliver(&letter, &letter.deliveries[0].way).await;
    assert!(
        matches!(&settled, Settled::Later(why) if why.contains("notify.folder")),
        "{settled:?}"
    );
}

#[tokio::test]
async fn the_newest_thousand_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mail = folder.path().join("mail");
    std::fs::create_dir(&mail).unwrap();
    for number in 0..1_005 {
        std::fs::write(mail.join(format!("2020-{number:04}.eml")), "old").unwrap();
    }
    std::fs::write(mail.join("notes.txt"), "somebody's own").unwrap();
    let courier = into(folder.path());
    let letter = to(&courier, sample(Matter::Gap, Event::Opened), &[]);
    let name = put(&courier, &letter).await;
    let names = std::fs::read_dir(&mail).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.collect::<BTreeSet<_>>();
    assert_eq!(names.len(), 1_001);
    assert!(names.contains(&name) && names.contains("notes.txt"));
    assert!(!names.contains("2020-0005.eml") && names.contains("2020-0006.eml"));
}

#[tokio::test]
async fn a_way_that_is_not_configured_any_more_has_failed() {
    let courier = courier(config());
    assert_eq!(courier.ways(&["ada@acme.example".to_owned()]), []);
    let ada = "ada@acme.example".to_owned();
    let ways = [
        Way::Mail { to: ada.clone() },
        Way::Folder { to: vec![ada] },
        Way::Webhook,
    ];
    let letter = Notification::new(sample(Matter::Gap, Event::Opened), ways);
    for delivery in &letter.deliveries {
        let settled = courier.deliver(&letter, &delivery.way).await;
        assert!(matches!(settled, Settled::Never(_)), "{settled:?}");
    }
}
