//! ID tokens with the algorithm that an application wants: OpenID Connect Core section 15.1, Registration section 2.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use tidegate_crypto::{KeyRing, SigningAlgorithm, SigningKey, oauth::at_hash};
use tidegate_domain::Timestamp;
use tidegate_kernel::KernelTables;
use tidegate_testkit::{PUBLIC_URL, Person, TestApp, on_both_engines, vault};

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
    verified_with(app, token, client, SigningAlgorithm::Rs256).await
}

/// The same of a token that has to be signed with that algorithm.
async fn verified_with(app: &TestApp, token: &str, client: &App, algorithm: SigningAlgorithm) -> Value {
    let header = decode_header(token).unwrap();
    let expected: Algorithm = algorithm.as_str().parse().unwrap();
    assert_eq!(header.alg, expected);
    let keys = published(app, algorithm.as_str()).await;
    let key = keys.iter().find(|key| key["kid"] == json!(header.kid)).expect("a published key");
    let key = DecodingKey::from_jwk(&serde_json::from_value(key.clone()).unwrap()).unwrap();
    let mut rules = Validation::new(expected);
    rules.set_audience(&[&client.client_id]);
    // Userinfo does not end.
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    decode::<Value>(token, &key, &rules).unwrap().claims
}

async fn with_rs256(app: &TestApp, client: &App) {
    with_algorithm(app, client, SigningAlgorithm::Rs256).await;
}

/// Has ID tokens and userinfo signed for an application with that algorithm.
async fn with_algorithm(app: &TestApp, client: &App, algorithm: SigningAlgorithm) {
    change(app, client, None, |metadata| {
        metadata.id_token_signed_response_alg = Some(algorithm);
        metadata.userinfo_signed_response_alg = Some(algorithm);
    })
    .await;
}

/// An application for each algorithm.
async fn one_for_each(app: &TestApp, who: &Person) -> Vec<(SigningAlgorithm, App)> {
    let mut clients = Vec::new();
    for algorithm in SigningAlgorithm::ALL {
        let client = register(app, who, &described_with(json!({ "name": algorithm.as_str() }))).await;
        with_algorithm(app, &client, algorithm).await;
        clients.push((algorithm, client));
    }
    clients
}

