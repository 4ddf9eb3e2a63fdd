//! Random filters.

use domain::Row;
use domain::filter::{Condition, FieldType, FieldTypes, Filter, Operator, operators};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::org::{DATES, ITEMS, MOMENTS, TEXTS, id};

/// A filter over the fields, with values that the rows have, nearly have, or never have.
pub(crate) fn by_chance(random: &mut StdRng, types: &FieldTypes, rows: &[Row]) -> Filter {
    let count = random.random_range(1..=4);
    let conditions: Vec<Condition> = (0..count).map(|_| condition(random, types, rows)).collect();
    let logic = random.random_bool(0.7).then(|| logic(random, count));
    Filter { conditions, logic }
}

/// Every condition in its order, some twice, under random words.
fn logic(random: &mut StdRng, count: usize) -> String {
    let mut parts: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    if random.random_bool(0.3) {
        parts.push(random.random_range(1..=count).to_string());
    }
    while parts.len() > 1 {
        let taken = random.random_range(2..=parts.len());
        let word = *[" AND ", " OR "].choose(random).unwrap();
        let joined: Vec<String> = parts
            .drain(..taken)
            .map(|part| negated(random, part))
            .collect();
        parts.push(format!("({})", joined.join(word)));
    }
    let whole = parts.remove(0);
    negated(random, whole)
}

fn negated(random: &mut StdRng, part: String) -> String {
    if random.random_bool(0.35) {
        format!("NOT {part}")
    } else {
        part
    }
}

fn condition(random: &mut StdRng, types: &FieldTypes, rows: &[Row]) -> Condition {
    // First the type, so that rare types are not rare here.
    let mut kinds: Vec<FieldType> = types.values().copied().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kind = *kinds.choose(random).unwrap();
    let fields: Vec<_> = types.iter().filter(|(_, of)| **of == kind).collect();
    let (field, _) = *fields.choose(random).unwrap();
    let operator = *operators(field, kind).choose(random).unwrap();
    let mut values: Vec<String> = (0..random.random_range(1..=3))
        .map(|_| value(random, (field, kind, types), operator, rows))
        .collect();
    if matches!(operator, Operator::Equals | Operator::NotEqual) && random.random_bool(0.15) {
        match random.random_range(0..3) {
            0 => values.clear(),
            1 => values = vec![String::new()],
            _ => values.push(String::new()),
        }
    }
    Condition {
        field: field.clone(),
        operator,
        values,
    }
}

fn value(
    random: &mut StdRng,
    (field, kind, types): (&str, FieldType, &FieldTypes),
    operator: Operator,
    rows: &[Row],
) -> String {
    let own = own_value(random, field, rows).filter(|_| random.random_bool(0.7));
    match kind {
        FieldType::Text | FieldType::Picklist => text(random, own, operator),
        FieldType::MultiPicklist => items(random, own),
        FieldType::Boolean => ["true", "FALSE", "false"]
            .choose(random)
            .unwrap()
            .to_string(),
        FieldType::Currency if types.contains_key("CurrencyIsoCode") => money(random, own),
        FieldType::Number | FieldType::Currency | FieldType::Percent => number(random, own),
        FieldType::Date if random.random_bool(0.5) => literal(random),
        FieldType::DateTime if random.random_bool(0.4) => literal(random),
        FieldType::Date => own.unwrap_or_else(|| any(random, &DATES)),
        FieldType::DateTime => moment(random, own),
        FieldType::Time => own.unwrap_or_else(|| any(random, &["10:15", "10:15:30.5", "23:00:00"])),
        FieldType::Id | FieldType::Reference => record(random, own, operator),
    }
}

fn any(random: &mut StdRng, choices: &[&str]) -> String {
    (*choices.choose(random).unwrap()).to_owned()
}

/// The field of one of the rows; `None` where it is blank.
fn own_value(random: &mut StdRng, field: &str, rows: &[Row]) -> Option<String> {
    let fields = rows.choose(random)?.fields().ok()?;
    let raw = fields.raw(field)?;
    let value: serde_json::Value = serde_json::from_str(&raw).ok()?;
    if value.is_null() {
        return None;
    }
    Some(
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    )
}

