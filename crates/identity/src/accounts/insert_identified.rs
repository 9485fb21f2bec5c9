//! An account and what it signs in as are added together.

use sqlx::types::Json;
use tidegate_database::{Result, insert_both};
use tidegate_domain::{Document, Timestamp};
use tidegate_kernel::KernelTables;

use super::repository::{Accounts, NewAccount, NewIdentifier};

impl Accounts<'_> {
    /// Adds an account with what it signs in as, in one trip; answers its number. None when the address, number or name is taken; then
    /// the unit must not be committed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_identified(
        &mut self,
        new: &NewAccount<'_>,
        identifier: NewIdentifier<'_>,
    ) -> Result<Option<i64>> {
        let number = insert_both!(
            self.0,
            (i64,),
            "insert into accounts (id, kind, display_name, profile, user_metadata, is_system_admin,
                agreed_to_terms, terms_version, created_at, updated_at, language)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)",
            "number",
            "from accounts where id = $1",
            "insert into identifiers (id, account_id, kind, value, verified_at, is_primary, created_at)
             values ($11, $1, $12, $13, $14, $15, $16) on conflict (kind, value) do nothing",
            new.id.0,
            new.kind.as_str(),
            new.display_name,
            Json(Document::default()),
            Json(Document::default()),
            false,
            new.agreed_to_terms,
            new.terms_version,
            new.created_at.micros(),
            new.language,
            identifier.id.0,
            identifier.login.kind(),
            identifier.login.as_str(),
            identifier.verified_at.map(Timestamp::micros),
            identifier.is_primary,
            identifier.created_at.micros(),
        )?;
        self.0.note_made(new.id.0);
        self.0.touch_account(new.id);
        Ok(number.map(|(number,)| number))
    }
}
