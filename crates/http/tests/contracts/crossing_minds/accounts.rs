//! People: `accounts/individual/`, `accounts/`, and the list of all accounts.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{
    Engine, FakeClock, PASSWORD, PUBLIC_URL, Person, TestApp, concurrently, on_both_engines,
};

use super::managing::*;
use crate::cross_contract::me_rivergen;

const PATH: &str = "accounts/individual/";

/// Where an application of the operator's own has its page to set passwords.
const OWN_PAGE: &str = "https://app.example.com/welcome?lang=en";

async fn with_own_pages(engine: Engine) -> TestApp {
    let builder = TestApp::builder(engine);
    builder.settings(|settings| settings.redirect_hosts = vec!["app.example.com".to_owned()]).start().await
}

/// Makes somebody without a password.
async fn invite(app: &TestApp, manager: &Person, email: &str, role: &str) {
    let body = json!({ "email": email, "role": role });
    post_as(app, manager, PATH, &body).send().await.assert_status(200);
}

/// What is listed of somebody made as [`individual`] says.
fn listed(id: &str, email: &str, role: &str, verified: bool) -> Value {
    json!({
        "id": id, "first_name": "Ada", "last_name": "Lovelace", "email": email, "role": role,
        "verified": verified, "metadata": {},
    })
}

