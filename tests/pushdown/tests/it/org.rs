//! A stand-in org with awkward opportunities.

use std::path::Path;
use std::sync::Arc;

use domain::filter::{FieldType, FieldTypes};
use domain::{Row, SalesforceId};
use fake_salesforce::commit::Clock;
use fake_salesforce::org::Org;
use fake_salesforce::setup_fields::CustomField;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::json;

/// Texts that a careless compiler would trip over.
pub(crate) const TEXTS: [&str; 34] = [
    "Acme",
    "ACME corp",
    "acme",
    "O'Brien",
    "O\\'Brien",
    "100% Cotton_Co",
    "100 Cotton Co",
    "100",
    "%",
    "_",
    "a_b",
    "axb",
    "\\",
    "Back\\slash",
    "Backxslash",
    "\"Quoted\"",
    "Zürich Präzision",
    "ZÜRICH PRÄZISION",
    "Straße",
    "STRASSE",
    "İstanbul",
    "istanbul",
    "ΟΔΟΣ",
    "οδος",
    "οδοσ",
    "Phase 2\nand training",
    "Tab\there",
    "Rocket 🚀",
    "null",
    "' OR Name != '",
    "NOT (1)",
    "Nippon 電機",
    "Приходько",
    "ПРИХОДЬКО",
];
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "-1",
    "0.1",
    "0.10",
    "0.3",
    "1500",
    "1500.5",
    "75",
    "99.99",
    "-250.25",
    "9007199254740993",
    "1234567890123.45",
    "0.000001",
    "2147483647",
    "33.333333",
];
pub(crate) const DATES: [&str; 8] = [
    "2026-01-31",
    "2026-02-01",
    "2025-12-31",
    "2024-02-29",
    "1969-12-31",
    "1970-01-01",
    "1700-01-01",
    "4000-12-31",
];
pub(crate) const MOMENTS: [&str; 9] = [
    "2026-01-31T00:00:00.000Z",
    "2026-01-30T23:59:59.000Z",
    "2026-01-31T23:59:59.999Z",
    "2026-02-01T00:00:00.000Z",
    "2026-01-31T12:00:00.250Z",
    "2026-01-31T12:00:00.000Z",
    "2026-01-31T12:00:01.000Z",
    "1969-12-31T23:59:59.000Z",
    "2024-02-29T10:15:00.000Z",
];
const TIMES: [&str; 5] = [
    "00:00:00.000Z",
    "10:15:00.000Z",
    "10:15:30.500Z",
    "10:15:30.000Z",
    "23:59:59.999Z",
];
pub(crate) const ITEMS: [&str; 7] = [
    "North",
    "Northern",
    "South",
    "East West",
    "O'Region",
    "Süd",
    "Straße",
];
const STAGES: [&str; 5] = [
    "Prospecting",
    "Qualification",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
];

/// Records are loaded with ids of their own; this is how many of each there are.
pub(crate) const OWNERS: usize = 6;
const ACCOUNTS: usize = 8;
const CONTACTS: usize = 8;

/// An 18-character id of this object.
pub(crate) fn id(prefix: &str, number: usize) -> SalesforceId {
    SalesforceId::parse(&format!("{prefix}{number:012}")).unwrap()
}

/// A stand-in org and its opportunities as its API shows them.
pub(crate) struct Filled {
    pub(crate) org: Arc<Org>,
    /// The rows of all opportunities with all fields, in id order.
    pub(crate) rows: Vec<Row>,
}

impl Filled {
    /// So many opportunities, and what belongs to them, from chance.
    pub(crate) fn by_chance(random: &mut StdRng, opportunities: usize) -> Self {
        let clock = Arc::new(|| 1_781_524_800_250_000);
        let org = empty(clock);
        let folder = tempfile::tempdir().unwrap();
        write_parents(folder.path());
        write_opportunities(folder.path(), random, opportunities);
        write_roles(folder.path(), random, opportunities);
        org.load_dir(folder.path()).unwrap();
        let fields: Vec<_> = types().into_keys().collect();
        let soql = format!("SELECT {} FROM Opportunity ORDER BY Id", fields.join(", "));
        let rows = org.query(&soql, false).unwrap();
        let rows = rows.iter().map(|row| Row::of(row).unwrap()).collect();
        Self { org, rows }
    }

    /// The ids that a query finds in one field.
    pub(crate) fn found(&self, soql: &str, field: &str) -> Vec<SalesforceId> {
        let rows = self
            .org
            .query(soql, false)
            .unwrap_or_else(|error| panic!("{}: {}\n{soql}", error.code, error.message));
        rows.iter()
            .filter_map(|row| row[field].as_str())
            .map(|id| SalesforceId::parse(id).unwrap())
            .collect()
    }
}

