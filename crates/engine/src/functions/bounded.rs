//! Functions that make much out of little allocate outside of the memory that is counted, and would end the process. What they would
//! make is looked at before they make it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::series;
use crate::error::QueryError;

/// Bytes that one call for one batch of rows may make.
const MOST_BYTES: u64 = 64 << 20;

/// How much a call makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// The first argument as often as the second says.
    Times,
    /// As many characters as the second argument says.
    Characters,
    /// As many elements as the second argument says, each like the third or nothing.
    Elements,
    /// The first argument, each of its places replaced by the third.
    Replaced,
    /// From the first to the second by the third.
    Series,
    /// All arguments, one after the other.
    Sum,
}

fn growth(name: &str) -> Option<Growth> {
    Some(match name {
        "repeat" | "array_repeat" => Growth::Times,
        "lpad" | "rpad" => Growth::Characters,
        "array_resize" => Growth::Elements,
        "replace" | "regexp_replace" | "array_replace_all" | "translate" => Growth::Replaced,
        "range" | "generate_series" => Growth::Series,
        "concat" | "concat_ws" | "overlay" | "array_concat" | "array_append" | "array_prepend"
        | "make_array" | "map" | "array_to_string" | "string_to_array" | "array_union" | "flatten"
        | "arrays_zip" | "struct" | "named_struct" | "encode" | "decode" | "array_replace"
        | "array_replace_n" => Growth::Sum,
        _ => return None,
    })
}

/// The function, with a bound around it where it needs one.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    match growth(function.name()) {
        Some(growth) => Arc::new(ScalarUDF::new_from_impl(Bounded { inner: function, growth })),
        None => function,
    }
}

/// A function behind its bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(
        &self,
        args: ReturnFieldArgs,
    ) -> Result<datafusion::arrow::datatypes::FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays_of(&args)?;
        let makes = self.growth.bytes(&arrays, args.number_rows)?;
        within(self.name(), makes)?;
        self.inner.invoke_with_args(args)
    }
}

/// Arguments as arrays: each of one row if all of them are values.
trait Arrays {
    fn values_to_arrays_of(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>>;
}

impl Arrays for ColumnarValue {
    fn values_to_arrays_of(args: &ScalarFunctionArgs) -> Result<Vec<ArrayRef>> {
        let rows =
            if args.args.iter().all(|arg| matches!(arg, Self::Scalar(_))) { 1 } else { args.number_rows };
        args.args.iter().map(|arg| arg.to_array(rows)).collect()
    }
}

fn within(name: &str, makes: u64) -> Result<()> {
    if makes > MOST_BYTES {
        return Err(QueryError::too_big(format!(
            "The function {name} would make more than {} MiB at once.",
            MOST_BYTES >> 20
        ))
        .into());
    }
    Ok(())
}

impl Growth {
    fn bytes(self, arrays: &[ArrayRef], rows: usize) -> Result<u64> {
        // A value is the same for all rows, and made once.
        let rows = arrays.first().map_or(rows, |array| array.len());
        let argument = |place: usize| arrays.get(place);
        let total = match self {
            Self::Sum => arrays.iter().map(total_bytes).fold(0, u64::saturating_add),
            Self::Series => return series::elements(arrays).map(|elements| elements.saturating_mul(8)),
            Self::Times => {
                let (Some(what), Some(times)) = (argument(0), argument(1)) else { return Ok(0) };
                let times = counts(times)?;
                sum(rows, |row| size_at(what, row).max(8).saturating_mul(at(&times, row)))
            }
            Self::Characters => {
                let Some(counts_of) = argument(1) else { return Ok(0) };
                let characters = counts(counts_of)?;
                sum(rows, |row| at(&characters, row).saturating_mul(4))
            }
            Self::Elements => {
                let Some(counts_of) = argument(1) else { return Ok(0) };
                let elements = counts(counts_of)?;
                sum(rows, |row| {
                    let each = argument(2).map_or(16, |value| size_at(value, row).max(16));
                    at(&elements, row).saturating_mul(each)
                })
            }
            Self::Replaced => {
                let (Some(text), Some(with)) = (argument(0), argument(2)) else { return Ok(0) };
                // Each place of a text is replaced at most once, and a replacement may quote the whole.
                sum(rows, |row| {
                    let places = size_at(text, row).saturating_add(1);
                    let quotes = if has_quote(with, row) { places } else { 1 };
                    places.saturating_mul(size_at(with, row).saturating_add(1)).saturating_mul(quotes)
                }) / 16
            }
        };
        Ok(total)
    }
}

fn sum(rows: usize, of: impl Fn(usize) -> u64) -> u64 {
    (0..rows).fold(0, |sum, row| sum.saturating_add(of(row)))
}

fn at(counts: &[u64], row: usize) -> u64 {
    counts.get(row).copied().unwrap_or(0)
}

/// Whole numbers, 0 for NULL and what is below.
fn counts(array: &ArrayRef) -> Result<Vec<u64>> {
    let numbers = cast(array, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    Ok(numbers
        .iter()
        .map(|number| number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
        .collect())
}

/// Bytes of one value. What has no length of its own counts as much as all of them.
fn size_at(array: &ArrayRef, row: usize) -> u64 {
    if array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_length(row).unsigned_abs().into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value_length(row).unsigned_abs(),
        DataType::Utf8View => array.as_string_view().value(row).len() as u64,
        kind => match kind.primitive_width() {
            Some(width) => width as u64,
            None => total_bytes(array),
        },
    }
}

fn has_quote(array: &ArrayRef, row: usize) -> bool {
    if array.is_null(row) {
        return false;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).contains(['\\', '$']),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).contains(['\\', '$']),
        DataType::Utf8View => array.as_string_view().value(row).contains(['\\', '$']),
        _ => false,
    }
}

