//! The records of one object: by id, by what they refer to, by when they last changed.
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::record::Record;
use crate::schema::{Entity, FieldType};
use crate::sorted::Sorted;

/// An id without its checksum; sorts as the id does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key([u8; 15]);

impl Key {
    pub(crate) const LOWEST: Key = Key([0; 15]);
    pub(crate) const HIGHEST: Key = Key([0xff; 15]);

    /// The key of an id in 15 or 18 characters.
    pub(crate) fn of(id: &str) -> Key {
        let mut key = [0; 15];
        key.iter_mut()
            .zip(id.bytes())
            .for_each(|(place, byte)| *place = byte);
        Key(key)
    }
}

/// A datetime in the stored form as a number that sorts by time.
pub(crate) fn instant(text: &str) -> u64 {
    let digits = text.bytes().take(23).filter(u8::is_ascii_digit);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The records of one object, deleted ones included. Copies share what did not change.
#[derive(Clone)]
pub(crate) struct Table {
    rows: Sorted<Key, Record>,
    /// By the position of a reference field: the referred record and the one that refers to it.
    references: BTreeMap<usize, Sorted<(Key, Key), ()>>,
    /// By the position of an external id field: its value in lower case and whose it is.
    externals: BTreeMap<usize, Sorted<(Arc<str>, Key), ()>>,
    /// By `SystemModstamp`.
    stamps: Sorted<(u64, Key), ()>,
    stamp_position: Option<usize>,
}

impl Table {
    pub(crate) fn new(entity: &Entity) -> Self {
        let mut table = Table {
            rows: Sorted::default(),
            references: BTreeMap::new(),
            externals: BTreeMap::new(),
            stamps: Sorted::default(),
            stamp_position: entity.position("SystemModstamp"),
        };
        table.adopt(entity);
        table
    }

    /// Takes up the indexes of a new description of the object.
    pub(crate) fn adopt(&mut self, entity: &Entity) {
        for (position, field) in entity.fields.iter().enumerate() {
            let audit = matches!(field.name, "CreatedById" | "LastModifiedById");
            if field.kind == FieldType::Reference && !audit {
                self.references.entry(position).or_default();
            }
            if field.external_id || field.unique {
                self.externals.entry(position).or_default();
            }
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Record> {
        self.by_key(Key::of(id))
    }

    pub(crate) fn by_key(&self, key: Key) -> Option<&Record> {
        self.rows.get(&key)
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.rows.iter().map(|(_, record)| record)
    }

    /// Records with ids in the range, in id order.
    pub(crate) fn range(
        &self,
        from: Bound<Key>,
        to: Bound<Key>,
    ) -> impl DoubleEndedIterator<Item = &Record> {
        self.rows.range(from, to).map(|(_, record)| record)
    }

    /// How many records have ids in the range.
    pub(crate) fn count(&self, from: &Bound<Key>, to: &Bound<Key>) -> usize {
        self.rows.count(from, to)
    }

    /// Records whose reference at `position` is `id`, in id order; `None` where it has no index.
    pub(crate) fn referring(
        &self,
        position: usize,
        id: &str,
    ) -> Option<impl Iterator<Item = &Record>> {
        let keys =
            self.referring_keys(position, Key::of(id), Bound::Unbounded, Bound::Unbounded)?;
        Some(keys.filter_map(|key| self.rows.get(&key)))
    }

    /// The keys, within a range, of the records whose reference at `position` is `target`.
    pub(crate) fn referring_keys(
        &self,
        position: usize,
        target: Key,
        from: Bound<Key>,
        to: Bound<Key>,
    ) -> Option<impl Iterator<Item = Key>> {
        let index = self.references.get(&position)?;
        let (from, to) = reference_range(target, from, to);
        Some(index.range(from, to).map(|((_, key), ())| *key))
    }

    /// How many records refer to `target` by the reference at `position`.
    pub(crate) fn count_referring(&self, position: usize, target: Key) -> usize {
        let (from, to) = reference_range(target, Bound::Unbounded, Bound::Unbounded);
        let index = self.references.get(&position);
        index.map_or(0, |index| index.count(&from, &to))
    }

    pub(crate) fn is_indexed(&self, position: usize) -> bool {
        self.references.contains_key(&position)
    }

    /// The records whose external id at `position` is this, in any case.
    pub(crate) fn external(&self, position: usize, value: &str) -> Vec<&Record> {
        let lower: Arc<str> = Arc::from(value.to_lowercase());
        let from = Bound::Included((Arc::clone(&lower), Key::LOWEST));
        let to = Bound::Included((lower, Key::HIGHEST));
        let index = self.externals.get(&position);
        let found = index
            .into_iter()
            .flat_map(|index| index.range(from.clone(), to.clone()));
        found
            .filter_map(|((_, key), ())| self.rows.get(key))
            .collect()
    }

    /// Where `SystemModstamp` is, when every record is in its index.
    pub(crate) fn stamped(&self) -> Option<usize> {
        self.stamp_position
            .filter(|_| self.stamps.len() == self.rows.len())
    }

    /// Records by the time of their last change, then by id.
    pub(crate) fn by_stamp(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
    ) -> impl DoubleEndedIterator<Item = &Record> {
        let (from, to) = stamp_range(from, to);
        let keys = self.stamps.range(from, to);
        keys.filter_map(|((_, key), ())| self.rows.get(key))
    }

    /// How many records changed last in the range.
    pub(crate) fn count_stamps(&self, from: Bound<u64>, to: Bound<u64>) -> usize {
        let (from, to) = stamp_range(from, to);
        self.stamps.count(&from, &to)
    }

    pub(crate) fn put(&mut self, record: Record) {
        let key = Key::of(record.id());
        self.unindex(key);
        for (position, index) in &mut self.references {
            if let Some(target) = record.at(*position).text() {
                index.insert((Key::of(target), key), ());
            }
        }
        for (position, index) in &mut self.externals {
            if let Some(value) = external_text(&record, *position) {
                index.insert((value, key), ());
            }
        }
        if let Some(stamp) = stamp(&record, self.stamp_position) {
            self.stamps.insert((stamp, key), ());
        }
        self.rows.insert(key, record);
    }

    pub(crate) fn remove(&mut self, id: &str) {
        let key = Key::of(id);
        self.unindex(key);
        self.rows.remove(&key);
    }

    fn unindex(&mut self, key: Key) {
        let Some(old) = self.rows.get(&key) else {
            return;
        };
        for (position, index) in &mut self.references {
            if let Some(target) = old.at(*position).text() {
                index.remove(&(Key::of(target), key));
            }
        }
        for (position, index) in &mut self.externals {
            if let Some(value) = external_text(old, *position) {
                index.remove(&(value, key));
            }
        }
        if let Some(stamp) = stamp(old, self.stamp_position) {
            self.stamps.remove(&(stamp, key));
        }
    }
}

fn stamp(record: &Record, position: Option<usize>) -> Option<u64> {
    Some(instant(record.at(position?).text()?))
}

fn external_text(record: &Record, position: usize) -> Option<Arc<str>> {
    let cell = record.at(position);
    if cell.is_null() {
        return None;
    }
    let text = cell.text().map(str::to_lowercase);
    Some(Arc::from(text.unwrap_or_else(|| cell.json().to_string())))
}

type ReferenceBound = Bound<(Key, Key)>;

fn reference_range(
    target: Key,
    from: Bound<Key>,
    to: Bound<Key>,
) -> (ReferenceBound, ReferenceBound) {
    let from = match from {
        Bound::Included(key) => Bound::Included((target, key)),
        Bound::Excluded(key) => Bound::Excluded((target, key)),
        Bound::Unbounded => Bound::Included((target, Key::LOWEST)),
    };
    let to = match to {
        Bound::Included(key) => Bound::Included((target, key)),
        Bound::Excluded(key) => Bound::Excluded((target, key)),
        Bound::Unbounded => Bound::Included((target, Key::HIGHEST)),
    };
    (from, to)
}

type StampBound = Bound<(u64, Key)>;

fn stamp_range(from: Bound<u64>, to: Bound<u64>) -> (StampBound, StampBound) {
    let from = match from {
        Bound::Included(at) => Bound::Included((at, Key::LOWEST)),
        Bound::Excluded(at) => Bound::Excluded((at, Key::HIGHEST)),
        Bound::Unbounded => Bound::Unbounded,
    };
    let to = match to {
        Bound::Included(at) => Bound::Included((at, Key::HIGHEST)),
        Bound::Excluded(at) => Bound::Excluded((at, Key::LOWEST)),
        Bound::Unbounded => Bound::Unbounded,
    };
    (from, to)
}
