//! What the stories share.

use std::collections::BTreeMap;

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tidegate_crypto::oauth::pkce_challenge;
use tidegate_testkit::{Answer, Client, Person, Request, TestApp};
use url::Url;
use url::form_urlencoded::Serializer;

pub(super) const ADA: &str = "ada@example.com";
/// Where the application of the stories wants people back.
pub(super) const CALLBACK: &str = "https://shop.example.com/callback";
/// A verifier of the shortest length.
pub(super) const VERIFIER: &str = "a-verifier-of-forty-three-characters-1234567";

/// An application, with its secret if it has one.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(super) number: i64,
    pub(crate) client_id: String,
    pub(crate) secret: Option<String>,
}

/// The number of the organization that a person is signed in to.
pub(super) async fn organization(app: &TestApp, who: &Person) -> i64 {
    let me = app.get("/api/v1/auth/me").bearer(&who.access_token).send().await;
    me.assert_status(200).field("data.organizations.0.id").as_i64().unwrap()
}

/// The path of an organization's applications.
pub(super) fn applications(organization: i64) -> String {
    format!("/api/v1/organizations/{organization}/oauth-applications")
}

/// What describes the usual application.
pub(crate) fn described() -> Value {
    json!({
        "name": "Shop",
        "description": "Sells things.",
        "grant_types": ["authorization_code", "client_credentials"],
        "redirect_uris": [CALLBACK, "http://127.0.0.1/callback"],
        "scopes": ["openid", "profile", "email", "read"],
    })
}

