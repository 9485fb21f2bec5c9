//! What a saved question comes to.

use tidegate_database::Unit;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};

pub use super::repository::Sums;

use super::period::{Quarters, begin_of, instant, quarter_of};
use super::repository::SourceSums;
use crate::executions::ExecutionStatus;
use crate::executions::row::{EndedRow, read_numbers};
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
    /// The period: from here.
    pub from: Timestamp,
    /// To here, which is in it. Where executions of the quarters of an hour in which it begins and ends are no longer kept, those
    /// count as a whole.
    pub to: Timestamp,
    /// Now.
    pub calculated_at: Timestamp,
}

/// Sums of a period, which begins and ends within quarters of an hour: what is outside of it there is taken off.
async fn of_period(
    unit: &mut Unit,
    prompt: i64,
    from: Timestamp,
    to: Timestamp,
) -> Result<(Sums, Vec<SourceSums>), Fault> {
    let period = Quarters::around(from, to);
    let mut sums = unit.prompt_usage().of_prompt(prompt, period).await?;
    let mut sources = unit.prompt_usage().sources_of_prompt(prompt, period).await?;
    let mut edges = vec![period.first, period.end - 1];
    edges.dedup();
    for edge in edges {
        let (begin, end) = (begin_of(edge), begin_of(edge + 1));
        let whole = unit.prompt_usage().of_prompt(prompt, Quarters::only(edge)).await?;
        let kept = unit.prompt_executions().ended_of_prompt(prompt, begin, end).await?;
        // Some are gone: what was when within the quarter cannot be told any more.
        if i64::try_from(kept.len()).ok() != Some(whole.executions) {
            continue;
        }
        let is_outside = |row: &&EndedRow| row.started_at < from.micros() || row.started_at > to.micros();
        for row in kept.iter().filter(is_outside) {
            take_off(row, &mut sums, &mut sources);
        }
    }
    sources.retain(|source| source.executions > 0);
    sources.sort_by_key(|source| (std::cmp::Reverse(source.executions), source.source_number));
    Ok((sums, sources))
}

/// Takes an execution off sums that it is in.
fn take_off(row: &EndedRow, sums: &mut Sums, sources: &mut [SourceSums]) {
    let is = |status: ExecutionStatus| i64::from(row.status == status.as_str());
    let failed = is(ExecutionStatus::Failed);
    *sums = sums.minus(Sums {
        executions: 1,
        succeeded: is(ExecutionStatus::Completed),
        failed,
        total_ms: row.total_ms,
        ai_ms: row.ai_ms,
        query_ms: row.query_ms,
    });
    let asked = read_numbers(&row.sources);
    for source in sources.iter_mut().filter(|source| asked.contains(&source.source_number)) {
        source.executions -= 1;
        source.failed -= failed;
        source.query_ms -= row.query_ms;
    }
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
        let asked_to = to.map(instant).transpose().map_err(Refused::Rule)?;
        let to = asked_to.unwrap_or(now);
        if to < from {
            return refuse(PromptRefusal::Period("period_end must not be before period_start"));
        }
        // Up to now is all: what began at once with others is placed behind them, a little after now.
        let until = asked_to.unwrap_or_else(|| begin_of(quarter_of(now) + 1));
        let (sums, used) = of_period(&mut unit, number, from, until).await?;
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
