//! `openidconnect` and `oauth2` of crates.io walk the flows that they know: `rust-clients SETTINGS`, SETTINGS as `settings.mjs` has
//! them. Neither pushes requests nor binds tokens to a key.

mod person;
mod wire;

use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AuthType, ConfigurationError, DeviceAuthorizationUrl, DeviceCodeErrorResponseType, IntrospectionUrl,
    RequestTokenError, RevocationUrl, StandardDeviceAuthorizationResponse, StandardRevocableToken,
    TokenIntrospectionResponse, TokenResponse,
};
use openidconnect::core::{CoreClient, CoreGenderClaim, CoreProviderMetadata, CoreResponseType};
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyAdditionalClaims,
    IssuerUrl, Nonce, PkceCodeChallenge, RedirectUrl, Scope, TokenUrl, UserInfoClaims,
};
use serde_json::Value;

use crate::person::{Browser, approved};
use crate::wire::{Wire, send, send_on};

/// Where the crates revoke. They insist on `https` there, and the program serves HTTP behind a proxy that ends TLS.
const REVOKE: &str = "/oauth/token/revoke";

type UserInfo = UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim>;

/// The issuer, a client with a secret and one without, and a person who signed in.
struct Settings(Value);

impl Settings {
    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text("/issuer"))
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.text("/confidential/id").to_owned())
    }

    fn client_secret(&self) -> ClientSecret {
        ClientSecret::new(self.text("/confidential/secret").to_owned())
    }

    /// The address that the crates are given.
    fn revocation_url(&self) -> RevocationUrl {
        RevocationUrl::new(self.at(REVOKE).replacen("http:", "https:", 1)).unwrap()
    }
}

fn main() {
    let settings = std::env::args().nth(1).expect("usage: rust-clients SETTINGS");
    if settings == "--version" {
        println!("rust-clients {}", env!("CARGO_PKG_VERSION"));
        return;
    }
    let settings = Settings(serde_json::from_str(&settings).expect("SETTINGS are JSON"));
    let wire = wire::open();
    openidconnect_signs_in(&wire, &settings);
    oauth2_asks_as_itself(&wire, &settings);
    oauth2_connects_a_device(&wire, &settings);
}

fn openidconnect_signs_in(wire: &Wire, settings: &Settings) {
    let sender = |request| send(wire, request);
    let proxied = |request| send_on(wire, request);
    let issuer = IssuerUrl::new(settings.text("/issuer").to_owned()).unwrap();
    let metadata = CoreProviderMetadata::discover(&issuer, &sender).unwrap();
    let client =
        CoreClient::from_provider_metadata(metadata, settings.client_id(), Some(settings.client_secret()))
            .set_redirect_uri(RedirectUrl::new(settings.text("/redirectUri").to_owned()).unwrap())
            .set_introspection_url(IntrospectionUrl::new(settings.at("/oauth/introspect")).unwrap())
            .set_revocation_url(settings.revocation_url());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scopes(["email", "offline_access"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    let (code, returned) = approved(wire, &url, settings.text("/person/token"));
    assert_eq!(&returned, state.secret());
    let request = client.exchange_code(AuthorizationCode::new(code)).unwrap();
    let tokens = request.set_pkce_verifier(verifier).request(&sender).unwrap();
    let id_token = tokens.extra_fields().id_token().unwrap();
    let claims = id_token.claims(&client.id_token_verifier(), &nonce).unwrap();
    let request = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).unwrap();
    let userinfo: UserInfo = request.request(&sender).unwrap();
    assert_eq!(userinfo.email().unwrap().as_str(), settings.text("/person/email"));
    let known = client.introspect(tokens.access_token()).request(&sender).unwrap();
    assert!(known.active());
    assert_eq!(known.sub().unwrap(), claims.subject().as_str());
    let request = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap();
    let refreshed = request.request(&sender).unwrap();
    let newest = refreshed.refresh_token().unwrap();
    assert_ne!(newest.secret(), tokens.refresh_token().unwrap().secret());
    // The refresh token is given up: it refreshes nothing any more, and neither token tells anything.
    let request = client.revoke_token(StandardRevocableToken::from(newest)).unwrap();
    request.request(&proxied).unwrap();
    let request = client.exchange_refresh_token(newest).unwrap();
    match request.request(&sender) {
        Err(RequestTokenError::ServerResponse(refused)) => {
            assert_eq!(refused.error(), &BasicErrorResponseType::InvalidGrant);
        }
        other => panic!("{other:?}"),
    }
    let request = client.user_info(refreshed.access_token().clone(), None).unwrap();
    let told: Result<UserInfo, _> = request.request(&sender);
    assert!(told.is_err());
}

fn oauth2_asks_as_itself(wire: &Wire, settings: &Settings) {
    let sender = |request| send(wire, request);
    let proxied = |request| send_on(wire, request);
    let client = BasicClient::new(settings.client_id())
        .set_client_secret(settings.client_secret())
        .set_token_uri(TokenUrl::new(settings.at("/oauth/token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(settings.at("/oauth/introspect")).unwrap())
        .set_revocation_url(settings.revocation_url());
    let request = client.exchange_client_credentials().add_scope(Scope::new("read".to_owned()));
    let token = request.request(&sender).unwrap();
    let known = client.introspect(token.access_token()).request(&sender).unwrap();
    assert!(known.active());
    assert_eq!(known.client_id().unwrap(), &settings.client_id());
    let request = client.revoke_token(StandardRevocableToken::from(token.access_token())).unwrap();
    request.request(&proxied).unwrap();
    let known = client.introspect(token.access_token()).request(&sender).unwrap();
    assert!(!known.active());
    // The crate sends nothing to an address without TLS.
    let plain = client.set_revocation_url(RevocationUrl::new(settings.at(REVOKE)).unwrap());
    let refused = plain.revoke_token(StandardRevocableToken::from(token.access_token()));
    assert!(matches!(refused, Err(ConfigurationError::InsecureUrl(_))));
}

fn oauth2_connects_a_device(wire: &Wire, settings: &Settings) {
    let sender = |request| send(wire, request);
    let client = BasicClient::new(ClientId::new(settings.text("/publicClient/id").to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::new(settings.at("/oauth/token")).unwrap())
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(settings.at("/oauth/device_authorization")).unwrap(),
        );
    let request = client.exchange_device_code().add_scope(Scope::new("read".to_owned()));
    let asked: StandardDeviceAuthorizationResponse = request.request(&sender).unwrap();
    let mut browser = Browser::at(wire, settings.text("/issuer"));
    let page = browser.visit(asked.verification_uri());
    let person = [("login", settings.text("/person/email")), ("password", settings.text("/person/password"))];
    let page = browser.submit(&page, "/sign-in", &person);
    let page = browser.submit(&page, "/device", &[("user_code", asked.user_code().secret())]);
    let done = browser.submit(&page, "/device", &[("choice", "allow")]);
    assert!(done.contains("Device connected"), "{done}");
    let poll = client.exchange_device_access_token(&asked);
    let token = poll.request(&sender, std::thread::sleep, None).unwrap();
    assert!(token.refresh_token().is_some());
    let again = client.exchange_device_access_token(&asked);
    match again.request(&sender, std::thread::sleep, None) {
        Err(RequestTokenError::ServerResponse(refused)) => {
            let expected = DeviceCodeErrorResponseType::Basic(BasicErrorResponseType::InvalidGrant);
            assert_eq!(refused.error(), &expected);
        }
        other => panic!("{other:?}"),
    }
}
