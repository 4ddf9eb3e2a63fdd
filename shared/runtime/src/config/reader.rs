//! Values by key, from the file and the environment; it collects faults instead of stopping at one.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use toml::{Table, Value};

use super::FILE_VARIABLE;
use super::faults::{ConfigError, Fault};
use super::keys::{self, Default, Key, Kind};

/// Kubernetes gives every container these variables for each service, also for one called mosync.
const KUBERNETES: [&str; 3] = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];

/// A value and who gave it: the key, or the environment variable.
#[derive(Debug)]
struct Given {
    value: Value,
    by: String,
}

/// The given values and the faults found so far.
pub(crate) struct Reader {
    given: BTreeMap<String, Given>,
    faults: Vec<Fault>,
    asked: BTreeSet<&'static str>,
}

impl Reader {
    /// # Errors
    /// When the text is no TOML, for then nothing else can be said.
    pub(crate) fn of(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let table: Table =
            toml::from_str(text).map_err(|fault| ConfigError::of(not_toml(text, &fault)))?;
        let mut reader = Self {
            given: BTreeMap::new(),
            faults: Vec::new(),
            asked: BTreeSet::new(),
        };
        reader.take_file(table);
        reader.take_environment(environment);
        Ok(reader)
    }

    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// The keys that were asked for.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> &BTreeSet<&'static str> {
        &self.asked
    }

    /// Notes a fault of a key, under the name it was given by.
    pub(crate) fn fault(&mut self, key: &str, fault: impl Into<String>, fix: impl Into<String>) {
        let by = self
            .given
            .get(key)
            .map_or_else(|| key.to_owned(), |given| given.by.clone());
        self.faults.push(Fault::new(by, fault, fix));
    }

    /// Whether the key (or, of a secret, its twin) was given.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name) || self.given.contains_key(&keys::twin(name))
    }

    /// A text; the default when absent; `None` when there is neither, or a fault.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let key = self.ask(name)?;
        match self.given.get(name).map(|given| &given.value) {
            Some(Value::String(text)) => Some(text.trim().to_owned()),
            Some(_) => {
                self.fault(name, "is not a text", "write it in quotes");
                None
            }
            None => key.default.text().map(str::to_owned),
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&mut self, name: &'static str, what: &str) -> Option<String> {
        let faults = self.faults.len();
        let text = self.text(name).filter(|text| !text.is_empty());
        if text.is_none() && self.faults.len() == faults {
            self.fault(
                name,
                "is missing",
                format!("write {what}, or set {}", keys::variable(name)),
            );
        }
        text
    }

    /// A positive number of seconds, a day at most.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u64> {
        self.number_up_to(name, MAX_NUMBER)
    }

    /// A positive number.
    pub(crate) fn number_up_to(&mut self, name: &'static str, most: u64) -> Option<u64> {
        let key = self.ask(name)?;
        let number = match self.given.get(name).map(|given| &given.value) {
            Some(Value::Integer(number)) => Some(*number),
            Some(Value::String(text)) if self.is_from_environment(name) => text.trim().parse().ok(),
            Some(_) => None,
            None => key.default.number(),
        };
        let number = number
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (1..=most).contains(number));
        if number.is_none() {
            self.fault(
                name,
                format!("is not a whole number from 1 to {most}"),
                example(key),
            );
        }
        number
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let key = self.ask(name)?;
        let flag = match self.given.get(name).map(|given| &given.value) {
            Some(Value::Boolean(flag)) => Some(*flag),
            Some(Value::String(text)) if self.is_from_environment(name) => text.trim().parse().ok(),
            Some(_) => None,
            None => Some(key.default == Default::Flag(true)),
        };
        if flag.is_none() {
            self.fault(name, "is neither true nor false", "write true or false");
        }
        flag
    }

    /// A list of texts.
    pub(crate) fn list(&mut self, name: &'static str) -> Option<Vec<String>> {
        let key = self.ask(name)?;
        let list: Option<Vec<String>> = match self.given.get(name).map(|given| &given.value) {
            Some(Value::Array(values)) => values
                .iter()
                .map(|value| value.as_str().map(|text| text.trim().to_owned()))
                .collect(),
            Some(Value::String(text)) if self.is_from_environment(name) => {
                Some(text.split(',').map(|part| part.trim().to_owned()).collect())
            }
            Some(_) => None,
            None => Some(
                key.default
                    .list()
                    .iter()
                    .map(|text| (*text).to_owned())
                    .collect(),
            ),
        };
        if list.is_none() {
            self.fault(name, "is not a list of texts", example(key));
        }
        list
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let given = self.text(name)?;
        let chosen = choices
            .iter()
            .find(|(word, _)| *word == given)
            .map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.fault(
                name,
                format!("`{given}` is not known"),
                format!("write {}", words.join(" or ")),
            );
        }
        chosen
    }

    /// A secret, from its key or from the file its twin names. `None` when absent or a fault.
    pub(crate) fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.ask(name)?;
        let twin = keys::twin(name);
        let secret = match (self.given.get(name), self.given.get(&twin)) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.fault(
                    name,
                    format!("is given twice, here and as {twin}"),
                    "take one of them out",
                );
                return None;
            }
            (Some(given), None) => {
                let Value::String(text) = &given.value else {
                    self.fault(name, "is not a text", "write it in quotes");
                    return None;
                };
                text.clone()
            }
            (None, Some(given)) => {
                let Value::String(path) = &given.value else {
                    self.fault(&twin, "is not a text", "write a file's path in quotes");
                    return None;
                };
                match std::fs::read_to_string(path) {
                    Ok(text) => text,
                    Err(fault) => {
                        let what = format!("the file `{path}` cannot be read ({fault})");
                        self.fault(&twin, what, "correct the path or the file's permissions");
                        return None;
                    }
                }
            }
        };
        let secret = secret.trim_end_matches(['\r', '\n']);
        if secret.trim().is_empty() {
            let by = if self.given.contains_key(&twin) {
                twin.as_str()
            } else {
                name
            };
            self.fault(by, "is empty", "put the secret there");
            return None;
        }
        Some(SecretString::from(secret))
    }

    /// A secret that must be there.
    pub(crate) fn required_secret(
        &mut self,
        name: &'static str,
        what: &str,
    ) -> Option<SecretString> {
        if !self.is_given(name) {
            self.asked.insert(name);
            let fix = format!(
                "write {what}, or a file's path as {}, or set {} or {}",
                keys::twin(name),
                keys::variable(name),
                keys::variable(&keys::twin(name)),
            );
            self.fault(name, "is missing", fix);
            return None;
        }
        self.secret(name)
    }

    fn ask(&mut self, name: &'static str) -> Option<&'static Key> {
        self.asked.insert(name);
        keys::key(name)
    }

    fn is_from_environment(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|given| given.by != name)
    }

    fn take_file(&mut self, table: Table) {
        // By name, so that the order of faults does not hang on how the parser keeps its keys.
        for (name, value) in table.into_iter().collect::<BTreeMap<_, _>>() {
            let Value::Table(section) = value else {
                self.take(name, value);
                continue;
            };
            if is_section(&name) {
                for (key, value) in section.into_iter().collect::<BTreeMap<_, _>>() {
                    self.take(format!("{name}.{key}"), value);
                }
            } else {
                let meant = keys::nearest(&name, sections()).map(|name| format!("[{name}]"));
                self.unknown(format!("[{name}]"), "section", meant);
            }
        }
    }

    fn take(&mut self, name: String, value: Value) {
        if keys::names().any(|known| known == name) {
            let by = name.clone();
            self.given.insert(name, Given { value, by });
        } else {
            let meant = keys::nearest(&name, keys::names());
            self.unknown(name, "key", meant);
        }
    }

    /// A variable beats the file, and of a secret both of the file's ways to give it.
    fn take_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        let names: BTreeMap<String, String> = keys::names()
            .map(|name| (keys::variable(&name), name))
            .collect();
        let mut given = BTreeMap::new();
        for (variable, text) in environment {
            if text.is_empty() || variable == FILE_VARIABLE || !variable.starts_with("MOSYNC_") {
                continue;
            }
            if let Some(name) = names.get(&variable) {
                let value = Value::String(text);
                given.insert(
                    name.clone(),
                    Given {
                        value,
                        by: variable,
                    },
                );
            } else if !KUBERNETES.iter().any(|mark| variable.contains(mark)) {
                let meant = keys::nearest(&variable, names.keys().cloned());
                self.unknown(variable, "environment variable", meant);
            }
        }
        for name in given.keys() {
            self.given.remove(&keys::twin(name));
            if let Some(secret) = name.strip_suffix("_file") {
                self.given.remove(secret);
            }
        }
        self.given.append(&mut given);
    }

    fn unknown(&mut self, name: String, what: &str, meant: Option<String>) {
        let fix = meant.map_or_else(
            || "take it out; mosync.example.toml lists all keys".to_owned(),
            |meant| format!("did you mean {meant}?"),
        );
        self.faults
            .push(Fault::new(name, format!("no such {what}"), fix));
    }
}

/// A day in seconds is more than any time here needs.
const MAX_NUMBER: u64 = 86_400;

fn example(key: &Key) -> String {
    match (key.kind, key.default) {
        (Kind::Number, Default::Number(number)) => format!("{number} is usual"),
        _ => "write it as [\"one\", \"two\"], in the environment as one,two".to_owned(),
    }
}

fn sections() -> impl Iterator<Item = String> {
    keys::names().filter_map(|name| name.split_once('.').map(|(section, _)| section.to_owned()))
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

/// The parser's own sentence shows the line, which may hold a secret: only its place is told.
fn not_toml(text: &str, fault: &toml::de::Error) -> Fault {
    let before = fault
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    Fault::new(
        format!("line {line}"),
        format!("is not TOML ({})", fault.message().replace('\n', ", ")),
        "compare with mosync.example.toml",
    )
}
