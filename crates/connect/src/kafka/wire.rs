//! Requests and answers of Kafka, in versions that brokers since 0.11 and up to 4 speak.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::{ErrorCode, SourceError};
use crate::network::dial;
use crate::wire::{Bytes, broken, not_signed_in};

/// Bytes of an answer at most.
const LONGEST: usize = 128 << 20;
/// Bytes of one partition that are asked for; a single batch may have more.
const SOME: i32 = 4 << 20;
/// How long a broker may wait for messages, in milliseconds.
const WAIT: i32 = 500;

pub(super) const LATEST: i64 = -1;
pub(super) const EARLIEST: i64 = -2;

pub(super) fn garbled() -> SourceError {
    SourceError::foreign("Kafka")
}

/// A connection to one broker.
pub(super) struct Wire {
    stream: Box<dyn dial::Wire>,
    request: i32,
}

/// What brokers say of themselves.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<(i32, String, u16)>,
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Topic {
    pub(super) error: i16,
    pub(super) name: String,
    pub(super) internal: bool,
    /// Number and leader.
    pub(super) partitions: Vec<(i32, i32)>,
}

/// Messages of a partition.
#[derive(Debug, PartialEq)]
pub(super) struct Fetched<'a> {
    /// Producers and the offsets where their aborted transactions begin.
    pub(super) aborted: Vec<(i64, i64)>,
    pub(super) records: &'a [u8],
}

/// Text with a length of two bytes; none if there is none.
#[expect(clippy::option_option, reason = "missing bytes and no text are two things")]
fn text_or_none(rest: &mut Bytes<'_>) -> Option<Option<String>> {
    match usize::try_from(rest.i16_be()?) {
        Ok(length) => Some(Some(std::str::from_utf8(rest.take(length)?).ok()?.to_owned())),
        Err(_) => Some(None),
    }
}

fn text(rest: &mut Bytes<'_>) -> Option<String> {
    text_or_none(rest)?
}

/// As many things as a number says, of which each takes some bytes.
fn list<'a, T>(rest: &mut Bytes<'a>, each: impl Fn(&mut Bytes<'a>) -> Option<T>) -> Option<Vec<T>> {
    let count = rest.i32_be()?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(each(rest)?);
    }
    Some(all)
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
    out.extend(text.bytes());
}

impl Wire {
    pub(super) fn new(stream: Box<dyn dial::Wire>) -> Self {
        Self { stream, request: 0 }
    }

