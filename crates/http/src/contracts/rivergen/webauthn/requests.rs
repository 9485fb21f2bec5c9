//! Request bodies, and how they are read.

use serde::Deserialize;
use tidegate_crypto::webauthn::{
    AssertionResponse, LONGEST_AUTHENTICATOR_DATA, LONGEST_CLIENT_DATA, LONGEST_CREDENTIAL_ID,
    LONGEST_SIGNATURE, LONGEST_USER_HANDLE, RegistrationResponse, TRANSPORTS,
};
use tidegate_domain::EmailAddress;
use tidegate_domain::factor::DeviceData;
use tidegate_identity::credentials::passkey::register::CompletePasskey;
use tidegate_identity::sign_in::passkey_sign_in::PasskeySignIn;
use utoipa::ToSchema;

use super::super::requests::email;
use super::encoded;
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::openapi::shapes::Shape;
use crate::wire::unknown::{Exact, Object};

/// Longest name of a passkey, in characters.
const MAX_NAME: usize = 100;
/// The one type of credential there is.
const PUBLIC_KEY: &str = "public-key";
/// Bytes in base64url without padding (RFC 4648 section 5). Other spellings are understood, too.
const BASE64URL: &str =
    "^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{4}|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048]|[A-Za-z0-9_-][AQgw])$";

/// What the texts of these bodies look like.
pub(in super::super) fn texts() -> Vec<Shape> {
    let lengths = [
        ("credential-id", LONGEST_CREDENTIAL_ID),
        ("client-data", LONGEST_CLIENT_DATA),
        ("authenticator-data", LONGEST_AUTHENTICATOR_DATA),
        ("signature", LONGEST_SIGNATURE),
        ("user-handle", LONGEST_USER_HANDLE),
    ];
    let encoded = lengths.map(|(format, most)| Shape {
        format,
        // Four characters for three bytes.
        max_length: Some((most * 4).div_ceil(3)),
        pattern: Some(BASE64URL.to_owned()),
        ..Shape::default()
    });
    let kind = Shape { format: "credential-type", words: vec![PUBLIC_KEY], ..Shape::default() };
    encoded.into_iter().chain([kind]).collect()
}

/// POST /api/v1/webauthn/register/start.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct StartRegistrationBody {
    /// What the owner calls the passkey.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 100, example = "Phone")]
    #[serde(default)]
    device_name: Field<String>,
}

impl Exact for StartRegistrationBody {}

impl StartRegistrationBody {
    pub(super) fn read(self) -> Result<String, Violations> {
        let mut check = Check::new();
        let name = name(&mut check, self.device_name);
        check.finish(name)
    }
}

fn name(check: &mut Check, field: Field<String>) -> Option<String> {
    let name = check.required("device_name", field)?;
    check.parsed("device_name", tidegate_domain::text::line(&name, MAX_NAME))
}

/// POST /api/v1/webauthn/register/complete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CompleteRegistrationBody {
    /// What `navigator.credentials.create()` answered, as its `toJSON()` writes it.
    #[schema(required = true, value_type = RegisteredCredential)]
    #[serde(default)]
    credential: Field<Object<RegisteredCredential>>,
    /// The same as at the start.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 100, example = "Phone")]
    #[serde(default)]
    device_name: Field<String>,
}

/// A new credential.
#[derive(Deserialize, ToSchema)]
struct RegisteredCredential {
    /// Base64url.
    #[schema(required = true, value_type = String, format = "credential-id")]
    #[serde(default)]
    id: Field<String>,
    /// The same.
    #[schema(required = true, value_type = String, format = "credential-id")]
    #[serde(default, rename = "rawId")]
    raw_id: Field<String>,
    #[schema(required = true, value_type = RegisteredResponse)]
    #[serde(default)]
    response: Field<Object<RegisteredResponse>>,
    /// `public-key`.
    #[schema(required = true, value_type = String, format = "credential-type", example = "public-key")]
    #[serde(default, rename = "type")]
    kind: Field<String>,
}

