//! Sums of organizations in the store: kept with those of their members, so that they are read without them.

use tidegate_database::{Result, execute, fetch_all, fetch_one};
use tidegate_domain::id::AccountId;

use super::period::Quarters;
use super::repository::{QuarterRow, Scope, SourceSums, Sums, Usage, sums};

impl Usage<'_> {
    /// Sums of a period by quarters of an hour.
    pub(crate) async fn by_quarter(&mut self, scope: Scope, period: Quarters) -> Result<Vec<(i64, Sums)>> {
        let rows = if scope.all {
            fetch_all!(
                self.0,
                QuarterRow,
                "select quarter, executions, succeeded, failed, total_ms, ai_ms, query_ms from prompt_organization_usage
                 where organization_id = $1 and quarter >= $2 and quarter < $3 order by quarter",
                scope.person.organization.0,
                period.first,
                period.end,
            )?
        } else {
            self.by_quarter_of_person(scope.person, period).await?
        };
        Ok(rows.into_iter().map(|row| (row.quarter, row.sums)).collect())
    }

    /// Sums of a whole period.
    pub(crate) async fn total(&mut self, scope: Scope, period: Quarters) -> Result<Sums> {
        if !scope.all {
            let quarters = self.by_quarter_of_person(scope.person, period).await?;
            return Ok(quarters.into_iter().fold(Sums::default(), |sum, row| sum.plus(row.sums)));
        }
        fetch_one!(
            self.0,
            Sums,
            concat!(
                "select ",
                sums!(),
                "from prompt_organization_usage where organization_id = $1 and quarter >= $2 and quarter < $3"
            ),
            scope.person.organization.0,
            period.first,
            period.end,
        )
    }

    /// Sums of data sources in a period, the most used first.
    pub(crate) async fn sources(&mut self, scope: Scope, period: Quarters) -> Result<Vec<SourceSums>> {
        if !scope.all {
            return self.sources_of_person(scope.person, period).await;
        }
        fetch_all!(
            self.0,
            SourceSums,
            "select source_number, cast(sum(executions) as bigint) as executions,
                cast(sum(failed) as bigint) as failed, cast(sum(query_ms) as bigint) as query_ms
             from prompt_organization_source_usage
             where organization_id = $1 and quarter >= $2 and quarter < $3
             group by source_number order by 2 desc, 1 limit 100",
            scope.person.organization.0,
            period.first,
            period.end,
        )
    }

    /// Takes what an account adds to the sums of organizations from them. What it asked as the only one is gone with that. Under the rows of
    /// `prompt_sum_checks` of the organizations.
    pub(crate) async fn take_from_organizations(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "update prompt_organization_usage set executions = prompt_organization_usage.executions - own.executions,
                succeeded = prompt_organization_usage.succeeded - own.succeeded,
                failed = prompt_organization_usage.failed - own.failed,
                total_ms = prompt_organization_usage.total_ms - own.total_ms,
                ai_ms = prompt_organization_usage.ai_ms - own.ai_ms,
                query_ms = prompt_organization_usage.query_ms - own.query_ms
             from (
                select organization_id, quarter, cast(sum(executions) as bigint) as executions,
                    cast(sum(succeeded) as bigint) as succeeded, cast(sum(failed) as bigint) as failed,
                    cast(sum(total_ms) as bigint) as total_ms, cast(sum(ai_ms) as bigint) as ai_ms,
                    cast(sum(query_ms) as bigint) as query_ms
                from prompt_usage where account_id = $1 group by organization_id, quarter
             ) own
             where prompt_organization_usage.organization_id = own.organization_id
                and prompt_organization_usage.quarter = own.quarter",
            account.0,
        )?;
        execute!(
            self.0,
            "update prompt_organization_source_usage
             set executions = prompt_organization_source_usage.executions - own.executions,
                failed = prompt_organization_source_usage.failed - own.failed,
                query_ms = prompt_organization_source_usage.query_ms - own.query_ms
             from (
                select organization_id, quarter, source_number, cast(sum(executions) as bigint) as executions,
                    cast(sum(failed) as bigint) as failed, cast(sum(query_ms) as bigint) as query_ms
                from prompt_source_usage where account_id = $1 group by organization_id, quarter, source_number
             ) own
             where prompt_organization_source_usage.organization_id = own.organization_id
                and prompt_organization_source_usage.quarter = own.quarter
                and prompt_organization_source_usage.source_number = own.source_number",
            account.0,
        )?;
        self.take_questions_from_organizations(account).await
    }

    async fn take_questions_from_organizations(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "update prompt_organization_question_usage
             set executions = prompt_organization_question_usage.executions - own.executions,
                total_ms = prompt_organization_question_usage.total_ms - own.total_ms
             from (
                select organization_id, quarter / 96 as day, question_key, cast(sum(executions) as bigint) as executions,
                    cast(sum(total_ms) as bigint) as total_ms
                from prompt_question_usage where account_id = $1 group by organization_id, quarter / 96, question_key
             ) own
             where prompt_organization_question_usage.organization_id = own.organization_id
                and prompt_organization_question_usage.day = own.day
                and prompt_organization_question_usage.question_key = own.question_key",
            account.0,
        )?;
        // Its text was nobody else's.
        execute!(
            self.0,
            "delete from prompt_organization_question_usage where executions <= 0 and organization_id in
                (select distinct organization_id from prompt_question_usage where account_id = $1)",
            account.0,
        )?;
        Ok(())
    }
}
