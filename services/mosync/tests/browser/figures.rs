//! At rest, pages show the numbers of `mosync status --json` and no others.

use std::collections::BTreeSet;

use browser::world::ANNA;
use browser::{Browser, World};
use fake_mos::{Fault, RejectCode};
use serde_json::{Value, json};

use crate::{signed_in, world};

/// The texts of a page that hold a number, one by one. Times, ids, what can be chosen and what a line
/// of the log said at its time are not figures.
const TEXTS: &str = "(() => {
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim();
    if (/\\d/.test(text) && !walk.currentNode.parentElement.closest('time, code, select, option, label, .help, .log, script, title')) texts.push(text);
  }
  return texts;
})()";

/// What does not change at rest, of a status.
fn lasting(status: &Value) -> Value {
    let mut status = status.clone();
    for part in [
        "read_at",
        "stream",
        "permissions_polled",
        "polls",
        "workers",
        "api",
    ] {
        status.as_object_mut().unwrap().remove(part);
    }
    status
}

/// A page, and the status before and after it was read.
async fn read(world: &World, browser: &Browser, path: &str) -> (Vec<String>, [Value; 2]) {
    loop {
        let before = world.status().await;
        browser.go(&world.page(path)).await;
        let texts = browser.says(TEXTS).await;
        let after = world.status().await;
        // What live work is left, such as a count of API requests, has come to its end.
        if lasting(&before) == lasting(&after) && before["api"] == after["api"] {
            let texts = texts.as_array().unwrap().iter();
            let texts = texts.map(|text| text.as_str().unwrap().to_owned());
            return (texts.collect(), [before, after]);
        }
    }
}

