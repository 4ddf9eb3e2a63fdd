//! Every list of the pages is a file, too, to which its page leads.

use std::collections::BTreeSet;

use domain::ObjectKind;
use domain::job::JobKind;
use domain::notification::{Board, Finding, Notification};
use domain::settings::Settings;
use http::StatusCode;
use serde_json::json;

use super::{SETTINGS, furnished, row};
use crate::desk::record;
use crate::left::{hold, open_mos};
use crate::told::hole;
use crate::visitor::Visitor;

/// Page and file of each list, what the file begins with, and a part of one of its lines.
const LISTS: &[(&str, &str, &str, &str)] = &[
    (
        "/settings/history",
        "/settings/history/export",
        "revision,rule_revision,saved,author,changes",
        "Disable mOS Sync: off",
    ),
    (
        "/mapping",
        "/mapping/export",
        "object,mos_field,salesforce_field,",
        "Opportunity,stage,StageName,yes,StageName,",
    ),
    (
        "/users",
        "/users/csv",
        "user,name,username,",
        ",seller@example.com,",
    ),
    (
        "/access",
        "/access/tokens/export",
        "id,name,scope,",
        ",'=report,read,",
    ),
    ("/jobs", "/jobs/export", "job,kind,reads,", ",backfill,"),
    (
        "/parked",
        "/parked/export",
        "object,id,stage,kind,",
        ",load,value_too_long,",
    ),
    (
        "/parked",
        "/parked/causes/export",
        "group,stage,kind,",
        ",load,value_too_long,",
    ),
    (
        "/parked/dead",
        "/parked/dead/export",
        "id,queue,reason,",
        "nobody can process it",
    ),
    (
        "/logs",
        "/logs/export",
        "time,level,topic,",
        ",info,access,",
    ),
    (
        "/notifications",
        "/notifications/export",
        "time,id,incident,matter,event,",
        ",gap,opened,",
    ),
    (
        "/notifications",
        "/notifications/incidents/export",
        "incident,matter,",
        ",gap,the event stream,7,a hole,",
    ),
    (
        "/left",
        "/left/export",
        "id,why,owner,name",
        ",not_visible,,",
    ),
];

/// The list of a page that is shown after a form was sent.
const OF_A_PREVIEW: &str = "/settings/preview/{preview}/export";

/// Forms, and pages of one thing; what they show of a list is on a page above.
const WITHOUT: [&str; 14] = [
    "/",
    "/events",
    "/explain",
    "/jobs/{job}",
    "/notifications/{notification}",
    "/notifications/{notification}/mail",
    "/parked/dead/message/{message}",
    "/settings",
    "/settings/checklist",
    "/settings/confirm-org",
    "/settings/export",
    "/settings/sync-all",
    "/settings/transfer",
    "/sync-status",
];

#[test]
fn of_every_page_it_is_known_whether_it_is_a_list() {
    let routes = console::pages::routes();
    let pages = routes.filter(|(_, methods, _)| methods.contains(&"get"));
    let pages: BTreeSet<&str> = pages.map(|(path, ..)| path).collect();
    let lists = LISTS.iter().flat_map(|(page, file, ..)| [*page, *file]);
    let known: BTreeSet<&str> = lists.chain(WITHOUT).chain([OF_A_PREVIEW]).collect();
    assert_eq!(pages, known);
}

#[tokio::test]
async fn every_list_is_a_file_to_which_its_page_leads() {
    let (mut desk, _) = furnished(&[10_000, 20_000]).await;
    let (mos, target) = open_mos().await;
    let owner = record(ObjectKind::User, 1).to_string();
    hold(&*target, ObjectKind::User, &owner, r#"{"name": "Ada"}"#).await;
    // Salesforce does not have it.
    let gone = record(ObjectKind::Opportunity, 77).to_string();
    let fields = json!({"name": "A deal", "owner_id": owner}).to_string();
    hold(&*target, ObjectKind::Opportunity, &gone, &fields).await;
    desk.ops = desk.ops.asking(target);
    let visitor = Visitor::administrator(&desk).await;
    desk.save(|settings| settings.disabled = true).await;
    desk.save(|settings| settings.admin_emails = vec!["=ada@example.com".to_owned()])
        .await;
    let asked = console::views::MakeToken {
        name: "=report".to_owned(),
        scope: "read".to_owned(),
    };
    desk.ops
        .make_token(&asked, &console::Caller::Api)
        .await
        .unwrap();
    desk.job(JobKind::Backfill, "a").await;
    desk.park(1, |_| {}).await;
    desk.die("m-1", b"x".to_vec()).await;
    let finding = Finding {
        conditions: vec![hole("the event stream")],
        ..Finding::default()
    };
    let (board, told) = Board::new(desk.now()).after(&finding, desk.now());
    let told = told.into_iter();
    let told: Vec<_> = told.map(|one| Notification::new(one, [])).collect();
    desk.stores.outbox.post(&board, &told).await.unwrap();
    for (page, file, head, line) in LISTS {
        let shown = visitor.get(page).await;
        shown.has(&format!("href=\"{file}"));
        // Whatever is answered to such a link is saved or thrown away, also the page that says what
        // is wrong: only where the page would ask whether it is to be left.
        let is_saved = shown.html.contains(" download>");
        assert!(!is_saved || shown.html.contains(" data-guarded"), "{page}");
        let csv = visitor.get(file).await;
        assert_eq!(
            csv.headers["content-type"], "text/csv; charset=utf-8",
            "{file}"
        );
        let disposition = csv.headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment; filename="), "{file}");
        assert!(csv.html.starts_with(head), "{file}: {}", csv.html);
        assert!(csv.html.contains(line), "{file}: {}", csv.html);
    }
    let transfer = visitor.get("/settings/transfer").await.html;
    assert!(!transfer.contains(" download>"), "{transfer}");
    let saves = visitor.get("/settings/history/export").await.html;
    assert_eq!(saves.lines().count(), 3, "{saves}");

    // What a save would do, from the page that tells it.
    desk.save(|settings| *settings = Settings::default()).await;
    let mut form = visitor.form(SETTINGS).await;
    row(&mut form, 1, "Amount", "greater_than", "15000");
    let look = visitor.send(SETTINGS, &form).await;
    let file = crate::web::between(&look.html, "href=\"/settings/preview/", "\"");
    let file = format!("/settings/preview/{file}");
    assert!(file.ends_with("?effect=leaves"), "{file}");
    let csv = visitor.get(&file).await.html;
    assert!(csv.starts_with("effect,id,name,"), "{csv}");
    assert!(csv.contains("leaves,") && csv.contains("of 10000"), "{csv}");
    let gone = visitor.get("/settings/preview/nobody/export?effect=leaves");
    assert_eq!(gone.await.status, StatusCode::NOT_FOUND);
    mos.stop().await;
}
