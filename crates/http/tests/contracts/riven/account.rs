//! POST /api/v1/account/create.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_testkit::{PhonePerson, TestApp, application, on_both_engines};

use super::wire::{ADA, BOB, Free, MINUTE, PDF, PNG, SECOND, assert_invalid, assert_says, get_as, post_as};
use crate::forge::reworded;
use crate::watch::row_counts;

const CREATE: &str = "account/create";
const EMAIL: &str = "ada@example.com";
const START: &str = "2026-01-05T09:00:00.000000Z";

/// The application of the contract's sample with something at that path changed, or taken away.
fn changed(path: &str, value: Option<Value>) -> Value {
    let mut body = application(ADA, EMAIL);
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let parent = if parent.is_empty() { String::new() } else { format!("/{}", parent.replace('.', "/")) };
    let parent = body.pointer_mut(&parent).unwrap();
    match (value, parent) {
        (Some(value), Value::Object(fields)) => drop(fields.insert(name.to_owned(), value)),
        (None, Value::Object(fields)) => drop(fields.remove(name)),
        (_, parent) => panic!("{path}: {parent} is no object"),
    }
    body
}

/// An identity document and the form that people taxed outside the USA need, as a list of documents.
fn documents() -> Value {
    json!([
        {
            "document_type": "identity_verification", "document_sub_type": "passport",
            "content": STANDARD.encode(PDF), "content_data": null, "mime_type": "application/pdf",
        },
        {
            "document_type": "w8ben", "document_sub_type": "Form W-8BEN", "content": null,
            "content_data": {
                "country_citizen": "Kenya", "date": "2026-01-05", "date_of_birth": "1980-01-01", "full_name": "User One",
                "ip_address": "203.0.113.7", "permanent_address_city_state": "Nairobi", "revision": "10-2021",
                "permanent_address_country": "Kenya", "permanent_address_street": "20 Moi Avenue",
                "signer_full_name": "User One", "timestamp": "2026-01-05T08:59:00Z", "foreign_tax_id": "A-0123-98765",
            },
            "mime_type": "application/json",
        },
    ])
}

async fn apply(app: &TestApp, who: &PhonePerson, body: &Value) -> tidegate_testkit::Answer {
    post_as(app, who, CREATE, body).await
}

/// Fields that must be there: sections 2 and 3.
const REQUIRED: [&str; 24] = [
    "contact",
    "contact.email_address",
    "contact.phone_number",
    "contact.street_address",
    "contact.city",
    "identity",
    "identity.given_name",
    "identity.family_name",
    "identity.date_of_birth",
    "identity.tax_id_type",
    "identity.country_of_tax_residence",
    "identity.funding_source",
    "disclosures",
    "disclosures.is_control_person",
    "disclosures.is_affiliated_exchange_or_finra",
    "disclosures.is_politically_exposed",
    "disclosures.immediate_family_exposed",
    "agreements",
    "agreements.agreement",
    "agreements.signed_at",
    "agreements.ip_address",
    "documents.document_type",
    "documents.mime_type",
    "documents.content",
];

/// What is said of a missing field. A single agreement is the first of a list.
fn complaint(path: &str) -> (String, &'static str) {
    let listed = path.replacen("agreements.", "agreements.0.", 1).replacen("documents.", "documents.0.", 1);
    match path {
        "identity.tax_id_type" => (listed, "is required with tax_id"),
        "documents.content" => (listed, "is required, or content_data"),
        _ => (listed, "is required"),
    }
}

const OPENED: &str = "select count(*) from brokerage_accounts where broker_account_id is not null";

