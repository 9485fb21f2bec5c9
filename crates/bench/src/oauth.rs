//! Applications: tokens in their own name, what is told of tokens and people, and whole round trips of codes; with and without proofs of
//! possession.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tidegate_crypto::dpop::software::{SoftwareKey, token_hash};
use tidegate_crypto::oauth::pkce_challenge;
use tidegate_crypto::{SigningAlgorithm, SystemEntropy};

use crate::Result;
use crate::load::Client;
use crate::wire::{Answer, Connection, form_with, get_with, post_as};

const CALLBACK: &str = "http://127.0.0.1/callback";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-1234567";
const TOKEN: &str = "/oauth/token";
const INTROSPECT: &str = "/oauth/introspect";
const USERINFO: &str = "/oauth/userinfo";

fn text(answer: &Value, pointer: &str) -> Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| format!("no {pointer} in {answer}").into())
}

/// An application, and the issuer of its tokens.
#[derive(Clone)]
pub(crate) struct Application {
    issuer: String,
    id: String,
    secret: String,
}

impl Application {
    /// Registers one for the owner of an access token.
    pub(crate) async fn register(connection: &mut Connection, token: &str) -> Result<Self> {
        let headers = format!("authorization: Bearer {token}\r\n");
        let me = connection.call(&get_with("/api/v1/auth/me", &headers)).await?.json(200)?;
        let organization = me.pointer("/data/organizations/0/id").ok_or("no organization")?;
        let path = format!("/api/v1/organizations/{organization}/oauth-applications");
        let body = json!({
            "name": "Benchmark", "grant_types": ["authorization_code", "client_credentials"], "redirect_uris": [CALLBACK],
            "scopes": ["openid", "profile", "email", "read"],
        });
        let made = connection.call(&post_as(&path, token, &body)).await?.json(201)?;
        let found = connection.call(&get_with("/.well-known/openid-configuration", "")).await?.json(200)?;
        Ok(Self {
            issuer: text(&found, "/issuer")?,
            id: text(&made, "/data/client_id")?,
            secret: text(&made, "/data/client_secret")?,
        })
    }

    /// A token in its own name.
    pub(crate) async fn own_token(&self, connection: &mut Connection) -> Result<String> {
        let request = self.form(TOKEN, &[("grant_type", "client_credentials")], None);
        text(&connection.call(&request).await?.json(200)?, "/access_token")
    }

    fn form(&self, path: &str, fields: &[(&str, &str)], proof: Option<String>) -> Vec<u8> {
        let own = [("client_id", self.id.as_str()), ("client_secret", self.secret.as_str())];
        let headers = proof.map(|proof| format!("dpop: {proof}\r\n")).unwrap_or_default();
        let fields: Vec<_> = own.iter().chain(fields).copied().collect();
        form_with(path, &headers, &fields)
    }
}

/// A key, whose proofs are made while the load runs: their time is the load's, not the server's.
struct Prover {
    key: SoftwareKey,
    issuer: String,
    count: u64,
}

impl Prover {
    fn new(issuer: &str) -> Self {
        let key = SoftwareKey::generate(SigningAlgorithm::Es256, &SystemEntropy);
        Self { key, issuer: issuer.to_owned(), count: 0 }
    }

    fn proof(&mut self, method: &str, path: &str, token: Option<&str>) -> Result<String> {
        self.count += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut claims = json!({
            "jti": format!("{}-{}", self.key.thumbprint(), self.count),
            "htm": method, "htu": format!("{}{path}", self.issuer), "iat": now,
        });
        if let (Some(token), Some(members)) = (token, claims.as_object_mut()) {
            members.insert("ath".to_owned(), json!(token_hash(token)));
        }
        Ok(self.key.sign(&self.key.header(), &claims))
    }
}

/// Whether tokens are bound to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    No,
    Dpop,
}

impl Bound {
    fn prover(self, application: &Application) -> Option<Prover> {
        (self == Self::Dpop).then(|| Prover::new(&application.issuer))
    }
}

fn proof_for_token(prover: &mut Option<Prover>) -> Result<Option<String>> {
    prover.as_mut().map(|prover| prover.proof("POST", TOKEN, None)).transpose()
}

