//! Several providers, tried in order.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tidegate_delivery::sms::SmsProviderKind;
use tidegate_delivery::{SendError, SmsError, SmsProvider, SmsProviders};

use crate::stub::{Behaviour, Stub};
use crate::{assert_tells_nothing, configuration, permanent, providers, send, temporary, unreachable};

/// Africa's Talking first, then Twilio, then a gateway, each answering with a status and body.
struct Three([Stub; 3]);

impl Three {
    async fn answering(first: (u16, &str), second: (u16, &str), third: (u16, &str)) -> Self {
        Self([
            Stub::answering(first.0, first.1).await,
            Stub::answering(second.0, second.1).await,
            Stub::answering(third.0, third.1).await,
        ])
    }

    fn providers(&self) -> SmsProviders {
        let [first, second, third] = &self.0;
        providers(json!({
            "order": ["africas_talking", "twilio", "webhook"],
            "africas_talking": {"username": "riven", "api_key": "hunter2", "base_url": first.url},
            "twilio": {"account_sid": "AC01", "auth_token": "hunter2", "from": "RIVEN", "base_url": second.url},
            "webhook": {"url": third.url, "secret": "hunter2-hunter2-hunter2"},
        }))
    }

    /// How often each was asked.
    fn asked(&self) -> [usize; 3] {
        self.0.each_ref().map(|stub| stub.asked().len())
    }
}

const TAKEN: (u16, &str) = (200, "");
const DOWN: (u16, &str) = (503, "");
const MISCONFIGURED: (u16, &str) = (401, "");
const NO_SUCH_NUMBER: (u16, &str) = (400, r#"{"code":21211,"message":"+254712345678","status":400}"#);
const NO_ROUTE: (u16, &str) = (201, r#"{"SMSMessageData":{"Message":"","Recipients":[{"statusCode":407}]}}"#);

#[tokio::test]
async fn the_next_provider_is_asked_when_one_is_down_misconfigured_or_out_of_reach() {
    for first in [DOWN, MISCONFIGURED, NO_ROUTE, (200, "<html>"), (500, "")] {
        let three = Three::answering(first, DOWN, TAKEN).await;
        let accepted = send(&three.providers()).await.unwrap();
        assert_eq!(accepted.provider, SmsProviderKind::Webhook);
        assert_eq!(three.asked(), [1, 1, 1]);
    }
    let three = Three::answering(DOWN, DOWN, TAKEN).await;
    three.0[0].behave(Behaviour::HangUp);
    send(&three.providers()).await.unwrap();
}

#[tokio::test]
async fn the_first_that_takes_the_message_is_the_last_that_is_asked() {
    let three = Three::answering(DOWN, (201, r#"{"sid":"SM1"}"#), TAKEN).await;
    let accepted = send(&three.providers()).await.unwrap();
    assert_eq!((accepted.provider, accepted.message_id.as_deref()), (SmsProviderKind::Twilio, Some("SM1")));
    assert_eq!(three.asked(), [1, 1, 0]);
}

#[tokio::test]
async fn a_number_refused_for_good_is_offered_to_nobody_else() {
    let three = Three::answering(DOWN, NO_SUCH_NUMBER, TAKEN).await;
    permanent(send(&three.providers()).await);
    assert_eq!(three.asked(), [1, 1, 0]);
}

#[tokio::test]
async fn of_several_failures_the_most_hopeful_is_told() {
    let told = |first, second, third| async move {
        let three = Three::answering(first, second, third).await;
        let result = send(&three.providers()).await;
        assert_eq!(three.asked(), [1, 1, 1]);
        result
    };
    temporary(told(MISCONFIGURED, DOWN, MISCONFIGURED).await);
    temporary(told(DOWN, MISCONFIGURED, MISCONFIGURED).await);
    configuration(told(NO_ROUTE, MISCONFIGURED, MISCONFIGURED).await);
    let no_route = (400, r#"{"code":21612}"#);
    let three = Three::answering(NO_ROUTE, no_route, DOWN).await;
    temporary(send(&three.providers()).await);
    unreachable(
        send(&providers(json!({
            "africas_talking": {"username": "riven", "api_key": "hunter2", "base_url": three.0[0].url},
        })))
        .await,
    );
}

#[tokio::test]
async fn without_a_provider_nothing_is_sent_and_in_the_outbox_everything_stays() {
    configuration(send(&SmsProviders::new(Vec::new())).await);
    let accepted = send(&SmsProviders::new(vec![SmsProvider::Outbox])).await.unwrap();
    assert_eq!((accepted.provider, accepted.message_id), (SmsProviderKind::Outbox, None));
}

#[test]
fn the_outbox_worker_reads_these_errors_as_it_reads_those_of_mail() {
    let text = || "x".to_owned();
    for error in [SmsError::Temporary(text()), SmsError::Configuration(text())] {
        assert_eq!(SendError::from(error), SendError::Transient(text()));
    }
    for error in [SmsError::Permanent(text()), SmsError::Unreachable(text())] {
        assert_eq!(SendError::from(error), SendError::Permanent(text()));
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_provider_and_trouble_and_nothing_of_the_message() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let quoting = format!(
        r#"{{"SMSMessageData":{{"Message":"no route for {} to +254712345678","Recipients":[]}}}}"#,
        crate::TEXT
    );
    let three = Three::answering((201, &quoting), MISCONFIGURED, DOWN).await;
    temporary(send(&three.providers()).await);
    drop(guard);

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_tells_nothing(&log);
    let line = |level: &str, provider: &str| {
        log.lines().any(|line| line.contains(level) && line.contains(&format!("provider=\"{provider}\"")))
    };
    assert!(line("WARN", "africas_talking") && line("ERROR", "twilio") && line("WARN", "webhook"), "{log}");
    assert!(log.contains("0190c7a2-0000-7000-8000-000000000001"), "{log}");
}
