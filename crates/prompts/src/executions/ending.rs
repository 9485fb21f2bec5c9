//! The end of an execution in the store, with the sums that it is added to.

use tidegate_database::{Result, execute_with_put_off};
use tidegate_domain::Timestamp;

use super::execution::{ExecutionStatus, PartStatus};
use super::finish::Ended;
use super::repository::Executions;
use crate::PromptTables;
use crate::analytics::add::{
    of_organization, of_person, question_of_organization, question_of_person, source_of_organization,
    source_of_person,
};
use crate::analytics::period::{day_of_utc, quarter_of};
use crate::analytics::repository::Run;

/// Of one that is not over. The placeholders follow those of sums.
macro_rules! ended {
    () => {
        "update prompt_executions set status = $16, ai_status = $17, query_status = $18, progress = 100, sql = $19,
            parameters = $20, ai_model_used = $21, ai_request_id = $22, ai_metadata = $23, rows_returned = $24,
            columns = $25, preview = $26, preview_key = $27, ai_ms = $28, query_ms = $29,
            total_ms = $30, error_code = $31, error_message = $32, completed_at = $33, lease_until = null,
            draft = null, draft_attempt = null
         where number = $15 and lease_until is not null"
    };
}

/// Whether it is not over.
macro_rules! is_under_way {
    () => {
        "exists (select 1 from prompt_executions where number = $15 and lease_until is not null)"
    };
}

const ENDED: &str = ended!();

/// The end and all sums, for PostgreSQL: nothing is added for one that was over. Rows are locked in the order in which they are where the sums
/// are added by themselves, as there.
const ENDED_AND_ADDED: &str = concat!(
    "with ended as (",
    ended!(),
    " returning 1), person as (",
    of_person!("(select count(*) from ended) > 0"),
    " returning 1), organization as (",
    of_organization!("(select count(*) from person) > 0"),
    " returning 1), source as (",
    source_of_person!("(select count(*) from organization) > 0"),
    " returning 1), organization_source as (",
    source_of_organization!("(select count(*) from source) > 0"),
    " returning 1), question as (",
    question_of_person!(
        "(select count(*) from organization) > 0 and (select count(*) from organization_source) >= 0"
    ),
    " returning 1) ",
    question_of_organization!("(select count(*) from question) > 0"),
);

/// The same for SQLite, where nobody ends it between the parts: what is added looks whether it is over, and is followed by its end.
const ADDED_AND_ENDED: &str = concat!(
    of_person!(is_under_way!()),
    "; ",
    of_organization!(is_under_way!()),
    "; ",
    source_of_person!(is_under_way!()),
    "; ",
    source_of_organization!(is_under_way!()),
    "; ",
    question_of_person!(is_under_way!()),
    "; ",
    question_of_organization!(is_under_way!()),
    "; ",
    ended!(),
);

impl Executions<'_> {
    /// Writes the end of one and adds it to all sums, in one trip with what the unit has put off. False when it was over already: whoever was
    /// first to end it has added it.
    pub(super) async fn end(
        &mut self,
        number: i64,
        ended: &Ended,
        run: &Run<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        if !is_in_one_trip(run) {
            let is_first = self.write_end(ENDED, number, ended, run, now).await?;
            if is_first {
                self.0.prompt_usage().add(run).await?;
            }
            return Ok(is_first);
        }
        let all = if self.0.is_postgres() { ENDED_AND_ADDED } else { ADDED_AND_ENDED };
        self.write_end(all, number, ended, run, now).await
    }

    async fn write_end(
        &mut self,
        sql: &'static str,
        number: i64,
        ended: &Ended,
        run: &Run<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        let quarter = quarter_of(run.started_at);
        let changed = execute_with_put_off!(
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
            run.sources.first().copied(),
            run.question_key.as_slice(),
            run.preview.as_str(),
            run.started_at.micros(),
            day_of_utc(quarter),
            number,
            ended.status.as_str(),
            ended.ai_status.as_str(),
            ended.query_status.map(PartStatus::as_str),
            ended.sql.as_deref(),
            ended.parameters_json(),
            ended.ai_model_used.as_deref(),
            ended.ai_request_id.as_deref(),
            ended.ai_metadata_json(),
            ended.rows_returned,
            ended.columns_json(),
            ended.preview.as_ref().map(|(sealed, _)| sealed.as_slice()),
            ended.preview.as_ref().map(|(_, key)| key.as_str()),
            ended.ai_ms,
            ended.query_ms,
            ended.total_ms,
            ended.error.as_ref().map(|error| error.code.as_str()),
            ended.error.as_ref().map(|error| error.message.as_str()),
            now.micros(),
        )?;
        Ok(changed > 0)
    }
}

/// Whether the end of an execution and its sums take one trip: each further data source takes another one.
fn is_in_one_trip(run: &Run<'_>) -> bool {
    run.sources.len() <= 1
}

/// Whether that is all that there is to write.
pub(super) fn is_one_statement(run: &Run<'_>) -> bool {
    is_in_one_trip(run) && run.prompt == 0
}
