//! Random scripts on real servers: every kind of change, a worker killed in each, and mOS as the
//! oracle would have it after each. `E2E_SCRIPTS=20` plays more.

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::people;
use crate::steps::People;
use crate::world::{Options, WORKERS, World};

const SCRIPTS: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn after_each_random_script_mos_is_as_the_oracle_says() {
    let scripts = std::env::vars()
        .find(|(name, _)| name == "E2E_SCRIPTS")
        .map_or(SCRIPTS, |(_, scripts)| scripts.parse().unwrap());
    for seed in 1..=scripts {
        let options = Options {
            opportunities: 0,
            seed,
            ..Options::default()
        };
        let mut world = World::prepare(options).await;
        let chance = Chance::of_seed(seed);
        let people = People {
            org: &world.salesforce.org,
            chance: &chance,
            clock: &SimClock,
        };
        people.set_up();
        if chance.happens(0.4) {
            let settings = serde_json::json!({"sync_closed": true}).to_string();
            world.import(&settings).await;
        }
        world.start_all();
        // The first script steps fall into the first load, or come before it.
        people::work(&world, &chance, 15).await;
        let killed = *chance.pick(&WORKERS).unwrap();
        chance.note(format!("{killed} is killed"));
        world.kill9(killed);
        people::work(&world, &chance, 10).await;
        world.start(killed);
        people::work(&world, &chance, 25).await;
        let status = world.rest().await;
        world.audit(&format!("script {seed}:\n{}", chance.trace()), &[]);
        // The audit has found nothing that is in scope and missing; what is parked has left the
        // scope while its parent was not in mOS, and is let go when it is read again.
        let parked = status["parked"].as_object().unwrap();
        assert!(
            parked.keys().all(|reason| reason == "parent_missing"),
            "script {seed}: {parked:?}\n{}",
            chance.trace()
        );
    }
}
