//! Live pages over a connection that breaks: what has changed meanwhile is shown when it is back.

use browser::Browser;
use browser::world::OTTO;
use fake_mos::Fault;
use serde_json::{Value, json};
use testkit::TcpProxy;
use testkit::proxy::Behaviour;

use crate::records::refuse;
use crate::settings::figure;
use crate::{signed_in, world};

/// What a proxy says whose server is away.
const AWAY: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// What the console says while its store does not answer. The store of this world is within the process,
/// and nobody can take it away.
const OUT_OF_DATE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nevent: parts\nid: 1-1\ndata: {\"trouble\": \"<p>What you see is not up to date.</p>\"}\n\n";

async fn until_live(browser: &Browser, state: &str) {
    let expression = format!("document.getElementById('live-state').dataset.state === '{state}'");
    browser.until(&format!("it is {state}"), &expression).await;
}

/// Takes the connection away until the page says so.
async fn lose(browser: &Browser, proxy: &TcpProxy, behaviour: Behaviour) {
    proxy.behave(behaviour);
    proxy.cut();
    until_live(browser, "waiting").await;
}

async fn until_figure(browser: &Browser, name: &str, value: &Value) {
    let expression = format!(
        "[...document.querySelectorAll('.figures > div')].some((it) => it.querySelector('dt').innerText === {} && it.querySelector('dd').innerText === {})",
        json!(name),
        json!(value.to_string()),
    );
    browser
        .until(&format!("{name} is {value}"), &expression)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_the_connection_was_away_is_shown_when_it_is_back() {
    let world = world(20).await;
    let proxy = TcpProxy::start(world.port()).await;
    // Cookies are of a host, whatever its ports.
    let browser = signed_in(&world, OTTO).await;
    let page = |path: &str| format!("http://127.0.0.1:{}{path}", proxy.port());
    browser.go(&page("/sync-status")).await;
    until_live(&browser, "on").await;
    browser.says("window.sameplace = true").await;
    assert_eq!(figure(&browser, "Parked records").await, "0");
    // What is read aloud stays where it is, and its words change.
    let said = browser.text("main [aria-live=polite]").await;
    browser
        .says("document.querySelector('main [aria-live=polite]').known = true")
        .await;

    // Nobody is there at all; then somebody who has other answers than events.
    let gone = Behaviour {
        refuse: true,
        ..Behaviour::default()
    };
    let other = Behaviour {
        instead: Some(AWAY),
        ..Behaviour::default()
    };
    for (number, behaviour) in [(1, gone), (2, other)] {
        lose(&browser, &proxy, behaviour).await;
        let id = world.open_deals().remove(number);
        let status = refuse(&world, &id).await;
        assert_eq!(status["parked"]["value_too_long"], number);
        proxy.heal();
        until_live(&browser, "on").await;
        until_figure(&browser, "Parked records", &json!(number)).await;
    }
    assert_eq!(browser.says("window.sameplace").await, true);
    let known = "document.querySelector('main [aria-live=polite]').known";
    assert_eq!(browser.says(known).await, true);
    assert_ne!(browser.text("main [aria-live=polite]").await, said);

    // Whoever is not let in any more is told so, and asks no more.
    lose(&browser, &proxy, gone).await;
    browser.forget().await;
    proxy.heal();
    until_live(&browser, "off").await;
    browser.until_shown("Load the page again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_the_page_is_not_up_to_date_is_shown_for_as_long_as_it_is_so() {
    let world = world(5).await;
    let proxy = TcpProxy::start(world.port()).await;
    let browser = signed_in(&world, OTTO).await;
    let page = format!("http://127.0.0.1:{}/sync-status", proxy.port());
    browser.go(&page).await;
    until_live(&browser, "on").await;
    browser.says("window.sameplace = true").await;
    proxy.behave(Behaviour {
        instead: Some(OUT_OF_DATE),
        ..Behaviour::default()
    });
    proxy.cut();
    browser.until_shown("What you see is not up to date.").await;
    proxy.heal();
    let gone = "!document.body.innerText.includes('not up to date')";
    browser.until("it is said no more", gone).await;
    assert_eq!(browser.says("window.sameplace").await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_own_page_goes_with_it_to_its_end() {
    let world = world(60).await;
    let proxy = TcpProxy::start(world.port()).await;
    let browser = signed_in(&world, OTTO).await;
    world.break_mos(Fault::Slow {
        ms: 2_500,
        count: None,
    });
    let started = world.mosync(&["sync-all"]).await;
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let running = world.status().await["last_sync_all"].clone();
    let id = running["id"].as_str().unwrap();
    let page = format!("http://127.0.0.1:{}/jobs/{id}", proxy.port());
    browser.go(&page).await;
    until_live(&browser, "on").await;
    browser.says("window.sameplace = true").await;
    browser.until_shown("Cancel this job").await;
    // What somebody writes is not taken away by what is read meanwhile.
    browser.fill("#reason", "Just a look").await;
    browser
        .until_shown("Every record that came in has gone out")
        .await;
    let reason = "document.getElementById('reason')?.value === 'Just a look'";
    assert_eq!(browser.says(reason).await, true);
    browser
        .says("document.getElementById('reason').value = ''")
        .await;
    browser.click("h1").await;

    // That the figures are old is said here, too.
    proxy.behave(Behaviour {
        instead: Some(OUT_OF_DATE),
        ..Behaviour::default()
    });
    proxy.cut();
    browser.until_shown("What you see is not up to date.").await;
    lose(
        &browser,
        &proxy,
        Behaviour {
            instead: Some(AWAY),
            ..Behaviour::default()
        },
    )
    .await;
    world.break_mos(Fault::Clear);
    let job = world.rest().await["last_sync_all"].clone();
    proxy.heal();
    browser
        .until(
            "the job is seen completed",
            "[...document.querySelectorAll('main .badge')].slice(0, 2).map((it) => it.innerText).join() === 'Completed,Completed'",
        )
        .await;
    until_figure_of(&browser, &job["done"], &job["total"]).await;
    let heard = browser.text("main [aria-live=polite]").await;
    assert_eq!(
        heard,
        "Sync all data: Salesforce Job Status Completed, mOS Job Status Completed."
    );
    browser
        .until(
            "nobody can order anything any more",
            "!document.querySelector('#reason')",
        )
        .await;
    browser
        .until(
            "it is up to date",
            "!document.body.innerText.includes('not up to date')",
        )
        .await;
    assert_eq!(
        browser.says("window.sameplace").await,
        true,
        "the page was never loaded again"
    );
}

async fn until_figure_of(browser: &Browser, done: &Value, total: &Value) {
    let both = format!("{done} of {total}");
    let expression = format!(
        "[...document.querySelectorAll('.figures dd')].some((it) => it.innerText === {})",
        json!(both)
    );
    browser
        .until(&format!("{both} are done"), &expression)
        .await;
}
