//! `changedFields`, `nulledFields` and `diffFields`: sets of fields as hexadecimal bitmaps.
use std::collections::{BTreeMap, BTreeSet};

use super::schema::{EventSchema, Place, Shape};

/// A set of fields of one schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldSet {
    fields: BTreeSet<usize>,
    parts: BTreeMap<usize, BTreeSet<usize>>,
}

impl FieldSet {
    /// Adds a field or a part of one.
    pub fn insert(&mut self, place: Place) {
        match place.part {
            None => {
                self.fields.insert(place.field);
            }
            Some(part) => {
                self.parts.entry(place.field).or_default().insert(part);
            }
        }
    }

    /// Whether the field, or a part of it, is in the set.
    pub fn touches(&self, field: usize) -> bool {
        self.fields.contains(&field) || self.parts.contains_key(&field)
    }

    /// Whether this part is in the set, alone or with its whole field.
    pub fn has_part(&self, field: usize, part: usize) -> bool {
        self.fields.contains(&field)
            || self
                .parts
                .get(&field)
                .is_some_and(|parts| parts.contains(&part))
    }

    /// Compound fields of which every part is in the set become whole fields.
    pub fn fold(&mut self, schema: &EventSchema) {
        for (index, field) in schema.fields.iter().enumerate() {
            let Shape::Compound(_, parts) = &field.shape else {
                continue;
            };
            let position = index + 1;
            let whole = self
                .parts
                .get(&position)
                .is_some_and(|set| set.len() == parts.len());
            if whole {
                self.parts.remove(&position);
                self.fields.insert(position);
            }
        }
    }

    /// The strings of the event header: first the fields, then one element a compound field.
    pub fn encode(&self) -> Vec<String> {
        let mut strings = Vec::new();
        if !self.fields.is_empty() {
            strings.push(hexadecimal(&self.fields));
        }
        for (field, parts) in &self.parts {
            strings.push(format!("{field}-{}", hexadecimal(parts)));
        }
        strings
    }
}

/// `0x` and whole bytes, most significant first; bit 0 is the least significant one.
fn hexadecimal(bits: &BTreeSet<usize>) -> String {
    let bytes = bits.last().map_or(1, |highest| highest / 8 + 1);
    let mut text = String::from("0x");
    for byte in (0..bytes).rev() {
        let value = (0..8)
            .filter(|bit| bits.contains(&(byte * 8 + bit)))
            .fold(0_u8, |value, bit| value | 1 << bit);
        text.push_str(&format!("{value:02X}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fields: &[usize], parts: &[(usize, usize)]) -> Vec<String> {
        let mut set = FieldSet::default();
        for field in fields {
            set.insert(Place {
                field: *field,
                part: None,
            });
        }
        for (field, part) in parts {
            set.insert(Place {
                field: *field,
                part: Some(*part),
            });
        }
        set.encode()
    }

    #[test]
    fn the_documented_examples() {
        assert_eq!(set(&[1, 23], &[]), ["0x800002"]);
        assert_eq!(set(&[11, 22], &[]), ["0x400800"]);
        assert_eq!(set(&[7, 22], &[]), ["0x400080"]);
        assert_eq!(set(&[16, 22], &[]), ["0x410000"]);
        assert_eq!(set(&[16], &[]), ["0x010000"]);
        assert_eq!(set(&[12, 19, 20, 21, 22, 23, 27], &[]), ["0x08F81000"]);
        assert_eq!(
            set(&[5, 6, 7, 10, 24, 26, 29, 30], &[(4, 4), (7, 1), (7, 2)]),
            ["0x650004E0", "4-0x10", "7-0x06"]
        );
        assert_eq!(set(&[22], &[(4, 0)]), ["0x400000", "4-0x01"]);
        assert_eq!(set(&[], &[(5, 0)]), ["5-0x01"]);
        assert_eq!(set(&[], &[(5, 7), (5, 8)]), ["5-0x0180"]);
        assert_eq!(set(&[6, 8, 24], &[]), ["0x01000140"]);
        assert!(set(&[], &[]).is_empty());
    }

    #[test]
    fn a_compound_with_every_part_is_a_whole_field() {
        let schemas = super::super::schema::initial();
        let contact = schemas.iter().find(|s| s.entity == "Contact").unwrap();
        let mut set = FieldSet::default();
        for leaf in ["Salutation", "FirstName", "LastName", "MailingCity"] {
            set.insert(contact.place(leaf).unwrap());
        }
        set.fold(contact);
        assert_eq!(set.encode(), ["0x04", "4-0x02"]);
    }
}
