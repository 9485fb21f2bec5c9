//! A circuit breaker for each source: one that keeps failing is left alone for a while.
//!
//! It has no state of its own: what it says follows from the failures that are stored, so all nodes agree on it and a restart changes
//! nothing.

use tidegate_domain::Timestamp;

use crate::DataSettings;
use crate::sources::{DataSource, SourceRefusal};

/// What a circuit breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Everything.
    Closed,
    /// Nothing until its pause is over, but tests that somebody asks for.
    Open {
        /// Seconds left.
        retry_after: u64,
    },
    /// The pause is over: what comes next decides.
    HalfOpen,
}

impl Breaker {
    /// The breaker of a source.
    pub fn of(source: &DataSource, settings: &DataSettings, now: Timestamp) -> Self {
        let fails =
            settings.breaker_failures > 0 && source.failure_count >= i64::from(settings.breaker_failures);
        let Some(failed_at) = source.last_failure_at.filter(|_| fails) else { return Self::Closed };
        let until = failed_at.plus(settings.breaker_pause);
        if now < until {
            // Rounded up: a client that comes back then gets through.
            Self::Open { retry_after: until.since(now).as_millis().div_ceil(1_000).try_into().unwrap_or(1) }
        } else {
            Self::HalfOpen
        }
    }

    /// As metrics name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// Refuses work that an open breaker does not let through.
    pub(crate) fn admit(self, source: &DataSource) -> Result<(), SourceRefusal> {
        match self {
            Self::Closed | Self::HalfOpen => Ok(()),
            Self::Open { retry_after } => {
                Err(SourceRefusal::BreakerOpen { failures: source.failure_count, retry_after })
            }
        }
    }
}
