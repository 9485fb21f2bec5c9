//! What questions and queries come to.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tidegate_prompts::analytics::of_organization::{
    FrequentQuestion, Metric, Period, QueryAnalytics, SourcePerformance, WantedAnalytics, average,
};
use tidegate_prompts::analytics::of_prompt::PromptAnalytics;
use utoipa::{IntoParams, ToSchema};

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer};
use super::super::responses::{Envelope, envelope};
use super::error::{NumberPath, no_query, number};
use super::fields::word;
use crate::wire::fields::{Check, Violations};
use crate::wire::state::App;

/// Which time is meant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PromptAnalyticsQuery {
    /// ISO 8601; when the question was saved, when left out. Executions are counted by quarters of an hour.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 64, example = "2024-01-01T00:00:00Z")]
    period_start: Option<String>,
    /// ISO 8601; now, when left out.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 64, example = "2024-02-01T00:00:00Z")]
    period_end: Option<String>,
}

/// How often a data source was asked.
#[derive(Serialize, ToSchema)]
struct UsedSourceData {
    data_source_id: i64,
    data_source_name: String,
    count: i64,
}

/// How often a schema was asked.
#[derive(Serialize, ToSchema)]
struct UsedSchemaData {
    schema_name: String,
    count: i64,
}

/// What a saved question comes to.
#[derive(Serialize, ToSchema)]
pub(super) struct PromptAnalyticsData {
    prompt_id: i64,
    execution_count: i64,
    success_count: i64,
    failure_count: i64,
    /// Of those that came to their end, from 0 to 1.
    success_rate: f64,
    avg_total_duration_ms: f64,
    avg_ai_response_time_ms: f64,
    avg_query_execution_time_ms: f64,
    most_used_data_sources: Vec<UsedSourceData>,
    most_used_schemas: Vec<UsedSchemaData>,
    period_start: String,
    period_end: String,
    last_calculated_at: String,
}

impl From<PromptAnalytics> for PromptAnalyticsData {
    fn from(of: PromptAnalytics) -> Self {
        let sums = of.sums;
        let source = |(data_source_id, data_source_name, count)| UsedSourceData {
            data_source_id,
            data_source_name,
            count,
        };
        Self {
            prompt_id: of.number,
            execution_count: sums.executions,
            success_count: sums.succeeded,
            failure_count: sums.failed,
            success_rate: sums.success_rate(),
            avg_total_duration_ms: average(sums.total_ms, sums.executions),
            avg_ai_response_time_ms: average(sums.ai_ms, sums.executions),
            avg_query_execution_time_ms: average(sums.query_ms, sums.executions),
            most_used_data_sources: of.sources.into_iter().map(source).collect(),
            most_used_schemas: of
                .schemas
                .into_iter()
                .map(|(schema_name, count)| UsedSchemaData { schema_name, count })
                .collect(),
            period_start: of.from.iso_seconds(),
            period_end: of.to.iso_seconds(),
            last_calculated_at: of.calculated_at.iso_seconds(),
        }
    }
}

