//! What stands in the form of mOS Settings, right or wrong, and the document that it makes.

use std::collections::BTreeMap;

use domain::allowance::{ApiShare, ShareFault};
use domain::filter::{BlankRule, Condition, MAX_CONDITIONS, ZoneOf};
use domain::frequency::Frequency;
use domain::settings::Settings;
use serde_json::{Value, json};

use super::values;
use crate::views::{FaultView, SettingsView};

/// The frequency that needs a time beside it.
pub(super) const DAILY: &str = "daily";

/// The form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// The revision that it was made from.
    pub(super) base: u64,
    pub(super) emails: String,
    pub(super) frequency: String,
    pub(super) daily_at: String,
    pub(super) sync_closed: bool,
    pub(super) disabled: bool,
    pub(super) run_in_sandbox: bool,
    pub(super) percent: String,
    pub(super) reserve: String,
    pub(super) rows: Vec<WrittenRow>,
    pub(super) logic: String,
    pub(super) blanks: String,
    pub(super) zone: String,
}

/// A row of the filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WrittenRow {
    pub(super) field: String,
    pub(super) operator: String,
    pub(super) values: Vec<String>,
    /// The field for which operators and values were offered.
    pub(super) was: String,
}

/// What is wrong, by the name of the form's field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::pages) struct Faults(BTreeMap<String, Vec<String>>);

impl Faults {
    pub(in crate::pages) fn add(&mut self, field: impl Into<String>, sentence: impl Into<String>) {
        let sentences = self.0.entry(field.into()).or_default();
        let sentence = sentence.into();
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }

    pub(in crate::pages) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many fields are wrong.
    pub(in crate::pages) fn len(&self) -> usize {
        self.0.len()
    }

    /// What is wrong with a field.
    pub(in crate::pages) fn of(&self, field: &str) -> Option<String> {
        self.0.get(field).map(|sentences| sentences.join(" "))
    }

    /// What belongs to no field of the form.
    pub(in crate::pages) fn elsewhere(&self) -> Option<String> {
        self.of("")
    }
}

impl Written {
    /// The settings in force.
    pub(super) fn of(view: &SettingsView) -> Self {
        Self::of_settings(view.revision, &view.settings)
    }

    pub(super) fn of_settings(base: u64, settings: &Settings) -> Self {
        let frequency = settings.frequency.to_string();
        let (frequency, daily_at) = match frequency.strip_prefix("daily_at_") {
            Some(time) => (DAILY.to_owned(), time.to_owned()),
            None => (frequency, String::new()),
        };
        let share = json!(settings.api_share);
        let number = |name: &str| share.get(name).map(Value::to_string).unwrap_or_default();
        Self {
            base,
            emails: settings.admin_emails.join(", "),
            frequency,
            daily_at,
            sync_closed: settings.sync_closed,
            disabled: settings.disabled,
            run_in_sandbox: settings.run_in_sandbox,
            percent: number("percent"),
            reserve: number("reserve"),
            rows: settings.filter.conditions.iter().map(row).collect(),
            logic: settings.filter.logic.clone().unwrap_or_default(),
            blanks: name_of(json!(settings.blanks)),
            zone: name_of(json!(settings.zone)),
        }
    }

