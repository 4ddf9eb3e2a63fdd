//! What happened in Salesforce, commit by commit.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the names are Salesforce's and say it all")]
pub enum ChangeKind {
    #[serde(alias = "CREATE", alias = "create")]
    Create,
    #[serde(alias = "UPDATE", alias = "update")]
    Update,
    #[serde(alias = "DELETE", alias = "delete")]
    Delete,
    #[serde(alias = "UNDELETE", alias = "undelete")]
    Undelete,
}

/// One transaction, as the stand-in for Salesforce writes it into its ledger. Other keys are
/// passed over.
#[derive(Debug, Clone, Deserialize)]
pub struct Commit {
    /// When it was committed, microseconds since 1970.
    pub at_micros: i64,
    /// Its steps in order.
    pub changes: Vec<Change>,
    /// Records whose derived values moved without anybody writing them (a stage was re-typed, a
    /// formula recalculated): no event tells of these. Played after `changes`.
    #[serde(default)]
    pub silent: Vec<Change>,
}

/// One step.
#[derive(Debug, Clone, Deserialize)]
pub struct Change {
    /// API name of the object.
    pub entity: String,
    /// The 18-character id.
    pub id: String,
    /// What happened.
    pub kind: ChangeKind,
    /// Every field after the step (of a delete: before it), as the REST API shows it.
    #[serde(alias = "row")]
    pub after: Map<String, Value>,
}

/// Commits that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Not the JSON that was expected.
    #[error("a commit cannot be read")]
    Commit(#[from] serde_json::Error),
    /// Commits must come in the order of time.
    #[error(
        "a commit at {at_micros} follows one at {last_micros}; commits come in the order of time"
    )]
    Order {
        /// The commit's time.
        at_micros: i64,
        /// The time of the one before.
        last_micros: i64,
    },
}

/// The objects the rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Entity {
    User,
    Account,
    Contact,
    Opportunity,
    OpportunityContactRole,
    PermissionSet,
    PermissionSetAssignment,
    PermissionSetGroupComponent,
    Organization,
    CurrencyType,
    FiscalYearSettings,
    Period,
}

impl Entity {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "User" => Self::User,
            "Account" => Self::Account,
            "Contact" => Self::Contact,
            "Opportunity" => Self::Opportunity,
            "OpportunityContactRole" => Self::OpportunityContactRole,
            "PermissionSet" => Self::PermissionSet,
            "PermissionSetAssignment" => Self::PermissionSetAssignment,
            "PermissionSetGroupComponent" => Self::PermissionSetGroupComponent,
            "Organization" => Self::Organization,
            "CurrencyType" => Self::CurrencyType,
            "FiscalYearSettings" => Self::FiscalYearSettings,
            "Period" => Self::Period,
            _ => return None,
        })
    }
}

/// A field's value. Null is the absence of a cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Flag(bool),
    /// As it was written.
    Number(Box<str>),
    Text(Box<str>),
}

impl Cell {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Flag(*flag)),
            Value::Number(number) => Some(Self::Number(number.to_string().into())),
            Value::String(text) if !text.is_empty() => Some(Self::Text(text.as_str().into())),
            // An empty text is null in Salesforce; compound fields are seen through their parts.
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Flag(_) | Self::Number(_) => None,
        }
    }
}

/// A record's fields at one moment, names replaced by numbers: there are tens of thousands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(Box<[(u16, Cell)]>);

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) entity: Entity,
    pub(crate) id: Box<str>,
    pub(crate) kind: ChangeKind,
    /// Nobody was told.
    pub(crate) silent: bool,
    pub(crate) row: Row,
}

impl Step {
    /// Whether the record is not there after the step.
    pub(crate) fn is_gone(&self, history: &History) -> bool {
        self.kind == ChangeKind::Delete || history.flag(&self.row, "IsDeleted")
    }
}

#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) at_micros: i64,
    pub(crate) steps: Vec<Step>,
}

/// All commits so far, in order.
#[derive(Debug, Default)]
pub struct History {
    names: BTreeMap<Box<str>, u16>,
    moments: Vec<Moment>,
    /// Set up before anything else happens, and as they are for good.
    record_types: BTreeMap<Box<str>, Row>,
}

impl History {
    /// Reads a JSON array of commits.
    ///
    /// # Errors
    /// Not an array of commits, or not in order.
    pub fn from_json(commits: &str) -> Result<Self, HistoryError> {
        let mut history = Self::default();
        for commit in serde_json::from_str::<Vec<Commit>>(commits)? {
            history.push(&commit)?;
        }
        Ok(history)
    }

