//! Files of Parquet as they are served: the same types and values as page by page, and less of the file where policies and conditions
//! leave less.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, DurationSecondArray,
    FixedSizeBinaryArray, Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray, RecordBatch,
    StringArray, StringViewArray, Time64MicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::config::ConfigOptions;
use datafusion::execution::memory_pool::UnboundedMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::parquet::data_type::{Int96, Int96Type};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::parquet::file::writer::SerializedFileWriter;
use datafusion::parquet::schema::parser::parse_message_type;
use datafusion::physical_plan::{ExecutionPlanProperties, StatisticsArgs, StatisticsContext};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::fixture::{self, Caller, Fixture, Reading, parquet_bytes, parquet_file};
use super::limits::{Kept, quiet, run};
use super::{ask, engine, request, rows};
use crate::mutation::Without;
use crate::table::{GovernedTable, Seal};
use crate::{GovernedRelation, Limits, RelationName, Wanted};

/// Columns of types that readers map differently if they are let.
fn odd() -> RecordBatch {
    let nanos = [Some(1_700_000_000_123_456_789), None, Some(-1)];
    let millis = [Some(1_700_000_000_123), None, Some(-1)];
    let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("unsigned", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None, Some(0)]))),
        ("small", Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)]))),
        ("truth", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("float", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None]))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(1_234_567_890_123_456_789), None, Some(-1)])
                    .with_precision_and_scale(38, 9)
                    .unwrap(),
            ),
        ),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None, Some(0)]))),
        ("at", Arc::new(TimestampNanosecondArray::from(nanos.to_vec()).with_timezone("+02:00"))),
        ("zoned", Arc::new(TimestampMillisecondArray::from(millis.to_vec()).with_timezone("-05:30"))),
        ("span", Arc::new(DurationSecondArray::from(vec![Some(60), None, Some(-60)]))),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), None, Some(&[][..])]))),
        (
            "fixed",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some([1_u8, 2]), None, Some([3, 4])].into_iter(),
                    2,
                )
                .unwrap(),
            ),
        ),
        ("large", Arc::new(LargeStringArray::from(vec![Some("ä"), None, Some("")]))),
        (
            "view",
            Arc::new(StringViewArray::from(vec![Some("a text of more than twelve bytes"), None, Some("")])),
        ),
        ("dictionary", Arc::new(dictionary)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap()
}

