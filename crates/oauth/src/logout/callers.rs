//! What calls applications, and which of them did not answer lately.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tidegate_domain::Timestamp;
use tidegate_domain::id::ApplicationId;
use tidegate_domain::logout::BackchannelReach;
use tidegate_federation::Notifier;
use tidegate_kernel::jobs::JobError;

/// How long an application that did not answer is not asked again: one must not hold up the others.
const PAUSE: Duration = Duration::from_secs(30);

/// What calls applications, and which of them did not answer lately.
pub(crate) struct Callers {
    reach: BackchannelReach,
    /// Made when the first one is called.
    notifier: OnceLock<Result<Notifier, String>>,
    /// The same for those that registered themselves: they are called on the internet alone, whatever the operator's own may be.
    of_strangers: OnceLock<Result<Notifier, String>>,
    paused: Mutex<BTreeMap<ApplicationId, Timestamp>>,
}

impl Callers {
    pub(crate) fn new(reach: BackchannelReach) -> Self {
        Self { reach, notifier: OnceLock::new(), of_strangers: OnceLock::new(), paused: Mutex::default() }
    }

    pub(super) fn notifier(&self, registered_itself: bool) -> Result<&Notifier, JobError> {
        let notifier = if registered_itself {
            self.of_strangers.get_or_init(|| Notifier::new(BackchannelReach::Internet))
        } else {
            self.notifier.get_or_init(|| Notifier::new(self.reach))
        };
        notifier.as_ref().map_err(|error| JobError::Again(error.clone()))
    }

    pub(super) fn is_paused(&self, application: ApplicationId, now: Timestamp) -> bool {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not keep them paused.
        paused.retain(|_, until| *until > now && *until <= now.plus(PAUSE));
        paused.contains_key(&application)
    }

    pub(super) fn pause(&self, application: ApplicationId, now: Timestamp) {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).insert(application, now.plus(PAUSE));
    }
}