    /// As it was sent.
    pub(super) fn read(pairs: &[(String, String)]) -> Self {
        let text = |name: &str| {
            let found = pairs.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let is_on = |name: &str| pairs.iter().any(|(known, _)| known == name);
        // A row more than may be: it is refused in words, and not cut off.
        let rows = (1..=MAX_CONDITIONS + 1).take_while(|number| is_on(&format!("field.{number}")));
        let rows = rows.map(|number| {
            let ticked = pairs
                .iter()
                .filter(|(name, _)| *name == format!("value.{number}"));
            let mut values: Vec<String> = ticked.map(|(_, value)| value.clone()).collect();
            values.extend(values::read(&text(&format!("text.{number}"))));
            WrittenRow {
                field: text(&format!("field.{number}")),
                operator: text(&format!("operator.{number}")),
                values,
                was: text(&format!("was.{number}")),
            }
        });
        Self {
            base: text("base").parse().unwrap_or_default(),
            emails: text("emails"),
            frequency: text("frequency"),
            daily_at: text("daily_at"),
            sync_closed: is_on("sync_closed"),
            disabled: is_on("disabled"),
            run_in_sandbox: is_on("run_in_sandbox"),
            percent: text("percent"),
            reserve: text("reserve"),
            rows: rows.collect(),
            logic: text("logic"),
            blanks: text("blanks"),
            zone: text("zone"),
        }
    }

    /// The document: the settings of the base with what the form says in their place. What the form
    /// alone can say is wrong is told, and left as it was.
    pub(super) fn document(&self, base: &Settings) -> (Value, Faults) {
        let mut faults = Faults::default();
        let mut document = json!(base);
        let mut put = |name: &str, value: Value| {
            if let Some(settings) = document.as_object_mut() {
                settings.insert(name.to_owned(), value);
            }
        };
        put("admin_emails", json!(self.emails));
        put("sync_closed", json!(self.sync_closed));
        put("disabled", json!(self.disabled));
        put("run_in_sandbox", json!(self.run_in_sandbox));
        if let Some(frequency) = self.read_frequency(&mut faults) {
            put("frequency", json!(frequency));
        }
        if let Some(share) = self.read_share(&mut faults) {
            put("api_share", json!(share));
        }
        if let Some(blanks) = one_of::<BlankRule>(&self.blanks) {
            put("blanks", json!(blanks));
        } else {
            faults.add("blanks", "Choose one of the two.");
        }
        if let Some(zone) = one_of::<ZoneOf>(&self.zone) {
            put("zone", json!(zone));
        } else {
            faults.add("zone", "Choose one of the two.");
        }
        for (number, row) in (1..).zip(&self.rows) {
            if row.field.is_empty() {
                let name = format!("field.{number}");
                faults.add(
                    name,
                    format!("Condition {number}: choose a field, or remove the row."),
                );
            }
        }
        let conditions = self
            .rows
            .iter()
            .map(|row| json!({"field": row.field, "operator": row.operator, "values": row.values}));
        let mut filter = json!({"conditions": conditions.collect::<Vec<_>>()});
        if !self.logic.trim().is_empty()
            && let Some(filter) = filter.as_object_mut()
        {
            filter.insert("logic".to_owned(), json!(self.logic.trim()));
        }
        put("filter", filter);
        (document, faults)
    }

    fn read_frequency(&self, faults: &mut Faults) -> Option<Frequency> {
        if self.frequency != DAILY {
            let frequency = self.frequency.parse::<Frequency>();
            return frequency
                .map_err(|_unknown| faults.add("frequency", "Choose one of the list."))
                .ok();
        }
        let time = self.daily_at.trim();
        let frequency = format!("daily_at_{time}").parse::<Frequency>();
        frequency
            .map_err(|_unknown| {
                faults.add(
                    "daily_at",
                    "Write the time of day with two digits each, from 00:00 to 23:59, such as 06:30.",
                );
            })
            .ok()
    }

    fn read_share(&self, faults: &mut Faults) -> Option<ApiShare> {
        let mut number = |name: &str, text: &str, from_to: &str| {
            let number = text.trim().parse::<u8>();
            number
                .map_err(|_none| faults.add(name, format!("Write a whole number {from_to}.")))
                .ok()
        };
        let percent = number("percent", &self.percent, "from 1 to 100");
        let reserve = number("reserve", &self.reserve, "from 0 to 50");
        match ApiShare::new(percent?, reserve?) {
            Ok(share) => Some(share),
            Err(ShareFault::Percent(_)) => {
                faults.add("percent", "Write a whole number from 1 to 100.");
                None
            }
            Err(ShareFault::Reserve(_)) => {
                faults.add("reserve", "Write a whole number from 0 to 50.");
                None
            }
        }
    }

    /// Takes the faults of a refusal to the fields that they are about.
    pub(super) fn place(&self, found: &[FaultView], faults: &mut Faults) {
        for fault in found {
            let field = self.field_of(&fault.at);
            // A field that was told to be wrong already needs no second sentence on its emptiness.
            let empty = field
                .strip_prefix("field.")
                .and_then(|number| number.parse().ok());
            let row = empty.and_then(|number: usize| self.rows.get(number.checked_sub(1)?));
            if row.is_some_and(|row| row.field.is_empty()) {
                continue;
            }
            faults.add(field, crate::pages::fault::sentence(&fault.message));
        }
    }

    fn field_of(&self, at: &str) -> String {
        if let Some(row) = at.strip_prefix("filter.conditions[") {
            let (number, part) = row.split_once(']').unwrap_or((row, ""));
            let known = number
                .parse::<usize>()
                .is_ok_and(|row| row <= self.rows.len());
            return match (known, part) {
                (false, _) => "rows".to_owned(),
                (true, ".operator") => format!("operator.{number}"),
                (true, ".values") => format!("text.{number}"),
                (true, _) => format!("field.{number}"),
            };
        }
        match at {
            "filter" | "filter.conditions" => "rows",
            "filter.logic" => "logic",
            "zone" => "zone",
            "blanks" => "blanks",
            "frequency" => "frequency",
            "api_share" => "percent",
            _ if at.starts_with("admin_emails") => "emails",
            _ => "",
        }
        .to_owned()
    }
}

fn row(condition: &Condition) -> WrittenRow {
    WrittenRow {
        field: condition.field.clone(),
        operator: condition.operator.name().to_owned(),
        values: condition.values.clone(),
        was: condition.field.clone(),
    }
}

fn name_of(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// One of a few names, as they are spelled in documents.
fn one_of<T: serde::de::DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(json!(name)).ok()
}

#[cfg(test)]
mod tests {
    use domain::filter::Operator;

    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings {
            admin_emails: vec!["ada@example.com".to_owned(), "bo@example.com".to_owned()],
            run_in_sandbox: true,
            frequency: "daily_at_06:30".parse().unwrap(),
            ..Settings::default()
        };
        settings.filter.conditions = vec![Condition {
            field: "Name".to_owned(),
            operator: Operator::Equals,
            values: vec!["Acme, Inc.".to_owned(), "x".to_owned()],
        }];
        settings
    }

