//! One script: the beginning, random steps under faults, rest, verdict.

use std::collections::{BTreeMap, BTreeSet};

use domain::ObjectKind;
use domain::filter::{Condition, FieldType, Filter, Operator};
use domain::job::Job;
use domain::org::OrgProfile;
use domain::settings::Settings;
use ports::Clock;
use ports::stores::StoreError;

use crate::chance::Rates;
use crate::clock::in_its_own_time;
use crate::judge::{self, Epoch};
use crate::mutants::Mutant;
use crate::rest;
use crate::steps::People;
use crate::world::{Service, World};

/// What became of a script.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Everything that is wrong.
    pub(crate) faults: Vec<String>,
    /// What happened, line by line.
    pub(crate) trace: Vec<String>,
    /// What mOS holds in the end.
    pub(crate) holdings: serde_json::Value,
}

/// Plays the script of a seed, from beginning to end in simulated time.
pub(crate) fn play(seed: u64, rates: Rates, mutant: Mutant) -> Outcome {
    play_in(seed, rates, mutant, BTreeSet::new())
}

/// As [`play`], in an org where some objects have no change capture: which ones is by the seed as
/// well, every combination within 31 seeds.
pub(crate) fn play_polled(seed: u64, rates: Rates) -> Outcome {
    let combination = 1 + seed * 7 % 31;
    let polled = ObjectKind::ALL
        .into_iter()
        .enumerate()
        .filter(|(place, _)| combination >> place & 1 == 1)
        .map(|(_, object)| object)
        .collect();
    play_in(seed, rates, Mutant::None, polled)
}

fn play_in(seed: u64, rates: Rates, mutant: Mutant, polled: BTreeSet<ObjectKind>) -> Outcome {
    in_its_own_time(run(seed, rates, mutant, polled))
}

async fn run(seed: u64, rates: Rates, mutant: Mutant, polled: BTreeSet<ObjectKind>) -> Outcome {
    let mut script = Script {
        world: World::new(seed, rates, mutant),
        epochs: Vec::new(),
    };
    script.world.poll(polled);
    script.begin().await;
    let last_write = script.middle(&rates).await;
    let mut faults = match script.end(last_write).await {
        Ok(()) => judge::faults(&script.world, &script.epochs).await,
        Err(why) => vec![why],
    };
    faults.dedup();
    Outcome {
        faults,
        trace: script.world.chance.trace(),
        holdings: judge::holdings(&script.world),
    }
}

struct Script {
    world: World,
    epochs: Vec<Epoch>,
}