/// Asks for a token in the application's own name, again and again.
pub(crate) struct AsItself {
    application: Application,
    prover: Option<Prover>,
    request: Vec<u8>,
}

impl AsItself {
    pub(crate) fn new(application: &Application, bound: Bound) -> Self {
        Self { application: application.clone(), prover: bound.prover(application), request: Vec::new() }
    }
}

impl Client for AsItself {
    fn request(&mut self) -> Option<&[u8]> {
        let proof = proof_for_token(&mut self.prover).ok()?;
        self.request = self.application.form(TOKEN, &[("grant_type", "client_credentials")], proof);
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

/// Asks what a token is, again and again.
pub(crate) struct Introspecting {
    request: Vec<u8>,
}

impl Introspecting {
    pub(crate) fn new(application: &Application, token: &str) -> Self {
        Self { request: application.form(INTROSPECT, &[("token", token)], None) }
    }
}

impl Client for Introspecting {
    fn request(&mut self) -> Option<&[u8]> {
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        match answer.json(200)?.pointer("/active") {
            Some(Value::Bool(true)) => Ok(()),
            _ => Err("the token is not active".into()),
        }
    }
}

/// Signs in to the application and asks who the person is, again and again.
pub(crate) struct AskingWho {
    token: String,
    prover: Option<Prover>,
    request: Vec<u8>,
}

impl AskingWho {
    /// With the tokens of a whole round trip.
    pub(crate) async fn new(
        connection: &mut Connection,
        application: &Application,
        person: &str,
        bound: Bound,
    ) -> Result<Self> {
        let mut trip = RoundTrip::new(application, person, bound);
        while trip.issued.is_none() {
            let request = trip.next()?;
            trip.answered(&connection.call(&request).await?)?;
        }
        Ok(Self { token: trip.issued.take().unwrap_or_default(), prover: trip.prover, request: Vec::new() })
    }

    /// The access token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }
}

impl Client for AskingWho {
    fn request(&mut self) -> Option<&[u8]> {
        let headers = match &mut self.prover {
            None => format!("authorization: Bearer {}\r\n", self.token),
            Some(prover) => {
                let proof = prover.proof("GET", USERINFO, Some(&self.token)).ok()?;
                format!("authorization: DPoP {}\r\ndpop: {proof}\r\n", self.token)
            }
        };
        self.request = get_with(USERINFO, &headers);
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        answer.expect(200)
    }
}

/// A person who is signed in allows an application, which exchanges its code, again and again: two requests each.
pub(crate) struct RoundTrip {
    application: Application,
    person: String,
    prover: Option<Prover>,
    code: Option<String>,
    issued: Option<String>,
    request: Vec<u8>,
}

impl RoundTrip {
    pub(crate) fn new(application: &Application, person: &str, bound: Bound) -> Self {
        Self {
            application: application.clone(),
            person: person.to_owned(),
            prover: bound.prover(application),
            code: None,
            issued: None,
            request: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<Vec<u8>> {
        let Some(code) = self.code.take() else {
            let body = json!({
                "client_id": self.application.id, "redirect_uri": CALLBACK, "scope": "openid profile email",
                "code_challenge": pkce_challenge(VERIFIER), "code_challenge_method": "S256", "approve": true,
            });
            return Ok(post_as("/api/v1/oauth/authorize", &self.person, &body));
        };
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let proof = proof_for_token(&mut self.prover)?;
        Ok(self.application.form(TOKEN, &fields, proof))
    }
}

impl Client for RoundTrip {
    fn request(&mut self) -> Option<&[u8]> {
        self.request = self.next().ok()?;
        Some(&self.request)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<()> {
        let answer = answer.json(200)?;
        match answer.pointer("/data/redirect_url").and_then(Value::as_str) {
            Some(url) => {
                let code = url.split(['?', '&']).find_map(|pair| pair.strip_prefix("code="));
                self.code = Some(code.ok_or_else(|| format!("no code in {url}"))?.to_owned());
            }
            None => self.issued = Some(text(&answer, "/access_token")?),
        }
        Ok(())
    }
}
