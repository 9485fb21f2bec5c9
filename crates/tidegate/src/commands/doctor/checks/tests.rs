use tidegate_broker::testing::{Endpoint, Fault, StubBroker};

use super::super::Verdict::Wrong;
use super::*;

fn configured(text: &str) -> Config {
    serde_json::from_str::<SmsConfig>(text).map(|sms| Config { sms, ..Config::default() }).unwrap()
}

#[test]
fn text_messages_are_judged_without_sending_any() {
    let judged = |config: &Config| {
        let finding = sms(config);
        (finding.verdict, finding.detail)
    };
    let (verdict, detail) = judged(&Config::default());
    assert_eq!(verdict, Warning);
    assert!(detail.starts_with("none: sign-up and sign-in by phone are refused"), "{detail}");
    let dev = Config { dev: true, ..Config::default() };
    assert_eq!(judged(&dev), (Warning, "development: kept in the outbox, not sent".to_owned()));

    let all = r#"{
        "order": ["twilio", "africas_talking"],
        "africas_talking": {"username": "riven", "api_key": "k", "receipt_secret": "0123456789abcdef"},
        "twilio": {"account_sid": "AC1", "auth_token": "t", "from": "RIVEN",
                   "status_callback": "https://id.example.com/sms/receipts/twilio"}
    }"#;
    assert_eq!(judged(&configured(all)), (Fine, "twilio, then africas_talking".to_owned()));
    let doubtful = r#"{
        "africas_talking": {"username": "sandbox", "api_key": "k"},
        "twilio": {"account_sid": "AC1", "auth_token": "t", "from": "RIVEN"},
        "webhook": {"url": "http://sms.example.com/send", "secret": "0123456789abcdef"}
    }"#;
    let (verdict, detail) = judged(&configured(doubtful));
    let about: Vec<&str> = detail.lines().filter_map(|line| line.split(':').next()).collect();
    let expected = [
        "africas_talking, then twilio, then webhook",
        "africas_talking",
        "africas_talking",
        "twilio",
        "webhook",
    ];
    assert_eq!((verdict, about.as_slice()), (Warning, &expected[..]), "{detail}");
}

#[tokio::test]
async fn the_broker_is_asked_whether_it_lets_us_in() {
    let stub = StubBroker::start().await.unwrap();
    let mut config = Config::default();
    config.broker.alpaca = Some(stub.config());
    let finding = broker(&config).await;
    let fine = "Alpaca (sandbox) accepts the credentials";
    assert_eq!((finding.verdict, finding.detail.as_str()), (Fine, fine));
    assert_eq!(stub.count(Endpoint::Find), 1, "nothing else, and once");
    assert!(stub.accounts().is_empty());

    stub.fail_next(Endpoint::Find, Fault::status(401));
    let finding = broker(&config).await;
    assert_eq!(finding.verdict, Wrong);
    assert!(finding.detail.contains("does not accept the configured credentials"), "{finding:?}");
    assert!(finding.detail.contains("check key, secret and environment of [broker.alpaca]"), "{finding:?}");

    // Not tried again: the operator is waiting.
    stub.fail_next(Endpoint::Find, Fault::status(429));
    let finding = broker(&config).await;
    assert_eq!(finding.verdict, Wrong);
    assert!(finding.detail.contains("too many requests"), "{finding:?}");
    assert_eq!(stub.count(Endpoint::Find), 3);

    stub.fail_next(Endpoint::Find, Fault::answer(200, "text/html", "<html>"));
    let finding = broker(&config).await;
    assert_eq!(finding.verdict, Wrong);
    assert!(finding.detail.contains("makes no sense; check broker.alpaca.base_url"), "{finding:?}");

    drop(stub);
    let finding = broker(&config).await;
    assert_eq!(finding.verdict, Wrong);
    assert!(finding.detail.contains("check that this machine reaches it"), "{finding:?}");
    assert!(!format!("{finding:?}").contains(StubBroker::SECRET), "{finding:?}");
}

#[tokio::test]
async fn the_sandbox_is_fine_until_real_people_sign_in() {
    let finding = broker(&Config::default()).await;
    assert_eq!(finding.verdict, Fine);
    assert!(finding.detail.starts_with("embedded sandbox: no real accounts are opened"), "{finding:?}");
    let webhook = r#"{"webhook": {"url": "https://sms.example.com", "secret": "0123456789abcdef"}}"#;
    assert_eq!(broker(&configured(webhook)).await.verdict, Warning);
}

#[test]
fn a_clock_behind_the_database_is_wrong() {
    let key = StoredKey {
        kid: "k".to_owned(),
        algorithm: "ES256".to_owned(),
        sealed: Vec::new(),
        created_at: Timestamp::from_seconds(1_900_000_000).micros(),
        retired_at: None,
        id_tokens_only: false,
    };
    let before = Timestamp::from_seconds(1_800_000_000);
    let finding = clock(before, &[key]);
    assert_eq!(finding.verdict, Wrong);
    assert!(finding.advice.unwrap().contains("If it is right, it was ahead before"));
    assert_eq!(clock(before, &[]).verdict, Fine);
    assert_eq!(clock(Timestamp::default(), &[]).verdict, Wrong);
}

#[test]
fn credentials_that_there_are_none_of_are_not_said_to_be_accepted() {
    let judged = |more: &str| {
        let smtp = format!(r#"{{"host": "mail.example", "from": "no-reply@id.example"{more}}}"#);
        let mut config = Config::default();
        config.mail.smtp = Some(serde_json::from_str(&smtp).unwrap());
        taken(&config)
    };
    let without = judged("");
    assert!(
        without.contains("no credentials are configured: whether it takes mail from no-reply@id.example"),
        "{without}"
    );
    let with = judged(r#", "username": "ada", "password": "hunter2""#);
    assert_eq!(with, "the mail server accepts the credentials");
}

#[test]
fn a_missing_pepper_does_not_hide_how_passwords_are_hashed() {
    let missing = || Some("1 password(s) are hashed with the pepper \"first\"".to_owned());
    let mut config = Config::default();
    config.password_hash.cost = Some(4);
    let finding = password_hash(&config, missing());
    assert_eq!((finding.verdict, finding.advice.as_deref()), (Warning, Some(ADD_IT)));
    let (first, rest) = finding.detail.split_once('\n').unwrap();
    assert!(
        first.ends_with("the pepper \"first\"") && rest.contains(" ms per password: "),
        "{}",
        finding.detail
    );

    config.pepper = serde_json::from_str(r#"{"id": "second", "key": "short"}"#).unwrap();
    let finding = password_hash(&config, missing());
    assert_eq!(finding.verdict, Wrong);
    let advice = finding.advice.unwrap();
    assert!(
        advice.starts_with(ADD_IT) && advice.ends_with("correct password_hash, pepper and previous_peppers"),
        "{advice}"
    );
}
