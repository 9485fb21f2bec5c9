//! POST and GET /api/v1/account/kyc.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, PhonePerson, TestApp, application, on_both_engines};

use super::wire::{
    ADA, BOB, Form, JPEG, MINUTE, PDF, PNG, SECOND, assert_invalid, assert_says, get_as, submit, url,
};
use crate::watch::row_counts;

const KYC: &str = "account/kyc";

/// Ada, and her account as the contract shows it.
async fn ada_with_an_account(app: &TestApp) -> (PhonePerson, Value) {
    let ada = app.register_phone(ADA).await;
    let user = app.open_account(&ada, "ada@example.com").await;
    (ada, user)
}

fn passport() -> Form {
    Form::document("identity_verification", PDF)
}

/// The status the contract shows at a login.
async fn status(app: &TestApp) -> Value {
    app.advance(MINUTE);
    app.send_login_code(ADA).await.assert_status(200);
    let code = app.latest_text_code(ADA).await;
    app.confirm("login/verify-code", ADA, &code).await.field("user.account_status").clone()
}

#[track_caller]
fn assert_accepted(answer: &Answer, user: &Value, status: &str) {
    answer.assert_status(200);
    let mut data = user.clone();
    data["account_status"] = json!(status);
    data["updated_at"] = answer.field("data.updated_at").clone();
    let expected = json!({ "data": data, "message": "trader account kyc accepted", "status": true });
    assert_eq!(answer.body, expected);
}

#[track_caller]
fn assert_no_form(answer: &Answer) {
    answer.assert_status(422);
    let text = "Send the documents as multipart/form-data";
    assert_eq!(answer.body, json!({ "message": text, "errors": { "document": [text] }, "status": false }));
}

const WANTED: &str = "must be a PDF, PNG or JPEG file";

