//! A walk through every page of the console, in the states that people meet it in, each made by the
//! real services and by what the stand-ins can be told to do wrong.

use fake_mos::{Fault, RejectCode};
use fake_salesforce::faults::Fault as SalesforceFault;
use serde_json::{Value, json};

use crate::world::{ANNA, NILS};
use crate::{Browser, Scripts, World};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Its name, such as `sync-status-busy`.
    pub name: &'static str,
    /// The page, as the console's routes name it, such as `/jobs/{job}`.
    pub page: &'static str,
    /// Whether its pictures show it on a tablet and on a phone, too.
    pub on_small_screens: bool,
}

impl Sight {
    /// The widths that it is pictured at, each with the picture's file.
    #[must_use]
    pub fn pictures(self) -> Vec<(u32, String)> {
        let widths: &[u32] = if self.on_small_screens {
            &[1440, 1024, 390]
        } else {
            &[1440]
        };
        let file = |width: u32| match width {
            1440 => format!("{}.png", self.name),
            _ => format!("{}-{width}.png", self.name),
        };
        widths.iter().map(|width| (*width, file(*width))).collect()
    }
}

const fn sight(name: &'static str, page: &'static str) -> Sight {
    Sight {
        name,
        page,
        on_small_screens: false,
    }
}

const fn main_sight(name: &'static str, page: &'static str) -> Sight {
    Sight {
        name,
        page,
        on_small_screens: true,
    }
}

/// What [`empty`] shows.
pub const EMPTY: &[Sight] = &[
    sight("empty-sync-status", "/sync-status"),
    sight("empty-settings", "/settings"),
    sight("empty-history", "/settings/history"),
    sight("empty-users", "/users"),
    sight("empty-sync-all", "/settings/sync-all"),
    sight("empty-jobs", "/jobs"),
    sight("empty-parked", "/parked"),
    sight("empty-dead-messages", "/parked/dead"),
    sight("empty-logs", "/logs"),
    sight("empty-explain", "/explain"),
    sight("empty-left", "/left"),
    sight("empty-notifications", "/notifications"),
    sight("empty-access", "/access"),
];

/// What [`full`] shows.
pub const FULL: &[Sight] = &[
    main_sight("sign-in", "/"),
    sight("no-access", "/sign-in/back"),
    main_sight("settings", "/settings"),
    sight("settings-refused", "/settings"),
    main_sight("settings-preview", "/settings"),
    sight("settings-conflict", "/settings/save"),
    sight("history", "/settings/history"),
    sight("history-compared", "/settings/history"),
    sight("export-and-import", "/settings/transfer"),
    sight("checklist", "/settings/checklist"),
    sight("confirm-org", "/settings/confirm-org"),
    main_sight("sync-all", "/settings/sync-all"),
    main_sight("mapping", "/mapping"),
    main_sight("users", "/users"),
    main_sight("sync-status", "/sync-status"),
    main_sight("jobs", "/jobs"),
    main_sight("job", "/jobs/{job}"),
    main_sight("logs", "/logs"),
    sight("logs-timeline", "/logs"),
    main_sight("explain", "/explain"),
    sight("explain-not-synced", "/explain"),
    main_sight("left", "/left"),
    main_sight("access", "/access/tokens"),
    sight("sync-status-busy", "/sync-status"),
    sight("job-busy", "/jobs/{job}"),
    sight("signed-out", "/sign-out"),
];

/// What [`failing`] shows.
pub const FAILING: &[Sight] = &[
    main_sight("parked", "/parked"),
    sight("parked-refused", "/parked/dismiss"),
    sight("dead-messages", "/parked/dead"),
    sight("dead-message", "/parked/dead/message/{message}"),
    sight("logs-errors", "/logs"),
    sight("logs-refused", "/logs"),
    sight("explain-parked", "/explain"),
    sight("job-with-errors", "/jobs/{job}"),
    main_sight("sync-status-failing", "/sync-status"),
    sight("settings-out-of-reach", "/settings"),
    sight("sync-all-refused", "/settings/sync-all"),
    main_sight("notifications", "/notifications"),
    sight("notification", "/notifications/{notification}"),
    sight("notification-mail", "/notifications/{notification}/mail"),
    sight("no-such-page", "/no-such-page"),
];

