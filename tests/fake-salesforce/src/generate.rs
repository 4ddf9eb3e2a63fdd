//! An org made from a seed.
use std::sync::MutexGuard;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::commit::Row;
use crate::error::ApiError;
use crate::org::{Org, Writer, Written};
use crate::schema;
use crate::time;
use crate::transaction::Transaction;

const USERS: usize = 30;
const DAY_MS: i64 = 86_400_000;

const FIRST_NAMES: [&str; 16] = [
    "Ada",
    "Björn",
    "Chidi",
    "Daniela",
    "Émile",
    "Fatima",
    "Grace",
    "Hiroshi",
    "Inês",
    "João",
    "Keiko",
    "Łukasz",
    "María José",
    "Nguyễn",
    "Oğuz",
    "Zoë",
];
const LAST_NAMES: [&str; 16] = [
    "Lovelace",
    "O'Brien",
    "Müller",
    "Nakamura",
    "Østergård",
    "García \"Pepe\" Ruiz",
    "Smith",
    "van der Berg",
    "Приходько",
    "李",
    "Hopper",
    "Okonkwo",
    "Côté",
    "D'Angelo",
    "Kowalski",
    "Singh",
];
const COMPANIES: [&str; 14] = [
    "Acme",
    "Zürich Präzision",
    "Brown & Sons",
    "\"Quoted\" Holdings",
    "Back\\slash Labs",
    "Ünïcode Works",
    "100% Cotton_Co",
    "Nippon 電機",
    "O'Reilly Freight",
    "Comma, Inc.",
    "Globex",
    "Initech",
    "Soylent",
    "Émigré Foods",
];
const SUFFIXES: [&str; 6] = ["GmbH", "Ltd", "S.A.", "Inc", "LLC", "AG"];
const DEALS: [&str; 10] = [
    "Renewal",
    "New licences",
    "Upgrade \"Gold\"",
    "O'ahu rollout",
    "Phase 2\nand training",
    "Pilot – ñandú",
    "Support\tplan",
    "Expansion 50%",
    "Migration_v2",
    "Add-on 🚀",
];
const TITLES: [&str; 6] = [
    "Account Executive",
    "VP Sales",
    "Buyer",
    "CFO",
    "Head of IT, EMEA",
    "Engineer",
];
const CITIES: [(&str, &str); 6] = [
    ("Berlin", "Germany"),
    ("São Paulo", "Brazil"),
    ("Oslo", "Norway"),
    ("Leeds", "United Kingdom"),
    ("Boston", "United States"),
    ("Kyōto", "Japan"),
];
const OPEN_STAGES: [&str; 8] = [
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Id. Decision Makers",
    "Perception Analysis",
    "Proposal/Price Quote",
    "Negotiation/Review",
];

impl Org {
    /// Fills the org with this many opportunities and about 0.4 accounts, 1.2 contacts and 1.2
    /// contact roles for each, owned by 30 users: 18 of them hold a permission set of mOS, three
    /// of these through a group, three by an assignment that has expired, and four of the 30 are
    /// inactive. One transaction, or several where it is more than 100,000 records. The same seed
    /// on the same day makes the same org.
    pub fn generate(&self, opportunities: usize, seed: u64) {
        let at = self.now_micros();
        let mut generator = Generator {
            org: self,
            writer: self.writer(),
            written: Written::default(),
            at,
            random: StdRng::seed_from_u64(seed),
            today_ms: time::whole_second_ms(at).div_euclid(DAY_MS) * DAY_MS,
        };
        if let Err(error) = generator.run(opportunities) {
            tracing::error!(%error, "a generated record was refused");
        }
        generator.write();
    }
}

/// Records of one transaction: what is not yet written takes memory.
const BATCH: usize = 100_000;

struct Generator<'a> {
    org: &'a Org,
    writer: MutexGuard<'a, Writer>,
    /// What the next commit writes.
    written: Written,
    at: i64,
    random: StdRng,
    /// The start of the day, in milliseconds since the epoch.
    today_ms: i64,
}

