//! Signing keys, from one node to the next.

use std::time::Duration;

use serde_json::Value;
use tidegate_crypto::SigningAlgorithm;
use tidegate_kernel::Kernel;
use tidegate_testkit::{Client, PASSWORD, TestApp, on_both_engines};

use super::{SECOND, login_ingestiq, me_ingestiq, me_rivergen};

async fn rotate(kernel: &Kernel, algorithm: SigningAlgorithm) -> String {
    kernel.rotate_signing_key(algorithm).await.unwrap().kid
}

/// The names of the published keys.
async fn published(client: &Client) -> Vec<String> {
    let jwks = client.get("/.well-known/jwks.json").send().await;
    jwks.assert_status(200);
    let keys = jwks.body["keys"].as_array().unwrap();
    assert!(keys.iter().all(|key| key.get("d").is_none() && key["use"] == "sig"), "{}", jwks.text);
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

on_both_engines! {
    async fn a_key_made_on_one_node_verifies_on_the_other_at_once(app: TestApp) {
        let other = app.another_node().await;
        let old = app.register_ingestiq("ada@example.com").await.access_token;
        assert_eq!(published(&app.client()).await, published(&other.client()).await);
        for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256] {
            rotate(app.kernel(), algorithm).await;
            // No worker has looked for new keys yet: a token somebody was just given must not sign them out.
            let new = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await.text_at("accessToken");
            me_ingestiq(&other.client(), &new).await.assert_status(200);
            me_ingestiq(&other.client(), &old).await.assert_status(200);
            me_ingestiq(&app.client(), &old).await.assert_status(200);
            assert_eq!(published(&app.client()).await, published(&other.client()).await);
            app.advance(SECOND);
        }
    }

    async fn a_retired_key_verifies_until_its_last_token_has_expired(app: TestApp) {
        let first = published(&app.client()).await.remove(0);
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let second = rotate(app.kernel(), SigningAlgorithm::default()).await;
        assert_eq!(published(&app.client()).await, [second.clone(), first]);
        app.advance(Duration::from_secs(3_599));
        app.kernel().reload_signing_keys().await.unwrap();
        me_rivergen(&app.client(), &ada.access_token).await.assert_status(200);
        app.advance(SECOND);
        app.kernel().reload_signing_keys().await.unwrap();
        assert_eq!(published(&app.client()).await, [second]);
        me_rivergen(&app.client(), &ada.access_token).await.assert_error(401, "UNAUTHORIZED");
    }

    async fn a_key_taken_away_takes_its_tokens_with_it(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        me_ingestiq(&app.client(), &ada.access_token).await.assert_status(200);
        rotate(app.kernel(), SigningAlgorithm::default()).await;
        app.sql("delete from signing_keys where retired_at is not null").await;
        app.kernel().reload_signing_keys().await.unwrap();
        assert_eq!(published(&app.client()).await.len(), 1);
        // Remembered or not, it was signed by somebody who is no longer trusted.
        me_ingestiq(&app.client(), &ada.access_token).await.assert_error(401, "INVALID_TOKEN");
    }

    async fn strangers_cannot_make_a_node_read_its_keys_for_every_token(app: TestApp) {
        let reads = crate::watch::Statements::containing("signing_keys");
        for forged in 0..50 {
            me_ingestiq(&app.client(), &format!("forged {forged}")).await.assert_error(401, "INVALID_TOKEN");
        }
        assert!(reads.seen() <= 1, "{} reads within one instant", reads.seen());
    }

    async fn published_keys_are_public_and_may_be_kept_for_a_while(app: TestApp) {
        let jwks = app.get("/.well-known/jwks.json").send().await;
        assert_eq!(jwks.header("cache-control"), "public, max-age=300");
        let key: &Value = &jwks.body["keys"][0];
        assert_eq!((key["kty"].as_str(), key["alg"].as_str()), (Some("EC"), Some("ES256")));
    }
}
