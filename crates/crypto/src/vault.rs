//! Encryption of what is stored, and keyed hashes of what is compared.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use aws_lc_rs::hmac;
use tidegate_domain::Entropy;
use zeroize::Zeroizing;

use crate::{KeyId, MasterKey, PlainToken, TokenHash, sized};

/// The layout of a sealed box: version (1 byte), key id (4), nonce (12), ciphertext and tag.
const VERSION: u8 = 1;

/// The keys of an installation: one in use, and earlier ones that still open what they sealed.
pub struct Vault {
    current: Subkeys,
    previous: Vec<Subkeys>,
}

/// Why a box did not open or close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Sealed under a master key that is not here.
    #[error(
        "sealed under master key {id}, which is not configured: add that key to the previous master keys"
    )]
    UnknownKey {
        /// The key's name.
        id: KeyId,
    },
    /// Too short, or of an unknown version.
    #[error("not a sealed box of a version known here")]
    Unreadable,
    /// Altered, or sealed for another purpose.
    #[error("a sealed box was altered, or belongs to another row")]
    Altered,
    /// The cryptographic library refused.
    #[error("the cryptographic library refused to work")]
    Library,
}

/// What one master key is used for. Each use has a key of its own, so that no output of one serves another.
struct Subkeys {
    id: KeyId,
    sealing: LessSafeKey,
    mac: hmac::Key,
    refresh_child: hmac::Key,
}

impl Vault {
    /// Seals with `current`; opens what `current` and `previous` sealed.
    ///
    /// # Errors
    /// [`VaultError::Library`] when no keys can be derived.
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Result<Self, VaultError> {
        Ok(Self {
            current: Subkeys::derive(&current)?,
            previous: previous.iter().map(Subkeys::derive).collect::<Result<_, _>>()?,
        })
    }

    /// Encrypts `plaintext` with AES-256-GCM. It opens only with the same `context`, which names the purpose and the
    /// row, so that an attacker with write access to the database cannot move one account's secret to another.
    ///
    /// A key seals at most 2^32 boxes safely (NIST SP 800-38D section 8.3): far more than an installation has rows.
    ///
    /// # Errors
    /// [`VaultError::Library`] for a plain text of many gigabytes.
    pub fn seal(
        &self,
        context: &str,
        plaintext: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut body = Zeroizing::new(plaintext.to_vec());
        let tag = self
            .current
            .sealing
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut body,
            )
            .map_err(|_| VaultError::Library)?;
        Ok([&[VERSION], &self.current.id.0[..], &nonce, &body, tag.as_ref()].concat())
    }

    /// Decrypts what [`Vault::seal`] made with the same `context`.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], [`VaultError::Unreadable`] or [`VaultError::Altered`].
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (id, nonce, body) = parts(sealed)?;
        let key = self.all().find(|key| key.id == id).ok_or(VaultError::UnknownKey { id })?;
        let mut opened = Zeroizing::new(body.to_vec());
        let length = key
            .sealing
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut opened)
            .map_err(|_| VaultError::Altered)?
            .len();
        opened.truncate(length);
        Ok(opened)
    }

    /// Whether `sealed` is under the master key in use. If not, sealing it anew lets the old key be retired.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        parts(sealed).is_ok_and(|(id, ..)| id == self.current.id)
    }

    /// HMAC-SHA-256 of `data` for the purpose `context`. For what is too easily guessed to be stored as a plain hash:
    /// one-time codes, addresses in rate-limit keys, fingerprints of requests.
    pub fn mac(&self, context: &str, data: &[u8]) -> [u8; 32] {
        sized(self.current.mac(context, data).as_ref())
    }

    /// What [`Vault::mac`] answered under the previous master keys: to find what was stored by it, and store it anew.
    pub fn previous_macs(&self, context: &str, data: &[u8]) -> Vec<[u8; 32]> {
        self.previous.iter().map(|key| sized(key.mac(context, data).as_ref())).collect()
    }

    /// Whether `tag` is the [`Vault::mac`] of `data`, under the current or a previous master key. The time it takes does
    /// not depend on how much of the tag is right.
    pub fn verify_mac(&self, context: &str, data: &[u8], tag: &[u8]) -> bool {
        self.all().any(|key| crate::same_bytes(key.mac(context, data).as_ref(), tag))
    }

    /// The refresh token that succeeds `parent`. The same parent always has the same child, so a client whose response
    /// was lost, or whose two tabs refreshed at once, gets the same answer again without it being stored in plain text.
    pub fn refresh_child(&self, parent: &PlainToken) -> PlainToken {
        self.current.refresh_child(parent)
    }

    /// The child of `parent` that was issued and is stored as `child`, even if the master key has changed since.
    /// `None` when no key here made it.
    pub fn issued_refresh_child(&self, parent: &PlainToken, child: &TokenHash) -> Option<PlainToken> {
        self.all().map(|key| key.refresh_child(parent)).find(|candidate| candidate.hash() == *child)
    }

    fn all(&self) -> impl Iterator<Item = &Subkeys> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl Subkeys {
    fn derive(master: &MasterKey) -> Result<Self, VaultError> {
        let root = Salt::new(HKDF_SHA256, b"tidegate").extract(master.bytes());
        let sealing: UnboundKey =
            root.expand(&[b"seal"], &AES_256_GCM).map_err(|_| VaultError::Library)?.into();
        Ok(Self {
            id: master.id(),
            sealing: LessSafeKey::new(sealing),
            mac: hmac_key(&root, b"mac")?,
            refresh_child: hmac_key(&root, b"refresh-token child")?,
        })
    }

    fn mac(&self, context: &str, data: &[u8]) -> hmac::Tag {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        let mut mac = hmac::Context::with_key(&self.mac);
        mac.update(&(context.len() as u64).to_be_bytes());
        mac.update(context.as_bytes());
        mac.update(data);
        mac.sign()
    }

    fn refresh_child(&self, parent: &PlainToken) -> PlainToken {
        let child = hmac::sign(&self.refresh_child, parent.expose().as_bytes());
        PlainToken::of_bytes("tgr_", child.as_ref())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous: Vec<KeyId> = self.previous.iter().map(|key| key.id).collect();
        f.debug_struct("Vault").field("current", &self.current.id).field("previous", &previous).finish()
    }
}

