//! Changes of every kind, one at a time, the same for the same seed.

use fake_salesforce::commit::Row;
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Opportunity stages that changes move between; the last two close.
const STAGES: [&str; 6] = [
    "Prospecting",
    "Qualification",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
];
const ROLES: [&str; 4] = [
    "Decision Maker",
    "Economic Buyer",
    "Influencer",
    "Technical Buyer",
];
/// Users whose names end so are somebody's to sign in as: nobody grants them anything, or edits them.
pub(crate) const LEFT_ALONE: &str = "@demo.mosync.example";
const ORIGIN: &str = "com/salesforce/api/rest/67.0;client=demo";

/// Somebody who edits the org at random.
pub(crate) struct Author {
    random: StdRng,
    user: String,
    opportunities: Vec<String>,
    accounts: Vec<String>,
    contacts: Vec<String>,
    roles: Vec<String>,
    users: Vec<String>,
    permission_sets: Vec<String>,
    deleted: Vec<String>,
    granted: Vec<String>,
    number: u32,
}

impl Author {
    /// Somebody who has seen the whole org; the same seed does the same.
    pub(crate) fn new(org: &Org, seed: u64) -> Self {
        let ids = |entity: &str| {
            let live = org
                .records(entity)
                .into_iter()
                .filter(|record| !record.flag("IsDeleted"));
            live.map(|record| record.id().to_owned())
                .collect::<Vec<_>>()
        };
        let is_ours =
            |name: Option<&str>| name.is_some_and(|name| name == "mOS_User" || name == "mOS_Admin");
        let left_alone = org.records("User").into_iter().filter(|user| {
            let username = user.text("Username");
            username.is_some_and(|username| username.ends_with(LEFT_ALONE))
        });
        let left_alone: Vec<String> = left_alone.map(|user| user.id().to_owned()).collect();
        let permission_sets = org
            .records("PermissionSet")
            .into_iter()
            .filter(|set| is_ours(set.text("Name")))
            .map(|set| set.id().to_owned())
            .collect();
        Self {
            random: StdRng::seed_from_u64(seed),
            user: org.admin_id().to_owned(),
            opportunities: ids("Opportunity"),
            accounts: ids("Account"),
            contacts: ids("Contact"),
            roles: ids("OpportunityContactRole"),
            users: ids("User")
                .into_iter()
                .filter(|id| id != org.admin_id() && !left_alone.contains(id))
                .collect(),
            permission_sets,
            deleted: Vec::new(),
            granted: Vec::new(),
            number: 0,
        }
    }

    /// One change; `false` when Salesforce refused it (its record was deleted by another change).
    pub(crate) fn change(&mut self, org: &Org) -> bool {
        self.number += 1;
        match self.random.random_range(0..100_u32) {
            0..40 => self.edit_opportunity(org),
            40..50 => self.edit_account(org),
            50..60 => self.edit_contact(org),
            60..65 => self.edit_user(org),
            65..71 => self.move_owner(org),
            71..75 => self.move_account(org),
            75..80 => self.add_role(org),
            80..84 => self.edit_role(org),
            84..87 => self.remove_role(org),
            87..92 => self.add_opportunity(org),
            92..94 => self.delete_opportunity(org),
            94..96 => self.undelete_opportunity(org),
            96..97 => self.merge_contacts(org),
            97..99 => self.grant(org),
            _ => self.revoke(org),
        }
    }

    fn edit_opportunity(&mut self, org: &Org) -> bool {
        let fields = match self.random.random_range(0..5_u32) {
            0 | 1 => json!({"StageName": self.pick_from(&STAGES)}),
            2 => json!({"Amount": f64::from(self.random.random_range(1..9_000_000_u32)) / 100.0}),
            3 => json!({"NextStep": format!("Call no. {}", self.number)}),
            _ => json!({"Name": format!("Deal {} \"é\"", self.number), "CloseDate": "2027-03-31"}),
        };
        let id = pick(&mut self.random, &self.opportunities);
        self.update(org, "Opportunity", id, fields)
    }

