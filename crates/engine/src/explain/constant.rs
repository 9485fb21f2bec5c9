//! What cannot be computed whatever the values of rows are: constants, as `cast('x' as int)`, a division by a zero of the text, and functions of
//! times that are given a type of which they make none. And what not every text is, where a text is made a number or a time.
//!
//! What is found here is a sentence about the query's own text and the types of its columns, and is told only where the query failed
//! anyway: it neither makes a query fail nor depends on a row, so that hidden rows have no part in whether it is told, or in what it says.

use std::str::FromStr;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use super::{forms, types};
use crate::error::{Code, NOT_COMPUTED, QueryError};
use crate::functions::{Functions, OF_TIMES};

/// A sentence about the first part of a plan that cannot be computed, or else about the first that not every row may have a value of. The
/// plan's types are settled, and nothing is optimized.
pub(crate) fn failing(plan: &LogicalPlan, functions: &Functions) -> Option<String> {
    let constant = first(plan, &|part, node| sentence(part).or_else(|| no_time(part, node, functions)));
    constant.or_else(|| first(plan, &of_texts))
}

/// The first sentence about a part of a plan that is computed for every row.
fn first(plan: &LogicalPlan, sentence: &dyn Fn(&Expr, &LogicalPlan) -> Option<String>) -> Option<String> {
    let mut found = None;
    // A plan that cannot be walked was refused before.
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if is_conditional(part) {
                    return Ok(TreeNodeRecursion::Jump);
                }
                found = sentence(part, node);
                Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    found
}

/// The error of a value, with the reason that the query itself shows.
pub(crate) fn told(error: QueryError, reason: Option<&str>) -> QueryError {
    match reason {
        Some(sentence) if error.code == Code::EvaluationFailed => QueryError::new(error.code, sentence),
        _ => error,
    }
}

/// What may never be computed, so that it is no reason.
fn is_conditional(expr: &Expr) -> bool {
    match expr {
        Expr::Case(_) | Expr::TryCast(_) => true,
        Expr::ScalarFunction(call) => {
            matches!(call.name(), "coalesce" | "nvl" | "nvl2" | "try_cast_to_type" | "arrow_try_cast")
        }
        _ => false,
    }
}

fn sentence(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Cast(cast) => match (cast.expr.as_ref(), cast.field.data_type()) {
            (Expr::Literal(value, _), kind) if text(value).is_some() => of_text(text(value)?, value, kind),
            (_, kind) => zone(kind),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide | Operator::Modulo, right })
            if !is_null(left) && is_zero(right) =>
        {
            Some("Division by zero.".to_owned())
        }
        _ => None,
    }
}

/// Texts of rows that are made numbers or times, by the query or because they are compared with one: it need not be the reason, and what it
/// says is true whatever they are.
fn of_texts(expr: &Expr, node: &LogicalPlan) -> Option<String> {
    let Expr::Cast(cast) = expr else { return None };
    let kind = cast.field.data_type();
    let written = match kind {
        kind if kind.is_integer() => "bigint",
        kind if kind.is_numeric() => "double",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(..) => "timestamp",
        _ => return None,
    };
    let given = cast.expr.get_type(&merge_schema(&node.inputs())).ok()?;
    if matches!(cast.expr.as_ref(), Expr::Literal(..)) || types::noun(&given) != "text" {
        return None;
    }
    let wanted = types::wanted(kind)?;
    Some(format!(
        "{NOT_COMPUTED} A text is not always {wanted}: try_cast(… as {written}) gives NULL where it is not."
    ))
}

/// A list, a structure, a map or a boolean of which a time is wanted.
fn no_time(expr: &Expr, node: &LogicalPlan, functions: &Functions) -> Option<String> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
    // They look at the type of what they are given when there are rows.
    let name = OF_TIMES.iter().find(|name| **name == func.name())?;
    let kind = args.first()?.get_type(&merge_schema(&node.inputs())).ok()?;
    let has_none = kind.is_nested() || kind == DataType::Boolean;
    has_none.then(|| {
        let (given, written) = (types::noun(&kind), forms::written(name, functions));
        format!("{name} does not take {given}{written}.")
    })
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Some(text),
        _ => None,
    }
}

/// A text of the query where a value of another type is needed.
fn of_text(text: &str, value: &ScalarValue, kind: &DataType) -> Option<String> {
    let wanted = types::wanted(kind)?;
    if let Some(zone) = zone(kind) {
        return Some(zone);
    }
    match value.cast_to(kind) {
        Err(_) => Some(format!("{} is not {wanted}.", in_quotes(text))),
        Ok(_) => None,
    }
}

/// A time zone that there is not: `x at time zone 'utc'`.
fn zone(kind: &DataType) -> Option<String> {
    let DataType::Timestamp(_, Some(zone)) = kind else { return None };
    match Tz::from_str(zone) {
        Err(_) => Some(format!("{} is not a time zone; write 'UTC' or '+02:00'.", in_quotes(zone))),
        Ok(_) => None,
    }
}

/// A text of the query as SQL writes it, cut to 80 characters.
fn in_quotes(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("'{clean}'")
}

/// Whether it is NULL in the text: a dividend of NULL has no error.
fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::Cast(cast) => is_null(&cast.expr),
        Expr::Negative(inner) => is_null(inner),
        _ => false,
    }
}

/// Whether it is a zero by which division fails; that by a floating-point zero does not.
fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => matches!(
            value,
            ScalarValue::Int8(Some(0))
                | ScalarValue::Int16(Some(0))
                | ScalarValue::Int32(Some(0))
                | ScalarValue::Int64(Some(0))
                | ScalarValue::UInt8(Some(0))
                | ScalarValue::UInt16(Some(0))
                | ScalarValue::UInt32(Some(0))
                | ScalarValue::UInt64(Some(0))
                | ScalarValue::Decimal128(Some(0), ..)
        ),
        Expr::Cast(cast) => !cast.field.data_type().is_floating() && is_zero(&cast.expr),
        _ => false,
    }
}
