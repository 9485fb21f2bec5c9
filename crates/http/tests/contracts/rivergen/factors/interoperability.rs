//! An authenticator app of other people's code: PyPI `pyotp`, and `zxing-cpp` for its camera.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tidegate_testkit::{TestApp, on_both_engines};

use super::*;

/// What the app says after it photographed the picture.
fn photograph(picture: &str, at: i64) -> Value {
    let python = std::env::var("TIDEGATE_TEST_PYTHON")
        .expect("TIDEGATE_TEST_PYTHON must name a Python with pyotp and zxing-cpp: run scripts/test");
    let script = "tests/contracts/rivergen/factors/authenticator.py";
    let mut process = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the app starts");
    let asked = json!({ "picture": picture, "at": at }).to_string();
    process.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

on_both_engines! {
    async fn another_authenticator_reads_the_picture_and_its_codes_are_accepted(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let set_up = post_as(&app, &ada, "mfa/totp/setup", &json!({ "device_name": "Phone" })).send().await;
        let picture = set_up.text_at("data.qr_code");
        let read = photograph(&picture, app.now().seconds());
        assert_eq!(read["secret"], set_up.text_at("data.secret"));
        assert_eq!((&read["issuer"], &read["name"]), (&json!("Tidegate"), &json!(ADA)));
        let verified = post_as(&app, &ada, "mfa/totp/verify", &json!({ "code": read["code"] })).send().await;
        verified.assert_status(200);
        app.advance(STEP);
        let token = app.sign_in_halfway(&ada).await;
        let token = app.choose_factor(&token, "totp").await;
        let code = photograph(&picture, app.now().seconds())["code"].as_str().unwrap().to_owned();
        app.show_factor(&token, "code", &code).await.assert_status(200);
    }

    async fn the_picture_names_the_account_as_its_owner_writes_it(app: TestApp) {
        const SHOWN: &str = "ada@b\u{fc}cher.example";
        let ada = app.sign_up_rivergen_verified(SHOWN).await;
        let set_up = post_as(&app, &ada, "mfa/totp/setup", &json!({ "device_name": "Phone" })).send().await;
        let read = photograph(&set_up.text_at("data.qr_code"), app.now().seconds());
        assert_eq!((&read["issuer"], &read["name"]), (&json!("Tidegate"), &json!(SHOWN)));
    }
}