/// A text, a piece of it, or the same in other letters.
fn text(random: &mut StdRng, own: Option<String>, operator: Operator) -> String {
    let in_pattern = matches!(
        operator,
        Operator::StartsWith | Operator::Contains | Operator::NotContain
    );
    if in_pattern && random.random_bool(0.25) {
        // Each is a wildcard or has one, and would fit more rows if it were read as one.
        return any(random, &["_", "%", "a_b", "100%", "n_c", "a%b"]);
    }
    let whole = own.unwrap_or_else(|| any(random, &TEXTS));
    let length = whole.chars().count();
    let mut text = whole.clone();
    if operator == Operator::StartsWith {
        let taken = random.random_range(1..=length);
        text = whole.chars().take(taken).collect();
    } else if in_pattern {
        let from = random.random_range(0..length);
        let taken = random.random_range(1..=length - from);
        text = whole.chars().skip(from).take(taken).collect();
    }
    match random.random_range(0..12) {
        0 | 1 => text = text.to_uppercase(),
        2 | 3 => text = text.to_lowercase(),
        4 => text = format!(" {text}"),
        5 => text.push(' '),
        6 if random.random_bool(0.2) => text = text.repeat(2_000),
        _ => {}
    }
    text
}

fn items(random: &mut StdRng, own: Option<String>) -> String {
    if let Some(own) = own {
        let mut parts: Vec<&str> = own.split(';').collect();
        if random.random_bool(0.5) {
            parts.reverse();
        }
        if random.random_bool(0.4) {
            parts.truncate(1);
        }
        return parts.join(if random.random_bool(0.3) { " ; " } else { ";" });
    }
    let chosen: Vec<&str> = ITEMS
        .into_iter()
        .filter(|_| random.random_bool(0.3))
        .collect();
    if chosen.is_empty() {
        "Nowhere".to_owned()
    } else {
        chosen.join(";").to_uppercase()
    }
}

fn number(random: &mut StdRng, own: Option<String>) -> String {
    const AWKWARD: [&str; 16] = [
        "0",
        "-0",
        "1.5E3",
        "1e-300",
        "-1e-300",
        "1e30",
        "-1e30",
        "0.1000000000000000055511151231257827",
        "9007199254740992",
        "9007199254740993",
        "2147483648",
        "-2147483649",
        "1.5",
        "-0.5",
        "75.0",
        "+.5",
    ];
    match (own, random.random_range(0..4)) {
        (Some(own), 0) => format!("{own}{}", if own.contains('.') { "01" } else { ".01" }),
        (Some(own), _) if !own.contains('e') => own,
        _ => any(random, &AWKWARD),
    }
}

/// Any of the literals, as SOQL or as list views spell it.
pub(crate) fn literal(random: &mut StdRng) -> String {
    const UNITS: [(&str, u32); 7] = [
        ("DAY", 400),
        ("WEEK", 60),
        ("MONTH", 14),
        ("QUARTER", 5),
        ("YEAR", 3),
        ("FISCAL_QUARTER", 5),
        ("FISCAL_YEAR", 2),
    ];
    let (unit, most) = *UNITS.choose(random).unwrap();
    let n = random.random_range(1..=most);
    let text = match random.random_range(0..5) {
        0 if unit == "DAY" => any(
            random,
            &[
                "YESTERDAY",
                "TODAY",
                "TOMORROW",
                "LAST_90_DAYS",
                "NEXT_90_DAYS",
            ],
        ),
        0 | 1 if unit != "DAY" => format!("{}_{unit}", any(random, &["LAST", "THIS", "NEXT"])),
        2 => format!("N_{unit}S_AGO:{n}"),
        3 => format!("NEXT_N_{unit}S:{n}"),
        _ => format!("LAST_N_{unit}S:{n}"),
    };
    if random.random_bool(0.3) {
        let number = format!("_{n}_");
        let shown = match text.split_once(':') {
            Some((name, _)) => format!("_{name}").replacen("_N_", &number, 1),
            None => text,
        };
        return shown.trim_matches('_').replace('_', " ");
    }
    text
}

/// With or without a currency.
fn money(random: &mut StdRng, own: Option<String>) -> String {
    let plain = number(random, own);
    let code = any(random, &["", "USD", "EUR", "jpy", "KWD"]);
    format!("{code}{plain}")
}

fn moment(random: &mut StdRng, own: Option<String>) -> String {
    const AWKWARD: [&str; 6] = [
        "2026-01-31T13:00:00+01:00",
        "2026-01-30T19:00:00-05:00",
        "2026-01-31T12:00:00.000001Z",
        "2026-01-31T12:00:00.5Z",
        "1600-01-01T00:00:00Z",
        "5000-12-31T23:59:59Z",
    ];
    match random.random_range(0..5) {
        0 => any(random, &DATES),
        1 => any(random, &AWKWARD),
        2 => any(random, &MOMENTS),
        _ => own.unwrap_or_else(|| "0001-01-01".to_owned()),
    }
}

fn record(random: &mut StdRng, own: Option<String>, operator: Operator) -> String {
    let whole = own.unwrap_or_else(|| id("001", random.random_range(0..20)).to_string());
    let taken = if operator == Operator::StartsWith {
        random.random_range(1..=18)
    } else if random.random_bool(0.3) {
        15
    } else {
        18
    };
    whole.chars().take(taken).collect()
}
