//! A scenario: the rules turn while records change, and after each turn everything comes to rest
//! and is judged.

use std::time::Duration;

use console::{Author, Caller, OpsError};
use ports::Clock;
use serde_json::{Value, json};

use crate::chance::Rates;
use crate::clock::in_its_own_time;
use crate::judge::{self, Epoch};
use crate::mutants::Mutant;
use crate::rest;
use crate::salesforce::inserting;
use crate::script::Outcome;
use crate::steps::People;
use crate::turn::{CURRENCIES, Document, Turn};
use crate::world::{Service, World};

/// Plays the scenario of a seed, with these kinds of turns.
pub(crate) fn play(seed: u64, rates: Rates, turns: &[Turn], mutant: Mutant) -> Outcome {
    in_its_own_time(run(seed, rates, turns, mutant))
}

/// Plays a midnight at which the date of some deals becomes today's, and only deals of today are in
/// scope.
pub(crate) fn play_over_midnight(seed: u64, mutant: Mutant) -> Outcome {
    in_its_own_time(run_over_midnight(seed, mutant))
}

async fn run_over_midnight(seed: u64, mutant: Mutant) -> Outcome {
    let mut scenario = Scenario::new(seed, Rates::NONE, true, mutant);
    let mut faults = scenario.begin().await;
    if faults.is_empty() {
        scenario.wait_for_today().await;
        faults = scenario.rest().await;
    }
    if faults.is_empty() {
        let left = scenario.sleep_till_before_midnight().await;
        tokio::time::sleep(left + Turn::Midnight.is_noticed_within(Duration::ZERO)).await;
        faults = scenario.rest().await;
    }
    scenario.ended(faults)
}

async fn run(seed: u64, rates: Rates, turns: &[Turn], mutant: Mutant) -> Outcome {
    let relative = turns.contains(&Turn::Relative);
    let mut scenario = Scenario::new(seed, rates, relative, mutant);
    // No throw of the dice, so that the other seeds stay what they are.
    if seed.is_multiple_of(3) {
        scenario.people().add_record_types();
    }
    let mut faults = scenario.begin().await;
    let count = scenario.world.chance.between(3, 6);
    for _ in 0..count {
        if !faults.is_empty() {
            break;
        }
        let turn = *scenario.world.chance.pick(turns).unwrap();
        faults = scenario.turn(turn).await;
        for fault in &mut faults {
            fault.insert_str(0, &format!("after {turn:?}: "));
        }
    }
    faults.dedup();
    scenario.ended(faults)
}

struct Scenario {
    world: World,
    rates: Rates,
    /// Whether filters may name relative dates.
    relative: bool,
    document: Value,
}

impl Scenario {
    fn new(seed: u64, rates: Rates, relative: bool, mutant: Mutant) -> Self {
        Self {
            world: World::new(seed, rates, mutant),
            rates,
            relative,
            document: json!({}),
        }
    }

    fn ended(&self, faults: Vec<String>) -> Outcome {
        Outcome {
            faults,
            trace: self.world.chance.trace(),
            holdings: judge::holdings(&self.world),
        }
    }

