//! The administrators' pages over real HTTP: what a form saves is what the API answers, and each kind of
//! wrong input is refused at its field, with nothing changed.

use domain::job::JobKind;
use domain::settings::Settings;
use domain::{ObjectKind, SalesforceId};
use http::StatusCode;
use serde_json::{Value, json};

use crate::desk::{Desk, record};
use crate::salesforce::insert;
use crate::visitor::{ADA, Fields, Shown, Visitor, permit, untick, write};

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

#[tokio::test]
async fn what_the_form_saves_is_what_the_api_answers() {
    let (desk, visitor) = furnished(&[10_000, 60_000]).await;
    let mut form = visitor.get(SETTINGS).await.form(SETTINGS);
    write(&mut form, "emails", "ada@example.com, bo@example.com");
    write(&mut form, "run_in_sandbox", "on");
    write(&mut form, "sync_closed", "on");
    write(&mut form, "frequency", "daily");
    write(&mut form, "daily_at", "06:30");
    write(&mut form, "percent", "40");
    write(&mut form, "reserve", "5");
    row(&mut form, 1, "Amount", "greater_than", "50000");
    row(&mut form, 2, "Name", "not_equal", "\"Acme, Inc.\", x");
    write(&mut form, "logic", "1 AND 2");
    write(&mut form, "blanks", "drop");
    write(&mut form, "zone", "user");
    let look = visitor.send(SETTINGS, &form).await;
    for told in [
        "Save these settings?",
        "Nothing is saved yet",
        "Opportunity Filter, condition 1: added: Amount greater than 50000",
        "<dt>Leave it</dt>",
    ] {
        look.has(told);
    }
    // The sample shows what somebody wrote in Salesforce, and nothing of it is markup.
    look.has("&lt;b&gt;Deal&lt;/b&gt; of 10000");
    look.lacks("<b>Deal");
    assert_eq!(in_force(&desk).await.0, 0, "a look saves nothing");
    let page = saved(&visitor, SETTINGS, &form).await;
    page.has("Revision 1 is saved and in force");
    let door = desk.door().await;
    let api = door.get("/api/v1/settings").await.json();
    assert_eq!(api["author"], ADA);
    let conditions = json!([
        {"field": "Amount", "operator": "greater_than", "values": ["50000"]},
        {"field": "Name", "operator": "not_equal", "values": ["Acme, Inc.", "x"]},
    ]);
    let wanted = json!({
        "admin_emails": ["ada@example.com", "bo@example.com"], "disabled": false,
        "run_in_sandbox": true, "sync_closed": true, "frequency": "daily_at_06:30",
        "api_share": {"percent": 40, "reserve": 5},
        "filter": {"conditions": conditions, "logic": "1 AND 2"},
        "blanks": "drop", "zone": "user", "mapping": [],
    });
    assert_eq!(api["settings"], wanted);
    // The form of what is saved says the same, and saving it again changes nothing.
    let again = visitor.send(SETTINGS, &page.form(SETTINGS)).await;
    again.has("there is nothing to save");
}

/// A form in which this was written, sent: refused, with a sentence at that field and nothing changed.
async fn refused_at(field: &str, word: &str, wrong: impl FnOnce(&mut Fields)) {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.get(SETTINGS).await.form(SETTINGS);
    wrong(&mut form);
    let refused = visitor.send(SETTINGS, &form).await;
    assert_eq!(refused.status, 422, "{field}: {}", refused.html);
    refused.has("Nothing was saved.");
    let error = refused.error_at(field);
    assert!(error.contains(word), "{field}: {error}");
    assert_eq!(in_force(&desk).await, (0, Settings::default()));
    // What was written still stands there.
    let written = refused.form(SETTINGS);
    for (name, value) in form.iter().filter(|(name, _)| name != "form_token") {
        let kept = written.iter().find(|(known, _)| known == name);
        assert_eq!(kept.map(|(_, value)| value), Some(value), "{name}");
    }
}

