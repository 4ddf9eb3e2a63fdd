//! Parked records: grouped by cause, tried again, dismissed with a reason.

use console::views::{GroupSearch, Groups, ParkedSearch, Selection};
use console::{Caller, OpsError};
use domain::ObjectKind;
use domain::failure::FailureKind;
use domain::job::JobId;

use crate::desk::{Desk, record};

const BY: Caller = Caller::CommandLine;

fn named(ids: &[&str]) -> Selection {
    Selection {
        records: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..Selection::default()
    }
}

fn group(id: &str) -> Selection {
    Selection {
        group: Some(id.to_owned()),
        ..Selection::default()
    }
}

fn because(selection: Selection, reason: &str) -> Selection {
    Selection {
        reason: Some(reason.to_owned()),
        ..selection
    }
}

async fn grouped(desk: &Desk) -> Groups {
    let all = GroupSearch::default();
    desk.ops.parked_groups(&all).await.unwrap()
}

#[tokio::test]
async fn a_group_began_with_the_first_of_its_records_whichever_job_parked_it() {
    let desk = Desk::open();
    let ago = |seconds| desk.now().before(std::time::Duration::from_secs(seconds));
    for (number, since, job) in [(1, 50, None), (2, 90, Some("one")), (3, 10, Some("two"))] {
        desk.park(number, |parked| {
            parked.since = ago(since);
            parked.job = job.map(JobId::of);
        })
        .await;
    }
    let groups = grouped(&desk).await;
    let [group] = &groups.groups[..] else {
        panic!("{groups:?}")
    };
    assert_eq!((group.count, group.first), (3, ago(90)));
}

#[tokio::test]
async fn a_thousand_records_of_one_cause_are_one_group() {
    let desk = Desk::open();
    // More than are read at a time.
    for number in 0..1100 {
        desk.park(number, |_| {}).await;
    }
    let parent = record(ObjectKind::Account, 7);
    for number in 2000..2003 {
        desk.park(number, |parked| {
            parked.kind = FailureKind::ParentMissing;
            parked.code = None;
            parked.parent = Some((ObjectKind::Account, parent));
        })
        .await;
    }
    let groups = grouped(&desk).await;
    assert_eq!((groups.open, groups.dismissed), (1103, 0));
    let [many, children] = &groups.groups[..] else {
        panic!("{groups:?}")
    };
    assert_eq!((many.count, many.samples.len()), (1100, 5));
    assert_eq!(many.cause, "value_too_long");
    assert!(many.advice.contains("Shorten"));
    assert_eq!(children.count, 3);
    assert_eq!(children.cause, format!("Account {parent}"));

    // One group is dismissed; its records stay, and nobody counts them as open.
    let dismiss = because(group(&many.id), "an old import");
    let touched = desk.ops.dismiss_parked(&dismiss, BY).await.unwrap();
    assert_eq!(touched.records, 1100);
    let after = grouped(&desk).await;
    assert_eq!((after.open, after.dismissed), (3, 1100));
    assert_eq!(after.groups[1].id, many.id);
    assert!(after.groups[1].dismissed);
    assert!(desk.log().await[0].message.contains("an old import"));

    // What was dismissed is not taken up with its group again.
    let refused = desk.ops.retry_parked(&group(&many.id), BY).await;
    assert!(matches!(refused.unwrap_err(), OpsError::NotFound(_)));

    // The other is tried again: due now, in one retry job.
    let touched = desk.ops.retry_parked(&group(&children.id), BY).await;
    assert_eq!(touched.unwrap().records, 3);
    let due = desk.stores.parked.take_due(desk.now(), 100).await.unwrap();
    let domain::job::JobScope::Records { records } = due.unwrap().scope else {
        panic!("a retry reads records")
    };
    assert_eq!(records.len(), 3);
}

