//! RESP, the protocol of Redis, version 2.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};

use crate::error::SourceError;
use crate::network::dial;
use crate::wire::broken;

/// Bytes of one string at most, and elements of one array.
const LONGEST: usize = 64 << 20;
const MOST: usize = 1_000_000;
/// Bytes of one answer at most, with what each of its parts costs: arrays of arrays of long strings have no other bound.
const LARGEST: usize = 128 << 20;
const PART: usize = 64;
/// Arrays inside one another at most.
const DEEPEST: usize = 8;

/// A connection.
pub(super) struct Wire {
    stream: BufStream<Box<dyn dial::Wire>>,
    /// Bytes that are left of the present answer.
    left: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Nil,
    Text(String),
    Error(String),
    Integer(i64),
    Bytes(Vec<u8>),
    Array(Vec<Reply>),
}

impl Reply {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            _ => None,
        }
    }

    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Text(text) => Some(text.into_bytes()),
            _ => None,
        }
    }

    pub(super) fn json(self) -> Value {
        match self {
            Self::Nil | Self::Error(_) => Value::Null,
            Self::Text(text) => Value::from(text),
            Self::Integer(number) => Value::from(number),
            Self::Bytes(bytes) => super::shown(&bytes),
            Self::Array(parts) => parts.into_iter().map(Self::json).collect(),
        }
    }
}

pub(super) fn garbled() -> SourceError {
    SourceError::foreign("Redis")
}

impl Wire {
    pub(super) fn new(stream: Box<dyn dial::Wire>) -> Self {
        Self { stream: BufStream::new(stream), left: LARGEST }
    }

    /// Sends a command and reads its answer.
    pub(super) async fn call<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Result<Reply, SourceError> {
        let mut sent = format!("*{}\r\n", command.len()).into_bytes();
        for argument in command {
            let argument = argument.as_ref();
            sent.extend(format!("${}\r\n", argument.len()).bytes());
            sent.extend(argument);
            sent.extend(b"\r\n");
        }
        self.stream.write_all(&sent).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        self.left = LARGEST;
        self.reply(0).await
    }

    /// Counts bytes of the present answer.
    fn count(&mut self, bytes: usize) -> Result<(), SourceError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| {
            SourceError::query(format!("An answer of the server has more than {LARGEST} bytes."))
        })?;
        Ok(())
    }

    async fn reply(&mut self, depth: usize) -> Result<Reply, SourceError> {
        let line = self.line().await?;
        self.count(line.len() + PART)?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(garbled)?;
        match kind {
            "+" => Ok(Reply::Text(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => rest.parse().map(Reply::Integer).map_err(|_| garbled()),
            "$" | "*" if rest == "-1" => Ok(Reply::Nil),
            "$" => {
                let length =
                    rest.parse::<usize>().ok().filter(|length| *length <= LONGEST).ok_or_else(garbled)?;
                self.count(length)?;
                let mut bytes = Vec::new();
                let read =
                    (&mut self.stream).take(length as u64).read_to_end(&mut bytes).await.map_err(broken)?;
                let mut end = [0; 2];
                self.stream.read_exact(&mut end).await.map_err(broken)?;
                if read == length && &end == b"\r\n" { Ok(Reply::Bytes(bytes)) } else { Err(garbled()) }
            }
            "*" if depth < DEEPEST => {
                let count = rest.parse::<usize>().ok().filter(|count| *count <= MOST).ok_or_else(garbled)?;
                let mut parts = Vec::new();
                for _ in 0..count {
                    parts.push(Box::pin(self.reply(depth + 1)).await?);
                }
                Ok(Reply::Array(parts))
            }
            _ => Err(garbled()),
        }
    }

    async fn line(&mut self) -> Result<String, SourceError> {
        let mut line = Vec::new();
        (&mut self.stream).take(64 << 10).read_until(b'\n', &mut line).await.map_err(broken)?;
        let text = line.strip_suffix(b"\r\n").ok_or_else(garbled)?;
        String::from_utf8(text.to_vec()).map_err(|_| garbled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each array and each string is within its own bound.
    #[tokio::test]
    async fn an_answer_of_many_parts_has_an_end() {
        let (near, mut far) = tokio::io::duplex(64 << 10);
        let mut wire = Wire::new(Box::new(near));
        let serving = tokio::spawn(async move {
            let part = ":1\r\n".repeat(10_000);
            let _ = far.write_all(b"*3\r\n").await;
            for _ in 0..3 {
                let _ = far.write_all(b"*1000000\r\n").await;
                for _ in 0..100 {
                    if far.write_all(part.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        });
        let error = wire.call(&["PING"]).await.unwrap_err();
        assert!(error.message.contains("more than"), "{}", error.message);
        drop(wire);
        serving.await.unwrap();
    }
}
