//! A record's state at one moment, packed, shared between the tables and the ledger.
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::commit::Row;
use crate::schema::{Entity, Field, FieldType};

/// One field's value. Dates and datetimes are text in Salesforce's form, which sorts by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    /// Empty.
    #[default]
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Num(f64),
    /// Everything else.
    Text(Arc<str>),
}

/// A field's value where it lies in its record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CellRef<'a> {
    /// Empty.
    #[default]
    Null,
    /// A checkbox.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Num(f64),
    /// Everything else.
    Text(&'a str),
}

impl Cell {
    /// The same value, borrowed.
    pub fn view(&self) -> CellRef<'_> {
        match self {
            Cell::Null => CellRef::Null,
            Cell::Bool(value) => CellRef::Bool(*value),
            Cell::Int(value) => CellRef::Int(*value),
            Cell::Num(value) => CellRef::Num(*value),
            Cell::Text(text) => CellRef::Text(text),
        }
    }

    /// The value as the REST API writes it.
    pub fn json(&self) -> Value {
        self.view().json()
    }

    /// The text, where it is text.
    pub fn text(&self) -> Option<&str> {
        self.view().text()
    }

    /// Whether the field is empty.
    pub fn is_null(&self) -> bool {
        matches!(self, Cell::Null)
    }
}

impl<'a> CellRef<'a> {
    /// The same value on its own.
    pub fn owned(self) -> Cell {
        match self {
            CellRef::Null => Cell::Null,
            CellRef::Bool(value) => Cell::Bool(value),
            CellRef::Int(value) => Cell::Int(value),
            CellRef::Num(value) => Cell::Num(value),
            CellRef::Text(text) => Cell::Text(Arc::from(text)),
        }
    }

    /// The value as the REST API writes it.
    pub fn json(self) -> Value {
        match self {
            CellRef::Null => Value::Null,
            CellRef::Bool(value) => Value::Bool(value),
            CellRef::Int(value) => Value::from(value),
            CellRef::Num(value) => Value::from(value),
            CellRef::Text(text) => Value::from(text),
        }
    }

    /// The text, where it is text.
    pub fn text(self) -> Option<&'a str> {
        match self {
            CellRef::Text(text) => Some(text),
            CellRef::Null | CellRef::Bool(_) | CellRef::Int(_) | CellRef::Num(_) => None,
        }
    }

    /// Whether the field is empty.
    pub fn is_null(self) -> bool {
        matches!(self, CellRef::Null)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() {
            Cell::Null
        } else {
            Cell::Text(Arc::from(text))
        }
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

/// A record's fields at one moment. Cloning shares them.
///
/// They are packed: one bit for each field that has a value, then the values. An opportunity takes
/// some 250 bytes so, and a million of them fit into a test's memory.
#[derive(Clone)]
pub struct Record {
    entity: &'static Entity,
    packed: Arc<[u8]>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("entity", &self.entity.name)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        let fields = self.entity.fields.len().max(other.entity.fields.len());
        self.entity == other.entity
            && (0..fields).all(|position| self.at(position) == other.at(position))
    }
}

impl Record {
    /// A record of this object; `cells` in the order of the object's fields.
    pub(crate) fn new(entity: &'static Entity, cells: &[Cell]) -> Self {
        Record {
            entity,
            packed: pack(entity, cells),
        }
    }

    /// A record as [`Record::packed`] gave it.
    pub(crate) fn from_packed(entity: &'static Entity, packed: &[u8]) -> Self {
        Record {
            entity,
            packed: Arc::from(packed),
        }
    }