/// What the authenticator says of a new credential.
#[derive(Deserialize, ToSchema)]
struct RegisteredResponse {
    /// Base64url of CBOR.
    #[schema(required = true, value_type = String, format = "authenticator-data")]
    #[serde(default, rename = "attestationObject")]
    attestation_object: Field<String>,
    /// Base64url of JSON.
    #[schema(required = true, value_type = String, format = "client-data")]
    #[serde(default, rename = "clientDataJSON")]
    client_data: Field<String>,
    /// How the client reaches the authenticator; kept, and named again at a sign-in. Unknown ways are left out.
    #[schema(value_type = Option<Vec<String>>, example = json!(["internal", "hybrid"]))]
    #[serde(default)]
    transports: Field<Vec<String>>,
}

impl Exact for CompleteRegistrationBody {}

impl CompleteRegistrationBody {
    pub(super) fn read(self) -> Result<CompletePasskey, Violations> {
        let mut check = Check::new();
        let credential = check.required("credential", self.credential);
        let response = credential.and_then(|sent| sent.of_standard().read(&mut check));
        let name = name(&mut check, self.device_name);
        check.finish(response.zip(name).map(|(response, name)| CompletePasskey { name, response }))
    }
}

impl RegisteredCredential {
    fn read(self, check: &mut Check) -> Option<RegistrationResponse> {
        let credential_id = credential_id(check, self.id, self.raw_id, self.kind);
        let sent = check.required("credential.response", self.response)?.of_standard();
        let attestation_object = encoded::required(
            check,
            "credential.response.attestationObject",
            sent.attestation_object,
            LONGEST_AUTHENTICATOR_DATA,
        );
        let client_data = client_data(check, sent.client_data);
        let transports = match sent.transports {
            Field::Value(transports) => known(transports),
            // A hint only.
            Field::Missing | Field::Null | Field::WrongType => Vec::new(),
        };
        Some(RegistrationResponse {
            credential_id: credential_id?,
            client_data: client_data?,
            attestation_object: attestation_object?,
            transports,
        })
    }
}

/// The ways to an authenticator that there are, each once, of what a client named.
fn known(named: Vec<String>) -> Vec<String> {
    let is_named = |transport: &&str| named.iter().any(|name| name == transport);
    TRANSPORTS.iter().copied().filter(is_named).map(str::to_owned).collect()
}

/// The id, which is sent twice.
fn credential_id(
    check: &mut Check,
    id: Field<String>,
    raw_id: Field<String>,
    kind: Field<String>,
) -> Option<Vec<u8>> {
    let id = encoded::required(check, "credential.id", id, LONGEST_CREDENTIAL_ID);
    let raw_id = encoded::required(check, "credential.rawId", raw_id, LONGEST_CREDENTIAL_ID);
    let kind = check.required("credential.type", kind);
    if kind.is_some_and(|kind| kind != PUBLIC_KEY) {
        return check.violated("credential.type", "must be public-key");
    }
    match (id, raw_id) {
        (Some(id), Some(raw_id)) if id == raw_id => Some(raw_id),
        (Some(_), Some(_)) => check.violated("credential.id", "must be the same as credential.rawId"),
        _ => None,
    }
}

fn client_data(check: &mut Check, field: Field<String>) -> Option<Vec<u8>> {
    encoded::required(check, "credential.response.clientDataJSON", field, LONGEST_CLIENT_DATA)
}

/// POST /api/v1/webauthn/authenticate/start.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct StartSignInBody {
    /// Whose passkeys would do. Left out, or `null`: those that the authenticator finds by itself (conditional UI). Extension of the
    /// contract.
    #[schema(value_type = Option<String>, format = "email", example = "ada@example.com")]
    #[serde(default)]
    email: Field<String>,
}

