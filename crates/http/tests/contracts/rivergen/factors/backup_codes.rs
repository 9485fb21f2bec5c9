//! Backup codes.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{assert_data, assert_done, assert_refused, wait};
use super::*;

async fn verify(app: &TestApp, who: &Person, code: &str) -> Answer {
    post_as(app, who, "mfa/backup-codes/verify", &json!({ "backup_code": code })).send().await
}

on_both_engines! {
    async fn a_new_set_takes_the_place_of_the_old_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let refused = post_as(&app, &ada, "mfa/backup-codes/generate", &json!({})).send().await;
        assert_refused(&app, &refused, 400, "MFA_NOT_ENABLED");
        let phone = app.enrol_totp(&ada, "Phone").await;
        wait(&app, 60);
        let made = post_as(&app, &ada, "mfa/backup-codes/generate", &json!({})).send().await;
        let codes = texts(&made, "data.backup_codes");
        assert_done(&made, 200, json!({ "backup_codes": codes }));
        assert_eq!(codes.len(), 10);
        let is_code = |code: &String| code.len() == 9 && code.as_bytes()[4] == b'-';
        assert!(codes.iter().all(is_code), "{codes:?}");
        assert!(codes.iter().all(|code| !phone.backup_codes.contains(code)));
        let count = get_as(&app, &ada, "mfa/backup-codes").send().await;
        assert_data(&count, 200, &json!({ "total": 10, "remaining": 10, "generated_at": app.now().iso_seconds() }));
        assert_refused(&app, &verify(&app, &ada, &phone.backup_codes[0]).await, 400, "INVALID_BACKUP_CODE");
        assert_done(&verify(&app, &ada, &codes[0]).await, 200, json!({ "success": true, "remaining": 9 }));
        let broken = app.post(&url("mfa/backup-codes/generate")).bearer(&ada.access_token);
        let broken = broken.body("application/json", "{").send().await;
        assert_refused(&app, &broken, 422, "VALIDATION_ERROR");
    }

    async fn a_code_works_once_and_for_its_owner_alone(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        app.enrol_totp(&bob, "Phone").await;
        let code = &phone.backup_codes[3];
        assert_refused(&app, &verify(&app, &bob, code).await, 400, "INVALID_BACKUP_CODE");
        verify(&app, &ada, code).await.assert_status(200);
        wait(&app, 60);
        assert_refused(&app, &verify(&app, &ada, code).await, 400, "INVALID_BACKUP_CODE");
    }

    async fn a_code_is_read_as_people_type_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        let wide = |code: &str| -> String {
            code.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect()
        };
        let forms: [&dyn Fn(&str) -> String; 4] = [
            &|code| code.replace('-', ""),
            &|code| code.to_lowercase(),
            &|code| format!(" {} ", code.replace('-', " ")),
            &wide,
        ];
        for (form, code) in forms.iter().zip(&phone.backup_codes) {
            verify(&app, &ada, &form(code)).await.assert_status(200);
        }
        for code in [json!(null), json!(""), json!(12_345_678), json!("ABCD-234"), json!("ABCD-2340")] {
            let body = json!({ "backup_code": code });
            let answer = post_as(&app, &ada, "mfa/backup-codes/verify", &body).send().await;
            assert_refused(&app, &answer, 422, "VALIDATION_ERROR");
        }
    }

    async fn three_wrong_ones_lock_for_a_minute(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let phone = app.enrol_totp(&ada, "Phone").await;
        for _ in 0..3 {
            verify(&app, &ada, "2222-2222").await.assert_error(400, "INVALID_BACKUP_CODE");
        }
        assert_refused(&app, &verify(&app, &ada, &phone.backup_codes[0]).await, 429, "TOO_MANY_ATTEMPTS");
        // The lock of one use is none of another: who holds a stolen session keeps nobody from signing in.
        let token = app.sign_in_halfway(&ada).await;
        app.show_factor(&token, "backup_code", &phone.backup_codes[1]).await.assert_status(200);
        wait(&app, 60);
        verify(&app, &ada, &phone.backup_codes[0]).await.assert_status(200);
    }

    async fn a_code_without_a_second_factor_is_none(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_refused(&app, &verify(&app, &ada, "ABCD-2345").await, 400, "INVALID_BACKUP_CODE");
        let count = get_as(&app, &ada, "mfa/backup-codes").send().await;
        assert_data(&count, 200, &json!({ "total": 0, "remaining": 0, "generated_at": null }));
    }
}