/// A column of the first kind of timestamps, which no writer of today makes.
fn int96() -> Vec<u8> {
    let schema = Arc::new(parse_message_type("message emp { optional int96 at; }").unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    // The last one is 9999-12-31, which nanoseconds do not reach.
    let values = [[1_000, 0, 2_459_000], [0, 1, 2_440_588], [0, 0, 5_373_484]];
    let values = values.map(|value| Int96::from(value.to_vec()));
    column.typed::<Int96Type>().write_batch(&values, Some(&[1, 0, 1, 1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn types(schema: &SchemaRef) -> Vec<DataType> {
    schema.fields().iter().map(|field| field.data_type().clone()).collect()
}

/// All columns and rows, as the engine answers them, and the types that its source gives.
async fn all(fixture: &Fixture) -> (Vec<DataType>, Vec<Vec<String>>) {
    let columns = (0..fixture.rows.schema().fields().len()).collect();
    let plan = fixture.rows.scan(wanted(columns, None), &ConfigOptions::new()).await.unwrap();
    let batches = ask(&engine(), fixture, Caller::Everybody, "select * from emp").await.unwrap();
    assert!(batches.iter().all(|batch| types(&batch.schema()) == types(&plan.schema())));
    (types(&plan.schema()), rows(&batches, true))
}

#[tokio::test]
async fn types_and_values_are_the_same_however_a_file_is_read() {
    let files = [parquet_bytes(&odd(), 2), int96(), parquet_bytes(&fixture::batch(true), 5)];
    for bytes in files {
        let (plain, _) = parquet_file(&bytes, Reading::PageByPage).await.unwrap();
        let wanted = all(&plain).await;
        assert!(!wanted.1.is_empty());
        for reading in [Reading::Served, Reading::PushedDown] {
            let (fixture, content) = parquet_file(&bytes, reading).await.unwrap();
            assert_eq!(all(&fixture).await, wanted, "{reading:?}");
            assert!(content.bytes_read() > 0, "read by row groups");
        }
    }
}

// NaN is larger than every number here, and in no statistics of a file.
#[tokio::test]
async fn numbers_that_are_none_are_found() {
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(0..6)) as ArrayRef),
        ("x", Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0, 3.0, -0.0, 9.0])) as ArrayRef),
    ]);
    let bytes = parquet_bytes(&batch.unwrap(), 2);
    let (plain, _) = parquet_file(&bytes, Reading::PageByPage).await.unwrap();
    for sql in [
        "select id from emp where x > 5.0 order by id",
        "select id from emp where x > 5.0 and id < 4",
        "select id from emp where not (x <= 5.0) order by id",
        "select id from emp order by x desc limit 1",
        "select e.id from (values (cast('NaN' as double))) v(n) join emp e on e.x = v.n",
        "select e.id from (values (0.0)) v(n) join emp e on e.x = v.n",
    ] {
        let wanted = ask(&engine(), &plain, Caller::Everybody, sql).await.unwrap();
        for reading in [Reading::Served, Reading::PushedDown] {
            let (fixture, _) = parquet_file(&bytes, reading).await.unwrap();
            let answer = ask(&engine(), &fixture, Caller::Everybody, sql).await.unwrap();
            assert_eq!(rows(&answer, false), rows(&wanted, false), "{sql} {reading:?}");
        }
    }
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("lists", Arc::new(lists) as ArrayRef),
    ]);
    let (fixture, content) = parquet_file(&parquet_bytes(&batch.unwrap(), 1), Reading::Served).await.unwrap();
    let answer =
        ask(&engine(), &fixture, Caller::Everybody, "select id, array_length(lists) from emp order by id")
            .await;
    assert_eq!(rows(&answer.unwrap(), false), [["1", "2"], ["2", "NULL"]]);
    assert_eq!(content.bytes_read(), 0);
    let answer = ask(&engine(), &fixture, Caller::Everybody, "select sum(id) from emp").await;
    assert_eq!(rows(&answer.unwrap(), false), [["3"]]);
    assert!(content.bytes_read() > 0, "the other column");
}

// A file is shared out once among the streams of its reader.
#[tokio::test]
async fn each_step_of_a_recursive_query_reads_the_file() {
    let sql = "with recursive r(n) as (select 1 union all select e.id + 2 from r join emp e on e.id = r.n) select n from r order by n";
    let wanted = ask(&engine(), &fixture::memory(), Caller::Eu, sql).await.unwrap();
    assert_eq!(rows(&wanted, false).len(), 9, "from 1 to 17");
    let bytes = parquet_bytes(&fixture::batch(true), 5);
    for reading in [Reading::PageByPage, Reading::Served, Reading::PushedDown] {
        let (fixture, _) = parquet_file(&bytes, reading).await.unwrap();
        let answer = ask(&engine(), &fixture, Caller::Eu, sql).await.unwrap();
        assert_eq!(rows(&answer, false), rows(&wanted, false), "{reading:?}");
    }
}

/// So many employees, region by region, in row groups of 1,000.
fn many(count: i64) -> Vec<u8> {
    let texts = |of: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..count).map(of)))
    };
    let region = |id: i64| if id < count / 2 { "EU" } else { "US" };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..count))),
        ("region", texts(&|id| region(id).to_owned())),
        ("dept", texts(&|id| format!("dept {}", id * 7_919 % 10_007))),
        ("salary", Arc::new(Int64Array::from_iter_values((0..count).map(|id| id * 3)))),
        ("ssn", texts(&|id| format!("{:03}-{:02}-{id:06}", id % 1_000, id % 100))),
        ("note", texts(&|id| format!("a note about {id}"))),
        ("hired", Arc::new(Date32Array::from_iter_values((0..count).map(|id| id as i32)))),
    ];
    parquet_bytes(&RecordBatch::try_from_iter(columns).unwrap(), 1_000)
}

