//! What a file is: by its first bytes and its name, never by what its sender says.
//!
//! A name says what a file is for programs that open it later; its bytes must be of that kind. The content type that is answered comes
//! from this table alone, and none of its types runs in a browser.

use crate::files::file::FileCategory;
use crate::files::name::extension_of;

/// What is read of a file to judge it, in bytes: from its beginning.
pub const HEAD: usize = 8 * 1024;
/// And from its end.
pub const TAIL: usize = 4;

/// The type of what is not known, or would run in a browser.
pub const UNKNOWN: &str = "application/octet-stream";

/// What the bytes of a file look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Empty,
    Text,
    Zip,
    Compound,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
    Parquet,
    Arrow,
    Avro,
    Orc,
    Sqlite,
    Pdf,
    Png,
    Jpeg,
    Gif,
    WebP,
    Other,
}

use Looks::{
    Arrow, Avro, Bzip2, Compound, Empty, Gif, Gzip, Jpeg, Orc, Other, Parquet, Pdf, Png, Sqlite, Text, WebP,
    Xz, Zip, Zstd,
};

/// What files begin with.
const MAGIC: [(&[u8], Looks); 18] = [
    (b"PK\x03\x04", Zip),
    (b"PK\x05\x06", Zip),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Compound),
    (b"\x1f\x8b", Gzip),
    (b"\x28\xb5\x2f\xfd", Zstd),
    (b"BZh", Bzip2),
    (b"\xfd7zXZ\x00", Xz),
    (b"PAR1", Parquet),
    // Encrypted, its footer too.
    (b"PARE", Parquet),
    (b"ARROW1", Arrow),
    (b"Obj\x01", Avro),
    (b"ORC", Orc),
    (b"SQLite format 3\x00", Sqlite),
    (b"%PDF-", Pdf),
    (b"\x89PNG\r\n\x1a\n", Png),
    (b"\xff\xd8\xff", Jpeg),
    (b"GIF87a", Gif),
    (b"GIF89a", Gif),
];

/// Extensions, what their files are, and what their bytes look like.
const KINDS: [(&[&str], &str, &[Looks]); 26] = [
    (&["csv"], "text/csv", &[Text, Empty]),
    (&["tsv", "tab"], "text/tab-separated-values", &[Text, Empty]),
    (&["txt", "log", "md", "sql", "ini", "conf"], "text/plain", &[Text, Empty]),
    (&["json", "geojson"], "application/json", &[Text, Empty]),
    (&["jsonl", "ndjson"], "application/x-ndjson", &[Text, Empty]),
    (&["yaml", "yml"], "application/yaml", &[Text, Empty]),
    // As plain text: a browser would follow a style sheet.
    (&["xml", "xsd"], "text/plain", &[Text, Empty]),
    (&["html", "htm", "xhtml", "svg", "js", "mjs", "css"], UNKNOWN, &[Text, Empty]),
    (
        &["xlsx", "xlsm"],
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        &[Zip, Compound],
    ),
    (&["docx"], "application/vnd.openxmlformats-officedocument.wordprocessingml.document", &[Zip, Compound]),
    (&["ods"], "application/vnd.oasis.opendocument.spreadsheet", &[Zip]),
    (&["xls"], "application/vnd.ms-excel", &[Compound]),
    (&["xlsb"], "application/vnd.ms-excel.sheet.binary.macroEnabled.12", &[Zip, Compound]),
    (&["zip"], "application/zip", &[Zip]),
    (&["gz"], "application/gzip", &[Gzip]),
    (&["zst"], "application/zstd", &[Zstd]),
    (&["bz2"], "application/x-bzip2", &[Bzip2]),
    (&["xz"], "application/x-xz", &[Xz]),
    (&["parquet"], "application/vnd.apache.parquet", &[Parquet]),
    (&["arrow", "feather"], "application/vnd.apache.arrow.file", &[Arrow]),
    (&["avro"], "application/vnd.apache.avro", &[Avro]),
    (&["orc"], "application/vnd.apache.orc", &[Orc]),
    (&["sqlite", "sqlite3", "db"], "application/vnd.sqlite3", &[Sqlite]),
    (&["pdf"], "application/pdf", &[Pdf]),
    (&["png"], "image/png", &[Png]),
    (&["jpg", "jpeg"], "image/jpeg", &[Jpeg]),
];
/// More pictures.
const PICTURES: [(&str, &str, Looks); 2] = [("gif", "image/gif", Gif), ("webp", "image/webp", WebP)];

