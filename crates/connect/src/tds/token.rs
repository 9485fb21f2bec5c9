//! Tokens of an answer. Nothing is copied or kept: a token is either there as a whole, or more bytes are needed.

use std::borrow::Cow;

use crate::wire::Bytes;

/// What the bytes are not: an answer.
#[derive(Debug)]
pub(super) struct Wrong;

/// Columns of an answer at most.
const MOST_COLUMNS: u16 = 4_096;
/// Bytes of a DONE token.
pub(super) const DONE_LENGTH: usize = 13;

#[derive(Debug)]
pub(super) enum Token {
    Columns(Vec<Column>),
    /// With a bitmap of NULLs before the values.
    Row {
        compressed: bool,
    },
    Done,
    Error {
        number: i32,
        message: String,
    },
    /// Product and its version.
    LoginAck {
        product: String,
        version: (u8, u8, u16),
    },
    PacketSize(usize),
    /// The server to connect to instead.
    Route {
        host: String,
        port: u16,
    },
    Other,
}

/// A column as the answer describes it.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) kind: u8,
    pub(super) scale: u8,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Fixed(usize),
    ByteLength,
    ShortLength,
    Chunks,
    Pointer,
    LongLength,
}

/// A value as it came.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    Null,
    Whole(&'a [u8]),
    /// Chunks with their lengths, without the end mark.
    Chunks(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// The bytes of the value.
    pub(super) fn bytes(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Raw::Null => None,
            Raw::Whole(bytes) => Some(Cow::Borrowed(bytes)),
            Raw::Chunks(chunks) => {
                let mut rest = Bytes(chunks);
                let mut parts = Vec::new();
                while let Some(part) = rest.u32_le().and_then(|length| rest.take(length as usize)) {
                    parts.push(part);
                }
                match parts.as_slice() {
                    [one] => Some(Cow::Borrowed(one)),
                    parts => Some(Cow::Owned(parts.concat())),
                }
            }
        }
    }
}

/// Whether the last bytes of an answer say that the request was stopped.
pub(super) fn is_attention(end: &[u8]) -> bool {
    matches!(end, [0xFD, low, ..] if end.len() == DONE_LENGTH && low & 0x20 != 0)
}

/// The first token and its length; none if bytes are missing.
pub(super) fn next(bytes: &[u8], columns: &[Column]) -> Result<Option<(Token, usize)>, Wrong> {
    let mut rest = Bytes(bytes);
    let Some(kind) = rest.u8() else { return Ok(None) };
    let token = match kind {
        0x81 => described(&mut rest)?.map(Token::Columns),
        0xD1 => row(&mut rest, columns, false).map(|()| Token::Row { compressed: false }),
        0xD2 => row(&mut rest, columns, true).map(|()| Token::Row { compressed: true }),
        0xFD..=0xFF => rest.take(12).map(|_| Token::Done),
        0x79 => rest.take(4).map(|_| Token::Other),
        // Values of output parameters, of which no request has any, and methods of signing in that were not asked for.
        0xAA | 0xAB | 0xAD | 0xE3 | 0xA9 | 0xA4 | 0xA5 | 0xED => short(kind, &mut rest),
        0xE4 | 0xEE => rest.u32_le().and_then(|length| rest.take(length as usize)).map(|_| Token::Other),
        0xAE => features(&mut rest),
        _ => return Err(Wrong),
    };
    Ok(token.map(|token| (token, bytes.len() - rest.len())))
}

/// A token whose length of two bytes comes first.
fn short(kind: u8, rest: &mut Bytes<'_>) -> Option<Token> {
    let length = rest.u16_le()?;
    let body = Bytes(rest.take(length.into())?);
    let token = match kind {
        0xAA => error(body),
        0xAD => acknowledged(body),
        0xE3 => changed(body),
        _ => None,
    };
    Some(token.unwrap_or(Token::Other))
}

fn error(mut body: Bytes<'_>) -> Option<Token> {
    let number = body.i32_le()?;
    body.take(2)?;
    let length = usize::from(body.u16_le()?);
    Some(Token::Error { number, message: text(body.take(length * 2)?) })
}

fn acknowledged(mut body: Bytes<'_>) -> Option<Token> {
    body.take(5)?;
    let length = usize::from(body.u8()?);
    let product = text(body.take(length * 2)?).trim_end_matches('\0').to_owned();
    Some(Token::LoginAck { product, version: (body.u8()?, body.u8()?, body.u16_be()?) })
}