    /// Adds a commit.
    ///
    /// # Errors
    /// When it is earlier than the last one.
    pub fn push(&mut self, commit: &Commit) -> Result<(), HistoryError> {
        self.begin(commit.at_micros)?;
        for change in &commit.changes {
            self.change(&change.entity, &change.id, change.kind, &change.after);
        }
        for change in &commit.silent {
            self.silent_change(&change.entity, &change.id, change.kind, &change.after);
        }
        Ok(())
    }

    /// Begins a commit, to be filled with [`History::change`]: for large commits that should not
    /// exist twice in memory.
    ///
    /// # Errors
    /// When it is earlier than the last one.
    pub fn begin(&mut self, at_micros: i64) -> Result<(), HistoryError> {
        if let Some(last) = self.moments.last()
            && last.at_micros > at_micros
        {
            return Err(HistoryError::Order {
                at_micros,
                last_micros: last.at_micros,
            });
        }
        self.moments.push(Moment {
            at_micros,
            steps: Vec::new(),
        });
        Ok(())
    }

    /// Adds a step to the commit begun last. Objects the rule does not look at are passed over.
    pub fn change(&mut self, entity: &str, id: &str, kind: ChangeKind, after: &Map<String, Value>) {
        self.step(entity, id, kind, after, false);
    }

    /// Adds a step nobody was told of: it moves the scope and what mOS must hold, and is no sample
    /// of latency.
    pub fn silent_change(
        &mut self,
        entity: &str,
        id: &str,
        kind: ChangeKind,
        after: &Map<String, Value>,
    ) {
        self.step(entity, id, kind, after, true);
    }

    fn step(
        &mut self,
        entity: &str,
        id: &str,
        kind: ChangeKind,
        after: &Map<String, Value>,
        silent: bool,
    ) {
        if entity == "RecordType" {
            let row = self.row_of(after);
            self.record_types.insert(id.into(), row);
            return;
        }
        let Some(entity) = Entity::named(entity) else {
            return;
        };
        let row = self.row_of(after);
        if let Some(moment) = self.moments.last_mut() {
            moment.steps.push(Step {
                entity,
                id: id.into(),
                kind,
                silent,
                row,
            });
        }
    }

    fn row_of(&mut self, after: &Map<String, Value>) -> Row {
        let mut cells: Vec<(u16, Cell)> = Vec::new();
        for (name, value) in after {
            if let Some(cell) = Cell::of(value) {
                cells.push((self.number_of(name), cell));
            }
        }
        cells.sort_unstable_by_key(|(number, _)| *number);
        Row(cells.into())
    }

    fn number_of(&mut self, name: &str) -> u16 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        // Far fewer than 65,536 fields exist in the objects looked at.
        let number = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
        self.names.insert(name.into(), number);
        number
    }

    pub(crate) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// The time of the last commit.
    pub fn last_micros(&self) -> Option<i64> {
        self.moments.last().map(|moment| moment.at_micros)
    }

    pub(crate) fn cell<'a>(&self, row: &'a Row, field: &str) -> Option<&'a Cell> {
        let number = self.names.get(field)?;
        let place = row
            .0
            .binary_search_by_key(number, |(known, _)| *known)
            .ok()?;
        row.0.get(place).map(|(_, cell)| cell)
    }

    /// A field of the record's own, or of its record type: `RecordType.DeveloperName`.
    pub(crate) fn cell_at<'a>(&'a self, row: &'a Row, path: &str) -> Option<&'a Cell> {
        let Some(field) = path.strip_prefix("RecordType.") else {
            return self.cell(row, path);
        };
        let record_type = self.text(row, "RecordTypeId")?;
        self.cell(self.record_types.get(record_type)?, field)
    }

    pub(crate) fn text<'a>(&self, row: &'a Row, field: &str) -> Option<&'a str> {
        self.cell(row, field).and_then(Cell::text)
    }

    /// A number, as it was written.
    pub(crate) fn number<'a>(&'a self, row: &'a Row, field: &str) -> Option<&'a str> {
        match self.cell(row, field)? {
            Cell::Number(number) => Some(number),
            Cell::Text(_) | Cell::Flag(_) => None,
        }
    }

    /// A checkbox; null counts as not ticked.
    pub(crate) fn flag(&self, row: &Row, field: &str) -> bool {
        self.cell(row, field) == Some(&Cell::Flag(true))
    }
}
