//! How a source did.

use std::time::Duration;

use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Outcome;

use crate::life::file::no_file;
use crate::sources::find::seen;
use crate::sources::{SourceRefusal, SourceStatus};
use crate::{Catalog, CatalogTables};

pub use super::checks_repository::Check;

/// What counts as lately.
const LATELY: Duration = Duration::from_secs(24 * 3_600);

/// How a source did.
#[derive(Clone, Debug)]
pub struct Health {
    /// Its number.
    pub number: i64,
    /// What state it is in.
    pub status: SourceStatus,
    /// The newest results, newest first.
    pub history: Vec<Check>,
    /// How many of a hundred tests it answered, of all that are kept; 0 when there is none.
    pub uptime_percentage: f64,
    /// Response times of the history, in milliseconds; none when it holds no answer.
    pub times: Option<Times>,
    /// Tests that it did not answer in the last 24 hours.
    pub failed_lately: i64,
    /// When it last did not.
    pub last_failure_at: Option<Timestamp>,
    /// Why, where it still does not.
    pub failure_reason: Option<String>,
}

/// Response times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// On average.
    pub average: f64,
    /// The shortest.
    pub shortest: i64,
    /// The longest.
    pub longest: i64,
}

impl Catalog {
    /// How a data source of the caller's organization did, with its newest results.
    ///
    /// Source: RiverGen "data-sources/{data_source_id}/health".
    ///
    /// # Errors
    /// [`SourceRefusal::NotFound`].
    pub async fn data_source_health(
        &self,
        actor: &Actor,
        number: i64,
        limit: i64,
    ) -> Outcome<Health, SourceRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadDataSources).await?;
        let source = seen(&mut unit, grant, number).await?;
        let history = unit.data_source_checks().newest(source.id, limit).await?;
        let lately = self.kernel.now().minus(LATELY);
        let tally = unit.data_source_checks().tally(source.id, lately).await?;
        // A file may go in more ways than by its owner's hand, such as with their account: the next test writes it down.
        let is_there = self.has_file_in(&mut unit, &source).await?;
        let status = match source.status {
            SourceStatus::Active | SourceStatus::Testing if !is_there => SourceStatus::Failed,
            status => status,
        };
        let lost = source.connection.file_path.as_deref().filter(|_| !is_there);
        let lost = lost.map(|path| no_file(&source, path).message);
        Ok(Health {
            number,
            status,
            times: times(&history),
            history,
            uptime_percentage: percentage(tally.answered, tally.total),
            failed_lately: tally.failed_lately,
            last_failure_at: source.last_failure_at,
            failure_reason: lost.or(source.failure_reason),
        })
    }
}

fn times(history: &[Check]) -> Option<Times> {
    let times: Vec<i64> = history.iter().filter_map(|check| check.response_time_ms).collect();
    let (shortest, longest) = (times.iter().copied().min()?, times.iter().copied().max()?);
    let sum: i64 = times.iter().sum();
    Some(Times { average: ratio(sum, times.len().try_into().unwrap_or(i64::MAX)), shortest, longest })
}

fn percentage(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { (ratio(part, whole) * 10_000.0).round() / 100.0 }
}

/// Exact enough: both are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds are far below 2^53")]
pub(super) fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_answers() {
        let check = |response_time_ms: Option<i64>| Check {
            answered: response_time_ms.is_some(),
            response_time_ms,
            checked_at: Timestamp::from_micros(0),
        };
        assert_eq!(times(&[]), None);
        assert_eq!(times(&[check(None)]), None);
        let found = times(&[check(Some(10)), check(None), check(Some(15))]);
        assert_eq!(found, Some(Times { average: 12.5, shortest: 10, longest: 15 }));
        assert_eq!((percentage(2, 3), percentage(0, 0), percentage(3, 3)), (66.67, 0.0, 100.0));
    }
}
