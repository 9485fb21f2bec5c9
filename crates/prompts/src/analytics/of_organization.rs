//! What the questions and queries of a person, or of all of an organization, come to over some days.

use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::Actor;
use tidegate_kernel::fault::{Outcome, Refused, refuse};

use super::period::{Days, date, zone};
use super::repository::{QuestionSums, Scope, SourceSums, Sums};
use crate::executions::execution::words;
use crate::ports::SourceName;
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// Questions that are shown.
const QUESTIONS: i64 = 10;
/// Shares of failures from which a data source is degraded, and down.
const DEGRADED: f64 = 0.1;
const DOWN: f64 = 0.5;

words! {
    /// Which days.
    Period {
        /// Today and six before.
        Last7Days = "last_7_days",
        /// Today and 29 before.
        Last30Days = "last_30_days",
        /// From a date to another.
        Custom = "custom",
    }
}

words! {
    /// What is shown of each day.
    Metric {
        /// How long an execution took, in seconds.
        ExecutionTime = "execution_time",
        /// How many there were.
        QueryCount = "query_count",
        /// How many of those that came to their end had a result, from 0 to 1.
        SuccessRate = "success_rate",
    }
}

/// Which analytics are wanted.
#[derive(Clone, Debug)]
pub struct WantedAnalytics {
    /// Which days.
    pub period: Period,
    /// For custom ones.
    pub start: Option<String>,
    /// For custom ones.
    pub end: Option<String>,
    /// What is shown of each day.
    pub metric: Metric,
    /// Whose days and hours they are: a name of the IANA database. UTC when none is given.
    pub time_zone: Option<String>,
}

/// A question that was asked often.
#[derive(Clone, Debug)]
pub struct FrequentQuestion {
    /// Its beginning.
    pub preview: String,
    /// How often.
    pub executions: i64,
    /// How long it took, in seconds.
    pub average_seconds: f64,
    /// Last.
    pub last_run: Timestamp,
}

/// How a data source did.
#[derive(Clone, Debug)]
pub struct SourcePerformance {
    /// It.
    pub source: SourceName,
    /// How often it was asked.
    pub queries: i64,
    /// How long queries that read it took, in milliseconds.
    pub average_ms: f64,
    /// `healthy`, `degraded` or `down`.
    pub health: &'static str,
}

/// What questions and queries come to over some days.
#[derive(Clone, Debug)]
pub struct QueryAnalytics {
    /// Sums of them.
    pub sums: Sums,
    /// Sums of the period of equal length before.
    pub before: Sums,
    /// Date and value of each day.
    pub series: Vec<(String, f64)>,
    /// What was asked most.
    pub questions: Vec<FrequentQuestion>,
    /// Executions under way.
    pub running: i64,
    /// Executions by the hour of the day at which they began.
    pub hours: [i64; 24],
    /// Data sources that were asked, the most used first.
    pub sources: Vec<SourcePerformance>,
    /// First day.
    pub start: String,
    /// Last day.
    pub end: String,
}

/// An average; 0 of none.
pub fn average(sum: i64, count: i64) -> f64 {
    if count == 0 { 0.0 } else { sum as f64 / count as f64 }
}

impl Sums {
    /// How many of those that came to their end had a result, from 0 to 1; 0 of none.
    pub fn success_rate(&self) -> f64 {
        average(self.succeeded, self.succeeded + self.failed)
    }

    fn value(&self, metric: Metric) -> f64 {
        match metric {
            Metric::ExecutionTime => average(self.total_ms, self.executions) / 1_000.0,
            Metric::QueryCount => self.executions as f64,
            Metric::SuccessRate => self.success_rate(),
        }
    }
}

impl WantedAnalytics {
    fn days(&self, now: Timestamp) -> Result<Days, PromptRefusal> {
        let zone = zone(self.time_zone.as_deref())?;
        match self.period {
            Period::Last7Days => Days::last(7, zone, now),
            Period::Last30Days => Days::last(30, zone, now),
            Period::Custom => {
                let (Some(start), Some(end)) = (&self.start, &self.end) else {
                    return Err(PromptRefusal::Period(
                        "start_date and end_date are required with period=custom",
                    ));
                };
                let (start, end) = (date(start, &zone)?, date(end, &zone)?);
                Days::between(start, end, zone)
            }
        }
    }
}

impl Prompts {
    /// What questions and queries come to over some days: those of all members for administrators, else the caller's own.
    ///
    /// Source: RiverGen "prompts/analytics/query-analytics".
    ///
    /// # Errors
    /// [`PromptRefusal::Period`].
    pub async fn query_analytics(
        &self,
        actor: &Actor,
        wanted: &WantedAnalytics,
    ) -> Outcome<QueryAnalytics, PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        let now = self.kernel.now();
        let days = wanted.days(now).map_err(Refused::Rule)?;
        let (Some(first), Some(last)) = (days.days.first(), days.days.last()) else {
            return refuse(PromptRefusal::Period("the period has no day"));
        };
        let scope = Scope { person: Person::of(grant), all: grant.allows(Permission::AdministerPrompts) };
        let by_quarter = unit.prompt_usage().by_quarter(scope, days.whole()).await?;
        let (mut sums, mut by_day, mut hours) =
            (Sums::default(), vec![Sums::default(); days.days.len()], [0_i64; 24]);
        for (quarter, of_quarter) in by_quarter {
            sums = sums.plus(of_quarter);
            if let Some(day) = days.day_of(quarter).and_then(|place| by_day.get_mut(place)) {
                *day = day.plus(of_quarter);
            }
            if let Some(hour) = hours.get_mut(days.hour_of(quarter)) {
                *hour += of_quarter.executions;
            }
        }
        let series =
            days.days.iter().zip(&by_day).map(|(day, of)| (day.date.clone(), of.value(wanted.metric)));
        let questions = unit.prompt_usage().questions(scope, days.whole(), QUESTIONS).await?;
        let used = unit.prompt_usage().sources(scope, days.whole()).await?;
        let names = self.ports.sources.seen(&mut unit, grant).await?;
        Ok(QueryAnalytics {
            sums,
            before: unit.prompt_usage().total(scope, days.before()).await?,
            series: series.collect(),
            questions: questions.into_iter().map(FrequentQuestion::from).collect(),
            running: unit.prompt_executions().count_running(scope.person, scope.all, now).await?,
            hours,
            sources: used.into_iter().filter_map(|sums| performance(&names, &sums)).collect(),
            start: first.date.clone(),
            end: last.date.clone(),
        })
    }
}

impl From<QuestionSums> for FrequentQuestion {
    fn from(sums: QuestionSums) -> Self {
        Self {
            preview: sums.preview,
            executions: sums.executions,
            average_seconds: average(sums.total_ms, sums.executions) / 1_000.0,
            last_run: Timestamp::from_micros(sums.last_run_at),
        }
    }
}

/// How a source did; none for one that is gone, or is not the caller's to see.
fn performance(names: &[SourceName], sums: &SourceSums) -> Option<SourcePerformance> {
    let source = names.iter().find(|source| source.number == sums.source_number)?.clone();
    let failures = average(sums.failed, sums.executions);
    let health = match source.status.as_str() {
        "failed" | "inactive" => "down",
        _ if failures >= DOWN => "down",
        _ if failures >= DEGRADED => "degraded",
        _ => "healthy",
    };
    Some(SourcePerformance {
        source,
        queries: sums.executions,
        average_ms: average(sums.query_ms, sums.executions),
        health,
    })
}
