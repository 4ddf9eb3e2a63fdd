//! What turns the rules: an administrator's save, a permission that comes or goes, the calendar,
//! the org around the records.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chance::Chance;
use crate::salesforce::{deleting, updating};
use crate::steps::People;

/// One kind of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The filter lets more in.
    Wider,
    /// The filter lets less in.
    Narrower,
    /// Another filter.
    Other,
    /// A filter with relative dates.
    Relative,
    SyncClosed,
    /// Switched off for a while, in which records and sometimes rules change.
    Disabled,
    /// What a filter makes of blanks.
    Blanks,
    /// Whose midnight counts.
    Zone,
    Mapping,
    Frequency,
    Grant,
    Revoke,
    /// A permission that ends by itself.
    Expiry,
    /// A permission set comes into a group, or leaves it.
    Group,
    Deactivate,
    /// Deals go to others by the dozen.
    Transfer,
    /// Nothing runs over one or more midnights.
    NightOff,
    /// It runs over midnight.
    Midnight,
    /// A stage becomes one of closed deals, or of open ones.
    Retype,
    /// A formula says something else of some deals.
    Formula,
    OrgTimeZone,
    FiscalYear,
    /// A currency is worth something else.
    Currency,
}

impl Turn {
    pub(crate) const ALL: [Self; 23] = [
        Self::Wider,
        Self::Narrower,
        Self::Other,
        Self::Relative,
        Self::SyncClosed,
        Self::Disabled,
        Self::Blanks,
        Self::Zone,
        Self::Mapping,
        Self::Frequency,
        Self::Grant,
        Self::Revoke,
        Self::Expiry,
        Self::Group,
        Self::Deactivate,
        Self::Transfer,
        Self::NightOff,
        Self::Midnight,
        Self::Retype,
        Self::Formula,
        Self::OrgTimeZone,
        Self::FiscalYear,
        Self::Currency,
    ];

    /// By its name, as `Debug` writes it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|turn| format!("{turn:?}").eq_ignore_ascii_case(name))
    }

    /// How long until mosync must have noticed: it hears of some things only when it looks.
    pub(crate) fn is_noticed_within(self, refreshed_every: Duration) -> Duration {
        const LOOKS_EVERY: Duration = Duration::from_secs(5 * 60);
        match self {
            Self::Retype | Self::OrgTimeZone | Self::FiscalYear | Self::Currency => 2 * LOOKS_EVERY,
            Self::Formula => refreshed_every + 2 * LOOKS_EVERY,
            Self::NightOff | Self::Midnight => Duration::from_secs(60),
            Self::Wider
            | Self::Narrower
            | Self::Other
            | Self::Relative
            | Self::SyncClosed
            | Self::Disabled
            | Self::Blanks
            | Self::Zone
            | Self::Mapping
            | Self::Frequency
            | Self::Grant
            | Self::Revoke
            | Self::Expiry
            | Self::Group
            | Self::Deactivate
            | Self::Transfer => Duration::ZERO,
        }
    }

    /// Whether it is about the org around the records, which is looked at once a day and when the
    /// listener starts.
    pub(crate) fn is_around(self) -> bool {
        matches!(self, Self::OrgTimeZone | Self::FiscalYear | Self::Currency)
    }
}

/// The settings document in the making.
pub(crate) struct Document<'c> {
    pub(crate) chance: &'c Chance,
    /// Whether the filter may name relative dates.
    pub(crate) relative: bool,
    /// Whether it may name currencies.
    pub(crate) currencies: bool,
    /// Whether it may name record types.
    pub(crate) record_types: bool,
}

