//! Request bodies of templates, and how they are read.

use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_domain::text::line;
use tidegate_prompts::templates::change::TemplateChange;
use tidegate_prompts::templates::execute::TemplateRun;
use tidegate_prompts::templates::parameter::{MAX_NAME as MAX_PARAMETER, MAX_PARAMETERS};
use tidegate_prompts::templates::template::{
    MAX_CATEGORY, MAX_DESCRIPTION, MAX_ICON, MAX_NAME, MAX_TEXT, TemplateStatus,
};
use tidegate_prompts::templates::{NewTemplate, ParameterType, TemplateParameter};
use utoipa::ToSchema;

use super::super::data_sources::fields::{Nullable, nullable, present, tags};
use super::fields::{long_text, schemas, sources, word};
use super::template_responses::TemplateData;
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::unknown::{Exact, Object, fields_of};

/// A tag.
#[derive(ToSchema)]
#[schema(value_type = String, format = "tag", example = "sales")]
struct TemplateTag(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// A parameter of a template.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ParameterBody {
    /// As placeholders call it.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 64, example = "region")]
    #[serde(default)]
    name: Field<String>,
    /// What its value is.
    #[schema(required = true, value_type = String, format = "parameter-type", example = "string")]
    #[serde(default, rename = "type")]
    kind: Field<String>,
    /// Whether it needs a value, unless it has a default; `true` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    required: Field<bool>,
    /// Its value where none is given.
    #[schema(value_type = Option<Value>)]
    #[serde(default)]
    default: Field<Value>,
    /// For people.
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 500)]
    #[serde(default)]
    description: Field<String>,
}

impl ParameterBody {
    fn read(self, check: &mut Check) -> Option<TemplateParameter> {
        let name = check.required("parameters", self.name);
        let name = name.and_then(|name| check.parsed("parameters", line(&name, MAX_PARAMETER)));
        let kind = check.required("parameters", self.kind);
        let kind = word!(check, "parameters", kind, ParameterType);
        let required = check.optional("parameters", self.required).unwrap_or(true);
        let default = check.optional("parameters", self.default).filter(|value| !value.is_null());
        let description = described(check, "parameters", self.description).flatten();
        name.zip(kind).map(|(name, kind)| TemplateParameter { name, kind, required, default, description })
    }
}

/// A text of several lines; a blank one clears it as `null` does.
fn described(check: &mut Check, name: &'static str, field: Field<String>) -> Nullable<String> {
    match nullable(check, name, field)? {
        Some(text) if !text.trim().is_empty() => long_text(check, name, text, MAX_DESCRIPTION).map(Some),
        _ => Some(None),
    }
}

macro_rules! described_template {
    ($(#[$doc:meta])* $name:ident { $($required:tt)* }) => {
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($required)*
            /// For people.
            #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 500)]
            #[serde(default)]
            description: Field<String>,
            /// Up to 50. Each placeholder needs one.
            #[schema(value_type = Vec<ParameterBody>, max_items = 50)]
            #[serde(default)]
            parameters: Field<Vec<Object<ParameterBody>>>,
            /// Up to 50.
            #[schema(value_type = Vec<TemplateTag>, max_items = 50)]
            #[serde(default)]
            tags: Field<Vec<String>>,
            /// A path or a URL.
            #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 512)]
            #[serde(default)]
            icon_url: Field<String>,
            /// `draft` when left out: its creator alone can run it.
            #[schema(value_type = String, format = "template-status")]
            #[serde(default)]
            status: Field<String>,
            /// Whether the whole organization sees it; `false` when left out.
            #[schema(value_type = bool)]
            #[serde(default)]
            is_public: Field<bool>,
        }

        impl $name {
            /// All fields that creating and changing have in common. What is required is judged by whoever makes one.
            fn common(self, check: &mut Check) -> TemplateChange {
                let name = present(check, "name", self.name);
                let text = present(check, "template_text", self.template_text);
                let category = present(check, "category", self.category);
                let icon_url = nullable(check, "icon_url", self.icon_url).map(|url| {
                    url.filter(|url| !url.trim().is_empty()).and_then(|url| check.parsed("icon_url", line(&url, MAX_ICON)))
                });
                let status = present(check, "status", self.status);
                TemplateChange {
                    name: name.and_then(|name| check.parsed("name", line(&name, MAX_NAME))),
                    description: described(check, "description", self.description),
                    text: text.and_then(|text| long_text(check, "template_text", text, MAX_TEXT)),
                    parameters: parameters(check, self.parameters),
                    category: category.and_then(|text| check.parsed("category", line(&text, MAX_CATEGORY))),
                    tags: tags(check, self.tags),
                    icon_url,
                    status: word!(check, "status", status, TemplateStatus),
                    sources: match self.compatible_data_source_ids {
                        Field::Missing => None,
                        sent => sources(check, "compatible_data_source_ids", sent),
                    },
                    is_public: present(check, "is_public", self.is_public),
                }
            }
        }
    };
}

