//! SCRAM (RFC 5802, RFC 7677), the client's side, without channel binding.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::not_signed_in;
use crate::error::{ErrorCode, SourceError};

/// Rounds that a server may ask for: fewer protect nothing, more would keep this machine busy.
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=1_000_000;

/// The hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// One conversation.
pub(crate) struct Scram {
    hash: Hash,
    password: Zeroizing<String>,
    bare: String,
    nonce: String,
    signature: Option<Vec<u8>>,
}

fn nonsense() -> SourceError {
    SourceError::new(ErrorCode::Authentication, "The server does not sign users in as SCRAM says.")
}

impl Scram {
    /// Begins a conversation.
    pub(crate) fn new(hash: Hash, user: &str, password: &str) -> Result<Self, SourceError> {
        let mut random = [0_u8; 24];
        rand::fill(&mut random).map_err(|_| SourceError::connection("There is no randomness."))?;
        Ok(Self::with_nonce(hash, user, password, STANDARD.encode(random)))
    }

    fn with_nonce(hash: Hash, user: &str, password: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        Self { hash, password: Zeroizing::new(password.to_owned()), bare, nonce, signature: None }
    }

    /// The client's first message.
    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// The client's last message, after the server's first.
    pub(crate) fn last(&mut self, server: &[u8]) -> Result<String, SourceError> {
        let server = std::str::from_utf8(server).map_err(|_| nonsense())?;
        let mut parts = server.split(',');
        let mut part =
            |name: &str| parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(nonsense);
        let nonce = part("r=")?;
        let salt = STANDARD.decode(part("s=")?).map_err(|_| nonsense())?;
        let rounds = part("i=")?.parse::<u32>().map_err(|_| nonsense())?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() || !ROUNDS.contains(&rounds) {
            return Err(nonsense());
        }
        let rounds = NonZeroU32::new(rounds).ok_or_else(nonsense)?;
        let (derivation, length) = match self.hash {
            Hash::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            Hash::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        };
        let mut salted = Zeroizing::new(vec![0; length]);
        pbkdf2::derive(derivation, rounds, &salt, self.password.as_bytes(), &mut salted);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server},{without_proof}", self.bare);
        let client_key = Zeroizing::new(self.keyed(&salted, b"Client Key"));
        let stored = match self.hash {
            Hash::Sha256 => digest::digest(&digest::SHA256, &client_key),
            Hash::Sha512 => digest::digest(&digest::SHA512, &client_key),
        };
        let signed = self.keyed(stored.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signed).map(|(key, signed)| key ^ signed).collect();
        let server_key = self.keyed(&salted, b"Server Key");
        self.signature = Some(self.keyed(&server_key, message.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Holds that the server knows the password too.
    pub(crate) fn verify(&self, server: &[u8]) -> Result<(), SourceError> {
        let server = std::str::from_utf8(server).map_err(|_| nonsense())?;
        if server.starts_with("e=") {
            return Err(not_signed_in());
        }
        let given = server.strip_prefix("v=").and_then(|text| text.split(',').next()).ok_or_else(nonsense)?;
        let given = STANDARD.decode(given).map_err(|_| nonsense())?;
        let own = self.signature.as_deref().ok_or_else(nonsense)?;
        constant_time::verify_slices_are_equal(own, &given).map_err(|_| nonsense())
    }

    fn keyed(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self.hash {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let mut scram = Scram::with_nonce(Hash::Sha256, "user", "pencil", nonce);
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.last(server).unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap();
        assert!(scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").is_err());
        assert_eq!(scram.verify(b"e=invalid-proof").unwrap_err().code, ErrorCode::Authentication);
    }

    #[test]
    fn a_server_that_makes_the_rules_is_refused() {
        for server in [
            "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
            "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000",
            "r=abcd,s=%,i=4096",
            "",
        ] {
            let mut scram = Scram::with_nonce(Hash::Sha512, "u,=", "p", "abc".to_owned());
            assert_eq!(scram.first(), "n,,n=u=2C=3D,r=abc");
            assert!(scram.last(server.as_bytes()).is_err(), "{server}");
            assert!(scram.verify(server.as_bytes()).is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_is_a_panic(message: Vec<u8>) {
            let mut scram = Scram::with_nonce(Hash::Sha256, "u", "p", String::new());
            let _ = scram.last(&message);
            let _ = scram.verify(&message);
        }
    }
}
