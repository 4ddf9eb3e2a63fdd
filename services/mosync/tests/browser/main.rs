//! The console in a real Chromium, headless, before the real executable: what people do there, from
//! the sign-in at Salesforce to a token that is revoked.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "harness and tests panic where a test would"
)]

mod accessible;
mod demo;
mod embedded;
mod figures;
mod history;
mod keyboard;
mod live;
mod pictures;
mod records;
mod settings;
mod sign_in;
mod sync_all;
mod tokens;
mod without_scripts;

use browser::{Browser, Scripts, World};

/// An org of some opportunities, loaded.
async fn world(opportunities: usize) -> World {
    World::start(env!("CARGO_BIN_EXE_mosync"), opportunities, "").await
}

/// A browser in which somebody has signed in to the console.
async fn signed_in(world: &World, username: &str) -> Browser {
    signed_in_with(Scripts::On, world, username).await
}

async fn signed_in_with(scripts: Scripts, world: &World, username: &str) -> Browser {
    let browser = Browser::open(scripts).await;
    browser.go(&world.console).await;
    browser.sign_in(username).await;
    browser.until_titled("Sync Status").await;
    browser
}
