//! Rows of an answer, wherever they come from.

use std::time::Duration;

use bytes::BytesMut;
use tidegate_prompts::executions::stream::QueryStream;
use tokio::time::Instant;

use crate::listing::Listed;
use crate::protocol::backend::{Column, Outgoing};
use crate::protocol::problem::Problem;
use crate::values::columns::Encoded;

/// An answer that is being sent.
pub(super) struct Answer {
    pub(super) columns: Vec<Column>,
    pub(super) source: Source,
    /// Rows that were sent.
    pub(super) sent: u64,
    /// What it is counted as.
    pub(super) kind: &'static str,
    /// When it is let go of, whether its rows were taken or not.
    pub(super) deadline: Instant,
}

/// For how long an answer that was worked out here waits for its client.
const WAITS: Duration = Duration::from_secs(300);

/// Where rows come from.
pub(super) enum Source {
    /// The governed query.
    Query { stream: Box<QueryStream>, batch: Option<(Encoded, usize)> },
    /// What was worked out already.
    Listed { listed: Listed, next: usize },
    /// All of them were sent.
    Over,
    /// They were let go of before.
    Late,
}

impl Answer {
    pub(super) fn new(kind: &'static str, columns: Vec<Column>, source: Source) -> Self {
        let deadline = match &source {
            Source::Query { stream, .. } => stream.deadline(),
            _ => Instant::now() + WAITS,
        };
        Self { columns, source, sent: 0, kind, deadline }
    }

    /// Lets go of what it holds, if it is too late for it.
    pub(super) fn let_go(&mut self, now: Instant) {
        if self.holds() && self.deadline <= now {
            self.source = Source::Late;
        }
    }

    /// Gives up rows at hand when it is too late for them. A query says itself that it is.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.deadline > now {
            return;
        }
        if let Source::Query { batch, .. } = &mut self.source {
            *batch = None;
        } else {
            self.let_go(now);
        }
    }

    /// Whether there is anything to let go of.
    pub(super) const fn holds(&self) -> bool {
        matches!(self.source, Source::Query { .. } | Source::Listed { .. })
    }

    /// Refuses to go on with rows that were let go of.
    pub(super) fn is_in_time(&self) -> Result<(), Problem> {
        match self.source {
            Source::Late => Err(Problem::new("57014", "The rows were not taken in time.")),
            _ => Ok(()),
        }
    }

    /// Has each column sent in one of the two formats: none for text, one for all, or one for each.
    pub(super) fn formats(&mut self, formats: &[bool]) -> Result<(), Problem> {
        if formats.len() > 1 && formats.len() != self.columns.len() {
            return Err(Problem::new("08P01", "Formats and columns are not of one number."));
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.is_binary =
                formats.get(at).or(formats.first().filter(|_| formats.len() == 1)).copied().unwrap_or(false);
        }
        Ok(())
    }

    /// Writes rows that are at hand: until there are none, `most` were written, or enough bytes wait. Says how many it wrote.
    pub(super) fn write(&mut self, most: u64, enough: usize, out: &mut Outgoing) -> Result<u64, Problem> {
        let mut written = 0;
        while written < most && out.bytes.len() < enough {
            let mut row = BytesMut::new();
            match &mut self.source {
                Source::Query { batch: Some((encoded, at)), .. } if *at < encoded.rows => {
                    encoded.write(*at, &mut row)?;
                    *at += 1;
                }
                Source::Listed { listed, next } => {
                    if !listed.write(*next, &self.columns, &mut row)? {
                        self.source = Source::Over;
                        break;
                    }
                    *next += 1;
                }
                _ => break,
            }
            out.message(b'D', |out| out.extend_from_slice(&row));
            written += 1;
        }
        self.sent = self.sent.saturating_add(written);
        Ok(written)
    }

    /// Whether rows are at hand.
    pub(super) fn has_rows(&self) -> bool {
        match &self.source {
            Source::Query { batch: Some((encoded, at)), .. } => *at < encoded.rows,
            Source::Listed { .. } => true,
            _ => false,
        }
    }

    pub(super) fn tag(&self) -> String {
        format!("SELECT {}", self.sent)
    }
}
