//! The records of one object, by id and by what they refer to.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::record::Record;
use crate::schema::{Entity, FieldType};

/// The records of one object, deleted ones included.
pub(crate) struct Table {
    rows: BTreeMap<String, Record>,
    /// Position of a reference field to the referred id to the ids of the records that refer to it.
    indexes: BTreeMap<usize, BTreeMap<String, BTreeSet<String>>>,
}

impl Table {
    pub(crate) fn new(entity: &'static Entity) -> Self {
        let indexes = entity
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| {
                field.kind == FieldType::Reference
                    && field.name != "CreatedById"
                    && field.name != "LastModifiedById"
            })
            .map(|(position, _)| (position, BTreeMap::new()))
            .collect();
        Table {
            rows: BTreeMap::new(),
            indexes,
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Record> {
        self.rows.get(id)
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.rows.values()
    }

    /// Records with ids in the range, in id order.
    pub(crate) fn range(
        &self,
        from: Bound<&str>,
        to: Bound<&str>,
    ) -> impl DoubleEndedIterator<Item = &Record> {
        self.rows
            .range::<str, _>((from, to))
            .map(|(_, record)| record)
    }

    /// Records whose reference at `position` is `id`, in id order; `None` where it has no index.
    pub(crate) fn referring(
        &self,
        position: usize,
        id: &str,
    ) -> Option<impl Iterator<Item = &Record>> {
        let ids = self.indexes.get(&position)?.get(id);
        Some(ids.into_iter().flatten().filter_map(|id| self.rows.get(id)))
    }

    pub(crate) fn is_indexed(&self, position: usize) -> bool {
        self.indexes.contains_key(&position)
    }

    pub(crate) fn put(&mut self, record: Record) {
        let id = record.id().to_owned();
        self.unindex(&id);
        for (position, index) in &mut self.indexes {
            if let Some(target) = record.at(*position).text() {
                index
                    .entry(target.to_owned())
                    .or_default()
                    .insert(id.clone());
            }
        }
        self.rows.insert(id, record);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.unindex(id);
        self.rows.remove(id);
    }

    fn unindex(&mut self, id: &str) {
        let Some(old) = self.rows.get(id) else { return };
        for (position, index) in &mut self.indexes {
            let Some(target) = old.at(*position).text() else {
                continue;
            };
            if let Some(ids) = index.get_mut(target) {
                ids.remove(id);
                if ids.is_empty() {
                    index.remove(target);
                }
            }
        }
    }
}