#[tokio::test]
async fn wrong_addresses_and_numbers_are_refused_at_their_fields() {
    refused_at("emails", "no domain", |form| {
        write(form, "emails", "ada@example.com, bob");
    })
    .await;
    for (field, value) in [
        ("percent", "0"),
        ("percent", "300"),
        ("percent", "x"),
        ("reserve", "51"),
    ] {
        refused_at(field, "whole number", |form| write(form, field, value)).await;
    }
    for time in ["", "25:00", "6:30", "noon"] {
        refused_at("daily_at", "06:30", |form| {
            write(form, "frequency", "daily");
            write(form, "daily_at", time);
        })
        .await;
    }
}

#[tokio::test]
async fn wrong_conditions_are_refused_at_their_fields() {
    for (condition, field, word) in [
        (("", "equals", ""), "field.1", "choose a field"),
        (("Amunt", "equals", "1"), "field.1", "no field"),
        (("Name", "is_like", "x"), "field.1", "unknown variant"),
        (("Amount", "contains", "5"), "operator.1", "cannot be used"),
        (("Amount", "equals", "much"), "text.1", "cannot be read"),
        (("Amount", "less_than", ""), "text.1", "needs a value"),
        (
            ("CloseDate", "equals", "LAST_N_DAYS:99999"),
            "text.1",
            "too many",
        ),
        (
            ("CloseDate", "equals", "2026-02-30"),
            "text.1",
            "cannot be read",
        ),
    ] {
        let (name, operator, text) = condition;
        refused_at(field, word, |form| row(form, 1, name, operator, text)).await;
    }
    refused_at("logic", "3", |form| {
        row(form, 1, "Amount", "greater_than", "1");
        write(form, "logic", "1 AND 3");
    })
    .await;
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let (_desk, visitor) = furnished(&[]).await;
    let mut form = visitor.get(SETTINGS).await.form(SETTINGS);
    write(&mut form, "emails", "bob");
    write(&mut form, "percent", "x");
    row(&mut form, 1, "Amount", "equals", "much");
    let refused = visitor.send(SETTINGS, &form).await;
    for field in ["emails", "percent", "text.1"] {
        assert!(!refused.error_at(field).is_empty(), "{field}");
    }
    refused.has("3 fields need a look");
}

async fn pressed(visitor: &Visitor, form: &Fields, deed: &str) -> Shown {
    let mut form = form.clone();
    form.push(("do".to_owned(), deed.to_owned()));
    visitor.send(SETTINGS, &form).await
}

#[tokio::test]
async fn rows_come_and_go_without_a_script_and_fit_their_fields() {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.get(SETTINGS).await.form(SETTINGS);
    write(&mut form, "emails", "not yet right");
    for _ in 0..9 {
        form = pressed(&visitor, &form, "add").await.form(SETTINGS);
    }
    let full = pressed(&visitor, &form, "add").await;
    full.lacks("value=\"add\"");
    full.has("value=\"remove.10\"");
    full.has("not yet right");
    let more = pressed(&visitor, &full.form(SETTINGS), "add").await;
    more.lacks("value=\"remove.11\"");
    for number in (2..=10).rev() {
        form = pressed(&visitor, &form, &format!("remove.{number}"))
            .await
            .form(SETTINGS);
    }
    // A list of values to be ticked for a picklist, another operator where the old one does not fit.
    write(&mut form, "field.1", "StageName");
    write(&mut form, "operator.1", "includes");
    let stage = pressed(&visitor, &form, "refresh").await;
    stage.has("Closed Won</label>");
    let mut form = stage.form(SETTINGS);
    assert!(
        form.contains(&("operator.1".to_owned(), "equals".to_owned())),
        "{form:?}"
    );
    form.push(("value.1".to_owned(), "Prospecting".to_owned()));
    form.push(("value.1".to_owned(), "Closed Won".to_owned()));
    write(&mut form, "emails", "");
    saved(&visitor, SETTINGS, &form).await;
    let (_, settings) = in_force(&desk).await;
    assert_eq!(
        settings.filter.conditions[0].values,
        ["Prospecting", "Closed Won"]
    );
}

