//! Executions are read by whoever began them.

use serde_json::value::RawValue;
use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Fault, Outcome, refuse};

use super::execution::{Execution, ExecutionKind, ExecutionStatus};
use super::finish::purpose;
use super::run::Over;
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// Which executions are listed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Of a saved question.
    pub prompt: Option<i64>,
    /// That began so.
    pub kind: Option<ExecutionKind>,
    /// In that state.
    pub status: Option<ExecutionStatus>,
    /// From 1.
    pub page: i64,
    /// At most so many.
    pub page_size: i64,
}

impl Prompts {
    /// An execution of the caller's, with its first rows as long as they may see the same.
    ///
    /// Source: RiverGen "prompts/executions/{execution_id}"; extension "queries/{query_id}".
    ///
    /// # Errors
    /// [`PromptRefusal::ExecutionNotFound`].
    pub async fn execution(&self, actor: &Actor, number: i64) -> Outcome<Execution, PromptRefusal> {
        let (unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        drop(unit);
        self.own_execution(actor, Person::of(grant), number).await
    }

    /// The same for a person who was found to be allowed it.
    pub(super) async fn own_execution(
        &self,
        actor: &Actor,
        person: Person,
        number: i64,
    ) -> Outcome<Execution, PromptRefusal> {
        let mut unit = self.kernel.store.read().await?;
        let found = unit.prompt_executions().own(person, number).await?;
        drop(unit);
        let Some(mut execution) = found else { return refuse(PromptRefusal::ExecutionNotFound) };
        if let Some(progress) = self.live.watch(number).and_then(|seen| *seen.borrow())
            && !execution.status.is_over()
        {
            execution.progress = progress.percent;
            execution.ai_status = progress.ai;
            execution.query_status = progress.query;
        }
        execution.preview = self.preview(actor, &execution).await?;
        Ok(self.charted(execution))
    }

    /// One that is over by now, as it would be read.
    pub(super) async fn shown(&self, actor: &Actor, over: Over) -> Result<Execution, Fault> {
        let Over { mut execution, first_rows } = over;
        if let Some((rows, key)) = first_rows
            && self.still_sees(actor, &execution, &key).await
        {
            execution.preview = Some(RawValue::from_string(rows)?);
        }
        Ok(self.charted(execution))
    }

    /// With a picture. It is made of rows, so it is shown with them and not kept. Of the first rows of many it would be another one.
    fn charted(&self, mut execution: Execution) -> Execution {
        execution.chart =
            execution.preview.as_ref().filter(|rows| is_whole(rows, execution.rows_returned)).and_then(
                |rows| self.ports.planner.chart(&execution.question, &execution.columns, rows.get()),
            );
        execution
    }

    /// Whether what decides what the caller sees is what it was when the rows were read.
    async fn still_sees(&self, actor: &Actor, execution: &Execution, key: &str) -> bool {
        // A token that runs no queries is shown no rows of one.
        if actor.authorize(Permission::QueryData).is_err() {
            return false;
        }
        let workspace = Some(execution.workspace_number);
        let now = self.ports.queries.fingerprint(actor, workspace, &execution.sources).await;
        matches!(now, Ok(Some(now)) if now == key)
    }

    /// The first rows, if what decides what the person sees is what it was when they were read.
    async fn preview(&self, actor: &Actor, execution: &Execution) -> Result<Option<Box<RawValue>>, Fault> {
        let Some((sealed, key)) = &execution.sealed_preview else { return Ok(None) };
        if !self.still_sees(actor, execution, key).await {
            return Ok(None);
        }
        let opened = self.kernel.vault.open(&purpose(execution.number), sealed)?;
        let text = String::from_utf8_lossy(&opened).into_owned();
        RawValue::from_string(text).map(Some).map_err(Fault::from)
    }

    /// Executions of the caller's, the newest first, without their rows; and how many there are in all.
    ///
    /// Source: extension "queries".
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_executions(
        &self,
        actor: &Actor,
        wanted: &Wanted,
    ) -> Result<(Vec<Execution>, i64), Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        Ok(unit.prompt_executions().page(Person::of(grant), wanted).await?)
    }

    /// Executions of a saved question of the caller's, the newest first; and how many there are in all.
    ///
    /// Source: RiverGen "prompts/{prompt_id}/executions".
    ///
    /// # Errors
    /// [`PromptRefusal::PromptNotFound`].
    pub async fn executions_of_prompt(
        &self,
        actor: &Actor,
        number: i64,
        wanted: Wanted,
    ) -> Outcome<(Vec<Execution>, i64), PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        let person = Person::of(grant);
        if unit.prompts().own(person, number).await?.is_none() {
            return refuse(PromptRefusal::PromptNotFound);
        }
        let wanted = Wanted { prompt: Some(number), ..wanted };
        Ok(unit.prompt_executions().page(person, &wanted).await?)
    }
}

/// Whether the rows that are shown are all that there were.
fn is_whole(rows: &RawValue, returned: Option<i64>) -> bool {
    let shown: Result<Vec<&RawValue>, _> = serde_json::from_str(rows.get());
    shown.is_ok_and(|shown| i64::try_from(shown.len()).ok() == returned)
}
