//! What becomes of the permission set that gives mOS permission, and of the groups that have it, is
//! told and begins a refresh.

use serde_json::json;

use crate::entering::{alarm, noticed};
use crate::office::Office;

/// An office where a group has the set; the ids of the group and of what puts the set into it.
async fn with_a_group() -> (Office, String, String) {
    let (mut group, mut component) = (String::new(), String::new());
    let office = Office::open(|office| {
        group = office.insert("PermissionSetGroup", &json!({ "DeveloperName": "Sales" }));
        let fields = json!({ "PermissionSetGroupId": group, "PermissionSetId": office.set });
        component = office.insert("PermissionSetGroupComponent", &fields);
    })
    .await;
    (office, group, component)
}

#[tokio::test(start_paused = true)]
async fn a_group_that_loses_the_set_is_told() {
    let (mut office, _, component) = with_a_group().await;
    office.delete("PermissionSetGroupComponent", &component);
    noticed(
        &mut office.world,
        "the permission set group Sales no longer has mOS_User",
    )
    .await;
    assert_eq!(alarm(&office.world).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_set_or_a_group_that_begins_or_ends_to_need_activation_is_told() {
    let (mut office, group, _) = with_a_group().await;
    for (entity, id, name) in [
        (
            "PermissionSet",
            office.set.clone(),
            "permission set mOS_User",
        ),
        ("PermissionSetGroup", group, "permission set group Sales"),
    ] {
        for (needed, words) in [
            (true, "needs a session's activation now"),
            (false, "needs no session's activation any more"),
        ] {
            office.update(entity, &id, &json!({ "HasActivationRequired": needed }));
            noticed(&mut office.world, &format!("the {name} {words}")).await;
        }
    }
}

/// By the same name it is another one, and those who held the old one hold nothing.
#[tokio::test(start_paused = true)]
async fn a_set_that_was_made_anew_is_told() {
    let mut office = Office::open(|_| {}).await;
    office.delete("PermissionSet", &office.set);
    office.insert("PermissionSet", &json!({ "Name": "mOS_User" }));
    noticed(
        &mut office.world,
        "the permission set mOS_User was made anew: the assignments of the old one are gone",
    )
    .await;
    assert_eq!(alarm(&office.world).await, None, "it is there");
}