#[tokio::test]
async fn a_formula_in_the_filter_is_warned_of() {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.get(SETTINGS).await.form(SETTINGS);
    row(&mut form, 1, "Amount", "greater_than", "1");
    pressed(&visitor, &form, "refresh")
        .await
        .lacks("uses a formula");
    row(&mut form, 1, "Weighted__c", "greater_than", "1");
    pressed(&visitor, &form, "refresh")
        .await
        .has("uses a formula");
    desk.org.calculates("Amount");
    row(&mut form, 1, "Amount", "greater_than", "1");
    let look = visitor.send(SETTINGS, &form).await;
    look.has("Save these settings?");
    look.has("The filter names Amount, a formula or roll-up");
}

const SCRIPT: &str = "\"><script>alert(1)</script>";

#[tokio::test]
async fn what_is_written_comes_out_as_text() {
    let (desk, visitor) = furnished(&[]).await;
    desk.org.has_labelled("Evil__c", SCRIPT);
    let mut form = visitor.get(SETTINGS).await.form(SETTINGS);
    for name in [
        "emails",
        "frequency",
        "daily_at",
        "percent",
        "reserve",
        "logic",
        "blanks",
        "zone",
    ] {
        write(&mut form, name, SCRIPT);
    }
    row(&mut form, 1, SCRIPT, SCRIPT, SCRIPT);
    form.push(("value.1".to_owned(), SCRIPT.to_owned()));
    for deed in ["preview", "add", "refresh", SCRIPT] {
        pressed(&visitor, &form, deed).await.lacks("<script>");
    }
    let mut form = visitor.get("/mapping").await.form("/mapping");
    for name in ["field.1", "object.1", "mos.1", "term.1"] {
        write(&mut form, name, SCRIPT);
    }
    visitor.send("/mapping", &form).await.lacks("<script>");
    let mut form = visitor
        .get("/settings/transfer")
        .await
        .form("/settings/transfer");
    for document in [SCRIPT.to_owned(), json!({SCRIPT: SCRIPT}).to_string()] {
        write(&mut form, "document", &document);
        visitor
            .send("/settings/transfer", &form)
            .await
            .lacks("<script>");
    }
}

