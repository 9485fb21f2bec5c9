//! Tax numbers, dates of birth, documents, phones, codes, tokens and keys are where they must be and nowhere else.

use serde_json::{Value, json};
use tidegate_domain::Permission;
use tidegate_testkit::stub_broker::{Endpoint, Fault, StubBroker};
use tidegate_testkit::{Answer, Engine, Fixture, Request, TestApp, application, on_both_engines};

use super::texting::{API_KEY, NAMES, Providers, RECEIPT_SECRET, config};
use super::wire::{Form, MINUTE, PDF, SECOND, other_than, url};
use crate::secrets::{everything_stored, has_code, hexadecimal, leak};
use crate::watch::Log;

const PHONE: &str = "+254711222333";
/// What stands in every spelling of it.
const NATIONAL: &str = "711222333";
const EMAIL: &str = "planted.address@example.com";
const BORN: &str = "1987-03-29";
const TAX_NUMBER: &str = "PLANTED-7731-9924";
/// It without its dashes, as a broker may quote it.
const PLAIN: &str = "PLANTED77319924";
const FILE: &[u8] = b"planted page of a passport";
/// The same in base64: whatever stands before it, one of these is in it.
const BASE64: [&str; 3] = [
    "cGxhbnRlZCBwYWdlIG9mIGEgcGFzc3Bv",
    "BsYW50ZWQgcGFnZSBvZiBhIHBhc3Nwb3J0",
    "wbGFudGVkIHBhZ2Ugb2YgYSBwYXNzcG9y",
];

/// Somebody who goes through everything, and what they came by.
struct Journey {
    app: TestApp,
    providers: Providers,
    /// None where the embedded sandbox is the broker.
    broker: Option<StubBroker>,
    tokens: Vec<String>,
    codes: Vec<String>,
    errors: Vec<String>,
}

impl Journey {
    async fn begin(engine: Engine, broker: Option<StubBroker>) -> Self {
        let (providers, address) = Providers::start().await;
        let builder =
            TestApp::builder(engine).without_limits().sms(serde_json::from_value(config(&address)).unwrap());
        let builder = match &broker {
            Some(broker) => builder.broker(broker.config()),
            None => builder,
        };
        let app = builder.start().await;
        Self { app, providers, broker, tokens: Vec::new(), codes: Vec::new(), errors: Vec::new() }
    }

    async fn send(&mut self, request: Request) -> Answer {
        let answer = request.send().await;
        if answer.status >= 400 {
            self.errors.push(format!("{} {} {:?}", answer.status, answer.text, answer.headers));
        }
        self.tokens.extend(answer.field("auth.token").as_str().map(str::to_owned));
        answer
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        let request = self.app.post(&url(path)).json(&body);
        self.send(request).await
    }

    async fn post_as(&mut self, path: &str, body: &Value) -> Answer {
        let request = self.app.post(&url(path)).bearer(&self.token()).json(body);
        self.send(request).await
    }

    async fn submit(&mut self, form: Form) -> Answer {
        let request = form.on(self.app.post(&url("account/kyc")).bearer(&self.token()));
        self.send(request).await
    }

    async fn profile(&mut self) -> Answer {
        let request = self.app.get(&url("account/profile")).bearer(&self.token());
        self.send(request).await
    }

    /// The newest token.
    fn token(&self) -> String {
        self.tokens.last().unwrap().clone()
    }

    /// The newest code, which is then texted: at first in vain.
    async fn code(&mut self) -> String {
        let code = self.app.latest_text_code(PHONE).await;
        self.codes.push(code.clone());
        self.providers.all_fail();
        self.app.kernel().deliver_due().await.unwrap();
        self.providers.recover();
        self.app.advance(5 * MINUTE);
        self.app.kernel().deliver_due().await.unwrap();
        code
    }

    /// Registers, logs in, and does each thing wrong as well.
    async fn with_codes(&mut self) {
        for (ask, answer) in
            [("auth/enter-phone", "auth/confirm-code"), ("login/send-code", "login/verify-code")]
        {
            self.post(ask, json!({ "phone": PHONE })).await.assert_status(200);
            let code = self.code().await;
            let claim = |code: &str| json!({ "phone": PHONE, "code": code });
            self.post(answer, claim(other_than(&code))).await;
            self.post(answer, claim(&format!("{code}{code}"))).await.assert_status(422);
            self.post(answer, json!({ "phone": PHONE, "code": [code] })).await.assert_status(422);
            self.post(answer, json!({ "phone": format!("{PHONE}0"), "code": code })).await.assert_status(422);
            self.post(answer, claim(&code)).await.assert_status(200);
            self.app.advance(MINUTE);
            self.post(answer, claim(&code)).await;
        }
        let report = format!("id={}&status=Failed&phoneNumber=%2B254{NATIONAL}&failureReason=No", NAMES[0]);
        let path = "/sms/receipts/africas-talking";
        let right = self.app.post(&format!("{path}/{RECEIPT_SECRET}")).form(&report);
        self.send(right).await.assert_status(204);
        let wrong = self.app.post(&format!("{path}/{RECEIPT_SECRET}x")).form(&report);
        self.send(wrong).await.assert_status(403);
    }

