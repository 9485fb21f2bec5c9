//! Batches of messages in the format of Kafka 0.11 and later.

use std::io::Read;

use super::wire::{Fetched, garbled};
use crate::error::SourceError;
use crate::wire::Bytes;

/// Bytes of an unpacked batch at most.
const LARGEST: usize = 256 << 20;
/// Headers of a message at most: each costs many times the two bytes that it may be written with.
const MOST_HEADERS: i64 = 100_000;
/// Bytes of a batch up to and with its length, and those after it up to its messages.
const BEFORE: usize = 12;
const HEADER: usize = 49;

/// A message.
#[derive(Debug, PartialEq)]
pub(super) struct Message<'a> {
    pub(super) offset: i64,
    /// Milliseconds since 1970-01-01.
    pub(super) timestamp: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    headers: Bytes<'a>,
}

/// A header of a message.
type Header<'a> = (&'a [u8], Option<&'a [u8]>);

impl<'a> Message<'a> {
    /// Names and values of its headers.
    pub(super) fn headers(&self) -> Option<Vec<Header<'a>>> {
        let mut rest = self.headers;
        let count = variable(&mut rest).filter(|count| *count <= MOST_HEADERS)?;
        let mut all = Vec::new();
        for _ in 0..count {
            let name = sized(&mut rest)??;
            all.push((name, sized(&mut rest)?));
        }
        Some(all)
    }
}

/// A batch that is unpacked.
pub(super) struct Batch {
    pub(super) next: i64,
    base: i64,
    first: i64,
    appended: Option<i64>,
    count: i32,
    data: Vec<u8>,
}

/// Batches of a partition, one after the other, those of aborted transactions left out.
pub(super) struct Batches<'a> {
    rest: Bytes<'a>,
    waiting: Vec<(i64, i64)>,
    aborted: Vec<i64>,
}

/// What comes next of a partition.
pub(super) enum Next {
    Batch(Batch),
    /// Nothing to be read up to this offset.
    Skipped(i64),
}

impl<'a> Batches<'a> {
    pub(super) fn new(fetched: Fetched<'a>) -> Self {
        Self { rest: Bytes(fetched.records), waiting: fetched.aborted, aborted: Vec::new() }
    }

    /// The next batch; none if there is none, or only a part of one.
    pub(super) fn next(&mut self) -> Result<Option<Next>, SourceError> {
        let mut head = self.rest;
        let (Some(base), Some(length)) = (head.i64_be(), head.i32_be()) else { return Ok(None) };
        let length = usize::try_from(length).ok().filter(|length| *length > 5).ok_or_else(garbled)?;
        if self.rest.len() < BEFORE + length {
            return Ok(None);
        }
        self.rest.take(BEFORE + length);
        let body = head.take(length).ok_or_else(garbled)?;
        if body.get(4).is_none_or(|magic| *magic != 2) {
            return Err(SourceError::query("The topic has messages in a format from before Kafka 0.11."));
        }
        self.batch(base, Bytes(body)).map(Some)
    }

    fn batch(&mut self, base: i64, mut body: Bytes<'a>) -> Result<Next, SourceError> {
        let head = body.take(HEADER).map(Bytes).and_then(Head::read).ok_or_else(garbled)?;
        let next = base.checked_add(i64::from(head.last)).and_then(|last| last.checked_add(1));
        let next = next.filter(|next| *next > base && base >= 0).ok_or_else(garbled)?;
        let aborted = &mut self.aborted;
        self.waiting.retain(|(producer, first)| {
            let begun = *first < next;
            if begun {
                aborted.push(*producer);
            }
            !begun
        });
        let of_control = head.attributes & 0x20 != 0;
        if of_control {
            // A transaction ended, whichever way.
            self.aborted.retain(|producer| *producer != head.producer);
            return Ok(Next::Skipped(next));
        }
        if head.attributes & 0x10 != 0 && self.aborted.contains(&head.producer) {
            return Ok(Next::Skipped(next));
        }
        let data = unpacked(head.attributes & 7, body.0)?;
        let appended = (head.attributes & 8 != 0).then_some(head.latest);
        Ok(Next::Batch(Batch { next, base, first: head.first, appended, count: head.count, data }))
    }
}

struct Head {
    attributes: i16,
    last: i32,
    first: i64,
    latest: i64,
    producer: i64,
    count: i32,
}

