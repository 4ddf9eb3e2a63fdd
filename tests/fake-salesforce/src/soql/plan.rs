//! Where a query's records come from, and in which order.
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Bound;

use crate::error::ApiError;
use crate::record::{Cell, Record};
use crate::schema::{Entity, FieldType};
use crate::soql::filter::{self, Compiler, Operand, Test};
use crate::soql::join::Join;
use crate::soql::lexer::malformed;
use crate::soql::parser::{Comparison, Order, Query};
use crate::soql::path::{Path, Scope};
use crate::soql::run::known_entity;
use crate::table::{Key, Table, instant};

/// A query's object, its condition, and what the condition says of where to look.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) root: &'static Entity,
    pub(crate) alias: Option<String>,
    test: Option<Test>,
    narrowed: Narrowed,
}

/// Where a condition lets its records be found without asking all.
#[derive(Clone, Debug)]
struct Narrowed {
    /// The only ids possible.
    ids: Option<BTreeSet<Key>>,
    /// The only referred ids possible, by the position of the reference field.
    referring: Vec<(usize, BTreeSet<Key>)>,
    /// The lowest and highest id possible.
    from: Bound<Key>,
    to: Bound<Key>,
    /// The earliest and latest `SystemModstamp` possible.
    since: Bound<u64>,
    until: Bound<u64>,
}

impl Default for Narrowed {
    fn default() -> Self {
        Narrowed {
            ids: None,
            referring: Vec::new(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            since: Bound::Unbounded,
            until: Bound::Unbounded,
        }
    }
}

/// The cheapest way to a query's records, and about how many it visits.
enum Way<'p> {
    Ids(&'p BTreeSet<Key>),
    Referring(usize, &'p BTreeSet<Key>),
    Stamps,
    Range,
}

impl Plan {
    pub(crate) fn new(
        scope: &Scope<'_>,
        query: &Query,
        inside_join: bool,
    ) -> Result<Self, ApiError> {
        let root = known_entity(scope.state, &query.from)?;
        Plan::of(scope, root, query, inside_join)
    }

    /// A plan for records of `root`, whatever the query's FROM says.
    pub(crate) fn of(
        scope: &Scope<'_>,
        root: &'static Entity,
        query: &Query,
        inside_join: bool,
    ) -> Result<Self, ApiError> {
        let mut compiler = Compiler {
            scope,
            root,
            alias: query.alias.as_deref(),
            inside_join,
            joins: 0,
        };
        let test = match &query.condition {
            Some(condition) => Some(compiler.test(condition, true)?),
            None => None,
        };
        let mut narrowed = Narrowed::default();
        if let Some(test) = &test {
            narrowed.take(test);
        }
        Ok(Plan {
            root,
            alias: query.alias.clone(),
            test,
            narrowed,
        })
    }

    /// Whether the query finds this record of its object.
    pub(crate) fn finds(&self, scope: &Scope<'_>, record: &Record) -> bool {
        (scope.all_rows || !record.flag("IsDeleted"))
            && scope.state.is_visible(record)
            && self
                .test
                .as_ref()
                .is_none_or(|test| filter::holds(scope, test, record))
    }

    /// About how many records are visited.
    pub(crate) fn cost(&self, scope: &Scope<'_>) -> usize {
        let table = scope.state.table(self.root.name);
        table.map_or(0, |table| self.way(table).0)
    }

    fn way<'p>(&'p self, table: &Table) -> (usize, Way<'p>) {
        let narrowed = &self.narrowed;
        let mut best = (table.count(&narrowed.from, &narrowed.to), Way::Range);
        let unbounded = |bound: &Bound<u64>| matches!(bound, Bound::Unbounded);
        let stamps = !unbounded(&narrowed.since) || !unbounded(&narrowed.until);
        if stamps && table.stamped().is_some() {
            let count = table.count_stamps(narrowed.since, narrowed.until);
            if count < best.0 {
                best = (count, Way::Stamps);
            }
        }
        for (position, targets) in &narrowed.referring {
            if !table.is_indexed(*position) {
                continue;
            }
            let counts = targets.iter();
            let count = counts
                .map(|target| 1 + table.count_referring(*position, *target))
                .sum();
            if count < best.0 {
                best = (count, Way::Referring(*position, targets));
            }
        }
        if let Some(ids) = &narrowed.ids
            && ids.len() <= best.0
        {
            best = (ids.len(), Way::Ids(ids));
        }
        best
    }

    /// The records that match, in id order.
    pub(crate) fn matching<'s>(
        &'s self,
        scope: &'s Scope<'_>,
    ) -> Box<dyn Iterator<Item = &'s Record> + 's> {
        let Some(table) = scope.state.table(self.root.name) else {
            return Box::new(std::iter::empty());
        };
        Box::new(
            self.candidates(table)
                .filter(move |record| self.finds(scope, record)),
        )
    }