    fn people(&self) -> People<'_> {
        People {
            org: &self.world.org,
            chance: &self.world.chance,
            clock: &self.world.clock,
        }
    }

    fn documents(&self) -> Document<'_> {
        Document {
            chance: &self.world.chance,
            relative: self.relative,
            currencies: self.world.org.entity("CurrencyType").is_some(),
            record_types: self.world.org.entity("RecordType").is_some(),
        }
    }

    /// The date in UTC, as Salesforce writes it.
    fn today(&self) -> String {
        let now = self.world.clock.now().to_soql();
        now.split('T').next().unwrap().to_owned()
    }

    /// Somewhere in the year, the first settings saved, the first load done.
    async fn begin(&mut self) -> Vec<String> {
        let days = self.world.chance.between(0, 400);
        self.world.clock.skip(Duration::from_secs(days * 86_400));
        for field in [
            json!({ "name": "Tags__c", "type": "multipicklist", "values": ["Red", "Green", "Blue"] }),
            json!({ "name": "Score__c", "type": "double", "precision": 5, "calculated": true }),
        ] {
            let mut field = field;
            field["entity"] = json!("Opportunity");
            let field = serde_json::from_value(field).unwrap();
            self.world.org.add_field(&field).unwrap();
        }
        if self.world.chance.happens(0.3) {
            let others = json!([[CURRENCIES[1], 1.25], [CURRENCIES[2], 160]]);
            let wish = json!({ "corporate": CURRENCIES[0], "others": others });
            let wish = serde_json::from_value(wish).unwrap();
            self.world.org.enable_currencies(&wish).unwrap();
        }
        self.people().set_up();
        self.people().turn(Turn::OrgTimeZone);
        self.people().turn(Turn::Formula);
        self.world.refreshed_every = Duration::from_secs(1_800);
        self.document = self.documents().begin();
        self.save().await;
        self.world.chance.set_faulty(true);
        self.world.start_all();
        self.rest().await
    }

    /// Records change, the rules turn, records change, and all comes to rest.
    async fn turn(&mut self, turn: Turn) -> Vec<String> {
        self.world.chance.note(format!("turn: {turn:?}"));
        self.change_records().await;
        match turn {
            Turn::Disabled => self.switch_off_and_on().await,
            Turn::NightOff => self.leave_overnight().await,
            Turn::Midnight => self.run_over_midnight().await,
            Turn::Wider
            | Turn::Narrower
            | Turn::Other
            | Turn::Relative
            | Turn::SyncClosed
            | Turn::Blanks
            | Turn::Zone
            | Turn::Mapping
            | Turn::Frequency
            | Turn::Grant
            | Turn::Revoke
            | Turn::Expiry
            | Turn::Group
            | Turn::Deactivate
            | Turn::Transfer
            | Turn::Retype
            | Turn::Formula
            | Turn::OrgTimeZone
            | Turn::FiscalYear
            | Turn::Currency => match self.documents().turned(turn, self.document.clone()) {
                Some(document) => {
                    self.document = document;
                    self.save().await;
                }
                None => self.people().turn(turn),
            },
        }
        self.change_records().await;
        if turn == Turn::Expiry {
            // The latest moment a permission may have been given until.
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        self.world.chance.set_faulty(false);
        self.world.start_all();
        if turn.is_around() {
            self.world.kill(Service::Listener).await;
            self.world.start(Service::Listener);
        }
        let noticed = turn.is_noticed_within(self.world.refreshed_every);
        tokio::time::sleep(noticed).await;
        self.rest().await
    }

    async fn change_records(&mut self) {
        for _ in 0..self.world.chance.below(5) {
            if self.world.chance.happens(self.rates.crash) {
                let service = *self.world.chance.pick(&Service::ALL).unwrap();
                if !self.world.kill(service).await {
                    self.world.start(service);
                }
            }
            self.people().step_with_tags(&self.today());
            let up_to_ms = *self.world.chance.pick(&[60, 60, 3_000, 30_000]).unwrap();
            self.world.chance.delay(up_to_ms).await;
        }
    }

    async fn switch_off_and_on(&mut self) {
        self.document["disabled"] = json!(true);
        self.save().await;
        self.world.chance.delay(120_000).await;
        self.change_records().await;
        if self.world.chance.happens(0.5) {
            let turns = [Turn::Wider, Turn::Narrower, Turn::Other, Turn::SyncClosed];
            let turn = *self.world.chance.pick(&turns).unwrap();
            let turned = self.documents().turned(turn, self.document.clone());
            self.document = turned.unwrap_or_default();
            self.save().await;
            self.change_records().await;
        }
        self.world.chance.delay(600_000).await;
        self.document["disabled"] = json!(false);
        self.save().await;
    }

    /// Off until shortly before a midnight, running and with records changing over it.
    async fn run_over_midnight(&mut self) {
        let left = self.sleep_till_before_midnight().await;
        self.change_records().await;
        tokio::time::sleep(left).await;
    }

    /// Off until shortly before a midnight, and running again; how long until midnight.
    async fn sleep_till_before_midnight(&mut self) -> Duration {
        for service in Service::ALL {
            self.world.kill(service).await;
        }
        let entity = if self.document["zone"] == json!("user") {
            ("User", self.world.org.admin_id())
        } else {
            ("Organization", self.world.org.org_id())
        };
        let row = self.world.org.record(entity.0, entity.1).unwrap();
        let zone = row.text("TimeZoneSidKey").unwrap();
        let now = self.world.clock.micros();
        let left = oracle::midnight_after(zone, now) - now;
        let left = Duration::from_micros(left.unsigned_abs());
        let before = Duration::from_secs(self.world.chance.between(5, 600));
        self.world.clock.skip(left.saturating_sub(before));
        self.world
            .chance
            .note(format!("soon it is midnight in {zone}"));
        self.world.start_all();
        before
    }

    /// Under a filter of today's, everybody gets a deal for each of the days of which one is
    /// tomorrow, whatever the zone.
    async fn wait_for_today(&mut self) {
        let today = json!({ "field": "CloseDate", "operator": "equals", "values": ["TODAY"] });
        self.document["filter"] = json!({ "conditions": [today] });
        self.save().await;
        let now = self.world.clock.now();
        for days in 0..3 {
            let date = now.after(Duration::from_secs(days * 86_400)).to_soql();
            for user in self.world.org.records("User") {
                let deal = json!({
                    "Name": "To come", "StageName": "Prospecting", "OwnerId": user.id(),
                    "CloseDate": date.split('T').next(),
                });
                self.people()
                    .transact(vec![inserting("Opportunity", &deal)]);
            }
        }
    }

    /// Every service is stopped while the clock goes on.
    async fn leave_overnight(&mut self) {
        for service in Service::ALL {
            self.world.kill(service).await;
        }
        let hours = self.world.chance.between(1, 60);
        self.world.clock.skip(Duration::from_secs(hours * 3600));
        self.world.chance.note(format!("{hours} hours later"));
        if self.world.chance.happens(0.5) {
            self.people().step_with_tags(&self.today());
        }
        self.world.start_all();
    }

    /// Waits for rest without faults, and judges.
    async fn rest(&mut self) -> Vec<String> {
        let last_write = self.world.clock.now();
        self.world.chance.set_faulty(false);
        self.world.start_all();
        if let Err(why) = rest::wait(&self.world, last_write).await {
            return vec![why];
        }
        self.world.chance.set_faulty(true);
        judge::faults(&self.world, &self.epochs().await).await
    }

    /// Saves the document as an administrator does who tries again until it is saved.
    async fn save(&mut self) {
        let operations = self.world.operations();
        let author = Author::of(&Caller::CommandLine, Some("scenario"));
        let saved = loop {
            let current = self.world.stores.settings.current().await.unwrap();
            let asked = json!({ "base": current.revision, "settings": self.document });
            let asked = serde_json::from_value(asked).unwrap();
            match operations.save_settings(&asked, &author).await {
                Ok(saved) => break saved,
                Err(OpsError::OutOfReach(_) | OpsError::SettingsConflict(_)) => {}
                Err(error) => panic!("{error:?}: {}", self.document),
            }
        };
        self.world.chance.note(format!(
            "settings {} saved: {}",
            saved.revision, self.document
        ));
    }

    /// Every revision, mosync's own among them, from its save on.
    async fn epochs(&self) -> Vec<Epoch> {
        let settings = &self.world.stores.settings;
        let mut revisions = settings.history(None, 10_000).await.unwrap();
        revisions.reverse();
        let epochs = revisions.into_iter().map(|revision| Epoch {
            from: revision.saved.as_micros(),
            revision,
        });
        epochs.collect()
    }
}
