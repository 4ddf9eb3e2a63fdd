//! Grouped queries: keys, sums, totals, HAVING.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::commit::Row;
use crate::error::ApiError;
use crate::record::{Cell, Record};
use crate::schema::FieldType;
use crate::soql::filter::{self, Operand, Typed};
use crate::soql::lexer::malformed;
use crate::soql::parser::{
    Comparison, Condition, Function, Item, Literal, Names, Order, Query, Totals,
};
use crate::soql::path::{Path, Scope};
use crate::soql::plan::{Plan, SortKey, by_keys, by_value, number};

/// Rows of one answer: there is no second page of a grouped query.
const MAX_ROWS: usize = 2000;

/// What a grouped query computes.
pub(crate) struct Groups<'q> {
    by: Vec<Path>,
    columns: Vec<Column>,
    aggregates: Vec<Aggregate>,
    having: Option<Having>,
    /// For each sort key, what it sorts by.
    orders: Vec<(Source, &'q Order)>,
}

struct Column {
    name: String,
    source: Source,
}

/// Where in a group a value is.
#[derive(Clone, Copy)]
enum Source {
    Key(usize),
    Sum(usize),
    /// 1 where the group sums up over the key.
    Grouping(usize),
}

struct Aggregate {
    function: Function,
    path: Option<Path>,
}

impl Aggregate {
    fn kind(&self) -> FieldType {
        match (self.function, &self.path) {
            (Function::Count | Function::CountDistinct, _) => FieldType::Int,
            (Function::Min | Function::Max, Some(path)) => path.kind(),
            _ => FieldType::Double,
        }
    }
}

enum Having {
    All(Vec<Having>),
    Any(Vec<Having>),
    Not(Box<Having>),
    Compare(Source, Comparison, Operand),
    In(Source, bool, Vec<Operand>),
}

/// What was summed up over the records with the same keys.
struct Group {
    keys: Vec<Cell>,
    /// A bit for each key that is summed up over.
    over: usize,
    sums: Vec<Sum>,
}

impl<'q> Groups<'q> {
    pub(crate) fn new(scope: &Scope<'_>, plan: &Plan, query: &'q Query) -> Result<Self, ApiError> {
        let by = query.group_by.iter();
        let by = by.map(|item| groupable(scope.resolve_item(plan.root, alias(plan), item)?));
        let mut groups = Groups {
            by: by.collect::<Result<_, ApiError>>()?,
            columns: Vec::new(),
            aggregates: Vec::new(),
            having: None,
            orders: Vec::new(),
        };
        let mut unnamed = 0;
        for (item, renamed) in &query.select {
            let own = if let Item::Field(names) = item {
                names.parts.last().cloned()
            } else {
                None
            };
            let source = groups.source(scope, plan, item)?;
            let name = renamed.clone().or(own).unwrap_or_else(|| {
                unnamed += 1;
                format!("expr{}", unnamed - 1)
            });
            let mut known = groups.columns.iter();
            if known.any(|column| column.name.eq_ignore_ascii_case(&name)) {
                return Err(malformed(format!("duplicate alias: {name}")));
            }
            groups.columns.push(Column { name, source });
        }
        if let Some(condition) = &query.having {
            groups.having = Some(groups.having(scope, plan, condition)?);
        }
        for order in &query.order_by {
            let source = groups.source(scope, plan, &order.by)?;
            groups.orders.push((source, order));
        }
        Ok(groups)
    }

