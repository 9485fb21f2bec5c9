//! What the broker says, and what becomes of it when it does not: 409, 422, 502 and 503.

use serde_json::{Value, json};
use tidegate_brokerage::operator_fields::OPERATOR_FIELDS;
use tidegate_testkit::stub_broker::{Endpoint, Fault, StubBroker};
use tidegate_testkit::{Answer, Engine, Fixture, PhonePerson, TestApp, application, on_both_engines};
use uuid::Uuid;

use super::wire::{ADA, Form, MINUTE, PDF, SECOND, assert_says, get_as, post_as, submit};
use crate::routes::assert_envelope;

const EMAIL: &str = "ada@example.com";
const OUT_OF_REACH: &str = "The broker cannot be reached; try again later.";
const OUT_OF_ORDER: &str = "The broker does not accept this at the moment; try again later.";
const UNSETTLED: &str = "An earlier application is not settled yet. It is not lost: try again shortly.";

/// The application in front of a broker's server, and Ada.
struct Brokered {
    app: TestApp,
    broker: StubBroker,
    ada: PhonePerson,
}

impl Fixture for Brokered {
    async fn prepare(engine: Engine) -> Self {
        let broker = StubBroker::start().await.unwrap();
        let app = TestApp::builder(engine).broker(broker.config()).start().await;
        let ada = app.register_phone(ADA).await;
        Self { app, broker, ada }
    }
}

impl Brokered {
    async fn apply(&self) -> Answer {
        post_as(&self.app, &self.ada, "account/create", &application(ADA, EMAIL)).await
    }

    async fn submit(&self) -> Answer {
        submit(&self.app, &self.ada, Form::document("identity_verification", PDF)).await
    }

    async fn profile(&self) -> Answer {
        get_as(&self.app, &self.ada, "account/profile").await
    }

    /// Fails the next calls, however often each is tried.
    fn fail(&self, endpoint: Endpoint, fault: &Fault) {
        for _ in 0..3 {
            self.broker.fail_next(endpoint, fault.clone());
        }
    }

    fn refuse(&self, endpoint: Endpoint, status: u16, message: &str) {
        let body = json!({ "code": 42_210_000, "message": message }).to_string();
        self.broker.fail_next(endpoint, Fault::answer(status, "application/json", body));
    }
}

#[track_caller]
fn assert_later(answer: &Answer, text: &str) {
    assert_says(answer, 503, text);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
}

