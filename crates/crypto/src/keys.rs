//! Keys that sign access tokens and ID tokens.

use std::fmt;

use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_domain::{Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::{Vault, VaultError};

/// How access tokens are signed (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256. What most relying parties can verify.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256. Of ID tokens alone: what OpenID Connect Core section 15.1 asks of every provider.
    #[serde(rename = "RS256")]
    Rs256,
}

/// How long an RSA key is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsaSize {
    /// 2048 bits (RFC 7518 section 3.3: the least there is).
    #[default]
    Bits2048,
    /// 3072 bits.
    Bits3072,
}

/// A private key, and the public half that goes with it.
pub struct SigningKey {
    public: VerificationKey,
    private: EncodingKey,
    created_at: Timestamp,
}

/// A public key, ready to verify with.
#[derive(Clone)]
pub struct VerificationKey {
    kid: String,
    point: Point,
    decoding: DecodingKey,
    validation: Validation,
}

/// A key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a key of its algorithm.
    #[error("not a usable {0} key")]
    Unusable(&'static str),
    /// Not a public key of a kind known here.
    #[error("not the JSON Web Key of an ES256, EdDSA or RS256 public key")]
    Jwk,
    /// A key stored under another's name.
    #[error("signing key `{stored}` turned out to be `{actual}`")]
    Misnamed {
        /// The name it was stored under.
        stored: String,
        /// Its thumbprint.
        actual: String,
    },
    /// It could not be decrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A public key's coordinates, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Point {
    P256 {
        x: String,
        y: String,
    },
    Ed25519 {
        x: String,
    },
    /// Modulus and exponent.
    Rsa {
        n: String,
        e: String,
    },
}

/// A public JSON Web Key, as far as it says which key it is.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// A random number is no P-256 key once in 2^32 times. Four in a row are no chance.
const DRAWS: usize = 4;

impl SigningAlgorithm {
    /// All that ID tokens can be signed with.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// Its `alg` in a token's header, and its name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm with this `alg`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Whether it signs access tokens, too. RS256 is for ID tokens alone: a key that nobody has to verify access tokens with cannot be
    /// confused with one that does.
    pub const fn signs_access_tokens(self) -> bool {
        !matches!(self, Self::Rs256)
    }

    pub(crate) const fn jws(self) -> Algorithm {
        match self {
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Rs256 => Algorithm::RS256,
        }
    }

    const fn unusable(self) -> KeyError {
        KeyError::Unusable(self.as_str())
    }
}

impl SigningKey {
    /// A new key, from `entropy` alone; one for RS256 as [`Self::generate_rsa`] makes it.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] when `entropy` is broken.
    pub fn generate(
        algorithm: SigningAlgorithm,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyError> {
        if algorithm == SigningAlgorithm::Rs256 {
            return Self::generate_rsa(RsaSize::default(), now);
        }
        let drawn = (0..DRAWS).find_map(|_| {
            let mut seed = Zeroizing::new([0; 32]);
            entropy.fill(&mut *seed);
            pkcs8_of(algorithm, &*seed)
        });
        Self::from_private(algorithm, &drawn.ok_or(algorithm.unusable())?, now)
    }

    /// A new RSA key. It takes a tenth of a second or several, of one processor. The library draws the primes from the operating system
    /// itself: it takes no randomness from outside.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] when the library has none.
    pub fn generate_rsa(size: RsaSize, now: Timestamp) -> Result<Self, KeyError> {
        let unusable = SigningAlgorithm::Rs256.unusable();
        let size = match size {
            RsaSize::Bits2048 => KeySize::Rsa2048,
            RsaSize::Bits3072 => KeySize::Rsa3072,
        };
        let made = RsaKeyPair::generate(size).ok();
        let made: Option<Pkcs8V1Der<'static>> = made.and_then(|pair| pair.as_der().ok());
        let made = made.ok_or(unusable)?;
        let private = rsa_private(made.as_ref()).ok_or(SigningAlgorithm::Rs256.unusable())?;
        Self::from_private(SigningAlgorithm::Rs256, private.as_bytes(), now)
    }

    /// Encrypts the private key for the store.
    ///
    /// # Errors
    /// Those of [`Vault::seal`].
    pub fn seal(&self, vault: &Vault, entropy: &dyn Entropy) -> Result<Vec<u8>, VaultError> {
        vault.seal(&context(self.kid()), self.private.as_bytes(), entropy)
    }

    /// Decrypts a private key from the store.
    ///
    /// # Errors
    /// [`KeyError::Vault`], or [`KeyError::Unusable`] and [`KeyError::Misnamed`] when the row is not what it says.
    pub fn open(
        vault: &Vault,
        kid: &str,
        algorithm: SigningAlgorithm,
        created_at: Timestamp,
        sealed: &[u8],
    ) -> Result<Self, KeyError> {
        let private = vault.open(&context(kid), sealed)?;
        let key = Self::from_private(algorithm, &private, created_at)?;
        if key.kid() == kid {
            return Ok(key);
        }
        Err(KeyError::Misnamed { stored: kid.to_owned(), actual: key.public.kid })
    }

    /// The key's name: its thumbprint.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// How it signs.
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.public.algorithm()
    }

