//! Answers of questions, queries and saved questions.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tidegate_domain::Timestamp;
use tidegate_prompts::executions::Execution;
use tidegate_prompts::executions::execution::{AiMetadata, PartStatus};
use tidegate_prompts::ports::ResultColumn;
use tidegate_prompts::records::Prompt;
use utoipa::ToSchema;

use super::fields::Page;

fn at(instant: Option<Timestamp>) -> Option<String> {
    instant.map(Timestamp::iso_millis)
}

/// Where a list is.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PromptPagination {
    page: i64,
    page_size: i64,
    total_items: i64,
    total_pages: i64,
    has_next: bool,
    has_previous: bool,
}

impl PromptPagination {
    pub(in super::super) const fn new(of: Page, total: i64) -> Self {
        let Page { page, page_size } = of;
        let total_pages = (total + page_size - 1) / page_size;
        Self {
            page,
            page_size,
            total_items: total,
            total_pages,
            has_next: page < total_pages,
            has_previous: page > 1 && total_pages > 0,
        }
    }
}

/// A column of a result.
#[derive(Serialize, ToSchema)]
struct ResultColumnData {
    name: String,
    /// `integer`, `number`, `string`, `boolean`, `date`, `timestamp`, `time`, `interval`, `binary`, `array`, `object` or `null`.
    r#type: String,
}

/// What answered a question said besides SQL.
#[derive(Serialize, ToSchema)]
struct AiMetadataData {
    model: String,
    /// From 0 to 1.
    confidence: f64,
    tokens_used: u64,
    /// How the question was read: tables, filters, assumptions.
    explanation: Option<String>,
    /// Words that were not understood.
    not_understood: Vec<String>,
    /// Questions that could be answered instead.
    suggestions: Vec<String>,
}

impl From<AiMetadata> for AiMetadataData {
    fn from(metadata: AiMetadata) -> Self {
        let AiMetadata { model, confidence, tokens_used, explanation, not_understood, suggestions } =
            metadata;
        Self { model, confidence, tokens_used, explanation, not_understood, suggestions }
    }
}

/// An execution: under way, or over.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct ExecutionData {
    execution_id: i64,
    /// The saved question; `null` where it was not saved.
    prompt_id: Option<i64>,
    /// The template that it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<i64>,
    /// `pending`, `processing`, `completed`, `failed` or `cancelled`.
    status: &'static str,
    /// `pending`, `in_progress`, `completed` or `failed`.
    ai_processing_status: &'static str,
    /// The same; `null` while there is no SQL.
    query_execution_status: Option<&'static str>,
    started_at: String,
    /// From 0 to 100.
    progress_percentage: i64,
    #[serde(flatten)]
    over: Option<OverData>,
}

/// What came of an execution that is over.
#[derive(Serialize, ToSchema)]
struct OverData {
    generated_query_id: Option<i64>,
    generated_query_text: Option<String>,
    /// Values of its placeholders `$1`, `$2`, ….
    #[schema(value_type = Vec<Object>)]
    generated_query_parameters: Vec<Value>,
    ai_model_used: Option<String>,
    ai_request_id: Option<String>,
    ai_response_metadata: Option<AiMetadataData>,
    /// All rows of the result.
    rows_returned: Option<i64>,
    columns: Vec<ResultColumnData>,
    /// Its first 100 rows.
    #[schema(value_type = Vec<Object>)]
    result_preview: Box<RawValue>,
    /// Whether rows are left out of the preview because what the caller may see has changed; the result has those that they may see now.
    preview_withheld: bool,
    /// A Vega-Lite specification, where the result suits one.
    #[schema(value_type = Option<Object>)]
    chart_suggestion: Option<Value>,
    ai_response_time_ms: Option<i64>,
    query_execution_time_ms: Option<i64>,
    total_duration_ms: Option<i64>,
    completed_at: Option<String>,
    /// Why it failed: `not_understood`, a code of a query such as `unknown_column`, …
    error_code: Option<String>,
    error_message: Option<String>,
}

/// An array without items.
fn no_rows() -> Box<RawValue> {
    RawValue::from_string("[]".to_owned()).unwrap_or_default()
}

impl From<Execution> for ExecutionData {
    fn from(execution: Execution) -> Self {
        let over = execution.status.is_over().then(|| OverData::from(&execution));
        Self {
            execution_id: execution.number,
            prompt_id: execution.prompt,
            template_id: execution.template,
            status: execution.status.as_str(),
            ai_processing_status: execution.ai_status.as_str(),
            query_execution_status: execution.query_status.map(PartStatus::as_str),
            started_at: execution.started_at.iso_millis(),
            progress_percentage: execution.progress,
            over,
        }
    }
}

