//! What two settings documents differ in: field by field, lists row by row.
//!
//! It works on the documents as they are stored, so a setting is compared from the day it exists.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Settings;

/// More rows than any list of a document that was accepted has; longer ones are compared place by
/// place.
const ALIGNED_ROWS: usize = 400;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where in the document, such as `disabled` or `filter.conditions`.
    pub path: String,
    /// The name that people know it by.
    pub label: String,
    /// Which rows of a list, counted from 1; absent for what is no list.
    pub rows: Option<Rows>,
    /// What it was; null where it was not there.
    pub before: Value,
    /// What it becomes; null where it goes away.
    pub after: Value,
    /// The difference as a sentence, with values: for those who may read the settings.
    pub words: String,
}

/// The places of a row in the list of the older and of the newer document, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Absent for a row that is new.
    pub before: Option<usize>,
    /// Absent for a row that goes away.
    pub after: Option<usize>,
}

impl Change {
    fn new(path: &str, rows: Option<Rows>, before: Value, after: Value) -> Self {
        let label = label_of(path);
        let place = rows.map(Rows::in_words).unwrap_or_default();
        let told = match (&before, &after) {
            (Value::Null, after) if rows.is_some() => format!("added: {}", value(after)),
            (before, Value::Null) if rows.is_some() => format!("removed: {}", value(before)),
            (before, after) => format!("{} \u{2192} {}", value(before), value(after)),
        };
        Self {
            path: path.to_owned(),
            words: format!("{label}{place}: {told}"),
            label,
            rows,
            before,
            after,
        }
    }

    /// The difference without values that may be personal: for logs.
    #[must_use]
    pub fn discreet(&self) -> String {
        let Self { path, label, .. } = self;
        let place = self.rows.map(Rows::in_words).unwrap_or_default();
        let deed = match (&self.before, &self.after) {
            (Value::Null, _) => "added",
            (_, Value::Null) => "removed",
            _ => "changed",
        };
        if path == "filter.conditions" {
            let about = |row: &Value| row.get("field").and_then(Value::as_str).map(str::to_owned);
            let fields = [about(&self.before), about(&self.after)];
            let fields = fields.into_iter().flatten().collect::<BTreeSet<_>>();
            let fields = fields.into_iter().collect::<Vec<_>>().join(", ");
            return format!("{label}{place} {deed} ({fields})");
        }
        let plain = |value: &Value| matches!(value, Value::Bool(_) | Value::Number(_));
        if ["org", "zone", "blanks"].contains(&path.as_str())
            || (plain(&self.before) && plain(&self.after))
        {
            return self.words.clone();
        }
        format!("{label} {deed}")
    }
}

impl Rows {
    fn in_words(self) -> String {
        match self {
            Self {
                before: Some(before),
                after: Some(after),
            } if before != after => format!(" {before} (now {after})"),
            Self {
                before: Some(row), ..
            }
            | Self {
                after: Some(row), ..
            } => format!(" {row}"),
            Self {
                before: None,
                after: None,
            } => String::new(),
        }
    }
}

/// The name under which people know a place in the document: that of the settings page, where it
/// has one.
#[must_use]
pub fn label_of(path: &str) -> String {
    match path {
        "admin_emails" => "mOS Admin Email Notification",
        "disabled" => "Disable mOS Sync",
        "run_in_sandbox" => "Run In Sandbox",
        "sync_closed" => "Sync closed opportunities",
        "blanks" => "Blank fields in the filter's negations",
        "zone" => "Zone of the filter's dates",
        "filter.conditions" => "Opportunity Filter, condition",
        "filter.logic" => "Opportunity Filter, logic",
        "frequency" => "Frequency of syncs",
        "api_share.percent" => "Share of the API allowance, percent",
        "api_share.reserve" => "API allowance kept for the org, percent",
        "mapping" => "Field Mapping, row",
        "org" => "Connected org",
        other => return other.replace(['.', '_'], " "),
    }
    .to_owned()
}

/// Everything that differs, in the document's order; empty when nothing does.
#[must_use]
pub fn diff(before: &Settings, after: &Settings) -> Vec<Change> {
    let mut changes = Vec::new();
    // A settings document always has a JSON form.
    if let (Ok(before), Ok(after)) = (serde_json::to_value(before), serde_json::to_value(after)) {
        compare("", before, after, &mut changes);
    }
    changes
}

