//! What the applicant has agreed to, and proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tidegate_brokerage::failure::{Agreement, Document, DocumentContent};
use tidegate_domain::Secret;

use super::super::file_type::FileType;
use super::super::vocabulary::{AGREEMENTS, DOCUMENT_TYPES, W8BEN};
use super::others::is_oversized;
use super::reader::{Object, Reader};
use super::w8ben::w8ben;
use crate::wire::encoded_file::EncodedFile;

/// Largest file, in bytes. Contract, section 3: 10 MB.
const MAX_FILE: usize = 10 * 1024 * 1024;
/// Its length in base64 (RFC 4648 section 4), with a line break of two characters after every 64 and room for the head of a
/// `data:` URI.
const MAX_TEXT: usize = MAX_FILE.div_ceil(3) * 4 / 64 * 66 + 256;
/// The media type of a filled-in form.
const FORM: &str = "application/json";

/// Reads one of `agreements`.
pub(super) fn agreement(mut agreement: Reader<'_>) -> Option<Agreement> {
    let what = agreement.required("agreement", |agreement, name| agreement.word(name, AGREEMENTS));
    let signed_at = agreement.required("signed_at", Reader::instant);
    let ip_address = agreement.required("ip_address", Reader::ip_address);
    let revision = agreement.line("revision");
    Some(Agreement { agreement: what?.to_owned(), signed_at: signed_at?, ip_address: ip_address?, revision })
}

/// Reads one of `documents`: a file or a filled-in form.
pub(super) fn document(mut document: Reader<'_>) -> Option<Document> {
    let document_type =
        document.required("document_type", |document, name| document.word(name, DOCUMENT_TYPES));
    let document_sub_type = document.line("document_sub_type");
    let mime_type = document.required("mime_type", Reader::line);
    let file = document.text("content");
    let form = document.filled_object("content_data");
    let content = match (file, form) {
        (Some(_), Some(_)) => document.violated("content", "must not be sent together with content_data"),
        (Some(base64), None) => file_content(&mut document, base64, mime_type.as_deref()),
        (None, Some(form)) => form_content(&mut document, form, document_type, mime_type.as_deref()),
        (None, None) => document.violated("content", "is required, or content_data"),
    };
    let (content, mime_type) = content?;
    Some(Document {
        document_type: document_type?.to_owned(),
        document_sub_type,
        content,
        mime_type: mime_type.to_owned(),
    })
}

type Content = (DocumentContent, &'static str);

fn file_content(document: &mut Reader<'_>, base64: String, mime_type: Option<&str>) -> Option<Content> {
    let declared = mime_type.and_then(|mime_type| match FileType::named(mime_type) {
        Some(kind) => Some(kind),
        None => document.violated("mime_type", "must be application/pdf, image/png or image/jpeg"),
    });
    if base64.len() > MAX_TEXT {
        return document.violated("content", "must be at most 10 MB");
    }
    let Some(EncodedFile { bytes, media_type }) = EncodedFile::read(&base64) else {
        return document.violated("content", "must be base64 (RFC 4648), bare or as a data: URI");
    };
    drop(base64);
    if bytes.len() > MAX_FILE {
        return document.violated("content", "must be at most 10 MB");
    }
    let Some(kind) = FileType::of(&bytes) else {
        return document.violated("content", FileType::WANTED);
    };
    let in_uri = media_type.and_then(|media_type| FileType::named(&media_type));
    if kind != declared? || in_uri.is_some_and(|named| named != kind) {
        return document.violated("content", "must be a file of its mime_type");
    }
    Some((DocumentContent::File(Secret::new(STANDARD.encode(bytes))), kind.mime()))
}

fn form_content(
    document: &mut Reader<'_>,
    form: Object,
    document_type: Option<&str>,
    mime_type: Option<&str>,
) -> Option<Content> {
    if document_type.is_some_and(|kind| kind != W8BEN) {
        return document.violated("document_type", format!("must be {W8BEN} with content_data"));
    }
    if mime_type.is_some_and(|mime_type| !mime_type.eq_ignore_ascii_case(FORM)) {
        return document.violated("mime_type", format!("must be {FORM} with content_data"));
    }
    let whole = Value::Object(form);
    if is_oversized(&whole) {
        return document.violated("content_data", "is too large");
    }
    let Value::Object(form) = whole else { return None };
    let form = w8ben(document.inner("content_data", form));
    Some((DocumentContent::Form(form), FORM))
}