/// Whether an address is that of a page.
fn is_of(address: &str, page: &str) -> bool {
    let path = address.split('?').next().unwrap_or_default();
    let (path, page) = (path.split('/'), page.split('/'));
    path.clone().count() == page.clone().count()
        && path
            .zip(page)
            .all(|(part, wanted)| part == wanted || wanted.starts_with('{'))
}

/// Whoever looks, and how far they have come in the list of what there is to see.
struct Walk<'a, L> {
    browser: &'a Browser,
    sights: std::slice::Iter<'static, Sight>,
    look: L,
}

impl<'a, L: AsyncFn(&Browser, Sight)> Walk<'a, L> {
    fn of(browser: &'a Browser, sights: &'static [Sight], look: L) -> Self {
        Self {
            browser,
            sights: sights.iter(),
            look,
        }
    }

    /// The next sight of the list; its name stands here, too, so that one sees where one is.
    async fn see(&mut self, name: &str) {
        let next = *self.sights.next().expect("the list is longer");
        assert_eq!(
            next.name, name,
            "the list of sights has the order of the walk"
        );
        let path = self.browser.path().await;
        assert!(is_of(&path, next.page), "{name} is at {path}");
        (self.look)(self.browser, next).await;
    }

    fn end(mut self) {
        assert_eq!(
            self.sights.next(),
            None,
            "the list of sights is seen to its end"
        );
    }
}

async fn sign_in(world: &World, browser: &Browser) {
    browser.go(&world.console).await;
    browser.sign_in(ANNA).await;
    browser.until_titled("Sync Status").await;
}

/// Every page that can have nothing to show.
///
/// # Panics
/// When a page is not there.
pub async fn empty(executable: &str, look: impl AsyncFn(&Browser, Sight)) {
    let world = World::start(executable, 0, "").await;
    let browser = Browser::open(Scripts::On).await;
    sign_in(&world, &browser).await;
    let mut walk = Walk::of(&browser, EMPTY, look);
    walk.see("empty-sync-status").await;
    for (path, title, name) in [
        ("/settings", "mOS Settings", "empty-settings"),
        (
            "/settings/history",
            "History of mOS Settings",
            "empty-history",
        ),
        ("/users", "mOS Users", "empty-users"),
        (
            "/settings/sync-all",
            "Sync all data to mOS?",
            "empty-sync-all",
        ),
        ("/jobs?state=stalled", "Jobs", "empty-jobs"),
        ("/parked", "Parked Records", "empty-parked"),
        ("/parked/dead", "Dead Messages", "empty-dead-messages"),
        ("/logs?topic=none", "Integration Logs", "empty-logs"),
        ("/explain", "Explain", "empty-explain"),
        ("/left", "Left the scope", "empty-left"),
        ("/notifications", "Notifications", "empty-notifications"),
        ("/access", "Access", "empty-access"),
    ] {
        browser.go(&world.page(path)).await;
        browser.until_titled(title).await;
        walk.see(name).await;
    }
    walk.end();
}

/// A filter of three conditions, as somebody would write it.
fn document(amount: &str) -> Value {
    json!({
        "admin_emails": ["anna.berg@acme.example", "sales-ops@acme.example"],
        "run_in_sandbox": true,
        "filter": {
            "conditions": [
                {"field": "StageName", "operator": "not_equal", "values": ["Prospecting"]},
                {"field": "Amount", "operator": "greater_or_equal", "values": [amount]},
                {"field": "CloseDate", "operator": "greater_or_equal", "values": ["LAST_N_DAYS:90"]},
            ],
            "logic": "1 AND (2 OR 3)",
        },
        "mapping": [
            {"object": "Opportunity", "mos_field": "next_step", "salesforce_field": "Description", "active": true},
        ],
    })
}

