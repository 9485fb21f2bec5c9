//! An execution that is over is added to all sums that it is part of.

use tidegate_database::{Result, execute};

use super::period::{day_of_utc, quarter_of};
use super::repository::{Run, Usage};
use crate::executions::ExecutionStatus;

// All share their placeholders: `$1` organization, `$2` account, `$3` quarter, `$4` saved question, `$5` and `$6` whether it succeeded and
// failed, `$7` to `$9` milliseconds, `$10` a data source or null, `$11` to `$13` what was asked, `$14` day. `$when` is a condition.

macro_rules! of_person {
    ($($when:tt)+) => {
        concat!(
            "insert into prompt_usage (organization_id, account_id, quarter, prompt_number, executions, succeeded, failed, total_ms,
                ai_ms, query_ms)
             select $1, $2, $3, $4, 1, $5, $6, $7, $8, $9 where ",
            $($when)+,
            "
             on conflict (organization_id, account_id, quarter, prompt_number) do update set
                executions = prompt_usage.executions + 1, succeeded = prompt_usage.succeeded + excluded.succeeded,
                failed = prompt_usage.failed + excluded.failed, total_ms = prompt_usage.total_ms + excluded.total_ms,
                ai_ms = prompt_usage.ai_ms + excluded.ai_ms, query_ms = prompt_usage.query_ms + excluded.query_ms"
        )
    };
}

macro_rules! of_organization {
    ($($when:tt)+) => {
        concat!(
            "insert into prompt_organization_usage (organization_id, quarter, executions, succeeded, failed, total_ms, ai_ms,
                query_ms)
             select $1, $3, 1, $5, $6, $7, $8, $9 where ",
            $($when)+,
            "
             on conflict (organization_id, quarter) do update set
                executions = prompt_organization_usage.executions + 1,
                succeeded = prompt_organization_usage.succeeded + excluded.succeeded,
                failed = prompt_organization_usage.failed + excluded.failed,
                total_ms = prompt_organization_usage.total_ms + excluded.total_ms,
                ai_ms = prompt_organization_usage.ai_ms + excluded.ai_ms,
                query_ms = prompt_organization_usage.query_ms + excluded.query_ms"
        )
    };
}

macro_rules! source_of_person {
    ($($when:tt)+) => {
        concat!(
            "insert into prompt_source_usage (organization_id, account_id, quarter, prompt_number, source_number, executions, failed,
                query_ms)
             select $1, $2, $3, $4, $10, 1, $6, $9 where $10 is not null and ",
            $($when)+,
            "
             on conflict (organization_id, account_id, quarter, prompt_number, source_number) do update set
                executions = prompt_source_usage.executions + 1,
                failed = prompt_source_usage.failed + excluded.failed,
                query_ms = prompt_source_usage.query_ms + excluded.query_ms"
        )
    };
}

macro_rules! source_of_organization {
    ($($when:tt)+) => {
        concat!(
            "insert into prompt_organization_source_usage (organization_id, quarter, source_number, executions, failed, query_ms)
             select $1, $3, $10, 1, $6, $9 where $10 is not null and ",
            $($when)+,
            "
             on conflict (organization_id, quarter, source_number) do update set
                executions = prompt_organization_source_usage.executions + 1,
                failed = prompt_organization_source_usage.failed + excluded.failed,
                query_ms = prompt_organization_source_usage.query_ms + excluded.query_ms"
        )
    };
}

macro_rules! question_of_person {
    ($($when:tt)+) => {
        concat!(
            "insert into prompt_question_usage (organization_id, account_id, quarter, question_key, preview, executions, total_ms,
                last_run_at)
             select $1, $2, $3, $11, $12, 1, $7, $13 where ",
            $($when)+,
            "
             on conflict (organization_id, account_id, quarter, question_key) do update set
                executions = prompt_question_usage.executions + 1,
                total_ms = prompt_question_usage.total_ms + excluded.total_ms,
                last_run_at = case when excluded.last_run_at > prompt_question_usage.last_run_at
                    then excluded.last_run_at else prompt_question_usage.last_run_at end"
        )
    };
}

macro_rules! question_of_organization {
    ($($when:tt)+) => {
        concat!(
            "insert into prompt_organization_question_usage (organization_id, day, question_key, preview, executions, total_ms,
                last_run_at)
             select $1, $14, $11, $12, 1, $7, $13 where ",
            $($when)+,
            "
             on conflict (organization_id, day, question_key) do update set
                executions = prompt_organization_question_usage.executions + 1,
                total_ms = prompt_organization_question_usage.total_ms + excluded.total_ms,
                last_run_at = case when excluded.last_run_at > prompt_organization_question_usage.last_run_at
                    then excluded.last_run_at else prompt_organization_question_usage.last_run_at end"
        )
    };
}

pub(crate) use of_organization;
pub(crate) use of_person;
pub(crate) use question_of_organization;
pub(crate) use question_of_person;
pub(crate) use source_of_organization;
pub(crate) use source_of_person;

/// All in one trip, for SQLite, where one unit writes at a time.
const ALL: &str = concat!(
    of_person!("true"),
    "; ",
    of_organization!("true"),
    "; ",
    source_of_person!("true"),
    "; ",
    source_of_organization!("true"),
    "; ",
    question_of_person!("true"),
    "; ",
    question_of_organization!("true"),
);
const SOURCE: &str = concat!(source_of_person!("true"), "; ", source_of_organization!("true"));

/// The same for PostgreSQL, where each locks a row, and all units lock theirs in this order: each waits for the rows of the one before it, which
/// it counts. Without that, the parts of a statement are run in an order that is not said. Of an execution without a data source the parts about
/// one ask for nothing, so what comes after them counts those before them, too.
const ALL_IN_ORDER: &str = concat!(
    "with person as (",
    of_person!("true"),
    " returning 1), organization as (",
    of_organization!("(select count(*) from person) >= 0"),
    " returning 1), source as (",
    source_of_person!("(select count(*) from organization) >= 0"),
    " returning 1), organization_source as (",
    source_of_organization!("(select count(*) from source) >= 0"),
    " returning 1), question as (",
    question_of_person!(
        "(select count(*) from organization) >= 0 and (select count(*) from organization_source) >= 0"
    ),
    " returning 1) ",
    question_of_organization!("(select count(*) from question) >= 0"),
);
const SOURCE_IN_ORDER: &str = concat!(
    "with source as (",
    source_of_person!("true"),
    " returning 1) ",
    source_of_organization!("(select count(*) from source) >= 0"),
);

impl Usage<'_> {
    /// Adds an execution that is over, in the order in which everybody does: no two units wait for each other.
    pub(crate) async fn add(&mut self, run: &Run<'_>) -> Result<()> {
        // In the order of their numbers.
        let mut sources = run.sources.to_vec();
        sources.sort_unstable();
        sources.dedup();
        let mut sources = sources.into_iter();
        let (all, source) =
            if self.0.is_postgres() { (ALL_IN_ORDER, SOURCE_IN_ORDER) } else { (ALL, SOURCE) };
        self.write(all, run, sources.next()).await?;
        for number in sources {
            self.write(source, run, Some(number)).await?;
        }
        Ok(())
    }

    async fn write(&mut self, sql: &'static str, run: &Run<'_>, source: Option<i64>) -> Result<()> {
        let quarter = quarter_of(run.started_at);
        execute!(
            self.0,
            sql,
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
            run.question_key.as_slice(),
            run.preview.as_str(),
            run.started_at.micros(),
            day_of_utc(quarter),
        )?;
        Ok(())
    }
}