described_template! {
    /// POST /api/v1/prompt-templates.
    CreateTemplateBody {
        /// For people.
        #[schema(required = true, value_type = String, format = "single-line", max_length = 255)]
        #[serde(default)]
        name: Field<String>,
        /// A question, or SQL that begins with SELECT or WITH; `{{name}}` stands for the value of a parameter.
        #[schema(required = true, value_type = String, format = "text-without-nul", min_length = 1, max_length = 20000,
            example = "Orders of the region {{region}}")]
        #[serde(default)]
        template_text: Field<String>,
        /// For people.
        #[schema(required = true, value_type = String, format = "single-line", max_length = 100)]
        #[serde(default)]
        category: Field<String>,
        /// Numbers of data sources that it is for: 1 to 20.
        #[schema(required = true, value_type = Vec<i64>, min_items = 1, max_items = 20)]
        #[serde(default)]
        compatible_data_source_ids: Field<Vec<i64>>,
    }
}

described_template! {
    /// PATCH /api/v1/prompt-templates/{template_id}. What is left out stays; `null` clears what may be empty.
    ChangeTemplateBody {
        /// For people.
        #[schema(value_type = String, format = "single-line", max_length = 255)]
        #[serde(default)]
        name: Field<String>,
        /// A question, or SQL that begins with SELECT or WITH.
        #[schema(value_type = String, format = "text-without-nul", min_length = 1, max_length = 20000)]
        #[serde(default)]
        template_text: Field<String>,
        /// For people.
        #[schema(value_type = String, format = "single-line", max_length = 100)]
        #[serde(default)]
        category: Field<String>,
        /// Numbers of data sources that it is for: 1 to 20.
        #[schema(value_type = Vec<i64>, min_items = 1, max_items = 20)]
        #[serde(default)]
        compatible_data_source_ids: Field<Vec<i64>>,
    }
}

impl Exact for CreateTemplateBody {}

impl Exact for ChangeTemplateBody {
    fn sent_back() -> Vec<String> {
        fields_of::<TemplateData>()
    }
}

fn parameters(check: &mut Check, field: Field<Vec<Object<ParameterBody>>>) -> Option<Vec<TemplateParameter>> {
    let sent = present(check, "parameters", field)?;
    if sent.len() > MAX_PARAMETERS {
        return check.violated("parameters", format!("must have at most {MAX_PARAMETERS} values"));
    }
    let read = sent.into_iter().enumerate().map(|(place, sent)| {
        let body = sent.all_known(check, |name| format!("parameters.{place}.{name}"));
        body.read(check)
    });
    read.collect()
}

/// What is left out, or `null`, is the default where something is made.
fn defaulted<T>(field: &mut Field<T>) {
    if matches!(field, Field::Null) {
        *field = Field::Missing;
    }
}

impl CreateTemplateBody {
    pub(super) fn read(mut self) -> Result<NewTemplate, Violations> {
        let mut check = Check::new();
        defaulted(&mut self.parameters);
        defaulted(&mut self.tags);
        defaulted(&mut self.status);
        defaulted(&mut self.is_public);
        let common = self.common(&mut check);
        for (name, is_missing) in [
            ("name", common.name.is_none()),
            ("template_text", common.text.is_none()),
            ("category", common.category.is_none()),
            ("compatible_data_source_ids", common.sources.is_none()),
        ] {
            if is_missing && !check.blames(name) {
                check.violated::<()>(name, "is required");
            }
        }
        let required = common.name.zip(common.text).zip(common.category).zip(common.sources);
        check.finish(required.map(|(((name, text), category), sources)| NewTemplate {
            name,
            description: common.description.flatten(),
            text,
            parameters: common.parameters.unwrap_or_default(),
            category,
            tags: common.tags.unwrap_or_default(),
            icon_url: common.icon_url.flatten(),
            status: common.status.unwrap_or(TemplateStatus::Draft),
            sources,
            is_public: common.is_public.unwrap_or(false),
        }))
    }
}

impl ChangeTemplateBody {
    pub(super) fn read(self) -> Result<TemplateChange, Violations> {
        let mut check = Check::new();
        let change = self.common(&mut check);
        check.finish(Some(change))
    }
}

/// POST /api/v1/prompt-templates/{template_id}/execute.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExecuteTemplateBody {
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
    /// Values by the names of parameters. Others are ignored.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    parameters: Field<Map<String, Value>>,
    /// Whether the question is saved; `false` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    save_prompt: Field<bool>,
}

impl Exact for ExecuteTemplateBody {}

impl ExecuteTemplateBody {
    pub(super) fn read(self) -> Result<TemplateRun, Violations> {
        let mut check = Check::new();
        let workspace = check.optional("workspace_id", self.workspace_id);
        let sources = sources(&mut check, "selected_data_source_ids", self.selected_data_source_ids);
        let schemas = schemas(&mut check, self.selected_schema_names);
        let parameters = check.optional("parameters", self.parameters).unwrap_or_default();
        let save = check.optional("save_prompt", self.save_prompt).unwrap_or(false);
        let read = sources.zip(schemas);
        check.finish(read.map(|(sources, schemas)| TemplateRun {
            workspace,
            sources,
            schemas,
            parameters,
            save,
        }))
    }
}