    fn source(&mut self, scope: &Scope<'_>, plan: &Plan, item: &Item) -> Result<Source, ApiError> {
        match item {
            Item::Field(names) | Item::Date(_, names) => {
                let path = scope.resolve_item(plan.root, alias(plan), item)?;
                let place = self.by.iter().position(|by| by.is(&path));
                place.map(Source::Key).ok_or_else(|| not_grouped(names))
            }
            Item::Grouping(names) => {
                let path = scope.resolve(plan.root, alias(plan), names)?;
                let place = self.by.iter().position(|by| by.is(&path));
                place
                    .map(Source::Grouping)
                    .ok_or_else(|| not_grouped(names))
            }
            Item::Aggregate(function, names) => {
                let aggregate = aggregate(scope, plan, *function, names.as_ref())?;
                self.aggregates.push(aggregate);
                Ok(Source::Sum(self.aggregates.len() - 1))
            }
            Item::Group(_) | Item::TypeOf(..) | Item::Children(_) => Err(malformed(
                "only fields and sums can be selected from groups",
            )),
        }
    }

    fn having(
        &mut self,
        scope: &Scope<'_>,
        plan: &Plan,
        condition: &Condition,
    ) -> Result<Having, ApiError> {
        let mut all = |parts: &[Condition]| {
            let parts = parts.iter();
            parts
                .map(|part| self.having(scope, plan, part))
                .collect::<Result<Vec<_>, _>>()
        };
        match condition {
            Condition::All(parts) => Ok(Having::All(all(parts)?)),
            Condition::Any(parts) => Ok(Having::Any(all(parts)?)),
            Condition::Not(inner) => Ok(Having::Not(Box::new(self.having(scope, plan, inner)?))),
            Condition::Compare(item, comparison, literal) => {
                let source = self.source(scope, plan, item)?;
                let typed = self.typed(source);
                filter::check_operator(&typed, *comparison)?;
                let operand = scope.operand(&typed, *comparison, literal)?;
                Ok(Having::Compare(source, *comparison, operand))
            }
            Condition::In(item, negated, literals) => {
                let source = self.source(scope, plan, item)?;
                let typed = self.typed(source);
                let operand = |literal: &Literal| scope.operand(&typed, Comparison::Equal, literal);
                let operands = literals.iter().map(operand).collect::<Result<_, _>>()?;
                Ok(Having::In(source, *negated, operands))
            }
            Condition::Join(..) | Condition::Includes(..) => Err(malformed(
                "HAVING compares grouped fields and sums with literals",
            )),
        }
    }

