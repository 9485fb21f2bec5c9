//! The library's ceremonies, with challenge and credential put in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::subscriber::{NoSubscriber, with_default};
use uuid::Uuid;
use webauthn_rs::Webauthn;
use webauthn_rs::prelude::{
    Credential, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, WebauthnError,
};

use super::{
    ALGORITHMS, AssertionRejected, AssertionResponse, PasskeyChallenge, RegisteredPasskey,
    RegistrationRejected, RegistrationResponse, StoredPasskey, VerifiedAssertion,
};

/// Runs the library without its log lines: they repeat what strangers send, some of them as errors.
pub(super) fn silenced<T>(work: impl FnOnce() -> T) -> T {
    with_default(NoSubscriber::new(), work)
}

/// The state of a ceremony with this challenge in place of the one that the library drew.
fn with_challenge<S: Serialize + DeserializeOwned>(
    state: &S,
    place: &str,
    challenge: &PasskeyChallenge,
) -> Option<S> {
    let mut state = serde_json::to_value(state).ok()?;
    *state.pointer_mut(place)? = Value::String(challenge.base64().expose().to_owned());
    serde_json::from_value(state).ok()
}

pub(super) fn register(
    webauthn: &Webauthn,
    challenge: &PasskeyChallenge,
    response: &RegistrationResponse,
    aaguid: Uuid,
) -> Result<RegisteredPasskey, RegistrationRejected> {
    let answer: RegisterPublicKeyCredential = serde_json::from_value(json!({
        "id": URL_SAFE_NO_PAD.encode(&response.credential_id),
        "rawId": URL_SAFE_NO_PAD.encode(&response.credential_id),
        "response": {
            "attestationObject": URL_SAFE_NO_PAD.encode(&response.attestation_object),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(&response.client_data),
        },
        "type": "public-key",
    }))
    .map_err(|_| RegistrationRejected::Broken)?;
    let passkey = silenced(|| {
        // Whose it is the caller writes into the options: nothing of this but the policy is used.
        let (_, state) = webauthn
            .start_passkey_registration(Uuid::nil(), "-", "-", None)
            .map_err(|_| RegistrationRejected::Broken)?;
        let state: PasskeyRegistration =
            with_challenge(&state, "/rs/challenge", challenge).ok_or(RegistrationRejected::Broken)?;
        webauthn.finish_passkey_registration(&answer, &state).map_err(|error| match error {
            WebauthnError::InvalidClientDataType
            | WebauthnError::MismatchedChallenge
            | WebauthnError::InvalidRPOrigin
            | WebauthnError::CredentialCrossOrigin
            | WebauthnError::ParseJSONFailure(_) => RegistrationRejected::ClientData,
            _ => RegistrationRejected::Attestation,
        })
    })?;
    let credential = serde_json::to_string(&passkey).map_err(|_| RegistrationRejected::Broken)?;
    let inner = Credential::from(passkey);
    let is_offered = ALGORITHMS.contains(&(inner.cred.type_ as i64));
    if inner.cred_id != response.credential_id || !is_offered {
        return Err(RegistrationRejected::Attestation);
    }
    Ok(RegisteredPasskey {
        credential,
        sign_count: inner.counter,
        backup_eligible: inner.backup_eligible,
        backed_up: inner.backup_state,
        aaguid,
    })
}

pub(super) fn assert(
    webauthn: &Webauthn,
    challenge: &PasskeyChallenge,
    response: &AssertionResponse,
    stored: &StoredPasskey<'_>,
) -> Result<VerifiedAssertion, AssertionRejected> {
    let passkey: Passkey = serde_json::from_str(stored.credential).map_err(|_| AssertionRejected::Broken)?;
    let credential = Credential {
        counter: stored.sign_count,
        backup_eligible: stored.backup_eligible,
        backup_state: stored.backed_up,
        ..Credential::from(passkey)
    };
    let answer: PublicKeyCredential = serde_json::from_value(json!({
        "id": URL_SAFE_NO_PAD.encode(&response.credential_id),
        "rawId": URL_SAFE_NO_PAD.encode(&response.credential_id),
        "response": {
            "authenticatorData": URL_SAFE_NO_PAD.encode(&response.authenticator_data),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(&response.client_data),
            "signature": URL_SAFE_NO_PAD.encode(&response.signature),
            "userHandle": response.user_handle.as_ref().map(|handle| URL_SAFE_NO_PAD.encode(handle)),
        },
        "type": "public-key",
    }))
    .map_err(|_| AssertionRejected::Broken)?;
    let result = silenced(|| {
        let (_, state) = webauthn
            .start_passkey_authentication(&[Passkey::from(credential)])
            .map_err(|_| AssertionRejected::Broken)?;
        let state: PasskeyAuthentication =
            with_challenge(&state, "/ast/challenge", challenge).ok_or(AssertionRejected::Broken)?;
        webauthn.finish_passkey_authentication(&answer, &state).map_err(|error| match error {
            WebauthnError::CredentialPossibleCompromise => AssertionRejected::CounterWentBack,
            _ => AssertionRejected::Invalid,
        })
    })?;
    if !result.user_verified() {
        return Err(AssertionRejected::Invalid);
    }
    Ok(VerifiedAssertion {
        sign_count: result.counter(),
        backup_eligible: result.backup_eligible(),
        backed_up: result.backup_state(),
    })
}
