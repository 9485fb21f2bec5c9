//! The operator's own gateway, and the signature it checks.

use serde_json::{Value, json};
use tidegate_crypto::SharedKey;
use tidegate_delivery::sms::{Accepted, SmsProviderKind};
use tidegate_delivery::{SmsError, SmsProviders};
use tidegate_domain::Secret;

use crate::stub::{Behaviour, Stub, nobody};
use crate::{NOW, TEXT, configuration, permanent, providers, send, temporary};

const SECRET: &str = "hunter2-hunter2-hunter2";

fn at(url: &str) -> SmsProviders {
    let config = json!({"url": format!("{url}/hunter2/send?team=a"), "secret": SECRET, "timeout_seconds": 1});
    providers(json!({ "webhook": config }))
}

async fn answered(status: u16, body: &str) -> Result<Accepted, SmsError> {
    let stub = Stub::answering(status, body).await;
    send(&at(&stub.url)).await
}

#[tokio::test]
async fn a_message_is_posted_as_signed_json() {
    let stub = Stub::answering(202, "").await;
    let accepted = send(&at(&stub.url)).await.unwrap();
    assert_eq!(accepted, Accepted { provider: SmsProviderKind::Webhook, message_id: None });

    let asked = stub.asked_once();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hunter2/send?team=a"));
    assert_eq!(asked.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&asked.body).unwrap();
    let expected = json!({
        "to": "+254712345678",
        "text": TEXT,
        "id": "0190c7a2-0000-7000-8000-000000000001",
        "at": "2023-11-14T22:13:20Z",
    });
    assert_eq!(body, expected);

    let signature = asked.header("tidegate-signature");
    assert!(signature.starts_with("t=1700000042,v1="), "{signature}");
    assert_eq!(signature, SharedKey::new(Secret::new(SECRET)).sign_webhook(NOW, &asked.body));
}

#[tokio::test]
async fn the_gateways_own_name_for_a_message_is_kept() {
    let named = answered(200, r#"{"id": "gw-17", "cost": 1}"#).await.unwrap();
    assert_eq!(named.message_id.as_deref(), Some("gw-17"));
    for other in ["OK", "{}", r#"{"id": 17}"#, r#"{"id": "two words"}"#, r#"{"id": ""}"#] {
        assert_eq!(answered(200, other).await.unwrap().message_id, None, "{other}");
    }
}

#[tokio::test]
async fn the_status_says_whether_to_try_again() {
    permanent(answered(422, TEXT).await);
    for status in [408, 425, 429, 500, 503] {
        temporary(answered(status, TEXT).await);
    }
    for status in [300, 304, 400, 401, 403, 404, 410, 501] {
        configuration(answered(status, "").await);
    }
    let said = configuration(answered(501, "").await);
    assert!(said.contains("takes no messages at the address") && said.contains("webhook.url"), "{said}");
}

#[tokio::test]
async fn a_gateway_that_breaks_off_is_asked_again_and_its_address_kept_secret() {
    let stub = Stub::start(Behaviour::HangUp).await;
    temporary(send(&at(&stub.url)).await);
    stub.behave(Behaviour::Flood);
    temporary(send(&at(&stub.url)).await);
    stub.behave(Behaviour::Silence);
    temporary(send(&at(&stub.url)).await);
    temporary(send(&at(&nobody().await)).await);
    let elsewhere = Stub::answering(200, "").await;
    stub.behave(Behaviour::Redirect(elsewhere.url.clone()));
    configuration(send(&at(&stub.url)).await);
    assert!(elsewhere.asked().is_empty());
}
