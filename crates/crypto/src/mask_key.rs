//! Hashes of values that are shown masked.

use aws_lc_rs::hmac;

use crate::sized;

/// A key that values are hashed with: without it, nobody can try all numbers of nine digits.
#[derive(Clone)]
pub struct MaskKey(hmac::Key);

impl MaskKey {
    /// The key of those bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// HMAC-SHA-256 of a value.
    pub fn hash(&self, value: &[u8]) -> [u8; 32] {
        sized(hmac::sign(&self.0, value).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // RFC 4231, test case 2, with its key padded to 32 bytes: HMAC pads keys with zeros itself.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = MaskKey::new(&key).hash(b"what do ya want for nothing?");
        assert_eq!(hex::encode(hash), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
