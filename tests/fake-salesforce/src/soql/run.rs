//! Queries answered.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::commit::Row;
use crate::error::ApiError;
use crate::org::{Org, State};
use crate::record::{Cell, Record};
use crate::schema::{self, Entity, FieldType};
use crate::soql::filter::{self, Compiler, Narrowed, Test};
use crate::soql::lexer::malformed;
use crate::soql::parser::{self, Function, Item, Names, Order, Query};
use crate::soql::path::{self, Path, Scope};
use crate::table::Table;
use crate::time;

/// How a query ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `SELECT COUNT()`: a number and no rows.
    Count(usize),
    /// Every row went to the receiver.
    Rows,
}

impl Org {
    /// Answers a query. Parents are nested objects or null; aggregate rows have their aliases or
    /// `expr0`, `expr1`, ... as names; `SELECT COUNT()` answers one row with `expr0`. With
    /// `all_rows`, deleted records are visible.
    ///
    /// # Errors
    /// What Salesforce would answer: `MALFORMED_QUERY`, `INVALID_FIELD`, `INVALID_TYPE` and so on.
    pub fn query(&self, soql: &str, all_rows: bool) -> Result<Vec<Row>, ApiError> {
        let mut rows = Vec::new();
        let answer = self.run(soql, all_rows, None, &mut |row| rows.push(row))?;
        if let Answer::Count(count) = answer {
            let mut row = Row::new();
            row.insert("expr0".to_owned(), json!(count));
            rows.push(row);
        }
        Ok(rows)
    }

    /// The named fields of records by id, in the order of the ids; `None` for one that is missing
    /// or deleted.
    ///
    /// # Errors
    /// An unknown object or field, or an id that is none.
    pub fn retrieve(
        &self,
        entity: &str,
        ids: &[String],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, ApiError> {
        self.retrieve_as(entity, ids, fields, None)
    }

    /// The same with `attributes`, where an API version is given.
    pub(crate) fn retrieve_as(
        &self,
        entity: &str,
        ids: &[String],
        fields: &[String],
        version: Option<&str>,
    ) -> Result<Vec<Option<Row>>, ApiError> {
        let root = known_entity(entity)?;
        let state = self.state();
        let scope = self.scope(&state, "", false);
        let mut shape = Shape::default();
        for field in fields {
            let parts = field.split('.').map(str::to_owned).collect();
            let names = Names { parts, column: 1 };
            shape.add(&scope, root, None, &names)?;
        }
        ids.iter()
            .map(|given| {
                let whole = crate::id::to_18(given).ok_or_else(|| {
                    ApiError::new("MALFORMED_ID", format!("malformed id {given}"))
                })?;
                let record = state.table(root.name).and_then(|table| table.get(&whole));
                let alive = record.filter(|record| !record.flag("IsDeleted"));
                Ok(alive.map(|record| shape.row(&scope, record, version)))
            })
            .collect()
    }

    /// Answers a query row by row. With an API version, rows carry `attributes`.
    pub(crate) fn run(
        &self,
        soql: &str,
        all_rows: bool,
        version: Option<&str>,
        receiver: &mut dyn FnMut(Row),
    ) -> Result<Answer, ApiError> {
        let query = parser::parse(soql)?;
        let state = self.state();
        let scope = self.scope(&state, soql, all_rows);
        let plan = Plan::new(&scope, &query, false)?;
        if matches!(
            query.select.as_slice(),
            [(Item::Aggregate(Function::Count, None), _)]
        ) && query.group_by.is_empty()
        {
            let limit = query.limit.unwrap_or(usize::MAX);
            let count = plan.matching(&scope).skip(query.offset).take(limit).count();
            return Ok(Answer::Count(count));
        }
        let aggregated = |item: &Item| matches!(item, Item::Aggregate(..));
        if !query.group_by.is_empty() || query.select.iter().any(|(item, _)| aggregated(item)) {
            Groups::new(&scope, &plan, &query)?.answer(&scope, &plan, &query, version, receiver);
            return Ok(Answer::Rows);
        }
        let mut shape = Shape::default();
        for (item, alias) in &query.select {
            match item {
                Item::Field(_) if alias.is_some() => {
                    return Err(malformed("only aggregate expressions use field aliasing"));
                }
                Item::Field(names) => shape.add(&scope, plan.root, plan.alias, names)?,
                Item::Group(group) => shape.add_group(plan.root, group, query.limit)?,
                Item::Aggregate(..) => {}
            }
        }
        plan.sorted(&scope, &query, &mut |record| {
            receiver(shape.row(&scope, record, version));
        })?;
        Ok(Answer::Rows)
    }

    fn scope<'a>(&self, state: &'a State, soql: &'a str, all_rows: bool) -> Scope<'a> {
        let now_ms = self.now_micros().div_euclid(1000);
        let user = state.by_id(self.admin_id());
        let zone = user
            .and_then(|user| user.text("TimeZoneSidKey"))
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC);
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let fiscal_start = match state
            .by_id(self.org_id())
            .map(|org| org.cell("FiscalYearStartMonth"))
        {
            Some(Cell::Int(month)) => *month,
            _ => 1,
        };
        Scope {
            state,
            soql,
            now: time::datetime_text(now_ms),
            all_rows,
            today: now.to_zoned(zone.clone()).date(),
            zone,
            fiscal_start,
        }
    }
}

