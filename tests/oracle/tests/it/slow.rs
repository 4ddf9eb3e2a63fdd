//! The scope kept step by step against the scope worked out afresh, and against the clock's size.

use std::collections::BTreeSet;

use oracle::{Kind, Settings, Timeline, audit, latency, out_of_scope};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::org::*;

/// The rule read a second time, slowly: everything in scope in these rows at a moment.
fn afresh(org: &Org, now_seconds: i64) -> BTreeSet<String> {
    let all = |entity: &str| -> Vec<(String, Value)> {
        org.rows
            .iter()
            .filter(|((name, _), row)| name == entity && row["IsDeleted"] == false)
            .map(|((_, id), row)| (id.clone(), Value::from(row.clone())))
            .collect()
    };
    let permitted = |user: &str| {
        let active = all("User")
            .iter()
            .any(|(id, row)| id == user && row["IsActive"] == true);
        active
            && all("PermissionSetAssignment").iter().any(|(_, row)| {
                let direct = all("PermissionSet").iter().any(|(set, named)| {
                    row["PermissionSetId"] == **set && named["Name"] == "mOS_User"
                });
                let expired = row["ExpirationDate"].as_str().is_some_and(|end| {
                    end.parse::<jiff::Timestamp>().unwrap().as_second() <= now_seconds
                });
                row["AssigneeId"] == *user && direct && !expired
            })
    };
    let mut scope = BTreeSet::new();
    for (id, deal) in all("Opportunity") {
        let owner = deal["OwnerId"].as_str().unwrap().to_owned();
        if !permitted(&owner) || deal["IsClosed"] == true {
            continue;
        }
        scope.insert(format!("opportunity {id}"));
        scope.insert(format!("user {owner}"));
        if all("Account")
            .iter()
            .any(|(account, _)| deal["AccountId"] == **account)
        {
            scope.insert(format!("company {}", deal["AccountId"].as_str().unwrap()));
        }
        for (role, row) in all("OpportunityContactRole") {
            if row["OpportunityId"] == *id {
                scope.insert(format!("contact_role {role}"));
                if all("Contact")
                    .iter()
                    .any(|(contact, _)| row["ContactId"] == **contact)
                {
                    scope.insert(format!("contact {}", row["ContactId"].as_str().unwrap()));
                }
            }
        }
    }
    scope
}

