//! Results of tests in the store.

use tidegate_connect::SourceError;
use tidegate_database::{Result, Unit, execute, fetch_all, fetch_one, fetch_optional, prune};
use tidegate_domain::Timestamp;
use tidegate_domain::id::DataSourceId;
use tidegate_kernel::changes;
use uuid::Uuid;

use crate::maintenance::MAX_CHECKS;
use crate::sources::DataSource;

/// Results of tests of a unit of work.
pub struct Checks<'u>(pub(crate) &'u mut Unit);

/// One result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whether the source answered.
    pub answered: bool,
    /// How long that took, in milliseconds.
    pub response_time_ms: Option<i64>,
    /// When.
    pub checked_at: Timestamp,
}

/// How a source did, over all results that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) total: i64,
    pub(super) answered: i64,
    pub(super) failed_lately: i64,
}

/// What is to be noted of a test.
pub(crate) struct Noted<'a> {
    /// How long it took to answer, in microseconds, or why it did not.
    pub(crate) outcome: std::result::Result<i64, &'a SourceError>,
    /// The key that the tunnel's server showed.
    pub(crate) host_key: Option<String>,
    /// Failures in a row after which it is inactive; 0 for never.
    pub(crate) give_up_after: u32,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Checks<'_> {
    /// Notes a test of that version of a source. False when the source was changed or deleted meanwhile: then nothing is noted.
    pub(crate) async fn note(&mut self, source: &DataSource, noted: &Noted<'_>) -> Result<bool> {
        let changed = match noted.outcome {
            Ok(micros) => {
                execute!(
                    self.0,
                    "update data_sources set status = case when status = 'maintenance' then status else 'active' end,
                        last_tested_at = $3, last_success_at = $3, failure_count = 0, failure_reason = null,
                        queries_succeeded = queries_succeeded + 1, query_micros = query_micros + $4,
                        ssh_host_key = case when ssh_host_key is null then $5 else ssh_host_key end
                     where id = $1 and version = $2 and deleted_at is null",
                    source.id.0,
                    source.version,
                    noted.now.micros(),
                    micros,
                    noted.host_key.as_deref(),
                )?
            }
            Err(error) => {
                execute!(
                    self.0,
                    "update data_sources set last_tested_at = $3, last_failure_at = $3, failure_reason = $4,
                        failure_count = failure_count + 1, queries_failed = queries_failed + 1,
                        status = case when status = 'maintenance' then status
                            when $5 > 0 and failure_count + 1 >= $5 then 'inactive' else 'failed' end
                     where id = $1 and version = $2 and deleted_at is null",
                    source.id.0,
                    source.version,
                    noted.now.micros(),
                    error.message.as_str(),
                    i64::from(noted.give_up_after),
                )?
            }
        };
        if changed == 0 {
            return Ok(false);
        }
        // Queries of now on go nowhere else. What else a test changes, none of them asks for.
        if noted.host_key.is_some() && source.ssh_host_key.is_none() {
            self.0.note(changes::data_sources(source.organization));
        }
        execute!(
            self.0,
            "insert into data_source_checks (source_id, status, response_time_ms, error_code, checked_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            source.id.0,
            if noted.outcome.is_ok() { "active" } else { "failed" },
            noted.outcome.ok().map(|micros| micros / 1_000),
            noted.outcome.err().map(|error| error.code.as_str()),
            noted.now.micros(),
            noted.expires_at.micros(),
        )?;
        execute!(
            self.0,
            "delete from data_source_checks where source_id = $1 and number <=
                (select number from data_source_checks where source_id = $1 order by number desc limit 1 offset $2)",
            source.id.0,
            MAX_CHECKS,
        )?;
        Ok(true)
    }

    /// The newest results of a source, newest first.
    pub(super) async fn newest(&mut self, source: DataSourceId, at_most: i64) -> Result<Vec<Check>> {
        let rows = fetch_all!(
            self.0,
            (String, Option<i64>, i64),
            "select status, response_time_ms, checked_at from data_source_checks
             where source_id = $1 order by number desc limit $2",
            source.0,
            at_most,
        )?;
        let checks = rows.into_iter().map(|(status, response_time_ms, checked_at)| Check {
            answered: status == "active",
            response_time_ms,
            checked_at: Timestamp::from_micros(checked_at),
        });
        Ok(checks.collect())
    }

    /// How the source did, over all results that are kept; lately is since then.
    pub(super) async fn tally(&mut self, source: DataSourceId, lately: Timestamp) -> Result<Tally> {
        let (total, answered, failed_lately) = fetch_one!(
            self.0,
            (i64, i64, i64),
            "select count(*), count(case when status = 'active' then 1 end),
                count(case when status = 'failed' and checked_at >= $2 then 1 end)
             from data_source_checks where source_id = $1",
            source.0,
            lately.micros(),
        )?;
        Ok(Tally { total, answered, failed_lately })
    }

    /// Removes results whose time is over.
    pub(crate) async fn prune(&mut self, now: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "data_source_checks",
            "number",
            "where expires_at <= $1 order by expires_at limit $2",
            now.micros(),
            at_most,
        )
    }

    /// Sources that are due for a check.
    pub(super) async fn due(&mut self, now: Timestamp, at_most: i64) -> Result<Vec<DataSourceId>> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select id from data_sources where next_check_at <= $1 and deleted_at is null
                and status in ('active', 'failed', 'testing') order by next_check_at limit $2",
            now.micros(),
            at_most,
        )?;
        Ok(rows.into_iter().map(|(id,)| id.into()).collect())
    }

    /// Sources whose tables are due to be discovered again.
    pub(super) async fn due_for_discovery(
        &mut self,
        now: Timestamp,
        at_most: i64,
    ) -> Result<Vec<DataSourceId>> {
        let rows = fetch_all!(
            self.0,
            (Uuid,),
            "select id from data_sources where next_discovery_at is not null and next_discovery_at <= $1
                and deleted_at is null and status = 'active' order by next_discovery_at limit $2",
            now.micros(),
            at_most,
        )?;
        Ok(rows.into_iter().map(|(id,)| id.into()).collect())
    }

    /// Whether anything is due.
    pub(super) async fn is_anything_due(&mut self, now: Timestamp, horizon: Timestamp) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (i64,),
            "select number from data_sources where deleted_at is null and status in ('active', 'failed', 'testing')
                and (next_check_at <= $1 or next_check_at > $2 or (next_discovery_at <= $1 and status = 'active'))
             limit 1",
            now.micros(),
            horizon.micros(),
        )?;
        Ok(row.is_some())
    }

    /// Sets when a source is checked next.
    pub(super) async fn check_at(&mut self, id: DataSourceId, at: Timestamp) -> Result<()> {
        execute!(self.0, "update data_sources set next_check_at = $2 where id = $1", id.0, at.micros())?;
        Ok(())
    }

    /// Sets when the tables of a source are discovered next.
    pub(super) async fn discover_at(&mut self, id: DataSourceId, at: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update data_sources set next_discovery_at = $2 where id = $1 and next_discovery_at is not null",
            id.0,
            at.micros(),
        )?;
        Ok(())
    }

    /// Brings forward what a node whose clock was ahead has put off.
    pub(super) async fn bring_forward(&mut self, horizon: Timestamp, to: Timestamp) -> Result<u64> {
        execute!(
            self.0,
            "update data_sources set next_check_at = $2 where next_check_at > $1 and deleted_at is null",
            horizon.micros(),
            to.micros(),
        )
    }
}