async fn import(world: &World, document: &Value) {
    let file = world.file("settings.json", &document.to_string());
    let done = world.mosync(&["settings", "import", &file]).await;
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
}

/// An org with all that it can have, at rest, and then with much to do.
///
/// # Panics
/// When a page is not there.
pub async fn full(executable: &str, look: impl AsyncFn(&Browser, Sight)) {
    let world = World::start(executable, 240, "").await;
    import(&world, &document("20000")).await;
    world.rest().await;
    import(&world, &document("50000")).await;
    let deals = world.open_deals();
    for (place, deal) in deals.iter().enumerate().take(30) {
        let amount = 60_000 + place * 1_250;
        world.update(
            "Opportunity",
            deal,
            &json!({"Amount": amount, "NextStep": "Meet the buyer"}),
        );
    }
    world.rest().await;
    for deal in deals.iter().skip(27).take(3) {
        world.update("Opportunity", deal, &json!({"StageName": "Prospecting"}));
    }
    world.rest().await;

    let browser = Browser::open(Scripts::On).await;
    let mut walk = Walk::of(&browser, FULL, look);
    browser.go(&world.console).await;
    browser.until_shown("Sign in with Salesforce").await;
    walk.see("sign-in").await;
    browser.sign_in(NILS).await;
    browser.until_titled("You have no access to mosync").await;
    walk.see("no-access").await;
    // Salesforce knows this browser as his.
    browser.forget().await;
    sign_in(&world, &browser).await;

    settings(&world, &mut walk).await;
    for (path, title, name) in [
        ("/settings/history", "History of mOS Settings", "history"),
        (
            "/settings/history?from=1&to=3",
            "History of mOS Settings",
            "history-compared",
        ),
        (
            "/settings/transfer",
            "Export and import",
            "export-and-import",
        ),
        ("/settings/checklist", "First-run checklist", "checklist"),
        (
            "/settings/confirm-org",
            "Confirm the connected org",
            "confirm-org",
        ),
        ("/settings/sync-all", "Sync all data to mOS?", "sync-all"),
        ("/mapping", "Field Mapping", "mapping"),
        ("/users", "mOS Users", "users"),
        ("/sync-status", "Sync Status", "sync-status"),
        ("/jobs", "Jobs", "jobs"),
    ] {
        browser.go(&world.page(path)).await;
        browser.until_titled(title).await;
        walk.see(name).await;
    }
    browser.press("Sync all data").await;
    browser.until_titled("Sync all data").await;
    walk.see("job").await;
    let left = world.salesforce.org.records("Opportunity");
    let left = left
        .iter()
        .find(|deal| deal.text("StageName") == Some("Prospecting"));
    let left = left.expect("a deal that the filter leaves out").id();
    let deal = deals.first().expect("a deal");
    for (path, title, name) in [
        ("/logs".to_owned(), "Integration Logs", "logs"),
        (
            format!("/logs?record={deal}"),
            "Integration Logs",
            "logs-timeline",
        ),
        (format!("/explain?record={deal}"), "Explain", "explain"),
        (
            format!("/explain?record={left}"),
            "Explain",
            "explain-not-synced",
        ),
        ("/left".to_owned(), "Left the scope", "left"),
    ] {
        browser.go(&world.page(&path)).await;
        browser.until_titled(title).await;
        walk.see(name).await;
    }
    browser.go(&world.page("/access")).await;
    for name in ["Monthly report", "Alerting"] {
        browser.fill("#name", name).await;
        browser.press("Make token").await;
        browser
            .until_shown(&format!("The token {name} is made"))
            .await;
    }
    walk.see("access").await;
    busy(&world, &mut walk).await;
    browser.press("Sign out").await;
    browser.until_shown("You have signed out").await;
    walk.see("signed-out").await;
    walk.end();
}

