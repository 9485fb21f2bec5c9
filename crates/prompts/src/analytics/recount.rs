//! Sums of organizations are compared with those of their members, and counted anew where they differ.

use tidegate_database::{Result, execute, fetch_all, fetch_optional};
use tidegate_domain::Timestamp;
use tidegate_domain::id::OrganizationId;
use uuid::Uuid;

use super::period::Quarters;
use super::repository::Usage;

/// Members of the organization of `$1` with sums: found by one look each, as no index has all of an organization by time.
macro_rules! members {
    () => {
        "with recursive members(account_id) as (
            select (select u.account_id from prompt_usage u where u.organization_id = $1 order by u.account_id limit 1)
            union all
            select (select u.account_id from prompt_usage u
                where u.organization_id = $1 and u.account_id > members.account_id order by u.account_id limit 1)
            from members where members.account_id is not null
         )"
    };
}

/// What they have in the quarters of an hour from `$2` to `$3`; `u` is the table of that.
macro_rules! of_members {
    ($table:literal) => {
        concat!(
            " from members cross join ",
            $table,
            " u where u.organization_id = $1 and u.account_id = members.account_id and u.quarter >= $2 and u.quarter < $3 "
        )
    };
}

impl Usage<'_> {
    /// The organization with sums whose key is next.
    pub(super) async fn organization_after(&mut self, last: Uuid) -> Result<Option<OrganizationId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select organization_id from (
                select organization_id from (
                    select organization_id from prompt_usage where organization_id > $1 order by organization_id limit 1
                ) members
                union
                select organization_id from (
                    select organization_id from prompt_organization_usage
                    where organization_id > $1 order by organization_id limit 1
                ) organizations
             ) candidates order by organization_id limit 1",
            last,
        )?;
        Ok(row.map(|(organization,)| organization.into()))
    }

    /// Until when the sums of an organization are compared; none where they never were.
    pub(super) async fn compared_until(&mut self, organization: OrganizationId) -> Result<Option<Timestamp>> {
        let row = fetch_optional!(
            self.0,
            (Option<i64>,),
            "select ends_at from prompt_sum_checks where organization_id = $1",
            organization.0,
        )?;
        Ok(row.and_then(|(ends_at,)| ends_at).map(Timestamp::from_micros))
    }

    /// Notes until when they are compared.
    pub(super) async fn compare_until(
        &mut self,
        organization: OrganizationId,
        ends_at: Timestamp,
    ) -> Result<()> {
        execute!(
            self.0,
            "insert into prompt_sum_checks (organization_id, ends_at) values ($1, $2)
             on conflict (organization_id) do update set ends_at = excluded.ends_at",
            organization.0,
            ends_at.micros(),
        )?;
        Ok(())
    }

    /// The first days of UTC, since 1970, on which the sums of an organization are not those of its members.
    pub(super) async fn differing_days(
        &mut self,
        organization: OrganizationId,
        at_most: i64,
    ) -> Result<Vec<i64>> {
        let rows = fetch_all!(
            self.0,
            (i64,),
            "select distinct quarter / 96 as day from (
                select quarter from (
                    select quarter, executions, succeeded, failed, total_ms, ai_ms, query_ms
                    from prompt_organization_usage where organization_id = $1
                    union all
                    select quarter, -executions, -succeeded, -failed, -total_ms, -ai_ms, -query_ms
                    from prompt_usage where organization_id = $1
                ) sides
                group by quarter
                having sum(executions) <> 0 or sum(succeeded) <> 0 or sum(failed) <> 0 or sum(total_ms) <> 0
                    or sum(ai_ms) <> 0 or sum(query_ms) <> 0
             ) differing order by day limit $2",
            organization.0,
            at_most,
        )?;
        Ok(rows.into_iter().map(|(day,)| day).collect())
    }

    /// Counts the sums of a day of an organization anew, from those of its members.
    pub(super) async fn recount(&mut self, organization: OrganizationId, day: i64) -> Result<()> {
        let quarters = Quarters::of_day(day);
        self.hold(organization, quarters).await?;
        self.recount_executions(organization, quarters).await?;
        self.recount_sources(organization, quarters).await?;
        self.recount_questions(organization, day, quarters).await
    }

    /// Keeps everybody else from changing the sums of a day: there is a row for each of its quarters, which is taken before all others (see
    /// [`Usage::add`]). What is read of members after this is in no sum that somebody else is still to write.
    async fn hold(&mut self, organization: OrganizationId, quarters: Quarters) -> Result<()> {
        execute!(
            self.0,
            "update prompt_sum_checks set ends_at = ends_at where organization_id = $1",
            organization.0,
        )?;
        execute!(
            self.0,
            "insert into prompt_organization_usage (organization_id, quarter, executions, succeeded, failed, total_ms, ai_ms,
                query_ms)
             with recursive quarters(quarter) as (
                select cast($2 as bigint)
                union all
                select quarter + 1 from quarters where quarter + 1 < $3
             )
             select c.organization_id, quarters.quarter, 0, 0, 0, 0, 0, 0
             from quarters cross join prompt_sum_checks c where c.organization_id = $1 order by quarters.quarter
             on conflict (organization_id, quarter) do update set
                executions = 0, succeeded = 0, failed = 0, total_ms = 0, ai_ms = 0, query_ms = 0",
            organization.0,
            quarters.first,
            quarters.end,
        )?;
        Ok(())
    }

    async fn recount_executions(&mut self, organization: OrganizationId, quarters: Quarters) -> Result<()> {
        execute!(
            self.0,
            concat!(
                "insert into prompt_organization_usage (organization_id, quarter, executions, succeeded, failed, total_ms, ai_ms,
                    query_ms) ",
                members!(),
                " select u.organization_id, u.quarter, sum(u.executions), sum(u.succeeded), sum(u.failed), sum(u.total_ms),
                    sum(u.ai_ms), sum(u.query_ms)",
                of_members!("prompt_usage"),
                "group by u.organization_id, u.quarter
                 on conflict (organization_id, quarter) do update set
                    executions = excluded.executions, succeeded = excluded.succeeded, failed = excluded.failed,
                    total_ms = excluded.total_ms, ai_ms = excluded.ai_ms, query_ms = excluded.query_ms"
            ),
            organization.0,
            quarters.first,
            quarters.end,
        )?;
        execute!(
            self.0,
            "delete from prompt_organization_usage
             where organization_id = $1 and quarter >= $2 and quarter < $3 and executions = 0",
            organization.0,
            quarters.first,
            quarters.end,
        )?;
        Ok(())
    }

    async fn recount_sources(&mut self, organization: OrganizationId, quarters: Quarters) -> Result<()> {
        execute!(
            self.0,
            "delete from prompt_organization_source_usage where organization_id = $1 and quarter >= $2 and quarter < $3",
            organization.0,
            quarters.first,
            quarters.end,
        )?;
        execute!(
            self.0,
            concat!(
                "insert into prompt_organization_source_usage (organization_id, quarter, source_number, executions, failed,
                    query_ms) ",
                members!(),
                " select u.organization_id, u.quarter, u.source_number, sum(u.executions), sum(u.failed), sum(u.query_ms)",
                of_members!("prompt_source_usage"),
                "group by u.organization_id, u.quarter, u.source_number"
            ),
            organization.0,
            quarters.first,
            quarters.end,
        )?;
        Ok(())
    }

    async fn recount_questions(
        &mut self,
        organization: OrganizationId,
        day: i64,
        quarters: Quarters,
    ) -> Result<()> {
        execute!(
            self.0,
            "delete from prompt_organization_question_usage where organization_id = $1 and day = $2",
            organization.0,
            day,
        )?;
        execute!(
            self.0,
            concat!(
                "insert into prompt_organization_question_usage (organization_id, day, question_key, preview, executions,
                    total_ms, last_run_at) ",
                members!(),
                " select u.organization_id, u.quarter / 96, u.question_key, max(u.preview), sum(u.executions),
                    sum(u.total_ms), max(u.last_run_at)",
                of_members!("prompt_question_usage"),
                "group by u.organization_id, u.quarter / 96, u.question_key"
            ),
            organization.0,
            quarters.first,
            quarters.end,
        )?;
        Ok(())
    }
}
