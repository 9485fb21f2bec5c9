//! Response bodies.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tidegate_identity::social::accounts_repository::SocialAccount;
use tidegate_identity::social::begin::BegunSocial;
use tidegate_identity::social::outcome::{SocialOutcome, SocialSignedIn};
use utoipa::ToSchema;

use super::super::factors::{MfaRequiredData, request_message};
use super::super::responses::{FullLoginData, envelope, name};

/// Where the person signs in.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct OauthUrlData {
    oauth_url: String,
    provider: String,
    /// Comes back with the code; lives 10 minutes.
    state: String,
}

impl OauthUrlData {
    pub(super) fn respond(begun: &BegunSocial) -> Response {
        let data = Self {
            oauth_url: begun.url.clone(),
            provider: begun.provider.clone(),
            state: begun.state.clone(),
        };
        envelope(StatusCode::OK, data, "Send the person to this address.")
    }
}

/// A sign-in, or what to do to get there: branch on `access_token` and `mfa_required`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(in super::super) enum SocialLoginData {
    /// They are in.
    Full(SocialTokensData),
    /// A code that is mailed is to be shown, or the second factor: before an account that was there is connected, and where the operator
    /// or the organization asks for it. Extension of the contract.
    MfaRequired(MfaRequiredData),
}

/// A session that a provider's word opened.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct SocialTokensData {
    #[serde(flatten)]
    login: FullLoginData,
    /// Whether the account was made just now.
    is_new_user: bool,
    provider: String,
    message: String,
}

impl SocialLoginData {
    /// `signed_in` is the status of a session that was opened.
    pub(super) fn respond(outcome: &SocialOutcome, signed_in: StatusCode) -> Response {
        match outcome {
            SocialOutcome::SignedIn(opened) => {
                let SocialSignedIn { signed_in: session, is_new, provider } = opened.as_ref();
                let message = if *is_new { "Signed up." } else { "Signed in." };
                let data = Self::Full(SocialTokensData {
                    login: session.into(),
                    is_new_user: *is_new,
                    provider: provider.clone(),
                    message: message.to_owned(),
                });
                envelope(signed_in, data, message)
            }
            SocialOutcome::SecondFactorRequired(request) => {
                let message = request_message(request);
                envelope(StatusCode::OK, Self::MfaRequired(MfaRequiredData::new(request, message)), message)
            }
        }
    }
}

/// The caller's accounts at other identity providers.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct SocialAccountsData {
    accounts: Vec<SocialAccountData>,
    total: usize,
}

#[derive(Serialize, ToSchema)]
struct SocialAccountData {
    provider: String,
    connected_at: String,
    last_used_at: String,
    /// As the provider last said.
    email: Option<String>,
    display_name: Option<String>,
}

impl From<&[SocialAccount]> for SocialAccountsData {
    fn from(accounts: &[SocialAccount]) -> Self {
        let accounts: Vec<SocialAccountData> = accounts
            .iter()
            .map(|account| SocialAccountData {
                provider: account.provider.clone(),
                connected_at: account.connected_at.iso_seconds(),
                last_used_at: account.last_used_at.iso_seconds(),
                email: name(&account.email),
                display_name: name(&account.display_name),
            })
            .collect();
        Self { total: accounts.len(), accounts }
    }
}
