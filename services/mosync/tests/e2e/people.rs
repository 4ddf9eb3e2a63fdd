//! People who work in the org while things break.

use std::time::Duration;

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::steps::People;
use crate::world::World;

/// How far changes lie apart: more than the listener waits for company, so that each travels alone.
const PACE: Duration = Duration::from_millis(60);

/// Takes so many random steps, one after the other.
pub(crate) async fn work(world: &World, chance: &Chance, steps: usize) {
    let people = People {
        org: &world.salesforce.org,
        chance,
        clock: &SimClock,
    };
    for _ in 0..steps {
        people.step();
        tokio::time::sleep(PACE).await;
    }
}
