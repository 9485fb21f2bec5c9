//! Saved questions in the store.

use serde_json::Value;
use tidegate_database::{Result, StoreError, Unit, execute, fetch_all, fetch_one, fetch_optional, prune};
use tidegate_domain::id::{AccountId, OrganizationId, WorkspaceId};
use tidegate_domain::{Document, Timestamp};
use uuid::Uuid;

use super::history::{HistoryFilter, HistoryOrder};
use super::list::{Listing, Order};
use super::prompt::{Prompt, PromptStatus};
use crate::executions::ExecutionStatus;
use crate::executions::row::{read_json, read_numbers, stored_numbers};
use crate::executions::start::{NewExecution, Saved};
use crate::work::Person;

/// Saved questions of a unit of work.
pub struct Records<'u>(pub(crate) &'u mut Unit);

/// A question to be saved.
pub(crate) struct NewPrompt<'a> {
    pub(crate) person: Person,
    pub(crate) account_number: i64,
    pub(crate) workspace: WorkspaceId,
    pub(crate) saved: &'a Saved,
    pub(crate) new: &'a NewExecution,
    pub(crate) now: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    organization_number: i64,
    workspace_number: i64,
    name: Option<String>,
    prompt_text: String,
    sources: String,
    schemas: String,
    tags: String,
    metadata: String,
    status: String,
    last_execution: Option<i64>,
    last_ms: Option<i64>,
    last_run_at: i64,
    created_by: i64,
    created_at: i64,
    updated_at: i64,
}

