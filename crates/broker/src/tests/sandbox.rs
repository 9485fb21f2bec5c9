//! The embedded broker: the same life of an account, without a network.

use proptest::prelude::*;
use serde_json::Value;
use tidegate_domain::Timestamp;
use uuid::Uuid;

use super::*;
use crate::sandbox::{
    MemorySandboxStore, PutOutcome, SandboxAccount, SandboxConfig, SandboxStore, SandboxStoreFailed,
};
use crate::{Account, AccountStatus, Broker, BrokerError, Events, LocalStatus, Sandbox, Trouble};

const KEY: Uuid = Uuid::from_u128(0x0198_d5a0_0000_7000_8000_0000_0000_0001);
const OTHER_KEY: Uuid = Uuid::from_u128(0x0198_d5a0_0000_7000_8000_0000_0000_0002);

struct Bench {
    clock: Arc<Hands>,
    store: Arc<MemorySandboxStore>,
    broker: Broker,
}

fn bench() -> Bench {
    let (clock, store) = (Hands::at(NOW), Arc::new(MemorySandboxStore::default()));
    let broker = Broker::Sandbox(Sandbox::new(SandboxConfig::default(), clock.clone(), store.clone()));
    Bench { clock, store, broker }
}

impl Bench {
    async fn open(&self, application: &Application) -> Account {
        self.broker.open(KEY, application).await.unwrap()
    }

    async fn status_after(&self, seconds: u64) -> AccountStatus {
        self.clock.advance(seconds);
        self.broker.account(SandboxAccount::id_of(KEY)).await.unwrap().status
    }
}

#[tokio::test]
async fn an_account_is_submitted_approved_and_active_in_time() {
    let bench = bench();
    let opened = bench.open(&application("Wanjiru@example.com")).await;
    assert_eq!((opened.status.clone(), opened.status.local()), (AccountStatus::Submitted, LocalStatus::New));
    assert_eq!(bench.status_after(1).await, AccountStatus::Submitted);
    assert_eq!(bench.status_after(1).await, AccountStatus::Approved);
    assert_eq!(bench.status_after(1).await, AccountStatus::Approved);
    assert_eq!(bench.status_after(1).await, AccountStatus::Active);

    let account = bench.broker.account(opened.id).await.unwrap();
    assert_eq!(account.kyc_results.as_ref().unwrap().summary.as_deref(), Some("pass"));
    assert_eq!(account.profile()["identity"]["given_name"], "Wanjiru");
    assert_eq!(account.profile()["created_at"], "2026-02-02T02:40:00.000000Z");
    let money = bench.broker.trading(opened.id).await.unwrap();
    assert_eq!(money.cash.unwrap().as_str(), "0");
    assert_eq!(bench.broker.name(), "sandbox");
}

#[tokio::test]
async fn an_opening_that_is_repeated_finds_the_first() {
    let bench = bench();
    let first = bench.open(&application("a@example.com")).await;
    bench.clock.advance(60);
    let again = bench.broker.open(KEY, &application("other@example.com")).await.unwrap();
    assert_eq!((again.id, again.status.clone()), (first.id, AccountStatus::Active));
    assert!(again.has_email("a@example.com"));
    assert_eq!(bench.store.accounts().len(), 1);
}

#[tokio::test]
async fn one_address_opens_one_account() {
    let bench = bench();
    let first = bench.open(&application("a@example.com")).await;
    let second = bench.broker.open(OTHER_KEY, &application(" A@Example.com")).await;
    assert!(matches!(second, Err(BrokerError::Invalid(_))), "an address with a blank is none: {second:?}");
    let second = bench.broker.open(OTHER_KEY, &application("A@Example.com")).await;
    assert_eq!(second, Err(BrokerError::EmailTaken));
    let found = bench.broker.find_by_email("A@EXAMPLE.com ").await.unwrap();
    assert_eq!(found.iter().map(|account| account.id).collect::<Vec<_>>(), [first.id]);
    assert_eq!(bench.broker.find_by_email("b@example.com").await.unwrap(), []);
}

