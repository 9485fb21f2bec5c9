//! Many executions in the store, written by SQL of our own: what a million queries and questions leave behind.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::Result;
use crate::database::block_on;
use crate::server::Setup;

/// Of how many different questions they are.
const QUESTIONS: u64 = 1_000;
/// Microseconds of a quarter of an hour, by which they are summed up.
const QUARTER: u64 = 900_000_000;
/// Microseconds of a year, over which they are spread.
const YEAR: u64 = 365 * 24 * 3_600 * 1_000_000;

/// Adds `count` executions of the first account, which end at `end` (microseconds since 1970), every other of them of a saved question;
/// answers that one's number.
pub(crate) fn seed(setup: &Setup, count: u64, end: u64) -> Result<i64> {
    block_on(async {
        match &setup.postgres {
            Some(url) => {
                let mut on = PgConnection::connect(url).await?;
                for statement in statements("convert_to(question, 'UTF8')", count, end) {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
                }
                sqlx::raw_sql("vacuum analyze").execute(&mut on).await?;
                Ok(sqlx::query_scalar("select max(number) from prompts").fetch_one(&mut on).await?)
            }
            None => {
                let options =
                    SqliteConnectOptions::new().filename(setup.file()).pragma("cache_size", "-1000000");
                let mut on = SqliteConnection::connect_with(&options).await?;
                for statement in statements("cast(question as blob)", count, end) {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut on).await?;
                }
                sqlx::raw_sql("pragma wal_checkpoint(truncate)").execute(&mut on).await?;
                let number = sqlx::query_scalar("select max(number) from prompts").fetch_one(&mut on).await?;
                on.close().await?;
                Ok(number)
            }
        }
    })
}

/// The saved question, the executions, and their sums as they are kept.
fn statements(question_key: &str, count: u64, end: u64) -> [String; 8] {
    let organization = "(select o.id from organizations o order by o.number limit 1)";
    let workspace = format!("(select w.id from workspaces w where w.organization_id = {organization})");
    let account = "(select a.id from accounts a order by a.number limit 1)";
    let number = "(select min(a.number) from accounts a)";
    let (begin, step) = (end - YEAR, YEAR / count);
    let numbered = format!(
        "with recursive n(i) as (select cast(0 as bigint) union all select i + 1 from n where i < {count} - 1)"
    );
    [
        format!(
            "insert into prompts (organization_id, workspace_id, account_id, created_by, name, prompt_text, search_text, sources,
                schemas, tags, metadata, status, last_run_at, created_at, updated_at)
             values ({organization}, {workspace}, {account}, {number}, 'Often', 'question', 'often question', ',1,', '[]', '[]',
                '{{}}', 'completed', {end}, {begin}, {end})"
        ),
        format!(
            "{numbered}
             insert into prompt_executions (organization_id, workspace_id, account_id, account_number, kind, prompt_number,
                question, sql, parameters, sources, schemas, status, ai_status, query_status, progress, rows_returned, ai_ms,
                query_ms, total_ms, started_at, completed_at, expires_at)
             select {organization}, {workspace}, {account}, {number}, 'prompt',
                case when i % 2 = 0 then (select max(p.number) from prompts p) end, 'question number ' || (i % {QUESTIONS}), 'select 1',
                '[]', ',1,', '[]', case when i % 20 = 0 then 'failed' else 'completed' end, 'completed', 'completed', 100, 10, 5,
                i % 500, 5 + i % 500, {begin} + i * {step}, {begin} + i * {step} + 1000, {end} + {YEAR}
             from n"
        ),
        format!(
            "insert into prompt_usage (organization_id, account_id, quarter, prompt_number, executions, succeeded, failed, total_ms,
                ai_ms, query_ms)
             select organization_id, account_id, started_at / {QUARTER}, coalesce(prompt_number, 0), count(*),
                count(case when status = 'completed' then 1 end), count(case when status = 'failed' then 1 end), sum(total_ms),
                sum(ai_ms), sum(query_ms)
             from prompt_executions group by 1, 2, 3, 4"
        ),
        "insert into prompt_source_usage (organization_id, account_id, quarter, prompt_number, source_number, executions, failed,
            query_ms)
         select organization_id, account_id, quarter, prompt_number, 1, executions, failed, query_ms from prompt_usage"
            .to_owned(),
        format!(
            "insert into prompt_question_usage (organization_id, account_id, quarter, question_key, preview, executions, total_ms,
                last_run_at)
             select organization_id, account_id, started_at / {QUARTER}, {question_key}, max(question), count(*), sum(total_ms),
                max(started_at)
             from prompt_executions group by 1, 2, 3, 4"
        ),
        "insert into prompt_organization_usage (organization_id, quarter, executions, succeeded, failed, total_ms, ai_ms, query_ms)
         select organization_id, quarter, sum(executions), sum(succeeded), sum(failed), sum(total_ms), sum(ai_ms), sum(query_ms)
         from prompt_usage group by 1, 2"
            .to_owned(),
        "insert into prompt_organization_source_usage (organization_id, quarter, source_number, executions, failed, query_ms)
         select organization_id, quarter, source_number, sum(executions), sum(failed), sum(query_ms)
         from prompt_source_usage group by 1, 2, 3"
            .to_owned(),
        "insert into prompt_organization_question_usage (organization_id, day, question_key, preview, executions, total_ms, last_run_at)
         select organization_id, quarter / 96, question_key, max(preview), sum(executions), sum(total_ms), max(last_run_at)
         from prompt_question_usage group by 1, 2, 3"
            .to_owned(),
    ]
}
