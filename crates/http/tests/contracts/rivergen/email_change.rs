//! POST /api/v1/auth/me/email/request and /api/v1/auth/me/email/verify: somebody takes another address.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, FakeClock, PASSWORD, Person, Request, TestApp, on_both_engines};

use super::wire::{
    OTHER_PASSWORD, assert_done, assert_refused, each_invalid, event, get_as, lets_in, newest_events, post,
    post_as, refused_without_trace, sign_in, traces, wait,
};

const OLD: &str = "ada@example.com";
const NEW: &str = "ada@example.org";

fn ask(app: &TestApp, who: &Person, new_email: &str) -> Request {
    post_as(app, who, "auth/me/email/request", &json!({ "new_email": new_email }))
}

fn prove(app: &TestApp, who: &Person, new_email: &str, code: &str) -> Request {
    post_as(app, who, "auth/me/email/verify", &json!({ "new_email": new_email, "otp_code": code }))
}

/// Takes an address, with the code mailed there.
async fn take(app: &TestApp, who: &Person, new_email: &str) -> Answer {
    ask(app, who, new_email).send().await.assert_status(200);
    let answer = prove(app, who, new_email, &app.latest_code(new_email).await).send().await;
    answer.assert_status(200);
    answer
}

/// Somebody's addresses, primary first: address, verified, primary.
async fn addresses(app: &TestApp, who: &Person) -> Vec<(String, bool, bool)> {
    let me = get_as(app, who, "auth/me").send().await;
    let emails = me.field("data.emails").as_array().cloned().unwrap_or_default();
    let is = |value: &Value| value == &json!(true);
    emails
        .iter()
        .map(|email| {
            let text = email["email"].as_str().unwrap_or_default().to_owned();
            (text, is(&email["verified"]), is(&email["is_primary"]))
        })
        .collect()
}

fn address(email: &str, is_primary: bool) -> (String, bool, bool) {
    (email.to_owned(), true, is_primary)
}