/// Why a file is refused for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Its bytes are not what its name says, but this.
    #[error("the file is not what its name says: it is {0}")]
    Mismatch(&'static str),
    /// It begins like one, and ends otherwise.
    #[error("the file is cut off: its end is missing")]
    Truncated,
    /// Not a picture, but this.
    #[error("a profile image must be a PNG, JPEG, GIF or WebP picture: it is {0}")]
    NoPicture(&'static str),
}

/// The content type of a file of that name with these first and last bytes.
///
/// # Errors
/// [`ContentError`].
pub fn judge(
    name: &str,
    category: FileCategory,
    head: &[u8],
    tail: &[u8],
) -> Result<&'static str, ContentError> {
    let (extension, looks) = (extension_of(name), look(head));
    let content_type = match kind_of(&extension) {
        Some((content_type, admitted)) if admitted.contains(&looks) => content_type,
        // Text that happens to begin as another kind does: a header `ORC,GNOME`.
        Some((content_type, admitted)) if admitted.contains(&Text) && is_text(head) => content_type,
        Some(_) => return Err(ContentError::Mismatch(shown(looks, head))),
        None => UNKNOWN,
    };
    // Parquet begins and ends alike; without its end there is no footer, and nothing to read.
    if looks == Parquet && head.get(..TAIL) != Some(tail) {
        return Err(ContentError::Truncated);
    }
    if category == FileCategory::ProfileImage && !matches!(looks, Png | Jpeg | Gif | WebP) {
        return Err(ContentError::NoPicture(shown(looks, head)));
    }
    Ok(content_type)
}

/// The content type of a file by its name alone: for one that was put into the store past us.
pub(crate) fn by_name(name: &str) -> &'static str {
    kind_of(&extension_of(name)).map_or(UNKNOWN, |(content_type, _)| content_type)
}

fn kind_of(extension: &str) -> Option<(&'static str, &'static [Looks])> {
    if let Some((_, content_type, looks)) = PICTURES.iter().find(|(known, ..)| *known == extension) {
        return Some((content_type, std::slice::from_ref(looks)));
    }
    let kind = KINDS.iter().find(|(extensions, ..)| extensions.contains(&extension));
    kind.map(|(_, content_type, looks)| (*content_type, *looks))
}

fn look(head: &[u8]) -> Looks {
    if head.is_empty() {
        return Empty;
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return WebP;
    }
    if let Some((_, looks)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return *looks;
    }
    if is_text(head) { Text } else { Other }
}

/// What a file is, for the one who sent it as another.
fn shown(looks: Looks, head: &[u8]) -> &'static str {
    match looks {
        Empty => "empty",
        Text if is_html(head) => "an HTML page",
        Text => "text",
        Zip => "a ZIP archive, as XLSX, DOCX and ODS files are",
        Compound => "an older Office file (XLS, DOC), or one that is encrypted",
        Gzip => "a gzip file",
        Zstd => "a Zstandard file",
        Bzip2 => "a bzip2 file",
        Xz => "an xz file",
        Parquet => "a Parquet file",
        Arrow => "an Arrow file",
        Avro => "an Avro file",
        Orc => "an ORC file",
        Sqlite => "a SQLite database",
        Pdf => "a PDF document",
        Png => "a PNG image",
        Jpeg => "a JPEG image",
        Gif => "a GIF image",
        WebP => "a WebP image",
        Other if head.starts_with(b"\x7fELF") || head.starts_with(b"MZ") => "a program",
        Other => "of no kind that is known here",
    }
}