/// Bytes of the values of an array, each counted as often as a copy would.
fn total_bytes(array: &ArrayRef) -> u64 {
    match array.data_type() {
        DataType::Utf8View | DataType::Dictionary(..) => sum(array.len(), |row| size_of_view(array, row)),
        _ => array.to_data().get_slice_memory_size().map_or(u64::MAX, |bytes| bytes as u64),
    }
}

fn size_of_view(array: &ArrayRef, row: usize) -> u64 {
    match array.data_type() {
        DataType::Utf8View if !array.is_null(row) => array.as_string_view().value(row).len() as u64,
        DataType::Utf8View => 0,
        _ => array.get_array_memory_size() as u64,
    }
}

/// Makes `a || b` a call that is bounded, too.
#[derive(Debug)]
pub(super) struct ConcatPlanner;

impl ExprPlanner for ConcatPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let is_list = |expr: &Expr| {
            expr.get_type(schema).is_ok_and(|kind| {
                matches!(kind, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
            })
        };
        // Lists are the business of another planner, whose functions are bounded above.
        if is_list(&expr.left) || is_list(&expr.right) {
            return Ok(PlannerResult::Original(expr));
        }
        let concat =
            ScalarUDF::new_from_impl(Concat { signature: Signature::user_defined(Volatility::Immutable) });
        Ok(PlannerResult::Planned(concat.call(vec![expr.left, expr.right])))
    }
}

/// The operator `||` as a function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concat {
    signature: Signature,
}

impl ScalarUDFImpl for Concat {
    fn name(&self) -> &str {
        "||"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [left, right] = types else { return internal_err!("|| has two operands") };
        BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_result_type()
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [left, right] = types else { return internal_err!("|| has two operands") };
        let (left, right) = BinaryTypeCoercer::new(left, &Operator::StringConcat, right).get_input_types()?;
        Ok(vec![left, right])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays_of(&args)?;
        within("||", arrays.iter().map(total_bytes).fold(0, u64::saturating_add))?;
        let rows = arrays.first().map_or(0, |array| array.len());
        let schema = Schema::new(
            arrays
                .iter()
                .zip(["left", "right"])
                .map(|(array, name)| {
                    datafusion::arrow::datatypes::Field::new(name, array.data_type().clone(), true)
                })
                .collect::<Vec<_>>(),
        );
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options)?;
        let joined = BinaryExpr::new(
            Arc::new(Column::new("left", 0)),
            Operator::StringConcat,
            Arc::new(Column::new("right", 1)),
        );
        let joined = joined.evaluate(&batch)?;
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            let array = joined.into_array(rows)?;
            return datafusion::scalar::ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar);
        }
        Ok(joined)
    }
}
