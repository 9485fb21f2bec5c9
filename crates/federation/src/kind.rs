//! What differs between providers. Everything else is the same for all.

use serde_json::{Map, Value};
use tidegate_crypto::AssertionKey;
use tidegate_domain::{Secret, Timestamp};

use crate::error::FederationError;

/// How long an assertion of ours is valid: Apple allows six months; it is made anew for each exchange.
const ASSERTION_LIFETIME: i64 = 300;
/// The tenant of all personal accounts at Microsoft.
pub(crate) const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// What stands for a tenant in the issuer that Microsoft's discovery document names.
pub(crate) const TENANT: &str = "{tenantid}";

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// OAuth 2.0 with an API for the profile; no ID tokens.
    Github,
    Google,
    Microsoft,
    Apple,
    /// Any other issuer of OpenID Connect.
    Oidc,
}

/// How this installation authenticates at the token endpoint.
#[derive(Debug)]
pub(crate) enum Credentials {
    /// It does not: a public client.
    None,
    /// With a secret.
    Secret(Secret),
    /// With a token of its own in place of a secret (Apple).
    Assertion { key: AssertionKey, team: String },
}

impl Credentials {
    /// What goes to `audience` as the client's secret.
    pub(crate) fn secret(
        &self,
        client_id: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Option<Secret>, FederationError> {
        match self {
            Self::None => Ok(None),
            Self::Secret(secret) => Ok(Some(secret.clone())),
            Self::Assertion { key, team } => {
                let claims: Map<String, Value> = [
                    ("iss", Value::from(team.as_str())),
                    ("iat", now.seconds().into()),
                    ("exp", (now.seconds() + ASSERTION_LIFETIME).into()),
                    ("aud", audience.into()),
                    ("sub", client_id.into()),
                ]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
                let signed = key.sign(&claims);
                signed
                    .map(Some)
                    .map_err(|error| FederationError::Misconfigured(format!("the client secret: {error}")))
            }
        }
    }
}

impl Kind {
    /// Whether it takes a `code_challenge` with S256 though its discovery document does not say so. Apple documents none.
    pub(crate) const fn takes_pkce(self) -> bool {
        matches!(self, Self::Github | Self::Google | Self::Microsoft)
    }

    /// Whether the answer comes as a form: Apple, as soon as a name or an address is asked for.
    pub(crate) const fn posts_answer(self) -> bool {
        matches!(self, Self::Apple)
    }

    /// Whether a token of `claims` may say that it is from `iss`, where the discovery document says `issuer`.
    pub(crate) fn is_issuer(
        self,
        issuer: &str,
        iss: &str,
        tenant: &str,
        claims: &Map<String, Value>,
    ) -> bool {
        match self {
            // Google's documents name both.
            Self::Google => iss == issuer || issuer.strip_prefix("https://") == Some(iss),
            Self::Microsoft if issuer.contains(TENANT) => {
                let tid = claims.get("tid").and_then(Value::as_str).unwrap_or_default();
                is_tenant(tid) && admits_tenant(tenant, tid) && iss == issuer.replace(TENANT, tid)
            }
            _ => iss == issuer,
        }
    }

    /// Whether the `iss` beside an authorization code may be that of this provider (RFC 9207).
    pub(crate) fn is_answer_of(self, issuer: &str, iss: &str) -> bool {
        match (self, issuer.split_once(TENANT)) {
            (Self::Microsoft, Some((before, after))) => iss
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|tid| is_tenant(tid) || tid == TENANT),
            (Self::Google, _) => iss == issuer || issuer.strip_prefix("https://") == Some(iss),
            _ => iss == issuer,
        }
    }

    /// Whether the provider runs the mailbox of `email`, so that nobody else has the address now: Google, of its own domain and of
    /// the domain of a Workspace organization (`hd`).
    ///
    /// Source: <https://developers.google.com/identity/gsi/web/guides/verify-google-id-token>.
    pub(crate) fn is_authoritative(self, claims: &Map<String, Value>, email: &str) -> bool {
        let Some((_, domain)) = email.rsplit_once('@') else { return false };
        let hosted = claims.get("hd").and_then(Value::as_str);
        self == Self::Google
            && (domain.eq_ignore_ascii_case("gmail.com")
                || hosted.is_some_and(|hosted| !hosted.is_empty() && hosted.eq_ignore_ascii_case(domain)))
    }

    /// Whether the provider vouches for the address in `claims`.
    pub(crate) fn is_email_verified(self, claims: &Map<String, Value>, email: &str) -> bool {
        match self {
            // `email` is what a tenant's administrator wrote; these claims are Microsoft's own.
            Self::Microsoft => {
                is_true(claims.get("xms_edov"))
                    || lists(claims.get("verified_primary_email"), email)
                    || lists(claims.get("verified_secondary_email"), email)
            }
            _ => is_true(claims.get("email_verified")),
        }
    }
}

