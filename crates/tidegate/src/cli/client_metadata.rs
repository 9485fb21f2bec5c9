//! What is known of a client beyond what every application has, on the command line.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tidegate_crypto::{JwtAlgorithm, SigningAlgorithm};
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_oauth::applications::ClientMetadata;

/// How a client proves who it is, its keys, and what it wants. What is left out stays.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MetadataArgs {
    /// How it proves who it is: none, client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt
    #[arg(long, value_name = "METHOD", value_parser = auth_method)]
    pub(crate) auth_method: Option<ClientAuthentication>,
    /// The one algorithm of its assertions: RS256, PS256, ES256, ES384, EdDSA or HS256; `any` for each that fits
    #[arg(long, value_name = "ALG", value_parser = assertion_algorithm)]
    auth_signing_alg: Option<Wish<JwtAlgorithm>>,
    /// A file with its public keys (JSON Web Key Set)
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<PathBuf>,
    /// The https address where it publishes its public keys; empty for none
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// Algorithm of its ID tokens and logout tokens: RS256, ES256 or EdDSA; `server` for the one of access tokens
    #[arg(long, value_name = "ALG", value_parser = id_token_algorithm)]
    id_token_alg: Option<Wish<SigningAlgorithm>>,
    /// Algorithm by which userinfo is signed for it: RS256, ES256 or EdDSA; `none` for JSON
    #[arg(long, value_name = "ALG", value_parser = userinfo_algorithm)]
    userinfo_alg: Option<Wish<SigningAlgorithm>>,
    /// Seconds since a person last signed in, at most, where its requests do not say; `none` for any
    #[arg(long, value_name = "SECONDS", value_parser = max_age)]
    default_max_age: Option<Wish<u32>>,
    /// How people should prove who they are, where its requests do not say: a value of `acr_values` such as mfa; can be given more than once,
    /// and replaces those that there are
    #[arg(long = "default-acr", value_name = "VALUE")]
    default_acr_values: Vec<String>,
    /// Whether its ID tokens have to say when the person signed in; all do
    #[arg(long, value_name = "true|false")]
    require_auth_time: Option<bool>,
    /// Whether it has to push its authorization requests (RFC 9126)
    #[arg(long, value_name = "true|false")]
    require_par: Option<bool>,
    /// Whether it has to sign its authorization requests (RFC 9101)
    #[arg(long, value_name = "true|false")]
    require_signed_request: Option<bool>,
    /// The one algorithm of its signed requests: RS256, PS256, ES256, ES384 or EdDSA; `any` for each of them
    #[arg(long, value_name = "ALG", value_parser = assertion_algorithm)]
    request_signing_alg: Option<Wish<JwtAlgorithm>>,
    /// Whether it has to use PKCE, also with a secret
    #[arg(long, value_name = "true|false")]
    require_pkce: Option<bool>,
    /// Its page; empty for none
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
    /// Its picture; empty for none
    #[arg(long, value_name = "URL")]
    logo_uri: Option<String>,
    /// How it treats what it learns of people; empty for none
    #[arg(long, value_name = "URL")]
    policy_uri: Option<String>,
    /// Its terms; empty for none
    #[arg(long, value_name = "URL")]
    tos_uri: Option<String>,
    /// Who answers for it; can be given more than once, and replaces those that there are
    #[arg(long = "contact", value_name = "TEXT")]
    contacts: Vec<String>,
    /// An API that it is, one of `resources` in [oauth]: it is told of tokens for it; can be given more than once, and replaces those that
    /// there are
    #[arg(long, value_name = "URL")]
    serves: Vec<String>,
}

/// One value, or to leave it open again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish<T> {
    Only(T),
    Open,
}

impl<T> From<Wish<T>> for Option<T> {
    fn from(wish: Wish<T>) -> Self {
        match wish {
            Wish::Only(one) => Some(one),
            Wish::Open => None,
        }
    }
}