/// mOS Settings, with what can become of a save.
async fn settings<L: AsyncFn(&Browser, Sight)>(world: &World, walk: &mut Walk<'_, L>) {
    let browser = walk.browser;
    let open = async || {
        browser.go(&world.page("/settings")).await;
        browser.until_titled("mOS Settings").await;
    };
    open().await;
    walk.see("settings").await;
    browser.fill("[id='text.2']", "a lot").await;
    browser
        .fill("#emails", "anna.berg@acme.example, nobody")
        .await;
    browser.press("Save").await;
    browser.until_shown("Nothing was saved.").await;
    walk.see("settings-refused").await;
    browser.fill("[id='text.2']", "250000").await;
    browser.fill("#emails", "anna.berg@acme.example").await;
    browser.press("Save").await;
    browser.until_titled("Save these settings?").await;
    walk.see("settings-preview").await;
    let saved = world
        .mosync(&["settings", "set", "sync-closed", "on"])
        .await;
    assert_eq!(saved.code, Some(0), "{}", saved.stderr);
    browser.press("Save").await;
    browser
        .until_titled("Somebody else has saved meanwhile")
        .await;
    walk.see("settings-conflict").await;
    world.rest().await;
}

/// A sync-all that takes its time.
async fn busy<L: AsyncFn(&Browser, Sight)>(world: &World, walk: &mut Walk<'_, L>) {
    let browser = walk.browser;
    world.break_mos(Fault::Slow {
        ms: 2_500,
        count: None,
    });
    let started = world.mosync(&["sync-all"]).await;
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    world
        .until("the job has sent something and is not done", |status| {
            let job = &status["last_sync_all"];
            job["over"].is_null() && job["done"].as_u64() > Some(0)
        })
        .await;
    browser.go(&world.page("/sync-status")).await;
    browser.until_shown("Loading").await;
    walk.see("sync-status-busy").await;
    browser.press("Open the job").await;
    browser.until_shown("Cancel this job").await;
    walk.see("job-busy").await;
    world.break_mos(Fault::Clear);
    world.rest().await;
}

/// Records that mOS refuses, for all kinds of reasons.
fn refuse(world: &World) -> Vec<String> {
    let codes = [
        (RejectCode::ValueTooLong, 3),
        (RejectCode::InvalidField, 2),
        (RejectCode::DeletedInMos, 1),
        (RejectCode::Busy, 1),
        (RejectCode::ParentMissing, 1),
    ];
    let mut deals = world.open_deals().into_iter();
    let mut refused = Vec::new();
    for (code, number) in codes {
        let ids: Vec<String> = deals.by_ref().take(number).collect();
        refused.extend(ids.clone());
        world.break_mos(Fault::Reject {
            code,
            field: Some("name".to_owned()),
            probability: None,
            ids,
            count: None,
        });
    }
    for id in &refused {
        world.update("Opportunity", id, &json!({"NextStep": "Call back"}));
    }
    refused
}

