//! What policies decided, in the store.

use tidegate_database::{
    MOST_ROWS, Result, Unit, execute, execute_rows, fetch_all, fetch_one, prune, put_off_rows, rows,
};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};

use super::find::{EvaluationListing, StoredEvaluation};
use super::record::{Evaluated, NewEvaluation, evaluations_of};

/// Up to the values of its rows, each of [`COLUMNS`].
const INSERT: &str = "insert into policy_evaluations (organization_id, policy_number, policy_version, rule_number, user_id, query_id,
    data_source_id, relation, result, action, details, ip, metadata, evaluated_at, expires_at) values";
const COLUMNS: usize = 15;

/// What policies decided, of a unit of work.
pub struct Evaluations<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    policy_number: Option<i64>,
    policy_version: Option<i64>,
    rule_number: Option<i64>,
    user_id: i64,
    query_id: Option<i64>,
    data_source_id: i64,
    dataset_id: Option<i64>,
    relation: String,
    result: String,
    action: String,
    details: String,
    ip: String,
    metadata: String,
    evaluated_at: i64,
}

impl Row {
    fn read(self) -> StoredEvaluation {
        StoredEvaluation {
            number: self.number,
            policy: self.policy_number,
            policy_version: self.policy_version,
            rule: self.rule_number,
            user: self.user_id,
            query: self.query_id,
            data_source: self.data_source_id,
            dataset: self.dataset_id,
            relation: self.relation,
            result: self.result,
            action: self.action,
            details: self.details,
            ip: self.ip,
            metadata: self.metadata,
            evaluated_at: Timestamp::from_micros(self.evaluated_at),
        }
    }
}

/// A row to be added.
pub(crate) struct StoredRow {
    organization: OrganizationId,
    user: i64,
    query: Option<i64>,
    source: i64,
    relation: String,
    evaluation: NewEvaluation,
    ip: String,
    metadata: String,
    now: Timestamp,
    expires_at: Timestamp,
}

impl StoredRow {
    /// Those of one relation.
    pub(super) fn all_of(evaluated: &Evaluated<'_>, now: Timestamp, expires_at: Timestamp) -> Vec<Self> {
        let relation = evaluated.relation;
        let name = match &relation.schema {
            Some(schema) => format!("{schema}.{}", relation.table),
            None => relation.table.clone(),
        };
        let metadata = serde_json::Value::Object(evaluated.metadata.clone()).to_string();
        let row = |evaluation| Self {
            organization: evaluated.organization,
            user: evaluated.user,
            query: evaluated.query,
            source: relation.source,
            relation: name.clone(),
            evaluation,
            ip: evaluated.ip.to_owned(),
            metadata: metadata.clone(),
            now,
            expires_at,
        };
        evaluations_of(evaluated).into_iter().map(row).collect()
    }
}

/// Writes rows by one of the macros that write several.
macro_rules! write_rows {
    ($how:ident, $unit:expr, $sql:expr, $rows:expr) => {
        $how!(
            $unit,
            $sql,
            [],
            $rows,
            row => [
                row.organization.0,
                row.evaluation.policy.map(|policy| policy.id),
                row.evaluation.policy.map(|policy| policy.version),
                row.evaluation.rule,
                row.user,
                row.query,
                row.source,
                row.relation.as_str(),
                row.evaluation.outcome.as_str(),
                row.evaluation.action.as_str(),
                serde_json::Value::Object(row.evaluation.details.clone()).to_string(),
                row.ip.as_str(),
                row.metadata.as_str(),
                row.now.micros(),
                row.expires_at.micros(),
            ],
        )
    };
}

/// `$1` to `$5` are policy, account, query, first and last instant, null for any.
macro_rules! filtered {
    () => {
        " from policy_evaluations where policy_number = $1 and ($2 is null or user_id = $2)
            and ($3 is null or query_id = $3) and ($4 is null or evaluated_at >= $4)
            and ($5 is null or evaluated_at <= $5) "
    };
}

impl Evaluations<'_> {
    /// Adds what was decided. A query under many policies has many rows, and its own end waits for the writer behind them: several rows are
    /// one statement.
    pub(super) async fn insert(&mut self, all: &[&StoredRow]) -> Result<()> {
        for few in all.chunks(MOST_ROWS) {
            write_rows!(execute_rows, self.0, rows(INSERT, 0, COLUMNS, few.len(), ""), few)?;
        }
        Ok(())
    }

    /// Has the unit add the same with its next statement that is not put off, or at its end.
    pub(super) async fn put_off(&mut self, all: &[StoredRow]) -> Result<()> {
        for few in all.chunks(MOST_ROWS) {
            write_rows!(put_off_rows, self.0, &rows(INSERT, 0, COLUMNS, few.len(), ""), few)?;
        }
        Ok(())
    }

    /// A page of what a policy decided, newest first.
    pub(crate) async fn page(
        &mut self,
        policy: i64,
        listing: &EvaluationListing,
    ) -> Result<Vec<StoredEvaluation>> {
        let rows = fetch_all!(
            self.0,
            Row,
            concat!(
                "select number, policy_number, policy_version, rule_number, user_id, query_id, data_source_id, dataset_id,
                    relation, result, action, details, ip, metadata, evaluated_at",
                filtered!(),
                "order by evaluated_at desc, number desc limit $6 offset $7"
            ),
            policy,
            listing.user,
            listing.query,
            listing.from.map(Timestamp::micros),
            listing.until.map(Timestamp::micros),
            listing.page_size,
            listing.skipped(),
        )?;
        Ok(rows.into_iter().map(Row::read).collect())
    }

    /// How many there are in all pages.
    pub(crate) async fn count(&mut self, policy: i64, listing: &EvaluationListing) -> Result<i64> {
        let (count,) = fetch_one!(
            self.0,
            (i64,),
            concat!("select count(*)", filtered!()),
            policy,
            listing.user,
            listing.query,
            listing.from.map(Timestamp::micros),
            listing.until.map(Timestamp::micros),
        )?;
        Ok(count)
    }

    /// What was decided for an account lately: data source, relation, result, when.
    pub(crate) async fn of_account(
        &mut self,
        account: AccountId,
    ) -> Result<Vec<(i64, String, String, Timestamp)>> {
        let rows = fetch_all!(
            self.0,
            (i64, String, String, i64),
            "select data_source_id, relation, result, evaluated_at from policy_evaluations
             where user_id = (select number from accounts where id = $1) order by number desc limit 1000",
            account.0,
        )?;
        let read = |(source, relation, result, at)| (source, relation, result, Timestamp::from_micros(at));
        Ok(rows.into_iter().map(read).collect())
    }

    /// Removes what was decided for an account.
    pub(crate) async fn forget(&mut self, account: AccountId) -> Result<()> {
        execute!(
            self.0,
            "delete from policy_evaluations where user_id = (select number from accounts where id = $1)",
            account.0,
        )?;
        Ok(())
    }

    /// Removes some that are no longer kept; answers how many.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "policy_evaluations",
            "number",
            "where expires_at < $1 order by expires_at limit $2",
            now.micros(),
            at_most,
        )
    }
}