fn changed(mut body: Bytes<'_>) -> Option<Token> {
    match body.u8()? {
        4 => {
            let length = usize::from(body.u8()?);
            Some(Token::PacketSize(text(body.take(length * 2)?).parse().ok()?))
        }
        20 => {
            body.u16_le()?;
            // Protocol 0 is TCP.
            (body.u8()? == 0).then_some(())?;
            let port = body.u16_le()?;
            let length = usize::from(body.u16_le()?);
            Some(Token::Route { host: text(body.take(length * 2)?), port })
        }
        _ => None,
    }
}

fn features(rest: &mut Bytes<'_>) -> Option<Token> {
    while rest.u8()? != 0xFF {
        let length = rest.u32_le()?;
        rest.take(length as usize)?;
    }
    Some(Token::Other)
}

/// UTF-16 as text; what is none becomes a mark.
pub(super) fn text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| {
        u16::from(unit.first().copied().unwrap_or(0)) | u16::from(unit.last().copied().unwrap_or(0)) << 8
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn described(rest: &mut Bytes<'_>) -> Result<Option<Vec<Column>>, Wrong> {
    let Some(count) = rest.u16_le() else { return Ok(None) };
    if count == u16::MAX {
        return Ok(Some(Vec::new()));
    }
    if count > MOST_COLUMNS {
        return Err(Wrong);
    }
    let mut columns = Vec::new();
    for _ in 0..count {
        let Some(_) = rest.take(6) else { return Ok(None) };
        let Some(kind) = rest.u8() else { return Ok(None) };
        let Some(column) = typed(kind, rest)? else { return Ok(None) };
        let pointer = column.shape == Shape::Pointer;
        if named(rest, pointer).is_none() {
            return Ok(None);
        }
        columns.push(column);
    }
    Ok(Some(columns))
}

/// Passes the names of the table, which some types have, and of the column.
fn named(rest: &mut Bytes<'_>, table: bool) -> Option<()> {
    if table {
        for _ in 0..rest.u8()? {
            let length = usize::from(rest.u16_le()?);
            rest.take(length * 2)?;
        }
    }
    let length = usize::from(rest.u8()?);
    rest.take(length * 2).map(|_| ())
}

fn typed(kind: u8, rest: &mut Bytes<'_>) -> Result<Option<Column>, Wrong> {
    let mut scale = 0;
    let shape = match kind {
        0x1F => Some(Shape::Fixed(0)),
        0x30 | 0x32 => Some(Shape::Fixed(1)),
        0x34 => Some(Shape::Fixed(2)),
        0x38 | 0x3A | 0x3B | 0x7A => Some(Shape::Fixed(4)),
        0x3C | 0x3D | 0x3E | 0x7F => Some(Shape::Fixed(8)),
        0x24 | 0x26 | 0x68 | 0x6D | 0x6E | 0x6F | 0x2F | 0x27 | 0x2D | 0x25 => {
            rest.u8().map(|_| Shape::ByteLength)
        }
        0x37 | 0x3F | 0x6A | 0x6C => match rest.take(3) {
            Some([_, _, digits]) => {
                scale = *digits;
                Some(Shape::ByteLength)
            }
            _ => None,
        },
        0x28 => Some(Shape::ByteLength),
        0x29..=0x2B => rest.u8().map(|digits| {
            scale = digits;
            Shape::ByteLength
        }),
        0xA5 | 0xAD => rest.u16_le().map(limited),
        0xA7 | 0xAF | 0xE7 | 0xEF => {
            let length = rest.u16_le();
            rest.take(5).and(length).map(limited)
        }
        0xF1 => xml(rest),
        0xF0 => own(rest),
        0x22 => rest.u32_le().map(|_| Shape::Pointer),
        0x23 | 0x63 => rest.take(9).map(|_| Shape::Pointer),
        0x62 => rest.u32_le().map(|_| Shape::LongLength),
        _ => return Err(Wrong),
    };
    Ok(shape.map(|shape| Column { kind, scale, shape }))
}

fn limited(length: u16) -> Shape {
    if length == u16::MAX { Shape::Chunks } else { Shape::ShortLength }
}

fn xml(rest: &mut Bytes<'_>) -> Option<Shape> {
    if rest.u8()? == 1 {
        for _ in 0..2 {
            let length = usize::from(rest.u8()?);
            rest.take(length * 2)?;
        }
        let length = usize::from(rest.u16_le()?);
        rest.take(length * 2)?;
    }
    Some(Shape::Chunks)
}

fn own(rest: &mut Bytes<'_>) -> Option<Shape> {
    rest.u16_le()?;
    for _ in 0..3 {
        let length = usize::from(rest.u8()?);
        rest.take(length * 2)?;
    }
    let length = usize::from(rest.u16_le()?);
    rest.take(length * 2)?;
    Some(Shape::Chunks)
}

/// Passes a row.
fn row(rest: &mut Bytes<'_>, columns: &[Column], compressed: bool) -> Option<()> {
    values(rest, columns, compressed, |_, _| ())
}

/// Gives each value of a row to a function. None if bytes are missing.
pub(super) fn values<'a>(
    rest: &mut Bytes<'a>,
    columns: &[Column],
    compressed: bool,
    mut each: impl FnMut(usize, Raw<'a>),
) -> Option<()> {
    let nulls = if compressed { rest.take(columns.len().div_ceil(8))? } else { &[] };
    for (index, column) in columns.iter().enumerate() {
        let is_null = nulls.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1);
        each(index, if is_null { Raw::Null } else { value(rest, column.shape)? });
    }
    Some(())
}

