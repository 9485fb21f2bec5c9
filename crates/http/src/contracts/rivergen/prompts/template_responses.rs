//! Answers of templates.

use serde::Serialize;
use serde_json::Value;
use tidegate_prompts::templates::{Template, TemplateParameter};
use utoipa::ToSchema;

/// A parameter of a template.
#[derive(Serialize, ToSchema)]
struct ParameterData {
    name: String,
    r#type: &'static str,
    required: bool,
    #[schema(value_type = Option<Value>)]
    default: Option<Value>,
    description: Option<String>,
}

impl From<TemplateParameter> for ParameterData {
    fn from(parameter: TemplateParameter) -> Self {
        let TemplateParameter { name, kind, required, default, description } = parameter;
        Self { name, r#type: kind.as_str(), required, default, description }
    }
}

/// A template.
#[derive(Serialize, ToSchema)]
pub(super) struct TemplateData {
    id: i64,
    /// `null` for one that comes with the program.
    organization_id: Option<i64>,
    name: String,
    description: Option<String>,
    template_text: String,
    parameters: Vec<ParameterData>,
    category: String,
    tags: Vec<String>,
    icon_url: Option<String>,
    /// Always `null`: icons are fetched where `icon_url` says.
    icon_presigned_url: Option<String>,
    /// `draft` or `published`.
    status: &'static str,
    /// All, where there is none.
    compatible_data_source_ids: Vec<i64>,
    is_system_template: bool,
    is_public: bool,
    /// How often it was run in the caller's organization.
    usage_count: i64,
    created_by_user_id: Option<i64>,
    created_at: String,
    updated_at: String,
}

impl From<Template> for TemplateData {
    fn from(template: Template) -> Self {
        Self {
            id: template.number,
            organization_id: template.organization_number,
            name: template.name,
            description: template.description,
            template_text: template.text,
            parameters: template.parameters.into_iter().map(ParameterData::from).collect(),
            category: template.category,
            tags: template.tags,
            icon_url: template.icon_url,
            icon_presigned_url: None,
            status: template.status.as_str(),
            compatible_data_source_ids: template.sources,
            is_system_template: template.is_system,
            is_public: template.is_public,
            usage_count: template.usage_count,
            created_by_user_id: template.created_by,
            created_at: template.created_at.iso_seconds(),
            updated_at: template.updated_at.iso_seconds(),
        }
    }
}

/// Templates.
#[derive(Serialize, ToSchema)]
pub(super) struct TemplatesData {
    pub(super) items: Vec<TemplateData>,
}

/// A template was deleted.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedTemplateData {
    pub(super) template_id: i64,
    pub(super) deleted_at: String,
}
