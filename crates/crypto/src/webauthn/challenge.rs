//! The challenge of a ceremony, and where clients repeat it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use tidegate_domain::{Entropy, Secret};

use super::LONGEST_CLIENT_DATA;
use crate::{PlainToken, TokenHash};

/// Bytes of a challenge.
const BYTES: usize = 32;

/// Base64url as browsers write it, and as other clients do: with padding or without.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an authenticator signs, so that its answer is for one ceremony alone. It is stored as a hash and valid once.
#[derive(Clone)]
pub struct PasskeyChallenge([u8; BYTES]);

/// The part of the client data (Web Authentication level 3, section 5.8.1) that is read before anything is verified. The library
/// reads the same bytes again and judges the rest.
#[derive(Deserialize)]
struct ClientData<'a> {
    #[serde(borrow)]
    challenge: std::borrow::Cow<'a, str>,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: Option<bool>,
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<serde::de::IgnoredAny>,
}

impl std::fmt::Debug for PasskeyChallenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[challenge]")
    }
}

impl PasskeyChallenge {
    /// A new challenge.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; BYTES];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The challenge that client data repeats. None where it names none, where it is no JSON, and where the ceremony took place in a
    /// frame of another site.
    pub fn from_client_data(client_data: &[u8]) -> Option<Self> {
        if client_data.len() > LONGEST_CLIENT_DATA {
            return None;
        }
        let read: ClientData<'_> = serde_json::from_slice(client_data).ok()?;
        if read.cross_origin.unwrap_or(false) || read.top_origin.is_some() {
            return None;
        }
        let bytes = BASE64URL.decode(read.challenge.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for the ceremony.
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// Base64url, for the client.
    pub fn base64(&self) -> Secret {
        Secret::new(BASE64URL.encode(self.0))
    }

    /// What is stored and looked up in its place.
    pub fn hash(&self) -> TokenHash {
        PlainToken::of_bytes("", &self.0).hash()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn client_data_repeats_the_challenge_and_a_frame_of_another_site_counts_for_nothing() {
        let challenge = PasskeyChallenge::generate(&Seeded::new(7));
        let text = challenge.base64();
        let read = |data: serde_json::Value| {
            PasskeyChallenge::from_client_data(data.to_string().as_bytes()).map(|read| read.0)
        };
        let data =
            json!({ "type": "webauthn.get", "challenge": text.expose(), "origin": "https://a.example" });
        assert_eq!(read(data.clone()), Some(challenge.0));
        let with = |key: &str, value: serde_json::Value| {
            let mut data = data.clone();
            data[key] = value;
            data
        };
        assert_eq!(read(with("crossOrigin", json!(false))), Some(challenge.0));
        assert_eq!(read(with("challenge", json!(format!("{}=", text.expose())))), Some(challenge.0));
        assert_eq!(read(with("crossOrigin", json!(true))), None);
        assert_eq!(read(with("topOrigin", json!("https://b.example"))), None);
        for wrong in [json!(7), json!(null), json!(""), json!("AAAA"), json!(format!("{}AA", text.expose()))]
        {
            assert_eq!(read(with("challenge", wrong)), None);
        }
        let twice = format!(r#"{{"challenge":"{0}","challenge":"{0}"}}"#, text.expose());
        assert!(PasskeyChallenge::from_client_data(twice.as_bytes()).is_none(), "said twice");
        let long = with("padding", json!("x".repeat(LONGEST_CLIENT_DATA)));
        assert_eq!(read(long), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = PasskeyChallenge::from_client_data(&bytes);
        }

        #[test]
        fn a_challenge_is_read_as_it_was_written(bytes in any::<[u8; BYTES]>()) {
            let written = json!({ "challenge": PasskeyChallenge(bytes).base64().expose() }).to_string();
            let read = PasskeyChallenge::from_client_data(written.as_bytes()).unwrap();
            prop_assert_eq!(read.0, bytes);
            prop_assert_eq!(*read.hash().as_bytes(), *PasskeyChallenge(bytes).hash().as_bytes());
        }
    }
}
