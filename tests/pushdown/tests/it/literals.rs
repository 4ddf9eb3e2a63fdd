//! Each date literal, as it is counted here and as the stand-in org's own queries count it.

use domain::filter::{BlankRule, Condition, FieldTypes, Filter, Meaning, Operator, ZoneOf};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::filters;
use crate::org::Filled;

const ORGS: u64 = 40;
const LITERALS: usize = 25;
const SIGNS: [(Operator, &str); 6] = [
    (Operator::Equals, "="),
    (Operator::NotEqual, "!="),
    (Operator::LessThan, "<"),
    (Operator::LessOrEqual, "<="),
    (Operator::GreaterThan, ">"),
    (Operator::GreaterOrEqual, ">="),
];

/// As SOQL spells it: `LAST 7 DAYS` is `LAST_N_DAYS:7`.
fn in_soql(literal: &str) -> String {
    let joined = literal.replace(' ', "_");
    let number = joined.split('_').find(|part| part.parse::<u32>().is_ok());
    match number {
        Some(number) if !joined.contains(':') && !joined.contains("_90_DAYS") => {
            let padded = format!("_{joined}").replacen(&format!("_{number}_"), "_N_", 1);
            format!("{}:{number}", padded.trim_start_matches('_'))
        }
        _ => joined,
    }
}

/// The running user's days are those of the user's zone and locale, for both.
fn check(filled: &Filled, field: &str, literal: &str) -> bool {
    let types: FieldTypes = [(field.to_owned(), filled.types[field])].into();
    let mut defined = false;
    for (operator, sign) in SIGNS {
        let filter = Filter {
            conditions: vec![Condition {
                field: field.to_owned(),
                operator,
                values: vec![literal.to_owned()],
            }],
            logic: None,
        };
        let meaning = Meaning {
            org: &filled.profile,
            zone: ZoneOf::User,
            blanks: BlankRule::Keep,
        };
        let compiled = filter.compile(&types, meaning).unwrap();
        let soql = format!(
            "SELECT Id FROM Opportunity WHERE {field} {sign} {}",
            in_soql(literal)
        );
        let answer = filled.org.query(&soql, false);
        defined = compiled.undefined(filled.now).is_empty();
        assert_eq!(answer.is_ok(), defined, "{soql} at {}", filled.now);
        let Ok(rows) = answer else { continue };
        let asked: Vec<_> = rows
            .iter()
            .map(|row| row["Id"].as_str().unwrap().to_owned())
            .collect();
        let judged: Vec<_> = filled
            .rows
            .iter()
            .map(|row| row.fields().unwrap())
            .filter(|fields| compiled.matches(fields, filled.now))
            .map(|fields| fields.text("Id").unwrap())
            .collect();
        assert_eq!(
            asked, judged,
            "{soql} at {} in {:?}",
            filled.now, filled.profile
        );
    }
    defined
}

#[test]
fn literals_name_the_same_days_in_both() {
    let (mut defined, mut undefined) = (0, 0);
    for seed in 0..ORGS {
        let mut random = StdRng::seed_from_u64(seed);
        let filled = Filled::by_chance(&mut random, 60);
        for _ in 0..LITERALS {
            let literal = filters::literal(&mut random);
            for field in [
                "CloseDate",
                "LastActivityDate",
                "CreatedDate",
                "LastViewedDate",
            ] {
                if check(&filled, field, &literal) {
                    defined += 1;
                } else {
                    undefined += 1;
                }
            }
        }
    }
    println!("{defined} questions answered alike, {undefined} refused alike");
    assert!(defined > 2_000 && undefined > 20);
}
