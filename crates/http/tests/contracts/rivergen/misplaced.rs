//! A token of one kind is nothing anywhere else.

use serde_json::json;
use tidegate_testkit::{Request, TestApp, on_both_engines};

use super::wire::{OTHER_PASSWORD, post, refused_without_trace, sign_in, url};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// Where tokens are taken: the kind that belongs there, and what any other is answered.
const PLACES: [(&str, &str, u16, &str); 6] = [
    ("access", "auth/me", 401, "UNAUTHORIZED"),
    ("refresh", "auth/refresh", 401, "INVALID_REFRESH_TOKEN"),
    ("link", "auth/verify-email", 400, "INVALID_TOKEN"),
    ("temporary", "auth/verify-otp", 401, "INVALID_TOKEN"),
    ("temporary", "auth/resend-signup-otp", 401, "INVALID_TOKEN"),
    ("reset", "auth/reset-password", 400, "INVALID_TOKEN"),
];

/// A request that puts `token` where that endpoint takes one, all else being right.
fn present(app: &TestApp, path: &str, token: &str, code: &str) -> Request {
    match path {
        "auth/me" => app.get(&url(path)).bearer(token),
        "auth/refresh" => post(app, path, &json!({ "refresh_token": token })),
        "auth/verify-otp" => post(app, path, &json!({ "temporary_token": token, "otp_code": code })),
        "auth/resend-signup-otp" => post(app, path, &json!({ "temporary_token": token, "email": BOB })),
        _ => post(app, path, &json!({ "token": token, "new_password": OTHER_PASSWORD })),
    }
}

on_both_engines! {
    async fn every_kind_of_token_is_refused_in_every_other_place(app: TestApp) {
        // Bob has yet to verify his address; Ada is signed in and forgot her password.
        let bob = app.sign_up_rivergen(BOB).await;
        let (code, link) = (app.latest_code(BOB).await, app.latest_link_token(BOB).await);
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let ada = sign_in(&app, &ada).await;
        post(&app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
        let reset = app.latest_link_token(ADA).await;
        let tokens = [
            ("access", "ey", &ada.access_token),
            ("refresh", "tgr_", &ada.refresh_token),
            ("link", "tgl_", &link),
            ("temporary", "tgt_", &bob.temporary_token),
            ("reset", "tgp_", &reset),
        ];
        for (kind, prefix, token) in tokens {
            assert!(token.starts_with(prefix), "{kind}");
            for (place, path, status, code_of_refusal) in PLACES {
                if place != kind {
                    let request = present(&app, path, token, &code);
                    refused_without_trace(&app, request, status, code_of_refusal).await;
                }
            }
        }
        // Each is good where it belongs.
        for (kind, path) in [("access", "auth/me"), ("refresh", "auth/refresh"), ("link", "auth/verify-email"),
            ("reset", "auth/reset-password")] {
            let token = tokens.iter().find(|(name, ..)| *name == kind).map_or("", |(_, _, token)| token.as_str());
            let answer = present(&app, path, token, &code).send().await;
            assert!(answer.status < 300, "{kind}: {}", answer.text);
        }
    }
}