/// Apple and Microsoft write booleans as text or numbers, too.
fn is_true(claim: Option<&Value>) -> bool {
    match claim {
        Some(Value::Bool(is)) => *is,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true") || text == "1",
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        _ => false,
    }
}

fn lists(claim: Option<&Value>, email: &str) -> bool {
    let addresses = claim.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    addresses.into_iter().any(|address| address.eq_ignore_ascii_case(email))
}

fn is_tenant(tid: &str) -> bool {
    let groups: Vec<usize> = tid.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && tid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

fn admits_tenant(configured: &str, tid: &str) -> bool {
    match configured {
        "common" => true,
        "organizations" => tid != CONSUMERS,
        "consumers" => tid == CONSUMERS,
        one => one == tid,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    const TENANT_ID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_tenant_of_a_token_is_that_of_its_issuer_and_one_that_may_sign_in() {
        let iss = |tid: &str| TEMPLATE.replace(TENANT, tid);
        let is = |tenant: &str, tid: &str, iss: &str| {
            Kind::Microsoft.is_issuer(TEMPLATE, iss, tenant, &claims(json!({ "tid": tid })))
        };
        assert!(is("common", TENANT_ID, &iss(TENANT_ID)));
        assert!(is("organizations", TENANT_ID, &iss(TENANT_ID)));
        assert!(!is("organizations", CONSUMERS, &iss(CONSUMERS)));
        assert!(is("consumers", CONSUMERS, &iss(CONSUMERS)));
        assert!(!is("consumers", TENANT_ID, &iss(TENANT_ID)));
        assert!(!is("common", TENANT_ID, &iss(CONSUMERS)));
        assert!(!is("common", TENANT, TEMPLATE));
        assert!(!is("common", "", &iss("")));
        assert!(!is("common", "x/../y", &iss("x/../y")));
    }

    #[test]
    fn what_microsoft_calls_an_address_is_verified_by_its_own_claims_only() {
        let is = |value: Value| Kind::Microsoft.is_email_verified(&claims(value), "ada@example.com");
        assert!(!is(json!({})));
        assert!(!is(json!({"email_verified": true})));
        assert!(!is(json!({"xms_edov": false})));
        assert!(!is(json!({"xms_edov": "0"})));
        assert!(!is(json!({"verified_primary_email": ["eve@example.com"]})));
        for yes in [json!({"xms_edov": true}), json!({"xms_edov": "1"}), json!({"xms_edov": 1})] {
            assert!(is(yes));
        }
        assert!(is(json!({"verified_primary_email": ["Ada@example.com"]})));
        assert!(Kind::Apple.is_email_verified(&claims(json!({"email_verified": "true"})), "a@b.cd"));
        assert!(!Kind::Apple.is_email_verified(&claims(json!({"email_verified": "false"})), "a@b.cd"));
    }

    #[test]
    fn google_alone_decides_whose_the_addresses_of_its_mailboxes_are() {
        let is = |kind: Kind, email: &str, value: Value| kind.is_authoritative(&claims(value), email);
        assert!(is(Kind::Google, "ada@GMAIL.com", json!({})));
        assert!(is(Kind::Google, "ada@example.com", json!({"hd": "Example.com"})));
        assert!(!is(Kind::Google, "ada@example.com", json!({})));
        assert!(!is(Kind::Google, "ada@example.com", json!({"hd": ""})));
        assert!(!is(Kind::Google, "ada@example.com", json!({"hd": "ample.com"})));
        assert!(!is(Kind::Google, "ada@gmail.com.evil.example", json!({"hd": "example.com"})));
        for other in [Kind::Oidc, Kind::Apple, Kind::Microsoft, Kind::Github] {
            assert!(!is(other, "ada@gmail.com", json!({"hd": "gmail.com"})), "{other:?}");
        }
    }

    #[test]
    fn the_issuer_beside_a_code_is_this_providers() {
        assert!(Kind::Oidc.is_answer_of("https://a.example", "https://a.example"));
        assert!(!Kind::Oidc.is_answer_of("https://a.example", "https://b.example"));
        assert!(Kind::Microsoft.is_answer_of(TEMPLATE, &TEMPLATE.replace(TENANT, TENANT_ID)));
        assert!(!Kind::Microsoft.is_answer_of(TEMPLATE, "https://login.microsoftonline.com/x/v2.0"));
        assert!(!Kind::Microsoft.is_answer_of(TEMPLATE, "https://accounts.google.com"));
    }
}
