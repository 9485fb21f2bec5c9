//! `sessions/{session_id}/resolve/` and `resolved-sessions/`.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, Person, TestApp, concurrently, on_both_engines};

use super::wire::{
    SECOND, assert_forbidden, assert_no_database, assert_nothing_said, assert_unavailable, faulty, post_as,
    unlimited,
};

const ROOT: &str = "root@example.com";
const UUID: &str = "c3391d83-553b-40e7-818e-fcf658ec397d";
const OTHER_UUID: &str = "00000000-0000-4000-8000-000000000001";
/// When every test begins, in seconds.
const START: f64 = 1_767_603_600.0;
const NOT_OWN: &str = "a frontend token reaches only its own user and session";

async fn resolve(app: &TestApp, who: &Person, session: &str, body: Value) -> Answer {
    post_as(app, who, &format!("sessions/{session}/resolve/"), body).await
}

async fn list(app: &TestApp, who: &Person, body: Value) -> Answer {
    post_as(app, who, "resolved-sessions/", body).await
}

/// Everything that was resolved, as it is listed.
async fn resolved(app: &TestApp, who: &Person, body: Value) -> Value {
    list(app, who, body).await.assert_status(200).field("resolved_sessions").clone()
}

/// The owner, bound to a new database whose users and sessions are of that type.
async fn bound_to_typed(app: &TestApp, root: &Person, kind: &str) -> Person {
    let body = json!({
        "name": kind, "description": "", "item_id_type": kind, "user_id_type": kind, "session_id_type": kind,
    });
    let db = post_as(app, root, "databases/", body).await.assert_status(200).text_at("id");
    app.bound(root, json!({ "db_id": db })).await
}

/// An identifier as a segment of a URL.
fn segment(id: &Value) -> String {
    let text = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    text.replace('%', "%25").replace('/', "%2F").replace(' ', "%20").replace('\0', "%00")
}

