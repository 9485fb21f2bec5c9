//! The other engine: no barrier and no policy, over a copy of what the caller may see that is made here, by hand.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Date32Array, StringArray, new_null_array};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::fixture::{Caller, Fixture};
use super::{ask, engine};

/// The copy: rows the caller sees, as the caller sees them.
pub(super) async fn copy(fixture: &Fixture, caller: Caller) -> Vec<RecordBatch> {
    let raw = ask(&engine(), fixture, Caller::Everybody, "select * from emp").await.unwrap();
    raw.iter().map(|batch| visible(batch, caller)).collect()
}

fn visible(batch: &RecordBatch, caller: Caller) -> RecordBatch {
    let region = cast(batch.column_by_name("region").unwrap(), &DataType::Utf8).unwrap();
    let region = region.as_string::<i32>();
    let seen =
        (0..batch.num_rows()).map(|row| caller.sees((!region.is_null(row)).then(|| region.value(row))));
    let seen = datafusion::arrow::array::BooleanArray::from(seen.collect::<Vec<_>>());
    let batch = filter_record_batch(batch, &seen).unwrap();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let shown: ArrayRef = match field.name().as_str() {
            "salary" => new_null_array(column.data_type(), column.len()),
            "ssn" => {
                let text = cast(column, &DataType::Utf8).unwrap();
                let text = text.as_string::<i32>();
                let shown: StringArray =
                    text.iter().map(|text| text.map(|text| format!("*******{}", &text[7..]))).collect();
                cast(&(Arc::new(shown) as ArrayRef), column.data_type()).unwrap()
            }
            "hired" if matches!(column.data_type(), DataType::Date32) => {
                let days = column.as_primitive::<Date32Type>();
                let shown: Date32Array = days.iter().map(|day| day.map(start_of_year)).collect();
                Arc::new(shown)
            }
            // Only dates can be cut.
            "hired" => new_null_array(column.data_type(), column.len()),
            _ => own(column),
        };
        let masked = ["salary", "ssn", "hired"].contains(&field.name().as_str());
        fields.push(Field::new(field.name(), column.data_type().clone(), field.is_nullable() || masked));
        columns.push(shown);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// Words that only hidden rows had are no part of the copy.
fn own(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Dictionary(_, values) => cast(&cast(column, values).unwrap(), column.data_type()).unwrap(),
        _ => Arc::clone(column),
    }
}

/// By counting years, so that it shares nothing with what is tested.
fn start_of_year(day: i32) -> i32 {
    let mut start = 0;
    for year in 1970.. {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let next = start + if leap { 366 } else { 365 };
        if day < next {
            return start;
        }
        start = next;
    }
    start
}

/// A plain session over a copy.
pub(super) fn session(copy: &[RecordBatch]) -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let schema = copy.first().map_or_else(|| super::fixture::batch(true).schema(), RecordBatch::schema);
    // A condition without columns fails on a batch without rows, which the other side never sees.
    let rows = copy.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
    let table = MemTable::try_new(schema, vec![rows]).unwrap();
    context.register_table("emp", Arc::new(table)).unwrap();
    context
}

/// The plain answer; an error has no text here.
pub(super) async fn answer(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>, ()> {
    let frame = context.sql(sql).await.map_err(|_| ())?;
    frame.collect().await.map_err(|_| ())
}
