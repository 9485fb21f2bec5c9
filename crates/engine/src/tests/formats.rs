//! Answers as bytes.

use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use futures_util::TryStreamExt;

use super::fixture::{self, Caller};
use super::{engine, leaks, request, rows};
use crate::{Format, encode};

async fn written(sql: &str, format: Format) -> Vec<u8> {
    let fixture = fixture::memory();
    let answer = engine().query(request(&fixture, Caller::Eu, sql)).await.unwrap();
    let parts: Vec<bytes::Bytes> = encode(answer, format).try_collect().await.unwrap();
    parts.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_hold_what_was_asked_for() {
    let sql = "select id, dept, salary, ssn, hired, make_array(id, 2) l, s from emp where id < 4 order by id";
    let json: serde_json::Value = serde_json::from_slice(&written(sql, Format::Json).await).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 2);
    assert_eq!(json[0]["id"], 1);
    assert_eq!(json[0]["salary"], serde_json::Value::Null);
    assert_eq!(json[0]["ssn"], "*******7001");
    assert_eq!(json[0]["l"], serde_json::json!([1, 2]));
    assert_eq!(json[1]["s"]["b"], "b3");
    let lines = String::from_utf8(written(sql, Format::JsonLines).await).unwrap();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.ends_with('\n'));
    let csv = String::from_utf8(written(sql, Format::Csv).await).unwrap();
    assert_eq!(csv.lines().next(), Some("id,dept,salary,ssn,hired,l,s"));
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.contains("\"[1, 2]\""), "{csv}");
    assert_eq!(leaks(&format!("{json}{lines}{csv}")), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rows_are_written_as_well() {
    let sql = "select id, dept from emp where id < 0";
    assert_eq!(written(sql, Format::Json).await, b"[]");
    assert_eq!(written(sql, Format::JsonLines).await, b"");
    assert_eq!(written(sql, Format::Csv).await, b"id,dept\n");
    let arrow = written(sql, Format::Arrow).await;
    assert_eq!(StreamReader::try_new(arrow.as_slice(), None).unwrap().count(), 0);
    let parquet = bytes::Bytes::from(written(sql, Format::Parquet).await);
    assert_eq!(ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().schema().fields().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_come_back_out_of_arrow_and_parquet() {
    let sql = "select id, ssn, hired, s, id as id2, a.n from emp, generate_series(1, 5000) a(n)";
    let fixture = fixture::memory();
    let expected = engine().query(request(&fixture, Caller::Eu, sql)).await.unwrap().collect().await.unwrap();
    let expected = rows(&expected, true);
    assert_eq!(expected.len(), 8 * 5_000);
    let arrow = written(sql, Format::Arrow).await;
    let batches: Vec<_> =
        StreamReader::try_new(arrow.as_slice(), None).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows(&batches, true), expected);
    let parquet = bytes::Bytes::from(written(sql, Format::Parquet).await);
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap().build().unwrap();
    let batches: Vec<_> = reader.collect::<Result<_, _>>().unwrap();
    assert_eq!(rows(&batches, true), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_columns_of_one_name_are_written() {
    let sql = "select a.id, b.id from emp a join emp b on a.id = b.id";
    for format in Format::ALL {
        assert!(
            !written(sql, format).await.is_empty(),
            "{format:?} {} {}",
            format.media_type(),
            format.extension()
        );
    }
}