/// Whether text is what servers send to browsers: a sign-in page, say, that was saved in place of a file.
fn is_html(head: &[u8]) -> bool {
    let begins = |tag: &[u8]| {
        let start = head.trim_ascii_start();
        start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    begins(b"<!doctype html") || begins(b"<html")
}

/// Whether bytes are text: UTF-8 or one of the older encodings of a byte per letter, or UTF-16 that says so. Control characters other
/// than those of lines and tabs are in none.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return true;
    }
    !head.starts_with(b"\x7fELF")
        && !head
            .iter()
            .any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(name: &str, content: &[u8]) -> Result<&'static str, ContentError> {
        let tail = &content[content.len().saturating_sub(TAIL)..];
        judge(name, FileCategory::DataSource, content, tail)
    }

    #[test]
    fn files_are_what_their_bytes_are() {
        for (name, content, content_type) in [
            ("a.csv", &b"id,name\n1,x\n"[..], "text/csv"),
            ("a.CSV", b"\xef\xbb\xbfid\r1", "text/csv"),
            ("a.csv", b"\xff\xfei\0d\0", "text/csv"),
            ("a.csv", b"ORC,GNOME\n1,2\n", "text/csv"),
            ("a.csv", b"caf\xe9\n", "text/csv"),
            ("a.csv", b"", "text/csv"),
            ("a.json", b"{}", "application/json"),
            ("a.parquet", b"PAR1....PAR1", "application/vnd.apache.parquet"),
            ("a.parquet", b"PARE....PARE", "application/vnd.apache.parquet"),
            ("a.xlsx", b"PK\x03\x04...", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            ("a.png", b"\x89PNG\r\n\x1a\n...", "image/png"),
            ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            ("a.dat", b"\0\x01\x02", UNKNOWN),
            ("noextension", b"text", UNKNOWN),
        ] {
            assert_eq!(judged(name, content), Ok(content_type), "{name}");
        }
    }

    #[test]
    fn what_would_run_in_a_browser_has_no_type_that_does() {
        for name in ["a.html", "a.svg", "a.js", "a.xhtml", "a.htm"] {
            assert_eq!(judged(name, b"<script>alert(1)</script>"), Ok(UNKNOWN), "{name}");
        }
        for (_, content_type, _) in KINDS {
            for active in ["html", "svg", "javascript", "xml"] {
                let is_office = content_type.starts_with("application/vnd.");
                assert!(is_office || !content_type.contains(active), "{content_type}");
            }
        }
    }

    #[test]
    fn names_that_lie_are_refused() {
        for (name, content, is) in [
            ("a.csv", &b"\x7fELF\x02\x01\x01"[..], "a program"),
            ("a.csv", b"MZ\x90\0\x03", "a program"),
            ("a.csv", b"\x89PNG\r\n\x1a\n...", "a PNG image"),
            ("a.csv", b"PK\x03\x04...", "a ZIP archive, as XLSX, DOCX and ODS files are"),
            ("a.csv", b"\0\x01\x02", "of no kind that is known here"),
            ("a.png", b"<html>", "an HTML page"),
            ("a.parquet", b"\r\n<!DOCTYPE html>\n", "an HTML page"),
            ("a.parquet", b"id,name\n", "text"),
            ("a.xlsx", b"", "empty"),
            ("a.xls", b"<table>", "text"),
        ] {
            assert_eq!(judged(name, content), Err(ContentError::Mismatch(is)), "{name}");
        }
        assert_eq!(judged("a.parquet", b"PAR1 cut off"), Err(ContentError::Truncated));
        let picture = judge("a.csv", FileCategory::ProfileImage, b"id\n", b"id\n");
        assert_eq!(picture, Err(ContentError::NoPicture("text")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(name in "\\PC{0,20}(\\.(csv|parquet|png|webp|xml))?", content in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = judged(&name, &content);
        }
    }
}
