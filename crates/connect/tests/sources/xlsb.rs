//! Excel's binary workbooks, made here record by record after MS-XLSB.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use tidegate_connect::{Relation, Scan, SourceType, open};

use crate::cells::rows;
use crate::files::settings;
use crate::servers::here;

/// A record: its type, its length, its content.
fn record(kind: u16, content: &[u8]) -> Vec<u8> {
    let [low, high] = [kind & 0x7f, kind >> 7].map(|part| u8::try_from(part).unwrap());
    let mut bytes = if kind < 0x80 { vec![low] } else { vec![low | 0x80, high] };
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(content);
    bytes
}

/// A string with its length in UTF-16 units.
fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let length = u32::try_from(units.len()).unwrap().to_le_bytes();
    length.into_iter().chain(units.into_iter().flat_map(u16::to_le_bytes)).collect()
}

fn numbers(all: &[u32]) -> Vec<u8> {
    all.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn row(line: u32) -> Vec<u8> {
    record(0x00, &[numbers(&[line, 0]), vec![0; 9]].concat())
}

fn text(column: u32, text: &str) -> Vec<u8> {
    record(0x06, &[numbers(&[column, 0]), wide(text)].concat())
}

fn number(column: u32, number: f64) -> Vec<u8> {
    record(0x05, &[numbers(&[column, 0]), number.to_le_bytes().to_vec()].concat())
}

/// A workbook with one sheet of these records.
fn workbook(cells: &[Vec<u8>]) -> Vec<u8> {
    let sheet = [numbers(&[0, 1]), wide("r1"), wide("Far")].concat();
    let book = [record(0x9c, &sheet), record(0x90, &[]), record(0x9d, &[])].concat();
    let whole = numbers(&[0, 1_048_575, 0, 16_383]);
    let cells = [record(0x94, &whole), record(0x91, &[]), cells.concat(), record(0x92, &[])].concat();
    let relations: &[u8] =
        b"<Relationships><Relationship Id=\"r1\" Target=\"worksheets/sheet1.bin\"/></Relationships>";
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in [
        ("xl/workbook.bin", book.as_slice()),
        ("xl/_rels/workbook.bin.rels", relations),
        ("xl/worksheets/sheet1.bin", cells.as_slice()),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

// A table of all cells between them would have ten billion.
#[tokio::test]
async fn cells_that_are_far_apart_cost_what_they_are() {
    let last = 9_999;
    let cells =
        [row(0), text(0, "n"), text(last, "far"), row(1), number(0, 1.0), row(1_048_575), text(last, "x")];
    let began = Instant::now();
    let source = open(settings(SourceType::Excel, workbook(&cells)), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let table = &found.schemas[0].tables[0];
    assert_eq!((table.name.as_str(), table.row_count, table.columns.len()), ("Far", Some(2), 10_000));
    let relation = Relation::new("main", "Far");
    let projection = Some(vec!["n".to_owned(), "far".to_owned()]);
    let read = rows(source.scan(Scan { projection, ..Scan::all(relation) }).await.unwrap()).await.unwrap();
    assert_eq!(read, [crate::cells::row(["1", "NULL"]), crate::cells::row(["NULL", "x"])]);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_cell_beyond_all_columns_is_refused() {
    let cells = [row(0), text(0, "n"), row(1), number(u32::MAX, 1.0)];
    let refused = open(settings(SourceType::Excel, workbook(&cells)), &here()).await.map(drop).unwrap_err();
    assert!(refused.message.contains("columns"), "{refused}");
}