    fn typed(&self, source: Source) -> Typed<'static> {
        let (name, kind) = match source {
            Source::Key(place) => self
                .by
                .get(place)
                .map_or(("", FieldType::Int), |path| (path.field.name, path.kind())),
            Source::Sum(place) => self
                .aggregates
                .get(place)
                .map_or(("", FieldType::Int), |sum| ("aggregate", sum.kind())),
            Source::Grouping(_) => ("grouping", FieldType::Int),
        };
        Typed { name, kind }
    }

    /// Hands the rows on.
    ///
    /// # Errors
    /// More rows than one answer holds.
    pub(crate) fn answer(
        &self,
        scope: &Scope<'_>,
        plan: &Plan,
        query: &Query,
        version: Option<&str>,
        receiver: &mut dyn FnMut(Row),
    ) -> Result<(), ApiError> {
        let mut groups = self.summed(scope, plan, query.totals);
        if let Some(having) = &self.having {
            groups.retain(|group| having.holds(group, self));
        }
        let orders = self.orders.iter();
        let orders: Vec<SortKey<'_>> = orders
            .map(|(source, order)| (*order, self.typed(*source).kind.is_id()))
            .collect();
        groups.sort_by(|left, right| {
            let keys = |group: &Group| {
                let sources = self.orders.iter();
                sources
                    .map(|(source, _)| self.value(group, *source))
                    .collect::<Vec<_>>()
            };
            by_keys(&keys(left), &keys(right), &orders)
        });
        let limit = query.limit.unwrap_or(usize::MAX);
        let rows = groups.len().saturating_sub(query.offset).min(limit);
        if version.is_some() && rows > MAX_ROWS {
            return Err(ApiError::new(
                "EXCEEDED_ID_LIMIT",
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch",
            ));
        }
        for group in groups.iter().skip(query.offset).take(limit) {
            let mut row = Row::new();
            if version.is_some() {
                row.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
            }
            for column in &self.columns {
                let value = self.value(group, column.source).json();
                row.insert(column.name.clone(), value);
            }
            receiver(row);
        }
        Ok(())
    }

    fn summed(&self, scope: &Scope<'_>, plan: &Plan, totals: Totals) -> Vec<Group> {
        let overs = self.overs(totals);
        let mut found: BTreeMap<(usize, String), Group> = BTreeMap::new();
        if self.by.is_empty() {
            // Without GROUP BY there is one group, even of nothing.
            found.insert((0, String::new()), self.group(Vec::new(), 0));
        }
        for record in plan.matching(scope) {
            let cells: Vec<Cell> = self
                .by
                .iter()
                .map(|path| scope.value(record, path))
                .collect();
            let values: Vec<Option<Cell>> = self
                .aggregates
                .iter()
                .map(|aggregate| aggregate.value(scope, record))
                .collect();
            for over in &overs {
                let key = key(&cells, *over);
                let group = found
                    .entry((*over, key))
                    .or_insert_with(|| self.group(masked(&cells, *over), *over));
                for (sum, value) in group.sums.iter_mut().zip(&values) {
                    sum.add(value.as_ref());
                }
            }
        }
        found.into_values().collect()
    }

    /// Which sets of keys are summed up over: none, and those of the totals.
    fn overs(&self, totals: Totals) -> Vec<usize> {
        let keys = self.by.len();
        let all = (1_usize << keys) - 1;
        match totals {
            Totals::None => vec![0],
            Totals::Rollup => (0..=keys)
                .map(|first| all & !((1 << first) - 1))
                .rev()
                .collect(),
            Totals::Cube => (0..=all).collect(),
        }
    }

    fn group(&self, keys: Vec<Cell>, over: usize) -> Group {
        let sums = self.aggregates.iter();
        Group {
            keys,
            over,
            sums: sums.map(|sum| Sum::of(sum.function)).collect(),
        }
    }

    fn value(&self, group: &Group, source: Source) -> Cell {
        match source {
            Source::Key(place) => group.keys.get(place).cloned().unwrap_or_default(),
            Source::Sum(place) => group.sums.get(place).map(Sum::result).unwrap_or_default(),
            Source::Grouping(place) => Cell::Int(i64::from(group.over >> place & 1 == 1)),
        }
    }
}

impl Having {
    fn holds(&self, group: &Group, groups: &Groups<'_>) -> bool {
        match self {
            Having::All(parts) => parts.iter().all(|part| part.holds(group, groups)),
            Having::Any(parts) => parts.iter().any(|part| part.holds(group, groups)),
            Having::Not(inner) => !inner.holds(group, groups),
            Having::Compare(source, comparison, operand) => {
                filter::compares(&groups.value(group, *source), *comparison, operand)
            }
            Having::In(source, negated, operands) => {
                let value = groups.value(group, *source);
                let mut operands = operands.iter();
                operands.any(|operand| filter::compares(&value, Comparison::Equal, operand))
                    != *negated
            }
        }
    }
}

fn alias(plan: &Plan) -> Option<&str> {
    plan.alias.as_deref()
}

fn not_grouped(names: &Names) -> ApiError {
    malformed(format!(
        "Field must be grouped or aggregated: {}",
        names.parts.join(".")
    ))
}

fn groupable(path: Path) -> Result<Path, ApiError> {
    let refused = matches!(
        path.kind(),
        FieldType::TextArea
            | FieldType::DateTime
            | FieldType::Currency
            | FieldType::Double
            | FieldType::Percent
            | FieldType::MultiPicklist
    );
    if refused {
        return Err(malformed(format!(
            "field '{}' can not be grouped in a query call",
            path.field.name
        )));
    }
    Ok(path)
}

/// The key of a group: its values with what separates them.
fn key(cells: &[Cell], over: usize) -> String {
    let mut key = String::new();
    for (place, cell) in cells.iter().enumerate() {
        if over >> place & 1 == 0 {
            match cell.text() {
                Some(text) => key.push_str(text),
                // No text begins so: an empty value is another than the text `Null`.
                None => key.push_str(&format!("\u{1}{cell:?}")),
            }
        }
        key.push('\0');
    }
    key
}

