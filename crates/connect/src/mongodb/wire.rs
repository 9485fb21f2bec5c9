//! OP_MSG, the protocol of MongoDB since 3.6.

use bson::raw::{RawDocument, RawDocumentBuf};
use bson::{Bson, Document};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{ErrorCode, SourceError};
use crate::network::dial;
use crate::settings::Credentials;
use crate::wire::{Bytes, broken, not_signed_in};

const OP_MSG: i32 = 2_013;
/// Bytes of an answer at most: what the server's own limit is.
const LONGEST: usize = 48_000_000;
/// Header, flags, and the kind of the one section.
const HEADER: usize = 21;

pub(super) fn garbled() -> SourceError {
    SourceError::foreign("MongoDB")
}

/// A connection.
pub(super) struct Wire {
    stream: Box<dyn dial::Wire>,
    request: i32,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn dial::Wire>) -> Self {
        Self { stream, request: 0 }
    }

    /// Sends a command and reads its answer, whatever that says.
    pub(super) async fn ask(&mut self, command: &Document) -> Result<RawDocumentBuf, SourceError> {
        let body = command
            .to_vec()
            .map_err(|error| SourceError::query("The command cannot be written.").with_detail(error))?;
        self.request = self.request.wrapping_add(1);
        let length = i32::try_from(body.len() + HEADER).map_err(|_| garbled())?;
        let mut message = Vec::with_capacity(body.len() + HEADER);
        for number in [length, self.request, 0, OP_MSG, 0] {
            message.extend(number.to_le_bytes());
        }
        message.push(0);
        message.extend(body);
        self.stream.write_all(&message).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).await.map_err(broken)?;
        let (length, answers) = lengths(&header).ok_or_else(garbled)?;
        if answers != self.request {
            return Err(garbled());
        }
        let mut rest = Vec::new();
        let read = (&mut self.stream).take(length as u64).read_to_end(&mut rest).await.map_err(broken)?;
        if read < length {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        document(&rest).ok_or_else(garbled)
    }

    /// Sends a command and reads its answer, which says that it succeeded.
    pub(super) async fn call(
        &mut self,
        command: &Document,
        credentials: &Credentials,
    ) -> Result<RawDocumentBuf, SourceError> {
        let answer = self.ask(command).await?;
        match failure(&answer) {
            None => Ok(answer),
            Some((code, text)) => Err(explained(code, &text, credentials)),
        }
    }
}

/// The bytes that follow a header, and the request that is answered.
fn lengths(header: &[u8]) -> Option<(usize, i32)> {
    let mut header = Bytes(header);
    let length = usize::try_from(header.i32_le()?).ok()?.checked_sub(16)?;
    header.i32_le()?;
    let answers = header.i32_le()?;
    let is_message = header.i32_le()? == OP_MSG;
    (is_message && (5..=LONGEST).contains(&length)).then_some((length, answers))
}

/// The one document of a message without its header.
fn document(message: &[u8]) -> Option<RawDocumentBuf> {
    let mut rest = Bytes(message);
    let flags = rest.u32_le()?;
    // A checksum may follow; more answers to one request were not asked for.
    let end = rest.len().checked_sub(if flags & 1 == 1 { 4 } else { 0 })?;
    let body = rest.take(end)?.split_first().filter(|(kind, _)| **kind == 0)?.1;
    RawDocumentBuf::from_bytes(body.to_vec()).ok()
}

/// A number of any type.
pub(super) fn number(document: &RawDocument, name: &str) -> Option<i64> {
    use bson::raw::RawBsonRef;
    match document.get(name).ok()?? {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "a count; one that is no number does not matter")]
        RawBsonRef::Double(number) => Some(number as i64),
        RawBsonRef::Boolean(yes) => Some(yes.into()),
        _ => None,
    }
}

/// Code and text of an answer that says no.
pub(super) fn failure(answer: &RawDocument) -> Option<(i64, String)> {
    if number(answer, "ok") == Some(1) {
        return None;
    }
    let text = answer.get_str("errmsg").unwrap_or_default().to_owned();
    Some((number(answer, "code").unwrap_or_default(), text))
}

/// The contract's code for an error of the server. Only the error's number is told.
pub(super) fn explained(code: i64, text: &str, credentials: &Credentials) -> SourceError {
    let known = match code {
        18 | 11 | 8_000 | 334 => not_signed_in(),
        13 if credentials.password.is_none() && credentials.oauth_token.is_none() => {
            SourceError::new(ErrorCode::Authentication, "The server asks for a user name and a password.")
        }
        13 | 8_003 => SourceError::forbidden("The user may not read this (error 13)."),
        50 | 11_601 | 262 | 24 => {
            SourceError::new(ErrorCode::Timeout, "The query took too long, or was cancelled.")
        }
        91 | 189 | 10_107 | 11_600 | 13_435 | 13_436 => {
            SourceError::connection("The server cannot serve at the moment.")
        }
        _ => SourceError::refused(format!("The server refused the query (error {code}).")),
    };
    known.with_detail(credentials.redact(text))
}

/// Bytes as a value.
pub(super) fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded() {
        let header = |length: i32, code: i32| {
            [length, 0, 7, code].into_iter().flat_map(i32::to_le_bytes).collect::<Vec<u8>>()
        };
        assert_eq!(lengths(&header(30, OP_MSG)), Some((14, 7)));
        for (length, code) in [(0, OP_MSG), (15, OP_MSG), (-1, OP_MSG), (i32::MAX, OP_MSG), (30, 1)] {
            assert_eq!(lengths(&header(length, code)), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let _ = lengths(&bytes);
            if let Some(answer) = document(&bytes) {
                let _ = failure(&answer);
                let mut text = String::new();
                let _ = crate::mongodb::columns::json(&mut text, bson::raw::RawBsonRef::Document(&answer), 0);
            }
        }

        #[test]
        fn no_document_is_a_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 5..200)) {
            let length = u32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            *bytes.last_mut().unwrap() = 0;
            if let Ok(answer) = RawDocumentBuf::from_bytes(bytes) {
                let mut text = String::new();
                let _ = crate::mongodb::columns::json(&mut text, bson::raw::RawBsonRef::Document(&answer), 0);
            }
        }
    }
}
