//! The page Notifications: what was told, of which incident, whether it arrived, and to whom for
//! those who may see that. Whatever stands in a notification is text.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use console::views::{ChecklistItem, ChecklistState, MakeToken};
use console::{Notifier, Operations};
use domain::notification::{
    Board, Condition, Event, Finding, Matter, Notice, Notification, Settled, Way, notice_id,
};
use http::{Method, StatusCode};
use notify::{Config, Notify};
use ports::courier::{Courier, KeptMail};
use tokio_util::sync::CancellationToken;

use crate::desk::Desk;
use crate::visitor::Visitor;
use crate::web::{Browser, OPERATOR, VIEWER, next_page};

const EMAIL: &str = "ada@acme.example";
/// What somebody writes who wants to run a script in an administrator's browser.
const SCRIPT: &str = "<script>alert('x')</script>";
const IMAGE: &str = "\"><img src=x onerror=alert(1)>";

/// Takes mails into the folder, if there is one.
pub(crate) fn courier(desk: &Desk, folder: Option<&Path>) -> Arc<dyn Courier> {
    let config = Config {
        from: "mosync@acme.example".to_owned(),
        public_url: None,
        smtp: None,
        folder: folder.map(Path::to_owned),
        webhook: None,
        timeout: std::time::Duration::from_secs(20),
    };
    Arc::new(Notify::new(config, desk.clock()).unwrap())
}

/// A mail server that takes everything, but nothing for these.
struct Server(&'static [&'static str]);

#[async_trait]
impl Courier for Server {
    fn ways(&self, addresses: &[String]) -> Vec<Way> {
        Refused.ways(addresses)
    }

    async fn deliver(&self, notification: &Notification, way: &Way) -> Settled {
        match way {
            Way::Mail { to } if self.0.contains(&to.as_str()) => {
                Settled::Later("451 try again later".to_owned())
            }
            Way::Mail { .. } => Settled::Sent("250 taken".to_owned()),
            Way::Folder { .. } | Way::Webhook => Refused.deliver(notification, way).await,
        }
    }

    async fn kept(&self, _notice: &Notice) -> Result<Option<KeptMail>, String> {
        Ok(None)
    }
}

/// A mail server that knows nobody, and names in its answer whom it does not know, as most do.
struct Refused;

#[async_trait]
impl Courier for Refused {
    fn ways(&self, addresses: &[String]) -> Vec<Way> {
        let ways = addresses.iter().map(|to| Way::Mail { to: to.clone() });
        ways.collect()
    }

    async fn deliver(&self, _notification: &Notification, way: &Way) -> Settled {
        match way {
            Way::Mail { to } => Settled::Never(format!("550 5.1.1 <{to}> is unknown here")),
            Way::Folder { .. } | Way::Webhook => Settled::Never("there is no such way".to_owned()),
        }
    }

    async fn kept(&self, _notice: &Notice) -> Result<Option<KeptMail>, String> {
        Ok(None)
    }
}

fn notice(desk: &Desk, name: &str, object: &str) -> Notice {
    Notice {
        id: notice_id(name, Event::Happened.name()),
        incident: notice_id(name, "incident"),
        matter: Matter::JobFailed,
        event: Event::Happened,
        at: desk.now(),
        object: object.to_owned(),
        count: 3,
        cause: format!("a cause {IMAGE}"),
        advice: format!("Do this {SCRIPT}"),
        page: "/jobs".to_owned(),
        details: vec![format!("a line {SCRIPT}"), IMAGE.to_owned()],
        lasted_s: None,
    }
}

/// Something was not heard of it.
pub(crate) fn hole(object: &str) -> Condition {
    Condition {
        key: "gap/test".to_owned(),
        matter: Matter::Gap,
        object: object.to_owned(),
        count: 7,
        cause: "a hole".to_owned(),
        advice: "Wait.".to_owned(),
        page: "/sync-status".to_owned(),
        details: Vec::new(),
    }
}

/// A desk that tells this way, and has told these.
async fn telling(courier: &Arc<dyn Courier>, mut desk: Desk, notices: &[Notice]) -> Desk {
    desk.save(|settings| settings.admin_emails = vec![EMAIL.to_owned()])
        .await;
    desk.ops = desk.ops.telling(Arc::clone(courier));
    let finding = Finding {
        conditions: vec![hole(&format!("the stream {SCRIPT}"))],
        happened: notices.to_vec(),
        ..Finding::default()
    };
    let (board, told) = Board::new(desk.now()).after(&finding, desk.now());
    assert_eq!(told.len(), notices.len() + 1);
    let ways = courier.ways(&[EMAIL.to_owned()]);
    let told = told
        .into_iter()
        .map(|notice| Notification::new(notice, ways.clone()));
    let told: Vec<Notification> = told.collect();
    desk.stores.outbox.post(&board, &told).await.unwrap();
    desk
}

