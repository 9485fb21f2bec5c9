//! Identity providers on this machine, faithful to what each of them documents: discovery, keys, code exchange with client
//! authentication and PKCE, profile. What is attacked or broken is said with [`Behaviour`].

mod server;
mod signing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Map, Value, json};
use tidegate_crypto::AssertionKey;
use tidegate_domain::{Clock, Secret, Timestamp};
use tidegate_federation::{AppleConfig, GithubConfig, GoogleConfig, MicrosoftConfig};

use crate::FakeClock;
use server::Server;
pub use signing::unsigned;
pub use tidegate_federation::{OidcConfig, SocialConfig, SocialSecret};

/// The client that is registered at each of them.
pub const CLIENT_ID: &str = "tidegate-client";
/// Its secret; with a sign that a form and a header must encode.
pub const CLIENT_SECRET: &str = "client+secret 100%";
/// The page of an application that is registered beside the installation's own.
pub const APP_PAGE: &str = "https://app.example.com/signed-in";
/// A tenant at Microsoft.
pub const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StubKind {
    /// OAuth 2.0 and an API.
    Github,
    /// OpenID Connect.
    Google,
    /// The same with tenants.
    Microsoft,
    /// The same with a signed client secret and an answer by form.
    Apple,
    /// Another issuer, called `sso` in the configuration.
    OpenId,
}

/// Who sits at the browser.
#[derive(Clone, Debug)]
pub struct StubPerson {
    /// What the provider calls them, for good; at GitHub a number.
    pub subject: String,
    /// The address.
    pub email: String,
    /// Whether the provider has verified it.
    pub is_verified: bool,
    /// Their name.
    pub name: String,
}

/// How an endpoint answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// As it should.
    #[default]
    Fine,
    /// 503.
    Down,
    /// With a page in place of JSON.
    Garbage,
    /// Without end.
    Huge,
    /// Never.
    Silent,
    /// With a redirect.
    Redirect(String),
    /// With 200 and this.
    Says(String),
}

type ChangeClaims = Arc<dyn Fn(&mut Map<String, Value>) + Send + Sync>;
type ChangeToken = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What a provider does other than it should.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// The discovery document.
    pub discovery: Health,
    /// The keys.
    pub keys: Health,
    /// The code exchange.
    pub token: Health,
    /// The profile.
    pub profile: Health,
    /// What else its discovery document says.
    pub document: Map<String, Value>,
    /// Changes the claims of ID tokens before they are signed.
    pub claims: Option<ChangeClaims>,
    /// Changes ID tokens after they are signed.
    pub id_token: Option<ChangeToken>,
    /// Signs with another key than before, which it publishes.
    pub has_new_key: bool,
    /// Signs with a key that it does not publish.
    pub hides_key: bool,
    /// Takes a code more than once.
    pub repeats_codes: bool,
    /// Sends `iss` beside the code (RFC 9207), also where the provider does not say so. The issuer `sso` does.
    pub sends_iss: bool,
    /// Does not, though it says so.
    pub hides_iss: bool,
    /// The person did not grant access to their addresses.
    pub hides_email: bool,
}

/// What a browser brings back.
#[derive(Clone, Debug)]
pub struct Returned {
    /// Where to.
    pub redirect_uri: String,
    /// The parameters.
    pub parameters: BTreeMap<String, String>,
    /// Whether by form.
    pub by_form: bool,
}

impl Returned {
    /// One of the parameters; empty where it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.parameters.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The parameters, encoded.
    pub fn encoded(&self) -> String {
        let pairs = self.parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The path and query of the redirect below a host.
    pub fn path(&self) -> String {
        let uri: Uri = self.redirect_uri.parse().expect("an address");
        format!("{}?{}", uri.path(), self.encoded())
    }
}

/// Percent-encoded, every byte that is not a letter or digit.
pub fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A code that was given out.
#[derive(Clone)]
struct Grant {
    person: StubPerson,
    redirect_uri: String,
    nonce: Option<String>,
    challenge: Option<String>,
    is_used: bool,
}

/// What the server and the test share.
struct Shared {
    kind: StubKind,
    base: Mutex<String>,
    clock: Mutex<Arc<FakeClock>>,
    person: Mutex<StubPerson>,
    behaviour: Mutex<Behaviour>,
    grants: Mutex<BTreeMap<String, Grant>>,
    /// Access tokens and whose they are.
    tokens: Mutex<BTreeMap<String, StubPerson>>,
    asked: Mutex<Vec<String>>,
}

impl Shared {
    fn base(&self) -> String {
        self.base.lock().expect("base").clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.lock().expect("clock").now()
    }

    fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().expect("behaviour").clone()
    }

    /// As its discovery document says.
    fn issuer(&self) -> String {
        let base = self.base();
        match self.kind {
            StubKind::Microsoft => format!("{base}/{{tenantid}}/v2.0"),
            _ => base,
        }
    }

    fn claims(&self, grant: &Grant) -> Map<String, Value> {
        let person = &grant.person;
        let now = self.now().seconds();
        let mut claims = json!({
            "iss": self.issuer(), "sub": person.subject, "aud": CLIENT_ID, "iat": now, "exp": now + 3_600,
        });
        let mut say = |name: &str, value: Value| claims[name] = value;
        if let Some(nonce) = &grant.nonce {
            say("nonce", json!(nonce));
        }
        match self.kind {
            StubKind::Google => {
                say("azp", json!(CLIENT_ID));
                say("email", json!(person.email));
                say("email_verified", json!(person.is_verified));
                say("name", json!(person.name));
                say("picture", json!("https://lh3.example.com/photo"));
            }
            StubKind::Microsoft => {
                say("iss", json!(self.issuer().replace("{tenantid}", TENANT)));
                say("tid", json!(TENANT));
                say("ver", json!("2.0"));
                say("email", json!(person.email));
                say("name", json!(person.name));
                if person.is_verified {
                    say("xms_edov", json!("1"));
                }
            }
            StubKind::Apple => {
                say("email", json!(person.email));
                // Text, as Apple documents it.
                say("email_verified", json!(person.is_verified.to_string()));
                say("nonce_supported", json!(true));
            }
            // The rest is told at the userinfo endpoint.
            StubKind::OpenId | StubKind::Github => {}
        }
        claims.as_object().expect("an object").clone()
    }
}

/// A provider on this machine.
pub struct StubProvider {
    shared: Arc<Shared>,
    _server: Server,
}

impl StubProvider {
    /// Starts one. Ada sits at the browser.
    pub async fn start(kind: StubKind) -> Self {
        let shared = Arc::new(Shared {
            kind,
            base: Mutex::default(),
            clock: Mutex::new(Arc::new(FakeClock::new())),
            person: Mutex::new(StubPerson {
                subject: "583231".to_owned(),
                email: "ada@example.com".to_owned(),
                is_verified: true,
                name: "Ada Lovelace".to_owned(),
            }),
            behaviour: Mutex::default(),
            grants: Mutex::default(),
            tokens: Mutex::default(),
            asked: Mutex::default(),
        });
        let server = Server::start(Arc::clone(&shared)).await;
        *shared.base.lock().expect("base") = format!("http://{}", server.address);
        Self { shared, _server: server }
    }

