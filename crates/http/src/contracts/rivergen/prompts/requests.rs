//! Request bodies of questions, and how they are read.

use serde::Deserialize;
use tidegate_prompts::executions::ExecutionKind;
use tidegate_prompts::executions::start::{Asked, NewExecution, Saved};
use tidegate_prompts::records::change::PromptChange;
use tidegate_prompts::records::prompt::MAX_NAME;
use utoipa::ToSchema;

use super::super::data_sources::fields::{metadata, tags, text};
use super::fields::{optional_line, question, schemas, sources};
use super::responses::PromptData;
use crate::wire::fields::{Check, Field, ObjectText, Violations};
use crate::wire::unknown::{Exact, fields_of};

/// Longest name of a model, in characters.
const MAX_MODEL: usize = 100;

/// A tag.
#[derive(ToSchema)]
#[schema(value_type = String, format = "tag", example = "sales")]
struct PromptTag(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// POST /api/v1/prompts/execute.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecutePromptBody {
    /// What is asked: up to 20,000 characters.
    #[schema(required = true, value_type = String, format = "text-without-nul", min_length = 1, max_length = 20000,
        example = "Top five customers by revenue last quarter")]
    #[serde(default)]
    prompt_text: Field<String>,
    /// The number of a workspace; the caller's default one when left out.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    workspace_id: Field<i64>,
    /// Numbers of data sources: 1 to 20.
    #[schema(required = true, value_type = Vec<i64>, min_items = 1, max_items = 20)]
    #[serde(default)]
    selected_data_source_ids: Field<Vec<i64>>,
    /// Their schemas; all of them when there is none.
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    #[serde(default)]
    selected_schema_names: Field<Vec<String>>,
    /// What the question is called, where it is saved.
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
    #[serde(default)]
    name: Field<String>,
    /// Whether the question is saved; `false` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    save_prompt: Field<bool>,
    /// `builtin`, the name of a configured model, or a class of them; the server's usual one when left out.
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 100, example = "builtin")]
    #[serde(default)]
    ai_model: Field<String>,
    /// Up to 50, where the question is saved.
    #[schema(value_type = Option<Vec<PromptTag>>, max_items = 50)]
    #[serde(default)]
    tags: Field<Vec<String>>,
    /// A saved question that is asked again: the execution is one of it.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    prompt_id: Field<i64>,
}

impl Exact for ExecutePromptBody {
    fn place_of(name: &str) -> Option<String> {
        let is_text = ["prompt", "question", "query", "text"].contains(&name);
        is_text.then(|| "did you mean prompt_text?".to_owned())
    }
}

impl ExecutePromptBody {
    pub(super) fn read(self) -> Result<NewExecution, Violations> {
        let mut check = Check::new();
        let text = question(&mut check, self.prompt_text);
        let workspace = check.optional("workspace_id", self.workspace_id);
        let sources = sources(&mut check, "selected_data_source_ids", self.selected_data_source_ids);
        let schemas = schemas(&mut check, self.selected_schema_names);
        let name = optional_line(&mut check, "name", self.name, MAX_NAME);
        let is_saved = check.optional("save_prompt", self.save_prompt).unwrap_or(false);
        let model = optional_line(&mut check, "ai_model", self.ai_model, MAX_MODEL);
        let sent_tags = match self.tags {
            Field::Null => Field::Missing,
            sent => sent,
        };
        let tags = tags(&mut check, sent_tags).unwrap_or_default();
        let again = check.optional("prompt_id", self.prompt_id);
        check.finish(text.zip(sources).zip(schemas).map(|((text, sources), schemas)| NewExecution {
            kind: ExecutionKind::Prompt,
            asked: Asked::Words(text),
            workspace,
            sources,
            schemas,
            save: is_saved.then_some(Saved { name, tags }),
            again,
            template: None,
            model,
            waits: true,
        }))
    }
}

/// PATCH /api/v1/prompts/{prompt_id}. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePromptBody {
    /// For people; `null` removes it.
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 255)]
    #[serde(default)]
    name: Field<String>,
    /// Up to 50.
    #[schema(value_type = Vec<PromptTag>, max_items = 50)]
    #[serde(default)]
    tags: Field<Vec<String>>,
    /// What the client wants to keep: an object of up to 16 KiB.
    #[schema(value_type = Object)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl Exact for ChangePromptBody {
    fn sent_back() -> Vec<String> {
        fields_of::<PromptData>()
    }
}

impl ChangePromptBody {
    pub(super) fn read(self) -> Result<PromptChange, Violations> {
        let mut check = Check::new();
        let change = PromptChange {
            name: text(&mut check, "name", self.name, MAX_NAME),
            tags: tags(&mut check, self.tags),
            metadata: metadata(&mut check, self.metadata),
        };
        check.finish(Some(change))
    }
}