    fn edit_account(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.accounts);
        let fields = json!({"Name": format!("Company {}", self.number), "BillingCity": "Zürich"});
        self.update(org, "Account", id, fields)
    }

    fn edit_contact(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.contacts);
        let fields = json!({"LastName": format!("O'Person {}", self.number), "Title": Value::Null});
        self.update(org, "Contact", id, fields)
    }

    fn edit_user(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.users);
        let fields = json!({"Title": format!("Title {}", self.number)});
        self.update(org, "User", id, fields)
    }

    fn move_owner(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.opportunities);
        let fields = json!({"OwnerId": pick(&mut self.random, &self.users)});
        self.update(org, "Opportunity", id, fields)
    }

    fn move_account(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.opportunities);
        let fields = json!({"AccountId": pick(&mut self.random, &self.accounts)});
        self.update(org, "Opportunity", id, fields)
    }

    fn add_role(&mut self, org: &Org) -> bool {
        let fields = json!({
            "OpportunityId": pick(&mut self.random, &self.opportunities),
            "ContactId": pick(&mut self.random, &self.contacts),
            "Role": self.pick_from(&ROLES),
        });
        let added = self.insert(org, "OpportunityContactRole", fields);
        self.roles.extend(added.clone());
        added.is_some()
    }

    fn edit_role(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.roles);
        let fields =
            json!({"Role": self.pick_from(&ROLES), "IsPrimary": self.random.random_bool(0.3)});
        self.update(org, "OpportunityContactRole", id, fields)
    }

    fn remove_role(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.roles);
        self.write(
            org,
            Dml::Delete {
                entity: "OpportunityContactRole".to_owned(),
                id,
            },
        )
        .is_some()
    }

    fn add_opportunity(&mut self, org: &Org) -> bool {
        let fields = json!({
            "Name": format!("New deal {}", self.number),
            "StageName": "Prospecting",
            "CloseDate": "2027-06-30",
            "AccountId": pick(&mut self.random, &self.accounts),
            "OwnerId": pick(&mut self.random, &self.users),
        });
        let added = self.insert(org, "Opportunity", fields);
        self.opportunities.extend(added.clone());
        added.is_some()
    }

    fn delete_opportunity(&mut self, org: &Org) -> bool {
        let id = pick(&mut self.random, &self.opportunities);
        let deleted = self
            .write(
                org,
                Dml::Delete {
                    entity: "Opportunity".to_owned(),
                    id: id.clone(),
                },
            )
            .is_some();
        if deleted {
            self.deleted.push(id);
        }
        deleted
    }

    fn undelete_opportunity(&mut self, org: &Org) -> bool {
        match self.deleted.pop() {
            Some(id) => self
                .write(
                    org,
                    Dml::Undelete {
                        entity: "Opportunity".to_owned(),
                        id,
                    },
                )
                .is_some(),
            None => self.edit_opportunity(org),
        }
    }

    fn merge_contacts(&mut self, org: &Org) -> bool {
        let winner = pick(&mut self.random, &self.contacts);
        let loser = pick(&mut self.random, &self.contacts);
        if winner == loser {
            return self.edit_contact(org);
        }
        self.write(
            org,
            Dml::Merge {
                entity: "Contact".to_owned(),
                winner,
                losers: vec![loser],
            },
        )
        .is_some()
    }

    fn grant(&mut self, org: &Org) -> bool {
        let fields = json!({"AssigneeId": pick(&mut self.random, &self.users), "PermissionSetId": pick(&mut self.random, &self.permission_sets)});
        let granted = self.insert(org, "PermissionSetAssignment", fields);
        self.granted.extend(granted.clone());
        granted.is_some()
    }

    /// Takes back only what was granted before, so that the org's own holders stay.
    fn revoke(&mut self, org: &Org) -> bool {
        match self.granted.pop() {
            Some(id) => self
                .write(
                    org,
                    Dml::Delete {
                        entity: "PermissionSetAssignment".to_owned(),
                        id,
                    },
                )
                .is_some(),
            None => self.edit_opportunity(org),
        }
    }

    fn update(&self, org: &Org, entity: &str, id: String, fields: Value) -> bool {
        self.write(
            org,
            Dml::Update {
                entity: entity.to_owned(),
                id,
                fields: row(fields),
            },
        )
        .is_some()
    }

    fn insert(&self, org: &Org, entity: &str, fields: Value) -> Option<String> {
        self.write(
            org,
            Dml::Insert {
                entity: entity.to_owned(),
                fields: row(fields),
            },
        )
    }

    /// One transaction; the id of its record.
    fn write(&self, org: &Org, dml: Dml) -> Option<String> {
        org.transact(&self.user, ORIGIN, vec![dml]).ok()?.pop()?.id
    }

    fn pick_from(&mut self, texts: &[&'static str]) -> &'static str {
        texts.choose(&mut self.random).copied().unwrap_or_default()
    }
}

fn pick(random: &mut StdRng, ids: &[String]) -> String {
    ids.choose(random).cloned().unwrap_or_default()
}

fn row(fields: Value) -> Row {
    if let Value::Object(fields) = fields {
        fields
    } else {
        Row::new()
    }
}
