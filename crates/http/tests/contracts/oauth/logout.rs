//! An application has a person signed out: OpenID Connect RP-Initiated Logout 1.0.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{Answer, Engine, TestApp, on_both_engines};
use url::form_urlencoded::Serializer;

use super::hosted::{BYE, Hosted};
use super::wire::{ADA, applications_of, as_person, assert_flat, described_with, me, refresh, register};
use crate::pages::heading;
use crate::pages::sign_in::assert_guarded;
use crate::pages::sign_in::window::{SESSION, Window, field, filled, hidden};
use crate::watch::Log;

const LOGOUT: &str = "/oauth/logout";
const BOB: &str = "bob@example.com";
const OWNER: &str = "owner@example.com";

fn query(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn link(fields: &[(&str, &str)]) -> String {
    format!("{LOGOUT}?{}", query(fields))
}

/// That the person is asked, and nothing has happened yet.
#[track_caller]
fn assert_asked(window: &Window, page: &Answer) {
    page.assert_status(200);
    assert_eq!(heading(page), "Sign out?", "{}", page.text);
    assert!(window.cookie(SESSION).is_some());
}

/// That the request is refused on a page, and nobody is sent anywhere.
#[track_caller]
fn assert_refused(page: &Answer, reason: &str) {
    page.assert_status(400);
    assert_eq!((heading(page), page.header("location")), ("Request refused", ""));
    assert!(page.text.contains(reason), "{reason}: {}", page.text);
    assert_guarded(page);
}

on_both_engines! {
    async fn an_application_signs_its_person_out_and_gets_them_back(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        let other = Window::new(&app);
        let elsewhere = shop.sign_in(&app, &other, ADA).await;
        let asked = [("id_token_hint", tokens.id_token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a b")];
        // Programs that look at links sign nobody out.
        let head = window.send(app.client().request(Method::HEAD, &link(&asked))).await;
        assert_eq!((head.status, head.header("location")), (200, ""));
        assert!(window.is_signed_in().await);

        let answer = window.open(&link(&asked)).await;
        assert_eq!(answer.assert_status(303).header("location"), format!("{BYE}?state=a+b"));
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(window.cookie(SESSION), None);
        // The session and what it gave the application have ended; the person's other browser goes on, and so does what it gave.
        assert_eq!(me(&app, &tokens.access_token).await, 401);
        assert_flat(&refresh(&app, &shop.client, &tokens.refresh_token).await, 400, "invalid_grant");
        assert!(other.is_signed_in().await);
        assert_eq!(me(&app, &elsewhere.access_token).await, 200);
        let reasons = "select revoked_reason from sessions where revoked_at is not null order by number";
        assert_eq!(app.database.sql_texts(reasons).await, ["logged_out", "logged_out"]);

        // Again, as a browser does whose person goes back: they are signed out, and sent on all the same.
        let answer = window.open(&link(&asked)).await;
        assert_eq!(answer.assert_status(303).header("location"), format!("{BYE}?state=a+b"));
        // Without an address, this server says that they are signed out.
        let answer = window.open(&link(&[("id_token_hint", &tokens.id_token)])).await;
        assert_eq!(answer.assert_status(303).header("location"), "/signed-out");
        assert_eq!(heading(&window.visit("/signed-out").await), "Signed out");
    }

    async fn an_address_that_is_named_as_elsewhere_is_told_the_operator(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        let log = Log::listen();
        let asked = [("id_token_hint", tokens.id_token.as_str()), ("redirect_uri", BYE), ("returnTo", BYE)];
        let answer = window.open(&link(&asked)).await;
        assert_eq!(answer.assert_status(303).header("location"), "/signed-out");
        let line = log.last_answer();
        assert!(line.contains(" status=303 ") && line.contains(" ignored=\"returnTo, redirect_uri\""), "{line}");
    }

    async fn an_id_token_that_has_expired_is_a_hint_and_so_is_one_of_an_earlier_session(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        app.advance(Duration::from_secs(2 * 3_600));
        // They signed in anew meanwhile: the application's session is of the one before.
        window.sign_in(ADA).await;
        let answer = window.open(&link(&[("id_token_hint", &tokens.id_token)])).await;
        assert_eq!(answer.assert_status(303).header("location"), "/signed-out");
        assert!(!window.is_signed_in().await);
        assert_flat(&refresh(&app, &shop.client, &tokens.refresh_token).await, 400, "invalid_grant");
    }

    async fn a_form_is_asked_for_as_a_link_with_the_cookies(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        let asked = [("id_token_hint", tokens.id_token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "s")];
        // Browsers send no cookies with a form of another site.
        let stranger = Window::of(&window);
        let answer = stranger.post(LOGOUT, &query(&asked)).await;
        assert_eq!(answer.assert_status(303).header("location"), link(&asked));
        assert!(window.is_signed_in().await);
        let answer = window.open(answer.header("location")).await;
        assert_eq!(answer.assert_status(303).header("location"), format!("{BYE}?state=s"));
        assert!(!window.is_signed_in().await);
    }

    async fn whoever_proves_nothing_has_the_person_asked(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        let bobs = Window::new(&app);
        let of_bob = shop.sign_in(&app, &bobs, BOB).await;
        let client = shop.client.client_id.as_str();
        for fields in [
            &[][..],
            &[("state", "only")],
            &[("client_id", client)],
            &[("client_id", client), ("post_logout_redirect_uri", BYE)],
            &[("id_token_hint", of_bob.id_token.as_str()), ("post_logout_redirect_uri", BYE)],
        ] {
            let page = window.open(&link(fields)).await;
            assert_asked(&window, &page);
            assert!(page.text.contains("ada@example.com"), "{}", page.text);
            assert_eq!(page.text.contains("Shop asks you to sign out here."), fields.len() > 1 || fields == [("client_id", client)]);
            // The question is about this request, this browser and this session.
            let csrf = field(&page, LOGOUT, "csrf");
            for changed in [("asked", "state=other"), ("csrf", "x"), ("csrf", csrf.trim_end_matches(char::is_alphanumeric))] {
                let again = window.post(LOGOUT, &filled(&page, LOGOUT, &[changed])).await;
                assert_eq!(heading(&again), "Sign out?", "{changed:?}");
            }
            let theirs = bobs.post(LOGOUT, &filled(&page, LOGOUT, &[])).await;
            assert!(theirs.status == 200 || bobs.cookie(SESSION).is_none(), "{}", theirs.text);
            let request = window.request(LOGOUT, &filled(&page, LOGOUT, &[])).header("sec-fetch-site", "cross-site");
            assert_asked(&window, &window.send(request).await);
        }
        assert!(window.is_signed_in().await);
        assert_eq!(me(&app, &tokens.access_token).await, 200);
        // The person says yes, and goes where the application wants them.
        let asked = [("client_id", client), ("post_logout_redirect_uri", BYE), ("state", "s")];
        let page = window.open(&link(&asked)).await;
        let policy = page.header("content-security-policy");
        assert!(policy.contains("form-action 'self' https://shop.example.com;"), "{policy}");
        assert!(page.text.contains("You will be sent on to https://shop.example.com."), "{}", page.text);
        let answer = window.submit(&page, LOGOUT, &[]).await;
        assert_eq!(answer.assert_status(303).header("location"), format!("{BYE}?state=s"));
        assert!(!window.is_signed_in().await);
        assert_eq!(me(&app, &tokens.access_token).await, 401);
        // Without anyone signed in, an application that only says its name sends nobody anywhere.
        let answer = window.open(&link(&asked)).await;
        assert_eq!(answer.assert_status(303).header("location"), "/signed-out");
    }

    async fn in_development_a_wrong_address_stands_beside_the_registered_ones(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.plain_cookies = true).start().await;
        let shop = Hosted::shop(&app, OWNER).await;
        let wrong = [("client_id", shop.client_id()), ("post_logout_redirect_uri", "https://shop.example.com/goodbye")];
        let page = Window::new(&app).open(&link(&wrong)).await;
        let told = format!("it sent https://shop.example.com/goodbye; registered: {BYE}");
        assert!(page.assert_status(400).text.contains(&told), "{}", page.text);
    }

    async fn what_cannot_be_trusted_is_refused_and_signs_nobody_out(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        let other = register(&app, &shop.owner, &described_with(json!({ "name": "Other", "post_logout_redirect_uris": ["https://other.example/bye"] }))).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        let hint = tokens.id_token.as_str();
        let [header, payload, signature] = hint.split('.').collect::<Vec<_>>()[..] else { panic!("a JWT") };
        let swapped: String = payload.chars().rev().collect();
        let modified = format!("{header}.{swapped}.{signature}");
        let unsigned = format!("{header}.{payload}.");
        let nobody = "00000000-0000-4000-8000-000000000000";
        for (fields, reason) in [
            (&[("id_token_hint", "bad")][..], "id_token_hint is not an ID token"),
            (&[("id_token_hint", &modified)], "id_token_hint is not an ID token"),
            (&[("id_token_hint", &unsigned)], "id_token_hint is not an ID token"),
            // RFC 9068 keeps them apart: the access token is none, though the same key has signed it.
            (&[("id_token_hint", &tokens.access_token)], "id_token_hint is not an ID token"),
            (&[("id_token_hint", hint), ("client_id", &other.client_id)], "client_id is not the application"),
            (&[("client_id", nobody)], "the client_id is unknown"),
            (&[("client_id", "x")], "the client_id is unknown"),
            (&[("post_logout_redirect_uri", BYE)], "needs an id_token_hint or a client_id"),
            (&[("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example/")], "character by character"),
            (&[("id_token_hint", hint), ("post_logout_redirect_uri", "https://other.example/bye")], "character by character"),
            (&[("id_token_hint", hint), ("post_logout_redirect_uri", "https://shop.example.com/bye?x=1")], "character by character"),
            (&[("id_token_hint", hint), ("post_logout_redirect_uri", "https://shop.example.com/callback")], "character by character"),
            (&[("state", "a"), ("state", "b")], "more than once"),
            (&[("state", "a\nb")], "cannot be read"),
        ] {
            let page = window.open(&link(fields)).await;
            if reason == "cannot be read" {
                assert_eq!(heading(&page), "Request refused");
            } else {
                assert_refused(&page, reason);
            }
            assert!(page.text.contains("href=\"/sign-out\""), "they may sign out all the same: {}", page.text);
            assert!(!page.text.contains("registered: "), "{}", page.text);
        }
        let log = Log::listen();
        for (fields, told) in [
            (&[("client_id", nobody)][..], "status=400 code=\"invalid_client\" refused=\"client: unknown\""),
            (&[("post_logout_redirect_uri", BYE)], "status=400 code=\"invalid_request\" "),
        ] {
            window.open(&link(fields)).await.assert_status(400);
            assert!(log.last_answer().contains(told), "{}", log.last_answer());
        }
        assert!(window.is_signed_in().await);
        assert_eq!(me(&app, &tokens.access_token).await, 200);
        // An application that is out of use sends nobody anywhere either.
        let path = format!("{}/{}/revoke", applications_of(&app, &shop.owner).await, shop.client.number);
        as_person(&app, Method::POST, &path, &shop.owner).json(&json!({})).send().await.assert_status(200);
        assert_refused(&window.open(&link(&[("id_token_hint", hint), ("post_logout_redirect_uri", BYE)])).await, "the client_id is unknown");
    }

    async fn a_hint_of_a_key_that_is_gone_is_as_good_as_none(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let stranger = TestApp::start(app.database.engine()).await;
        let theirs = Hosted::shop(&stranger, OWNER).await;
        let elsewhere = theirs.sign_in(&stranger, &Window::new(&stranger), OWNER).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let other = match stranger.get("/.well-known/jwks.json").send().await.body == app.get("/.well-known/jwks.json").send().await.body {
            // Made from the same seed: the same key. Its sessions are unknown here all the same.
            true => return,
            false => elsewhere.id_token,
        };
        let page = window.open(&link(&[("id_token_hint", &other)])).await;
        assert_asked(&window, &page);
        let asked = [("id_token_hint", other.as_str()), ("client_id", shop.client.client_id.as_str()), ("post_logout_redirect_uri", BYE)];
        assert_asked(&window, &window.open(&link(&asked)).await);
    }

    async fn a_session_that_goes_on_without_its_owner_outlives_the_sign_out(app: TestApp) {
        let scopes = json!(["openid", "offline_access", "read"]);
        let shop = Hosted::with(&app, OWNER, json!({ "post_logout_redirect_uris": [BYE], "scopes": scopes })).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let offline = shop.sign_in_for(&app, &window, ADA, &[("scope", "openid offline_access read")]).await;
        let online = shop.sign_in_for(&app, &window, ADA, &[("scope", "openid read")]).await;
        let page = window.visit("/sign-out").await;
        window.press(&page, "/sign-out", &[]).await;
        assert_flat(&refresh(&app, &shop.client, &online.refresh_token).await, 400, "invalid_grant");
        refresh(&app, &shop.client, &offline.refresh_token).await.assert_status(200);
    }

    async fn the_question_is_asked_in_the_language_that_the_application_names(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        assert_eq!(heading(&window.open(&link(&[("ui_locales", "fr sw")])).await), "Utoke?");
        let page = window.open(&link(&[])).await;
        assert_eq!(hidden(&page, LOGOUT).len(), 2);
        assert!(page.text.contains("href=\"/account\""), "{}", page.text);
    }

    async fn an_application_says_where_its_people_go(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let path = applications_of(&app, &ada).await;
        let told = "https://shop.example.com/backchannel";
        let fields = json!({
            "post_logout_redirect_uris": [BYE], "backchannel_logout_uri": told, "backchannel_logout_session_required": true,
        });
        let made = as_person(&app, Method::POST, &path, &ada).json(&described_with(fields)).send().await;
        made.assert_status(201);
        let one = format!("{path}/{}", made.field("data.id"));
        let read = as_person(&app, Method::GET, &one, &ada).send().await;
        let data = read.assert_status(200).field("data").clone();
        assert_eq!((&data["post_logout_redirect_uris"], &data["backchannel_logout_uri"]), (&json!([BYE]), &json!(told)));
        assert_eq!(data["backchannel_logout_session_required"], json!(true));
        let change = async |body: serde_json::Value| as_person(&app, Method::PATCH, &one, &ada).json(&body).send().await;
        // What is left out stays; null takes the address away.
        change(json!({ "description": "Sells." })).await.assert_status(200);
        let changed = change(json!({ "backchannel_logout_uri": null, "post_logout_redirect_uris": [] })).await;
        assert_eq!(changed.assert_status(200).field("data.backchannel_logout_uri"), &json!(null));
        assert_eq!(changed.field("data.post_logout_redirect_uris"), &json!([]));
        for (body, at) in [
            (json!({ "post_logout_redirect_uris": ["http://shop.example.com/bye"] }), "post_logout_redirect_uris.0"),
            (json!({ "post_logout_redirect_uris": ["https://shop.example.com/#x"] }), "post_logout_redirect_uris.0"),
            (json!({ "post_logout_redirect_uris": "x" }), "post_logout_redirect_uris"),
            (json!({ "backchannel_logout_uri": "http://shop.example.com" }), "backchannel_logout_uri"),
            (json!({ "backchannel_logout_uri": "com.example.shop:/x" }), "backchannel_logout_uri"),
            (json!({ "backchannel_logout_uri": 1 }), "backchannel_logout_uri"),
            (json!({ "backchannel_logout_session_required": "x" }), "backchannel_logout_session_required"),
        ] {
            let refused = change(body.clone()).await;
            refused.assert_error(422, "VALIDATION_ERROR");
            assert!(refused.text.contains(at), "{body}: {}", refused.text);
        }
        let many: Vec<String> = (0..51).map(|number| format!("{BYE}/{number}")).collect();
        change(json!({ "post_logout_redirect_uris": many })).await.assert_error(422, "VALIDATION_ERROR");
        let log = app.database.sql_texts("select cast(metadata as text) from audit_events where action = 'oauth.application.updated' order by number").await;
        assert!(log.concat().contains("backchannel_logout_uri"), "{log:?}");
    }
}
