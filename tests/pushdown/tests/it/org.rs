//! A stand-in org with awkward opportunities.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::filter::{FieldType, FieldTypes};
use domain::org::{Currencies, Fiscal, OrgProfile, Period, PeriodKind, Weekday};
use domain::{Row, SalesforceId, Timestamp};
use fake_salesforce::commit::Clock;
use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use fake_salesforce::setup_fields::CustomField;
use fake_salesforce::setup_org::{NewFiscalYear, OrgCurrencies};
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
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

/// When an org's day is: around midnight, clock changes and leap days of several zones.
const NOWS: [&str; 10] = [
    "2026-06-15T12:00:00.25Z",
    "2026-03-08T04:59:59Z",
    "2026-03-08T05:00:00Z",
    "2026-03-29T00:30:00Z",
    "2026-10-25T12:00:00Z",
    "2026-11-02T04:59:59.999Z",
    "2024-02-29T18:14:59Z",
    "2024-12-31T23:30:00Z",
    "2018-11-04T03:00:00Z",
    "2027-02-05T12:00:00Z",
];
const ZONES: [&str; 7] = [
    "GMT",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Africa/Cairo",
];
const LOCALES: [(&str, Weekday); 3] = [
    ("en_US", Weekday::Sunday),
    ("de_DE", Weekday::Monday),
    ("ar_EG", Weekday::Saturday),
];
/// Days that literals are near to or far from.
const AROUND: [u64; 16] = [0, 0, 1, 1, 2, 6, 7, 8, 30, 31, 60, 90, 91, 120, 366, 800];
const CURRENCIES: [(&str, &str, f64); 4] = [
    ("USD", "1", 1.0),
    ("EUR", "0.8", 0.8),
    ("JPY", "151.25", 151.25),
    ("KWD", "0.3", 0.3),
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
    pub(crate) now: Timestamp,
    /// What the org was set up as.
    pub(crate) profile: OrgProfile,
    pub(crate) types: FieldTypes,
    /// The rows of all opportunities with all fields, in id order.
    pub(crate) rows: Vec<Row>,
}

