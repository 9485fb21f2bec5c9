//! Every kind of token and code that the provider makes, at every route of every contract.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_domain::id::ApplicationId;
use tidegate_domain::{RegistrationMode, Scope, Scopes};
use tidegate_kernel::Settings;
use tidegate_oauth::applications::RulesChange;
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::devices;
use super::dpop::Holder;
use super::signing::operator;
use super::wire::{
    ADA, App, CALLBACK, VERIFIER, as_person, code, code_for, described_with, exchange, form, organization,
    parameters, parameters_with, register, register_public, sign_in, token_request,
};
use crate::forge::reworded;
use crate::routes::{Route, assert_refused_everywhere, with_bearer};

const ORDERS: &str = "https://orders.example.com";
const STOCK: &str = "https://stock.example.com";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
/// A session of another contract is refused there, and a token of a person's own making is not: the matrix of personal access tokens has
/// it under review.
const LOGIN_BY_TOKEN: &str = "POST /v1/login/jwt";

/// One of everything that is no access token for this installation, each by its name.
pub(crate) struct Made {
    pub(crate) app: TestApp,
    pub(crate) ada: Person,
    pub(crate) all: Vec<(&'static str, String)>,
}

impl Made {
    /// With APIs besides this installation, and with applications that register themselves.
    pub(crate) async fn new(engine: Engine) -> Self {
        let settings = |settings: &mut Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.resources = vec![ORDERS.to_owned(), STOCK.to_owned()];
            rules.registration.mode = RegistrationMode::Open;
            rules.registration.organization = Some(1);
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(settings).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let mut made = Self { app, ada, all: Vec::new() };
        let shop = register(&made.app, &made.ada, &described_with(json!({}))).await;
        made.of_a_sign_in(&shop).await;
        made.for_other_apis(&shop).await;
        made.of_devices_and_requests(&shop).await;
        made.of_registrations().await;
        made
    }

    fn add(&mut self, kind: &'static str, text: String) {
        assert!(text.len() >= 8, "{kind} is too short to be found: {text}");
        self.all.push((kind, text));
    }

    async fn of_a_sign_in(&mut self, shop: &App) {
        let unused = code(&self.app, &self.ada, shop).await;
        let tokens = sign_in(&self.app, &self.ada, shop).await;
        self.add("a client secret", shop.secret.clone().unwrap());
        self.add("an authorization code", unused);
        self.add("a verifier", VERIFIER.to_owned());
        self.add("a refresh token", tokens.text_at("refresh_token"));
        self.add("an ID token", tokens.text_at("id_token"));
        let public = register_public(&self.app, &self.ada).await;
        let holder = Holder::new(9);
        let bound = code(&self.app, &self.ada, &public).await;
        let bound = holder.exchange(&self.app, &public, &bound).await;
        self.add(
            "a token that is bound to a key, without its proof",
            bound.assert_status(200).text_at("access_token"),
        );
        self.add("a refresh token that is bound to a key", bound.text_at("refresh_token"));
    }

    async fn for_other_apis(&mut self, shop: &App) {
        let code = code_for(&self.app, &self.ada, &parameters_with(shop, &[("resource", ORDERS)])).await;
        let token = exchange(&self.app, shop, &code).await.assert_status(200).text_at("access_token");
        let own = [("grant_type", "client_credentials"), ("resource", ORDERS)];
        let own =
            token_request(&self.app, shop, &own).send().await.assert_status(200).text_at("access_token");
        let orders = register(&self.app, &self.ada, &described_with(json!({ "name": "Orders" }))).await;
        let change = RulesChange {
            exchange_from: Some(vec![ORDERS.to_owned()]),
            exchange_to: Some(vec![STOCK.to_owned()]),
            ..RulesChange::default()
        };
        let id = ApplicationId(orders.client_id.parse().unwrap());
        assert!(self.app.oauth().set_application_rules(&operator(&self.app), id, change).await.is_ok());
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", token.as_str()),
            ("subject_token_type", ACCESS),
            ("audience", STOCK),
        ];
        let exchanged = token_request(&self.app, &orders, &fields).send().await;
        self.add("an exchanged token for another API", exchanged.assert_status(200).text_at("access_token"));
        self.add("a token for another API", token);
        self.add("an application's own token for another API", own);
    }

    async fn of_devices_and_requests(&mut self, shop: &App) {
        let television = register(&self.app, &self.ada, &devices::television()).await;
        let asked = devices::ask(&self.app, &television, &[]).await;
        self.add("a device code", asked.assert_status(200).text_at("device_code"));
        self.add("a user code", asked.text_at("user_code"));
        let mut fields = parameters(shop);
        fields.insert("client_secret".to_owned(), shop.secret.clone().unwrap());
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let pushed = self.app.post("/oauth/par").form(&form(&fields)).send().await;
        self.add("a request that was pushed", pushed.assert_status(201).text_at("request_uri"));
    }

