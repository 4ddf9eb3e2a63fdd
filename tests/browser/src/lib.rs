//! The console in a real Chromium: [`Browser`] drives it, [`World`] is an org, an mOS and the real
//! executable between them, and [`axe`] checks that everybody can use a page.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test tool: it panics where a test would"
)]

pub mod axe;
mod chromium;
mod page;
pub mod tour;
pub mod world;

pub use chromium::{Browser, Scripts};
pub use fantoccini::key::Key;
pub use world::World;

use std::time::Duration;

/// No wait takes longer; on an idle machine most take less than a second.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);