    /// The packed fields. They mean nothing outside this process.
    pub(crate) fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// The object's description as it was when the record was written.
    pub fn entity(&self) -> &'static Entity {
        self.entity
    }

    /// The 18-character id.
    pub fn id(&self) -> &str {
        // The table of objects names `Id` first in each.
        self.at(0).text().unwrap_or_default()
    }

    /// A field's value; null where the object has no such field.
    pub fn get(&self, field: &str) -> Value {
        self.cell(field).json()
    }

    /// A field's text; `None` where it is empty, no text, or no field of the object.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.cell(field).text()
    }

    /// Whether a checkbox is ticked.
    pub fn flag(&self, field: &str) -> bool {
        matches!(self.cell(field), CellRef::Bool(true))
    }

    /// Every field of the object.
    pub fn row(&self) -> Row {
        let fields = self.entity.fields.iter().enumerate();
        let fields = fields.filter(|(_, field)| !field.removed);
        fields
            .map(|(position, field)| (field.name.to_owned(), self.at(position).json()))
            .collect()
    }

    pub(crate) fn cell(&self, field: &str) -> CellRef<'_> {
        match self.entity.position(field) {
            Some(position) => self.at(position),
            None => CellRef::Null,
        }
    }

    /// The value of the field at a position. Fields that the object got later are empty.
    pub(crate) fn at(&self, position: usize) -> CellRef<'_> {
        let head = bitmap_length(self.entity.fields.len());
        let Some(bits) = self.packed.get(..head) else {
            return CellRef::Null;
        };
        let (byte, bit) = (position / 8, position % 8);
        let Some(last) = bits.get(byte) else {
            return CellRef::Null;
        };
        if last & (1 << bit) == 0 {
            return CellRef::Null;
        }
        let before = bits.iter().take(byte).map(|bits| bits.count_ones());
        let skipped = before.sum::<u32>() + (last & ((1 << bit) - 1)).count_ones();
        let mut reader = Reader {
            packed: &self.packed,
            place: head,
        };
        for _ in 0..skipped {
            reader.skip();
        }
        reader.value().unwrap_or_default()
    }

    /// Every cell, as many as `entity` has fields: the object may have got some since.
    pub(crate) fn cells_for(&self, entity: &Entity) -> Vec<Cell> {
        let count = entity.fields.len();
        (0..count)
            .map(|position| self.at(position).owned())
            .collect()
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (position, field) in self.entity.fields.iter().enumerate() {
            if !field.removed {
                map.serialize_entry(field.name, &self.at(position).json())?;
            }
        }
        map.end()
    }
}

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const INT: u8 = 2;
const NUM: u8 = 3;
/// A number without fraction, as an integer.
const WHOLE: u8 = 4;
const TEXT: u8 = 5;
/// A text of the book.
const SYMBOL: u8 = 6;
/// The same text as the one at this offset.
const SAME: u8 = 7;

fn bitmap_length(fields: usize) -> usize {
    fields.div_ceil(8)
}

fn pack(entity: &Entity, cells: &[Cell]) -> Arc<[u8]> {
    let mut packed = vec![0_u8; bitmap_length(entity.fields.len())];
    // Where datetimes already written begin: the stamps of a record are often one and the same.
    let mut stamps: Vec<(usize, &str)> = Vec::new();
    for (position, (field, cell)) in entity.fields.iter().zip(cells).enumerate() {
        if cell.is_null() {
            continue;
        }
        if let Some(byte) = packed.get_mut(position / 8) {
            *byte |= 1 << (position % 8);
        }
        match cell {
            Cell::Null => {}
            Cell::Bool(false) => packed.push(FALSE),
            Cell::Bool(true) => packed.push(TRUE),
            Cell::Int(number) => {
                packed.push(INT);
                push_signed(&mut packed, *number);
            }
            Cell::Num(number) => pack_number(&mut packed, *number),
            Cell::Text(text) => {
                let twin = stamps.iter().find(|(_, known)| *known == text.as_ref());
                let twin = twin.and_then(|(offset, _)| u16::try_from(*offset).ok());
                if let Some(twin) = twin {
                    packed.push(SAME);
                    packed.extend(twin.to_le_bytes());
                    continue;
                }
                if let Some(symbol) = is_repeated(field).then(|| symbol(text)).flatten() {
                    packed.push(SYMBOL);
                    push_number(&mut packed, u64::from(symbol));
                    continue;
                }
                if field.kind == FieldType::DateTime {
                    stamps.push((packed.len(), text));
                }
                packed.push(TEXT);
                push_number(&mut packed, u64::try_from(text.len()).unwrap_or_default());
                packed.extend(text.as_bytes());
            }
        }
    }
    Arc::from(packed)
}

fn pack_number(packed: &mut Vec<u8>, number: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and far below 2^53, which the line before checks"
    )]
    let whole = (number.fract() == 0.0
        && number.abs() < 1e12
        && !(number == 0.0 && number.is_sign_negative()))
    .then_some(number as i64);
    if let Some(whole) = whole {
        packed.push(WHOLE);
        push_signed(packed, whole);
    } else {
        packed.push(NUM);
        packed.extend(number.to_le_bytes());
    }
}

/// Whether a field has few values for many records.
fn is_repeated(field: &Field) -> bool {
    field.kind == FieldType::Picklist || matches!(field.reference, Some(("User" | "Profile", _)))
}

pub(crate) fn push_number(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    packed.push(u8::try_from(number).unwrap_or_default());
}

pub(crate) fn push_signed(packed: &mut Vec<u8>, number: i64) {
    let zigzag = number.cast_unsigned() << 1 ^ (number >> 63).cast_unsigned();
    push_number(packed, zigzag);
}

