//! A body whose sender, or a proxy on the way, breaks off: the log says so, and how much of it came.

use axum::body::{Body, Bytes};
use futures_util::stream;
use tidegate_testkit::{TestApp, on_both_engines};

use crate::watch::Log;

const FORM: &str = "multipart/form-data; boundary=b";
const PART: &str = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nid,na";

/// The beginning of a body, behind which the connection is closed.
fn broken(beginning: &'static str) -> Body {
    let pieces = [Ok(Bytes::from_static(beginning.as_bytes())), Err(std::io::Error::other("reset"))];
    Body::from_stream(stream::iter(pieces))
}

on_both_engines! {
    async fn a_body_that_is_cut_off_is_told_in_the_log(app: TestApp) {
        let log = Log::listen();
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        for (path, kind, beginning, status) in [
            ("/api/v1/auth/login", "application/json", "{\"email\":", 422),
            ("/v1/login/individual/", "application/json", "{\"email\":", 400),
            ("/api/v1/storage/upload", FORM, PART, 400),
            ("/oauth/token", "application/x-www-form-urlencoded", "grant_type=", 400),
        ] {
            let request = app.post(path).bearer(&ada.access_token).header("content-type", kind);
            request.stream(broken(beginning)).send().await.assert_status(status);
            let line = log.last_answer();
            let told = format!(
                "body: ended after {} bytes: the client or a proxy closed the connection",
                beginning.len()
            );
            assert!(line.contains(&told), "{path}: {line}");
        }
    }
}
