//! An execution that is over is added to all sums that it is part of. Each query ends with this, so that it takes few trips.

use tidegate_database::{Result, execute, execute_together};

use super::period::{day_of_utc, quarter_of};
use super::repository::{Run, Usage};
use crate::executions::ExecutionStatus;

impl Usage<'_> {
    /// Adds an execution that is over. No two units wait for each other: whoever adds to an organization's quarter has its row first, which
    /// on PostgreSQL is that of the last statement, and the rows of a second data source only then, in the order of their numbers.
    pub(crate) async fn add(&mut self, run: &Run<'_>) -> Result<()> {
        let mut sources = run.sources.to_vec();
        sources.sort_unstable();
        sources.dedup();
        let mut sources = sources.into_iter();
        self.add_with(run, sources.next()).await?;
        for source in sources {
            self.add_source(run, source).await?;
        }
        self.add_question(run).await
    }

    /// The sums of executions, with those of one source, if there is any.
    async fn add_with(&mut self, run: &Run<'_>, source: Option<i64>) -> Result<()> {
        let quarter = quarter_of(run.started_at);
        execute_together!(
            self.0,
            [
                sources: "insert into prompt_organization_source_usage (organization_id, quarter, source_number, executions,
                        failed, query_ms)
                    select $1, $3, $10, 1, $6, $9 where $10 is not null
                    on conflict (organization_id, quarter, source_number) do update set
                        executions = prompt_organization_source_usage.executions + 1,
                        failed = prompt_organization_source_usage.failed + excluded.failed,
                        query_ms = prompt_organization_source_usage.query_ms + excluded.query_ms",
                sources_of_person: "insert into prompt_source_usage (organization_id, account_id, quarter, prompt_number,
                        source_number, executions, failed, query_ms)
                    select $1, $2, $3, $4, $10, 1, $6, $9 where $10 is not null
                    on conflict (organization_id, account_id, quarter, prompt_number, source_number) do update set
                        executions = prompt_source_usage.executions + 1,
                        failed = prompt_source_usage.failed + excluded.failed,
                        query_ms = prompt_source_usage.query_ms + excluded.query_ms",
                of_person: "insert into prompt_usage (organization_id, account_id, quarter, prompt_number, executions,
                        succeeded, failed, total_ms, ai_ms, query_ms)
                    values ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9)
                    on conflict (organization_id, account_id, quarter, prompt_number) do update set
                        executions = prompt_usage.executions + 1,
                        succeeded = prompt_usage.succeeded + excluded.succeeded,
                        failed = prompt_usage.failed + excluded.failed,
                        total_ms = prompt_usage.total_ms + excluded.total_ms,
                        ai_ms = prompt_usage.ai_ms + excluded.ai_ms,
                        query_ms = prompt_usage.query_ms + excluded.query_ms",
            ],
            "insert into prompt_organization_usage (organization_id, quarter, executions, succeeded, failed, total_ms, ai_ms,
                query_ms)
             values ($1, $3, 1, $5, $6, $7, $8, $9)
             on conflict (organization_id, quarter) do update set
                executions = prompt_organization_usage.executions + 1,
                succeeded = prompt_organization_usage.succeeded + excluded.succeeded,
                failed = prompt_organization_usage.failed + excluded.failed,
                total_ms = prompt_organization_usage.total_ms + excluded.total_ms,
                ai_ms = prompt_organization_usage.ai_ms + excluded.ai_ms,
                query_ms = prompt_organization_usage.query_ms + excluded.query_ms",
            run.person.organization.0,
            run.person.account.0,
            quarter,
            run.prompt,
            i64::from(run.status == ExecutionStatus::Completed),
            i64::from(run.status == ExecutionStatus::Failed),
            run.total_ms,
            run.ai_ms,
            run.query_ms,
            source,
        )
    }

    /// The sums of what was asked.
    async fn add_question(&mut self, run: &Run<'_>) -> Result<()> {
        let quarter = quarter_of(run.started_at);
        execute_together!(
            self.0,
            [
                of_person: "insert into prompt_question_usage (organization_id, account_id, quarter, question_key, preview,
                        executions, total_ms, last_run_at)
                    values ($1, $2, $3, $4, $5, 1, $6, $7)
                    on conflict (organization_id, account_id, quarter, question_key) do update set
                        executions = prompt_question_usage.executions + 1,
                        total_ms = prompt_question_usage.total_ms + excluded.total_ms,
                        last_run_at = case when excluded.last_run_at > prompt_question_usage.last_run_at
                            then excluded.last_run_at else prompt_question_usage.last_run_at end",
            ],
            "insert into prompt_organization_question_usage (organization_id, day, question_key, preview, executions, total_ms,
                last_run_at)
             values ($1, $8, $4, $5, 1, $6, $7)
             on conflict (organization_id, day, question_key) do update set
                executions = prompt_organization_question_usage.executions + 1,
                total_ms = prompt_organization_question_usage.total_ms + excluded.total_ms,
                last_run_at = case when excluded.last_run_at > prompt_organization_question_usage.last_run_at
                    then excluded.last_run_at else prompt_organization_question_usage.last_run_at end",
            run.person.organization.0,
            run.person.account.0,
            quarter,
            run.question_key.as_slice(),
            run.preview.as_str(),
            run.total_ms,
            run.started_at.micros(),
            day_of_utc(quarter),
        )
    }

    /// The sums of a further source.
    async fn add_source(&mut self, run: &Run<'_>, source: i64) -> Result<()> {
        let quarter = quarter_of(run.started_at);
        let failed = i64::from(run.status == ExecutionStatus::Failed);
        execute!(
            self.0,
            "insert into prompt_source_usage (organization_id, account_id, quarter, prompt_number, source_number,
                executions, failed, query_ms)
             values ($1, $2, $3, $4, $5, 1, $6, $7)
             on conflict (organization_id, account_id, quarter, prompt_number, source_number) do update set
                executions = prompt_source_usage.executions + 1,
                failed = prompt_source_usage.failed + excluded.failed,
                query_ms = prompt_source_usage.query_ms + excluded.query_ms",
            run.person.organization.0,
            run.person.account.0,
            quarter,
            run.prompt,
            source,
            failed,
            run.query_ms,
        )?;
        execute!(
            self.0,
            "insert into prompt_organization_source_usage (organization_id, quarter, source_number, executions, failed,
                query_ms)
             values ($1, $2, $3, 1, $4, $5)
             on conflict (organization_id, quarter, source_number) do update set
                executions = prompt_organization_source_usage.executions + 1,
                failed = prompt_organization_source_usage.failed + excluded.failed,
                query_ms = prompt_organization_source_usage.query_ms + excluded.query_ms",
            run.person.organization.0,
            quarter,
            source,
            failed,
            run.query_ms,
        )?;
        Ok(())
    }
}
