//! Who a provider says has signed in.

use tidegate_domain::{EmailAddress, Secret, Timestamp};

/// Longest subject that is stored (OpenID Connect Core section 2: 255 ASCII characters).
pub(crate) const MAX_SUBJECT: usize = 255;
/// Longest name, in characters.
const MAX_NAME: usize = 255;
/// Longest address of a picture.
const MAX_PICTURE: usize = 2_000;

/// Who has signed in at a provider.
#[derive(Clone, Debug)]
pub struct ProviderProfile {
    /// Who issued the subject: the ID token's `iss`, or the provider's own address.
    pub issuer: String,
    /// What the issuer calls the person, for good.
    pub subject: String,
    /// Their address; none where the provider tells none, or none that can be written to.
    pub email: Option<ProviderEmail>,
    /// What they are called; empty where the provider does not say.
    pub display_name: String,
    /// Their picture, at an https address.
    pub picture: Option<String>,
    /// The `nonce` of the ID token; none of a provider without ID tokens.
    pub nonce: Option<String>,
    /// When the person proved who they are there; none where the provider does not say.
    pub auth_time: Option<Timestamp>,
    /// The provider's tokens as JSON, to be stored sealed.
    pub tokens: Secret,
}

/// An address at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderEmail {
    /// The address.
    pub address: EmailAddress,
    /// Whether the provider says that it is the person's.
    pub is_verified: bool,
    /// Whether the provider decides now whose it is: it runs the mailbox, or the operator trusts it so. Elsewhere the provider once
    /// saw a proof, and the address may have changed hands since.
    pub is_authoritative: bool,
}

impl ProviderEmail {
    /// The address as the provider tells it; none where it would have to be read in another way than it is written, apart from
    /// ASCII case: another spelling is another mailbox to the provider.
    pub(crate) fn read(written: &str, is_verified: bool, is_authoritative: bool) -> Option<Self> {
        let address = EmailAddress::parse(written).ok()?;
        let is_same = address.as_str().eq_ignore_ascii_case(written);
        is_same.then_some(Self { address, is_verified, is_authoritative: is_verified && is_authoritative })
    }
}

/// A name that can be shown; empty for any other.
pub(crate) fn name(text: &str) -> String {
    tidegate_domain::text::line(text, MAX_NAME).unwrap_or_default()
}

/// An address of a picture that pages may show.
pub(crate) fn picture(text: &str) -> Option<String> {
    let fits = text.starts_with("https://")
        && text.len() <= MAX_PICTURE
        && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_must_be_read_in_another_way_than_it_is_written_is_none() {
        assert!(ProviderEmail::read("Ada@Example.com", true, false).is_some());
        for other in [" ada@example.com", "ada@example.com ", "ada@example.com\u{200b}"] {
            assert_eq!(ProviderEmail::read(other, true, true), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_not_verified_is_decided_by_nobody() {
        let told = ProviderEmail::read("ada@example.com", false, true).unwrap();
        assert!(!told.is_authoritative);
    }
}