#[tokio::test]
async fn an_account_without_documents_waits_for_them() {
    let bench = bench();
    let bare = Application { documents: Vec::new(), ..application("a@example.com") };
    let id = bench.open(&bare).await.id;
    assert_eq!(bench.status_after(2).await, AccountStatus::ActionRequired);
    assert_eq!(bench.status_after(86_400).await, AccountStatus::ActionRequired);
    let results = bench.broker.account(id).await.unwrap().kyc_results.unwrap();
    assert_eq!(results.indeterminate, ["IDENTITY_VERIFICATION"]);

    bench.broker.upload(id, &[passport(), w8ben()]).await.unwrap();
    assert_eq!(bench.status_after(0).await, AccountStatus::ApprovalPending);
    assert_eq!(bench.status_after(2).await, AccountStatus::Approved);
    assert_eq!(bench.status_after(2).await, AccountStatus::Active);
    let account = bench.broker.account(id).await.unwrap();
    assert_eq!(account.profile()["documents"][1]["document_type"], "w8ben");
}

#[tokio::test]
async fn documents_that_come_before_they_are_asked_for_spare_the_question() {
    let bench = bench();
    let bare = Application { documents: Vec::new(), ..application("a@example.com") };
    let id = bench.open(&bare).await.id;
    bench.clock.advance(1);
    bench.broker.upload(id, &[passport()]).await.unwrap();
    assert_eq!(bench.status_after(0).await, AccountStatus::Submitted);
    assert_eq!(bench.status_after(2).await, AccountStatus::Approved);
    assert_eq!(bench.status_after(2).await, AccountStatus::Active);
}

#[tokio::test]
async fn a_politician_is_asked_back() {
    let bench = bench();
    let mut exposed = application("a@example.com");
    exposed.disclosures.is_politically_exposed = true;
    bench.open(&exposed).await;
    assert_eq!(bench.status_after(2).await, AccountStatus::ActionRequired);
}

#[tokio::test]
async fn the_fixtures_of_the_vendors_sandbox_work_here() {
    for status in [
        "REJECTED",
        "SUBMITTED",
        "ACTION_REQUIRED",
        "APPROVAL_PENDING",
        "APPROVED",
        "DISABLED",
        "ACCOUNT_CLOSED",
    ] {
        let bench = bench();
        let text = format!("please /fixtures/status={status}/fixtures/ thanks");
        let forced = Application { additional_information: Some(text), ..application("a@example.com") };
        let opened = bench.open(&forced).await;
        assert_eq!(opened.status, AccountStatus::Submitted);
        assert_eq!(bench.status_after(86_400).await.as_str(), status);
        bench.broker.upload(opened.id, &[passport()]).await.unwrap();
        let after = bench.status_after(86_400).await;
        let expected = if status == "ACTION_REQUIRED" { "ACTIVE" } else { status };
        assert_eq!(after.as_str(), expected);
    }
    for text in ["/fixtures/status=ACTIVATED/fixtures/", "/fixtures/status=REJECTED", "REJECTED", ""] {
        let bench = bench();
        let information = Some(text.to_owned());
        bench
            .open(&Application { additional_information: information, ..application("a@example.com") })
            .await;
        assert_eq!(bench.status_after(4).await, AccountStatus::Active, "{text}");
    }
}