fn compare(path: &str, before: Value, after: Value, changes: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(mut before), Value::Object(mut after)) => {
            let old = before.keys().chain(after.keys()).cloned();
            let mut seen = BTreeSet::new();
            let names = old
                .filter(|name| seen.insert(name.clone()))
                .collect::<Vec<_>>();
            for name in names {
                let at = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                let take = |from: &mut serde_json::Map<String, Value>| {
                    from.get_mut(&name).map(Value::take).unwrap_or_default()
                };
                let (before, after) = (take(&mut before), take(&mut after));
                compare(&at, before, after, changes);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (rows, before, after) in pairs(before, after) {
                changes.push(Change::new(path, Some(rows), before, after));
            }
        }
        (before, after) => changes.push(Change::new(path, None, before, after)),
    }
}

/// The rows that differ. Rows that are the same in both lists, in the same order, stand still (the
/// longest common subsequence); what stands between two of them is paired in order.
fn pairs(before: Vec<Value>, after: Vec<Value>) -> Vec<(Rows, Value, Value)> {
    let common = if before.len().max(after.len()) <= ALIGNED_ROWS {
        common(&before, &after)
    } else {
        Vec::new()
    };
    let ends = (before.len(), after.len());
    let mut pairs = Vec::new();
    let (mut old, mut new) = (
        before.into_iter().enumerate(),
        after.into_iter().enumerate(),
    );
    let (mut from_old, mut from_new) = (0, 0);
    for (same_old, same_new) in common.into_iter().chain([ends]) {
        let gone = old.by_ref().take(same_old - from_old).collect::<Vec<_>>();
        let come = new.by_ref().take(same_new - from_new).collect::<Vec<_>>();
        let (mut gone, mut come) = (gone.into_iter(), come.into_iter());
        loop {
            let (before, after) = (gone.next(), come.next());
            if before.is_none() && after.is_none() {
                break;
            }
            let place = |row: &Option<(usize, Value)>| row.as_ref().map(|(place, _)| place + 1);
            let rows = Rows {
                before: place(&before),
                after: place(&after),
            };
            let value = |row: Option<(usize, Value)>| row.map(|(_, value)| value);
            pairs.push((
                rows,
                value(before).unwrap_or_default(),
                value(after).unwrap_or_default(),
            ));
        }
        old.next();
        new.next();
        (from_old, from_new) = (same_old + 1, same_new + 1);
    }
    pairs
}

