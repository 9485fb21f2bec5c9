//! Ceremonies with an authenticator and a client that are not ours: PyPI `soft-webauthn`, on `fido2`. A browser's are in
//! `pages::passkeys`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tidegate_testkit::{PUBLIC_URL, TestApp, on_both_engines};

use super::*;

/// A Python program that answers a line for each line.
struct Device {
    process: Child,
    asked: ChildStdin,
    answered: BufReader<ChildStdout>,
}

impl Device {
    fn start() -> Self {
        let python = std::env::var("TIDEGATE_TEST_PYTHON")
            .expect("TIDEGATE_TEST_PYTHON must name a Python with fido2 and soft-webauthn: run scripts/test");
        let script = "tests/contracts/rivergen/webauthn/device.py";
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the device starts");
        let (asked, answered) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, asked, answered: BufReader::new(answered) }
    }

    fn ask(&mut self, what: &str, options: &Value, is_verified: bool) -> Value {
        let question =
            json!({ "do": what, "options": options, "origin": PUBLIC_URL, "verified": is_verified });
        writeln!(self.asked, "{question}").unwrap();
        let mut line = String::new();
        self.answered.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the device answered {line:?}"))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

on_both_engines! {
    // As published it sets no flag for a verified person: that is refused. With the flag it passes.
    async fn python_clients_register_and_sign_in_where_the_person_is_verified(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut device = Device::start();
        let options = app.start_passkey(&ada, "Python").await;
        let unverified = device.ask("create", &options, false);
        let refused = app.complete_passkey(&ada, "Python", &unverified).await;
        assert_refused(&app, &refused, (400, "INVALID_ATTESTATION"));
        let options = app.start_passkey(&ada, "Python").await;
        let created = device.ask("create", &options, true);
        app.complete_passkey(&ada, "Python", &created).await.assert_status(200);
        let unverified = device.ask("get", &app.start_passkey_sign_in(Some(ADA)).await, false);
        let refused = app.complete_passkey_sign_in(Some(ADA), &unverified).await;
        assert_refused(&app, &refused, (401, "INVALID_ASSERTION"));
        for email in [Some(ADA), None] {
            let asserted = device.ask("get", &app.start_passkey_sign_in(email).await, true);
            app.complete_passkey_sign_in(email, &asserted).await.assert_status(200);
        }
        assert_eq!(newest_amr(&app).await, "mfa hwk user");
    }
}
