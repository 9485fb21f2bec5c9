//! The outbox: every message to exactly one worker at a time, until it is delivered or given up.

use std::collections::BTreeSet;

use tidegate_kernel::KernelTables;
use tidegate_kernel::tables::outbox::{Attempt, Message, NewMessage, NewReceipt};
use tidegate_testkit::{concurrently, on_both_engines};
use uuid::Uuid;

use crate::world::{NOW, World, at, seconds};

/// Taken by whom there is no choice of, and wiped.
const DELIVERED: Attempt<'static> = Attempt::Delivered { keep_payload: false, accepted: None };

/// A message that is yet to be added.
fn message<'a>(world: &World, key: &'a str, recipient: &'a str) -> NewMessage<'a> {
    NewMessage {
        id: world.key(),
        idempotency_key: key,
        channel: "email",
        template: "sign_up_code",
        recipient,
        payload: b"sealed",
        deliverable: true,
        created_at: NOW,
    }
}

/// A text message that is yet to be added.
fn text<'a>(world: &World, key: &'a str) -> NewMessage<'a> {
    NewMessage { channel: "sms", ..message(world, key, "+254712345678") }
}

/// Adds that many.
async fn add(world: &World, count: usize) {
    let mut unit = world.store.begin().await.unwrap();
    for number in 0..count {
        let key = format!("key {number}");
        unit.outbox().insert(message(world, &key, "ada@example.com")).await.unwrap();
    }
    unit.commit().await.unwrap();
}

/// The mails a worker gets at that second.
async fn claim(world: &World, second: i64, at_most: i64) -> Vec<Message> {
    claim_of(world, "email", second, at_most).await
}

async fn claim_of(world: &World, channel: &str, second: i64, at_most: i64) -> Vec<Message> {
    commit!(world.store, unit => unit.outbox().claim(channel, at(second), seconds(120), at_most))
}

fn keys(messages: Vec<Message>) -> Vec<String> {
    messages.into_iter().map(|message| message.idempotency_key).collect()
}

async fn settle(world: &World, message: &Message, attempt: Attempt<'_>, second: i64) {
    commit!(world.store, unit => unit.outbox().settle(message.id(), message.claim(), attempt, at(second)));
}

async fn only(world: &World) -> Message {
    let mut all = read!(world.store, unit => unit.outbox().list(None, 10));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Adds a message that somebody took who calls it that; answers its number.
async fn taken(world: &World, provider: &str, message_id: Option<&str>) -> i64 {
    let key = world.key::<Uuid>().to_string();
    commit!(world.store, unit => unit.outbox().insert(text(world, &key)));
    let claimed = claim_of(world, "sms", 0, 1).await;
    let attempt = Attempt::Delivered { keep_payload: false, accepted: Some((provider, message_id)) };
    settle(world, &claimed[0], attempt, 1).await;
    claimed[0].number
}

/// What a provider reports of a message; answers the message's number.
async fn report(world: &World, provider: &str, id: &str, state: &str, reason: Option<&str>) -> Option<i64> {
    let receipt = NewReceipt { provider, message_id: id, state, reason };
    commit!(world.store, unit => unit.outbox().receive(receipt, at(2)))
}

/// The reports on all messages, newest message first.
async fn receipts(world: &World) -> Vec<(Option<String>, Option<String>)> {
    let all = read!(world.store, unit => unit.outbox().list(None, 10));
    all.into_iter().map(|message| (message.receipt, message.receipt_reason)).collect()
}

/// A report as it is read back.
fn receipt(state: &str, reason: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(state.to_owned()), reason.map(str::to_owned))
}

