use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use futures_util::stream;
use proptest::prelude::*;

use super::super::multipart::{MAX_BODY, MAX_PART, MAX_PARTS};
use super::*;

const PDF: &[u8] = b"%PDF-1.7 ...";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0....";

/// A body under construction.
#[derive(Clone, Default)]
struct Sent(Vec<u8>);

impl Sent {
    fn part(mut self, head: &str, content: &[u8]) -> Self {
        self.0.extend(format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        self.0.extend(content);
        self.0.extend(b"\r\n");
        self
    }

    fn text(self, name: &str, content: &str) -> Self {
        self.part(&format!("name=\"{name}\""), content.as_bytes())
    }

    fn file(self, name: &str, mime: &str, content: &[u8]) -> Self {
        let head = format!("name=\"{name}\"; filename=\"a \\\"b\\\".png\"\r\nContent-Type: {mime}");
        self.part(&head, content)
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend(b"--XX--\r\n");
        self.0
    }
}

fn post(body: impl Into<Body>) -> Request {
    let content_type = "multipart/form-data; boundary=XX";
    Request::post("/api/v1/account/kyc").header(CONTENT_TYPE, content_type).body(body.into()).unwrap()
}

fn read_request(request: Request) -> Result<Vec<Document>, Rejection> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(documents(request))
}

fn read(sent: Sent) -> Result<Vec<Document>, Rejection> {
    read_request(post(sent.end()))
}

/// The body in pieces, without a declared length.
fn in_pieces(body: &[u8], lengths: &[usize]) -> Body {
    let mut rest = Bytes::copy_from_slice(body);
    let mut lengths = lengths.iter().copied().cycle();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(1).min(rest.len());
        pieces.push(Ok::<_, std::io::Error>(rest.split_to(length)));
    }
    Body::from_stream(stream::iter(pieces))
}

