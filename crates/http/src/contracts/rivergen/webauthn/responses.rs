//! Response bodies.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use tidegate_crypto::webauthn::{ALGORITHMS, TRANSPORTS};
use tidegate_domain::Timestamp;
use tidegate_identity::credentials::passkey::assert::{AllowedCredential, PasskeyRequest};
use tidegate_identity::credentials::passkey::register::{AddedPasskey, PasskeyCreation};
use tidegate_identity::credentials::passkey::repository::Passkey;
use tidegate_kernel::SignedIn;
use utoipa::ToSchema;

use super::super::responses::{FullLoginData, envelope};

const PUBLIC_KEY: &str = "public-key";
const REQUIRED: &str = "required";
/// How long a client waits for its authenticator, in milliseconds.
const TIMEOUT: u32 = 60_000;

/// The options of `navigator.credentials.create()`: `PublicKeyCredential.parseCreationOptionsFromJSON()` reads them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct CreationOptions {
    /// Base64url of 32 bytes; lives 5 minutes.
    challenge: String,
    rp: RelyingPartyData,
    user: PasskeyUserData,
    pub_key_cred_params: Vec<Algorithm>,
    authenticator_selection: Selection,
    /// Milliseconds.
    timeout: u32,
    /// `none`; `direct` where the operator allows some models of authenticators only.
    attestation: &'static str,
    /// The passkeys there are. Extension of the contract.
    exclude_credentials: Vec<CredentialData>,
}

#[derive(Serialize, ToSchema)]
struct RelyingPartyData {
    name: String,
    id: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PasskeyUserData {
    /// Base64url.
    id: String,
    /// The e-mail address.
    name: String,
    display_name: String,
}

#[derive(Serialize, ToSchema)]
struct Algorithm {
    #[serde(rename = "type")]
    kind: &'static str,
    /// COSE: -7 is ES256, -257 RS256.
    alg: i64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Selection {
    user_verification: &'static str,
    resident_key: &'static str,
}

/// A passkey that a client may use, or may not register again.
#[derive(Serialize, ToSchema)]
struct CredentialData {
    /// Base64url.
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// All there are where the client named none when the passkey was registered.
    transports: Vec<String>,
}

impl CredentialData {
    fn new(id: &[u8], transports: &[String]) -> Self {
        let all = || TRANSPORTS.map(str::to_owned).to_vec();
        Self {
            id: URL_SAFE_NO_PAD.encode(id),
            kind: PUBLIC_KEY,
            transports: if transports.is_empty() { all() } else { transports.to_vec() },
        }
    }
}

impl From<&Passkey> for CredentialData {
    fn from(passkey: &Passkey) -> Self {
        Self::new(&passkey.credential_id, &passkey.transports)
    }
}

impl From<&AllowedCredential> for CredentialData {
    fn from(allowed: &AllowedCredential) -> Self {
        Self::new(&allowed.id, &allowed.transports)
    }
}

impl CreationOptions {
    pub(super) fn respond(creation: &PasskeyCreation) -> Response {
        let party = &creation.relying_party;
        let display_name = match creation.display_name.as_str() {
            "" => &creation.email,
            name => name,
        };
        let options = Self {
            challenge: creation.challenge.base64().expose().to_owned(),
            rp: RelyingPartyData { name: party.name().to_owned(), id: party.id().to_owned() },
            user: PasskeyUserData {
                id: URL_SAFE_NO_PAD.encode(creation.account.0.as_bytes()),
                name: creation.email.clone(),
                display_name: display_name.to_owned(),
            },
            pub_key_cred_params: ALGORITHMS.map(|alg| Algorithm { kind: PUBLIC_KEY, alg }).into(),
            authenticator_selection: Selection { user_verification: REQUIRED, resident_key: "preferred" },
            timeout: TIMEOUT,
            attestation: if party.asks_for_model() { "direct" } else { "none" },
            exclude_credentials: creation.present.iter().map(CredentialData::from).collect(),
        };
        envelope(StatusCode::CREATED, options, "Ask the authenticator.")
    }
}

/// A passkey was added.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeyAddedData {
    /// As in the list; not the base64url id.
    credential_id: i64,
    device_name: String,
    created_at: String,
    message: String,
}

impl PasskeyAddedData {
    pub(super) fn respond(added: &AddedPasskey) -> Response {
        const MESSAGE: &str = "Passkey added.";
        let data = Self {
            credential_id: added.number,
            device_name: added.name.clone(),
            created_at: added.created_at.iso_seconds(),
            message: MESSAGE.to_owned(),
        };
        envelope(StatusCode::OK, data, MESSAGE)
    }
}

/// The options of `navigator.credentials.get()`: `PublicKeyCredential.parseRequestOptionsFromJSON()` reads them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct RequestOptions {
    /// Base64url of 32 bytes; lives 5 minutes.
    challenge: String,
    /// Empty at a sign-in where no e-mail address was sent.
    allow_credentials: Vec<CredentialData>,
    /// Milliseconds.
    timeout: u32,
    user_verification: &'static str,
    rp_id: String,
}

impl RequestOptions {
    pub(in super::super) fn respond(request: &PasskeyRequest) -> Response {
        let options = Self {
            challenge: request.challenge.base64().expose().to_owned(),
            allow_credentials: request.credentials.iter().map(CredentialData::from).collect(),
            timeout: TIMEOUT,
            user_verification: REQUIRED,
            rp_id: request.relying_party.id().to_owned(),
        };
        envelope(StatusCode::OK, options, "Ask the authenticator.")
    }
}

/// A sign-in with a passkey.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeyLoginData {
    #[serde(flatten)]
    login: FullLoginData,
    message: String,
}

impl PasskeyLoginData {
    pub(super) fn respond(signed_in: &SignedIn) -> Response {
        const MESSAGE: &str = "Signed in.";
        envelope(StatusCode::OK, Self { login: signed_in.into(), message: MESSAGE.to_owned() }, MESSAGE)
    }
}

/// The caller's passkeys.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeysData {
    /// The newest first.
    credentials: Vec<PasskeyData>,
    total_count: usize,
}

#[derive(Serialize, ToSchema)]
struct PasskeyData {
    id: i64,
    device_name: String,
    /// Base64url.
    credential_id: String,
    created_at: String,
    last_used_at: Option<String>,
    usage_count: i64,
}

impl From<&Passkey> for PasskeyData {
    fn from(passkey: &Passkey) -> Self {
        Self {
            id: passkey.number,
            device_name: passkey.name.clone(),
            credential_id: URL_SAFE_NO_PAD.encode(&passkey.credential_id),
            created_at: passkey.created_at.iso_seconds(),
            last_used_at: passkey.last_used_at.map(Timestamp::iso_seconds),
            usage_count: passkey.use_count,
        }
    }
}

impl From<&[Passkey]> for PasskeysData {
    fn from(passkeys: &[Passkey]) -> Self {
        let credentials: Vec<PasskeyData> = passkeys.iter().map(PasskeyData::from).collect();
        Self { total_count: credentials.len(), credentials }
    }
}

/// A passkey was removed.
#[derive(Serialize, ToSchema)]
pub(in super::super) struct PasskeyRemovedData {
    /// Always `true`.
    success: bool,
    message: String,
}

impl PasskeyRemovedData {
    pub(super) fn respond() -> Response {
        const MESSAGE: &str = "Passkey removed.";
        envelope(StatusCode::OK, Self { success: true, message: MESSAGE.to_owned() }, MESSAGE)
    }
}
