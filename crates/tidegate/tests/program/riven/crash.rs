//! The process dies while a brokerage account is opened or followed: `kill -9`, and a new start on the same data.

use tidegate_broker::testing::{Endpoint, Fault, StubBroker};
use tidegate_testkit::{Engine, Fixture, eventually, on_both_engines};
use uuid::Uuid;

use super::{EMAIL, WITHOUT_LIMITS, application, apply, brokered_by, log_in, profile, register};
use crate::support::{Installation, Server};

/// A broker that can be made to fail, and a program that can be killed.
struct Story {
    here: Installation,
    broker: StubBroker,
}

impl Fixture for Story {
    async fn prepare(engine: Engine) -> Self {
        let here = Installation::with_database(engine).await;
        let broker = StubBroker::start().await.unwrap();
        here.write("tidegate.toml", &format!("{WITHOUT_LIMITS}{}", brokered_by(&broker)));
        Self { here, broker }
    }
}

impl Story {
    fn serve(&self) -> Server {
        self.here.serve(&["--dev"])
    }

    /// Somebody applies, and the server is killed once the broker was asked. Answers their token.
    async fn killed_while_opening(&self, fault: Fault, accounts: usize) -> String {
        self.broker.fail_next(Endpoint::Open, fault);
        let server = self.serve();
        let token = register(&self.here, &server).await;
        let applying = tokio::spawn(application(&server, &token));
        eventually("the broker is asked", async || {
            let done = self.broker.count(Endpoint::Open) == 1 && self.broker.accounts().len() == accounts;
            done.then_some(())
        })
        .await;
        server.kill();
        assert!(applying.await.unwrap().is_err(), "nobody answered");
        self.opened_now();
        token
    }

    /// The stub's accounts are always from the same day; those opened here were opened now.
    fn opened_now(&self) {
        for account in self.broker.accounts() {
            let id = account["id"].as_str().unwrap().parse().unwrap();
            self.broker.set_field(id, "created_at", "2999-01-01T00:00:00Z".into());
        }
    }

    /// Whoever asked the broker is taken for dead, as two minutes later.
    async fn two_minutes_pass(&self) {
        let later = "update brokerage_accounts set opening_since = opening_since - 121000000,
            opening_until = opening_until - 121000000, check_at = check_at - 121000000";
        assert_eq!(self.here.database().sql(later).await, 1);
    }

    /// The account of somebody who is not asked to try again.
    async fn is_found(&self, server: &Server, token: &str) {
        eventually("the account is found", async || (profile(server, token).await.0 == 200).then_some(()))
            .await;
    }

    /// Checks that there is exactly one account, and that everybody says so.
    async fn assert_one_account(&self, server: &Server, token: &str) {
        let accounts = self.broker.accounts();
        assert_eq!(accounts.len(), 1, "not one account: {accounts:?}");
        let person = log_in(&self.here, server).await;
        assert_eq!((&person["alpaca_account_id"], &person["email"]), (&accounts[0]["id"], &EMAIL.into()));
        assert_eq!(
            (&person["name"], &person["dob"]),
            (&"User One".into(), &"1987-03-13T21:00:00.000000Z".into())
        );
        assert_eq!(profile(server, token).await.1["data"]["id"], accounts[0]["id"]);
        let (status, answer) = apply(server, token).await;
        assert_eq!((status, &answer["message"]), (409, &"Account already exists".into()));
        assert_eq!(self.broker.accounts().len(), 1);
        let opened = "select count(*) from audit_events where action = 'brokerage.opened'";
        assert_eq!(self.here.database().sql_count(opened).await, 1);
    }

    /// Somebody has an account, and the server follows it. Answers the account and their token.
    async fn followed(&self, server: &Server) -> (Uuid, String) {
        let token = register(&self.here, server).await;
        let (status, answer) = apply(server, &token).await;
        assert_eq!(status, 200, "{answer}");
        self.is_followed(0).await;
        (answer["data"]["alpaca_account_id"].as_str().unwrap().parse().unwrap(), token)
    }

    async fn is_followed(&self, streams_before: u64) {
        eventually("the broker is followed", async || (self.broker.streams() > streams_before).then_some(()))
            .await;
    }

    async fn becomes(&self, status: &str) {
        eventually(status, async || {
            let statuses = self.here.database().sql_texts("select status from brokerage_accounts").await;
            (statuses == [status]).then_some(())
        })
        .await;
    }

    /// Whatever the dead held is anybody's, as half a minute later.
    async fn leases_run_out(&self) {
        let held = "update jobs set leased_until = 0 where state = 'running'";
        assert!(self.here.database().sql(held).await >= 1, "nothing was held");
    }

    async fn cursor(&self) -> Vec<String> {
        let cursor = "select cursor from broker_cursors where cursor is not null";
        self.here.database().sql_texts(cursor).await
    }
}

