//! Tokens that are bound to a key: RFC 9449.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_crypto::SigningAlgorithm;
use tidegate_crypto::dpop::software::{SoftwareKey, token_hash};
use tidegate_oauth::applications::RulesChange;
use tidegate_testkit::{
    Answer, Engine, PUBLIC_URL, Request, SeededEntropy, TestApp, concurrently, on_both_engines,
};

use super::wire::{
    ADA, App, CALLBACK, VERIFIER, assert_flat, claims, code, code_for, described, me, parameters_with,
    register, register_public, token_request,
};

const MANY: usize = 50;

/// A client that holds a key.
pub(super) struct Holder {
    pub(super) key: SoftwareKey,
    proofs: AtomicUsize,
}

impl Holder {
    pub(super) fn new(seed: u64) -> Self {
        let key = SoftwareKey::generate(SigningAlgorithm::Es256, &SeededEntropy::new(seed));
        Self { key, proofs: AtomicUsize::new(0) }
    }

    /// The claims of a new proof.
    pub(super) fn claims(&self, app: &TestApp, method: &str, path: &str) -> Value {
        let number = self.proofs.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number}", self.key.thumbprint());
        json!({ "jti": id, "htm": method, "htu": format!("{PUBLIC_URL}{path}"), "iat": app.now().seconds() })
    }

    fn signed(&self, claims: &Value) -> String {
        self.key.sign(&self.key.header(), claims)
    }

    /// A new proof for the token endpoint.
    pub(super) fn proof(&self, app: &TestApp) -> String {
        self.signed(&self.claims(app, "POST", "/oauth/token"))
    }

    /// A request to the token endpoint with a proof.
    pub(super) fn token_request(&self, app: &TestApp, client: &App, fields: &[(&str, &str)]) -> Request {
        token_request(app, client, fields).header("dpop", &self.proof(app))
    }

    pub(super) async fn exchange(&self, app: &TestApp, client: &App, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token_request(app, client, &fields).send().await
    }

    pub(super) async fn refresh(&self, app: &TestApp, client: &App, token: &str) -> Answer {
        self.token_request(app, client, &[("grant_type", "refresh_token"), ("refresh_token", token)])
            .send()
            .await
    }

    /// A request with a token and the proof for it.
    pub(super) fn get(&self, app: &TestApp, path: &str, token: &str) -> Request {
        let mut claims = self.claims(app, "GET", path);
        claims["ath"] = json!(token_hash(token));
        with_proof(app.get(path), token, &self.signed(&claims))
    }
}

fn with_proof(request: Request, token: &str, proof: &str) -> Request {
    request.header("authorization", &format!("DPoP {token}")).header("dpop", proof)
}

async fn set(app: &TestApp, client: &App, change: RulesChange) {
    let call = tidegate_kernel::Call::from_cli(app.kernel().settings().contracts.of_installation());
    let id = tidegate_domain::id::ApplicationId(client.client_id.parse().unwrap());
    assert!(app.oauth().set_application_rules(&call, id, change).await.is_ok());
}

#[track_caller]
fn assert_challenged(answer: &Answer, error: &str) {
    assert_eq!(answer.status, 401, "{}", answer.text);
    let challenge = answer.header("www-authenticate");
    assert!(challenge.starts_with(&format!("DPoP error=\"{error}\", algs=\"ES256")), "{challenge}");
}

async fn all_at_once(requests: Vec<Request>) -> Vec<Answer> {
    let requests: Vec<_> = requests.into_iter().map(|request| Mutex::new(Some(request))).collect();
    concurrently(requests.len(), |number| requests[number].lock().unwrap().take().unwrap().send()).await
}

fn with_nonces(settings: &mut tidegate_kernel::Settings) {
    let mut rules = settings.oauth.rules.clone();
    rules.require_dpop_nonce = true;
    settings.set_oauth(rules);
}