/// Reads what the functions above wrote.
pub(crate) struct Reader<'a> {
    pub(crate) packed: &'a [u8],
    pub(crate) place: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = self.packed.get(self.place).copied();
        self.place += 1;
        byte
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.place.checked_add(length)?;
        let bytes = self.packed.get(self.place..end)?;
        self.place = end;
        Some(bytes)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0_u64, 0_u32);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let zigzag = self.number()?;
        Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn value(&mut self) -> Option<CellRef<'a>> {
        Some(match self.byte()? {
            FALSE => CellRef::Bool(false),
            TRUE => CellRef::Bool(true),
            INT => CellRef::Int(self.signed()?),
            #[expect(clippy::cast_precision_loss, reason = "below 2^53 when written")]
            WHOLE => CellRef::Num(self.signed()? as f64),
            NUM => CellRef::Num(f64::from_le_bytes(self.bytes(8)?.try_into().ok()?)),
            TEXT => CellRef::Text(self.text()?),
            SYMBOL => CellRef::Text(symbol_text(self.length()?)?),
            SAME => {
                let offset = u16::from_le_bytes(self.bytes(2)?.try_into().ok()?);
                let mut there = Reader {
                    packed: self.packed,
                    place: usize::from(offset),
                };
                there.value()?
            }
            _ => return None,
        })
    }

    fn skip(&mut self) {
        match self.byte() {
            Some(INT | WHOLE | SYMBOL) => {
                self.number();
            }
            Some(NUM) => self.place += 8,
            Some(TEXT) => self.place += self.length().unwrap_or_default(),
            Some(SAME) => self.place += 2,
            _ => {}
        }
    }
}

/// How many different texts the book holds; what comes later is written out in each record.
const BOOK: usize = 1 << 14;

/// Texts that many records share, by number.
static TEXTS: [OnceLock<&'static str>; BOOK] = [const { OnceLock::new() }; BOOK];

/// The numbers of the texts.
static NUMBERS: LazyLock<RwLock<BTreeMap<&'static str, u32>>> = LazyLock::new(RwLock::default);

/// The number of a text in the book; `None` where the book is full.
fn symbol(text: &str) -> Option<u32> {
    let known = NUMBERS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(text)
        .copied();
    if known.is_some() {
        return known;
    }
    let mut numbers = NUMBERS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(number) = numbers.get(text) {
        return Some(*number);
    }
    let slot = TEXTS.get(numbers.len())?;
    let number = u32::try_from(numbers.len()).ok()?;
    let text: &'static str = String::leak(text.to_owned());
    slot.get_or_init(|| text);
    numbers.insert(text, number);
    Some(number)
}

fn symbol_text(number: usize) -> Option<&'static str> {
    TEXTS.get(number)?.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn every_kind_of_value_comes_back_from_its_packed_form() {
        let entity = schema::entity("Opportunity").unwrap();
        let mut cells = vec![Cell::Null; entity.fields.len()];
        let mut set = |field: &str, cell: Cell| cells[entity.position(field).unwrap()] = cell;
        set("Id", Cell::from("006000000000001AAA"));
        set("Name", Cell::from("Zürich – 李 🚀"));
        set("IsPrivate", Cell::Bool(true));
        set("IsClosed", Cell::Bool(false));
        set("Amount", Cell::Num(-12.75));
        set("Probability", Cell::Num(100.0));
        set("ExpectedRevenue", Cell::Num(-3e15));
        set("PushCount", Cell::Int(-5));
        set("FiscalYear", Cell::Int(2026));
        set("StageName", Cell::from("Closed Won"));
        set("OwnerId", Cell::from("005000000000001AAA"));
        for stamp in ["CreatedDate", "LastModifiedDate", "SystemModstamp"] {
            set(stamp, Cell::from("2026-01-01T00:00:00.000+0000"));
        }
        set(
            "LastStageChangeDate",
            Cell::from("2026-01-02T00:00:00.000+0000"),
        );
        set("Description", Cell::from("x".repeat(70_000).as_str()));
        set("LastViewedDate", Cell::from("2026-01-03T00:00:00.000+0000"));
        set(
            "LastReferencedDate",
            Cell::from("2026-01-03T00:00:00.000+0000"),
        );
        let record = Record::new(entity, &cells);
        assert_eq!(record.cells_for(entity), cells);
        assert_eq!(record.id(), "006000000000001AAA");
        let again = Record::from_packed(entity, record.packed());
        assert_eq!(again, record);
        assert_eq!(record.at(1000), CellRef::Null);
        let without = cells
            .iter()
            .filter(|cell| cell.text().is_none_or(|text| text.len() < 70_000));
        assert!(record.packed().len() < 70_000 + 16 * without.count());
    }
}
