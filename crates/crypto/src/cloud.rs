//! How requests to object stores are signed.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_domain::Secret;

/// A secret access key of S3, or of a store that speaks its protocol.
#[derive(Clone)]
pub struct AwsSecretKey(Secret);

/// An access key of an Azure storage account.
#[derive(Clone)]
pub struct AzureAccountKey(Key);

/// The key is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an account key is base64")]
pub struct NotBase64;

fn mac(key: &[u8], message: &str) -> Tag {
    sign(&Key::new(HMAC_SHA256, key), message.as_bytes())
}

impl AwsSecretKey {
    /// A key from configuration.
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The signature of a request, in lowercase hexadecimal. `date` is `YYYYMMDD`.
    ///
    /// Source: AWS, "Signature Version 4", steps 3 and 4.
    pub fn sign(&self, date: &str, region: &str, service: &str, string_to_sign: &str) -> String {
        let secret = zeroize::Zeroizing::new(format!("AWS4{}", self.0.expose()));
        let mut key = mac(secret.as_bytes(), date);
        for part in [region, service, "aws4_request"] {
            key = mac(key.as_ref(), part);
        }
        hex::encode(mac(key.as_ref(), string_to_sign))
    }
}

impl AzureAccountKey {
    /// A key from configuration.
    ///
    /// # Errors
    /// [`NotBase64`].
    pub fn new(secret: &Secret) -> Result<Self, NotBase64> {
        let bytes = STANDARD.decode(secret.expose().trim()).map_err(|_| NotBase64)?;
        Ok(Self(Key::new(HMAC_SHA256, &bytes)))
    }

    /// The signature of a request, in base64.
    ///
    /// Source: Azure Storage, "Authorize with Shared Key".
    pub fn sign(&self, string_to_sign: &str) -> String {
        STANDARD.encode(sign(&self.0, string_to_sign.as_bytes()))
    }
}

impl fmt::Debug for AwsSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AzureAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(tidegate_domain::secret::HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_in_the_published_example() {
        // AWS, "Authenticating Requests: Using Query Parameters (Signature Version 4)": the example of a presigned URL.
        let key = AwsSecretKey::new(Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"));
        let text = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                    3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04";
        assert_eq!(
            key.sign("20130524", "us-east-1", "s3", text),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn keys_are_not_shown() {
        let secret = Secret::new("c2VjcmV0");
        assert_eq!(format!("{:?}", AwsSecretKey::new(secret.clone())), "[secret]");
        assert_eq!(format!("{:?}", AzureAccountKey::new(&secret).unwrap()), "[secret]");
        assert_eq!(AzureAccountKey::new(&Secret::new("no base64!")).unwrap_err(), NotBase64);
    }
}
