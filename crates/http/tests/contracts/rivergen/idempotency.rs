//! POST /api/v1/auth/signup with an `idempotency_key`: a request sent twice makes one account.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, PASSWORD, TestApp, on_both_engines};

use super::wire::{
    OTHER_PASSWORD, assert_refused, post, refused_without_trace, somewhere_else, traces, wait,
};

const DAY: u64 = 24 * 3_600;

fn ada() -> Value {
    json!({ "email": "ada@example.com", "password": PASSWORD, "idempotency_key": "form-4711" })
}

/// Each number is another client: a key belongs to the client that chose it.
async fn sign_up(app: &TestApp, number: u8, body: &Value) -> Answer {
    post(app, "auth/signup", body).ip(&somewhere_else(number)).send().await
}

on_both_engines! {
    async fn a_request_sent_twice_gets_one_answer(app: TestApp) {
        let first = sign_up(&app, 1, &ada()).await;
        first.assert_status(201);
        let after_first = traces(&app).await;
        wait(&app, 60);
        // Another spelling of the same request is the same request.
        let mut again = ada();
        again["email"] = json!("ADA@example.com");
        let second = sign_up(&app, 1, &again).await;
        assert_eq!((second.status, &second.text), (201, &first.text));
        assert_eq!(traces(&app).await, after_first);
        // The answer is the real one: its token goes with the code that was mailed.
        let code = app.latest_code("ada@example.com").await;
        let claim = json!({ "temporary_token": second.text_at("data.temporary_token"), "otp_code": code });
        post(&app, "auth/verify-otp", &claim).send().await.assert_status(200);
    }

    async fn a_key_used_for_another_request_is_a_conflict(app: TestApp) {
        sign_up(&app, 0, &ada()).await.assert_status(201);
        let others = [
            ("email", json!("bob@example.com")),
            // Knowing key and address is not enough to be given the answer.
            ("password", json!(OTHER_PASSWORD)),
            ("display_name", json!("Ada")),
            ("agree_to_terms", json!(false)),
            ("terms_version", json!("2.0")),
        ];
        for (field, value) in others {
            // Past the limit of three by client.
            wait(&app, 300);
            let mut body = ada();
            body[field] = value;
            let request = post(&app, "auth/signup", &body).ip(&somewhere_else(0));
            refused_without_trace(&app, request, 409, "IDEMPOTENCY_CONFLICT").await;
        }
    }

    async fn another_key_does_not_make_a_taken_address_free(app: TestApp) {
        sign_up(&app, 1, &ada()).await.assert_status(201);
        for (number, key) in [(2, json!("form-4712")), (3, Value::Null)] {
            let mut body = ada();
            body["idempotency_key"] = key;
            assert_refused(&app, &sign_up(&app, number, &body).await, 409, "EMAIL_TAKEN");
        }
    }

    async fn an_answer_is_repeated_for_a_day(app: TestApp) {
        let first = sign_up(&app, 1, &ada()).await;
        wait(&app, DAY - 1);
        assert_eq!(sign_up(&app, 1, &ada()).await.text, first.text);
        wait(&app, 1);
        assert_refused(&app, &sign_up(&app, 1, &ada()).await, 409, "EMAIL_TAKEN");
        // The key may be used anew by then.
        let mut bob = ada();
        bob["email"] = json!("bob@example.com");
        let second = sign_up(&app, 2, &bob).await;
        second.assert_status(201);
        wait(&app, DAY - 1);
        assert_eq!(sign_up(&app, 2, &bob).await.text, second.text);
    }

    async fn a_refused_request_does_not_use_the_key_up(app: TestApp) {
        let mut weak = ada();
        weak["password"] = json!("weak");
        assert_refused(&app, &sign_up(&app, 1, &weak).await, 422, "INVALID_PASSWORD");
        sign_up(&app, 1, &ada()).await.assert_status(201);
    }

    async fn keys_and_answers_are_not_readable_in_the_database(app: TestApp) {
        let answer = sign_up(&app, 1, &ada()).await;
        let stored = match app.database.engine() {
            tidegate_testkit::Engine::Sqlite => "select hex(key_mac) || hex(fingerprint) || hex(response)",
            tidegate_testkit::Engine::Postgres => {
                "select encode(key_mac || fingerprint || response, 'hex')"
            }
        };
        let stored = app.database.sql_texts(&format!("{stored} from idempotency_records")).await.concat();
        for secret in ["form-4711", "ada@example.com", PASSWORD, &answer.text_at("data.temporary_token")] {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!stored.is_empty() && !stored.to_lowercase().contains(&hex), "{secret} can be read");
        }
    }
}
