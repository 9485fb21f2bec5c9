//! Sums of organizations become exact again after an upgrade without downtime: a node of the version before migration 0026 keeps those of
//! members alone, and takes a deleted account off those alone.
//!
//! An organization's sums are compared for a week, from the first time that a node of this version looks; after that, a look costs one row.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::Fault;
use tidegate_kernel::jobs::{Job, Schedule};
use uuid::Uuid;

use crate::{PromptTables, Prompts};

/// The job's name.
pub(crate) const NAME: &str = "prompt sums";
/// How often.
const EVERY: Duration = Duration::from_secs(6 * 3_600);
/// How long sums are compared: nodes of the earlier version are gone by then.
const COMPARED_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Days of an organization that are counted anew in one run.
const DAYS: i64 = 400;

pub(crate) const JOB: Job<Prompts> = Job {
    schedule: Some(Schedule::Installation { every: EVERY, jitter: Duration::ZERO, at_start: true }),
    limit: Some(Duration::from_secs(3_600)),
    at_once: 1,
    ..Job::new(NAME, |prompts, _| async move { Ok(prompts.compare_sums().await?) }.boxed())
};

impl Prompts {
    /// Compares the sums of all organizations, one after the other, and counts days anew that differ.
    async fn compare_sums(&self) -> Result<(), Fault> {
        let mut last = Uuid::nil();
        loop {
            let now = self.kernel.now();
            let mut unit = self.kernel.store.read().await?;
            let Some(organization) = unit.prompt_usage().organization_after(last).await? else {
                return Ok(());
            };
            last = organization.0;
            let until = unit.prompt_usage().compared_until(organization).await?;
            if until.is_some_and(|until| until <= now) {
                continue;
            }
            let days = unit.prompt_usage().differing_days(organization, DAYS).await?;
            drop(unit);
            if until.is_none() {
                let mut unit = self.kernel.store.begin().await?;
                unit.prompt_usage().compare_until(organization, now.plus(COMPARED_FOR)).await?;
                unit.commit().await?;
            }
            for day in &days {
                let mut unit = self.kernel.store.begin().await?;
                unit.prompt_usage().recount(organization, *day).await?;
                unit.commit().await?;
            }
            if !days.is_empty() {
                tracing::warn!(
                    %organization,
                    days = days.len(),
                    "the sums of an organization were not those of its members, as a node of an earlier version leaves them; \
                     they were counted anew"
                );
            }
        }
    }
}
