//! Programs: `accounts/service/`.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{PASSWORD, Person, TestApp, on_both_engines};

use super::managing::*;

const PATH: &str = "accounts/service/";
const NAME: &str = "nightly export";

fn listed(id: &str, name: &str, role: &str) -> Value {
    json!({ "id": id, "name": name, "role": role, "metadata": {}, "keys": [] })
}

/// Makes a key for a program; answers its text.
async fn key_of(app: &TestApp, manager: &Person, name: &str) -> String {
    let answer = post_as(app, manager, "accounts/service/keys/", &json!({ "name": name })).send().await;
    answer.assert_status(200).text_at("key")
}

on_both_engines! {
    async fn a_program_is_made_and_signs_in_at_once(app: TestApp) {
        let root = app.provision(ROOT).await;
        let mails = app.sql_count("select count(*) from outbox_messages").await;
        let mut body = service(NAME, "backend");
        body["metadata"] = json!({ "owner": { "team": [1, null] } });
        let answer = post_as(&app, &root, PATH, &body).send().await;
        let id = answer.text_at("id");
        assert_answer(&answer, &json!({ "id": id }));
        assert_eq!(id.len(), 22);

        let mut expected = listed(&id, NAME, "backend");
        expected["metadata"] = body["metadata"].clone();
        assert_eq!(listed_program(&app, &root, NAME).await, expected);
        assert_eq!(count_of(&app, "account.created").await, 1);
        let login = app.log_in("service", NAME, json!({})).await;
        assert_eq!(login.assert_status(200).field("role"), "backend");
        assert_eq!(login.field("org_id"), &app.log_in("individual", ROOT, json!({})).await.body["org_id"]);
        assert_eq!(app.sql_count("select count(*) from outbox_messages").await, mails + 1, "the owner is told");
    }

    async fn each_role_but_the_owners_can_be_given(app: TestApp) {
        let root = app.provision(ROOT).await;
        for role in ["manager", "backend", "frontend", "demo_viewer"] {
            let program = app.add_service(&root, role, role).await;
            assert_eq!(listed_program(&app, &root, role).await, listed(&program.user_id, role, role));
        }
    }

    async fn without_a_password_a_program_has_only_keys(app: TestApp) {
        let root = app.provision(ROOT).await;
        let body =
            json!({ "name": NAME, "role": "backend", "password": null, "metadata": null, "unknown": null });
        post_as(&app, &root, PATH, &body).send().await.assert_status(200);
        for password in ["", PASSWORD] {
            assert_no_way_in(&app, "service", NAME, password).await;
        }
        let key = key_of(&app, &root, NAME).await;
        log_in_with(&app, "service", NAME, &key).await.assert_status(200);
        // It may be given one later.
        let body = json!({ "name": NAME, "password": OTHER_PASSWORD });
        assert_answer(&patch_as(&app, &root, PATH, &body).send().await, &json!({}));
        log_in_with(&app, "service", NAME, OTHER_PASSWORD).await.assert_status(200);
    }

    async fn a_name_is_a_line_of_up_to_128_characters_and_keeps_its_case(app: TestApp) {
        let root = app.provision(ROOT).await;
        let long = "\u{e9}".repeat(128);
        for (spelled, name) in [
            ("  export ", "export"),
            ("Export", "Export"),
            ("e\u{301}", "\u{e9}"),
            (long.as_str(), long.as_str()),
            ("'; drop table accounts; --", "'; drop table accounts; --"),
            ("%", "%"),
            ("\u{1f680}", "\u{1f680}"),
        ] {
            post_as(&app, &root, PATH, &service(spelled, "backend")).send().await.assert_status(200);
            assert_eq!(listed_program(&app, &root, name).await["name"], name);
            for spelling in [spelled, name] {
                app.log_in("service", spelling, json!({})).await.assert_status(200);
            }
        }
        assert_no_way_in(&app, "service", "EXPORT", PASSWORD).await;
    }

    async fn names_that_look_alike_are_one(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "store", "backend").await;
        for alike in ["store\u{200b}", "\u{feff}store", "st\u{2060}ore", "sto\u{ad}re", "store\u{3164}", "store\u{fe0f}"] {
            assert_duplicated(&post_as(&app, &root, PATH, &service(alike, "manager")).send().await, "store");
        }
        // Listed in the order in which they were made.
        app.advance(Duration::from_secs(1));
        app.add_service(&root, "im\u{200b}port", "backend").await;
        assert_eq!(accounts(&app, &root).await["service_accounts"][1]["name"], "import");
    }

    async fn a_name_is_taken_whichever_organization_has_it(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, NAME, "backend").await;
        let other = app.provision("other@example.com").await;
        app.add_service(&other, "caf\u{e9}", "backend").await;
        for (spelled, key) in [(NAME, NAME), ("  nightly export ", NAME), ("cafe\u{301}", "caf\u{e9}")] {
            for who in [&root, &other] {
                for body in [service(spelled, "manager"), json!({ "name": spelled, "role": "manager" })] {
                    assert_duplicated(&without_trace(&app, post_as(&app, who, PATH, &body)).await, key);
                }
            }
        }
        for who in [&root, &other] {
            assert_eq!(accounts(&app, who).await["service_accounts"].as_array().unwrap().len(), 1);
        }
    }

    async fn a_program_called_like_a_person_is_not_that_person(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "backend").await;
        let other = app.provision("other@example.com").await;
        for name in [ADA, ROOT] {
            let mut body = service(name, "manager");
            body["password"] = json!(OTHER_PASSWORD);
            post_as(&app, &other, PATH, &body).send().await.assert_status(200);
            assert_no_way_in(&app, "individual", name, OTHER_PASSWORD).await;
            assert_no_way_in(&app, "service", name, PASSWORD).await;
            let root_login = json!({ "email": name, "password": OTHER_PASSWORD });
            post(&app, "login/root/", &root_login).send().await.assert_error(401, "INCORRECT_PASSWORD");
            let login = log_in_with(&app, "service", name, OTHER_PASSWORD).await;
            let person = app.log_in("individual", name, json!({})).await.text_at("org_id");
            assert_ne!(login.assert_status(200).text_at("org_id"), person);
            // No mail reaches a program, whatever it is called, and no code makes it anybody's.
            let mails = app.mails_to(name).await.len();
            let body = json!({ "name": name, "password": "Yetanother3horse" });
            assert_answer(&patch_as(&app, &other, PATH, &body).send().await, &json!({}));
            assert_eq!(app.mails_to(name).await.len(), mails);
            assert_empty(&delete_as(&app, &other, PATH, &json!({ "name": name })).send().await, 204);
            app.log_in("individual", name, json!({})).await.assert_status(200);
        }
    }

    async fn what_is_wrong_with_a_new_program_is_said_field_by_field(app: TestApp) {
        let root = app.provision(ROOT).await;
        let request = |body: &Value| post_as(&app, &root, PATH, body);
        let all = json!({ "name": 1, "role": 2, "password": "weak", "metadata": "x" });
        assert_wrong_fields(&without_trace(&app, request(&all)).await, &json!({
            "name": ["must be a string"],
            "role": ["must be a string"],
            "password": ["must have at least 12 characters, an upper-case letter (A-Z) and a digit (0-9)"],
            "metadata": ["must be an object"],
        }));
        let nothing = without_trace(&app, request(&json!({}))).await;
        assert_wrong_fields(&nothing, &json!({ "name": ["is required"], "role": ["is required"] }));

        let with = |field: &str, value: Value| {
            let mut body = service(NAME, "backend");
            body[field] = value;
            body
        };
        let wrong = [
            ("name", with("name", Value::Null)),
            ("name", with("name", json!(""))),
            ("name", with("name", json!("   "))),
            ("name", with("name", json!("a\nb"))),
            ("name", with("name", json!("a\u{0}b"))),
            ("name", with("name", json!("x".repeat(129)))),
            ("name", with("name", json!([NAME]))),
            ("role", with("role", json!("root"))),
            ("role", with("role", json!("ROOT"))),
            ("role", with("role", json!("owner"))),
            ("password", with("password", json!({}))),
            ("metadata", with("metadata", json!([]))),
            ("metadata", with("metadata", json!({ "x": "x".repeat(64 * 1024) }))),
            ("metadata", with("metadata", json!({ "a\u{0}": 1 }))),
        ];
        each_wrong(&app, wrong, request).await;
        each_malformed(&app, || app.post("/v1/accounts/service/").bearer(&root.access_token)).await;
    }

    async fn a_programs_password_has_twelve_characters_of_three_kinds(app: TestApp) {
        let root = app.provision(ROOT).await;
        let with =
            |name: &str, password: &str| json!({ "name": name, "role": "backend", "password": password });
        let long = format!("Aa1{}", "x".repeat(1_022));
        let short = format!("Aa1!{}", "\u{e9}".repeat(7));
        let weak =
            ["", "Abcdefghij1", "abcdefghijk1", "ABCDEFGHIJK1", "Abcdefghijkl", short.as_str(), &long];
        let wrong = weak.map(|password| ("password", with(NAME, password)));
        each_wrong(&app, wrong, |body| post_as(&app, &root, PATH, body)).await;
        let strong = ["Abcdefghijk1", &format!("{short}\u{e9}"), &long[..1_024]];
        for (number, password) in strong.into_iter().enumerate() {
            let name = format!("program {number}");
            post_as(&app, &root, PATH, &with(&name, password)).send().await.assert_status(200);
            log_in_with(&app, "service", &name, password).await.assert_status(200);
            assert_no_way_in(&app, "service", &name, &format!("{password}x")).await;
            let wrong = [("password", json!({ "name": name, "password": "Abcdefghij1" }))];
            each_wrong(&app, wrong, |body| patch_as(&app, &root, PATH, body)).await;
        }
    }

    async fn what_is_given_is_changed_and_the_rest_stays(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let mut expected = listed(&program.user_id, NAME, "backend");
        let (one, other) = (json!({ "a": { "b": 1, "c": 2 } }), json!({ "a": { "b": 3 }, "d": null }));
        for metadata in [one, other, Value::Null, json!({})] {
            let body = json!({
                "name": format!(" {NAME} "), "metadata": metadata, "role": null, "password": null,
            });
            assert_answer(&patch_as(&app, &root, PATH, &body).send().await, &json!({}));
            if metadata.is_object() {
                expected["metadata"] = metadata;
            }
            assert_eq!(listed_program(&app, &root, NAME).await, expected);
        }
        assert_answer(&patch_as(&app, &root, PATH, &json!({ "name": NAME })).send().await, &json!({}));
        assert!(lets_in(&app, &program).await);
        refresh(&app, &program.refresh_token).await.assert_status(200);
        assert_eq!(count_of(&app, "account.updated").await, 5);
    }

    async fn a_new_password_ends_the_programs_sessions_and_leaves_its_keys(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let key = key_of(&app, &root, NAME).await;
        let with_key = app.bound(&program, json!({ "password": key })).await;
        let body = json!({ "name": NAME, "password": OTHER_PASSWORD });
        assert_answer(&patch_as(&app, &root, PATH, &body).send().await, &json!({}));
        for ended in [&program, &with_key] {
            assert_ended(&app, ended).await;
        }
        assert_no_way_in(&app, "service", NAME, PASSWORD).await;
        for secret in [OTHER_PASSWORD, &key] {
            log_in_with(&app, "service", NAME, secret).await.assert_status(200);
        }
        assert!(lets_in(&app, &root).await);
    }

    async fn a_change_that_is_wrong_changes_nothing(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "backend").await;
        let with = |field: &str, value: Value| {
            let mut body = json!({ "name": NAME, "metadata": { "x": 1 } });
            body[field] = value;
            body
        };
        let wrong = [
            ("name", json!({ "metadata": { "x": 1 } })),
            ("name", with("name", json!(""))),
            ("password", with("password", json!("weak"))),
            ("password", with("password", json!(1))),
            ("metadata", with("metadata", json!([]))),
            ("metadata", with("metadata", json!({ "x": "x".repeat(64 * 1024) }))),
        ];
        each_wrong(&app, wrong, |body| patch_as(&app, &root, PATH, body)).await;
        each_malformed(&app, || app.patch("/v1/accounts/service/").bearer(&root.access_token)).await;
        assert_eq!(listed_program(&app, &root, NAME).await, listed(&program.user_id, NAME, "backend"));
        assert!(lets_in(&app, &program).await);
    }

    async fn a_program_of_another_organization_looks_like_none(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "backend").await;
        let other = app.provision("other@example.com").await;
        let program = app.add_service(&other, NAME, "backend").await;
        // A person's address is no program's name.
        for name in [NAME, "NIGHTLY EXPORT", "nobody", ADA, ROOT] {
            let body = json!({ "name": name, "password": OTHER_PASSWORD, "metadata": { "x": 1 } });
            assert_unknown_account(&without_trace(&app, patch_as(&app, &root, PATH, &body)).await, name);
            let body = json!({ "name": name });
            assert_unknown_account(&without_trace(&app, delete_as(&app, &root, PATH, &body)).await, name);
        }
        assert!(lets_in(&app, &program).await);
        app.log_in("service", NAME, json!({})).await.assert_status(200);
        assert_eq!(listed_program(&app, &other, NAME).await, listed(&program.user_id, NAME, "backend"));
    }

    async fn a_deleted_program_is_gone_at_once_with_its_keys(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "manager").await;
        let key = key_of(&app, &root, NAME).await;
        let with_key = app.bound(&program, json!({ "password": key })).await;
        let body = json!({ "name": format!(" {NAME}") });
        assert_empty(&delete_as(&app, &root, PATH, &body).send().await, 204);
        for ended in [&program, &with_key] {
            assert_deleted(&app, ended, NAME).await;
        }
        for secret in [PASSWORD, &key] {
            assert_no_way_in(&app, "service", NAME, secret).await;
        }
        assert_eq!(listed_program(&app, &root, NAME).await, Value::Null);
        assert_eq!(app.sql_count("select count(*) from service_keys").await, 0);
        assert_unknown_account(&without_trace(&app, delete_as(&app, &root, PATH, &body)).await, NAME);

        // Another program may be called the same, and what was given to the first is not its.
        let other = app.provision("other@example.com").await;
        let new = app.add_service(&other, NAME, "backend").await;
        assert_ne!(new.user_id, program.user_id);
        assert_no_way_in(&app, "service", NAME, &key).await;
        assert_deleted(&app, &program, NAME).await;
        assert!(lets_in(&app, &new).await);
        refresh(&app, &new.refresh_token).await.assert_status(200);
    }

    async fn a_program_may_delete_itself_by_name(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, NAME, "manager").await;
        assert_empty(&delete_as(&app, &program, PATH, &json!({ "name": NAME })).send().await, 204);
        assert_deleted(&app, &program, NAME).await;
    }

    async fn deleting_a_program_takes_a_name(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, NAME, "backend").await;
        let wrong = [
            ("name", json!({})),
            ("name", json!({ "email": ADA })),
            ("name", json!({ "name": "" })),
            ("name", json!({ "name": [NAME] })),
            ("name", json!({ "name": "x".repeat(129) })),
        ];
        each_wrong(&app, wrong, |body| delete_as(&app, &root, PATH, body)).await;
        each_malformed(&app, || app.delete("/v1/accounts/service/").bearer(&root.access_token)).await;
        assert_eq!(listed_program(&app, &root, NAME).await["name"], NAME);
    }
}
