//! The administrators' pages over real HTTP: what a form saves is what the API answers, and each kind of
//! wrong input is refused at its field, with nothing changed.

mod checklist;
mod form;
mod lists;
mod mapping;
mod sync_all;

use domain::job::{JobKind, SalesforceStatus};
use domain::settings::Settings;
use domain::{ObjectKind, SalesforceId};
use http::StatusCode;
use serde_json::{Value, json};

use crate::desk::{Desk, record};
use crate::salesforce::insert;
use crate::visitor::{Fields, Shown, Visitor, permit, write};

const SETTINGS: &str = "/settings";

/// Somebody with permission owns a deal of each amount.
async fn furnished(amounts: &[u32]) -> (Desk, Visitor) {
    let desk = Desk::open();
    let fields = json!({"LastName": "Seller", "Username": "seller@example.com", "Email": "seller@example.com"});
    let seller = insert(&desk.salesforce, "User", &fields);
    for amount in amounts {
        let fields = json!({"Name": format!("<b>Deal</b> of {amount}"), "StageName": "Prospecting",
            "CloseDate": "2027-01-01", "OwnerId": seller, "Amount": amount});
        insert(&desk.salesforce, "Opportunity", &fields);
    }
    permit(&desk, &[SalesforceId::parse(&seller).unwrap()]).await;
    let visitor = Visitor::administrator(&desk).await;
    (desk, visitor)
}

async fn in_force(desk: &Desk) -> (u64, Settings) {
    let current = desk.stores.settings.current().await.unwrap();
    (current.revision, current.settings)
}

fn row(fields: &mut Fields, number: usize, field: &str, operator: &str, text: &str) {
    write(fields, &format!("field.{number}"), field);
    write(fields, &format!("was.{number}"), field);
    write(fields, &format!("operator.{number}"), operator);
    write(fields, &format!("text.{number}"), text);
}

/// Looks at the save of a form, and does it.
async fn saved(visitor: &Visitor, path: &str, fields: &Fields) -> Shown {
    let look = visitor.send(path, fields).await;
    assert_eq!(look.status, 200, "{}", look.html);
    look.has("Save these settings?");
    let saved = visitor
        .send("/settings/save", &look.form("/settings/save"))
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.html);
    let to = saved.headers["location"].to_str().unwrap().to_owned();
    visitor.get(&to).await
}

const SCRIPT: &str = "\"><script>alert(1)</script>";

#[tokio::test]
async fn the_second_of_two_administrators_sees_both_changes_and_chooses() {
    for (option, both_emails) in [(0, true), (1, false)] {
        let (desk, visitor) = furnished(&[]).await;
        let mut mine = visitor.form(SETTINGS).await;
        desk.save(|settings| settings.admin_emails = vec!["theirs@example.com".to_owned()])
            .await;
        write(&mut mine, "disabled", "on");
        let choice = visitor.send(SETTINGS, &mine).await;
        assert_eq!(choice.status, StatusCode::CONFLICT);
        for told in [
            "Somebody else has saved meanwhile",
            "added: theirs@example.com",
            "Disable mOS Sync: off \u{2192} on",
            "Put both together",
        ] {
            choice.has(told);
        }
        let mut options = choice.html.split("action=\"/settings/look\"").skip(1);
        let chosen = options.nth(option).unwrap();
        let chosen = Shown {
            html: format!("action=\"/settings/look\"{chosen}"),
            ..choice
        };
        saved(&visitor, "/settings/look", &chosen.form("/settings/look")).await;
        let (revision, settings) = in_force(&desk).await;
        assert_eq!((revision, settings.disabled), (2, true));
        assert_eq!(settings.admin_emails.len(), usize::from(both_emails));
    }
    // Both changed the same: there is no both.
    let (desk, visitor) = furnished(&[]).await;
    let mut mine = visitor.form(SETTINGS).await;
    desk.save(|settings| settings.sync_closed = true).await;
    desk.save(|settings| settings.api_share = domain::allowance::ApiShare::new(9, 9).unwrap())
        .await;
    write(&mut mine, "percent", "20");
    let choice = visitor.send(SETTINGS, &mine).await;
    choice.lacks("Put both together");
    choice.has("Share of the API allowance");
}

#[tokio::test]
async fn the_past_is_shown_and_taken_back_after_a_look() {
    let (desk, visitor) = furnished(&[]).await;
    visitor
        .get("/settings/history")
        .await
        .has("Nothing was saved yet.");
    desk.save(|settings| settings.disabled = true).await;
    desk.save(|settings| settings.disabled = false).await;
    let history = visitor.get("/settings/history").await;
    history.has("Disable mOS Sync: on \u{2192} off");
    history.has("In force");
    visitor
        .get("/settings/history?from=1&to=2")
        .await
        .has("From revision 1 to revision 2");
    let revert = history.form("/settings/revert");
    assert_eq!(revert.iter().find(|(name, _)| name == "to").unwrap().1, "1");
    saved(&visitor, "/settings/revert", &revert).await;
    let (revision, settings) = in_force(&desk).await;
    assert_eq!((revision, settings.disabled), (3, true));
}

