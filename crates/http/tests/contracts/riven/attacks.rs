//! What nobody in their right mind sends.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Number, Value, json};
use tidegate_testkit::{
    Answer, Engine, Fixture, PhonePerson, Request, TestApp, application, on_both_engines,
};

use super::wire::{ADA, Form, JPEG, PDF, PNG, SECOND, url};
use crate::routes::{self, Route};

/// Requests of each kind tried on each engine. The seed is fixed, so that a failure comes back.
const CASES: u32 = 400;

/// Ada with a token and without limits; with a brokerage account, so that what is well-formed gets as far as the broker.
struct Target {
    app: TestApp,
    ada: PhonePerson,
    create: Route,
    kyc: Route,
}

impl Fixture for Target {
    async fn prepare(engine: Engine) -> Self {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.register_phone(ADA).await;
        let route = |path: &str| {
            let mut routes = routes::all().into_iter();
            routes.find(|route| route.path.ends_with(path) && route.method == "POST").unwrap()
        };
        Self { app, ada, create: route("/account/create"), kyc: route("/account/kyc") }
    }
}

impl Target {
    fn post(&self, path: &str) -> Request {
        self.app.post(&url(path)).bearer(&self.ada.token)
    }

    /// Sends what chance makes, and checks that each answer is one the contract lists.
    fn bombard<S: Strategy>(&self, route: &Route, strategy: S, request: impl Fn(&S::Value) -> Request) {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            let outcome = runner.run(&strategy, |sent| {
                let answer: Answer = handle.block_on(request(&sent).send());
                prop_assert!(answer.status < 500, "{}", answer.text);
                route.assert_listed(&answer, &format!("{sent:?}"));
                Ok(())
            });
            outcome.unwrap();
        });
    }
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| Number::from_f64(number).map_or(Value::Null, Value::Number)),
        "\\PC{0,20}".prop_map(Value::String),
        any::<String>().prop_map(Value::String),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}".prop_map(Value::String),
        "[A-Z]{3}|[a-z_]{3,20}".prop_map(Value::String),
        "/fixtures/status=[A-Z_]{0,16}/fixtures/".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec(("[a-z_A-Z.]{0,12}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The sample with anything anywhere in it.
fn applications() -> impl Strategy<Value = Value> {
    let whole = application(ADA, "ada@example.com");
    let mut paths: Vec<String> = Vec::new();
    for (name, value) in whole.as_object().unwrap() {
        paths.push(format!("/{name}"));
        paths.extend(value.as_object().into_iter().flatten().map(|(inner, _)| format!("/{name}/{inner}")));
    }
    let change = (proptest::sample::select(paths), anything());
    let changed = vec(change, 1..4).prop_map(move |changes| {
        let mut body = whole.clone();
        for (path, value) in changes {
            if let Some(place) = body.pointer_mut(&path) {
                *place = value;
            }
        }
        body
    });
    prop_oneof![
        4 => changed,
        1 => vec(("\\PC{0,10}", anything()), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
    ]
}

/// Bodies that are forms more or less.
fn forms() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just("document_type".to_owned()),
        Just("document_sub_type".to_owned()),
        Just("document".to_owned()),
        "documents\\[[0-9]{0,11}\\]\\[(document|document_type|document_sub_type|x)\\]",
        "documents\\[[^a]{0,4}\\]?\\[?[a-z]{0,4}\\]?",
        "\\PC{0,20}",
    ];
    let content = prop_oneof![
        vec(any::<u8>(), 0..200),
        Just(PDF.to_vec()),
        Just(PNG.to_vec()),
        Just(JPEG.to_vec()),
        Just(b"identity_verification".to_vec()),
        Just(b"--b\r\n".to_vec()),
        Just(b"\r\n--b--\r\n".to_vec()),
    ];
    let kind = prop_oneof![Just("application/pdf".to_owned()), Just("image/png".to_owned()), "[ -~]{0,20}"];
    let part = (name, kind, content).prop_map(|(name, kind, content)| {
        let head = format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x\"\r\ncontent-type: {kind}\r\n\r\n");
        [head.into_bytes(), content, b"\r\n".to_vec()].concat()
    });
    let whole = (vec(part, 0..8), any::<bool>()).prop_map(|(parts, ends)| {
        let mut body = parts.concat();
        body.extend(if ends { b"--b--\r\n".as_slice() } else { b"" });
        body
    });
    prop_oneof![3 => whole, 1 => vec(any::<u8>(), 0..400)]
}

on_both_engines! {
    async fn no_application_is_an_error_of_ours(target: Target) {
        target.bombard(&target.create, applications(), |body| target.post("account/create").json(body));
    }

    async fn nor_is_what_is_passed_on_to_the_broker(target: Target) {
        // A person for each, so that none is refused for the account they have.
        let app = &target.app;
        for number in 0..40_u32 {
            let person = app.register_phone(&format!("+2547010000{number:02}")).await;
            let mut body = application(&person.phone, &format!("{number}@example.com"));
            body["account_type"] = json!(["trading", "ira", "custodial", "hsa", "donor_advised"][number as usize % 5]);
            body["enabled_assets"] = if number % 2 == 0 { json!("us_equity") } else { json!(["crypto", "us_option"]) };
            body["anything"] = json!({ "deep": vec![number; 3], "text": "\u{0}\u{1f980}" });
            let answer = app.create_account(&person, &body).await;
            assert!(answer.status < 500, "{}", answer.text);
            target.create.assert_listed(&answer, &body.to_string());
        }
    }

    async fn no_form_is_an_error_of_ours(target: Target) {
        target.app.open_account(&target.ada, "ada@example.com").await;
        let kind = "multipart/form-data; boundary=b";
        target.bombard(&target.kyc, forms(), |body| target.post("account/kyc").body(kind, body.clone()));
        // With any boundary, too.
        target.bombard(&target.kyc, ("[ -~]{0,80}", forms()), |(boundary, body)| {
            target.post("account/kyc").body(&format!("multipart/form-data; boundary={boundary}"), body.clone())
        });
    }

    async fn texts_that_choke_others_are_texts(target: Target) {
        for text in ["\0", "a\0b", "\u{1b}[31m", "\u{202e}", "' or 1=1 --", "<script>", "${jndi:ldap://x}", "\u{10ffff}", "{{7*7}}"] {
            for path in ["/contact/city", "/identity/given_name", "/additional_information", "/contact/postal_code", "/agreements/revision"] {
                let mut body = application(ADA, "ada@example.com");
                *body.pointer_mut(path).unwrap_or(&mut json!(null)) = json!(text);
                let answer = target.post("account/create").json(&body).send().await;
                target.create.assert_listed(&answer, &format!("{path} = {text:?}"));
            }
            let form = Form::default().text("document_type", "other").text("document_sub_type", text).file("document", "image/png", PNG);
            let answer = form.on(target.post("account/kyc")).send().await;
            target.kyc.assert_listed(&answer, text);
        }
        target.app.advance(SECOND);
    }
}
