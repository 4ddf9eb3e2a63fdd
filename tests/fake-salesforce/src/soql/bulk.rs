//! Queries of the Bulk API: what it refuses, the columns of a result and the records in it.
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bulk::number;
use crate::error::ApiError;
use crate::org::Org;
use crate::record::{CellRef, Record};
use crate::schema::{Entity, FieldType};
use crate::soql::lexer::{self, Kind, Token};
use crate::soql::parser::{self, Item, Names, Query};
use crate::soql::path::{Path, Scope};
use crate::soql::plan::Plan;

/// Records written while the org is read-locked once, so that writers never wait long.
const LOCKED_ROWS: usize = 500;

/// A query that the Bulk API takes, checked against the schema.
#[derive(Debug)]
pub(crate) struct BulkQuery {
    soql: String,
    all_rows: bool,
    /// The object queried.
    pub(crate) entity: &'static Entity,
    /// Neither sorted nor limited: those two keep the Bulk API from splitting a query by id.
    pub(crate) splittable: bool,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    header: String,
    path: Path,
}

impl Org {
    /// Checks a query for the Bulk API.
    ///
    /// # Errors
    /// Those of any query, and `FUNCTIONALITY_NOT_ENABLED` for what the Bulk API does not have:
    /// grouping, aggregates, OFFSET, TYPEOF, queries of children, compound fields.
    pub(crate) fn bulk_query(&self, soql: &str, all_rows: bool) -> Result<BulkQuery, ApiError> {
        refuse(&lexer::tokens(soql)?)?;
        let query = parser::parse(soql)?;
        let state = self.state();
        let scope = self.scope(&state, soql, all_rows);
        let plan = Plan::new(&scope, &query, false)?;
        plan.check_order(&scope, &query)?;
        let columns = columns(&scope, &plan, &query)?;
        Ok(BulkQuery {
            soql: soql.to_owned(),
            all_rows,
            entity: plan.root,
            splittable: query.order_by.is_empty() && query.limit.is_none(),
            columns,
        })
    }

    /// The records that a query finds now, in its order. Later changes do not reach them.
    pub(crate) fn bulk_records(&self, bulk: &BulkQuery) -> Result<Vec<Record>, ApiError> {
        let query = parser::parse(&bulk.soql)?;
        let state = self.state();
        let scope = self.scope(&state, &bulk.soql, bulk.all_rows);
        let plan = Plan::new(&scope, &query, false)?;
        let mut records = Vec::new();
        plan.sorted(&scope, &query, &mut |record| records.push(record.clone()))?;
        Ok(records)
    }

