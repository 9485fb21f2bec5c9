//! People with passkeys.

use serde_json::{Value, json};
use tidegate_crypto::webauthn::software::SoftwareAuthenticator;

use crate::{Answer, PUBLIC_URL, Person, TestApp};

impl TestApp {
    /// An authenticator whose passkey has that id, on a page of the installation.
    pub fn authenticator(&self, credential_id: &str) -> SoftwareAuthenticator {
        SoftwareAuthenticator::new(credential_id.as_bytes(), PUBLIC_URL)
    }

    /// Begins to register a passkey; answers the options.
    pub async fn start_passkey(&self, who: &Person, name: &str) -> Value {
        let request = self.post("/api/v1/webauthn/register/start").bearer(&who.access_token);
        let answer = request.json(&json!({ "device_name": name })).send().await;
        answer.assert_status(201).field("data").clone()
    }

    /// Finishes a registration with what an authenticator says.
    pub async fn complete_passkey(&self, who: &Person, name: &str, credential: &Value) -> Answer {
        let request = self.post("/api/v1/webauthn/register/complete").bearer(&who.access_token);
        request.json(&json!({ "device_name": name, "credential": credential })).send().await
    }

    /// Registers the passkey of a new authenticator.
    pub async fn enrol_passkey(&self, who: &Person, name: &str) -> SoftwareAuthenticator {
        let mut authenticator = self.authenticator(&format!("{name} of {}", who.email));
        let options = self.start_passkey(who, name).await;
        let credential = authenticator.register(&options);
        self.complete_passkey(who, name, &credential).await.assert_status(200);
        authenticator
    }

    /// Begins a sign-in with a passkey; answers the options.
    pub async fn start_passkey_sign_in(&self, email: Option<&str>) -> Value {
        let request = self.post("/api/v1/webauthn/authenticate/start");
        let answer = request.json(&json!({ "email": email })).send().await;
        answer.assert_status(200).field("data").clone()
    }

    /// Finishes a sign-in with what an authenticator says.
    pub async fn complete_passkey_sign_in(&self, email: Option<&str>, credential: &Value) -> Answer {
        let request = self.post("/api/v1/webauthn/authenticate/complete");
        request.json(&json!({ "email": email, "credential": credential })).send().await
    }

    /// Signs in with a passkey.
    pub async fn sign_in_with_passkey(
        &self,
        email: Option<&str>,
        authenticator: &mut SoftwareAuthenticator,
    ) -> Answer {
        let options = self.start_passkey_sign_in(email).await;
        self.complete_passkey_sign_in(email, &authenticator.sign_in(&options)).await
    }
}
