//! Answers that are read line by line, as they come: whoever reads holds one line, and the server waits for whoever is slow.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::client::{Client, Driver, LARGEST, Request};
use crate::error::SourceError;

/// An answer that is read line by line. Dropping it ends the connection.
pub(crate) struct Lines {
    body: Incoming,
    /// The connection lasts as long as this.
    _driver: Driver,
    /// What came after the line.
    ahead: Bytes,
    line: Vec<u8>,
    is_over: bool,
}

impl Lines {
    /// Sends a request whose answer has lines. Nothing here bounds the time: the caller does.
    pub(crate) async fn of(client: &Client, request: Request) -> Result<Self, SourceError> {
        let (answer, driver) = client.answer(request).await?;
        let (parts, body) = answer.into_parts();
        if !parts.status.is_success() {
            let body =
                Limited::new(body, LARGEST).collect().await.map_err(|error| client.broken_off(&error))?;
            client.checked(parts.status, &body.to_bytes())?;
            return Err(SourceError::refused("The server refused the request."));
        }
        Ok(Self { body, _driver: driver, ahead: Bytes::new(), line: Vec::new(), is_over: false })
    }

    /// The next line that is not empty; none at the end.
    pub(crate) async fn next(&mut self, client: &Client) -> Result<Option<String>, SourceError> {
        loop {
            let end = self.ahead.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(self.ahead.len(), |at| at + 1);
            let part = self.ahead.split_to(length);
            if self.line.len() + part.len() > LARGEST {
                return Err(SourceError::query(format!("A row is larger than {LARGEST} bytes.")));
            }
            self.line.extend_from_slice(&part);
            if end.is_some() || self.is_over {
                let line = self.taken()?;
                if line.is_some() || end.is_none() {
                    return Ok(line);
                }
                continue;
            }
            match self.body.frame().await {
                None => self.is_over = true,
                Some(frame) => {
                    let frame = frame.map_err(|error| client.broken_off(&error))?;
                    self.ahead = frame.into_data().unwrap_or_default();
                }
            }
        }
    }

    /// The line that is held, if there is anything in it.
    fn taken(&mut self) -> Result<Option<String>, SourceError> {
        let text = std::str::from_utf8(&self.line);
        let text = text.map_err(|_| SourceError::query("The answer is not UTF-8."))?.trim();
        let line = (!text.is_empty()).then(|| text.to_owned());
        self.line.clear();
        Ok(line)
    }
}
