//! Sums in the store.

use tidegate_database::{Result, Unit, fetch_all, fetch_one};
use tidegate_domain::Timestamp;

use super::period::Quarters;
use crate::executions::ExecutionStatus;
use crate::work::Person;

/// Sums of a unit of work.
pub struct Usage<'u>(pub(crate) &'u mut Unit);

/// An execution that is over.
pub(crate) struct Run<'a> {
    pub(crate) person: Person,
    /// The saved question; 0 for none.
    pub(crate) prompt: i64,
    pub(crate) sources: &'a [i64],
    pub(crate) status: ExecutionStatus,
    pub(crate) ai_ms: i64,
    pub(crate) query_ms: i64,
    pub(crate) total_ms: i64,
    pub(crate) question_key: Vec<u8>,
    pub(crate) preview: String,
    pub(crate) started_at: Timestamp,
}

/// Sums of some executions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Sums {
    /// How many.
    pub executions: i64,
    /// Of them with a result.
    pub succeeded: i64,
    /// Of them without one; those that were called off count to neither.
    pub failed: i64,
    /// How long they took, in milliseconds.
    pub total_ms: i64,
    /// Of that, until there was SQL.
    pub ai_ms: i64,
    /// Of that, running it.
    pub query_ms: i64,
}

impl Sums {
    /// Without those, which are among them.
    #[must_use]
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            executions: self.executions - other.executions,
            succeeded: self.succeeded - other.succeeded,
            failed: self.failed - other.failed,
            total_ms: self.total_ms - other.total_ms,
            ai_ms: self.ai_ms - other.ai_ms,
            query_ms: self.query_ms - other.query_ms,
        }
    }

    /// Both together.
    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            executions: self.executions + other.executions,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            total_ms: self.total_ms + other.total_ms,
            ai_ms: self.ai_ms + other.ai_ms,
            query_ms: self.query_ms + other.query_ms,
        }
    }
}

/// Whose sums: all of an organization, or those of one of its members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) person: Person,
    pub(crate) all: bool,
}

/// Sums of one source.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct SourceSums {
    pub(crate) source_number: i64,
    pub(crate) executions: i64,
    pub(crate) failed: i64,
    pub(crate) query_ms: i64,
}

/// Sums of one question.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct QuestionSums {
    pub(crate) preview: String,
    pub(crate) executions: i64,
    pub(crate) total_ms: i64,
    pub(crate) last_run_at: i64,
}

/// Sums of a quarter of an hour.
#[derive(sqlx::FromRow)]
pub(crate) struct QuarterRow {
    pub(crate) quarter: i64,
    #[sqlx(flatten)]
    pub(crate) sums: Sums,
}

/// Sums are answered as whole numbers on both engines.
macro_rules! sums {
    () => {
        "cast(coalesce(sum(executions), 0) as bigint) as executions,
            cast(coalesce(sum(succeeded), 0) as bigint) as succeeded,
            cast(coalesce(sum(failed), 0) as bigint) as failed,
            cast(coalesce(sum(total_ms), 0) as bigint) as total_ms,
            cast(coalesce(sum(ai_ms), 0) as bigint) as ai_ms,
            cast(coalesce(sum(query_ms), 0) as bigint) as query_ms "
    };
}
pub(super) use sums;

impl Usage<'_> {
    /// Sums of a person's period by quarters of an hour.
    pub(super) async fn by_quarter_of_person(
        &mut self,
        person: Person,
        period: Quarters,
    ) -> Result<Vec<QuarterRow>> {
        fetch_all!(
            self.0,
            QuarterRow,
            concat!(
                "select quarter, ",
                sums!(),
                "from prompt_usage where organization_id = $1 and account_id = $2 and quarter >= $3 and quarter < $4
                 group by quarter order by quarter"
            ),
            person.organization.0,
            person.account.0,
            period.first,
            period.end,
        )
    }

    /// Sums of a saved question in a period.
    pub(crate) async fn of_prompt(&mut self, prompt: i64, period: Quarters) -> Result<Sums> {
        fetch_one!(
            self.0,
            Sums,
            concat!(
                "select ",
                sums!(),
                "from prompt_usage where prompt_number = $1 and prompt_number > 0 and quarter >= $2 and quarter < $3"
            ),
            prompt,
            period.first,
            period.end,
        )
    }

    /// Sums of the data sources of a saved question in a period, the most used first.
    pub(crate) async fn sources_of_prompt(
        &mut self,
        prompt: i64,
        period: Quarters,
    ) -> Result<Vec<SourceSums>> {
        fetch_all!(
            self.0,
            SourceSums,
            "select source_number, cast(sum(executions) as bigint) as executions,
                cast(sum(failed) as bigint) as failed, cast(sum(query_ms) as bigint) as query_ms
             from prompt_source_usage
             where prompt_number = $1 and prompt_number > 0 and quarter >= $2 and quarter < $3
             group by source_number order by 2 desc, 1",
            prompt,
            period.first,
            period.end,
        )
    }

    /// Sums of data sources in a person's period, the most used first.
    pub(super) async fn sources_of_person(
        &mut self,
        person: Person,
        period: Quarters,
    ) -> Result<Vec<SourceSums>> {
        fetch_all!(
            self.0,
            SourceSums,
            "select source_number, cast(sum(executions) as bigint) as executions,
                cast(sum(failed) as bigint) as failed, cast(sum(query_ms) as bigint) as query_ms
             from prompt_source_usage
             where organization_id = $1 and account_id = $2 and quarter >= $3 and quarter < $4
             group by source_number order by 2 desc, 1 limit 100",
            person.organization.0,
            person.account.0,
            period.first,
            period.end,
        )
    }
}