/// One step of a random script; numbers choose among a few records.
fn step(org: &mut Org, what: u8, which: u8, other: u8, now: i64) {
    let id = |prefix: &str, number: u8| format!("{prefix}{}", number % 3);
    match what {
        0 => org.update(
            "Opportunity",
            &id("o", which),
            json!({ "OwnerId": id("u", other) }),
        ),
        1 => org.update(
            "Opportunity",
            &id("o", which),
            json!({ "AccountId": id("a", other) }),
        ),
        2 => org.update(
            "Opportunity",
            &id("o", which),
            json!({ "IsClosed": other.is_multiple_of(2) }),
        ),
        3 if other.is_multiple_of(2) => org.delete("Opportunity", &id("o", which)),
        3 => org.undelete("Opportunity", &id("o", which)),
        4 => org.update(
            "OpportunityContactRole",
            &id("r", which),
            json!({ "ContactId": id("c", other) }),
        ),
        5 if other.is_multiple_of(2) => org.delete("OpportunityContactRole", &id("r", which)),
        5 => org.undelete("OpportunityContactRole", &id("r", which)),
        6 => org.update(
            "User",
            &id("u", which),
            json!({ "IsActive": other.is_multiple_of(2) }),
        ),
        7 if other.is_multiple_of(2) => org.delete("PermissionSetAssignment", &id("g", which)),
        7 => {
            let end = jiff::Timestamp::from_second(now + i64::from(other))
                .unwrap()
                .to_string();
            org.undelete("PermissionSetAssignment", &id("g", which)).update(
                "PermissionSetAssignment",
                &id("g", which),
                json!({ "ExpirationDate": if other.is_multiple_of(3) { Value::Null } else { json!(end) } }),
            )
        }
        8 => org.update(
            "PermissionSetAssignment",
            &id("g", which),
            json!({ "AssigneeId": id("u", other) }),
        ),
        9 if other.is_multiple_of(2) => org.delete("Contact", &id("c", which)),
        9 => org.undelete("Contact", &id("c", which)),
        10 if other.is_multiple_of(2) => org.delete("Account", &id("a", which)),
        10 => org.undelete("Account", &id("a", which)),
        _ => org.update(
            "PermissionSet",
            "set",
            json!({ "Name": if other.is_multiple_of(4) { "Reports" } else { "mOS_User" } }),
        ),
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn step_by_step_is_as_afresh(script in proptest::collection::vec((0_u8..12, any::<u8>(), any::<u8>(), 0_i64..5, any::<bool>()), 0..40)) {
        let mut org = Org::new();
        for number in 0..3_u8 {
            org.user(&format!("u{number}"))
                .grant(&format!("g{number}"), &format!("u{number}"))
                .create("Account", &format!("a{number}"), json!({ "Name": "A" }))
                .create("Contact", &format!("c{number}"), json!({ "LastName": "C" }))
                .deal(&format!("o{number}"), &format!("u{number}"))
                .create("OpportunityContactRole", &format!("r{number}"), json!({ "OpportunityId": format!("o{number}"), "ContactId": "c0" }));
        }
        let settings = Settings::default();
        let mut now = 0;
        // What is right at each second, as far as it is known: after the second's last commit.
        let mut known: Vec<(i64, BTreeSet<String>)> = vec![(0, afresh(&org, 0))];
        for (what, which, other, pause, same_commit) in script {
            for second in now..now + pause {
                known.push((second, afresh(&org, second)));
            }
            now += pause;
            if !same_commit || pause > 0 {
                org.at(now);
            }
            step(&mut org, what, which, other, now);
        }
        known.push((now, afresh(&org, now)));
        known.push((now + 300, afresh(&org, now + 300)));
        let whole = Timeline::new(&org.history, &settings, (now + 300) * SECOND).unwrap();
        for (position, (second, right)) in known.iter().enumerate() {
            if known.get(position + 1).is_some_and(|(next, _)| next == second) {
                continue;
            }
            let scope: BTreeSet<String> = org.scope(&settings, *second).into_iter().collect();
            prop_assert_eq!(&scope, right, "second {}", second);
            for number in 0..3 {
                for (kind, prefix) in [
                    (Kind::User, "u"),
                    (Kind::Company, "a"),
                    (Kind::Contact, "c"),
                    (Kind::Opportunity, "o"),
                    (Kind::ContactRole, "r"),
                ] {
                    let id = format!("{prefix}{number}");
                    let at = second * SECOND;
                    let inside = whole.spans(kind, &id).iter().any(|span| span.from <= at && span.to.is_none_or(|to| to > at));
                    prop_assert_eq!(inside, right.contains(&format!("{kind} {id}")), "{} {} at {}", kind, id, second);
                }
            }
        }
    }
}

#[test]
fn twenty_thousand_opportunities_and_as_many_changes_are_judged() {
    const DEALS: i64 = 20_000;
    const USERS: i64 = 200;
    let mut org = Org::new();
    for number in 0..USERS {
        org.user(&format!("u{number}"));
        if number % 2 == 0 {
            org.grant(&format!("g{number}"), &format!("u{number}"));
        }
    }
    for number in 0..DEALS {
        org.create("Contact", &format!("c{number}"), json!({ "LastName": "C" }))
            .deal(&format!("o{number}"), &format!("u{}", number % USERS))
            .create(
                "OpportunityContactRole",
                &format!("r{number}"),
                json!({ "OpportunityId": format!("o{number}"), "ContactId": format!("c{number}") }),
            );
    }
    let mut entries = Vec::new();
    for number in 0..DEALS {
        org.at(1 + number);
        match number % 4 {
            0 => org.update(
                "Opportunity",
                &format!("o{number}"),
                json!({ "Amount": number }),
            ),
            1 => org.update(
                "Opportunity",
                &format!("o{number}"),
                json!({ "OwnerId": format!("u{}", (number + 1) % USERS) }),
            ),
            2 => org.update("Contact", &format!("c{number}"), json!({ "Phone": "1" })),
            _ if number % 400 == 3 => org.update(
                "User",
                &format!("u{}", number % 100 * 2),
                json!({ "IsActive": number % 800 == 3 }),
            ),
            _ => org.update(
                "Opportunity",
                &format!("o{number}"),
                json!({ "IsClosed": true }),
            ),
        };
        let at = f64::from(i32::try_from(number).unwrap());
        entries.push(sent(
            1.5 + at,
            "opportunity",
            &format!("o{number}"),
            1.2 + at,
        ));
    }
    let settings = settings(
        json!({ "filter": { "conditions": [{ "field": "Name", "operator": "contains", "values": ["deal"] }] } }),
    );
    let end = DEALS * SECOND;
    let mos = perfect(&org, &settings, DEALS);
    assert!(
        audit(&org.history, &settings, &mos, end)
            .unwrap()
            .is_clean()
    );
    let ledger = ledger(entries);
    let strays = out_of_scope(&org.history, &settings, &ledger, SECOND).unwrap();
    assert!(!strays.is_empty() && strays.len() < ledger.entries.len());
    let samples = latency(&org.history, &settings, &ledger, SECOND).unwrap();
    assert!(samples.len() > 5_000, "{}", samples.len());
    let landed: Vec<i64> = samples
        .iter()
        .filter_map(|sample| Some(sample.landed? - sample.changed_at))
        .collect();
    assert!(
        landed.iter().all(|micros| *micros == SECOND),
        "sent half a second later, answered half a second after that"
    );
}