on_both_engines! {
    async fn an_application_as_in_the_sample_opens_an_account(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        app.advance(45 * MINUTE);
        let answer = app.create_account(&ada, &application(ADA, EMAIL)).await;
        answer.assert_status(200);
        let account = answer.text_at("data.alpaca_account_id");
        assert_eq!(account.len(), 36);
        let expected = json!({
            "data": {
                "id": 1, "phone": ADA, "otp_code": null, "name": "User One", "first_name": "User", "last_name": "One",
                "profile_photo": null, "email": EMAIL, "email_verified_at": null, "other_phones": null,
                "dob": "1979-12-31T21:00:00.000000Z", "gender": null, "alpaca_account_id": account,
                "account_status": "new", "created_at": START, "updated_at": "2026-01-05T09:45:00.000000Z",
            },
            "status": true,
        });
        assert_eq!(answer.body, expected);
        assert_eq!(app.sql_count(OPENED).await, 1);
        let told = "select action from audit_events where action like 'brokerage%' order by number";
        assert_eq!(app.database.sql_texts(told).await, ["brokerage.applied", "brokerage.opened"]);
        assert!(!answer.text.contains("98765") && !answer.text.contains("tax_id"), "{}", answer.text);
    }

    async fn lists_may_be_sent_as_lists(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let mut body = application(ADA, EMAIL);
        body["contact"]["street_address"] = json!(["20 Moi Avenue", "3rd floor"]);
        body["identity"]["funding_source"] = json!(["employment_income", "savings"]);
        body["agreements"] = json!([body["agreements"]]);
        body["documents"] = documents();
        apply(&app, &ada, &body).await.assert_status(200);
        let profile = get_as(&app, &ada, "account/profile").await;
        assert_eq!(profile.field("data.contact.street_address"), &json!(["20 Moi Avenue", "3rd floor"]));
        assert_eq!(profile.field("data.identity.funding_source"), &json!(["employment_income", "savings"]));
        assert_eq!(profile.field("data.documents").as_array().unwrap().len(), 2);
    }

    async fn one_document_may_be_sent_as_one(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let body = changed("documents", Some(documents()[0].clone()));
        apply(&app, &ada, &body).await.assert_status(200);
        // With it, nothing is lacking: the sandbox decides by itself.
        app.advance(5 * SECOND);
        app.brokerage().check_brokerage().await.unwrap();
        assert_eq!(app.database.sql_texts("select status from brokerage_accounts").await, ["active"]);
    }

    async fn everything_that_is_required_is_named(app: Free) {
        let ada = app.register_phone(ADA).await;
        let before = row_counts(&app).await;
        for path in REQUIRED {
            for nothing in [None, Some(Value::Null), Some(json!("")), Some(json!("  "))] {
                let mut body = if path.starts_with("documents.") {
                    changed("documents", Some(documents()[0].clone()))
                } else {
                    application(ADA, EMAIL)
                };
                let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
                let parent = if parent.is_empty() { &mut body } else { &mut body[parent] };
                let fields = parent.as_object_mut().unwrap();
                match nothing {
                    Some(nothing) => drop(fields.insert(name.to_owned(), nothing)),
                    None => drop(fields.remove(name)),
                }
                let answer = apply(&app, &ada, &body).await;
                let (path, text) = complaint(path);
                assert_invalid(&answer, &[(&path, text)]);
            }
        }
        let nothing = apply(&app, &ada, &json!({})).await;
        let whole = ["contact", "identity", "disclosures", "agreements"].map(|path| (path, "is required"));
        assert_invalid(&nothing, &whole);
        assert_eq!(row_counts(&app).await, before);
    }

    async fn what_cannot_be_right_is_named(app: Free) {
        let ada = app.register_phone(ADA).await;
        let before = row_counts(&app).await;
        for (path, value, found) in [
            ("contact", json!("Nairobi"), "contact must be an object"),
            ("contact", json!([1]), "contact must be an object"),
            ("contact.email_address", json!("ada"), "contact.email_address must be a valid e-mail address of at most 254 characters"),
            ("contact.email_address", json!(7), "contact.email_address must be a string"),
            ("contact.phone_number", json!("0812345678"), "contact.phone_number must be a valid mobile phone number"),
            ("contact.phone_number", json!(BOB), "contact.phone_number must be the phone number you signed in with"),
            ("contact.street_address", json!([["x"]]), "contact.street_address.0 must be a string"),
            ("contact.country", json!("Kenya"), "contact.country must be a country code of three letters, as in ISO 3166-1"),
            ("contact.country", json!("USA"), "contact.state is required"),
            ("identity.given_name", json!("Ada\u{7}"), "identity.given_name "),
            ("identity.given_name", json!("a".repeat(151)), "identity.given_name "),
            ("identity.date_of_birth", json!("1980-02-30"), "identity.date_of_birth must be a date, YYYY-MM-DD"),
            ("identity.date_of_birth", json!("01/01/1980"), "identity.date_of_birth must be a date, YYYY-MM-DD"),
            ("identity.date_of_birth", json!("2026-01-06"), "identity.date_of_birth must not be in the future"),
            ("identity.date_of_birth", json!("1899-12-31"), "identity.date_of_birth "),
            ("identity.tax_id_type", json!("KRA_PIN"), "identity.tax_id_type is not one of the values in the broker's list"),
            ("identity.country_of_tax_residence", json!("KE"), "identity.country_of_tax_residence must be a country code"),
            ("identity.funding_source", json!("gambling"), "identity.funding_source.0 must be one of "),
            ("identity.annual_income_min", json!("a lot"), "identity.annual_income_min must be a decimal number"),
            ("disclosures.is_control_person", json!("false"), "disclosures.is_control_person must be true or false"),
            ("disclosures.employment_status", json!("idle"), "disclosures.employment_status must be one of "),
            ("agreements.agreement", json!("handshake"), "agreements.0.agreement must be one of "),
            ("agreements.signed_at", json!("yesterday"), "agreements.0.signed_at must be a timestamp of RFC 3339"),
            ("agreements.ip_address", json!("203.0.113"), "agreements.0.ip_address must be an IP address"),
            ("account_type", json!("gold"), "account_type must be one of "),
            ("currency", json!("KES"), "currency must be one of "),
            ("trusted_contact", json!({"given_name": "Bob", "family_name": "One"}), "trusted_contact.email_address is required, or "),
            ("documents", json!([{"document_type": "selfie", "mime_type": "image/png", "content": STANDARD.encode(PNG)}]),
                "documents.0.document_type must be one of "),
            ("documents", json!([{"document_type": "other", "mime_type": "image/gif", "content": STANDARD.encode(PNG)}]),
                "documents.0.mime_type must be application/pdf, image/png or image/jpeg"),
            ("documents", json!([{"document_type": "other", "mime_type": "image/png", "content": "not base64"}]),
                "documents.0.content must be base64"),
            ("documents", json!([{"document_type": "other", "mime_type": "image/png", "content": STANDARD.encode(PDF)}]),
                "documents.0.content must be a file of its mime_type"),
            ("documents", json!([{"document_type": "other", "mime_type": "image/png", "content": STANDARD.encode(b"GIF89a")}]),
                "documents.0.content must be a PDF, PNG or JPEG file"),
        ] {
            let answer = apply(&app, &ada, &changed(path, Some(value))).await;
            answer.assert_status(422);
            let text = answer.text_at("message");
            assert!(text.starts_with(found), "{path}: {text}");
            let errors = answer.field("errors").as_object().unwrap();
            assert_eq!((errors.len(), &errors[text.split(' ').next().unwrap()]), (1, &json!([text])), "{}", answer.text);
        }
        assert_eq!(row_counts(&app).await, before);
    }

    async fn a_document_of_more_than_ten_megabytes_is_too_large(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let mut file = PDF.to_vec();
        file.resize((10 << 20) + 1, b' ');
        let document = json!({
            "document_type": "other", "mime_type": "application/pdf", "content": STANDARD.encode(&file),
        });
        let answer = apply(&app, &ada, &changed("documents", Some(document))).await;
        assert_invalid(&answer, &[("documents.0.content", "must be at most 10 MB")]);
        file.truncate(10 << 20);
        let document = json!({
            "document_type": "other", "mime_type": "application/pdf", "content": STANDARD.encode(&file),
        });
        apply(&app, &ada, &changed("documents", Some(document))).await.assert_status(200);
    }

    async fn an_application_has_its_bounds(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let before = row_counts(&app).await;
        let many = format!("{{\"anything\": [{}1]}}", "1,".repeat(50_000));
        let request = app.post("/api/v1/account/create").bearer(&ada.token).body("application/json", many);
        let text = "the JSON holds too many values";
        let expected = json!({ "message": text, "errors": { "body": [text] }, "status": false });
        assert_eq!(request.send().await.assert_status(422).body, expected);
        for part in ["contact", "identity", "disclosures", "trusted_contact", "trading_configurations"] {
            let large = changed(part, Some(json!({ "text": "x".repeat(64 << 10) })));
            let answer = apply(&app, &ada, &large).await;
            assert_eq!(answer.assert_status(422).text_at(&format!("errors.{part}.0")), format!("{part} is too large"));
        }
        let list = changed("agreements", Some(json!(vec![application(ADA, EMAIL)["agreements"].clone(); 21])));
        assert_invalid(&apply(&app, &ada, &list).await, &[("agreements", "must have at most 20 entries")]);
        assert_eq!(row_counts(&app).await, before);
    }

    async fn all_that_is_wrong_is_said_at_once(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let mut body = application(ADA, "nobody");
        body["identity"]["family_name"] = Value::Null;
        body["agreements"]["ip_address"] = json!("");
        let answer = apply(&app, &ada, &body).await;
        let violations = [
            ("contact.email_address", "must be a valid e-mail address of at most 254 characters"),
            ("identity.family_name", "is required"),
            ("agreements.0.ip_address", "is required"),
        ];
        assert_invalid(&answer, &violations);
    }

    async fn the_phone_may_be_written_otherwise_but_must_be_theirs(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        app.register_phone(BOB).await;
        let answer = apply(&app, &ada, &application(BOB, EMAIL)).await;
        assert_invalid(&answer, &[("contact.phone_number", "must be the phone number you signed in with")]);
        let answer = apply(&app, &ada, &application("0712 345-678", EMAIL)).await;
        assert_eq!(answer.assert_status(200).text_at("data.phone"), ADA);
    }

    async fn who_has_no_phone_opens_no_account(app: TestApp) {
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        // As if this contract had let them in; what their own let them do is another story.
        let token = reworded(&app, &bob.access_token, |claims| claims.contract = ContractId::RIVEN).await;
        let bob = PhonePerson { phone: BOB.to_owned(), token };
        let before = row_counts(&app).await;
        let answer = apply(&app, &bob, &application(BOB, "bob@example.com")).await;
        assert_invalid(&answer, &[("contact.phone_number", "must be the phone number you signed in with")]);
        assert_eq!(row_counts(&app).await, before);
    }

    async fn nobody_has_two_accounts(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let first = app.open_account(&ada, EMAIL).await;
        let before = row_counts(&app).await;
        for email in [EMAIL, "other@example.com"] {
            let answer = apply(&app, &ada, &application(ADA, email)).await;
            assert_says(&answer, 409, "Account already exists");
        }
        assert_eq!(row_counts(&app).await, before);
        app.advance(MINUTE);
        app.send_login_code(ADA).await.assert_status(200);
        let code = app.latest_text_code(ADA).await;
        let login = app.confirm("login/verify-code", ADA, &code).await;
        assert_eq!(login.field("user"), &first, "and the one they have is as it was");
    }

    async fn no_two_people_have_accounts_with_one_address(app: TestApp) {
        let (ada, bob) = (app.register_phone(ADA).await, app.register_phone(BOB).await);
        app.open_account(&ada, EMAIL).await;
        let answer = apply(&app, &bob, &application(BOB, "ADA@example.com")).await;
        answer.assert_status(409);
        let text = "The e-mail address is in use by another brokerage account.";
        let expected = json!({ "message": text, "errors": { "contact.email_address": [text] }, "status": false });
        assert_eq!(answer.body, expected);
        assert_eq!(app.sql_count(OPENED).await, 1);
        // With an address of his own he gets one.
        apply(&app, &bob, &application(BOB, "bob@example.com")).await.assert_status(200);
    }

    async fn the_sandbox_does_as_it_is_told_for_tests(app: TestApp) {
        for (number, (status, local)) in [
            ("REJECTED", "rejected"), ("SUBMITTED", "new"), ("ACTION_REQUIRED", "pending"), ("APPROVAL_PENDING", "pending"),
            ("APPROVED", "pending"), ("DISABLED", "disabled"), ("ACCOUNT_CLOSED", "closed"),
        ]
        .into_iter()
        .enumerate()
        {
            let person = app.register_phone(&format!("+25470000000{number}")).await;
            let mut body = application(&person.phone, &format!("{number}@example.com"));
            body["additional_information"] = json!(format!("/fixtures/status={status}/fixtures/"));
            apply(&app, &person, &body).await.assert_status(200);
            app.advance(5 * SECOND);
            app.brokerage().check_brokerage().await.unwrap();
            let profile = get_as(&app, &person, "account/profile").await;
            assert_eq!(profile.text_at("data.status"), status, "the broker's word");
            let ours = format!("select status from brokerage_accounts where status = '{local}'");
            assert!(!app.database.sql_texts(&ours).await.is_empty(), "{status} is {local}");
        }
    }

    // What the contract's own sample answers where there is nothing.
    async fn the_word_null_is_nothing(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let mut body = application(ADA, EMAIL);
        body["contact"]["unit"] = json!("null");
        body["identity"]["middle_name"] = json!("null");
        apply(&app, &ada, &body).await.assert_status(200);
        let profile = get_as(&app, &ada, "account/profile").await;
        assert!(!profile.text.contains("\"null\""), "{}", profile.text);
    }
}