impl StartSignInBody {
    pub(super) fn read(self) -> Result<Option<EmailAddress>, Violations> {
        let mut check = Check::new();
        let email = optional_email(&mut check, self.email);
        check.finish(email)
    }
}

/// None for what is wrong, an empty option for no address.
fn optional_email(check: &mut Check, field: Field<String>) -> Option<Option<EmailAddress>> {
    match field {
        Field::Missing | Field::Null => Some(None),
        field => email(check, "email", field).map(Some),
    }
}

/// POST /api/v1/webauthn/authenticate/complete.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct CompleteSignInBody {
    /// What `navigator.credentials.get()` answered, as its `toJSON()` writes it.
    #[schema(required = true, value_type = AssertedCredential)]
    #[serde(default)]
    credential: Field<Object<AssertedCredential>>,
    /// The same as at the start; left out where it was left out there.
    #[schema(value_type = Option<String>, format = "email", example = "ada@example.com")]
    #[serde(default)]
    email: Field<String>,
}

/// A credential that signs in, or is shown for step-up.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct AssertedCredential {
    /// Base64url.
    #[schema(required = true, value_type = String, format = "credential-id")]
    #[serde(default)]
    id: Field<String>,
    /// The same.
    #[schema(required = true, value_type = String, format = "credential-id")]
    #[serde(default, rename = "rawId")]
    raw_id: Field<String>,
    #[schema(required = true, value_type = AssertedResponse)]
    #[serde(default)]
    response: Field<Object<AssertedResponse>>,
    /// `public-key`.
    #[schema(required = true, value_type = String, format = "credential-type", example = "public-key")]
    #[serde(default, rename = "type")]
    kind: Field<String>,
}

/// What the authenticator says at a sign-in.
#[derive(Deserialize, ToSchema)]
struct AssertedResponse {
    /// Base64url.
    #[schema(required = true, value_type = String, format = "authenticator-data")]
    #[serde(default, rename = "authenticatorData")]
    authenticator_data: Field<String>,
    /// Base64url of JSON.
    #[schema(required = true, value_type = String, format = "client-data")]
    #[serde(default, rename = "clientDataJSON")]
    client_data: Field<String>,
    /// Base64url.
    #[schema(required = true, value_type = String, format = "signature")]
    #[serde(default)]
    signature: Field<String>,
    /// Base64url. Required where no e-mail address was sent at the start.
    #[schema(value_type = Option<String>, format = "user-handle")]
    #[serde(default, rename = "userHandle")]
    user_handle: Field<String>,
}

impl CompleteSignInBody {
    pub(super) fn read(self, device: DeviceData) -> Result<PasskeySignIn, Violations> {
        let mut check = Check::new();
        let credential = check.required("credential", self.credential);
        let response = credential.and_then(|sent| sent.of_standard().read(&mut check));
        let email = optional_email(&mut check, self.email);
        check.finish(response.zip(email).map(|(response, email)| PasskeySignIn { email, response, device }))
    }
}

impl AssertedCredential {
    pub(in super::super) fn read(self, check: &mut Check) -> Option<AssertionResponse> {
        let credential_id = credential_id(check, self.id, self.raw_id, self.kind);
        let sent = check.required("credential.response", self.response)?.of_standard();
        let authenticator_data = encoded::required(
            check,
            "credential.response.authenticatorData",
            sent.authenticator_data,
            LONGEST_AUTHENTICATOR_DATA,
        );
        let client_data = client_data(check, sent.client_data);
        let signature =
            encoded::required(check, "credential.response.signature", sent.signature, LONGEST_SIGNATURE);
        let user_handle =
            encoded::optional(check, "credential.response.userHandle", sent.user_handle, LONGEST_USER_HANDLE);
        Some(AssertionResponse {
            credential_id: credential_id?,
            client_data: client_data?,
            authenticator_data: authenticator_data?,
            signature: signature?,
            user_handle,
        })
    }
}