    #[test]
    fn the_form_of_a_document_makes_that_document() {
        let settings = settings();
        let (document, faults) = Written::of_settings(3, &settings).document(&settings);
        assert!(faults.is_empty(), "{faults:?}");
        let document: crate::Document = serde_json::from_value(document).unwrap();
        let parsed = document.read(&settings);
        assert_eq!((parsed.settings, parsed.faults), (settings, Vec::new()));
    }

    #[test]
    fn what_the_form_alone_knows_is_wrong_is_said_in_place() {
        let mut written = Written::of_settings(3, &settings());
        written.daily_at = "25:00".to_owned();
        written.percent = "300".to_owned();
        written.reserve = "-1".to_owned();
        written.rows.push(WrittenRow::default());
        written.zone = "mars".to_owned();
        let (_, faults) = written.document(&settings());
        for field in ["daily_at", "percent", "reserve", "field.2", "zone"] {
            assert!(faults.of(field).is_some(), "{field}: {faults:?}");
        }
        assert_eq!(faults.len(), 5);
    }

    #[test]
    fn faults_go_to_their_fields() {
        let mut written = Written::of_settings(3, &settings());
        written.rows.push(written.rows[0].clone());
        let mut faults = Faults::default();
        let at = |at: &str| FaultView {
            at: at.to_owned(),
            message: format!("at {at}"),
        };
        let places = [
            ("filter.conditions[2].field", "field.2"),
            ("filter.conditions[1]", "field.1"),
            ("filter.conditions[1].values", "text.1"),
            ("filter.conditions[2].operator", "operator.2"),
            ("filter.conditions[12]", "rows"),
            ("filter.logic", "logic"),
            ("admin_emails[2]", "emails"),
            ("", ""),
        ];
        for (place, field) in places {
            written.place(&[at(place)], &mut faults);
            let sentence = faults.of(field).unwrap();
            assert!(sentence.contains(place), "{place}: {sentence}");
        }
    }
}