    /// When it was made.
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The public half.
    pub const fn verification_key(&self) -> &VerificationKey {
        &self.public
    }

    /// The public half as a JSON Web Key.
    pub fn public_jwk(&self) -> Value {
        self.public.jwk()
    }

    pub(crate) const fn private(&self) -> &EncodingKey {
        &self.private
    }

    /// The key in PKCS#8; that of RSA as RFC 8017 appendix A.1.2 writes it.
    fn from_private(
        algorithm: SigningAlgorithm,
        private: &[u8],
        created_at: Timestamp,
    ) -> Result<Self, KeyError> {
        let unusable = |_| algorithm.unusable();
        let (point, encoding) = match algorithm {
            SigningAlgorithm::Es256 => {
                let pair =
                    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map_err(unusable)?;
                let point = Point::uncompressed(pair.public_key().as_ref()).ok_or(algorithm.unusable())?;
                (point, EncodingKey::from_ec_der(private))
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(private).map_err(unusable)?;
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                (Point::Ed25519 { x }, EncodingKey::from_ed_der(private))
            }
            SigningAlgorithm::Rs256 => {
                let pair = RsaKeyPair::from_der(private).map_err(unusable)?;
                let public = pair.public_key();
                let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                let n = number(public.modulus().big_endian_without_leading_zero());
                let e = number(public.exponent().big_endian_without_leading_zero());
                (Point::Rsa { n, e }, EncodingKey::from_rsa_der(private))
            }
        };
        Ok(Self { public: VerificationKey::new(point)?, private: encoding, created_at })
    }
}