#[tokio::test]
async fn the_second_of_two_administrators_sees_both_changes_and_chooses() {
    for (option, both_emails) in [(0, true), (1, false)] {
        let (desk, visitor) = furnished(&[]).await;
        let mut mine = visitor.get(SETTINGS).await.form(SETTINGS);
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
    let mut mine = visitor.get(SETTINGS).await.form(SETTINGS);
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
    let mut form = visitor
        .get("/settings/transfer")
        .await
        .form("/settings/transfer");
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

#[tokio::test]
async fn sync_all_asks_first_and_says_why_it_cannot_run() {
    let (desk, visitor) = furnished(&[1, 2, 3]).await;
    let ask = visitor.get("/settings/sync-all").await;
    for told in [
        "No data is deleted on the mOS side.",
        "while the mOS account is a blank slate",
        "What it will read",
        "API requests",
        "<td role=\"cell\" data-column=\"Records\">3</td>",
    ] {
        ask.has(told);
    }
    assert_eq!(
        desk.stores.jobs.list(9).await.unwrap().len(),
        0,
        "asking starts nothing"
    );
    let started = visitor
        .send("/settings/sync-all", &ask.form("/settings/sync-all"))
        .await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{}", started.html);
    let jobs = desk.stores.jobs.list(9).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].kind), (1, JobKind::SyncAll));
    // A second one: not while the first runs, and the page leads to it.
    let busy = visitor.get("/settings/sync-all").await;
    busy.has("A sync-all runs already");
    busy.has(jobs[0].id.as_str());
    busy.has("disabled>Sync all data to mOS");
    let again = visitor
        .send("/settings/sync-all", &busy.form("/settings/sync-all"))
        .await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(desk.stores.jobs.list(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn sync_all_is_refused_while_nothing_may_run() {
    for (change, word) in [
        (
            (|settings| settings.disabled = true) as fn(&mut Settings),
            "mOS Sync is disabled",
        ),
        (
            |settings| settings.org = Some("00D000000000009".parse().unwrap()),
            "confirm it",
        ),
    ] {
        let (desk, visitor) = furnished(&[1]).await;
        let ask = visitor
            .get("/settings/sync-all")
            .await
            .form("/settings/sync-all");
        desk.save(change).await;
        let refused = visitor.send("/settings/sync-all", &ask).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        refused.has(word);
        assert_eq!(desk.stores.jobs.list(9).await.unwrap().len(), 0);
    }
    let (desk, visitor) = furnished(&[1]).await;
    desk.org.answers(false);
    visitor
        .get("/settings/sync-all")
        .await
        .has("Salesforce did not answer");
}

#[tokio::test]
async fn a_mapping_is_changed_refused_in_place_and_taken_back() {
    let (desk, visitor) = furnished(&[]).await;
    let page = visitor.get("/mapping").await;
    let form = page.form("/mapping");
    let number = |mos_field: &str| {
        let mos = form
            .iter()
            .position(|(name, value)| name.starts_with("mos.") && value == mos_field);
        form[mos.unwrap()]
            .0
            .strip_prefix("mos.")
            .unwrap()
            .to_owned()
    };
    // As it comes: nothing to save.
    visitor
        .send("/mapping", &form)
        .await
        .has("there is nothing to save");
    let (arr, term, stage) = (number("arr"), number("contract_term"), number("stage"));
    for (field, word) in [
        ("Nothing__c", "does not have"),
        ("no field", "cannot be a field"),
        ("CloseDate", "date field"),
    ] {
        let mut wrong = form.clone();
        write(&mut wrong, &format!("field.{arr}"), field);
        let refused = visitor.send("/mapping", &wrong).await;
        assert_eq!(refused.status, 422, "{field}");
        let error = refused.error_at(&format!("field.{arr}"));
        assert!(error.contains(word), "{field}: {error}");
        assert_eq!(in_force(&desk).await.0, 0);
    }
    let mut right = form.clone();
    write(&mut right, &format!("field.{arr}"), "Amount");
    write(&mut right, &format!("field.{term}"), "Weighted__c");
    write(&mut right, &format!("term.{term}"), "yearly");
    untick(&mut right, &format!("active.{stage}"));
    saved(&visitor, "/mapping", &right).await;
    let door = desk.door().await;
    let api = door.get("/api/v1/settings").await.json();
    assert_eq!(
        api["settings"]["mapping"],
        json!([
            {"object": "Opportunity", "mos_field": "stage", "salesforce_field": "StageName", "active": false},
            {"object": "Opportunity", "mos_field": "arr", "salesforce_field": "Amount", "active": true},
            {"object": "Opportunity", "mos_field": "contract_term", "salesforce_field": "Weighted__c",
             "active": true, "contract_term_type": "yearly"},
        ])
    );
    // Back to the standard, row by row.
    let mut form = visitor.get("/mapping").await.form("/mapping");
    for number in [&arr, &term, &stage] {
        let mut sent = form.clone();
        sent.push(("do".to_owned(), format!("remove.{number}")));
        form = visitor.send("/mapping", &sent).await.form("/mapping");
    }
    saved(&visitor, "/mapping", &form).await;
    assert_eq!(in_force(&desk).await.1.mapping, Settings::default().mapping);
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
