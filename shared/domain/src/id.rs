//! Salesforce record ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const BODY: usize = 15;
const FULL: usize = 18;
const SUFFIX_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// A record id in its 18-character form: 15 case-sensitive base-62 characters and a checksum of
/// three. Ids are compared byte by byte and never case-folded: `00K` and `00k` are two objects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SalesforceId([u8; FULL]);

/// Why a text is not a Salesforce id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Neither 15 nor 18 characters.
    #[error("a Salesforce id has 15 or 18 characters, this text has {0}; copy the id again")]
    Length(usize),
    /// A character outside 0-9, a-z, A-Z.
    #[error("a Salesforce id holds only letters and digits; copy the id again")]
    Character,
    /// The last three characters do not belong to the first fifteen.
    #[error(
        "the last three characters of this 18-character id do not fit the first fifteen; its capital letters were probably changed on the way, copy the id again"
    )]
    Checksum,
}

impl SalesforceId {
    /// Reads a 15- or 18-character id; of 18 characters the checksum must be right.
    ///
    /// # Errors
    /// [`IdError`] says which of length, character or checksum is wrong.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        if bytes.len() != BODY && bytes.len() != FULL {
            return Err(IdError::Length(text.chars().count()));
        }
        if !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(IdError::Character);
        }
        let mut full = [0_u8; FULL];
        let (body, suffix) = full.split_at_mut(BODY);
        let (given_body, given_suffix) = bytes.split_at(BODY);
        body.copy_from_slice(given_body);
        suffix.copy_from_slice(&checksum(given_body));
        if !given_suffix.is_empty() && given_suffix != suffix {
            return Err(IdError::Checksum);
        }
        Ok(Self(full))
    }

    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first three characters, which name the object ("006" is an Opportunity).
    #[must_use]
    pub fn key_prefix(&self) -> &str {
        self.as_str().get(..3).unwrap_or_default()
    }

    /// The all-zero id that a `GAP_OVERFLOW` event carries instead of record ids.
    #[must_use]
    pub fn is_empty_id(&self) -> bool {
        self.0.iter().take(BODY).all(|byte| *byte == b'0')
    }
}

/// One suffix character for each block of five: bit k is set when character k is a capital.
fn checksum(body: &[u8]) -> [u8; 3] {
    let mut suffix = [b'A'; 3];
    for (slot, block) in suffix.iter_mut().zip(body.chunks(5)) {
        let bits = block
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase())
            .fold(0_usize, |bits, (place, _)| bits | (1 << place));
        *slot = SUFFIX_ALPHABET.get(bits).copied().unwrap_or(b'A');
    }
    suffix
}

impl FromStr for SalesforceId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}

impl fmt::Display for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SalesforceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SalesforceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SalesforceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn suffixes_of_real_ids() {
        for (body, full) in [
            ("001Dp00000H8YVW", "001Dp00000H8YVWIA3"),
            ("005Dp000000Ppjs", "005Dp000000PpjsIAC"),
            ("006000000000001", "006000000000001AAA"),
            ("00K000000000001", "00K000000000001EAA"),
            ("0PS000000000001", "0PS000000000001GAA"),
            ("0Pa000000000001", "0Pa000000000001CAA"),
        ] {
            assert_eq!(SalesforceId::parse(body).unwrap().as_str(), full);
            assert_eq!(SalesforceId::parse(full).unwrap().as_str(), full);
        }
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(SalesforceId::parse("006"), Err(IdError::Length(3)));
        assert_eq!(
            SalesforceId::parse("00600000000000é"),
            Err(IdError::Length(15))
        );
        assert_eq!(
            SalesforceId::parse("00600000000-001"),
            Err(IdError::Character)
        );
        assert_eq!(
            SalesforceId::parse("001dp00000H8YVWIA3"),
            Err(IdError::Checksum)
        );
    }

    proptest! {
        #[test]
        fn a_changed_capital_never_passes(body in "[0-9A-Za-z]{15}", place in 0_usize..15, letter in "[A-Za-z]") {
            let mut body = body.into_bytes();
            body[place] = letter.as_bytes()[0];
            let body = String::from_utf8(body).unwrap();
            let id = SalesforceId::parse(&body).unwrap();
            let mut mangled = id.as_str().as_bytes().to_vec();
            let was = mangled[place];
            mangled[place] = if was.is_ascii_uppercase() { was.to_ascii_lowercase() } else { was.to_ascii_uppercase() };
            prop_assert_eq!(SalesforceId::parse(std::str::from_utf8(&mangled).unwrap()), Err(IdError::Checksum));
        }

        #[test]
        fn anything_is_read_or_refused(text in ".{0,24}") {
            if let Ok(id) = SalesforceId::parse(&text) {
                prop_assert!(id.as_str().starts_with(&text) || text.starts_with(id.as_str()));
            }
        }
    }
}