/// The same with other fields.
pub(super) fn described_with(fields: Value) -> Value {
    let mut body = described();
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A request of somebody signed in.
pub(super) fn as_person(app: &TestApp, method: Method, path: &str, who: &Person) -> Request {
    app.client().request(method, path).bearer(&who.access_token)
}

/// Registers an application.
pub(crate) async fn register(app: &TestApp, who: &Person, body: &Value) -> App {
    let path = applications(organization(app, who).await);
    let answer = as_person(app, Method::POST, &path, who).json(body).send().await;
    answer.assert_status(201);
    App {
        number: answer.field("data.id").as_i64().unwrap(),
        client_id: answer.text_at("data.client_id"),
        secret: answer.field("data.client_secret").as_str().map(str::to_owned),
    }
}

/// Registers a public client.
pub(super) async fn register_public(app: &TestApp, who: &Person) -> App {
    let body = described_with(json!({
        "name": "Shop for phones", "grant_types": ["authorization_code"], "token_endpoint_auth_method": "none",
        "redirect_uris": [CALLBACK, "http://127.0.0.1/callback", "com.example.shop:/callback"],
    }));
    register(app, who, &body).await
}

/// Fields of a query or a form.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The parameters of a usual authorization request.
pub(crate) fn parameters(client: &App) -> BTreeMap<String, String> {
    [
        ("response_type", "code"),
        ("client_id", &client.client_id),
        ("redirect_uri", CALLBACK),
        ("scope", "openid email read"),
        ("state", "some state"),
        ("nonce", "some nonce"),
        ("code_challenge", &pkce_challenge(VERIFIER)),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// The same with others in their place; without those that are empty.
pub(super) fn parameters_with(client: &App, changed: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = parameters(client);
    for (name, value) in changed {
        all.insert((*name).to_owned(), (*value).to_owned());
    }
    all.retain(|_, value| !value.is_empty());
    all
}

/// Asks for access with these parameters.
pub(crate) async fn authorize(app: &TestApp, token: &str, parameters: &BTreeMap<String, String>) -> Answer {
    let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
    app.get(&format!("/oauth/authorize?{query}")).bearer(token).send().await
}

/// Gives access with these parameters, as a client says that asked the person.
pub(super) async fn approve(app: &TestApp, token: &str, parameters: &BTreeMap<String, String>) -> Answer {
    let form =
        Serializer::new(String::new()).extend_pairs(parameters).append_pair("approve", "true").finish();
    app.post("/oauth/authorize").bearer(token).form(&form).send().await
}

/// What an answer sends back to the application.
#[track_caller]
pub(crate) fn sent_back(answer: &Answer) -> BTreeMap<String, String> {
    answer.assert_status(302);
    let location = Url::parse(answer.header("location")).unwrap();
    assert!(answer.header("location").starts_with(CALLBACK), "{location}");
    location.query_pairs().into_owned().collect()
}

/// A code for the usual request.
pub(super) async fn code(app: &TestApp, who: &Person, client: &App) -> String {
    code_for(app, who, &parameters(client)).await
}

/// A code for these parameters.
pub(super) async fn code_for(app: &TestApp, who: &Person, parameters: &BTreeMap<String, String>) -> String {
    let answer = approve(app, &who.access_token, parameters).await;
    sent_back(&answer).remove("code").unwrap_or_else(|| panic!("{}", answer.header("location")))
}

/// A request to the token endpoint, by an application that proves who it is in the body.
pub(crate) fn token_request(app: &TestApp, client: &App, fields: &[(&str, &str)]) -> Request {
    token_request_at(&app.client(), client, fields)
}

/// The same at any node.
pub(super) fn token_request_at(node: &Client, client: &App, fields: &[(&str, &str)]) -> Request {
    let mut all = vec![("client_id", client.client_id.as_str())];
    all.extend(client.secret.as_deref().map(|secret| ("client_secret", secret)));
    all.extend_from_slice(fields);
    node.post("/oauth/token").form(&form(&all))
}

/// The header by which an application proves who it is.
pub(super) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

/// Exchanges a code.
pub(super) async fn exchange(app: &TestApp, client: &App, code: &str) -> Answer {
    exchange_request(app, client, code).send().await
}

/// A request to do so.
pub(crate) fn exchange_request(app: &TestApp, client: &App, code: &str) -> Request {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    token_request(app, client, &fields)
}

/// Refreshes.
pub(super) async fn refresh(app: &TestApp, client: &App, token: &str) -> Answer {
    token_request(app, client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).send().await
}

/// Signs a person in to an application: the whole way.
pub(super) async fn sign_in(app: &TestApp, who: &Person, client: &App) -> Answer {
    let code = code(app, who, client).await;
    let answer = exchange(app, client, &code).await;
    answer.assert_status(200);
    answer
}

/// What a JWT says.
pub(super) fn claims(token: &str) -> Value {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// That it is a flat error of that status and code, which nobody may store, with a text that says what to do.
#[track_caller]
pub(super) fn assert_flat(answer: &Answer, status: u16, code: &str) {
    let found = answer.field("error").as_str().unwrap_or_default();
    assert_eq!((answer.status, found), (status, code), "{}", answer.text);
    assert!(!answer.text_at("error_description").is_empty());
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("location"), "", "nobody is sent anywhere");
}

/// Whether a token is accepted where a person reads their account.
pub(super) async fn me(app: &TestApp, token: &str) -> u16 {
    app.get("/api/v1/auth/me").bearer(token).send().await.status
}

/// The kinds of audit events, oldest first, that begin so.
pub(super) async fn audited(app: &TestApp, prefix: &str) -> Vec<String> {
    let query = format!("select action from audit_events where action like '{prefix}%' order by number");
    app.database.sql_texts(&query).await
}

/// The path of the applications of a person's organization.
pub(crate) async fn applications_of(app: &TestApp, who: &Person) -> String {
    applications(organization(app, who).await)
}

/// A person signs in to an application, which refreshes and acts in its own name; also all that must not be found anywhere.
pub(crate) async fn round_trip(app: &TestApp, email: &str) -> (App, Person, Vec<String>) {
    let ada = app.sign_up_rivergen_verified(email).await;
    let client = register(app, &ada, &described()).await;
    let once = code(app, &ada, &client).await;
    let tokens = exchange(app, &client, &once).await;
    let next = refresh(app, &client, &tokens.assert_status(200).text_at("refresh_token")).await;
    let own = token_request(app, &client, &[("grant_type", "client_credentials")]).send().await;
    let mut passed = vec![client.secret.clone().unwrap(), once, VERIFIER.to_owned()];
    passed.extend(["access_token", "refresh_token", "id_token"].map(|name| tokens.text_at(name)));
    passed.extend(["access_token", "refresh_token", "id_token"].map(|name| next.text_at(name)));
    passed.push(own.text_at("access_token"));
    (client, ada, passed)
}

/// Secrets where they do not belong: as every field of every endpoint.
pub(crate) async fn misplaced(app: &TestApp, who: &Person, client: &App, secrets: &[String]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for secret in secrets {
        let all: Vec<(&str, &str)> = [
            "token",
            "token_type_hint",
            "client_id",
            "grant_type",
            "code",
            "redirect_uri",
            "code_verifier",
            "scope",
            "resource",
            "refresh_token",
        ]
        .map(|name| (name, secret.as_str()))
        .into();
        for path in ["/oauth/token", "/oauth/token/revoke", "/oauth/introspect"] {
            answers.push(app.post(path).form(&form(&all)).send().await);
        }
        for name in ["scope", "redirect_uri", "client_id", "response_type", "prompt", "code_challenge"] {
            let mut answer =
                authorize(app, &who.access_token, &parameters_with(client, &[(name, secret)])).await;
            answer.text += answer.header("location").to_owned().as_str();
            answers.push(answer);
        }
        let body =
            described_with(json!({ "scopes": [secret], "redirect_uris": [secret], "grant_types": [secret] }));
        let path = applications_of(app, who).await;
        answers.push(as_person(app, Method::POST, &path, who).json(&body).send().await);
    }
    answers
}
