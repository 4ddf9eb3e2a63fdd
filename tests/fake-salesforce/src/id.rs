//! Record ids: 15 case-sensitive characters and a checksum of 3.
use crate::schema::{self, Entity};

const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The id of the `sequence`-th record of an object.
pub(crate) fn mint(prefix: &str, sequence: u64) -> String {
    let mut digits = Vec::with_capacity(12);
    let mut rest = sequence;
    while digits.len() < 12 {
        let digit = usize::try_from(rest % 62).unwrap_or_default();
        digits.push(BASE_62.get(digit).copied().unwrap_or(b'0'));
        rest /= 62;
    }
    let mut id = prefix.to_owned();
    id.extend(digits.iter().rev().map(|digit| char::from(*digit)));
    with_checksum(&id)
}

/// The 18-character form of an id given in 15 or 18; `None` where it is neither or its checksum
/// does not fit.
pub fn to_18(id: &str) -> Option<String> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let whole = with_checksum(id.get(..15)?);
    match id.len() {
        15 => Some(whole),
        18 => (whole == id).then_some(whole),
        _ => None,
    }
}

/// The object an id belongs to, by its key prefix.
pub(crate) fn entity_of(id: &str) -> Option<&'static Entity> {
    let prefix = id.get(..3)?;
    schema::entities()
        .iter()
        .find(|entity| entity.prefix == prefix)
}

fn with_checksum(fifteen: &str) -> String {
    let mut id = fifteen.to_owned();
    for block in fifteen.as_bytes().chunks(5) {
        let bits = block
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase())
            .fold(0_usize, |bits, (place, _)| bits | (1 << place));
        id.push(char::from(CHECKSUM.get(bits).copied().unwrap_or(b'A')));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_real_ids() {
        for id in [
            "001Dp00000H8YVWIA3",
            "005Dp000000PpjsIAC",
            "006000000000001AAA",
            "00K000000000001EAA",
            "0PS000000000001GAA",
            "000000000000000AAA",
        ] {
            assert_eq!(to_18(id.get(..15).unwrap()).as_deref(), Some(id));
            assert_eq!(to_18(id).as_deref(), Some(id));
        }
        assert_eq!(to_18("001Dp00000H8YVWIA4"), None);
        assert_eq!(to_18("001"), None);
        assert_eq!(to_18("001Dp00000H8YVéI"), None);
    }

    #[test]
    fn minted_ids_sort_by_sequence_and_name_their_object() {
        assert_eq!(mint("006", 1), "006000000000001AAA");
        assert!(mint("006", 61) < mint("006", 62));
        assert_eq!(
            entity_of(&mint("00K", 5)).unwrap().name,
            "OpportunityContactRole"
        );
    }
}