#[tokio::test]
async fn what_the_broker_would_refuse_is_refused_by_its_field() {
    type Spoil = fn(&mut Application);
    let mistakes: &[(&str, Spoil)] = &[
        ("contact.email_address", |a| a.contact.email_address = "nobody".to_owned()),
        ("contact.phone_number", |a| a.contact.phone_number = "0711222333".to_owned()),
        ("contact.street_address", |a| a.contact.street_address = vec![" ".to_owned()]),
        ("contact.city", |a| a.contact.city.clear()),
        ("contact.state", |a| a.contact.country = Some("USA".to_owned())),
        ("identity.given_name", |a| a.identity.given_name.clear()),
        ("identity.family_name", |a| a.identity.family_name.clear()),
        ("identity.date_of_birth", |a| a.identity.date_of_birth = "1980-02-30".to_owned()),
        ("identity.tax_id_type", |a| a.identity.tax_id_type = None),
        ("identity.country_of_tax_residence", |a| a.identity.country_of_tax_residence = "Kenya".to_owned()),
        ("identity.funding_source", |a| a.identity.funding_source.clear()),
        ("agreements.agreement", |a| a.agreements.clear()),
        ("agreements.signed_at", |a| a.agreements[0].signed_at.clear()),
        ("agreements.ip_address", |a| a.agreements[0].ip_address.clear()),
        ("documents.0.mime_type", |a| a.documents[0].mime_type = "text/plain".to_owned()),
        ("documents.0.content", |a| a.documents[0].content = DocumentContent::File(Secret::new(""))),
    ];
    let bench = bench();
    for (field, spoil) in mistakes {
        let mut spoilt = application("a@example.com");
        spoil(&mut spoilt);
        let refused = bench.broker.open(KEY, &spoilt).await;
        let Err(BrokerError::Invalid(refusal)) = refused else { panic!("{field}: {refused:?}") };
        assert_eq!(refusal.field(), Some(*field), "{}", refusal.message());
    }
    let id = bench.open(&application("a@example.com")).await.id;
    assert!(matches!(bench.broker.upload(id, &[]).await, Err(BrokerError::Invalid(_))));
    assert_eq!(bench.broker.upload(KEY, &[passport()]).await, Err(BrokerError::NotFound));
    assert_eq!(bench.broker.account(KEY).await, Err(BrokerError::NotFound));
    assert_eq!(bench.broker.trading(KEY).await, Err(BrokerError::NotFound));
}

async fn all(mut events: Events) -> Vec<(String, String)> {
    let mut told = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        told.push((event.to.unwrap().to_string(), event.ulid.unwrap()));
    }
    told
}

#[tokio::test]
async fn changes_are_told_once_and_in_order() {
    let bench = bench();
    bench.open(&application("a@example.com")).await;
    bench.clock.advance(1);
    bench.broker.open(OTHER_KEY, &application("b@example.com")).await.unwrap();
    bench.clock.advance(3);
    let first = all(bench.broker.events(None).await.unwrap()).await;
    let statuses: Vec<&str> = first.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(statuses, ["SUBMITTED", "SUBMITTED", "APPROVED"]);

    bench.clock.advance(60);
    let last = &first.last().unwrap().1;
    let rest = all(bench.broker.events(Some(last)).await.unwrap()).await;
    let statuses: Vec<&str> = rest.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(statuses, ["APPROVED", "ACTIVE", "ACTIVE"]);
    assert!(rest.iter().all(|(_, ulid)| ulid.len() == 26 && ulid > last));
    let last = &rest.last().unwrap().1;
    assert_eq!(all(bench.broker.events(Some(last)).await.unwrap()).await, []);
}

#[tokio::test]
async fn what_is_written_down_goes_on_where_it_stopped_and_holds_nothing_it_should_not() {
    let bench = bench();
    let id = bench.open(&application("a@example.com")).await.id;
    bench.broker.upload(id, &[w8ben()]).await.unwrap();
    let written = serde_json::to_string(&bench.store.accounts()).unwrap();
    assert!(!written.contains(TAX_ID) && !written.contains(PASSPORT), "{written}");

    let read: Vec<SandboxAccount> = serde_json::from_str(&written).unwrap();
    let store = Arc::new(MemorySandboxStore::holding(read));
    bench.clock.advance(4);
    let sandbox = Sandbox::new(SandboxConfig::default(), bench.clock.clone(), store);
    assert_eq!(sandbox.account(id).await.unwrap().status, AccountStatus::Active);
}

#[tokio::test]
async fn the_second_of_two_writers_is_told_so() {
    let now = Timestamp::from_seconds(NOW);
    let config = SandboxConfig::default();
    let store = MemorySandboxStore::default();
    let account = SandboxAccount::open(KEY, &application("a@example.com"), now, &config).unwrap();
    assert_eq!(store.put(account.clone()).await, Ok(PutOutcome::Stored));
    assert_eq!(store.put(account.clone()).await, Ok(PutOutcome::Conflict));
    let (mut one, mut two) = (account.clone(), account);
    one.upload(&[passport()], now, &config).unwrap();
    two.upload(&[w8ben()], now, &config).unwrap();
    assert_eq!(store.put(one).await, Ok(PutOutcome::Stored));
    assert_eq!(store.put(two).await, Ok(PutOutcome::Conflict));
    let namesake = SandboxAccount::open(OTHER_KEY, &application("A@example.com"), now, &config).unwrap();
    assert_eq!(store.put(namesake).await, Ok(PutOutcome::EmailTaken));
}