/// The ids that a semi-join's query finds.
pub(crate) fn joined_ids(scope: &Scope<'_>, query: &Query) -> Result<BTreeSet<String>, ApiError> {
    let plan = Plan::new(scope, query, true)?;
    let [(Item::Field(names), None)] = query.select.as_slice() else {
        return Err(malformed(
            "semi join sub-selects can only query one id field",
        ));
    };
    let path = scope.resolve(plan.root, plan.alias, names)?;
    if !path.field.kind.is_id() {
        return Err(malformed(format!(
            "The selected field in the semi join sub-select should be an id field, cannot use: '{}'",
            path.field.name
        )));
    }
    let mut ids = BTreeSet::new();
    plan.sorted(scope, query, &mut |record| {
        if let Cell::Text(id) = scope.value(record, &path) {
            ids.insert(id.as_ref().to_owned());
        }
    })?;
    Ok(ids)
}

pub(crate) fn known_entity(name: &str) -> Result<&'static Entity, ApiError> {
    schema::entity(name).ok_or_else(|| {
        ApiError::new(
            "INVALID_TYPE",
            format!(
                "sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
            ),
        )
    })
}

/// Where a query's records come from.
struct Plan<'q> {
    root: &'static Entity,
    alias: Option<&'q str>,
    test: Option<Test>,
    narrowed: Narrowed,
}

impl<'q> Plan<'q> {
    fn new(scope: &Scope<'_>, query: &'q Query, inside_join: bool) -> Result<Self, ApiError> {
        let root = known_entity(&query.from)?;
        let alias = query.alias.as_deref();
        let mut compiler = Compiler {
            scope,
            root,
            alias,
            inside_join,
            joins: 0,
        };
        let test = match &query.condition {
            Some(condition) => Some(compiler.test(condition, true)?),
            None => None,
        };
        let mut narrowed = Narrowed::default();
        if let Some(test) = &test {
            filter::narrow(test, &mut narrowed);
        }
        Ok(Plan {
            root,
            alias,
            test,
            narrowed,
        })
    }

