//! Executions in the store.

use std::time::Duration;

use tidegate_database::{
    Result, Unit, execute, fetch_all, fetch_one, fetch_optional, lock_row, prune, update_free,
};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{OrganizationId, WorkspaceId};
use uuid::Uuid;

use super::execution::{Execution, ExecutionKind, ExecutionStatus, PartStatus};
use super::live::Drafted;
use super::row::{EndedRow, Row, select, stored_numbers};
use crate::records::repository::workspace_of;
use crate::work::Person;

/// The longest span that a policy limits queries within, and a little more.
const LONGEST_SPAN: Duration = Duration::from_secs(25 * 3_600);

/// Executions of a unit of work.
pub struct Executions<'u>(pub(crate) &'u mut Unit);

/// Who begins to run something, in which workspace (none: the one that they land in), and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) person: Person,
    /// Whether all workspaces of the organization are theirs to see.
    pub(super) sees_all: bool,
    pub(super) workspace: Option<i64>,
    pub(super) now: Timestamp,
}

/// An execution to be added.
pub(super) struct NewRow<'a> {
    pub(super) asking: Asking,
    /// As many as may run, of the organization and of the person, this one included.
    pub(super) most: (i64, i64),
    pub(super) account_number: i64,
    pub(super) kind: ExecutionKind,
    pub(super) prompt: Option<i64>,
    pub(super) template: Option<i64>,
    pub(super) question: &'a str,
    pub(super) sql: Option<&'a str>,
    pub(super) parameters: String,
    pub(super) sources: &'a [i64],
    pub(super) schemas: String,
    pub(super) ai_model: Option<&'a str>,
    pub(super) lease_until: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// An execution that was added.
pub(super) struct Begun {
    pub(super) number: i64,
    /// The number of its workspace.
    pub(super) workspace: i64,
    /// After all that its person began before.
    pub(super) at: Timestamp,
}

/// When the last query of a person began; `$1` is the organization and `$account` the account.
macro_rules! last_begun {
    ($account:literal) => {
        concat!(
            "select coalesce(max(begun.started_at), 0) as last_begun from (
                 select max(started_at) as started_at from prompt_executions
                     where organization_id = $1 and account_id = ",
            $account,
            " union all
                 select max(started_at) from prompt_downloads where organization_id = $1 and account_id = ",
            $account,
            ") as begun"
        )
    };
}

/// What runs of an organization (`$1`) and of one account (`$3`) at an instant (`$5`).
macro_rules! running {
    () => {
        "select count(*) as all_of_them, count(case when account_id = $3 then 1 end) as own from prompt_executions
             where organization_id = $1 and lease_until is not null and lease_until > $5"
    };
}

/// Adds one where fewer run than may. `$first` is what the statement begins with, `$when` a condition.
macro_rules! added {
    ($first:literal, $when:literal) => {
        concat!(
            $first,
            "insert into prompt_executions (organization_id, workspace_id, account_id, account_number, kind, prompt_number,
                template_number, question, sql, parameters, sources, schemas, ai_model, status, ai_status, query_status,
                progress, lease_until, started_at, expires_at)
             select $1, found.id, $3, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'processing', $16, $17, 10, $18,
                case when latest.last_begun >= $5 then latest.last_begun + 1 else $5 end, $19
             from (",
            running!(),
            ") as running cross join (",
            last_begun!("$3"),
            ") as latest cross join (",
            workspace_of!(),
            ") as found where ",
            $when,
            "running.all_of_them < $20 and running.own < $21
             returning number, (select found.number from (",
            workspace_of!(),
            ") as found), started_at"
        )
    };
}

const ADDED: &str = added!("", "");

/// For PostgreSQL, with what [`Executions::lock`] does. A statement counts what was committed when it began. If another unit had the
/// organization locked then, or locked it since, it has written a version of its row that this one did not begin with, and nothing is done.
const LOCKED_AND_ADDED: &str = added!(
    "with locked as (
        update organizations set updated_at = updated_at
        where id = $1 and xmin = (select begun.xmin from organizations begun where begun.id = $1) returning 1
     ) ",
    "(select count(*) from locked) = 1 and "
);

/// Where a query is to run, and what runs.
pub(super) struct Standing {
    /// The key of the workspace; none where the person has no such.
    pub(super) workspace: Option<WorkspaceId>,
    /// Executions of the organization.
    pub(super) organization: i64,
    /// Those of the person among them.
    pub(super) own: i64,
}

/// Now, but after what was last, whatever the clocks of nodes say.
fn after(last: i64, now: Timestamp) -> Timestamp {
    Timestamp::from_micros(now.micros().max(last.saturating_add(1)))
}

/// How far one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) percent: i64,
    pub(crate) ai: PartStatus,
    pub(crate) query: Option<PartStatus>,
}

