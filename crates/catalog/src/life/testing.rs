//! A source is tested.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_connect::{ErrorCode, SourceError, Tested};
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::jobs::JobRun;
use tidegate_kernel::{Actor, KernelTables};
use tokio::time::timeout;

use crate::life::checks_repository::Noted;
use crate::life::open::NotOpen;
use crate::life::slots::Slot;
use crate::schemas::discovery_job;
use crate::sources::find::seen;
use crate::sources::{DataSource, SourceRefusal};
use crate::{Catalog, CatalogTables};

/// How long a request waits for a place among what runs.
pub(crate) const WAIT_FOR_PLACE: Duration = Duration::from_secs(5);
/// When a client is asked to come back that found none.
pub(crate) const BUSY_FOR: u64 = 5;

/// What a test found.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// The source's number.
    pub number: i64,
    /// When.
    pub tested_at: Timestamp,
    /// What it answered, or why it did not. The message may be answered to clients, the detail may not.
    pub outcome: Result<Tested, SourceError>,
    /// What looks well and is not: to whom no policy hides anything.
    pub warnings: Vec<String>,
}

/// What became of a test's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// It is noted.
    Noted,
    /// The source was changed or deleted meanwhile, or another worker has the job.
    Outdated,
}

impl Catalog {
    /// Tests a data source of the caller's organization, and notes the result. It is a read at the source, whatever the query. That a query
    /// of the caller's own failed is answered, and not noted.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}/test".
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`], also when it was deleted meanwhile; [`SourceRefusal::Governed`]; [`SourceRefusal::Busy`].
    pub async fn test_data_source(
        self: &Arc<Self>,
        actor: &Actor,
        number: i64,
        query: Option<String>,
        limit: Option<Duration>,
    ) -> Outcome<TestReport, SourceRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ManageDataSources).await?;
        let source = seen(&mut unit, grant, number).await?;
        drop(unit);
        let governed = self.governs(grant, &source).await?;
        if query.is_some() && governed {
            return refuse(SourceRefusal::Governed);
        }
        let sees_all = self.view(grant, &source).await?.is_none();
        let (catalog, asked) = (Arc::clone(self), source.clone());
        // In a task of its own: a client that goes away does not keep the result from being noted.
        let tested = tokio::spawn(async move { catalog.tested(&asked, query.as_deref(), limit).await });
        let mut report =
            tested.await.map_err(|error| Fault::Internal(format!("a test ended early: {error}")))??;
        // Of a file and its like the result is how many rows and columns there are, hidden ones included.
        if governed && let Ok(tested) = &mut report.outcome {
            tested.result = None;
        }
        // Names are noted with no result: everybody who sees the source reads why it failed.
        if sees_all {
            self.say_more(&source, &mut report).await?;
            if report.outcome.is_ok() {
                report.warnings.extend(self.said_of_newer(grant, &source).await?);
            }
        }
        Ok(report)
    }

    /// Tests a source and notes the result. Waiting for a place and the test together take no longer than a request may.
    #[expect(
        clippy::disallowed_methods,
        reason = "what is left of the time is told by no clock that stands still"
    )]
    pub(crate) async fn tested(
        &self,
        source: &DataSource,
        query: Option<&str>,
        limit: Option<Duration>,
    ) -> Outcome<TestReport, SourceRefusal> {
        let begun = Instant::now();
        let Some(slot) = self.slots.take(source.organization, WAIT_FOR_PLACE).await else {
            return refuse(SourceRefusal::Busy { retry_after: BUSY_FOR });
        };
        let left = self.settings.longest_wait.saturating_sub(begun.elapsed());
        let limit = limit.unwrap_or_else(|| connection_timeout(source)).min(left);
        let outcome = self.attempt(source, query, limit).await?;
        drop(slot);
        let (number, tested_at, warnings) = (source.number, self.kernel.now(), Vec::new());
        let report = TestReport { number, tested_at, outcome, warnings };
        let is_noted = tells_of_source(&report.outcome, query.is_some())
            && self.record(source, &report, None).await? == Record::Noted;
        if !is_noted && self.kernel.store.read().await?.data_sources().find(source.id).await?.is_none() {
            return refuse(SourceRefusal::NotFound);
        }
        Ok(report)
    }

    /// Tests a source for a job: with the retries that its settings allow where it cannot be reached.
    pub(crate) async fn attempts(
        &self,
        source: &DataSource,
        slot: Slot,
    ) -> Result<Result<Tested, SourceError>, Fault> {
        let limit = connection_timeout(source).min(self.settings.longest_wait);
        let mut pause = Duration::from_millis(100);
        let mut retries = source.connection.max_retries;
        loop {
            let outcome = self.attempt(source, None, limit).await?;
            match &outcome {
                Err(error) if error.code == ErrorCode::Connection && retries > 0 => {
                    tokio::time::sleep(pause).await;
                    (pause, retries) = (pause * 2, retries - 1);
                }
                _ => {
                    drop(slot);
                    return Ok(outcome);
                }
            }
        }
    }

    /// One attempt, over when its time is.
    async fn attempt(
        &self,
        source: &DataSource,
        query: Option<&str>,
        limit: Duration,
    ) -> Result<Result<Tested, SourceError>, Fault> {
        let ask = async {
            self.ensure_kept(source).await?;
            let open = self.opened(source).await?;
            Ok::<_, NotOpen>(open.test(query, limit).await?)
        };
        let outcome = match timeout(limit, ask).await {
            Ok(Ok(tested)) => Ok(tested),
            Ok(Err(NotOpen::Fault(fault))) => return Err(fault),
            Ok(Err(NotOpen::Source(error))) => Err(error),
            Err(_elapsed) => Err(out_of_time(limit)),
        };
        let ran_out = outcome.as_ref().is_err_and(|error| error.code == ErrorCode::Timeout);
        self.slots.note(source.organization, ran_out);
        let outcome = match outcome {
            Ok(tested) => return Ok(Ok(tested)),
            Err(error) => error,
        };
        tracing::info!(
            data_source = source.number,
            code = outcome.code.as_str(),
            detail = outcome.detail,
            "a data source did not answer its test: {}",
            outcome.message
        );
        // What failed is opened anew the next time.
        if tells_of_connection(outcome.code) {
            self.pools.drop_source(source.id).await;
        }
        Ok(Err(outcome))
    }

    /// Notes a result. Once a source answers whose tables are not known, they are discovered.
    pub(crate) async fn record(
        &self,
        source: &DataSource,
        report: &TestReport,
        run: Option<&JobRun>,
    ) -> Result<Record, Fault> {
        let host_key = match &report.outcome {
            Ok(tested) if tested.tunnel => {
                self.pools.find(source, report.tested_at).and_then(|open| open.host_key())
            }
            _ => None,
        };
        let mut unit = self.kernel.store.begin().await?;
        if let Some(run) = run
            && !run.renew(&mut unit).await?
        {
            return Ok(Record::Outdated);
        }
        let noted = Noted {
            outcome: report.outcome.as_ref().map(|tested| micros(tested.elapsed)),
            host_key,
            give_up_after: self.settings.give_up_after,
            now: report.tested_at,
            expires_at: report.tested_at.plus(self.settings.keep_checks),
        };
        if !unit.data_source_checks().note(source, &noted).await? {
            return Ok(Record::Outdated);
        }
        if report.outcome.is_ok() && source.schema_discovered_at.is_none() {
            unit.jobs().enqueue(&discovery_job::of(&self.kernel, source.id)?).await?;
        }
        unit.commit().await?;
        Ok(Record::Noted)
    }
}

/// Whether an error says something of the connection: not that a query was refused, nor that this server has no room for a copy.
pub(crate) fn tells_of_connection(code: ErrorCode) -> bool {
    !matches!(code, ErrorCode::Query | ErrorCode::LocalDisk)
}

/// Whether a test's result says how the source is. A query of the caller's own that is refused, has no end, is nothing for this type of
/// source or fetches more than there is room for says how the query is: else a member could stop others' queries and have the source
/// reported as failed.
fn tells_of_source(outcome: &Result<Tested, SourceError>, is_own_query: bool) -> bool {
    match outcome {
        Err(error) if is_own_query => !matches!(
            error.code,
            ErrorCode::Query | ErrorCode::Timeout | ErrorCode::UnsupportedType | ErrorCode::LocalDisk
        ),
        _ => true,
    }
}

pub(crate) fn out_of_time(limit: Duration) -> SourceError {
    let text = format!("The data source did not answer within {} s.", limit.as_secs());
    SourceError::new(ErrorCode::Timeout, text)
}

fn connection_timeout(source: &DataSource) -> Duration {
    Duration::from_secs(source.connection.connection_timeout.into())
}

fn micros(elapsed: Duration) -> i64 {
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_server_lacks_says_nothing_of_the_connection() {
        for code in [ErrorCode::Query, ErrorCode::LocalDisk] {
            assert!(!tells_of_connection(code), "{code}");
        }
        for code in [ErrorCode::Connection, ErrorCode::Timeout, ErrorCode::FileNotFound] {
            assert!(tells_of_connection(code), "{code}");
        }
    }

    #[test]
    fn a_query_of_ones_own_says_nothing_of_the_source() {
        let failed = |code| Err(SourceError::new(code, "no"));
        for code in [ErrorCode::Query, ErrorCode::Timeout, ErrorCode::UnsupportedType, ErrorCode::LocalDisk] {
            assert!(!tells_of_source(&failed(code), true), "{code}");
            assert!(tells_of_source(&failed(code), false), "{code}");
        }
        for code in
            [ErrorCode::Connection, ErrorCode::Authentication, ErrorCode::SshTunnel, ErrorCode::FileNotFound]
        {
            assert!(tells_of_source(&failed(code), true), "{code}");
        }
        let elapsed = Duration::from_millis(1);
        assert!(tells_of_source(&Ok(Tested { version: None, result: None, tunnel: false, elapsed }), true));
    }
}
