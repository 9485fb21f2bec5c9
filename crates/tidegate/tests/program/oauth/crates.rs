//! `openidconnect` and `oauth2` of crates.io.

use std::cell::RefCell;
use std::collections::BTreeMap;

use oauth2::basic::BasicClient;
use oauth2::{
    ConfigurationError, DeviceAuthorizationUrl, DeviceCodeErrorResponseType, IntrospectionUrl,
    RequestTokenError, RevocationUrl, StandardDeviceAuthorizationResponse, StandardRevocableToken,
    TokenIntrospectionResponse, TokenResponse as _,
};
use openidconnect::core::{CoreClient, CoreGenderClaim, CoreProviderMetadata, CoreResponseType};
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EmptyAdditionalClaims,
    HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, RedirectUrl, Scope, TokenUrl,
    UserInfoClaims,
};
use url::Url;

use super::{REDIRECT_URI, Settings};

/// Sends what the crates make, with the client of the other tests.
async fn send(http: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let mut answer = http.execute(request.try_into()?).await?;
    let mut response = HttpResponse::new(Vec::new());
    *response.status_mut() = answer.status();
    std::mem::swap(response.headers_mut(), answer.headers_mut());
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

/// Where the crates revoke. They insist on `https` there, and the program serves HTTP behind a proxy that ends TLS.
const REVOKE: &str = "/oauth/token/revoke";

/// The address that the crates are given.
fn revocation_url(settings: &Settings) -> RevocationUrl {
    let issuer = settings.text("/issuer").replacen("http:", "https:", 1);
    RevocationUrl::new(format!("{issuer}{REVOKE}")).unwrap()
}

/// Sends what a crate made for `https` as the proxy would send it on: everything but the scheme is as it was.
async fn send_on(http: &reqwest::Client, mut request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let address = request.uri().to_string();
    let rest = address.strip_prefix("https:").expect("revocation asks for https");
    *request.uri_mut() = format!("http:{rest}").parse().unwrap();
    send(http, request).await
}

/// The person signs in and agrees: code and state that the browser brings.
async fn approved(url: &Url, token: &str) -> (String, String) {
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = format!("{}&approve=true", url.query().unwrap());
    let request = browser.post(url[..url::Position::AfterPath].to_owned()).bearer_auth(token);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 302);
    let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
    let field = |name: &str| location.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    (field("code"), field("state"))
}

pub(super) async fn openidconnect_signs_in(http: &reqwest::Client, settings: &Settings) {
    let sender = |request| send(http, request);
    let proxied = |request| send_on(http, request);
    let issuer = IssuerUrl::new(settings.text("/issuer").to_owned()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &sender).await.unwrap();
    let client = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(settings.text("/confidential/id").to_owned()),
        Some(ClientSecret::new(settings.text("/confidential/secret").to_owned())),
    )
    .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).unwrap())
    .set_revocation_url(revocation_url(settings));
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
    let (code, returned) = approved(&url, settings.text("/person/token")).await;
    assert_eq!(&returned, state.secret());
    let request = client.exchange_code(AuthorizationCode::new(code)).unwrap();
    let tokens = request.set_pkce_verifier(verifier).request_async(&sender).await.unwrap();
    let id_token = tokens.extra_fields().id_token().unwrap();
    let claims = id_token.claims(&client.id_token_verifier(), &nonce).unwrap();
    let request = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())).unwrap();
    let userinfo: UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim> =
        request.request_async(&sender).await.unwrap();
    assert_eq!(userinfo.email().unwrap().as_str(), settings.text("/person/email"));
    let request = client.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap();
    let refreshed = request.request_async(&sender).await.unwrap();
    let newest = refreshed.refresh_token().unwrap();
    assert_ne!(newest.secret(), tokens.refresh_token().unwrap().secret());
    // The refresh token is given up: it refreshes nothing any more, and neither token tells anything.
    let request = client.revoke_token(StandardRevocableToken::from(newest)).unwrap();
    request.request_async(&proxied).await.unwrap();
    let request = client.exchange_refresh_token(newest).unwrap();
    match request.request_async(&sender).await {
        Err(RequestTokenError::ServerResponse(refused)) => {
            assert_eq!(refused.error(), &oauth2::basic::BasicErrorResponseType::InvalidGrant);
        }
        other => panic!("{other:?}"),
    }
    let request = client.user_info(refreshed.access_token().clone(), None).unwrap();
    let told: Result<UserInfoClaims<EmptyAdditionalClaims, CoreGenderClaim>, _> =
        request.request_async(&sender).await;
    assert!(told.is_err());
}