    /// Sends a request and gives the body of its answer.
    async fn ask(&mut self, key: i16, version: i16, body: &[u8]) -> Result<Vec<u8>, SourceError> {
        self.request = self.request.wrapping_add(1);
        let mut head = Vec::new();
        head.extend(key.to_be_bytes());
        head.extend(version.to_be_bytes());
        head.extend(self.request.to_be_bytes());
        put_text(&mut head, "tidegate");
        let length = u32::try_from(head.len() + body.len()).map_err(|_| garbled())?;
        let message = [&length.to_be_bytes()[..], &head, body].concat();
        self.stream.write_all(&message).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let mut header = [0; 8];
        self.stream.read_exact(&mut header).await.map_err(broken)?;
        let mut header = Bytes(&header);
        let length = header.i32_be().and_then(|length| usize::try_from(length).ok());
        let length = length.and_then(|length| length.checked_sub(4)).filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(garbled)?;
        if header.i32_be() != Some(self.request) {
            return Err(garbled());
        }
        let mut answer = Vec::new();
        let read = (&mut self.stream).take(length as u64).read_to_end(&mut answer).await.map_err(broken)?;
        if read < length {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(answer)
    }

    /// Asks which requests the broker knows, which says that it lives.
    pub(super) async fn ping(&mut self) -> Result<(), SourceError> {
        let answer = self.ask(18, 0, &[]).await?;
        checked(Bytes(&answer).i16_be().ok_or_else(garbled)?, "")
    }

    /// Names a way to sign in; if the broker has it not, gives those it has.
    pub(super) async fn handshake(
        &mut self,
        mechanism: &str,
    ) -> Result<Result<(), Vec<String>>, SourceError> {
        let mut body = Vec::new();
        put_text(&mut body, mechanism);
        let answer = self.ask(17, 1, &body).await?;
        let mut rest = Bytes(&answer);
        let error = rest.i16_be().ok_or_else(garbled)?;
        let known = list(&mut rest, text).ok_or_else(garbled)?;
        match error {
            0 => Ok(Ok(())),
            33 => Ok(Err(known)),
            error => checked(error, "").map(Ok),
        }
    }

    /// One step of signing in.
    pub(super) async fn authenticate(&mut self, message: &[u8]) -> Result<Vec<u8>, SourceError> {
        let mut body = u32::try_from(message.len()).map_err(|_| garbled())?.to_be_bytes().to_vec();
        body.extend(message);
        let answer = self.ask(36, 0, &body).await?;
        let mut rest = Bytes(&answer);
        let error = rest.i16_be().ok_or_else(garbled)?;
        let text = text_or_none(&mut rest).ok_or_else(garbled)?;
        checked(error, &text.unwrap_or_default())?;
        let length = rest.i32_be().and_then(|length| usize::try_from(length).ok()).ok_or_else(garbled)?;
        Ok(rest.take(length).ok_or_else(garbled)?.to_vec())
    }

    /// Brokers, and topics: all or one.
    pub(super) async fn metadata(&mut self, topic: Option<&str>) -> Result<Metadata, SourceError> {
        let mut body = Vec::new();
        match topic {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(topic) => {
                body.extend(1_i32.to_be_bytes());
                put_text(&mut body, topic);
            }
        }
        // To look is not to create.
        body.push(0);
        metadata(&self.ask(3, 4, &body).await?).ok_or_else(garbled)
    }

    /// For partitions of a topic the first offset at a time or after it, or one of the ends. Only what is committed counts.
    pub(super) async fn offsets(
        &mut self,
        topic: &str,
        partitions: &[i32],
        time: i64,
    ) -> Result<Vec<(i32, i64)>, SourceError> {
        let mut body = (-1_i32).to_be_bytes().to_vec();
        body.push(1);
        body.extend(1_i32.to_be_bytes());
        put_text(&mut body, topic);
        body.extend(i32::try_from(partitions.len()).map_err(|_| garbled())?.to_be_bytes());
        for partition in partitions {
            body.extend(partition.to_be_bytes());
            body.extend(time.to_be_bytes());
        }
        let answer = self.ask(2, 2, &body).await?;
        let found = offsets(&answer).ok_or_else(garbled)?;
        found
            .into_iter()
            .map(|(partition, error, offset)| checked(error, topic).map(|()| (partition, offset)))
            .collect()
    }

    /// The bytes of an answer with messages of one partition from an offset on.
    pub(super) async fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Vec<u8>, SourceError> {
        let mut body = Vec::new();
        for number in [-1, WAIT, 1, SOME] {
            body.extend(number.to_be_bytes());
        }
        body.push(1);
        body.extend(1_i32.to_be_bytes());
        put_text(&mut body, topic);
        body.extend(1_i32.to_be_bytes());
        body.extend(partition.to_be_bytes());
        body.extend(offset.to_be_bytes());
        body.extend(SOME.to_be_bytes());
        self.ask(1, 4, &body).await
    }
}

fn metadata(answer: &[u8]) -> Option<Metadata> {
    let mut rest = Bytes(answer);
    rest.i32_be()?;
    let brokers = list(&mut rest, |rest| {
        let id = rest.i32_be()?;
        let host = text(rest)?;
        let port = u16::try_from(rest.i32_be()?).ok()?;
        text_or_none(rest)?;
        Some((id, host, port))
    })?;
    text_or_none(&mut rest)?;
    rest.i32_be()?;
    let topics = list(&mut rest, |rest| {
        let error = rest.i16_be()?;
        let name = text(rest)?;
        let internal = rest.u8()? != 0;
        let partitions = list(rest, |rest| {
            rest.i16_be()?;
            let found = (rest.i32_be()?, rest.i32_be()?);
            list(rest, Bytes::i32_be)?;
            list(rest, Bytes::i32_be)?;
            Some(found)
        })?;
        Some(Topic { error, name, internal, partitions })
    })?;
    Some(Metadata { brokers, topics })
}

fn offsets(answer: &[u8]) -> Option<Vec<(i32, i16, i64)>> {
    let mut rest = Bytes(answer);
    rest.i32_be()?;
    let topics = list(&mut rest, |rest| {
        text(rest)?;
        list(rest, |rest| {
            let (partition, error) = (rest.i32_be()?, rest.i16_be()?);
            rest.i64_be()?;
            Some((partition, error, rest.i64_be()?))
        })
    })?;
    Some(topics.concat())
}

/// The messages of an answer to a fetch of one partition.
pub(super) fn fetched<'a>(answer: &'a [u8], topic: &str) -> Result<Fetched<'a>, SourceError> {
    let (error, fetched) = parts(answer).ok_or_else(garbled)?;
    checked(error, topic)?;
    Ok(fetched)
}

fn parts(answer: &[u8]) -> Option<(i16, Fetched<'_>)> {
    let mut rest = Bytes(answer);
    rest.i32_be()?;
    (rest.i32_be()? == 1).then_some(())?;
    text(&mut rest)?;
    (rest.i32_be()? == 1).then_some(())?;
    rest.i32_be()?;
    let error = rest.i16_be()?;
    rest.take(16)?;
    let aborted = list(&mut rest, |rest| Some((rest.i64_be()?, rest.i64_be()?)))?;
    let records = match usize::try_from(rest.i32_be()?) {
        Ok(length) => rest.take(length)?,
        Err(_) => &[],
    };
    Some((error, Fetched { aborted, records }))
}

/// The contract's code for an error of a broker. Only the error's number is told.
pub(super) fn checked(error: i16, detail: &str) -> Result<(), SourceError> {
    let known = match error {
        0 => return Ok(()),
        58 | 61..=65 => not_signed_in(),
        33 | 34 => SourceError::new(
            ErrorCode::Authentication,
            "The server asks for a way to sign in that is not known, or for none.",
        ),
        29..=31 => SourceError::forbidden(format!("The user may not read this (error {error}).")),
        1 => SourceError::query("Messages were deleted while they were read (error 1)."),
        3 | 17 => SourceError::changed(format!("The topic does not exist (error {error}).")),
        5 | 6 | 8 | 9 | 13 | 78 => {
            SourceError::connection(format!("The server cannot serve at the moment (error {error})."))
        }
        7 => SourceError::new(ErrorCode::Timeout, "The server took too long (error 7)."),
        35 => SourceError::connection("The server does not know these versions of the protocol."),
        _ => SourceError::refused(format!("The server refused the request (error {error}).")),
    };
    Err(known.with_detail(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_of_more_than_there_is_is_none() {
        let mut answer = vec![0; 4];
        answer.extend(i32::MAX.to_be_bytes());
        assert!(metadata(&answer).is_none());
        assert!(offsets(&answer).is_none());
        assert!(parts(&answer).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>) {
            let _ = metadata(&bytes);
            let _ = offsets(&bytes);
            let _ = parts(&bytes);
        }
    }
}