fn masked(cells: &[Cell], over: usize) -> Vec<Cell> {
    let cells = cells.iter().enumerate();
    cells
        .map(|(place, cell)| {
            if over >> place & 1 == 1 {
                Cell::Null
            } else {
                cell.clone()
            }
        })
        .collect()
}

fn aggregate(
    scope: &Scope<'_>,
    plan: &Plan,
    function: Function,
    names: Option<&Names>,
) -> Result<Aggregate, ApiError> {
    let Some(names) = names else {
        return Ok(Aggregate {
            function,
            path: None,
        });
    };
    let path = scope.resolve(plan.root, alias(plan), names)?;
    let kind = path.field.kind;
    let refused = match function {
        Function::Sum | Function::Avg => !kind.is_number(),
        Function::Min | Function::Max => {
            matches!(
                kind,
                FieldType::Boolean | FieldType::TextArea | FieldType::MultiPicklist
            )
        }
        Function::Count | Function::CountDistinct => {
            matches!(
                kind,
                FieldType::Boolean | FieldType::TextArea | FieldType::MultiPicklist
            )
        }
    };
    if refused {
        return Err(malformed(format!(
            "field {} does not support aggregate operator",
            path.field.name
        )));
    }
    Ok(Aggregate {
        function,
        path: Some(path),
    })
}

impl Aggregate {
    /// What a record adds; `None` for a record that counts by being there.
    fn value(&self, scope: &Scope<'_>, record: &Record) -> Option<Cell> {
        let path = self.path.as_ref()?;
        Some(scope.value(record, path))
    }
}

/// One aggregate over what was added so far.
enum Sum {
    Count(usize),
    /// In lower case: text is compared without case.
    Distinct(BTreeSet<String>),
    Total(f64, usize),
    Average(f64, usize),
    /// The value that comes first or last.
    Extreme(Ordering, Cell),
}

impl Sum {
    fn of(function: Function) -> Self {
        match function {
            Function::Count => Sum::Count(0),
            Function::CountDistinct => Sum::Distinct(BTreeSet::new()),
            Function::Sum => Sum::Total(0.0, 0),
            Function::Avg => Sum::Average(0.0, 0),
            Function::Min => Sum::Extreme(Ordering::Less, Cell::Null),
            Function::Max => Sum::Extreme(Ordering::Greater, Cell::Null),
        }
    }

    fn add(&mut self, cell: Option<&Cell>) {
        let Some(cell) = cell else {
            if let Sum::Count(count) = self {
                *count += 1;
            }
            return;
        };
        if cell.is_null() {
            return;
        }
        match self {
            Sum::Count(count) => *count += 1,
            Sum::Distinct(values) => {
                let value = match cell.text() {
                    Some(text) => text.to_lowercase(),
                    None => cell.json().to_string(),
                };
                values.insert(value);
            }
            Sum::Total(total, count) | Sum::Average(total, count) => {
                *total += number(cell);
                *count += 1;
            }
            Sum::Extreme(wanted, known) => {
                if known.is_null() || by_value(cell, known) == *wanted {
                    *known = cell.clone();
                }
            }
        }
    }

    fn result(&self) -> Cell {
        let whole = |count: usize| Cell::Int(i64::try_from(count).unwrap_or(i64::MAX));
        match self {
            Sum::Count(count) => whole(*count),
            Sum::Distinct(values) => whole(values.len()),
            Sum::Total(_, 0) | Sum::Average(_, 0) => Cell::Null,
            Sum::Total(total, _) => Cell::Num(*total),
            #[expect(clippy::cast_precision_loss, reason = "a count of records")]
            Sum::Average(total, count) => Cell::Num(total / *count as f64),
            Sum::Extreme(_, value) => value.clone(),
        }
    }
}
