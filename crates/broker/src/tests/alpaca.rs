//! An account at Alpaca, as long as nothing goes wrong.

use serde_json::{Value, json};
use tidegate_domain::Secret;
use uuid::Uuid;

use super::*;
use crate::testing::Endpoint;
use crate::{AccountStatus, AlpacaSecret, BrokerError, LocalStatus};

#[tokio::test]
async fn a_trader_is_known_to_the_broker_from_application_to_first_cash() {
    let (stub, alpaca, notes) = stub().await;
    let opened = alpaca.open(&application("Wanjiru@Example.com")).await.unwrap();
    assert_eq!(opened.status, AccountStatus::Submitted);
    assert_eq!(opened.status.local(), LocalStatus::New);

    let asked = stub.seen().pop().unwrap().body.unwrap();
    assert_eq!(asked["identity"]["tax_id"], TAX_ID);
    assert_eq!(asked["contact"]["street_address"], json!(["20 Moi Avenue"]));
    assert_eq!(asked["documents"][0]["content"], PASSPORT);
    assert!(asked["contact"].get("unit").is_none(), "nulls are left out");

    alpaca.upload(opened.id, &[passport(), w8ben()]).await.unwrap();
    let uploads = stub.uploads(opened.id);
    assert_eq!(uploads.len(), 1);
    assert_eq!(uploads[0][1]["content_data"]["full_name"], "Wanjiru Kamau");
    assert_eq!(uploads[0][1].get("content"), None);

    stub.set_status(opened.id, "ACTIVE");
    let account = alpaca.account(opened.id).await.unwrap();
    assert_eq!(account.status, AccountStatus::Active);
    assert_eq!(account.profile()["identity"]["given_name"], "Wanjiru");
    let money = alpaca.trading(opened.id).await.unwrap();
    assert_eq!(money.buying_power.unwrap().as_str(), "300.5");
    assert_eq!(notes.seconds(), [] as [u64; 0]);
}

#[tokio::test]
async fn an_account_is_found_by_exactly_its_address() {
    let (_stub, alpaca, _) = stub().await;
    alpaca.open(&application("ann+1@example.com")).await.unwrap();
    let joann = alpaca.open(&application("joann+1@example.com")).await.unwrap();
    let ann = alpaca.find_by_email(" Ann+1@Example.com").await.unwrap();
    assert_eq!(ann.len(), 1, "the broker also finds joann");
    assert_ne!(ann[0].id, joann.id);
    assert_eq!(alpaca.find_by_email("nobody@example.com").await.unwrap(), []);
}

#[tokio::test]
async fn one_address_opens_one_account() {
    let (stub, alpaca, _) = stub().await;
    alpaca.open(&application("wanjiru@example.com")).await.unwrap();
    let again = alpaca.open(&application("Wanjiru@example.com")).await.unwrap_err();
    assert_eq!(again, BrokerError::EmailTaken);
    assert!(!again.may_have_taken_effect());
    assert_eq!(stub.accounts().len(), 1);
}

#[tokio::test]
async fn what_the_broker_finds_wrong_reaches_the_applicant_with_its_field() {
    let (_stub, alpaca, _) = stub().await;
    let mut nameless = application("wanjiru@example.com");
    nameless.identity.given_name.clear();
    let Err(BrokerError::Invalid(refusal)) = alpaca.open(&nameless).await else { panic!("it was accepted") };
    assert_eq!(refusal.field(), Some("identity.given_name"));
    assert_eq!(refusal.message(), "identity.given_name is required");
    assert_eq!(refusal.code(), Some(42_210_000));
}

#[tokio::test]
async fn an_account_nobody_opened_is_not_found() {
    let (_stub, alpaca, _) = stub().await;
    let id = Uuid::from_u128(7);
    assert_eq!(alpaca.account(id).await, Err(BrokerError::NotFound));
    assert_eq!(alpaca.upload(id, &[passport()]).await, Err(BrokerError::NotFound));
    assert_eq!(alpaca.trading(id).await, Err(BrokerError::NotFound));
}

#[tokio::test]
async fn wrong_credentials_are_the_operators_trouble() {
    let (stub, _, _) = stub().await;
    let config = AlpacaConfig { secret: AlpacaSecret(Secret::new("wrong")), ..stub.config() };
    let (alpaca, notes) = client(&config);
    assert_eq!(alpaca.open(&application("a@example.com")).await, Err(BrokerError::Unauthorized));
    assert_eq!(alpaca.account(Uuid::nil()).await, Err(BrokerError::Unauthorized));
    assert_eq!(alpaca.events(None).await.map(|_| ()), Err(BrokerError::Unauthorized));
    assert_eq!(notes.seconds(), [] as [u64; 0]);
}

#[tokio::test]
async fn accounts_are_understood_in_the_form_of_2021_and_with_statuses_of_tomorrow() {
    let (stub, alpaca, _) = stub().await;
    stub.wrap_accounts();
    let opened = alpaca.open(&application("wanjiru@example.com")).await.unwrap();
    stub.set_field(opened.id, "status", "FROZEN_IN_TIME".into());
    stub.set_field(opened.id, "last_equity", json!(12.5));
    stub.set_field(opened.id, "identity", json!({"tax_id": TAX_ID, "given_name": "W"}));
    let account = alpaca.account(opened.id).await.unwrap();
    assert_eq!(account.status.as_str(), "FROZEN_IN_TIME");
    assert_eq!(account.last_equity.as_ref().unwrap().as_str(), "12.5");
    assert!(!Value::Object(account.into_profile()).to_string().contains(TAX_ID));
}

#[tokio::test]
async fn a_base_address_may_have_a_path() {
    let (stub, _, _) = stub().await;
    let config = AlpacaConfig { base_url: Some(format!("{}/proxy/", stub.base_url())), ..stub.config() };
    let (alpaca, _) = client(&config);
    // The stub knows nothing there: for a call about no account in particular that is an operator's mistake.
    let refused = alpaca.open(&application("a@example.com")).await.unwrap_err();
    assert!(matches!(refused, BrokerError::Unreadable { .. }), "{refused:?}");
    assert_eq!(stub.seen()[0].line, "POST /proxy/v1/accounts");
    assert_eq!(stub.count(Endpoint::Open), 0);
}