/// The owner is refused; his deals wait for him, and their roles wait for the deals.
#[tokio::test]
async fn a_chain_of_waiting_records_is_one_group_named_by_its_beginning() {
    const DEALS: u32 = 300;
    let desk = Desk::open();
    let owner = record(ObjectKind::User, 1);
    desk.park(1, |parked| {
        parked.object = ObjectKind::User;
        parked.id = owner;
        parked.kind = FailureKind::InvalidField;
    })
    .await;
    let waits_for = |object, number, parent| {
        desk.park(number, move |parked| {
            parked.object = object;
            parked.id = record(object, number);
            parked.kind = FailureKind::ParentMissing;
            parked.code = Some("parent_missing".to_owned());
            parked.parent = Some(parent);
        })
    };
    // Deals and roles are not read in the same piece.
    for number in 0..DEALS {
        let parent = (ObjectKind::User, owner);
        let deal = waits_for(ObjectKind::Opportunity, number, parent).await;
        waits_for(ObjectKind::OpportunityContactRole, number, deal.record()).await;
        waits_for(
            ObjectKind::OpportunityContactRole,
            DEALS + number,
            deal.record(),
        )
        .await;
    }
    let waiting = u64::from(3 * DEALS);
    let groups = grouped(&desk).await;
    let [children, refused] = &groups.groups[..] else {
        panic!("{groups:?}")
    };
    assert_eq!((children.count, refused.count), (waiting, 1));
    assert_eq!(children.cause, format!("User {owner}"));
    // Each of them says so, beside the record that it waits for itself.
    let roles = ParkedSearch {
        object: Some("OpportunityContactRole".to_owned()),
        group: Some(children.id.clone()),
        ..ParkedSearch::default()
    };
    let roles = desk.ops.parked(&roles).await.unwrap().records;
    assert_eq!(roles[0].group, children.id);
    assert_eq!(
        roles[0].parent.unwrap().object,
        ObjectKind::Opportunity,
        "{roles:?}"
    );
    let touched = desk.ops.retry_parked(&group(&children.id), BY).await;
    assert_eq!(touched.unwrap().records, waiting);
}

#[tokio::test]
async fn an_order_for_as_many_as_were_seen_does_nothing_where_there_are_more_by_now() {
    let desk = Desk::open();
    // More than are read at a time.
    for number in 0..501 {
        desk.park(number, |_| {}).await;
    }
    let groups = grouped(&desk).await;
    let everything = Selection {
        all: true,
        ..Selection::default()
    };
    for selection in [everything.clone(), group(&groups.groups[0].id)] {
        let selection = Selection {
            seen: Some(500),
            ..because(selection, "a test")
        };
        for refused in [
            desk.ops.dismiss_parked(&selection, BY).await.unwrap_err(),
            desk.ops.retry_parked(&selection, BY).await.unwrap_err(),
        ] {
            assert!(matches!(refused, OpsError::Conflict(_)), "{refused:?}");
            let told = refused.to_string();
            assert!(told.contains("501 of these records"), "{told}");
        }
    }
    let groups = grouped(&desk).await;
    assert_eq!((groups.open, groups.dismissed), (501, 0));
    assert!(desk.log().await.is_empty());
    let seen = Selection {
        seen: Some(501),
        ..because(everything, "a test")
    };
    let touched = desk.ops.dismiss_parked(&seen, BY).await.unwrap();
    assert_eq!(touched.records, 501);
}

