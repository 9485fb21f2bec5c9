//! How many wrong one-time codes the installation sees: guessing at many accounts shows in none of them.

use std::sync::atomic::{AtomicI64, Ordering};

use tidegate_domain::limit::{Limit, Standing};

use crate::Kernel;

/// Wrong codes of all callers together that are worth a warning.
pub const ALARM: Limit = Limit::new(500, 3_600);

/// What is known of the installation's wrong codes.
#[derive(Debug, Default)]
pub(crate) struct WrongCodes {
    /// End of the last window that was warned of, in microseconds.
    warned_until: AtomicI64,
}

impl WrongCodes {
    /// Whether this is the first one too many in its window.
    fn is_news(&self, standing: Standing) -> bool {
        let end = standing.resets_at.micros();
        standing.exceeded && self.warned_until.fetch_max(end, Ordering::Relaxed) < end
    }
}

impl Kernel {
    /// Notes a wrong one-time code: in the metric `tidegate_wrong_codes_total`, and with one warning an hour once there are
    /// more than [`ALARM`] on all nodes together. Nothing is refused because of it.
    pub fn note_wrong_code(&self) {
        metrics::counter!("tidegate_wrong_codes_total").increment(1);
        let standing = self.meter("wrong codes".to_owned(), ALARM);
        if self.wrong_codes.is_news(standing) {
            tracing::warn!(
                limit = standing.limit,
                "unusually many wrong one-time codes in an hour; someone may be guessing at many accounts"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::Timestamp;

    use super::*;

    #[test]
    fn each_window_with_too_many_is_warned_of_once() {
        let codes = WrongCodes::default();
        let judge = |count, end| codes.is_news(ALARM.judge(count, Timestamp::from_seconds(end)));
        assert!(!judge(500, 3_600));
        assert!(judge(501, 3_600));
        assert!(!judge(502, 3_600));
        assert!(!judge(1, 7_200));
        assert!(judge(501, 7_200));
    }
}
