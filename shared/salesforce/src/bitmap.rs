//! The header's bitmaps: which fields of an event changed (Pub/Sub guide, "Event deserialization
//! considerations").

use std::collections::BTreeSet;

use crate::avro::{EventField, HEADER};

/// Adds the fields that one element of a bitmap list names: `0x800002` for top-level fields,
/// `4-0x10` for parts of compound field 4, which are written `BillingAddress.Country`. A bit that
/// has no field is an error: the schema is not the event's.
pub(crate) fn add_names(
    element: &str,
    fields: &[EventField],
    names: &mut BTreeSet<String>,
) -> Result<(), String> {
    let Some((parent, bitmap)) = element.split_once('-') else {
        for bit in bits(element, fields.len())? {
            let field = fields.get(bit).ok_or_else(|| beyond(bit, fields.len()))?;
            if bit == 0 {
                return Err(format!(
                    "bit 0 is the {HEADER}, which is no field of the record"
                ));
            }
            names.insert(field.name.clone());
        }
        return Ok(());
    };
    let index: usize = parent
        .parse()
        .map_err(|_not_a_number| "a nested bitmap does not start with a field number".to_owned())?;
    let field = fields
        .get(index)
        .ok_or_else(|| beyond(index, fields.len()))?;
    let Some(parts) = field.parts.as_ref().filter(|_| index > 0) else {
        return Err(format!("field {index} has no parts"));
    };
    for bit in bits(bitmap, parts.len())? {
        let part = parts.get(bit).ok_or_else(|| beyond(bit, parts.len()))?;
        names.insert(format!("{}.{part}", field.name));
    }
    Ok(())
}

/// The set bits of `0x` and hexadecimal digits, most significant first; `count` bits exist.
fn bits(bitmap: &str, count: usize) -> Result<Vec<usize>, String> {
    let digits = bitmap
        .strip_prefix("0x")
        .filter(|digits| !digits.is_empty())
        .ok_or("a bitmap does not start with 0x and a digit")?;
    let mut bits = Vec::new();
    for (place, digit) in digits.chars().rev().enumerate() {
        let value = digit
            .to_digit(16)
            .ok_or("a bitmap holds something else than hexadecimal digits")?;
        for offset in 0..4 {
            if value & (1 << offset) != 0 {
                let bit = place * 4 + offset;
                if bit >= count {
                    return Err(beyond(bit, count));
                }
                bits.push(bit);
            }
        }
    }
    Ok(bits)
}

fn beyond(bit: usize, count: usize) -> String {
    format!("number {bit} is named, and there are {count} fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_bitmaps_have_the_documented_bits() {
        for (bitmap, expected) in [
            ("0x08F81000", vec![12, 19, 20, 21, 22, 23, 27]),
            ("0x650004E0", vec![5, 6, 7, 10, 24, 26, 29, 30]),
            ("0x400800", vec![11, 22]),
            ("0x0180", vec![7, 8]),
            ("0x10", vec![4]),
            ("0x00", vec![]),
        ] {
            assert_eq!(bits(bitmap, 40), Ok(expected), "{bitmap}");
        }
        assert_eq!(bits("0x10", 5), Ok(vec![4]));
        assert!(bits("0x10", 4).is_err());
    }
}