impl Filled {
    /// So many opportunities, and what belongs to them, from chance.
    pub(crate) fn by_chance(random: &mut StdRng, opportunities: usize) -> Self {
        let now = Timestamp::parse(NOWS.choose(random).unwrap()).unwrap();
        let org = empty(Arc::new(move || now.as_micros()));
        let (profile, record_types) = set_up(&org, random);
        let folder = tempfile::tempdir().unwrap();
        let world = World {
            folder: folder.path(),
            now,
            currencies: profile.currencies.is_some(),
            record_types,
        };
        world.write_parents(random);
        world.write_opportunities(random, opportunities);
        write_roles(folder.path(), random, opportunities);
        org.load_dir(folder.path()).unwrap();
        let types = types(&org);
        let mut fields: Vec<_> = types.keys().cloned().collect();
        if profile.currencies.is_some() {
            fields.push("Account.CurrencyIsoCode".to_owned());
        }
        let soql = format!("SELECT {} FROM Opportunity ORDER BY Id", fields.join(", "));
        let rows = org.query(&soql, false).unwrap();
        let rows = rows.iter().map(|row| Row::of(row).unwrap()).collect();
        Self {
            org,
            now,
            profile,
            types,
            rows,
        }
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
pub(crate) fn empty(clock: Clock) -> Arc<Org> {
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

/// Zones, weeks, fiscal years, currencies and record types from chance, and the ids of the latter.
fn set_up(org: &Org, random: &mut StdRng) -> (OrgProfile, Vec<String>) {
    let mut some = |choices: &[&'static str]| *choices.choose(random).unwrap();
    let (zone, user_zone) = (some(&ZONES), some(&ZONES));
    let (locale, first_weekday) = *LOCALES.choose(random).unwrap();
    let (user_locale, user_first_weekday) = *LOCALES.choose(random).unwrap();
    let start_month = random.random_range(1..=12_u8);
    update(
        org,
        "Organization",
        org.org_id(),
        json!({"TimeZoneSidKey": zone, "DefaultLocaleSidKey": locale, "FiscalYearStartMonth": start_month}),
    );
    update(
        org,
        "User",
        org.admin_id(),
        json!({"TimeZoneSidKey": user_zone, "LocaleSidKey": user_locale}),
    );
    let fiscal = if random.random_bool(0.3) {
        custom_years(org)
    } else {
        Fiscal::Standard { start_month }
    };
    let currencies = random.random_bool(0.4).then(|| currencies(org));
    let mut record_types = Vec::new();
    if random.random_bool(0.4) {
        for (developer_name, name) in RECORD_TYPES {
            let wanted =
                json!({"entity": "Opportunity", "developer_name": developer_name, "name": name});
            let wanted = serde_json::from_value(wanted).unwrap();
            record_types.push(org.add_record_type(&wanted).unwrap());
        }
    }
    let profile = OrgProfile {
        id: SalesforceId::parse(org.org_id()).ok(),
        is_sandbox: false,
        time_zone: zone.to_owned(),
        first_weekday,
        user_time_zone: user_zone.to_owned(),
        user_first_weekday,
        fiscal,
        currencies,
    };
    (profile, record_types)
}

const RECORD_TYPES: [(&str, &str); 2] = [("New_Business", "New Business"), ("Renewal", "Renewal")];

fn update(org: &Org, entity: &str, id: &str, fields: serde_json::Value) {
    let update = Dml::Update {
        entity: entity.to_owned(),
        id: id.to_owned(),
        fields: fields.as_object().unwrap().clone(),
    };
    let done = org.transact(org.admin_id(), "", vec![update]).unwrap();
    assert!(done.iter().all(fake_salesforce::dml::DmlResult::success));
}

/// Years of 52 and 53 weeks; those before 2024 and after 2027 are not defined.
fn custom_years(org: &Org) -> Fiscal {
    let starts = [
        "2024-02-04",
        "2025-02-02",
        "2026-02-01",
        "2027-02-07",
        "2028-02-06",
    ];
    let day = |text: &str| text.parse::<Date>().unwrap();
    let mut periods = Vec::new();
    let mut years = Vec::new();
    for pair in starts.windows(2) {
        let (start, end) = (day(pair[0]), day(pair[1]).yesterday().unwrap());
        let quarters: Vec<Date> = [0, 13, 26, 39]
            .map(|weeks| start.checked_add(Span::new().weeks(weeks)).unwrap())
            .into();
        let kind = PeriodKind::Year;
        periods.push(Period { kind, start, end });
        for (place, first) in quarters.iter().enumerate() {
            let next = quarters
                .get(place + 1)
                .map(|next| next.yesterday().unwrap());
            periods.push(Period {
                kind: PeriodKind::Quarter,
                start: *first,
                end: next.unwrap_or(end),
            });
        }
        let quarters: Vec<String> = quarters.iter().map(ToString::to_string).collect();
        years.push(json!({"name": format!("FY {start}"), "quarters": quarters, "end": end}));
    }
    let years: Vec<NewFiscalYear> = serde_json::from_value(years.into()).unwrap();
    org.define_fiscal_years(&years).unwrap();
    periods.sort_unstable();
    Fiscal::Custom { periods }
}

fn currencies(org: &Org) -> Currencies {
    let others = CURRENCIES[1..].iter();
    org.enable_currencies(&OrgCurrencies {
        corporate: CURRENCIES[0].0.to_owned(),
        others: others
            .map(|(code, _, rate)| ((*code).to_owned(), *rate))
            .collect(),
        dated: Vec::new(),
    })
    .unwrap();
    Currencies {
        corporate: CURRENCIES[0].0.to_owned(),
        rates: CURRENCIES
            .iter()
            .map(|(code, rate, _)| ((*code).to_owned(), (*rate).to_owned()))
            .collect(),
        dated: Vec::new(),
    }
}

/// The types of every field of Opportunity that can be filtered by, as describe names them, and of
/// some of its parents.
fn types(org: &Org) -> FieldTypes {
    let opportunity = org.entity("Opportunity").unwrap();
    let mut types: FieldTypes = opportunity
        .fields
        .iter()
        .filter(|field| field.filterable)
        .map(|field| {
            let field_type = FieldType::of_describe(field.kind.name()).unwrap();
            (field.name.to_owned(), field_type)
        })
        .collect();
    types.insert("Account.AnnualRevenue".to_owned(), FieldType::Currency);
    types.insert("Account.Industry".to_owned(), FieldType::Picklist);
    if types.contains_key("RecordTypeId") {
        types.insert("RecordType.DeveloperName".to_owned(), FieldType::Text);
        types.insert("RecordType.Name".to_owned(), FieldType::Text);
    }
    types
}

fn write<R: AsRef<[String]>>(folder: &Path, object: &str, header: &[&str], rows: &[R]) {
    let mut file = csv::Writer::from_path(folder.join(format!("{object}.csv"))).unwrap();
    file.write_record(header).unwrap();
    for row in rows {
        file.write_record(row.as_ref()).unwrap();
    }
    file.flush().unwrap();
}

/// Where the files of an org are written, and what it has.
struct World<'w> {
    folder: &'w Path,
    now: Timestamp,
    currencies: bool,
    record_types: Vec<String>,
}

impl World<'_> {
    fn write_parents(&self, random: &mut StdRng) {
        let folder = self.folder;
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
            .map(|number| {
                let mut row = vec![
                    id("001", number).to_string(),
                    "Account".to_owned(),
                    maybe(random, &["0", "80", "100", "12500", "1500"]),
                    maybe(random, &["Energy", "energy", "Banking"]),
                ];
                row.extend(self.currency(random));
                row
            })
            .collect();
        let mut header = vec!["Id", "Name", "AnnualRevenue", "Industry"];
        header.extend(self.currencies.then_some("CurrencyIsoCode"));
        write(folder, "Account", &header, &accounts);
        let contacts: Vec<_> = (0..CONTACTS)
            .map(|number| [id("003", number).to_string(), "Contact".to_owned()])
            .collect();
        write(folder, "Contact", &["Id", "LastName"], &contacts);
    }

    fn currency(&self, random: &mut StdRng) -> Option<String> {
        let (code, ..) = CURRENCIES.choose(random).unwrap();
        self.currencies.then(|| (*code).to_owned())
    }

    /// A day near today, or an awkward one.
    fn day(&self, random: &mut StdRng) -> String {
        if random.random_bool(0.3) {
            return (*DATES.choose(random).unwrap()).to_owned();
        }
        let away = *AROUND.choose(random).unwrap();
        let away = Duration::from_hours(away * 24);
        let at = if random.random_bool(0.5) {
            self.now.after(away)
        } else {
            self.now.before(away)
        };
        at.to_soql()[..10].to_owned()
    }

    /// A moment near the beginning of a day near today, or an awkward one.
    fn moment(&self, random: &mut StdRng) -> String {
        if random.random_bool(0.3) {
            return (*MOMENTS.choose(random).unwrap()).to_owned();
        }
        let zone = TimeZone::get(ZONES.choose(random).unwrap()).unwrap();
        let day: Date = self.day(random).parse().unwrap();
        let start = day.to_zoned(zone).unwrap().timestamp().as_second();
        let start = start + random.random_range(-1..=1);
        Timestamp::from_micros(start * 1_000_000).to_string()
    }
}

/// The value, or nothing.
fn optional(value: String, random: &mut StdRng) -> String {
    if random.random_bool(0.25) {
        String::new()
    } else {
        value
    }
}

/// One of the choices, or nothing.
fn maybe(random: &mut StdRng, choices: &[&str]) -> String {
    if random.random_bool(0.25) {
        return String::new();
    }
    (*choices.choose(random).unwrap()).to_owned()
}

impl World<'_> {
    fn write_opportunities(&self, random: &mut StdRng, opportunities: usize) {
        let mut header = vec![
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
        header.extend(self.currencies.then_some("CurrencyIsoCode"));
        header.extend((!self.record_types.is_empty()).then_some("RecordTypeId"));
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
                let mut row = vec![
                    id("006", number).to_string(),
                    some(random, &TEXTS),
                    some(random, &STAGES),
                    self.day(random),
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
                    self.moment(random),
                    optional(self.day(random), random),
                    optional(self.moment(random), random),
                    optional(self.moment(random), random),
                    some(random, &["0", "1", "2", "17"]),
                ];
                row.extend(self.currency(random));
                if !self.record_types.is_empty() {
                    let record_type = self.record_types.choose(random).cloned();
                    row.push(optional(record_type.unwrap_or_default(), random));
                }
                row
            })
            .collect();
        write(self.folder, "Opportunity", &header, &rows);
    }
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