/// A store that is out of reach.
struct Gone;

impl SandboxStore for Gone {
    fn get(&self, _: Uuid) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>> {
        std::future::ready(Err(SandboxStoreFailed)).boxed()
    }
    fn find(&self, _: &str) -> BoxFuture<'_, Result<Option<SandboxAccount>, SandboxStoreFailed>> {
        std::future::ready(Err(SandboxStoreFailed)).boxed()
    }
    fn put(&self, _: SandboxAccount) -> BoxFuture<'_, Result<PutOutcome, SandboxStoreFailed>> {
        std::future::ready(Err(SandboxStoreFailed)).boxed()
    }
    fn changing_since(&self, _: Timestamp) -> BoxFuture<'_, Result<Vec<SandboxAccount>, SandboxStoreFailed>> {
        std::future::ready(Err(SandboxStoreFailed)).boxed()
    }
}

#[tokio::test]
async fn a_store_out_of_reach_makes_the_broker_unavailable() {
    let sandbox = Sandbox::new(SandboxConfig::default(), Hands::at(NOW), Arc::new(Gone));
    let error = sandbox.open(KEY, &application("a@example.com")).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unavailable { trouble: Trouble::Storage, .. }), "{error:?}");
}

fn any_status() -> impl Strategy<Value = Option<String>> {
    let fixture = |status: &AccountStatus| Some(format!("/fixtures/status={status}/fixtures/"));
    let fixtures: Vec<_> = AccountStatus::KNOWN.iter().map(fixture).collect();
    prop_oneof![Just(None), prop::sample::select(fixtures), ".{0,40}".prop_map(Some)]
}

proptest! {
    /// Whatever is uploaded whenever: a final status stays, steps and events are in order, and the record
    /// survives being written down.
    #[test]
    fn a_life_goes_forward(
        information in any_status(),
        has_documents in any::<bool>(),
        review in 0_u64..20,
        activation in 0_u64..20,
        moves in prop::collection::vec((0_u64..15, any::<bool>()), 0..12),
    ) {
        let config = SandboxConfig {
            review: Duration::from_secs(review),
            activation: Duration::from_secs(activation),
            require_documents: true,
        };
        let documents = if has_documents { vec![passport()] } else { Vec::new() };
        let application =
            Application { additional_information: information, documents, ..application("a@example.com") };
        let mut now = Timestamp::from_seconds(NOW);
        let mut account = SandboxAccount::open(KEY, &application, now, &config).unwrap();
        let mut told: Vec<Option<String>> = Vec::new();
        let mut was_final = None;
        for (seconds, uploads) in moves {
            now = now.plus(Duration::from_secs(seconds));
            if uploads {
                account.upload(&[passport()], now, &config).unwrap();
            }
            let status = account.status(now).clone();
            if let Some(before) = &was_final {
                prop_assert_eq!(before, &status);
            }
            was_final = status.is_final().then_some(status.clone());
            prop_assert_eq!(&account.account(now).unwrap().status, &status);

            let events: Vec<_> = account.events(now).into_iter().map(|event| event.ulid).collect();
            prop_assert!(events.is_sorted() && events.starts_with(&told), "{:?} {:?}", told, events);
            told = events;
            let written: Value = serde_json::to_value(&account).unwrap();
            prop_assert_eq!(&serde_json::from_value::<SandboxAccount>(written).unwrap(), &account);
        }
    }

    #[test]
    fn keys_of_one_kind_never_share_an_id(left in 0_u32..99, right in any::<u32>().prop_map(|n| n % 99)) {
        let id = |low: u32| {
            SandboxAccount::id_of(Uuid::from_u128(KEY.as_u128() & !0xffff_ffff | u128::from(low)))
        };
        prop_assert_eq!(left == right, id(left) == id(right));
    }
}