/// An org and an mOS in trouble.
///
/// # Panics
/// When a page is not there.
pub async fn failing(executable: &str, look: impl AsyncFn(&Browser, Sight)) {
    let world = World::start(executable, 60, "").await;
    import(&world, &json!({"admin_emails": ["anna.berg@acme.example"]})).await;
    let refused = refuse(&world);
    let truncated = SalesforceFault::Truncated {
        entity: "Opportunity".to_owned(),
    };
    world.break_salesforce(truncated);
    let status = world.until("an event is dead", |status| status["dead"] == 1);
    status.await;
    world.rest().await;
    let browser = Browser::open(Scripts::On).await;
    sign_in(&world, &browser).await;
    let mut walk = Walk::of(&browser, FAILING, look);

    browser.go(&world.page("/parked")).await;
    browser.until_titled("Parked Records").await;
    walk.see("parked").await;
    browser.press("Dismiss").await;
    browser.until_shown("Tick the records").await;
    walk.see("parked-refused").await;
    browser.go(&world.page("/parked/dead")).await;
    browser.until_titled("Dead Messages").await;
    walk.see("dead-messages").await;
    browser.click("tbody a").await;
    browser.until_titled("Dead Message").await;
    walk.see("dead-message").await;
    let first = refused.first().expect("somebody was refused");
    for (path, title, name) in [
        (
            "/logs?level=warning".to_owned(),
            "Integration Logs",
            "logs-errors",
        ),
        (
            "/logs?record=nobody&since=yesterday".to_owned(),
            "Integration Logs",
            "logs-refused",
        ),
        (
            format!("/explain?record={first}"),
            "Explain",
            "explain-parked",
        ),
    ] {
        browser.go(&world.page(&path)).await;
        browser.until_titled(title).await;
        walk.see(name).await;
    }
    browser.go(&world.page("/jobs?kind=live")).await;
    browser.press("Live changes").await;
    browser.until_titled("Live changes").await;
    walk.see("job-with-errors").await;

    world.break_mos(Fault::Down { refuse: false });
    for id in world.open_deals().iter().rev().take(5) {
        world.update("Opportunity", id, &json!({"NextStep": "Nobody hears it"}));
    }
    world
        .until("the loader waits for mOS", |status| {
            status["workers"]["loader"]["state"]["is"] == "paused"
        })
        .await;
    world.break_salesforce(SalesforceFault::Quota { exhausted: true });
    browser.go(&world.page("/sync-status")).await;
    browser.until_shown("Out of reach").await;
    walk.see("sync-status-failing").await;
    browser.go(&world.page("/settings")).await;
    browser.until_titled("mOS Settings").await;
    walk.see("settings-out-of-reach").await;
    told(&world, &mut walk).await;
    browser.go(&world.page("/no-such-page")).await;
    browser.until_titled("There is no such page").await;
    walk.see("no-such-page").await;
    walk.end();
}

/// What administrators are told when somebody switches everything off, and what cannot be done then.
async fn told<L: AsyncFn(&Browser, Sight)>(world: &World, walk: &mut Walk<'_, L>) {
    let browser = walk.browser;
    world.break_salesforce(SalesforceFault::Quota { exhausted: false });
    let disabled = world.mosync(&["settings", "set", "disabled", "on"]).await;
    assert_eq!(disabled.code, Some(0), "{}", disabled.stderr);
    browser.go(&world.page("/settings/sync-all")).await;
    browser.until_shown("It cannot run now").await;
    walk.see("sync-all-refused").await;
    world.until_told("mOS Sync is disabled").await;
    browser.go(&world.page("/notifications")).await;
    browser.until_titled("Notifications").await;
    walk.see("notifications").await;
    browser.press("mOS Sync is disabled").await;
    browser.until_titled("mOS Sync is disabled").await;
    walk.see("notification").await;
    browser.press("Read the mail").await;
    browser.until_shown("Subject").await;
    walk.see("notification-mail").await;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Nothing to look at: a way to the first page, what is streamed, files.
    fn is_no_page(path: &str) -> bool {
        ["/", "/events", "/users/csv"].contains(&path) || path.ends_with("/export")
    }

    #[test]
    fn every_page_of_the_console_is_looked_at() {
        let seen: BTreeSet<&str> = [EMPTY, FULL, FAILING]
            .concat()
            .iter()
            .map(|sight| sight.page)
            .collect();
        let routes = console::pages::routes();
        let pages = routes.filter(|(_, methods, _)| methods.contains(&"get"));
        let pages = pages.map(|(path, ..)| path);
        let unseen: Vec<&str> = pages
            .filter(|path| !is_no_page(path) && !seen.contains(path))
            .collect();
        assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
    }

    #[test]
    fn a_page_is_known_by_its_path() {
        assert!(is_of("/jobs/live-1?before=x", "/jobs/{job}"));
        assert!(!is_of("/jobs/live-1/pause", "/jobs/{job}"));
        assert!(!is_of("/jobs", "/parked"));
    }
}