impl From<&Execution> for OverData {
    fn from(execution: &Execution) -> Self {
        let is_withheld = execution.preview.is_none() && execution.rows_returned.is_some_and(|rows| rows > 0);
        let column = |column: &ResultColumn| ResultColumnData {
            name: column.name.clone(),
            r#type: column.type_name.clone(),
        };
        // What was drawn of rows that are withheld is withheld, too.
        let chart = if is_withheld { None } else { execution.chart.clone() };
        Self {
            generated_query_id: execution.sql.as_ref().map(|_| execution.number),
            generated_query_text: execution.sql.clone(),
            generated_query_parameters: execution.parameters.clone(),
            ai_model_used: execution.ai_model_used.clone(),
            ai_request_id: execution.ai_request_id.clone(),
            ai_response_metadata: execution.ai_metadata.clone().map(AiMetadataData::from),
            rows_returned: execution.rows_returned,
            columns: execution.columns.iter().map(column).collect(),
            result_preview: execution.preview.clone().unwrap_or_else(no_rows),
            preview_withheld: is_withheld,
            chart_suggestion: chart,
            ai_response_time_ms: execution.ai_ms,
            query_execution_time_ms: execution.query_ms,
            total_duration_ms: execution.total_ms,
            completed_at: at(execution.completed_at),
            error_code: execution.error.as_ref().map(|error| error.code.clone()),
            error_message: execution.error.as_ref().map(|error| error.message.clone()),
        }
    }
}

/// An execution in a list.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct ListedExecutionData {
    id: i64,
    status: &'static str,
    started_at: String,
    completed_at: Option<String>,
    total_duration_ms: Option<i64>,
    rows_returned: Option<i64>,
    user_id: i64,
    user_name: Option<String>,
    /// `prompt`, `template` or `sql`.
    kind: &'static str,
    /// What was asked, in words or in SQL.
    question: String,
    query_text: Option<String>,
    data_source_ids: Vec<i64>,
    workspace_id: i64,
    error_message: Option<String>,
}

impl From<Execution> for ListedExecutionData {
    fn from(execution: Execution) -> Self {
        Self {
            id: execution.number,
            status: execution.status.as_str(),
            started_at: execution.started_at.iso_millis(),
            completed_at: at(execution.completed_at),
            total_duration_ms: execution.total_ms,
            rows_returned: execution.rows_returned,
            user_id: execution.account_number,
            user_name: execution.account_name,
            kind: execution.kind.as_str(),
            question: execution.question,
            query_text: execution.sql,
            data_source_ids: execution.sources,
            workspace_id: execution.workspace_number,
            error_message: execution.error.map(|error| error.message),
        }
    }
}

/// A page of executions.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct ExecutionsData {
    /// The saved question.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_id: Option<i64>,
    items: Vec<ListedExecutionData>,
    pagination: PromptPagination,
}

impl ExecutionsData {
    pub(in super::super) fn new(
        prompt_id: Option<i64>,
        found: Vec<Execution>,
        total: i64,
        page: Page,
    ) -> Self {
        let items = found.into_iter().map(ListedExecutionData::from).collect();
        Self { prompt_id, items, pagination: PromptPagination::new(page, total) }
    }
}

/// A saved question in a list.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedPromptData {
    id: i64,
    organization_id: i64,
    workspace_id: i64,
    name: Option<String>,
    prompt_text: String,
    selected_data_source_ids: Vec<i64>,
    selected_schema_names: Vec<String>,
    /// Of its latest execution.
    generated_query_id: Option<i64>,
    /// `draft`, `processing`, `completed` or `failed`.
    status: &'static str,
    tags: Vec<String>,
    created_by_user_id: i64,
    created_at: String,
    updated_at: String,
}

impl From<&Prompt> for ListedPromptData {
    fn from(prompt: &Prompt) -> Self {
        Self {
            id: prompt.number,
            organization_id: prompt.organization_number,
            workspace_id: prompt.workspace_number,
            name: prompt.name.clone(),
            prompt_text: prompt.text.clone(),
            selected_data_source_ids: prompt.sources.clone(),
            selected_schema_names: prompt.schemas.clone(),
            generated_query_id: prompt.last_execution,
            status: prompt.status.as_str(),
            tags: prompt.tags.clone(),
            created_by_user_id: prompt.created_by,
            created_at: prompt.created_at.iso_seconds(),
            updated_at: prompt.updated_at.iso_seconds(),
        }
    }
}

