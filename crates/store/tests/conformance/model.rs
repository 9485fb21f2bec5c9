//! Whatever is asked of the store, in whatever order, both engines answer the same.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::Config;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::id::{ChallengeId, RefreshTokenId, SessionId};
use tidegate_domain::limit::Limit;
use tidegate_domain::session::EndReason;
use tidegate_domain::{Dialect, Timestamp};
use tidegate_store::challenges::NewChallenge;
use tidegate_store::idempotency::Record;
use tidegate_store::outbox::{Attempt, NewMessage};
use tidegate_store::refresh_tokens::NewRefreshToken;
use tidegate_store::sessions::NewSession;
use tidegate_store::{Result, StoreError, Unit};
use tidegate_testkit::{Engine, Fixture};
use uuid::Uuid;

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
    Claim(i64),
    SettleOldest(bool),
    Prune,
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
        (0..3_i64).prop_map(Ask::Claim),
        any::<bool>().prop_map(Ask::SettleOldest),
        Just(Ask::Prune),
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
        Self { world, ada, now: 0, sessions: Vec::new(), tokens: Vec::new(), challenges: Vec::new() }
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
            unit.commit().await.unwrap();
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
            Ask::CountAttempt(number) => shown(unit.challenges().count_attempt(challenge_at(number)).await),
            Ask::Consume(number) => shown(unit.challenges().consume(challenge_at(number), now).await),
            Ask::LatestCode => shown(unit.challenges().latest(Purpose::VerifyEmail, self.ada.account).await),
            Ask::CountLimit { bucket, times } => {
                shown(unit.limits().count(&[bucket], Limit::new(3, 60), times, now).await)
            }
            Ask::Refund(bucket) => shown(unit.limits().refund(&[bucket]).await),
            Ask::Keep { key, lasts } => {
                let record = Record { fingerprint: vec![key], response: self.now.to_be_bytes().to_vec() };
                shown(unit.idempotency().insert(&[key], &record, now, at(self.now + lasts)).await)
            }
            Ask::Kept(key) => shown(unit.idempotency().find(&[key], now).await),
            Ask::Post { key } => self.post(unit, key).await,
            Ask::Claim(at_most) => {
                let claimed = unit.outbox().claim(now, seconds(30), at_most).await;
                shown(claimed.map(|all| all.into_iter().map(|m| (m.id(), m.attempts)).collect::<Vec<_>>()))
            }
            Ask::SettleOldest(works) => settle_oldest(unit, works, now, self.now).await,
            Ask::Prune => prune(unit, now).await,
        }
    }

    async fn open_session(&mut self, unit: &mut Unit, lasts: i64) -> (String, bool) {
        let id = self.world.key();
        self.sessions.push(id);
        let new = NewSession { id, created_at: at(self.now), ..session(&self.ada, self.now + lasts) };
        shown(unit.sessions().insert(&new).await)
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
            dialect: Dialect::Ingestiq,
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
            channel: "email",
            template: "t",
            recipient: "ada@example.com",
            payload: &[key],
            deliverable: key != 0,
            created_at: at(self.now),
        };
        shown(unit.outbox().insert(new).await)
    }
}

async fn settle_oldest(unit: &mut Unit, works: bool, now: Timestamp, second: i64) -> (String, bool) {
    let listed = match unit.outbox().list(None, 100).await {
        Ok(listed) => listed,
        error => return shown(error),
    };
    let Some(oldest) = listed.iter().rfind(|message| message.state == "pending") else {
        return ("nothing to settle".to_owned(), true);
    };
    let attempt = if works {
        Attempt::Delivered { keep_payload: false }
    } else {
        Attempt::Again { at: at(second + 20), error: "later" }
    };
    let settled = unit.outbox().settle(oldest.id(), attempt, now).await;
    match settled {
        Ok(()) => shown(unit.outbox().next_due().await),
        error => shown(error),
    }
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
