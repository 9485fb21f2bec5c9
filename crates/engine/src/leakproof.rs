//! Conditions of a person that may be evaluated beside the policy's, on rows the person does not see: they cannot fail, they take the
//! same time for every value, and what they say of hidden rows is ANDed away.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, expr::InList};
use tidegate_connect::{Filter, Literal, Operator as Comparison};

use crate::mutation::{Protection, Without};

/// What is known of the columns of a relation.
pub(crate) trait Columns {
    /// The type of an unmasked column.
    fn unmasked(&self, name: &str) -> Option<&DataType>;
    /// The type of any visible column.
    fn visible(&self, name: &str) -> Option<&DataType>;
}

/// Whether an expression is leak-proof.
pub(crate) fn is_leak_proof(expr: &Expr, columns: &impl Columns, without: &Without) -> bool {
    let within = |expr: &Expr| is_leak_proof(expr, columns, without);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            within(left) && within(right)
        }
        Expr::Not(inner) => within(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            fits(left, &[right.as_ref()], columns, without) || fits(right, &[left.as_ref()], columns, without)
        }
        Expr::InList(InList { expr, list, .. }) => {
            fits(expr, &list.iter().collect::<Vec<_>>(), columns, without)
        }
        Expr::Between(Between { expr, low, high, .. }) => {
            fits(expr, &[low.as_ref(), high.as_ref()], columns, without)
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => fits(inner, &[], columns, without),
        // What the optimizer makes of a condition that is always true, as `id is not null` of a column without NULL.
        Expr::Literal(ScalarValue::Boolean(_), _) => true,
        // Taken away by a test alone.
        _ => without.is(Protection::SafeOperator) && !expr.column_refs().is_empty(),
    }
}

/// Whether a condition holds for every row, whatever is in it.
pub(crate) fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    )
}

/// Whether this is a bare unmasked column, and those are values of its type.
fn fits(column: &Expr, values: &[&Expr], columns: &impl Columns, without: &Without) -> bool {
    let Expr::Column(named) = column else {
        return without.is(Protection::BareColumn) && !column.column_refs().is_empty();
    };
    let kind = match columns.unmasked(&named.name) {
        Some(kind) => kind,
        None if without.is(Protection::UnmaskedOnly) => match columns.visible(&named.name) {
            Some(kind) => kind,
            None => return false,
        },
        None => return false,
    };
    values.iter().all(|value| match value {
        Expr::Literal(value, _) => value.data_type() == *kind || without.is(Protection::SameType),
        _ => without.is(Protection::LiteralOnly),
    })
}

/// A leak-proof condition as sources take it; none where their values cannot say it. Names are the source's.
pub(crate) fn to_filter(expr: &Expr) -> Option<Filter> {
    Some(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Filter::And(vec![to_filter(left)?, to_filter(right)?])
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Filter::Or(vec![to_filter(left)?, to_filter(right)?])
        }
        Expr::Not(inner) => Filter::Not(Box::new(to_filter(inner)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
            (Expr::Column(column), Expr::Literal(value, _)) => Filter::Compare {
                column: column.name.clone(),
                operator: comparison(*op)?,
                value: literal(value)?,
            },
            (Expr::Literal(value, _), Expr::Column(column)) => Filter::Compare {
                column: column.name.clone(),
                operator: comparison(op.swap()?)?,
                value: literal(value)?,
            },
            _ => return None,
        },
        Expr::InList(InList { expr, list, negated }) => {
            let Expr::Column(column) = expr.as_ref() else { return None };
            let values = list.iter().map(value_of).collect::<Option<Vec<_>>>()?;
            Filter::In { column: column.name.clone(), values, negated: *negated }
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let Expr::Column(column) = expr.as_ref() else { return None };
            Filter::Between {
                column: column.name.clone(),
                low: value_of(low)?,
                high: value_of(high)?,
                negated: *negated,
            }
        }
        Expr::IsNull(inner) => Filter::IsNull { column: name_of(inner)?, negated: false },
        Expr::IsNotNull(inner) => Filter::IsNull { column: name_of(inner)?, negated: true },
        _ => return None,
    })
}

fn name_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(column) => Some(column.name.clone()),
        _ => None,
    }
}

fn value_of(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Literal(value, _) => literal(value),
        _ => None,
    }
}

fn comparison(operator: Operator) -> Option<Comparison> {
    Some(match operator {
        Operator::Eq => Comparison::Eq,
        Operator::NotEq => Comparison::NotEq,
        Operator::Lt => Comparison::Lt,
        Operator::LtEq => Comparison::LtEq,
        Operator::Gt => Comparison::Gt,
        Operator::GtEq => Comparison::GtEq,
        _ => return None,
    })
}

/// NULL has no place here: what is compared with it is left to the engine.
fn literal(value: &ScalarValue) -> Option<Literal> {
    Some(match value {
        ScalarValue::Boolean(Some(value)) => Literal::Boolean(*value),
        ScalarValue::Int8(Some(value)) => Literal::Int((*value).into()),
        ScalarValue::Int16(Some(value)) => Literal::Int((*value).into()),
        ScalarValue::Int32(Some(value)) => Literal::Int((*value).into()),
        ScalarValue::Int64(Some(value)) => Literal::Int(*value),
        ScalarValue::UInt8(Some(value)) => Literal::UInt((*value).into()),
        ScalarValue::UInt16(Some(value)) => Literal::UInt((*value).into()),
        ScalarValue::UInt32(Some(value)) => Literal::UInt((*value).into()),
        ScalarValue::UInt64(Some(value)) => Literal::UInt(*value),
        ScalarValue::Decimal128(Some(unscaled), _, scale) => {
            Literal::Decimal { unscaled: *unscaled, scale: *scale }
        }
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Literal::Utf8(text.clone()),
        ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => {
            Literal::Binary(bytes.clone())
        }
        ScalarValue::Date32(Some(day)) => Literal::Date(*day),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Literal::Timestamp(*micros),
        _ => return None,
    })
}
