//! Whatever is asked of the store, in whatever order, both engines answer the same.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::Config;
use tidegate_brokerage::BrokerageTables;
use tidegate_brokerage::tables::brokerage_accounts::{Opened, Opening, StatusUpdate};
use tidegate_database::{Result, StoreError, Unit};
use tidegate_domain::challenge::{Continuation, MAX_ATTEMPTS, Purpose};
use tidegate_domain::id::{ChallengeId, RefreshTokenId, SessionId};
use tidegate_domain::limit::Limit;
use tidegate_domain::session::EndReason;
use tidegate_domain::{ContractId, Timestamp};
use tidegate_identity::IdentityTables;
use tidegate_identity::credentials::challenges_repository::NewChallenge;
use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::idempotency::Record;
use tidegate_kernel::tables::outbox::{Attempt, NewMessage, NewReceipt};
use tidegate_kernel::tables::refresh_tokens::NewRefreshToken;
use tidegate_kernel::tables::sessions::NewSession;
use tidegate_testkit::{Engine, Fixture};
use uuid::Uuid;

use crate::brokerage::opening_of;
use crate::world::{Member, World, at, seconds, session};

/// Something asked of the store. Numbers choose among what was made before, whether it was committed or not.
#[derive(Clone, Debug)]
enum Ask {
    OpenSession { lasts: i64 },
    Refreshed(usize),
    EndSession(usize),
    EndAll,
    Active,
    IssueToken { session: usize, parent: Option<usize> },
    FindToken(usize),
    SendCode,
    CountAttempt(usize),
    Consume(usize),
    LatestCode,
    CountLimit { bucket: u8, times: i64 },
    Refund(u8),
    Keep { key: u8, lasts: i64 },
    Kept(u8),
    Post { key: u8 },
    Claim { channel: &'static str, at_most: i64 },
    SettleOldest(Outcome),
    Report { key: u8, state: &'static str },
    BeginOpening { broker: &'static str, seen: Option<usize>, again: bool },
    LoseOpening { broker: &'static str, opening: usize },
    FailOpening { broker: &'static str, opening: usize },
    CheckOpening { broker: &'static str, opening: usize },
    Opened { broker: &'static str, opening: usize },
    Stands { broker: &'static str, status: &'static str },
    ClaimAccounts(&'static str),
    KeepCursor(&'static str),
    Prune,
}

/// What became of sending a message.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Delivered,
    Again,
    Missed,
    Dead,
}

/// One unit of work: what it asks, when, and whether it is committed.
#[derive(Clone, Debug)]
struct Step {
    asks: Vec<Ask>,
    passes: i64,
    commits: bool,
}

fn ask() -> impl Strategy<Value = Ask> {
    let some = 0..6_usize;
    prop_oneof![
        (1..100_i64).prop_map(|lasts| Ask::OpenSession { lasts }),
        some.clone().prop_map(Ask::Refreshed),
        some.clone().prop_map(Ask::EndSession),
        Just(Ask::EndAll),
        Just(Ask::Active),
        (some.clone(), proptest::option::of(some.clone()))
            .prop_map(|(session, parent)| Ask::IssueToken { session, parent }),
        some.clone().prop_map(Ask::FindToken),
        Just(Ask::SendCode),
        some.clone().prop_map(Ask::CountAttempt),
        some.prop_map(Ask::Consume),
        Just(Ask::LatestCode),
        (0..2_u8, 1..3_i64).prop_map(|(bucket, times)| Ask::CountLimit { bucket, times }),
        (0..2_u8).prop_map(Ask::Refund),
        (0..2_u8, 1..100_i64).prop_map(|(key, lasts)| Ask::Keep { key, lasts }),
        (0..2_u8).prop_map(Ask::Kept),
        (0..4_u8).prop_map(|key| Ask::Post { key }),
        (prop::sample::select(&["email", "sms"][..]), 0..3_i64)
            .prop_map(|(channel, at_most)| Ask::Claim { channel, at_most }),
        prop::sample::select(&[Outcome::Delivered, Outcome::Again, Outcome::Missed, Outcome::Dead][..])
            .prop_map(Ask::SettleOldest),
        (0..4_u8, prop::sample::select(&["interim", "delivered", "failed"][..]))
            .prop_map(|(key, state)| Ask::Report { key, state }),
        ask_about_brokers(),
        Just(Ask::Prune),
    ]
}

fn ask_about_brokers() -> impl Strategy<Value = Ask> {
    let broker = || prop::sample::select(&["alpaca", "sandbox"][..]);
    let some = 0..4_usize;
    let of_some = || (broker(), some.clone());
    prop_oneof![
        (broker(), proptest::option::of(some.clone()), any::<bool>())
            .prop_map(|(broker, seen, again)| Ask::BeginOpening { broker, seen, again }),
        of_some().prop_map(|(broker, opening)| Ask::LoseOpening { broker, opening }),
        of_some().prop_map(|(broker, opening)| Ask::FailOpening { broker, opening }),
        of_some().prop_map(|(broker, opening)| Ask::CheckOpening { broker, opening }),
        of_some().prop_map(|(broker, opening)| Ask::Opened { broker, opening }),
        (broker(), prop::sample::select(&["submitted", "active"][..]))
            .prop_map(|(broker, status)| Ask::Stands { broker, status }),
        broker().prop_map(Ask::ClaimAccounts),
        broker().prop_map(Ask::KeepCursor),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (prop::collection::vec(ask(), 1..4), 0..40_i64, prop::bool::weighted(0.8))
        .prop_map(|(asks, passes, commits)| Step { asks, passes, commits })
}

/// One engine's side of the story. Keys are drawn in the same order on both, so they are the same.
struct Side {
    world: World,
    ada: Member,
    now: i64,
    sessions: Vec<SessionId>,
    tokens: Vec<(RefreshTokenId, [u8; 32])>,
    challenges: Vec<ChallengeId>,
    openings: Vec<Opening>,
}

/// How an answer is compared: errors by their kind, as engines word them differently.
fn shown<T: Debug>(answer: Result<T>) -> (String, bool) {
    match answer {
        Ok(answer) => (format!("{answer:?}"), true),
        Err(StoreError::Database(_)) => ("refused".to_owned(), false),
        Err(other) => (format!("{other:?}"), false),
    }
}

fn chosen<T: Copy>(among: &[T], number: usize) -> Option<T> {
    among.get(number % among.len().max(1)).copied()
}

impl Side {
    async fn begin(engine: Engine) -> Self {
        let world = World::prepare(engine).await;
        let ada = world.member("ada@example.com").await;
        Self {
            world,
            ada,
            now: 0,
            sessions: Vec::new(),
            tokens: Vec::new(),
            challenges: Vec::new(),
            openings: Vec::new(),
        }
    }

    /// Does one step; answers all that was answered.
    async fn take(&mut self, step: &Step) -> Vec<String> {
        self.now += step.passes;
        let mut unit = self.world.store.begin().await.unwrap();
        let mut answers = Vec::new();
        for ask in &step.asks {
            let (answer, worked) = self.ask(&mut unit, ask).await;
            answers.push(format!("{ask:?}: {answer}"));
            if !worked {
                // After an error a unit is only good for being dropped.
                return answers;
            }
        }
        if step.commits {
            // Where something was put off to its end that is refused.
            answers.push(shown(unit.commit().await).0);
        }
        answers
    }

    async fn ask(&mut self, unit: &mut Unit, ask: &Ask) -> (String, bool) {
        let now = at(self.now);
        let nobody = Uuid::nil();
        let session_at = |number: usize| chosen(&self.sessions, number).unwrap_or(SessionId(nobody));
        let token_at =
            |number: usize| chosen(&self.tokens, number).unwrap_or((RefreshTokenId(nobody), [0; 32]));
        let challenge_at = |number: usize| chosen(&self.challenges, number).unwrap_or(ChallengeId(nobody));
        match *ask {
            Ask::OpenSession { lasts } => self.open_session(unit, lasts).await,
            Ask::Refreshed(number) => {
                let expires_at = at(self.now + 50);
                shown(unit.sessions().refreshed(session_at(number), now, expires_at).await)
            }
            Ask::EndSession(number) => {
                shown(unit.sessions().end(session_at(number), EndReason::Revoked, now).await)
            }
            Ask::EndAll => shown(unit.sessions().end_all(self.ada.account, EndReason::Revoked, now).await),
            Ask::Active => {
                let active = unit.sessions().active(self.ada.account, now).await;
                // Numbers given to units that were dropped are not given again on PostgreSQL, and are on SQLite.
                shown(active.map(|all| {
                    all.into_iter().map(|s| (s.id, s.expires_at, s.last_activity_at)).collect::<Vec<_>>()
                }))
            }
            Ask::IssueToken { session, parent } => {
                let parent = parent.map(|number| token_at(number).0);
                let session = session_at(session);
                self.issue_token(unit, session, parent).await
            }
            Ask::FindToken(number) => shown(unit.refresh_tokens().find(&token_at(number).1).await),
            Ask::SendCode => self.send_code(unit).await,
            Ask::CountAttempt(number) => {
                shown(unit.challenges().count_attempt(challenge_at(number), MAX_ATTEMPTS).await)
            }
            Ask::Consume(number) => shown(unit.challenges().consume(challenge_at(number), now).await),
            Ask::LatestCode => shown(unit.challenges().latest(Purpose::VerifyEmail, self.ada.account).await),
            Ask::CountLimit { bucket, times } => {
                shown(unit.limits().count(&[bucket; 32], Limit::new(3, 60), times, now).await)
            }
            Ask::Refund(bucket) => shown(unit.limits().refund_all(&[[bucket; 32]]).await),
            Ask::Keep { key, lasts } => {
                let record = Record { fingerprint: vec![key], response: self.now.to_be_bytes().to_vec() };
                shown(unit.idempotency().insert(&[key], &record, now, at(self.now + lasts)).await)
            }
            Ask::Kept(key) => shown(unit.idempotency().find(&[key], now).await),
            Ask::Post { key } => self.post(unit, key).await,
            Ask::Claim { channel, at_most } => {
                let claimed = unit.outbox().claim(channel, now, seconds(30), at_most).await;
                shown(claimed.map(|all| all.into_iter().map(|m| (m.id(), m.attempts)).collect::<Vec<_>>()))
            }
            Ask::SettleOldest(outcome) => settle_oldest(unit, outcome, now, self.now).await,
            Ask::Report { key, state } => report(unit, key, state, now).await,
            Ask::Prune => prune(unit, now).await,
            _ => self.ask_about_brokers(unit, ask).await,
        }
    }

    async fn ask_about_brokers(&mut self, unit: &mut Unit, ask: &Ask) -> (String, bool) {
        let (now, ada) = (at(self.now), self.ada.account);
        // The newest first: it is the one that most probably still stands.
        let opening_at = |number: usize| {
            let newest = self.openings.len().checked_sub(1 + number);
            newest.map_or_else(|| opening_of(Uuid::nil()), |number| self.openings[number].clone())
        };
        match *ask {
            Ask::BeginOpening { broker, seen, again } => {
                let (key, seen) = (self.world.key(), seen.map(opening_at));
                let id = seen.as_ref().filter(|_| again).map_or(key, |seen| seen.id);
                let opening = Opening { since: now, until: at(self.now + 30), ..opening_of(id) };
                self.openings.push(opening.clone());
                shown(unit.brokerage().begin_opening(ada, broker, &opening, seen.as_ref(), now).await)
            }
            Ask::LoseOpening { broker, opening } => {
                let (seen, check_at, until) = (opening_at(opening), at(self.now + 5), at(self.now + 60));
                self.openings.push(Opening { until, ..seen.clone() });
                shown(unit.brokerage().opening_unknown(broker, &seen, check_at, until).await)
            }
            Ask::FailOpening { broker, opening } => {
                shown(unit.brokerage().opening_failed(broker, &opening_at(opening)).await)
            }
            Ask::CheckOpening { broker, opening } => {
                let check_at = at(self.now + 7);
                shown(unit.brokerage().check_opening_at(broker, &opening_at(opening), check_at).await)
            }
            Ask::Opened { broker, opening } => {
                let broker_account = opening_at(opening).id;
                let opened =
                    Opened { broker_account, person: b"p", status: "submitted", check_at: Some(now) };
                shown(unit.brokerage().opened(ada, broker, opened, now).await)
            }
            Ask::Stands { broker, status } => {
                let standing = StatusUpdate { status, check_at: Some(at(self.now + 10)), checks: self.now };
                shown(unit.brokerage().store_status(ada, broker, standing, now).await)
            }
            Ask::ClaimAccounts(broker) => {
                let due = unit.brokerage().claim_due(broker, now, seconds(30), 3).await;
                let next = unit.brokerage().next_check(broker).await;
                shown(due.and_then(|due| Ok((due, next?))))
            }
            Ask::KeepCursor(broker) => {
                let before = unit.broker_cursors().cursor(broker).await;
                let kept = unit.broker_cursors().keep(broker, Some(&self.now.to_string())).await;
                shown(kept.and(before))
            }
            _ => unreachable!("{ask:?} is not about brokers"),
        }
    }

    async fn open_session(&mut self, unit: &mut Unit, lasts: i64) -> (String, bool) {
        let id = self.world.key();
        self.sessions.push(id);
        let new = NewSession { id, created_at: at(self.now), ..session(&self.ada, self.now + lasts) };
        // Its number is the engine's own affair: see `Ask::Active`.
        shown(unit.sessions().insert(&new).await.map(drop))
    }

    async fn issue_token(
        &mut self,
        unit: &mut Unit,
        session: SessionId,
        parent: Option<RefreshTokenId>,
    ) -> (String, bool) {
        let (id, hash) = (self.world.key(), self.world.hash());
        self.tokens.push((id, hash));
        let new = NewRefreshToken {
            id,
            session,
            hash: &hash,
            parent,
            issued_at: at(self.now),
            expires_at: at(self.now + 60),
        };
        shown(unit.refresh_tokens().insert(new).await)
    }

    async fn send_code(&mut self, unit: &mut Unit) -> (String, bool) {
        let id = self.world.key();
        self.challenges.push(id);
        let new = NewChallenge {
            id,
            account: Some(self.ada.account),
            purpose: Purpose::VerifyEmail,
            address: "ada@example.com",
            handle_hash: None,
            link_hash: None,
            code_mac: Some(&[7]),
            contract: ContractId::INGESTIQ,
            continuation: &Continuation::default(),
            created_at: at(self.now),
            expires_at: at(self.now + 60),
        };
        shown(unit.challenges().insert(&new).await)
    }

    async fn post(&mut self, unit: &mut Unit, key: u8) -> (String, bool) {
        let new = NewMessage {
            id: self.world.key(),
            idempotency_key: &key.to_string(),
            channel: if key.is_multiple_of(2) { "email" } else { "sms" },
            template: "t",
            recipient: "ada@example.com",
            payload: &[key],
            deliverable: key != 0,
            created_at: at(self.now),
        };
        shown(unit.outbox().insert(new).await)
    }
}

async fn settle_oldest(unit: &mut Unit, outcome: Outcome, now: Timestamp, second: i64) -> (String, bool) {
    let listed = match unit.outbox().list(None, 100).await {
        Ok(listed) => listed,
        error => return shown(error),
    };
    let Some(oldest) = listed.iter().rfind(|message| message.state == "pending") else {
        return ("nothing to settle".to_owned(), true);
    };
    let attempt = match outcome {
        Outcome::Delivered => Attempt::Delivered {
            keep_payload: false,
            accepted: Some(("twilio", Some(&oldest.idempotency_key))),
        },
        Outcome::Again => Attempt::Again { at: at(second + 20), error: "later" },
        Outcome::Missed => Attempt::Missed { error: "too late" },
        Outcome::Dead => Attempt::Dead { error: "never" },
    };
    let settled = unit.outbox().settle(oldest.id(), oldest.claim(), attempt, now).await;
    match settled {
        Ok(()) => shown(unit.outbox().next_due().await),
        error => shown(error),
    }
}

async fn report(unit: &mut Unit, key: u8, state: &str, now: Timestamp) -> (String, bool) {
    let receipt = NewReceipt { provider: "twilio", message_id: &key.to_string(), state, reason: Some(state) };
    let known = match unit.outbox().receive(receipt, now).await {
        Ok(number) => number.is_some(),
        error => return shown(error),
    };
    let listed = unit.outbox().list(None, 100).await;
    shown(listed.map(|all| {
        (known, all.into_iter().map(|m| (m.id(), m.receipt, m.receipt_reason)).collect::<Vec<_>>())
    }))
}

async fn prune(unit: &mut Unit, now: Timestamp) -> (String, bool) {
    let pruned = async {
        Ok((
            unit.sessions().prune(now, 2).await?,
            unit.challenges().prune(now, 2).await?,
            unit.outbox().prune(now, 2).await?,
            unit.limits().prune(now, 100).await?,
            unit.idempotency().prune(now, 100).await?,
        ))
    };
    shown(pruned.await)
}

proptest! {
    #![proptest_config(Config { cases: 24, max_shrink_iters: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn both_engines_answer_the_same(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sqlite = Side::begin(Engine::Sqlite).await;
            let mut postgres = Side::begin(Engine::Postgres).await;
            for step in &steps {
                prop_assert_eq!(sqlite.take(step).await, postgres.take(step).await);
            }
            Ok(())
        })?;
    }
}