/// Whether that is all there is: the id of a record.
fn is_id(text: &str) -> bool {
    text.len() == 18
        && text.starts_with("00")
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

/// The numbers of a text, as they are written; hours of a clock are no figures.
fn numbers(text: &str) -> Vec<String> {
    let parts = text.split(|letter: char| !letter.is_ascii_digit() && !",.:".contains(letter));
    let parts = parts.map(|part| part.trim_matches([',', '.', ':']));
    let figures = parts.filter(|part| !part.is_empty() && !part.contains(':'));
    figures.map(|part| part.replace(',', "")).collect()
}

#[test]
fn numbers_are_found_as_they_are_written() {
    assert_eq!(numbers("1,234 of 5.6 %, 7."), ["1234", "5.6", "7"]);
    assert_eq!(numbers("14:00"), [""; 0]);
}

/// A number as pages write it: whole, or with one digit behind the point.
fn written(number: &Value) -> Option<String> {
    match (number.as_u64(), number.as_f64()) {
        (Some(whole), _) => Some(whole.to_string()),
        (None, Some(number)) => Some(format!("{number:.1}")),
        (None, None) => None,
    }
}

/// Every number of a status.
fn told(status: &Value, into: &mut BTreeSet<String>) {
    match status {
        Value::Array(parts) => parts.iter().for_each(|part| told(part, into)),
        Value::Object(parts) => parts.values().for_each(|part| told(part, into)),
        Value::Number(_) => into.extend(written(status)),
        Value::String(text) => into.extend(numbers(text)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The sum of the numbers that are there.
fn sum<'a>(numbers: impl Iterator<Item = &'a Value>) -> u64 {
    numbers.filter_map(Value::as_u64).sum()
}

/// What pages say of a job beside the numbers in it, each from those: sums over objects, and of what
/// became of records.
fn derived(job: &Value, into: &mut BTreeSet<String>) {
    const OUT: [&[&str]; 3] = [
        &["created", "updated"],
        &["unchanged", "stale"],
        &[
            "skipped",
            "collapsed",
            "gone",
            "unreadable",
            "filtered",
            "not_permitted",
            "cancelled",
        ],
    ];
    let objects: Vec<&Value> = job["objects"].as_object().unwrap().values().collect();
    let mut add = |number: u64| into.insert(number.to_string());
    for part in ["read", "errors"] {
        add(sum(objects.iter().map(|object| &object[part])));
    }
    let counts: BTreeSet<&String> = objects
        .iter()
        .flat_map(|object| object["tally"].as_object().unwrap().keys())
        .collect();
    for count in counts {
        add(sum(objects
            .iter()
            .map(|object| &object["tally"][count.as_str()])));
    }
    let is_in = |count: &str| ["read", "added"].contains(&count);
    let mut all = [0, 0];
    for object in &objects {
        let tally = object["tally"].as_object().unwrap();
        for (place, way_in) in [true, false].into_iter().enumerate() {
            let ways = tally.iter().filter(|(count, _)| is_in(count) == way_in);
            let records = sum(ways.map(|(_, records)| records));
            add(records);
            all[place] += records;
        }
        for group in OUT {
            add(sum(group.iter().map(|count| &object["tally"][count])));
        }
    }
    all.into_iter().for_each(|records| {
        add(records);
    });
    add(sum(objects.iter().flat_map(|object| {
        OUT[0].iter().map(|count| &object["tally"][count])
    })));
}

/// Changes a second in the running hour, as it is written.
fn rate(status: &Value) -> f64 {
    let jobs = status["jobs"].as_array().unwrap();
    let hour = status["hours"].as_array().unwrap().last().unwrap();
    let live = jobs.iter().find(|job| job["kind"] == "live");
    let live = live.filter(|job| job["requested"].as_i64() >= hour["from"].as_i64());
    let rate = live.and_then(|job| job["per_second"].as_f64());
    format!("{:.1}", rate.unwrap_or_default()).parse().unwrap()
}

/// The value that must stand under each name, of those that last at rest.
fn expected(status: &Value) -> Vec<(&'static str, String)> {
    let load = &status["last_ended"];
    let objects = load["objects"].as_object().unwrap();
    let of = |part: &str| sum(objects.values().map(|object| &object[part]));
    let tally = |count: &str| sum(objects.values().map(|object| &object["tally"][count]));
    let hour = status["hours"].as_array().unwrap().last().unwrap();
    let parts = |whole: &Value| sum(whole.as_object().unwrap().values());
    vec![
        ("Changes this hour", hour["read"].to_string()),
        ("Lag", "none".to_owned()),
        ("Units in queues", parts(&status["queues"]).to_string()),
        (
            "Waiting to be retried",
            status["waiting_to_retry"].to_string(),
        ),
        ("Parked records", parts(&status["parked"]).to_string()),
        ("Dead messages", status["dead"].to_string()),
        (
            "Records read",
            format!("{} of {}", of("read"), load["total"]),
        ),
        ("Units published", load["units"].to_string()),
        ("Errors while reading", of("errors").to_string()),
        (
            "Records done",
            format!("{} of {}", load["done"], load["total"]),
        ),
        (
            "Done",
            format!("{:.1} %", load["percent"].as_f64().unwrap()),
        ),
        (
            "Created or updated",
            (tally("created") + tally("updated")).to_string(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_the_numbers_of_the_status_and_no_others() {
    let world = world(60).await;
    let deals = world.open_deals();
    world.break_mos(Fault::Reject {
        code: RejectCode::InvalidField,
        field: Some("name".to_owned()),
        probability: None,
        ids: deals[..2].to_vec(),
        count: None,
    });
    for id in &deals[..7] {
        world.update("Opportunity", id, &json!({"NextStep": "Call back"}));
    }
    let status = world.rest().await;
    assert_eq!(status["parked"], json!({"invalid_field": 2}));
    // What is parked is noticed as an incident a little later.
    world
        .until_listed("both parked records are one incident", |listed| {
            let mut open = listed["open"].as_array().into_iter().flatten();
            open.any(|it| it["matter"] == "records_parked" && it["count"] == 2)
        })
        .await;
    let browser = signed_in(&world, ANNA).await;

    let (_, [before, status]) = read(&world, &browser, "/sync-status").await;
    let shown = browser
        .says("Object.fromEntries([...document.querySelectorAll('.figures > div')].map((it) => [it.querySelector('dt').innerText, it.querySelector('dd').innerText]))")
        .await;
    let mut shown = shown.as_object().unwrap().clone();
    let mut figure = |name: &str| {
        let value = shown.remove(name);
        let value = value.unwrap_or_else(|| panic!("{name} is not shown"));
        value.as_str().unwrap().replace(',', "")
    };
    for (name, value) in expected(&status) {
        assert_eq!(figure(name), value, "{name}");
    }
    // It falls while nothing happens, and the figures of an open page follow.
    let found = figure("Changes/s this hour").parse::<f64>().unwrap();
    let between = [rate(&world.status().await), rate(&before)];
    assert!(
        between[0] <= found && found <= between[1],
        "{found} changes/s, status has {between:?}"
    );
    // Of a job that is over there may be a rate, if it took long enough for one.
    let load = status["last_ended"].clone();
    if let Some(rate) = shown.remove("Records/s") {
        assert_eq!(rate, format!("{:.1}", load["per_second"].as_f64().unwrap()));
    }
    assert!(shown.is_empty(), "figures that nobody compares: {shown:?}");

    let job = load["id"].as_str().unwrap().to_owned();
    let live = status["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["kind"] == "live");
    let live = live.unwrap()["id"].as_str().unwrap().to_owned();
    for path in [
        "/sync-status".to_owned(),
        "/jobs".to_owned(),
        format!("/jobs/{job}"),
        format!("/jobs/{live}"),
        "/parked".to_owned(),
        "/parked/dead".to_owned(),
        "/notifications".to_owned(),
    ] {
        let (texts, [_, status]) = read(&world, &browser, &path).await;
        let mut known = BTreeSet::new();
        told(&lasting(&status), &mut known);
        for part in ["api", "polls"] {
            told(&status[part], &mut known);
        }
        for job in status["jobs"].as_array().unwrap() {
            derived(job, &mut known);
        }
        let parts = |whole: &Value| sum(whole.as_object().unwrap().values()).to_string();
        known.extend([parts(&status["queues"]), parts(&status["parked"])]);
        for part in ["read", "sent", "parked"] {
            let hours = status["hours"].as_array().unwrap().iter();
            known.insert(sum(hours.map(|hour| &hour[part])).to_string());
        }
        assert!(!texts.is_empty(), "{path} shows no number");
        for text in texts.into_iter().filter(|text| !is_id(text)) {
            // Of the last 24 hours, and of what a sentence says in general.
            let general = text.contains("24 hours") || text.contains("of up to 200 records");
            let numbers = numbers(&text).into_iter();
            let strange: Vec<String> = numbers
                .filter(|number| {
                    let said = general && ["24", "200"].contains(&number.as_str());
                    !known.contains(number) && !said
                })
                .collect();
            assert!(
                strange.is_empty(),
                "{path} shows {strange:?} in {text:?}, which mosync status does not\n{status:#}"
            );
        }
    }
    // How many the incident is about, on the last of them.
    let counts = browser.says("[...document.querySelectorAll('tbody tr')].filter((it) => it.innerText.includes('Records are parked')).map((it) => it.querySelector('[data-column=Count]').innerText)").await;
    let parked = status["parked"]["invalid_field"].to_string();
    assert_eq!(counts, json!([parked]));
    // Other pages have figures of their own: the checklist counts its items and who holds each
    // permission set, and the question before a sync-all what Salesforce counts at that moment.
    // Who holds permission, on the page about that.
    let (texts, [_, status]) = read(&world, &browser, "/users").await;
    let holders = format!("{} users hold mOS permission", status["permitted_users"]);
    assert!(
        texts.iter().any(|text| text.contains(&holders)),
        "{holders}: {texts:?}"
    );
}
