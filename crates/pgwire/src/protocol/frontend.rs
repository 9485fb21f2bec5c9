//! What clients send (PostgreSQL 18 documentation, section 54.7).

use tidegate_domain::Secret;

/// A client that does not keep to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Code of a request for TLS.
const TLS: u32 = 80_877_103;
/// Code of a request for encryption by GSSAPI.
const GSS: u32 = 80_877_104;
/// Code of a cancel request.
const CANCEL: u32 = 80_877_102;
/// Most values of one `Bind`.
const MOST_VALUES: usize = 1_000;

/// The first message of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Asks for TLS.
    Tls,
    /// Asks for encryption by GSSAPI.
    Gss,
    /// Calls off what runs on another connection.
    Cancel { number: i32, secret: i32 },
    /// Begins a session.
    Start { minor: u16, parameters: Vec<(String, String)> },
}

/// What a statement or portal is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

/// The values of a statement's parameters, and the formats of its results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    /// Whether a value is binary: none for text, one for all, or one for each.
    pub(crate) formats: Vec<bool>,
    pub(crate) values: Vec<Option<Vec<u8>>>,
    /// The same of columns.
    pub(crate) results: Vec<bool>,
}

/// A message of a session.
#[derive(Debug)]
pub(crate) enum Message {
    Password(Secret),
    Query(String),
    Parse {
        name: String,
        sql: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        most: usize,
    },
    Close(Target),
    Flush,
    Sync,
    Terminate,
    /// Part of a copy, which is never under way.
    Copy,
}

/// The rest of a message.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("a message is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("a message is too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn int(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    fn oid(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Text up to the next zero byte.
    fn text(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed("a text has no end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        String::from_utf8(text.to_vec()).map_err(|_| Malformed("a text is not UTF-8"))
    }

    fn formats(&mut self) -> Result<Vec<bool>, Malformed> {
        let count = self.short()?;
        let mut formats = Vec::new();
        for _ in 0..count {
            formats.push(match self.short()? {
                0 => false,
                1 => true,
                _ => return Err(Malformed("a format is neither text nor binary")),
            });
        }
        Ok(formats)
    }

    fn end<T>(self, read: T) -> Result<T, Malformed> {
        if self.0.is_empty() { Ok(read) } else { Err(Malformed("a message is too long")) }
    }
}

/// Reads the first message of a connection, without its length.
pub(crate) fn opening(body: &[u8]) -> Result<Opening, Malformed> {
    let mut rest = Rest(body);
    match rest.oid()? {
        TLS => rest.end(Opening::Tls),
        GSS => rest.end(Opening::Gss),
        CANCEL => {
            let (number, secret) = (rest.int()?, rest.int()?);
            rest.end(Opening::Cancel { number, secret })
        }
        version if version >> 16 == 3 => {
            let mut parameters = Vec::new();
            loop {
                let name = rest.text()?;
                if name.is_empty() {
                    break;
                }
                parameters.push((name, rest.text()?));
            }
            let minor = u16::try_from(version & 0xffff).unwrap_or(u16::MAX);
            rest.end(Opening::Start { minor, parameters })
        }
        _ => Err(Malformed("the protocol's version is not 3")),
    }
}

/// Reads a message of a session, without its kind and length.
pub(crate) fn message(kind: u8, body: &[u8]) -> Result<Message, Malformed> {
    let mut rest = Rest(body);
    let message = match kind {
        b'p' => Message::Password(Secret::new(rest.text()?)),
        b'Q' => Message::Query(rest.text()?),
        b'P' => {
            let (name, sql) = (rest.text()?, rest.text()?);
            let count = rest.short()?;
            let mut types = Vec::new();
            for _ in 0..count {
                types.push(rest.oid()?);
            }
            Message::Parse { name, sql, types }
        }
        b'B' => Message::Bind(bind(&mut rest)?),
        b'D' => Message::Describe(target(&mut rest)?),
        b'C' => Message::Close(target(&mut rest)?),
        b'E' => {
            let portal = rest.text()?;
            // None, and less than none, is all of them.
            let most = usize::try_from(rest.int()?).unwrap_or(0);
            Message::Execute { portal, most }
        }
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'd' | b'c' | b'f' => return Ok(Message::Copy),
        _ => return Err(Malformed("a message is of no known kind")),
    };
    rest.end(message)
}

