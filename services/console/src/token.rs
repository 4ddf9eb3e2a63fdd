//! Tokens: made at random, kept as SHA-256, compared in constant time.

use domain::hex::hex;
use runtime::config::TokenHash;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A token's random bytes; no guess finds 256 bits.
const BYTES: usize = 32;

/// A new token, in 64 hexadecimal digits.
///
/// # Errors
/// When the system has no random numbers.
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// The hash by which a token is known.
#[must_use]
pub fn hash(token: &str) -> TokenHash {
    TokenHash(Sha256::digest(token.as_bytes()).into())
}

/// As it is written in the configuration.
#[must_use]
pub fn hash_in_words(hash: &TokenHash) -> String {
    hex(&hash.0)
}

/// Whether a presented token is the one of the hash; takes as long when it is not.
#[must_use]
pub fn is(presented: &str, known: &TokenHash) -> bool {
    hash(presented).0.ct_eq(&known.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let token = new_token().unwrap();
        assert_eq!(token.len(), 64);
        assert_ne!(token, new_token().unwrap());
        assert!(is(&token, &hash(&token)));
        assert!(!is(&format!("{token}0"), &hash(&token)));
        assert!(!is("", &hash(&token)));
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            hash_in_words(&hash("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
