//! Africa's Talking, as section 5 of the Riven contract has it.

use serde_json::{Value, json};
use tidegate_delivery::sms::{Accepted, SmsProviderKind};
use tidegate_delivery::{SmsError, SmsProviders};

use crate::stub::{Behaviour, Stub, nobody};
use crate::{TEXT, configuration, permanent, providers, send, temporary, unreachable};

const SENT: &str = r#"{"SMSMessageData":{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[
    {"statusCode":101,"number":"+254712345678","status":"Success","cost":"KES 0.8000",
    "messageId":"ATXid_1a2b"}]}}"#;

fn with(url: &str, more: Value) -> SmsProviders {
    let mut config =
        json!({"username": "riven", "api_key": "hunter2-key", "base_url": url, "timeout_seconds": 60});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    providers(json!({ "africas_talking": config }))
}

fn at(url: &str) -> SmsProviders {
    with(url, json!({}))
}

async fn answered(status: u16, body: &str) -> Result<Accepted, SmsError> {
    let stub = Stub::answering(status, body).await;
    send(&at(&stub.url)).await
}

/// What the answer says about the one recipient.
fn recipient(code: impl Into<Value>) -> String {
    json!({"SMSMessageData": {"Message": "Sent to 0/1 Total Cost: 0", "Recipients": [
        {"statusCode": code.into(), "number": "+254712345678", "status": "x", "cost": "0", "messageId": "None"}
    ]}})
    .to_string()
}

/// An answer that names no recipient.
fn nobody_because(message: &str) -> String {
    json!({"SMSMessageData": {"Message": message, "Recipients": []}}).to_string()
}

#[tokio::test]
async fn a_message_is_posted_as_the_contract_says() {
    let stub = Stub::answering(201, SENT).await;
    let accepted = send(&at(&stub.url)).await.unwrap();
    let expected =
        Accepted { provider: SmsProviderKind::AfricasTalking, message_id: Some("ATXid_1a2b".to_owned()) };
    assert_eq!(accepted, expected);

    let asked = stub.asked_once();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/version1/messaging"));
    assert_eq!(asked.header("apikey"), "hunter2-key");
    assert_eq!(asked.header("accept"), "application/json");
    let form = [("username", "riven"), ("to", "+254712345678"), ("message", TEXT), ("bulkSMSMode", "1")];
    assert_eq!(asked.form(), form.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_sender_and_a_queue_are_asked_for_when_they_are_configured() {
    let stub = Stub::answering(201, SENT).await;
    send(&with(&stub.url, json!({"from": "RIVEN", "enqueue": true}))).await.unwrap();
    let form = stub.asked_once().form();
    assert!(form.contains(&("from".to_owned(), "RIVEN".to_owned())));
    assert!(form.contains(&("enqueue".to_owned(), "1".to_owned())));
}

#[tokio::test]
async fn processed_sent_and_queued_are_success() {
    for code in [100, 101, 102] {
        for status in [200, 201] {
            answered(status, &recipient(code)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_refused_recipient_is_a_failure_whatever_the_http_status() {
    for (code, name) in
        [(403, "InvalidPhoneNumber"), (406, "UserInBlacklist"), (409, "DoNotDisturbRejection")]
    {
        let said = permanent(answered(201, &recipient(code)).await);
        assert_eq!(said, format!("Africa's Talking refuses the message ({code} {name})"));
    }
    for (code, name) in [(402, "InvalidSenderId"), (405, "InsufficientBalance")] {
        assert!(configuration(answered(201, &recipient(code)).await).contains(name));
    }
    for code in [500, 501] {
        temporary(answered(201, &recipient(code)).await);
    }
    // Their own judgement of the number: another provider may see it otherwise.
    for code in [401, 404, 407, 502, 103, 999] {
        unreachable(answered(201, &recipient(code)).await);
    }
}

#[tokio::test]
async fn no_recipient_is_a_failure_explained_by_the_message() {
    configuration(answered(201, &nobody_because("InvalidSenderId")).await);
    configuration(answered(201, &nobody_because("Insufficient Balance")).await);
    permanent(answered(201, &nobody_because("Invalid Phone Number")).await);
    let said = unreachable(answered(201, &nobody_because("Sent to 0/1 Total Cost: 0")).await);
    assert_eq!(said, "Africa's Talking sent the message to no recipient (Sent to ***/*** Total Cost: ***)");
    // Even one that quotes the message, the number and the key.
    let quoting = format!("No route for {TEXT} to +254712345678 hunter2-key");
    unreachable(answered(201, &nobody_because(&quoting)).await);
}

#[tokio::test]
async fn a_wrong_key_is_the_operators_trouble() {
    let said = configuration(answered(401, "The supplied authentication is invalid").await);
    assert!(said.contains("check africas_talking.username and africas_talking.api_key"), "{said}");
    for status in [400, 404, 405, 415] {
        configuration(answered(status, "no").await);
    }
}

#[tokio::test]
async fn a_provider_in_trouble_is_asked_again_later() {
    for status in [408, 429, 500, 502, 503, 504] {
        temporary(answered(status, "<html>try later</html>").await);
    }
    for broken in [
        "",
        "<html>Welcome to the hotel</html>",
        "{}",
        "[]",
        r#"{"SMSMessageData":{"Recipients":[{}]}}"#,
        &SENT[..99],
    ] {
        temporary(answered(200, broken).await);
    }
    temporary(answered(201, &recipient("101 apples")).await);
    let stub = Stub::start(Behaviour::HangUp).await;
    temporary(send(&at(&stub.url)).await);
    stub.behave(Behaviour::Flood);
    temporary(send(&at(&stub.url)).await);
    let said = temporary(send(&at(&nobody().await)).await);
    assert!(said.starts_with("Africa's Talking cannot be reached ("), "{said}");
}

#[tokio::test]
async fn a_silent_provider_is_given_up_after_the_configured_time() {
    for behaviour in [Behaviour::Silence, Behaviour::Stall] {
        let stub = Stub::start(behaviour).await;
        let said = temporary(send(&with(&stub.url, json!({"timeout_seconds": 1}))).await);
        assert_eq!(said, "Africa's Talking did not answer within 1 s");
        stub.asked_once();
    }
}

#[tokio::test]
async fn a_redirect_gets_neither_the_key_nor_the_message() {
    let elsewhere = Stub::answering(201, SENT).await;
    let stub = Stub::start(Behaviour::Redirect(elsewhere.url.clone())).await;
    configuration(send(&at(&stub.url)).await);
    assert!(elsewhere.asked().is_empty());
}
