//! Workbooks that are made here part by part: dates of both systems, formulas, merged cells, several sheets, and XML that does harm.

use std::io::{Cursor, Write};

use tidegate_connect::{ErrorCode, Relation, SourceType, open};

use crate::cells::{Rows, read, row};
use crate::files::{refused, settings};
use crate::servers::here;

fn archive(parts: &[(&str, String)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, content) in parts {
        archive.start_file(*name, options).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A workbook with these sheets, whose styles are: none, a date, a date with a time, a time of day.
fn workbook(is_1904: bool, sheets: &[(&str, &str)]) -> Vec<u8> {
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let (mut listed, mut related) = (String::new(), String::new());
    let mut parts = Vec::new();
    let names: Vec<String> =
        (1..=sheets.len()).map(|place| format!("xl/worksheets/sheet{place}.xml")).collect();
    for (place, (name, content)) in sheets.iter().enumerate() {
        let place = place + 1;
        listed.push_str(&format!("<sheet name=\"{name}\" sheetId=\"{place}\" r:id=\"r{place}\"/>"));
        related.push_str(&format!(
            "<Relationship Id=\"r{place}\" Type=\"{office}/worksheet\" Target=\"worksheets/sheet{place}.xml\"/>"
        ));
        parts.push((names[place - 1].as_str(), (*content).to_owned()));
    }
    let document =
        format!("<Relationship Id=\"d\" Type=\"{office}/officeDocument\" Target=\"xl/workbook.xml\"/>");
    let styles = "<styleSheet><numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd\"/></numFmts>\
                  <cellXfs count=\"4\"><xf numFmtId=\"0\"/><xf numFmtId=\"164\"/><xf numFmtId=\"22\"/><xf numFmtId=\"20\"/></cellXfs>\
                  </styleSheet>";
    parts.extend([
        ("_rels/.rels", format!("<Relationships>{document}</Relationships>")),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns:r=\"{office}\"><workbookPr date1904=\"{is_1904}\"/><sheets>{listed}</sheets></workbook>"
            ),
        ),
        ("xl/_rels/workbook.xml.rels", format!("<Relationships>{related}</Relationships>")),
        ("xl/styles.xml", styles.to_owned()),
    ]);
    archive(&parts)
}

fn text(at: &str, text: &str) -> String {
    format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

fn sheet(rows: &[String], after: &str) -> String {
    let rows: String =
        rows.iter().enumerate().map(|(at, row)| format!("<row r=\"{}\">{row}</row>", at + 1)).collect();
    format!("<worksheet><sheetData>{rows}</sheetData>{after}</worksheet>")
}

/// Every table: its name, its columns with their types, its rows.
async fn tables(book: Vec<u8>) -> Vec<(String, Vec<String>, Rows)> {
    let source = open(settings(SourceType::Excel, book), &here()).await.unwrap();
    let mut all = Vec::new();
    for table in &source.discover(None).await.unwrap().schemas[0].tables {
        let columns =
            table.columns.iter().map(|column| format!("{}:{}", column.name, column.type_name)).collect();
        let rows = read(source.as_ref(), Relation::new("main", &table.name)).await.unwrap();
        assert_eq!(table.row_count, Some(rows.len() as i64), "{}", table.name);
        all.push((table.name.clone(), columns, rows));
    }
    all
}

/// 2024-02-29 and the day after, as days since the beginning of each system.
fn dates(is_1904: bool) -> String {
    let first = if is_1904 { 43_889 } else { 45_351 };
    let names = ["day", "at", "hour", "sum", "joined", "bad"];
    let names: String =
        names.iter().zip(["A1", "B1", "C1", "D1", "E1", "F1"]).map(|(name, at)| text(at, name)).collect();
    let second = format!(
        "<c r=\"A2\" s=\"1\"><v>{first}</v></c><c r=\"B2\" s=\"2\"><v>{first}.5</v></c><c r=\"C2\" s=\"3\"><v>0.75</v></c>\
         <c r=\"D2\"><f>1+1</f><v>2</v></c><c r=\"E2\" t=\"str\"><f>A2&amp;\"b\"</f><v>a&lt;b</v></c>\
         <c r=\"F2\" t=\"e\"><f>1/0</f><v>#DIV/0!</v></c>"
    );
    let third = format!("<c r=\"A3\" s=\"1\"><v>{}</v></c><c r=\"D3\"><f>D2+1</f><v>3</v></c>", first + 1);
    sheet(&[names, second, third], "")
}

#[tokio::test]
async fn dates_of_both_systems_are_the_same_days_and_formulas_their_last_values() {
    for is_1904 in [false, true] {
        let found = tables(workbook(is_1904, &[("Dates", dates(is_1904).as_str())])).await;
        let (name, columns, rows) = &found[0];
        assert_eq!(name, "Dates");
        let expected = ["day:date", "at:timestamp", "hour:text", "sum:bigint", "joined:text", "bad:text"];
        assert_eq!(columns, &expected, "1904: {is_1904}");
        let second = ["2024-02-29", "2024-02-29T12:00:00", "18:00:00", "2", "a<b", "#DIV/0!"];
        let third = ["2024-03-01", "NULL", "NULL", "3", "NULL", "NULL"];
        assert_eq!(*rows, [row(second), row(third)], "1904: {is_1904}");
    }
}

#[tokio::test]
async fn every_sheet_is_a_table_and_a_merged_cell_has_its_value_once() {
    let merged = sheet(
        &[
            text("A1", "group") + &text("B1", "n"),
            text("A2", "x") + "<c r=\"B2\"><v>1</v></c>",
            "<c r=\"B3\"><v>2</v></c>".to_owned(),
        ],
        "<mergeCells count=\"1\"><mergeCell ref=\"A2:A3\"/></mergeCells>",
    );
    let odd = sheet(
        &[
            text("A1", "\"; drop") + &text("B1", "") + &text("C1", "\u{1f6d2}"),
            text("B2", "y") + &text("C2", "z"),
        ],
        "",
    );
    let book = workbook(
        false,
        &[
            ("Groups", merged.as_str()),
            ("Nothing", "<worksheet><sheetData/></worksheet>"),
            ("Z&quot;; drop", odd.as_str()),
        ],
    );
    let found = tables(book).await;
    let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["Groups", "Z\"; drop"]);
    assert_eq!(found[0].1, ["group:text", "n:bigint"]);
    assert_eq!(found[0].2, [row(["x", "1"]), row(["NULL", "2"])]);
    assert_eq!(found[1].1.len(), 3, "{:?}", found[1].1);
    assert!(
        found[1].1[0].starts_with("\"; drop:") && found[1].1[2].starts_with("\u{1f6d2}:"),
        "{:?}",
        found[1].1
    );
    assert_eq!(found[1].2, [row(["NULL", "y", "z"])]);
}

