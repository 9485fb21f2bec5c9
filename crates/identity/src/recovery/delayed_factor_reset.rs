//! A reset of second factors takes effect when its delay is over, unless the owner called it off.

use std::sync::Arc;

use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::json;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::id::{AccountId, ChallengeId};
use tidegate_kernel::Call;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::jobs::{Job, JobError, JobRun};

use crate::{Identity, IdentityTables};

/// The job's name.
pub(crate) const NAME: &str = "reset second factors";

pub(crate) const JOB: Job<Identity> =
    Job::new(NAME, |identity, run| async move { identity.run_factor_reset(&run).await }.boxed());

/// Whose factors are reset, and the challenge whose link calls it off.
#[derive(Deserialize)]
struct Waiting {
    account: AccountId,
    challenge: ChallengeId,
}

impl Identity {
    async fn run_factor_reset(&self, run: &JobRun) -> Result<(), JobError> {
        let waiting = Waiting::deserialize(&run.payload)
            .map_err(|error| JobError::Never(format!("its payload: {error}")))?;
        Ok(self.finish_delayed_reset(run, &waiting).await?)
    }

    async fn finish_delayed_reset(&self, run: &JobRun, waiting: &Waiting) -> Result<(), Fault> {
        let call = Call::from_worker(Arc::new(self.kernel.settings.contracts.of_installation()));
        let mut work = self.begin(&call).await?;
        work.lock(waiting.account).await?;
        if !run.renew(&mut work.unit).await? {
            return Ok(());
        }
        let found = work.unit.challenges().find(Purpose::CancelFactorReset, waiting.challenge).await?;
        let waits = found.is_some_and(|found| found.account == Some(waiting.account));
        if !waits || !work.unit.challenges().consume(waiting.challenge, work.now).await? {
            return Ok(());
        }
        work.finish_factor_reset(waiting.account, waiting.account.into(), json!({ "delayed": true })).await?;
        work.commit().await
    }
}
