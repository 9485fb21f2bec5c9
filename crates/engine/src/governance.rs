//! What the policies say, in the engine's own terms: types of columns, the row filter as an expression, values.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit as ArrowUnit};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, plan_err};
use datafusion::execution::context::ExecutionProps;
use datafusion::functions::expr_fn;
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, cast, lit};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use tidegate_policy::{self as policy, ColumnType, Comparison, Function, TimeUnit, Value};

/// A relation as policies look at it.
pub fn describe(source: i64, schema_name: Option<&str>, table: &str, schema: &Schema) -> policy::Relation {
    policy::Relation {
        source,
        schema: schema_name.map(str::to_owned),
        table: table.to_owned(),
        columns: schema
            .fields()
            .iter()
            .map(|field| policy::Column::new(field.name(), column_type(field.data_type())))
            .collect(),
    }
}

/// The type of a column as policies know it.
pub fn column_type(kind: &DataType) -> ColumnType {
    match kind {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int8 => ColumnType::Int { bits: 8 },
        DataType::Int16 => ColumnType::Int { bits: 16 },
        DataType::Int32 => ColumnType::Int { bits: 32 },
        DataType::Int64 => ColumnType::Int { bits: 64 },
        DataType::UInt8 => ColumnType::UInt { bits: 8 },
        DataType::UInt16 => ColumnType::UInt { bits: 16 },
        DataType::UInt32 => ColumnType::UInt { bits: 32 },
        DataType::UInt64 => ColumnType::UInt { bits: 64 },
        DataType::Float16 => ColumnType::Float { bits: 16 },
        DataType::Float32 => ColumnType::Float { bits: 32 },
        DataType::Float64 => ColumnType::Float { bits: 64 },
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => {
            ColumnType::Decimal { precision: *precision, scale: *scale }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ColumnType::Text,
        DataType::Date32 | DataType::Date64 => ColumnType::Date,
        DataType::Time32(_) | DataType::Time64(_) => ColumnType::Time,
        DataType::Timestamp(unit, zone) => ColumnType::Timestamp {
            unit: match unit {
                ArrowUnit::Second => TimeUnit::Second,
                ArrowUnit::Millisecond => TimeUnit::Millisecond,
                ArrowUnit::Microsecond => TimeUnit::Microsecond,
                ArrowUnit::Nanosecond => TimeUnit::Nanosecond,
            },
            zoned: zone.is_some(),
        },
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            ColumnType::Binary
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_) => {
            ColumnType::List
        }
        DataType::Struct(_) => ColumnType::Struct,
        DataType::Dictionary(_, values) => column_type(values),
        _ => ColumnType::Other,
    }
}

/// A value of a column of this type. Values that the type cannot hold are an error: the policy was made for another schema.
pub(crate) fn scalar(value: &Value, kind: &DataType) -> Result<ScalarValue> {
    if let DataType::Dictionary(_, values) = kind {
        return scalar(value, values);
    }
    let wide = match value {
        Value::Null => return ScalarValue::try_from(kind),
        Value::Boolean(truth) => ScalarValue::Boolean(Some(*truth)),
        Value::Int(number) => ScalarValue::Decimal128(Some(*number), 38, 0),
        Value::Float(number) => ScalarValue::Float64(Some(*number)),
        Value::Decimal(number) => ScalarValue::Decimal128(Some(number.unscaled), 38, number.scale),
        Value::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Date(day) => ScalarValue::Date32(Some(*day)),
        Value::Time(micros) => ScalarValue::Time64Microsecond(Some(*micros)),
        Value::Timestamp(micros) => match kind {
            DataType::Timestamp(_, zone) => ScalarValue::TimestampMicrosecond(Some(*micros), zone.clone()),
            _ => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        },
        Value::Binary(bytes) => ScalarValue::Binary(Some(bytes.clone())),
    };
    if wide.data_type() == *kind { Ok(wide) } else { wide.cast_to(kind) }
}

