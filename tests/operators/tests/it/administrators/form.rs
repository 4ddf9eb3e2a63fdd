//! The form of mOS Settings: what it saves, what it refuses at which field, and what stays written.

use domain::settings::Settings;
use http::StatusCode;
use serde_json::{Value, json};

use super::{SCRIPT, SETTINGS, furnished, in_force, row, saved};
use crate::visitor::{ADA, Fields, Shown, Visitor, write};

#[tokio::test]
async fn what_the_form_saves_is_what_the_api_answers() {
    let (desk, visitor) = furnished(&[10_000, 60_000]).await;
    let mut form = visitor.form(SETTINGS).await;
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

#[tokio::test]
async fn the_page_uses_the_words_of_the_guide() {
    let (desk, visitor) = furnished(&[]).await;
    let page = visitor.get(SETTINGS).await;
    for label in [
        "mOS Admin Email Notification",
        "Frequency of syncs",
        "Disable mOS Sync",
        "Run In Sandbox",
        "Sync closed opportunities",
    ] {
        page.has(&format!("\">{label}</label>"));
    }
    for heading in ["Basic settings", "Opportunity Filter"] {
        page.has(&format!("<h2>{heading}</h2>"));
    }
    // At the top right.
    let header = crate::web::between(&page.html, "<header class=\"page-header\">", "</header>");
    for button in [
        ">Sync all data to mOS</a>",
        "value=\"preview\">Save</button>",
    ] {
        assert!(header.contains(button), "{button} in {header}");
    }
    let zone = desk.ops.org().await.unwrap().time_zone.unwrap();
    page.has(&format!(
        "The time in the org's zone ({zone}), such as 06:30"
    ));
    // What is read aloud when rows come and go is not in what is replaced.
    page.has("<p class=\"only-read\" id=\"filter-said\" role=\"status\"></p>");
    page.has("data-said=\"0 conditions\" data-said-in=\"filter-said\"");
}

/// A form in which this was written, sent: refused, with a sentence at that field and nothing changed.
async fn refused_at(field: &str, word: &str, wrong: impl FnOnce(&mut Fields)) {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.form(SETTINGS).await;
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
async fn what_no_list_offers_is_refused_at_its_field() {
    let (desk, visitor) = furnished(&[]).await;
    for field in ["frequency", "blanks", "zone"] {
        let mut form = visitor.form(SETTINGS).await;
        write(&mut form, field, "nonsense");
        let refused = visitor.send(SETTINGS, &form).await;
        assert_eq!(refused.status, 422, "{field}");
        assert!(refused.error_at(field).starts_with("Choose one"), "{field}");
    }
    let mut form = visitor.form("/mapping").await;
    let term = form
        .iter()
        .find(|(name, value)| name.starts_with("mos.") && value == "contract_term");
    let number = term.unwrap().0.strip_prefix("mos.").unwrap().to_owned();
    write(&mut form, &format!("field.{number}"), "Amount");
    write(&mut form, &format!("term.{number}"), "nonsense");
    let refused = visitor.send("/mapping", &form).await;
    assert_eq!(refused.status, 422);
    let error = refused.error_at(&format!("field.{number}"));
    assert!(error.contains("nonsense"), "{error}");
    assert_eq!(in_force(&desk).await.0, 0);
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
async fn an_eleventh_condition_is_refused_above_the_rows_and_all_of_them_stay() {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.form(SETTINGS).await;
    for number in 1..=11 {
        row(&mut form, number, "Amount", "greater_than", "1");
    }
    let refused = visitor.send(SETTINGS, &form).await;
    assert_eq!(refused.status, 422, "{}", refused.html);
    let begin = "<p class=\"error\" role=\"alert\">";
    let error = crate::web::between(&refused.html, begin, "</p>");
    assert!(
        error.contains("11 conditions, it may have at most 10"),
        "{error}"
    );
    let rows = refused.form(SETTINGS);
    let rows = rows.iter().filter(|(name, _)| name.starts_with("text."));
    assert_eq!(rows.count(), 11);
    assert_eq!(in_force(&desk).await.0, 0);
}

#[tokio::test]
async fn a_value_that_the_org_does_not_list_any_more_stays_with_the_next_save() {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.form(SETTINGS).await;
    for (name, value) in [
        ("field.1", "StageName"),
        ("was.1", "StageName"),
        ("operator.1", "equals"),
        ("value.1", "Prospecting"),
        ("value.1", "Retired <b>"),
    ] {
        form.push((name.to_owned(), value.to_owned()));
    }
    saved(&visitor, SETTINGS, &form).await;
    let page = visitor.get(SETTINGS).await;
    page.has("Retired &lt;b&gt; (not in the list)</label>");
    let mut form = page.form(SETTINGS);
    write(&mut form, "sync_closed", "on");
    saved(&visitor, SETTINGS, &form).await;
    let (revision, settings) = in_force(&desk).await;
    assert_eq!((revision, settings.sync_closed), (2, true));
    assert_eq!(
        settings.filter.conditions[0].values,
        ["Prospecting", "Retired <b>"]
    );
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let (_desk, visitor) = furnished(&[]).await;
    let mut form = visitor.form(SETTINGS).await;
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
    let mut form = visitor.form(SETTINGS).await;
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
async fn what_is_typed_for_a_field_that_was_just_chosen_stays() {
    let (_desk, visitor) = furnished(&[]).await;
    let form = visitor.form(SETTINGS).await;
    let mut form = pressed(&visitor, &form, "add").await.form(SETTINGS);
    write(&mut form, "field.1", "Amount");
    write(&mut form, "operator.1", "greater_than");
    write(&mut form, "text.1", "1000");
    let mut form = pressed(&visitor, &form, "add").await.form(SETTINGS);
    let value = |form: &Fields, name: &str| {
        let found = form.iter().find(|(known, _)| known == name);
        found.unwrap().1.clone()
    };
    assert_eq!(value(&form, "text.1"), "1000");
    assert_eq!(value(&form, "operator.1"), "greater_than");
    // Of another field it would be wrong.
    write(&mut form, "field.1", "Name");
    let form = pressed(&visitor, &form, "refresh").await.form(SETTINGS);
    assert_eq!(value(&form, "text.1"), "");
}

/// What is in the form but for the tokens.
fn content(form: &Fields) -> Fields {
    let form = form.iter();
    let content = form.filter(|(name, _)| name != "form_token" && !name.starts_with("was."));
    content.cloned().collect()
}

#[tokio::test]
async fn back_from_the_preview_is_the_form_with_what_was_written() {
    let (desk, visitor) = furnished(&[10_000]).await;
    let mut form = visitor.form(SETTINGS).await;
    write(&mut form, "emails", "ada@example.com, bo@example.com");
    write(&mut form, "sync_closed", "on");
    write(&mut form, "percent", "40");
    row(&mut form, 1, "Amount", "greater_than", "5000");
    let look = visitor.send(SETTINGS, &form).await;
    look.has("formaction=\"/settings/edit\"");
    // Without a question: that is what the button says.
    look.has("<form method=\"get\" action=\"/settings\" data-guarded>");
    let back = visitor
        .send("/settings/edit", &look.form("/settings/save"))
        .await;
    assert_eq!(back.status, 200, "{}", back.html);
    back.has("id=\"settings\" data-guarded data-unsaved");
    let again = back.form(SETTINGS);
    for field in content(&form) {
        assert!(again.contains(&field), "{field:?} is not in {again:?}");
    }
    assert_eq!(in_force(&desk).await.0, 0);
    // From there it is corrected and saved.
    let mut form = again;
    write(&mut form, "percent", "50");
    saved(&visitor, SETTINGS, &form).await;
    let (_, settings) = in_force(&desk).await;
    assert_eq!(settings.filter.conditions.len(), 1);

    // Field Mapping.
    let mut form = visitor.form("/mapping").await;
    let arr = form
        .iter()
        .find(|(name, value)| name.starts_with("mos.") && value == "arr");
    let number = arr.unwrap().0.strip_prefix("mos.").unwrap().to_owned();
    write(&mut form, &format!("field.{number}"), "Amount");
    let look = visitor.send("/mapping", &form).await;
    let back = visitor
        .send("/settings/edit", &look.form("/settings/save"))
        .await;
    assert_eq!(content(&back.form("/mapping")), content(&form));
    // A file.
    let mut form = visitor.form("/settings/transfer").await;
    write(&mut form, "document", "{\"disabled\": true}");
    let look = visitor.send("/settings/transfer", &form).await;
    let back = visitor
        .send("/settings/edit", &look.form("/settings/save"))
        .await;
    let document = back.form("/settings/transfer").pop().unwrap().1;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["disabled"], true);
    let forged = vec![("base".to_owned(), "0".to_owned())];
    let refused = visitor.send("/settings/edit", &forged).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_save_that_salesforce_does_not_answer_is_kept_on_the_page() {
    let (desk, visitor) = furnished(&[10_000]).await;
    let mut form = visitor.form(SETTINGS).await;
    row(&mut form, 1, "Amount", "greater_than", "5000");
    let look = visitor.send(SETTINGS, &form).await;
    desk.org.answers(false);
    let kept = visitor
        .send("/settings/save", &look.form("/settings/save"))
        .await;
    assert_eq!(
        kept.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        kept.html
    );
    kept.has("Nothing was saved.");
    kept.has("Amount greater than 5000");
    assert_eq!(in_force(&desk).await.0, 0);
    desk.org.answers(true);
    let saved = visitor
        .send("/settings/save", &kept.form("/settings/save"))
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.html);
    assert_eq!(in_force(&desk).await.0, 1);
}

/// The org describes a field, and refuses a query that names it.
#[tokio::test]
async fn what_salesforce_refuses_takes_nothing_away_that_was_written() {
    let (desk, visitor) = furnished(&[10_000]).await;
    let mut form = visitor.form(SETTINGS).await;
    write(&mut form, "emails", "ada@example.com");
    row(&mut form, 1, "Weighted__c", "greater_than", "1");
    let kept = visitor.send(SETTINGS, &form).await;
    assert!(kept.status.is_server_error(), "{}", kept.html);
    kept.has("Nothing was saved. Salesforce refused");
    let again = kept.form(SETTINGS);
    for field in content(&form) {
        assert!(again.contains(&field), "{field:?} is not in {again:?}");
    }
    // A file.
    let path = "/settings/transfer";
    let mut file = visitor.form(path).await;
    let condition = json!({"field": "Weighted__c", "operator": "greater_than", "values": ["1"]});
    let document = json!({"filter": {"conditions": [condition]}}).to_string();
    write(&mut file, "document", &document);
    let kept = visitor.send(path, &file).await;
    assert!(kept.status.is_server_error(), "{}", kept.html);
    kept.has("Nothing was saved. Salesforce refused");
    assert_eq!(content(&kept.form(path)), content(&file));
    // What was chosen of two changes.
    desk.save(|settings| settings.sync_closed = true).await;
    let choice = visitor.send(SETTINGS, &form).await;
    assert_eq!(choice.status, StatusCode::CONFLICT);
    let chosen = choice.form("/settings/look");
    let kept = visitor.send("/settings/look", &chosen).await;
    assert!(kept.status.is_server_error(), "{}", kept.html);
    kept.has("Your change is kept on this page");
    let saved = visitor
        .send("/settings/save", &kept.form("/settings/save"))
        .await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.html);
    let (revision, settings) = in_force(&desk).await;
    assert_eq!((revision, settings.sync_closed), (2, true));
    assert_eq!(settings.admin_emails, ["ada@example.com"]);
    // Field Mapping, whose preview counts by the same filter.
    let mut form = visitor.form("/mapping").await;
    let arr = form
        .iter()
        .find(|(name, value)| name.starts_with("mos.") && value == "arr");
    let number = arr.unwrap().0.strip_prefix("mos.").unwrap().to_owned();
    write(&mut form, &format!("field.{number}"), "Amount");
    let kept = visitor.send("/mapping", &form).await;
    assert!(kept.status.is_server_error(), "{}", kept.html);
    kept.has("Nothing was saved. Salesforce refused");
    assert_eq!(content(&kept.form("/mapping")), content(&form));
}

#[tokio::test]
async fn a_choice_that_is_refused_is_the_form_again_with_what_is_wrong() {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.form(SETTINGS).await;
    row(&mut form, 1, "Amount", "greater_than", "5000");
    desk.save(|settings| settings.sync_closed = true).await;
    let choice = visitor.send(SETTINGS, &form).await;
    assert_eq!(choice.status, StatusCode::CONFLICT);
    desk.org.hides("Amount");
    let refused = visitor
        .send("/settings/look", &choice.form("/settings/look"))
        .await;
    assert_eq!(refused.status, 422, "{}", refused.html);
    let error = refused.error_at("field.1");
    assert!(error.contains("no field `Amount`"), "{error}");
    let again = refused.form(SETTINGS);
    for (name, value) in [("text.1", "5000"), ("sync_closed", "on")] {
        let field = (name.to_owned(), value.to_owned());
        assert!(again.contains(&field), "{field:?} is not in {again:?}");
    }
}

#[tokio::test]
async fn a_formula_in_the_filter_is_warned_of() {
    let (desk, visitor) = furnished(&[]).await;
    let mut form = visitor.form(SETTINGS).await;
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
    let told = "The filter names Amount, a formula or roll-up";
    assert_eq!(look.html.matches(told).count(), 1, "once: {}", look.html);
}

#[tokio::test]
async fn what_is_written_comes_out_as_text() {
    let (desk, visitor) = furnished(&[]).await;
    desk.org.has_labelled("Evil__c", SCRIPT);
    let mut form = visitor.form(SETTINGS).await;
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
    let mut form = visitor.form("/mapping").await;
    for name in ["field.1", "object.1", "mos.1", "term.1"] {
        write(&mut form, name, SCRIPT);
    }
    visitor.send("/mapping", &form).await.lacks("<script>");
    let mut form = visitor.form("/settings/transfer").await;
    for document in [SCRIPT.to_owned(), json!({SCRIPT: SCRIPT}).to_string()] {
        write(&mut form, "document", &document);
        visitor
            .send("/settings/transfer", &form)
            .await
            .lacks("<script>");
    }
}
