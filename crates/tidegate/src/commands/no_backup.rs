//! A file that was given as a backup and is none: what its first bytes say that it is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::program::shell_word;

/// How files of that kind begin, what they are, and the command that makes another FILE of one, which it has to take by any name.
const PACKED: [(&[u8], &str, &str); 9] = [
    (b"\x1f\x8b", "compressed with gzip", "gzip -dc THIS > FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc THIS > FILE"),
    (b"BZh", "compressed with bzip2", "bzip2 -dc THIS > FILE"),
    (b"\xfd7zXZ\0", "compressed with xz", "xz -dc THIS > FILE"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "lz4 -dc THIS > FILE"),
    (b"PK\x03\x04", "a zip archive", "unzip THIS"),
    (b"age-encryption.org/v1", "encrypted with age", "age -d -o FILE THIS"),
    (b"-----BEGIN PGP MESSAGE", "encrypted with PGP", "gpg -o FILE -d THIS"),
    (b"Salted__", "encrypted with openssl", "openssl enc -d -out FILE -in THIS"),
];

/// How the text begins that `sqlite3 FILE .dump` writes, and that programs for other languages do.
const DUMPS_OF_SQLITE: [&[u8]; 2] = [b"PRAGMA foreign_keys=OFF;", b"BEGIN TRANSACTION;"];

/// What the file is, and what to do with it; none where that cannot be said.
pub(super) fn told(file: &Path) -> Option<(String, String)> {
    let mut head = Vec::new();
    File::open(file).and_then(|file| file.take(512).read_to_end(&mut head)).ok()?;
    let word = shell_word(&file.display().to_string());
    let unpacked = |what: &str, command: &str| {
        let command = command.replace("THIS", &word);
        let advice = format!(
            "undo that, with `{command}`, and restore the FILE that comes out; its master key is to be beside it, as FILE.key, and \
             uploaded files in FILE.files"
        );
        Some((format!("it is {what}"), advice))
    };
    if let Some((_, what, command)) = PACKED.iter().find(|(begin, ..)| head.starts_with(begin)) {
        return unpacked(what, command);
    }
    if head.get(257..262).is_some_and(|at| at == b"ustar") {
        return unpacked("a tar archive", "tar -xf THIS");
    }
    if DUMPS_OF_SQLITE.iter().any(|begin| head.starts_with(begin)) {
        let advice = format!(
            "make a database of it, with `sqlite3 NEW < {word}`, and restore that: NEW.key beside it is to be the master key"
        );
        return Some(("it is a dump of SQLite, text with SQL".to_owned(), advice));
    }
    let command = if head.starts_with(b"PGDMP") {
        "pg_restore --dbname=ADDRESS"
    } else if String::from_utf8_lossy(&head).contains("PostgreSQL database dump") {
        "psql ADDRESS -f"
    } else {
        return None;
    };
    let advice = format!(
        "PostgreSQL's own programs restore it, into an empty database: `{command} {word}`; serve that, with the same master key"
    );
    Some(("it is a dump of PostgreSQL".to_owned(), advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_how_it_begins() {
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("b1");
        let mut archive = vec![0; 512];
        archive[257..262].copy_from_slice(b"ustar");
        let dump = "--\n-- PostgreSQL database dump\n--\n";
        for (content, what, command) in [
            (&b"\x1f\x8b\x08\x00"[..], "it is compressed with gzip", "`gzip -dc b1 > FILE`"),
            (b"\x28\xb5\x2f\xfd\x04", "it is compressed with zstd", "`zstd -dc b1 > FILE`"),
            (b"BZh9", "it is compressed with bzip2", "`bzip2 -dc b1 > FILE`"),
            (b"\xfd7zXZ\0\0", "it is compressed with xz", "`xz -dc b1 > FILE`"),
            (b"\x04\x22\x4d\x18\x64", "it is compressed with lz4", "`lz4 -dc b1 > FILE`"),
            (b"PK\x03\x04", "it is a zip archive", "`unzip b1`"),
            (b"age-encryption.org/v1\n", "it is encrypted with age", "`age -d -o FILE b1`"),
            (archive.as_slice(), "it is a tar archive", "`tar -xf b1`"),
            (b"BEGIN TRANSACTION;\n", "it is a dump of SQLite", "`sqlite3 NEW < b1`"),
            (b"PGDMP\x01", "it is a dump of PostgreSQL", "`pg_restore --dbname=ADDRESS b1`"),
            (dump.as_bytes(), "it is a dump of PostgreSQL", "`psql ADDRESS -f b1`"),
        ] {
            std::fs::write(&file, content).unwrap();
            let (said, advice) = told(&file).expect(what);
            assert!(said.starts_with(what), "{said}");
            let here = format!("{}/", here.path().display());
            assert!(advice.replace(&here, "").contains(command), "{advice}");
        }
        for content in [&b""[..], b"BZ", b"Dear Ada"] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(told(&file), None);
        }
    }
}
