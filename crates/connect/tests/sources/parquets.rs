//! Parquet files: nested, with moments of every year, cut off, altered, encrypted.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::data_type::{Int96, Int96Type};
use parquet::file::metadata::ParquetMetaDataWriter;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use tidegate_connect::{
    ErrorCode, Filter, Literal, Operator, Relation, Scan, Source, SourceError, SourceType, open,
};

use crate::files::{refused, settings};
use crate::servers::here;

/// Lists, structs, maps, and structs in lists.
fn nested() -> RecordBatch {
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.values().append_value("a");
    tags.values().append_null();
    tags.append(true);
    tags.append(false);
    let mut marks = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    marks.keys().append_value("x");
    marks.values().append_value(7);
    marks.append(true).unwrap();
    marks.append(false).unwrap();
    let city: ArrayRef = Arc::new(StringArray::from(vec![Some("Oslo"), None]));
    let place = StructArray::from(vec![(Arc::new(Field::new("city", DataType::Utf8, true)), city)]);
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("tags", Arc::new(tags.finish())),
        ("marks", Arc::new(marks.finish())),
        ("place", Arc::new(place)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn written(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

/// Opens a file and reads all of it; how many rows it has.
async fn count(bytes: Vec<u8>) -> Result<usize, SourceError> {
    let source = open(settings(SourceType::Parquet, bytes), &here()).await?;
    source.discover(None).await?;
    let mut stream = source.scan(Scan::all(Relation::new("main", "data.v1"))).await?;
    let mut count = 0;
    while let Some(batch) = stream.next().await {
        count += batch?.num_rows();
    }
    Ok(count)
}

#[tokio::test]
async fn nested_types_are_read_as_they_are() {
    let source = open(settings(SourceType::Parquet, written(&nested())), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let table = &found.schemas[0].tables[0];
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, table.row_count), (vec!["id", "tags", "marks", "place"], Some(2)));
    // Other columns than the first ones, in another order.
    let projection = Some(["place", "marks", "tags"].map(str::to_owned).to_vec());
    let scan = Scan { projection, ..Scan::all(Relation::new("main", "data.v1")) };
    let batches: Vec<RecordBatch> = source.scan(scan).await.unwrap().try_collect().await.unwrap();
    let batch = &batches[0];
    assert_eq!((batches.len(), batch.num_rows()), (1, 2));
    let place = batch.column(0).as_struct();
    let city = place.column(0).as_string::<i32>();
    assert_eq!((city.value(0), city.is_null(1)), ("Oslo", true));
    let marks = batch.column(1).as_map();
    assert_eq!(marks.value(0).column(1).as_primitive::<Int64Type>().value(0), 7);
    assert!(marks.is_null(1));
    let tags = batch.column(2).as_list::<i32>();
    let first = tags.value(0);
    let first = first.as_string::<i32>();
    assert_eq!((first.value(0), first.is_null(1), tags.is_null(1)), ("a", true, true));
}

/// A moment in the 96 bits of Impala, Hive and Spark: the nanoseconds of the day, and the day, of which 1970 began with the 2,440,588th.
fn moment(day: i64, nanoseconds: u64) -> Int96 {
    let mut moment = Int96::new();
    let day = u32::try_from(day + 2_440_588).unwrap();
    moment.set_data((nanoseconds & 0xffff_ffff) as u32, (nanoseconds >> 32) as u32, day);
    moment
}

// As nanoseconds since 1970 they wrap around: the last day of 9999 was one of 1816.
#[tokio::test]
async fn moments_of_96_bits_are_of_every_year() {
    let schema = "message m { required int96 at; \
                  required group all (LIST) { repeated group list { required int96 element; } } }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let moments = [moment(-719_162, 0), moment(0, 1_999), moment(2_932_896, 86_399_999_999_000)];
    let mut group = writer.next_row_group().unwrap();
    // By itself, and as a list of one.
    for (definition, repetition) in [(None, None), (Some([1; 3]), Some([0; 3]))] {
        let mut column = group.next_column().unwrap().unwrap();
        let (definition, repetition) =
            (definition.as_ref().map(<[i16; 3]>::as_slice), repetition.as_ref().map(<[i16; 3]>::as_slice));
        column.typed::<Int96Type>().write_batch(&moments, definition, repetition).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let source = open(settings(SourceType::Parquet, bytes), &here()).await.unwrap();
    let stream = source.scan(Scan::all(Relation::new("main", "data.v1"))).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let expected = [-62_135_596_800_000_000, 1, 253_402_300_799_999_999];
    let at = batches[0].column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(at.values().to_vec(), expected);
    let all = batches[0].column(1).as_list::<i32>();
    assert_eq!(all.values().as_primitive::<TimestampMicrosecondType>().values().to_vec(), expected);
}

/// Three numbers without a dictionary, in a file that says of each column that its dictionary is at the first byte.
fn with_dictionary_at_zero() -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 8, 9]));
    let batch = RecordBatch::try_from_iter([("id", numbers)]).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut bytes: Vec<u8> = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let metadata = writer.close().unwrap();
    // The index of pages stays where it is, and its places are told by the columns.
    let mut builder = metadata.into_builder().set_column_index(None).set_offset_index(None);
    let mut groups = Vec::new();
    for group in builder.take_row_groups() {
        let columns = group.columns().iter().cloned();
        let columns =
            columns.map(|column| column.into_builder().set_dictionary_page_offset(Some(0)).build().unwrap());
        let columns = columns.collect();
        groups.push(group.into_builder().set_column_metadata(columns).build().unwrap());
    }
    // Another end in the place of the one that was written: before its length and four letters.
    let length: [u8; 4] = bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap();
    bytes.truncate(bytes.len() - 8 - usize::try_from(u32::from_le_bytes(length)).unwrap());
    ParquetMetaDataWriter::new(&mut bytes, &builder.set_row_groups(groups).build()).finish().unwrap();
    bytes
}

