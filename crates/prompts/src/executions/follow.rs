//! The progress of an execution is followed as it changes.

use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Outcome;
use tokio::time::{Instant, sleep};

use super::execution::{Execution, PartStatus};
use crate::{PromptRefusal, Prompts};

/// How often an execution of another node is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often something is sent although nothing changed, so that proxies keep the connection.
const QUIET: Duration = Duration::from_secs(15);
/// Longest time that it is followed.
const LONGEST: Duration = Duration::from_secs(900);

/// What a follower is told.
#[derive(Debug)]
pub enum News {
    /// It is somewhere else now, or it is over.
    Changed(Box<Execution>),
    /// Nothing happened for a while.
    Quiet,
}

/// Follows an execution to its end.
pub struct Follower {
    prompts: Arc<Prompts>,
    actor: Actor,
    number: i64,
    told: Option<(i64, PartStatus, Option<PartStatus>)>,
    begun: Instant,
    is_over: bool,
}

impl Prompts {
    /// Begins to follow an execution of the caller's.
    ///
    /// Source: extension "prompts/executions/{execution_id}/events".
    ///
    /// # Errors
    /// [`PromptRefusal::ExecutionNotFound`].
    pub async fn follow_execution(
        self: &Arc<Self>,
        actor: &Actor,
        number: i64,
    ) -> Outcome<Follower, PromptRefusal> {
        actor.authorize(Permission::ReadPrompts)?;
        self.execution(actor, number).await?;
        let (prompts, actor) = (Arc::clone(self), actor.clone());
        Ok(Follower { prompts, actor, number, told: None, begun: Instant::now(), is_over: false })
    }
}

impl Follower {
    /// What happens next; none after the end, and when the caller's session is over.
    pub async fn next(&mut self) -> Option<News> {
        let asked = Instant::now();
        while !self.is_over && self.begun.elapsed() < LONGEST {
            // With its session: one that ended sees no more.
            let execution = self.prompts.execution(&self.actor, self.number).await.ok()?;
            let at = (execution.progress, execution.ai_status, execution.query_status);
            self.is_over = execution.status.is_over();
            if self.is_over || self.told != Some(at) {
                self.told = Some(at);
                return Some(News::Changed(Box::new(execution)));
            }
            if asked.elapsed() >= QUIET {
                return Some(News::Quiet);
            }
            self.wait().await;
        }
        None
    }

    /// Until something may have changed.
    async fn wait(&self) {
        match self.prompts.live.watch(self.number) {
            Some(mut progress) => {
                let _ = tokio::time::timeout(LOOK, progress.changed()).await;
            }
            None => sleep(LOOK).await,
        }
    }
}
