//! `POST login/individual/`, `login/service/`, `login/root/` and `login/jwt/`.

use serde_json::{Value, json};
use tidegate_domain::Scopes;
use tidegate_testkit::{Answer, Engine, PASSWORD, Person, TestApp, eventually, on_both_engines};

use super::wire::{
    NO_DATABASE, OTHER_PASSWORD, SECOND, assert_auth_error, assert_forbidden, assert_limited,
    assert_no_database, assert_wrong_data, assert_wrong_password, bound_to, faulty, get_as, patch_as, post,
    post_as, unlimited, whose,
};
use crate::forge::{claims_of, reworded};
use crate::timing::statements;
use crate::watch::{Log, hash_thread_switches, row_counts};

const ROOT: &str = "root@example.com";
const ADA: &str = "ada@example.com";
const SESSIONS: &str = "select count(*) from sessions";
const RESOLVED: &str = "select count(*) from resolved_sessions";
const UUID: &str = "c3391d83-553b-40e7-818e-fcf658ec397d";

/// Signs in at the owners' old door.
async fn log_in_root(app: &TestApp, email: &str, password: &str) -> Answer {
    post(app, "login/root/", json!({ "email": email, "password": password })).await
}

/// Checks that two answers cannot be told apart, by whatever is in them.
#[track_caller]
fn assert_same(one: &Answer, other: &Answer) {
    assert_eq!((one.status, &one.text), (other.status, &other.text));
    let headers = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        // Each request has its own.
        for name in ["x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            headers.remove(name);
        }
        headers
    };
    assert_eq!(headers(one), headers(other));
}

fn not_verified(answer: &Answer) {
    assert_auth_error(answer, "ACCOUNT_NOT_VERIFIED", "this account is not verified");
}