on_both_engines! {
    async fn a_code_goes_to_the_new_address(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        let answer = ask(&app, &ada, "Ada@Example.ORG").send().await;
        assert_done(&answer, 200, json!({ "new_email": NEW }));
        let mails = app.mails_to(NEW).await;
        let mail = mails.first().expect("a mail");
        assert_eq!((mail.message.template.as_str(), mails.len()), ("email_change_code", 1));
        assert!(mail.message.idempotency_key.starts_with("email_change_code."));
        assert_eq!(app.templates_to(OLD).await, ["email_change_requested", "sign_up_code"]);
        // Nothing has changed yet.
        assert_eq!(addresses(&app, &ada).await, [address(OLD, true)]);
    }

    async fn an_address_not_yet_proven_is_audited_as_a_hash(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let mut newest = newest_events(&app, 1).await;
        let hash = newest.first_mut().map(|event| event["metadata"]["new_email_hash"].take()).unwrap_or_default();
        let taken_out = json!({ "new_email_hash": null });
        let expected = event(&app, "auth.email.change_requested", Some(1), Some(1), &taken_out);
        assert_eq!(newest, [expected]);
        let hash = hash.as_str().unwrap_or_default();
        assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    }

    async fn the_code_makes_the_new_address_the_primary_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        wait(&app, 60);
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let code = app.latest_code(NEW).await;
        let answer = prove(&app, &ada, "ADA@example.org", &code).send().await;
        assert_done(&answer, 200, json!({ "old_email": OLD, "new_email": NEW }));

        let metadata = json!({ "old_email": OLD, "new_email": NEW });
        assert_eq!(newest_events(&app, 1).await, [event(&app, "auth.email.changed", Some(1), Some(1), &metadata)]);
        assert_eq!(addresses(&app, &ada).await, [address(NEW, true), address(OLD, false)]);
        let me = get_as(&app, &ada, "auth/me").send().await;
        assert_eq!(me.field("data.user.primary_email"), NEW);
        assert_eq!(me.field("data.emails.0.created_at"), "2026-01-05T09:01:00Z");
        // The old mailbox hears of it.
        assert_eq!(app.templates_to(OLD).await, ["email_changed", "email_change_requested", "sign_up_code"]);
        // The code is used up, once a repeat of the request is no longer expected.
        wait(&app, 60);
        refused_without_trace(&app, prove(&app, &ada, NEW, &code), 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
    }

    async fn the_old_mailbox_hears_of_a_request_and_can_refuse_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let code = app.latest_code(NEW).await;
        let notice = app.mails_to(OLD).await.remove(0);
        assert_eq!(notice.message.template, "email_change_requested");
        // The new address is not proven, so the caller's choice of it does not stand in the owner's mailbox.
        let values = notice.values.expect("the values of a mail").to_string();
        assert!(values.contains(OLD) && !values.contains(NEW), "{values}");
        post(&app, "auth/forgot-password", &json!({ "email": OLD })).send().await.assert_status(200);
        let claim = json!({ "token": app.latest_link_token(OLD).await, "new_password": OTHER_PASSWORD });
        post(&app, "auth/reset-password", &claim).send().await.assert_status(204);
        // The session that asked has ended, and another of the owner's does not find the code either.
        prove(&app, &ada, NEW, &code).send().await.assert_error(401, "UNAUTHORIZED");
        let answer = post(&app, "auth/login", &json!({ "email": OLD, "password": OTHER_PASSWORD })).send().await;
        let again = Person { access_token: answer.assert_status(200).text_at("data.access_token"), ..ada };
        refused_without_trace(&app, prove(&app, &again, NEW, &code), 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
        assert_eq!(addresses(&app, &again).await, [address(OLD, true)]);
    }

    async fn the_new_address_signs_in_and_the_old_one_does_not(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        take(&app, &ada, NEW).await;
        let old = post(&app, "auth/login", &json!({ "email": OLD, "password": PASSWORD })).send().await;
        assert_refused(&app, &old, 401, "INVALID_CREDENTIALS");
        sign_in(&app, &Person { email: NEW.to_owned(), ..ada }).await;
    }

    async fn the_old_address_resets_no_password(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        post(&app, "auth/forgot-password", &json!({ "email": OLD })).send().await.assert_status(200);
        let token = app.latest_link_token(OLD).await;
        let verify = {
            let mails = app.mails_to(OLD).await;
            let link = mails.iter().filter_map(|mail| mail.link()).find(|link| link.contains("verify-email"));
            link.and_then(|link| link.split_once("token=")).map(|(_, token)| token.to_owned()).unwrap_or_default()
        };
        take(&app, &ada, NEW).await;

        // Neither with what was mailed before, nor with anything mailed after.
        let claim = json!({ "token": token, "new_password": OTHER_PASSWORD });
        refused_without_trace(&app, post(&app, "auth/reset-password", &claim), 400, "INVALID_TOKEN").await;
        let claim = json!({ "token": verify });
        refused_without_trace(&app, post(&app, "auth/verify-email", &claim), 400, "INVALID_TOKEN").await;
        let mailed = app.templates_to(OLD).await;
        post(&app, "auth/forgot-password", &json!({ "email": OLD })).send().await.assert_status(200);
        assert_eq!(app.templates_to(OLD).await, mailed);
        post(&app, "auth/forgot-password", &json!({ "email": NEW })).send().await.assert_status(200);
        assert_eq!(app.templates_to(NEW).await, ["password_reset", "email_change_code"]);
    }

    async fn the_old_address_stays_taken(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        take(&app, &ada, NEW).await;
        let sign_up = post(&app, "auth/signup", &json!({ "email": OLD, "password": PASSWORD }));
        refused_without_trace(&app, sign_up, 409, "EMAIL_TAKEN").await;
        refused_without_trace(&app, ask(&app, &bob, OLD), 400, "EMAIL_ALREADY_TAKEN").await;
    }

    async fn an_address_can_be_changed_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        take(&app, &ada, NEW).await;
        let answer = take(&app, &ada, OLD).await;
        assert_eq!((answer.field("data.old_email"), answer.field("data.new_email")), (&json!(NEW), &json!(OLD)));
        assert_eq!(addresses(&app, &ada).await, [address(OLD, true), address(NEW, false)]);
        sign_in(&app, &ada).await;
    }

    async fn sessions_go_on_under_the_new_address(app: TestApp) {
        let phone = app.sign_up_rivergen_verified(OLD).await;
        let laptop = sign_in(&app, &phone).await;
        take(&app, &laptop, NEW).await;
        assert!(lets_in(&app, &phone).await && lets_in(&app, &laptop).await);
        refused_without_trace(&app, ask(&app, &phone, NEW), 400, "EMAIL_UPDATE_REQUEST_FAILED").await;
    }

    async fn the_address_one_has_is_no_change(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        for spelling in [OLD, "ADA@Example.com"] {
            refused_without_trace(&app, ask(&app, &ada, spelling), 400, "EMAIL_UPDATE_REQUEST_FAILED").await;
        }
    }

    async fn an_address_of_somebody_else_is_taken(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        app.sign_up_rivergen("unproven@example.com").await;
        refused_without_trace(&app, ask(&app, &ada, "Bob@example.com"), 400, "EMAIL_ALREADY_TAKEN").await;
        // An address nobody has proven goes to whoever proves it.
        ask(&app, &ada, "unproven@example.com").send().await.assert_status(200);
    }

    async fn a_pending_change_is_replaced_by_the_next(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let first = app.latest_code(NEW).await;
        ask(&app, &ada, "countess@example.org").send().await.assert_status(200);
        refused_without_trace(&app, prove(&app, &ada, NEW, &first), 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
        let second = app.latest_code("countess@example.org").await;
        prove(&app, &ada, "countess@example.org", &second).send().await.assert_status(200);
    }

    async fn nothing_is_verified_that_was_not_asked_for(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        refused_without_trace(&app, prove(&app, &ada, NEW, "123456"), 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let code = app.latest_code(NEW).await;
        for (who, email) in [(&ada, "other@example.org"), (&ada, OLD), (&bob, NEW)] {
            let request = prove(&app, who, email, &code);
            refused_without_trace(&app, request, 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
        }
    }

    async fn an_address_somebody_else_took_meanwhile_is_not_given(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let code = app.latest_code(NEW).await;
        app.sign_up_rivergen_verified(NEW).await;
        refused_without_trace(&app, prove(&app, &ada, NEW, &code), 400, "EMAIL_UPDATE_VERIFY_FAILED").await;
        assert_eq!(addresses(&app, &ada).await, [address(OLD, true)]);
    }

    async fn a_wrong_code_is_counted_and_the_sixth_try_is_one_too_many(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let right = app.latest_code(NEW).await;
        let wrong = if right == "000000" { "000001" } else { "000000" };
        let before = traces(&app).await;
        for _ in 0..5 {
            let answer = prove(&app, &ada, NEW, wrong).send().await;
            assert_refused(&app, &answer, 400, "INVALID_OTP");
            assert_eq!(answer.text_at("error.message"), "The code is wrong: enter that of the newest mail.");
        }
        refused_without_trace(&app, prove(&app, &ada, NEW, &right), 429, "TOO_MANY_ATTEMPTS").await;
        // Only the tries were written down.
        assert_eq!(app.sql("update challenges set attempts = 0 where attempts = 5").await, 1);
        assert_eq!(traces(&app).await, before);
        // A new request forgives them.
        take(&app, &ada, NEW).await;
    }

    async fn a_code_lives_for_ten_minutes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        ask(&app, &ada, NEW).send().await.assert_status(200);
        let code = app.latest_code(NEW).await;
        wait(&app, 600);
        refused_without_trace(&app, prove(&app, &ada, NEW, &code), 400, "OTP_EXPIRED").await;
        app.clock.set(FakeClock::START);
        wait(&app, 599);
        prove(&app, &ada, NEW, &code).send().await.assert_status(200);
    }

    async fn requests_and_proofs_have_their_fields(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(OLD).await;
        let wrong = [
            ("new_email", json!({})),
            ("new_email", json!({ "new_email": "ada" })),
            ("new_email", json!({ "new_email": null })),
        ];
        each_invalid(&app, 422, wrong, |body| post_as(&app, &ada, "auth/me/email/request", body)).await;
        let wrong = [
            ("new_email", json!({ "otp_code": "123456" })),
            ("otp_code", json!({ "new_email": NEW })),
            ("otp_code", json!({ "new_email": NEW, "otp_code": "12345" })),
            ("otp_code", json!({ "new_email": NEW, "otp_code": 1_234_567 })),
        ];
        each_invalid(&app, 422, wrong, |body| post_as(&app, &ada, "auth/me/email/verify", body)).await;
    }
}