/// What the userinfo endpoint tells, verified.
async fn told(app: &TestApp, token: &str, client: &App, algorithm: SigningAlgorithm) -> Value {
    let told = app.get("/oauth/userinfo").bearer(token).send().await;
    told.assert_status(200);
    verified_with(app, &told.text, client, algorithm).await
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
        let all = (0..8).map(|_| app.kernel().ensure_id_token_key(SigningAlgorithm::Rs256));
        for made in futures_util::future::join_all(all).await {
            made.unwrap();
        }
        assert_eq!(app.sql_count("select count(*) from signing_keys where algorithm = 'RS256'").await, 1);
    }

    async fn discovery_says_what_there_is(app: TestApp) {
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.field("id_token_signing_alg_values_supported"), &json!(["ES256", "EdDSA", "RS256"]));
        assert_eq!(provider.field("userinfo_signing_alg_values_supported"), &json!(["ES256", "EdDSA", "RS256"]));
        // What access tokens are signed with comes first: it is what applications get that say nothing.
        app.kernel().rotate_signing_key(SigningAlgorithm::EdDsa).await.unwrap();
        let provider = app.get("/.well-known/openid-configuration").send().await;
        assert_eq!(provider.field("id_token_signing_alg_values_supported"), &json!(["EdDSA", "ES256", "RS256"]));
    }

    async fn each_application_gets_the_algorithm_that_it_wants(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let clients = one_for_each(&app, &ada).await;
        // The key of access tokens signs for those who want ES256.
        assert_eq!(app.sql_count("select count(*) from signing_keys").await, 3);
        for (algorithm, client) in &clients {
            let tokens = sign_in(&app, &ada, client).await;
            let access = tokens.text_at("access_token");
            let said = verified_with(&app, &tokens.text_at("id_token"), client, *algorithm).await;
            assert_eq!(said["at_hash"], at_hash(&access, *algorithm));
            // Half of SHA-512 for Ed25519, of SHA-256 for the others, in base64url.
            let length = if *algorithm == SigningAlgorithm::EdDsa { 43 } else { 22 };
            assert_eq!(said["at_hash"].as_str().unwrap().len(), length);
            assert_eq!(decode_header(&access).unwrap().alg, Algorithm::ES256);
            told(&app, &access, client, *algorithm).await;
        }
        // Access tokens with EdDSA from now on: applications get what they did.
        app.advance(std::time::Duration::from_secs(1));
        app.kernel().rotate_signing_key(SigningAlgorithm::EdDsa).await.unwrap();
        for (algorithm, client) in &clients {
            let tokens = sign_in(&app, &ada, client).await;
            let access = tokens.text_at("access_token");
            let said = verified_with(&app, &tokens.text_at("id_token"), client, *algorithm).await;
            assert_eq!(said["at_hash"], at_hash(&access, *algorithm));
            assert_eq!(decode_header(&access).unwrap().alg, Algorithm::EdDSA);
            told(&app, &access, client, *algorithm).await;
        }
    }

    /// RFC 8725 section 3.11: of one kind with that of access tokens, and of another use.
    async fn what_is_signed_with_a_key_of_id_tokens_alone_opens_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        with_algorithm(&app, &client, SigningAlgorithm::EdDsa).await;
        let access = sign_in(&app, &ada, &client).await.text_at("access_token");
        let keys = app.store().read().await.unwrap().keys().all().await.unwrap();
        let beside = keys.iter().find(|key| key.algorithm == "EdDSA").unwrap();
        let made_at = Timestamp::from_micros(beside.created_at);
        let key = SigningKey::open(&vault(), &beside.kid, SigningAlgorithm::EdDsa, made_at, &beside.sealed).unwrap();
        // Somebody has that key and makes an access token of it, to the letter.
        let ring = KeyRing::new(key, Vec::new());
        let said = serde_json::from_value(claims(&access)).unwrap();
        assert_eq!(me(&app, ring.sign(&said).unwrap().expose()).await, 401);
        assert_eq!(me(&app, &access).await, 200);
    }

    async fn each_key_is_replaced_apart_and_hints_of_all_are_read(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let clients = one_for_each(&app, &ada).await;
        for (algorithm, client) in &clients {
            let before = sign_in(&app, &ada, client).await.text_at("id_token");
            app.advance(std::time::Duration::from_secs(1));
            let is_main = *algorithm == SigningAlgorithm::Es256;
            if is_main {
                app.kernel().rotate_signing_key(*algorithm).await.unwrap();
            } else {
                app.kernel().rotate_id_token_key(*algorithm, false).await.unwrap();
            }
            let after = sign_in(&app, &ada, client).await.text_at("id_token");
            assert_ne!(decode_header(&before).unwrap().kid, decode_header(&after).unwrap().kid);
            for token in [&before, &after] {
                verified_with(&app, token, client, *algorithm).await;
                app.kernel().read_id_token_hint(token).unwrap();
            }
        }
        // Two of each kind, and each retired apart from the others.
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(published(&app, algorithm.as_str()).await.len(), 2, "{algorithm:?}");
        }
        let (_, of_ed25519) = &clients[1];
        app.kernel().rotate_id_token_key(SigningAlgorithm::EdDsa, true).await.unwrap();
        assert_eq!(published(&app, "EdDSA").await.len(), 1);
        assert_eq!(published(&app, "RS256").await.len(), 2);
        let again = sign_in(&app, &ada, of_ed25519).await.text_at("id_token");
        verified_with(&app, &again, of_ed25519, SigningAlgorithm::EdDsa).await;
    }

    async fn keys_of_every_algorithm_open_after_the_master_key_was_replaced(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let clients = one_for_each(&app, &ada).await;
        let before = app.get("/.well-known/jwks.json").send().await.body;
        let under_another = app.another_node_under(2, &[1]).await;
        assert_eq!(under_another.client().get("/.well-known/jwks.json").send().await.body, before);
        for (algorithm, client) in &clients {
            let token = under_another.kernel.sign_id_token_for(Some(*algorithm), &json!({
                "iss": PUBLIC_URL, "aud": client.client_id, "sub": "1",
            })).await.unwrap();
            verified_with(&app, token.expose(), client, *algorithm).await;
        }
    }
}
