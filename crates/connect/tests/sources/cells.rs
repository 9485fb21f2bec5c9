//! Batches as text, to be compared.

use std::future::ready;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use tidegate_connect::{
    BatchStream, ErrorCode, Filter, Finds, Order, Relation, Scan, Source, SourceError, Table,
};

/// The cells of every row.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// A row of texts, of which `NULL` is none.
pub(crate) fn row<const N: usize>(cells: [&str; N]) -> Vec<Option<String>> {
    cells.into_iter().map(|cell| (cell != "NULL").then(|| cell.to_owned())).collect()
}

pub(crate) async fn rows(stream: BatchStream) -> Result<Rows, SourceError> {
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    Ok(batches.iter().flat_map(of_batch).collect())
}

/// Takes the tables of a discovery until there are so many, and the last one with an error.
pub(crate) struct Few {
    pub(crate) tables: Vec<String>,
    most: usize,
}

impl Few {
    pub(crate) fn of(most: usize) -> Self {
        Self { tables: Vec::new(), most }
    }
}

impl Finds for Few {
    fn schema(&mut self, _: String) -> BoxFuture<'_, Result<(), SourceError>> {
        ready(Ok(())).boxed()
    }

    fn table(&mut self, table: Table) -> BoxFuture<'_, Result<(), SourceError>> {
        self.tables.push(table.name);
        let is_enough = self.tables.len() >= self.most;
        ready(if is_enough { Err(SourceError::new(ErrorCode::Query, "enough")) } else { Ok(()) }).boxed()
    }
}

/// Reads a relation as a whole.
pub(crate) async fn read(source: &dyn Source, relation: Relation) -> Result<Rows, SourceError> {
    rows(source.scan(Scan::all(relation)).await?).await
}

/// Reads some columns of the rows that a filter selects, and whether the source applied it.
pub(crate) async fn select(
    source: &dyn Source,
    relation: Relation,
    columns: &[&str],
    filter: Filter,
) -> Result<(Rows, bool), SourceError> {
    let projection = Some(columns.iter().map(|&name| name.to_owned()).collect());
    let scan = Scan { relation, projection, filters: vec![filter], order: vec![], limit: None };
    let stream = source.scan(scan).await?;
    let applied = stream.filtered == [true];
    Ok((rows(stream).await?, applied))
}

/// The identifiers of the first two rows in an order, as `name desc nulls first`; all, with their number, where a source does not choose.
pub(crate) async fn first_two(
    source: &dyn Source,
    relation: Relation,
    order: &[&str],
    filters: Vec<Filter>,
) -> Result<String, SourceError> {
    let key = |words: &&str| Order {
        column: words.split(' ').next().unwrap().to_owned(),
        descending: words.contains(" desc"),
        nulls_first: words.ends_with(" nulls first"),
    };
    let order: Vec<Order> = order.iter().map(key).collect();
    let schema = source.schema(&relation).await?;
    let chooses = source.orders(&schema, &order);
    let projection = Some(vec!["id".to_owned()]);
    let stream = source.scan(Scan { relation, projection, filters, order, limit: Some(2) }).await?;
    assert_eq!(stream.limited, chooses, "what is said is done");
    let rows = rows(stream).await?;
    let mut ids: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if chooses {
        return Ok(ids.join(", "));
    }
    ids.sort();
    Ok(format!("{} rows", ids.len()))
}

fn of_batch(batch: &RecordBatch) -> Rows {
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| cell(column.as_ref(), row)).collect())
        .collect()
}

fn cell(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    macro_rules! number {
        ($kind:ty) => {
            array.as_primitive::<$kind>().value(row).to_string()
        };
    }
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => number!(Float64Type),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => format!("{:02x?}", array.as_binary::<i32>().value(row)),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap().to_string()
        }
        DataType::Time64(_) => number!(Time64MicrosecondType),
        DataType::Timestamp(_, zone) => {
            let moment = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let moment = jiff::Timestamp::from_microsecond(moment).unwrap().to_string();
            if zone.is_some() { moment } else { moment.trim_end_matches('Z').to_owned() }
        }
        DataType::Interval(_) => format!("{:?}", array.as_primitive::<IntervalMonthDayNanoType>().value(row)),
        other => panic!("no text for {other}"),
    })
}
