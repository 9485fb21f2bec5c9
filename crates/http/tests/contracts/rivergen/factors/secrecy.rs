//! Seeds, backup codes and tokens stand nowhere in plain: not in the log, not in the database.

use serde_json::json;
use tidegate_testkit::{Authenticator, Engine, TestApp, on_both_engines};

use super::*;
use crate::secrets::{everything_stored, hexadecimal, leak};
use crate::watch::Log;

on_both_engines! {
    async fn secrets_of_second_factors_are_nowhere_in_plain(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let set_up = post_as(&app, &ada, "mfa/totp/setup", &json!({ "device_name": "Phone" })).send().await;
        let mut secrets = texts(&set_up, "data.backup_codes");
        let seed = set_up.text_at("data.secret");
        let pending = everything_stored(&app).await;
        let phone = Authenticator::with(&seed);
        let code = phone.code(app.now());
        post_as(&app, &ada, "mfa/totp/verify", &json!({ "code": code })).send().await.assert_status(200);
        app.advance(STEP);
        let first = app.sign_in_halfway(&ada).await;
        let second = app.choose_factor(&first, "totp").await;
        app.show_factor(&second, "code", other_than(&phone.code(app.now()))).await.assert_status(400);
        app.show_factor(&second, "backup_code", "2222-2222").await.assert_status(400);
        let shown = app.show_factor(&second, "code", &phone.code(app.now())).await;
        let activation = shown.text_at("data.trusted_device.activation_token");
        let used = json!({ "backup_code": secrets[0] });
        post_as(&app, &ada, "mfa/backup-codes/verify", &used).send().await.assert_status(200);
        app.sql("alter table second_factors rename to away").await;
        app.show_factor(&first, "backup_code", &secrets[1]).await;
        app.sql("alter table away rename to second_factors").await;

        let bare: Vec<String> = secrets.iter().map(|code| code.replace('-', "")).collect();
        secrets.extend(bare);
        secrets.extend([seed, first, second, activation]);
        let hex: Vec<String> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        for line in log.lines() {
            assert_eq!(leak(&line, &secrets), None, "in the log: {line}");
        }
        for (place, text) in pending.iter().chain(&everything_stored(&app).await) {
            assert_eq!(leak(text, &secrets), None, "in {place}: {text}");
            assert_eq!(leak(text, &hex), None, "in the bytes of {place}: {text}");
        }
    }
}
