//! Tells the first excess of a window from the ones after it.

use std::sync::atomic::{AtomicI64, Ordering};

use tidegate_domain::limit::LimitStatus;

/// Remembers the last window in which a limit was exceeded.
#[derive(Debug, Default)]
pub(crate) struct OncePerWindow {
    /// End of that window, in microseconds.
    until: AtomicI64,
}

impl OncePerWindow {
    /// Whether this exceeds the limit for the first time in its window.
    pub(crate) fn is_first_excess(&self, status: LimitStatus) -> bool {
        let end = status.resets_at.micros();
        status.exceeded && self.until.fetch_max(end, Ordering::Relaxed) < end
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::Timestamp;
    use tidegate_domain::limit::Limit;

    use super::*;

    #[test]
    fn each_window_with_too_many_is_warned_of_once() {
        let (warned, limit) = (OncePerWindow::default(), Limit::new(500, 3_600));
        let judge = |count, end| warned.is_first_excess(limit.judge(count, Timestamp::from_seconds(end)));
        assert!(!judge(500, 3_600));
        assert!(judge(501, 3_600));
        assert!(!judge(502, 3_600));
        assert!(!judge(1, 7_200));
        assert!(judge(501, 7_200));
    }
}
