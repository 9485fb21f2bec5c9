//! Values for `$1` and `$name`. They are bound to the plan, and are never text of a query.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};
use serde_json::Value as Json;

use crate::error::{Code, Phase, QueryError, classify, quoted};
use crate::session::unbound;

/// The most there are of them.
const MOST: usize = 1_000;
/// What is said where a text has other ones, as `?` and `:name`.
const WRITTEN: &str = "Parameters are written $1, $2 and so on.";

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

/// Types of `$1`, `$2`, … in their order, as far as a plan says them.
pub(crate) fn types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, QueryError> {
    let found = plan.get_parameter_types().map_err(|error| classify(&error, Phase::Planning))?;
    let counts = counts(plan);
    let mut types = Vec::new();
    for (name, kind) in found {
        let place = name.strip_prefix('$').and_then(|place| place.parse::<usize>().ok());
        let Some(place) = place.and_then(|place| place.checked_sub(1)) else {
            let name = quoted(&name);
            return Err(QueryError::not_allowed(format!("The parameter {name} has no number. {WRITTEN}")));
        };
        if place >= MOST {
            return Err(QueryError::too_big(format!("There are more than {MOST} parameters.")));
        }
        if types.len() <= place {
            types.resize(place + 1, None);
        }
        if let Some(slot) = types.get_mut(place) {
            *slot = match kind.filter(|kind| *kind != DataType::Null) {
                None if counts.contains(&name) => Some(DataType::Int64),
                kind => kind,
            };
        }
    }
    Ok(types)
}

/// Parameters that say how many rows there are: `LIMIT $1 OFFSET $2`. They have no type by what is beside them, and must be numbers.
fn counts(plan: &LogicalPlan) -> HashSet<String> {
    let mut found = HashSet::new();
    // Walking a plan that was walked before does not fail.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                if let Expr::Placeholder(placeholder) = expr.as_ref() {
                    found.insert(placeholder.id.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

/// A plan whose parameters are null, each of its type, or of text where it has none.
pub(crate) fn without_values(
    plan: LogicalPlan,
    types: &[Option<DataType>],
) -> Result<LogicalPlan, QueryError> {
    let failed = |error| classify(&error, Phase::Planning);
    let null = |kind: &Option<DataType>| match kind {
        Some(kind) => ScalarValue::try_from(kind),
        None => Ok(ScalarValue::Utf8(None)),
    };
    let nulls = types.iter().map(null).map(|null| null.map(ScalarAndMetadata::from));
    let nulls = nulls.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    plan.with_param_values(ParamValues::List(nulls)).map_err(failed)
}

fn without_value(name: &str) -> QueryError {
    let told = format!("There is no value for the parameter {}.", quoted(name));
    let told = if name.starts_with('$') { told } else { format!("{told} {WRITTEN}") };
    QueryError::new(Code::TypeMismatch, told)
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
