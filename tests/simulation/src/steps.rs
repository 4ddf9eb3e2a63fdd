//! What people do in the org: the beginning, and one random step after the other.

use fake_salesforce::commit::Row;
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::record::Record;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::clock::SimClock;

const STAGES: [&str; 10] = [
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Id. Decision Makers",
    "Perception Analysis",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
];
const TYPES: [&str; 3] = ["New Customer", "Existing Customer - Upgrade", ""];
const ROLES: [&str; 3] = ["Decision Maker", "Influencer", ""];

/// The org and the dice.
pub(crate) struct People<'w> {
    pub(crate) org: &'w Org,
    pub(crate) chance: &'w Chance,
    pub(crate) clock: &'w SimClock,
}

fn fields(value: &Value) -> Row {
    value.as_object().cloned().unwrap()
}

pub(crate) fn inserting(entity: &str, value: &Value) -> Dml {
    Dml::Insert {
        entity: entity.to_owned(),
        fields: fields(value),
    }
}

pub(crate) fn updating(entity: &str, id: &str, value: &Value) -> Dml {
    Dml::Update {
        entity: entity.to_owned(),
        id: id.to_owned(),
        fields: fields(value),
    }
}

pub(crate) fn deleting(entity: &str, id: &str) -> Dml {
    Dml::Delete {
        entity: entity.to_owned(),
        id: id.to_owned(),
    }
}