    fn application() -> Value {
        let mut body = application(PHONE, EMAIL);
        body["identity"]["date_of_birth"] = json!(BORN);
        body["identity"]["tax_id"] = json!(TAX_NUMBER);
        body["documents"] = json!({
            "document_type": "identity_verification", "mime_type": "application/pdf", "content": base64_of(&file()),
        });
        body
    }

    /// Applies for an account, in all the ways that fail first.
    async fn with_an_account(&mut self) {
        let whole = Self::application();
        for (path, value) in [
            ("/contact/phone_number", json!("0733000111")),
            ("/contact/email_address", json!(TAX_NUMBER)),
            ("/identity/tax_id_type", json!(TAX_NUMBER)),
            ("/identity/tax_id", json!({ TAX_NUMBER: TAX_NUMBER })),
            ("/identity/date_of_birth", json!(format!("{BORN}T00:00:00Z"))),
            ("/identity/country_of_tax_residence", json!(TAX_NUMBER)),
            ("/agreements/signed_at", json!(BORN)),
            ("/documents/mime_type", json!("image/png")),
            ("/documents/content", json!(String::from_utf8_lossy(FILE))),
            ("/documents/document_type", json!(base64_of(FILE))),
            ("/additional_information", json!([TAX_NUMBER])),
            ("/account_type", json!(TAX_NUMBER)),
        ] {
            let mut body = whole.clone();
            *body.pointer_mut(path).unwrap() = value;
            self.post_as("account/create", &body).await.assert_status(422);
        }
        let text = whole.to_string();
        for (kind, body) in [
            ("application/json", &text[..text.len() - 1]),
            ("application/json", &format!("[{text}]")),
            ("text/plain", &text),
            ("application/x-www-form-urlencoded", &text),
        ] {
            let request =
                self.app.post(&url("account/create")).bearer(&self.token()).body(kind, body.to_owned());
            self.send(request).await;
        }
        self.profile().await.assert_status(404);
        self.submit(document(PDF)).await.assert_status(404);
        if self.broker.is_some() {
            self.against_a_failing_broker(&whole).await;
        }
        self.app.sql("alter table brokerage_accounts rename to away").await;
        self.post_as("account/create", &whole).await.assert_status(500);
        self.profile().await.assert_status(500);
        self.app.sql("alter table away rename to brokerage_accounts").await;

        let mut others = whole.clone();
        others["beneficiaries"] =
            json!([{ "given_name": "Eve", "tax_id": TAX_NUMBER, "date_of_birth": BORN }]);
        self.post_as("account/create", &others).await.assert_status(200);
        self.post_as("account/create", &whole).await.assert_status(409);
    }

    async fn against_a_failing_broker(&mut self, whole: &Value) {
        let quoting = format!("identity.tax_id {TAX_NUMBER} ({PLAIN}) is not known");
        for body in
            [json!({ "code": 42_210_000, "message": quoting }), json!(quoting), json!({ "whole": whole })]
        {
            self.broker().fail_next(Endpoint::Open, Fault::answer(422, "application/json", body.to_string()));
            self.post_as("account/create", whole).await.assert_status(422);
        }
        let fault = Fault::answer(500, "text/plain", whole.to_string());
        self.broker().fail_next(Endpoint::Open, fault);
        self.post_as("account/create", whole).await.assert_status(503);
        self.app.advance(10 * MINUTE);
        self.app.brokerage().check_brokerage().await.unwrap();
    }

    fn broker(&self) -> &StubBroker {
        self.broker.as_ref().unwrap()
    }

    /// Submits documents, in all the ways that fail first.
    async fn with_documents(&mut self) {
        self.submit(document(FILE)).await.assert_status(422);
        let text = String::from_utf8_lossy(FILE);
        self.submit(Form::document(&text, &file())).await.assert_status(422);
        self.submit(document(&file()).text("document_sub_type", &text.repeat(20))).await.assert_status(422);
        let request = self.app.post(&url("account/kyc")).bearer(&self.token());
        self.send(request.body("multipart/form-data; boundary=b", file())).await.assert_status(422);
        if self.broker.is_some() {
            let quoting = format!("cannot read {}", base64_of(&file()));
            self.broker().fail_next(Endpoint::Upload, Fault::answer(500, "text/plain", quoting));
            self.submit(document(&file())).await.assert_status(502);
            self.broker().fail_next(Endpoint::Upload, Fault::close());
            self.submit(document(&file())).await.assert_status(503);
        }
        self.submit(document(&file())).await.assert_status(200);
        self.profile().await.assert_status(200);
        self.app.advance(10 * SECOND);
        self.app.brokerage().check_brokerage().await.unwrap();
        if self.broker.is_none() {
            self.app.brokerage().follow_broker().await.unwrap();
        }
    }

    /// Puts a token where it does not belong, and ends.
    async fn and_out(&mut self) {
        let token = self.token();
        for path in [
            format!("/api/v1/account/{token}"),
            format!("/api/v1/logout?token={token}"),
            format!("/api/v1/{token}"),
        ] {
            let request = self
                .app
                .get(&path.replace('|', "%7C"))
                .header("referer", &path)
                .header("authorization", &token);
            self.send(request).await;
        }
        let request = self.app.post(&url("logout")).bearer(&token);
        self.send(request).await.assert_status(200);
        let request = self.app.post(&url("logout")).bearer(&token);
        self.send(request).await.assert_status(401);
    }

