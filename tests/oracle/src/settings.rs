//! The settings, as far as the rule depends on them.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::mapping::MappingRow;
use crate::org::OrgProfile;

/// What decides over the scope.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Whether closed opportunities qualify.
    pub sync_closed: bool,
    /// Whether the synchronisation is switched off: then nothing may be sent and nothing is due.
    pub disabled: bool,
    /// Which opportunities match; without conditions, all.
    pub filter: Filter,
    /// What conditions make of blanks.
    pub blanks: Blanks,
    /// In whose zone the relative dates of the filter are meant.
    pub zone: WhoseZone,
    /// Every row of the mapping; absent: the default one.
    pub mapping: Option<Vec<MappingRow>>,
    /// The org around the records. Not part of the settings document.
    #[serde(skip)]
    pub org: OrgProfile,
    /// Custom fields of Opportunity that hold money. Not part of the settings document.
    #[serde(skip)]
    pub money: BTreeSet<String>,
    /// Whose opportunities are synchronised. Not part of the settings document.
    #[serde(skip)]
    pub permissions: PermissionConfig,
}

impl Settings {
    /// Reads the settings document. Keys the rule does not depend on are passed over.
    ///
    /// # Errors
    /// Not JSON, an unknown operator, or a logic that does not fit its conditions.
    pub fn from_json(document: &str) -> Result<Self, SettingsError> {
        let settings: Self = serde_json::from_str(document)?;
        settings.filter.tree()?;
        Ok(settings)
    }

    /// The same settings in another org, or in one that has changed.
    #[must_use]
    pub fn in_org(mut self, org: OrgProfile) -> Self {
        self.org = org;
        self
    }

    pub(crate) fn zone_name(&self) -> &str {
        match self.zone {
            WhoseZone::Org => &self.org.time_zone,
            WhoseZone::User => &self.org.user_time_zone,
        }
    }

    pub(crate) fn first_weekday(&self) -> u8 {
        match self.zone {
            WhoseZone::Org => self.org.first_weekday,
            WhoseZone::User => self.org.user_first_weekday,
        }
    }

    pub(crate) fn is_money(&self, field: &str) -> bool {
        matches!(field, "Amount" | "ExpectedRevenue") || self.money.contains(field)
    }
}

/// What a blank is to a condition that names a value, on which Salesforce's own documents disagree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blanks {
    /// Not what was named: what denies keeps it.
    #[default]
    Keep,
    /// Unknown, and so is its denial: neither keeps it.
    Drop,
}

/// In whose zone days begin, and in whose locale weeks do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum WhoseZone {
    #[default]
    Org,
    User,
}

/// API names of the permission sets that grant mOS.
#[derive(Debug, Clone)]
pub struct PermissionConfig {
    /// Holding one of them is enough.
    pub sets: Vec<String>,
}

impl Default for PermissionConfig {
    fn default() -> Self {
        Self {
            sets: vec!["mOS_Admin".to_owned(), "mOS_User".to_owned()],
        }
    }
}

/// The opportunity filter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// The rows, numbered from 1 in `logic`.
    pub conditions: Vec<Condition>,
    /// As `1 AND (2 OR 3)`; absent: all rows must match.
    pub logic: Option<String>,
}

/// One row of the filter.
#[derive(Debug, Clone, Deserialize)]
pub struct Condition {
    /// API name of a field of Opportunity.
    pub field: String,
    /// How it is compared.
    pub operator: Operator,
    /// Any of these (for the negative operators: none of these); an empty one means blank.
    #[serde(default, deserialize_with = "texts")]
    pub values: Vec<String>,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are Salesforce's and say it all")]
pub enum Operator {
    Equals,
    NotEqual,
    StartsWith,
    Contains,
    NotContain,
    LessThan,
    GreaterThan,
    LessOrEqual,
    GreaterOrEqual,
    Includes,
    Excludes,
}

/// Values may be written as text, numbers or booleans.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let values = Vec::<Value>::deserialize(deserializer)?;
    Ok(values
        .into_iter()
        .map(|value| match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                other.to_string()
            }
        })
        .collect())
}

