//! Sign-in by other identity providers: GitHub (OAuth 2.0), Google, Microsoft, Apple and any issuer of OpenID Connect.
//!
//! This is the client's side of the authorization code flow: discovery, authorization URL, code exchange, verification of the ID token,
//! profile. Besides, what clients of this installation publish about themselves is read here ([`ClientDocuments`]), and
//! applications are told of what ended ([`Notifier`]), and services that an operator configured are asked in JSON ([`JsonEndpoint`], [`ServerEvents`]). No code here uses the store or randomness, and the clock is an argument. Callers use a [`Provider`] and cannot tell
//! one kind from another; what differs between kinds is in `kind.rs`.

mod breaker;
mod client_documents;
mod config;
mod discovery;
mod endpoint;
mod error;
mod events;
mod github;
mod id_token;
mod kind;
mod notify;
mod outgoing;
mod profile;
mod provider;
mod providers;
mod reach;
mod secret;

pub use client_documents::{ClientDocument, ClientDocuments, Publisher};
pub use config::{
    AppleConfig, GithubConfig, GoogleConfig, MicrosoftConfig, OidcConfig, SecondFactorAtProvider,
    SocialConfig, SocialConfigError,
};
pub use endpoint::{EndpointAnswer, EndpointReply, JsonEndpoint};
pub use error::FederationError;
pub use events::{EventLimits, ServerEvents};
pub use notify::Notifier;
pub use profile::{ProviderEmail, ProviderProfile};
pub use provider::{AuthorizationRequest, CodeExchange, Provider};
pub use providers::{Federation, UnknownProvider};
pub use secret::SocialSecret;