    /// The records that match, in id order.
    fn matching<'s>(
        &'s self,
        scope: &'s Scope<'_>,
    ) -> Box<dyn DoubleEndedIterator<Item = &'s Record> + 's> {
        let Some(table) = scope.state.table(self.root.name) else {
            return Box::new(std::iter::empty());
        };
        Box::new(self.candidates(table).filter(move |record| {
            (scope.all_rows || !record.flag("IsDeleted"))
                && self
                    .test
                    .as_ref()
                    .is_none_or(|test| filter::holds(scope, test, record))
        }))
    }

    fn candidates<'s>(
        &'s self,
        table: &'s Table,
    ) -> Box<dyn DoubleEndedIterator<Item = &'s Record> + 's> {
        if let Some(ids) = &self.narrowed.ids {
            return Box::new(ids.iter().filter_map(|id| table.get(id)));
        }
        if let Some((position, targets)) = &self.narrowed.referring
            && table.is_indexed(*position)
        {
            let mut found: Vec<&Record> = targets
                .iter()
                .flat_map(|target| table.referring(*position, target).into_iter().flatten())
                .collect();
            found.sort_by(|left, right| left.id().cmp(right.id()));
            return Box::new(found.into_iter());
        }
        let from = bound(self.narrowed.from.as_ref());
        let to = bound(self.narrowed.to.as_ref());
        if is_empty_range(from, to) {
            return Box::new(std::iter::empty());
        }
        Box::new(table.range(from, to))
    }

    /// Hands the matching records on in the order asked for, within OFFSET and LIMIT.
    fn sorted(
        &self,
        scope: &Scope<'_>,
        query: &Query,
        receiver: &mut dyn FnMut(&Record),
    ) -> Result<(), ApiError> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let keys = self.keys(scope, &query.order_by)?;
        match keys.as_slice() {
            [] => {
                let matching = self.matching(scope);
                matching.skip(query.offset).take(limit).for_each(receiver);
            }
            // The tables are in id order: no need to look at more than LIMIT records.
            [(path, order)] if path.hops.is_empty() && path.field.kind == FieldType::Id => {
                let matching = self.matching(scope);
                if order.descending {
                    let matching = matching.rev();
                    matching.skip(query.offset).take(limit).for_each(receiver);
                } else {
                    matching.skip(query.offset).take(limit).for_each(receiver);
                }
            }
            keys => {
                let mut found: Vec<(Vec<Cell>, &Record)> = self
                    .matching(scope)
                    .zip(0..)
                    .map(|(record, place)| {
                        let cells = keys.iter().map(|(path, _)| {
                            // Ids have an order of their own, that of the tables: unlike other
                            // texts they tell capitals from small letters.
                            if path.hops.is_empty() && path.field.kind == FieldType::Id {
                                Cell::Int(place)
                            } else {
                                scope.value(record, path)
                            }
                        });
                        (cells.collect(), record)
                    })
                    .collect();
                found.sort_by(|left, right| {
                    let orders: Vec<&Order> = keys.iter().map(|(_, order)| *order).collect();
                    by_keys(&left.0, &right.0, &orders)
                });
                let sorted = found.into_iter().map(|(_, record)| record);
                sorted.skip(query.offset).take(limit).for_each(receiver);
            }
        }
        Ok(())
    }

    fn keys<'o>(
        &self,
        scope: &Scope<'_>,
        orders: &'o [Order],
    ) -> Result<Vec<(Path, &'o Order)>, ApiError> {
        orders
            .iter()
            .map(|order| match &order.by {
                Item::Field(names) => {
                    let path = scope.resolve(self.root, self.alias, names)?;
                    if path.field.kind == FieldType::TextArea {
                        return Err(malformed(format!(
                            "field '{}' can not be sorted in a query call",
                            path.field.name
                        )));
                    }
                    Ok((path, order))
                }
                Item::Aggregate(..) | Item::Group(_) => {
                    Err(malformed("Ordering by an aggregate needs a grouped query"))
                }
            })
            .collect()
    }
}

fn bound(bound: Option<&Bound<String>>) -> Bound<&str> {
    match bound {
        Some(Bound::Included(id)) => Bound::Included(id),
        Some(Bound::Excluded(id)) => Bound::Excluded(id),
        Some(Bound::Unbounded) | None => Bound::Unbounded,
    }
}

/// A map refuses ranges that end before they begin.
fn is_empty_range(from: Bound<&str>, to: Bound<&str>) -> bool {
    let (Bound::Included(low) | Bound::Excluded(low)) = from else {
        return false;
    };
    match to {
        Bound::Included(high) => low > high,
        Bound::Excluded(high) => low >= high,
        Bound::Unbounded => false,
    }
}

fn by_keys(left: &[Cell], right: &[Cell], orders: &[&Order]) -> Ordering {
    for ((left, right), order) in left.iter().zip(right).zip(orders) {
        let ordering = match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if order.nulls_last => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if order.nulls_last => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) if order.descending => by_value(right, left),
            (false, false) => by_value(left, right),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

fn by_value(left: &Cell, right: &Cell) -> Ordering {
    match (left, right) {
        (Cell::Text(left), Cell::Text(right)) => left
            .to_lowercase()
            .cmp(&right.to_lowercase())
            .then_with(|| left.cmp(right)),
        (Cell::Bool(left), Cell::Bool(right)) => left.cmp(right),
        _ => number(left).total_cmp(&number(right)),
    }
}

fn number(cell: &Cell) -> f64 {
    match cell {
        #[expect(
            clippy::cast_precision_loss,
            reason = "whole numbers here have 32 bits"
        )]
        Cell::Int(number) => *number as f64,
        Cell::Num(number) => *number,
        Cell::Null | Cell::Bool(_) | Cell::Text(_) => 0.0,
    }
}