impl MetadataArgs {
    /// Changes what is known of a client.
    pub(crate) fn apply(self, jwks: Option<Value>, metadata: &mut ClientMetadata) {
        if let Some(jwks) = jwks {
            metadata.jwks = Some(jwks);
            metadata.jwks_uri = None;
        }
        if let Some(uri) = self.jwks_uri {
            metadata.jwks_uri = Some(uri).filter(|uri| !uri.is_empty());
            metadata.jwks = None;
        }
        let put = |place: &mut Option<String>, text: Option<String>| {
            if let Some(text) = text {
                *place = Some(text).filter(|text| !text.is_empty());
            }
        };
        put(&mut metadata.client_uri, self.client_uri);
        put(&mut metadata.logo_uri, self.logo_uri);
        put(&mut metadata.policy_uri, self.policy_uri);
        put(&mut metadata.tos_uri, self.tos_uri);
        if !self.contacts.is_empty() {
            metadata.contacts = self.contacts;
        }
        if !self.default_acr_values.is_empty() {
            metadata.default_acr_values = self.default_acr_values;
        }
        if !self.serves.is_empty() {
            metadata.serves = self.serves;
        }
        if let Some(wish) = self.auth_signing_alg {
            metadata.token_endpoint_auth_signing_alg = wish.into();
        }
        if let Some(wish) = self.request_signing_alg {
            metadata.request_object_signing_alg = wish.into();
        }
        if let Some(wish) = self.id_token_alg {
            metadata.id_token_signed_response_alg = wish.into();
        }
        if let Some(wish) = self.userinfo_alg {
            metadata.userinfo_signed_response_alg = wish.into();
        }
        if let Some(wish) = self.default_max_age {
            metadata.default_max_age = wish.into();
        }
        let flag = |place: &mut bool, flag: Option<bool>| *place = flag.unwrap_or(*place);
        flag(&mut metadata.require_pushed_authorization_requests, self.require_par);
        flag(&mut metadata.require_signed_request_object, self.require_signed_request);
        flag(&mut metadata.require_pkce, self.require_pkce);
        flag(&mut metadata.require_auth_time, self.require_auth_time);
    }

    /// The public keys in the file that was named.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub(crate) fn keys(&self) -> Result<Option<Value>, String> {
        let Some(path) = &self.jwks else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let keys = serde_json::from_str(&text)
            .map_err(|error| format!("{} is no JSON Web Key Set: {error}", path.display()))?;
        Ok(Some(keys))
    }
}

fn auth_method(text: &str) -> Result<ClientAuthentication, String> {
    let all = ClientAuthentication::ALL.map(ClientAuthentication::as_str).join(", ");
    ClientAuthentication::from_name(text).ok_or_else(|| format!("is one of {all}"))
}

fn assertion_algorithm(text: &str) -> Result<Wish<JwtAlgorithm>, String> {
    if text == "any" {
        return Ok(Wish::Open);
    }
    let all = JwtAlgorithm::ALL.map(JwtAlgorithm::as_str).join(", ");
    JwtAlgorithm::from_name(text).map(Wish::Only).ok_or_else(|| format!("is one of {all}, or any"))
}

fn id_token_algorithm(text: &str) -> Result<Wish<SigningAlgorithm>, String> {
    token_algorithm(text, "server")
}

fn userinfo_algorithm(text: &str) -> Result<Wish<SigningAlgorithm>, String> {
    token_algorithm(text, "none")
}

/// An algorithm of tokens, or the word that leaves it open.
fn token_algorithm(text: &str, open: &str) -> Result<Wish<SigningAlgorithm>, String> {
    if text == open {
        return Ok(Wish::Open);
    }
    SigningAlgorithm::from_name(text)
        .map(Wish::Only)
        .ok_or_else(|| format!("is RS256, ES256, EdDSA or {open}"))
}

fn max_age(text: &str) -> Result<Wish<u32>, String> {
    if text == "none" {
        return Ok(Wish::Open);
    }
    text.parse().map(Wish::Only).map_err(|_| "is a number of seconds, or none".to_owned())
}