on_both_engines! {
    async fn the_broker_is_asked_in_its_own_form(it: Brokered) {
        let user = it.apply().await.assert_status(200).field("data").clone();
        let seen = it.broker.seen();
        let asked = seen.iter().find(|seen| seen.endpoint == Some(Endpoint::Open)).unwrap().body.clone().unwrap();
        assert_eq!(asked["contact"]["street_address"], json!(["20 Moi Avenue"]));
        assert_eq!(asked["contact"]["country"], "KEN");
        assert_eq!(asked["identity"]["funding_source"], json!(["employment_income"]));
        assert_eq!(asked["identity"]["tax_id"], "A-0123-98765");
        assert_eq!(asked["agreements"].as_array().unwrap().len(), 1);
        assert!(!asked.to_string().contains("null") && !asked.to_string().contains("\"\""), "{asked}");
        let account = it.broker.accounts()[0]["id"].clone();
        assert_eq!(user["alpaca_account_id"], account);

        it.submit().await.assert_status(200);
        let uploads = it.broker.uploads(account.as_str().unwrap().parse::<Uuid>().unwrap());
        assert_eq!(uploads[0][0]["document_type"], "identity_verification");

        let profile = it.profile().await;
        profile.assert_status(200);
        assert!(profile.body.get("sandbox").is_none(), "this one is real: {}", profile.text);
        assert_eq!(profile.text_at("data.buying_power"), "300.5");
        assert_eq!(profile.text_at("data.cash"), "150.25");
    }

    async fn what_the_broker_decides_is_shown(it: Brokered) {
        it.apply().await.assert_status(200);
        assert_eq!(it.submit().await.text_at("data.account_status"), "pending", "the broker has yet to notice");
        let account: Uuid = it.broker.accounts()[0]["id"].as_str().unwrap().parse().unwrap();
        for (status, local) in [("ACTION_REQUIRED", "pending"), ("ACTIVE", "active"), ("SOMETHING_NEW", "pending")] {
            it.broker.set_status(account, status);
            assert_eq!(it.profile().await.text_at("data.status"), status);
            let ours = it.app.database.sql_texts("select status from brokerage_accounts").await;
            assert_eq!(ours, [local]);
        }
        it.broker.set_status(account, "ACTIVE");
        assert_eq!(it.submit().await.text_at("data.account_status"), "active");
    }

    async fn a_refusal_of_the_broker_is_told_at_the_field_it_names(it: Brokered) {
        it.refuse(Endpoint::Open, 422, "identity.tax_id_type is not allowed for this country");
        let answer = it.apply().await;
        answer.assert_status(422);
        let text = "identity.tax_id_type is not allowed for this country";
        assert_eq!(answer.body, json!({ "message": text, "errors": { "identity.tax_id_type": [text] }, "status": false }));
        it.refuse(Endpoint::Open, 422, "we cannot open this account");
        assert_says(&it.apply().await, 422, "we cannot open this account");
        // Quoting what was sent, it would tell a tax number.
        it.refuse(Endpoint::Open, 400, "invalid value A-0123-98765 given");
        let answer = it.apply().await;
        answer.assert_status(422);
        assert!(!answer.text.contains("98765"), "{}", answer.text);
        it.apply().await.assert_status(200);

        it.refuse(Endpoint::Upload, 422, "document is not legible");
        assert_says(&it.submit().await, 422, "document is not legible");
        it.submit().await.assert_status(200);
    }

    async fn an_address_the_broker_knows_from_elsewhere_is_a_conflict(it: Brokered) {
        it.refuse(Endpoint::Open, 409, "email address is already in use");
        let answer = it.apply().await;
        answer.assert_status(409);
        assert_eq!(answer.field("errors").as_object().unwrap().len(), 1);
        assert!(answer.field("errors").get("contact.email_address").is_some());
        it.apply().await.assert_status(200);
    }

    async fn credentials_the_broker_does_not_take_are_no_fault_of_the_person(it: Brokered) {
        it.broker.fail_next(Endpoint::Open, Fault::answer(401, "application/json", "{\"message\":\"unauthorized\"}"));
        assert_says(&it.apply().await, 502, OUT_OF_ORDER);
        it.apply().await.assert_status(200);
    }

    async fn a_broker_that_refuses_for_reasons_of_its_own_is_out_of_order(it: Brokered) {
        it.broker.fail_next(Endpoint::Open, Fault::status(403));
        assert_says(&it.apply().await, 502, OUT_OF_ORDER);
        it.apply().await.assert_status(200);
        let text = it.app.database.sql_texts("select status from brokerage_accounts").await;
        assert_eq!(text, ["new"]);

        it.fail(Endpoint::Upload, &Fault::status(500));
        assert_says(&it.submit().await, 502, OUT_OF_ORDER);
        it.fail(Endpoint::Account, &Fault::status(500));
        assert_says(&it.profile().await, 502, OUT_OF_ORDER);
    }

    async fn a_broker_that_cannot_be_reached_is_asked_again_later(it: Brokered) {
        it.fail(Endpoint::Open, &Fault::status(429));
        assert_later(&it.apply().await, OUT_OF_REACH);
        it.apply().await.assert_status(200);
        it.fail(Endpoint::Upload, &Fault::close());
        assert_later(&it.submit().await, OUT_OF_REACH);
        it.fail(Endpoint::Account, &Fault::close());
        assert_later(&it.profile().await, OUT_OF_REACH);
        it.fail(Endpoint::Trading, &Fault::close());
        assert_later(&it.profile().await, OUT_OF_REACH);
    }

    async fn a_broker_that_asks_for_patience_gets_it(it: Brokered) {
        it.fail(Endpoint::Open, &Fault::status(429).with_header("retry-after", "1234"));
        let answer = it.apply().await;
        assert_later(&answer, OUT_OF_REACH);
        assert_eq!(answer.header("retry-after"), "1234");
    }

    async fn an_account_whose_opening_got_lost_on_the_way_back_is_found(it: Brokered) {
        it.broker.fail_next(Endpoint::Open, Fault::break_off());
        let answer = it.apply().await;
        answer.assert_status(200);
        assert_eq!(answer.field("data.alpaca_account_id"), &it.broker.accounts()[0]["id"]);
        assert_eq!((it.broker.accounts().len(), it.broker.count(Endpoint::Open)), (1, 1));
    }

    async fn an_opening_nobody_knows_the_end_of_is_not_repeated_blindly(it: Brokered) {
        it.broker.fail_next(Endpoint::Open, Fault::status(500).after_doing_it());
        it.broker.fail_next(Endpoint::Find, Fault::close());
        assert_later(&it.apply().await, UNSETTLED);
        // Another application meanwhile might open a second account.
        it.broker.fail_next(Endpoint::Find, Fault::close());
        let other = post_as(&it.app, &it.ada, "account/create", &application(ADA, "other@example.com")).await;
        assert_envelope(tidegate_domain::ContractId::RIVEN, &other);
        assert_eq!((other.status, it.broker.count(Endpoint::Open)), (503, 1));
        let answer = it.apply().await;
        assert_eq!(answer.assert_status(200).field("data.alpaca_account_id"), &it.broker.accounts()[0]["id"]);
        assert_eq!((it.broker.accounts().len(), it.broker.count(Endpoint::Open)), (1, 1));
    }

    async fn an_opening_that_led_to_nothing_can_be_made_again(it: Brokered) {
        it.broker.fail_next(Endpoint::Open, Fault::close());
        assert_later(&it.apply().await, UNSETTLED);
        assert!(it.broker.accounts().is_empty());
        it.app.advance(2 * MINUTE + 5 * SECOND);
        it.app.brokerage().check_brokerage().await.unwrap();
        let user: Value = it.apply().await.assert_status(200).field("data").clone();
        assert_eq!(user["alpaca_account_id"], it.broker.accounts()[0]["id"]);
    }

    async fn a_broker_that_babbles_is_out_of_order(it: Brokered) {
        it.apply().await.assert_status(200);
        for (kind, body) in [("text/html", "<html>"), ("application/json", "{}"), ("application/json", "[1"), ("application/json", "")] {
            it.broker.fail_next(Endpoint::Account, Fault::answer(200, kind, body));
            assert_says(&it.profile().await, 502, OUT_OF_ORDER);
        }
        it.profile().await.assert_status(200);
    }

    async fn an_applicant_vouches_for_nothing_unless_the_operator_says_so(engine: Engine) {
        let mut body = application(ADA, EMAIL);
        for name in OPERATOR_FIELDS {
            body[name] = json!({ "level": 2 });
        }
        body["auto_approve"] = json!(true);
        for (listed, passed) in [(vec![], vec![]), (vec!["instant".to_owned()], vec!["instant"])] {
            let broker = StubBroker::start().await.unwrap();
            let builder = TestApp::builder(engine).broker(broker.config());
            let app = builder.settings(move |settings| settings.forwarded_broker_fields.clone_from(&listed)).start().await;
            let ada = app.register_phone(ADA).await;
            post_as(&app, &ada, "account/create", &body).await.assert_status(200);
            let seen = broker.seen();
            let asked = seen.iter().find(|seen| seen.endpoint == Some(Endpoint::Open)).unwrap().body.clone().unwrap();
            let got: Vec<_> = OPERATOR_FIELDS.into_iter().filter(|name| asked.get(name).is_some()).collect();
            assert_eq!(got, passed, "{asked}");
        }
    }
}