    /// Writes records as CSV rows, each handed on whole. Values of parents are those at the moment
    /// of writing. `stop` is asked now and then; `done` counts rows.
    ///
    /// # Errors
    /// Those of the receiver.
    pub(crate) fn bulk_rows(
        &self,
        bulk: &BulkQuery,
        records: &[Record],
        style: &RowStyle,
        done: &AtomicU64,
        stop: &dyn Fn() -> bool,
        receiver: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut row = Vec::with_capacity(1024);
        for chunk in records.chunks(LOCKED_ROWS) {
            if stop() {
                return Ok(());
            }
            let state = self.state();
            let scope = self.scope(&state, &bulk.soql, bulk.all_rows);
            for record in chunk {
                row.clear();
                for (place, column) in bulk.columns.iter().enumerate() {
                    if place > 0 {
                        row.push(style.delimiter);
                    }
                    column.write(&scope, record, &mut row);
                }
                row.extend_from_slice(style.line_end);
                receiver(&row)?;
            }
            let rows = u64::try_from(chunk.len()).unwrap_or_default();
            done.fetch_add(rows, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What stands between values and rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowStyle {
    pub(crate) delimiter: u8,
    pub(crate) line_end: &'static [u8],
}

impl BulkQuery {
    /// The names of the columns, in the order selected.
    pub(crate) fn headers(&self) -> Vec<&str> {
        let columns = self.columns.iter();
        columns.map(|column| column.header.as_str()).collect()
    }
}

impl Column {
    fn write(&self, scope: &Scope<'_>, record: &Record, row: &mut Vec<u8>) {
        let computed = record.entity().name == "PermissionSetAssignment";
        if self.path.is_own() && !computed {
            // Without a copy of the value: this is nearly every value of a big result.
            write_cell(record.at(self.path.position), self.path.field.kind, row);
        } else {
            let value = scope.value(record, &self.path);
            write_cell(value.view(), self.path.field.kind, row);
        }
    }
}

/// A value as the Bulk API writes it: quoted, nothing for null.
fn write_cell(cell: CellRef<'_>, kind: FieldType, row: &mut Vec<u8>) {
    row.push(b'"');
    match cell {
        CellRef::Null => {}
        CellRef::Bool(true) => row.extend_from_slice(b"true"),
        CellRef::Bool(false) => row.extend_from_slice(b"false"),
        CellRef::Int(value) => row.extend_from_slice(value.to_string().as_bytes()),
        CellRef::Num(value) => number::write(value, row),
        // Stored as REST writes it, `+0000`; the Bulk API writes `Z`.
        CellRef::Text(text) if kind == FieldType::DateTime => {
            row.extend_from_slice(text.trim_end_matches("+0000").as_bytes());
            row.push(b'Z');
        }
        CellRef::Text(text) => {
            let mut parts = text.as_bytes().split(|byte| *byte == b'"');
            row.extend_from_slice(parts.next().unwrap_or_default());
            for part in parts {
                row.extend_from_slice(b"\"\"");
                row.extend_from_slice(part);
            }
        }
    }
    row.push(b'"');
}

fn columns(scope: &Scope<'_>, plan: &Plan, query: &Query) -> Result<Vec<Column>, ApiError> {
    let mut columns: Vec<Column> = Vec::new();
    for (item, alias) in &query.select {
        if let (Item::Field(_), Some(_)) = (item, alias) {
            return Err(lexer::malformed(
                "only aggregate expressions use field aliasing",
            ));
        }
        if let Item::Field(names) = item {
            columns.push(column(scope, plan, names)?);
        } else if let Item::Group(group) = item {
            if !group.eq_ignore_ascii_case("STANDARD") {
                return Err(lexer::malformed(
                    "The SOQL FIELDS function is supported by the Bulk API for STANDARD only",
                ));
            }
            let leaves = plan.root.fields.iter().enumerate();
            let visible = leaves.filter(|(_, field)| plan.root.visible(field.name).is_some());
            columns.extend(visible.map(|(position, field)| Column {
                header: field.name.to_owned(),
                path: Path {
                    hops: Vec::new(),
                    position,
                    field,
                    function: None,
                },
            }));
        } else {
            return Err(unsupported("Aggregate functions"));
        }
    }
    for (place, column) in columns.iter().enumerate() {
        let before = columns.iter().take(place);
        if before
            .into_iter()
            .any(|other| other.header == column.header)
        {
            let message = format!("duplicate field selected: {}", column.header);
            return Err(ApiError::new("INVALID_FIELD", message));
        }
    }
    Ok(columns)
}

fn column(scope: &Scope<'_>, plan: &Plan, names: &Names) -> Result<Column, ApiError> {
    let (hops, entity, last) = scope.parents(plan.root, plan.alias.as_deref(), names)?;
    let compound = |(name, _): &(&str, &str)| name.eq_ignore_ascii_case(last);
    if entity.addresses.iter().any(compound) {
        return Err(ApiError::new(
            "FUNCTIONALITY_NOT_ENABLED",
            "Selecting compound data not supported in Bulk Query",
        ));
    }
    let path = scope.resolve(plan.root, plan.alias.as_deref(), names)?;
    let (mut header, mut from) = (String::new(), plan.root);
    for hop in hops {
        let reference = from.fields.get(hop).and_then(|field| field.reference);
        let (target, relationship) = reference.unwrap_or_default();
        header.push_str(relationship);
        header.push('.');
        from = scope.state.entity(target).unwrap_or(from);
    }
    header.push_str(path.field.name);
    Ok(Column { header, path })
}

fn unsupported(what: &str) -> ApiError {
    ApiError::new(
        "FUNCTIONALITY_NOT_ENABLED",
        format!("{what} not supported in Bulk Query"),
    )
}

const AGGREGATES: [&str; 6] = ["COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"];

/// Refuses what the Bulk API does not have, by the words alone: some of it the parser need not know.
fn refuse(tokens: &[Token]) -> Result<(), ApiError> {
    let (mut depth, mut selecting) = (0_usize, true);
    for (place, token) in tokens.iter().enumerate() {
        let word = match &token.kind {
            Kind::Word(word) => word.to_ascii_uppercase(),
            Kind::Sign("(") => {
                depth += 1;
                continue;
            }
            Kind::Sign(")") => {
                depth = depth.saturating_sub(1);
                continue;
            }
            Kind::Sign(_) | Kind::Text(_) | Kind::Literal(_) => continue,
        };
        let next = tokens.get(place + 1).map(|token| &token.kind);
        match word.as_str() {
            "FROM" if depth == 0 => selecting = false,
            "TYPEOF" if selecting => return Err(unsupported("TYPEOF")),
            "SELECT" if selecting && depth > 0 => {
                return Err(unsupported("Aggregate Relationships"));
            }
            function
                if selecting
                    && AGGREGATES.contains(&function)
                    && next == Some(&Kind::Sign("(")) =>
            {
                return Err(unsupported("Aggregate functions"));
            }
            "GROUP" if depth == 0 && !selecting && is_word(next, "BY") => {
                return Err(unsupported("GROUP BY"));
            }
            "OFFSET" if depth == 0 && !selecting => return Err(unsupported("OFFSET")),
            _ => {}
        }
    }
    Ok(())
}

fn is_word(kind: Option<&Kind>, expected: &str) -> bool {
    matches!(kind, Some(Kind::Word(word)) if word.eq_ignore_ascii_case(expected))
}
