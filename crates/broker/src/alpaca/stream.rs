//! The broker's stream of events.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use reqwest::Response;

use crate::error::{BrokerError, TookEffect, Trouble};
use crate::event::AccountEvent;
use crate::sse::{Decoder, Message};

/// Account changes as they happen.
///
/// A reader stores the last `ulid`, continues from there when the stream ends or fails,
/// waiting longer each time it fails, and drops what it has seen already.
pub struct EventStream {
    response: Response,
    silence: Duration,
    decoder: Decoder,
    ready: VecDeque<Message>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl EventStream {
    pub(super) fn new(response: Response, silence: Duration) -> Self {
        Self { response, silence, decoder: Decoder::default(), ready: VecDeque::new() }
    }

    /// The next event; `None` when the broker has ended the stream.
    ///
    /// Dropped while it waits, it loses nothing.
    ///
    /// # Errors
    /// [`BrokerError::Unreadable`] for a message that is no event: the next call goes on behind it.
    /// [`BrokerError::Unavailable`] when the stream is over: broken, silent for too long, or short of events
    /// that were not read fast enough.
    pub async fn next(&mut self) -> Result<Option<AccountEvent>, BrokerError> {
        loop {
            while let Some(message) = self.ready.pop_front() {
                match message {
                    Message::Data(bytes) => return AccountEvent::read(&bytes).map(Some).ok_or(UNREADABLE),
                    Message::TooLong => return Err(UNREADABLE),
                    // "you are reading too slowly, dropped 10000 messages"
                    Message::Comment(text) if text.windows(7).any(|word| word == b"dropped") => {
                        return Err(over(Trouble::EventsLost));
                    }
                    Message::Comment(_) => {}
                }
            }
            match tokio::time::timeout(self.silence, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.ready.extend(self.decoder.push(&bytes)),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(_)) => return Err(over(Trouble::Broken)),
                Err(_) => return Err(over(Trouble::Timeout)),
            }
        }
    }
}

const UNREADABLE: BrokerError = BrokerError::Unreadable { took_effect: TookEffect::No };

const fn over(trouble: Trouble) -> BrokerError {
    BrokerError::Unavailable { trouble, took_effect: TookEffect::No, retry_after: None }
}
