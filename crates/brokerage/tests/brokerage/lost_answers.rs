//! The broker does what it is asked, and its answer gets lost.

use tidegate_testkit::on_both_engines;
use tidegate_testkit::stub_broker::{Endpoint, Fault};

use crate::{EMAIL, PHONE, Story, application, assert_later};

/// Every way to open an account and not to say so.
fn lost() -> Vec<(&'static str, Fault)> {
    vec![
        ("the connection breaks in the middle", Fault::break_off()),
        ("the connection closes", Fault::close().after_doing_it()),
        ("500", Fault::status(500).after_doing_it()),
        ("502", Fault::status(502).after_doing_it()),
        ("504", Fault::status(504).after_doing_it()),
        ("no JSON", Fault::answer(200, "application/json", "<html>").after_doing_it()),
        ("JSON of something else", Fault::answer(200, "application/json", "{\"ok\":true}").after_doing_it()),
        ("nothing at all", Fault::answer(200, "application/json", "").after_doing_it()),
    ]
}

/// Every way not to open an account and to leave that open.
fn in_doubt() -> Vec<(&'static str, Fault)> {
    vec![
        ("the connection breaks", Fault::close()),
        ("500", Fault::status(500)),
        ("504", Fault::status(504)),
        ("no JSON", Fault::answer(200, "application/json", "garbage")),
    ]
}