on_both_engines! {
    async fn a_person_signs_in(app: TestApp) {
        let root = app.provision(ROOT).await;
        let answer = app.log_in("individual", "Root@Example.com", json!({})).await;
        answer.assert_status(200);
        let (token, refresh) = (answer.text_at("token"), answer.text_at("refresh_token"));
        let org = claims_of(&app, &token).await.org.opaque();
        assert_eq!(
            answer.text,
            format!(r#"{{"token":"{token}","refresh_token":"{refresh}","org_id":"{org}","role":"root"}}"#)
        );
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(bound_to(&app, &token).await, (None, None, None));
        let info = whose(&app, &token).await;
        assert_eq!(
            info.assert_status(200).text,
            format!(r#"{{"org_id":"{org}","account":{{"id":"{}","role":"root"}}}}"#, root.user_id)
        );
        // Both tokens are good, and so are those of the sign-in before.
        post(&app, "login/refresh-token/", json!({ "refresh_token": refresh })).await.assert_status(200);
        whose(&app, &root.access_token).await.assert_status(200);
    }

    async fn a_program_signs_in(app: TestApp) {
        let root = app.provision(ROOT).await;
        for role in ["manager", "backend", "frontend", "demo_viewer"] {
            let program = app.add_service(&root, &format!("the {role} program"), role).await;
            let answer = app.log_in("service", &format!(" {} ", program.email), json!({})).await;
            let (token, refresh) = (answer.text_at("token"), answer.text_at("refresh_token"));
            let org = claims_of(&app, &root.access_token).await.org.opaque();
            assert_eq!(
                answer.assert_status(200).text,
                format!(
                    r#"{{"token":"{token}","refresh_token":"{refresh}","org_id":"{org}","role":"{role}"}}"#
                )
            );
            let account = json!({ "id": program.user_id, "role": role });
            assert_eq!(whose(&app, &token).await.body, json!({ "org_id": org, "account": account }));
        }
    }

    async fn the_database_of_the_token_is_described_whether_it_was_named_or_numbered(app: TestApp) {
        let root = app.provision(ROOT).await;
        let program = app.add_service(&root, "program", "backend").await;
        let db = app.add_database(&root, "shop").await;
        app.add_database(&root, "another shop").await;
        for (kind, name) in [("individual", ROOT), ("service", program.email.as_str())] {
            for choice in [
                json!({ "db_id": db }),
                json!({ "db_name": "shop" }),
                json!({ "db_id": db, "db_name": "shop" }),
                json!({ "db_id": null, "db_name": "shop", "frontend_user_id": null }),
            ] {
                let answer = app.log_in(kind, name, choice).await;
                let types = r#""item_id_type":"uuid","user_id_type":"uint32","session_id_type":"uuid""#;
                let named = format!(r#""id":"{db}","name":"shop","description":"of a test""#);
                let described = format!(r#","database":{{{named},{types},"status":"ready"}}}}"#);
                assert!(answer.assert_status(200).text.ends_with(&described), "{}", answer.text);
                let token = answer.text_at("token");
                assert_eq!(bound_to(&app, &token).await, (Some(db.clone()), None, None));
                let database = json!({
                    "id": db, "item_id_type": "uuid", "user_id_type": "uint32", "session_id_type": "uuid",
                });
                let info = whose(&app, &token).await;
                assert_eq!(info.field("database"), &database);
                assert_eq!(info.body.as_object().unwrap().len(), 3, "{}", info.text);
            }
        }
    }

    async fn a_frontend_account_signs_in_for_one_end_user(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        app.add_individual(&root, ADA, "frontend").await;
        app.add_service(&root, "page", "frontend").await;
        for (kind, name) in [("individual", ADA), ("service", "page")] {
            for (user, session) in [
                (json!(7), json!(null)),
                (json!("7"), json!(null)),
                (json!(null), json!(UUID)),
                (json!(7), json!(UUID.to_uppercase())),
            ] {
                let fields = json!({ "db_id": db, "frontend_user_id": user, "frontend_session_id": session });
                let answer = app.log_in(kind, name, fields).await;
                assert_eq!(answer.assert_status(200).text_at("role"), "frontend");
                let token = answer.text_at("token");
                let fuid = (!user.is_null()).then(|| "7".to_owned());
                let fsid = (!session.is_null()).then(|| UUID.to_owned());
                assert_eq!(bound_to(&app, &token).await, (Some(db.clone()), fuid, fsid));
                let info = whose(&app, &token).await;
                let expected_user = if user.is_null() { Value::Null } else { json!(7) };
                let expected_session = if session.is_null() { Value::Null } else { json!(UUID) };
                assert_eq!(info.assert_status(200).field("frontend_user_id"), &expected_user);
                assert_eq!(info.field("frontend_session_id"), &expected_session);
                let keys = 3 + [&user, &session].iter().filter(|id| !id.is_null()).count();
                assert_eq!(info.body.as_object().unwrap().len(), keys, "{}", info.text);
            }
            // With neither, and without a database, the token speaks for nobody.
            let answer = app.log_in(kind, name, json!({ "db_name": "shop" })).await;
            assert_eq!(bound_to(&app, &answer.text_at("token")).await, (Some(db.clone()), None, None));
            let answer = app.log_in(kind, name, json!({})).await;
            assert!(answer.assert_status(200).field("database").is_null());
            assert_eq!(bound_to(&app, &answer.text_at("token")).await, (None, None, None));
        }
    }

    async fn an_end_user_who_comes_with_an_anonymous_session_is_the_one_it_is_resolved_to(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let (root, page) = (app.bound(&root, json!({ "db_id": db })).await, "page");
        app.add_service(&root, page, "frontend").await;
        for alone in [json!({ "frontend_user_id": 7 }), json!({ "frontend_session_id": UUID })] {
            let mut fields = alone;
            fields["db_id"] = json!(db);
            app.log_in("service", page, fields).await.assert_status(200);
            assert_eq!(app.sql_count(RESOLVED).await, 0);
        }
        for (user, seconds) in [(7, 1.0), (8, 2.0)] {
            app.advance(SECOND);
            let fields = json!({ "db_id": db, "frontend_user_id": user, "frontend_session_id": UUID });
            app.log_in("service", page, fields).await.assert_status(200);
            let listed = post_as(&app, &root, "resolved-sessions/", json!({})).await;
            let resolved =
                json!([{ "session_id": UUID, "user_id": user, "timestamp": 1_767_603_600.0 + seconds }]);
            assert_eq!(listed.assert_status(200).field("resolved_sessions"), &resolved);
        }
    }

    async fn a_wrong_password_and_an_unknown_name_look_the_same(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "backend").await;
        app.add_service(&root, "program", "backend").await;
        app.create_individual(&root, "unverified@example.com", "backend").await.assert_status(200);
        app.sql(
            "update accounts set disabled_at = 1 where id in
            (select account_id from identifiers where value = 'ada@example.com')",
        )
        .await;
        let wrong = json!({ "password": OTHER_PASSWORD });
        let known = app.log_in("individual", ROOT, wrong.clone()).await;
        assert_wrong_password(&known);
        for (kind, name, fields) in [
            ("individual", "nobody@example.com", json!({})),
            ("individual", "unverified@example.com", wrong.clone()),
            // Shut.
            ("individual", ADA, json!({})),
            ("service", "program", wrong.clone()),
            ("service", "nobody", json!({})),
            ("service", "Program", json!({})),
            // An address is no program's name.
            ("service", ROOT, json!({})),
            ("individual", ROOT, json!({ "password": "" })),
            ("individual", ROOT, json!({ "password": format!("{PASSWORD} ") })),
            ("service", "program", json!({ "password": "tgk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })),
        ] {
            assert_same(&app.log_in(kind, name, fields).await, &known);
        }
        for (email, password) in [(ROOT, OTHER_PASSWORD), ("nobody@example.com", PASSWORD)] {
            assert_same(&log_in_root(&app, email, password).await, &known);
        }
    }

    async fn who_has_yet_to_verify_learns_it_only_with_the_right_password(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        let before = app.sql_count(SESSIONS).await;
        assert_wrong_password(&app.log_in("individual", ADA, json!({ "password": OTHER_PASSWORD })).await);
        not_verified(&app.log_in("individual", ADA, json!({})).await);
        // Nor is anything else looked at before.
        not_verified(
            &app.log_in("individual", ADA, json!({ "db_id": NO_DATABASE, "frontend_user_id": 7 })).await,
        );
        assert_eq!(app.sql_count(SESSIONS).await, before);
        let body = json!({ "email": ADA, "code": app.latest_code(ADA).await });
        post(&app, "accounts/verify/", body).await.assert_status(200);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);
    }

    async fn an_owner_who_has_yet_to_verify_is_kept_out_of_both_doors(app: TestApp) {
        let ada = app.register_ingestiq(ADA).await;
        not_verified(&app.log_in("individual", ADA, json!({})).await);
        not_verified(&log_in_root(&app, ADA, PASSWORD).await);
        assert_wrong_password(&log_in_root(&app, ADA, OTHER_PASSWORD).await);
        // A token from elsewhere is no way around it.
        not_verified(&whose(&app, &ada.access_token).await);
    }

    async fn a_database_is_looked_for_after_the_password(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        let stranger = app.provision("stranger@example.com").await;
        let theirs = app.add_database(&stranger, "theirs").await;
        let before = app.sql_count(SESSIONS).await;
        let (long, name) = ("x".repeat(64), "no shop");
        for (field, key) in [
            ("db_id", NO_DATABASE),
            ("db_id", theirs.as_str()),
            ("db_id", ""),
            ("db_id", "theirs"),
            ("db_id", "\0"),
            ("db_id", long.as_str()),
            ("db_name", name),
            ("db_name", "theirs"),
            ("db_name", ""),
        ] {
            for (kind, login) in [("individual", ROOT), ("service", "program")] {
                app.advance(300 * SECOND);
                let wrong = json!({ field: key, "password": OTHER_PASSWORD });
                assert_wrong_password(&app.log_in(kind, login, wrong).await);
                assert_no_database(&app.log_in(kind, login, json!({ field: key })).await, key);
            }
        }
        assert_eq!(app.sql_count(SESSIONS).await, before);
    }

    async fn what_no_database_can_be_called_is_no_error_of_ours(app: TestApp) {
        app.provision(ROOT).await;
        for (field, value) in [("db_name", "a\0b".to_owned()), ("db_name", "x".repeat(129)), ("db_id", "x".repeat(65))] {
            let answer = app.log_in("individual", ROOT, json!({ field: value })).await;
            assert_eq!(faulty(&answer), [field]);
        }
    }

    async fn two_choices_that_differ_are_refused(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        let db = app.add_database(&root, "shop").await;
        app.add_database(&root, "another").await;
        for (kind, login) in [("individual", ROOT), ("service", "program")] {
            let answer = app.log_in(kind, login, json!({ "db_id": db, "db_name": "another" })).await;
            assert_eq!(faulty(&answer), ["db_name"]);
            let answer = app.log_in(kind, login, json!({ "db_id": db, "db_name": "none" })).await;
            assert_no_database(&answer, "none");
        }
    }

    async fn end_users_are_for_frontend_accounts_in_a_database(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        for role in ["manager", "backend", "demo_viewer", "frontend"] {
            app.add_service(&root, role, role).await;
        }
        app.add_individual(&root, ADA, "backend").await;
        let before = row_counts(&app).await;
        for (kind, login) in [
            ("individual", ROOT),
            ("individual", ADA),
            ("service", "manager"),
            ("service", "backend"),
            ("service", "demo_viewer"),
        ] {
            for (field, id) in [("frontend_user_id", json!(7)), ("frontend_session_id", json!(UUID))] {
                let answer = app.log_in(kind, login, json!({ "db_id": db, field: id })).await;
                assert_eq!(faulty(&answer), [field], "{login}");
                let answer = app.log_in(kind, login, json!({ field: id })).await;
                assert_eq!(faulty(&answer), [field], "{login}");
            }
        }
        for (field, id) in [("frontend_user_id", json!(7)), ("frontend_session_id", json!(UUID))] {
            let answer = app.log_in("service", "frontend", json!({ field: id })).await;
            assert_eq!(faulty(&answer), [field]);
        }
        // But for the limits and the history.
        let kept = |counts: &str| {
            let parts =
                counts.split(", ").filter(|part| !part.starts_with("audit") && !part.starts_with("rate"));
            parts.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(kept(&row_counts(&app).await), kept(&before));
    }

    async fn an_end_user_is_of_the_types_of_the_database(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let body = json!({
            "name": "bytes", "description": "", "item_id_type": "uuid", "user_id_type": "bytes64",
            "session_id_type": "hex64",
        });
        let bytes = post_as(&app, &root, "databases/", body).await.text_at("id");
        app.add_service(&root, "page", "frontend").await;
        for (db, field, ids) in [
            (
                &db,
                "frontend_user_id",
                vec![
                    json!(-1),
                    json!(4_294_967_296_u64),
                    json!(1.0),
                    json!("x"),
                    json!(""),
                    json!(true),
                    json!([7]),
                    json!({ "id": 7 }),
                ],
            ),
            (&db, "frontend_session_id", vec![json!(7), json!("7"), json!(UUID.replace('-', "")), json!("")]),
            // Right for the type and yet more than a sign-in takes: 64 characters.
            (&bytes, "frontend_user_id", vec![json!("A".repeat(86)), json!("A".repeat(66)), json!("AB")]),
            (&bytes, "frontend_session_id", vec![json!("A".repeat(65)), json!("G")]),
        ] {
            for id in ids {
                app.advance(60 * SECOND);
                let answer = app.log_in("service", "page", json!({ "db_id": db, field: id })).await;
                assert_eq!(faulty(&answer), [field], "{id}");
            }
        }
        let longest = json!({
            "db_id": bytes, "frontend_user_id": "A".repeat(64), "frontend_session_id": "f".repeat(64),
        });
        let answer = app.log_in("service", "page", longest).await;
        let info = whose(&app, &answer.assert_status(200).text_at("token")).await;
        assert_eq!(info.text_at("frontend_user_id"), "A".repeat(64));
        assert_eq!(info.text_at("frontend_session_id"), "F".repeat(64));
    }

    async fn what_is_missing_or_ill_typed_is_named(app: TestApp) {
        let before = row_counts(&app).await;
        for (path, name) in [("individual", "email"), ("service", "name"), ("root", "email")] {
            let path = format!("login/{path}/");
            let mut both = [name, "password"];
            both.sort_unstable();
            for body in
                [json!({}), json!({ name: null, "password": null }), json!({ name: 1, "password": ["x"] })]
            {
                assert_eq!(faulty(&post(&app, &path, body).await), both);
            }
            for wrong in [json!(""), json!(" "), json!("a\0b"), json!("x".repeat(300))] {
                let answer = post(&app, &path, json!({ name: wrong, "password": PASSWORD })).await;
                assert_eq!(faulty(&answer), [name], "{wrong}");
            }
            assert_eq!(faulty(&post(&app, &path, json!({ name: ADA })).await), ["password"]);
            if path != "login/root/" {
                let body = json!({ name: ADA, "password": PASSWORD, "db_id": 7, "db_name": false });
                assert_eq!(faulty(&post(&app, &path, body).await), ["db_id", "db_name"]);
            }
        }
        assert_eq!(row_counts(&app).await, before);
    }

    async fn owners_sign_in_at_their_old_door(app: TestApp) {
        let root = app.provision(ROOT).await;
        let answer = log_in_root(&app, "ROOT@example.com", PASSWORD).await;
        let (token, refresh) = (answer.text_at("token"), answer.text_at("refresh_token"));
        let org = claims_of(&app, &root.access_token).await.org.opaque();
        let warnings = r#""warnings":["login/root/ is deprecated: use login/individual/"]"#;
        let tokens = format!(r#""token":"{token}","refresh_token":"{refresh}""#);
        let expected = format!(r#"{{{tokens},"org_id":"{org}","role":"root",{warnings}}}"#);
        assert_eq!(answer.assert_status(200).text, expected);
        whose(&app, &token).await.assert_status(200);
        post(&app, "login/refresh-token/", json!({ "refresh_token": refresh })).await.assert_status(200);
        // There is no database behind this door.
        let body =
            json!({ "email": ROOT, "password": PASSWORD, "db_id": NO_DATABASE, "frontend_user_id": 7 });
        assert!(post(&app, "login/root/", body).await.assert_status(200).field("database").is_null());
    }

    async fn everybody_else_has_a_wrong_password_there(app: TestApp) {
        let root = app.provision(ROOT).await;
        let before = app.sql_count(SESSIONS).await;
        let wrong = log_in_root(&app, ROOT, OTHER_PASSWORD).await;
        for role in ["manager", "backend", "frontend", "demo_viewer"] {
            let email = format!("{role}@example.com");
            app.add_individual(&root, &email, role).await;
            assert_same(&log_in_root(&app, &email, PASSWORD).await, &wrong);
        }
        app.create_individual(&root, "unverified@example.com", "manager").await.assert_status(200);
        assert_same(&log_in_root(&app, "unverified@example.com", PASSWORD).await, &wrong);
        assert_eq!(app.sql_count(SESSIONS).await, before + 4, "one each, of the usual door");
        app.sql("delete from membership_workspaces; delete from memberships").await;
        assert_same(&log_in_root(&app, ROOT, PASSWORD).await, &wrong);
    }

    async fn a_right_password_at_the_wrong_door_counts_as_a_wrong_one(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "manager").await;
        let failures = "select count(*) from audit_events where action = 'auth.login.failure'";
        let before = app.sql_count(failures).await;
        for _ in 0..10 {
            assert_wrong_password(&log_in_root(&app, ADA, PASSWORD).await);
        }
        assert_eq!(app.sql_count(failures).await, before + 10);
        assert_limited(&log_in_root(&app, ADA, PASSWORD).await, 300);
        // At the same client, it is the same account.
        let body = json!({ "email": ADA, "password": PASSWORD });
        assert_limited(&post(&app, "login/individual/", body).await, 300);
    }

    async fn who_belongs_nowhere_is_not_let_in(app: TestApp) {
        app.provision(ROOT).await;
        app.sql("delete from membership_workspaces; delete from memberships").await;
        let answer = app.log_in("individual", ROOT, json!({})).await;
        assert_forbidden(&answer, "the token's role does not allow this");
        assert_wrong_password(&app.log_in("individual", ROOT, json!({ "password": OTHER_PASSWORD })).await);
    }

    async fn a_token_that_reaches_less_far_learns_nothing_of_itself(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let root = app.bound(&root, json!({ "db_id": db })).await;
        let scoped = reworded(&app, &root.access_token, |claims| claims.scope = Scopes::from_stored("email")).await;
        let scoped = Person { access_token: scoped, ..root };
        let forbidden = "the token needs the scope databases:read (it has email)";
        let any = "the token needs the scope accounts:read (it has email)";
        assert_forbidden(&whose(&app, &scoped.access_token).await, any);
        for path in ["databases/current/", "databases/current/status/"] {
            assert_forbidden(&get_as(&app, &scoped, path).await, forbidden);
        }
    }

    async fn a_token_of_a_deleted_database_says_so(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let bound = app.bound(&root, json!({ "db_id": db })).await;
        app.delete("/v1/databases/current/").bearer(&bound.access_token).send().await.assert_status(204);
        assert_no_database(&whose(&app, &bound.access_token).await, &db);
        whose(&app, &root.access_token).await.assert_status(200);
    }

    async fn asking_whose_a_token_is_takes_no_broken_body(app: TestApp) {
        let root = app.provision(ROOT).await;
        for body in ["{", "[]", "7", "\"\""] {
            let request = app.post("/v1/login/jwt/").bearer(&root.access_token);
            let answer = request.body("application/json", body).send().await;
            assert_wrong_data(&answer, 400, "WRONG_DATA_TYPE");
        }
    }

    async fn a_password_changed_by_a_manager_is_the_one_that_counts(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        app.add_individual(&root, ADA, "backend").await;
        for (kind, key, name) in [("individual", "email", ADA), ("service", "name", "program")] {
            let body = json!({ key: name, "password": OTHER_PASSWORD });
            patch_as(&app, &root, &format!("accounts/{kind}/"), body).await.assert_status(200);
            assert_wrong_password(&app.log_in(kind, name, json!({})).await);
            app.log_in(kind, name, json!({ "password": OTHER_PASSWORD })).await.assert_status(200);
        }
    }

    async fn an_unknown_program_costs_the_statements_and_the_hash_of_a_known_one(engine: Engine) {
        let log = Log::listen();
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let service = async |name: &str, password: Option<&str>| {
            let body = json!({ "name": name, "role": "backend", "password": password });
            post_as(&app, &root, "accounts/service/", body).await.assert_status(200);
        };
        service("with a password", Some(PASSWORD)).await;
        service("with a key", None).await;
        let body = json!({ "name": "with a key" });
        let key =
            post_as(&app, &root, "accounts/service/keys/", body).await.assert_status(200).text_at("key");
        let guesses = [OTHER_PASSWORD.to_owned(), format!("tgk_{}", "A".repeat(43)), key];
        for guess in &guesses {
            let mut costs = Vec::new();
            // The first one only warms up.
            for name in ["with a password", "with a password", "with a key", "nobody"] {
                if name == "with a key" && guess == &guesses[2] {
                    continue;
                }
                let (before, switches) = (log.lines().len(), hash_thread_switches());
                let answer = post(&app, "login/service/", json!({ "name": name, "password": guess })).await;
                assert_wrong_password(&answer);
                costs.push(statements(&log.lines()[before..]));
                // Its thread goes to rest a moment after the answer.
                let worked = || std::future::ready((hash_thread_switches() > switches).then_some(()));
                eventually("a hash", worked).await;
            }
            assert!(costs[1].len() >= 3, "{:?}", costs[1]);
            for cost in &costs[2..] {
                assert_eq!(cost, &costs[1], "an unknown name shows in the statements");
            }
        }
    }
}
