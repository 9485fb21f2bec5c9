//! Parameters of templates, and their values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::executions::execution::words;

/// Most parameters of a template.
pub const MAX_PARAMETERS: usize = 50;
/// Longest value, in characters.
pub const MAX_VALUE: usize = 2_000;
/// Most items of an array.
pub const MAX_ITEMS: usize = 100;
/// Longest name of a parameter, in characters.
pub const MAX_NAME: usize = 64;

words! {
    /// What a value is.
    ParameterType {
        /// Text.
        String = "string",
        /// A number.
        Number = "number",
        /// A whole number.
        Integer = "integer",
        /// True or false.
        Boolean = "boolean",
        /// A date, `YYYY-MM-DD`.
        Date = "date",
        /// Several texts, numbers or booleans.
        Array = "array",
        /// A table that the person sees: the only one of that name, or with schema and source before it.
        Table = "table",
        /// A column of such a table.
        Column = "column",
    }
}

/// A parameter of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateParameter {
    /// As placeholders call it.
    pub name: String,
    /// What its value is.
    pub kind: ParameterType,
    /// Whether it needs a value, unless it has a default.
    pub required: bool,
    /// Its value where none is given.
    pub default: Option<Value>,
    /// For people.
    pub description: Option<String>,
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredParameter {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl From<&TemplateParameter> for StoredParameter {
    fn from(parameter: &TemplateParameter) -> Self {
        let TemplateParameter { name, kind, required, default, description } = parameter.clone();
        Self { name, kind: kind.as_str().to_owned(), required, default, description }
    }
}

impl StoredParameter {
    pub(super) fn read(self) -> Option<TemplateParameter> {
        let Self { name, kind, required, default, description } = self;
        Some(TemplateParameter {
            name,
            kind: ParameterType::from_name(&kind)?,
            required,
            default,
            description,
        })
    }
}

/// Whether it can be the name of a parameter: as in programs, letters first.
pub(super) fn is_name(text: &str) -> bool {
    text.chars().count() <= MAX_NAME
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

impl ParameterType {
    /// Why a value is none of it; none when it is one.
    pub fn objection(self, value: &Value) -> Option<String> {
        let is_short = |text: &str| text.chars().count() <= MAX_VALUE && !text.contains('\0');
        let is_scalar = |item: &Value| match item {
            Value::String(text) => is_short(text),
            Value::Number(_) | Value::Bool(_) => true,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        let is_one = match (self, value) {
            (Self::String | Self::Table | Self::Column, Value::String(text)) => is_short(text),
            (Self::Number, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => true,
            (Self::Integer, Value::Number(number)) => number.as_i64().is_some(),
            (Self::Date, Value::String(text)) => {
                text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
            }
            (Self::Array, Value::Array(items)) => items.len() <= MAX_ITEMS && items.iter().all(is_scalar),
            _ => false,
        };
        let what = match self {
            Self::String => format!("a string of at most {MAX_VALUE} characters"),
            Self::Number => "a number".to_owned(),
            Self::Integer => "an integer".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Date => "a date such as 2024-01-31".to_owned(),
            Self::Array => format!("an array of at most {MAX_ITEMS} strings, numbers or booleans"),
            Self::Table => "the name of a table".to_owned(),
            Self::Column => "the name of a column".to_owned(),
        };
        if is_one { None } else { Some(format!("must be {what}")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_of_their_type() {
        use ParameterType as T;
        let fine = [
            (T::String, json!("O'Brien; drop table x --")),
            (T::Number, json!(1.5)),
            (T::Integer, json!(-3)),
            (T::Boolean, json!(false)),
            (T::Date, json!("2024-02-29")),
            (T::Array, json!(["a", 1, true])),
            (T::Table, json!("orders")),
        ];
        for (kind, value) in fine {
            assert_eq!(kind.objection(&value), None, "{kind:?} {value}");
        }
        let wrong = [
            (T::String, json!(1)),
            (T::String, json!("x\0")),
            (T::String, json!("x".repeat(MAX_VALUE + 1))),
            (T::Number, json!("1")),
            (T::Integer, json!(1.5)),
            (T::Boolean, json!("true")),
            (T::Date, json!("2023-02-29")),
            (T::Date, json!("2024-1-1")),
            (T::Array, json!([[1]])),
            (T::Array, json!([null])),
            (T::Array, json!(vec![0; MAX_ITEMS + 1])),
            (T::Column, json!(null)),
        ];
        for (kind, value) in wrong {
            assert!(kind.objection(&value).is_some(), "{kind:?} {value}");
        }
    }
}
