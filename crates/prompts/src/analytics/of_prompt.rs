//! What a saved question comes to.

use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, Refused, refuse};

pub use super::repository::Sums;

use super::period::{Quarters, instant, quarter_of};
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// What a saved question comes to in a period.
#[derive(Clone, Debug)]
pub struct PromptAnalytics {
    /// The question's number.
    pub number: i64,
    /// Sums.
    pub sums: Sums,
    /// Numbers and names of data sources, and how often each was asked; the most used first.
    pub sources: Vec<(i64, String, i64)>,
    /// Its schemas, and how often each was asked.
    pub schemas: Vec<(String, i64)>,
    /// The period: from here, where the quarter of an hour counts as a whole.
    pub from: Timestamp,
    /// To here.
    pub to: Timestamp,
    /// Now.
    pub calculated_at: Timestamp,
}

impl Prompts {
    /// What a saved question of the caller's comes to in a period, which is all time when nothing is given.
    ///
    /// Source: RiverGen "prompts/{prompt_id}/analytics".
    ///
    /// # Errors
    /// [`PromptRefusal::PromptNotFound`], [`PromptRefusal::Period`].
    pub async fn prompt_analytics(
        &self,
        actor: &Actor,
        number: i64,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Outcome<PromptAnalytics, PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        let Some(prompt) = unit.prompts().own(Person::of(grant), number).await? else {
            return refuse(PromptRefusal::PromptNotFound);
        };
        let now = self.kernel.now();
        let from = from.map(instant).transpose().map_err(Refused::Rule)?.unwrap_or(prompt.created_at);
        let to = to.map(instant).transpose().map_err(Refused::Rule)?.unwrap_or(now);
        if to < from {
            return refuse(PromptRefusal::Period("period_end must not be before period_start"));
        }
        // A quarter that has begun counts as a whole.
        let period = Quarters { first: quarter_of(from), end: quarter_of(to) + 1 };
        let sums = unit.prompt_usage().of_prompt(number, period).await?;
        let used = unit.prompt_usage().sources_of_prompt(number, period).await?;
        let names = self.ports.sources.seen(&mut unit, grant).await?;
        let name =
            |number| names.iter().find(|source| source.number == number).map(|source| source.name.clone());
        Ok(PromptAnalytics {
            number,
            sums,
            // One that is gone, or no longer the caller's, has no name.
            sources: used
                .into_iter()
                .filter_map(|sums| Some((sums.source_number, name(sums.source_number)?, sums.executions)))
                .collect(),
            schemas: prompt.schemas.into_iter().map(|schema| (schema, sums.executions)).collect(),
            from,
            to,
            calculated_at: now,
        })
    }
}