impl Head {
    fn read(mut rest: Bytes<'_>) -> Option<Self> {
        // Epoch of the leader, the format, and a checksum, which TCP and TLS have too.
        rest.take(9)?;
        let (attributes, last) = (rest.i16_be()?, rest.i32_be()?);
        let (first, latest, producer) = (rest.i64_be()?, rest.i64_be()?, rest.i64_be()?);
        rest.take(6)?;
        Some(Self { attributes, last, first, latest, producer, count: rest.i32_be()? })
    }
}

impl Batch {
    /// Its messages.
    pub(super) fn messages(&self) -> impl Iterator<Item = Result<Message<'_>, SourceError>> {
        let mut rest = Bytes(&self.data);
        (0..self.count).map_while(move |_| match self.message(&mut rest) {
            Some(message) => Some(Ok(message)),
            None if rest.0.is_empty() => None,
            None => {
                rest = Bytes(&[]);
                Some(Err(garbled()))
            }
        })
    }

    fn message<'a>(&self, rest: &mut Bytes<'a>) -> Option<Message<'a>> {
        let mut body = Bytes(sized(rest)??);
        body.u8()?;
        let later = variable(&mut body)?;
        let offset = self.base.checked_add(variable(&mut body)?)?;
        let timestamp = match self.appended {
            Some(appended) => appended,
            None => self.first.checked_add(later)?,
        };
        let (key, value) = (sized(&mut body)?, sized(&mut body)?);
        let timestamp = (timestamp >= 0).then_some(timestamp);
        Some(Message { offset, timestamp, key, value, headers: body })
    }
}

/// A number of variable length, its sign in the last bit.
fn variable(rest: &mut Bytes<'_>) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = rest.u8()?;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            let half = i64::try_from(number >> 1).ok()?;
            return Some(if number & 1 == 1 { !half } else { half });
        }
    }
    None
}

/// Bytes with a number before them; none outside if they are missing, none inside if there are none.
#[expect(clippy::option_option, reason = "missing bytes and no bytes are two things")]
fn sized<'a>(rest: &mut Bytes<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(variable(rest)?) {
        Ok(length) => rest.take(length).map(Some),
        Err(_) => Some(None),
    }
}

/// The messages of a batch, which may be packed.
fn unpacked(method: i16, bytes: &[u8]) -> Result<Vec<u8>, SourceError> {
    let broken = |error: std::io::Error| {
        SourceError::query("A batch of messages cannot be unpacked.").with_detail(error)
    };
    match method {
        0 => Ok(bytes.to_vec()),
        1 => bounded(flate2::read::MultiGzDecoder::new(bytes)),
        2 => snappy(bytes),
        3 => bounded(lz4_flex::frame::FrameDecoder::new(bytes)),
        4 => bounded(zstd::stream::read::Decoder::new(bytes).map_err(broken)?),
        _ => Err(garbled()),
    }
}

fn too_large() -> SourceError {
    SourceError::query(format!("A batch of messages has more than {LARGEST} bytes."))
}

fn bounded(reader: impl Read) -> Result<Vec<u8>, SourceError> {
    let mut all = Vec::new();
    let read = reader.take(LARGEST as u64 + 1).read_to_end(&mut all);
    read.map_err(|error| SourceError::query("A batch of messages cannot be unpacked.").with_detail(error))?;
    if all.len() > LARGEST { Err(too_large()) } else { Ok(all) }
}

/// Snappy, in blocks as Java writes it or as one.
fn snappy(bytes: &[u8]) -> Result<Vec<u8>, SourceError> {
    let mut all = Vec::new();
    let mut rest = Bytes(bytes);
    if !bytes.starts_with(b"\x82SNAPPY\0") {
        block(bytes, &mut all)?;
        return Ok(all);
    }
    rest.take(16).ok_or_else(garbled)?;
    while !rest.is_empty() {
        let length = rest.u32_be().ok_or_else(garbled)?;
        block(rest.take(length as usize).ok_or_else(garbled)?, &mut all)?;
    }
    Ok(all)
}

