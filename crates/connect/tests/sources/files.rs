//! Files that the tests write.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{
    ErrorCode, FileBytes, FileContent, FileSource, Relation, Scan, Settings, SourceError, SourceType, open,
};

use crate::cells::{Rows, read, row, rows};
use crate::servers::here;

struct Memory(Vec<u8>);

#[async_trait::async_trait]
impl FileBytes for Memory {
    async fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    async fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        Ok(self.0[range.start as usize..range.end as usize].to_vec())
    }
}

pub(crate) fn settings(kind: SourceType, bytes: impl Into<Vec<u8>>) -> Settings {
    let mut settings = Settings::new(kind);
    let content = FileContent::Remote(Arc::new(Memory(bytes.into())));
    settings.file = Some(FileSource { name: "organizations/1/data.v1.csv".to_owned(), content });
    settings.query_timeout = Duration::from_secs(30);
    settings
}

/// Column names with types, and the rows.
async fn whole(settings: Settings) -> Result<(Vec<String>, Rows), SourceError> {
    let source = open(settings, &here()).await?;
    let found = source.discover(None).await?;
    let table = &found.schemas[0].tables[0];
    let columns =
        table.columns.iter().map(|column| format!("{}:{}", column.name, column.type_name)).collect();
    let rows = read(source.as_ref(), Relation::new("main", &table.name)).await?;
    assert_eq!(table.row_count, Some(rows.len() as i64));
    Ok((columns, rows))
}

async fn csv(bytes: impl Into<Vec<u8>>) -> (Vec<String>, Rows) {
    whole(settings(SourceType::Csv, bytes)).await.unwrap()
}

pub(crate) async fn refused(kind: SourceType, bytes: impl Into<Vec<u8>>) -> String {
    let error = whole(settings(kind, bytes)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Query);
    error.message
}

#[tokio::test]
async fn a_test_of_delimited_text_tells_what_is_probably_not_meant() {
    let result = async |content: &str| {
        let source = open(settings(SourceType::Csv, content), &here()).await.unwrap();
        source.test(None, Duration::from_secs(2)).await.unwrap().result.unwrap()
    };
    let unclosed = |record: u8| {
        format!(
            "a quotation in record {record}, the header counted, is never closed: all that follows is in its value"
        )
    };
    for (content, rows, record) in [
        ("a,b\n1,\"x\n2,y\n3,z\n", "1 rows, 2 columns", 2),
        ("a,b\r\n1,x\r\n\r\n2,\"", "2 rows, 2 columns", 3),
        ("a,b\n1,\"x \"\" y", "1 rows, 2 columns", 2),
        ("a,\"b\n1,x\n", "0 rows, 2 columns", 1),
    ] {
        assert_eq!(result(content).await, format!("{rows}; {}", unclosed(record)), "{content:?}");
    }
    let json = "the content is JSON: a data source of the type json reads it as that";
    for content in ["[{\"a\": 1}, {\"a\": 2}]", "\n{\"a\": 1}\n{\"a\": 2}\n", "[1, 2"] {
        assert!(result(content).await.ends_with(&format!("; {json}")), "{content}");
    }
    let page =
        "the content is HTML: was a page saved in place of the file, such as one that asks to sign in?";
    for content in ["<html><p>a, b</p>", "\u{feff}\n<!DOCTYPE html>\n<p>"] {
        assert!(result(content).await.ends_with(&format!("; {page}")), "{content}");
    }
    for (content, ragged) in [
        (
            "a,b\n1,2\n3\n4,5,6\n",
            "1 record has fewer and 1 record has more fields than the header: what is missing is NULL, what is more is in columns of its own",
        ),
        ("a,b\n1\n\n2\n3,4\n", "2 records have fewer fields than the header: what is missing is NULL"),
        ("a\n1,2\n", "1 record has more fields than the header: what is more is in columns of its own"),
    ] {
        assert!(
            result(content).await.ends_with(&format!("; {ragged}")),
            "{content:?}: {}",
            result(content).await
        );
    }
    // Without a header, the first row went without a word.
    for (content, value) in [
        ("1,Ada\n2,Eve\n", "1"),
        ("Ada,19.90\nEve,5\n", "19.90"),
        ("x,2024-01-31\ny,2024-02-29\n", "2024-01-31"),
    ] {
        let like = format!(
            "; the first record is the header and looks like a row, with {value}: set metadata.header to false if it is one"
        );
        assert!(result(content).await.ends_with(&like), "{content:?}: {}", result(content).await);
    }
    for (content, told) in [
        (
            "Kunde;Betrag\nA;19,90\nB;\nC;-7\n",
            "Betrag looks like numbers with decimal commas: cast(replace(\"Betrag\", ',', '.') as double)",
        ),
        (
            "a;b;c;d\n1.234,50;1,5;x,5;0,5\n12;2,25;1,5;1,25\n",
            "a looks like numbers with decimal commas, as 2 more columns do: cast(replace(replace(\"a\", '.', ''), ',', '.') as double)",
        ),
    ] {
        let all = format!("; {told} makes them numbers");
        assert!(result(content).await.ends_with(&all), "{content:?}: {}", result(content).await);
    }
    // Quotations with an end, text that only begins as JSON does, and headers of years, of texts alone and of other kinds than their columns.
    for content in [
        "country,2023,2024\nDE,1,2\n",
        "Ada,Eve\nx,y\n",
        "id,7\n1,x\n",
        "id,7\n1,2\n",
        "a|b\n1,234|1\n12,500|2\n",
        "a|b\n1,5|1\n1,2,3|2\n",
        "a|b\n1,5|1\n1.5|2\n",
        "a,b\n1,\"x\"",
        "a,b\n1,\"x\ny\"\n",
        "a,b\n1,x\"y",
        "a\n\"\"",
        "[1],[2]\n3,4\n",
        "{a},b\n1,2\n",
        "<a>,b\n1,2\n",
    ] {
        assert!(!result(content).await.contains(';'), "{content:?}");
    }
}

