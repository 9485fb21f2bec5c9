//! Twilio, as section 5 of the Riven contract has it.

use serde_json::{Value, json};
use tidegate_delivery::sms::{Accepted, SmsProviderKind};
use tidegate_delivery::{SmsError, SmsProviders};

use crate::stub::{Behaviour, Stub, nobody};
use crate::{TEXT, configuration, permanent, providers, send, temporary, unreachable};

const CREATED: &str = r#"{"sid":"SM0123456789abcdef","status":"queued","to":"+254712345678",
    "from":"+15005550006",
    "body":"493027 is your Riven code","num_segments":"1","error_code":null,"error_message":null,
    "date_created":"Tue, 14 Nov 2023 22:13:20 +0000","price":null,
    "uri":"/2010-04-01/Accounts/AC01/Messages/SM01.json"}"#;

fn with(url: &str, more: Value) -> SmsProviders {
    let mut config = json!({
        "account_sid": "AC01", "auth_token": "hunter2-token", "from": "+15005550006",
        "base_url": url, "timeout_seconds": 60,
    });
    tidegate_domain::text::merge(&mut config, &more);
    providers(json!({ "twilio": config }))
}

async fn answered(status: u16, body: &str) -> Result<Accepted, SmsError> {
    let stub = Stub::answering(status, body).await;
    send(&with(&stub.url, json!({}))).await
}

async fn refused(status: u16, code: u32) -> Result<Accepted, SmsError> {
    let message = format!("The 'To' number +254712345678 is not valid for '{TEXT}'");
    let body =
        json!({"code": code, "message": message, "more_info": format!("https://x/{code}"), "status": status});
    answered(status, &body.to_string()).await
}

#[tokio::test]
async fn a_message_is_posted_as_the_contract_says() {
    let stub = Stub::answering(201, CREATED).await;
    let accepted = send(&with(&stub.url, json!({}))).await.unwrap();
    let expected =
        Accepted { provider: SmsProviderKind::Twilio, message_id: Some("SM0123456789abcdef".to_owned()) };
    assert_eq!(accepted, expected);

    let asked = stub.asked_once();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/2010-04-01/Accounts/AC01/Messages.json")
    );
    // AC01:hunter2-token
    assert_eq!(asked.header("authorization"), "Basic QUMwMTpodW50ZXIyLXRva2Vu");
    let form = [("To", "+254712345678"), ("Body", TEXT), ("From", "+15005550006")];
    assert_eq!(asked.form(), form.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn an_api_key_a_service_and_a_callback_take_their_places() {
    let stub = Stub::answering(201, CREATED).await;
    let more = json!({
        "api_key_sid": "SK01", "api_key_secret": "hunter2-secret", "from": null,
        "messaging_service_sid": "MG01",
        "status_callback": "https://id.example.com/receipts?a=b",
    });
    send(&with(&stub.url, more)).await.unwrap();
    let asked = stub.asked_once();
    assert_eq!(asked.path, "/2010-04-01/Accounts/AC01/Messages.json");
    // SK01:hunter2-secret
    assert_eq!(asked.header("authorization"), "Basic U0swMTpodW50ZXIyLXNlY3JldA==");
    let form = [
        ("To", "+254712345678"),
        ("Body", TEXT),
        ("MessagingServiceSid", "MG01"),
        ("StatusCallback", "https://id.example.com/receipts?a=b"),
    ];
    assert_eq!(asked.form(), form.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn error_codes_say_whose_trouble_it_is() {
    for code in [21211, 21610, 21614, 30006] {
        let said = permanent(refused(400, code).await);
        assert!(said.ends_with(&format!("see https://www.twilio.com/docs/api/errors/{code}")), "{said}");
    }
    unreachable(refused(400, 21612).await);
    configuration(refused(401, 20003).await);
    for code in [21408, 21606, 21608, 99_999] {
        configuration(refused(400, code).await);
    }
    temporary(refused(429, 20429).await);
    temporary(refused(400, 30003).await);
    for status in [429, 500, 503] {
        temporary(refused(status, 99_999).await);
    }
}

#[tokio::test]
async fn a_message_that_failed_as_it_was_created_is_a_failure() {
    let failed = r#"{"sid":"SM01","status":"failed","error_code":30006,"error_message":"Landline"}"#;
    permanent(answered(201, failed).await);
}

#[tokio::test]
async fn a_provider_in_trouble_is_asked_again_later() {
    for status in [429, 500, 503] {
        temporary(answered(status, "<html>try later</html>").await);
    }
    for broken in ["", "<html>Welcome to the hotel</html>", "{}", "null", &CREATED[..40]] {
        temporary(answered(201, broken).await);
    }
    configuration(answered(401, "").await);
    configuration(answered(404, "no such account").await);
    let stub = Stub::start(Behaviour::HangUp).await;
    temporary(send(&with(&stub.url, json!({}))).await);
    temporary(send(&with(&nobody().await, json!({}))).await);
    stub.behave(Behaviour::Silence);
    let said = temporary(send(&with(&stub.url, json!({"timeout_seconds": 1}))).await);
    assert_eq!(said, "Twilio did not answer within 1 s");
}
