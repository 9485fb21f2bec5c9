//! Files and filled-in forms.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

#[test]
fn a_file_is_base64_of_what_it_says_it_is() {
    let cases = [
        (STANDARD.encode(b"GIF89a"), "content must be a PDF, PNG or JPEG file"),
        (STANDARD.encode(b"%PDF-1.7"), "content must be a file of its mime_type"),
        ("iVBORw0KGgo=!".to_owned(), "content must be base64 (RFC 4648), bare or as a data: URI"),
        (
            "data:image/png,iVBORw0KGgo=".to_owned(),
            "content must be base64 (RFC 4648), bare or as a data: URI",
        ),
        (
            format!("data:application/pdf;base64,{}", STANDARD.encode(PNG)),
            "content must be a file of its mime_type",
        ),
    ];
    for (content, said) in cases {
        assert_eq!(complaints("documents.content", json!(content)), [format!("documents.0.{said}")]);
    }
    for mime in ["image/gif", "application/json", "png"] {
        assert_eq!(
            complaints("documents.mime_type", json!(mime)),
            ["documents.0.mime_type must be application/pdf, image/png or image/jpeg"]
        );
    }
}

#[test]
fn a_file_is_read_as_phones_and_browsers_encode_it() {
    let plain = STANDARD.encode(PNG);
    let broken: Vec<&str> =
        plain.as_bytes().chunks(6).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for content in [
        plain.clone(),
        broken.join("\r\n"),
        format!("{}\n", broken.join("\n")),
        plain.trim_end_matches('=').to_owned(),
        plain.replace('+', "-").replace('/', "_"),
        format!("data:image/png;base64,{plain}"),
    ] {
        let read = read(with("documents.content", json!(content))).unwrap();
        let DocumentContent::File(kept) = &read.documents[0].content else { panic!("a file") };
        assert_eq!(kept.expose(), plain, "{content:?}");
    }
}

#[test]
fn a_file_is_at_most_10_mb() {
    let mut file = PNG.to_vec();
    file.resize(10 * 1024 * 1024, 0);
    assert!(read(with("documents.content", json!(STANDARD.encode(&file)))).is_ok());
    file.push(0);
    assert_eq!(
        complaints("documents.content", json!(STANDARD.encode(&file))),
        ["documents.0.content must be at most 10 MB"]
    );
    file.extend([0; 3]);
    assert_eq!(
        complaints("documents.content", json!(STANDARD.encode(&file))),
        ["documents.0.content must be at most 10 MB"]
    );
}

#[test]
fn a_document_is_a_file_or_a_form() {
    let mut both = form();
    both["content"] = json!("aGk=");
    assert_eq!(
        said(with_documents(both)),
        ["documents.0.content must not be sent together with content_data"]
    );
    let mut neither = form();
    neither["content_data"] = json!({"date": null});
    assert_eq!(
        said(with_documents(json!([null, neither]))),
        ["documents.1.content is required, or content_data"]
    );
    let mut file = form();
    file["mime_type"] = json!("application/pdf");
    assert_eq!(
        said(with_documents(file)),
        ["documents.0.mime_type must be application/json with content_data"]
    );
    let mut other = form();
    other["document_type"] = json!("other");
    assert_eq!(said(with_documents(other)), ["documents.0.document_type must be w8ben with content_data"]);
    assert!(read(with_documents(json!(""))).unwrap().documents.is_empty());
}

#[test]
fn a_form_is_filled_in() {
    let required = [
        "country_citizen",
        "date",
        "date_of_birth",
        "full_name",
        "ip_address",
        "permanent_address_city_state",
        "permanent_address_country",
        "permanent_address_street",
        "revision",
        "signer_full_name",
        "timestamp",
    ];
    for field in required {
        let mut form = form();
        form["content_data"][field] = json!("");
        assert_eq!(said(with_documents(form)), [format!("documents.0.content_data.{field} is required")]);
    }
    for (field, value, message) in [
        ("date", "2024-02-30", "must be a date, YYYY-MM-DD"),
        ("date_of_birth", "x", "must be a date, YYYY-MM-DD"),
        ("ip_address", "x", "must be an IP address"),
        ("timestamp", "x", "must be a timestamp of RFC 3339, such as 2024-01-01T12:00:00Z"),
    ] {
        let mut form = form();
        form["content_data"][field] = json!(value);
        assert_eq!(said(with_documents(form)), [format!("documents.0.content_data.{field} {message}")]);
    }
}

#[test]
fn a_form_has_a_tax_number_or_says_that_none_is_needed() {
    let mut form = form();
    form["content_data"]["foreign_tax_id"] = json!("");
    let missing =
        ["documents.0.content_data.foreign_tax_id is required, or tax_id_ssn, or ftin_not_required"];
    assert_eq!(said(with_documents(form.clone())), missing);
    form["content_data"]["ftin_not_required"] = json!(false);
    assert_eq!(said(with_documents(form.clone())), missing);
    form["content_data"]["ftin_not_required"] = json!(true);
    assert!(read(with_documents(form.clone())).is_ok());
    form["content_data"]["ftin_not_required"] = json!(null);
    form["content_data"]["tax_id_ssn"] = json!("666-55-4321");
    assert!(read(with_documents(form)).is_ok());
}