on_both_engines! {
    async fn a_person_is_made_and_mailed_a_code_to_verify_their_address(app: TestApp) {
        let root = app.provision(ROOT).await;
        let mut body = individual("Ada@Example.com", "backend");
        body["metadata"] = json!({ "team": ["a", { "b": null }], "floor": 3 });
        let answer = post_as(&app, &root, PATH, &body).send().await;
        let id = answer.text_at("id");
        assert_answer(&answer, &json!({ "id": id }));
        assert_eq!(id.len(), 22);

        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
        let code = app.latest_code(ADA).await;
        assert!(code.len() == 40 && code.bytes().all(|c| c.is_ascii_hexdigit()), "{code}");
        let mut expected = listed(&id, ADA, "backend", false);
        expected["metadata"] = body["metadata"].clone();
        assert_eq!(listed_person(&app, &root, ADA).await, expected);
        assert_eq!(count_of(&app, "account.created").await, 1);

        let early = app.log_in("individual", ADA, json!({})).await;
        assert_auth_error(&early, "ACCOUNT_NOT_VERIFIED", "this account is not verified");
        let claim = json!({ "email": ADA, "code": code });
        post(&app, "accounts/verify/", &claim).send().await.assert_status(200);
        let login = app.log_in("individual", ADA, json!({})).await;
        assert_eq!(login.assert_status(200).field("role"), "backend");
        assert_eq!(login.field("org_id"), &app.log_in("individual", ROOT, json!({})).await.body["org_id"]);
    }

    async fn each_role_but_the_owners_can_be_given(app: TestApp) {
        let root = app.provision(ROOT).await;
        for role in ["manager", "backend", "frontend", "demo_viewer"] {
            let email = format!("{role}@example.com");
            let person = app.add_individual(&root, &email, role).await;
            assert_eq!(listed_person(&app, &root, &email).await, listed(&person.user_id, &email, role, true));
        }
    }

    async fn a_name_and_a_document_are_needless(app: TestApp) {
        let root = app.provision(ROOT).await;
        let body = json!({
            "email": ADA, "role": "backend", "password": PASSWORD, "first_name": null, "last_name": " ",
            "metadata": null, "unknown": null,
        });
        post_as(&app, &root, PATH, &body).send().await.assert_status(200);
        let ada = listed_person(&app, &root, ADA).await;
        assert_eq!([&ada["first_name"], &ada["last_name"]], [&json!(""), &json!("")]);
        assert_eq!(ada["metadata"], json!({}));
    }

    async fn without_a_password_a_person_is_mailed_a_link_to_choose_one(app: TestApp) {
        let root = app.provision(ROOT).await;
        invite(&app, &root, ADA, "backend").await;
        assert_eq!(app.templates_to(ADA).await, ["invitation"]);
        let link = app.mails_to(ADA).await[0].link().unwrap().to_owned();
        assert!(link.starts_with(&format!("{PUBLIC_URL}/reset-password?token=")), "{link}");
        for password in [PASSWORD, ""] {
            assert_no_way_in(&app, "individual", ADA, password).await;
        }

        let token = app.latest_link_token(ADA).await;
        app.get(&format!("/reset-password?token={token}")).send().await.assert_status(200);
        // Enough for RiverGen, not for the contract the invitation came through.
        let weak = format!("token={token}&new_password=Abcdefg12");
        app.post("/reset-password").form(&weak).send().await.assert_status(422);
        let form = format!("token={token}&new_password={OTHER_PASSWORD}");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
        assert_eq!(listed_person(&app, &root, ADA).await["verified"], true);
        assert_eq!(app.templates_to(ADA).await, ["password_changed", "invitation"]);
        // A repeat within a minute is taken for the same request.
        app.advance(Duration::from_secs(61));
        app.post("/reset-password").form(&form).send().await.assert_status(400);
    }

    async fn an_invitation_is_good_for_a_day(app: TestApp) {
        let root = app.provision(ROOT).await;
        invite(&app, &root, ADA, "backend").await;
        let form = format!("token={}&new_password={OTHER_PASSWORD}", app.latest_link_token(ADA).await);
        app.advance(Duration::from_secs(24 * 3_600));
        app.post("/reset-password").form(&form).send().await.assert_status(400);
        app.clock.set(FakeClock::START.plus(Duration::from_secs(24 * 3_600 - 1)));
        app.post("/reset-password").form(&form).send().await.assert_status(200);
    }

    async fn an_invitation_may_lead_to_an_applications_own_page(engine: Engine) {
        let app = with_own_pages(engine).await;
        let root = app.provision(ROOT).await;
        // With a character that means something else in a query.
        let email = "ada+1&x@example.com";
        let body = json!({ "email": email, "role": "backend", "email_redirect_url": OWN_PAGE });
        post_as(&app, &root, PATH, &body).send().await.assert_status(200);

        assert_eq!(app.templates_to(email).await, ["invitation"]);
        let link = app.mails_to(email).await[0].link().unwrap().to_owned();
        assert!(link.starts_with("https://app.example.com/welcome?"), "{link}");
        let query = query_of(&link);
        let names: Vec<&str> = query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lang", "code", "email", "code_expiration_timestamp"]);
        let [lang, code, sent_to, expires] = [0, 1, 2, 3].map(|index: usize| query[index].1.as_str());
        assert_eq!((lang, sent_to), ("en", email));
        let expires: f64 = expires.parse().unwrap();
        assert_eq!(expires, FakeClock::START.fractional_seconds() + 86_400.0);

        let body = json!({
            "email": sent_to, "code": code, "code_expiration_timestamp": expires,
            "new_password": OTHER_PASSWORD,
        });
        assert_empty(&post(&app, "accounts/individual/reset/", &body).send().await, 200);
        log_in_with(&app, "individual", email, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn an_invitation_leads_to_no_page_of_strangers(engine: Engine) {
        let app = with_own_pages(engine).await;
        let root = app.provision(ROOT).await;
        let body = |url: Value| json!({ "email": ADA, "role": "backend", "email_redirect_url": url });
        let foreign = [
            "https://evil.example/welcome",
            "https://app.example.com.evil.example/",
            "https://evil.example/?app.example.com",
            "https://app.example.com@evil.example/",
            "https://somebody:secret@app.example.com/",
            "https://app.example.com:8443/",
            "https://sub.app.example.com/",
            "http://app.example.com/",
            "http://id.example.com/",
            "ftp://app.example.com/",
            "javascript:alert(1)//app.example.com",
            "//app.example.com/",
            "/welcome",
            "app.example.com",
            "",
        ];
        let no_texts = [json!(1), json!(["https://app.example.com/"])];
        let wrong = foreign.iter().map(|url| json!(url)).chain(no_texts);
        let wrong = wrong.map(|url| ("email_redirect_url", body(url)));
        each_wrong(&app, wrong, |body| post_as(&app, &root, PATH, body)).await;
        // Nor does anybody slip in a link that is not used.
        let mut with_password = individual(ADA, "backend");
        with_password["email_redirect_url"] = json!(foreign[0]);
        let wrong = [("email_redirect_url", with_password)];
        each_wrong(&app, wrong, |body| post_as(&app, &root, PATH, body)).await;
        assert!(app.mails_to(ADA).await.is_empty());

        let own = ["https://id.example.com/anywhere".to_owned(), "HTTPS://APP.example.com".to_owned()];
        for (number, url) in own.into_iter().enumerate() {
            let body = json!({
                "email": format!("{number}@example.com"), "role": "backend", "email_redirect_url": url,
            });
            post_as(&app, &root, PATH, &body).send().await.assert_status(200);
        }
    }

    async fn an_address_is_taken_whoever_has_it_and_wherever_they_came_from(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        let other = app.provision("other@example.com").await;
        app.create_individual(&other, "bob@example.com", "backend").await.assert_status(200);
        app.sign_up_rivergen("carol@example.com").await;
        app.register_ingestiq("dave@example.com").await;
        for (spelled, key) in [
            (ADA, ADA),
            (" ADA@Example.COM ", ADA),
            (ROOT, ROOT),
            ("other@example.com", "other@example.com"),
            ("bob@example.com", "bob@example.com"),
            ("carol@example.com", "carol@example.com"),
            ("dave@example.com", "dave@example.com"),
        ] {
            let mails = app.mails_to(key).await.len();
            let mut invitation = individual(spelled, "manager");
            invitation["password"] = Value::Null;
            for body in [individual(spelled, "manager"), invitation] {
                let refused = without_trace(&app, post_as(&app, &root, PATH, &body)).await;
                assert_duplicated(&refused, key);
            }
            assert_eq!(app.mails_to(key).await.len(), mails);
        }
        // Having been named in vain, nobody belongs to the organization who did not before.
        assert_eq!(accounts(&app, &root).await["individual_accounts"].as_array().unwrap().len(), 2);
    }

    async fn what_is_wrong_with_a_new_person_is_said_field_by_field(app: TestApp) {
        let root = app.provision(ROOT).await;
        let request = |body: &Value| post_as(&app, &root, PATH, body);
        let all = json!({
            "email": "ada", "role": "king", "password": "weak", "first_name": 1, "last_name": "a\nb",
            "metadata": [], "email_redirect_url": {},
        });
        let answer = without_trace(&app, request(&all)).await;
        assert_wrong_fields(&answer, &json!({
            "email": ["must be a valid e-mail address of at most 254 characters"],
            "role": ["must be one of manager, backend, frontend, demo_viewer"],
            "password": ["must have at least 10 characters, an upper-case letter (A-Z), a digit (0-9) and \
                a character that is neither letter nor digit"],
            "first_name": ["must be a string"],
            "last_name": [answer.field("error_data.query.last_name.0")],
            "metadata": ["must be an object"],
            "email_redirect_url": ["must be a string"],
        }));
        let nothing = without_trace(&app, request(&json!({}))).await;
        assert_wrong_fields(&nothing, &json!({ "email": ["is required"], "role": ["is required"] }));

        let with = |field: &str, value: Value| {
            let mut body = individual(ADA, "backend");
            body[field] = value;
            body
        };
        let wrong = [
            ("email", with("email", Value::Null)),
            ("email", with("email", json!({ "$ne": "" }))),
            ("email", with("email", json!("a@b.cd\r\nBcc: x@y.zz"))),
            ("role", with("role", json!("root"))),
            ("role", with("role", json!("Manager"))),
            ("role", with("role", json!(""))),
            ("role", with("role", json!(["manager"]))),
            ("password", with("password", json!(1))),
            ("first_name", with("first_name", json!("x".repeat(151)))),
            ("last_name", with("last_name", json!("x".repeat(151)))),
            ("first_name", with("first_name", json!("a\u{0}b"))),
            ("metadata", with("metadata", json!("x"))),
            ("metadata", with("metadata", json!({ "x": "x".repeat(64 * 1024) }))),
            ("metadata", with("metadata", json!({ "x": ["a\u{0}"] }))),
        ];
        each_wrong(&app, wrong, request).await;
        each_malformed(&app, || app.post("/v1/accounts/individual/").bearer(&root.access_token)).await;
        assert!(app.mails_to(ADA).await.is_empty());
    }

    async fn a_persons_password_has_ten_characters_of_four_kinds(app: TestApp) {
        let root = app.provision(ROOT).await;
        let with =
            |email: &str, password: &str| json!({ "email": email, "role": "backend", "password": password });
        let long = format!("Aa1!{}", "x".repeat(1_021));
        let weak = [
            "", "Abcdef1!x", "abcdefg1!x", "ABCDEFG1!X", "Abcdefgh!x", "Abcdefgh1x", "Abcdefgh1\u{e9}", &long,
            "Aa1!\u{e9}\u{e9}\u{e9}",
        ];
        let wrong = weak.map(|password| ("password", with(ADA, password)));
        each_wrong(&app, wrong, |body| post_as(&app, &root, PATH, body)).await;
        let strong = ["Abcdefg1!x", "Abcdef 1\u{e9}x", &long[..1_024]];
        for (number, password) in strong.into_iter().enumerate() {
            let email = format!("{number}@example.com");
            post_as(&app, &root, PATH, &with(&email, password)).send().await.assert_status(200);
            let right = log_in_with(&app, "individual", &email, password).await;
            assert_auth_error(&right, "ACCOUNT_NOT_VERIFIED", "this account is not verified");
            assert_no_way_in(&app, "individual", &email, &format!("{password}x")).await;
        }
    }

    async fn nobody_is_made_whom_no_mail_can_reach(engine: Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        let root = app.provision(ROOT).await;
        let refused = without_trace(&app, post_as(&app, &root, PATH, &individual(ADA, "backend"))).await;
        refused.assert_error(503, "SERVER_UNAVAILABLE");
        refused.assert_not_set_up("e-mail");
    }

    async fn what_is_given_is_changed_and_the_rest_stays(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        let mut expected = listed(&ada.user_id, ADA, "backend", true);
        let changes = [
            json!({ "first_name": "Augusta" }),
            json!({ "last_name": "King" }),
            json!({ "metadata": { "a": { "b": 1, "c": 2 } } }),
            // In place of the old document, not into it.
            json!({ "metadata": { "a": { "b": 3 }, "d": null } }),
            json!({ "first_name": "", "last_name": "", "metadata": {} }),
            json!({}),
            json!({ "first_name": null, "last_name": null, "metadata": null, "password": null }),
        ];
        for change in changes {
            let mut body = change.clone();
            body["email"] = json!("ADA@example.com");
            assert_answer(&patch_as(&app, &root, PATH, &body).send().await, &json!({}));
            for (field, value) in change.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()) {
                expected[field] = value.clone();
            }
            assert_eq!(listed_person(&app, &root, ADA).await, expected);
        }
        assert_eq!(count_of(&app, "account.updated").await, 7);
        assert!(lets_in(&app, &ada).await);
        refresh(&app, &ada.refresh_token).await.assert_status(200);
        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
    }

    async fn a_new_password_ends_the_persons_sessions_and_they_are_told(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        let laptop = app.bound(&ada, json!({})).await;
        let forgot = json!({ "email": ADA });
        post(&app, "accounts/individual/send-reset-password-email/", &forgot).send().await.assert_status(200);
        let token = app.latest_link_token(ADA).await;

        let body = json!({ "email": ADA, "password": OTHER_PASSWORD });
        assert_answer(&patch_as(&app, &root, PATH, &body).send().await, &json!({}));
        for ended in [&ada, &laptop] {
            assert_ended(&app, ended).await;
        }
        assert_eq!(app.templates_to(ADA).await, ["password_changed", "password_reset", "invitation_code"]);
        assert_no_way_in(&app, "individual", ADA, PASSWORD).await;
        log_in_with(&app, "individual", ADA, OTHER_PASSWORD).await.assert_status(200);
        // A way in that was prepared under the old password is gone as well.
        let form = format!("token={token}&new_password=Attacker3horse!");
        app.post("/reset-password").form(&form).send().await.assert_status(400);
        assert!(lets_in(&app, &root).await);
    }

    async fn a_new_password_follows_the_rule_and_changes_nothing_if_it_does_not(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        let with = |field: &str, value: Value| {
            let mut body = json!({ "email": ADA, "first_name": "Augusta" });
            body[field] = value;
            body
        };
        let wrong = [
            ("email", json!({ "first_name": "Augusta" })),
            ("email", with("email", json!("ada"))),
            ("password", with("password", json!(""))),
            ("password", with("password", json!("Abcdefgh1x"))),
            ("password", with("password", json!(["Another2horse!"]))),
            ("first_name", with("first_name", json!("x".repeat(151)))),
            ("last_name", with("last_name", json!(["x"]))),
            ("metadata", with("metadata", json!(1))),
            ("metadata", with("metadata", json!({ "x": "x".repeat(64 * 1024) }))),
        ];
        each_wrong(&app, wrong, |body| patch_as(&app, &root, PATH, body)).await;
        each_malformed(&app, || app.patch("/v1/accounts/individual/").bearer(&root.access_token)).await;
        assert_eq!(listed_person(&app, &root, ADA).await, listed(&ada.user_id, ADA, "backend", true));
        assert!(lets_in(&app, &ada).await);
    }

    async fn a_person_of_another_organization_looks_like_nobody(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, ADA, "backend").await;
        let other = app.provision("other@example.com").await;
        let ada = app.add_individual(&other, ADA, "backend").await;
        let carol = app.sign_up_rivergen_verified("carol@example.com").await;
        for email in [ADA, "other@example.com", "carol@example.com", "nobody@example.com"] {
            let body = json!({ "email": email, "password": OTHER_PASSWORD, "first_name": "Mallory" });
            let refused = without_trace(&app, patch_as(&app, &root, PATH, &body)).await;
            assert_unknown_account(&refused, email);
            let refused = without_trace(&app, delete_as(&app, &root, PATH, &json!({ "email": email }))).await;
            assert_unknown_account(&refused, email);
        }
        assert!(lets_in(&app, &ada).await && lets_in(&app, &other).await);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);
        me_rivergen(&app.client(), &carol.access_token).await.assert_status(200);
        assert_eq!(listed_person(&app, &other, ADA).await["first_name"], "Ada");
        // Not even the program that happens to be called like the person.
        assert_eq!(listed_program(&app, &root, ADA).await["name"], ADA);
    }

    async fn nobody_but_the_owner_changes_the_owners_account(app: TestApp) {
        let root = app.provision(ROOT).await;
        let manager = app.add_individual(&root, "manager@example.com", "manager").await;
        for change in [json!({ "password": OTHER_PASSWORD }), json!({ "first_name": "Mallory" }), json!({})] {
            let mut body = change;
            body["email"] = json!("Root@example.com");
            assert_is_owner(&without_trace(&app, patch_as(&app, &manager, PATH, &body)).await, ROOT);
        }
        assert!(lets_in(&app, &root).await);
        app.log_in("individual", ROOT, json!({})).await.assert_status(200);

        let body = json!({ "email": ROOT, "password": OTHER_PASSWORD, "first_name": "Grace" });
        assert_answer(&patch_as(&app, &root, PATH, &body).send().await, &json!({}));
        assert_ended(&app, &root).await;
        log_in_with(&app, "individual", ROOT, OTHER_PASSWORD).await.assert_status(200);
        assert_eq!(listed_person(&app, &manager, ROOT).await["first_name"], "Grace");
    }

    async fn of_many_who_take_an_address_at_once_one_gets_it(app: TestApp) {
        let root = app.provision(ROOT).await;
        let other = app.provision("other@example.com").await;
        let (client, tokens) = (app.client(), [root.access_token, other.access_token]);
        for (path, key, name) in [(PATH, "email", ADA), ("accounts/service/", "name", "nightly export")] {
            let (client, tokens) = (client.clone(), tokens.clone());
            let answers = concurrently(8, move |number| {
                let body = json!({ key: name, "role": "backend", "password": PASSWORD });
                let request = client.post(&format!("/v1/{path}")).bearer(&tokens[number % 2]).json(&body);
                async move { request.send().await }
            })
            .await;
            let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
            assert_eq!(made.len(), 1);
            for answer in refused {
                assert_duplicated(answer, name);
            }
        }
        assert_eq!(app.templates_to(ADA).await, ["invitation_code"]);
        assert_eq!(count_of(&app, "account.created").await, 2);
    }

    async fn who_signed_up_themselves_looks_after_the_organization_of_their_own(app: TestApp) {
        app.sign_up_rivergen_verified("carol@example.com").await;
        let login = app.log_in("individual", "carol@example.com", json!({})).await;
        assert_eq!(login.assert_status(200).field("role"), "root");
        let carol = Person {
            email: "carol@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            access_token: login.text_at("token"),
            refresh_token: login.text_at("refresh_token"),
            user_id: String::new(),
        };
        // Accounts made in one instant are listed in no particular order.
        app.advance(std::time::Duration::from_secs(1));
        let ada = app.add_individual(&carol, ADA, "manager").await;
        let people = accounts(&app, &ada).await;
        let people = people["individual_accounts"].as_array().unwrap();
        let emails: Vec<_> = people.iter().map(|one| &one["email"]).collect();
        assert_eq!(emails, ["carol@example.com", ADA]);
        let body = json!({ "email": "carol@example.com" });
        assert_is_owner(&delete_as(&app, &ada, PATH, &body).send().await, "carol@example.com");
        assert_is_owner(&delete_own(&app, &carol).await, "carol@example.com");
    }

    async fn a_listing_shows_the_people_and_programs_of_the_organization_alone(app: TestApp) {
        let root = app.provision(ROOT).await;
        let other = app.provision("other@example.com").await;
        app.add_service(&other, "theirs", "backend").await;
        app.advance(Duration::from_secs(1));
        let ada = app.add_individual(&root, ADA, "manager").await;
        app.advance(Duration::from_secs(1));
        let body = json!({ "name": "nightly export", "role": "backend", "metadata": { "a": [1] } });
        let program = post_as(&app, &root, "accounts/service/", &body).send().await.text_at("id");
        app.advance(Duration::from_secs(1));
        invite(&app, &ada, "bob@example.com", "demo_viewer").await;

        let bob = listed_person(&app, &root, "bob@example.com").await["id"].clone();
        let expected = json!({
            "individual_accounts": [
                {
                    "id": root.user_id, "first_name": "", "last_name": "", "email": ROOT, "role": "root",
                    "verified": true, "metadata": {},
                },
                listed(&ada.user_id, ADA, "manager", true),
                {
                    "id": bob, "first_name": "", "last_name": "", "email": "bob@example.com",
                    "role": "demo_viewer", "verified": false, "metadata": {},
                },
            ],
            "service_accounts": [
                {
                    "id": program, "name": "nightly export", "role": "backend", "metadata": { "a": [1] },
                    "keys": [],
                },
            ],
            "warnings": [],
        });
        for who in [&root, &ada] {
            for path in ["organizations/current/accounts/", "organizations/accounts/"] {
                assert_answer(&get_as(&app, who, path).send().await, &expected);
            }
        }
    }

    async fn a_long_listing_is_complete_and_in_the_order_they_came(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let root = app.provision(ROOT).await;
        // With the owner exactly one page of people, and programs beyond the first.
        let (mut people, mut programs) = (vec![ROOT.to_owned()], Vec::new());
        for number in 0..499 {
            app.advance(Duration::from_millis(1));
            let email = format!("{number}@example.com");
            let body = json!({ "email": email, "role": "backend" });
            post_as(&app, &root, PATH, &body).send().await.assert_status(200);
            people.push(email);
        }
        // So that names in the order of the alphabet are not in the right one.
        for number in (0..521).rev() {
            app.advance(Duration::from_millis(1));
            let name = format!("program {number:03}");
            let body = json!({ "name": name, "role": "backend" });
            post_as(&app, &root, "accounts/service/", &body).send().await.assert_status(200);
            programs.push(name);
        }
        for name in ["program 520", "program 000"] {
            let body = json!({ "name": name });
            post_as(&app, &root, "accounts/service/keys/", &body).send().await.assert_status(200);
        }
        let list = accounts(&app, &root).await;
        let names = |kind: &str, key: &str| -> Vec<String> {
            list[kind].as_array().unwrap().iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("individual_accounts", "email"), people);
        assert_eq!(names("service_accounts", "name"), programs);
        assert_eq!(list["warnings"], json!([]));
        let programs = list["service_accounts"].as_array().unwrap();
        let keys: Vec<usize> = programs.iter().map(|one| one["keys"].as_array().unwrap().len()).collect();
        assert_eq!((keys[0], keys[520], keys.iter().sum::<usize>()), (1, 1, 2));
    }
}