on_both_engines! {
    async fn who_submits_documents_waits_and_is_active_when_the_broker_says_so(app: TestApp) {
        let (ada, user) = ada_with_an_account(&app).await;
        let answer = submit(&app, &ada, passport()).await;
        assert_accepted(&answer, &user, "pending");
        app.advance(2 * SECOND);
        assert_eq!(app.brokerage().check_brokerage().await.unwrap(), 0, "nobody asks the broker every second");
        app.advance(3 * SECOND);
        assert_eq!(app.brokerage().check_brokerage().await.unwrap(), 1);
        assert_eq!(status(&app).await, "active");
        let told = "select cast(metadata as text) from audit_events where action = 'brokerage.status_changed'
                    order by number";
        let told = app.database.sql_texts(told).await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("\"pending\"") && told[1].contains("\"active\""), "{told:?}");
        assert_accepted(&submit(&app, &ada, passport()).await, &user, "active");
    }

    async fn who_is_asked_for_documents_is_pending_until_they_come(app: TestApp) {
        let (ada, user) = ada_with_an_account(&app).await;
        app.advance(5 * SECOND);
        // The broker's events say the same as asking it.
        app.brokerage().follow_broker().await.unwrap();
        assert_eq!(status(&app).await, "pending");
        assert_accepted(&submit(&app, &ada, passport()).await, &user, "pending");
        app.advance(10 * SECOND);
        app.brokerage().follow_broker().await.unwrap();
        assert_eq!(status(&app).await, "active");
    }

    async fn the_published_verb_is_taken_with_a_form_and_only_then(app: TestApp) {
        let (ada, user) = ada_with_an_account(&app).await;
        let get = || app.get(&url(KYC)).bearer(&ada.token);
        assert_no_form(&get().send().await);
        assert_no_form(&get().json(&json!({ "document_type": "other" })).send().await);
        assert_no_form(&get().form("document_type=other").send().await);
        assert_no_form(&app.get(&format!("{}?document_type=other", url(KYC))).bearer(&ada.token).send().await);
        let answer = passport().on(get()).send().await;
        assert_accepted(&answer, &user, "pending");
    }

    async fn documents_are_sent_as_a_form(app: TestApp) {
        let (ada, _) = ada_with_an_account(&app).await;
        let before = row_counts(&app).await;
        let post = || app.post(&url(KYC)).bearer(&ada.token);
        assert_no_form(&post().send().await);
        assert_no_form(&post().json(&json!({ "document_type": "other", "document": "JVBERi0=" })).send().await);
        assert_no_form(&post().body("application/pdf", PDF).send().await);
        assert_no_form(&post().body("multipart/mixed; boundary=b", "--b--").send().await);
        for (kind, body) in [
            ("multipart/form-data", "--b--\r\n"),
            ("multipart/form-data; boundary=", "--b--\r\n"),
            ("multipart/form-data; boundary=b", "no form"),
            ("multipart/form-data; boundary=b", ""),
            ("multipart/form-data; boundary=b", "--b\r\ncontent-disposition: form-data; name=\"document_type\"\r\n\r\nother"),
            ("multipart/form-data; boundary=other", "--b\r\n\r\n--b--\r\n"),
        ] {
            let answer = post().body(kind, body).send().await;
            answer.assert_status(422);
            let errors = answer.field("errors.body").as_array().map(Vec::len);
            assert_eq!(errors, Some(1), "{kind} {body}: {}", answer.text);
        }
        assert_eq!(row_counts(&app).await, before);
    }

    async fn several_documents_may_be_sent_at_once(app: TestApp) {
        let (ada, user) = ada_with_an_account(&app).await;
        let form = Form::default()
            .text("documents[0][document_type]", "identity_verification")
            .text("documents[0][document_sub_type]", "passport")
            .file("documents[0][document]", "image/png", PNG)
            // In any order, with gaps.
            .file("documents[7][document]", "image/jpeg", JPEG)
            .text("documents[7][document_type]", "address_verification")
            .text("note", "what nobody asked for");
        let answer = submit(&app, &ada, form).await;
        assert_accepted(&answer, &user, "pending");
        let profile = get_as(&app, &ada, "account/profile").await;
        let documents = profile.field("data.documents").as_array().unwrap();
        let kinds: Vec<(&str, &str)> = documents
            .iter()
            .map(|one| (one["document_type"].as_str().unwrap(), one["mime_type"].as_str().unwrap()))
            .collect();
        assert_eq!(kinds, [("identity_verification", "image/png"), ("address_verification", "image/jpeg")]);
    }

    async fn what_is_wrong_with_each_document_is_named(app: TestApp) {
        let (ada, _) = ada_with_an_account(&app).await;
        let before = row_counts(&app).await;
        let file = |kind: &str, bytes: &[u8]| Form::default().text("document_type", "other").file("document", kind, bytes);
        for (form, path, text) in [
            (Form::default().text("document_type", "other"), "document", "is required"),
            (Form::default().file("document", "application/pdf", PDF), "document_type", "is required"),
            (Form::default().text("document_type", " ").file("document", "application/pdf", PDF), "document_type", "is required"),
            (file("application/pdf", b""), "document", "must not be empty"),
            (file("application/pdf", b"MZ\x90\0"), "document", WANTED),
            (file("image/png", b"<script>"), "document", WANTED),
            // Its content is not what it says it is.
            (file("image/png", PDF), "document", WANTED),
            (file("application/pdf", JPEG), "document", WANTED),
            (Form::document("other", PDF).text("document_type", "w8ben"), "document_type", "must be sent once"),
            (
                Form::default().text("documents[3][document_type]", "other").file("documents[3][document]", "image/png", b"GIF89a"),
                "documents.3.document", WANTED,
            ),
        ] {
            let answer = submit(&app, &ada, form).await;
            assert_invalid(&answer, &[(path, text)]);
        }
        let unknown = submit(&app, &ada, Form::document("selfie", PDF)).await;
        assert!(unknown.assert_status(422).text_at("errors.document_type.0").contains("must be one of "));
        let long = Form::document("other", PDF).text("document_sub_type", &"x".repeat(201));
        assert_invalid(&submit(&app, &ada, long).await, &[("document_sub_type", "must be at most 200 bytes")]);
        let empty = submit(&app, &ada, Form::default().text("note", "x")).await;
        assert_eq!(empty.assert_status(422).field("errors").as_object().unwrap().len(), 2, "{}", empty.text);
        let mut many = Form::default();
        for number in 0..11 {
            many = many.text(&format!("documents[{number}][document_type]"), "other");
            many = many.file(&format!("documents[{number}][document]"), "image/png", PNG);
        }
        assert_invalid(&submit(&app, &ada, many).await, &[("documents", "must be at most 10")]);
        assert_eq!(row_counts(&app).await, before);
    }

    async fn a_document_of_more_than_ten_megabytes_is_refused(app: TestApp) {
        let (ada, user) = ada_with_an_account(&app).await;
        let mut file = PDF.to_vec();
        file.resize((10 << 20) + 1, b' ');
        let before = row_counts(&app).await;
        let answer = submit(&app, &ada, Form::document("other", &file)).await;
        assert_says(&answer, 413, "What was sent is larger than 10485760 bytes.");
        assert_eq!(row_counts(&app).await, before);
        file.truncate(10 << 20);
        assert_accepted(&submit(&app, &ada, Form::document("other", &file)).await, &user, "pending");
    }

    async fn a_form_without_an_end_is_not_read_to_the_end(app: TestApp) {
        let (ada, _) = ada_with_an_account(&app).await;
        for (story, head) in [
            ("a file", "--b\r\ncontent-disposition: form-data; name=\"document\"; filename=\"x\"\r\n\r\n"),
            ("a field nobody asked for", "--b\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\n"),
            ("nothing", ""),
        ] {
            let beginning = stream::iter([Ok::<_, Infallible>(Bytes::from_static(head.as_bytes()))]);
            let rest = stream::repeat_with(|| Ok(Bytes::from_static(&[b' '; 65_536])));
            let body = Body::from_stream(futures_util::StreamExt::chain(beginning, rest));
            let request = app.post(&url(KYC)).bearer(&ada.token);
            let request = request.header("content-type", "multipart/form-data; boundary=b").stream(body);
            let answer = request.send().await;
            assert!([413, 422].contains(&answer.status), "{story}: {}", answer.text);
        }
    }

    async fn large_uploads_share_the_room_there_is_for_them(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.uploads = 100 << 10).start().await;
        let (ada, user) = ada_with_an_account(&app).await;
        let mut file = PDF.to_vec();
        file.resize(90 << 10, b' ');
        for _ in 0..3 {
            // Each gives back what it took.
            submit(&app, &ada, Form::document("other", &file)).await.assert_status(200);
        }
        file.resize(110 << 10, b' ');
        let answer = submit(&app, &ada, Form::document("other", &file)).await;
        assert_says(&answer, 503, "Too many uploads are under way; try again later.");
        assert_eq!(answer.header("retry-after"), "5");
        let chunked = Form::document("other", &file).chunked_on(app.post(&url(KYC)).bearer(&ada.token));
        assert_says(&chunked.send().await, 503, "Too many uploads are under way; try again later.");
        assert_accepted(&submit(&app, &ada, passport()).await, &user, "pending");

        let bob = app.register_phone(BOB).await;
        let mut body = application(BOB, "bob@example.com");
        body["additional_information"] = json!("x".repeat(110 << 10));
        let answer = app.create_account(&bob, &body).await;
        assert_says(&answer, 503, "Too many uploads are under way; try again later.");
    }

    async fn who_has_no_account_has_nothing_to_submit_documents_for(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let text = "There is no brokerage account yet; open one with account/create.";
        assert_says(&submit(&app, &ada, passport()).await, 404, text);
        let by_get = passport().on(app.get(&url(KYC)).bearer(&ada.token)).send().await;
        assert_says(&by_get, 404, text);
    }
}