/// The form of a row: fields in the order selected, those of a parent nested under it.
#[derive(Default)]
struct Shape {
    parts: Vec<Part>,
}

enum Part {
    Field(&'static str, usize),
    /// A compound address: its name, and what its parts' names begin with.
    Address(&'static str, &'static str),
    /// The relationship's name and the reference's position.
    Parent(&'static str, usize, Shape),
}

impl Part {
    fn name(&self) -> &'static str {
        match self {
            Part::Field(name, _) | Part::Address(name, _) | Part::Parent(name, _, _) => name,
        }
    }
}

impl Shape {
    fn add(
        &mut self,
        scope: &Scope<'_>,
        root: &'static Entity,
        alias: Option<&str>,
        names: &Names,
    ) -> Result<(), ApiError> {
        let (hops, entity, last) = scope.parents(root, alias, names)?;
        let (mut shape, mut from) = (self, root);
        for hop in hops {
            (shape, from) = shape.parent(from, hop);
        }
        let address = entity
            .addresses
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(last));
        let part = match (entity.position(last), address) {
            (Some(position), _) => {
                let name = entity.fields.get(position).map_or("", |field| field.name);
                Part::Field(name, position)
            }
            (None, Some((name, prefix))) => Part::Address(name, prefix),
            (None, None) => return Err(path::no_column(scope.soql, entity, last, names.column)),
        };
        if shape.parts.iter().any(|known| known.name() == part.name()) {
            return Err(ApiError::new(
                "INVALID_FIELD",
                format!("duplicate field selected: {}", names.parts.join(".")),
            ));
        }
        shape.parts.push(part);
        Ok(())
    }

    /// The shape of a parent, made where there is none yet.
    fn parent(&mut self, from: &'static Entity, hop: usize) -> (&mut Shape, &'static Entity) {
        let reference = from.fields.get(hop).and_then(|field| field.reference);
        let (target, name) = reference.unwrap_or_default();
        let known = self
            .parts
            .iter()
            .position(|part| matches!(part, Part::Parent(_, position, _) if *position == hop));
        let place = known.unwrap_or(self.parts.len());
        if known.is_none() {
            self.parts.push(Part::Parent(name, hop, Shape::default()));
        }
        let target = schema::entity(target).unwrap_or(from);
        match self.parts.get_mut(place) {
            Some(Part::Parent(_, _, shape)) => (shape, target),
            _ => unreachable!("the part was found or pushed as a parent"),
        }
    }

    fn add_group(
        &mut self,
        root: &'static Entity,
        group: &str,
        limit: Option<usize>,
    ) -> Result<(), ApiError> {
        let unbounded = limit.is_none_or(|limit| limit > 200);
        match group {
            "STANDARD" => {}
            "ALL" | "CUSTOM" if unbounded => {
                return Err(malformed(format!(
                    "The SOQL FIELDS function must have a LIMIT of at most 200 for {group}"
                )));
            }
            "ALL" => {}
            "CUSTOM" => return Ok(()),
            _ => return Err(malformed(format!("unexpected token: '{group}'"))),
        }
        let named: BTreeSet<&str> = self.parts.iter().map(Part::name).collect();
        if let Some(twice) = root.fields.iter().find(|field| named.contains(field.name)) {
            return Err(ApiError::new(
                "INVALID_FIELD",
                format!("duplicate field selected: {}", twice.name),
            ));
        }
        let fields = root.fields.iter().enumerate();
        self.parts
            .extend(fields.map(|(position, field)| Part::Field(field.name, position)));
        let addresses = root.addresses.iter();
        self.parts
            .extend(addresses.map(|(name, prefix)| Part::Address(name, prefix)));
        Ok(())
    }

    fn row(&self, scope: &Scope<'_>, record: &Record, version: Option<&str>) -> Row {
        let mut row = Row::new();
        if let Some(version) = version {
            row.insert("attributes".to_owned(), attributes(record, version));
        }
        for part in &self.parts {
            let value = match part {
                Part::Field(_, position) => {
                    scope.state.cell_now(record, *position, &scope.now).json()
                }
                Part::Address(_, prefix) => address(record, prefix),
                Part::Parent(_, position, shape) => match scope.parent(record, *position) {
                    Some(parent) => Value::Object(shape.row(scope, parent, version)),
                    None => Value::Null,
                },
            };
            row.insert(part.name().to_owned(), value);
        }
        row
    }
}

