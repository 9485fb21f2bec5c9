//! A forgotten password: `accounts/individual/send-reset-password-email/` and `accounts/individual/reset/`.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{
    Answer, Engine, FakeClock, PASSWORD, PUBLIC_URL, Person, Request, TestApp, on_both_engines,
};

use super::managing::*;

const SEND: &str = "accounts/individual/send-reset-password-email/";
const RESET: &str = "accounts/individual/reset/";
const BOB: &str = "bob@example.com";
const DAY: u64 = 24 * 3_600;

/// Where an application of the operator's own has its page to set passwords.
const OWN_PAGE: &str = "https://app.example.com/reset";

async fn with_own_pages(engine: Engine) -> TestApp {
    let builder = TestApp::builder(engine);
    builder.settings(|settings| settings.redirect_hosts = vec!["app.example.com".to_owned()]).start().await
}

fn forgot(app: &TestApp, email: &str) -> Request {
    post(app, SEND, &json!({ "email": email }))
}

fn forgot_at(app: &TestApp, email: &str, page: &str) -> Request {
    post(app, SEND, &json!({ "email": email, "email_redirect_url": page }))
}

/// Has a link mailed; answers its code.
async fn code_for(app: &TestApp, email: &str) -> String {
    assert_empty(&forgot(app, email).send().await, 200);
    app.latest_link_token(email).await
}

/// What a page sends with a code that was mailed just now.
fn claim(app: &TestApp, email: &str, code: &str, new_password: &str) -> Value {
    claim_until(app.now().fractional_seconds() + 86_400.0, email, code, new_password)
}

fn claim_until(expiry: f64, email: &str, code: &str, new_password: &str) -> Value {
    json!({ "email": email, "code": code, "new_password": new_password, "code_expiration_timestamp": expiry })
}

async fn reset(app: &TestApp, claim: &Value) -> Answer {
    post(app, RESET, claim).send().await
}

async fn refused(app: &TestApp, claim: &Value) {
    assert_wrong_code(&without_trace(app, post(app, RESET, claim)).await);
}

/// Has somebody provision an organization and make Ada in it.
async fn with_ada(app: &TestApp) -> (Person, Person) {
    let root = app.provision(ROOT).await;
    let ada = app.add_individual(&root, ADA, "backend").await;
    (root, ada)
}