fn block(bytes: &[u8], all: &mut Vec<u8>) -> Result<(), SourceError> {
    let broken =
        |error: snap::Error| SourceError::query("A batch of messages cannot be unpacked.").with_detail(error);
    let length = snap::raw::decompress_len(bytes).map_err(broken)?;
    if all.len() + length > LARGEST {
        return Err(too_large());
    }
    all.extend(snap::raw::Decoder::new().decompress_vec(bytes).map_err(broken)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// Messages `k`/`v` at 0 and 2, the second without a value.
    fn messages() -> Vec<u8> {
        let first = [0, 0, 0, 2, b'k', 2, b'v', 2, 2, b'h', 1];
        let second = [0, 4, 4, 2, b'k', 1, 0];
        [&[22][..], &first, &[14], &second].concat()
    }

    fn batch(attributes: i16, producer: i64, base: i64, data: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.push(2);
        body.extend([0; 4]);
        body.extend(attributes.to_be_bytes());
        body.extend(2_i32.to_be_bytes());
        body.extend(1_000_i64.to_be_bytes());
        body.extend(2_000_i64.to_be_bytes());
        body.extend(producer.to_be_bytes());
        body.extend([0; 6]);
        body.extend(2_i32.to_be_bytes());
        body.extend(data);
        let length = i32::try_from(body.len()).unwrap();
        [&base.to_be_bytes()[..], &length.to_be_bytes(), &body].concat()
    }

    fn read(records: &[u8], aborted: Vec<(i64, i64)>) -> Vec<(i64, Option<i64>, Option<Vec<u8>>)> {
        let mut batches = Batches::new(Fetched { aborted, records });
        let mut all = Vec::new();
        while let Some(next) = batches.next().unwrap() {
            let Next::Batch(batch) = next else { continue };
            all.extend(batch.messages().map(|message| {
                let message = message.unwrap();
                (message.offset, message.timestamp, message.value.map(<[u8]>::to_vec))
            }));
        }
        all
    }

    #[test]
    fn messages_are_read_however_they_are_packed() {
        let plain = messages();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&plain).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&plain).unwrap();
        let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        let length = u32::try_from(raw.len()).unwrap().to_be_bytes();
        let java = [&b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01"[..], &length, &raw].concat();
        let expected = vec![(5, Some(1_000), Some(b"v".to_vec())), (7, Some(1_002), None)];
        for (method, data) in [
            (0, plain.clone()),
            (1, gzip.finish().unwrap()),
            (2, raw),
            (2, java),
            (3, lz4.finish().unwrap()),
            (4, zstd::encode_all(&plain[..], 0).unwrap()),
        ] {
            let one = batch(method, -1, 5, &data);
            assert_eq!(read(&one, vec![]), expected, "{method}");
            assert!(read(&one[..one.len() - 1], vec![]).is_empty(), "a part of a batch is none");
        }
        let appended = read(&batch(8, -1, 5, &plain), vec![]);
        assert_eq!(appended[0].1, Some(2_000));
    }

    #[test]
    fn aborted_transactions_are_left_out() {
        let data = messages();
        let records = [batch(0x10, 7, 0, &data), batch(0x30, 7, 3, &data), batch(0x10, 7, 6, &data)].concat();
        let offsets: Vec<i64> = read(&records, vec![(7, 0)]).into_iter().map(|(offset, ..)| offset).collect();
        assert_eq!(offsets, [6, 8]);
    }

    #[test]
    fn headers_have_an_end() {
        let message = |count: u64, pairs: usize| {
            let mut headers = Vec::new();
            let mut rest = count << 1;
            while rest > 0x7F {
                headers.push(u8::try_from(rest & 0x7F).unwrap() | 0x80);
                rest >>= 7;
            }
            headers.push(u8::try_from(rest).unwrap());
            headers.extend([0, 1].repeat(pairs));
            Message { offset: 0, timestamp: None, key: None, value: None, headers: Bytes(headers.leak()) }
        };
        assert_eq!(message(3, 3).headers().unwrap().len(), 3);
        assert!(message(200_000, 200_000).headers().is_none());
        assert!(message(1 << 40, 0).headers().is_none());
    }

    #[test]
    fn headers_are_pairs() {
        let one = batch(0, -1, 0, &messages());
        let mut batches = Batches::new(Fetched { aborted: vec![], records: &one });
        let Some(Next::Batch(batch)) = batches.next().unwrap() else { panic!() };
        let first = batch.messages().next().unwrap().unwrap();
        assert_eq!(first.headers().unwrap(), [(&b"h"[..], None)]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>, method in 0_i16..8) {
            for records in [bytes.clone(), batch(method, 1, 0, &bytes)] {
                let mut batches = Batches::new(Fetched { aborted: vec![(1, 5)], records: &records });
                while let Ok(Some(next)) = batches.next() {
                    if let Next::Batch(batch) = next {
                        for message in batch.messages().flatten() {
                            let _ = message.headers();
                        }
                    }
                }
            }
        }
    }
}
