//! Texts that a database, a mail, a log or a page could choke on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tidegate_testkit::{PASSWORD, application, on_both_engines};

use super::Target;
use crate::cross_contract::{login_ingestiq, login_rivergen};
use crate::routes::{self, Field, PHONE};
use crate::watch::row_counts;

/// Texts that break something somewhere.
fn awkward() -> Vec<String> {
    let awkward = [
        "\0",
        "a\0b",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{1b}[31m",
        "\r\n\r\nBcc: eve@example.com",
        "\u{202e}txt.exe",
        "\u{feff}",
        "\u{fffe}",
        "\u{10ffff}",
        "\u{d7ff}\u{e000}",
        "\u{1f469}\u{200d}\u{1f680}",
        "Z\u{310}\u{30d}\u{30f}",
        "' or 1=1 --",
        "\"; drop table accounts; --",
        "{{7*7}}",
        "{% raw %}",
        "<script>alert(1)</script>",
        "%00",
        "%s%n",
        "${jndi:ldap://x}",
        "../../etc/passwd",
        "\\",
        "\u{130}\u{131}\u{df}",
        " ",
        "\t",
        "$1",
        "null",
    ];
    let long =
        ["a".repeat(100_000), "\u{1f980}".repeat(20_000), format!("{}@example.com", "a.".repeat(40_000))];
    awkward.into_iter().map(str::to_owned).chain(long).collect()
}

/// Whether a field is a name or another line of text, by the format it is described with.
fn is_line(field: &Field) -> bool {
    let lines = ["single-line", "single-line-or-empty", "service-name"];
    field.schema["format"].as_str().is_some_and(|format| lines.contains(&format))
}

/// Whether it is such a line, or an address.
fn is_plain(field: &Field) -> bool {
    is_line(field) || ["email", "new_email"].contains(&field.name.as_str())
}

/// What turns the text around it.
const TURNING: [&str; 2] = ["Ada\u{202e}ecila", "\u{2066}Ada"];
/// What cannot be seen.
const UNSEEN: [&str; 4] = ["\u{200b}", "\u{3164}", " \u{feff}\u{2060} ", "\u{2800}"];

on_both_engines! {
    async fn any_text_in_any_field_gets_an_answer_the_contract_lists(target: Target) {
        for route in routes::with_body() {
            for field in route.fields.iter().filter(|field| field.kind == "string") {
                for text in awkward() {
                    let mut body = route.sample();
                    body.insert(field.name.clone(), json!(text));
                    let answer = target.send_json(&route, body).await;
                    let shown: String = text.chars().take(40).collect();
                    route.assert_listed(&answer, &format!("{} = {shown:?}", field.name));
                    if route.path.ends_with("/change-password") && answer.status == 200 {
                        panic!("{shown:?} passed for Ada's password");
                    }
                }
            }
        }
    }

    async fn names_and_addresses_with_control_characters_are_refused(target: Target) {
        let before = row_counts(&target.app).await;
        let mut tried = BTreeSet::new();
        for route in routes::with_body() {
            for field in route.fields.iter().filter(|field| is_plain(field)) {
                tried.insert(field.name.clone());
                let longest = field.schema["maxLength"].as_u64().expect("a line has a longest one");
                let too_long = "a".repeat(usize::try_from(longest).unwrap() + 1);
                for text in ["Ada\0", "Ada\u{1b}[31m", "Ada\u{7f}x", "a\u{85}b", "Ada\r\nBcc: eve@example.com", &too_long] {
                    let mut body = route.sample();
                    body.insert(field.name.clone(), json!(text));
                    let answer = target.send_json(&route, body).await;
                    route.assert_refused(&answer, route.invalid(), &format!("{} = {text:?}", field.name));
                }
            }
        }
        for name in ["email", "new_email", "name", "display_name", "first_name", "device_name", "description", "terms_version"] {
            assert!(tried.contains(name), "{name} is no longer described as a line");
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn a_profile_may_hold_anything_but_what_cannot_be_stored(target: Target) {
        let (app, ada) = (&target.app, &target.ada);
        let put = async |profile: &Value| {
            let body = json!({ "profile": profile });
            app.put("/api/v1/auth/me/profile").bearer(&ada.access_token).json(&body).send().await
        };
        for profile in [json!({ "a": "\0" }), json!({ "\0": 1 }), json!({ "a": [{ "b": ["x\0"] }] })] {
            put(&profile).await.assert_error(422, "VALIDATION_ERROR");
        }
        let too_deep = (0..32).fold(json!("deep"), |inner, _| json!({ "a": inner }));
        put(&too_deep).await.assert_error(422, "VALIDATION_ERROR");
        let deep = (0..28).fold(json!("deep"), |inner, _| json!({ "a": inner }));
        for profile in [
            json!({ "unicode": "\u{1f980}\u{10ffff}\u{202e}", "control": "\u{1}\u{7f}", "": "an empty key" }),
            json!({ "numbers": [0, -1, 1.5, 1e300, i64::MAX, u64::MAX, 1e-300] }),
            json!({ "deep": deep }),
            json!({ "$ref": "x", "__proto__": { "admin": true }, "'; drop table accounts; --": "\"" }),
        ] {
            put(&json!({ "deep": null, "unicode": null, "numbers": null, "": null })).await.assert_status(200);
            put(&profile).await.assert_status(200);
            let me = app.get("/api/v1/auth/me").bearer(&ada.access_token).send().await;
            for (key, value) in profile.as_object().unwrap() {
                assert_eq!(&me.body["data"]["user"]["profile"][key], value, "{key}");
            }
        }
    }

    async fn a_number_is_kept_as_it_was_sent_or_refused(target: Target) {
        let (app, ada) = (&target.app, &target.ada);
        let put = async |number: &str| {
            let body = format!(r#"{{"profile":{{"id":[{number}]}}}}"#);
            let request = app.put("/api/v1/auth/me/profile").bearer(&ada.access_token);
            request.body("application/json", body).send().await
        };
        for kept in ["9007199254740993", "18446744073709551615", "-9223372036854775808", "0.1", "0.30000000000000004"] {
            put(kept).await.assert_status(200);
            let me = app.get("/api/v1/auth/me").bearer(&ada.access_token).send().await;
            assert_eq!(me.field("data.user.profile.id").to_string(), format!("[{kept}]"));
        }
        for changed in ["123456789012345678901234567890", "3.14159265358979323846", "1e400"] {
            let answer = put(changed).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert!(answer.text.contains("send it as a string"), "{}", answer.text);
        }
        let metadata = json!({ "metadata": { "id": "ID" } }).to_string().replace("\"ID\"", "123456789012345678901234567890");
        for (path, begin) in
            [("/v1/organizations/current/", "{"), ("/v1/accounts/individual/", r#"{"email":"ada@example.com","#)]
        {
            let body = metadata.replacen('{', begin, 1);
            let request = app.patch(path).bearer(&target.manager_token);
            let answer = request.body("application/json", body).send().await;
            answer.assert_status(400);
            assert!(answer.text.contains("send it as a string"), "{path}: {}", answer.text);
        }
    }

    async fn a_name_can_be_seen_and_turns_nothing_around_it(target: Target) {
        let before = row_counts(&target.app).await;
        for route in routes::with_body() {
            for field in route.fields.iter().filter(|field| is_line(field)) {
                for text in UNSEEN.into_iter().chain(TURNING) {
                    let mut body = route.sample();
                    body.insert(field.name.clone(), json!(text));
                    let answer = target.send_json(&route, body).await;
                    route.assert_refused(&answer, route.invalid(), &format!("{} = {text:?}", field.name));
                }
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    // What stands inside an application's objects is in no list of fields.
    async fn a_name_in_an_application_can_be_seen_and_turns_nothing_around_it(target: Target) {
        let before = row_counts(&target.app).await;
        let required = ["identity/given_name", "identity/family_name", "contact/city"].map(|field| (field, true));
        let optional = ["identity/middle_name", "disclosures/employer_name", "contact/unit"].map(|field| (field, false));
        for (field, is_required) in required.into_iter().chain(optional) {
            let unseen = UNSEEN.into_iter().filter(|_| is_required);
            for text in unseen.chain(TURNING).chain(["Ada\0", "Ada\u{1b}[31m", "Ada\r\nx"]) {
                let mut body = application(PHONE, "ada.phone@example.com");
                let (object, name) = field.split_once('/').unwrap();
                body[object][name] = json!(text);
                let answer = target.app.create_account(&target.trader, &body).await;
                answer.assert_status(422);
                let errors = answer.field("errors").as_object().unwrap();
                let path = field.replace('/', ".");
                assert!(errors.contains_key(&path), "{path} = {text:?}: {}", answer.text);
            }
        }
        assert_eq!(row_counts(&target.app).await, before);
    }

    async fn spellings_of_one_address_are_one_account(target: Target) {
        let app = &target.app;
        let body = json!({ "email": "Jos\u{e9}.Kay@B\u{fc}cher.example", "password": PASSWORD });
        app.post("/api/v1/auth/signup").json(&body).send().await.assert_status(201);
        for email in [
            "jos\u{e9}.kay@b\u{fc}cher.example",
            "JOS\u{c9}.KAY@B\u{dc}CHER.EXAMPLE",
            "jose\u{301}.kay@bu\u{308}cher.example",
            "JOSE\u{301}.\u{212a}AY@xn--bcher-kva.example",
            "\n jos\u{e9}.kay@b\u{fc}cher\u{3002}example\t",
        ] {
            // With the same password it would be the same request, sent again.
            let body = json!({ "email": email, "password": "An0ther-password" });
            app.post("/api/v1/auth/signup").json(&body).send().await.assert_error(409, "EMAIL_TAKEN");
            login_rivergen(&app.client(), email, PASSWORD).await.assert_status(200);
            login_ingestiq(&app.client(), email, PASSWORD).await.assert_status(200);
        }
        // What only looks alike is somebody else: Cyrillic e, full-width o.
        for email in ["jos\u{435}.kay@b\u{fc}cher.example", "j\u{ff4f}s\u{e9}.kay@b\u{fc}cher.example"] {
            login_ingestiq(&app.client(), email, PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
        }
    }

    async fn who_one_is_and_where_from_may_be_any_text(target: Target) {
        for agent in ["", " ", "\u{e9}\u{1f980}", "a\tb", "<script>alert(1)</script>", "' or 1=1 --", &"x".repeat(60_000)] {
            for forwarded in ["", "for=\"_x\"", "for=;;;,,,", "for=[::1]:x", &"for=1.1.1.1,".repeat(2_000)] {
                let body = json!({ "email": "ada@example.com", "password": PASSWORD });
                let request = target.app.post("/api/v1/auth/login").json(&body);
                let request = request.header("user-agent", agent).header("forwarded", forwarded);
                let request = request.header("x-forwarded-for", forwarded).header("x-device-fingerprint", agent);
                let answer = request.send().await;
                answer.assert_status(200);
            }
        }
        let stored = target.app.database.sql_texts("select user_agent from sessions").await;
        assert!(stored.iter().all(|agent| agent.chars().count() <= 512 && !agent.contains(char::is_control)));
    }
}