    async fn all_the_way(&mut self) {
        self.with_codes().await;
        self.with_an_account().await;
        self.with_documents().await;
        let actor = self.app.kernel().authenticate(&self.token()).await.unwrap();
        let account = actor.authorize(Permission::ReadBrokerageAccount).unwrap().account();
        let trader = self.app.brokerage().brokerage_customer_of(account).await.unwrap();
        let shown = format!("{trader:?} {actor:?}");
        assert!(!shown.contains(NATIONAL) && !shown.contains(BORN), "{shown}");
        self.and_out().await;
    }

    /// Looks for everything everywhere.
    async fn assert_nothing_leaked(self, log: &Log) {
        let Self { app, tokens, codes, errors, .. } = self;
        assert!(tokens.len() == 2 && codes.len() == 2 && errors.len() > 25, "the journey was not made");
        let mut secrets: Vec<String> =
            vec![TAX_NUMBER.into(), PLAIN.into(), String::from_utf8_lossy(FILE).into()];
        secrets.extend(BASE64.map(str::to_owned));
        secrets.extend(tokens.iter().map(|token| token.split_once('|').unwrap().1.to_owned()));
        secrets.extend([API_KEY, RECEIPT_SECRET, StubBroker::SECRET].map(str::to_owned));

        for error in &errors {
            // Reasons, but nothing that was sent.
            assert_eq!(leak(error, &secrets), None, "in an error: {error}");
            assert!(!error.contains(BORN) && !error.contains(NATIONAL), "in an error: {error}");
            assert!(!codes.iter().any(|code| has_code(error, code)), "a code in an error: {error}");
        }

        let lines = log.lines();
        assert!(lines.iter().any(|line| line.contains("sqlx::query")), "statements were logged");
        assert!(lines.iter().any(|line| line.contains("an internal error")), "failures were logged");
        assert!(
            lines.iter().any(|line| line.contains("a message was not sent")),
            "texts that were not sent were logged"
        );
        for line in &lines {
            assert_eq!(leak(line, &secrets), None, "in the log: {line}");
            assert!(!line.contains(NATIONAL), "a phone in the log: {line}");
            assert!(
                !line.contains(BORN) && !line.contains("1987-03-28"),
                "a date of birth in the log: {line}"
            );
            assert!(!line.contains("planted."), "whose address: {line}");
            assert!(!codes.iter().any(|code| has_code(line, code)), "a code in the log: {line}");
        }

        let stored = everything_stored(&app).await;
        let hex: Vec<String> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        let code_hex: Vec<String> = codes.iter().map(|code| hexadecimal(code)).collect();
        let born = [BORN.to_owned(), hexadecimal(BORN)];
        let mut phones: Vec<&str> = Vec::new();
        for (place, text) in &stored {
            for secrets in [&secrets[..], &hex, &code_hex, &born] {
                assert_eq!(leak(text, secrets), None, "in {place}: {text}");
            }
            let chance = place.ends_with("_at") || place.ends_with(".at") || place.ends_with("id");
            assert!(chance || !codes.iter().any(|code| has_code(text, code)), "a code in {place}: {text}");
            if text.contains(NATIONAL) || text.contains(&hexadecimal(NATIONAL)) {
                phones.push(place);
            }
        }
        phones.sort_unstable();
        phones.dedup();
        assert_eq!(phones, ["challenges.address", "identifiers.value", "outbox_messages.recipient"]);
    }
}

/// A file with a page of a passport in it.
fn file() -> Vec<u8> {
    [PDF, FILE].concat()
}

fn document(file: &[u8]) -> Form {
    Form::document("identity_verification", file)
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn what_is_looked_for_in_base64_is_what_stands_there() {
    for before in 0..3 {
        let text = base64_of(&[&[b' '; 2][..before], FILE].concat());
        assert!(BASE64.iter().any(|part| text.contains(part)), "{before}: {text}");
    }
}

/// A log of the whole process, and where the story takes place.
struct Watched(Engine, Log);

impl Fixture for Watched {
    async fn prepare(engine: Engine) -> Self {
        Self(engine, Log::listen())
    }
}

on_both_engines! {
    async fn the_sandbox_gives_nothing_away(watched: Watched) {
        let mut journey = Journey::begin(watched.0, None).await;
        journey.all_the_way().await;
        journey.assert_nothing_leaked(&watched.1).await;
    }

    async fn a_broker_gets_everything_and_nobody_else_does(watched: Watched) {
        let mut journey = Journey::begin(watched.0, Some(StubBroker::start().await.unwrap())).await;
        journey.all_the_way().await;
        let seen = journey.broker().seen();
        assert!(seen.iter().any(|seen| seen.body.as_ref().is_some_and(|body| body.to_string().contains(TAX_NUMBER))));
        journey.assert_nothing_leaked(&watched.1).await;
    }
}