/// Looks and sends once.
pub(crate) async fn round(ops: &Operations, courier: &Arc<dyn Courier>) {
    let keep = std::time::Duration::from_secs(30 * 86_400);
    let (ops, courier) = (ops.clone(), Arc::clone(courier));
    let mut notifier = Notifier::new(ops, courier, "a test".to_owned(), keep);
    notifier.round(&CancellationToken::new()).await.unwrap();
}

fn harmless(html: &str) {
    for markup in ["<script>alert", "<img", "onerror=alert(1)>\""] {
        assert!(!html.contains(markup), "{markup} in {html}");
    }
}

#[tokio::test]
async fn what_was_told_is_listed_and_a_mail_in_the_folder_can_be_read() {
    let desk = Desk::open();
    let folder = tempfile::tempdir().unwrap();
    let courier = courier(&desk, Some(folder.path()));
    let notice = notice(&desk, "one", &format!("job {SCRIPT}"));
    let desk = telling(&courier, desk, std::slice::from_ref(&notice)).await;
    crate::visitor::permit(&desk, &[]).await;
    let visitor = Visitor::administrator(&desk).await;
    let waiting = visitor.get("/notifications").await;
    waiting.has("Waiting");
    waiting.has("Incidents that are not over");
    waiting.has("&lt;script&gt;alert");
    harmless(&waiting.html);

    round(&desk.ops, &courier).await;
    let list = visitor.get("/notifications").await;
    list.has("Sent");
    list.has(&format!("File in the folder of mails to {EMAIL}"));
    list.has("Send a test");
    harmless(&list.html);
    let one = format!("/notifications/{}", notice.id);
    list.has(&format!("href=\"{one}\""));
    let page = visitor.get(&one).await;
    page.has("Do this &lt;script&gt;");
    page.has("href=\"/jobs\"");
    page.has(&format!("href=\"{one}/mail\""));
    harmless(&page.html);

    let mail = visitor.get(&format!("{one}/mail")).await;
    mail.has("[mosync] job &lt;script&gt;alert('x')&lt;/script&gt; has failed");
    mail.has("How many: 3");
    mail.has("- a line &lt;script&gt;");
    mail.has(EMAIL);
    harmless(&mail.html);
    // Whom it went to is for administrators, of whom this one is none any more.
    crate::visitor::forbid(&desk).await;
    let operator = Browser::of(&desk, OPERATOR).await;
    let theirs = operator.page(&format!("{one}/mail")).await;
    assert!(theirs.contains("How many: 3"), "{theirs}");
    assert!(!theirs.contains(EMAIL), "{theirs}");
    crate::visitor::permit(&desk, &[]).await;
    // What the page shows is what lies there.
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let gone = visitor.get(&format!("{one}/mail")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    gone.has("does not lie in the folder of mails");
    let nobody = visitor.get("/notifications/nobody").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let path = visitor.get("/notifications/..%2F..%2Fx/mail").await;
    assert_eq!(path.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn administrators_send_a_test_and_see_what_each_receiver_says() {
    let desk = Desk::open();
    let folder = tempfile::tempdir().unwrap();
    let courier = courier(&desk, Some(folder.path()));
    let desk = telling(&courier, desk, &[]).await;
    crate::visitor::permit(&desk, &[]).await;
    let visitor = Visitor::administrator(&desk).await;
    let form = visitor
        .get("/notifications")
        .await
        .form("/notifications/test");
    let sent = visitor.send("/notifications/test", &form).await;
    assert_eq!(sent.status, StatusCode::OK, "{}", sent.html);
    sent.has("A test was sent.");
    sent.has(EMAIL);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // It is a notification as others are, with its mail.
    let kept = desk.stores.outbox.list(None, 10).await.unwrap();
    let is_test = |told: &&Notification| told.notice.matter == Matter::Test;
    let test = kept.iter().find(is_test).unwrap();
    let one = format!("/notifications/{}", test.id());
    sent.has(&format!("href=\"{one}\""));
    visitor.get(&one).await.has("Sent");
    visitor
        .get(&format!("{one}/mail"))
        .await
        .has("[mosync] this is a test");
    let item = mail_item(&desk).await;
    assert_eq!(item.state, ChecklistState::Unknown, "{item:?}");
    assert!(item.evidence.contains("into a folder"), "{item:?}");
    assert!(item.fix.unwrap().contains("Name a mail server"));
    // Without the session's token nothing is sent.
    let forged = visitor.send("/notifications/test", &Vec::new()).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn operators_see_what_was_told_and_no_address_and_viewers_see_nothing() {
    let desk = Desk::open();
    let courier: Arc<dyn Courier> = Arc::new(Refused);
    let one = notice(&desk, "one", "job one");
    let desk = telling(&courier, desk, std::slice::from_ref(&one)).await;
    round(&desk.ops, &courier).await;
    let kept = desk.stores.outbox.list(None, 10).await.unwrap();
    let said = kept[0].deliveries[0].said.clone().unwrap();
    assert!(said.contains(EMAIL), "{said}");

    let operator = Browser::of(&desk, OPERATOR).await;
    let list = operator.page("/notifications").await;
    assert!(list.contains("Mail to 1 address"), "{list}");
    assert!(list.contains("Failed"), "{list}");
    assert!(!list.contains("Send a test"), "{list}");
    let page = operator.page(&format!("/notifications/{}", one.id)).await;
    assert!(page.contains("550"), "{page}");
    let csv = operator.get("/notifications/export").await;
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let csv = csv.text();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains(",mail,1,,failed,1,"), "{csv}");
    for text in [&list, &page, &csv] {
        assert!(!text.contains(EMAIL), "{text}");
    }
    let viewer = Browser::of(&desk, VIEWER).await;
    for path in ["/notifications", "/notifications/export"] {
        assert_eq!(viewer.get(path).await.status, StatusCode::FORBIDDEN);
    }
    let home = viewer.page("/sync-status").await;
    assert!(!home.contains("href=\"/notifications\""), "{home}");

    // The API, by the scope of the token.
    let caller = console::Caller::Api;
    let mut seen = Vec::new();
    let door = desk.door().await;
    for scope in ["read", "operate", "administer"] {
        let asked = MakeToken {
            name: scope.to_owned(),
            scope: scope.to_owned(),
        };
        let token = desk.ops.make_token(&asked, &caller).await.unwrap().secret;
        let path = "/api/v1/notifications";
        seen.push(door.ask(Method::GET, path, Some(&token), "").await);
    }
    assert_eq!(seen[0].status, StatusCode::FORBIDDEN);
    let way =
        |answer: &crate::desk::Answer| answer.json()["notifications"][0]["deliveries"][0].clone();
    let (operates, administers) = (way(&seen[1]), way(&seen[2]));
    assert_eq!(operates["to"], serde_json::json!([]));
    assert_eq!(operates["receivers"], 1);
    assert!(!seen[1].text().contains(EMAIL), "{}", seen[1].text());
    assert_eq!(administers["to"], serde_json::json!([EMAIL]));
    assert_eq!(administers["said"], said);
    let open = seen[1].json()["open"].as_array().unwrap().clone();
    let open = open.iter().find(|open| open["matter"] == "gap").unwrap();
    assert_eq!((&open["count"], &open["messages"]), (&7.into(), &1.into()));
}

#[tokio::test]
async fn old_notifications_are_on_further_pages() {
    let desk = Desk::open();
    let courier = courier(&desk, None);
    let notices: Vec<Notice> = (0..119)
        .map(|number| notice(&desk, &format!("number {number}"), &format!("job {number}")))
        .collect();
    let desk = telling(&courier, desk, &notices).await;
    let operator = Browser::of(&desk, OPERATOR).await;
    let (mut next, mut seen) = (Some("/notifications".to_owned()), 0);
    while let Some(path) = next {
        let page = operator.page(&path).await;
        assert!(page.contains("Nobody to tell"));
        seen += page.matches("data-column=\"Told\"").count();
        // The incident's own column has that name too, on every page.
        seen -= 1;
        next = next_page(&page);
    }
    assert_eq!(seen, 120);
    let wrong = operator.get("/notifications?before=nobody").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text().contains("The newest notifications are shown."));
    let csv = operator.get("/notifications/export").await.text();
    assert_eq!(csv.lines().count(), 121, "{csv}");
}

/// The item of the checklist about mails.
async fn mail_item(desk: &Desk) -> ChecklistItem {
    let items = desk.ops.checklist().await.unwrap().items;
    items.into_iter().find(|item| item.id == "mail").unwrap()
}

/// That item before and after a test.
async fn checked(courier: Server, was_told: bool) -> [ChecklistItem; 2] {
    let desk = Desk::open();
    let courier: Arc<dyn Courier> = Arc::new(courier);
    let mut desk = telling(&courier, desk, &[]).await;
    if was_told {
        round(&desk.ops, &courier).await;
    }
    desk.save(|settings| settings.admin_emails.push("bo@acme.example".to_owned()))
        .await;
    desk.ops = desk.ops.telling(courier);
    let before = mail_item(&desk).await;
    desk.pass(1);
    desk.ops
        .test_notification(console::Caller::Api)
        .await
        .unwrap();
    [before, mail_item(&desk).await]
}

#[tokio::test]
async fn a_test_that_was_taken_ticks_the_checklist_and_one_that_was_not_does_not() {
    let fix = |item: &ChecklistItem| item.fix.clone().unwrap_or_default();
    let [before, after] = checked(Server(&[]), false).await;
    assert_eq!(before.state, ChecklistState::Unknown, "{before:?}");
    assert!(fix(&before).contains("Send a test"), "{before:?}");
    assert_eq!(after.state, ChecklistState::Done, "{after:?}");
    assert!(after.evidence.contains("250 taken"), "{after:?}");
    assert_eq!(after.fix, None);
    // One of two addresses does not get it, and nobody tries that again.
    let [before, after] = checked(Server(&["bo@acme.example"]), true).await;
    assert_eq!(before.state, ChecklistState::Done, "{before:?}");
    assert_eq!(after.state, ChecklistState::ToDo, "{after:?}");
    assert!(after.evidence.contains("451 try again later"), "{after:?}");
    assert!(fix(&after).contains("Correct the addresses"), "{after:?}");
}

#[tokio::test]
async fn a_test_is_settled_at_once_and_stands_first() {
    let desk = Desk::open();
    let courier: Arc<dyn Courier> = Arc::new(Server(&[EMAIL]));
    // Before anybody has looked for the first time.
    let mut desk = desk;
    desk.save(|settings| settings.admin_emails = vec![EMAIL.to_owned()])
        .await;
    desk.ops = desk.ops.telling(Arc::clone(&courier));
    let test = desk.ops.test_notification(console::Caller::Api).await;
    let test = test.unwrap();
    assert!(!test.tried[0].taken);
    let kept = desk.stores.outbox.list(None, 10).await.unwrap();
    assert_eq!((kept.len(), kept[0].id()), (1, test.id.as_str()));
    assert_eq!(
        kept[0].due(),
        None,
        "whoever ordered it has seen the answer"
    );
    // Who watches goes on where the board is.
    round(&desk.ops, &courier).await;
    let kept = desk.stores.outbox.notification(&test.id).await.unwrap();
    assert_eq!(kept.unwrap().deliveries[0].attempts, 1);
}

#[tokio::test]
async fn what_was_told_leads_to_where_it_can_be_seen() {
    let desk = Desk::open();
    let courier = courier(&desk, None);
    let pages = [
        ("/jobs/backfill-1", true, true),
        ("/parked/dead", true, true),
        ("/parked?kind=poison", true, true),
        ("/users", false, true),
        ("/settings/history", false, true),
        ("/nowhere", false, false),
    ];
    let notices: Vec<Notice> = pages
        .iter()
        .map(|(page, ..)| Notice {
            page: (*page).to_owned(),
            ..notice(&desk, page, "something")
        })
        .collect();
    let desk = telling(&courier, desk, &notices).await;
    let path = |notice: &Notice| format!("/notifications/{}", notice.id);
    let link = |page| format!("<a href=\"{page}\">Look</a>");
    let operator = Browser::of(&desk, OPERATOR).await;
    for (notice, (page, operates, _)) in notices.iter().zip(pages) {
        let seen = operator.page(&path(notice)).await;
        assert_eq!(seen.contains(&link(page)), operates, "{page}: {seen}");
    }
    crate::visitor::permit(&desk, &[]).await;
    let administrator = Visitor::administrator(&desk).await;
    for (notice, (page, _, administers)) in notices.iter().zip(pages) {
        let seen = administrator.get(&path(notice)).await.html;
        assert_eq!(seen.contains(&link(page)), administers, "{page}: {seen}");
    }
}
