//! Bytes that a client sent, until they are a message.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frontend::Malformed;

/// Longest first message, as PostgreSQL has it.
pub(crate) const LONGEST_OPENING: usize = 10_000;
/// Longest message before somebody is signed in: an access token has some 50 characters.
const LONGEST_PASSWORD: usize = 1_024;
/// Longest message of a session. The longest statement is shorter; values of parameters are texts of people.
const LONGEST: usize = 1 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 8 * 1024;
/// Bytes that may wait while an answer is on its way.
const AHEAD: usize = 64 * 1024;

/// What has arrived and was not looked at.
#[derive(Default)]
pub(crate) struct Incoming {
    buffer: BytesMut,
    is_signed_in: bool,
}

impl Incoming {
    /// From now on messages may be long.
    pub(crate) fn signed_in(&mut self) {
        self.is_signed_in = true;
    }

    /// The next message, its kind and what it says, if all of it is there.
    pub(crate) fn take(&mut self) -> Result<Option<(u8, Bytes)>, Malformed> {
        let Some(([kind, length @ ..], _)) = self.buffer.split_first_chunk::<5>() else { return Ok(None) };
        let kind = *kind;
        // Its length counts itself.
        let length =
            u32::from_be_bytes(*length).checked_sub(4).ok_or(Malformed("a message has no length"))?;
        let length = usize::try_from(length).map_err(|_| Malformed("a message is too long"))?;
        let longest = if self.is_signed_in { LONGEST } else { LONGEST_PASSWORD };
        if length > longest {
            return Err(Malformed("a message is too long"));
        }
        if self.buffer.len() < length.saturating_add(5) {
            return Ok(None);
        }
        self.buffer.advance(5);
        let body = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() && length > CHUNK {
            // What a long message took is not kept for the short ones that come after it.
            self.buffer = BytesMut::new();
        }
        Ok(Some((kind, body)))
    }

    /// Whether more may be read while an answer is on its way.
    pub(crate) fn has_room(&self) -> bool {
        self.buffer.len() < AHEAD
    }

    /// Reads some bytes; none at the end. Being dropped while it waits loses none.
    pub(crate) async fn fill<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> std::io::Result<usize> {
        self.buffer.reserve(CHUNK);
        reader.read_buf(&mut self.buffer).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Incoming {
        Incoming { buffer: BytesMut::from(bytes), is_signed_in: false }
    }

    #[test]
    fn a_message_is_taken_when_all_of_it_is_there() {
        let mut incoming = of(b"Q\0\0\0\x06ab");
        assert_eq!(incoming.take(), Ok(Some((b'Q', Bytes::from_static(b"ab")))));
        assert_eq!(incoming.take(), Ok(None));
        assert_eq!(of(b"Q\0\0\0\x07ab").take(), Ok(None));
        assert!(of(b"Q\0\0\0\x03").take().is_err());
        assert!(of(b"Q\x7f\xff\xff\xff").take().is_err(), "nobody signed in gets memory for 2 GiB");
        let mut signed_in = of(b"Q\0\x10\0\x04");
        signed_in.signed_in();
        assert_eq!(signed_in.take(), Ok(None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut incoming = of(&bytes);
            while let Ok(Some(_)) = incoming.take() {}
        }
    }
}