    /// What it is called in the configuration.
    pub fn name(&self) -> &'static str {
        match self.shared.kind {
            StubKind::Github => "github",
            StubKind::Google => "google",
            StubKind::Microsoft => "microsoft",
            StubKind::Apple => "apple",
            StubKind::OpenId => "sso",
        }
    }

    /// Where it is.
    pub fn base(&self) -> String {
        self.shared.base()
    }

    /// Has it tell the time by the test's clock.
    pub fn follow(&self, clock: &Arc<FakeClock>) {
        *self.shared.clock.lock().expect("clock") = Arc::clone(clock);
    }

    /// Another person sits down, or the same one has changed.
    pub fn person(&self, change: impl FnOnce(&mut StubPerson)) {
        change(&mut self.shared.person.lock().expect("person"));
    }

    /// It behaves in another way.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().expect("behaviour"));
    }

    /// The requests that it got: method and path.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("asked").clone()
    }

    /// Adds it to a configuration.
    pub fn set_up(&self, config: &mut SocialConfig) {
        let secret = Some(SocialSecret(Secret::new(CLIENT_SECRET)));
        let (client_id, base) = (CLIENT_ID.to_owned(), self.base());
        match self.shared.kind {
            StubKind::Github => {
                config.github = Some(GithubConfig {
                    client_id,
                    client_secret: secret,
                    base_url: Some(base),
                    ..GithubConfig::default()
                });
            }
            StubKind::Google => {
                config.google = Some(GoogleConfig {
                    client_id,
                    client_secret: secret,
                    issuer: Some(base),
                    ..GoogleConfig::default()
                });
            }
            StubKind::Microsoft => {
                config.microsoft = Some(MicrosoftConfig {
                    client_id,
                    client_secret: secret,
                    base_url: Some(base),
                    ..MicrosoftConfig::default()
                });
            }
            StubKind::Apple => {
                config.apple = Some(AppleConfig {
                    client_id,
                    team_id: signing::TEAM.to_owned(),
                    key_id: signing::APPLE_KEY.to_owned(),
                    private_key: Some(SocialSecret(Secret::new(signing::CLIENT_PEM))),
                    issuer: Some(base),
                    ..AppleConfig::default()
                });
            }
            StubKind::OpenId => {
                let sso = OidcConfig {
                    issuer: base,
                    client_id,
                    client_secret: secret,
                    title: Some("Example SSO".to_owned()),
                    ..OidcConfig::default()
                };
                config.oidc.insert("sso".to_owned(), sso);
            }
        }
    }

    /// The person follows an address to the provider and agrees; answers with what the browser brings back.
    ///
    /// # Panics
    /// When the address is not what the provider documents.
    pub fn authorize(&self, address: &str) -> Returned {
        let uri: Uri = address.parse().expect("an address");
        assert!(address.starts_with(&self.base()), "{address} is another provider's");
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri).expect("a query");
        let count = pairs.len();
        let asked: BTreeMap<String, String> = pairs.into_iter().collect();
        assert_eq!(asked.len(), count, "no parameter comes twice");
        let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        assert_eq!((get("client_id"), get("response_type")), (CLIENT_ID, "code"));
        let redirect_uri = get("redirect_uri").to_owned();
        let own = format!("{}/api/v1/auth/oauth/{}/callback", crate::PUBLIC_URL, self.name());
        assert!(
            redirect_uri == own || redirect_uri == APP_PAGE || redirect_uri.contains("/sign-in/with/"),
            "{redirect_uri}"
        );
        let is_open_id = self.shared.kind != StubKind::Github;
        assert_eq!(is_open_id, get("scope").split(' ').any(|scope| scope == "openid"), "{address}");
        let by_form = get("response_mode") == "form_post";
        assert_eq!(by_form, self.shared.kind == StubKind::Apple, "{address}");
        let challenge = asked.get("code_challenge").cloned();
        assert_eq!(challenge.is_some(), get("code_challenge_method") == "S256");
        assert!(challenge.is_none() || self.shared.kind != StubKind::Apple, "Apple documents no PKCE");
        let mut grants = self.shared.grants.lock().expect("grants");
        let code = format!("{}-code-{}", self.name(), grants.len() + 1);
        let person = self.shared.person.lock().expect("person").clone();
        let mut parameters = BTreeMap::from([
            ("code".to_owned(), code.clone()),
            ("state".to_owned(), get("state").to_owned()),
        ]);
        let behaviour = self.shared.behaviour();
        if behaviour.sends_iss || (self.shared.kind == StubKind::OpenId && !behaviour.hides_iss) {
            parameters.insert("iss".to_owned(), self.shared.issuer());
        }
        if by_form {
            // The first time only.
            let is_first = grants.values().all(|grant| grant.person.subject != person.subject);
            let (first, last) = person.name.split_once(' ').unwrap_or((&person.name, ""));
            let user = json!({ "name": { "firstName": first, "lastName": last }, "email": person.email });
            if is_first {
                parameters.insert("user".to_owned(), user.to_string());
            }
        }
        let nonce = asked.get("nonce").cloned();
        assert_eq!(nonce.is_some(), is_open_id);
        let grant = Grant { person, redirect_uri: redirect_uri.clone(), nonce, challenge, is_used: false };
        grants.insert(code, grant);
        Returned { redirect_uri, parameters, by_form }
    }
}

fn key(pem: &str, kid: &str) -> AssertionKey {
    AssertionKey::from_pem(kid, &Secret::new(pem)).expect("a key")
}
