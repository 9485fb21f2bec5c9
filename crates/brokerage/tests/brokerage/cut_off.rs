//! The process dies between the steps of an opening.
//!
//! A node that asks the broker and never gets further is dead to the others; a real `kill -9` is in the program's tests.

use tidegate_testkit::stub_broker::{Endpoint, Fault};
use tidegate_testkit::{Engine, eventually, on_both_engines};

use crate::{EMAIL, PHONE, Story, application, apply_at, assert_later};

/// Starts an application at a node that dies once the broker was asked.
async fn dies_while_opening(story: &Story, fault: Fault) {
    story.broker.fail_next(Endpoint::Open, fault);
    let node = story.app.another_node().await;
    let (person, body) = (story.person.clone(), application(PHONE, EMAIL));
    tokio::spawn(async move { apply_at(&node, &person, &body).await });
    eventually("the broker is asked", || {
        std::future::ready((story.asked(Endpoint::Open) == 1).then_some(()))
    })
    .await;
}

on_both_engines! {
    async fn dead_before_the_broker_did_anything(story: Story) {
        dies_while_opening(&story, Fault::hang()).await;
        // Perhaps it is not dead but slow.
        assert_later(&story.apply().await);
        story.assert_no_account().await;
        story.advance(121);
        story.work().await;
        story.apply().await.assert_status(200);
        story.assert_one_account().await;
    }

    async fn dead_before_the_broker_did_anything_and_nobody_looked(story: Story) {
        dies_while_opening(&story, Fault::hang()).await;
        story.advance(121);
        story.apply().await.assert_status(200);
        assert_eq!(story.asked(Endpoint::Open), 2);
        story.assert_one_account().await;
    }

    async fn dead_after_the_broker_opened_it_and_the_person_tries_again(story: Story) {
        dies_while_opening(&story, Fault::hang().after_doing_it()).await;
        let answer = story.apply().await;
        answer.assert_status(200);
        assert_eq!(story.asked(Endpoint::Open), 1, "it was found, not opened anew");
        let id = story.assert_one_account().await;
        assert_eq!(answer.field("data.alpaca_account_id"), &id.to_string());
    }

    async fn dead_after_the_broker_opened_it_and_the_person_does_not_come_back(story: Story) {
        dies_while_opening(&story, Fault::hang().after_doing_it()).await;
        story.work().await;
        assert_eq!(story.asked(Endpoint::Find), 0, "whoever opens it is waited for");
        story.advance(121);
        story.work().await;
        story.assert_one_account().await;
    }

    async fn dead_after_the_broker_opened_it_and_the_person_comes_back_with_another_address(story: Story) {
        dies_while_opening(&story, Fault::hang().after_doing_it()).await;
        let other = application(PHONE, "another@example.com");
        let answer = story.app.create_account(&story.person, &other).await;
        answer.assert_status(409);
        story.assert_one_account().await;
    }

    async fn dead_before_anything_and_the_person_comes_back_with_another_address(story: Story) {
        dies_while_opening(&story, Fault::hang()).await;
        let other = application(PHONE, "another@example.com");
        // The first may still be opened: asking for another address now could open two.
        assert_later(&story.app.create_account(&story.person, &other).await);
        assert_eq!(story.asked(Endpoint::Open), 1);
        story.advance(121);
        story.app.create_account(&story.person, &other).await.assert_status(200);
        assert_eq!(story.broker.accounts().len(), 1);
        assert_eq!(story.broker.accounts()[0]["contact"]["email_address"], "another@example.com");
    }

    async fn the_database_refuses_to_note_it(story: Story) {
        let (refuse, relent) = match story.app.database.engine() {
            Engine::Sqlite => (
                "create trigger refusing before update of broker_account_id on brokerage_accounts
                 when new.broker_account_id is not null begin select raise(abort, 'refused'); end",
                "drop trigger refusing",
            ),
            Engine::Postgres => (
                "alter table brokerage_accounts add constraint refusing check (broker_account_id is null)",
                "alter table brokerage_accounts drop constraint refusing",
            ),
        };
        story.app.sql(refuse).await;
        story.apply().await.assert_status(500);
        assert_eq!(story.broker.accounts().len(), 1);
        story.app.sql(relent).await;
        // Whoever comes first finds it: the person or, once the one who asked is taken for dead, a worker.
        story.apply().await.assert_status(200);
        story.assert_one_account().await;
    }

    async fn the_person_goes_away_while_the_broker_thinks(story: Story) {
        let request = story.app.post("/api/v1/account/create").bearer(&story.person.token);
        let request = request.json(&application(PHONE, EMAIL)).send();
        // Dropped as soon as it waits for somebody: what it began goes on.
        tokio::select! {
            biased;
            answer = request => { answer.assert_status(200); }
            () = async { while story.asked(Endpoint::Open) == 0 { tokio::task::yield_now().await; } } => {}
        }
        eventually("it is noted all the same", || async {
            let noted = "select count(*) from brokerage_accounts where broker_account_id is not null";
            (story.app.sql_count(noted).await == 1).then_some(())
        })
        .await;
        story.assert_one_account().await;
    }
}
