//! What was asked most, in the store.
//!
//! Of an organization, candidates are the fifty questions that were asked most on each day of UTC which the period touches. The thirty of
//! them that were asked most on those days are counted exactly, each by its key. So it costs what a period has days, however much was
//! asked. A question that was on no day among the fifty is not found.

use tidegate_database::{Result, fetch_all};

use super::period::{Quarters, day_of_utc};
use super::repository::{QuestionSums, Scope, Usage};
use crate::work::Person;

/// The candidates of the days from `$2` to `$3` of the organization of `$1`; `$4` is an empty key. The last of a day's fifty is looked up,
/// and what is not before it is read in the order of an index.
macro_rules! candidates {
    () => {
        "with recursive days(day) as (
            select cast($2 as bigint)
            union all
            select day + 1 from days where day + 1 < $3
         ),
         ends as materialized (
            select day,
                (select q.executions from prompt_organization_question_usage q
                 where q.organization_id = $1 and q.day = days.day
                 order by q.executions desc, q.question_key desc limit 1 offset 49) as executions,
                (select q.question_key from prompt_organization_question_usage q
                 where q.organization_id = $1 and q.day = days.day
                 order by q.executions desc, q.question_key desc limit 1 offset 49) as question_key
            from days
         ),
         candidates as materialized (
            select q.question_key
            from ends cross join prompt_organization_question_usage q
            where q.organization_id = $1 and q.day = ends.day
                and (q.executions, q.question_key) >= (coalesce(ends.executions, 0), coalesce(ends.question_key, $4))
            group by q.question_key order by sum(q.executions) desc, q.question_key limit 30
         )"
    };
}

/// The candidates that were asked most, `$5` of them: in the whole days from `$6` to `$7`, and in the quarters of an hour from `$8` to `$9` and
/// from `$10` to `$11`. Of equals, what was asked last. Each part is a query of its own, so that it is looked up whatever the others have.
macro_rules! most_asked {
    () => {
        "most as materialized (
            select c.question_key
            from candidates c
            order by
                coalesce((select sum(q.executions) from prompt_organization_question_usage q
                    where q.organization_id = $1 and q.question_key = c.question_key and q.day >= $6 and q.day < $7), 0)
                + coalesce((select sum(q.executions) from prompt_question_usage q
                    where q.organization_id = $1 and q.question_key = c.question_key and q.quarter >= $8 and q.quarter < $9), 0)
                + coalesce((select sum(q.executions) from prompt_question_usage q
                    where q.organization_id = $1 and q.question_key = c.question_key and q.quarter >= $10 and q.quarter < $11), 0)
                desc,
                (select max(q.last_run_at) from prompt_organization_question_usage q
                    where q.organization_id = $1 and q.question_key = c.question_key and q.day >= $2 and q.day < $3) desc
            limit $5
         )"
    };
}

/// Their sums, in the parts of the period.
macro_rules! parts {
    () => {
        "parts as (
            select q.question_key, q.preview, q.executions, q.total_ms, q.last_run_at
            from most cross join prompt_organization_question_usage q
            where q.organization_id = $1 and q.question_key = most.question_key and q.day >= $6 and q.day < $7
            union all
            select q.question_key, q.preview, q.executions, q.total_ms, q.last_run_at
            from most cross join prompt_question_usage q
            where q.organization_id = $1 and q.question_key = most.question_key and q.quarter >= $8 and q.quarter < $9
            union all
            select q.question_key, q.preview, q.executions, q.total_ms, q.last_run_at
            from most cross join prompt_question_usage q
            where q.organization_id = $1 and q.question_key = most.question_key and q.quarter >= $10 and q.quarter < $11
         )"
    };
}

impl Usage<'_> {
    /// The questions of a period that were asked most.
    pub(crate) async fn questions(
        &mut self,
        scope: Scope,
        period: Quarters,
        at_most: i64,
    ) -> Result<Vec<QuestionSums>> {
        if !scope.all {
            return self.questions_of_person(scope.person, period, at_most).await;
        }
        let (before, (first, end), after) = period.by_days();
        let no_key: &[u8] = &[];
        fetch_all!(
            self.0,
            QuestionSums,
            // A unit that reads begins its statements with this word.
            concat!(
                "select preview, executions, total_ms, last_run_at from (",
                candidates!(),
                ", ",
                most_asked!(),
                ", ",
                parts!(),
                " select max(preview) as preview, cast(sum(executions) as bigint) as executions,
                    cast(sum(total_ms) as bigint) as total_ms, max(last_run_at) as last_run_at
                  from parts group by question_key
                 ) questions order by executions desc, last_run_at desc"
            ),
            scope.person.organization.0,
            day_of_utc(period.first),
            day_of_utc(period.end - 1) + 1,
            no_key,
            at_most,
            first,
            end,
            before.first,
            before.end,
            after.first,
            after.end,
        )
    }

    /// The questions of a person's period that were asked most.
    async fn questions_of_person(
        &mut self,
        person: Person,
        period: Quarters,
        at_most: i64,
    ) -> Result<Vec<QuestionSums>> {
        fetch_all!(
            self.0,
            QuestionSums,
            "select max(preview) as preview, cast(sum(executions) as bigint) as executions,
                cast(sum(total_ms) as bigint) as total_ms, max(last_run_at) as last_run_at
             from prompt_question_usage
             where organization_id = $1 and account_id = $2 and quarter >= $3 and quarter < $4
             group by question_key order by 2 desc, 4 desc limit $5",
            person.organization.0,
            person.account.0,
            period.first,
            period.end,
            at_most,
        )
    }
}