/// A type, identifiers of it as they may be sent and as they are answered, and what is none.
type Kind = (&'static str, Vec<(Value, Value)>, Vec<Value>);

fn kinds() -> Vec<Kind> {
    let same = |id: Value| (id.clone(), id);
    let bytes64 = format!("{}_w", "_-".repeat(42));
    vec![
        (
            "int8",
            vec![same(json!(-128)), same(json!(127)), (json!("12"), json!(12)), (json!("-07"), json!(-7))],
            vec![json!(128), json!(-129), json!(1.5), json!(1.0), json!("1e1"), json!("+1"), json!("x")],
        ),
        ("int16", vec![same(json!(-32_768)), same(json!(32_767))], vec![json!(32_768), json!(-32_769)]),
        (
            "int32",
            vec![same(json!(-2_147_483_648_i64)), same(json!(2_147_483_647))],
            vec![json!(2_147_483_648_i64), json!(-2_147_483_649_i64)],
        ),
        (
            "int64",
            vec![
                same(json!(i64::MIN)),
                same(json!(i64::MAX)),
                (json!(i64::MIN.to_string()), json!(i64::MIN)),
            ],
            vec![json!(9_223_372_036_854_775_808_u64), json!("-9223372036854775809")],
        ),
        (
            "uint8",
            vec![same(json!(0)), same(json!(255)), (json!("-0"), json!(0))],
            vec![json!(256), json!(-1), json!(" 7"), json!("\0")],
        ),
        ("uint16", vec![same(json!(65_535))], vec![json!(65_536), json!(-1)]),
        ("uint32", vec![same(json!(4_294_967_295_u32))], vec![json!(4_294_967_296_u64), json!("-1")]),
        (
            "uint64",
            vec![same(json!(u64::MAX)), (json!(u64::MAX.to_string()), json!(u64::MAX))],
            vec![json!("18446744073709551616"), json!(-1)],
        ),
        (
            "uuid",
            vec![(json!(UUID.to_uppercase()), json!(UUID)), same(json!(OTHER_UUID))],
            // The documentation's own expression ends with eight digits where there are twelve.
            vec![
                json!(UUID.replace('-', "")),
                json!(&UUID[..32]),
                json!(format!("{UUID}0")),
                json!(format!("g{}", &UUID[1..])),
            ],
        ),
        ("hex1", vec![(json!("f"), json!("F")), same(json!("0"))], vec![json!("ff"), json!("g"), json!("-")]),
        (
            "hex64",
            vec![(json!("aB".repeat(32)), json!("AB".repeat(32))), (json!("7"), json!("7"))],
            vec![json!("a".repeat(65)), json!("0x1")],
        ),
        (
            "urlsafe1",
            vec![same(json!("_")), same(json!("a")), same(json!("A"))],
            vec![json!("ab"), json!("~")],
        ),
        (
            "urlsafe64",
            vec![same(json!("a.B_-9")), same(json!("zZ".repeat(32)))],
            vec![json!("a/b"), json!("a b"), json!("\u{e9}"), json!("x".repeat(65)), json!("%41")],
        ),
        (
            "bytes1",
            vec![same(json!("AA")), same(json!("_w"))],
            vec![json!("AAE"), json!("AA=="), json!("AB"), json!("+w")],
        ),
        (
            "bytes64",
            vec![same(json!(bytes64)), same(json!("AQ"))],
            vec![json!(format!("{bytes64}A")), json!("A".repeat(87))],
        ),
    ]
}

on_both_engines! {
    async fn a_session_is_noted_as_a_users(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let program = app.add_service(&root, "program", "backend").await;
        let (root, program) = (
            app.bound(&root, json!({ "db_id": db })).await,
            app.bound(&program, json!({ "db_id": db })).await,
        );
        let empty = list(&app, &root, json!({})).await;
        assert_eq!(
            empty.assert_status(200).text,
            r#"{"has_next":false,"next_cursor":"","resolved_sessions":[]}"#
        );
        assert_nothing_said(
            &resolve(&app, &program, &UUID.to_uppercase(), json!({ "user_id": "7" })).await,
            200,
        );
        let body = json!({ "user_id": 7, "timestamp": 1.5 });
        assert_nothing_said(&resolve(&app, &root, OTHER_UUID, body).await, 200);
        let one = format!(r#"{{"session_id":"{OTHER_UUID}","user_id":7,"timestamp":1.5}}"#);
        let other = format!(r#"{{"session_id":"{UUID}","user_id":7,"timestamp":{START:.1}}}"#);
        for who in [&root, &program] {
            assert_eq!(
                list(&app, who, json!({})).await.assert_status(200).text,
                format!(r#"{{"has_next":false,"next_cursor":"{UUID}","resolved_sessions":[{one},{other}]}}"#)
            );
        }
    }

    async fn a_repeat_replaces_what_was_noted(app: TestApp) {
        let root = app.provision(ROOT).await;
        let root = bound_to_typed(&app, &root, "uint32").await;
        for (user, timestamp, noted) in [
            (7, json!(null), START),
            (8, json!(2_000_000_000.25), 2_000_000_000.25),
            // The newest word counts, not the newest time.
            (9, json!(0), 0.0),
            (9, json!(-0.5), -0.5),
        ] {
            resolve(&app, &root, "1", json!({ "user_id": user, "timestamp": timestamp }))
                .await
                .assert_status(200);
            let all = json!([{ "session_id": 1, "user_id": user, "timestamp": noted }]);
            assert_eq!(resolved(&app, &root, json!({})).await, all);
        }
        // It is no longer among those of whom it was.
        assert_eq!(resolved(&app, &root, json!({ "users_id": [7] })).await, json!([]));
    }

    async fn identifiers_of_every_type_go_in_and_out(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let page = app.add_service(&root, "page", "frontend").await;
        for (kind, right, wrong) in kinds() {
            let root = bound_to_typed(&app, &root, kind).await;
            for (sent, emitted) in right {
                let answer = resolve(&app, &root, &segment(&sent), json!({ "user_id": sent })).await;
                assert_nothing_said(&answer, 200);
                let expected = json!([{ "session_id": emitted, "user_id": emitted, "timestamp": START }]);
                for users in [json!([sent]), json!([emitted, sent])] {
                    let listed = resolved(&app, &root, json!({ "users_id": users })).await;
                    assert_eq!(listed, expected, "{kind} {sent}");
                }
                // At sign-in, 64 characters are the most there may be.
                let fields =
                    json!({ "db_name": kind, "frontend_user_id": sent, "frontend_session_id": sent });
                let answer = app.log_in("service", &page.email, fields).await;
                if segment(&sent).len() > 64 {
                    assert_eq!(faulty(&answer), ["frontend_user_id"], "{kind} {sent}");
                    continue;
                }
                let token = answer.assert_status(200).text_at("token");
                let info = app.post("/v1/login/jwt/").bearer(&token).send().await;
                assert_eq!(info.field("frontend_user_id"), &emitted, "{kind} {sent}");
                assert_eq!(info.field("frontend_session_id"), &emitted, "{kind} {sent}");
            }
            let (before, right) = (resolved(&app, &root, json!({})).await, "0");
            let right = if kind == "uuid" {
                UUID
            } else if kind.starts_with("bytes") {
                "AA"
            } else {
                right
            };
            for sent in wrong.into_iter().chain([json!(""), json!(true), json!([7]), json!({ "id": 7 })]) {
                let answer = resolve(&app, &root, right, json!({ "user_id": sent })).await;
                assert_eq!(faulty(&answer), ["user_id"], "{kind} {sent}");
                let answer = list(&app, &root, json!({ "users_id": [right, sent] })).await;
                assert_eq!(faulty(&answer), ["users_id"], "{kind} {sent}");
                if segment(&sent).is_empty() || sent.is_boolean() || sent.is_array() || sent.is_object() {
                    continue;
                }
                let answer = resolve(&app, &root, &segment(&sent), json!({ "user_id": right })).await;
                assert_eq!(faulty(&answer), ["session_id"], "{kind} {sent}");
            }
            assert_eq!(resolved(&app, &root, json!({})).await, before);
        }
    }

    async fn a_number_is_an_identifier_of_the_integer_types_alone(app: TestApp) {
        let root = app.provision(ROOT).await;
        for (kind, session) in [("uuid", UUID), ("hex4", "7"), ("urlsafe4", "7"), ("bytes4", "AA")] {
            let root = bound_to_typed(&app, &root, kind).await;
            assert_eq!(faulty(&resolve(&app, &root, session, json!({ "user_id": 7 })).await), ["user_id"]);
            assert_eq!(faulty(&list(&app, &root, json!({ "users_id": [7] })).await), ["users_id"]);
        }
    }

    async fn resolved_sessions_are_paged_in_one_order_on_every_engine(app: TestApp) {
        let root = app.provision(ROOT).await;
        let root = bound_to_typed(&app, &root, "urlsafe16").await;
        // In the order of their bytes, which no language's sorting is.
        let sessions = ["-", ".", "0", "10", "9", "A", "Z", "_", "a", "a-", "a.a", "aA", "aa", "b"];
        for (number, session) in sessions.iter().enumerate().rev() {
            let user = ["even", "odd"][number % 2];
            resolve(&app, &root, session, json!({ "user_id": user })).await.assert_status(200);
        }
        for (users, amt) in [
            (json!(null), 1),
            (json!(["even", "odd"]), 3),
            (json!(["odd"]), 7),
            (json!(["odd", "nobody", "odd"]), 2),
            (json!(null), 14),
            (json!(null), 256),
        ] {
            let only_odd = users
                .as_array()
                .is_some_and(|users| users.contains(&json!("odd")) && !users.contains(&json!("even")));
            let expected: Vec<&str> = sessions
                .iter()
                .copied()
                .skip(usize::from(only_odd))
                .step_by(1 + usize::from(only_odd))
                .collect();
            let (mut seen, mut cursor) = (Vec::new(), json!(null));
            loop {
                let page =
                    list(&app, &root, json!({ "users_id": users, "amt": amt, "cursor": cursor })).await;
                let items = page.assert_status(200).field("resolved_sessions").as_array().unwrap().clone();
                seen.extend(items.iter().map(|item| item["session_id"].as_str().unwrap().to_owned()));
                cursor = page.field("next_cursor").clone();
                let left = expected.len() - seen.len();
                assert_eq!(page.field("has_next"), left > 0, "{users} {amt}");
                if left == 0 {
                    break;
                }
                assert_eq!(items.len(), amt, "only the last page is short");
            }
            assert_eq!(seen, expected, "{users} {amt}");
            // Behind the end there is nothing yet, and the cursor stays good for what comes.
            let end = list(&app, &root, json!({ "users_id": users, "amt": amt, "cursor": cursor })).await;
            let nothing = json!({ "has_next": false, "next_cursor": cursor, "resolved_sessions": [] });
            assert_eq!(end.assert_status(200).body, nothing);
        }
        let page = list(&app, &root, json!({ "amt": 13 })).await;
        resolve(&app, &root, "zzz", json!({ "user_id": "new" })).await.assert_status(200);
        let rest = list(&app, &root, json!({ "cursor": page.text_at("next_cursor") })).await;
        let rest: Vec<&Value> = rest
            .field("resolved_sessions")
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["session_id"])
            .collect();
        assert_eq!(rest, ["b", "zzz"]);
        // A list of users that happens to be empty is nobody's, not everybody's.
        let nobodys = list(&app, &root, json!({ "users_id": [] })).await;
        assert_eq!(nobodys.assert_status(200).field("resolved_sessions"), &json!([]));
        assert_eq!(nobodys.field("has_next"), false);
    }

    async fn sixty_four_resolved_sessions_are_on_a_page(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let root = bound_to_typed(&app, &root, "uint8").await;
        for session in 0..65 {
            resolve(&app, &root, &session.to_string(), json!({ "user_id": 7 })).await.assert_status(200);
        }
        for body in [json!({}), json!({ "amt": null, "cursor": null, "users_id": null }), json!(null)] {
            let page = list(&app, &root, body).await;
            assert_eq!(page.assert_status(200).field("resolved_sessions").as_array().unwrap().len(), 64);
            assert_eq!(page.field("has_next"), true);
        }
    }

    async fn databases_do_not_see_each_others_sessions(app: TestApp) {
        let root = app.provision(ROOT).await;
        let (one, other) =
            (bound_to_typed(&app, &root, "uint8").await, bound_to_typed(&app, &root, "uint16").await);
        for (who, user) in [(&one, 1), (&other, 2)] {
            resolve(&app, who, "7", json!({ "user_id": user })).await.assert_status(200);
        }
        for (who, user) in [(&one, 1), (&other, 2)] {
            let expected = json!([{ "session_id": 7, "user_id": user, "timestamp": START }]);
            assert_eq!(resolved(&app, who, json!({})).await, expected);
        }
    }

    async fn a_frontend_token_speaks_of_its_own_user_and_session_alone(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let page = app.add_service(&root, "page", "frontend").await;
        let root = app.bound(&root, json!({ "db_id": db })).await;
        let both = json!({ "db_id": db, "frontend_user_id": 7, "frontend_session_id": UUID });
        let both = app.bound(&page, both).await;
        app.advance(SECOND);
        let shouted = UUID.to_uppercase();
        for (session, user) in
            [("~me", json!(7)), (UUID, json!("7")), (&shouted, json!(7)), ("%7Eme", json!(7))]
        {
            app.advance(SECOND);
            assert_nothing_said(&resolve(&app, &both, session, json!({ "user_id": user })).await, 200);
            let timestamp = app.now().fractional_seconds();
            let own = json!([{ "session_id": UUID, "user_id": 7, "timestamp": timestamp }]);
            assert_eq!(resolved(&app, &root, json!({})).await, own, "{session}");
        }
        let before = resolved(&app, &root, json!({})).await;
        for (session, user) in [("~me", 8), (UUID, 8), (OTHER_UUID, 7), (OTHER_UUID, 8)] {
            let answer = resolve(&app, &both, session, json!({ "user_id": user })).await;
            assert_forbidden(&answer, NOT_OWN);
        }
        // Who is bound to less reaches nothing: a session that is anybody's, or a user with any session.
        let user = app.bound(&page, json!({ "db_id": db, "frontend_user_id": 7 })).await;
        let session = app.bound(&page, json!({ "db_id": db, "frontend_session_id": UUID })).await;
        let neither = app.bound(&page, json!({ "db_id": db })).await;
        for who in [&user, &session, &neither] {
            assert_forbidden(&resolve(&app, who, UUID, json!({ "user_id": 7 })).await, NOT_OWN);
        }
        assert_forbidden(&resolve(&app, &session, "~me", json!({ "user_id": 7 })).await, NOT_OWN);
        for who in [&user, &neither] {
            assert_eq!(faulty(&resolve(&app, who, "~me", json!({ "user_id": 7 })).await), ["session_id"]);
        }
        for who in [&both, &user, &session, &neither] {
            let answer = list(&app, who, json!({ "users_id": [7] })).await;
            assert_forbidden(&answer, "the token's role does not allow this; it takes the role backend");
        }
        assert_eq!(resolved(&app, &root, json!({})).await, before);
    }

    async fn nobody_but_a_frontend_token_is_me(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let root = app.bound(&root, json!({ "db_id": db })).await;
        assert_eq!(faulty(&resolve(&app, &root, "~me", json!({ "user_id": 7 })).await), ["session_id"]);
        assert_eq!(faulty(&resolve(&app, &root, UUID, json!({ "user_id": "~me" })).await), ["user_id"]);
    }

    async fn what_is_missing_or_wrong_is_named(app: TestApp) {
        let root = app.provision(ROOT).await;
        let root = bound_to_typed(&app, &root, "uint8").await;
        for (field, body) in [
            ("user_id", json!({})),
            ("user_id", json!({ "user_id": null })),
            ("timestamp", json!({ "user_id": 7, "timestamp": "now" })),
            ("timestamp", json!({ "user_id": 7, "timestamp": true })),
            ("timestamp", json!({ "user_id": 7, "timestamp": 3.6e9 })),
            ("timestamp", json!({ "user_id": 7, "timestamp": -1.6e11 })),
            ("timestamp", json!({ "user_id": 7, "timestamp": 1e300 })),
        ] {
            assert_eq!(faulty(&resolve(&app, &root, "7", body).await), [field]);
        }
        for session in ["x", "%00", "%FF", "256", "-1", "%2E%2E", "7%2F8"] {
            let answer = resolve(&app, &root, session, json!({ "user_id": 7 })).await;
            assert_eq!(faulty(&answer), ["session_id"], "{session}");
        }
        assert_eq!(resolved(&app, &root, json!({})).await, json!([]));
        for (fields, body) in [
            (vec!["amt"], json!({ "amt": 0 })),
            (vec!["amt"], json!({ "amt": 257 })),
            (vec!["amt"], json!({ "amt": -1 })),
            (vec!["amt"], json!({ "amt": 1.5 })),
            (vec!["amt"], json!({ "amt": "3" })),
            (vec!["cursor"], json!({ "cursor": 7 })),
            (vec!["users_id"], json!({ "users_id": 7 })),
            (vec!["users_id"], json!({ "users_id": "7" })),
            (vec!["users_id"], json!({ "users_id": [null] })),
            (vec!["users_id"], json!({ "users_id": [256] })),
            (vec!["users_id"], json!({ "users_id": vec![7; 257] })),
            (vec!["amt", "cursor", "users_id"], json!({ "amt": [], "cursor": {}, "users_id": {} })),
        ] {
            assert_eq!(faulty(&list(&app, &root, body).await), fields);
        }
        list(&app, &root, json!({ "users_id": vec![7; 256], "amt": 256 })).await.assert_status(200);
        // Any text is somewhere in the order.
        for cursor in ["\0", "\u{10ffff}", "~me", "'; --"] {
            list(&app, &root, json!({ "cursor": cursor })).await.assert_status(200);
        }
    }

    async fn a_database_that_is_not_ready_takes_nothing_in_and_lists_nothing(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            settings.database_preparation = Duration::from_secs(60);
        });
        let app = app.start().await;
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let page = app.add_service(&root, "page", "frontend").await;
        let root = app.bound(&root, json!({ "db_id": db })).await;
        let fields = json!({ "db_id": db, "frontend_user_id": 7, "frontend_session_id": UUID });
        let page = app.bound(&page, fields).await;
        assert_eq!(app.sql_count("select count(*) from resolved_sessions").await, 0);
        app.advance(59 * SECOND);
        for who in [&root, &page] {
            let answer = resolve(&app, who, UUID, json!({ "user_id": 7 })).await;
            assert_unavailable(&answer, "DATABASE_NOT_READY", 5);
        }
        assert_unavailable(&list(&app, &root, json!({})).await, "DATABASE_NOT_READY", 5);
        app.advance(SECOND);
        for who in [&root, &page] {
            assert_nothing_said(&resolve(&app, who, UUID, json!({ "user_id": 7 })).await, 200);
        }
        list(&app, &root, json!({})).await.assert_status(200);
    }

    async fn a_database_deleted_meanwhile_is_not_found_and_keeps_nothing(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let page = app.add_service(&root, "page", "frontend").await;
        for round in 0..5 {
            let db = app.add_database(&root, &format!("shop {round}")).await;
            let bound = app.bound(&root, json!({ "db_id": db })).await;
            let answers = concurrently(16, |number| {
                let session = format!("00000000-0000-4000-8000-{number:012}");
                let (login, resolve) = (
                    json!({
                        "name": page.email, "password": page.password, "db_id": db, "frontend_user_id": 7,
                        "frontend_session_id": session,
                    }),
                    json!({ "user_id": 7 }),
                );
                let request = match number {
                    8 => app.delete("/v1/databases/current/").bearer(&bound.access_token),
                    number if number % 2 == 0 => app.post("/v1/login/service/").json(&login),
                    _ => app
                        .post(&format!("/v1/sessions/{session}/resolve/"))
                        .bearer(&bound.access_token)
                        .json(&resolve),
                };
                async move { request.send().await }
            })
            .await;
            for (number, answer) in answers.iter().enumerate() {
                match answer.status {
                    204 => assert_eq!(number, 8),
                    200 => assert_ne!(number, 8),
                    _ => assert_no_database(answer, &db),
                }
            }
            answers[8].assert_status(204);
        }
        app.advance(Duration::from_secs(3_601));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select count(*) from resolved_sessions").await, 0);
    }
}
