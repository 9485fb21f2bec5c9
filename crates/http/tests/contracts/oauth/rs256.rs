//! ID tokens with RS256: OpenID Connect Core section 15.1.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tidegate_crypto::{SigningAlgorithm, oauth::at_hash};
use tidegate_testkit::{TestApp, on_both_engines};

use super::signing::change;
use super::wire::{ADA, App, claims, described, described_with, me, refresh, register, sign_in};

/// The published keys of that algorithm.
async fn published(app: &TestApp, algorithm: &str) -> Vec<Value> {
    let jwks = app.get("/.well-known/jwks.json").send().await;
    let keys = jwks.assert_status(200).field("keys").as_array().unwrap().clone();
    keys.into_iter().filter(|key| key["alg"] == algorithm).collect()
}

/// Verifies a token as a relying party does, with one of the published keys.
async fn verified(app: &TestApp, token: &str, client: &App) -> Value {
    let header = decode_header(token).unwrap();
    assert_eq!(header.alg, Algorithm::RS256);
    let keys = published(app, "RS256").await;
    let key = keys.iter().find(|key| key["kid"] == json!(header.kid)).expect("a published key");
    let key = DecodingKey::from_jwk(&serde_json::from_value(key.clone()).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[&client.client_id]);
    rules.validate_exp = false;
    decode::<Value>(token, &key, &rules).unwrap().claims
}

async fn with_rs256(app: &TestApp, client: &App) {
    change(app, client, None, |metadata| {
        metadata.id_token_signed_response_alg = Some(SigningAlgorithm::Rs256);
    })
    .await;
}

on_both_engines! {
    async fn an_application_gets_id_tokens_with_rs256_and_others_get_what_they_had(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        assert!(published(&app, "RS256").await.is_empty(), "nobody has asked for one");
        with_rs256(&app, &client).await;
        assert_eq!(published(&app, "RS256").await.len(), 1, "before the first token");
        let tokens = sign_in(&app, &ada, &client).await;
        let (id, access) = (tokens.text_at("id_token"), tokens.text_at("access_token"));
        let said = verified(&app, &id, &client).await;
        assert_eq!(said["at_hash"], at_hash(&access, SigningAlgorithm::Rs256));
        assert_eq!(decode_header(&access).unwrap().alg, Algorithm::ES256);
        let next = refresh(&app, &client, &tokens.text_at("refresh_token")).await;
        verified(&app, &next.assert_status(200).text_at("id_token"), &client).await;
        let tokens = sign_in(&app, &ada, &other).await;
        assert_eq!(decode_header(tokens.text_at("id_token")).unwrap().alg, Algorithm::ES256);
        assert_eq!(app.sql_count("select count(*) from signing_keys").await, 2);
    }

    /// RFC 8725 section 3.11: an ID token is no access token, whatever it is signed with.
    async fn what_is_signed_with_the_rsa_key_opens_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        with_rs256(&app, &client).await;
        let tokens = sign_in(&app, &ada, &client).await;
        assert_eq!(me(&app, &tokens.text_at("id_token")).await, 401);
        // The same key with the type and the claims of an access token: somebody has the key, say.
        let access = claims(&tokens.text_at("access_token"));
        let forged = app.kernel().sign_id_token_for(Some(SigningAlgorithm::Rs256), &access).await.unwrap();
        assert_eq!(me(&app, forged.expose()).await, 401);
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 200);
    }

    async fn the_rsa_key_is_replaced_like_the_other_and_apart_from_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        with_rs256(&app, &client).await;
        let before = sign_in(&app, &ada, &client).await;
        app.advance(std::time::Duration::from_secs(1));
        app.kernel().rotate_signing_key(SigningAlgorithm::Rs256).await.unwrap();
        assert_eq!(published(&app, "RS256").await.len(), 2, "the one before still verifies");
        assert_eq!(published(&app, "ES256").await.len(), 1);
        verified(&app, &before.text_at("id_token"), &client).await;
        let after = sign_in(&app, &ada, &client).await;
        assert_ne!(decode_header(before.text_at("id_token")).unwrap().kid, decode_header(after.text_at("id_token")).unwrap().kid);
        verified(&app, &after.text_at("id_token"), &client).await;
        assert_eq!(me(&app, &before.text_at("access_token")).await, 200);
        // A key that leaked: with it went the others.
        app.kernel().revoke_signing_keys(SigningAlgorithm::Es256).await.unwrap();
        assert!(published(&app, "RS256").await.is_empty());
        assert_eq!(me(&app, &after.text_at("access_token")).await, 401);
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let tokens = sign_in(&app, &bob, &client).await;
        verified(&app, &tokens.text_at("id_token"), &client).await;
    }

    async fn of_many_who_need_the_first_rsa_key_one_makes_it(app: TestApp) {
        let all = (0..8).map(|_| app.kernel().ensure_rsa_key());
        for made in futures_util::future::join_all(all).await {
            made.unwrap();
        }
        assert_eq!(app.sql_count("select count(*) from signing_keys where algorithm = 'RS256'").await, 1);
    }

    async fn discovery_says_what_there_is(app: TestApp) {
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.field("id_token_signing_alg_values_supported"), &json!(["ES256", "RS256"]));
    }
}
