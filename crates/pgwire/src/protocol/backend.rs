//! What clients are told (PostgreSQL 18 documentation, section 54.7).

use bytes::{BufMut, BytesMut};

use super::problem::Problem;

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) oid: u32,
    /// Bytes of a value; -1 where they differ.
    pub(crate) size: i16,
    /// Of `numeric`: its digits.
    pub(crate) modifier: i32,
    pub(crate) is_binary: bool,
}

/// Whether a transaction is open. There is none, but clients believe that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transaction {
    #[default]
    Idle,
    Open,
    Failed,
}

/// Messages on their way to a client.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: BytesMut,
}

/// A number of things as the protocol counts them. What is more than it can count was refused before.
fn count(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// A text as the protocol ends it: what comes after a zero byte would be another one.
fn text(out: &mut BytesMut, text: &str) {
    out.extend(text.bytes().filter(|byte| *byte != 0));
    out.put_u8(0);
}

/// Bytes for messages that are kept when they were sent.
const KEPT: usize = 256 * 1024;

impl Outgoing {
    /// Forgets what was sent. What a long row took is not kept.
    pub(crate) fn sent(&mut self) {
        self.bytes.clear();
        if self.bytes.capacity() > KEPT {
            self.bytes = BytesMut::new();
        }
    }

    /// One message: its kind, its length, and what `body` writes.
    pub(crate) fn message(&mut self, kind: u8, body: impl FnOnce(&mut BytesMut)) {
        self.bytes.put_u8(kind);
        let at = self.bytes.len();
        self.bytes.put_u32(0);
        body(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - at).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(crate) fn ask_password(&mut self) {
        self.message(b'R', |out| out.put_u32(3));
    }

    pub(crate) fn signed_in(&mut self) {
        self.message(b'R', |out| out.put_u32(0));
    }

    /// Minor version 0 is spoken, and these options of later ones are not known.
    pub(crate) fn negotiate(&mut self, unknown: &[&str]) {
        self.message(b'v', |out| {
            out.put_u32(0);
            out.put_u32(u32::from(count(unknown.len())));
            unknown.iter().for_each(|name| text(out, name));
        });
    }

    pub(crate) fn parameter(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            text(out, name);
            text(out, value);
        });
    }

    pub(crate) fn key(&mut self, number: i32, secret: i32) {
        self.message(b'K', |out| {
            out.put_i32(number);
            out.put_i32(secret);
        });
    }

    pub(crate) fn ready(&mut self, transaction: Transaction) {
        let state = match transaction {
            Transaction::Idle => b'I',
            Transaction::Open => b'T',
            Transaction::Failed => b'E',
        };
        self.message(b'Z', |out| out.put_u8(state));
    }

    pub(crate) fn columns(&mut self, columns: &[Column]) {
        self.message(b'T', |out| {
            out.put_u16(count(columns.len()));
            for column in columns {
                text(out, &column.name);
                // No table and no place in it: clients that ask for them would look behind the barrier.
                out.put_u32(0);
                out.put_u16(0);
                out.put_u32(column.oid);
                out.put_i16(column.size);
                out.put_i32(column.modifier);
                out.put_u16(u16::from(column.is_binary));
            }
        });
    }

    pub(crate) fn parameters(&mut self, oids: &[u32]) {
        self.message(b't', |out| {
            out.put_u16(count(oids.len()));
            oids.iter().for_each(|oid| out.put_u32(*oid));
        });
    }

    pub(crate) fn complete(&mut self, tag: &str) {
        self.message(b'C', |out| text(out, tag));
    }

    pub(crate) fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    pub(crate) fn parsed(&mut self) {
        self.message(b'1', |_| {});
    }

    pub(crate) fn bound(&mut self) {
        self.message(b'2', |_| {});
    }

    pub(crate) fn closed(&mut self) {
        self.message(b'3', |_| {});
    }

    pub(crate) fn no_columns(&mut self) {
        self.message(b'n', |_| {});
    }

    pub(crate) fn suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub(crate) fn problem(&mut self, problem: &Problem) {
        let severity = if problem.is_fatal { "FATAL" } else { "ERROR" };
        self.message(b'E', |out| {
            let fields = [
                (b'S', severity),
                (b'V', severity),
                (b'C', problem.state),
                (b'M', problem.message.as_str()),
                (b'H', problem.hint.as_deref().unwrap_or_default()),
            ];
            for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
                out.put_u8(field);
                text(out, value);
            }
            out.put_u8(0);
        });
    }

    /// A remark that changes nothing.
    pub(crate) fn notice(&mut self, state: &str, message: &str) {
        self.message(b'N', |out| {
            for (field, value) in [(b'S', "WARNING"), (b'V', "WARNING"), (b'C', state), (b'M', message)] {
                out.put_u8(field);
                text(out, value);
            }
            out.put_u8(0);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_it_is() {
        let mut out = Outgoing::default();
        out.ready(Transaction::Idle);
        assert_eq!(&out.bytes[..], b"Z\0\0\0\x05I");
        out.message(b'D', |out| out.put_bytes(0, 1 << 20));
        out.sent();
        assert!(
            out.bytes.is_empty() && out.bytes.capacity() <= KEPT,
            "a long row takes no room when it is gone"
        );
        let mut out = Outgoing::default();
        out.complete("SELECT 1\0x");
        assert_eq!(&out.bytes[..], b"C\0\0\0\x0eSELECT 1x\0", "a zero byte ends no text early");
    }
}