/// The row filter as an expression over the columns of a relation.
///
/// Both sides of a comparison are of one type, so that nothing of it can fail: integers are compared as numbers of 38 digits where
/// their types differ, timestamps as microseconds (whole ones that the coarser unit holds), text as text.
pub(crate) fn row_filter(expr: &policy::Expr, schema: &Schema) -> Result<Expr> {
    Ok(match expr {
        policy::Expr::Column { name, .. } => {
            schema.field_with_name(name)?;
            Expr::Column(Column::from_name(name))
        }
        policy::Expr::Literal(Value::Boolean(truth)) => lit(*truth),
        policy::Expr::Literal(Value::Null) => lit(ScalarValue::Boolean(None)),
        policy::Expr::Literal(value) => Expr::Literal(own(value), None),
        policy::Expr::Compare { operator, left, right } => compared(*operator, left, right, schema)?,
        policy::Expr::In { value, list, negated } => {
            let kind = common_type(value, list.iter(), schema)?;
            let list = list
                .iter()
                .map(|value| Ok(Expr::Literal(scalar(value, &kind)?, None)))
                .collect::<Result<Vec<_>>>()?;
            // Nothing is in an empty list, not even what has no value.
            if list.is_empty() {
                return Ok(lit(*negated));
            }
            Expr::InList(InList::new(Box::new(side(value, &kind, schema)?), list, *negated))
        }
        policy::Expr::Like { value, pattern, negated } => {
            let text = side(value, &DataType::Utf8, schema)?;
            Expr::Like(Like::new(*negated, Box::new(text), Box::new(lit(pattern.clone())), Some('\\'), false))
        }
        policy::Expr::IsNull { value, negated: false } => Expr::IsNull(Box::new(row_filter(value, schema)?)),
        policy::Expr::IsNull { value, negated: true } => {
            Expr::IsNotNull(Box::new(row_filter(value, schema)?))
        }
        policy::Expr::Call { function, argument } => {
            let text = side(argument, &DataType::Utf8, schema)?;
            match function {
                Function::Lower => expr_fn::lower(text),
                Function::Upper => expr_fn::upper(text),
                Function::Trim => expr_fn::btrim(vec![text]),
                Function::Length => cast(expr_fn::character_length(text), DataType::Int64),
            }
        }
        policy::Expr::And(all) => joined(all, Operator::And, true, schema)?,
        policy::Expr::Or(any) => joined(any, Operator::Or, false, schema)?,
        policy::Expr::Not(inner) => Expr::Not(Box::new(row_filter(inner, schema)?)),
    })
}

fn joined(all: &[policy::Expr], operator: Operator, none: bool, schema: &Schema) -> Result<Expr> {
    let mut parts = all.iter().map(|expr| row_filter(expr, schema)).collect::<Result<Vec<_>>>()?;
    // In the shape of a tree: a chain would be as deep as it is long.
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(left, operator, right),
                None => left,
            });
        }
        parts = pairs;
    }
    Ok(parts.pop().unwrap_or_else(|| lit(none)))
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

fn compared(
    comparison: Comparison,
    left: &policy::Expr,
    right: &policy::Expr,
    schema: &Schema,
) -> Result<Expr> {
    let operator = match comparison {
        Comparison::Equal => Operator::Eq,
        Comparison::NotEqual => Operator::NotEq,
        Comparison::Less => Operator::Lt,
        Comparison::LessOrEqual => Operator::LtEq,
        Comparison::Greater => Operator::Gt,
        Comparison::GreaterOrEqual => Operator::GtEq,
    };
    let kind = match (left, right) {
        (policy::Expr::Literal(value), other) | (other, policy::Expr::Literal(value)) => {
            common_type(other, std::iter::once(value), schema)?
        }
        (one, other) => widest(&type_of(one, schema)?, &type_of(other, schema)?),
    };
    Ok(binary(side(left, &kind, schema)?, operator, side(right, &kind, schema)?))
}

/// The type in which an operand and values are compared: the operand's own if it holds all values exactly.
fn common_type<'v>(
    operand: &policy::Expr,
    mut values: impl Iterator<Item = &'v Value>,
    schema: &Schema,
) -> Result<DataType> {
    let kind = type_of(operand, schema)?;
    if values.all(|value| holds(&kind, value)) { Ok(kind) } else { Ok(widest(&kind, &DataType::Null)) }
}

