//! "Sync all data to mOS": asked in the guide's words, and watched while it runs.

use browser::world::ANNA;
use fake_mos::Fault;

use crate::settings::figure;
use crate::{signed_in, world};

#[tokio::test(flavor = "multi_thread")]
async fn sync_all_is_asked_first_and_watched_live_until_it_is_done() {
    let world = world(60).await;
    let browser = signed_in(&world, ANNA).await;
    browser.go(&world.page("/settings")).await;
    // Slow enough to be seen.
    world.break_mos(Fault::Slow {
        ms: 700,
        count: None,
    });
    browser.press("Sync all data to mOS").await;
    browser.until_titled("Sync all data to mOS?").await;
    for words in [
        "No data is deleted on the mOS side.",
        "while the mOS account is a blank slate",
        "Opportunity",
        "API requests",
        "Time",
    ] {
        browser.until_shown(words).await;
    }
    browser.press("Sync all data to mOS").await;
    browser.until_titled("Sync all data").await;
    let job = browser.path().await.rsplit('/').next().unwrap().to_owned();

    browser.go(&world.page("/sync-status")).await;
    browser
        .until(
            "it is live",
            "document.getElementById('live-state').dataset.state === 'on'",
        )
        .await;
    // Goes with the page.
    browser.says("window.sameplace = true").await;
    let shown = format!(
        "document.querySelector(\"[data-live-part='job'] a[href='/jobs/{job}']\") && [...document.querySelectorAll(\"[data-live-part='job'] .badge\")].map((it) => it.innerText).join(', ')"
    );
    let running = browser
        .until("the job is seen running", &format!("(() => {{ const shown = {shown}; return shown && !shown.includes('Completed, Completed') && shown; }})()"))
        .await;
    let done = browser
        .until("the job is seen completed", &format!("(() => {{ const shown = {shown}; return shown === 'Completed, Completed' && shown; }})()"))
        .await;
    assert_ne!(running, done);
    assert_eq!(
        browser.says("window.sameplace").await,
        true,
        "the page was never loaded again"
    );

    world.break_mos(Fault::Clear);
    let status = world.rest().await;
    let last = &status["last_sync_all"];
    assert_eq!(last["id"], job.as_str());
    let total = last["total"].as_u64().unwrap();
    assert!(total > 60, "{last:#}");
    assert_eq!(
        figure(&browser, "Records done").await,
        format!("{total} of {total}")
    );
}
