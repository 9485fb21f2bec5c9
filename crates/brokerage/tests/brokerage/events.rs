//! The broker says that something changed.

use std::time::Duration;

use tidegate_brokerage::events::NAME;
use tidegate_kernel::jobs::Runner;
use tidegate_testkit::stub_broker::{Endpoint, Fault};
use tidegate_testkit::{Node, eventually, on_both_engines};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::Story;

impl Story {
    async fn opened(&self) -> Uuid {
        let answer = self.apply().await;
        answer.assert_status(200);
        answer.text_at("data.alpaca_account_id").parse().unwrap()
    }

    async fn status(&self) -> String {
        let mut statuses = self.app.database.sql_texts("select status from brokerage_accounts").await;
        statuses.pop().unwrap()
    }

    async fn becomes(&self, status: &str) {
        eventually(status, || async { (self.status().await == status).then_some(()) }).await;
    }

    async fn cursor(&self) -> String {
        let cursors = self.app.database.sql_texts("select coalesce(cursor, '') from broker_cursors").await;
        cursors.into_iter().next().unwrap_or_default()
    }

    /// Begins to follow the broker.
    async fn follow(&self) -> JoinHandle<()> {
        let begun = self.broker.streams();
        let runner = Runner::only(self.app.kernel(), &[NAME]);
        let following = tokio::spawn(runner.run(std::future::pending()));
        eventually("the stream begins", || std::future::ready((self.broker.streams() > begun).then_some(())))
            .await;
        following
    }

    /// Whoever follows dies, once everything told so far was dealt with.
    async fn dies(&self, following: JoinHandle<()>, cursor_before: &str) {
        eventually("the event is noted", || async { (self.cursor().await != cursor_before).then_some(()) })
            .await;
        following.abort();
        // Until it is gone it could still renew its lease, later than this clock is set.
        drop(following.await);
        // Its lease runs out.
        self.advance(61);
    }
}

