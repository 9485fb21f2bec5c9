//! Many at once.

use std::collections::BTreeMap;

use tidegate_testkit::stub_broker::{Endpoint, Fault};
use tidegate_testkit::{Client, Node, concurrently, eventually, on_both_engines};

use crate::{EMAIL, PHONE, Story, application, apply_at};

/// How often each status was answered when everybody applied at once, at two nodes.
async fn all_at_once(
    story: &Story,
    other: &Node,
    body: impl Fn(usize) -> serde_json::Value,
) -> BTreeMap<u16, usize> {
    let client =
        |number: usize| -> Client { if number % 2 == 1 { other.client() } else { story.app.client() } };
    let answers = concurrently(20, |number| {
        let request = client(number).post("/api/v1/account/create");
        let request = request.bearer(&story.person.token).json(&body(number));
        async move { request.send().await }
    })
    .await;
    let mut counts = BTreeMap::new();
    for answer in answers {
        assert!([200, 409, 503].contains(&answer.status), "{}", answer.text);
        let told = answer.field("data.alpaca_account_id").is_string();
        assert_eq!(
            told,
            answer.status == 200,
            "who is told that it is opened is told which: {}",
            answer.text
        );
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

on_both_engines! {
    async fn one_of_many_equal_applications_opens_the_account(story: Story) {
        let other = story.app.another_node().await;
        let counts = all_at_once(&story, &other, |_| application(PHONE, EMAIL)).await;
        assert!(counts[&200] >= 1, "{counts:?}");
        assert_eq!(story.asked(Endpoint::Open), 1, "{counts:?}");
        story.assert_one_account().await;
    }

    async fn one_of_many_different_applications_opens_the_account(story: Story) {
        let other = story.app.another_node().await;
        let email = |number: usize| if number == 0 { EMAIL.to_owned() } else { format!("user{number}@example.com") };
        let counts = all_at_once(&story, &other, |number| application(PHONE, &email(number))).await;
        assert_eq!(counts[&200], 1, "{counts:?}");
        assert_eq!(story.broker.accounts().len(), 1);
    }

    async fn a_worker_that_looked_too_long_does_not_undo_a_new_try(story: Story) {
        // In doubt; a worker takes it up when its time is over, and the broker lets it wait.
        story.broker.fail_next(Endpoint::Open, Fault::status(500));
        story.apply().await.assert_status(503);
        story.advance(61);
        story.broker.fail_next(Endpoint::Find, Fault::hang());
        let worker = story.app.brokerage().clone();
        let asked = story.asked(Endpoint::Find);
        let working = tokio::spawn(async move { worker.check_brokerage().await });
        eventually("the worker looks", || std::future::ready((story.asked(Endpoint::Find) > asked).then_some(()))).await;
        // Meanwhile the person tries again, at a node that dies while the broker opens it.
        let other = story.app.another_node().await;
        story.broker.fail_next(Endpoint::Open, Fault::hang().after_doing_it());
        let (person, body) = (story.person.clone(), application(PHONE, EMAIL));
        let opens = story.asked(Endpoint::Open);
        let dying = tokio::spawn(async move { apply_at(&other, &person, &body).await });
        eventually("the broker is asked", || std::future::ready((story.asked(Endpoint::Open) > opens).then_some(()))).await;
        dying.abort();
        // What the worker saw is out of date, whatever it concludes.
        working.abort();
        story.advance(91);
        story.work().await;
        story.assert_one_account().await;
    }

    async fn many_at_once_after_a_lost_answer_find_the_one_account(story: Story) {
        let other = story.app.another_node().await;
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        for _ in 0..3 {
            story.broker.fail_next(Endpoint::Find, Fault::status(500));
        }
        let mut opened = 0;
        // Refused ones come back, as clients do.
        for _ in 0..5 {
            let request = || story.apply();
            let (one, two) = tokio::join!(request(), story.apply_at(&other));
            opened += [one, two].iter().filter(|answer| answer.status == 200).count();
        }
        assert!(opened >= 1);
        story.assert_one_account().await;
    }

    async fn workers_of_two_nodes_note_it_once(story: Story) {
        let other = story.app.another_node().await;
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        story.broker.fail_next(Endpoint::Find, Fault::status(500));
        story.apply().await.assert_status(503);
        story.advance(5);
        let (one, two) =
            tokio::join!(story.app.brokerage().check_brokerage(), other.brokerage.check_brokerage());
        assert_eq!(one.unwrap() + two.unwrap(), 1);
        story.assert_one_account().await;
    }
}
