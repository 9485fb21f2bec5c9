//! The Riven contract, over real HTTP, and whom it needs outside: a broker, providers of text messages.

mod crash;
mod gateway;
mod privacy;
mod receipts;
mod texts;
mod texts_cut_off;
mod walk;

use reqwest::Response;
use serde_json::{Value, json};
use tidegate_broker::testing::StubBroker;

use crate::support::{Installation, Server};

const PHONE: &str = "+254712345678";
const EMAIL: &str = "user.one@example.com";
const TAX_ID: &str = "A098765432Z";
const BORN: &str = "1987-03-14";

/// As often as a story needs it.
const WITHOUT_LIMITS: &str = "
[phone.limits]
by_phone_at_once = { attempts = 0, window = 1 }
by_phone = { attempts = 0, window = 1 }
[riven.limits]
anonymous_requests = { attempts = 0, window = 1 }
authenticated_requests = { attempts = 0, window = 1 }
brokerage_requests = { attempts = 0, window = 1 }
";

/// The section that names this broker.
fn brokered_by(broker: &StubBroker) -> String {
    format!(
        "[broker.alpaca]\nbase_url = '{}'\nkey = '{}'\nsecret = '{}'\n",
        broker.base_url(),
        StubBroker::KEY,
        StubBroker::SECRET
    )
}

/// The newest code, read beside a server that keeps its messages.
fn kept_code(here: &Installation) -> String {
    here.output(&["outbox", "code", "--to", PHONE])
}

async fn ask_for_code(server: &Server, path: &str) {
    let (status, answer) = server.post(path, json!({ "phone": PHONE })).await;
    assert_eq!(status, 200, "{answer}");
}

/// Sends a code back; answers who that is.
async fn confirm(server: &Server, path: &str, code: &str) -> Value {
    let (status, answer) = server.post(path, json!({ "phone": PHONE, "code": code })).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Registers the phone at a server that keeps its messages; answers the token.
async fn register(here: &Installation, server: &Server) -> String {
    ask_for_code(server, "/api/v1/auth/enter-phone").await;
    let answer = confirm(server, "/api/v1/auth/confirm-code", &kept_code(here)).await;
    answer["auth"]["token"].as_str().unwrap().to_owned()
}

/// The person as a login shows them, at a server that keeps its messages.
async fn log_in(here: &Installation, server: &Server) -> Value {
    ask_for_code(server, "/api/v1/login/send-code").await;
    confirm(server, "/api/v1/login/verify-code", &kept_code(here)).await["user"].clone()
}

/// An application for a brokerage account, on its way.
fn application(server: &Server, token: &str) -> impl Future<Output = reqwest::Result<Response>> + use<> {
    let body = json!({
        "contact": {
            "email_address": EMAIL, "phone_number": PHONE, "street_address": "20 Moi Avenue", "city": "Nairobi",
        },
        "identity": {
            "given_name": "User", "family_name": "One", "date_of_birth": BORN, "tax_id": TAX_ID,
            "tax_id_type": "NATIONAL_ID", "country_of_tax_residence": "KEN", "funding_source": "employment_income",
        },
        "disclosures": {
            "is_control_person": false, "is_affiliated_exchange_or_finra": false,
            "is_politically_exposed": false, "immediate_family_exposed": false,
        },
        "agreements": {
            "agreement": "customer_agreement", "signed_at": "2026-01-01T10:00:00Z", "ip_address": "203.0.113.7",
        },
    });
    server.http.post(format!("{}/api/v1/account/create", server.base)).bearer_auth(token).json(&body).send()
}

/// Applies; answers status and body.
async fn apply(server: &Server, token: &str) -> (u16, Value) {
    let answer = application(server, token).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// What reading one's account is answered with.
async fn profile(server: &Server, token: &str) -> (u16, Value) {
    let request = server.http.get(format!("{}/api/v1/account/profile", server.base)).bearer_auth(token);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}