fn value<'a>(rest: &mut Bytes<'a>, shape: Shape) -> Option<Raw<'a>> {
    match shape {
        Shape::Fixed(0) => Some(Raw::Null),
        Shape::Fixed(length) => rest.take(length).map(Raw::Whole),
        Shape::ByteLength => match rest.u8()? {
            0 => Some(Raw::Null),
            length => rest.take(length.into()).map(Raw::Whole),
        },
        Shape::ShortLength => match rest.u16_le()? {
            u16::MAX => Some(Raw::Null),
            length => rest.take(length.into()).map(Raw::Whole),
        },
        Shape::LongLength => match rest.u32_le()? {
            0 => Some(Raw::Null),
            length => rest.take(length as usize).map(Raw::Whole),
        },
        Shape::Pointer => match rest.u8()? {
            0 => Some(Raw::Null),
            length => {
                rest.take(usize::from(length) + 8)?;
                let length = rest.u32_le()?;
                rest.take(length as usize).map(Raw::Whole)
            }
        },
        Shape::Chunks => {
            if rest.u64_le()? == u64::MAX {
                return Some(Raw::Null);
            }
            let all = *rest;
            loop {
                let before = rest.len();
                match rest.u32_le()? {
                    0 => return all.0.get(..all.len() - before).map(Raw::Chunks),
                    length => rest.take(length as usize)?,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_in_chunks_or_whole() {
        let columns = [
            Column { kind: 0xE7, scale: 0, shape: Shape::Chunks },
            Column { kind: 0x26, scale: 0, shape: Shape::ByteLength },
        ];
        let mut row = vec![0xD1];
        row.extend(4_u64.to_le_bytes());
        for part in [b"ab", b"cd"] {
            row.extend(2_u32.to_le_bytes());
            row.extend(part);
        }
        row.extend([0; 4]);
        row.extend([0]);
        for length in 0..row.len() {
            assert!(matches!(next(&row[..length], &columns), Ok(None)), "{length}");
        }
        let (token, length) = next(&row, &columns).unwrap().unwrap();
        assert!(matches!(token, Token::Row { compressed: false }));
        assert_eq!(length, row.len());
        let mut found = Vec::new();
        values(&mut Bytes(&row[1..]), &columns, false, |_, raw| found.push(raw.bytes())).unwrap();
        assert_eq!(found[0].as_deref(), Some(&b"abcd"[..]));
        assert!(found[1].is_none());
        assert!(next(&[0x00], &columns).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes: Vec<u8>, first in 0x79_u8..=0xFF) {
            let columns = [0x26_u8, 0x62, 0x22].map(|kind| Column { kind, scale: 0, shape: Shape::Chunks });
            let mut all = vec![first];
            all.extend(bytes);
            if let Ok(Some((_, length))) = next(&all, &columns) {
                proptest::prop_assert!(length <= all.len());
            }
            let _ = values(&mut Bytes(&all), &columns, true, |_, raw| drop(raw.bytes()));
        }
    }
}