impl Script {
    fn people(&self) -> People<'_> {
        People {
            org: &self.world.org,
            chance: &self.world.chance,
            clock: &self.world.clock,
        }
    }

    async fn begin(&mut self) {
        self.people().set_up();
        let now = self.world.clock.micros();
        self.epochs.push(Epoch {
            from: now,
            revision: self.world.stores.settings.current().await.unwrap(),
        });
        if self.world.chance.happens(0.8) {
            self.save_settings(false).await;
            // Nothing was sent under the defaults.
            self.epochs.remove(0);
        }
        self.world.chance.set_faulty(true);
        self.world.start_all();
        self.world.chance.delay(20_000).await;
    }

    /// The steps; answers when the last write was.
    async fn middle(&mut self, rates: &Rates) -> domain::Timestamp {
        let changes_settings = self.world.chance.happens(0.3);
        for _ in 0..self.world.chance.between(20, 60) {
            if self.world.chance.happens(rates.crash) {
                let service = *self.world.chance.pick(&Service::ALL).unwrap();
                if !self.world.kill(service).await {
                    self.world.start(service);
                }
            }
            if self.world.chance.happens(rates.restart_broker) {
                self.world.chance.note("the broker restarts");
                self.world.embedded.restart().unwrap();
            }
            if changes_settings && self.world.chance.happens(0.05) {
                self.save_settings(true).await;
            }
            self.stir_the_stream(rates);
            self.people().step();
            self.pause().await;
        }
        self.world.clock.now()
    }

    async fn end(&mut self, last_write: domain::Timestamp) -> Result<(), String> {
        self.world.chance.set_faulty(false);
        self.world.start_all();
        rest::wait(&self.world, last_write).await
    }

    async fn pause(&self) {
        let chance = &self.world.chance;
        let up_to_ms = match chance.below(100) {
            0..60 => 60,
            60..85 => 3_000,
            85..95 => 30_000,
            95..99 => 600_000,
            _ if chance.happens(0.3) => 7_200_000,
            _ => 60,
        };
        chance.delay(up_to_ms).await;
    }

    /// Events beyond those of writes.
    fn stir_the_stream(&self, rates: &Rates) {
        let World {
            chance,
            log,
            polled,
            ..
        } = &self.world;
        if rates.stream_drop == 0.0 {
            return;
        }
        match chance.below(100) {
            0..6 => log.duplicate_next(1 + chance.below(3)),
            6..8 => {
                let object = chance
                    .pick(&["Account", "Contact", "Opportunity", "User"])
                    .unwrap();
                if polled.contains(&object.parse().unwrap()) {
                    return;
                }
                chance.note(format!("wildcard of {object}"));
                log.wildcard(object).unwrap();
            }
            8..9 => {
                chance.note("all positions are refused");
                log.invalidate_replay_ids();
            }
            _ => {}
        }
    }

    async fn save_settings(&mut self, backfills: bool) {
        let settings = Settings {
            sync_closed: self.world.chance.happens(0.3),
            filter: self.filter(),
            ..Settings::default()
        };
        let types = BTreeMap::from([
            ("Amount".to_owned(), FieldType::Currency),
            ("StageName".to_owned(), FieldType::Picklist),
            ("Type".to_owned(), FieldType::Picklist),
            ("CloseDate".to_owned(), FieldType::Date),
            ("Probability".to_owned(), FieldType::Percent),
            ("AccountId".to_owned(), FieldType::Reference),
        ]);
        let now = self.world.clock.now();
        let store = &self.world.stores.settings;
        let next = loop {
            let current = store.current().await.unwrap();
            let mut settings = settings.clone();
            settings.org = current.settings.org;
            let next = current.next(
                settings,
                types.clone(),
                OrgProfile::default(),
                "an administrator",
                now,
            );
            let backfill = backfills.then(|| Job::of_save(&current, &next)).flatten();
            match store.save(&next, backfill.as_ref()).await {
                Ok(()) => break next,
                // mosync has just written down which org this is.
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        };
        self.world.chance.note(format!(
            "settings {} saved: {}",
            next.revision,
            serde_json::to_string(&next.settings).unwrap()
        ));
        self.epochs.push(Epoch {
            from: self.world.clock.micros(),
            revision: next,
        });
    }

    fn filter(&self) -> Filter {
        let chance = &self.world.chance;
        let mut conditions = Vec::new();
        for _ in 0..chance.below(3) {
            let (field, operator, values) = match chance.below(6) {
                0 => ("Amount", Operator::GreaterThan, vec!["2500"]),
                1 => ("Amount", Operator::LessOrEqual, vec!["7500"]),
                2 => (
                    "StageName",
                    Operator::NotEqual,
                    vec!["Prospecting", "Needs Analysis"],
                ),
                3 => ("Type", Operator::Equals, vec!["New Customer", ""]),
                4 => ("CloseDate", Operator::GreaterOrEqual, vec!["2026-04-01"]),
                _ => ("AccountId", Operator::NotEqual, vec![""]),
            };
            conditions.push(Condition {
                field: field.to_owned(),
                operator,
                values: values.into_iter().map(str::to_owned).collect(),
            });
        }
        let logic = (conditions.len() == 2 && chance.happens(0.4)).then(|| "1 OR 2".to_owned());
        Filter { conditions, logic }
    }
}
