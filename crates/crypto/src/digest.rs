//! Digests of content that arrives piece by piece.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// SHA-256 of content that is read in pieces.
#[derive(Clone)]
pub struct ContentDigest(Context);

impl Default for ContentDigest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl ContentDigest {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces, in lowercase hexadecimal.
    pub fn finish(self) -> String {
        hex::encode(self.0.finish())
    }

    /// The digest of content that is there at once, in lowercase hexadecimal.
    pub fn of(content: &[u8]) -> String {
        hex::encode(digest(&SHA256, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_digest_of_the_whole() {
        // FIPS 180-2, appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut pieces = ContentDigest::default();
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!((pieces.finish().as_str(), ContentDigest::of(b"abc").as_str()), (known, known));
    }
}
