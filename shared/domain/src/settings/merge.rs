//! Two documents made from the same one, put together.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Settings;

/// `mine` with what `theirs` changed in `base`. A part is a setting by its name; the filter is one
/// part, because its logic counts its rows.
///
/// # Errors
/// The names of the parts that both changed, each to something else.
pub fn merge(base: &Settings, theirs: &Settings, mine: &Settings) -> Result<Settings, Vec<String>> {
    let (base, theirs, mine) = (parts(base), parts(theirs), parts(mine));
    let mut merged = Map::new();
    let mut both = Vec::new();
    let names = base.keys().chain(theirs.keys()).chain(mine.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let of = |parts: &Map<String, Value>| parts.get(name).cloned();
        let (was, theirs, mine) = (of(&base), of(&theirs), of(&mine));
        let part = if theirs == was || theirs == mine {
            mine
        } else if mine == was {
            theirs
        } else {
            both.push(name.clone());
            None
        };
        // What is absent is as it comes.
        if let Some(part) = part {
            merged.insert(name.clone(), part);
        }
    }
    let merged = serde_json::from_value(Value::Object(merged));
    match merged {
        Ok(merged) if both.is_empty() => Ok(merged),
        _ => Err(both),
    }
}

fn parts(settings: &Settings) -> Map<String, Value> {
    // A settings document is always a JSON object.
    match serde_json::to_value(settings) {
        Ok(Value::Object(parts)) => parts,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Condition, Operator};

    fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
        let mut settings = Settings {
            org: Some("00D000000000001".parse().unwrap()),
            ..Settings::default()
        };
        change(&mut settings);
        settings
    }

    fn narrow(settings: &mut Settings) {
        settings.filter.conditions = vec![Condition {
            field: "Amount".to_owned(),
            operator: Operator::GreaterThan,
            values: vec!["1".to_owned()],
        }];
    }

    #[test]
    fn different_parts_go_together() {
        let base = settings(|_| {});
        let theirs = settings(narrow);
        let mine = settings(|settings| settings.disabled = true);
        let both = settings(|settings| {
            narrow(settings);
            settings.disabled = true;
        });
        assert_eq!(merge(&base, &theirs, &mine), Ok(both.clone()));
        assert_eq!(merge(&base, &mine, &theirs), Ok(both));
        assert_eq!(merge(&base, &mine, &mine), Ok(mine.clone()));
        assert_eq!(merge(&mine, &base, &mine), Ok(base));
    }

    #[test]
    fn the_same_part_is_named() {
        let base = settings(|_| {});
        let theirs = settings(narrow);
        let mine = settings(|settings| {
            settings.filter.logic = Some("1".to_owned());
            settings.disabled = true;
        });
        assert_eq!(merge(&base, &theirs, &mine), Err(vec!["filter".to_owned()]));
        let unpinned = settings(|settings| settings.org = None);
        let merged = merge(&base, &unpinned, &theirs);
        assert_eq!(merged.unwrap().org, None);
    }
}