#[tokio::test]
async fn what_policies_and_conditions_leave_out_is_not_read() {
    let bytes = many(40_000);
    for reading in [Reading::Served, Reading::PushedDown] {
        let (fixture, content) = parquet_file(&bytes, reading).await.unwrap();
        let engine = engine();
        let (engine, content, fixture) = (&engine, &content, &fixture);
        let read = move |caller: Caller, sql: &'static str| async move {
            let before = content.bytes_read();
            let answer = ask(engine, fixture, caller, sql).await.unwrap();
            (content.bytes_read() - before, rows(&answer, false))
        };
        let (all, sum) = read(Caller::Everybody, "select count(dept), count(region) from emp").await;
        assert_eq!(sum, [["40000", "40000"]]);
        // The policy's own condition.
        let (half, sum) = read(Caller::Eu, "select count(dept) from emp").await;
        assert_eq!(sum, [["20000"]]);
        assert!(half < all * 6 / 10, "{half} of {all}");
        // A condition of the person's beside it.
        let (few, found) =
            read(Caller::Eu, "select count(dept) from emp where id between 4100 and 4109").await;
        assert_eq!(found, [["10"]]);
        assert!(few < all / 10, "{few} of {all}");
        // Beyond what is seen.
        let (none, found) = read(Caller::Eu, "select count(dept) from emp where id > 30000").await;
        assert_eq!((none, found), (0, vec![vec!["0".to_owned()]]));
        // A join's other side, and the ten first.
        let joined = "select e.dept from (values (4711)) v(n) join emp e on e.id = v.n";
        let (few, found) = read(Caller::Eu, joined).await;
        assert_eq!(found.len(), 1);
        assert!(few < all / 5, "{few} of {all}");
    }
}

#[tokio::test]
async fn raw_values_of_masked_columns_leave_nothing_out() {
    let (fixture, content) = parquet_file(&many(20_000), Reading::Served).await.unwrap();
    let engine = engine();
    let mut read = BTreeSet::new();
    // A number that is there, one that is not, and one that is hidden.
    for number in ["400-00-000400", "x", "900-00-015900"] {
        let before = content.bytes_read();
        let sql = format!("select count(*) from emp where ssn = '{number}'");
        let answer = ask(&engine, &fixture, Caller::Eu, &sql).await.unwrap();
        assert_eq!(rows(&answer, false), [["0"]]);
        read.insert(content.bytes_read() - before);
    }
    assert_eq!(read.len(), 1, "{read:?}");
}

#[tokio::test]
async fn administrators_see_what_was_left_to_a_file() {
    let (engine, kept) = (engine(), Arc::new(Kept::default()));
    let fixture = fixture::parquet(false).await;
    let sql = "select dept from emp where id > 4711 and ssn = 'x' and upper(dept) = 'LAB'";
    let mut query = request(&fixture, Caller::Eu, sql);
    query.decisions = Some(Arc::clone(&kept) as _);
    assert!(run(&engine, query).await.is_ok());
    quiet(&engine).await;
    let kept = kept.0.lock().unwrap();
    let [pushed] = kept[0].pushed.as_slice() else { panic!("{:?}", kept[0].pushed) };
    assert_eq!(pushed.columns, ["id", "region", "dept", "ssn"]);
    assert_eq!(pushed.filters, ["region = ?", "id > ?"]);
}

fn wanted(columns: Vec<usize>, told: Option<Vec<usize>>) -> Wanted<'static> {
    let memory = Arc::new(UnboundedMemoryPool::default());
    Wanted { columns, conditions: &[], limit: None, first: None, partitions: 4, told, memory }
}

#[tokio::test]
async fn a_file_is_read_in_as_many_streams_as_are_wanted() {
    let (fixture, _) = parquet_file(&many(20_000), Reading::Served).await.unwrap();
    let mut config = ConfigOptions::new();
    config.optimizer.repartition_file_min_size = 0;
    let plan = fixture.rows.scan(wanted(vec![0, 2], None), &config).await.unwrap();
    assert_eq!(plan.output_partitioning().partition_count(), 4);
}

