//! The first-run checklist.

use domain::{ObjectKind, SalesforceId};
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
struct Key(Result<(), ports::target::TargetError>);

#[async_trait::async_trait]
impl ports::target::Target for Key {
    async fn upsert(
        &self,
        _: &str,
        _: &[ports::target::Upsert],
    ) -> Result<Vec<ports::target::Outcome>, ports::target::TargetError> {
        self.probe().await.map(|()| Vec::new())
    }
    async fn has_answered(&self, _: &str) -> Result<bool, ports::target::TargetError> {
        Ok(false)
    }
    async fn probe(&self) -> Result<(), ports::target::TargetError> {
        self.0.clone()
    }
    async fn record(
        &self,
        _: ObjectKind,
        _: &SalesforceId,
    ) -> Result<Option<ports::target::Held>, ports::target::TargetError> {
        Ok(None)
    }
    async fn list(
        &self,
        _: ObjectKind,
        _: &str,
        _: usize,
    ) -> Result<Vec<ports::target::Listed>, ports::target::TargetError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn the_checklist_ticks_what_is_done() {
    use console::views::ChecklistState;
    use domain::tally::{Count, Tally};
    use ports::target::TargetError;
    let desk = Desk::open();
    let ops = desk.ops.clone();
    let ops = ops.polling([ObjectKind::OpportunityContactRole].into());
    let ops = ops.counting(vec!["mOS_Admin".to_owned()]);
    let live = domain::job::JobId::live(desk.now());
    let jobs = &desk.stores.jobs;
    let index = jobs.open_live_unit(&live, desk.now()).await.unwrap();
    let mut tally = Tally::default();
    tally.add(ObjectKind::Account, Count::Read);
    tally.add(ObjectKind::Account, Count::Filtered);
    let counted = jobs.count(&live, index, None, &tally, desk.now()).await;
    counted.unwrap();
    let item = async |ops: &console::Operations, id: &str| {
        let items = ops.checklist().await.unwrap().items;
        let item = items.into_iter().find(|item| item.id == id).unwrap();
        (item.state, item.evidence)
    };
    for (id, state, word) in [
        ("change_capture.Account", ChecklistState::Done, "were heard"),
        (
            "change_capture.OpportunityContactRole",
            ChecklistState::Done,
            "is polled",
        ),
        (
            "change_capture.Contact",
            ChecklistState::Unknown,
            "not heard",
        ),
        (
            "permission_set.mOS_Admin",
            ChecklistState::ToDo,
            "has no permission set",
        ),
    ] {
        let (is, evidence) = item(&ops, id).await;
        assert_eq!(is, state, "{id}: {evidence}");
        assert!(evidence.contains(word), "{id}: {evidence}");
    }
    for (answer, state) in [
        (Ok(()), ChecklistState::Done),
        (
            Err(TargetError::Forbidden("HTTP 401".to_owned())),
            ChecklistState::ToDo,
        ),
        (
            Err(TargetError::Unreachable("no answer".to_owned())),
            ChecklistState::Unknown,
        ),
    ] {
        let ops = ops.clone().asking(std::sync::Arc::new(Key(answer)));
        assert_eq!(item(&ops, "mos_key").await.0, state);
    }
}