on_both_engines! {
    async fn it_is_found_at_once(story: Story) {
        let mut number = 0;
        for (what, fault) in lost() {
            number += 1;
            let phone = format!("+2547123456{number:02}");
            let person = story.app.register_phone(&phone).await;
            story.broker.fail_next(Endpoint::Open, fault);
            let email = format!("user{number}@example.com");
            let answer = story.app.create_account(&person, &application(&phone, &email)).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
            let accounts = story.broker.accounts();
            assert_eq!(accounts.len(), number, "{what}");
            assert_eq!(answer.field("data.alpaca_account_id"), &accounts[number - 1]["id"], "{what}");
            let again = story.app.create_account(&person, &application(&phone, &email)).await;
            assert_eq!(again.status, 409, "{what}: {}", again.text);
        }
        assert_eq!(story.asked(Endpoint::Open), number, "none was asked for twice");
    }

    async fn when_it_cannot_be_looked_up_either_a_worker_finds_it(story: Story) {
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        for _ in 0..2 {
            story.broker.fail_next(Endpoint::Find, Fault::status(500));
        }
        assert_later(&story.apply().await);
        // Asked again at once, the broker still cannot say: nothing is opened on a guess.
        let again = story.apply().await;
        again.assert_status(502);
        assert_eq!(story.asked(Endpoint::Open), 1);
        story.advance(5);
        story.work().await;
        story.assert_one_account().await;
    }

    async fn a_worker_that_cannot_look_it_up_tries_again(story: Story) {
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        for _ in 0..4 {
            story.broker.fail_next(Endpoint::Find, Fault::status(503));
        }
        assert_later(&story.apply().await);
        for _ in 0..4 {
            story.advance(61);
            story.work().await;
        }
        story.assert_one_account().await;
    }

    async fn what_was_never_opened_can_be_opened(story: Story) {
        let mut number = 0;
        for (what, fault) in in_doubt() {
            number += 1;
            let phone = format!("+2547123456{number:02}");
            let person = story.app.register_phone(&phone).await;
            story.broker.fail_next(Endpoint::Open, fault);
            let body = application(&phone, &format!("user{number}@example.com"));
            let answer = story.app.create_account(&person, &body).await;
            assert_eq!(answer.status, 503, "{what}: {}", answer.text);
            let answer = story.app.create_account(&person, &body).await;
            assert_eq!(answer.status, 200, "{what}: {}", answer.text);
            assert_eq!(story.broker.accounts().len(), number, "{what}");
        }
    }

    async fn in_doubt_another_address_has_to_wait(story: Story) {
        story.broker.fail_next(Endpoint::Open, Fault::status(500));
        assert_later(&story.apply().await);
        let other = application(PHONE, "another@example.com");
        assert_later(&story.app.create_account(&story.person, &other).await);
        assert_eq!(story.asked(Endpoint::Open), 1);
        story.advance(61);
        story.app.create_account(&story.person, &other).await.assert_status(200);
        assert_eq!(story.broker.accounts().len(), 1);
    }

    async fn in_doubt_the_workers_give_up_after_a_minute_and_not_before(story: Story) {
        story.broker.fail_next(Endpoint::Open, Fault::status(500));
        assert_later(&story.apply().await);
        let open = "select count(*) from brokerage_accounts where opening_id is not null";
        for _ in 0..11 {
            story.advance(5);
            story.work().await;
            assert_eq!(story.app.sql_count(open).await, 1);
        }
        story.advance(6);
        story.work().await;
        assert_eq!(story.app.sql_count(open).await, 0);
        story.assert_no_account().await;
        story.apply().await.assert_status(200);
        story.assert_one_account().await;
    }

    async fn a_late_account_of_a_first_try_is_found_by_the_second(story: Story) {
        // Twice the same application: the second finds the address taken, by the first.
        story.broker.fail_next(Endpoint::Open, Fault::status(500).after_doing_it());
        story.broker.fail_next(Endpoint::Find, Fault::status(500));
        assert_later(&story.apply().await);
        story.broker.fail_next(Endpoint::Find, Fault::answer(200, "application/json", "[]"));
        let answer = story.apply().await;
        answer.assert_status(200);
        assert_eq!(story.asked(Endpoint::Open), 2);
        story.assert_one_account().await;
    }

    async fn an_account_that_appears_long_after_everybody_gave_up_is_found_by_the_next_try(story: Story) {
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        story.broker.fail_next(Endpoint::Find, Fault::answer(200, "application/json", "[]"));
        assert_later(&story.apply().await);
        // The broker's search is behind: for a while it does not know its own account.
        for _ in 0..20 {
            story.broker.fail_next(Endpoint::Find, Fault::answer(200, "application/json", "[]"));
        }
        for _ in 0..13 {
            story.advance(5);
            story.work().await;
        }
        let open = "select count(*) from brokerage_accounts where opening_id is not null";
        assert_eq!(story.app.sql_count(open).await, 0);
        while story.asked(Endpoint::Find) < 21 {
            story.app.brokerage().check_brokerage().await.unwrap();
            let _ = story.app.create_account(&story.person, &application(PHONE, EMAIL)).await;
        }
        story.apply().await;
        story.assert_one_account().await;
    }

    async fn one_record_that_cannot_be_read_keeps_nobody_waiting(story: Story) {
        let other = story.app.register_phone("+254712345679").await;
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        story.broker.fail_next(Endpoint::Find, Fault::status(500));
        let body = application("+254712345679", "other@example.com");
        assert_later(&story.app.create_account(&other, &body).await);
        story.app.sql("update brokerage_accounts set opening = '\\x00'").await;
        story.broker.fail_next(Endpoint::Open, Fault::break_off());
        story.broker.fail_next(Endpoint::Find, Fault::status(500));
        assert_later(&story.apply().await);
        story.advance(5);
        story.work().await;
        let person = story.person().await;
        assert!(person["alpaca_account_id"].is_string(), "{person}");
    }

    async fn an_account_of_somebody_else_is_not_taken_for_the_lost_one(story: Story) {
        let other = story.app.register_phone("+254712345679").await;
        story.app.open_account(&other, EMAIL).await;
        // The address is theirs; this one's answer is lost, and there never was an account.
        story.broker.fail_next(Endpoint::Open, Fault::status(500));
        assert_later(&story.apply().await);
        story.advance(61);
        story.work().await;
        let person = story.person().await;
        assert!(person["alpaca_account_id"].is_null(), "{person}");
        story.apply().await.assert_status(409);
        assert_eq!(story.broker.accounts().len(), 1);
    }

    async fn an_account_older_than_the_application_is_not_taken_for_the_lost_one(story: Story) {
        // Opened elsewhere, long ago, by somebody who had this phone and this address.
        let first = story.app.open_account(&story.person, EMAIL).await;
        let id = first["alpaca_account_id"].as_str().unwrap().parse().unwrap();
        story.broker.set_field(id, "created_at", "2020-01-01T00:00:00Z".into());
        story.app.sql("delete from brokerage_accounts").await;
        story.broker.fail_next(Endpoint::Open, Fault::status(500));
        assert_later(&story.apply().await);
        story.apply().await.assert_status(409);
        assert!(story.person().await["alpaca_account_id"].is_null());
    }
}