pub(super) async fn oauth2_asks_as_itself(http: &reqwest::Client, settings: &Settings) {
    let sender = |request| send(http, request);
    let proxied = |request| send_on(http, request);
    let at = |path: &str| format!("{}{path}", settings.text("/issuer"));
    let client = BasicClient::new(ClientId::new(settings.text("/confidential/id").to_owned()))
        .set_client_secret(ClientSecret::new(settings.text("/confidential/secret").to_owned()))
        .set_token_uri(TokenUrl::new(at("/oauth/token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(at("/oauth/introspect")).unwrap())
        .set_revocation_url(revocation_url(settings));
    let request = client.exchange_client_credentials().add_scope(Scope::new("read".to_owned()));
    let token = request.request_async(&sender).await.unwrap();
    let known = client.introspect(token.access_token()).request_async(&sender).await.unwrap();
    assert!(known.active());
    assert_eq!(known.client_id().unwrap().as_str(), settings.text("/confidential/id"));
    let request = client.revoke_token(StandardRevocableToken::from(token.access_token())).unwrap();
    request.request_async(&proxied).await.unwrap();
    let known = client.introspect(token.access_token()).request_async(&sender).await.unwrap();
    assert!(!known.active());
    // The crate sends nothing to an address without TLS.
    let plain = client.set_revocation_url(RevocationUrl::new(at(REVOKE)).unwrap());
    let refused = plain.revoke_token(StandardRevocableToken::from(token.access_token()));
    assert!(matches!(refused, Err(ConfigurationError::InsecureUrl(_))));
}

/// A browser of the person, which keeps cookies and goes where it is sent.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl Browser {
    fn at(base: &str) -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, base: base.to_owned(), cookies: RefCell::default() }
    }

    async fn page(&self, mut request: reqwest::RequestBuilder) -> String {
        loop {
            let pairs: Vec<String> =
                self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
            let sent = request.header("accept", "text/html").header("cookie", pairs.join("; ")).send();
            let answer = sent.await.unwrap();
            for line in answer.headers().get_all("set-cookie") {
                let pair = line.to_str().unwrap().split(';').next().unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
            let Some(to) = answer.headers().get("location") else {
                assert_eq!(answer.status(), 200);
                return answer.text().await.unwrap();
            };
            request = self.http.get(format!("{}{}", self.base, to.to_str().unwrap()));
        }
    }

    /// Sends the first form of a page that goes to `action`, with what is typed.
    async fn submit(&self, page: &str, action: &str, typed: &[(&str, &str)]) -> String {
        let form =
            page.split_once(&format!("action=\"{action}\"")).unwrap().1.split_once("</form>").unwrap().0;
        let mut fields = url::form_urlencoded::Serializer::new(String::new());
        for field in form.split("<input type=\"hidden\" name=\"").skip(1) {
            let (name, rest) = field.split_once('"').unwrap();
            let value = rest.split_once("value=\"").unwrap().1.split_once('"').unwrap().0;
            if !typed.iter().any(|(known, _)| *known == name) {
                fields.append_pair(name, value);
            }
        }
        let body = fields.extend_pairs(typed).finish();
        let request = self.http.post(format!("{}{action}", self.base));
        self.page(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }
}

pub(super) async fn oauth2_connects_a_device(http: &reqwest::Client, settings: &Settings) {
    let sender = |request| send(http, request);
    let issuer = settings.text("/issuer");
    let at = |path: &str| format!("{issuer}{path}");
    let client = BasicClient::new(ClientId::new(settings.text("/publicClient/id").to_owned()))
        .set_auth_type(oauth2::AuthType::RequestBody)
        .set_token_uri(TokenUrl::new(at("/oauth/token")).unwrap())
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(at("/oauth/device_authorization")).unwrap(),
        );
    let request = client.exchange_device_code().add_scope(Scope::new("read".to_owned()));
    let asked: StandardDeviceAuthorizationResponse = request.request_async(&sender).await.unwrap();
    let browser = Browser::at(issuer);
    let page = browser.page(browser.http.get(asked.verification_uri().to_string())).await;
    let person = [("login", settings.text("/person/email")), ("password", settings.text("/person/password"))];
    let page = browser.submit(&page, "/sign-in", &person).await;
    let page = browser.submit(&page, "/device", &[("user_code", asked.user_code().secret())]).await;
    let done = browser.submit(&page, "/device", &[("choice", "allow")]).await;
    assert!(done.contains("Device connected"), "{done}");
    let poll = client.exchange_device_access_token(&asked);
    let token = poll.request_async(&sender, tokio::time::sleep, None).await.unwrap();
    assert!(token.refresh_token().is_some());
    let again = client.exchange_device_access_token(&asked);
    match again.request_async(&sender, tokio::time::sleep, None).await {
        Err(RequestTokenError::ServerResponse(refused)) => {
            let expected =
                DeviceCodeErrorResponseType::Basic(oauth2::basic::BasicErrorResponseType::InvalidGrant);
            assert_eq!(refused.error(), &expected);
        }
        other => panic!("{other:?}"),
    }
}