#[tokio::test]
async fn a_row_group_that_has_no_room_is_read_page_by_page() {
    let big = many(40_000);
    let one_group = {
        let (fixture, _) = parquet_file(&big, Reading::PageByPage).await.unwrap();
        let batches = ask(&engine(), &fixture, Caller::Everybody, "select * from emp").await.unwrap();
        let batch = datafusion::arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
        parquet_bytes(&batch, 40_000)
    };
    let (fixture, content) = parquet_file(&one_group, Reading::Served).await.unwrap();
    let engine = engine();
    let mut asked = request(&fixture, Caller::Everybody, "select count(note), count(ssn), max(id) from emp");
    asked.limits = Limits { memory_bytes: 1 << 20, ..Limits::default() };
    assert_eq!(rows(&run(&engine, asked).await.unwrap(), false), [["40000", "40000", "39999"]]);
    assert_eq!(content.bytes_read(), 0);
    let asked = request(&fixture, Caller::Everybody, "select count(note), count(ssn), max(id) from emp");
    assert_eq!(rows(&run(&engine, asked).await.unwrap(), false), [["40000", "40000", "39999"]]);
    assert!(content.bytes_read() > 0);
    quiet(&engine).await;
}

/// What the optimizer is told of a relation.
async fn told(governed: GovernedRelation, row_estimates: bool) -> Statistics {
    let name = RelationName::new("hr", None, "emp");
    let seal = Seal { session: 0, relation: 0 };
    let table = GovernedTable::new(name, governed, seal, row_estimates, Without::default()).unwrap();
    // A query's memory, disk and stores are in its session.
    let config = SessionConfig::new().with_extension(Arc::new(RuntimeEnv::default()));
    let state = SessionContext::new_with_config(config).state();
    let plan = table.scan(&state, None, &[], None).await.unwrap();
    let told = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()).unwrap();
    Statistics::clone(&told)
}

#[tokio::test]
async fn the_optimizer_knows_of_nothing_that_is_hidden() {
    let (fixture, _) = parquet_file(&parquet_bytes(&fixture::batch(true), 3), Reading::Served).await.unwrap();
    let is_known = |told: &Statistics| -> Vec<bool> {
        told.column_statistics.iter().map(|column| column.min_value != Precision::Absent).collect()
    };
    // Rows are hidden: a power of two, and no value.
    let hidden = told(fixture.governed(Caller::Eu), true).await;
    assert_eq!(hidden.num_rows, Precision::Inexact(32));
    assert!(is_known(&hidden).iter().all(|known| !known));
    // Columns are masked: what the person may ask for.
    let mut masked = fixture.governed(Caller::Eu);
    let mut resolved = masked.resolved.as_ref().clone();
    resolved.filter = None;
    masked.resolved = Arc::new(resolved);
    let seen = told(masked.clone(), true).await;
    assert_eq!(seen.num_rows, Precision::Inexact(18));
    let names = ["id", "region", "dept", "salary", "ssn", "note", "hired"];
    for (name, known) in names.into_iter().zip(is_known(&seen)) {
        assert_eq!(known, !["salary", "ssn", "hired"].contains(&name), "{name}");
    }
    assert!(!format!("{seen:?}").contains("101-11"), "{seen:?}");
    // Nothing is hidden, and all of it is an estimate all the same: each row that is counted is read.
    let open = told(fixture.governed(Caller::Everybody), true).await;
    assert_eq!(open.num_rows, Precision::Inexact(18));
    assert!(is_known(&open).iter().take(7).all(|known| *known));
    // The server's owner keeps them from plans.
    let kept = told(masked, false).await;
    assert_eq!(kept.num_rows, Precision::Absent);
    assert!(is_known(&kept).iter().all(|known| !known));
}

// What is altered is noticed, or is a value. It ends its own query at most.
#[tokio::test]
async fn altered_files_are_answered_or_refused() {
    let whole = parquet_bytes(&fixture::batch(true), 9);
    let engine = engine();
    for place in (0..whole.len()).step_by(13) {
        let mut altered = whole.clone();
        altered[place] ^= 0xff;
        let Ok((fixture, _)) = parquet_file(&altered, Reading::Served).await else { continue };
        let sql = "select count(*), min(region), max(dept), sum(id) from emp where id > 2";
        let _ = ask(&engine, &fixture, Caller::Everybody, sql).await;
    }
    let answer = ask(&engine, &fixture::memory(), Caller::Eu, "select count(*) from emp").await;
    assert_eq!(rows(&answer.unwrap(), false), [["8"]]);
}