on_both_engines! {
    async fn the_status_follows_the_brokers(story: Story) {
        let id = story.opened().await;
        let following = story.follow().await;
        for (theirs, ours) in [
            ("APPROVAL_PENDING", "pending"),
            ("APPROVED", "pending"),
            ("ACTIVE", "active"),
            ("DISABLED", "disabled"),
            ("ACTIVE", "active"),
            ("ACCOUNT_CLOSED", "closed"),
        ] {
            story.broker.set_status(id, theirs);
            story.becomes(ours).await;
            assert_eq!(story.person().await["account_status"], ours);
        }
        following.abort();
        let changes = "select count(*) from audit_events where action = 'brokerage.status_changed'";
        assert_eq!(story.app.sql_count(changes).await, 5);
    }

    async fn events_missed_while_nobody_followed_are_made_up_for(story: Story) {
        let id = story.opened().await;
        let following = story.follow().await;
        story.broker.set_status(id, "APPROVED");
        story.dies(following, "").await;
        let cursor = story.cursor().await;
        story.broker.set_status(id, "ACTIVE");
        story.broker.set_status(id, "DISABLED");
        let following = story.follow().await;
        story.becomes("disabled").await;
        following.abort();
        let asked = story.broker.seen().into_iter().rfind(|seen| seen.endpoint == Some(Endpoint::Events)).unwrap();
        let since = asked.query.into_iter().find(|(name, _)| name == "since_ulid").map(|(_, ulid)| ulid);
        assert_eq!(since.unwrap_or_default(), cursor, "it goes on from the last event it dealt with");
    }

    async fn an_event_that_could_not_be_dealt_with_is_dealt_with_later(story: Story) {
        let id = story.opened().await;
        let following = story.follow().await;
        story.broker.set_status(id, "APPROVED");
        story.dies(following, "").await;
        let before = story.cursor().await;
        story.broker.set_status(id, "ACTIVE");
        story.broker.fail_next(Endpoint::Account, Fault::status(500));
        assert!(story.app.brokerage().follow_broker().await.is_err());
        assert_eq!(story.cursor().await, before, "not dealt with, not passed over");
        assert_eq!(story.status().await, "pending");
        // It is tried again after a while.
        story.advance(61);
        let following = story.follow().await;
        story.becomes("active").await;
        following.abort();
    }

    async fn a_stream_that_ends_is_followed_again(story: Story) {
        let id = story.opened().await;
        let following = story.follow().await;
        let begun = story.broker.streams();
        story.broker.end_streams();
        eventually("it is followed again", || {
            story.advance(1);
            std::future::ready((story.broker.streams() > begun).then_some(()))
        })
        .await;
        story.broker.set_status(id, "ACTIVE");
        story.becomes("active").await;
        following.abort();
    }

    async fn what_an_old_event_says_does_not_undo_a_newer_truth(story: Story) {
        let id = story.opened().await;
        let following = story.follow().await;
        story.broker.set_status(id, "APPROVED");
        story.dies(following, "").await;
        let cursor = story.cursor().await;
        story.broker.set_status(id, "APPROVAL_PENDING");
        // Told late: the account is active by now, and its owner has seen it.
        story.broker.set_field(id, "status", "ACTIVE".into());
        story.profile().await.assert_status(200);
        assert_eq!(story.status().await, "active");
        let following = story.follow().await;
        story.dies(following, &cursor).await;
        assert_eq!(story.status().await, "active");
    }

    async fn without_a_single_event_the_status_converges(story: Story) {
        let id = story.opened().await;
        story.broker.set_field(id, "status", "ACTIVE".into());
        story.advance(5);
        story.work().await;
        assert_eq!(story.status().await, "active");
        // And a broker that does not answer is asked again.
        story.broker.set_field(id, "status", "DISABLED".into());
        story.broker.fail_next(Endpoint::Account, Fault::status(500));
        story.advance(7 * 24 * 3_600);
        story.work().await;
        assert_eq!(story.status().await, "active");
        story.advance(24 * 3_600);
        story.work().await;
        assert_eq!(story.status().await, "disabled");
    }

    async fn senseless_messages_and_strangers_accounts_are_passed_over(story: Story) {
        let id = story.opened().await;
        let following = story.follow().await;
        story.broker.say("data: {\"hello\": 1}\n\n");
        story.broker.say("data: garbage\n\n: a comment\n\n");
        story.broker.say(
            "data: {\"account_id\":\"b9b19618-22dd-4e80-8432-fc9e1ba0b27d\",\"status_to\":\"ACTIVE\",\
             \"event_ulid\":\"01HZ0\"}\n\n",
        );
        story.broker.set_status(id, "ACTIVE");
        story.becomes("active").await;
        following.abort();
    }

    async fn one_node_follows_and_another_takes_over(story: Story) {
        let id = story.opened().await;
        let other: Node = story.app.another_node().await;
        let brokerage = story.app.brokerage().clone();
        let first = tokio::spawn(async move { brokerage.follow_broker().await });
        eventually("the stream is followed", || {
            std::future::ready((story.broker.streams() == 1).then_some(()))
        })
        .await;
        // Another node has the job: there is nothing to do here.
        other.brokerage.follow_broker().await.unwrap();
        assert_eq!(story.asked(Endpoint::Events), 1);
        // The first one dies; its lease runs out.
        first.abort();
        story.advance(61);
        let second = tokio::spawn(async move { other.brokerage.follow_broker().await });
        eventually("the other follows", || {
            std::future::ready((story.broker.streams() == 2).then_some(()))
        })
        .await;
        story.broker.set_status(id, "ACTIVE");
        story.becomes("active").await;
        second.abort();
    }

    async fn an_account_the_broker_cannot_show_does_not_keep_the_others_waiting(story: Story) {
        let id = story.opened().await;
        let other = story.app.register_phone("+254712345679").await;
        let opened = story.app.open_account(&other, "other@example.com").await;
        let other_id: Uuid = opened["alpaca_account_id"].as_str().unwrap().parse().unwrap();
        let following = story.follow().await;
        story.broker.fail_next(Endpoint::Account, Fault::status(401));
        story.broker.set_status(id, "ACTIVE");
        eventually("it was tried", || std::future::ready((story.asked(Endpoint::Account) > 0).then_some(()))).await;
        story.broker.set_status(other_id, "ACTIVE");
        let active = "select count(*) from brokerage_accounts where status = 'active'";
        eventually("the other is active", || async {
            (story.app.sql_count(active).await >= 1).then_some(())
        })
        .await;
        following.abort();
        // And it is looked at again by itself.
        story.advance(60);
        story.work().await;
        assert_eq!(story.app.sql_count(active).await, 2);
    }

    async fn nobody_is_followed_while_nobody_has_an_account(story: Story) {
        tokio::time::timeout(Duration::from_secs(30), story.app.brokerage().follow_broker()).await.unwrap().unwrap();
        assert_eq!(story.asked(Endpoint::Events), 0);
    }
}
