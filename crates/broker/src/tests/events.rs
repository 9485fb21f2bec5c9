//! The stream of account changes, its ends and its faults.

use uuid::Uuid;

use super::*;
use crate::testing::{Endpoint, Fault};
use crate::{AccountStatus, Broker, BrokerError, EventStream, Events, TookEffect, Trouble};

const GARBAGE: BrokerError = BrokerError::Unreadable { took_effect: TookEffect::No };

fn over(trouble: Trouble) -> BrokerError {
    BrokerError::Unavailable { trouble, took_effect: TookEffect::No, retry_after: None }
}

async fn opened(alpaca: &Alpaca) -> Uuid {
    alpaca.open(&application("a@example.com")).await.unwrap().id
}

/// The next status told, with its place in the stream.
async fn status(stream: &mut EventStream) -> (AccountStatus, String) {
    let event = stream.next().await.unwrap().unwrap();
    (event.to.unwrap(), event.ulid.unwrap())
}

#[tokio::test]
async fn changes_arrive_as_they_happen_and_nothing_is_lost_between_two_streams() {
    let (stub, alpaca, _) = stub().await;
    let mut stream = alpaca.events(None).await.unwrap();
    let id = opened(&alpaca).await;
    let (submitted, last) = status(&mut stream).await;
    assert_eq!(submitted, AccountStatus::Submitted);
    stub.end_streams();
    assert_eq!(stream.next().await, Ok(None));

    stub.set_status(id, "APPROVED");
    let mut stream = alpaca.events(Some(&last)).await.unwrap();
    stub.set_status(id, "ACTIVE");
    assert_eq!(status(&mut stream).await.0, AccountStatus::Approved);
    let (active, _) = status(&mut stream).await;
    assert_eq!(active, AccountStatus::Active);
    assert_eq!(stub.seen().last().unwrap().query, [("since_ulid".to_owned(), last)]);
}

#[tokio::test]
async fn a_message_that_is_no_event_does_not_end_the_stream() {
    let (stub, alpaca, _) = stub().await;
    let id = opened(&alpaca).await;
    let mut stream = alpaca.events(None).await.unwrap();
    stub.say("data: {\"account_id\": 7}\n\n: heartbeat\n\ndata: {broken\n\n");
    stub.set_status(id, "ACTIVE");
    assert_eq!(stream.next().await, Err(GARBAGE));
    assert_eq!(stream.next().await, Err(GARBAGE));
    assert_eq!(status(&mut stream).await.0, AccountStatus::Active);
}

#[tokio::test]
async fn an_event_in_pieces_is_one_event() {
    let (stub, alpaca, _) = stub().await;
    let mut stream = alpaca.events(None).await.unwrap();
    stub.say("da");
    stub.say("ta: {\"account_id\":\"b9b19618-22dd-4e80-8432-fc9e1ba0b27d\",\r\n");
    stub.say("data: \"status_to\":\"ACTIVE\",\"event_ulid\":\"01\"}\r\n\r");
    stub.say("\n");
    assert_eq!(status(&mut stream).await, (AccountStatus::Active, "01".to_owned()));
}

#[tokio::test]
async fn a_reader_too_slow_is_told_to_begin_again() {
    let (stub, alpaca, _) = stub().await;
    let mut stream = alpaca.events(None).await.unwrap();
    stub.say(": you are reading too slowly, dropped 10000 messages\n\n");
    assert_eq!(stream.next().await, Err(over(Trouble::EventsLost)));
}

#[tokio::test]
async fn a_stream_that_breaks_or_falls_silent_is_over() {
    let (stub, _, _) = stub().await;
    let (alpaca, _) = client(&AlpacaConfig { event_timeout: Duration::from_millis(200), ..stub.config() });
    let mut silent = alpaca.events(None).await.unwrap();
    assert_eq!(silent.next().await, Err(over(Trouble::Timeout)));

    let mut broken = alpaca.events(None).await.unwrap();
    drop(stub);
    assert_eq!(broken.next().await, Err(over(Trouble::Broken)));
}

#[tokio::test]
async fn what_is_no_stream_is_refused_at_once() {
    let (stub, _, _) = stub().await;
    let (alpaca, notes) = client(&AlpacaConfig { timeout: Duration::from_millis(300), ..stub.config() });
    stub.fail_next(Endpoint::Events, Fault::answer(200, "text/html", "<html>data: x\n\n"));
    assert_eq!(alpaca.events(None).await.map(|_| ()), Err(GARBAGE));
    stub.fail_next(Endpoint::Events, Fault::hang());
    assert_eq!(alpaca.events(None).await.map(|_| ()), Err(over(Trouble::Timeout)));
    stub.fail_next(Endpoint::Events, Fault::close());
    assert_eq!(alpaca.events(None).await.map(|_| ()), Err(over(Trouble::Broken)));
    assert_eq!(notes.seconds(), [] as [u64; 0]);
    stub.fail_next(Endpoint::Events, Fault::status(504));
    assert!(alpaca.events(None).await.is_ok());
    assert_eq!(notes.seconds(), [3]);
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_no_event() {
    let (stub, alpaca, _) = stub().await;
    let id = opened(&alpaca).await;
    let mut events = Broker::Alpaca(alpaca).events(None).await.unwrap();
    assert!(matches!(events, Events::Stream(_)));
    for status in ["APPROVED", "ACTIVE"] {
        // Looked at once, as a select does, and dropped.
        assert!(events.next().now_or_never().is_none());
        stub.set_status(id, status);
        assert_eq!(events.next().await.unwrap().unwrap().to.unwrap().as_str(), status);
    }
}
