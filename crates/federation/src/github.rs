//! GitHub's API: the profile, and the list of addresses, of which only the primary and verified one counts.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde_json::Value;
use tidegate_domain::Secret;
use url::Url;

use crate::error::FederationError;
use crate::outgoing::{Answer, Outgoing, unreadable};
use crate::profile::{ProviderEmail, ProviderProfile, name, picture};

/// Where people have an account, unless an installation of GitHub's own software is configured.
pub(crate) const GITHUB: &str = "https://github.com";
const WHAT: &str = "profile";

/// Addresses of an installation of GitHub.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) issuer: String,
    pub(crate) authorization: Url,
    pub(crate) token: Url,
    user: Url,
    emails: Url,
}

impl Endpoints {
    /// Of the installation at `base`: github.com has its API at a host of its own.
    pub(crate) fn at(base: &str) -> Result<Self, String> {
        let base = base.trim_end_matches('/');
        let api = if base == GITHUB { "https://api.github.com".to_owned() } else { format!("{base}/api/v3") };
        let url = |text: String| {
            Url::parse(&text).map_err(|_| format!("{base:?} is not a URL such as https://github.example.com"))
        };
        Ok(Self {
            issuer: base.to_owned(),
            authorization: url(format!("{base}/login/oauth/authorize"))?,
            token: url(format!("{base}/login/oauth/access_token"))?,
            user: url(format!("{api}/user"))?,
            emails: url(format!("{api}/user/emails"))?,
        })
    }

    /// Whether the API answers: without a token it refuses.
    pub(crate) async fn check(&self, outgoing: &Outgoing) -> Result<(), FederationError> {
        let answer = outgoing.ask(WHAT, outgoing.get(&self.user)).await?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(()),
            status => Err(unreadable(WHAT, status)),
        }
    }

    /// Whose access token it is.
    pub(crate) async fn profile(
        &self,
        outgoing: &Outgoing,
        access_token: &str,
        tokens: Secret,
    ) -> Result<ProviderProfile, FederationError> {
        let user = ask(outgoing, &self.user, access_token).await?;
        let user: Value =
            serde_json::from_slice(&user.bytes(WHAT)?).map_err(|_| unreadable(WHAT, "no profile"))?;
        // The login can be given to someone else; the number cannot.
        let Some(subject) = user.get("id").and_then(Value::as_u64) else {
            return Err(unreadable(WHAT, "a profile without an id"));
        };
        let emails = ask(outgoing, &self.emails, access_token).await?;
        let email = match emails.status {
            // The person did not grant `user:email`, or the app may not read addresses.
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => None,
            _ => {
                let listed: Value = serde_json::from_slice(&emails.bytes(WHAT)?)
                    .map_err(|_| unreadable(WHAT, "no list of addresses"))?;
                primary(&listed)
            }
        };
        let text = |key: &str| user.get(key).and_then(Value::as_str).unwrap_or_default();
        let called = if text("name").is_empty() { text("login") } else { text("name") };
        Ok(ProviderProfile {
            issuer: self.issuer.clone(),
            subject: subject.to_string(),
            email,
            display_name: name(called),
            picture: picture(text("avatar_url")),
            nonce: None,
            auth_time: None,
            tokens,
        })
    }
}

fn primary(listed: &Value) -> Option<ProviderEmail> {
    let is = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or_default();
    let primary = listed.as_array()?.iter().find(|entry| is(entry, "primary"))?;
    ProviderEmail::read(primary.get("email")?.as_str()?, is(primary, "verified"), false)
}

async fn ask(outgoing: &Outgoing, url: &Url, access_token: &str) -> Result<Answer, FederationError> {
    let request = outgoing
        .get(url)
        .header(ACCEPT, "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .header(AUTHORIZATION, format!("Bearer {access_token}"));
    outgoing.ask(WHAT, request).await
}
