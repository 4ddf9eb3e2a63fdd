//! The first-run checklist.

use console::Operations;
use console::views::ChecklistState;
use domain::tally::Count;
use domain::{ObjectKind, SalesforceId};
use ports::target::TargetError;
use serde_json::json;

use crate::desk::Desk;
use crate::salesforce::insert;
use crate::visitor::{Visitor, permit};

#[tokio::test]
async fn the_checklist_tells_what_is_known_by_what() {
    let desk = Desk::open();
    permit(&desk, &[]).await;
    insert(
        &desk.salesforce,
        "PermissionSet",
        &json!({"Name": "mOS_User"}),
    );
    let visitor = Visitor::administrator(&desk).await;
    let page = visitor.get("/settings/checklist").await;
    for told in [
        "Acme (00D000000000001EAA) answers",
        "he event stream was not heard yet",
        "move Account to the selected entities",
        "Change Data Capture on for Account",
        "It exists, and no active user holds it",
        "1 active user holds it",
        "No address is named",
        "the key cannot be tried here",
    ] {
        page.has(told);
    }
    // Nobody to send a test to: it says so, and what to do.
    let test = page.form("/settings/test-mail");
    visitor
        .send("/settings/test-mail", &test)
        .await
        .has("There is nobody to send a test to");
    desk.org.answers(false);
    let page = visitor.get("/settings/checklist").await;
    page.has("Check the login address");
}

/// mOS, that takes the key or does not.
struct Key(Result<(), TargetError>);

#[async_trait::async_trait]
impl ports::target::Target for Key {
    async fn upsert(
        &self,
        _: &str,
        _: &[ports::target::Upsert],
    ) -> Result<Vec<ports::target::Outcome>, TargetError> {
        self.probe().await.map(|()| Vec::new())
    }
    async fn has_answered(&self, _: &str) -> Result<bool, TargetError> {
        Ok(false)
    }
    async fn probe(&self) -> Result<(), TargetError> {
        self.0.clone()
    }
    async fn record(
        &self,
        _: ObjectKind,
        _: &SalesforceId,
    ) -> Result<Option<ports::target::Held>, TargetError> {
        Ok(None)
    }
    async fn list(
        &self,
        _: ObjectKind,
        _: &str,
        _: usize,
    ) -> Result<Vec<ports::target::Listed>, TargetError> {
        Ok(Vec::new())
    }
}

/// An item stands so: by what that is known, and, unless it is done, what to do.
async fn stands(
    ops: &Operations,
    id: &str,
    state: ChecklistState,
    evidence: &str,
    fix: Option<&str>,
) {
    let items = ops.checklist().await.unwrap().items;
    let item = items.into_iter().find(|item| item.id == id).unwrap();
    assert_eq!(item.state, state, "{item:?}");
    assert!(item.evidence.contains(evidence), "{item:?}");
    let told = item.fix.as_deref();
    let is_told = match (told, fix) {
        (Some(told), Some(fix)) => told.contains(fix),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(is_told, "{fix:?}: {item:?}");
}

#[tokio::test]
async fn the_checklist_ticks_what_is_done_and_says_what_to_do_about_the_rest() {
    use ChecklistState::{Done, ToDo, Unknown};
    let desk = Desk::open();
    let ops = desk.ops.clone();
    let ops = ops.polling([ObjectKind::OpportunityContactRole].into());
    let ops = ops.counting(vec!["mOS_Admin".to_owned()]);
    let became = [(Count::Read, 1), (Count::Filtered, 1)];
    desk.live(ObjectKind::Account, 0, &became).await;
    for (id, state, evidence, fix) in [
        ("org", Done, "answers", None),
        ("change_capture.Account", Done, "were heard", None),
        (
            "change_capture.OpportunityContactRole",
            Done,
            "is polled",
            None,
        ),
        (
            "change_capture.Contact",
            Unknown,
            "not heard",
            Some("Change Data Capture: move Contact to the selected entities"),
        ),
        (
            "permission_set.mOS_Admin",
            ToDo,
            "has no permission set",
            Some("deploy its permission sets"),
        ),
        (
            "mos_key",
            Unknown,
            "cannot be tried here",
            Some("an API key with ingest right"),
        ),
        (
            "mail",
            ToDo,
            "no address is named",
            Some("mOS Admin Email Notification"),
        ),
    ] {
        stands(&ops, id, state, evidence, fix).await;
    }
    for (answer, state, evidence, fix) in [
        (Ok(()), Done, "has answered", None),
        (
            Err(TargetError::Forbidden("HTTP 401".to_owned())),
            ToDo,
            "401",
            Some("an API key with ingest right"),
        ),
        (
            Err(TargetError::Unreachable("no answer".to_owned())),
            Unknown,
            "no answer",
            Some("Check the address of mOS"),
        ),
    ] {
        let ops = ops.clone().asking(std::sync::Arc::new(Key(answer)));
        stands(&ops, "mos_key", state, evidence, fix).await;
    }
    let assign = Some("mOS_Admin, Manage Assignments: add the users");
    let set = json!({"Name": "mOS_Admin"});
    insert(&desk.salesforce, "PermissionSet", &set);
    let id = "permission_set.mOS_Admin";
    stands(&ops, id, ToDo, "was not read yet", assign).await;
    desk.org.is_sandbox();
    let switch = Some("switch Run In Sandbox on");
    stands(&ops, "org", ToDo, "is a sandbox", switch).await;
    desk.org.answers(false);
    let address = Some("Check the login address");
    stands(&ops, "org", ToDo, "", address).await;
    stands(&ops, id, Unknown, "", assign).await;
}