impl People<'_> {
    /// Users with and without permission, accounts, contacts, deals and roles.
    pub(crate) fn set_up(&self) {
        for name in ["mOS_Admin", "mOS_User", "Other"] {
            self.transact(vec![inserting(
                "PermissionSet",
                &json!({ "Name": name, "Label": name }),
            )]);
        }
        self.transact(vec![inserting(
            "PermissionSetGroup",
            &json!({ "DeveloperName": "Sales", "MasterLabel": "Sales" }),
        )]);
        if self.chance.happens(0.7) {
            self.add_component();
        }
        for _ in 0..self.chance.between(6, 10) {
            self.transact(vec![self.new_user()]);
        }
        for _ in 0..self.chance.between(4, 8) {
            self.grant();
        }
        for _ in 0..self.chance.between(4, 8) {
            self.transact(vec![self.new_account()]);
        }
        for _ in 0..self.chance.between(5, 12) {
            self.transact(vec![self.new_contact()]);
        }
        for _ in 0..self.chance.between(6, 20) {
            self.transact(vec![self.new_opportunity()]);
        }
        for _ in 0..self.chance.between(4, 20) {
            if let Some(role) = self.new_role() {
                self.transact(vec![role]);
            }
        }
    }

    /// One random step; the org may refuse it.
    pub(crate) fn step(&self) {
        let ops = match self.chance.below(100) {
            0..15 => {
                let most = self.chance.between(2, 6);
                (0..most).filter_map(|_| self.any_write()).collect()
            }
            15..88 => self.any_write().into_iter().collect(),
            88..94 => return self.grant(),
            94..97 => return self.add_component(),
            _ => self.without_component().into_iter().collect(),
        };
        self.transact(ops);
    }

    pub(crate) fn transact(&self, ops: Vec<Dml>) {
        if ops.is_empty() {
            return;
        }
        let said = format!("{ops:?}");
        match self.org.transact(self.org.admin_id(), "simulation", ops) {
            Ok(_) => self.chance.note(format!("DML {said}")),
            Err(error) => self.chance.note(format!("DML refused {error}: {said}")),
        }
    }

    fn any_write(&self) -> Option<Dml> {
        match self.chance.below(100) {
            0..8 => self.on("Opportunity", |id| {
                updating("Opportunity", id, &json!({ "Amount": self.amount() }))
            }),
            8..22 => self.on("Opportunity", |id| {
                updating("Opportunity", id, &json!({ "StageName": self.stage() }))
            }),
            22..32 => self.on("Opportunity", |id| {
                updating("Opportunity", id, &json!({ "OwnerId": self.user() }))
            }),
            32..39 => self.on("Opportunity", |id| {
                updating("Opportunity", id, &json!({ "AccountId": self.maybe(self.any("Account")) }))
            }),
            39..43 => self.on("Opportunity", |id| {
                updating(
                    "Opportunity",
                    id,
                    &json!({ "Name": self.word(), "NextStep": self.maybe(Some(self.word())), "Type": self.of(&TYPES) }),
                )
            }),
            43..46 => Some(self.new_opportunity()),
            46..49 => self.on("Opportunity", |id| deleting("Opportunity", id)),
            49..53 => self.undelete("Opportunity"),
            53..58 => self.on("Account", |id| {
                updating("Account", id, &json!({ "Name": self.word(), "BillingCity": self.word() }))
            }),
            58..60 => Some(self.new_account()),
            60..62 => self.on("Account", |id| deleting("Account", id)),
            62..64 => self.undelete("Account"),
            64..66 => self.merge("Account"),
            66..71 => self.on("Contact", |id| {
                updating("Contact", id, &json!({ "LastName": self.word(), "MailingCity": self.word() }))
            }),
            71..72 => self.on("Contact", |id| {
                updating("Contact", id, &json!({ "AccountId": self.maybe(self.any("Account")) }))
            }),
            72..74 => Some(self.new_contact()),
            74..76 => self.on("Contact", |id| deleting("Contact", id)),
            76..78 => self.undelete("Contact"),
            78..80 => self.merge("Contact"),
            80..84 => self.new_role(),
            84..86 => self.on("OpportunityContactRole", |id| {
                updating("OpportunityContactRole", id, &json!({ "ContactId": self.any("Contact") }))
            }),
            86..88 => self.on("OpportunityContactRole", |id| {
                updating(
                    "OpportunityContactRole",
                    id,
                    &json!({ "Role": self.of(&ROLES), "IsPrimary": self.chance.happens(0.5) }),
                )
            }),
            88..90 => self.on("OpportunityContactRole", |id| deleting("OpportunityContactRole", id)),
            90..93 => Some(updating("User", &self.user()?, &json!({ "Title": self.word() }))),
            93..95 => Some(updating(
                "User",
                &self.user()?,
                &json!({ "IsActive": self.chance.happens(0.6) }),
            )),
            95..98 => self.on("PermissionSetAssignment", |id| deleting("PermissionSetAssignment", id)),
            _ => self.on("PermissionSetAssignment", |id| {
                updating(
                    "PermissionSetAssignment",
                    id,
                    &json!({ "ExpirationDate": self.maybe(Some(self.expiry())) }),
                )
            }),
        }
    }

    fn new_user(&self) -> Dml {
        let word = self.word();
        inserting(
            "User",
            &json!({ "Username": format!("{word}@example.com"), "LastName": word, "Email": format!("{word}@example.com") }),
        )
    }

    fn new_account(&self) -> Dml {
        inserting(
            "Account",
            &json!({ "Name": self.word(), "BillingCity": self.word() }),
        )
    }

    fn new_contact(&self) -> Dml {
        inserting(
            "Contact",
            &json!({ "LastName": self.word(), "AccountId": self.maybe(self.any("Account")) }),
        )
    }

    fn new_opportunity(&self) -> Dml {
        let mut deal = json!({
            "Name": self.word(),
            "StageName": self.stage(),
            "CloseDate": self.date(),
            "Amount": self.amount(),
            "Type": self.of(&TYPES),
            "OwnerId": self.user(),
            "AccountId": self.maybe(self.any("Account")),
        });
        if self.org.entity("RecordType").is_some() {
            deal["RecordTypeId"] = json!(self.maybe(self.any("RecordType")));
        }
        inserting("Opportunity", &deal)
    }

    fn new_role(&self) -> Option<Dml> {
        Some(inserting(
            "OpportunityContactRole",
            &json!({
                "OpportunityId": self.any("Opportunity")?,
                "ContactId": self.any("Contact")?,
                "Role": self.of(&ROLES),
                "IsPrimary": self.chance.happens(0.3),
            }),
        ))
    }

    /// A permission set or group for somebody, sometimes for a while only.
    pub(crate) fn grant(&self) {
        let Some(user) = self.user() else { return };
        let mut assignment = json!({ "AssigneeId": user });
        if self.chance.happens(0.25) {
            assignment["PermissionSetGroupId"] = json!(self.any("PermissionSetGroup"));
        } else {
            assignment["PermissionSetId"] = json!(self.any("PermissionSet"));
        }
        if self.chance.happens(0.3) {
            assignment["ExpirationDate"] = json!(self.expiry());
        }
        self.transact(vec![inserting("PermissionSetAssignment", &assignment)]);
    }

    pub(crate) fn add_component(&self) {
        let set = self
            .alive("PermissionSet")
            .into_iter()
            .find(|set| set.text("Name") == Some("mOS_User"));
        if let (Some(set), Some(group)) = (set, self.any("PermissionSetGroup")) {
            self.transact(vec![inserting(
                "PermissionSetGroupComponent",
                &json!({ "PermissionSetGroupId": group, "PermissionSetId": set.id() }),
            )]);
        }
    }

    pub(crate) fn without_component(&self) -> Option<Dml> {
        self.on("PermissionSetGroupComponent", |id| {
            deleting("PermissionSetGroupComponent", id)
        })
    }

    fn merge(&self, entity: &str) -> Option<Dml> {
        let winner = self.any(entity)?;
        let loser = self.any(entity).filter(|loser| *loser != winner)?;
        Some(Dml::Merge {
            entity: entity.to_owned(),
            winner,
            losers: vec![loser],
        })
    }

    fn undelete(&self, entity: &str) -> Option<Dml> {
        let deleted = self
            .org
            .records(entity)
            .into_iter()
            .filter(|record| record.flag("IsDeleted"))
            .collect::<Vec<_>>();
        Some(Dml::Undelete {
            entity: entity.to_owned(),
            id: self.chance.pick(&deleted)?.id().to_owned(),
        })
    }

    fn on(&self, entity: &str, write: impl FnOnce(&str) -> Dml) -> Option<Dml> {
        self.any(entity).map(|id| write(&id))
    }

    fn alive(&self, entity: &str) -> Vec<Record> {
        let mut records = self.org.records(entity);
        records.retain(|record| !record.flag("IsDeleted"));
        records
    }

    /// A record. Nobody takes from the integration user what it sees the org by: its assignments are
    /// not among them.
    pub(crate) fn any(&self, entity: &str) -> Option<String> {
        let alive = self.alive(entity);
        self.chance
            .pick(&alive)
            .filter(|record| record.text("AssigneeId") != Some(self.org.admin_id()))
            .map(|record| record.id().to_owned())
    }

    pub(crate) fn user(&self) -> Option<String> {
        let mut users = self.alive("User");
        users.retain(|user| user.id() != self.org.admin_id());
        self.chance.pick(&users).map(|user| user.id().to_owned())
    }

    fn maybe(&self, value: Option<String>) -> Option<String> {
        value.filter(|_| self.chance.happens(0.8))
    }

    fn of(&self, words: &[&str]) -> String {
        self.chance
            .pick(words)
            .map(|word| (*word).to_owned())
            .unwrap_or_default()
    }

    fn stage(&self) -> String {
        self.of(&STAGES)
    }

    fn amount(&self) -> Option<u64> {
        self.chance
            .happens(0.85)
            .then(|| self.chance.between(0, 40) * 250)
    }

    fn date(&self) -> String {
        format!(
            "2026-{:02}-{:02}",
            self.chance.between(1, 12),
            self.chance.between(1, 28)
        )
    }

    fn word(&self) -> String {
        format!("w{}", self.chance.between(0, 1_000_000))
    }

    /// In ten seconds to ten minutes, in whole seconds.
    pub(crate) fn expiry(&self) -> String {
        let at = self.clock.micros() / 1_000_000 + 10 + self.chance.below(590) as i64;
        domain::Timestamp::from_millis(at * 1000)
            .to_soql()
            .replace('Z', ".000+0000")
    }
}
