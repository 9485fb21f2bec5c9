//! Uploads over slow networks: what comes is waited for, what does not come is not.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use tidegate_testkit::{Engine, TestApp, on_one_engine};

use super::wire::{ADA, assert_says};

/// How long a request may take that does not come slowly.
const DEADLINE: Duration = Duration::from_secs(2);

/// A form with a document, in pieces of 64 KiB with a pause before each: three times the deadline in all.
fn slowly() -> Body {
    let head = "--b\r\ncontent-disposition: form-data; name=\"document_type\"\r\n\r\nidentity_verification\r\n\
                --b\r\ncontent-disposition: form-data; name=\"document\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.7 ";
    let piece = "x".repeat(64 * 1024);
    let pieces = [format!("{head}{piece}"), piece.clone(), piece.clone(), piece, "\r\n--b--\r\n".to_owned()];
    let paced = stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(DEADLINE * 3 / 5).await;
        Ok::<_, Infallible>(Bytes::from(piece))
    });
    Body::from_stream(paced)
}

on_one_engine! { Engine::Sqlite;
    async fn an_upload_that_makes_progress_may_take_longer_than_a_request(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.deadline = DEADLINE).start().await;
        let ada = app.register_phone(ADA).await;
        app.open_account(&ada, "ada@example.com").await;
        let request = app.post("/api/v1/account/kyc").bearer(&ada.token);
        let request = request.header("content-type", "multipart/form-data; boundary=b").stream(slowly());
        request.send().await.assert_status(200);
    }

    async fn an_upload_that_never_comes_is_given_up(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.deadline = DEADLINE).start().await;
        let ada = app.register_phone(ADA).await;
        app.open_account(&ada, "ada@example.com").await;
        let request = app.post("/api/v1/account/kyc").bearer(&ada.token);
        let nothing = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let request = request.header("content-type", "multipart/form-data; boundary=b").stream(nothing);
        assert_says(&request.send().await, 408, "The body did not arrive in time.");
    }
}
