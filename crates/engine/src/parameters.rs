//! Values for `$1` and `$name`. They are bound to the plan, and are never text of a query.

use std::collections::HashMap;

use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::LogicalPlan;
use serde_json::Value as Json;

use crate::error::{Code, Phase, QueryError, classify, quoted};
use crate::session::unbound;

/// The most there are of them.
const MOST: usize = 1_000;

/// Values of a query's parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Parameters {
    /// There are none.
    #[default]
    None,
    /// `$1`, `$2` and so on.
    Positional(Vec<Json>),
    /// `$name`.
    Named(Vec<(String, Json)>),
}

impl Parameters {
    /// A list is positional, an object is named.
    ///
    /// # Errors
    ///
    /// `type_mismatch` for anything else.
    pub fn from_json(value: Json) -> Result<Self, QueryError> {
        match value {
            Json::Null => Ok(Self::None),
            Json::Array(values) => Ok(Self::Positional(values)),
            Json::Object(values) => Ok(Self::Named(values.into_iter().collect())),
            _ => Err(QueryError::new(Code::TypeMismatch, "Parameters are a list or an object.")),
        }
    }

    pub(crate) fn bind(self, plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
        let count = match &self {
            Self::None => 0,
            Self::Positional(values) => values.len(),
            Self::Named(values) => values.len(),
        };
        if count > MOST {
            return Err(QueryError::too_big(format!("There are more than {MOST} parameters.")));
        }
        let plan = match self {
            Self::None => plan,
            Self::Positional(values) => {
                let values = values.iter().map(scalar).collect::<Result<Vec<_>, _>>()?;
                bound(plan, ParamValues::List(values))?
            }
            Self::Named(values) => {
                let values = values
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), scalar(value)?)))
                    .collect::<Result<HashMap<_, _>, QueryError>>()?;
                bound(plan, ParamValues::Map(values))?
            }
        };
        match unbound(&plan) {
            Some(name) => Err(without_value(&name)),
            None => Ok(plan),
        }
    }
}

fn without_value(name: &str) -> QueryError {
    QueryError::new(Code::TypeMismatch, format!("There is no value for the parameter {}.", quoted(name)))
}

fn bound(plan: LogicalPlan, values: ParamValues) -> Result<LogicalPlan, QueryError> {
    let wanted = unbound(&plan);
    plan.with_param_values(values).map_err(|error| match wanted {
        Some(name) if matches!(classify(&error, Phase::Planning).code, Code::Syntax) => without_value(&name),
        _ => classify(&error, Phase::Planning),
    })
}

fn scalar(value: &Json) -> Result<ScalarAndMetadata, QueryError> {
    let value = match value {
        Json::Null => ScalarValue::Null,
        Json::Bool(truth) => ScalarValue::Boolean(Some(*truth)),
        Json::String(text) => ScalarValue::Utf8(Some(text.clone())),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => ScalarValue::Int64(Some(number)),
            (None, Some(number), _) => ScalarValue::UInt64(Some(number)),
            (None, None, number) => ScalarValue::Float64(number),
        },
        Json::Array(_) | Json::Object(_) => {
            return Err(QueryError::new(
                Code::TypeMismatch,
                "A parameter is a text, a number, a truth or null.",
            ));
        }
    };
    Ok(value.into())
}
