//! How passwords are hashed, counted without reading them.

use tidegate_database::{Result, fetch_all};

use crate::accounts::repository::Accounts;

/// How the hash of that parameter is hashed, as the migration `0004_password_schemes` has it.
macro_rules! scheme_of {
    ($hash:literal) => {
        concat!(
            "case when cast(",
            $hash,
            " as text) like '%$2_$__$_____________________________________________________'
             then rtrim(",
            $hash,
            ", './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789') || '53'
             else rtrim(rtrim(rtrim(",
            $hash,
            ", '=+./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'), '$'),
                '=+./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
             || cast(length(",
            $hash,
            ") - length(rtrim(",
            $hash,
            ", '=+./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')) as text) end"
        )
    };
}

pub(crate) use scheme_of;

impl Accounts<'_> {
    /// How many passwords are stored, by kind of account and scheme: the hash without salt and output, up to the last `$`,
    /// then the number of characters of the output.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn password_schemes(&mut self) -> Result<Vec<(String, String, i64)>> {
        fetch_all!(
            self.0,
            (String, String, i64),
            "select account_kind, scheme, count(*) from passwords
             where account_kind is not null and scheme is not null group by account_kind, scheme",
        )
    }
}
