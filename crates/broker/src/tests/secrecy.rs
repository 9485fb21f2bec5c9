//! Nothing about a person and no credential reaches a log, an error or `Debug`.

use std::io;

use uuid::Uuid;

use super::*;
use crate::sandbox::{MemorySandboxStore, SandboxConfig};
use crate::testing::{Endpoint, Fault};
use crate::{Broker, Sandbox};

/// Takes the log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const PLANTED: &[&str] = &[
    TAX_ID,
    "A01239876",
    PASSPORT,
    "wanjiru",
    "Wanjiru",
    "Kamau",
    "254711222333",
    "Moi Avenue",
    "Nairobi",
    "1980-01-01",
    "203.0.113.7",
    StubBroker::SECRET,
    StubBroker::KEY,
    "Q0tTVFVC",
];

fn assert_clean(text: &str) {
    for planted in PLANTED {
        assert!(!text.contains(planted), "{planted} in {text}");
    }
}

#[tokio::test]
async fn whatever_happens_nothing_personal_is_logged_or_shown() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let (stub, alpaca, _) = stub().await;
    let email = "wanjiru@example.com";
    let application = application(email);
    let mut shown = format!("{alpaca:?} {stub:?} {:?} {application:?} {:?}", stub.config(), w8ben());
    shown += &format!("{:?} {:?} {:?}", application.contact, application.identity, application.agreements);

    let quoting = serde_json::json!({
        "code": 1, "message": format!("{email} {TAX_ID} Wanjiru Kamau +254711222333 {}", StubBroker::SECRET),
    });
    let faults = || {
        [400, 401, 403, 404, 409, 422, 429, 500, 504]
            .map(|status| Fault::answer(status, "application/json", quoting.to_string()))
            .into_iter()
            .chain([Fault::close(), Fault::break_off(), Fault::answer(200, "text/html", quoting.to_string())])
    };
    let id = Uuid::from_u128(1);
    for fault in faults() {
        // Another test may be the first to come by a log line just now, and settle that nobody listens.
        tracing::callsite::rebuild_interest_cache();
        for endpoint in
            [Endpoint::Open, Endpoint::Upload, Endpoint::Find, Endpoint::Account, Endpoint::Events]
        {
            for _ in 0..3 {
                stub.fail_next(endpoint, fault.clone());
            }
        }
        for _ in 0..3 {
            let errors = [
                alpaca.open(&application).await.err(),
                alpaca.upload(id, &[w8ben(), passport()]).await.err(),
                alpaca.find_by_email(email).await.err(),
                alpaca.account(id).await.err(),
                alpaca.events(None).await.err(),
            ];
            for error in errors.into_iter().flatten() {
                shown += &format!("{error} {error:?} {error:#?}");
            }
        }
    }
    let (stub, alpaca, _) = super::stub().await;
    let mut events = alpaca.events(None).await.unwrap();
    let opened = alpaca.open(&application).await.unwrap();
    let money = alpaca.trading(opened.id).await.unwrap();
    shown += &format!("{opened:?} {opened:#?} {money:?} {:?} {events:?}", events.next().await);
    shown += &format!("{:?}", Broker::Alpaca(alpaca));

    let store = Arc::new(MemorySandboxStore::default());
    let sandbox = Sandbox::new(SandboxConfig::default(), Hands::at(NOW), store.clone());
    let opened = sandbox.open(id, &application).await.unwrap();
    shown += &format!("{opened:?} {:?} {sandbox:?} {store:?}", store.accounts());
    shown += &format!("{:?}", sandbox.open(Uuid::nil(), &application).await);

    drop(stub);
    assert_clean(&shown);
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("a call to the broker failed"), "nothing was logged: {logged}");
    assert_clean(&logged);
}
