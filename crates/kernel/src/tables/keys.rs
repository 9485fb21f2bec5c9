//! Signing keys, sealed.

use tidegate_crypto::SigningAlgorithm;
use tidegate_database::{Result, Unit, execute, fetch_all};
use tidegate_domain::Timestamp;

use crate::changes;

/// Signing keys of a unit of work.
pub struct Keys<'u>(pub(crate) &'u mut Unit);

/// A stored signing key.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredKey {
    /// Its name in token headers: its RFC 7638 thumbprint.
    pub kid: String,
    /// JWS algorithm (RFC 7518 section 3.1).
    pub algorithm: String,
    /// The key pair, sealed.
    pub sealed: Vec<u8>,
    /// When it was made, in microseconds since the epoch.
    pub created_at: i64,
    /// When it stopped signing; it verifies until the last token made with it has expired.
    pub retired_at: Option<i64>,
    /// Whether it was made for ID tokens alone, and what is signed as they are.
    #[sqlx(default)]
    pub id_tokens_only: bool,
}

impl StoredKey {
    /// Whether access tokens are signed with it. Those for RS256 never are, whatever earlier versions wrote.
    pub fn signs_access_tokens(&self) -> bool {
        let algorithm = SigningAlgorithm::from_name(&self.algorithm);
        !self.id_tokens_only && algorithm.is_none_or(SigningAlgorithm::signs_access_tokens)
    }

    /// What it signs.
    pub fn signs(&self) -> KeyUse {
        if self.signs_access_tokens() { KeyUse::AccessTokens } else { KeyUse::IdTokens }
    }
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Access tokens, and the ID tokens of applications that want its algorithm or name none.
    AccessTokens,
    /// ID tokens alone, and what is signed as they are.
    IdTokens,
}

impl Keys<'_> {
    /// All keys, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all(&mut self) -> Result<Vec<StoredKey>> {
        fetch_all!(
            self.0,
            StoredKey,
            "select kid, algorithm, sealed, created_at, retired_at, id_tokens_only from signing_keys
             order by created_at desc, kid",
        )
    }

    /// The same of a database that an earlier version left, such as a backup: to see whether they can be opened. What they sign is not told.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all_of_any_version(&mut self) -> Result<Vec<StoredKey>> {
        fetch_all!(
            self.0,
            StoredKey,
            "select kid, algorithm, sealed, created_at, retired_at from signing_keys order by created_at desc, kid",
        )
    }

    /// Adds a key that signs from now on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, key: &StoredKey) -> Result<()> {
        execute!(
            self.0,
            "insert into signing_keys (kid, algorithm, sealed, created_at, id_tokens_only) values ($1, $2, $3, $4, $5)",
            key.kid.as_str(),
            key.algorithm.as_str(),
            key.sealed.as_slice(),
            key.created_at,
            key.id_tokens_only,
        )?;
        self.0.note(changes::SIGNING_KEYS);
        Ok(())
    }

    /// Stops the keys from signing in whose place `new` comes: those of ID tokens alone with its algorithm and, if it signs access tokens,
    /// all that did.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn retire_others(&mut self, new: &StoredKey, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update signing_keys set retired_at = $2
             where kid <> $1 and retired_at is null
                and case when id_tokens_only or algorithm = 'RS256' then algorithm = $3 else $4 = 1 end",
            new.kid.as_str(),
            now.micros(),
            new.algorithm.as_str(),
            i32::from(new.signs_access_tokens()),
        )?;
        self.0.note(changes::SIGNING_KEYS);
        Ok(())
    }

    /// Removes all keys but `new`, if it signs access tokens; otherwise those of ID tokens alone with its algorithm.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_others(&mut self, new: &StoredKey) -> Result<()> {
        execute!(
            self.0,
            "delete from signing_keys
             where kid <> $1 and ($3 = 1 or (algorithm = $2 and (id_tokens_only or algorithm = 'RS256')))",
            new.kid.as_str(),
            new.algorithm.as_str(),
            i32::from(new.signs_access_tokens()),
        )?;
        self.0.note(changes::SIGNING_KEYS);
        Ok(())
    }

    /// Removes keys that were retired before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp) -> Result<u64> {
        let pruned = execute!(self.0, "delete from signing_keys where retired_at < $1", before.micros())?;
        if pruned > 0 {
            self.0.note(changes::SIGNING_KEYS);
        }
        Ok(pruned)
    }
}
