//! What is proven by a key shared with another service: a gateway that takes our messages, or one that
//! reports on them.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_domain::{Secret, Timestamp};

use crate::same_bytes;

/// A secret that one other service knows too.
#[derive(Clone)]
pub struct SharedKey(Secret);

impl SharedKey {
    /// A key from configuration.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// Signs `body`, sent at the instant `at`: the value of a `Tidegate-Signature` header.
    ///
    /// It reads `t=1700000000,v1=5bd6...13c0`: `t` is the instant in seconds since the Unix epoch; `v1` is
    /// HMAC-SHA-256, keyed with the secret's bytes, of `t`'s digits, a full stop and the body, in lowercase
    /// hexadecimal. The receiver computes it anew over the body as it came, compares in constant time, and
    /// refuses what is older than five minutes: without the instant inside, a recorded request could be
    /// replayed for ever.
    pub fn sign_webhook(&self, at: Timestamp, body: &[u8]) -> String {
        let seconds = at.seconds();
        let mut mac = hmac::Context::with_key(&self.hmac(hmac::HMAC_SHA256));
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        format!("t={seconds},v1={}", hex::encode(mac.sign()))
    }

    /// Whether `signature`, an `X-Twilio-Signature` header, was made with this key, which is the
    /// account's auth token, for a form with these `fields` posted to `url`.
    ///
    /// It is base64 of HMAC-SHA1 of the URL, followed by every field's name and value in the order of the
    /// names. SHA-1 is Twilio's choice; its collisions do not help against HMAC (RFC 6194 section 3.3).
    /// Source: Twilio, "Validating requests are coming from Twilio".
    pub fn made_twilio_signature(&self, signature: &str, url: &str, fields: &[(String, String)]) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let mut fields: Vec<&(String, String)> = fields.iter().collect();
        fields.sort();
        // Their own libraries sign a repeated field once.
        fields.dedup();
        let mut mac = hmac::Context::with_key(&self.hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY));
        mac.update(url.as_bytes());
        for (name, value) in fields {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        same_bytes(mac.sign().as_ref(), &signature)
    }

    /// Whether `presented` is the secret itself. The time it takes depends on the lengths alone.
    pub fn is(&self, presented: &str) -> bool {
        same_bytes(self.0.expose().as_bytes(), presented.as_bytes())
    }

    fn hmac(&self, algorithm: hmac::Algorithm) -> hmac::Key {
        hmac::Key::new(algorithm, self.0.expose().as_bytes())
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_webhook_is_signed_with_its_instant() {
        // printf '1700000000.{"to":"+254712345678"}' | openssl dgst -sha256 -hmac whsec_0123456789
        let key = SharedKey::new(Secret::new("whsec_0123456789"));
        assert_eq!(
            key.sign_webhook(Timestamp::from_seconds(1_700_000_000), br#"{"to":"+254712345678"}"#),
            "t=1700000000,v1=5bd64dc8d4050bf6aa52493e949bb14bd46714746eca3f5370b0368f3d2f13c0"
        );
    }

    #[test]
    fn twilio_signs_the_url_and_the_sorted_fields() {
        // The example Twilio's own libraries are tested with.
        let key = SharedKey::new(Secret::new("12345"));
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let sent = fields(&[
            ("To", "+18005551212"),
            ("Digits", "1234"),
            ("CallSid", "CA1234567890ABCDE"),
            ("From", "+14158675309"),
            ("Caller", "+14158675309"),
        ]);
        assert!(key.made_twilio_signature(signature, url, &sent));
        let repeated = [sent.clone(), fields(&[("Digits", "1234")])].concat();
        assert!(key.made_twilio_signature(signature, url, &repeated));

        assert!(!key.made_twilio_signature(signature, "https://mycompany.com/myapp.php?foo=1", &sent));
        assert!(!key.made_twilio_signature(signature, url, &sent[1..]));
        assert!(!key.made_twilio_signature("", url, &sent));
        assert!(!key.made_twilio_signature("not base64!", url, &sent));
        assert!(!key.made_twilio_signature("RSOYDt4T1cUTdK1PDd93", url, &sent));
        assert!(!SharedKey::new(Secret::new("12346")).made_twilio_signature(signature, url, &sent));
    }

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let key = SharedKey::new(Secret::new("hunter2"));
        assert!(key.is("hunter2"));
        assert!(!key.is("hunter3") && !key.is("hunter") && !key.is("") && !key.is("hunter22"));
        assert!(!format!("{key:?}").contains("hunter"));
    }

    proptest! {
        #[test]
        fn another_instant_or_body_has_another_signature(
            secret in ".{1,40}",
            first in (0_i64..4_000_000_000, prop::collection::vec(any::<u8>(), 0..60)),
            second in (0_i64..4_000_000_000, prop::collection::vec(any::<u8>(), 0..60)),
        ) {
            let key = SharedKey::new(Secret::new(secret));
            let sign = |(at, body): &(i64, Vec<u8>)| key.sign_webhook(Timestamp::from_seconds(*at), body);
            prop_assert_eq!(sign(&first) == sign(&second), first == second);
        }

        #[test]
        fn any_header_is_judged_without_a_panic(signature in "\\PC{0,60}", url in "\\PC{0,60}") {
            let key = SharedKey::new(Secret::new("12345"));
            prop_assert!(!key.made_twilio_signature(&signature, &url, &[]));
        }
    }
}