fn said(sent: Sent) -> Vec<String> {
    match read(sent) {
        Err(Rejection::Invalid(violations)) => {
            violations.iter().map(|one| format!("{} {}", one.field, one.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn document(kind: &str, sub_type: Option<&str>, mime_type: &str, content: &[u8]) -> Document {
    Document {
        document_type: kind.to_owned(),
        document_sub_type: sub_type.map(str::to_owned),
        content: DocumentContent::File(Secret::new(STANDARD.encode(content))),
        mime_type: mime_type.to_owned(),
    }
}

/// One good document.
fn passport() -> Sent {
    Sent::default().text("document_type", "identity_verification").text("document_sub_type", "passport").file(
        "document",
        "image/png",
        PNG,
    )
}

#[test]
fn one_document_is_sent_in_flat_fields_in_any_order() {
    let wanted = [document("identity_verification", Some("passport"), "image/png", PNG)];
    assert_eq!(read(passport()).unwrap(), wanted);
    let reversed = Sent::default()
        .file("document", "application/octet-stream", PNG)
        .text("unknown", "ignored")
        .text("document_sub_type", " passport ")
        .text("document_type", "identity_verification\n");
    assert_eq!(read(reversed).unwrap(), wanted);
}

#[test]
fn a_handler_may_wait_for_a_form() {
    fn may_move_between_threads(_: &impl Send) {}
    may_move_between_threads(&documents(post(passport().end())));
}

#[test]
fn several_documents_are_numbered() {
    let sent = Sent::default()
        .text("documents[7][document_type]", "address_verification")
        .file("documents[1][document]", "application/pdf", PDF)
        .text("documents[1][document_type]", "w8ben")
        .text("documents[1][document_sub_type]", "")
        .file("documents[7][document]", "IMAGE/JPEG; q=1", JPEG);
    assert_eq!(
        read(sent).unwrap(),
        [
            document("w8ben", None, "application/pdf", PDF),
            document("address_verification", None, "image/jpeg", JPEG)
        ]
    );
}

#[test]
fn a_name_is_a_name_in_full() {
    for name in [
        "documents[][document]",
        "documents[-1][document]",
        "documents[+1][document]",
        "documents[4294967296][document]",
        "documents[1][document",
        "documents[1]document]",
        "documents[1][document][x]",
        "documents[1][content]",
        "documents[1].document",
        "Document",
        "",
    ] {
        assert!(place(name).is_none(), "{name}");
    }
}

#[test]
fn what_is_missing_is_said() {
    assert_eq!(said(Sent::default()), ["document_type is required", "document is required"]);
    assert_eq!(
        said(Sent::default().text("other", "x")),
        ["document_type is required", "document is required"]
    );
    assert_eq!(
        said(Sent::default().text("documents[3][document_type]", " ").file(
            "documents[3][document]",
            "image/png",
            b""
        )),
        ["documents.3.document_type is required", "documents.3.document must not be empty"]
    );
}

#[test]
fn the_type_is_one_the_broker_knows() {
    let sent = Sent::default().text("document_type", "selfie").file("document", "image/png", PNG);
    let said = said(sent);
    assert!(said.len() == 1 && said[0].starts_with("document_type must be one of identity_verification, "));
}

#[test]
fn a_file_is_what_its_bytes_say_and_nothing_else_is_claimed() {
    let with = |mime: &str, content: &[u8]| {
        Sent::default().text("document_type", "other").file("document", mime, content)
    };
    for (mime, content) in
        [("image/png", PDF), ("application/pdf", JPEG), ("image/png", b"GIF89a"), ("text/html", b"<html>")]
    {
        assert_eq!(said(with(mime, content)), ["document must be a PDF, PNG or JPEG file"]);
    }
    for mime in ["image/jpg", "text/html", "application/json", "nonsense"] {
        assert_eq!(read(with(mime, JPEG)).unwrap()[0].mime_type, "image/jpeg");
    }
}

#[test]
fn a_file_may_be_the_text_of_a_file_picker() {
    let with = |content: &str| {
        Sent::default().text("document_type", "other").file("document", "image/jpg", content.as_bytes())
    };
    let plain = STANDARD.encode(JPEG);
    for content in [plain.clone(), format!("{plain}\r\n"), format!("data:image/jpeg;base64,{plain}")] {
        let read = read(with(&content)).unwrap();
        assert_eq!(read[0].mime_type, "image/jpeg");
        let DocumentContent::File(kept) = &read[0].content else { panic!("a file") };
        assert_eq!(kept.expose(), plain);
    }
    assert_eq!(said(with(&STANDARD.encode(b"<html>"))), ["document must be a PDF, PNG or JPEG file"]);
}

#[test]
fn every_field_is_sent_once() {
    assert_eq!(said(passport().text("document_type", "other")), ["document_type must be sent once"]);
    let twice = Sent::default()
        .text("documents[0][document_type]", "other")
        .file("documents[0][document]", "image/png", PNG)
        .file("documents[00][document]", "image/png", PNG);
    assert_eq!(said(twice), ["documents.0.document must be sent once"]);
}

#[test]
fn texts_are_short_lines_of_text() {
    let with = |sub_type: &[u8]| {
        let sent = Sent::default().text("document_type", "other").file("document", "image/png", PNG);
        said(sent.part("name=\"document_sub_type\"", sub_type))
    };
    assert_eq!(with(&[b'x'; 201]), ["document_sub_type must be at most 200 bytes"]);
    assert_eq!(with(b"\xff"), ["document_sub_type must be UTF-8 text"]);
    assert_eq!(with(b"a\0b"), ["document_sub_type must not contain control characters"]);
}

#[test]
fn ten_documents_at_once_are_enough() {
    let many = |count: usize| {
        (0..count).fold(Sent::default(), |sent, n| {
            sent.text(&format!("documents[{n}][document_type]"), "other").file(
                &format!("documents[{n}][document]"),
                "image/png",
                PNG,
            )
        })
    };
    assert_eq!(read(many(10)).unwrap().len(), 10);
    assert_eq!(said(many(11)), ["documents must be at most 10"]);
}

#[test]
fn a_form_has_few_parts_with_short_heads() {
    let parts = |count: usize| (0..count).fold(Sent::default(), |sent, _| sent.text("other", "x"));
    assert!(matches!(read(parts(MAX_PARTS)), Err(Rejection::Invalid(_))));
    assert!(matches!(read(parts(MAX_PARTS + 1)), Err(Rejection::MalformedBody(_))));

    let long_head = b"--XX\r\nX-Long: ".iter().copied().chain(std::iter::repeat_n(b'x', 100_000));
    let long_preamble = std::iter::repeat_n(b'x', 100_000);
    for body in [long_head.collect::<Vec<u8>>(), long_preamble.collect()] {
        match read_request(post(body)) {
            Err(Rejection::MalformedBody(text)) => assert_eq!(text, "the headers of a part are too long"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_forms_are_read() {
    let with = |content_type: Option<&str>| {
        let request = Request::post("/");
        let request =
            content_type.into_iter().fold(request, |request, value| request.header(CONTENT_TYPE, value));
        read_request(request.body(Body::from(passport().end())).unwrap())
    };
    assert!(with(Some("Multipart/Form-Data; charset=utf-8; boundary=\"XX\"")).is_ok());
    for content_type in [None, Some("application/json"), Some("multipart/mixed; boundary=XX"), Some("")] {
        assert!(matches!(with(content_type), Err(Rejection::UnsupportedMediaType(_))), "{content_type:?}");
    }
    let too_long = format!("multipart/form-data; boundary={}", "X".repeat(71));
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        &too_long,
    ] {
        assert!(matches!(with(Some(content_type)), Err(Rejection::MalformedBody(_))), "{content_type:?}");
    }
    assert!(matches!(with(Some("multipart/form-data; boundary=YY")), Err(Rejection::MalformedBody(_))));
}

#[test]
fn a_form_that_ends_early_is_malformed() {
    let whole = passport().end();
    for end in 0..whole.len() - 4 {
        match read_request(post(whole[..end].to_vec())) {
            Err(Rejection::MalformedBody(_)) => {}
            other => panic!("{end}: {other:?}"),
        }
    }
    let start = stream::iter([Ok(Bytes::from_static(b"--XX\r\n")), Err(std::io::Error::other("reset"))]);
    match read_request(post(Body::from_stream(start))) {
        Err(Rejection::MalformedBody(text)) => assert_eq!(text, "the body ended early"),
        other => panic!("{other:?}"),
    }
}

/// A file of this many bytes, and how much of its form was asked for.
fn endless(declared: bool) -> (Result<Vec<Document>, Rejection>, usize) {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let start = Bytes::from(Sent::default().file("document", "image/png", PNG).0);
    let more = std::iter::repeat_n(Bytes::from(vec![0; 64 * 1024]), 1_000);
    let frames = std::iter::once(start).chain(more).map(move |bytes| {
        counter.fetch_add(bytes.len(), std::sync::atomic::Ordering::Relaxed);
        Ok::<_, std::io::Error>(bytes)
    });
    let body = Body::from_stream(stream::iter(frames));
    let body = if declared { Body::new(Declared(body)) } else { body };
    let read = read_request(post(body));
    (read, asked.load(std::sync::atomic::Ordering::Relaxed))
}

/// A body that says how long it is.
struct Declared(Body);

impl http_body::Body for Declared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(context)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(16 * 1024 * 1024)
    }
}

#[test]
fn a_body_that_says_it_is_too_large_is_not_read() {
    let (read, asked) = endless(true);
    assert!(matches!(read, Err(Rejection::PayloadTooLarge { limit: MAX_BODY })));
    assert_eq!(asked, 0);
}

#[test]
fn a_file_is_refused_as_soon_as_it_is_too_large() {
    let (read, asked) = endless(false);
    assert!(matches!(read, Err(Rejection::PayloadTooLarge { limit: MAX_PART })), "{read:?}");
    assert!(asked < MAX_PART + 128 * 1024, "{asked}");
}

#[test]
fn files_of_10_mb_pass_and_not_a_byte_more() {
    let mut file = PDF.to_vec();
    file.resize(MAX_PART, 0);
    let with = |file: &[u8]| {
        let body =
            Sent::default().text("document_type", "other").file("document", "application/pdf", file).end();
        read_request(post(in_pieces(&body, &[100_000])))
    };
    let DocumentContent::File(content) = &with(&file).unwrap()[0].content else { panic!("no file") };
    assert_eq!(content.expose().len(), MAX_PART.div_ceil(3) * 4);
    file.push(0);
    assert!(matches!(with(&file), Err(Rejection::PayloadTooLarge { limit: MAX_PART })));
}

#[test]
fn all_files_together_fit_the_body() {
    let mut file = PDF.to_vec();
    file.resize(8 * 1024 * 1024, 0);
    let body = Sent::default()
        .file("document", "application/pdf", &file)
        .file("other", "application/pdf", &file)
        .end();
    let too_large = |read| matches!(read, Err(Rejection::PayloadTooLarge { limit: MAX_BODY }));
    assert!(too_large(read_request(post(in_pieces(&body, &[50_000])))));
    assert!(too_large(read_request(post(body))));
}

#[test]
fn nothing_sent_is_said() {
    let secret = "qzx";
    let sent = [
        Sent::default().text("document_type", secret).file("document", secret, secret.as_bytes()).end(),
        Sent::default().text(secret, "x").end(),
        Sent::default().part(&format!("name=\"{secret}\"\r\n{secret}\u{1}: {secret}"), b"").end(),
        Sent::default().text("document_type", "other").0,
    ];
    for body in sent {
        let shown = format!("{:?}", read_request(post(body)).unwrap_err());
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!format!("{:?}", read(passport())).contains("passport"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        lengths in prop::collection::vec(1_usize..40, 1..5),
    ) {
        drop(read_request(post(in_pieces(&bytes, &lengths))));
    }

    #[test]
    fn any_parts_are_read_or_refused_without_a_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "--XX", "\r\n", "\r\n\r\n", "--", "-", "\r", "\n", ":", "%PDF-", "XX", " ", "\"", "\\", ";", "x",
                "Content-Disposition: form-data; name=\"document\"", "name=", "filename=\"",
                "Content-Disposition: form-data; name=\"document_type\"", "Content-Type: image/png", "other",
            ]),
            0..60,
        ),
        lengths in prop::collection::vec(1_usize..40, 1..5),
    ) {
        drop(read_request(post(in_pieces(pieces.concat().as_bytes(), &lengths))));
    }

    #[test]
    fn any_change_of_a_byte_is_read_or_refused_without_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = passport().end();
        let at = at.index(body.len());
        body[at] = byte;
        drop(read_request(post(body)));
    }

    #[test]
    fn however_a_form_arrives_it_says_the_same(
        content in prop::collection::vec(prop::sample::select(b"\r\n-X%ab".to_vec()), 0..300),
        lengths in prop::collection::vec(1_usize..200, 1..6),
    ) {
        let mut file = PDF.to_vec();
        file.extend(content);
        // Not a boundary of this form.
        prop_assume!(!file.windows(6).any(|window| window == b"\r\n--XX"));
        let sent = passport().file("documents[0][document]", "application/pdf", &file);
        let body = sent.text("documents[0][document_type]", "cip_result").end();
        let wanted = [
            document("identity_verification", Some("passport"), "image/png", PNG),
            document("cip_result", None, "application/pdf", &file),
        ];
        prop_assert_eq!(read_request(post(in_pieces(&body, &lengths))).unwrap(), &wanted);
        prop_assert_eq!(read_request(post(body)).unwrap(), &wanted);
    }
}