impl Document<'_> {
    /// Settings to begin with.
    pub(crate) fn begin(&self) -> Value {
        json!({
            "sync_closed": self.chance.happens(0.3),
            "filter": self.filter(2),
        })
    }

    /// The document after a turn that is an administrator's; none where it is somebody else's.
    pub(crate) fn turned(&self, turn: Turn, mut document: Value) -> Option<Value> {
        match turn {
            Turn::Wider => self.widen(&mut document["filter"]),
            Turn::Narrower => self.narrow(&mut document["filter"]),
            Turn::Other => document["filter"] = self.filter(3),
            Turn::Relative => {
                document["filter"] = json!({ "conditions": [self.relative()] });
                if self.chance.happens(0.5) {
                    self.narrow(&mut document["filter"]);
                }
            }
            Turn::SyncClosed => {
                let on = document["sync_closed"] == json!(true);
                document["sync_closed"] = json!(!on);
            }
            Turn::Blanks => {
                let kept = document["blanks"] != json!("drop");
                document["blanks"] = json!(if kept { "drop" } else { "keep" });
            }
            Turn::Zone => {
                let of_org = document["zone"] != json!("user");
                document["zone"] = json!(if of_org { "user" } else { "org" });
            }
            Turn::Mapping => self.map(&mut document),
            Turn::Frequency => {
                let of = ["real_time", "every_5_min", "every_15_min"];
                document["frequency"] = json!(self.chance.pick(&of));
            }
            Turn::Disabled
            | Turn::Grant
            | Turn::Revoke
            | Turn::Expiry
            | Turn::Group
            | Turn::Deactivate
            | Turn::Transfer
            | Turn::NightOff
            | Turn::Midnight
            | Turn::Retype
            | Turn::Formula
            | Turn::OrgTimeZone
            | Turn::FiscalYear
            | Turn::Currency => return None,
        }
        Some(document)
    }

    fn filter(&self, most: usize) -> Value {
        let conditions = (0..self.chance.below(most + 1)).map(|_| self.condition());
        let conditions = conditions.collect::<Vec<_>>();
        let logic = match conditions.len() {
            2 => *self
                .chance
                .pick(&[None, Some("1 OR 2"), Some("1 AND NOT 2")])
                .unwrap(),
            3 => *self
                .chance
                .pick(&[None, Some("1 AND (2 OR 3)"), Some("NOT (1 AND 2) OR 3")])
                .unwrap(),
            _ => None,
        };
        json!({ "conditions": conditions, "logic": logic })
    }

    /// One condition less, or one more of which either suffices.
    fn widen(&self, filter: &mut Value) {
        let count = filter["conditions"].as_array().map_or(0, Vec::len);
        if count == 0 || self.chance.happens(0.5) {
            *filter = json!({ "conditions": [] });
        } else if count < 8 {
            let before = Self::logic(filter, count);
            filter["conditions"]
                .as_array_mut()
                .unwrap()
                .push(self.condition());
            filter["logic"] = json!(format!("({before}) OR {}", count + 1));
        }
    }

    fn narrow(&self, filter: &mut Value) {
        if filter["conditions"].is_null() {
            *filter = json!({ "conditions": [] });
        }
        let count = filter["conditions"].as_array().map_or(0, Vec::len);
        if count >= 8 {
            return;
        }
        let before = Self::logic(filter, count);
        filter["conditions"]
            .as_array_mut()
            .unwrap()
            .push(self.condition());
        filter["logic"] = if count == 0 {
            Value::Null
        } else {
            json!(format!("({before}) AND {}", count + 1))
        };
    }

    fn logic(filter: &Value, count: usize) -> String {
        filter["logic"].as_str().map_or_else(
            || {
                let rows = (1..=count).map(|row| row.to_string());
                rows.collect::<Vec<_>>().join(" AND ")
            },
            str::to_owned,
        )
    }

    fn condition(&self) -> Value {
        if self.relative && self.chance.happens(0.3) {
            return self.relative();
        }
        if self.currencies && self.chance.happens(0.2) {
            let value = self.chance.pick(&["USD3000", "EUR2000", "JPY500000"]);
            let operator = self
                .chance
                .pick(&["greater_than", "less_or_equal", "not_equal"]);
            return json!({ "field": "Amount", "operator": operator, "values": [value] });
        }
        if self.record_types && self.chance.happens(0.4) {
            let operator = self.chance.pick(&["equals", "not_equal"]);
            let values = if self.chance.happens(0.5) {
                json!([RECORD_TYPES[0]])
            } else {
                json!([RECORD_TYPES[1], ""])
            };
            return json!({ "field": "RecordType.DeveloperName", "operator": operator, "values": values });
        }
        let (field, operator, values) = match self.chance.below(12) {
            0 => ("Amount", "greater_than", json!(["2500"])),
            1 => ("Amount", "less_or_equal", json!(["7500"])),
            2 => (
                "StageName",
                "not_equal",
                json!(["Prospecting", "Needs Analysis"]),
            ),
            3 => ("Type", "equals", json!(["New Customer", ""])),
            4 => ("CloseDate", "greater_or_equal", json!(["2026-04-01"])),
            5 => ("AccountId", "not_equal", json!([""])),
            6 => ("Name", "not_contain", json!(["7"])),
            7 => ("NextStep", "starts_with", json!(["w1", "w3"])),
            8 => ("Tags__c", "includes", json!(["Red;Green", "Blue"])),
            9 => ("Tags__c", "excludes", json!(["Red"])),
            _ => ("Score__c", "greater_or_equal", json!(["50"])),
        };
        json!({ "field": field, "operator": operator, "values": values })
    }

    fn relative(&self) -> Value {
        const LITERALS: [&str; 16] = [
            "TODAY",
            "YESTERDAY",
            "TOMORROW",
            "THIS_WEEK",
            "NEXT_WEEK",
            "THIS_MONTH",
            "LAST_MONTH",
            "THIS_QUARTER",
            "THIS_FISCAL_QUARTER",
            "THIS_FISCAL_YEAR",
            "LAST_N_DAYS:3",
            "NEXT_N_DAYS:3",
            "NEXT 7 DAYS",
            "N_DAYS_AGO:1",
            "NEXT_N_MONTHS:1",
            "NEXT_N_FISCAL_QUARTERS:2",
        ];
        let field = *self
            .chance
            .pick(&["CloseDate", "CloseDate", "CreatedDate"])
            .unwrap();
        let operators = [
            "equals",
            "not_equal",
            "less_than",
            "greater_or_equal",
            "less_or_equal",
        ];
        json!({
            "field": field,
            "operator": self.chance.pick(&operators),
            "values": [self.chance.pick(&LITERALS)],
        })
    }

    /// One row of the mapping is another: the name, the next step, or the contract's term.
    fn map(&self, document: &mut Value) {
        let mut rows = document["mapping"].as_array().cloned().unwrap_or_else(|| {
            let default = serde_json::to_value(domain::settings::Settings::default()).unwrap();
            default["mapping"].as_array().cloned().unwrap_or_default()
        });
        let (mos, salesforce) = *self
            .chance
            .pick(&[
                ("next_step", "Name"),
                ("next_step", "NextStep"),
                ("lead_source", "Type"),
                ("lead_source", "LeadSource"),
                ("contract_term", "Score__c"),
                ("arr", "Amount"),
            ])
            .unwrap();
        rows.retain(|row| row["object"] != "Opportunity" || row["mos_field"] != mos);
        let mut row = json!({
            "object": "Opportunity",
            "mos_field": mos,
            "salesforce_field": salesforce,
            "active": self.chance.happens(0.85),
        });
        if mos == "contract_term" {
            let of = ["monthly", "quarterly", "half_yearly", "yearly"];
            row["contract_term_type"] = json!(self.chance.pick(&of));
        }
        rows.push(row);
        document["mapping"] = json!(rows);
    }
}