on_both_engines! {
    async fn killed_after_the_broker_opened_it_the_person_tries_again_and_has_it(story: Story) {
        let token = story.killed_while_opening(Fault::hang().after_doing_it(), 1).await;
        let server = story.serve();
        let (status, answer) = apply(&server, &token).await;
        assert_eq!((status, &answer["data"]["account_status"]), (200, &"new".into()), "{answer}");
        assert_eq!(story.broker.count(Endpoint::Open), 1, "it was found, not opened anew");
        story.assert_one_account(&server, &token).await;
        server.stop();
    }

    async fn killed_before_the_broker_opened_it_the_person_waits_and_then_has_one(story: Story) {
        let token = story.killed_while_opening(Fault::hang(), 0).await;
        let server = story.serve();
        // Perhaps whoever asked is slow, on another node.
        for _ in 0..3 {
            let answer = application(&server, &token).await.unwrap();
            let wait = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert_eq!((answer.status().as_u16(), (1..=10).contains(&wait)), (503, true), "{wait}");
        }
        assert_eq!((story.broker.count(Endpoint::Open), story.broker.accounts().len()), (1, 0));
        story.two_minutes_pass().await;
        let (status, answer) = apply(&server, &token).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(story.broker.count(Endpoint::Open), 2);
        story.assert_one_account(&server, &token).await;
        server.stop();
    }

    async fn killed_after_the_broker_opened_it_and_nobody_tries_again(story: Story) {
        let token = story.killed_while_opening(Fault::hang().after_doing_it(), 1).await;
        story.two_minutes_pass().await;
        let server = story.serve();
        story.is_found(&server, &token).await;
        server.logs("a lost brokerage account was found");
        story.assert_one_account(&server, &token).await;
        server.stop();
    }

    async fn killed_while_nobody_knows_whether_it_was_opened(story: Story) {
        let server = story.serve();
        let token = register(&story.here, &server).await;
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        for _ in 0..2 {
            story.broker.fail_next(Endpoint::Find, Fault::status(500));
        }
        let (status, answer) = apply(&server, &token).await;
        assert_eq!(status, 503, "{answer}");
        story.opened_now();
        server.kill();
        let server = story.serve();
        story.is_found(&server, &token).await;
        // In the request, once in vain after the start, and once more.
        assert_eq!((story.broker.count(Endpoint::Open), story.broker.count(Endpoint::Find)), (1, 3));
        story.assert_one_account(&server, &token).await;
        server.stop();
    }

    async fn killed_again_and_again_while_the_broker_tells_of_changes(story: Story) {
        let mut server = story.serve();
        let (id, token) = story.followed(&server).await;
        for status in ["APPROVAL_PENDING", "APPROVED", "ACTIVE"] {
            story.broker.set_status(id, status);
            server.kill();
            server = story.serve();
        }
        // Whoever followed is waited for; the account is looked at all the same.
        story.becomes("active").await;
        assert_eq!(log_in(&story.here, &server).await["account_status"], "active");
        assert_eq!(profile(&server, &token).await.1["data"]["status"], "ACTIVE");
        server.stop();
    }

    async fn killed_in_the_middle_of_a_job_it_is_done_after_the_next_start(story: Story) {
        let server = story.serve();
        let token = register(&story.here, &server).await;
        let (status, answer) = apply(&server, &token).await;
        assert_eq!(status, 200, "{answer}");
        let id = answer["data"]["alpaca_account_id"].as_str().unwrap().parse().unwrap();
        // No event tells of it: only the job that asks the broker finds out. It hangs, and dies with its process.
        story.broker.set_field(id, "status", "ACTIVE".into());
        let asked = story.broker.count(Endpoint::Account);
        story.broker.fail_next(Endpoint::Account, Fault::hang());
        eventually("the broker is asked", async || (story.broker.count(Endpoint::Account) > asked).then_some(())).await;
        let running = "select name || ' ' || state from jobs where state = 'running' and name = 'brokerage standings'";
        assert_eq!(story.here.database().sql_texts(running).await, ["brokerage standings running"]);
        server.kill();
        assert_eq!(story.here.database().sql_texts(running).await, ["brokerage standings running"]);
        story.leases_run_out().await;
        story.here.database().sql("update brokerage_accounts set check_at = check_at - 200000000").await;
        let server = story.serve();
        story.becomes("active").await;
        eventually("the job is settled", async || {
            story.here.database().sql_texts(running).await.is_empty().then_some(())
        })
        .await;
        server.stop();
    }

    async fn killed_while_following_it_goes_on_where_it_stopped(story: Story) {
        let server = story.serve();
        let (id, _) = story.followed(&server).await;
        story.broker.set_status(id, "ACTIVE");
        story.becomes("active").await;
        let streams = story.broker.streams();
        let cursor = eventually("the event is noted", async || story.cursor().await.pop()).await;
        server.kill();
        story.broker.set_status(id, "DISABLED");
        story.leases_run_out().await;
        let server = story.serve();
        // An active account is looked at once a day: this comes from the stream.
        story.becomes("disabled").await;
        assert_eq!(story.broker.streams(), streams + 1);
        let asked = story.broker.seen().into_iter().rfind(|seen| seen.endpoint == Some(Endpoint::Events)).unwrap();
        assert_eq!(asked.query, [("since_ulid".to_owned(), cursor)]);
        assert_eq!(log_in(&story.here, &server).await["account_status"], "disabled");
        server.stop();
    }
}
