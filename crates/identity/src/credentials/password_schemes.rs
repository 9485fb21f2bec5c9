//! Which password schemes are stored, counted now and then: a job of each node.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::jobs::{Job, Schedule};

use crate::Identity;

/// The job's name.
const NAME: &str = "password schemes";
/// How often. What changes meanwhile makes unknown names cost a little more or less than known ones.
const EVERY: Duration = Duration::from_secs(600);

/// The server counts them before it answers anybody, too: see [`Identity::count_password_schemes`].
pub(crate) const JOB: Job<Identity> = Job {
    schedule: Some(Schedule::Node { every: EVERY, at_start: false }),
    ..Job::new(NAME, |identity, _| {
        async move { Ok(identity.count_password_schemes().await.map(drop)?) }.boxed()
    })
};