fn hmac_key(root: &Prk, usage: &[u8]) -> Result<hmac::Key, VaultError> {
    root.expand(&[usage], hmac::HMAC_SHA256).map(hmac::Key::from).map_err(|_| VaultError::Library)
}

fn parts(sealed: &[u8]) -> Result<(KeyId, [u8; NONCE_LEN], &[u8]), VaultError> {
    let Some((&[VERSION], rest)) = sealed.split_first_chunk() else {
        return Err(VaultError::Unreadable);
    };
    let (id, rest) = rest.split_first_chunk().ok_or(VaultError::Unreadable)?;
    let (nonce, body) = rest.split_first_chunk().ok_or(VaultError::Unreadable)?;
    Ok((KeyId(*id), *nonce, body))
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    const SEED: &[u8] = b"a TOTP seed";

    fn key(seed: u64) -> MasterKey {
        MasterKey::generate(&Seeded::new(seed))
    }

    fn vault(seed: u64) -> Vault {
        Vault::new(key(seed), Vec::new()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_does_not_show() {
        let vault = vault(1);
        let sealed = vault.seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        assert_eq!(vault.open("totp/42", &sealed).unwrap().as_slice(), SEED);
        assert!(!sealed.windows(4).any(|part| SEED.windows(4).any(|seed| seed == part)));
        assert_eq!(sealed.len(), 1 + 4 + 12 + SEED.len() + 16);
    }

    #[test]
    fn what_is_stored_today_opens_in_every_later_release() {
        // Made by Python's `hmac` and `cryptography` from the layout and the derivation written down above.
        let key: MasterKey = "tgmk1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
        let vault = Vault::new(key, Vec::new()).unwrap();
        let bytes = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let sealed = bytes("AWMNzSkAAQIDBAUGBwgJCgt903t8fM8EyZiKzvoJvKsqf9LXMAyKXOxbloU");
        assert_eq!(vault.open("totp/42", &sealed).unwrap().as_slice(), SEED);
        assert_eq!(
            vault.mac("one-time code/7", b"123456").to_vec(),
            bytes("UtwEkwmt4Vxvl3cR1DBcOTQZ-z_3bp9W4DeAVOmgHK0")
        );
        assert_eq!(
            vault.refresh_child(&PlainToken::from_presented("tgr_parent")).expose(),
            "tgr_z-C8nWccdWe9trWGLnp_XHbIT142gmq3c0Z1ZlfdW_E"
        );
    }

    #[test]
    fn sealing_the_same_twice_gives_different_boxes() {
        let (vault, entropy) = (vault(1), Seeded::new(9));
        assert_ne!(vault.seal("totp/42", SEED, &entropy), vault.seal("totp/42", SEED, &entropy));
    }

    #[test]
    fn a_secret_moved_to_another_row_does_not_open() {
        let vault = vault(1);
        let sealed = vault.seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        assert_eq!(vault.open("totp/43", &sealed), Err(VaultError::Altered));
    }

    #[test]
    fn no_bit_of_a_box_can_be_flipped() {
        let vault = vault(1);
        let sealed = vault.seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(vault.open("totp/42", &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn no_part_of_a_box_opens() {
        let vault = vault(1);
        let sealed = vault.seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        assert!((0..sealed.len()).all(|end| vault.open("totp/42", &sealed[..end]).is_err()));
    }

    #[test]
    fn after_a_change_of_master_key_old_boxes_still_open() {
        let sealed = vault(1).seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        let rotated = Vault::new(key(2), vec![key(1)]).unwrap();
        assert_eq!(rotated.open("totp/42", &sealed).unwrap().as_slice(), SEED);
        assert!(!rotated.is_current(&sealed));
        let again = rotated.seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        assert!(rotated.is_current(&again));
        assert_eq!(vault(1).open("totp/42", &again), Err(VaultError::UnknownKey { id: key(2).id() }));
    }

    #[test]
    fn an_operator_who_lost_a_master_key_is_told_which_and_what_to_do() {
        let sealed = vault(1).seal("totp/42", SEED, &Seeded::new(9)).unwrap();
        let refusal = vault(2).open("totp/42", &sealed).unwrap_err().to_string();
        assert!(refusal.contains(&key(1).id().to_string()));
        assert!(refusal.contains("previous master keys"));
    }

    #[test]
    fn a_code_is_recognised_by_its_keyed_hash_alone() {
        let vault = vault(1);
        let stored = vault.mac("one-time code/7", b"123456");
        assert!(vault.verify_mac("one-time code/7", b"123456", &stored));
        assert!(!vault.verify_mac("one-time code/7", b"123457", &stored));
        assert!(!vault.verify_mac("one-time code/8", b"123456", &stored));
        assert!(!vault.verify_mac("one-time code/7", b"123456", &stored[..31]));
        assert!(!vault.verify_mac("one-time code/7", b"123456", b""));
    }

    #[test]
    fn a_code_sent_before_a_change_of_master_key_still_counts() {
        let stored = vault(1).mac("one-time code/7", b"123456");
        let rotated = Vault::new(key(2), vec![key(1)]).unwrap();
        assert!(rotated.verify_mac("one-time code/7", b"123456", &stored));
        assert!(!vault(2).verify_mac("one-time code/7", b"123456", &stored));
    }

    #[test]
    fn what_was_stored_under_previous_keys_can_be_found() {
        let [first, second, third] = [1, 2, 3].map(key);
        let before = [vault(1), vault(2)].map(|vault| vault.mac("purpose", b"data"));
        let after = Vault::new(third, vec![first, second]).unwrap();
        assert_eq!(after.previous_macs("purpose", b"data"), before);
        assert!(!before.contains(&after.mac("purpose", b"data")));
        assert!(vault(1).previous_macs("purpose", b"data").is_empty());
    }

    #[test]
    fn purpose_and_data_do_not_run_into_each_other() {
        let vault = vault(1);
        assert_ne!(vault.mac("ab", b"c"), vault.mac("a", b"bc"));
    }

    #[test]
    fn a_parent_has_one_child_and_two_parents_have_two() {
        let (vault, entropy) = (vault(1), Seeded::new(9));
        let [first, second] = [(); 2].map(|()| PlainToken::generate("tgr_", &entropy));
        let child = vault.refresh_child(&first);
        assert_eq!(child.hash(), vault.refresh_child(&first).hash());
        assert_ne!(child.hash(), vault.refresh_child(&second).hash());
        assert_ne!(child.hash(), first.hash());
        assert!(child.expose().starts_with("tgr_"));
        assert_eq!(child.expose().len(), first.expose().len());
    }

    #[test]
    fn a_child_cannot_be_computed_without_the_master_key() {
        let parent = PlainToken::generate("tgr_", &Seeded::new(9));
        assert_ne!(vault(1).refresh_child(&parent).hash(), vault(2).refresh_child(&parent).hash());
    }

    #[test]
    fn a_retry_across_a_change_of_master_key_gets_the_child_already_issued() {
        let parent = PlainToken::generate("tgr_", &Seeded::new(9));
        let issued = vault(1).refresh_child(&parent).hash();
        let rotated = Vault::new(key(2), vec![key(1)]).unwrap();
        let again = rotated.issued_refresh_child(&parent, &issued).unwrap();
        assert_eq!(again.hash(), issued);
        assert!(vault(2).issued_refresh_child(&parent, &issued).is_none());
    }

    #[test]
    fn debug_output_names_keys_without_showing_them() {
        let id = key(1).id();
        assert_eq!(format!("{:?}", vault(1)), format!("Vault {{ current: KeyId({id}), previous: [] }}"));
    }

    proptest! {
        #[test]
        fn anything_sealed_opens(context in ".*", plaintext: Vec<u8>, seed: u64) {
            let vault = vault(1);
            let sealed = vault.seal(&context, &plaintext, &Seeded::new(seed)).unwrap();
            prop_assert_eq!(&*vault.open(&context, &sealed).unwrap(), &plaintext);
        }

        #[test]
        fn arbitrary_bytes_never_open(bytes: Vec<u8>) {
            let vault = vault(1);
            prop_assert!(vault.open("totp/42", &bytes).is_err());
            let mut plausible = vec![VERSION];
            plausible.extend(key(1).id().0);
            plausible.extend(&bytes);
            prop_assert!(vault.open("totp/42", &plausible).is_err());
        }
    }
}
