//! What the operator decides about clients of OAuth 2 that register themselves, and how clients bring their requests.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::limit::Limit;
use crate::time::seconds;

/// Who may register applications by themselves (RFC 7591).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationMode {
    /// Nobody: organizations and the operator register applications.
    #[default]
    Off,
    /// Who has an initial access token, from `tidegate client registration-token`.
    Token,
    /// Anybody, and who has such a token, too.
    Open,
}

/// Applications that register themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationRules {
    /// Who may: nobody (`off`), who has an initial access token (`token`), or anybody (`open`).
    pub mode: RegistrationMode,
    /// The number of the organization whose applications they become, where the initial access token names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &1_i64)]
    pub organization: Option<i64>,
    /// Scopes that such an application may ask for at most.
    #[default(vec!["openid".to_owned(), "profile".to_owned(), "email".to_owned()])]
    pub scopes: Vec<String>,
    /// Most applications that have registered themselves.
    #[default(1_000)]
    pub most: u32,
    /// Registrations, and changes of them, from one client network.
    #[default(Some(Limit::new(20, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub by_network: Option<Limit>,
    /// Seconds after which one that is not used is removed.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(90 * 24 * 3_600))]
    pub unused_for: Duration,
    /// Whether the `client_id` may be the https address of a document that describes the application
    /// (draft-ietf-oauth-client-id-metadata-document). Anybody can publish one.
    pub client_id_documents: bool,
    /// Whether what they publish, and documents of clients, may be on the operator's network. Anybody names the address.
    pub private_network: bool,
}

impl RegistrationRules {
    /// Whether an application may be registered at the endpoint.
    pub fn is_on(&self) -> bool {
        self.mode != RegistrationMode::Off
    }
}
