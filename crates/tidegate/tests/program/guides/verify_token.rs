// [dependencies] jsonwebtoken (features aws_lc_rs), reqwest (json), serde (derive), serde_json, tokio (sync)
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;

/// The roles of an organization's own people and programs.
const ROLES: [&str; 4] = ["owner", "admin", "developer", "viewer"];

/// What a token says. A token with `db`, `fuid` or `fsid` is bound: to a database, an end user, an anonymous session.
#[derive(Debug, Deserialize)]
pub struct Claims {
    pub sub: String,
    pub org: String,
    pub role: String,
    pub scope: String,
    pub db: Option<String>,
    pub fuid: Option<serde_json::Value>,
    pub fsid: Option<serde_json::Value>,
    pub cnf: Option<serde_json::Value>,
}

/// Which limited tokens an action accepts: by default none.
#[derive(Debug, Default)]
pub struct Accepted<'a> {
    /// A token that is limited to scopes must have one of these.
    pub scopes: &'a [&'a str],
    /// Tokens that are bound, and those of role `frontend`.
    pub bound: bool,
}

impl Accepted<'_> {
    fn admits(&self, claims: &Claims) -> bool {
        let is_bound = claims.db.is_some() || claims.fuid.is_some() || claims.fsid.is_some();
        let is_own = ROLES.contains(&claims.role.as_str()) && !is_bound;
        let is_end_users = claims.role == "frontend" || ROLES.contains(&claims.role.as_str());
        let is_in_scope =
            claims.scope == "full" || claims.scope.split(' ').any(|one| self.scopes.contains(&one));
        is_in_scope && (is_own || (self.bound && is_end_users))
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

pub struct Verifier {
    issuer: String,
    jwks_uri: String,
    http: reqwest::Client,
    /// The keys, and when they were fetched.
    keys: Mutex<(JwkSet, Instant)>,
}

impl Verifier {
    pub async fn new(issuer: &str) -> Result<Self, Error> {
        let issuer = issuer.trim_end_matches('/');
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let address = format!("{issuer}/.well-known/openid-configuration");
        let found: Discovery = http.get(address).send().await?.error_for_status()?.json().await?;
        if found.issuer != issuer {
            return Err(format!("{issuer} calls itself {}", found.issuer).into());
        }
        let keys = http.get(&found.jwks_uri).send().await?.error_for_status()?.json().await?;
        let keys = Mutex::new((keys, Instant::now()));
        Ok(Self { issuer: found.issuer, jwks_uri: found.jwks_uri, http, keys })
    }

    /// The claims of a valid token that the action accepts.
    pub async fn verify(&self, token: &str, accepted: &Accepted<'_>) -> Result<Claims, Error> {
        if token.starts_with("pat_") {
            return Err(
                "this is a personal access token, which is looked up at introspection, and no JWT".into()
            );
        }
        let header = decode_header(token)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err("not an access token".into());
        }
        if ![Algorithm::ES256, Algorithm::EdDSA].contains(&header.alg) {
            return Err("an algorithm that is not used here".into());
        }
        let key = self.key(&header.kid.ok_or("a token without kid")?).await?;
        let mut rules = Validation::new(header.alg);
        rules.leeway = 5;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = decode::<Claims>(token, &DecodingKey::from_jwk(&key)?, &rules)?.claims;
        if claims.cnf.is_some() {
            return Err("the token is bound to a key that nobody has proven to hold".into());
        }
        if accepted.admits(&claims) { Ok(claims) } else { Err("the token is limited".into()) }
    }

    /// The key of that name. Keys are kept for five minutes, and fetched before that when a token names one that is not there:
    /// at most every two seconds, because any client can send such tokens.
    async fn key(&self, kid: &str) -> Result<Jwk, Error> {
        let mut keys = self.keys.lock().await;
        let age = keys.1.elapsed();
        let is_known = keys.0.find(kid).is_some();
        if age > Duration::from_secs(300) || (!is_known && age > Duration::from_secs(2)) {
            let answer = self.http.get(&self.jwks_uri).send().await?.error_for_status()?;
            *keys = (answer.json().await?, Instant::now());
        }
        keys.0.find(kid).cloned().ok_or_else(|| "an unknown key".into())
    }
}
