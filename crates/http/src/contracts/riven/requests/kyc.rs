//! Documents sent in later: section 2, `POST` and `GET /account/kyc`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::extract::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegate_brokerage::failure::{Document, DocumentContent};
use tidegate_domain::Secret;
use tidegate_domain::text::line;

use super::file_type::FileType;
use super::multipart::LIMITS;
use super::vocabulary::{DOCUMENT_TYPES, known, unknown};
use crate::wire::encoded_file::EncodedFile;
use crate::wire::fields::Check;
use crate::wire::multipart::{Form, Part};
use crate::wire::rejection::Rejection;

/// Most documents at once.
const MAX_DOCUMENTS: usize = 10;
/// Longest text of a field, in bytes.
const MAX_TEXT: usize = 200;

/// Which of the documents: one of `documents[n][...]`, or the one whose fields stand alone.
type Which = Option<u32>;

/// The fields of a document.
#[derive(Clone, Copy)]
enum Slot {
    Type,
    SubType,
    File,
}

/// A document as its parts have come so far.
#[derive(Default)]
struct Draft {
    document_type: Option<Vec<u8>>,
    document_sub_type: Option<Vec<u8>>,
    file: Option<File>,
}

struct File {
    bytes: Vec<u8>,
    /// What its sender says it is, where that is a kind the broker takes.
    declared: Option<FileType>,
}

/// Reads the documents of a form: `document_type`, `document_sub_type` and `document`, in any order, or any number
/// of them as `documents[n][...]`. Other fields are ignored.
///
/// # Errors
/// [`Rejection::Invalid`] with everything that is wrong with its fields, under paths such as
/// `documents.0.document`; [`Rejection::PayloadTooLarge`] as soon as a file or the body is;
/// [`Rejection::UnsupportedMediaType`] and [`Rejection::MalformedBody`] for what is no form.
pub(crate) async fn documents(request: Request) -> Result<Vec<Document>, Rejection> {
    let mut form = Form::of(request, LIMITS)?;
    let mut check = Check::new();
    let mut drafts: BTreeMap<Which, Draft> = BTreeMap::new();
    let mut too_many = false;
    while let Some(part) = form.next().await? {
        match place(part.name()) {
            Some((which, _)) if drafts.len() == MAX_DOCUMENTS && !drafts.contains_key(&which) => {
                too_many = true;
                part.skip().await?;
            }
            Some((which, slot)) => {
                if drafts.entry(which).or_default().put(slot, part).await? {
                    note(&mut check, slot.path(which), "must be sent once");
                }
            }
            None => part.skip().await?,
        }
    }
    if too_many {
        note(&mut check, "documents".to_owned(), &format!("must be at most {MAX_DOCUMENTS}"));
    }
    if drafts.is_empty() {
        // To say what is missing.
        drafts.insert(None, Draft::default());
    }
    let read: Vec<_> = drafts.into_iter().map(|(which, draft)| draft.read(&mut check, which)).collect();
    Ok(check.finish(read.into_iter().collect())?)
}

/// The field and the document that a part's name addresses.
fn place(name: &str) -> Option<(Which, Slot)> {
    let Some(indexed) = name.strip_prefix("documents[") else {
        return Some((None, Slot::named(name)?));
    };
    let (index, slot) = indexed.strip_suffix(']')?.split_once("][")?;
    let is_index = !index.is_empty() && index.bytes().all(|digit| digit.is_ascii_digit());
    Some((Some(index.parse().ok().filter(|_| is_index)?), Slot::named(slot)?))
}

impl Slot {
    fn named(name: &str) -> Option<Self> {
        [Self::Type, Self::SubType, Self::File].into_iter().find(|slot| slot.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Type => "document_type",
            Self::SubType => "document_sub_type",
            Self::File => "document",
        }
    }

    /// What violations call it.
    fn path(self, which: Which) -> String {
        which.map_or(self.name().to_owned(), |index| format!("documents.{index}.{}", self.name()))
    }
}

impl Draft {
    /// Takes a part in; answers whether there was one like it.
    async fn put(&mut self, slot: Slot, part: Part) -> Result<bool, Rejection> {
        let declared = part.declared_type().and_then(FileType::named);
        let bytes = part.read().await?;
        Ok(match slot {
            Slot::Type => self.document_type.replace(bytes).is_some(),
            Slot::SubType => self.document_sub_type.replace(bytes).is_some(),
            Slot::File => self.file.replace(File { bytes, declared }).is_some(),
        })
    }

    fn read(self, check: &mut Check, which: Which) -> Option<Document> {
        let at = |slot: Slot| slot.path(which);
        let document_type = match text(self.document_type) {
            Ok(None) => check.violated(at(Slot::Type), "is required"),
            Ok(Some(text)) => match known(&text, DOCUMENT_TYPES) {
                Some(word) => Some(word.to_owned()),
                None => check.violated(at(Slot::Type), unknown(DOCUMENT_TYPES)),
            },
            Err(message) => check.violated(at(Slot::Type), message),
        };
        let document_sub_type = check.parsed(at(Slot::SubType), text(self.document_sub_type));
        let file = check.parsed(at(Slot::File), file(self.file));
        let (content, kind) = file?;
        Some(Document {
            document_type: document_type?,
            document_sub_type: document_sub_type?,
            content: DocumentContent::File(content),
            mime_type: kind.mime().to_owned(),
        })
    }
}

/// The text of a field; none when it is blank. Otherwise what is wrong with it.
fn text(sent: Option<Vec<u8>>) -> Result<Option<String>, String> {
    let sent = sent.unwrap_or_default();
    if sent.len() > MAX_TEXT {
        return Err(format!("must be at most {MAX_TEXT} bytes"));
    }
    let text = String::from_utf8(sent).map_err(|_| "must be UTF-8 text".to_owned())?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    line(&text, MAX_TEXT).map(Some).map_err(|error| error.to_string())
}

/// A file in base64 and what its bytes say it is; its sender may say nothing else. Otherwise what is wrong with it.
fn file(sent: Option<File>) -> Result<(Secret, FileType), &'static str> {
    let File { bytes, declared } = sent.ok_or("is required")?;
    if bytes.is_empty() {
        return Err("must not be empty");
    }
    // Some clients send the text of a file picker, or say `Content-Transfer-Encoding: base64`.
    let bytes = match (FileType::of(&bytes), std::str::from_utf8(&bytes).ok().and_then(EncodedFile::read)) {
        (None, Some(file)) => file.bytes,
        _ => bytes,
    };
    match FileType::of(&bytes) {
        Some(kind) if declared.is_none_or(|declared| declared == kind) => {
            Ok((Secret::new(STANDARD.encode(&bytes)), kind))
        }
        _ => Err(FileType::WANTED),
    }
}

fn note(check: &mut Check, field: String, message: &str) {
    let _: Option<()> = check.violated(field, message);
}