on_both_engines! {
    async fn a_message_waits_until_it_is_claimed(world: World) {
        let new = message(&world, "key", "ada@example.com");
        commit!(world.store, unit => unit.outbox().insert(new));
        let waiting = only(&world).await;
        assert_eq!((waiting.id(), waiting.state.as_str(), waiting.attempts), (new.id, "pending", 0));
        assert_eq!((waiting.created_at(), waiting.next_attempt_at(), waiting.settled_at()), (NOW, NOW, None));
        assert!(claim(&world, -1, 10).await.is_empty(), "before it is due");
        let claimed = claim(&world, 0, 10).await;
        assert_eq!((claimed.len(), claimed[0].id(), claimed[0].attempts), (1, new.id, 1));
        assert_eq!(claimed[0].payload.as_deref(), Some(&b"sealed"[..]));
        assert_eq!((claimed[0].template.as_str(), claimed[0].channel.as_str()), ("sign_up_code", "email"));
        assert_eq!(
            (claimed[0].recipient.as_str(), claimed[0].idempotency_key.as_str()),
            ("ada@example.com", "key")
        );
    }

    async fn a_second_copy_of_a_message_is_not_added(world: World) {
        for recipient in ["first@example.com", "second@example.com"] {
            commit!(world.store, unit => unit.outbox().insert(message(&world, "same", recipient)));
        }
        assert_eq!(only(&world).await.recipient, "first@example.com");
    }

    async fn a_message_for_nobody_is_never_sent(world: World) {
        let new = NewMessage { deliverable: false, ..message(&world, "key", "nobody@example.com") };
        commit!(world.store, unit => unit.outbox().insert(new));
        assert!(claim_of(&world, "sms", 0, 10).await.is_empty());
        // It is claimed and put away like any other.
        let claimed = claim(&world, 0, 10).await;
        assert_eq!((claimed.len(), claimed[0].is_discarded()), (1, true));
        settle(&world, &claimed[0], Attempt::Discarded, 1).await;
        assert!(claim(&world, 999, 10).await.is_empty());
        let settled = only(&world).await;
        assert_eq!((settled.state.as_str(), settled.payload), ("discarded", None));
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), None);
        assert_eq!(read!(world.store, unit => unit.outbox().depth()), (0, 0));
    }

    async fn each_message_goes_to_one_of_many_workers(world: World) {
        add(&world, 100).await;
        let batches = concurrently(20, |_| {
            let store = world.store.clone();
            async move {
                let mut own = Vec::new();
                // A worker that comes away empty-handed may have lost a race; it looks again while there is something.
                while read!(store, unit => unit.outbox().next_due()).is_some_and(|due| due <= NOW) {
                    own.extend(commit!(store, unit => unit.outbox().claim("email", NOW, seconds(120), 7)));
                }
                own
            }
        })
        .await;
        let numbers: Vec<i64> = batches.iter().flatten().map(|message| message.number).collect();
        assert_eq!(numbers.len(), 100);
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 100);
        assert!(batches.iter().flatten().all(|message| message.attempts == 1));
    }

    async fn a_worker_that_died_is_replaced_when_its_lease_is_over(world: World) {
        add(&world, 1).await;
        assert_eq!(claim(&world, 0, 10).await.len(), 1);
        assert!(claim(&world, 119, 10).await.is_empty());
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), Some(at(120)));
        let again = claim(&world, 120, 10).await;
        assert_eq!((again.len(), again[0].attempts), (1, 2));
    }

    async fn the_oldest_due_messages_are_claimed_first(world: World) {
        add(&world, 5).await;
        let first: Vec<i64> = claim(&world, 0, 2).await.iter().map(|message| message.number).collect();
        let second: Vec<i64> = claim(&world, 0, 2).await.iter().map(|message| message.number).collect();
        assert!(first[0] < first[1] && first[1] < second[0] && second[0] < second[1]);
        assert_eq!(claim(&world, 0, 2).await.len(), 1);
        assert!(claim(&world, 0, 2).await.is_empty());
        assert!(claim(&world, 500, 0).await.is_empty());
    }

    async fn a_channel_takes_its_own_messages_only(world: World) {
        for number in 0..3 {
            let (mail, texted) = (format!("mail {number}"), format!("text {number}"));
            commit!(world.store, unit => unit.outbox().insert(text(&world, &texted)));
            commit!(world.store, unit => unit.outbox().insert(message(&world, &mail, "ada@example.com")));
        }
        for none in ["", "push", "EMAIL", "%"] {
            assert!(claim_of(&world, none, 0, 10).await.is_empty(), "{none}");
        }
        // However many of another's come before, they take nobody's place in a batch.
        assert_eq!(keys(claim(&world, 0, 2).await), ["mail 0", "mail 1"]);
        let texts = claim_of(&world, "sms", 0, 10).await;
        assert!(texts.iter().all(|text| text.channel == "sms" && text.attempts == 1));
        assert_eq!(keys(texts), ["text 0", "text 1", "text 2"]);
        assert_eq!(keys(claim(&world, 0, 10).await), ["mail 2"]);
        for channel in ["email", "sms"] {
            assert!(claim_of(&world, channel, 119, 10).await.is_empty());
            assert_eq!(claim_of(&world, channel, 120, 10).await.len(), 3);
        }
    }

    async fn a_message_whose_time_is_over_is_forgotten_but_says_why(world: World) {
        commit!(world.store, unit => unit.outbox().insert(text(&world, "key")));
        let claimed = claim_of(&world, "sms", 0, 10).await;
        settle(&world, &claimed[0], Attempt::Missed { error: "no such number" }, 7).await;
        let missed = only(&world).await;
        let said = ("discarded", Some("no such number"));
        assert_eq!((missed.state.as_str(), missed.last_error.as_deref()), said);
        assert_eq!((missed.settled_at(), missed.attempts, missed.payload), (Some(at(7)), 1, None));
        // Nobody is to see to it, nor can anybody.
        assert_eq!(read!(world.store, unit => unit.outbox().depth()), (0, 0));
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), None);
        assert!(claim_of(&world, "sms", 10_000, 10).await.is_empty());
        assert!(!commit!(world.store, unit => unit.outbox().revive(missed.number, at(8))));
        assert!(!commit!(world.store, unit => unit.outbox().bury(missed.number)));
        // A worker that comes late changes nothing.
        for late in [DELIVERED, Attempt::Again { at: at(9), error: "" }, Attempt::Dead { error: "" }] {
            settle(&world, &claimed[0], late, 9).await;
        }
        let still = only(&world).await;
        assert_eq!((still.state.as_str(), still.last_error.as_deref()), said);
        assert_eq!(still.settled_at(), Some(at(7)));
        assert_eq!(commit!(world.store, unit => unit.outbox().prune(at(1), 10)), 1);
    }

    async fn what_was_settled_before_is_not_missed(world: World) {
        add(&world, 2).await;
        let claimed = claim(&world, 0, 10).await;
        for (message, attempt) in claimed
            .iter()
            .zip([Attempt::Delivered { keep_payload: true, accepted: None }, Attempt::Dead { error: "down" }])
        {
            settle(&world, message, attempt, 1).await;
            settle(&world, message, Attempt::Missed { error: "late" }, 2).await;
        }
        let all = read!(world.store, unit => unit.outbox().list(None, 10));
        let shown: Vec<_> = all
            .iter()
            .map(|m| (m.state.as_str(), m.payload.is_some(), m.last_error.as_deref(), m.settled_at()))
            .collect();
        let then = Some(at(1));
        assert_eq!(shown, [("dead", true, Some("down"), then), ("delivered", true, None, then)]);
    }

    async fn a_delivered_message_is_wiped_unless_the_outbox_is_where_it_is_read(world: World) {
        add(&world, 2).await;
        for (message, keep_payload) in claim(&world, 0, 10).await.iter().zip([true, false]) {
            settle(&world, message, Attempt::Delivered { keep_payload, accepted: None }, 1).await;
        }
        let all = read!(world.store, unit => unit.outbox().list(None, 10));
        let shown: Vec<_> =
            all.iter().map(|m| (m.state.as_str(), m.payload.is_some(), m.settled_at())).collect();
        assert_eq!(shown, [("delivered", false, Some(at(1))), ("delivered", true, Some(at(1)))]);
        assert!(claim(&world, 1_000, 10).await.is_empty());
    }

    async fn a_failed_message_is_tried_again_when_it_is_due(world: World) {
        add(&world, 1).await;
        let claimed = claim(&world, 0, 10).await;
        settle(&world, &claimed[0], Attempt::Again { at: at(30), error: "greylisted" }, 1).await;
        let waiting = only(&world).await;
        assert_eq!((waiting.state.as_str(), waiting.last_error.as_deref()), ("pending", Some("greylisted")));
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), Some(at(30)));
        assert!(claim(&world, 29, 10).await.is_empty());
        let again = claim(&world, 30, 10).await;
        assert_eq!((again.len(), again[0].attempts), (1, 2));
        settle(&world, &again[0], DELIVERED, 31).await;
        assert_eq!(only(&world).await.last_error, None);
    }

    async fn a_message_given_up_is_dead_and_says_why(world: World) {
        add(&world, 1).await;
        let claimed = claim(&world, 0, 10).await;
        settle(&world, &claimed[0], Attempt::Dead { error: "no such mailbox" }, 1).await;
        let dead = only(&world).await;
        assert_eq!((dead.state.as_str(), dead.last_error.as_deref()), ("dead", Some("no such mailbox")));
        assert_eq!((dead.settled_at(), dead.payload.is_some()), (Some(at(1)), true));
        assert!(claim(&world, 10_000, 10).await.is_empty());
        assert_eq!(read!(world.store, unit => unit.outbox().depth()), (0, 1));
        // A worker that took it before its lease ran out comes late.
        settle(&world, &claimed[0], DELIVERED, 2).await;
        assert_eq!(only(&world).await.state, "dead");
    }

    async fn a_late_worker_takes_a_message_from_nobody_unless_it_was_sent(world: World) {
        add(&world, 1).await;
        let late = claim(&world, 0, 1).await.remove(0);
        let present = claim(&world, 120, 1).await.remove(0);
        assert_ne!(late.claim(), present.claim());
        for attempt in [
            Attempt::Again { at: at(121), error: "late" },
            Attempt::Missed { error: "late" },
            Attempt::Dead { error: "late" },
        ] {
            settle(&world, &late, attempt, 121).await;
            let message = only(&world).await;
            assert_eq!((message.state.as_str(), message.last_error), ("pending", None), "{attempt:?}");
            assert!(claim(&world, 130, 1).await.is_empty(), "{attempt:?}");
        }
        // It was sent, whoever sent it: once is enough.
        settle(&world, &late, DELIVERED, 122).await;
        assert!(claim(&world, 999, 1).await.is_empty());
        assert_eq!(only(&world).await.state, "delivered");
    }

    async fn an_operator_gives_a_dead_message_another_life_or_none(world: World) {
        add(&world, 2).await;
        let claimed = claim(&world, 0, 10).await;
        let (one, two) = (claimed[0].number, claimed[1].number);
        for number in [one, one + 99] {
            assert!(!commit!(world.store, unit => unit.outbox().revive(number, at(5))), "not dead");
            assert!(!commit!(world.store, unit => unit.outbox().bury(number)), "not dead");
        }
        for message in &claimed {
            settle(&world, message, Attempt::Dead { error: "down for the week" }, 1).await;
        }
        assert!(commit!(world.store, unit => unit.outbox().revive(one, at(5))));
        assert!(!commit!(world.store, unit => unit.outbox().revive(one, at(5))));
        assert!(commit!(world.store, unit => unit.outbox().bury(two)));
        assert!(claim(&world, 4, 10).await.is_empty(), "before it is due");
        let again = claim(&world, 5, 10).await;
        assert_eq!((again.len(), again[0].number, again[0].attempts), (1, one, 1));
        assert_eq!(again[0].settled_at(), None);
        assert_eq!(only(&world).await.number, one);
    }

    async fn an_operator_brings_the_next_attempt_of_a_pending_message_forward(world: World) {
        add(&world, 1).await;
        let first = claim(&world, 0, 1).await;
        let number = first[0].number;
        settle(&world, &first[0], Attempt::Again { at: at(999), error: "greylisted" }, 1).await;
        assert!(claim(&world, 5, 1).await.is_empty(), "before it is due");
        assert!(!commit!(world.store, unit => unit.outbox().hasten(number + 99, at(5))), "not there");
        assert!(commit!(world.store, unit => unit.outbox().hasten(number, at(5))));
        // What is due already is put off by nothing.
        assert!(commit!(world.store, unit => unit.outbox().hasten(number, at(700))));
        let again = claim(&world, 5, 1).await;
        assert_eq!((again.len(), again[0].attempts), (1, 2), "none is counted back");
        settle(&world, &again[0], DELIVERED, 6).await;
        assert!(!commit!(world.store, unit => unit.outbox().hasten(number, at(7))), "sent");
        assert!(claim(&world, 9_999, 1).await.is_empty());
    }

    async fn messages_are_listed_newest_first_and_by_recipient(world: World) {
        for (key, recipient) in [("1", "ada@example.com"), ("2", "eve@example.com"), ("3", "ada@example.com")]
        {
            commit!(world.store, unit => unit.outbox().insert(message(&world, key, recipient)));
        }
        assert_eq!(keys(read!(world.store, unit => unit.outbox().list(None, 10))), ["3", "2", "1"]);
        assert_eq!(keys(read!(world.store, unit => unit.outbox().list(None, 2))), ["3", "2"]);
        let to_ada = read!(world.store, unit => unit.outbox().list(Some("ada@example.com"), 10));
        assert_eq!(keys(to_ada), ["3", "1"]);
        assert!(read!(world.store, unit => unit.outbox().list(Some("bob@example.com"), 10)).is_empty());
    }

    async fn the_next_due_message_is_the_earliest_that_nobody_holds(world: World) {
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), None);
        add(&world, 2).await;
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), Some(NOW));
        let claimed = claim(&world, 0, 10).await;
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), Some(at(120)));
        settle(&world, &claimed[0], Attempt::Again { at: at(7), error: "" }, 1).await;
        assert_eq!(read!(world.store, unit => unit.outbox().next_due()), Some(at(7)));
        assert_eq!(read!(world.store, unit => unit.outbox().depth()), (2, 0));
    }

    async fn a_message_is_due_as_long_as_it_can_be_claimed(world: World) {
        let is_due = async |channel, second| {
            read!(world.store, unit => unit.outbox().is_due(channel, at(second)))
        };
        assert!(!is_due("email", 0).await);
        add(&world, 1).await;
        assert!(is_due("email", 0).await && !is_due("sms", 0).await);
        let claimed = claim(&world, 0, 10).await;
        assert!(!is_due("email", 119).await && is_due("email", 120).await);
        settle(&world, &claimed[0], Attempt::Again { at: at(7), error: "" }, 1).await;
        assert!(!is_due("email", 6).await && is_due("email", 7).await);
        settle(&world, &claim(&world, 7, 10).await[0], DELIVERED, 8).await;
        assert!(!is_due("email", 900).await);
    }

    async fn who_took_a_message_and_what_they_call_it_is_kept(world: World) {
        add(&world, 4).await;
        let claimed = claim(&world, 0, 10).await;
        for (message, accepted) in claimed.iter().zip([
            Some(("twilio", Some("SM1"))),
            Some(("africas_talking", Some("ATXid_1"))),
            Some(("log", None)),
            None,
        ]) {
            assert_eq!((&message.provider, &message.receipt), (&None, &None));
            settle(&world, message, Attempt::Delivered { keep_payload: false, accepted }, 1).await;
        }
        let all = read!(world.store, unit => unit.outbox().list(None, 10));
        let providers: Vec<_> = all.iter().map(|message| message.provider.as_deref()).collect();
        assert_eq!(providers, [None, Some("log"), Some("africas_talking"), Some("twilio")]);
        assert!(all.iter().all(|message| message.receipt.is_none() && message.state == "delivered"));
        let ids = "select coalesce(provider_message_id, '-') from outbox_messages order by number";
        assert_eq!(world.database.sql_texts(ids).await, ["SM1", "ATXid_1", "-", "-"]);
    }

    async fn what_a_provider_reports_is_noted_and_the_end_stays_the_end(world: World) {
        let number = taken(&world, "twilio", Some("SM1")).await;
        for (state, noted) in
            [("interim", "interim"), ("interim", "interim"), ("delivered", "delivered"), ("interim", "delivered")]
        {
            assert_eq!(report(&world, "twilio", "SM1", state, None).await, Some(number));
            assert_eq!(receipts(&world).await, [receipt(noted, None)]);
        }
        assert_eq!(only(&world).await.state, "delivered");
    }

    async fn a_message_that_did_not_arrive_keeps_the_reason(world: World) {
        let number = taken(&world, "twilio", Some("SM1")).await;
        assert_eq!(report(&world, "twilio", "SM1", "failed", Some("30003")).await, Some(number));
        // Late, and of no consequence.
        assert_eq!(report(&world, "twilio", "SM1", "interim", None).await, Some(number));
        assert_eq!(receipts(&world).await, [receipt("failed", Some("30003"))]);
        // To the outbox it is done: sending it once more is nobody's business but the person's.
        let message = only(&world).await;
        assert_eq!((message.state.as_str(), message.last_error, message.attempts), ("delivered", None, 1));
        assert!(claim_of(&world, "sms", 10_000, 10).await.is_empty());
    }

    async fn of_two_ends_the_one_reported_first_stays(world: World) {
        let (failed, delivered) = (Some("30003"), None);
        for (id, first, then) in [
            ("SM1", ("delivered", delivered), ("failed", failed)),
            ("SM2", ("failed", failed), ("delivered", delivered)),
            ("SM3", ("failed", failed), ("failed", Some("30005"))),
        ] {
            let number = taken(&world, "twilio", Some(id)).await;
            let late = ("interim", None);
            for (state, reason) in [("interim", Some("queued")), first, then, late, first, then] {
                assert_eq!(report(&world, "twilio", id, state, reason).await, Some(number));
            }
            assert_eq!(receipts(&world).await[0], receipt(first.0, first.1), "{id}");
        }
        let all = receipts(&world).await;
        assert_eq!(all, [receipt("failed", failed), receipt("failed", failed), receipt("delivered", None)]);
    }

    async fn of_twenty_ends_reported_at_once_one_is_kept_with_its_reason(world: World) {
        taken(&world, "twilio", Some("SM1")).await;
        concurrently(20, |number| {
            let store = world.store.clone();
            async move {
                let (state, reason) =
                    if number % 2 == 0 { ("delivered", None) } else { ("failed", Some("30003")) };
                let receipt = NewReceipt { provider: "twilio", message_id: "SM1", state, reason };
                commit!(store, unit => unit.outbox().receive(receipt, at(2)))
            }
        })
        .await;
        let kept = receipts(&world).await.remove(0);
        assert!([receipt("delivered", None), receipt("failed", Some("30003"))].contains(&kept), "{kept:?}");
    }

    async fn a_report_is_of_its_providers_message_only(world: World) {
        let ours = taken(&world, "twilio", Some("1")).await;
        assert_eq!(report(&world, "africas_talking", "1", "failed", Some("403")).await, None);
        assert_eq!(receipts(&world).await, [(None, None)]);
        // Two may call different messages the same.
        let theirs = taken(&world, "africas_talking", Some("1")).await;
        assert_eq!(report(&world, "africas_talking", "1", "failed", Some("403")).await, Some(theirs));
        assert_eq!(report(&world, "twilio", "1", "delivered", None).await, Some(ours));
        assert_eq!(receipts(&world).await, [receipt("failed", Some("403")), receipt("delivered", None)]);
    }

    async fn a_report_of_a_message_nobody_knows_is_none(world: World) {
        taken(&world, "twilio", Some("SM1")).await;
        taken(&world, "twilio", None).await;
        for unknown in ["SM2", "SM", "sm1", "", "%"] {
            assert_eq!(report(&world, "twilio", unknown, "delivered", None).await, None, "{unknown}");
        }
        assert_eq!(receipts(&world).await, [(None, None), (None, None)]);
        assert_eq!(commit!(world.store, unit => unit.outbox().prune(at(1), 10)), 2);
        assert_eq!(report(&world, "twilio", "SM1", "delivered", None).await, None, "known no more");
    }

    async fn old_messages_are_removed_but_never_waiting_or_dead_ones(world: World) {
        add(&world, 4).await;
        let claimed = claim(&world, 0, 3).await;
        for (message, attempt) in claimed.iter().zip([
            Attempt::Delivered { keep_payload: true, accepted: None },
            DELIVERED,
            Attempt::Dead { error: "" },
        ]) {
            settle(&world, message, attempt, 1).await;
        }
        let discarded =
            NewMessage { deliverable: false, ..message(&world, "for nobody", "nobody@example.com") };
        commit!(world.store, unit => unit.outbox().insert(discarded));
        assert_eq!(commit!(world.store, unit => unit.outbox().prune(NOW, 500)), 0);
        assert_eq!(commit!(world.store, unit => unit.outbox().prune(at(1), 2)), 2);
        assert_eq!(commit!(world.store, unit => unit.outbox().prune(at(9_999), 500)), 1);
        let states = world.database.sql_texts("select state from outbox_messages order by number").await;
        assert_eq!(states, ["dead", "pending"]);
    }

    async fn a_claim_that_was_not_committed_did_not_happen(world: World) {
        add(&world, 1).await;
        let mut unit = world.store.begin().await.unwrap();
        assert_eq!(unit.outbox().claim("email", NOW, seconds(120), 10).await.unwrap().len(), 1);
        drop(unit);
        let claimed = claim(&world, 0, 10).await;
        assert_eq!((claimed.len(), claimed[0].attempts), (1, 1));
    }
}
