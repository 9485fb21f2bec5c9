//! Stories of both brokers, told against a real server or a real store.

mod alpaca;
mod events;
mod failures;
mod sandbox;
mod secrecy;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, json};
use tidegate_domain::{Clock, Secret, Timestamp};

use crate::testing::StubBroker;
use crate::{
    Agreement, Alpaca, AlpacaConfig, Application, Contact, Disclosures, Document, DocumentContent, Identity,
    Wait,
};

/// A clock whose hands are moved by hand.
#[derive(Default)]
struct Hands(AtomicI64);

impl Hands {
    fn at(seconds: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(Timestamp::from_seconds(seconds).micros())))
    }

    fn advance(&self, seconds: u64) {
        let by = i64::try_from(Duration::from_secs(seconds).as_micros()).unwrap();
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

const NOW: i64 = 1_770_000_000;

/// Notes how long it was asked to wait, and does not.
#[derive(Default)]
struct Notes(Mutex<Vec<u64>>);

impl Notes {
    fn seconds(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

impl Wait for Notes {
    fn wait(&self, delay: Duration) -> BoxFuture<'_, ()> {
        self.0.lock().unwrap().push(delay.as_secs());
        std::future::ready(()).boxed()
    }
}

async fn stub() -> (StubBroker, Alpaca, Arc<Notes>) {
    let stub = StubBroker::start().await.unwrap();
    let (alpaca, notes) = client(&stub.config());
    (stub, alpaca, notes)
}

fn client(config: &AlpacaConfig) -> (Alpaca, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let alpaca = Alpaca::new(config, Hands::at(NOW)).unwrap().with_wait(notes.clone());
    (alpaca, notes)
}

const TAX_ID: &str = "A-0123-9876";
const PASSPORT: &str = "JVBERi0xLjcgcGxhbnRlZA==";

fn application(email: &str) -> Application {
    Application {
        contact: Contact {
            email_address: email.to_owned(),
            phone_number: "+254711222333".to_owned(),
            street_address: vec!["20 Moi Avenue".to_owned()],
            city: "Nairobi".to_owned(),
            country: Some("KEN".to_owned()),
            ..Contact::default()
        },
        identity: Identity {
            given_name: "Wanjiru".to_owned(),
            family_name: "Kamau".to_owned(),
            date_of_birth: "1980-01-01".to_owned(),
            tax_id: Some(Secret::new(TAX_ID)),
            tax_id_type: Some("NOT_SPECIFIED".to_owned()),
            country_of_tax_residence: "KEN".to_owned(),
            funding_source: vec!["employment_income".to_owned()],
            ..Identity::default()
        },
        disclosures: Disclosures::default(),
        agreements: vec![Agreement {
            agreement: "customer_agreement".to_owned(),
            signed_at: "2026-01-01T10:00:00Z".to_owned(),
            ip_address: "203.0.113.7".to_owned(),
            revision: None,
        }],
        documents: vec![passport()],
        trusted_contact: None,
        additional_information: None,
        others: Map::new(),
    }
}

fn passport() -> Document {
    Document {
        document_type: "identity_verification".to_owned(),
        document_sub_type: Some("passport".to_owned()),
        content: DocumentContent::File(Secret::new(PASSPORT)),
        mime_type: "application/pdf".to_owned(),
    }
}

fn w8ben() -> Document {
    let fields = json!({"full_name": "Wanjiru Kamau", "foreign_tax_id": TAX_ID});
    Document {
        document_type: "w8ben".to_owned(),
        document_sub_type: None,
        content: DocumentContent::Form(fields.as_object().unwrap().clone()),
        mime_type: "application/json".to_owned(),
    }
}
