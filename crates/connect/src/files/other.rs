//! What the content of a file is where it is not of the type that its data source says. Bytes that are no text make a table of text without
//! rows, or one of nonsense.

use std::io::{Read, Seek, SeekFrom};

use super::spool::{Spooled, broken};
use crate::error::SourceError;
use crate::registry::SourceType;

/// Bytes of the start and of the end that are looked at: an archive has the names of its parts in both.
const LOOKED_AT: u64 = 64 << 10;

/// What a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    what: &'static str,
    /// The type of data source that reads it; without one, what to do.
    read: Result<SourceType, &'static str>,
}

const UNPACK: &str = "unpack it, and upload what is in it";
const EXPORT: &str = "export it as CSV or Parquet";
const WORKBOOK: Content = Content { what: "a workbook (xlsx or ods)", read: Ok(SourceType::Excel) };
const ZIP: Content = Content { what: "a ZIP archive", read: Err(UNPACK) };
const PARQUET: Content = Content { what: "Parquet", read: Ok(SourceType::Parquet) };
const HTML: Content = Content {
    what: "HTML",
    read: Err("was a page saved in place of the file, such as one that asks to sign in?"),
};
const XML: Content = Content { what: "XML", read: Ok(SourceType::Xml) };
const JSON: Content = Content { what: "JSON", read: Ok(SourceType::Json) };
const TEXT: Content = Content { what: "text", read: Ok(SourceType::Csv) };

/// What files begin with that no text begins with.
const MAGIC: &[(&[u8], Content)] = &[
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        Content { what: "a workbook (xls, or one with a password)", read: Ok(SourceType::Excel) },
    ),
    (b"\x1f\x8b", Content { what: "packed by gzip", read: Err(UNPACK) }),
    (b"\x28\xb5\x2f\xfd", Content { what: "packed by Zstandard", read: Err(UNPACK) }),
    (b"\xfd7zXZ\x00", Content { what: "packed by xz", read: Err(UNPACK) }),
    (b"ARROW1\x00", Content { what: "Arrow", read: Err(EXPORT) }),
    (b"Obj\x01", Content { what: "Avro", read: Err(EXPORT) }),
    (b"SQLite format 3\x00", Content { what: "an SQLite database", read: Ok(SourceType::Sqlite) }),
    (b"%PDF-", Content { what: "a PDF document", read: Err(EXPORT) }),
    (b"\x89PNG\r\n\x1a\n", Content { what: "a picture", read: Err(EXPORT) }),
    (b"\xff\xd8\xff", Content { what: "a picture", read: Err(EXPORT) }),
];

impl Content {
    /// The same as a clause.
    pub(super) fn told(self) -> String {
        match self.read {
            Ok(kind) => {
                format!("the content is {}: a data source of the type {kind} reads it as that", self.what)
            }
            Err(advice) => format!("the content is {}: {advice}", self.what),
        }
    }

    fn refused(self) -> SourceError {
        let told = self.told();
        let end = if told.ends_with('?') { "" } else { "." };
        SourceError::query(format!("{}{end}", told.replacen("the content", "The content", 1)))
    }
}

/// Refuses a file whose content is something else than its type says, as far as that is certain before it is read.
pub(super) fn refuse(kind: SourceType, file: &Spooled) -> Result<(), SourceError> {
    let head = part(file, 0)?;
    let tail = part(file, file.size.saturating_sub(LOOKED_AT))?;
    let content = binary(&head, &tail).or_else(|| match kind {
        SourceType::Json => markup(&head),
        SourceType::Excel | SourceType::Parquet => text(&head),
        _ => None,
    });
    // A workbook may be packed in a way that is not known here: what reads it says whether it is one.
    let is_its_own = |content: &Content| {
        content.read == Ok(kind) || kind == SourceType::Excel && matches!(*content, ZIP | WORKBOOK)
    };
    match content.filter(|content| !is_its_own(content)) {
        Some(content) => Err(content.refused()),
        None => Ok(()),
    }
}

fn part(file: &Spooled, start: u64) -> Result<Vec<u8>, SourceError> {
    let mut reader = file.reader()?;
    reader.seek(SeekFrom::Start(start)).map_err(broken)?;
    let mut bytes = Vec::new();
    reader.take(LOOKED_AT).read_to_end(&mut bytes).map_err(broken)?;
    Ok(bytes)
}