    fn candidates<'s>(&'s self, table: &'s Table) -> Box<dyn Iterator<Item = &'s Record> + 's> {
        let (from, to) = (self.narrowed.from, self.narrowed.to);
        match self.way(table).1 {
            Way::Ids(ids) => {
                let inside = ids.iter().filter(move |key| contains(from, to, **key));
                Box::new(inside.filter_map(|key| table.by_key(*key)))
            }
            Way::Referring(position, targets) => {
                let lists = targets.iter().filter_map(move |target| {
                    let keys = table.referring_keys(position, *target, from, to)?;
                    let keys: Box<dyn Iterator<Item = Key> + 's> = Box::new(keys);
                    Some(keys)
                });
                let merged = Merged::new(lists.collect());
                Box::new(merged.filter_map(|key| table.by_key(key)))
            }
            Way::Stamps => {
                let mut found: Vec<&Record> = table
                    .by_stamp(self.narrowed.since, self.narrowed.until)
                    .collect();
                found.sort_by(|left, right| left.id().cmp(right.id()));
                Box::new(found.into_iter())
            }
            Way::Range => Box::new(table.range(from, to)),
        }
    }

    /// Hands the matching records on in the order asked for, within OFFSET and LIMIT.
    pub(crate) fn sorted(
        &self,
        scope: &Scope<'_>,
        query: &Query,
        receiver: &mut dyn FnMut(&Record),
    ) -> Result<(), ApiError> {
        let limit = query.limit.unwrap_or(usize::MAX);
        let keys = self.keys(scope, &query.order_by)?;
        let hand_on = |records: &mut dyn Iterator<Item = &Record>,
                       receiver: &mut dyn FnMut(&Record)| {
            records.skip(query.offset).take(limit).for_each(receiver);
        };
        if let Some(mut records) = self.in_order(scope, &keys) {
            hand_on(&mut records, receiver);
            return Ok(());
        }
        let mut found: Vec<(Vec<Cell>, &Record)> = self
            .matching(scope)
            .map(|record| {
                let cells = keys.iter().map(|(path, _)| scope.value(record, path));
                (cells.collect(), record)
            })
            .collect();
        let orders = sort_keys(&keys);
        found.sort_by(|left, right| by_keys(&left.0, &right.0, &orders));
        let mut sorted = found.into_iter().map(|(_, record)| record);
        hand_on(&mut sorted, receiver);
        Ok(())
    }

    /// Whether the records can be sorted as asked for.
    pub(crate) fn check_order(&self, scope: &Scope<'_>, query: &Query) -> Result<(), ApiError> {
        self.keys(scope, &query.order_by).map(|_| ())
    }

    /// Some records in the order asked for, within OFFSET and LIMIT.
    pub(crate) fn sort<'r>(
        &self,
        scope: &Scope<'_>,
        query: &Query,
        mut records: Vec<&'r Record>,
    ) -> Vec<&'r Record> {
        // `check_order` refused what can not be sorted by.
        let keys = self.keys(scope, &query.order_by).unwrap_or_default();
        let orders = sort_keys(&keys);
        let cells = |record: &&Record| -> Vec<Cell> {
            let values = keys.iter().map(|(path, _)| scope.value(record, path));
            values.collect()
        };
        if !keys.is_empty() {
            records.sort_by(|left, right| by_keys(&cells(left), &cells(right), &orders));
        }
        let limit = query.limit.unwrap_or(usize::MAX);
        records.into_iter().skip(query.offset).take(limit).collect()
    }

    /// The matching records, where an index has the order asked for: then no more of them are
    /// looked at than LIMIT needs.
    fn in_order<'s>(
        &'s self,
        scope: &'s Scope<'_>,
        keys: &[(Path, &Order)],
    ) -> Option<Box<dyn Iterator<Item = &'s Record> + 's>> {
        let is_id = |path: &Path| path.is_own() && path.position == 0;
        let table = scope.state.table(self.root.name)?;
        let finds = move |record: &&Record| self.finds(scope, record);
        match keys {
            [] => Some(self.matching(scope)),
            [(path, order), ..] if is_id(path) && !order.descending => Some(self.matching(scope)),
            [(path, _), ..] if is_id(path) => match self.way(table).1 {
                Way::Range => {
                    let range = table.range(self.narrowed.from, self.narrowed.to);
                    Some(Box::new(range.rev().filter(finds)))
                }
                Way::Ids(_) | Way::Referring(..) | Way::Stamps => None,
            },
            [(path, order), rest @ ..]
                if path.is_own() && Some(path.position) == table.stamped() && !order.descending =>
            {
                let then_by_id = match rest {
                    [] => true,
                    [(path, order), ..] => is_id(path) && !order.descending,
                };
                match self.way(table).1 {
                    Way::Range | Way::Stamps if then_by_id => {
                        let (since, until) = (self.narrowed.since, self.narrowed.until);
                        Some(Box::new(table.by_stamp(since, until).filter(finds)))
                    }
                    Way::Range | Way::Stamps | Way::Ids(_) | Way::Referring(..) => None,
                }
            }
            _ => None,
        }
    }

    fn keys<'o>(
        &self,
        scope: &Scope<'_>,
        orders: &'o [Order],
    ) -> Result<Vec<(Path, &'o Order)>, ApiError> {
        orders
            .iter()
            .map(|order| {
                let path = scope.resolve_item(self.root, self.alias.as_deref(), &order.by)?;
                let unsortable =
                    matches!(path.kind(), FieldType::TextArea | FieldType::MultiPicklist);
                if unsortable {
                    return Err(malformed(format!(
                        "field '{}' can not be sorted in a query call",
                        path.field.name
                    )));
                }
                Ok((path, order))
            })
            .collect()
    }
}