impl VerificationKey {
    /// Reads a public key from what [`VerificationKey::jwk`] wrote. The `kid` is computed anew, whatever it says.
    ///
    /// # Errors
    /// [`KeyError::Jwk`].
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let jwk = Jwk::deserialize(jwk).map_err(|_| KeyError::Jwk)?;
        let is_coordinate = |text: &String| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        if ![&jwk.x, &jwk.y].into_iter().flatten().all(is_coordinate) {
            return Err(KeyError::Jwk);
        }
        match jwk {
            Jwk { kty, crv: Some(crv), x: Some(x), y: Some(y), n: None, .. }
                if kty == "EC" && crv == "P-256" =>
            {
                Self::new(Point::P256 { x, y })
            }
            Jwk { kty, crv: Some(crv), x: Some(x), y: None, n: None, .. }
                if kty == "OKP" && crv == "Ed25519" =>
            {
                Self::new(Point::Ed25519 { x })
            }
            Jwk { kty, crv: None, x: None, y: None, n: Some(n), e: Some(e) } if kty == "RSA" => {
                Self::new(Point::Rsa { n, e })
            }
            _ => Err(KeyError::Jwk),
        }
    }

    /// The key's name: its thumbprint (RFC 7638), so no two keys share one.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// How it verifies.
    pub const fn algorithm(&self) -> SigningAlgorithm {
        match self.point {
            Point::P256 { .. } => SigningAlgorithm::Es256,
            Point::Ed25519 { .. } => SigningAlgorithm::EdDsa,
            Point::Rsa { .. } => SigningAlgorithm::Rs256,
        }
    }

    /// The key as a JSON Web Key (RFC 7517), for publication.
    pub fn jwk(&self) -> Value {
        let alg = self.algorithm().as_str();
        match &self.point {
            Point::P256 { x, y } => json!({
                "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "alg": alg, "use": "sig",
            }),
            Point::Ed25519 { x } => json!({
                "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": alg, "use": "sig",
            }),
            Point::Rsa { n, e } => json!({
                "kty": "RSA", "n": n, "e": e, "kid": self.kid, "alg": alg, "use": "sig",
            }),
        }
    }

    pub(crate) const fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    pub(crate) const fn validation(&self) -> &Validation {
        &self.validation
    }

    fn new(point: Point) -> Result<Self, KeyError> {
        let (algorithm, decoding) = match &point {
            Point::P256 { x, y } => (Algorithm::ES256, DecodingKey::from_ec_components(x, y)),
            Point::Ed25519 { x } => (Algorithm::EdDSA, DecodingKey::from_ed_components(x)),
            Point::Rsa { n, e } => (Algorithm::RS256, DecodingKey::from_rsa_components(n, e)),
        };
        Ok(Self {
            kid: point.thumbprint(),
            decoding: decoding.map_err(|_| KeyError::Jwk)?,
            validation: signature_only(algorithm),
            point,
        })
    }
}

impl Point {
    /// SEC 1 section 2.3.3: a four, then x and y.
    fn uncompressed(bytes: &[u8]) -> Option<Self> {
        let (&[4], coordinates) = bytes.split_first_chunk()? else {
            return None;
        };
        let (x, y) = coordinates.split_at_checked(32)?;
        Some(Self::P256 { x: URL_SAFE_NO_PAD.encode(x), y: URL_SAFE_NO_PAD.encode(y) })
    }

    /// RFC 7638 section 3: SHA-256 of the required members, in alphabetical order, without white space.
    fn thumbprint(&self) -> String {
        let members = match self {
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm().as_str(), self.kid())
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({} {})", self.algorithm().as_str(), self.kid)
    }
}

/// A private key keeps to its row: sealed for one, it does not open in another.
fn context(kid: &str) -> String {
    format!("signing-key/{kid}")
}

/// The private key `seed` in PKCS#8, if it is one.
fn pkcs8_of(algorithm: SigningAlgorithm, seed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let document = match algorithm {
        SigningAlgorithm::Es256 => {
            let public =
                agreement::PrivateKey::from_private_key(&ECDH_P256, seed).ok()?.compute_public_key().ok()?;
            EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                seed,
                public.as_ref(),
            )
            .ok()?
            .to_pkcs8v1()
        }
        SigningAlgorithm::EdDsa => Ed25519KeyPair::from_seed_unchecked(seed).ok()?.to_pkcs8(),
        // Its primes are searched for, not drawn.
        SigningAlgorithm::Rs256 => return None,
    };
    document.ok().map(|document| Zeroizing::new(document.as_ref().to_vec()))
}

/// The private key inside PKCS#8, in the form in which the signing library wants it (RFC 8017 appendix A.1.2). That library takes it out
/// of the envelope if it is PEM text.
fn rsa_private(pkcs8: &[u8]) -> Option<EncodingKey> {
    let text = Zeroizing::new(STANDARD.encode(pkcs8));
    let mut pem = Zeroizing::new(String::with_capacity(text.len() + 128));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(str::from_utf8(line).ok()?);
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    EncodingKey::from_rsa_pem(pem.as_bytes()).ok()
}