// As some writers say it where there is none. The library alone begins to read the column at the file's first letters.
#[tokio::test]
async fn a_dictionary_at_the_first_byte_is_none() {
    let bytes = with_dictionary_at_zero();
    let alone = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes.clone())).unwrap();
    assert_eq!(alone.metadata().row_group(0).column(0).dictionary_page_offset(), Some(0));
    let is_read = alone.build().is_ok_and(|mut batches| batches.all(|batch| batch.is_ok()));
    assert!(!is_read, "the library reads it: nothing is to be mended any more");
    let source = open(settings(SourceType::Parquet, bytes), &here()).await.unwrap();
    let stream = source.scan(Scan::all(Relation::new("main", "data.v1"))).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().values().to_vec(), [7, 8, 9]);
}

// As some writers say it. The library reads no more rows at once than the whole file has.
#[tokio::test]
async fn rows_are_counted_where_the_end_says_that_there_are_none() {
    let mut bytes = written(&nested());
    // Two rows, and the list of one row group that comes after their number.
    let places: Vec<usize> =
        (0..bytes.len()).filter(|place| bytes[*place..].starts_with(&[0x16, 4, 0x19, 0x1c])).collect();
    assert_eq!(places.len(), 1, "{places:?}");
    bytes[places[0] + 1] = 0;
    assert_eq!(count(bytes).await.unwrap(), 2);
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_refused_wherever_it_is_cut() {
    let whole = written(&nested());
    assert_eq!(count(whole.clone()).await.unwrap(), 2);
    for part in 0..whole.len() {
        refused(SourceType::Parquet, &whole[..part]).await;
    }
}

// What is altered is noticed, or is a value; it ends no thread and takes no room that the file does not have.
#[tokio::test]
async fn a_file_of_which_a_byte_is_altered_is_read_or_refused() {
    let whole = written(&nested());
    for place in (0..whole.len()).step_by(2) {
        for with in [0x01, 0xff] {
            let mut altered = whole.clone();
            altered[place] ^= with;
            if let Err(error) = count(altered).await {
                assert_eq!(error.code, ErrorCode::Query, "{place} {with}: {error:?}");
            }
        }
    }
}

/// Ten row groups of a hundred rows: numbers that ascend, a text of each, one that a group has in common, days, and numbers with a point.
fn grouped() -> Vec<u8> {
    let group = |at: i64| {
        let numbers: Vec<i64> = (at * 100..(at + 1) * 100).collect();
        let text = |number: &i64| (number % 10 != 0).then(|| format!("n{number:04}"));
        let days = numbers.iter().map(|number| i32::try_from(*number).unwrap());
        let columns: [(&str, ArrayRef); 5] = [
            ("id", Arc::new(Int64Array::from(numbers.clone()))),
            ("name", Arc::new(StringArray::from(numbers.iter().map(text).collect::<Vec<_>>()))),
            ("region", Arc::new(StringArray::from(vec![format!("r{at}"); 100]))),
            ("day", Arc::new(Date32Array::from(days.collect::<Vec<_>>()))),
            ("part", Arc::new(Float64Array::from_iter_values((0..100).map(f64::from)))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    };
    let mut writer = ArrowWriter::try_new(Vec::new(), group(0).schema(), None).unwrap();
    for at in 0..10 {
        writer.write(&group(at)).unwrap();
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

/// How many rows come where a filter is told. Those of row groups that are read come all: whoever asked applies it again.
async fn come(source: &Arc<dyn Source>, filter: Filter) -> usize {
    let scan = Scan { filters: vec![filter], ..Scan::all(Relation::new("main", "data.v1")) };
    let rows = source.scan(scan).await.unwrap();
    assert_eq!((rows.filtered.as_slice(), rows.limited), (&[false][..], false));
    rows.try_fold(0, |count, batch| std::future::ready(Ok(count + batch.num_rows()))).await.unwrap()
}

#[tokio::test]
async fn row_groups_without_a_row_that_is_wanted_are_not_read() {
    let source = open(settings(SourceType::Parquet, grouped()), &here()).await.unwrap();
    assert!(source.skips());
    let is = |column: &str, operator, value| Filter::Compare { column: column.to_owned(), operator, value };
    let id = |operator, number| is("id", operator, Literal::Int(number));
    let text = |column: &str, operator, text: &str| is(column, operator, Literal::Utf8(text.to_owned()));
    let between = |low, high, negated| Filter::Between {
        column: "id".to_owned(),
        low: Literal::Int(low),
        high: Literal::Int(high),
        negated,
    };
    let list = |numbers: &[i64], negated| Filter::In {
        column: "id".to_owned(),
        values: numbers.iter().copied().map(Literal::Int).collect(),
        negated,
    };
    let null = |negated| Filter::IsNull { column: "name".to_owned(), negated };
    for (filter, rows) in [
        (id(Operator::Eq, 250), 100),
        (id(Operator::Eq, 5_000), 0),
        (id(Operator::Lt, 100), 100),
        (id(Operator::Lt, 0), 0),
        (id(Operator::LtEq, 100), 200),
        (id(Operator::Gt, 899), 100),
        (id(Operator::GtEq, 899), 200),
        (id(Operator::NotEq, 7), 1_000),
        (between(150, 249, false), 200),
        (between(50, 949, true), 200),
        (list(&[5, 995], false), 200),
        (list(&[5, 995], true), 1_000),
        (Filter::Not(Box::new(id(Operator::Lt, 900))), 100),
        (Filter::And(vec![id(Operator::Lt, 100), id(Operator::GtEq, 900)]), 0),
        (Filter::Or(vec![id(Operator::Lt, 100), id(Operator::GtEq, 900)]), 200),
        (text("name", Operator::Eq, "n0251"), 100),
        (text("name", Operator::Gt, "n0998"), 100),
        (text("region", Operator::Eq, "r3"), 100),
        (text("region", Operator::NotEq, "r3"), 900),
        (is("day", Operator::GtEq, Literal::Date(950)), 100),
        // What is not known of a row group leaves out none.
        (null(false), 1_000),
        (null(true), 1_000),
        (Filter::Or(vec![null(false), id(Operator::Lt, 100)]), 1_000),
        (Filter::And(vec![null(false), id(Operator::Lt, 100)]), 100),
        (text("id", Operator::Eq, "250"), 1_000),
        (is("part", Operator::Lt, Literal::Int(10)), 1_000),
        (is("nowhere", Operator::Eq, Literal::Int(1)), 1_000),
    ] {
        assert_eq!(come(&source, filter.clone()).await, rows, "{filter:?}");
    }
}

/// Written by Apache Arrow 26: a table of `id` 1 and `note` "secret", its footer encrypted, too, or `note` alone.
const ENCRYPTED: [&str; 2] = [
    "UEFSRRUAFRwVHCwVAhUAFQYVBhwAAAACAAAAAgEBAAAAAAAAAC8AAABQiXialavsvziQHzZ16Ex4b4TGGVgBSKGG4LISfRlaa98G20JLI/X9/uXac5GHTiwA\
     AADs1YhDcb6kSeUKDe0Vz+qngBL1H02/nXBC/vBLrPn4C1vG+jcb/M8XPu9uURwcKAisuHNAbqPZ7xIAABjLAXsia2V5TWF0ZXJpYWxUeXBlIjoiUEtNVDEi\
     LCJpbnRlcm5hbFN0b3JhZ2UiOnRydWUsImlzRm9vdGVyS2V5Ijp0cnVlLCJrbXNJbnN0YW5jZUlEIjoiREVGQVVMVCIsImttc0luc3RhbmNlVVJMIjoiREVG\
     QVVMVCIsIm1hc3RlcktleUlEIjoiZiIsIndyYXBwZWRERUsiOiIyQ0QwZlZLeko2UWYyZE9Ja3ZxL21BPT0iLCJkb3VibGVXcmFwcGluZyI6ZmFsc2V9AKcB\
     AADG1q+6924kcwhcTLJIMgLzo88lbkq4kV5cTzJ4KFkKMYTJg9ZeBH6ahgwmjRFnuG4GWRlurwW5ntnE324QIooHwGF7PQXWEwR3A80LFm11COjUbupiqczJ\
     22ZCa00LF4if1cyfbug1nVIukBLM5B9NHUWtbDYunEwsEROL+/CnJcsmvIyL6UfxeOU+AZANDlgB9dBw94XKPzEysqNGkw1XZmOfAMfLX7Ek20aF9VFS5tyS\
     gRTC9bCpqqO+jFmAfNdS4adK+yjOOt9yr265UAreS3Ep8S7VwkqQ/q9sLDYwTEbuIvdKf1q+pROK3Vu2LMno7ltZ0gqmj8VFL6MlhQVXbwCOjyrsDCPBIEyO\
     LjSvS+zg+NsXlM3t4D4Ixeq4bBsaBbLWGI0a6T16MabG7f/g4z/VmHeGOhvVrAcawof0ptRxwl47yikjRYb43bFV667JJIdv1Nsv9kk2JDCwql+NbiyVevLp\
     Vgrf31Sj+3fqE5F9dvST4+s09ba1KpIfrnAcbsA3Vq8rmVTNnEDbNg58KDWdTFja/UpZ7HC7D/4omGfSDWUQVfyJAgAAUEFSRQ==",
    "UEFSMRUAFRwVHCwVAhUAFQYVBhwAAAACAAAAAgEBAAAAAAAAAC8AAABjQ7GChPH47+HYhVKz7eNncEaJYBVDTybh77N6FAnTQkGA5O2uj+AKf22r9q/7JywA\
     AAAwM8uJNItYOYa30uticzAe3d2BCWJ+KlNp4Em9/U6vMQxRNOHJOjYzSgmJ7RUEGTw1ABgGc2NoZW1hFQQAFQQlAhgCaWQAFQwlAhgEbm90ZSUATBwAAAAW\
     AhkcGSwmABwVBBklBgAZGAJpZBUAFgIWQhZCJghJHBUAFQAVAgA8KQYZJgACAAAAJgAcFQwZJQYAGRgEbm90ZRUAFgIWhgEWxgEmSnwWDBkGGSYAAgAAXCwZ\
     GARub3RlGJcBeyJrZXlNYXRlcmlhbFR5cGUiOiJQS01UMSIsImludGVybmFsU3RvcmFnZSI6dHJ1ZSwiaXNGb290ZXJLZXkiOmZhbHNlLCJtYXN0ZXJLZXlJ\
     RCI6ImMiLCJ3cmFwcGVkREVLIjoiTDhiR3NwYnErMlNTbk55aExsbGhVdz09IiwiZG91YmxlV3JhcHBpbmciOmZhbHNlfQAAGE1JAAAA1dQ81fDvX3QEN3gm\
     ntIMNhtOL83yLbt1a5XzM4ps0tFMuWS4xLb53Uwkfbp7J9mu1+jAzbsCSZPdTX5U4S0HYoUIuw2GW85HZQAWyAEWAiYIFogCFAAAKCBwYXJxdWV0LWNwcC1h\
     cnJvdyB2ZXJzaW9uIDI2LjAuMRksHAAAHAAAHBwoCLHX05xvUAYlEgAAGMsBeyJrZXlNYXRlcmlhbFR5cGUiOiJQS01UMSIsImludGVybmFsU3RvcmFnZSI6\
     dHJ1ZSwiaXNGb290ZXJLZXkiOnRydWUsImttc0luc3RhbmNlSUQiOiJERUZBVUxUIiwia21zSW5zdGFuY2VVUkwiOiJERUZBVUxUIiwibWFzdGVyS2V5SUQi\
     OiJmIiwid3JhcHBlZERFSyI6Ilk4OVVJL1hHQnhWSXFWSXRqd0g1QVE9PSIsImRvdWJsZVdyYXBwaW5nIjpmYWxzZX0A569GyjY0SHIwvSx39gRtCzz2oeW7\
     zPQ9tVztKKkCAABQQVIx",
];

#[tokio::test]
async fn encrypted_files_are_refused() {
    let [all, column] = ENCRYPTED.map(|text| STANDARD.decode(text).unwrap());
    assert!(refused(SourceType::Parquet, all).await.contains("encrypted"));
    let error = count(column).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Query, "{error:?}");
}