fn sort_keys<'o>(keys: &[(Path, &'o Order)]) -> Vec<SortKey<'o>> {
    let keys = keys.iter();
    keys.map(|(path, order)| (*order, path.kind().is_id()))
        .collect()
}

/// Sorted lists as one.
struct Merged<'s> {
    heap: BinaryHeap<Reverse<(Key, usize)>>,
    lists: Vec<Box<dyn Iterator<Item = Key> + 's>>,
}

impl<'s> Merged<'s> {
    fn new(mut lists: Vec<Box<dyn Iterator<Item = Key> + 's>>) -> Self {
        let firsts = lists.iter_mut().enumerate();
        let heap = firsts
            .filter_map(|(place, list)| Some(Reverse((list.next()?, place))))
            .collect();
        Merged { heap, lists }
    }
}

impl Iterator for Merged<'_> {
    type Item = Key;

    fn next(&mut self) -> Option<Key> {
        let Reverse((key, place)) = self.heap.pop()?;
        if let Some(next) = self.lists.get_mut(place).and_then(Iterator::next) {
            self.heap.push(Reverse((next, place)));
        }
        Some(key)
    }
}

/// A sort key, and whether its values are compared letter for letter: ids are.
pub(crate) type SortKey<'o> = (&'o Order, bool);

