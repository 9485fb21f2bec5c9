//! The outbox: every message to exactly one worker at a time, until it is delivered or given up.

use std::collections::BTreeSet;

use tidegate_store::outbox::{Attempt, Message, NewMessage};
use tidegate_testkit::{concurrently, on_both_engines};

use crate::world::{NOW, World, at, seconds};

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

/// Adds that many.
async fn add(world: &World, count: usize) {
    let mut unit = world.store.begin().await.unwrap();
    for number in 0..count {
        let key = format!("key {number}");
        unit.outbox().insert(message(world, &key, "ada@example.com")).await.unwrap();
    }
    unit.commit().await.unwrap();
}

async fn claim(world: &World, second: i64, at_most: i64) -> Vec<Message> {
    commit!(world.store, unit => unit.outbox().claim(at(second), seconds(120), at_most))
}

async fn settle(world: &World, message: &Message, attempt: Attempt<'_>, second: i64) {
    commit!(world.store, unit => unit.outbox().settle(message.id(), attempt, at(second)));
}

async fn only(world: &World) -> Message {
    let mut all = read!(world.store, unit => unit.outbox().list(None, 10));
    assert_eq!(all.len(), 1);
    all.remove(0)
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
        assert!(claim(&world, 0, 10).await.is_empty());
        assert_eq!(only(&world).await.state, "discarded");
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
                    own.extend(commit!(store, unit => unit.outbox().claim(NOW, seconds(120), 7)));
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

    async fn a_delivered_message_is_wiped_unless_the_outbox_is_where_it_is_read(world: World) {
        add(&world, 2).await;
        for (message, keep_payload) in claim(&world, 0, 10).await.iter().zip([true, false]) {
            settle(&world, message, Attempt::Delivered { keep_payload }, 1).await;
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
        settle(&world, &again[0], Attempt::Delivered { keep_payload: false }, 31).await;
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
        settle(&world, &claimed[0], Attempt::Delivered { keep_payload: false }, 2).await;
        assert_eq!(only(&world).await.state, "dead");
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

    async fn messages_are_listed_newest_first_and_by_recipient(world: World) {
        for (key, recipient) in [("1", "ada@example.com"), ("2", "eve@example.com"), ("3", "ada@example.com")]
        {
            commit!(world.store, unit => unit.outbox().insert(message(&world, key, recipient)));
        }
        let keys =
            |messages: Vec<Message>| messages.into_iter().map(|m| m.idempotency_key).collect::<Vec<_>>();
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

    async fn old_messages_are_removed_but_never_waiting_or_dead_ones(world: World) {
        add(&world, 4).await;
        let claimed = claim(&world, 0, 3).await;
        for (message, attempt) in claimed.iter().zip([
            Attempt::Delivered { keep_payload: true },
            Attempt::Delivered { keep_payload: false },
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
        assert_eq!(unit.outbox().claim(NOW, seconds(120), 10).await.unwrap().len(), 1);
        drop(unit);
        let claimed = claim(&world, 0, 10).await;
        assert_eq!((claimed.len(), claimed[0].attempts), (1, 1));
    }
}
