//! An API exchanges the token that it was called with: RFC 8693. Attacks: RFC 9700 section 2.3, RFC 8693 section 5.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_kernel::{Call, Settings};
use tidegate_oauth::applications::RulesChange;
use tidegate_testkit::{Answer, Engine, PUBLIC_URL, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, App, applications, as_person, assert_flat, audited, claims, code_for, described, described_with,
    exchange, form, me, organization, parameters_with, register, register_public, token_request,
};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const ORDERS: &str = "https://orders.example.com";
const STOCK: &str = "https://stock.example.com";

fn with_apis(settings: &mut Settings) {
    let mut rules = settings.oauth.rules.clone();
    rules.resources = vec![ORDERS.to_owned(), STOCK.to_owned()];
    settings.set_oauth(rules);
}

/// A shop, whose person has a token for the API of orders, and that API, which may reach the API of stock, and this installation.
struct World {
    app: TestApp,
    ada: Person,
    shop: App,
    orders: App,
    token: String,
}

async fn allow(app: &TestApp, client: &App, from: &[&str], to: &[&str]) -> bool {
    let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
    let id = tidegate_domain::id::ApplicationId(client.client_id.parse().unwrap());
    let texts = |apis: &[&str]| Some(apis.iter().map(|api| (*api).to_owned()).collect());
    let change = RulesChange { exchange_from: texts(from), exchange_to: texts(to), ..RulesChange::default() };
    app.oauth().set_application_rules(&call, id, change).await.is_ok()
}

impl World {
    async fn new(engine: Engine) -> Self {
        let app = TestApp::builder(engine).settings(with_apis).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let shop = register(&app, &ada, &described()).await;
        let orders = described_with(json!({ "name": "Orders", "scopes": ["openid", "read", "write"] }));
        let orders = register(&app, &ada, &orders).await;
        assert!(allow(&app, &orders, &[ORDERS], &[STOCK, PUBLIC_URL]).await);
        let token = Self::token_of(&app, &ada, &shop, ORDERS).await;
        Self { app, ada, shop, orders, token }
    }

    async fn token_of(app: &TestApp, ada: &Person, shop: &App, api: &str) -> String {
        let code = code_for(app, ada, &parameters_with(shop, &[("resource", api)])).await;
        exchange(app, shop, &code).await.assert_status(200).text_at("access_token")
    }

    async fn ask(&self, client: &App, token: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS)];
        all.extend_from_slice(fields);
        token_request(&self.app, client, &all).send().await
    }

    async fn exchanged(&self, api: &str) -> String {
        let answer = self.ask(&self.orders, &self.token, &[("audience", api)]).await;
        answer.assert_status(200).text_at("access_token")
    }

    async fn is_active(&self, client: &App, token: &str) -> bool {
        let fields = [
            ("client_id", client.client_id.as_str()),
            ("client_secret", client.secret.as_deref().unwrap()),
            ("token", token),
        ];
        let answer = self.app.post("/oauth/introspect").form(&form(&fields)).send().await;
        answer.assert_status(200).field("active").as_bool().unwrap()
    }
}