/// The places of a longest common subsequence.
fn common(before: &[Value], after: &[Value]) -> Vec<(usize, usize)> {
    // lengths[i][j]: how long it is of what follows i and j.
    let mut lengths = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    let at = |lengths: &[Vec<usize>], i: usize, j: usize| {
        let row = lengths.get(i).and_then(|row| row.get(j));
        row.copied().unwrap_or(0)
    };
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            let length = if old == new {
                at(&lengths, i + 1, j + 1) + 1
            } else {
                at(&lengths, i + 1, j).max(at(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = length;
            }
        }
    }
    let mut places = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(old), Some(new)) = (before.get(i), after.get(j)) {
        if old == new {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if at(&lengths, i + 1, j) >= at(&lengths, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}

/// A value as people write it.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(row) if row.contains_key("operator") => condition(row),
        Value::Object(row) if row.contains_key("mos_field") => mapping_row(row),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// `Opportunity arr from ARR__c`.
fn mapping_row(row: &serde_json::Map<String, Value>) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let unit = match text("contract_term_type") {
        "" => String::new(),
        unit => format!(" ({unit})"),
    };
    let active = row.get("active").and_then(Value::as_bool) != Some(false);
    format!(
        "{} {} from {}{unit}{}",
        text("object"),
        text("mos_field"),
        text("salesforce_field"),
        if active { "" } else { ", not active" }
    )
}

/// `Amount greater_than 50000`.
fn condition(row: &serde_json::Map<String, Value>) -> String {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let values = row.get("values").and_then(Value::as_array);
    let values = values.into_iter().flatten().filter_map(Value::as_str);
    let values = values.collect::<Vec<_>>().join(", ");
    let values = if values.is_empty() { "blank" } else { &values };
    format!("{} {} {values}", text("field"), text("operator"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::{Condition, Operator};

    fn row(field: &str, value: &str) -> Condition {
        Condition {
            field: field.to_owned(),
            operator: Operator::Equals,
            values: vec![value.to_owned()],
        }
    }

    fn with(rows: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        settings.filter.conditions = rows
            .iter()
            .map(|(field, value)| row(field, value))
            .collect();
        settings
    }

    fn words(before: &Settings, after: &Settings) -> Vec<String> {
        let changes = diff(before, after).into_iter();
        changes.map(|change| change.words).collect()
    }

    #[test]
    fn every_setting_has_its_name() {
        let all = Settings {
            org: Some("00D000000000001".parse().unwrap()),
            ..Settings::default()
        };
        let document = serde_json::to_value(all).unwrap();
        for key in document.as_object().unwrap().keys() {
            assert!(
                ["filter", "api_share"].contains(&key.as_str())
                    || label_of(key) != key.replace('_', " "),
                "{key} has no label"
            );
        }
    }

    #[test]
    fn a_row_put_in_front_moves_no_other() {
        let before = with(&[("A", "1"), ("B", "2"), ("C", "3")]);
        let mut after = with(&[("X", "0"), ("A", "1"), ("C", "4")]);
        after.disabled = true;
        after.filter.logic = Some("1 OR 2".to_owned());
        assert_eq!(
            words(&before, &after),
            [
                "Disable mOS Sync: off \u{2192} on",
                "Opportunity Filter, condition 1: added: X equals 0",
                "Opportunity Filter, condition 2 (now 3): B equals 2 \u{2192} C equals 4",
                "Opportunity Filter, condition 3: removed: C equals 3",
                "Opportunity Filter, logic: not set \u{2192} 1 OR 2",
            ]
        );
    }

    #[test]
    fn logs_are_told_no_value() {
        let before = with(&[("Name", "Anna Meier")]);
        let mut after = with(&[("Name", "Otto")]);
        after.admin_emails = vec!["ada@example.com".to_owned()];
        after.sync_closed = true;
        let told = diff(&before, &after);
        let told = told.iter().map(Change::discreet).collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                "mOS Admin Email Notification added",
                "Sync closed opportunities: off \u{2192} on",
                "Opportunity Filter, condition 1 changed (Name)",
            ]
        );
    }

    /// The newer list, made of the older one and the differences alone.
    fn replayed(before: &[Condition], changes: &[Change]) -> Vec<Value> {
        let gone = |place: usize| {
            changes
                .iter()
                .any(|c| c.rows.unwrap().before == Some(place))
        };
        let kept = (1..).zip(before).filter(|(place, _)| !gone(*place));
        let mut rows = kept
            .map(|(_, row)| serde_json::to_value(row).unwrap())
            .collect::<Vec<_>>();
        let mut come = changes
            .iter()
            .filter_map(|change| Some((change.rows.unwrap().after?, change.after.clone())))
            .collect::<Vec<_>>();
        come.sort_by_key(|(place, _)| *place);
        for (place, row) in come {
            rows.insert(place - 1, row);
        }
        rows
    }

    proptest! {
        #[test]
        fn the_differences_make_the_one_of_the_other(
            before in proptest::collection::vec(0..5_u8, 0..8),
            after in proptest::collection::vec(0..5_u8, 0..8),
        ) {
            let rows = |numbers: &[u8]| {
                numbers.iter().map(|n| row("A", &n.to_string())).collect::<Vec<_>>()
            };
            let (mut old, mut new) = (Settings::default(), Settings::default());
            old.filter.conditions = rows(&before);
            new.filter.conditions = rows(&after);
            let changes = diff(&old, &new);
            let wanted = new.filter.conditions.iter().map(|row| serde_json::to_value(row).unwrap());
            prop_assert_eq!(replayed(&old.filter.conditions, &changes), wanted.collect::<Vec<_>>());
            prop_assert_eq!(changes.is_empty(), before == after);
        }
    }
}