/// What a saved question of the caller's comes to.
#[utoipa::path(get, path = "/prompts/{prompt_id}/analytics", operation_id = "read_prompt_analytics", tag = "Prompt Studio",
    security(("bearer" = [])), params(("prompt_id" = i64, Path, description = "`id` from the list"), PromptAnalyticsQuery),
    responses(
        (status = 200, description = "Sums and averages", body = Envelope<PromptAnalyticsData>),
        (status = 400, description = "BAD_REQUEST: a date is none", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn prompt_analytics(
    bearer: Bearer,
    State(app): State<App>,
    prompt_id: NumberPath,
    query: Result<Query<PromptAnalyticsQuery>, QueryRejection>,
) -> Answer {
    let number = number("prompt_id", prompt_id)?;
    let Query(query) = query.map_err(no_query)?;
    let (from, to) = (query.period_start.as_deref(), query.period_end.as_deref());
    let found = app.prompts().prompt_analytics(&bearer.actor, number, from, to).await?;
    Ok(envelope(StatusCode::OK, PromptAnalyticsData::from(found), "Analytics retrieved successfully"))
}

/// Which days are meant, and what is shown of them.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QueryAnalyticsQuery {
    /// `last_7_days` when left out.
    #[param(value_type = Option<String>, format = "analytics-period")]
    period: Option<String>,
    /// First day, with `period=custom`.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 64, example = "2024-01-01")]
    start_date: Option<String>,
    /// Last day, with `period=custom`.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 64, example = "2024-01-31")]
    end_date: Option<String>,
    /// `execution_time` when left out.
    #[param(value_type = Option<String>, format = "analytics-metric")]
    metric_type: Option<String>,
    /// Whose days and hours: a name of the IANA database. UTC when left out.
    #[param(value_type = Option<String>, format = "text-without-nul", max_length = 64, example = "Europe/Berlin")]
    time_zone: Option<String>,
}

impl QueryAnalyticsQuery {
    fn read(self) -> Result<WantedAnalytics, Violations> {
        let mut check = Check::new();
        let period = match self.period {
            None => Some(Period::Last7Days),
            sent => word!(&mut check, "period", sent, Period),
        };
        let metric = match self.metric_type {
            None => Some(Metric::ExecutionTime),
            sent => word!(&mut check, "metric_type", sent, Metric),
        };
        let (period, metric) = check.finish(period.zip(metric))?;
        let time_zone = self.time_zone.filter(|name| !name.is_empty());
        Ok(WantedAnalytics { period, start: self.start_date, end: self.end_date, metric, time_zone })
    }
}

/// Sums of a period.
#[derive(Serialize, ToSchema)]
struct KpisData {
    total_queries: i64,
    /// Against the period of equal length before: 0.15 is 15 % more.
    total_queries_trend: f64,
    avg_execution_time_seconds: f64,
    avg_execution_time_trend: f64,
    /// From 0 to 1.
    success_rate: f64,
    successful_queries: i64,
    total_queries_count: i64,
    data_sources_used: usize,
    data_source_types: Vec<String>,
}

/// A day.
#[derive(Serialize, ToSchema)]
struct DayData {
    date: String,
    value: f64,
}

/// A question that was asked often.
#[derive(Serialize, ToSchema)]
struct FrequentData {
    query_preview: String,
    executions: i64,
    avg_time_seconds: f64,
    last_run: String,
}

/// Shares of what became of executions: together 1, where there are any.
#[derive(Serialize, ToSchema)]
struct DistributionData {
    success: f64,
    failed: f64,
    running: f64,
}

/// How a data source did.
#[derive(Serialize, ToSchema)]
struct PerformanceData {
    data_source_id: i64,
    data_source_name: String,
    queries: i64,
    avg_latency_ms: f64,
    /// `healthy`, `degraded` or `down`.
    status: &'static str,
}

/// The days that were meant.
#[derive(Serialize, ToSchema)]
struct PeriodData {
    start_date: String,
    end_date: String,
    period: &'static str,
}

/// What questions and queries come to.
#[derive(Serialize, ToSchema)]
pub(super) struct QueryAnalyticsData {
    kpis: KpisData,
    time_series: Vec<DayData>,
    most_used_queries: Vec<FrequentData>,
    status_distribution: DistributionData,
    /// Executions by the hour of the day.
    peak_usage_times: Vec<i64>,
    data_source_performance: Vec<PerformanceData>,
    period: PeriodData,
}

/// How much more that is, as a share of what was before; 0 where there was nothing.
fn trend(now: f64, before: f64) -> f64 {
    if before == 0.0 { 0.0 } else { (now - before) / before }
}

impl KpisData {
    fn new(of: &QueryAnalytics) -> Self {
        let (sums, before) = (of.sums, of.before);
        let seconds = |total, count| average(total, count) / 1_000.0;
        let (time, time_before) =
            (seconds(sums.total_ms, sums.executions), seconds(before.total_ms, before.executions));
        let mut types: Vec<String> = of.sources.iter().map(|one| one.source.kind.clone()).collect();
        types.sort_unstable();
        types.dedup();
        Self {
            total_queries: sums.executions,
            total_queries_trend: trend(sums.executions as f64, before.executions as f64),
            avg_execution_time_seconds: time,
            avg_execution_time_trend: trend(time, time_before),
            success_rate: sums.success_rate(),
            successful_queries: sums.succeeded,
            total_queries_count: sums.executions,
            data_sources_used: of.sources.len(),
            data_source_types: types,
        }
    }
}

impl DistributionData {
    fn new(of: &QueryAnalytics) -> Self {
        let all = of.sums.succeeded + of.sums.failed + of.running;
        let share = |count| average(count, all);
        Self { success: share(of.sums.succeeded), failed: share(of.sums.failed), running: share(of.running) }
    }
}

impl QueryAnalyticsData {
    fn new(of: QueryAnalytics, period: Period) -> Self {
        let frequent = |question: FrequentQuestion| FrequentData {
            query_preview: question.preview,
            executions: question.executions,
            avg_time_seconds: question.average_seconds,
            last_run: question.last_run.iso_seconds(),
        };
        let performance = |one: &SourcePerformance| PerformanceData {
            data_source_id: one.source.number,
            data_source_name: one.source.name.clone(),
            queries: one.queries,
            avg_latency_ms: one.average_ms,
            status: one.health,
        };
        Self {
            kpis: KpisData::new(&of),
            status_distribution: DistributionData::new(&of),
            peak_usage_times: of.hours.to_vec(),
            data_source_performance: of.sources.iter().map(performance).collect(),
            time_series: of.series.into_iter().map(|(date, value)| DayData { date, value }).collect(),
            most_used_queries: of.questions.into_iter().map(frequent).collect(),
            period: PeriodData { start_date: of.start, end_date: of.end, period: period.as_str() },
        }
    }
}

/// What questions and queries come to over some days: the caller's own, and those of all members for admins.
#[utoipa::path(get, path = "/prompts/analytics/query-analytics", operation_id = "read_query_analytics", tag = "Prompt Studio",
    security(("bearer" = [])), params(QueryAnalyticsQuery),
    responses(
        (status = 200, description = "Sums, days and hours", body = Envelope<QueryAnalyticsData>),
        (status = 400, description = "BAD_REQUEST: a date or the time zone is none, or a date is missing", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn query_analytics(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<QueryAnalyticsQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(no_query)?;
    let wanted = query.read()?;
    let found = app.prompts().query_analytics(&bearer.actor, &wanted).await?;
    let data = QueryAnalyticsData::new(found, wanted.period);
    Ok(envelope(StatusCode::OK, data, "Query analytics retrieved successfully"))
}