on_both_engines! {
    async fn an_api_gets_a_token_for_another_api_in_the_persons_name(engine: Engine) {
        let world = World::new(engine).await;
        let answer = world.ask(&world.orders, &world.token, &[("audience", STOCK), ("scope", "read")]).await;
        answer.assert_status(200);
        assert_eq!((answer.text_at("issued_token_type").as_str(), answer.text_at("token_type").as_str()), (ACCESS, "Bearer"));
        assert_eq!(answer.text_at("scope"), "read");
        assert!(answer.body.get("refresh_token").is_none() && answer.body.get("id_token").is_none());
        let (said, before) = (claims(&answer.text_at("access_token")), claims(&world.token));
        assert_eq!((&said["aud"], &said["client_id"]), (&json!(STOCK), &json!(world.orders.client_id)));
        assert_eq!((&said["sub"], &said["sid"]), (&before["sub"], &before["sid"]));
        assert_eq!(said["act"], json!({ "sub": world.orders.client_id }));
        assert!(said["exp"].as_i64() <= before["exp"].as_i64());
        assert!(world.is_active(&world.orders, &answer.text_at("access_token")).await);
        assert_eq!(audited(&world.app, "oauth.token").await, ["oauth.token.exchanged"]);
        // For this installation, where it reads what the scope allows.
        let here = world.exchanged(PUBLIC_URL).await;
        assert_eq!(me(&world.app, &here).await, 200);
        assert_eq!(me(&world.app, &answer.text_at("access_token")).await, 401, "that one is for another API");
    }

    async fn an_operator_says_who_may_and_from_where_to_where(engine: Engine) {
        let world = World::new(engine).await;
        let to_stock = [("audience", STOCK)];
        let answer = world.ask(&world.shop, &world.token, &to_stock).await;
        assert_flat(&answer, 400, "unauthorized_client");
        assert!(answer.text.contains("may not exchange tokens: the operator allows it"), "{}", answer.text);
        assert!(!allow(&world.app, &world.shop, &["https://unknown.example.com"], &[STOCK]).await);
        let public = register_public(&world.app, &world.ada).await;
        assert!(!allow(&world.app, &public, &[ORDERS], &[STOCK]).await);
        for fields in [
            &[("audience", ORDERS)][..],
            &[("audience", "https://other.example.com")],
            &[("resource", ORDERS)],
            &[("audience", STOCK), ("resource", ORDERS)],
        ] {
            assert_flat(&world.ask(&world.orders, &world.token, fields).await, 400, "invalid_target");
        }
        assert_flat(&world.ask(&world.orders, &world.token, &[]).await, 400, "invalid_request");
        let twice = [("audience", STOCK), ("resource", STOCK)];
        world.ask(&world.orders, &world.token, &twice).await.assert_status(200);
    }

    // RFC 9700 section 4.10: audience confusion. A token for another API is of no use to this one.
    async fn a_token_that_was_not_issued_for_the_api_is_not_exchanged(engine: Engine) {
        let world = World::new(engine).await;
        let to_stock = [("audience", STOCK)];
        let elsewhere = World::token_of(&world.app, &world.ada, &world.shop, STOCK).await;
        let here = World::token_of(&world.app, &world.ada, &world.shop, PUBLIC_URL).await;
        let own = [("grant_type", "client_credentials"), ("resource", ORDERS)];
        let own = token_request(&world.app, &world.shop, &own).send().await.assert_status(200).text_at("access_token");
        for token in [elsewhere.as_str(), &here, &own, &world.ada.access_token, &world.ada.refresh_token, "x", "a.b.c", "pat_x"] {
            assert_flat(&world.ask(&world.orders, token, &to_stock).await, 400, "invalid_request");
        }
        // Nor one that has ended.
        world.app.advance(Duration::from_secs(3_601));
        assert_flat(&world.ask(&world.orders, &world.token, &to_stock).await, 400, "invalid_request");
    }

    // RFC 9700 section 2.3: an exchanged token never allows more.
    async fn an_exchanged_token_allows_no_more_and_lives_no_longer(engine: Engine) {
        let world = World::new(engine).await;
        // `email` the shop has and the API has not; `write` the other way round.
        for scope in ["email", "write", "read write", "admin", "full", "openid email"] {
            let answer = world.ask(&world.orders, &world.token, &[("audience", PUBLIC_URL), ("scope", scope)]).await;
            assert_flat(&answer, 400, "invalid_scope");
        }
        let all = world.ask(&world.orders, &world.token, &[("audience", PUBLIC_URL)]).await;
        assert_eq!(all.assert_status(200).text_at("scope"), "openid read");
        world.app.advance(Duration::from_secs(3_000));
        let late = world.ask(&world.orders, &world.token, &[("audience", PUBLIC_URL)]).await;
        assert_eq!(late.assert_status(200).field("expires_in"), &json!(600));
        let token = late.text_at("access_token");
        let change = world.app.post("/api/v1/auth/me/email/request").bearer(&token).json(&json!({ "new_email": "eve@example.com" }));
        assert_eq!(change.send().await.status, 403);
    }

    // What a person allowed the shop to be told besides its scopes, they did not allow an API that the shop calls.
    async fn single_claims_of_an_application_are_not_told_to_an_api_that_exchanged_its_token(engine: Engine) {
        let world = World::new(engine).await;
        let orders = described_with(json!({ "name": "Curious", "scopes": ["openid", "email"] }));
        let orders = register(&world.app, &world.ada, &orders).await;
        assert!(allow(&world.app, &orders, &[ORDERS], &[PUBLIC_URL]).await);
        let asked = json!({ "userinfo": { "email": null } }).to_string();
        let told = async |api: &str| {
            let fields = [("resource", api), ("scope", "openid"), ("claims", asked.as_str())];
            let code = code_for(&world.app, &world.ada, &parameters_with(&world.shop, &fields)).await;
            exchange(&world.app, &world.shop, &code).await.assert_status(200).text_at("access_token")
        };
        let userinfo = async |token: &str| {
            let answer = world.app.get("/oauth/userinfo").bearer(token).send().await;
            answer.assert_status(200).body.clone()
        };
        assert_eq!(userinfo(&told(PUBLIC_URL).await).await["email"], ADA, "the shop is told");
        let exchanged = world.ask(&orders, &told(ORDERS).await, &[("audience", PUBLIC_URL)]).await;
        let token = exchanged.assert_status(200).text_at("access_token");
        let said = userinfo(&token).await;
        assert_eq!(said, json!({ "sub": claims(&token)["sub"] }));
    }

    async fn an_exchanged_token_ends_with_the_persons_session(engine: Engine) {
        let world = World::new(engine).await;
        let token = world.exchanged(PUBLIC_URL).await;
        assert_eq!(me(&world.app, &token).await, 200);
        let revoked = world.app.post("/oauth/token/revoke").form(&form(&[("token", &world.token)])).send().await;
        revoked.assert_status(200);
        assert_eq!(me(&world.app, &token).await, 401);
        assert!(!world.is_active(&world.orders, &token).await);
    }

    async fn an_exchanged_token_ends_with_the_application_that_exchanged_it(engine: Engine) {
        let world = World::new(engine).await;
        let token = world.exchanged(PUBLIC_URL).await;
        let before = World::token_of(&world.app, &world.ada, &world.shop, PUBLIC_URL).await;
        let path = applications(organization(&world.app, &world.ada).await);
        let path = format!("{path}/{}/revoke", world.orders.number);
        as_person(&world.app, Method::POST, &path, &world.ada).send().await.assert_status(200);
        assert_eq!(me(&world.app, &token).await, 401);
        assert_eq!(me(&world.app, &before).await, 200, "the person's other tokens live");
    }

    async fn whoever_is_called_with_an_exchanged_token_cannot_end_the_persons_session(engine: Engine) {
        let world = World::new(engine).await;
        let token = world.exchanged(PUBLIC_URL).await;
        world.app.post("/oauth/token/revoke").form(&form(&[("token", &token)])).send().await.assert_status(200);
        assert_eq!(me(&world.app, &token).await, 200);
    }

    async fn who_acts_stays_visible_and_so_many_act_at_most(engine: Engine) {
        let world = World::new(engine).await;
        let stock = register(&world.app, &world.ada, &described_with(json!({ "name": "Stock", "scopes": ["read"] }))).await;
        assert!(allow(&world.app, &stock, &[STOCK], &[ORDERS]).await);
        let mut token = world.token.clone();
        let mut act: Vec<Value> = Vec::new();
        for number in 0..4 {
            let (client, api) = if number % 2 == 0 { (&world.orders, STOCK) } else { (&stock, ORDERS) };
            let answer = world.ask(client, &token, &[("audience", api), ("scope", "read")]).await;
            token = answer.assert_status(200).text_at("access_token");
            let said = claims(&token)["act"].clone();
            assert_eq!(said["sub"], json!(client.client_id));
            assert_eq!(said.get("act"), act.last(), "who acted before is not forgotten");
            act.push(said);
        }
        assert_flat(&world.ask(&world.orders, &token, &[("audience", STOCK)]).await, 400, "invalid_request");
        // One of them is taken out of use: what passed through it is dead.
        let call = Call::from_cli(world.app.kernel().settings().contracts.of_installation());
        let id = tidegate_domain::id::ApplicationId(world.orders.client_id.parse().unwrap());
        assert!(world.is_active(&stock, &token).await);
        assert!(world.app.oauth().suspend_application(&call, id).await.is_ok());
        assert!(!world.is_active(&stock, &token).await);
    }

    async fn an_actor_token_is_the_applications_own(engine: Engine) {
        let world = World::new(engine).await;
        let own = async |client: &App| {
            let answer = token_request(&world.app, client, &[("grant_type", "client_credentials"), ("scope", "read")]).send().await;
            answer.assert_status(200).text_at("access_token")
        };
        let (mine, foreign) = (own(&world.orders).await, own(&world.shop).await);
        let with = |token: &str| [("audience", STOCK), ("actor_token", token), ("actor_token_type", ACCESS)].map(|(name, value)| (name, value.to_owned()));
        let ask = async |fields: Vec<(&str, String)>| {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.ask(&world.orders, &world.token, &fields).await
        };
        let answer = ask(with(&mine).to_vec()).await;
        assert_eq!(claims(&answer.assert_status(200).text_at("access_token"))["act"]["sub"], json!(world.orders.client_id));
        // A person's is none, whichever application got it.
        let asked = parameters_with(&world.orders, &[("scope", "openid read")]);
        let code = code_for(&world.app, &world.ada, &asked).await;
        let persons = exchange(&world.app, &world.orders, &code).await.assert_status(200).text_at("access_token");
        for token in [foreign.as_str(), &world.ada.access_token, &world.token, &persons, "x"] {
            assert_flat(&ask(with(token).to_vec()).await, 400, "invalid_request");
        }
        for fields in [
            vec![("audience", STOCK.to_owned()), ("actor_token", mine.clone())],
            vec![("audience", STOCK.to_owned()), ("actor_token_type", ACCESS.to_owned())],
            vec![("audience", STOCK.to_owned()), ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token".to_owned())],
        ] {
            assert_flat(&ask(fields).await, 400, "invalid_request");
        }
        let other = [("grant_type", GRANT), ("subject_token", world.token.as_str()), ("audience", STOCK),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")];
        assert_flat(&token_request(&world.app, &world.orders, &other).send().await, 400, "invalid_request");
    }
}
