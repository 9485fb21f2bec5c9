//! Lines of the log about what strangers do before anybody knows who they are.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nothing more is logged of one kind: strangers do as they like.
const QUIET: Duration = Duration::from_secs(60);

/// When the log last had a line of one kind.
#[derive(Debug, Default)]
pub struct LastLine(Mutex<Option<Instant>>);

impl LastLine {
    /// Whether there may be another one, which is noted as the last then.
    pub fn is_long_ago(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_long_ago = last.is_none_or(|last| last + QUIET <= now);
        if is_long_ago {
            *last = Some(now);
        }
        is_long_ago
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_not_repeated_at_once() {
        let last = LastLine::default();
        assert!(last.is_long_ago() && !last.is_long_ago());
    }
}
