//! Columns that keep their values apart from their rows, as files of Parquet have them that were written from data frames: categories are
//! dictionaries, long texts are views. What rows that are not seen had of them is in no answer, and makes no query fail.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::ipc::writer::StreamWriter;

use super::fixture::{self, Caller, Fixture, Reading, parquet_bytes, parquet_file};
use super::{ask, engine, leaks, rows, text};

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The employees, their notes as dictionaries, views, and lists of these.
fn batch(with_list: bool) -> RecordBatch {
    let plain = fixture::batch(true);
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in plain.schema().fields().iter().zip(plain.columns()) {
        let kind = match field.name().as_str() {
            "region" | "dept" | "note" | "ssn" => dictionary(),
            _ => field.data_type().clone(),
        };
        columns.push(cast(column, &kind).unwrap());
        fields.push(Field::new(field.name(), kind, field.is_nullable()));
    }
    let note = plain.column_by_name("note").unwrap().as_string::<i32>();
    // Longer than what a view holds itself.
    let stories = note.iter().map(|note| note.map(|note| format!("{note}, which is a long story")));
    let stories: ArrayRef = Arc::new(stories.collect::<StringArray>());
    let list = DataType::List(Arc::new(Field::new("item", dictionary(), true)));
    let list_view = DataType::ListView(Arc::new(Field::new("item", DataType::Utf8View, true)));
    let mut further = vec![("story", DataType::Utf8View), ("tags", list)];
    if with_list {
        further.push(("parts", list_view));
    }
    for (name, kind) in further {
        columns.push(cast(&stories, &kind).unwrap());
        fields.push(Field::new(name, kind, true));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

async fn fixtures() -> Vec<Fixture> {
    let bytes = parquet_bytes(&batch(false), 5);
    let mut all = vec![fixture::memory_of(&batch(true))];
    for reading in [Reading::Served, Reading::PushedDown, Reading::PageByPage] {
        all.push(parquet_file(&bytes, reading).await.unwrap().0);
    }
    all
}

/// The bytes of rows as an Arrow stream, as far as they are text.
fn sent(batches: &[RecordBatch]) -> String {
    let Some(first) = batches.first() else { return String::new() };
    let mut writer = StreamWriter::try_new(Vec::new(), &first.schema()).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    String::from_utf8_lossy(&writer.into_inner().unwrap()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_hidden_rows_make_no_query_fail() {
    let engine = engine();
    for fixture in fixtures().await {
        for caller in [Caller::Eu, Caller::Unknown, Caller::Like, Caller::Called] {
            for (sql, expected) in [
                ("select sum(cast(note as int)) from emp", vec!["640"]),
                ("select count(*) from emp where cast(note as int) > 100", vec!["3"]),
                ("select id from emp where dept = 'lab' and cast(note as int) > 0", vec!["11", "5"]),
                ("select min(note) from emp", vec!["10"]),
                ("select max(note) from emp", vec!["90"]),
                ("select count(distinct note) from emp", vec!["8"]),
                ("select count(*) from emp where cast(tags[1] as varchar) like 'SECRET%'", vec!["0"]),
                ("select count(*) from emp where story like 'SECRET%'", vec!["0"]),
            ] {
                let answer = ask(&engine, &fixture, caller, sql).await;
                let place = format!("{} {caller:?}: {sql}: {}", fixture.name, text(&answer));
                assert!(answer.is_ok(), "{place}");
                let rows: Vec<String> = rows(&answer.unwrap(), true).concat();
                assert_eq!(rows, expected, "{place}");
            }
        }
        // Who sees no row learns of none.
        let sql = "select count(*) from emp where cast(note as int) > 0";
        let answer = ask(&engine, &fixture, Caller::Nobody, sql).await;
        assert_eq!(rows(&answer.unwrap(), false), [["0"]], "{}", fixture.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_arrow_stream_has_no_byte_of_a_hidden_row() {
    let engine = engine();
    for fixture in fixtures().await {
        let everything = ask(&engine, &fixture, Caller::Everybody, "select * from emp").await.unwrap();
        assert!(leaks(&sent(&everything)).is_some(), "{}: nothing is looked for", fixture.name);
        for sql in [
            "select * from emp",
            "select id, region, dept, note, story, tags from emp where id > 2",
            "select story, ssn from emp order by id limit 2",
            "select note, count(*) from emp group by note",
            "select a.note, b.story, b.tags from emp a join emp b on a.id = b.id",
            "select first_value(tags order by id), array_agg(story) from emp",
        ] {
            for caller in Caller::UNDER_POLICY {
                let answer = ask(&engine, &fixture, caller, sql).await.unwrap();
                let leak = leaks(&sent(&answer));
                assert_eq!(leak, None, "{} {caller:?}: {sql}", fixture.name);
            }
        }
    }
}
