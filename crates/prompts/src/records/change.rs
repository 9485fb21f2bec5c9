//! Saved questions are changed and deleted.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Document, Permission, Timestamp};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use super::prompt::Prompt;
use crate::{PromptRefusal, PromptTables, Prompts};

/// What is changed: what is none stays.
#[derive(Clone, Debug, Default)]
pub struct PromptChange {
    /// For people; an inner none removes it.
    pub name: Option<Option<String>>,
    /// The client's own.
    pub tags: Option<Vec<String>>,
    /// The client's own.
    pub metadata: Option<Document>,
}

impl Prompts {
    /// Changes a saved question of the caller's.
    ///
    /// Source: RiverGen "prompts/{prompt_id}", update.
    ///
    /// # Errors
    /// [`PromptRefusal::PromptNotFound`].
    pub async fn change_prompt(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        change: PromptChange,
    ) -> Outcome<Prompt, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePrompts).await?;
        let (person, now) = (work.person(), work.now);
        let Some(mut prompt) = work.unit.prompts().own(person, number).await? else {
            return refuse(PromptRefusal::PromptNotFound);
        };
        if let Some(name) = change.name {
            prompt.name = name;
        }
        if let Some(tags) = change.tags {
            prompt.tags = tags;
        }
        if let Some(metadata) = change.metadata {
            prompt.metadata = metadata;
        }
        prompt.updated_at = now;
        work.unit.prompts().change(&prompt, now).await?;
        work.commit().await?;
        Ok(prompt)
    }

    /// Deletes a saved question of the caller's; answers when.
    ///
    /// Source: RiverGen "prompts/{prompt_id}", delete.
    ///
    /// # Errors
    /// [`PromptRefusal::PromptNotFound`].
    pub async fn delete_prompt(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
    ) -> Outcome<Timestamp, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::ManagePrompts).await?;
        let (person, now) = (work.person(), work.now);
        if work.unit.prompts().own(person, number).await?.is_none() {
            return refuse(PromptRefusal::PromptNotFound);
        }
        let purge_at = now.plus(self.settings.keep_deleted);
        work.unit.prompts().delete(number, now, purge_at).await?;
        let subject = work.grant.subject();
        work.audit(Action::PromptDeleted, subject, json!({ "prompt": number })).await?;
        work.commit().await?;
        Ok(now)
    }
}