fn target(rest: &mut Rest<'_>) -> Result<Target, Malformed> {
    match rest.byte()? {
        b'S' => Ok(Target::Statement(rest.text()?)),
        b'P' => Ok(Target::Portal(rest.text()?)),
        _ => Err(Malformed("neither a statement nor a portal is meant")),
    }
}

fn bind(rest: &mut Rest<'_>) -> Result<Bind, Malformed> {
    let (portal, statement) = (rest.text()?, rest.text()?);
    let formats = rest.formats()?;
    let count = usize::from(rest.short()?);
    if count > MOST_VALUES {
        return Err(Malformed("a statement has more than 1,000 values"));
    }
    if formats.len() > 1 && formats.len() != count {
        return Err(Malformed("formats and values are not of one number"));
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(match rest.int()? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed("a value has no length"))?;
                Some(rest.take(length)?.to_vec())
            }
        });
    }
    let results = rest.formats()?;
    Ok(Bind { portal, statement, formats, values, results })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [text.as_bytes(), b"\0"].concat()
    }

    #[test]
    fn a_session_begins_with_pairs_of_names_and_values() {
        let body = [&196_610_u32.to_be_bytes()[..], &text("user"), &text("ada@example.com"), b"\0"].concat();
        let parameters = vec![("user".to_owned(), "ada@example.com".to_owned())];
        assert_eq!(opening(&body), Ok(Opening::Start { minor: 2, parameters }));
        assert_eq!(opening(&TLS.to_be_bytes()), Ok(Opening::Tls));
        assert!(opening(&[&TLS.to_be_bytes()[..], b"early"].concat()).is_err());
        assert!(opening(&131_072_u32.to_be_bytes()).is_err(), "version 2");
        assert!(opening(&body[..body.len() - 1]).is_err());
    }

    #[test]
    fn a_count_that_is_not_there_is_not_believed() {
        // Three counts of 65,535 with nothing behind them.
        let bind = [&text("")[..], &text(""), &[0xff, 0xff]].concat();
        assert!(message(b'B', &bind).is_err());
        let parse = [&text("")[..], &text("select 1"), &[0xff, 0xff]].concat();
        assert!(message(b'P', &parse).is_err());
        let long = [&text("")[..], &text(""), &[0, 0, 0, 1], &i32::MAX.to_be_bytes()].concat();
        assert!(message(b'B', &long).is_err());
        let negative = [&text("")[..], &text(""), &[0, 0, 0, 1], &(-2_i32).to_be_bytes(), &[0, 0]].concat();
        assert!(message(b'B', &negative).is_err());
        assert!(message(b'C', b"").is_err());
        assert!(message(b'p', b"").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind: u8, body in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(opening(&body));
            drop(message(kind, &body));
            for kind in *b"pQPBDCEHSXdcf" {
                drop(message(kind, &body));
            }
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z]{0,8}", sql in "\\PC{0,40}", types in proptest::collection::vec(any::<u32>(), 0..9)) {
            let count = u16::try_from(types.len()).unwrap().to_be_bytes();
            let oids: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
            let body = [&text(&name)[..], &text(&sql), &count, &oids].concat();
            let read = message(b'P', &body).unwrap();
            let Message::Parse { name: read_name, sql: read_sql, types: read_types } = read else {
                panic!("{read:?}")
            };
            prop_assert_eq!((read_name, read_sql, read_types), (name, sql, types));
        }
    }
}
