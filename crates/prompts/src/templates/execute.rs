//! A template is run.

use std::sync::Arc;

use serde_json::{Map, Value};
use tidegate_domain::Permission;
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::{Actor, Call};

use super::find::template;
use super::render::{needs_relations, render, values};
use super::template::TemplateStatus;
use crate::executions::start::{NewExecution, Saved};
use crate::executions::{Execution, ExecutionKind};
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// How a template is run.
#[derive(Clone, Debug)]
pub struct TemplateRun {
    /// The number of a workspace; the caller's default one when none is given.
    pub workspace: Option<i64>,
    /// Numbers of data sources.
    pub sources: Vec<i64>,
    /// Their schemas; all of them when there is none.
    pub schemas: Vec<String>,
    /// Values of its parameters.
    pub parameters: Map<String, Value>,
    /// Whether its question is saved.
    pub save: bool,
}

impl Prompts {
    /// Runs a template that the caller sees: see [`Prompts::execute`].
    ///
    /// Source: RiverGen "prompt-templates/{template_id}/execute".
    ///
    /// # Errors
    /// [`PromptRefusal::TemplateNotFound`], [`PromptRefusal::Template`], [`PromptRefusal::Query`], and those of [`Prompts::execute`].
    pub async fn execute_template(
        self: &Arc<Self>,
        call: &Call,
        actor: &Actor,
        number: i64,
        run: TemplateRun,
    ) -> Outcome<Execution, PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::QueryData).await?;
        let found = template(&mut unit, Person::of(grant), number).await?;
        let seen = self.ports.sources.seen(&mut unit, grant).await?;
        let sees_all = grant.allows(Permission::AdministerDataSources);
        let workspace = unit.prompts().workspace(Person::of(grant), sees_all, run.workspace).await?;
        drop(unit);
        if found.status == TemplateStatus::Draft && !found.is_own {
            return refuse(PromptRefusal::TemplateNotFound);
        }
        // Before anything is said of what is in them.
        if let Some(unseen) = run.sources.iter().find(|number| seen.iter().all(|one| one.number != **number))
        {
            return refuse(PromptRefusal::SourceNotFound(*unseen));
        }
        let Some((_, workspace)) = workspace else { return refuse(PromptRefusal::WorkspaceNotFound) };
        let fits = |number: &i64| found.sources.is_empty() || found.sources.contains(number);
        if let Some(other) = run.sources.iter().find(|number| !fits(number)) {
            let text = format!("the template is not for the data source {other}");
            return refuse(PromptRefusal::Template(text));
        }
        let values = values(&found.parameters, &run.parameters).map_err(Refused::Rule)?;
        let relations = if needs_relations(&found.parameters) {
            let queries = &self.ports.queries;
            let relations = queries.relations(actor, Some(workspace), &run.sources, &run.schemas).await;
            relations.map_err(|failure| Refused::Rule(PromptRefusal::from(failure)))?
        } else {
            Vec::new()
        };
        let asked = render(&found.text, &found.parameters, &values, &relations).map_err(Refused::Rule)?;
        let new = NewExecution {
            kind: ExecutionKind::Template,
            asked,
            workspace: Some(workspace),
            sources: run.sources,
            schemas: run.schemas,
            save: run.save.then_some(Saved { name: Some(found.name), tags: found.tags }),
            again: None,
            template: Some(number),
            model: None,
            waits: true,
        };
        self.execute(call, actor, new).await
    }
}
