//! What the applications of the stories sign.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_kernel::Call;
use tidegate_oauth::applications::{ApplicationChange, ClientMetadata};
use tidegate_testkit::TestApp;

use super::wire::{App, parameters};

/// The issuer of the stories.
pub(super) const ISSUER: &str = "https://id.example.com";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A key pair of an application. It signs nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) kid: &'static str,
    pem: &'static str,
    point: [&'static str; 2],
}

/// The key that is registered.
pub(super) const OWN: Key = Key {
    kid: "shop-1",
    pem: "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg5LqGBA95tTYDzA+M
Ut2L67sBw6L0/RMrkjJoMTJLp2KhRANCAATvKW9vKlLs4vzJk7wLByYPefNu0h9T
NOmovlqTJWif3Z5yJlT1w+dWnmz4h4K9fcrikfuzTgOH3OuomDdgnmUY
-----END PRIVATE KEY-----
",
    point: ["7ylvbypS7OL8yZO8CwcmD3nzbtIfUzTpqL5akyVon90", "nnImVPXD51aebPiHgr19yuKR-7NOA4fc66iYN2CeZRg"],
};

/// A key of somebody else.
pub(super) const OTHER: Key = Key {
    kid: "shop-2",
    pem: "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgD2BL1MuloZklIMH7
iinWLQbTw6esKo3t5aGKg5nIGhKhRANCAASS/XYH0OIPkuJmsO3haTUYmjujGyBV
OoJOZWy9vHtfnN8ctClRn3E1Uei5PmPDjnY2F2QmYzM0cYOdhIMI/Ys3
-----END PRIVATE KEY-----
",
    point: ["kv12B9DiD5LiZrDt4Wk1GJo7oxsgVTqCTmVsvbx7X5w", "3xy0KVGfcTVR6Lk-Y8OOdjYXZCZjMzRxg52Egwj9izc"],
};

impl Key {
    /// The public half.
    pub(super) fn jwk(self) -> Value {
        let [x, y] = self.point;
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig", "alg": "ES256" })
    }

    /// A token that says `claims`.
    pub(super) fn sign(self, claims: &Value) -> String {
        self.sign_with(claims, |_| ())
    }

    /// The same with another header.
    pub(super) fn sign_with(self, claims: &Value, change: impl FnOnce(&mut Header)) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.to_owned());
        change(&mut header);
        encode(&header, claims, &EncodingKey::from_ec_pem(self.pem.as_bytes()).unwrap()).unwrap()
    }
}

/// A set of public keys.
pub(super) fn jwks(keys: &[Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// What an assertion of an application says, made now.
pub(super) fn assertion(app: &TestApp, client: &App, id: &str) -> Value {
    let now = app.now().seconds();
    json!({
        "iss": client.client_id, "sub": client.client_id, "aud": ISSUER, "jti": id, "iat": now, "exp": now + 60,
    })
}

/// What a signed authorization request of an application says, made now.
pub(super) fn signed_request(app: &TestApp, client: &App) -> Value {
    let now = app.now().seconds();
    let mut claims =
        json!({ "iss": client.client_id, "aud": ISSUER, "iat": now, "nbf": now, "exp": now + 60 });
    for (name, value) in parameters(client) {
        claims[name] = json!(value);
    }
    claims
}

/// An operator's command.
pub(super) fn operator(app: &TestApp) -> Call {
    Call::from_cli(app.kernel().settings().contracts.of_installation())
}

/// Changes what is known of an application, as an operator does; answers its new secret, if it has one.
pub(super) async fn change(
    app: &TestApp,
    client: &App,
    authentication: Option<ClientAuthentication>,
    edit: impl FnOnce(&mut ClientMetadata) + Send,
) -> App {
    let id = client.client_id.parse::<uuid::Uuid>().unwrap().into();
    let change = ApplicationChange::default();
    let changed = app
        .oauth()
        .change_application_for_operator(&operator(app), id, change, authentication, edit)
        .await
        .unwrap();
    let keeps = authentication.is_none_or(ClientAuthentication::has_secret);
    let secret = changed.secret.map(|secret| secret.expose().to_owned());
    App { secret: secret.or(client.secret.clone().filter(|_| keeps)), ..client.clone() }
}

/// Has an application prove who it is with its key.
pub(super) async fn with_key(app: &TestApp, client: &App) -> App {
    change(app, client, Some(ClientAuthentication::PrivateKeyJwt), |metadata| {
        metadata.jwks = Some(jwks(&[OWN]))
    })
    .await
}
