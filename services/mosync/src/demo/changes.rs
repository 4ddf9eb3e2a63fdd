//! Live changes of every kind, at a set rate, the same for the same seed.

use std::time::Duration;

use super::Options;
use super::author::Author;
use super::progress::Progress;
use super::world::World;

/// What was done.
pub(crate) struct Made {
    /// Changes that Salesforce accepted.
    pub(crate) changes: u64,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Makes changes for as long as the options say. When the machine cannot keep the rate, the report
/// shows the rate that it kept.
pub(crate) async fn run(world: &World, options: &Options, progress: &mut Progress) -> Made {
    let org = &world.salesforce.org;
    let mut author = Author::new(org, options.seed);
    let mut made = Made {
        changes: 0,
        seconds: 0.0,
    };
    let began = tokio::time::Instant::now();
    let rate = f64::from(options.changes_per_second.max(1));
    let total = u64::from(options.changes_per_second) * options.duration;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
    for change in 1..=total {
        tick.tick().await;
        made.changes += u64::from(author.change(org));
        progress.tell(&format!("{change} of {total} changes made"));
    }
    made.seconds = began.elapsed().as_secs_f64();
    made
}