impl People<'_> {
    /// From now on opportunities have record types.
    pub(crate) fn add_record_types(&self) {
        for name in RECORD_TYPES {
            let wish = json!({ "entity": "Opportunity", "developer_name": name, "name": name });
            let wish = serde_json::from_value(wish).unwrap();
            self.org.add_record_type(&wish).unwrap();
        }
    }

    /// Turns what is not an administrator of mosync's to turn.
    pub(crate) fn turn(&self, turn: Turn) {
        match turn {
            Turn::Grant => self.grant(),
            Turn::Revoke => {
                let assignment = "PermissionSetAssignment";
                let revoked = self.any(assignment).map(|id| deleting(assignment, &id));
                self.transact(revoked.into_iter().collect());
            }
            Turn::Expiry => {
                let end = json!({ "ExpirationDate": self.expiry() });
                self.write_some("PermissionSetAssignment", 2, |_| end.clone());
            }
            Turn::Group => {
                let without = self
                    .without_component()
                    .filter(|_| self.chance.happens(0.5));
                match without {
                    Some(without) => self.transact(vec![without]),
                    None => self.add_component(),
                }
            }
            Turn::Deactivate => {
                let user = self.user().map(|id| {
                    let active = json!({ "IsActive": self.chance.happens(0.4) });
                    updating("User", &id, &active)
                });
                self.transact(user.into_iter().collect());
            }
            Turn::Transfer => {
                let user = self.user();
                self.write_some("Opportunity", 12, |_| json!({ "OwnerId": user }));
            }
            Turn::Retype => self.retype(),
            Turn::Formula => {
                for _ in 0..self.chance.between(1, 6) {
                    self.recalculate();
                }
            }
            Turn::OrgTimeZone => {
                let zone = *self.chance.pick(&ZONES).unwrap();
                self.write_some("Organization", 1, |_| json!({ "TimeZoneSidKey": zone }));
            }
            Turn::Currency => {
                let rate = self.chance.between(1, 400);
                let rate = json!({ "ConversionRate": rate as f64 / 100.0 });
                self.write_some("CurrencyType", 1, |_| rate.clone());
            }
            Turn::FiscalYear => {
                let month = self.chance.between(1, 12);
                self.write_some(
                    "Organization",
                    1,
                    |_| json!({ "FiscalYearStartMonth": month }),
                );
            }
            Turn::Wider
            | Turn::Narrower
            | Turn::Other
            | Turn::Relative
            | Turn::SyncClosed
            | Turn::Disabled
            | Turn::Blanks
            | Turn::Zone
            | Turn::Mapping
            | Turn::Frequency
            | Turn::NightOff
            | Turn::Midnight => {}
        }
    }

    /// A random step in an org that has the scenarios' custom fields.
    pub(crate) fn step_with_tags(&self, today: &str) {
        match self.chance.below(10) {
            0 => {
                let tags = ["Red", "Green;Blue", "Red;Green", "Blue", ""];
                let tags = json!({ "Tags__c": self.chance.pick(&tags) });
                self.write_some("Opportunity", 3, |_| tags.clone());
            }
            1 => {
                let near = json!({ "CloseDate": today });
                self.write_some("Opportunity", 3, |_| near.clone());
            }
            2 if self.org.entity("CurrencyType").is_some() => {
                let code = json!({ "CurrencyIsoCode": self.chance.pick(&CURRENCIES) });
                self.write_some("Opportunity", 3, |_| code.clone());
            }
            3 if self.org.entity("RecordType").is_some() => {
                let record_type = json!({ "RecordTypeId": self.any("RecordType") });
                self.write_some("Opportunity", 3, |_| record_type.clone());
            }
            _ => self.step(),
        }
    }

    /// Up to so many records, in one transaction.
    fn write_some(&self, entity: &str, most: u64, write: impl Fn(&str) -> Value) {
        let mut chosen = std::collections::BTreeSet::new();
        for _ in 0..self.chance.between(1, most) {
            chosen.extend(self.any(entity));
        }
        let writes = chosen.iter().map(|id| updating(entity, id, &write(id)));
        self.transact(writes.collect());
    }

    fn retype(&self) {
        let stages = self.org.records("OpportunityStage");
        let Some(stage) = self.chance.pick(&stages) else {
            return;
        };
        let closed = !stage.flag("IsClosed");
        let category = if closed { "Closed" } else { "Pipeline" };
        let of_other_type = json!({
            "IsClosed": closed,
            "IsWon": closed && self.chance.happens(0.5),
            "ForecastCategory": category,
            "ForecastCategoryName": category,
        });
        self.transact(vec![updating(
            "OpportunityStage",
            stage.id(),
            &of_other_type,
        )]);
    }

    fn recalculate(&self) {
        let Some(deal) = self.any("Opportunity") else {
            return;
        };
        let score = self.chance.between(0, 100);
        self.chance.note(format!("Score__c of {deal} is {score}"));
        let wish =
            json!({ "entity": "Opportunity", "field": "Score__c", "values": { (deal): score } });
        self.org
            .recalculate(&serde_json::from_value(wish).unwrap())
            .unwrap();
    }
}

/// The first is the corporate one.
pub(crate) const CURRENCIES: [&str; 3] = ["EUR", "USD", "JPY"];

/// The record types of opportunities, where an org has any.
const RECORD_TYPES: [&str; 2] = ["Renewal", "New_Business"];

/// Where orgs are.
pub(crate) const ZONES: [&str; 6] = [
    "GMT",
    "Europe/Berlin",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Pacific/Auckland",
    "America/Santiago",
];
