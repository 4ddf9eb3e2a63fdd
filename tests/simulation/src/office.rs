//! A world at rest in which a test does one thing after the other and looks at what mOS then has.

use std::sync::Arc;
use std::time::Duration;

use console::{Author, Caller, OpsError};
use domain::ObjectKind;
use domain::tally::Count;
use fake_mos::RecordType;
use ports::Clock as _;
use serde_json::{Value, json};

use crate::chance::Rates;
use crate::mutants::Mutant;
use crate::rest;
use crate::salesforce::{deleting, insert, transact, update};
use crate::world::{POLL, World};

/// What a poll, the queries behind it and the way to mOS may take beyond the time between polls.
const ON_THE_WAY: Duration = Duration::from_secs(15);
/// How soon after a change mOS must have it, or have it no more, where only a poll can notice.
pub(crate) const WITHIN_A_POLL: Duration = POLL.saturating_add(ON_THE_WAY);

pub(crate) struct Office {
    pub(crate) world: World,
    /// The permission set.
    pub(crate) set: String,
}

impl Office {
    /// Everything runs; `furnish` has been done before it began.
    pub(crate) async fn open(furnish: impl FnOnce(&mut Self)) -> Self {
        Self::open_with(Rates::NONE, furnish).await
    }

    /// The same, with faults that are not on yet.
    pub(crate) async fn open_with(rates: Rates, furnish: impl FnOnce(&mut Self)) -> Self {
        let mut office = Self::closed_with(rates);
        furnish(&mut office);
        office.world.start_all();
        office.rest().await;
        office
    }

    /// Everything runs, and somebody holds permission, whom `furnish` is told.
    pub(crate) async fn with_owner(furnish: impl FnOnce(&mut Self, &str)) -> (Self, String) {
        let mut owner = String::new();
        let office = Self::open(|office| {
            owner = office.user("Ada");
            office.grant(&owner);
            furnish(office, &owner);
        })
        .await;
        (office, owner)
    }

    /// Nothing runs yet.
    pub(crate) fn closed() -> Self {
        Self::closed_with(Rates::NONE)
    }

    fn closed_with(rates: Rates) -> Self {
        let world = World::new(7, rates, Mutant::None);
        let mut office = Self {
            world,
            set: String::new(),
        };
        office.set = office.insert("PermissionSet", &json!({ "Name": "mOS_User" }));
        office
    }

    /// Waits until all of it has arrived.
    pub(crate) async fn rest(&self) {
        let now = self.world.clock.now();
        rest::wait(&self.world, now).await.unwrap();
    }

    /// Saves a settings document, as an administrator does; what it does not name is as by default.
    pub(crate) async fn save(&self, document: &Value) {
        let operations = self.world.operations();
        let author = Author::of(&Caller::CommandLine, Some("office"));
        loop {
            let current = self.world.stores.settings.current().await.unwrap();
            let asked = json!({ "base": current.revision, "settings": document });
            let asked = serde_json::from_value(asked).unwrap();
            match operations.save_settings(&asked, &author).await {
                Ok(_) => return,
                // mosync has just saved what it noticed of the org.
                Err(OpsError::SettingsConflict(_)) => {}
                Err(error) => panic!("{error:?}: {document}"),
            }
        }
    }

    pub(crate) fn insert(&self, entity: &str, fields: &Value) -> String {
        insert(&self.world.org, entity, fields)
    }

    pub(crate) fn update(&self, entity: &str, id: &str, fields: &Value) {
        update(&self.world.org, entity, id, fields);
    }

    pub(crate) fn delete(&self, entity: &str, id: &str) {
        transact(&self.world.org, [deleting(entity, id)]);
    }

    pub(crate) fn user(&self, name: &str) -> String {
        let username = format!("{name}@example.com");
        self.insert(
            "User",
            &json!({ "LastName": name, "Username": username, "Email": username }),
        )
    }

    /// The set itself for a user; the assignment.
    pub(crate) fn grant(&self, user: &str) -> String {
        let fields = json!({ "AssigneeId": user, "PermissionSetId": self.set });
        self.insert("PermissionSetAssignment", &fields)
    }

    pub(crate) fn deal(&self, owner: &str, more: &Value) -> String {
        let mut fields = json!({
            "Name": "Deal", "StageName": "Prospecting", "CloseDate": "2027-01-01", "OwnerId": owner,
        });
        for (name, value) in more.as_object().unwrap() {
            fields[name] = value.clone();
        }
        self.insert("Opportunity", &fields)
    }

    /// A field of a record in mOS; `None` when mOS does not have the record.
    pub(crate) fn in_mos(&self, kind: RecordType, id: &str, field: &str) -> Option<Value> {
        let record = self.world.mos.record(kind, id)?;
        let record = serde_json::to_value(record).unwrap();
        Some(record["fields"][field].clone())
    }

    pub(crate) fn has(&self, kind: RecordType, id: &str) -> bool {
        self.in_mos(kind, id, "name").is_some()
    }

    /// Of how many records of an object this became, in all jobs.
    pub(crate) async fn counted(&self, object: ObjectKind, count: Count) -> u64 {
        let jobs = self.world.stores.jobs.list(100).await.unwrap();
        jobs.iter().map(|job| job.tally.get(object, count)).sum()
    }

    /// Waits until it is so; says whether it was within that time.
    pub(crate) async fn comes_within(&self, time: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = tokio::time::Instant::now() + time;
        while !is_so(self) {
            if tokio::time::Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        true
    }

    pub(crate) fn clock(&self) -> Arc<crate::clock::SimClock> {
        Arc::clone(&self.world.clock)
    }
}