/// Settings that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the document that was expected.
    #[error("the settings document cannot be read")]
    Document(#[from] serde_json::Error),
    /// The logic string is wrong.
    #[error("the filter logic is wrong: {0}")]
    Logic(&'static str),
}

/// A logic string, read. Numbers are positions of conditions, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Row(usize),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

impl Filter {
    /// The conditions' logic as a tree.
    pub(crate) fn tree(&self) -> Result<Tree, SettingsError> {
        let Some(logic) = self
            .logic
            .as_deref()
            .filter(|logic| !logic.trim().is_empty())
        else {
            return Ok(Tree::All(
                (0..self.conditions.len()).map(Tree::Row).collect(),
            ));
        };
        let mut reader = Reader {
            words: words(logic)?,
            next: 0,
            used: vec![false; self.conditions.len()],
        };
        let tree = reader.expression()?;
        if reader.peek().is_some() {
            return Err(SettingsError::Logic("something follows the expression"));
        }
        if reader.used.contains(&false) {
            return Err(SettingsError::Logic("a condition is not used"));
        }
        Ok(tree)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Row(usize),
    And,
    Or,
    Not,
    Open,
    Close,
}

fn words(logic: &str) -> Result<Vec<Word>, SettingsError> {
    let spaced = logic.replace('(', " ( ").replace(')', " ) ");
    spaced
        .split_whitespace()
        .map(|word| match word.to_ascii_uppercase().as_str() {
            "(" => Ok(Word::Open),
            ")" => Ok(Word::Close),
            "AND" => Ok(Word::And),
            "OR" => Ok(Word::Or),
            "NOT" => Ok(Word::Not),
            number => number.parse().map(Word::Row).map_err(|_no_number| {
                SettingsError::Logic("a word is neither a number nor AND, OR, NOT")
            }),
        })
        .collect()
}

struct Reader {
    words: Vec<Word>,
    next: usize,
    used: Vec<bool>,
}

impl Reader {
    fn peek(&self) -> Option<Word> {
        self.words.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Word> {
        let word = self.peek();
        self.next += 1;
        word
    }

    /// Terms joined by one kind of joint; the two kinds may not be mixed without parentheses.
    fn expression(&mut self) -> Result<Tree, SettingsError> {
        let first = self.term()?;
        let Some(joint @ (Word::And | Word::Or)) = self.peek() else {
            return Ok(first);
        };
        let mut terms = vec![first];
        while self.peek() == Some(joint) {
            self.next += 1;
            terms.push(self.term()?);
        }
        if matches!(self.peek(), Some(Word::And | Word::Or)) {
            return Err(SettingsError::Logic(
                "AND and OR are mixed without parentheses",
            ));
        }
        Ok(if joint == Word::And {
            Tree::All(terms)
        } else {
            Tree::Any(terms)
        })
    }

    fn term(&mut self) -> Result<Tree, SettingsError> {
        match self.take() {
            Some(Word::Not) => Ok(Tree::Not(Box::new(self.term()?))),
            Some(Word::Open) => {
                let inner = self.expression()?;
                if self.take() == Some(Word::Close) {
                    Ok(inner)
                } else {
                    Err(SettingsError::Logic("a parenthesis is not closed"))
                }
            }
            Some(Word::Row(number)) => {
                let position = number
                    .checked_sub(1)
                    .ok_or(SettingsError::Logic("conditions are numbered from 1"))?;
                let used = self
                    .used
                    .get_mut(position)
                    .ok_or(SettingsError::Logic("there is no condition of that number"))?;
                *used = true;
                Ok(Tree::Row(position))
            }
            Some(Word::And | Word::Or | Word::Close) | None => {
                Err(SettingsError::Logic("a condition's number is missing"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(count: usize, logic: &str) -> Result<Tree, String> {
        let row = r#"{"field":"Name","operator":"equals","values":["x"]}"#;
        let document = format!(
            r#"{{"filter":{{"conditions":[{}],"logic":"{logic}"}},"frequency":"real_time"}}"#,
            vec![row; count].join(",")
        );
        Settings::from_json(&document)
            .map(|settings| settings.filter.tree().unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn logic_is_read_with_parentheses_and_not() {
        use Tree::{All, Any, Not, Row};
        assert_eq!(tree(2, ""), Ok(All(vec![Row(0), Row(1)])));
        assert_eq!(
            tree(3, "1 AND (2 or 3)"),
            Ok(All(vec![Row(0), Any(vec![Row(1), Row(2)])]))
        );
        assert_eq!(
            tree(2, "NOT(1) OR 2"),
            Ok(Any(vec![Not(Box::new(Row(0))), Row(1)]))
        );
        assert_eq!(
            tree(2, "not (1 and 2)"),
            Ok(Not(Box::new(All(vec![Row(0), Row(1)]))))
        );
        assert_eq!(tree(1, "((1))"), Ok(Row(0)));
        assert_eq!(
            tree(2, "1 AND 2 AND 1"),
            Ok(All(vec![Row(0), Row(1), Row(0)]))
        );
    }

    #[test]
    fn wrong_logic_is_refused() {
        for wrong in [
            "1 AND 2 OR 3",
            "1 AND 2",
            "1 AND 2 AND 4",
            "0 OR 1 OR 2 OR 3",
            "1 2 3",
            "(1 AND 2 AND 3",
            "1 AND 2 XOR 3",
            "AND",
            "1 AND 2 AND 3)",
        ] {
            assert!(tree(3, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_document_has_the_defaults() {
        let settings = Settings::from_json("{}").unwrap();
        assert!(!settings.sync_closed && !settings.disabled);
        assert!(settings.filter.conditions.is_empty());
        assert_eq!(settings.permissions.sets, ["mOS_Admin", "mOS_User"]);
    }
}
