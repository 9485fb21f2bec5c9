//! How a code gets to a phone: through the first provider that takes it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tidegate_kernel::deliver::OutboxEntry;
use tidegate_testkit::{Engine, Fixture, TestApp, on_both_engines};
use tokio::net::TcpListener;

use super::wire::{ADA, BOB, MINUTE, SECOND};

/// What receipts of Africa's Talking carry.
pub(super) const RECEIPT_SECRET: &str = "c2VjcmV0LXJlY2VpcHRz";
/// What both providers' API keys look like, so that a leak is found.
pub(super) const API_KEY: &str = "hunter2-key-of-a-provider";
/// Africa's Talking's and Twilio's names for the message they take.
pub(super) const NAMES: [&str; 2] = ["ATXid_1", "SM1"];

/// Two providers in one server, each answering as it was told last.
#[derive(Clone, Default)]
pub(super) struct Providers(Arc<Mutex<Shared>>);

#[derive(Default)]
struct Shared {
    answers: [Option<(u16, String)>; 2],
    asked: Vec<(usize, Vec<(String, String)>)>,
}

const AFRICAS_TALKING: usize = 0;
const TWILIO: usize = 1;

impl Providers {
    /// Starts them; answers them and where they are.
    pub(super) async fn start() -> (Self, String) {
        let providers = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(providers.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (providers, url)
    }

    /// From now on answers so; as a provider that takes messages, unless told otherwise.
    fn answer(&self, which: usize, answer: Option<(u16, Value)>) {
        self.0.lock().unwrap().answers[which] = answer.map(|(status, body)| (status, body.to_string()));
    }

    /// From now on both are out of order.
    pub(super) fn all_fail(&self) {
        for which in [AFRICAS_TALKING, TWILIO] {
            self.answer(which, Some((500, json!({}))));
        }
    }

    /// From now on both take messages.
    pub(super) fn recover(&self) {
        for which in [AFRICAS_TALKING, TWILIO] {
            self.answer(which, None);
        }
    }

    /// Who was asked since last time, and with which form.
    fn asked(&self) -> Vec<(usize, Vec<(String, String)>)> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    /// Who was asked since last time.
    fn order(&self) -> Vec<usize> {
        self.asked().into_iter().map(|(which, _)| which).collect()
    }
}

async fn answer(
    State(providers): State<Providers>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let which = if uri.path().starts_with("/version1") { AFRICAS_TALKING } else { TWILIO };
    let form = form(&body);
    let mut shared = providers.0.lock().unwrap();
    let key = if which == AFRICAS_TALKING { "apikey" } else { "authorization" };
    assert!(headers.contains_key(key));
    shared.asked.push((which, form));
    let taken = match which {
        AFRICAS_TALKING => json!({ "SMSMessageData": { "Message": "Sent to 1/1", "Recipients": [
            { "statusCode": 101, "number": ADA, "status": "Success", "cost": "KES 0.8000", "messageId": NAMES[0] },
        ] } }),
        _ => json!({ "sid": NAMES[1], "status": "queued", "error_code": null }),
    };
    let (status, body) = shared.answers[which].clone().unwrap_or((201, taken.to_string()));
    (StatusCode::from_u16(status).unwrap(), body)
}

/// The fields of a form.
fn form(body: &[u8]) -> Vec<(String, String)> {
    let query = format!("http://stub/?{}", String::from_utf8_lossy(body));
    let uri: Uri = query.parse().unwrap();
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// How to talk to both.
pub(super) fn config(url: &str) -> Value {
    json!({
        "africas_talking": {
            "username": "riven", "api_key": API_KEY, "receipt_secret": RECEIPT_SECRET, "base_url": url,
        },
        "twilio": {
            "account_sid": "AC01", "auth_token": "8f2e1c0d", "from": "+15005550006", "base_url": url,
            "api_key_sid": "SK01", "api_key_secret": API_KEY,
            "status_callback": "https://id.example.com/sms/receipts/twilio",
        },
    })
}

/// The application with two providers, Africa's Talking first.
pub(super) struct Texting {
    pub(super) app: TestApp,
    pub(super) providers: Providers,
}

impl Fixture for Texting {
    async fn prepare(engine: Engine) -> Self {
        let (providers, url) = Providers::start().await;
        let app = TestApp::builder(engine).sms(serde_json::from_value(config(&url)).unwrap()).start().await;
        Self { app, providers }
    }
}

impl Texting {
    /// Has a code texted to Ada's phone, and tries to deliver it.
    pub(super) async fn text_ada(&self) {
        self.app.enter_phone(ADA).await.assert_status(200);
        assert_eq!(self.app.kernel().deliver_due().await.unwrap(), 1);
    }

    /// From now on the first provider is out of order.
    pub(super) fn first_fails(&self) {
        self.providers.answer(AFRICAS_TALKING, Some((500, json!({}))));
    }

    /// The newest message to Ada, sent or not.
    pub(super) async fn entry(&self) -> OutboxEntry {
        self.app.kernel().list_outbox(None, 1).await.unwrap().remove(0)
    }

    /// How it stands: its state, who took it, and why it was not sent.
    async fn standing(&self) -> (String, Option<String>, Option<String>) {
        let message = self.entry().await.message;
        (message.state, message.provider, message.last_error)
    }
}

/// What Africa's Talking says of a number with that code.
fn refusal(code: u16) -> Option<(u16, Value)> {
    let recipient = json!({ "statusCode": code, "number": ADA, "status": "No", "messageId": "None" });
    Some((201, json!({ "SMSMessageData": { "Message": "Sent to 0/1", "Recipients": [recipient] } })))
}

on_both_engines! {
    async fn a_code_comes_through_the_first_provider_and_is_forgotten_here(it: Texting) {
        it.text_ada().await;
        let (which, form) = it.providers.asked().remove(0);
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        assert_eq!((which, field("to").as_deref(), field("username").as_deref()), (0, Some(ADA), Some("riven")));
        let text = field("message").unwrap();
        let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|digit| digit.is_ascii_digit());
        let code = text.split(|c: char| !c.is_alphanumeric()).find(is_code).unwrap_or_else(|| panic!("{text}"));
        let taken = it.entry().await;
        assert!(taken.values.is_none(), "what it said is gone");
        assert_eq!(it.standing().await, ("delivered".to_owned(), Some("africas_talking".to_owned()), None));
        it.app.confirm("auth/confirm-code", ADA, code).await.assert_status(200);
        assert_eq!(it.app.kernel().deliver_due().await.unwrap(), 0);
    }

    async fn when_the_first_provider_fails_the_next_one_is_asked(it: Texting) {
        // Trouble of theirs, of ours, and a number that only they do not reach.
        for answer in [Some((500, json!({}))), Some((401, json!("no such key"))), refusal(405), refusal(501), refusal(407)] {
            it.providers.answer(AFRICAS_TALKING, answer);
            it.text_ada().await;
            assert_eq!(it.providers.order(), [AFRICAS_TALKING, TWILIO]);
            assert_eq!(it.standing().await, ("delivered".to_owned(), Some("twilio".to_owned()), None));
            it.app.advance(15 * MINUTE);
        }
    }

    async fn a_number_that_is_refused_for_good_is_not_offered_to_another(it: Texting) {
        it.providers.answer(AFRICAS_TALKING, refusal(403));
        it.text_ada().await;
        assert_eq!(it.providers.order(), [AFRICAS_TALKING]);
        let (state, provider, error) = it.standing().await;
        // A code that is worth nothing when it comes late: nobody is asked to see to it.
        assert_eq!((state.as_str(), provider), ("discarded", None));
        let error = error.unwrap();
        assert!(error.contains("403") || error.contains("InvalidPhoneNumber"), "{error}");
        assert!(!error.contains("712345"), "{error}");
    }

    async fn a_text_nobody_takes_is_tried_again_and_the_outbox_says_why(it: Texting) {
        it.providers.answer(AFRICAS_TALKING, Some((500, json!({}))));
        it.providers.answer(TWILIO, Some((503, json!({}))));
        it.text_ada().await;
        let (state, provider, error) = it.standing().await;
        assert_eq!((state.as_str(), provider), ("pending", None));
        assert!(error.unwrap().contains("50"), "the operator sees why");
        assert_eq!(it.entry().await.message.attempts, 1);
        assert_eq!(it.app.kernel().deliver_due().await.unwrap(), 0, "not before its time");
        assert_eq!(it.providers.order(), [AFRICAS_TALKING, TWILIO]);

        it.providers.answer(TWILIO, None);
        let again = it.entry().await.message.next_attempt_at();
        it.app.advance(again.since(it.app.now()));
        assert_eq!(it.app.kernel().deliver_due().await.unwrap(), 1);
        let (state, provider, _) = it.standing().await;
        assert_eq!((state.as_str(), provider.as_deref()), ("delivered", Some("twilio")));
    }

    async fn a_code_that_has_expired_is_not_texted_any_more(it: Texting) {
        it.app.enter_phone(ADA).await.assert_status(200);
        it.app.advance(10 * MINUTE + SECOND);
        assert_eq!(it.app.kernel().deliver_due().await.unwrap(), 1);
        assert!(it.providers.asked().is_empty());
        let (state, _, error) = it.standing().await;
        assert_eq!((state.as_str(), error.as_deref()), ("discarded", Some("what it says has expired")));
    }

    async fn a_phone_nobody_has_costs_nothing(it: Texting) {
        it.app.send_login_code(BOB).await.assert_status(200);
        // Settled with the same statements as a message that is sent, and sent nowhere.
        assert_eq!(it.app.kernel().deliver_due().await.unwrap(), 1);
        assert!(it.providers.asked().is_empty());
    }
}