on_both_engines! {
    async fn a_forgotten_password_brings_a_link_to_the_hosted_page(app: TestApp) {
        let (_, ada) = with_ada(&app).await;
        assert_empty(&forgot(&app, " ADA@Example.com").send().await, 200);
        assert_eq!(app.templates_to(ADA).await, ["password_reset", "invitation_code"]);
        let link = app.mails_to(ADA).await[0].link().unwrap().to_owned();
        assert!(link.starts_with(&format!("{PUBLIC_URL}/reset-password?token=")), "{link}");
        assert_eq!(count_of(&app, "auth.password.reset_requested").await, 1);
        // Asking changes nothing yet.
        assert!(lets_in(&app, &ada).await);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);

        let token = app.latest_link_token(ADA).await;
        let form = format!("token={token}&new_password={OTHER_PASSWORD}");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn the_link_may_lead_to_an_applications_own_page(engine: Engine) {
        let app = with_own_pages(engine).await;
        let (_, ada) = with_ada(&app).await;
        assert_empty(&forgot_at(&app, ADA, OWN_PAGE).send().await, 200);
        let link = app.mails_to(ADA).await[0].link().unwrap().to_owned();
        assert!(link.starts_with(&format!("{OWN_PAGE}?")), "{link}");
        let query = query_of(&link);
        let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["code", "email", "code_expiration_timestamp"]);
        let expires: f64 = query[2].1.parse().unwrap();
        assert_eq!(expires, FakeClock::START.fractional_seconds() + 86_400.0);
        assert_eq!(query[1].1, ADA);
        assert!(query[0].1.len() <= 64, "the contract's longest code");
        let answer = reset(&app, &claim_until(expires, &query[1].1, &query[0].1, OTHER_PASSWORD)).await;
        assert_empty(&answer, 200);
        assert_ended(&app, &ada).await;
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn the_link_leads_to_no_page_of_strangers(engine: Engine) {
        let app = with_own_pages(engine).await;
        with_ada(&app).await;
        let mails = app.sql_count("select count(*) from outbox_messages").await;
        let message = "must be an https address on a host the operator allows: \
            see redirect_hosts under [links] in the configuration";
        for page in [
            "https://evil.example/reset",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://app.example.com:8443/",
            "http://app.example.com/",
            "https://127.0.0.1/",
            "data:text/html,x",
            "//app.example.com/",
            "/reset",
            "",
        ] {
            // The same for whoever asks about somebody who is not here.
            for email in [ADA, BOB] {
                let answer = without_trace(&app, forgot_at(&app, email, page)).await;
                assert_wrong_fields(&answer, &json!({ "email_redirect_url": [message] }));
            }
        }
        assert_eq!(app.sql_count("select count(*) from outbox_messages").await, mails);
        let own = format!("{PUBLIC_URL}/somewhere");
        assert_empty(&forgot_at(&app, ADA, &own).send().await, 200);
        assert!(app.mails_to(ADA).await[0].link().unwrap().starts_with(&own));
    }

    async fn an_address_nobody_has_gets_the_very_same_answer_and_no_mail(engine: Engine) {
        let app = with_own_pages(engine).await;
        let (root, _) = with_ada(&app).await;
        app.add_service(&root, "bob@example.com", "backend").await;
        let known = forgot(&app, ADA).send().await;
        let known_at = forgot_at(&app, ADA, OWN_PAGE).send().await;
        assert_empty(&known, 200);
        assert_empty(&known_at, 200);
        for email in [BOB, "nobody@example.com"] {
            let unknown = forgot(&app, email).send().await;
            let unknown_at = forgot_at(&app, email, OWN_PAGE).send().await;
            for (known, unknown) in [(&known, &unknown), (&known_at, &unknown_at)] {
                assert_empty(unknown, 200);
                let names = |answer: &Answer| {
                    let mut names: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
                    names.sort();
                    names
                };
                assert_eq!(names(known), names(unknown));
            }
            assert!(app.mails_to(email).await.is_empty());
        }
        assert_eq!(count_of(&app, "auth.password.reset_requested").await, 6);
    }

    async fn a_disabled_account_is_mailed_nothing(app: TestApp) {
        with_ada(&app).await;
        assert_eq!(app.sql("update accounts set disabled_at = 1 where first_name = 'Ada'").await, 1);
        assert_empty(&forgot(&app, ADA).send().await, 200);
        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
    }

    async fn the_sixth_mail_within_an_hour_is_not_sent_and_nobody_can_tell(app: TestApp) {
        let (root, _) = with_ada(&app).await;
        app.add_individual(&root, BOB, "backend").await;
        let reset_mails = async || {
            app.templates_to(ADA).await.iter().filter(|template| *template == "password_reset").count()
        };
        for number in 0..7 {
            // From however many places and in whichever spelling.
            let email = if number % 2 == 0 { ADA } else { "ADA@Example.com" };
            let answer = forgot(&app, email).ip(&format!("203.0.113.{number}")).send().await;
            assert_empty(&answer, 200);
            // The first of the five was the code.
            assert_eq!(reset_mails().await, 4.min(number + 1));
            app.advance(Duration::from_secs(60));
        }
        assert_empty(&forgot(&app, BOB).send().await, 200);
        assert_eq!(app.templates_to(BOB).await, ["password_reset", "invitation_code"]);
        app.advance(Duration::from_secs(3_600 - 7 * 60 - 1));
        assert_empty(&forgot(&app, ADA).send().await, 200);
        assert_eq!(reset_mails().await, 4);
        app.advance(Duration::from_secs(1));
        assert_empty(&forgot(&app, ADA).send().await, 200);
        assert_eq!(reset_mails().await, 5);
    }

    async fn forgetting_takes_an_address(app: TestApp) {
        with_ada(&app).await;
        let wrong = [
            ("email", json!({})),
            ("email", json!({ "email": null })),
            ("email", json!({ "email": "ada" })),
            ("email", json!({ "email": "a@b.cd\r\nBcc: x@y.zz" })),
            ("email", json!({ "email": { "$ne": "" } })),
            ("email_redirect_url", json!({ "email": ADA, "email_redirect_url": 1 })),
            ("email_redirect_url", json!({ "email": ADA, "email_redirect_url": [PUBLIC_URL] })),
        ];
        each_wrong(&app, wrong, |body| post(&app, SEND, body)).await;
        each_malformed(&app, || app.post(&format!("/v1/{SEND}"))).await;
        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
    }

    async fn the_code_sets_a_new_password_and_ends_every_session(app: TestApp) {
        let (root, ada) = with_ada(&app).await;
        let laptop = app.bound(&ada, json!({})).await;
        let code = code_for(&app, ADA).await;
        assert_empty(&reset(&app, &claim(&app, " Ada@EXAMPLE.com ", &code, OTHER_PASSWORD)).await, 200);
        for ended in [&ada, &laptop] {
            assert_ended(&app, ended).await;
        }
        assert!(lets_in(&app, &root).await);
        assert_eq!(app.templates_to(ADA).await, ["password_changed", "password_reset", "invitation_code"]);
        assert_eq!(count_of(&app, "auth.password.reset").await, 1);
        assert_no_way_in(&app, "individual", ADA, PASSWORD).await;
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn who_resets_a_password_has_shown_that_the_address_is_theirs(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        let verification = app.latest_code(ADA).await;
        let code = code_for(&app, ADA).await;
        assert_empty(&reset(&app, &claim(&app, ADA, &code, OTHER_PASSWORD)).await, 200);
        assert_eq!(count_of(&app, "auth.email.verified").await, 1);
        // At home with themselves: they did not accept the invitation.
        let login = log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await;
        assert_eq!(login.assert_status(200).text_at("role"), "root");
        let body = json!({ "email": ADA });
        delete_as(&app, &root, "accounts/individual/", &body).send().await.assert_status(404);
        // The mail from before is of no more use to anybody.
        let body = json!({ "email": ADA, "code": verification });
        assert_wrong_code(&post(&app, "accounts/verify/", &body).send().await);
    }

    async fn the_owner_resets_theirs_like_anybody_else(app: TestApp) {
        let root = app.provision(ROOT).await;
        let code = code_for(&app, ROOT).await;
        assert_empty(&reset(&app, &claim(&app, ROOT, &code, OTHER_PASSWORD)).await, 200);
        assert_ended(&app, &root).await;
        let login = log_in_with(&app, "individual", ROOT, OTHER_PASSWORD).await;
        assert_eq!(login.assert_status(200).field("role"), "root");
    }

    async fn a_code_is_good_for_one_reset_and_takes_the_others_with_it(app: TestApp) {
        with_ada(&app).await;
        let (older, code) = (code_for(&app, ADA).await, code_for(&app, ADA).await);
        assert_empty(&reset(&app, &claim(&app, ADA, &code, OTHER_PASSWORD)).await, 200);
        for used in [&code, &older] {
            refused(&app, &claim(&app, ADA, used, "Attacker3horse!")).await;
        }
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn a_code_is_good_for_a_day_whatever_is_said_of_its_expiry(app: TestApp) {
        let (_, ada) = with_ada(&app).await;
        let code = code_for(&app, ADA).await;
        let sent = app.now().fractional_seconds();
        app.advance(Duration::from_secs(DAY));
        for forged in [sent + 86_400.0, sent + 172_800.0, 3.5e9, 8e12] {
            refused(&app, &claim_until(forged, ADA, &code, OTHER_PASSWORD)).await;
        }
        app.clock.set(FakeClock::START.plus(Duration::from_secs(DAY - 1)));
        app.bound(&ada, json!({})).await;
        // One that says of itself that it has expired is not held against the one that was mailed.
        for past in [sent, sent + 86_399.0, 0.0, -1.0] {
            refused(&app, &claim_until(past, ADA, &code, OTHER_PASSWORD)).await;
        }
        assert_empty(&reset(&app, &claim_until(sent + 86_400.0, ADA, &code, OTHER_PASSWORD)).await, 200);
    }

    async fn a_code_is_for_the_address_it_was_sent_to(app: TestApp) {
        let (root, ada) = with_ada(&app).await;
        let bob = app.add_individual(&root, BOB, "backend").await;
        let code = code_for(&app, ADA).await;
        for email in [BOB, ROOT, "nobody@example.com"] {
            refused(&app, &claim(&app, email, &code, OTHER_PASSWORD)).await;
        }
        for person in [&root, &ada, &bob] {
            assert!(lets_in(&app, person).await);
            app.log_in("individual", &person.email, json!({})).await.assert_status(200);
        }
        assert_empty(&reset(&app, &claim(&app, ADA, &code, OTHER_PASSWORD)).await, 200);
        assert!(lets_in(&app, &bob).await);
    }

    async fn a_guessed_code_does_not_match(app: TestApp) {
        let (_, ada) = with_ada(&app).await;
        let code = code_for(&app, ADA).await;
        let (changed, zeros) = (code.to_uppercase(), "0".repeat(64));
        for guess in ["abcd1234", "tgp_guess", &code[1..], &code["tgp_".len()..], &changed, &zeros] {
            refused(&app, &claim(&app, ADA, guess, OTHER_PASSWORD)).await;
        }
        // A token of an address nobody has was never sent; it is not to be guessed either.
        assert_empty(&forgot(&app, BOB).send().await, 200);
        refused(&app, &claim(&app, BOB, &code, OTHER_PASSWORD)).await;
        assert!(lets_in(&app, &ada).await);
    }

    async fn an_account_deleted_or_disabled_since_has_no_password_to_set(app: TestApp) {
        let (root, _) = with_ada(&app).await;
        app.add_individual(&root, BOB, "backend").await;
        let (adas, bobs) = (code_for(&app, ADA).await, code_for(&app, BOB).await);
        let body = json!({ "email": ADA });
        delete_as(&app, &root, "accounts/individual/", &body).send().await.assert_status(204);
        refused(&app, &claim(&app, ADA, &adas, OTHER_PASSWORD)).await;
        // Nor has whoever gets the address next.
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        refused(&app, &claim(&app, ADA, &adas, OTHER_PASSWORD)).await;
        let disable = "update accounts set disabled_at = 1 where id in
            (select account_id from identifiers where value = 'bob@example.com')";
        assert_eq!(app.sql(disable).await, 1);
        refused(&app, &claim(&app, BOB, &bobs, OTHER_PASSWORD)).await;
    }

    async fn what_is_wrong_with_a_reset_is_said_field_by_field_and_does_not_use_the_code_up(app: TestApp) {
        let (_, ada) = with_ada(&app).await;
        let code = code_for(&app, ADA).await;
        let nothing = without_trace(&app, post(&app, RESET, &json!({}))).await;
        assert_wrong_fields(&nothing, &json!({
            "email": ["is required"], "new_password": ["is required"], "code": ["is required"],
            "code_expiration_timestamp": ["is required"],
        }));
        let with = |field: &str, value: Value| {
            let mut body = claim(&app, ADA, &code, OTHER_PASSWORD);
            body[field] = value;
            body
        };
        let long = format!("Aa1!{}", "x".repeat(1_021));
        let wrong = [
            ("email", with("email", json!("ada"))),
            ("email", with("email", json!([ADA]))),
            ("code", with("code", json!(""))),
            ("code", with("code", json!(1))),
            ("code", with("code", json!("0".repeat(65)))),
            ("new_password", with("new_password", json!(""))),
            ("new_password", with("new_password", json!("Abcdef1!x"))),
            ("new_password", with("new_password", json!("Abcdefgh1x"))),
            ("new_password", with("new_password", json!(long))),
            ("new_password", with("new_password", json!(true))),
            ("code_expiration_timestamp", with("code_expiration_timestamp", Value::Null)),
            ("code_expiration_timestamp", with("code_expiration_timestamp", json!("1767603600"))),
            ("code_expiration_timestamp", with("code_expiration_timestamp", json!(1e300))),
        ];
        each_wrong(&app, wrong, |body| post(&app, RESET, body)).await;
        each_malformed(&app, || app.post(&format!("/v1/{RESET}"))).await;
        assert!(lets_in(&app, &ada).await);
        // Unlike at a change, the old password may be set again: it was forgotten.
        assert_empty(&reset(&app, &claim(&app, ADA, &code, PASSWORD)).await, 200);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);
    }

    async fn the_rule_of_the_contract_that_sent_the_code_holds_wherever_it_is_used(app: TestApp) {
        with_ada(&app).await;
        let code = code_for(&app, ADA).await;
        // Enough for RiverGen.
        let body = json!({ "token": code, "new_password": "Abcdefg12" });
        let weak = without_trace(&app, app.post("/api/v1/auth/reset-password").json(&body)).await;
        weak.assert_error(422, "VALIDATION_ERROR");
        let body = json!({ "token": code, "new_password": OTHER_PASSWORD });
        app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_status(204);
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn while_no_mail_can_be_sent_the_same_is_said_of_everybody(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        app.provision(ROOT).await;
        for email in [ROOT, BOB] {
            let answer = without_trace(&app, forgot(&app, email)).await;
            answer.assert_error(503, "SERVER_UNAVAILABLE");
            answer.assert_not_set_up("e-mail");
        }
    }
}