/// `attributes` of a record.
pub(crate) fn attributes(record: &Record, version: &str) -> Value {
    let entity = record.entity().name;
    json!({
        "type": entity,
        "url": format!("/services/data/v{version}/sobjects/{entity}/{}", record.id()),
    })
}

/// A compound address; null where all its parts are empty.
pub(crate) fn address(record: &Record, prefix: &str) -> Value {
    let part = |name: &str| record.get(&format!("{prefix}{name}"));
    let address = json!({
        "city": part("City"),
        "country": part("Country"),
        "geocodeAccuracy": part("GeocodeAccuracy"),
        "latitude": part("Latitude"),
        "longitude": part("Longitude"),
        "postalCode": part("PostalCode"),
        "state": part("State"),
        "street": part("Street"),
    });
    let empty = address
        .as_object()
        .is_some_and(|parts| parts.values().all(Value::is_null));
    if empty { Value::Null } else { address }
}

/// What a grouped query computes.
struct Groups<'q> {
    by: Vec<(Path, &'q Names)>,
    columns: Vec<Column>,
    aggregates: Vec<Aggregate>,
    /// For each sort key, the group key or column it sorts by.
    orders: Vec<(Source, &'q Order)>,
}

struct Column {
    name: String,
    source: Source,
}

#[derive(Clone, Copy)]
enum Source {
    Key(usize),
    Sum(usize),
}

struct Aggregate {
    function: Function,
    path: Option<Path>,
}

#[derive(Clone, Default)]
struct Sum {
    count: usize,
    total: f64,
    distinct: BTreeSet<String>,
    least: Option<Cell>,
    greatest: Option<Cell>,
}

impl<'q> Groups<'q> {
    fn new(scope: &Scope<'_>, plan: &Plan<'_>, query: &'q Query) -> Result<Self, ApiError> {
        let by = query
            .group_by
            .iter()
            .map(|names| Ok((scope.resolve(plan.root, plan.alias, names)?, names)))
            .collect::<Result<Vec<_>, ApiError>>()?;
        let mut groups = Groups {
            by,
            columns: Vec::new(),
            aggregates: Vec::new(),
            orders: Vec::new(),
        };
        let mut unnamed = 0;
        for (item, alias) in &query.select {
            let (source, name) = match item {
                Item::Field(names) => {
                    (groups.key(scope, plan, names)?, names.parts.last().cloned())
                }
                Item::Aggregate(function, names) => {
                    let aggregate = aggregate(scope, plan, *function, names.as_ref())?;
                    groups.aggregates.push(aggregate);
                    (Source::Sum(groups.aggregates.len() - 1), None)
                }
                Item::Group(_) => return Err(malformed("FIELDS can not be grouped")),
            };
            let name = alias.clone().or(name).unwrap_or_else(|| {
                unnamed += 1;
                format!("expr{}", unnamed - 1)
            });
            groups.columns.push(Column { name, source });
        }
        for order in &query.order_by {
            let source = match &order.by {
                Item::Field(names) => groups.key(scope, plan, names)?,
                by @ (Item::Aggregate(..) | Item::Group(_)) => {
                    let aggregates = query.select.iter().map(|(item, _)| item);
                    let mut aggregates =
                        aggregates.filter(|item| matches!(item, Item::Aggregate(..)));
                    let place = aggregates.position(|item| same(item, by));
                    Source::Sum(place.ok_or_else(|| {
                        malformed("here an aggregate in ORDER BY must also be selected")
                    })?)
                }
            };
            groups.orders.push((source, order));
        }
        Ok(groups)
    }

    fn key(&self, scope: &Scope<'_>, plan: &Plan<'_>, names: &Names) -> Result<Source, ApiError> {
        let path = scope.resolve(plan.root, plan.alias, names)?;
        let place = self
            .by
            .iter()
            .position(|(by, _)| by.hops == path.hops && by.position == path.position);
        place.map(Source::Key).ok_or_else(|| {
            malformed(format!(
                "Field must be grouped or aggregated: {}",
                names.parts.join(".")
            ))
        })
    }

    fn answer(
        &self,
        scope: &Scope<'_>,
        plan: &Plan<'_>,
        query: &Query,
        version: Option<&str>,
        receiver: &mut dyn FnMut(Row),
    ) {
        let aggregates = &self.aggregates;
        let mut found: BTreeMap<Vec<String>, (Vec<Cell>, Vec<Sum>)> = BTreeMap::new();
        if self.by.is_empty() {
            // Without GROUP BY there is one group, even of nothing.
            found.insert(
                Vec::new(),
                (Vec::new(), vec![Sum::default(); aggregates.len()]),
            );
        }
        for record in plan.matching(scope) {
            let cells: Vec<Cell> = self
                .by
                .iter()
                .map(|(path, _)| scope.value(record, path))
                .collect();
            let key = cells.iter().map(|cell| cell.json().to_string()).collect();
            let (_, sums) = found
                .entry(key)
                .or_insert_with(|| (cells, vec![Sum::default(); aggregates.len()]));
            for (sum, aggregate) in sums.iter_mut().zip(aggregates) {
                match &aggregate.path {
                    Some(path) => sum.add(&scope.value(record, path)),
                    None => sum.count += 1,
                }
            }
        }
        let mut groups: Vec<(Vec<Cell>, Vec<Cell>)> = found
            .into_values()
            .map(|(keys, sums)| {
                let results = sums.iter().zip(aggregates);
                let results = results.map(|(sum, aggregate)| sum.result(aggregate.function));
                (keys, results.collect())
            })
            .collect();
        let cell = |group: &(Vec<Cell>, Vec<Cell>), source: Source| match source {
            Source::Key(place) => group.0.get(place).cloned().unwrap_or_default(),
            Source::Sum(place) => group.1.get(place).cloned().unwrap_or_default(),
        };
        let orders: Vec<&Order> = self.orders.iter().map(|(_, order)| *order).collect();
        groups.sort_by(|left, right| {
            let keys = |group| {
                let sources = self.orders.iter();
                sources
                    .map(|(source, _)| cell(group, *source))
                    .collect::<Vec<_>>()
            };
            by_keys(&keys(left), &keys(right), &orders)
        });
        let limit = query.limit.unwrap_or(usize::MAX);
        for group in groups.iter().skip(query.offset).take(limit) {
            let mut row = Row::new();
            if version.is_some() {
                row.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
            }
            for column in &self.columns {
                row.insert(column.name.clone(), cell(group, column.source).json());
            }
            receiver(row);
        }
    }
}

fn same(left: &Item, right: &Item) -> bool {
    let parts = |names: &Option<Names>| names.as_ref().map(|names| names.parts.clone());
    match (left, right) {
        (Item::Aggregate(left, of), Item::Aggregate(right, other)) => {
            left == right && parts(of) == parts(other)
        }
        _ => false,
    }
}

fn aggregate(
    scope: &Scope<'_>,
    plan: &Plan<'_>,
    function: Function,
    names: Option<&Names>,
) -> Result<Aggregate, ApiError> {
    let path = match names {
        Some(names) => Some(scope.resolve(plan.root, plan.alias, names)?),
        None => None,
    };
    let numbers_only = matches!(function, Function::Sum | Function::Avg);
    if let Some(path) = &path
        && numbers_only
        && !path.field.kind.is_number()
    {
        return Err(malformed(format!(
            "field {} does not support aggregate operator",
            path.field.name
        )));
    }
    Ok(Aggregate { function, path })
}

impl Sum {
    fn add(&mut self, cell: &Cell) {
        if cell.is_null() {
            return;
        }
        self.count += 1;
        self.total += number(cell);
        self.distinct.insert(cell.json().to_string().to_lowercase());
        let less = |known: &Option<Cell>, wanted: Ordering| {
            known
                .as_ref()
                .is_none_or(|known| by_value(cell, known) == wanted)
        };
        if less(&self.least, Ordering::Less) {
            self.least = Some(cell.clone());
        }
        if less(&self.greatest, Ordering::Greater) {
            self.greatest = Some(cell.clone());
        }
    }

    fn result(&self, function: Function) -> Cell {
        let whole = |count: usize| Cell::Int(i64::try_from(count).unwrap_or(i64::MAX));
        match function {
            Function::Count => whole(self.count),
            Function::CountDistinct => whole(self.distinct.len()),
            Function::Sum | Function::Avg if self.count == 0 => Cell::Null,
            Function::Sum => Cell::Num(self.total),
            #[expect(clippy::cast_precision_loss, reason = "a count of records")]
            Function::Avg => Cell::Num(self.total / self.count as f64),
            Function::Min => self.least.clone().unwrap_or_default(),
            Function::Max => self.greatest.clone().unwrap_or_default(),
        }
    }
}