#[tokio::test]
async fn named_records_get_a_line_each_and_a_dismissal_can_be_taken_back() {
    let desk = Desk::open();
    let first = desk.park(1, |_| {}).await;
    desk.park(2, |_| {}).await;
    let (id, nobody) = (first.id.to_string(), record(ObjectKind::Contact, 99));
    let both = named(&[&id, &id, nobody.as_str()]);
    let touched = desk
        .ops
        .dismiss_parked(&because(both.clone(), "a test"), BY)
        .await
        .unwrap();
    assert_eq!(touched.records, 1);
    let log = desk.log().await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].record, Some((ObjectKind::Contact, first.id)));
    assert_eq!(log[0].message, "dismissed by the command line: a test");
    let list = desk.ops.parked(&ParkedSearch::default()).await.unwrap();
    let dismissed = list.records[0].dismissed.as_ref().unwrap();
    assert_eq!(dismissed.reason, "a test");
    assert_eq!(list.records[1].dismissed, None);
    assert_eq!(list.records[0].group, list.records[1].group);
    // The 15 characters that people copy from a page's address do as well.
    desk.ops
        .retry_parked(&named(&[id.get(..15).unwrap()]), BY)
        .await
        .unwrap();
    let open = grouped(&desk).await;
    assert_eq!((open.open, open.dismissed), (2, 0));
    let all = Selection {
        all: true,
        ..Selection::default()
    };
    let touched = desk.ops.retry_parked(&all, BY).await.unwrap();
    assert_eq!(touched.records, 2);
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_a_sentence() {
    let desk = Desk::open();
    let id = desk.park(1, |_| {}).await.id.to_string();
    let nobody = record(ObjectKind::Contact, 99).to_string();
    let both = Selection {
        all: true,
        ..named(&[&id])
    };
    let narrowed = Selection {
        object: Some("Contact".to_owned()),
        ..named(&[&id])
    };
    let unknown = Selection {
        all: true,
        object: Some("Lead".to_owned()),
        ..Selection::default()
    };
    let dismissed = Selection {
        dismissed: true,
        ..because(group("0123456789"), "again")
    };
    let refused = desk.ops.dismiss_parked(&dismissed, BY).await.unwrap_err();
    assert!(
        refused.to_string().contains("dismissed already"),
        "{refused}"
    );
    let counted = Selection {
        seen: Some(1),
        ..named(&[&id])
    };
    for (selection, word) in [
        (narrowed, "meant as they are"),
        (counted, "meant as they are"),
        (unknown, "Lead"),
        (Selection::default(), "which records"),
        (both, "which records"),
        (named(&["003"]), "no record id"),
        (named(&["00Q000000000001"]), "knows no others"),
        (named(&vec![id.as_str(); 201]), "200"),
    ] {
        let refused = desk.ops.retry_parked(&selection, BY).await.unwrap_err();
        assert!(matches!(refused, OpsError::Invalid(_)), "{refused:?}");
        assert!(refused.to_string().contains(word), "{refused}");
    }
    for selection in [named(&[&nobody]), group("0123456789")] {
        let refused = desk.ops.retry_parked(&selection, BY).await.unwrap_err();
        assert!(matches!(refused, OpsError::NotFound(_)), "{refused:?}");
    }
    let long = "x".repeat(501);
    for reason in ["", "  ", &long] {
        let selection = because(named(&[&id]), reason);
        let refused = desk.ops.dismiss_parked(&selection, BY).await.unwrap_err();
        assert!(refused.to_string().contains("reason"), "{refused}");
    }
    assert_eq!(grouped(&desk).await.open, 1);
    assert!(desk.log().await.is_empty());
    let search = |kind: &str| ParkedSearch {
        kind: Some(kind.to_owned()),
        ..ParkedSearch::default()
    };
    let found = desk.ops.parked(&search("value_too_long")).await.unwrap();
    assert_eq!(found.records.len(), 1);
    let none = desk.ops.parked(&search("poison")).await.unwrap();
    assert!(none.records.is_empty());
    let refused = desk.ops.parked(&search("bad luck")).await.unwrap_err();
    assert!(refused.to_string().contains("bad luck"), "{refused}");
}

#[tokio::test]
async fn many_records_are_counted_once_for_all_who_look_and_anew_when_others_are_open() {
    let desk = Desk::open();
    let mut records = Vec::new();
    for number in 0..600 {
        records.push(desk.park(number, |_| {}).await.record());
    }
    assert_eq!(grouped(&desk).await.open, 600);
    // What a reading would find now, and an answer from memory does not.
    let dismissal = domain::parked::Dismissal {
        at: desk.now(),
        by: "a test".to_owned(),
        reason: "a test".to_owned(),
    };
    let (gone, come) = (&records[..1], 700);
    desk.stores.parked.dismiss(gone, &dismissal).await.unwrap();
    assert_eq!(grouped(&desk).await.open, 599, "other ones are open");
    desk.park(come, |_| {}).await;
    desk.stores
        .parked
        .dismiss(&records[1..2], &dismissal)
        .await
        .unwrap();
    let groups = grouped(&desk).await;
    assert_eq!((groups.open, groups.dismissed), (599, 1), "from memory");
    desk.pass(10);
    let groups = grouped(&desk).await;
    assert_eq!((groups.open, groups.dismissed), (599, 2), "counted anew");
}