/// A workbook of one sheet, whose first rows have so many cells that refer to the same text of a megabyte.
fn referring(rows: &[usize]) -> Vec<u8> {
    let rows: Vec<String> = rows.iter().map(|cells| "<c t=\"s\"><v>0</v></c>".repeat(*cells)).collect();
    let book = workbook(false, &[("S", sheet(&rows, "").as_str())]);
    let mut archive = zip::ZipWriter::new_append(Cursor::new(book)).unwrap();
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("xl/sharedStrings.xml", options).unwrap();
    let text = "x".repeat(1_000_000);
    write!(archive, "<sst uniqueCount=\"1\"><si><t>{text}</t></si></sst>").unwrap();
    archive.finish().unwrap().into_inner()
}

// Gigabytes out of a few kilobytes.
#[tokio::test]
async fn a_text_is_held_as_often_as_cells_refer_to_it_which_has_an_end() {
    let found = tables(referring(&[1, 1])).await;
    assert_eq!(found[0].2[0][0].as_ref().map(String::len), Some(1_000_000));
    assert!(refused(SourceType::Excel, referring(&[1, 9_000])).await.contains("row of the sheet"));
    assert!(refused(SourceType::Excel, referring(&[9_000])).await.contains("row of the sheet"));
    assert!(refused(SourceType::Excel, referring(&[30])).await.contains("names"));
}

#[tokio::test]
async fn sheets_have_so_many_columns_together() {
    let wide = sheet(&[text("A1", "a") + &text("NTP1", "z")], "");
    let names: Vec<String> = (0..11).map(|at| format!("S{at}")).collect();
    let sheets: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), wide.as_str())).collect();
    assert_eq!(tables(workbook(false, &sheets[..2])).await.len(), 2);
    assert!(refused(SourceType::Excel, workbook(false, &sheets)).await.contains("too large"));
}

// A text of ten letters, five to the fourth times, and a file of this machine.
#[tokio::test]
async fn entities_in_the_parts_of_a_workbook_are_not_resolved() {
    let bomb =
        "<!DOCTYPE w [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;'>]>";
    let outside = "<!DOCTYPE w [<!ENTITY c SYSTEM 'file:///etc/passwd'>]>";
    for document in [bomb, outside] {
        let cells = sheet(&[text("A1", "n"), text("A2", "&c;")], "");
        let part = format!("{document}{cells}");
        refused(SourceType::Excel, workbook(false, &[("S", part.as_str())])).await;
        let content = format!(
            "{document}<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\"><office:body><office:spreadsheet>\
             <table:table table:name=\"S\"><table:table-row><table:table-cell office:value-type=\"string\"><text:p>n</text:p></table:table-cell>\
             </table:table-row><table:table-row><table:table-cell office:value-type=\"string\"><text:p>&c;</text:p></table:table-cell>\
             </table:table-row></table:table></office:spreadsheet></office:body></office:document-content>"
        );
        let mimetype = "application/vnd.oasis.opendocument.spreadsheet".to_owned();
        let book = archive(&[("mimetype", mimetype), ("content.xml", content)]);
        match open(settings(SourceType::Excel, book), &here()).await {
            Err(error) => assert_eq!(error.code, ErrorCode::Query, "{error:?}"),
            Ok(source) => {
                let rows = read(source.as_ref(), Relation::new("main", "S")).await;
                let text = format!("{rows:?}");
                assert!(!text.contains("aaaaaaaaaa") && !text.contains("root:"), "{text}");
            }
        }
    }
}