/// The library checks the signature only: its other checks read the clock, or pass a token that lacks the claim.
pub(crate) fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::ThumbprintHash;

    use super::*;
    use crate::MasterKey;
    use crate::testing::Seeded;

    /// Those whose keys are drawn from the entropy that is given.
    const ALGORITHMS: [SigningAlgorithm; 2] = [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];

    fn key(algorithm: SigningAlgorithm, seed: u64) -> SigningKey {
        SigningKey::generate(algorithm, Timestamp::from_seconds(1_700_000_000), &Seeded::new(seed)).unwrap()
    }

    fn vault() -> Vault {
        Vault::new(MasterKey::generate(&Seeded::new(1)), Vec::new()).unwrap()
    }

    #[test]
    fn the_thumbprint_is_the_standards() {
        // RFC 8037 appendix A.2 and A.3.
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = VerificationKey::from_jwk(&jwk).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");

        let key = self::key(SigningAlgorithm::Es256, 1);
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.public_jwk()).unwrap();
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), key.kid());
    }

    #[test]
    fn a_key_comes_from_the_entropy_given_and_nothing_else() {
        for algorithm in ALGORITHMS {
            assert_eq!(key(algorithm, 1).kid(), key(algorithm, 1).kid());
            assert_ne!(key(algorithm, 1).kid(), key(algorithm, 2).kid());
        }
    }

    #[test]
    fn broken_entropy_gives_no_key_instead_of_a_guessable_one() {
        struct Zeros;
        impl Entropy for Zeros {
            fn fill(&self, buffer: &mut [u8]) {
                buffer.fill(0);
            }
        }
        let refused = SigningKey::generate(SigningAlgorithm::Es256, Timestamp::default(), &Zeros);
        assert_eq!(refused.unwrap_err(), KeyError::Unusable("ES256"));
    }

    #[test]
    fn a_stored_key_is_the_same_key_again() {
        for algorithm in ALGORITHMS {
            let key = key(algorithm, 1);
            let sealed = key.seal(&vault(), &Seeded::new(2)).unwrap();
            let opened = SigningKey::open(&vault(), key.kid(), algorithm, key.created_at(), &sealed).unwrap();
            assert_eq!(opened.public_jwk(), key.public_jwk());
            assert_eq!(opened.private().as_bytes(), key.private().as_bytes());
        }
    }

    #[test]
    fn a_stored_key_under_another_name_or_algorithm_is_refused() {
        let key = key(SigningAlgorithm::Es256, 1);
        let open = |kid: &str, algorithm, sealed: &[u8]| {
            SigningKey::open(&vault(), kid, algorithm, Timestamp::default(), sealed).unwrap_err()
        };
        let sealed = key.seal(&vault(), &Seeded::new(2)).unwrap();
        assert_eq!(open("another", SigningAlgorithm::Es256, &sealed), KeyError::Vault(VaultError::Altered));
        assert_eq!(open(key.kid(), SigningAlgorithm::EdDsa, &sealed), KeyError::Unusable("EdDSA"));
        let misnamed = vault().seal(&context("another"), key.private().as_bytes(), &Seeded::new(2)).unwrap();
        assert!(matches!(open("another", SigningAlgorithm::Es256, &misnamed), KeyError::Misnamed { .. }));
    }

    #[test]
    fn the_published_key_says_all_a_relying_party_needs_and_nothing_private() {
        let jwk = key(SigningAlgorithm::Es256, 1).public_jwk();
        let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
        for member in ["kty", "crv", "x", "y", "kid", "alg", "use"] {
            assert!(members.contains(&member), "{member}");
        }
        assert_eq!(members.len(), 7);
        assert_eq!(jwk["alg"], "ES256");
        assert_eq!(jwk["use"], "sig");
        let jwk = key(SigningAlgorithm::EdDsa, 1).public_jwk();
        assert_eq!(jwk.as_object().unwrap().len(), 6);
        assert_eq!(jwk["alg"], "EdDSA");
    }

    #[test]
    fn a_published_key_reads_back() {
        for algorithm in ALGORITHMS {
            let jwk = key(algorithm, 1).public_jwk();
            assert_eq!(VerificationKey::from_jwk(&jwk).unwrap().jwk(), jwk);
        }
    }

    #[test]
    fn an_rsa_key_is_stored_published_and_named_like_the_others() {
        for (size, bytes) in [(RsaSize::Bits2048, 256), (RsaSize::Bits3072, 384)] {
            let key = SigningKey::generate_rsa(size, Timestamp::default()).unwrap();
            let sealed = key.seal(&vault(), &Seeded::new(2)).unwrap();
            let opened =
                SigningKey::open(&vault(), key.kid(), SigningAlgorithm::Rs256, key.created_at(), &sealed)
                    .unwrap();
            let jwk = opened.public_jwk();
            assert_eq!(jwk, key.public_jwk());
            assert_eq!(
                (&jwk["kty"], &jwk["alg"], &jwk["e"]),
                (&json!("RSA"), &json!("RS256"), &json!("AQAB"))
            );
            assert_eq!(URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap().len(), bytes);
            assert_eq!(jwk.as_object().unwrap().len(), 6, "nothing private: {jwk}");
            assert_eq!(VerificationKey::from_jwk(&jwk).unwrap().kid(), key.kid());
            let read: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).unwrap();
            assert_eq!(read.thumbprint(ThumbprintHash::SHA256).unwrap(), key.kid());
            let header = jsonwebtoken::Header::new(Algorithm::RS256);
            let token = jsonwebtoken::encode(&header, &json!({"sub": "1"}), opened.private()).unwrap();
            let public = key.verification_key();
            jsonwebtoken::decode::<Value>(&token, public.decoding(), public.validation()).unwrap();
        }
        let one =
            SigningKey::generate(SigningAlgorithm::Rs256, Timestamp::default(), &Seeded::new(1)).unwrap();
        let other =
            SigningKey::generate(SigningAlgorithm::Rs256, Timestamp::default(), &Seeded::new(1)).unwrap();
        assert_ne!(one.kid(), other.kid(), "the primes come from the operating system");
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        for jwk in [
            json!(null),
            json!({}),
            json!({"kty": "oct", "k": x}),
            json!({"kty": "OKP", "crv": "X25519", "x": x}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "y": x}),
            json!({"kty": "EC", "crv": "P-256", "x": x}),
            json!({"kty": "EC", "crv": "P-384", "x": x, "y": x}),
            json!({"kty": "RSA", "n": x}),
            json!({"kty": "RSA", "n": x, "e": "AQAB", "crv": "P-256"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "n": x}),
        ] {
            assert_eq!(VerificationKey::from_jwk(&jwk).unwrap_err(), KeyError::Jwk, "{jwk}");
        }
    }

    #[test]
    fn algorithms_have_the_names_of_the_standard() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(SigningAlgorithm::from_name(algorithm.as_str()), Some(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), json!(algorithm.as_str()));
            assert_eq!(serde_json::to_value(algorithm.jws()).unwrap(), json!(algorithm.as_str()));
        }
        assert_eq!(SigningAlgorithm::from_name("none"), None);
        assert_eq!(SigningAlgorithm::default(), SigningAlgorithm::Es256);
    }

    #[test]
    fn debug_output_names_the_key_without_showing_it() {
        let key = key(SigningAlgorithm::EdDsa, 1);
        assert_eq!(format!("{key:?}"), format!("SigningKey(EdDSA {})", key.kid()));
    }
}