/// Whether a type has this value, unchanged.
fn holds(kind: &DataType, value: &Value) -> bool {
    let Ok(there) = scalar(value, kind) else { return false };
    match (value, kind) {
        (Value::Null, _) => true,
        // Days and microseconds are lost in coarser units without an error.
        (Value::Timestamp(micros), DataType::Timestamp(unit, _)) => match unit {
            ArrowUnit::Second => micros % 1_000_000 == 0,
            ArrowUnit::Millisecond => micros % 1_000 == 0,
            ArrowUnit::Microsecond => true,
            ArrowUnit::Nanosecond => micros.checked_mul(1_000).is_some(),
        },
        (Value::Float(number), DataType::Float32 | DataType::Float16) => {
            there.cast_to(&DataType::Float64).is_ok_and(|back| back == ScalarValue::Float64(Some(*number)))
        }
        _ => !there.is_null(),
    }
}

/// A type that holds whatever either holds, where that is not the same type.
fn widest(one: &DataType, other: &DataType) -> DataType {
    if one == other {
        return one.clone();
    }
    match one {
        kind if kind.is_integer() => DataType::Decimal128(38, 0),
        kind if kind.is_floating() => DataType::Float64,
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => {
            DataType::Decimal128(38, *scale)
        }
        DataType::Timestamp(_, zone) => DataType::Timestamp(ArrowUnit::Microsecond, zone.clone()),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(ArrowUnit::Microsecond),
        kind => kind.clone(),
    }
}

fn type_of(expr: &policy::Expr, schema: &Schema) -> Result<DataType> {
    Ok(match expr {
        policy::Expr::Column { name, .. } => match schema.field_with_name(name)?.data_type() {
            DataType::Dictionary(_, values) => values.as_ref().clone(),
            kind => kind.clone(),
        },
        policy::Expr::Literal(value) => own(value).data_type(),
        policy::Expr::Call { function: Function::Length, .. } => DataType::Int64,
        policy::Expr::Call { .. } => DataType::Utf8,
        _ => DataType::Boolean,
    })
}

fn own(value: &Value) -> ScalarValue {
    match value {
        Value::Null => ScalarValue::Null,
        Value::Boolean(truth) => ScalarValue::Boolean(Some(*truth)),
        Value::Int(number) => ScalarValue::Decimal128(Some(*number), 38, 0),
        Value::Float(number) => ScalarValue::Float64(Some(*number)),
        Value::Decimal(number) => ScalarValue::Decimal128(Some(number.unscaled), 38, number.scale),
        Value::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Date(day) => ScalarValue::Date32(Some(*day)),
        Value::Time(micros) => ScalarValue::Time64Microsecond(Some(*micros)),
        Value::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        Value::Binary(bytes) => ScalarValue::Binary(Some(bytes.clone())),
    }
}

fn side(expr: &policy::Expr, kind: &DataType, schema: &Schema) -> Result<Expr> {
    if let policy::Expr::Literal(value) = expr {
        return Ok(Expr::Literal(scalar(value, kind)?, None));
    }
    let made = row_filter(expr, schema)?;
    let raw = match expr {
        policy::Expr::Column { name, .. } => schema.field_with_name(name)?.data_type().clone(),
        other => type_of(other, schema)?,
    };
    Ok(if raw == *kind { made } else { cast(made, kind.clone()) })
}

/// An expression that can be evaluated on batches of this schema. Its types fit already: nothing is coerced.
pub(crate) fn physical(expr: &Expr, schema: &Arc<Schema>) -> Result<Arc<dyn PhysicalExpr>> {
    let named = DFSchema::try_from(Arc::clone(schema))?;
    let made =
        create_physical_expr(expr, &named, &ExecutionProps::new(), &PhysicalPlanningContext::default())?;
    if made.data_type(schema)? != DataType::Boolean {
        return plan_err!("a row filter is true or false");
    }
    Ok(made)
}