impl Row {
    fn read(self) -> Result<Prompt> {
        Ok(Prompt {
            number: self.number,
            organization_number: self.organization_number,
            workspace_number: self.workspace_number,
            name: self.name,
            text: self.prompt_text,
            sources: read_numbers(&self.sources),
            schemas: read_json(&self.schemas, "prompts.schemas")?,
            tags: read_json(&self.tags, "prompts.tags")?,
            metadata: read_json(&self.metadata, "prompts.metadata")?,
            status: PromptStatus::from_name(&self.status).ok_or(StoreError::Unreadable("prompts.status"))?,
            last_execution: self.last_execution,
            last_ms: self.last_ms,
            last_run_at: Timestamp::from_micros(self.last_run_at),
            created_by: self.created_by,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// What is searched.
pub(crate) fn search_text(name: &str, text: &str) -> String {
    format!("{name}\n{text}").to_lowercase()
}

/// A pattern of LIKE that finds `text` anywhere; `\` is its escape.
pub(crate) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// What the execution of a saved question says of it.
const fn status_of(status: ExecutionStatus) -> PromptStatus {
    match status {
        ExecutionStatus::Pending | ExecutionStatus::Processing => PromptStatus::Processing,
        ExecutionStatus::Completed => PromptStatus::Completed,
        ExecutionStatus::Failed | ExecutionStatus::Cancelled => PromptStatus::Failed,
    }
}

/// Selects whole rows.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select p.number, o.number as organization_number, w.number as workspace_number, p.name, p.prompt_text,
                p.sources, p.schemas, p.tags, p.metadata, p.status, p.last_execution, p.last_ms, p.last_run_at,
                p.created_by, p.created_at, p.updated_at
             from prompts p join organizations o on o.id = p.organization_id join workspaces w on w.id = p.workspace_id ",
            $rest
        )
    };
}

/// The condition under which a question is a person's own: `$1` is the organization, `$2` the account.
macro_rules! own {
    () => {
        " p.organization_id = $1 and p.account_id = $2 and p.deleted_at is null "
    };
}

/// A page of what a person has, in one of two directions.
macro_rules! page {
    ($unit:expr, $person:expr, $listing:expr, $direction:literal) => {
        fetch_all!(
            $unit,
            Row,
            concat!(
                select!("where "),
                own!(),
                "and ($3 is null or w.number = $3) and ($4 is null or p.status = $4)
                    and ($5 is null or p.search_text like $5 escape '\\')
                 order by case $6 when 'name' then lower(p.name) when 'status' then p.status
                        when 'prompt_text' then p.search_text end ",
                $direction,
                " nulls last, case $6 when 'created_at' then p.created_at when 'updated_at' then p.updated_at end ",
                $direction,
                " nulls last, p.number ",
                $direction,
                " limit $7 offset $8"
            ),
            $person.organization.0,
            $person.account.0,
            $listing.workspace,
            $listing.status.map(PromptStatus::as_str),
            $listing.search.as_deref().map(containing),
            $listing.sorting.as_str(),
            $listing.page_size,
            $listing.skipped(),
        )
    };
}

/// What a history is narrowed to: `$3` to `$7` are workspace, status, data source, pattern and the earliest run, null for any.
macro_rules! filtered {
    () => {
        " and ($3 is null or w.number = $3) and ($4 is null or p.status = $4)
            and ($5 is null or p.sources like $5) and ($6 is null or p.search_text like $6 escape '\\')
            and ($7 is null or p.last_run_at >= $7) "
    };
}

macro_rules! history {
    ($unit:expr, $person:expr, $filter:expr, $direction:literal) => {
        fetch_all!(
            $unit,
            Row,
            concat!(
                select!("where "),
                own!(),
                filtered!(),
                "order by case $8 when 'status' then p.status end ",
                $direction,
                " nulls last, case $8 when 'execution_time' then p.last_ms when 'timestamp' then p.last_run_at end ",
                $direction,
                " nulls last, p.number ",
                $direction,
                " limit $9 offset $10"
            ),
            $person.organization.0,
            $person.account.0,
            $filter.workspace,
            $filter.status.map(PromptStatus::as_str),
            $filter.source.map(|number| format!("%,{number},%")),
            $filter.search.as_deref().map(containing),
            $filter.since.map(Timestamp::micros),
            $filter.sorting.as_str(),
            $filter.page_size,
            $filter.page.saturating_sub(1).saturating_mul($filter.page_size),
        )
    };
}

/// The workspace of a number that a person belongs to, or the one they land in: `$1` is the organization, `$2` whether they see all of its
/// workspaces, `$3` their account, `$4` the number, null for any.
macro_rules! workspace_of {
    () => {
        "select w.id, w.number from workspaces w left join
            (select mw.workspace_id from membership_workspaces mw join memberships m on m.id = mw.membership_id
             where m.account_id = $3 and m.organization_id = $1) own on own.workspace_id = w.id
         where w.organization_id = $1 and ($2 or own.workspace_id is not null) and ($4 is null or w.number = $4)
         order by case when own.workspace_id is null then 1 else 0 end, w.is_default desc, w.number limit 1"
    };
}
pub(crate) use workspace_of;

impl Records<'_> {
    /// Key and number of the workspace of that number that the person belongs to (or any of the organization, with `sees_all`), or the one they land in.
    pub(crate) async fn workspace(
        &mut self,
        person: Person,
        sees_all: bool,
        number: Option<i64>,
    ) -> Result<Option<(WorkspaceId, i64)>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, i64),
            workspace_of!(),
            person.organization.0,
            sees_all,
            person.account.0,
            number,
        )?;
        Ok(row.map(|(id, number)| (id.into(), number)))
    }

    /// The member of that number.
    pub(crate) async fn member(
        &mut self,
        organization: OrganizationId,
        number: i64,
    ) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select a.id from accounts a join memberships m on m.account_id = a.id
             where m.organization_id = $1 and a.number = $2",
            organization.0,
            number,
        )?;
        Ok(row.map(|(id,)| id.into()))
    }

    /// Saves one; answers its number.
    pub(crate) async fn insert(&mut self, row: NewPrompt<'_>) -> Result<i64> {
        let (name, text) = (row.saved.name.as_deref(), row.new.text());
        let (number,) = fetch_one!(
            self.0,
            (i64,),
            "insert into prompts (organization_id, workspace_id, account_id, created_by, name, prompt_text, search_text,
                sources, schemas, tags, metadata, status, last_run_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'draft', $12, $12, $12) returning number",
            row.person.organization.0,
            row.workspace.0,
            row.person.account.0,
            row.account_number,
            name,
            text,
            search_text(name.unwrap_or_default(), text),
            stored_numbers(&row.new.sources),
            Value::from(row.new.schemas.clone()).to_string(),
            Value::from(row.saved.tags.clone()).to_string(),
            Document::default().as_str(),
            row.now.micros(),
        )?;
        Ok(number)
    }

    /// How many the organization has.
    pub(crate) async fn count(&mut self, organization: OrganizationId) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from prompts where organization_id = $1 and deleted_at is null",
            organization.0,
        )?;
        Ok(count)
    }

    /// An execution of one begins.
    pub(crate) async fn begin(&mut self, number: i64, execution: i64, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update prompts set status = 'processing', last_execution = $2, last_ms = null, last_run_at = $3
             where number = $1",
            number,
            execution,
            now.micros(),
        )?;
        Ok(())
    }

    /// An execution of one is over. Nothing happens when it is not the latest.
    pub(crate) async fn end(
        &mut self,
        number: i64,
        execution: i64,
        status: ExecutionStatus,
        total_ms: i64,
    ) -> Result<()> {
        execute!(
            self.0,
            "update prompts set status = $3, last_ms = $4 where number = $1 and last_execution = $2",
            number,
            execution,
            status_of(status).as_str(),
            total_ms,
        )?;
        Ok(())
    }

    /// The person's own of that number.
    pub(crate) async fn own(&mut self, person: Person, number: i64) -> Result<Option<Prompt>> {
        let row = fetch_optional!(
            self.0,
            Row,
            concat!(select!("where "), own!(), "and p.number = $3"),
            person.organization.0,
            person.account.0,
            number,
        )?;
        row.map(Row::read).transpose()
    }

    /// A page of the person's own, and how many there are.
    pub(super) async fn page(&mut self, person: Person, listing: &Listing) -> Result<(Vec<Prompt>, i64)> {
        let rows = match listing.order {
            Order::Ascending => page!(self.0, person, listing, "asc"),
            Order::Descending => page!(self.0, person, listing, "desc"),
        }?;
        let (total,) = fetch_one!(
            self.0,
            (i64,),
            concat!(
                "select count(*) from prompts p join workspaces w on w.id = p.workspace_id where ",
                own!(),
                "and ($3 is null or w.number = $3) and ($4 is null or p.status = $4)
                    and ($5 is null or p.search_text like $5 escape '\\')"
            ),
            person.organization.0,
            person.account.0,
            listing.workspace,
            listing.status.map(PromptStatus::as_str),
            listing.search.as_deref().map(containing),
        )?;
        Ok((rows.into_iter().map(Row::read).collect::<Result<_>>()?, total))
    }

    /// A page of the person's history, and how many there are.
    pub(super) async fn history(
        &mut self,
        person: Person,
        filter: &HistoryFilter,
    ) -> Result<(Vec<Prompt>, i64)> {
        let rows = match filter.sorting {
            HistoryOrder { order: Order::Ascending, .. } => history!(self.0, person, filter, "asc"),
            HistoryOrder { order: Order::Descending, .. } => history!(self.0, person, filter, "desc"),
        }?;
        let (total,) = fetch_one!(
            self.0,
            (i64,),
            concat!(
                "select count(*) from prompts p join workspaces w on w.id = p.workspace_id where ",
                own!(),
                filtered!()
            ),
            person.organization.0,
            person.account.0,
            filter.workspace,
            filter.status.map(PromptStatus::as_str),
            filter.source.map(|number| format!("%,{number},%")),
            filter.search.as_deref().map(containing),
            filter.since.map(Timestamp::micros),
        )?;
        Ok((rows.into_iter().map(Row::read).collect::<Result<_>>()?, total))
    }

    /// Writes what can be changed of one.
    pub(super) async fn change(&mut self, prompt: &Prompt, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update prompts set name = $2, tags = $3, metadata = $4, search_text = $5, updated_at = $6 where number = $1",
            prompt.number,
            prompt.name.as_deref(),
            Value::from(prompt.tags.clone()).to_string(),
            prompt.metadata.as_str(),
            search_text(prompt.name.as_deref().unwrap_or_default(), &prompt.text),
            now.micros(),
        )?;
        Ok(())
    }

    /// Deletes one, so that it can be restored until `purge_at`.
    pub(super) async fn delete(&mut self, number: i64, now: Timestamp, purge_at: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update prompts set deleted_at = $2, purge_at = $3, updated_at = $2 where number = $1 and deleted_at is null",
            number,
            now.micros(),
            purge_at.micros(),
        )?;
        Ok(())
    }

    /// Deletes those of a person that ran since then, of one workspace or of all; answers how many.
    pub(super) async fn clear(
        &mut self,
        person: Person,
        workspace: Option<i64>,
        since: Option<Timestamp>,
        now: Timestamp,
        purge_at: Timestamp,
    ) -> Result<u64> {
        execute!(
            self.0,
            "update prompts set deleted_at = $5, purge_at = $6, updated_at = $5
             where organization_id = $1 and account_id = $2 and deleted_at is null
                and ($3 is null or workspace_id in
                    (select id from workspaces where organization_id = $1 and number = $3))
                and ($4 is null or last_run_at >= $4)",
            person.organization.0,
            person.account.0,
            workspace,
            since.map(Timestamp::micros),
            now.micros(),
            purge_at.micros(),
        )
    }

    /// How many an account saved, to be told to an operator.
    pub(crate) async fn exported(
        &mut self,
        account: AccountId,
    ) -> Result<Vec<(i64, Option<String>, String, i64)>> {
        fetch_all!(
            self.0,
            (i64, Option<String>, String, i64),
            "select number, name, prompt_text, created_at from prompts
             where account_id = $1 and deleted_at is null order by number limit 1000",
            account.0,
        )
    }

    /// Removes deleted ones whose time is over.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "prompts",
            "number",
            "where purge_at <= $1 order by purge_at limit $2",
            now.micros(),
            at_most,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_is_text_and_no_pattern() {
        assert_eq!(containing("50%_a\\B"), "%50\\%\\_a\\\\b%");
    }
}