#[tokio::test]
async fn what_is_no_number_is_told_on_a_page() {
    let (desk, visitor) = furnished(&[]).await;
    for path in [
        "/settings?saved=x",
        "/settings/history?before=x",
        "/settings/history?from=-1",
    ] {
        let refused = visitor.get(path).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
        refused.has("is no whole number; follow a link of the console");
        refused.has("<nav aria-label=\"mosync\">");
    }
    let token = visitor.form(SETTINGS).await.remove(0);
    for (path, value) in [
        ("/settings/save", "{}"),
        ("/settings/look", "{}"),
        ("/settings/edit", "{}"),
        ("/settings/transfer", "{}"),
        ("/settings/revert", ""),
    ] {
        for base in [None, Some("x")] {
            let mut form = vec![token.clone(), ("document".to_owned(), value.to_owned())];
            form.extend(base.map(|base| ("base".to_owned(), base.to_owned())));
            let refused = visitor.send(path, &form).await;
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{path}");
            refused.has("class=\"card fault\"");
        }
    }
    assert_eq!(in_force(&desk).await.0, 0);
}

#[tokio::test]
async fn settings_go_out_as_a_file_and_come_in_again() {
    let (desk, visitor) = furnished(&[]).await;
    desk.save(|settings| settings.admin_emails = vec!["ada@example.com".to_owned()])
        .await;
    let file = visitor.get("/settings/export").await;
    let disposition = file.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.contains("attachment"), "{disposition}");
    let door = desk.door().await;
    let api = door.get("/api/v1/settings/export").await.json();
    assert_eq!(serde_json::from_str::<Value>(&file.html).unwrap(), api);
    desk.save(|settings| *settings = Settings::default()).await;
    let mut form = visitor.form("/settings/transfer").await;
    for (wrong, word) in [
        ("", "no settings document"),
        ("[1]", "no settings document"),
        ("{\"disabeld\": true}", "is no setting"),
        ("{\"admin_emails\": \"bob\"}", "no domain"),
    ] {
        write(&mut form, "document", wrong);
        let refused = visitor.send("/settings/transfer", &form).await;
        assert_eq!(refused.status, 422, "{wrong}");
        let error = refused.error_at("document");
        assert!(error.contains(word), "{wrong}: {error}");
    }
    write(&mut form, "document", &file.html);
    saved(&visitor, "/settings/transfer", &form).await;
    assert_eq!(in_force(&desk).await.1.admin_emails, ["ada@example.com"]);
}

/// A sync-all that has brought a thousand records in ten seconds.
async fn brought_before(desk: &Desk) {
    use domain::job::Extracted;
    use domain::tally::{Count, Tally};
    let job = desk.job(JobKind::SyncAll, "before").await;
    let jobs = &desk.stores.jobs;
    desk.transition(&job.id, SalesforceStatus::Extracting, None)
        .await;
    let mut progress = job.progress.clone();
    (progress.announced, progress.next_index) = (1, 1);
    for object in [ObjectKind::Account, ObjectKind::Opportunity] {
        let read = Extracted {
            total: Some(500),
            read: 500,
            units: 1,
            started: Some(desk.now()),
            finished: Some(desk.now()),
            ..Extracted::default()
        };
        progress.objects.insert(object, read);
    }
    let advanced = jobs.advance(&job.id, &progress, None, desk.now()).await;
    advanced.unwrap();
    let mut tally = Tally::default();
    for object in [ObjectKind::Account, ObjectKind::Opportunity] {
        tally.add_many(object, Count::Read, 500);
        tally.add_many(object, Count::Created, 500);
    }
    desk.pass(10);
    let counted = jobs.count(&job.id, 0, None, &tally, desk.now()).await;
    counted.unwrap();
    desk.transition(&job.id, SalesforceStatus::Sealed, None)
        .await;
}

