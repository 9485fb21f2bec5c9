//! How many wrong one-time codes the installation sees: guessing at many accounts is visible in none of them.

use tidegate_domain::limit::Limit;

use crate::Kernel;

/// Wrong codes of all callers together that are worth a warning.
pub const ALARM: Limit = Limit::new(500, 3_600);

impl Kernel {
    /// Notes a wrong one-time code: in the metric `tidegate_wrong_codes_total`, and with one warning an hour once there are
    /// more than [`ALARM`] on all nodes together. Nothing is refused because of it.
    pub fn note_wrong_code(&self) {
        metrics::counter!("tidegate_wrong_codes_total").increment(1);
        let status = self.meter.count("wrong codes".to_owned(), ALARM, self.now());
        if self.wrong_codes_warned.is_first_excess(status) {
            tracing::warn!(
                limit = status.limit,
                "unusually many wrong one-time codes in an hour; someone may be guessing at many accounts"
            );
        }
    }
}