on_both_engines! {
    async fn tokens_of_a_public_client_are_bound_to_its_key(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let holder = Holder::new(1);
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        assert_eq!(tokens.assert_status(200).text_at("token_type"), "DPoP");
        let access = tokens.text_at("access_token");
        assert_eq!(claims(&access)["cnf"], json!({ "jkt": holder.key.thumbprint() }));
        for path in ["/oauth/userinfo", "/api/v1/auth/me"] {
            assert_eq!(holder.get(&app, path, &access).send().await.status, 200, "{path}");
        }
        let next = holder.refresh(&app, &client, &tokens.text_at("refresh_token")).await;
        assert_eq!(next.assert_status(200).text_at("token_type"), "DPoP");
        assert_eq!(claims(&next.text_at("access_token"))["cnf"]["jkt"], holder.key.thumbprint());
        let reader = register(&app, &ada, &described()).await;
        let said = app.post("/oauth/introspect").form(&crate::oauth::wire::form(&[
            ("client_id", reader.client_id.as_str()), ("client_secret", reader.secret.as_deref().unwrap()), ("token", access.as_str()),
        ])).send().await;
        assert_eq!((said.field("cnf.jkt"), said.field("token_type")), (&json!(holder.key.thumbprint()), &json!("DPoP")));
    }

    async fn a_bound_token_is_none_as_bearer_and_one_that_is_not_is_none_as_dpop(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let holder = Holder::new(1);
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let access = tokens.assert_status(200).text_at("access_token");
        for path in ["/oauth/userinfo", "/api/v1/auth/me", "/api/v2/auth/me", "/v1/databases/", "/oauth/authorize?x=y"] {
            assert_challenged(&app.get(path).bearer(&access).send().await, "invalid_token");
            assert_challenged(&holder.get(&app, path.split('?').next().unwrap(), &ada.access_token).send().await, "invalid_token");
        }
        // With the right scheme and without a proof, or with that of another key.
        let bare = app.get("/api/v1/auth/me").header("authorization", &format!("DPoP {access}"));
        assert_challenged(&bare.send().await, "invalid_dpop_proof");
        let thief = Holder::new(2);
        assert_challenged(&thief.get(&app, "/api/v1/auth/me", &access).send().await, "invalid_token");
        assert_eq!(app.get("/api/v1/auth/me").header("authorization", "DPoP x").send().await.status, 401);
    }

    async fn a_proof_is_of_one_request(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let holder = Holder::new(1);
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let access = tokens.assert_status(200).text_at("access_token");
        let path = "/api/v1/auth/me";
        let right = || {
            let mut claims = holder.claims(&app, "GET", path);
            claims["ath"] = json!(token_hash(&access));
            claims
        };
        let send = async |claims: &Value| with_proof(app.get(path), &access, &holder.signed(claims)).send().await;
        for (name, value) in [
            ("htm", json!("POST")),
            ("htm", json!("get")),
            ("htu", json!(format!("{PUBLIC_URL}/api/v1/auth/other"))),
            ("htu", json!("https://evil.example/api/v1/auth/me")),
            ("htu", json!("http://id.example.com/api/v1/auth/me")),
            ("htu", json!("https://id.example.com:8443/api/v1/auth/me")),
            ("htu", json!("https://x@id.example.com/api/v1/auth/me")),
            ("htu", json!(path)),
            ("ath", json!(token_hash("other"))),
            ("ath", Value::Null),
            ("iat", json!(app.now().seconds() - 301)),
            ("iat", json!(app.now().seconds() + 61)),
            ("iat", json!(i64::MAX)),
            ("iat", json!(i64::MIN)),
            ("jti", json!("")),
        ] {
            let mut wrong = right();
            wrong[name] = value.clone();
            let answer = send(&wrong).await;
            assert_challenged(&answer, "invalid_dpop_proof");
            assert!(!answer.text.contains(&access));
        }
        for (name, value) in [
            ("htu", json!(format!("{PUBLIC_URL}{path}?x=y#z"))),
            ("htu", json!("HTTPS://ID.example.com:443/api/v1/auth/me")),
            ("iat", json!(app.now().seconds() - 299)),
            ("iat", json!(app.now().seconds() + 59)),
            ("other", json!("ignored")),
        ] {
            let mut fine = right();
            fine[name] = value;
            send(&fine).await.assert_status(200);
        }
        let twice = with_proof(app.get(path), &access, &holder.signed(&right())).header("dpop", &holder.signed(&right()));
        assert_challenged(&twice.send().await, "invalid_dpop_proof");
    }

    // RFC 9449 section 11.1: replay.
    async fn a_proof_is_shown_once_on_whatever_node(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let holder = Holder::new(1);
        let own = [("grant_type", "client_credentials")];
        let proof = holder.proof(&app);
        let request = || token_request(&app, &client, &own).header("dpop", &proof);
        request().send().await.assert_status(200);
        assert_flat(&request().send().await, 400, "invalid_dpop_proof");
        let node = app.another_node().await;
        let all = [("client_id", client.client_id.as_str()), ("client_secret", client.secret.as_deref().unwrap()), own[0]];
        let elsewhere = node.client().post("/oauth/token").form(&crate::oauth::wire::form(&all)).header("dpop", &proof);
        assert_flat(&elsewhere.send().await, 400, "invalid_dpop_proof");
        // Of many at once one is taken.
        let proof = holder.proof(&app);
        let requests = (0..MANY).map(|_| token_request(&app, &client, &own).header("dpop", &proof)).collect();
        let answers = all_at_once(requests).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.text_at("error") == "invalid_dpop_proof"));
        // What is too old to be shown is not kept.
        app.advance(Duration::from_secs(361));
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count("select count(*) from dpop_proofs").await, 0);
        assert_flat(&request().send().await, 400, "invalid_dpop_proof");
    }

    // RFC 9700 section 4.14: refresh token theft.
    async fn a_stolen_refresh_token_is_of_no_use_without_the_key(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let (holder, thief) = (Holder::new(1), Holder::new(2));
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let stolen = tokens.assert_status(200).text_at("refresh_token");
        assert_flat(&thief.refresh(&app, &client, &stolen).await, 400, "invalid_grant");
        assert_flat(&crate::oauth::wire::refresh(&app, &client, &stolen).await, 400, "invalid_grant");
        // The owner's session is not harmed by trying.
        holder.refresh(&app, &client, &stolen).await.assert_status(200);
        // Nor does it help within the time in which a lost answer is repeated.
        assert_flat(&thief.refresh(&app, &client, &stolen).await, 400, "invalid_grant");
        let again = holder.refresh(&app, &client, &stolen).await;
        assert_eq!(claims(&again.assert_status(200).text_at("access_token"))["cnf"]["jkt"], holder.key.thumbprint());
    }

    async fn one_refresh_token_presented_many_times_with_proofs_has_one_child(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let holder = Holder::new(1);
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let token = tokens.assert_status(200).text_at("refresh_token");
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let requests = (0..MANY).map(|_| holder.token_request(&app, &client, &fields)).collect();
        let answers = all_at_once(requests).await;
        let mut children: Vec<String> = answers.iter().map(|answer| answer.assert_status(200).text_at("refresh_token")).collect();
        children.sort();
        children.dedup();
        assert_eq!(children.len(), 1);
        assert_eq!(app.sql_count("select count(*) from refresh_tokens where parent_id is not null").await, 1);
    }

    async fn an_application_that_proves_who_it_is_may_change_its_key(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let (before, after) = (Holder::new(1), Holder::new(2));
        let tokens = before.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let next = after.refresh(&app, &client, &tokens.assert_status(200).text_at("refresh_token")).await;
        let access = next.assert_status(200).text_at("access_token");
        after.get(&app, "/api/v1/auth/me", &access).send().await.assert_status(200);
        assert_challenged(&before.get(&app, "/api/v1/auth/me", &access).send().await, "invalid_token");
        let bearer = crate::oauth::wire::refresh(&app, &client, &next.text_at("refresh_token")).await;
        assert_eq!(bearer.assert_status(200).text_at("token_type"), "Bearer");
        assert_eq!(me(&app, &bearer.text_at("access_token")).await, 200);
    }

    // RFC 9449 section 10: a code that was injected, or stolen with its verifier.
    async fn a_code_may_be_bound_to_a_key_before_it_is_made(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let (holder, thief) = (Holder::new(1), Holder::new(2));
        let asked = parameters_with(&client, &[("dpop_jkt", holder.key.thumbprint())]);
        let code = code_for(&app, &ada, &asked).await;
        assert_flat(&thief.exchange(&app, &client, &code).await, 400, "invalid_grant");
        assert_flat(&crate::oauth::wire::exchange(&app, &client, &code).await, 400, "invalid_grant");
        holder.exchange(&app, &client, &code).await.assert_status(200);
        let wrong = parameters_with(&client, &[("dpop_jkt", "short")]);
        let back = crate::oauth::wire::sent_back(&crate::oauth::wire::authorize(&app, &ada.access_token, &wrong).await);
        assert_eq!(back["error"], "invalid_request");
    }

    async fn an_application_may_get_tokens_with_a_proof_alone(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = crate::oauth::wire::sign_in(&app, &ada, &client).await;
        set(&app, &client, RulesChange { dpop_bound: Some(true), ..RulesChange::default() }).await;
        // What it had without has ended.
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        let holder = Holder::new(1);
        let own = [("grant_type", "client_credentials")];
        assert_flat(&token_request(&app, &client, &own).send().await, 400, "invalid_dpop_proof");
        let once = code(&app, &ada, &client).await;
        assert_flat(&crate::oauth::wire::exchange(&app, &client, &once).await, 400, "invalid_dpop_proof");
        let tokens = holder.exchange(&app, &client, &once).await;
        tokens.assert_status(200);
        let refresh = tokens.text_at("refresh_token");
        assert_flat(&crate::oauth::wire::refresh(&app, &client, &refresh).await, 400, "invalid_dpop_proof");
        holder.refresh(&app, &client, &refresh).await.assert_status(200);
        let answer = holder.token_request(&app, &client, &own).send().await;
        assert_eq!(answer.assert_status(200).text_at("token_type"), "DPoP");
    }

    async fn an_operator_has_everybody_prove_a_key(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.require_dpop = true;
            settings.set_oauth(rules);
        }).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let (client, public) = (register(&app, &ada, &described()).await, register_public(&app, &ada).await);
        let holder = Holder::new(1);
        let own = [("grant_type", "client_credentials")];
        assert_flat(&token_request(&app, &client, &own).send().await, 400, "invalid_dpop_proof");
        let answer = holder.token_request(&app, &client, &own).send().await;
        assert_eq!(answer.assert_status(200).text_at("token_type"), "DPoP");
        for client in [&client, &public] {
            let once = code(&app, &ada, client).await;
            assert_flat(&crate::oauth::wire::exchange(&app, client, &once).await, 400, "invalid_dpop_proof");
            holder.exchange(&app, client, &once).await.assert_status(200);
        }
        // People who sign in by a contract's own client are no application.
        assert_eq!(me(&app, &ada.access_token).await, 200);
    }

    async fn proofs_repeat_a_nonce_where_the_operator_wants_it(engine: Engine) {
        let app = TestApp::builder(engine).settings(with_nonces).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let holder = Holder::new(1);
        let once = code(&app, &ada, &client).await;
        let refused = holder.exchange(&app, &client, &once).await;
        assert_flat(&refused, 400, "use_dpop_nonce");
        let nonce = refused.header("dpop-nonce").to_owned();
        let fields = [
            ("grant_type", "authorization_code"), ("code", once.as_str()), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER),
        ];
        let with = |nonce: &str| {
            let mut claims = holder.claims(&app, "POST", "/oauth/token");
            claims["nonce"] = json!(nonce);
            token_request(&app, &client, &fields).header("dpop", &holder.signed(&claims))
        };
        let forged = format!("{}AAAA", &nonce[..nonce.len() - 4]);
        for wrong in ["x", &forged, &"A".repeat(54)] {
            assert_flat(&with(wrong).send().await, 400, "use_dpop_nonce");
        }
        let tokens = with(&nonce).send().await;
        assert_ne!(tokens.assert_status(200).header("dpop-nonce"), "");
        let access = tokens.text_at("access_token");
        let path = "/api/v1/auth/me";
        let challenged = holder.get(&app, path, &access).send().await;
        assert_challenged(&challenged, "use_dpop_nonce");
        let get = |nonce: &str| {
            let mut claims = holder.claims(&app, "GET", path);
            claims["ath"] = json!(token_hash(&access));
            claims["nonce"] = json!(nonce);
            with_proof(app.get(path), &access, &holder.signed(&claims))
        };
        let nonce = challenged.header("dpop-nonce").to_owned();
        get(&nonce).send().await.assert_status(200);
        app.advance(Duration::from_secs(299));
        get(&nonce).send().await.assert_status(200);
        app.advance(Duration::from_secs(2));
        assert_challenged(&get(&nonce).send().await, "use_dpop_nonce");
    }

    async fn what_is_no_proof_gets_no_token(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let holder = Holder::new(1);
        let claims = holder.claims(&app, "POST", "/oauth/token");
        let mut private = holder.key.header();
        private["jwk"]["d"] = json!("AAAA");
        let mut other = holder.key.header();
        other["typ"] = json!("JWT");
        for proof in ["", "x", "a.b.c", &holder.key.sign(&private, &claims), &holder.key.sign(&other, &claims)] {
            let request = token_request(&app, &client, &[("grant_type", "client_credentials")]).header("dpop", proof);
            assert_flat(&request.send().await, 400, "invalid_dpop_proof");
        }
        // Nobody has proofs remembered who does not prove who they are.
        let stranger = App { secret: Some("secret_wrong".into()), ..client.clone() };
        let refused = holder.token_request(&app, &stranger, &[("grant_type", "client_credentials")]).send().await;
        assert_flat(&refused, 401, "invalid_client");
        assert_eq!(app.sql_count("select count(*) from dpop_proofs").await, 0);
    }

    // RFC 9449 section 10.1.
    async fn a_request_that_is_pushed_with_a_proof_binds_its_code(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let (holder, thief) = (Holder::new(1), Holder::new(2));
        let pushed = async |by: &Holder, changed: &[(&str, &str)]| {
            let parameters = parameters_with(&client, changed);
            let fields: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let proof = by.signed(&by.claims(&app, "POST", "/oauth/par"));
            app.post("/oauth/par").form(&crate::oauth::wire::form(&fields)).header("dpop", &proof).send().await
        };
        let code = async || {
            let request_uri = pushed(&holder, &[]).await.assert_status(201).text_at("request_uri");
            let asked = [("client_id", client.client_id.as_str()), ("request_uri", request_uri.as_str())];
            let asked = asked.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            code_for(&app, &ada, &asked).await
        };
        assert_flat(&thief.exchange(&app, &client, &code().await).await, 400, "invalid_grant");
        assert_flat(&crate::oauth::wire::exchange(&app, &client, &code().await).await, 400, "invalid_grant");
        let tokens = holder.exchange(&app, &client, &code().await).await;
        assert_eq!(claims(&tokens.assert_status(200).text_at("access_token"))["cnf"]["jkt"], holder.key.thumbprint());
        // A request that names another key than the proof is refused, and so is a proof for another endpoint.
        let named = holder.key.thumbprint();
        assert_flat(&pushed(&thief, &[("dpop_jkt", named)]).await, 400, "invalid_request");
        let parameters = parameters_with(&client, &[]);
        let fields: Vec<_> = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let elsewhere = app.post("/oauth/par").form(&crate::oauth::wire::form(&fields)).header("dpop", &holder.proof(&app));
        assert_flat(&elsewhere.send().await, 400, "invalid_dpop_proof");
    }

    /// Each proof is a row: whoever has a token must not write as many as they send requests.
    async fn a_proof_of_a_caller_over_their_limit_is_not_noted(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| {
            let profile = settings.contracts.of_mut(tidegate_domain::ContractId::RIVERGEN).unwrap();
            profile.limits.authenticated_requests = Some(tidegate_domain::limit::Limit::new(6, 60));
        }).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register_public(&app, &ada).await;
        let holder = Holder::new(1);
        let tokens = holder.exchange(&app, &client, &code(&app, &ada, &client).await).await;
        let access = tokens.assert_status(200).text_at("access_token");
        let before = app.sql_count("select count(*) from dpop_proofs").await;
        let mut answered = Vec::new();
        for _ in 0..9 {
            answered.push(holder.get(&app, "/api/v1/auth/me", &access).send().await.status);
        }
        let allowed = answered.iter().filter(|status| **status == 200).count();
        assert!(allowed > 0 && answered.contains(&429), "{answered:?}");
        let noted = app.sql_count("select count(*) from dpop_proofs").await - before;
        assert_eq!(usize::try_from(noted).unwrap(), allowed);
    }

    async fn discovery_lists_the_algorithms_of_proofs(app: TestApp) {
        for path in ["/.well-known/openid-configuration", "/.well-known/oauth-protected-resource"] {
            let found = app.get(path).send().await;
            assert_eq!(found.field("dpop_signing_alg_values_supported"), &json!(["ES256", "EdDSA", "PS256", "RS256"]));
        }
    }
}