impl Generator<'_> {
    fn run(&mut self, opportunities: usize) -> Result<(), ApiError> {
        let users = self.users()?;
        self.permissions(&users)?;
        let accounts = self.accounts((opportunities * 2).div_ceil(5), &users)?;
        let contacts = self.contacts((opportunities * 6).div_ceil(5), &accounts, &users)?;
        self.opportunities(opportunities, &accounts, &contacts, &users)
    }

    fn users(&mut self) -> Result<Vec<String>, ApiError> {
        (0..USERS)
            .map(|number| {
                let (first, last) = (self.pick(&FIRST_NAMES), self.pick(&LAST_NAMES));
                let fields = json!({
                    "FirstName": first,
                    "LastName": last,
                    "Username": format!("user{number}@fake.example.com"),
                    "CommunityNickname": format!("user{number}"),
                    "Email": format!("user{number}@example.com"),
                    "Title": self.pick(&TITLES),
                    // Two holders of a permission set and two others.
                    "IsActive": !matches!(number, 5 | 11 | 22 | 27),
                    "TimeZoneSidKey": "GMT",
                });
                self.insert("User", fields)
            })
            .collect()
    }

    /// Users 0 to 2 are mOS administrators, 3 to 11 mOS users, 12 to 14 such through a group, 15 to
    /// 17 were until their assignment expired.
    fn permissions(&mut self, users: &[String]) -> Result<(), ApiError> {
        let admin = self.within(|made| made.permission_set("mOS_Admin"))?;
        let user = self.within(|made| made.permission_set("mOS_User"))?;
        let group = self.within(|made| made.permission_set_group("Sales_Apps"))?;
        let fields = json!({"PermissionSetGroupId": group, "PermissionSetId": user});
        self.insert("PermissionSetGroupComponent", fields)?;
        for (number, assignee) in users.iter().enumerate().take(18) {
            let past = time::datetime_text(self.today_ms - 10 * DAY_MS);
            let future = time::datetime_text(self.today_ms + 400 * DAY_MS);
            let fields = match number {
                0..=2 => json!({"AssigneeId": assignee, "PermissionSetId": admin}),
                9 => {
                    json!({"AssigneeId": assignee, "PermissionSetId": user, "ExpirationDate": future})
                }
                3..=11 => json!({"AssigneeId": assignee, "PermissionSetId": user}),
                12..=14 => json!({"AssigneeId": assignee, "PermissionSetGroupId": group}),
                _ => {
                    json!({"AssigneeId": assignee, "PermissionSetId": user, "ExpirationDate": past})
                }
            };
            self.insert("PermissionSetAssignment", fields)?;
        }
        Ok(())
    }

    fn accounts(&mut self, count: usize, users: &[String]) -> Result<Vec<String>, ApiError> {
        (0..count)
            .map(|number| {
                let (company, suffix) = (self.pick(&COMPANIES), self.pick(&SUFFIXES));
                let (city, country) = *self.pick(&CITIES);
                let created = self.past();
                let fields = json!({
                    "Name": format!("{company} {suffix} {number}"),
                    "Industry": self.pick(schema::picklist("Account", "Industry")),
                    "Type": self.pick(schema::picklist("Account", "Type")),
                    "Website": format!("https://www{number}.example.com"),
                    "Phone": self.phone(),
                    "BillingStreet": format!("{} High Street\nFloor {}", number + 1, number % 9),
                    "BillingCity": city,
                    "BillingCountry": country,
                    "AnnualRevenue": self.random.random_range(1..900) * 100_000,
                    "NumberOfEmployees": self.random.random_range(1..90_000),
                    "OwnerId": self.pick(users),
                    "CreatedDate": created,
                });
                self.insert("Account", fields)
            })
            .collect()
    }

    /// Contacts in the order made; each belongs to an account.
    fn contacts(
        &mut self,
        count: usize,
        accounts: &[String],
        users: &[String],
    ) -> Result<Vec<Vec<String>>, ApiError> {
        let mut of_account = vec![Vec::new(); accounts.len()];
        for number in 0..count {
            let place = self.random.random_range(0..accounts.len().max(1));
            let first = self.pick(&FIRST_NAMES);
            let last = self.pick(&LAST_NAMES);
            let created = self.past();
            let fields = json!({
                "FirstName": if number % 11 == 0 { Value::Null } else { json!(first) },
                "LastName": last,
                "Email": format!("contact{number}@example.com"),
                "Phone": self.phone(),
                "Title": self.pick(&TITLES),
                "AccountId": accounts.get(place),
                "OwnerId": self.pick(users),
                "CreatedDate": created,
            });
            let contact = self.insert("Contact", fields)?;
            if let Some(contacts) = of_account.get_mut(place) {
                contacts.push(contact);
            }
        }
        Ok(of_account)
    }

    fn opportunities(
        &mut self,
        count: usize,
        accounts: &[String],
        contacts: &[Vec<String>],
        users: &[String],
    ) -> Result<(), ApiError> {
        for number in 0..count {
            let place = self.random.random_range(0..accounts.len().max(1));
            let orphan = self.random.random_ratio(1, 15);
            let stage = match self.random.random_range(0..10) {
                0 => "Closed Won",
                1 => "Closed Lost",
                _ => self.pick(&OPEN_STAGES),
            };
            let days = self.random.random_range(-120..300_i64);
            let close = time::datetime_text(self.today_ms + days * DAY_MS);
            let amount = if self.random.random_ratio(1, 10) {
                Value::Null
            } else {
                json!(f64::from(self.random.random_range(100..500_000_u32)) + 0.5)
            };
            let deal = self.pick(&DEALS);
            let created = self.past();
            let fields = json!({
                "Name": format!("{deal} {number}"),
                "AccountId": if orphan { Value::Null } else { json!(accounts.get(place)) },
                "OwnerId": self.pick(users),
                "StageName": stage,
                "Amount": amount,
                "CloseDate": close.get(..10),
                "Type": self.pick(schema::picklist("Opportunity", "Type")),
                "LeadSource": self.pick(schema::picklist("Opportunity", "LeadSource")),
                "NextStep": if number % 3 == 0 { json!("Call back, \"soon\"") } else { Value::Null },
                "Description": if number % 5 == 0 { json!("Line one\nline 'two'") } else { Value::Null },
                "CreatedDate": created,
            });
            let opportunity = self.insert("Opportunity", fields)?;
            let candidates = contacts.get(place).map(Vec::as_slice).unwrap_or_default();
            let roles = self.random.random_range(0..=3_usize).min(candidates.len());
            let chosen: Vec<&String> = candidates
                .choose_multiple(&mut self.random, roles)
                .collect();
            for (order, contact) in chosen.into_iter().enumerate() {
                let role = self.pick(schema::picklist("OpportunityContactRole", "Role"));
                let fields = json!({
                    "OpportunityId": opportunity,
                    "ContactId": contact,
                    "Role": role,
                    "IsPrimary": order == 0,
                });
                self.insert("OpportunityContactRole", fields)?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, entity: &str, fields: Value) -> Result<String, ApiError> {
        let Some(entity) = schema::entity(entity) else {
            return Err(ApiError::new("INVALID_TYPE", entity));
        };
        let Value::Object(fields) = fields else {
            return Err(ApiError::new("JSON_PARSER_ERROR", "no object"));
        };
        let fields: Row = fields;
        let id = self.within(|made| made.insert(entity, &fields));
        if self.written.records.len() >= BATCH {
            self.write();
        }
        id
    }

    /// Does something in the transaction that is not yet written.
    fn within<T>(&mut self, does: impl FnOnce(&mut Transaction<'_>) -> T) -> T {
        let state = self.org.state();
        let user = self.org.admin_id();
        let mut transaction = Transaction::trusted(&state, &mut self.writer, user, self.at);
        transaction.resume(std::mem::take(&mut self.written));
        let done = does(&mut transaction);
        self.written = transaction.finish();
        done
    }

    fn write(&mut self) {
        let written = std::mem::take(&mut self.written);
        if !written.records.is_empty() {
            let user = self.org.admin_id();
            self.org
                .commit(&mut self.writer, self.at, user, "", written);
        }
    }

    fn pick<'p, T>(&mut self, among: &'p [T]) -> &'p T {
        let place = self.random.random_range(0..among.len());
        among
            .get(place)
            .unwrap_or_else(|| unreachable!("a place within the slice"))
    }

    fn phone(&mut self) -> String {
        format!("+1 555 {:07}", self.random.random_range(0..10_000_000))
    }

    /// A datetime in the two years before today.
    fn past(&mut self) -> String {
        let seconds = self.random.random_range(0..730 * 86_400);
        time::datetime_text(self.today_ms - DAY_MS - seconds * 1000)
    }
}
