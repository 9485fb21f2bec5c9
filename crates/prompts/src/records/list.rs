//! Saved questions are read.

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Fault, Outcome, refuse};

use super::prompt::{Prompt, PromptStatus};
use crate::executions::Execution;
use crate::executions::execution::words;
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

words! {
    /// What a list is sorted by.
    Sorting {
        /// When they were saved.
        CreatedAt = "created_at",
        /// When they were changed.
        UpdatedAt = "updated_at",
        /// Their numbers.
        Id = "id",
        /// Their names.
        Name = "name",
        /// What became of them.
        Status = "status",
        /// What was asked.
        PromptText = "prompt_text",
    }
}

/// In which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Ascending,
    /// The largest first.
    #[default]
    Descending,
}

/// Which questions are listed, and how.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Those of the workspace of that number.
    pub workspace: Option<i64>,
    /// Those in that state.
    pub status: Option<PromptStatus>,
    /// Those with that in their name or text.
    pub search: Option<String>,
    /// By what they are sorted.
    pub sorting: Sorting,
    /// In which direction.
    pub order: Order,
    /// From 1.
    pub page: i64,
    /// At most so many.
    pub page_size: i64,
}

impl Listing {
    pub(super) const fn skipped(&self) -> i64 {
        self.page.saturating_sub(1).saturating_mul(self.page_size)
    }
}

impl Prompts {
    /// A page of the caller's saved questions, and how many there are in all.
    ///
    /// Source: RiverGen "prompts", list.
    ///
    /// # Errors
    /// Only faults.
    pub async fn list_prompts(&self, actor: &Actor, listing: &Listing) -> Result<(Vec<Prompt>, i64), Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        Ok(unit.prompts().page(Person::of(grant), listing).await?)
    }

    /// A saved question of the caller's, with its latest execution, where that is still kept.
    ///
    /// Source: RiverGen "prompts/{prompt_id}".
    ///
    /// # Errors
    /// [`PromptRefusal::PromptNotFound`].
    pub async fn read_prompt(
        &self,
        actor: &Actor,
        number: i64,
    ) -> Outcome<(Prompt, Option<Execution>), PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        let person = Person::of(grant);
        let Some(prompt) = unit.prompts().own(person, number).await? else {
            return refuse(PromptRefusal::PromptNotFound);
        };
        let latest = match prompt.last_execution {
            Some(execution) => unit.prompt_executions().own(person, execution).await?,
            None => None,
        };
        Ok((prompt, latest))
    }
}