#[tokio::test]
async fn the_top_of_every_page_names_the_org_and_the_last_sync_with_its_result() {
    let (desk, visitor) = furnished(&[]).await;
    let page = visitor.get("/jobs").await;
    page.has("<strong>Acme</strong>");
    page.has("<span class=\"badge\">Production</span>");
    page.has("Most recent sync: none yet");
    page.lacks("Running: ");
    brought_before(&desk).await;
    // What came later has no result.
    desk.pass(1);
    let live = domain::job::JobId::live(desk.now());
    let jobs = &desk.stores.jobs;
    jobs.open_live_unit(&live, desk.now()).await.unwrap();
    let over = desk.ops.status().await.unwrap().last_sync_all.unwrap().over;
    let last = format!(
        ">Sync all data</a> <span class=\"badge good\">Completed</span>, over <time datetime=\"{}\">",
        over.unwrap()
    );
    let page = visitor.get("/users").await;
    page.has(&last);
    // One that runs stands before it.
    let backfill = desk.job(JobKind::Backfill, "now").await;
    let page = visitor.get("/parked").await;
    page.has(">Backfill</a> <span class=\"badge\">Waiting</span>. Most recent sync: ");
    page.has(&last);
    // One that has failed is the last; why, the verdict says alone.
    desk.pass(1);
    let (failed, why) = (SalesforceStatus::Failed, Some("no access"));
    desk.transition(&backfill.id, failed, why).await;
    let page = visitor.get("/logs").await;
    page.has(&format!(
        "Most recent sync: <a href=\"/jobs/{}\">Backfill</a> <span class=\"badge bad\">Failed</span>, over <time datetime=\"{}\">",
        backfill.id,
        desk.now()
    ));
    let recent = crate::web::between(&page.html, "data-live-part=\"recent\">", "</div>");
    assert!(recent.ends_with("</time>"), "{recent}");
    let verdict = crate::web::between(&page.html, "id=\"verdict\"", "</div>");
    assert!(verdict.contains("has failed: no access"), "{verdict}");
    page.lacks(&last);
    let (desk, visitor) = furnished(&[]).await;
    desk.org.is_sandbox();
    let page = visitor.get("/jobs").await;
    page.has("<span class=\"badge warning\">Sandbox</span>");
}

#[tokio::test]
async fn users_are_shown_with_their_evidence_and_as_csv() {
    let (desk, visitor) = furnished(&[1, 2]).await;
    let fields =
        json!({"LastName": "=Outsider", "Username": "out@example.com", "Email": "out@example.com"});
    let outsider = insert(&desk.salesforce, "User", &fields);
    let deal = json!({"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01", "OwnerId": outsider});
    insert(&desk.salesforce, "Opportunity", &deal);
    let page = visitor.get("/users").await;
    for told in [
        "Seller",
        "mOS_User, directly",
        "=Outsider",
        "Matching opportunities that are not synced: 1",
    ] {
        page.has(told);
    }
    let csv = visitor.get("/users/csv").await;
    let mut lines = csv.html.lines();
    assert!(
        lines.next().unwrap().starts_with("user,name,"),
        "{}",
        csv.html
    );
    let of = |user: &str| csv.html.lines().find(|line| line.contains(user)).unwrap();
    assert!(of(&outsider).contains("'=Outsider") && of(&outsider).contains(",no,"));
    assert!(of("seller@example.com").contains(",yes,mOS_User,"));
    let view = desk.ops.users().await.unwrap();
    assert_eq!(
        csv.html.lines().count(),
        1 + view.holders.len() + view.others.len()
    );
}

#[tokio::test]
async fn a_user_without_the_permission_set_sees_none_of_it() {
    let desk = Desk::open();
    permit(&desk, &[record(ObjectKind::User, 2)]).await;
    let other = Visitor::named(&desk, "Other", 2).await;
    for path in [
        "/settings",
        "/settings/history",
        "/settings/export",
        "/settings/checklist",
        "/settings/sync-all",
        "/mapping",
        "/users",
        "/users/csv",
    ] {
        let refused = other.get(path).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        refused.lacks("mOS Admin Email Notification");
    }
}

#[tokio::test]
async fn another_org_is_confirmed_after_a_question() {
    let (desk, visitor) = furnished(&[]).await;
    let path = "/settings/confirm-org";
    desk.save(|settings| settings.org = Some(crate::desk::ORG.parse().unwrap()))
        .await;
    visitor.get(path).await.has("There is nothing to confirm");
    desk.save(|settings| settings.org = Some("00D000000000009".parse().unwrap()))
        .await;
    visitor
        .get("/settings/checklist")
        .await
        .has("Confirm the connected org");
    let ask = visitor.get(path).await;
    ask.has("nothing is deleted there");
    let mut form = ask.form(path);
    let confirmed = visitor.send(path, &form).await;
    assert_eq!(
        confirmed.status,
        StatusCode::SEE_OTHER,
        "{}",
        confirmed.html
    );
    let (revision, settings) = in_force(&desk).await;
    assert_eq!(
        (revision, settings.org),
        (3, Some(crate::desk::ORG.parse().unwrap()))
    );
    write(&mut form, "org", SCRIPT);
    let refused = visitor.send(path, &form).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    refused.lacks("<script>");
    assert_eq!(in_force(&desk).await.0, 3);
}
