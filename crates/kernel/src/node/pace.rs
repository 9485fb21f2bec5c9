//! How long providers take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::tables::outbox::Channel;

/// Longest time for which a discarded message takes as long as one that is sent.
const LONGEST_PRETENCE: Duration = Duration::from_secs(5);

/// How long providers took for the last message of each channel: as long as one that is not sent takes, too.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    email: AtomicU64,
    sms: AtomicU64,
}

impl Pace {
    const fn of(&self, channel: Channel) -> &AtomicU64 {
        match channel {
            Channel::Email => &self.email,
            Channel::Sms => &self.sms,
        }
    }

    pub(crate) fn note(&self, channel: Channel, took: Duration) {
        let micros = u64::try_from(took.min(LONGEST_PRETENCE).as_micros()).unwrap_or(u64::MAX);
        self.of(channel).store(micros, Ordering::Relaxed);
    }

    pub(crate) fn last(&self, channel: Channel) -> Duration {
        Duration::from_micros(self.of(channel).load(Ordering::Relaxed))
    }
}
