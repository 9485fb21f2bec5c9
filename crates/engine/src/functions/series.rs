//! Rows and lists that are counted up. How many there will be is known before.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::Expr;

use crate::error::QueryError;

/// Rows that a table function makes at most.
const MOST_ROWS: u64 = 10_000_000;
const DAY: i64 = 86_400_000_000_000;

/// The functions of rows.
pub(super) fn table_functions() -> Vec<Arc<TableFunction>> {
    SessionStateDefaults::default_table_functions()
        .into_iter()
        .filter(|function| ["range", "generate_series"].contains(&function.name()))
        .map(|function| Arc::new(TableFunction::new(function.name().to_owned(), Arc::new(Series(function)))))
        .collect()
}

#[derive(Debug)]
struct Series(Arc<TableFunction>);

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let mut values = Vec::new();
        for expr in args.exprs() {
            if let Expr::Literal(value, _) = expr {
                values.push(value.to_array_of_size(1)?);
            }
        }
        if elements(&values)? > MOST_ROWS {
            return Err(QueryError::too_big(format!(
                "The function {} would make more than {MOST_ROWS} rows.",
                self.0.name()
            ))
            .into());
        }
        self.0.create_table_provider_with_args(args)
    }
}

/// How many elements there are from the first argument to the second by the third, or below the only one, in all rows.
pub(super) fn elements(arrays: &[ArrayRef]) -> Result<u64> {
    let (start, stop) = match arrays {
        [] => return Ok(0),
        [stop] => (None, stop),
        [start, stop, ..] => (Some(start), stop),
    };
    let stops = points(stop)?;
    let starts = start.map(points).transpose()?;
    let steps = arrays.get(2).map(strides).transpose()?;
    let unit = if is_time(stop.data_type()) { DAY } else { 1 };
    let total = stops.iter().enumerate().fold(0_u64, |sum, (row, stop)| {
        let start = starts.as_ref().map_or(Some(0), |starts| starts.get(row).copied().flatten());
        let (Some(start), Some(stop)) = (start, *stop) else { return sum };
        let step = steps.as_ref().map_or(unit, |steps| steps.get(row).copied().unwrap_or(1));
        let count = stop.abs_diff(start) / step.unsigned_abs().max(1);
        sum.saturating_add(count.saturating_add(1))
    });
    Ok(total)
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

/// Whole numbers, or nanoseconds of times.
fn points(array: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let array = if is_time(array.data_type()) {
        cast(&cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None))?, &DataType::Int64)?
    } else {
        cast(array, &DataType::Int64)?
    };
    Ok(array.as_primitive::<Int64Type>().iter().collect())
}

/// Whole numbers, or nanoseconds of intervals; months are taken as short as they come.
fn strides(array: &ArrayRef) -> Result<Vec<i64>> {
    if matches!(array.data_type(), DataType::Interval(_)) {
        let array = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let steps = array.as_primitive::<IntervalMonthDayNanoType>();
        return Ok(steps
            .iter()
            .map(|step| {
                step.map_or(1, |step| {
                    let days = i64::from(step.months).saturating_mul(28).saturating_add(i64::from(step.days));
                    days.saturating_mul(DAY).saturating_add(step.nanoseconds)
                })
            })
            .collect());
    }
    let array = cast(array, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().iter().map(|step| step.unwrap_or(1)).collect())
}
