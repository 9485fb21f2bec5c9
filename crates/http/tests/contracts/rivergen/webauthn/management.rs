//! Passkeys are listed and removed.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{assert_data, assert_done, get_as, lets_in, wait};
use super::*;

on_both_engines! {
    async fn the_list_has_the_newest_first(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        assert_data(&get_as(&app, &ada, "webauthn/credentials").send().await, 200, &json!({
            "credentials": [], "total_count": 0,
        }));
        let phone = app.enrol_passkey(&ada, "Phone").await;
        let started = app.now().iso_seconds();
        wait(&app, 60);
        let key = app.enrol_passkey(&ada, "Key").await;
        let list = get_as(&app, &ada, "webauthn/credentials").send().await;
        assert_data(&list, 200, &json!({
            "credentials": [
                { "id": 2, "device_name": "Key", "credential_id": base64(&key.credential_id),
                  "created_at": app.now().iso_seconds(), "last_used_at": null, "usage_count": 0 },
                { "id": 1, "device_name": "Phone", "credential_id": base64(&phone.credential_id),
                  "created_at": started, "last_used_at": null, "usage_count": 0 },
            ],
            "total_count": 2,
        }));
    }

    async fn a_passkey_that_is_removed_signs_in_no_more_and_its_owner_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut phone = app.enrol_passkey(&ada, "Phone").await;
        let waiting = phone.sign_in(&app.start_passkey_sign_in(Some(ADA)).await);
        let removed = delete_as(&app, &ada, "webauthn/credentials/1").send().await;
        assert_done(&removed, 200, json!({ "success": true }));
        let refused = app.complete_passkey_sign_in(Some(ADA), &waiting).await;
        assert_refused(&app, &refused, (401, "INVALID_CREDENTIAL"));
        assert!(lets_in(&app, &ada).await, "sessions stay");
        assert_eq!(app.templates_to(ADA).await[0], "passkey_removed");
        let mails = app.mails_to(ADA).await;
        let text = app.kernel().render(&mails[0]).unwrap().unwrap().text().to_owned();
        for part in ["Passkey: Phone", "198.51.100.7", "/secure-account?token="] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let noted = "select count(*) from audit_events where action = 'webauthn.deleted'";
        assert_eq!(app.sql_count(noted).await, 1);
        let again = delete_as(&app, &ada, "webauthn/credentials/1").send().await;
        assert_refused(&app, &again, (404, "CREDENTIAL_NOT_FOUND"));
        // The same authenticator may come back.
        let options = app.start_passkey(&ada, "Phone").await;
        app.complete_passkey(&ada, "Phone", &phone.register(&options)).await.assert_status(200);
    }

    async fn another_accounts_passkey_looks_like_one_that_is_not_there(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        app.enrol_passkey(&ada, "Phone").await;
        let theirs = delete_as(&app, &bob, "webauthn/credentials/1").send().await;
        let unknown = delete_as(&app, &bob, "webauthn/credentials/999").send().await;
        assert_refused(&app, &theirs, (404, "CREDENTIAL_NOT_FOUND"));
        assert_eq!(theirs.text_at("error.message"), unknown.text_at("error.message"));
        let list = get_as(&app, &bob, "webauthn/credentials").send().await;
        assert_eq!(list.field("data.total_count"), 0);
        for nonsense in ["phone", "1.5", "9223372036854775808"] {
            let refused = delete_as(&app, &ada, &format!("webauthn/credentials/{nonsense}")).send().await;
            assert_refused(&app, &refused, (422, "VALIDATION_ERROR"));
        }
        assert_eq!(app.sql_count("select count(*) from passkeys").await, 1);
    }

    async fn a_list_that_cannot_be_read_is_said_so(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sql("alter table passkeys rename to elsewhere").await;
        let list = get_as(&app, &ada, "webauthn/credentials").send().await;
        assert_refused(&app, &list, (500, "CREDENTIAL_LISTING_FAILED"));
        let removed = delete_as(&app, &ada, "webauthn/credentials/1").send().await;
        assert_refused(&app, &removed, (500, "CREDENTIAL_DELETION_FAILED"));
    }
}
