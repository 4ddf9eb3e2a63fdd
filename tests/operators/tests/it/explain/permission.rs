//! Whether the owner holds permission, and what of it does not count.

use std::sync::Arc;
use std::time::Duration;

use console::views::ExplainCode;
use domain::permission::{Grant, NearMiss, Obstacle};
use serde_json::json;

use super::case::{Case, DeskMos, grant, operations};
use crate::desk::Desk;
use crate::salesforce::{id, insert, update, user};

#[tokio::test]
async fn an_owner_who_does_not_count_is_told_with_every_reason() {
    let mut case = Case::open().await;
    let end = case.desk.now().after(Duration::from_secs(60));
    let names = ["none", "expiring", "inactive", "revoked", "both"];
    let owners = names.map(|name| user(&case.desk.salesforce, name));
    let deals = owners
        .clone()
        .map(|owner| case.deal(&json!({"OwnerId": owner})));
    let miss = |because: Obstacle| NearMiss {
        grant: grant(None),
        because: [because].into(),
    };
    case.permissions(|snapshot| {
        snapshot
            .holders
            .insert(id(&owners[1]), [grant(Some(end))].into());
        let misses = &mut snapshot.near_misses;
        misses.insert(id(&owners[2]), [miss(Obstacle::UserInactive)].into());
        misses.insert(id(&owners[3]), [miss(Obstacle::Revoked)].into());
        // Renewed alone, it would not count either.
        let both = NearMiss {
            because: [Obstacle::Expired, Obstacle::Revoked].into(),
            ..miss(Obstacle::Expired)
        };
        misses.insert(id(&owners[4]), [both].into());
    })
    .await;
    let before = case.told(&deals[1]).await;
    assert_eq!(before.in_scope, Some(true));
    assert_eq!(before.owner.unwrap().until, Some(end));
    case.desk.pass(60);
    let codes = [
        ExplainCode::OwnerWithoutPermission,
        ExplainCode::PermissionExpired,
        ExplainCode::OwnerInactive,
        ExplainCode::PermissionDoesNotCount,
        ExplainCode::PermissionDoesNotCount,
    ];
    for ((deal, owner), code) in deals.iter().zip(&owners).zip(codes) {
        let view = case.told(deal).await;
        assert_eq!(
            (view.code, view.in_scope),
            (code, Some(false)),
            "{}",
            view.verdict
        );
        // The owner alone does not come either, for the same reason.
        assert_eq!(case.code(owner).await, code);
    }
    let revoked = case.told(&deals[3]).await;
    assert!(
        revoked.verdict.contains("but the assignment is revoked"),
        "{}",
        revoked.verdict
    );
}

#[tokio::test]
async fn nobody_holds_permission_before_it_was_read() {
    let mut case = Case::open().await;
    let deal = case.deal(&json!({}));
    let desk = Desk::open();
    case.desk.stores.permissions = desk.stores.permissions;
    let ops = operations(&case.desk, DeskMos(None));
    let view = ops.explain(&deal).await.unwrap();
    assert_eq!(view.code, ExplainCode::PermissionsNotRead);
}

#[tokio::test]
async fn what_decides_nothing_about_a_permission_has_its_line() {
    let mut case = Case::open().await;
    let org = &Arc::clone(&case.desk.salesforce);
    let group = insert(
        org,
        "PermissionSetGroup",
        &json!({"DeveloperName": "Sales", "MasterLabel": "Sales"}),
    );
    let muting = json!({"DeveloperName": "Quiet", "MasterLabel": "Quiet"});
    let muting = insert(org, "MutingPermissionSet", &muting);
    let set = insert(org, "PermissionSet", &json!({"Name": "mOS_User"}));
    let member = |group: &str, set: &str| {
        let fields = json!({"PermissionSetGroupId": group, "PermissionSetId": set});
        insert(org, "PermissionSetGroupComponent", &fields)
    };
    member(&group, &set);
    let deal = case.deal(&json!({}));
    let words = async |case: &Case| case.told(&deal).await.owner.unwrap().words;
    let said = words(&case).await;
    assert_eq!(said, ["holds mOS_User through the group Sales"]);
    member(&group, &muting);
    let logins = org.records("UserLogin");
    let mut logins = logins.iter();
    let login = logins.find(|login| login.text("UserId") == Some(&case.owner));
    let login = login.unwrap().id();
    update(org, "UserLogin", login, &json!({"IsFrozen": true}));
    let said = words(&case).await;
    assert!(said[1].contains("is frozen"), "{said:?}");
    assert!(said[2].contains("group Sales has a muting"), "{said:?}");
    assert_eq!(case.told(&deal).await.in_scope, Some(true));

    // A package has a group of the same name.
    let folder = tempfile::tempdir().unwrap();
    let groups = "DeveloperName,NamespacePrefix\nSales,acme\n";
    std::fs::write(folder.path().join("PermissionSetGroup.csv"), groups).unwrap();
    org.load_dir(folder.path()).unwrap();
    let groups = org.records("PermissionSetGroup");
    let mut groups = groups.iter();
    let packaged = groups.find(|group| group.text("NamespacePrefix") == Some("acme"));
    let owner = id(&case.owner);
    case.permissions(|snapshot| {
        let through = Grant {
            group: Some("acme__Sales".to_owned()),
            ..grant(None)
        };
        snapshot.holders.insert(owner, [through].into());
    })
    .await;
    assert_eq!(words(&case).await.len(), 2, "nothing of the group is muted");
    member(packaged.unwrap().id(), &muting);
    let said = words(&case).await;
    assert!(
        said[2].contains("group acme__Sales has a muting"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_decides_against_a_permission_has_its_line() {
    let mut case = Case::open().await;
    let deal = case.deal(&json!({}));
    let owner = id(&case.owner);
    for (because, words) in [
        (Obstacle::SetNeedsActivation, "session"),
        (Obstacle::GroupNeedsActivation, "session"),
        (
            Obstacle::NoPermissionSetLicence {
                licence: "mOS_Licence".to_owned(),
            },
            "mOS_Licence",
        ),
        (
            Obstacle::NoPackageLicence {
                namespace: "medd".to_owned(),
            },
            "medd",
        ),
    ] {
        case.permissions(|snapshot| {
            snapshot.holders.clear();
            let miss = NearMiss {
                grant: grant(None),
                because: [because.clone()].into(),
            };
            snapshot.near_misses = [(owner, [miss].into())].into();
        })
        .await;
        let view = case.told(&deal).await;
        assert_eq!(view.code, ExplainCode::PermissionDoesNotCount);
        let owner = view.owner.unwrap();
        assert!(owner.not_counted[0].because.contains(&because));
        assert!(owner.words[0].contains(words), "{:?}", owner.words);
    }
}
