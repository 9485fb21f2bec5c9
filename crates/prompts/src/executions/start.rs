//! A question or query is accepted, and runs.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tidegate_domain::id::WorkspaceId;
use tidegate_domain::quota::Quota;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::execution::{Execution, ExecutionKind, PartStatus};
use super::live::{Place, Running};
use super::repository::{Asking, NewRow, Progress};
use super::run::{Over, Task};
use crate::ports::RecordSlot;
use crate::records::repository::NewPrompt;
use crate::work::Acting;
use crate::{PromptRefusal, PromptTables, Prompts};

/// How long a node holds an execution without saying that it still runs.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Seconds after which somebody who has too much running asks again.
pub(super) const RETRY_AFTER: u64 = 5;

/// What is asked.
#[derive(Clone, Debug)]
pub enum Asked {
    /// In words.
    Words(String),
    /// In SQL, with values of its placeholders.
    Sql(String, Vec<Value>),
}

/// A question or query to be run.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// How it begins.
    pub kind: ExecutionKind,
    /// What is asked.
    pub asked: Asked,
    /// The number of a workspace; the caller's default one when none is given.
    pub workspace: Option<i64>,
    /// Numbers of data sources.
    pub sources: Vec<i64>,
    /// Their schemas; all of them when there is none.
    pub schemas: Vec<String>,
    /// What it is saved as; not at all when there is none.
    pub save: Option<Saved>,
    /// A saved question that is asked again.
    pub again: Option<i64>,
    /// The template that it is made of.
    pub template: Option<i64>,
    /// The model that is to answer; the usual one when there is none.
    pub model: Option<String>,
    /// Whether its end is waited for a little.
    pub waits: bool,
}

/// How a question is saved.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// For people.
    pub name: Option<String>,
    /// The client's own.
    pub tags: Vec<String>,
}

impl NewExecution {
    /// What was asked, as it was written.
    pub(crate) fn text(&self) -> &str {
        match &self.asked {
            Asked::Words(text) | Asked::Sql(text, _) => text,
        }
    }
}

impl Prompts {
    /// Runs a question or a query, and waits a little for its end: see [`Execution::status`]. What takes longer goes on.
    ///
    /// Source: RiverGen "prompts/execute"; extension "queries/execute".
    ///
    /// # Errors
    /// [`PromptRefusal::WorkspaceNotFound`], [`PromptRefusal::SourceNotFound`], [`PromptRefusal::PromptNotFound`],
    /// [`PromptRefusal::UnknownModel`], [`PromptRefusal::Busy`].
    pub async fn execute(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        new: NewExecution,
    ) -> Outcome<Execution, PromptRefusal> {
        self.ensure_seen(actor, Permission::QueryData, &new.sources).await?;
        let mut work = self.begin_as(call, actor, Permission::QueryData).await?;
        let chain = self.chain(new.model.as_deref())?;
        let Some(place) = self.live.place() else {
            return Err(Fault::Busy { retry_after: RETRY_AFTER }.into());
        };
        let person = work.person();
        let added = work.add(&new).await?;
        let (number, started_at) = (added.number, added.began);
        let patience = if new.waits { self.settings.answer_within } else { Duration::ZERO };
        work.commit().await?;
        // Where none was named it runs in the caller's own: policies hold there, too.
        let new = NewExecution { workspace: Some(added.workspace), ..new };
        let language = call.language(&self.kernel.settings().languages).cloned();
        let task = Task {
            number,
            person,
            account: added.account,
            actor: actor.clone(),
            new,
            chain,
            prompt: added.prompt,
            language,
            started_at,
            ip: call.ip,
            records: Some(RecordSlot::default()),
        };
        let over = self.launch(task, place);
        match timeout(patience, over).await {
            Ok(Ok(Some(over))) => Ok(self.shown(actor, *over).await?),
            // It goes on, or somebody else has ended it.
            _ => self.own_execution(actor, person, number).await,
        }
    }

    /// Refuses data sources that a caller does not see who may do this. Before the unit that adds an execution, which others of the
    /// organization wait for; when it runs, it is looked at again.
    pub(super) async fn ensure_seen(
        &self,
        actor: &Actor,
        permission: Permission,
        sources: &[i64],
    ) -> Outcome<(), PromptRefusal> {
        actor.authorize(permission)?;
        match self.ports.sources.unseen(actor, sources).await? {
            Some(unseen) => refuse(PromptRefusal::SourceNotFound(unseen)),
            None => Ok(()),
        }
    }