/// A page of saved questions.
#[derive(Serialize, ToSchema)]
pub(super) struct PromptsData {
    items: Vec<ListedPromptData>,
    pagination: PromptPagination,
}

impl PromptsData {
    pub(super) fn new(found: &[Prompt], total: i64, page: Page) -> Self {
        let items = found.iter().map(ListedPromptData::from).collect();
        Self { items, pagination: PromptPagination::new(page, total) }
    }
}

/// SQL of a question.
#[derive(Serialize, ToSchema)]
struct GeneratedQueryData {
    id: i64,
    query_text: String,
}

/// A saved question.
#[derive(Serialize, ToSchema)]
pub(super) struct PromptData {
    #[serde(flatten)]
    listed: ListedPromptData,
    generated_query: Option<GeneratedQueryData>,
    ai_model_used: Option<String>,
    ai_request_id: Option<String>,
    ai_response_metadata: Option<AiMetadataData>,
    error_message: Option<String>,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
}

/// A free document as it was sent.
fn document(document: &tidegate_domain::Document) -> Box<RawValue> {
    RawValue::from_string(document.as_str().to_owned()).unwrap_or_default()
}

impl PromptData {
    pub(super) fn new(prompt: &Prompt, latest: Option<Execution>) -> Self {
        let query = latest.as_ref().and_then(|one| Some((one.number, one.sql.clone()?)));
        let (model, request, metadata, error) = match latest {
            Some(one) => (one.ai_model_used, one.ai_request_id, one.ai_metadata, one.error),
            None => (None, None, None, None),
        };
        Self {
            listed: prompt.into(),
            generated_query: query.map(|(id, query_text)| GeneratedQueryData { id, query_text }),
            ai_model_used: model,
            ai_request_id: request,
            ai_response_metadata: metadata.map(AiMetadataData::from),
            error_message: error.map(|error| error.message),
            metadata: document(&prompt.metadata),
        }
    }
}

/// A saved question was changed.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangedPromptData {
    id: i64,
    name: Option<String>,
    tags: Vec<String>,
    #[schema(value_type = Object)]
    metadata: Box<RawValue>,
    updated_at: String,
}

impl From<&Prompt> for ChangedPromptData {
    fn from(prompt: &Prompt) -> Self {
        Self {
            id: prompt.number,
            name: prompt.name.clone(),
            tags: prompt.tags.clone(),
            metadata: document(&prompt.metadata),
            updated_at: prompt.updated_at.iso_seconds(),
        }
    }
}

/// A saved question was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedPromptData {
    pub(super) prompt_id: i64,
    pub(super) deleted_at: String,
}

/// A saved question with what became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct HistoryItemData {
    id: i64,
    name: Option<String>,
    prompt_text: String,
    status: &'static str,
    execution_time_ms: Option<i64>,
    /// When it was asked last.
    timestamp: String,
    data_source_ids: Vec<i64>,
    user_id: i64,
    workspace_id: i64,
}

impl From<&Prompt> for HistoryItemData {
    fn from(prompt: &Prompt) -> Self {
        Self {
            id: prompt.number,
            name: prompt.name.clone(),
            prompt_text: prompt.text.clone(),
            status: prompt.status.as_str(),
            execution_time_ms: prompt.last_ms,
            timestamp: prompt.last_run_at.iso_seconds(),
            data_source_ids: prompt.sources.clone(),
            user_id: prompt.created_by,
            workspace_id: prompt.workspace_number,
        }
    }
}

/// A page of a history.
#[derive(Serialize, ToSchema)]
pub(super) struct PromptHistoryData {
    items: Vec<HistoryItemData>,
    pagination: PromptPagination,
}

impl PromptHistoryData {
    pub(super) fn new(found: &[Prompt], total: i64, page: Page) -> Self {
        let items = found.iter().map(HistoryItemData::from).collect();
        Self { items, pagination: PromptPagination::new(page, total) }
    }
}

/// What a history was narrowed to.
#[derive(Serialize, ToSchema)]
pub(super) struct ClearedFilters {
    pub(super) workspace_id: Option<i64>,
    pub(super) time_period: &'static str,
    pub(super) user_id: i64,
}

/// A history was cleared.
#[derive(Serialize, ToSchema)]
pub(super) struct ClearedData {
    pub(super) deleted_count: u64,
    pub(super) filters_applied: ClearedFilters,
}