#[tokio::test]
async fn content_of_another_type_is_no_table() {
    let workbook = b"PK\x03\x04 and so on, xl/workbook.xml".to_vec();
    let told = "The content is a workbook (xlsx or ods): a data source of the type excel reads it as that.";
    for kind in [SourceType::Csv, SourceType::Json, SourceType::Xml, SourceType::Parquet] {
        assert_eq!(refused(kind, workbook.clone()).await, told, "{kind}");
    }
    let told = "The content is packed by gzip: unpack it, and upload what is in it.";
    assert_eq!(refused(SourceType::Csv, b"\x1f\x8b\x08\x00".to_vec()).await, told);
}

#[tokio::test]
async fn delimited_text_is_read_whatever_its_shape() {
    let expected = (
        vec!["id:bigint".to_owned(), "name:text".to_owned()],
        vec![row(["1", "Zoë, \"x\"\n"]), row(["2", "NULL"])],
    );
    let text = "id,name\n1,\"Zoë, \"\"x\"\"\n\"\n2,\n";
    assert_eq!(csv(text).await, expected);
    assert_eq!(csv(format!("\u{feff}{text}")).await, expected, "byte order mark");
    for ending in ["\r\n", "\r"] {
        // Ends of lines within quotes stay as they are.
        let other = "id,name\n1,\"Zoë, \"\"x\"\"\u{1}\"\n2,\n".replace('\n', ending).replace('\u{1}', "\n");
        assert_eq!(csv(other).await, expected, "{ending:?}");
    }
    let wide = |bom: &[u8], big: bool| {
        let units =
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
        bom.iter().copied().chain(units).collect::<Vec<u8>>()
    };
    assert_eq!(csv(wide(b"\xff\xfe", false)).await, expected);
    assert_eq!(csv(wide(b"\xfe\xff", true)).await, expected);
    assert_eq!(csv(wide(b"", false)).await, expected);
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    assert_eq!(csv(latin).await, expected, "Windows-1252");
    for delimiter in [";", "\t", "|"] {
        assert_eq!(
            csv(text
                .replace(',', delimiter)
                .replace("Zoë;", "Zoë,")
                .replace("Zoë\t", "Zoë,")
                .replace("Zoë|", "Zoë,"))
            .await,
            expected,
            "{delimiter:?}"
        );
    }
    let (columns, ragged) = csv("a,,a\n1\n1,2,3,4\n").await;
    assert_eq!(columns, ["a:bigint", "column_2:bigint", "a_2:bigint", "column_4:bigint"]);
    assert_eq!(ragged, [row(["1", "NULL", "NULL", "NULL"]), row(["1", "2", "3", "4"])]);
    assert_eq!(csv("a,b\n").await, (vec!["a:text".to_owned(), "b:text".to_owned()], vec![]));
    assert_eq!(
        csv("\"\"\"; drop\",🛒,\"\"\n1,2,3").await.0,
        ["\"; drop:bigint", "🛒:bigint", "column_3:bigint"]
    );
    assert!(refused(SourceType::Csv, "").await.contains("empty"));
    let mut headless = settings(SourceType::Csv, "1,2\n3,4\n");
    headless.metadata.insert("header".into(), json!(false));
    assert_eq!(whole(headless).await.unwrap().1.len(), 2);
    for (name, value) in
        [("delimiter", json!("ab")), ("encoding", json!("klingon")), ("header", json!("yes"))]
    {
        let mut wrong = settings(SourceType::Csv, "a\n1\n");
        wrong.metadata.insert(name.into(), value);
        let error = whole(wrong).await.unwrap_err();
        assert!(error.message.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_type_that_changes_late_in_the_file_is_seen() {
    let mut text = String::from("number,code\n");
    for i in 0..200_000 {
        text.push_str(&format!("{i},{}\n", if i == 150_000 { "x".to_owned() } else { i.to_string() }));
    }
    let source = open(settings(SourceType::Csv, text), &here()).await.unwrap();
    let relation = Relation::new("main", "data.v1");
    let schema = source.schema(&relation).await.unwrap();
    assert_eq!(schema.field(0).data_type(), &arrow_schema::DataType::Int64);
    assert_eq!(schema.field(1).data_type(), &arrow_schema::DataType::Utf8);
    let scan = Scan { projection: Some(vec!["code".into()]), limit: Some(150_001), ..Scan::all(relation) };
    let stream = source.scan(scan).await.unwrap();
    assert!(stream.limited);
    let rows = rows(stream).await.unwrap();
    assert_eq!((rows.len(), rows[150_000].clone()), (150_001, row(["x"])));
}

#[tokio::test]
async fn json_is_read_in_each_of_its_forms() {
    let expected = (
        vec![
            "a:bigint".to_owned(),
            "b:text".to_owned(),
            "c:json".to_owned(),
            "d:double".to_owned(),
            "e:boolean".to_owned(),
        ],
        vec![
            row(["1", "x\n", "{\"y\": [1, null]}", "NULL", "NULL"]),
            row(["9007199254740993", "NULL", "[]", "2.5", "true"]),
        ],
    );
    let (one, two) = (
        "{\"a\": 1, \"b\": \"x\\n\", \"c\": {\"y\": [1, null]}}",
        "{\"a\": 9007199254740993, \"b\": null, \"c\": [], \"d\": 2.5, \"e\": true}",
    );
    for text in [
        format!("[{one}, {two}]"),
        format!("{one}\n{two}\n"),
        format!("\u{feff} {one} {two}"),
        format!("\n [ {one},\n{two} ]\n"),
    ] {
        assert_eq!(whole(settings(SourceType::Json, text.clone())).await.unwrap(), expected, "{text}");
    }
    let mixed = whole(settings(
        SourceType::Json,
        "[{\"a\": 1}, {\"a\": \"x\"}, 5, {\"a\": {\"b\": 1}}, {\"a\": true}, null]",
    ))
    .await
    .unwrap();
    assert_eq!(mixed.0, ["a:text", "value:bigint"]);
    let values: Vec<_> = mixed.1.iter().map(|row| row[0].clone()).collect();
    assert_eq!(
        values,
        ["1", "x", "NULL", "{\"b\": 1}", "true", "NULL"]
            .map(|cell| (cell != "NULL").then(|| cell.to_owned()))
    );
    for broken in ["", "   ", "[", "[1,", "[1] x", "{\"a\": 1", "nope", "[{\"a\": 1}, {]", "\u{0}"] {
        refused(SourceType::Json, broken).await;
    }
    // What is deep inside stays as it is written.
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(
        whole(settings(SourceType::Json, deep)).await.unwrap().1[0][0].as_ref().unwrap().len(),
        200_000
    );
}

#[tokio::test]
async fn xml_has_rows_and_no_entities() {
    let text = "<?xml version='1.0'?><!DOCTYPE shop><shop><meta v='1'/><orders><order id='1'><name>A &amp; B&#33;</name><at><city>Oslo</city></at></order>\
                <order id='2'><name><![CDATA[<x>]]></name><tag>a</tag><tag>b</tag></order></orders></shop>";
    let (columns, rows) = whole(settings(SourceType::Xml, text)).await.unwrap();
    assert_eq!(columns, ["id:bigint", "name:text", "at.city:text", "tag:json"]);
    assert_eq!(rows, [row(["1", "A & B!", "Oslo", "NULL"]), row(["2", "<x>", "NULL", "[\"a\",\"b\"]"])]);
    let mut tagged = settings(SourceType::Xml, text);
    tagged.metadata.insert("row_tag".into(), json!("at"));
    assert_eq!(whole(tagged).await.unwrap().1, [row(["Oslo"])]);
    let bomb =
        "<!DOCTYPE b [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'>]><b><r>&b;</r><r>&b;</r></b>";
    assert!(refused(SourceType::Xml, bomb).await.contains("entities"));
    let outside = "<!DOCTYPE b [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><b><r>&x;</r></b>";
    assert!(refused(SourceType::Xml, outside).await.contains("entities"));
    assert!(refused(SourceType::Xml, "<b><r>&x;</r><r/></b>").await.contains("entity"));
    refused(SourceType::Xml, "<a>".repeat(100_000)).await;
    for broken in ["", "hello", "<a><b></a>", "<a><b>", "<a x=1/>"] {
        refused(SourceType::Xml, broken).await;
    }
}

// A name of kilobytes around thousands of others would be held with each of them, and what does not end would be held as a whole.
#[tokio::test]
async fn xml_is_held_no_more_often_than_it_is_written() {
    let inside: String = (0..20_000).map(|at| format!("<c{at}/>")).collect();
    let name = "n".repeat(3_000);
    let around = format!("<r><{name}>{inside}</{name}><{name}/></r>");
    assert!(refused(SourceType::Xml, around).await.contains("names"));
    let attribute = format!("<r><a {name}='1'/><a/></r>");
    assert!(refused(SourceType::Xml, attribute).await.contains("names"));
    let long = "x".repeat(70_000_000);
    for text in [
        format!("<r><a>{long}</a><a/></r>"),
        format!("<r><!--{long}--><a/></r>"),
        format!("<r><a b='{long}'/></r>"),
        format!("<r><a>{long}"),
    ] {
        let refused = refused(SourceType::Xml, text).await;
        assert!(refused.contains("more than"), "{refused}");
    }
}

#[tokio::test]
async fn names_of_columns_have_an_end_together() {
    let name = |letter: &str| letter.repeat(6_000_000);
    let lines: String = ["a", "b", "c"].map(|letter| format!("{{\"{}\": 1}}\n", name(letter))).concat();
    assert!(refused(SourceType::Json, lines).await.contains("names"));
    let header = format!("{},{},{}\n1,2,3\n", name("a"), name("b"), name("c"));
    assert!(refused(SourceType::Csv, header).await.contains("names"));
}

#[tokio::test]
async fn broken_binary_files_are_refused_with_a_reason() {
    for kind in [SourceType::Parquet, SourceType::Excel] {
        for bytes in [
            &b""[..],
            b"hello",
            b"PAR1",
            b"PAR1PAR1PAR1",
            b"PAREPAREPAREPARE",
            b"PK\x03\x04",
            &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0],
        ] {
            refused(kind, bytes).await;
        }
    }
    assert!(refused(SourceType::Parquet, b"PAREPAREPAREPARE".to_vec()).await.contains("encrypted"));
    let mut none = Settings::new(SourceType::Csv);
    let error = open(none.clone(), &here()).await.map(drop).unwrap_err();
    assert_eq!(error.code, ErrorCode::FileNotFound);
    let content = FileContent::Local("/does/not/exist".into());
    none.file = Some(FileSource { name: "x".into(), content });
    assert_eq!(open(none, &here()).await.map(drop).unwrap_err().code, ErrorCode::FileNotFound);
}

// Room for what is announced would be made at once, and the process would end.
#[tokio::test]
async fn a_workbook_that_announces_more_texts_than_it_has_is_refused() {
    for (name, count) in
        [("xl/sharedStrings.xml", "9999999999"), ("XL\\SharedStrings.xml", "99999999999999999999999")]
    {
        let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        let texts = format!("<?xml version=\"1.0\"?><sst uniqueCount=\"{count}\"><si><t>a</t></si></sst>");
        for (name, content) in [("xl/workbook.xml", "<workbook/>"), (name, texts.as_str())] {
            archive.start_file(name, options).unwrap();
            io::Write::write_all(&mut archive, content.as_bytes()).unwrap();
        }
        let book = archive.finish().unwrap().into_inner();
        assert!(refused(SourceType::Excel, book).await.contains("too large"), "{name} {count}");
    }
}

// A million texts of a letter are a kilobyte of archive, and a hundred megabytes here.
#[tokio::test]
async fn texts_that_unpack_to_more_than_is_held_are_refused() {
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("xl/workbook.xml", options).unwrap();
    io::Write::write_all(&mut archive, b"<workbook/>").unwrap();
    archive.start_file("xl/sharedStrings.xml", options).unwrap();
    let some = "<si><t>a</t></si>".repeat(1 << 16);
    for _ in 0..80 {
        io::Write::write_all(&mut archive, some.as_bytes()).unwrap();
    }
    let book = archive.finish().unwrap().into_inner();
    assert!(refused(SourceType::Excel, book).await.contains("too large"));
}

// It would be held as a whole, several times.
#[tokio::test]
async fn a_cell_of_hundreds_of_megabytes_is_refused() {
    let relations =
        "<Relationships><Relationship Id=\"r1\" Target=\"worksheets/Sheet1.dat\"/></Relationships>";
    for sheet in ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.dat"] {
        let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        for (name, content) in [("xl/workbook.xml", "<workbook/>"), ("xl/_rels/workbook.xml.rels", relations)]
        {
            archive.start_file(name, options).unwrap();
            io::Write::write_all(&mut archive, content.as_bytes()).unwrap();
        }
        archive.start_file(sheet, options).unwrap();
        io::Write::write_all(&mut archive, b"<worksheet><sheetData><row><c t=\"inlineStr\"><is><t>").unwrap();
        let some = "a".repeat(1 << 20);
        for _ in 0..400 {
            io::Write::write_all(&mut archive, some.as_bytes()).unwrap();
        }
        let book = archive.finish().unwrap().into_inner();
        assert!(refused(SourceType::Excel, book).await.contains("too large"), "{sheet}");
    }
}

#[tokio::test]
async fn an_archive_that_unpacks_to_gigabytes_is_refused() {
    let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("xl/workbook.xml", options).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..600 {
        io::Write::write_all(&mut archive, &zeros).unwrap();
    }
    let bomb = archive.finish().unwrap().into_inner();
    assert!(bomb.len() < 2 << 20);
    let began = Instant::now();
    assert!(refused(SourceType::Excel, bomb).await.contains("too large"));
    assert!(began.elapsed() < Duration::from_secs(45));
}

// Ten megabytes are a value; more than a row may have are none.
#[tokio::test]
async fn rows_are_as_long_as_they_may_be() {
    let long = "x".repeat(10_000_000);
    let (columns, rows) = csv(format!("a,b\n1,{long}\n2,\"{long}\"\n")).await;
    assert_eq!(columns, ["a:bigint", "b:text"]);
    assert!(rows.iter().all(|row| row[1].as_ref().is_some_and(|cell| cell.len() == long.len())));
    let lines = format!("{{\"a\": \"{long}\"}}\n{{\"a\": null}}\n");
    let (_, rows) = whole(settings(SourceType::Json, lines)).await.unwrap();
    assert_eq!(rows[0][0].as_ref().map(String::len), Some(long.len()));
    let longer = "x".repeat(70_000_000);
    refused(SourceType::Csv, format!("a,b\n1,{longer}\n")).await;
    for text in [format!("[{{\"a\": \"{longer}\"}}]"), format!("{{\"a\": 1}}\n{{\"a\": \"{longer}\"}}\n")] {
        assert!(refused(SourceType::Json, text).await.contains("longer than"));
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_read() {
    let text = format!("a\n{}", "x\n".repeat(2_000_000));
    let source = open(settings(SourceType::Csv, text), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(Relation::new("main", "data.v1"))).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    source.close().await;
}