impl Executions<'_> {
    /// Keeps others of the organization from beginning until the unit ends, so that what runs is counted right.
    pub(super) async fn lock(&mut self, organization: OrganizationId) -> Result<()> {
        if self.0.note_locked(organization.0) {
            return Ok(());
        }
        lock_row!(self.0, "organizations", organization.0)
    }

    /// How many of the organization run, and how many of the person.
    pub(super) async fn running(&mut self, person: Person, now: Timestamp) -> Result<(i64, i64)> {
        fetch_one!(
            self.0,
            (i64, i64),
            "select count(*), count(case when account_id = $2 then 1 end) from prompt_executions
             where organization_id = $1 and lease_until is not null and lease_until > $3",
            person.organization.0,
            person.account.0,
            now.micros(),
        )
    }

    /// The same, with the workspace.
    pub(super) async fn standing(&mut self, asking: Asking) -> Result<Standing> {
        let (workspace, organization, own) = fetch_one!(
            self.0,
            (Option<Uuid>, i64, i64),
            concat!(
                "select found.id, running.all_of_them, running.own from (",
                running!(),
                ") as running left join (",
                workspace_of!(),
                ") as found on 1 = 1"
            ),
            asking.person.organization.0,
            asking.sees_all,
            asking.person.account.0,
            asking.workspace,
            asking.now.micros(),
        )?;
        Ok(Standing { workspace: workspace.map(WorkspaceId::from), organization, own })
    }

    /// When a query of the person begins that begins now: after all that began before, whatever the clocks of nodes say, so that each
    /// has its place in one order. Under [`Self::lock`].
    pub(super) async fn begins(&mut self, person: Person, now: Timestamp) -> Result<Timestamp> {
        let (last,) =
            fetch_one!(self.0, (i64,), last_begun!("$2"), person.organization.0, person.account.0,)?;
        Ok(after(last, now))
    }

    /// How many queries a person began after `since`, until `began` at the latest: executions, and results that were read in full.
    pub(crate) async fn began_between(
        &mut self,
        person: Person,
        since: Timestamp,
        began: Timestamp,
    ) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select (select count(*) from prompt_executions
                     where organization_id = $1 and account_id = $2 and started_at > $3 and started_at <= $4)
                  + (select count(*) from prompt_downloads
                     where organization_id = $1 and account_id = $2 and started_at > $3 and started_at <= $4)",
            person.organization.0,
            person.account.0,
            since.micros(),
            began.micros(),
        )?;
        Ok(count)
    }

    /// When the query began that has `later` ones of its person behind it, of those that began after `since`, until `began` at the latest.
    pub(crate) async fn began_before(
        &mut self,
        person: Person,
        since: Timestamp,
        began: Timestamp,
        later: i64,
    ) -> Result<Option<Timestamp>> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select started_at from (
                select started_at from prompt_executions
                where organization_id = $1 and account_id = $2 and started_at > $3 and started_at <= $4
                union all
                select started_at from prompt_downloads
                where organization_id = $1 and account_id = $2 and started_at > $3 and started_at <= $4
             ) begun order by started_at desc limit 1 offset $5",
            person.organization.0,
            person.account.0,
            since.micros(),
            began.micros(),
            later,
        )?;
        Ok(row.map(|(started_at,)| Timestamp::from_micros(started_at)))
    }

    /// Notes that a person reads a result in full.
    pub(super) async fn note_download(&mut self, person: Person, began: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "insert into prompt_downloads (organization_id, account_id, started_at) values ($1, $2, $3)",
            person.organization.0,
            person.account.0,
            began.micros(),
        )?;
        Ok(())
    }

    /// Removes notes of results that no limit counts any more.
    pub(crate) async fn prune_downloads(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "prompt_downloads",
            "number",
            "where started_at <= $1 order by started_at limit $2",
            now.minus(LONGEST_SPAN).micros(),
            at_most,
        )
    }

    /// Adds one, if there is its workspace and as many as may run do not yet: see [`Self::standing`]. Under [`Self::lock`], in one trip with it
    /// on PostgreSQL where the unit has not locked yet and no other unit of the organization does at the moment: each query asks for all of it.
    pub(super) async fn insert(&mut self, row: NewRow<'_>) -> Result<Option<Begun>> {
        let organization = row.asking.person.organization;
        if !self.0.note_locked(organization.0) && self.0.is_postgres() {
            if let Some(begun) = self.write_new(LOCKED_AND_ADDED, &row).await? {
                return Ok(Some(begun));
            }
            lock_row!(self.0, "organizations", organization.0)?;
        }
        self.write_new(ADDED, &row).await
    }

    async fn write_new(&mut self, sql: &'static str, row: &NewRow<'_>) -> Result<Option<Begun>> {
        let (asking, is_sql) = (row.asking, row.sql.is_some());
        let begun = fetch_optional!(
            self.0,
            (i64, i64, i64),
            sql,
            asking.person.organization.0,
            asking.sees_all,
            asking.person.account.0,
            asking.workspace,
            asking.now.micros(),
            row.account_number,
            row.kind.as_str(),
            row.prompt,
            row.template,
            row.question,
            row.sql,
            row.parameters.as_str(),
            stored_numbers(row.sources),
            row.schemas.as_str(),
            row.ai_model,
            if is_sql { PartStatus::Completed.as_str() } else { PartStatus::InProgress.as_str() },
            if is_sql { Some(PartStatus::Pending.as_str()) } else { None },
            row.lease_until.micros(),
            row.expires_at.micros(),
            row.most.0,
            row.most.1,
        )?;
        let read = |(number, workspace, at)| Begun { number, workspace, at: Timestamp::from_micros(at) };
        Ok(begun.map(read))
    }

    /// The person's own of that number.
    pub(crate) async fn own(&mut self, person: Person, number: i64) -> Result<Option<Execution>> {
        let row = fetch_optional!(
            self.0,
            Row,
            select!("where e.number = $3 and e.organization_id = $1 and e.account_id = $2"),
            person.organization.0,
            person.account.0,
            number,
        )?;
        row.map(Row::read).transpose()
    }

    /// A page of the person's own, the newest first: of a saved question, of a kind, in a state; null for any.
    pub(crate) async fn page(
        &mut self,
        person: Person,
        wanted: &super::read::Wanted,
    ) -> Result<(Vec<Execution>, i64)> {
        let status = wanted.status.map(ExecutionStatus::as_str);
        let kind = wanted.kind.map(ExecutionKind::as_str);
        let rows = fetch_all!(
            self.0,
            Row,
            select!(
                "where e.organization_id = $1 and e.account_id = $2 and ($3 is null or e.prompt_number = $3)
                    and ($4 is null or e.kind = $4) and ($5 is null or e.status = $5)
                 order by e.number desc limit $6 offset $7"
            ),
            person.organization.0,
            person.account.0,
            wanted.prompt,
            kind,
            status,
            wanted.page_size,
            wanted.page.saturating_sub(1).saturating_mul(wanted.page_size),
        )?;
        let (total,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from prompt_executions e
             where e.organization_id = $1 and e.account_id = $2 and ($3 is null or e.prompt_number = $3)
                and ($4 is null or e.kind = $4) and ($5 is null or e.status = $5)",
            person.organization.0,
            person.account.0,
            wanted.prompt,
            kind,
            status,
        )?;
        Ok((rows.into_iter().map(Row::read).collect::<Result<_>>()?, total))
    }

    /// Holds one for longer and writes how far it is, with what a model has explained so far. False when it is over: somebody called it
    /// off, or it was given up. One that another unit has is as it was: to delete an account that has much takes longer than others may
    /// wait for.
    pub(super) async fn renew(
        &mut self,
        number: i64,
        progress: Progress,
        draft: &Drafted,
        until: Timestamp,
    ) -> Result<bool> {
        let draft = Some(draft).filter(|draft| !draft.text.is_empty());
        let renewed = update_free!(
            self.0,
            "prompt_executions",
            "number",
            "lease_until = $2, progress = $3, ai_status = $4, query_status = $5, draft = $6, draft_attempt = $7",
            "where number = $1 and lease_until is not null",
            number,
            until.micros(),
            progress.percent,
            progress.ai.as_str(),
            progress.query.map(PartStatus::as_str),
            draft.map(|draft| draft.text.as_str()),
            draft.map(|draft| i64::from(draft.attempt)),
        )?;
        if renewed == 1 {
            return Ok(true);
        }
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from prompt_executions where number = $1 and lease_until is not null",
            number,
        )?;
        Ok(count == 1)
    }

    /// Ends one without a result. False when it was over already.
    pub(super) async fn stop(
        &mut self,
        number: i64,
        status: ExecutionStatus,
        why: (&str, &str),
        now: Timestamp,
    ) -> Result<bool> {
        let changed = execute!(
            self.0,
            "update prompt_executions set status = $2, progress = 100, error_code = $3, error_message = $4,
                ai_status = case when ai_status = 'completed' then 'completed' else 'failed' end,
                query_status = case when query_status is null then null else 'failed' end,
                completed_at = $5, total_ms = ($5 - started_at) / 1000, lease_until = null, draft = null, draft_attempt = null
             where number = $1 and lease_until is not null",
            number,
            status.as_str(),
            why.0,
            why.1,
            now.micros(),
        )?;
        Ok(changed == 1)
    }

    /// Executions whose node holds them no longer, with whose they are: it stopped, or is cut off.
    pub(super) async fn lost(&mut self, now: Timestamp, at_most: i64) -> Result<Vec<(i64, Person)>> {
        let rows = fetch_all!(
            self.0,
            (i64, uuid::Uuid, uuid::Uuid),
            "select number, organization_id, account_id from prompt_executions
             where lease_until is not null and lease_until <= $1 order by lease_until limit $2",
            now.micros(),
            at_most,
        )?;
        let person = |(number, organization, account): (i64, uuid::Uuid, uuid::Uuid)| {
            (number, Person { organization: organization.into(), account: account.into() })
        };
        Ok(rows.into_iter().map(person).collect())
    }

    /// Whether its node still holds it no longer.
    pub(super) async fn is_lost(&mut self, number: i64, now: Timestamp) -> Result<bool> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            "select count(*) from prompt_executions where number = $1 and lease_until is not null and lease_until <= $2",
            number,
            now.micros(),
        )?;
        Ok(count == 1)
    }

    /// Executions of a saved question that began in a period, up to its end, which is not in it, and are over.
    pub(crate) async fn ended_of_prompt(
        &mut self,
        prompt: i64,
        from: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<EndedRow>> {
        fetch_all!(
            self.0,
            EndedRow,
            "select status, started_at, sources, coalesce(ai_ms, 0) as ai_ms, coalesce(query_ms, 0) as query_ms,
                coalesce(total_ms, 0) as total_ms
             from prompt_executions
             where prompt_number = $1 and started_at >= $2 and started_at < $3 and lease_until is null",
            prompt,
            from.micros(),
            end.micros(),
        )
    }

    /// How many of the organization, or of the person in it, run.
    pub(crate) async fn count_running(&mut self, person: Person, all: bool, now: Timestamp) -> Result<i64> {
        let (organization, own) = self.running(person, now).await?;
        Ok(if all { organization } else { own })
    }

    /// Removes executions whose time is over.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "prompt_executions",
            "number",
            "where expires_at <= $1 order by expires_at limit $2",
            now.micros(),
            at_most,
        )
    }
}
