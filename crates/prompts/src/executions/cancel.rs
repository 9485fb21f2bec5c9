//! An execution is called off.

use tidegate_domain::Permission;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use super::execution::{Execution, ExecutionStatus};
use crate::{PromptRefusal, PromptTables, Prompts};

impl Prompts {
    /// Calls an execution of the caller's off. Its query ends at once on this node, and within seconds on another.
    ///
    /// Source: extension "prompts/executions/{execution_id}/cancel", "queries/{query_id}/cancel".
    ///
    /// # Errors
    /// [`PromptRefusal::ExecutionNotFound`], [`PromptRefusal::AlreadyOver`].
    pub async fn cancel_execution(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<Execution, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::QueryData).await?;
        let (person, now) = (work.person(), work.now);
        let Some(found) = work.unit.prompt_executions().own(person, number).await? else {
            return refuse(PromptRefusal::ExecutionNotFound);
        };
        let why = ("cancelled", "The execution was cancelled.");
        if !work.unit.prompt_executions().stop(number, ExecutionStatus::Cancelled, why, now).await? {
            let over = work.unit.prompt_executions().own(person, number).await?;
            return refuse(PromptRefusal::AlreadyOver(over.unwrap_or(found).status.as_str()));
        }
        let run = self.stopped(&found, person, ExecutionStatus::Cancelled, now);
        work.unit.prompt_usage().add(&run).await?;
        if let Some(prompt) = found.prompt {
            work.unit.prompts().end(prompt, number, ExecutionStatus::Cancelled, run.total_ms).await?;
        }
        let cancelled = work.unit.prompt_executions().own(person, number).await?;
        work.commit().await?;
        self.live.cancel(number);
        cancelled.map_or_else(|| refuse(PromptRefusal::ExecutionNotFound), Ok)
    }
}
