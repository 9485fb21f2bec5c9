//! Text messages handed to providers over real HTTP: stubs on loopback, which fail in every way a provider
//! can.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of tests fail as tests do"
)]

mod africas_talking;
mod encrypted;
mod fail_over;
mod stub;
mod twilio;
mod webhook;

use tidegate_delivery::sms::{Accepted, SmsConfig};
use tidegate_delivery::{OutgoingSms, SmsError, SmsProviders};
use tidegate_domain::{PhoneNumber, Secret, Timestamp};

const TEXT: &str = "493027 is your Riven code & it's yours: share it with nobody.";
const NOW: Timestamp = Timestamp::from_seconds(1_700_000_042);

fn sms() -> OutgoingSms {
    OutgoingSms {
        to: PhoneNumber::from_stored("+254712345678".to_owned()),
        idempotency_key: "0190c7a2-0000-7000-8000-000000000001".to_owned(),
        text: Secret::new(TEXT),
        date: Timestamp::from_seconds(1_700_000_000),
    }
}

fn providers(config: serde_json::Value) -> SmsProviders {
    let config: SmsConfig = serde_json::from_value(config).unwrap();
    SmsProviders::from_config(&config).unwrap()
}

/// Sends the one message; whatever comes of it tells nobody what it says or to whom.
async fn send(providers: &SmsProviders) -> Result<Accepted, SmsError> {
    let result = providers.deliver(&sms(), NOW).await;
    assert_tells_nothing(&format!("{result:?} {:?} {providers:?}", sms()));
    if let Err(error) = &result {
        assert_tells_nothing(&error.to_string());
    }
    result
}

fn assert_tells_nothing(shown: &str) {
    for secret in ["493027", "is your Riven code", "712345678", "2547123", "hunter2"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}

fn temporary(result: Result<Accepted, SmsError>) -> String {
    match result {
        Err(SmsError::Temporary(message)) => message,
        other => panic!("not temporary: {other:?}"),
    }
}

fn unreachable(result: Result<Accepted, SmsError>) -> String {
    match result {
        Err(SmsError::Unreachable(message)) => message,
        other => panic!("not unreachable: {other:?}"),
    }
}

fn permanent(result: Result<Accepted, SmsError>) -> String {
    match result {
        Err(SmsError::Permanent(message)) => message,
        other => panic!("not permanent: {other:?}"),
    }
}

fn configuration(result: Result<Accepted, SmsError>) -> String {
    match result {
        Err(SmsError::Configuration(message)) => message,
        other => panic!("not configuration: {other:?}"),
    }
}
