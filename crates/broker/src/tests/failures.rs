//! Every way in which the broker can fail, and what the caller may conclude.

use uuid::Uuid;

use super::*;
use crate::testing::{Endpoint, Fault};
use crate::{BrokerError, TookEffect, Trouble};

const JSON: &str = "application/json";

fn unavailable(trouble: Trouble, took_effect: TookEffect, seconds: Option<u64>) -> BrokerError {
    BrokerError::Unavailable { trouble, took_effect, retry_after: seconds.map(Duration::from_secs) }
}

#[tokio::test]
async fn refusals_are_understood_whatever_form_they_have() {
    let (stub, alpaca, notes) = stub().await;
    let bodies: &[(u16, &str, &str, &str)] = &[
        (422, JSON, r#"{"code":42210000,"message":"city is odd"}"#, "city is odd"),
        (400, JSON, r#"{"message":"request body format is invalid"}"#, "request body format is invalid"),
        (400, JSON, r#""a bare string""#, "a bare string"),
        (422, "text/html", r#"{"message":"wrong content type"}"#, "wrong content type"),
        (422, "text/html", "<html>no</html>", "The broker refused the request without saying why."),
        (422, JSON, r#"{"code":422100"#, "The broker refused the request without saying why."),
        (400, JSON, "", "The broker refused the request without saying why."),
        (422, JSON, r#"{"message":"tax_id A-0123-9876 / A01239876"}"#, "tax_id [hidden] / [hidden]"),
    ];
    for (status, content_type, body, message) in bodies {
        stub.fail_next(Endpoint::Open, Fault::answer(*status, content_type, *body));
        let error = alpaca.open(&application("a@example.com")).await.unwrap_err();
        let BrokerError::Invalid(refusal) = &error else { panic!("{status} {body}: {error:?}") };
        assert_eq!(refusal.message(), *message);
        assert!(!error.may_have_taken_effect());
    }
    let nobody = BrokerError::Unauthorized;
    for (status, body, expected) in [
        (401, r#"{"message":"unauthorized"}"#, nobody.clone()),
        (401, "garbage", nobody.clone()),
        (403, r#""forbidden""#, nobody),
        (409, "garbage", BrokerError::EmailTaken),
        (404, "{}", BrokerError::Unreadable { took_effect: TookEffect::No }),
        (418, "{}", BrokerError::Unreadable { took_effect: TookEffect::No }),
    ] {
        stub.fail_next(Endpoint::Open, Fault::answer(status, JSON, body));
        assert_eq!(alpaca.open(&application("a@example.com")).await, Err(expected), "{status} {body}");
    }
    assert_eq!(notes.seconds(), [] as [u64; 0]);
    assert_eq!(stub.accounts().len(), 0);
}

#[tokio::test]
async fn a_refusal_that_breaks_off_is_still_a_refusal() {
    let (stub, alpaca, _) = stub().await;
    let mut nameless = application("a@example.com");
    nameless.identity.given_name.clear();
    stub.fail_next(Endpoint::Open, Fault::break_off());
    let error = alpaca.open(&nameless).await.unwrap_err();
    assert!(matches!(error, BrokerError::Invalid(_)), "{error:?}");
}

#[tokio::test]
async fn a_yes_that_cannot_be_read_may_have_opened_the_account() {
    let (stub, alpaca, _) = stub().await;
    let id = Uuid::from_u128(1);
    let bodies = [
        "",
        "null",
        "[]",
        "<html>",
        "{\"id\":",
        "{\"id\":7,\"status\":\"ACTIVE\"}",
        "{\"account\":[]}",
        "{\"id\":\"b9b19618-22dd-4e80-8432-fc9e1ba0b27d\"}",
    ];
    for body in bodies {
        stub.fail_next(Endpoint::Open, Fault::answer(200, JSON, body));
        let error = alpaca.open(&application("a@example.com")).await.unwrap_err();
        assert_eq!(error, BrokerError::Unreadable { took_effect: TookEffect::Maybe }, "{body}");

        let nothing_done = BrokerError::Unreadable { took_effect: TookEffect::No };
        stub.fail_next(Endpoint::Account, Fault::answer(200, JSON, body));
        assert_eq!(alpaca.account(id).await, Err(nothing_done.clone()), "{body}");
        stub.fail_next(Endpoint::Trading, Fault::answer(200, JSON, body));
        assert_eq!(alpaca.trading(id).await, Err(nothing_done.clone()), "{body}");
        // An account that cannot be read may be the one: "none" would have it opened twice.
        let list = if body == "[]" { "[[]]" } else { body };
        stub.fail_next(Endpoint::Find, Fault::answer(200, JSON, list));
        assert_eq!(alpaca.find_by_email("a@example.com").await, Err(nothing_done), "{list}");
    }
    stub.fail_next(Endpoint::Account, Fault::answer(200, JSON, vec![b' '; 17 * 1024 * 1024]));
    let endless = alpaca.account(id).await.unwrap_err();
    assert_eq!(endless, BrokerError::Unreadable { took_effect: TookEffect::No });
}

#[tokio::test]
async fn a_good_answer_of_the_wrong_content_type_is_good() {
    let (stub, alpaca, _) = stub().await;
    let body = r#"{"id":"b9b19618-22dd-4e80-8432-fc9e1ba0b27d","status":"ACTIVE"}"#;
    stub.fail_next(Endpoint::Account, Fault::answer(200, "text/html", body));
    assert!(alpaca.account(Uuid::nil()).await.is_ok());
}

#[tokio::test]
async fn the_rate_limit_is_waited_out_as_long_as_the_broker_says() {
    let (stub, alpaca, notes) = stub().await;
    stub.fail_next(Endpoint::Open, Fault::status(429).with_header("x-ratelimit-reset", NOW + 7));
    stub.fail_next(Endpoint::Open, Fault::status(429).with_header("retry-after", 2));
    alpaca.open(&application("a@example.com")).await.unwrap();
    assert_eq!(notes.seconds(), [7, 2]);
    assert_eq!((stub.count(Endpoint::Open), stub.accounts().len()), (3, 1));

    for _ in 0..3 {
        stub.fail_next(Endpoint::Account, Fault::status(429));
    }
    let error = alpaca.account(Uuid::nil()).await.unwrap_err();
    assert_eq!(error, unavailable(Trouble::RateLimited, TookEffect::No, None));
    assert_eq!(notes.seconds(), [7, 2, 3, 3]);
}

#[tokio::test]
async fn a_long_wait_is_left_to_the_caller() {
    let (stub, alpaca, notes) = stub().await;
    stub.fail_next(Endpoint::Open, Fault::status(429).with_header("retry-after", 3_600));
    let error = alpaca.open(&application("a@example.com")).await.unwrap_err();
    assert_eq!(error, unavailable(Trouble::RateLimited, TookEffect::No, Some(3_600)));
    assert!(!error.may_have_taken_effect());
    assert_eq!(notes.seconds(), [] as [u64; 0]);
}

#[tokio::test]
async fn a_gateway_that_gives_up_is_asked_again_for_what_only_reads() {
    let (stub, alpaca, notes) = stub().await;
    let id = alpaca.open(&application("a@example.com")).await.unwrap().id;
    stub.fail_next(Endpoint::Account, Fault::status(504).with_header("x-ratelimit-reset", NOW + 9));
    stub.fail_next(Endpoint::Account, Fault::status(504));
    assert_eq!(alpaca.account(id).await.unwrap().id, id);
    assert_eq!(notes.seconds(), [3, 3], "the reset time of the rate limit is none of its business");

    stub.fail_next(Endpoint::Account, Fault::status(503).with_header("retry-after", 5));
    let error = alpaca.account(id).await.unwrap_err();
    assert_eq!(error, unavailable(Trouble::Status(503), TookEffect::No, Some(5)));
}

#[tokio::test]
async fn an_opening_is_never_repeated_blindly() {
    let (stub, _, notes) = stub().await;
    let impatient = AlpacaConfig { timeout: Duration::from_millis(300), ..stub.config() };
    let faults = [
        (Fault::status(500), Trouble::Status(500)),
        (Fault::status(502), Trouble::Status(502)),
        (Fault::status(503), Trouble::Status(503)),
        (Fault::status(504), Trouble::Status(504)),
        (Fault::close(), Trouble::Broken),
        (Fault::hang(), Trouble::Timeout),
        (Fault::break_off(), Trouble::Broken),
    ];
    for (number, (fault, trouble)) in faults.into_iter().enumerate() {
        let (alpaca, _) = client(&impatient);
        let email = format!("trader{number}@example.com");
        // The opening goes over a connection used before, where an HTTP client is most tempted to try again.
        assert_eq!(alpaca.find_by_email(&email).await.unwrap(), []);
        stub.fail_next(Endpoint::Open, fault.clone().after_doing_it());
        let error = alpaca.open(&application(&email)).await.unwrap_err();
        assert_eq!(error, unavailable(trouble, TookEffect::Maybe, None), "{fault:?}");
        assert!(error.may_have_taken_effect());
        assert_eq!(stub.count(Endpoint::Open), number * 2 + 1, "{fault:?}");

        // It was carried out, and this is how the caller finds out. Opening once more says so too.
        let (alpaca, _) = client(&stub.config());
        assert_eq!(alpaca.find_by_email(&email).await.unwrap().len(), 1, "{fault:?}");
        assert_eq!(alpaca.open(&application(&email)).await, Err(BrokerError::EmailTaken));
    }
    assert_eq!(notes.seconds(), [] as [u64; 0]);
}

#[tokio::test]
async fn an_upload_is_repeated_only_when_it_was_turned_away() {
    let (stub, alpaca, notes) = stub().await;
    let id = alpaca.open(&application("a@example.com")).await.unwrap().id;
    stub.fail_next(Endpoint::Upload, Fault::status(429));
    alpaca.upload(id, &[passport()]).await.unwrap();
    assert_eq!((stub.uploads(id).len(), notes.seconds()), (1, vec![3]));

    stub.fail_next(Endpoint::Upload, Fault::status(504).after_doing_it());
    let error = alpaca.upload(id, &[passport()]).await.unwrap_err();
    assert_eq!(error, unavailable(Trouble::Status(504), TookEffect::Maybe, None));
    assert_eq!(stub.uploads(id).len(), 2);
}

#[tokio::test]
async fn reading_that_fails_had_no_effect() {
    let (stub, _, _) = stub().await;
    let (alpaca, notes) = client(&AlpacaConfig { timeout: Duration::from_millis(300), ..stub.config() });
    for (fault, trouble) in [
        (Fault::close(), Trouble::Broken),
        (Fault::hang(), Trouble::Timeout),
        (Fault::break_off(), Trouble::Broken),
        (Fault::status(500), Trouble::Status(500)),
    ] {
        stub.fail_next(Endpoint::Find, fault.clone());
        let error = alpaca.find_by_email("a@example.com").await.unwrap_err();
        assert_eq!(error, unavailable(trouble, TookEffect::No, None), "{fault:?}");
    }
    assert_eq!(notes.seconds(), [] as [u64; 0]);
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_done() {
    // Bound and closed again: nobody is there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (stub, _, _) = stub().await;
    let (alpaca, _) = client(&AlpacaConfig { base_url: Some(format!("http://{address}")), ..stub.config() });
    let error = alpaca.open(&application("a@example.com")).await.unwrap_err();
    assert_eq!(error, unavailable(Trouble::Connect, TookEffect::No, None));
}

#[tokio::test]
async fn a_redirect_does_not_take_the_tax_number_elsewhere() {
    let (stub, alpaca, _) = stub().await;
    let elsewhere = StubBroker::start().await.unwrap();
    for status in [301, 302, 307, 308] {
        let to = format!("{}/v1/accounts", elsewhere.base_url());
        stub.fail_next(Endpoint::Open, Fault::status(status).with_header("location", to));
        let error = alpaca.open(&application("a@example.com")).await.unwrap_err();
        assert_eq!(error, BrokerError::Unreadable { took_effect: TookEffect::No });
    }
    assert_eq!(elsewhere.seen(), []);
}