    /// The models that are to answer.
    fn chain(&self, choice: Option<&str>) -> Outcome<Vec<String>, PromptRefusal> {
        match self.settings.chain(choice.unwrap_or(&self.settings.default_model)) {
            Some(chain) => Ok(chain),
            None => refuse(PromptRefusal::UnknownModel(self.settings.choices().join(", "))),
        }
    }

    /// Begins to run it; gives what is kept of it when it is over. It goes on when the request is gone.
    fn launch(self: &Arc<Self>, task: Task, place: Place) -> oneshot::Receiver<Option<Box<Over>>> {
        let first = Progress { percent: 10, ai: PartStatus::InProgress, query: None };
        let running = Running::begin(self, task.number, first);
        let prompts = Arc::clone(self);
        let (give, over) = oneshot::channel();
        tokio::spawn(async move {
            let written = prompts.run(&running, task, place).await;
            drop(running);
            // Nobody may wait for it any more.
            drop(give.send(written));
        });
        over
    }
}

/// An execution that was accepted.
pub(super) struct Added {
    pub(super) number: i64,
    /// The number of its person's account, and what it is called.
    pub(super) account: (i64, String),
    /// The number of its saved question.
    pub(super) prompt: Option<i64>,
    /// The number of the workspace in which it runs.
    pub(super) workspace: i64,
    /// When it began, after all others of its person.
    pub(super) began: Timestamp,
}

impl Acting<'_> {
    /// Adds the execution, and its question where it is saved.
    pub(super) async fn add(&mut self, new: &NewExecution) -> Outcome<Added, PromptRefusal> {
        let (person, now) = (self.person(), self.now);
        let sees_all = self.grant.allows(Permission::AdministerDataSources);
        let asking = Asking { person, sees_all, workspace: new.workspace, now };
        let session = self.grant.session();
        let (account_number, name) = (session.account_number, session.display_name.clone());
        let prompt = match (&new.save, new.again) {
            (_, Some(again)) => {
                self.unit.prompt_executions().lock(person.organization).await?;
                match self.unit.prompts().own(person, again).await? {
                    Some(found) => Some(found.number),
                    None => return refuse(PromptRefusal::PromptNotFound),
                }
            }
            (Some(saved), None) => {
                let workspace = self.room(asking).await?;
                let row = NewPrompt { person, account_number, workspace, saved, new, now };
                let number = self.unit.prompts().insert(row).await?;
                let count = self.unit.prompts().count(person.organization).await?;
                self.app.kernel.settings.quotas.judge(Quota::Prompts, count)?;
                Some(number)
            }
            (None, None) => None,
        };
        let (sql, parameters) = match &new.asked {
            Asked::Sql(sql, parameters) => (Some(sql.as_str()), Value::from(parameters.clone())),
            Asked::Words(_) => (None, Value::Array(Vec::new())),
        };
        let row = NewRow {
            asking,
            most: self.most(),
            account_number,
            kind: new.kind,
            prompt,
            template: new.template,
            question: new.text(),
            sql,
            parameters: parameters.to_string(),
            sources: &new.sources,
            schemas: Value::from(new.schemas.clone()).to_string(),
            ai_model: new.model.as_deref(),
            lease_until: now.plus(LEASE),
            expires_at: now.plus(self.app.settings.keep_executions),
        };
        let Some(begun) = self.unit.prompt_executions().insert(row).await? else {
            // Why.
            self.room(asking).await?;
            return refuse(PromptRefusal::Busy { retry_after: RETRY_AFTER });
        };
        if let Some(prompt) = prompt {
            self.unit.prompts().begin(prompt, begun.number, now).await?;
        }
        if let Some(template) = new.template {
            self.unit.prompt_templates().count_use(person.organization, template).await?;
        }
        let (account, workspace) = ((account_number, name), begun.workspace);
        Ok(Added { number: begun.number, account, prompt, workspace, began: begun.at })
    }

    /// As many executions as may run of the organization and of the person.
    fn most(&self) -> (i64, i64) {
        let settings = &self.app.settings;
        (i64::from(settings.at_once_per_organization), i64::from(settings.at_once_per_person))
    }

    /// The workspace; refuses somebody who has as much running as they may.
    async fn room(&mut self, asking: Asking) -> Outcome<WorkspaceId, PromptRefusal> {
        self.unit.prompt_executions().lock(asking.person.organization).await?;
        let standing = self.unit.prompt_executions().standing(asking).await?;
        let Some(workspace) = standing.workspace else {
            return refuse(PromptRefusal::WorkspaceNotFound);
        };
        let (all, own) = self.most();
        let is_full = standing.organization >= all || standing.own >= own;
        if is_full { refuse(PromptRefusal::Busy { retry_after: RETRY_AFTER }) } else { Ok(workspace) }
    }
}