fn binary(head: &[u8], tail: &[u8]) -> Option<Content> {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let parts: [&[u8]; 2] = [b"xl/workbook.", b"application/vnd.oasis.opendocument.spreadsheet"];
        let is_workbook = parts.iter().any(|part| holds(head, part) || holds(tail, part));
        return Some(if is_workbook { WORKBOOK } else { ZIP });
    }
    // A header may begin as Parquet does.
    for mark in [b"PAR1", b"PARE"] {
        if head.starts_with(mark) && tail.ends_with(mark) {
            return Some(PARQUET);
        }
    }
    MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, content)| *content)
}

fn holds(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// HTML or XML, by how a text begins.
pub(super) fn markup(head: &[u8]) -> Option<Content> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins =
        |with: &str| head.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    if begins("<!doctype html") || begins("<html") {
        return Some(HTML);
    }
    begins("<?xml").then_some(XML)
}

/// What a text is, where no text is expected.
fn text(head: &[u8]) -> Option<Content> {
    let is_text = match std::str::from_utf8(head) {
        Ok(text) => !text.is_empty(),
        // A character that is cut.
        Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
    };
    if !is_text || head.contains(&0) {
        return None;
    }
    markup(head).or(match head.trim_ascii_start().first() {
        Some(b'{' | b'[') => Some(JSON),
        _ => Some(TEXT),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn told(kind: SourceType, content: &[u8]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let file = Spooled::of(file, "x".to_owned()).unwrap();
        refuse(kind, &file).err().map(|error| error.message)
    }

    #[test]
    fn content_of_another_kind_is_named() {
        let workbook = [&b"PK\x03\x04"[..], [7_u8].repeat(100_000).as_slice(), b"xl/workbook.xml"].concat();
        let excel =
            "The content is a workbook (xlsx or ods): a data source of the type excel reads it as that.";
        let zip = "The content is a ZIP archive: unpack it, and upload what is in it.";
        let gzip = "The content is packed by gzip: unpack it, and upload what is in it.";
        let pdf = "The content is a PDF document: export it as CSV or Parquet.";
        let parquet = "The content is Parquet: a data source of the type parquet reads it as that.";
        for kind in [SourceType::Csv, SourceType::Json, SourceType::Xml, SourceType::Parquet] {
            assert_eq!(told(kind, &workbook).as_deref(), Some(excel), "{kind}");
            assert_eq!(told(kind, b"PK\x03\x04 a letter").as_deref(), Some(zip), "{kind}");
        }
        for kind in [SourceType::Csv, SourceType::Json, SourceType::Xml, SourceType::Excel] {
            assert_eq!(told(kind, b"\x1f\x8b\x08\x00").as_deref(), Some(gzip), "{kind}");
            assert_eq!(told(kind, b"%PDF-1.7\n").as_deref(), Some(pdf), "{kind}");
            assert_eq!(told(kind, b"PAR1 and PAR1").as_deref(), Some(parquet), "{kind}");
        }
        let page =
            "The content is HTML: was a page saved in place of the file, such as one that asks to sign in?";
        for kind in [SourceType::Json, SourceType::Excel, SourceType::Parquet] {
            assert_eq!(told(kind, b"\n<!DOCTYPE HTML><p>").as_deref(), Some(page), "{kind}");
        }
        let csv = "The content is text: a data source of the type csv reads it as that.";
        assert_eq!(told(SourceType::Excel, b"a,b\n1,2\n").as_deref(), Some(csv));
        assert_eq!(
            told(SourceType::Parquet, b"[{\"a\": 1}]").as_deref(),
            Some("The content is JSON: a data source of the type json reads it as that.")
        );
    }

    #[test]
    fn what_is_or_may_be_of_its_type_is_left_to_its_reader() {
        for (kind, content) in [
            (SourceType::Excel, &b"PK\x03\x04 packed in another way"[..]),
            (SourceType::Excel, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            (SourceType::Excel, b""),
            (SourceType::Parquet, b"PAR1 and PAR1"),
            (SourceType::Csv, b"PAR1,PAR2\n1,2\n"),
            (SourceType::Csv, b"ORC,GNOME\n1,2\n"),
            (SourceType::Csv, b"<html>\n"),
            (SourceType::Csv, b"{\"a\": 1}"),
            (SourceType::Xml, b"<html><p/></html>"),
            (SourceType::Json, b"nope"),
        ] {
            assert_eq!(told(kind, content), None, "{kind} {content:?}");
        }
    }
}