    async fn of_registrations(&mut self) {
        let body = json!({ "client_name": "Itself", "redirect_uris": [CALLBACK] });
        let registered = self.app.post("/oauth/register").json(&body).send().await;
        let token = registered.assert_status(201).text_at("registration_access_token");
        self.add("a registration access token", token);
        self.add("the secret of one that registered itself", registered.text_at("client_secret"));
        let number = organization(&self.app, &self.ada).await;
        let home = self.app.oauth().organization_numbered(number).await.unwrap().unwrap();
        let hour = Duration::from_secs(3_600);
        let initial = self.app.oauth().create_initial_token(&operator(&self.app), home, 2, hour).await;
        self.add("an initial access token", initial.unwrap().1.expose().to_owned());
    }
}

/// Tokens of one scope: of a session, of an application, of the person's own making, and of their organization.
async fn of_scope(app: &TestApp, ada: &Person, client: &App, scope: &str) -> [(&'static str, String); 4] {
    let limited = reworded(app, &ada.access_token, |claims| claims.scope = Scopes::from_stored(scope)).await;
    let code = code_for(app, ada, &parameters_with(client, &[("scope", scope)])).await;
    let applications = exchange(app, client, &code).await.assert_status(200).text_at("access_token");
    let number = organization(app, ada).await;
    let body = json!({ "name": scope, "scopes": [scope] });
    let made = async |path: &str| {
        let answer = as_person(app, Method::POST, path, ada).json(&body).send().await;
        answer.assert_status(201).text_at("data.token")
    };
    let own = made("/api/v1/auth/tokens").await;
    let organizations = made(&format!("/api/v1/organizations/{number}/tokens")).await;
    [
        ("a session", limited),
        ("an application", applications),
        ("a personal token", own),
        ("an organization's token", organizations),
    ]
}

on_both_engines! {
    /// RFC 9700 sections 4.9 and 4.10: what is for something else opens nothing, whichever contract is asked.
    async fn what_is_no_access_token_opens_no_route_of_any_contract(engine: Engine) {
        let made = Made::new(engine).await;
        assert_eq!(made.all.len(), 16);
        for (kind, text) in &made.all {
            assert_refused_everywhere(&made.app, text, Route::invalid_token, kind).await;
        }
    }

    /// What an application does in its own name, and what it knows of a person, reaches nothing of an account in any contract.
    async fn a_token_in_an_applications_own_name_and_one_that_only_identifies_reach_no_route(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let scopes: Vec<&str> = Scope::known().collect();
        let client = register(&app, &ada, &described_with(json!({ "scopes": scopes }))).await;
        let own = token_request(&app, &client, &[("grant_type", "client_credentials")]).send().await;
        let own = own.assert_status(200).text_at("access_token");
        assert_refused_everywhere(&app, &own, Route::forbidden, "an application's own token").await;
        let identifying = parameters_with(&client, &[("scope", "openid profile email phone offline_access")]);
        let code = code_for(&app, &ada, &identifying).await;
        let identifying = exchange(&app, &client, &code).await.assert_status(200).text_at("access_token");
        assert_refused_everywhere(&app, &identifying, Route::forbidden, "a token that only identifies").await;
    }

    /// Scopes and kinds of tokens, at every route of every contract: none reaches more than its scope lets the session that made it.
    async fn no_kind_of_token_reaches_more_than_its_scope_in_any_contract(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let scopes: Vec<&str> = Scope::of_tokens().collect();
        let client = register(&app, &ada, &described_with(json!({ "scopes": scopes }))).await;
        let is_refused = |status: u16| [401, 403].contains(&status);
        let mut reached = [0; 4];
        for scope in scopes {
            let tokens = of_scope(&app, &ada, &client, scope).await;
            for route in with_bearer().into_iter().filter(|route| route.name() != LOGIN_BY_TOKEN) {
                let mut session = 0;
                for (place, (kind, token)) in tokens.iter().enumerate() {
                    let status = route.request(&app.client()).bearer(token).send().await.status;
                    if place == 0 {
                        session = status;
                    }
                    let story = format!("{kind} of {scope}: {} {status}, a session {session}", route.name());
                    assert!(is_refused(status) || !is_refused(session), "{story}");
                    reached[place] += usize::from(!is_refused(status));
                }
            }
        }
        assert!(reached.iter().all(|routes| *routes > 5), "each reaches something: {reached:?}");
    }
}