/// An org with a custom field of each type that standard fields do not have.
fn empty(clock: Clock) -> Arc<Org> {
    let org = Org::new(clock, 7);
    for field in [
        json!({"name": "Regions__c", "type": "multipicklist", "values": ITEMS}),
        json!({"name": "Score__c", "type": "double", "precision": 18, "scale": 6}),
        json!({"name": "CallTime__c", "type": "time"}),
    ] {
        let mut field = field;
        field["entity"] = "Opportunity".into();
        org.add_field(&serde_json::from_value::<CustomField>(field).unwrap())
            .unwrap();
    }
    org
}

/// The types of every field of Opportunity that can be filtered by, as describe names them.
pub(crate) fn types() -> FieldTypes {
    empty(Arc::new(|| 0))
        .entity("Opportunity")
        .unwrap()
        .fields
        .iter()
        .filter(|field| field.filterable)
        .map(|field| {
            let field_type = FieldType::of_describe(field.kind.name()).unwrap();
            (field.name.to_owned(), field_type)
        })
        .collect()
}

fn write<R: AsRef<[String]>>(folder: &Path, object: &str, header: &[&str], rows: &[R]) {
    let mut file = csv::Writer::from_path(folder.join(format!("{object}.csv"))).unwrap();
    file.write_record(header).unwrap();
    for row in rows {
        file.write_record(row.as_ref()).unwrap();
    }
    file.flush().unwrap();
}

fn write_parents(folder: &Path) {
    let users: Vec<_> = (100..100 + OWNERS)
        .map(|number| {
            let name = format!("user{number}@example.invalid");
            [
                id("005", number).to_string(),
                name.clone(),
                "Owner".to_owned(),
                name,
                "true".to_owned(),
            ]
        })
        .collect();
    let header = ["Id", "Username", "LastName", "Email", "IsActive"];
    write(folder, "User", &header, &users);
    let accounts: Vec<_> = (0..ACCOUNTS)
        .map(|number| [id("001", number).to_string(), "Account".to_owned()])
        .collect();
    write(folder, "Account", &["Id", "Name"], &accounts);
    let contacts: Vec<_> = (0..CONTACTS)
        .map(|number| [id("003", number).to_string(), "Contact".to_owned()])
        .collect();
    write(folder, "Contact", &["Id", "LastName"], &contacts);
}

/// One of the choices, or nothing.
fn maybe(random: &mut StdRng, choices: &[&str]) -> String {
    if random.random_bool(0.25) {
        return String::new();
    }
    (*choices.choose(random).unwrap()).to_owned()
}

fn write_opportunities(folder: &Path, random: &mut StdRng, opportunities: usize) {
    let header = [
        "Id",
        "Name",
        "StageName",
        "CloseDate",
        "AccountId",
        "OwnerId",
        "ContactId",
        "IsPrivate",
        "Type",
        "NextStep",
        "LeadSource",
        "Amount",
        "TotalOpportunityQuantity",
        "Score__c",
        "Regions__c",
        "CallTime__c",
        "CreatedDate",
        "LastActivityDate",
        "LastViewedDate",
        "LastStageChangeDate",
        "PushCount",
    ];
    let rows: Vec<Vec<String>> = (0..opportunities)
        .map(|number| {
            let reference = |random: &mut StdRng, prefix: &str, first: usize, of: usize| {
                if random.random_bool(0.2) {
                    String::new()
                } else {
                    id(prefix, first + random.random_range(0..of)).to_string()
                }
            };
            let some = |random: &mut StdRng, choices: &[&str]| {
                (*choices.choose(random).unwrap()).to_owned()
            };
            let selected: Vec<&str> = ITEMS
                .into_iter()
                .filter(|_| random.random_bool(0.25))
                .collect();
            vec![
                id("006", number).to_string(),
                some(random, &TEXTS),
                some(random, &STAGES),
                some(random, &DATES),
                reference(random, "001", 0, ACCOUNTS),
                id("005", 100 + random.random_range(0..OWNERS)).to_string(),
                reference(random, "003", 0, CONTACTS),
                some(random, &["true", "false"]),
                maybe(random, &TEXTS),
                maybe(random, &TEXTS),
                maybe(random, &TEXTS),
                maybe(random, &NUMBERS),
                maybe(random, &NUMBERS),
                maybe(
                    random,
                    &["0", "0.1", "0.5", "33.333333", "-2.75", "123456.789012"],
                ),
                selected.join(";"),
                maybe(random, &TIMES),
                some(random, &MOMENTS),
                maybe(random, &DATES),
                maybe(random, &MOMENTS),
                maybe(random, &MOMENTS),
                some(random, &["0", "1", "2", "17"]),
            ]
        })
        .collect();
    write(folder, "Opportunity", &header, &rows);
}

/// Most opportunities have a role or two.
fn write_roles(folder: &Path, random: &mut StdRng, opportunities: usize) {
    let roles: Vec<_> = (0..opportunities * 3 / 2)
        .map(|number| {
            [
                id("00K", number).to_string(),
                id("006", random.random_range(0..opportunities)).to_string(),
                id("003", random.random_range(0..CONTACTS)).to_string(),
            ]
        })
        .collect();
    let header = ["Id", "OpportunityId", "ContactId"];
    write(folder, "OpportunityContactRole", &header, &roles);
}
