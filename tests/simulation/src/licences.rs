//! Permission that counts only with a licence, where the configuration asks for one: what is asked
//! of Salesforce, and what comes of it.

use fake_mos::RecordType;
use serde_json::json;

use crate::office::{Office, WITHIN_A_POLL};

/// A licence that the configuration asks for, as the org has it.
struct Licence {
    /// The object of the licences, and how the configuration's name is written there.
    object: (&'static str, &'static str),
    /// The object that gives one to a user, with its fields for the licence and for the user.
    given: (&'static str, &'static str, &'static str),
    asked: fn(&mut Office, &str),
    obstacle: &'static str,
}

const LICENCES: [Licence; 2] = [
    Licence {
        object: ("PermissionSetLicense", "DeveloperName"),
        given: (
            "PermissionSetLicenseAssign",
            "PermissionSetLicenseId",
            "AssigneeId",
        ),
        asked: |office, name| {
            office.world.requirements.permission_set_licence = Some(name.to_owned());
        },
        obstacle: "NoPermissionSetLicence",
    },
    Licence {
        object: ("PackageLicense", "NamespacePrefix"),
        given: ("UserPackageLicense", "PackageLicenseId", "UserId"),
        asked: |office, name| {
            office.world.requirements.package_namespace = Some(name.to_owned());
        },
        obstacle: "NoPackageLicence",
    },
];

/// Another licence is none, and a licence without the permission set is no permission.
#[tokio::test(start_paused = true)]
async fn permission_counts_with_the_licence_that_is_asked_for_and_as_long_as_it_is_there() {
    for licence in LICENCES {
        let (object, name) = licence.object;
        let (given, of, to) = licence.given;
        let (mut users, mut licences) = (Vec::new(), Vec::new());
        let mut office = Office::open(|office| {
            (licence.asked)(office, "mos");
            for called in ["mos", "other"] {
                licences.push(office.insert(object, &json!({ (name): called })));
            }
            users = ["Ada", "Bea", "Cid"].map(|user| office.user(user)).to_vec();
        })
        .await;
        let [ada, bea, cid] = &users[..] else {
            panic!("three users");
        };
        let give = |office: &Office, licence: &str, user: &str| {
            office.insert(given, &json!({ (of): licence, (to): user }))
        };
        let held = give(&office, &licences[0], ada);
        give(&office, &licences[1], bea);
        give(&office, &licences[0], cid);
        office.grant(ada);
        office.grant(bea);
        let deals = [ada, bea, cid].map(|owner| office.deal(owner, &json!({})));
        let are_there = |office: &Office| {
            deals
                .each_ref()
                .map(|deal| office.has(RecordType::Opportunity, deal))
        };
        office.rest().await;
        assert_eq!(are_there(&office), [true, false, false], "{object}");
        let snapshot = office.world.stores.permissions.latest().await.unwrap();
        let misses = format!("{:?}", snapshot.near_misses);
        assert!(misses.contains(licence.obstacle), "{object}: {misses}");

        // The licence comes: so does what belongs to it, within a poll.
        give(&office, &licences[0], bea);
        let came = office
            .comes_within(WITHIN_A_POLL, |office| {
                office.has(RecordType::Opportunity, &deals[1])
            })
            .await;
        assert!(came, "{object}: not within a poll");
        // It goes: nothing more is sent.
        office.delete(given, &held);
        tokio::time::sleep(WITHIN_A_POLL).await;
        for deal in &deals {
            office.update("Opportunity", deal, &json!({ "NextStep": "later" }));
        }
        office.rest().await;
        let next = |deal: &str| office.in_mos(RecordType::Opportunity, deal, "next_step");
        assert_ne!(next(&deals[0]), Some(json!("later")), "{object}");
        assert_eq!(next(&deals[1]), Some(json!("later")), "{object}");
        assert!(!office.has(RecordType::Opportunity, &deals[2]));

        // Asked for no longer, it is needed no longer.
        let service = crate::world::Service::Permission;
        office.world.requirements.permission_set_licence = None;
        office.world.requirements.package_namespace = None;
        office.world.kill(service).await;
        office.world.start(service);
        let came = office
            .comes_within(WITHIN_A_POLL, |office| {
                let next = office.in_mos(RecordType::Opportunity, &deals[0], "next_step");
                next == Some(json!("later"))
            })
            .await;
        assert!(came, "{object}: not without the licence");
    }
}