pub(crate) fn by_keys(left: &[Cell], right: &[Cell], orders: &[SortKey<'_>]) -> Ordering {
    for ((left, right), (order, exact)) in left.iter().zip(right).zip(orders) {
        let by_value = if *exact { to_the_letter } else { by_value };
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

fn to_the_letter(left: &Cell, right: &Cell) -> Ordering {
    left.text().cmp(&right.text())
}

pub(crate) fn by_value(left: &Cell, right: &Cell) -> Ordering {
    match (left, right) {
        (Cell::Text(left), Cell::Text(right)) => left
            .to_lowercase()
            .cmp(&right.to_lowercase())
            .then_with(|| left.cmp(right)),
        (Cell::Bool(left), Cell::Bool(right)) => left.cmp(right),
        _ => number(left).total_cmp(&number(right)),
    }
}

pub(crate) fn number(cell: &Cell) -> f64 {
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

fn contains(from: Bound<Key>, to: Bound<Key>, key: Key) -> bool {
    std::ops::RangeBounds::contains(&(from, to), &key)
}

impl Narrowed {
    /// What a condition that must hold says.
    fn take(&mut self, test: &Test) {
        match test {
            Test::All(tests) => tests.iter().for_each(|test| self.take(test)),
            Test::Any(tests) => self.take_any(tests),
            Test::Compare(path, comparison, operand) if path.is_own() => {
                self.take_comparison(path, *comparison, operand);
            }
            Test::In(path, false, operands)
                if path.is_own() && path.field.kind.is_id() && operands.others.is_empty() =>
            {
                let ids = operands.exact.iter().map(|id| Key::of(id));
                self.only(path, ids.collect());
            }
            Test::Joined(path, false, Join::Known(ids)) if path.is_own() => {
                self.only(path, ids.iter().map(|id| Key::of(id)).collect());
            }
            // Everything else narrows nothing.
            Test::Not(_)
            | Test::Compare(..)
            | Test::In(..)
            | Test::Joined(..)
            | Test::Includes(..) => {}
        }
    }

    /// Of alternatives only this is used: when the earliest and latest of them are.
    fn take_any(&mut self, tests: &[Test]) {
        let alternatives = tests.iter().map(|test| {
            let mut alone = Narrowed::default();
            alone.take(test);
            (alone.since, alone.until)
        });
        let (sinces, untils): (Vec<_>, Vec<_>) = alternatives.unzip();
        // A bound that is a little too wide is no mistake: the condition itself is asked anyway.
        let value = |bound: Bound<u64>| match bound {
            Bound::Included(at) | Bound::Excluded(at) => Some(at),
            Bound::Unbounded => None,
        };
        let sinces: Option<Vec<u64>> = sinces.into_iter().map(value).collect();
        let untils: Option<Vec<u64>> = untils.into_iter().map(value).collect();
        if let Some(earliest) = sinces.and_then(|all| all.into_iter().min()) {
            self.not_before(Bound::Included(earliest));
        }
        if let Some(latest) = untils.and_then(|all| all.into_iter().max()) {
            self.not_after(Bound::Included(latest));
        }
    }

    fn take_comparison(&mut self, path: &Path, comparison: Comparison, operand: &Operand) {
        if path.field.name == "SystemModstamp" {
            self.take_stamp(comparison, operand);
            return;
        }
        let Operand::Exact(id) = operand else { return };
        if !path.field.kind.is_id() {
            return;
        }
        let key = Key::of(id);
        let own = path.position == 0;
        match comparison {
            Comparison::Equal => self.only(path, BTreeSet::from([key])),
            Comparison::Greater if own => self.from = higher(self.from, Bound::Excluded(key)),
            Comparison::GreaterOrEqual if own => {
                self.from = higher(self.from, Bound::Included(key));
            }
            Comparison::Less if own => self.to = lower(self.to, Bound::Excluded(key)),
            Comparison::LessOrEqual if own => self.to = lower(self.to, Bound::Included(key)),
            Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual
            | Comparison::NotEqual
            | Comparison::Like => {}
        }
    }

    fn take_stamp(&mut self, comparison: Comparison, operand: &Operand) {
        let (first, after) = match operand {
            Operand::Exact(at) => (instant(at), Bound::Included(instant(at))),
            Operand::Span(from, to) => (instant(from), Bound::Excluded(instant(to))),
            Operand::Null
            | Operand::Bool(_)
            | Operand::Num(_)
            | Operand::Text(_)
            | Operand::Like(_) => return,
        };
        let past = match after {
            Bound::Included(at) => Bound::Excluded(at),
            Bound::Excluded(at) => Bound::Included(at),
            Bound::Unbounded => Bound::Unbounded,
        };
        match comparison {
            Comparison::Equal => {
                self.not_before(Bound::Included(first));
                self.not_after(after);
            }
            Comparison::Greater => self.not_before(past),
            Comparison::GreaterOrEqual => self.not_before(Bound::Included(first)),
            Comparison::Less => self.not_after(Bound::Excluded(first)),
            Comparison::LessOrEqual => self.not_after(after),
            Comparison::NotEqual | Comparison::Like => {}
        }
    }

    fn not_before(&mut self, bound: Bound<u64>) {
        self.since = higher(self.since, bound);
    }

    fn not_after(&mut self, bound: Bound<u64>) {
        self.until = lower(self.until, bound);
    }

    fn only(&mut self, path: &Path, ids: BTreeSet<Key>) {
        if path.field.kind == FieldType::Id {
            self.ids = Some(match self.ids.take() {
                Some(known) => known.intersection(&ids).copied().collect(),
                None => ids,
            });
        } else {
            self.referring.push((path.position, ids));
        }
    }
}

/// The stricter of two lower bounds.
fn higher<T: Ord + Copy>(known: Bound<T>, new: Bound<T>) -> Bound<T> {
    match (known, new) {
        (Bound::Unbounded, _) => new,
        (Bound::Included(old) | Bound::Excluded(old), Bound::Included(at)) if at > old => new,
        (Bound::Included(old) | Bound::Excluded(old), Bound::Excluded(at)) if at >= old => new,
        _ => known,
    }
}

/// The stricter of two upper bounds.
fn lower<T: Ord + Copy>(known: Bound<T>, new: Bound<T>) -> Bound<T> {
    match (known, new) {
        (Bound::Unbounded, _) => new,
        (Bound::Included(old) | Bound::Excluded(old), Bound::Included(at)) if at < old => new,
        (Bound::Included(old) | Bound::Excluded(old), Bound::Excluded(at)) if at <= old => new,
        _ => known,
    }
}
