//! Refresh tokens: hashes only.

use tidegate_database::{Result, StoreError, Unit, execute, fetch_optional, put_off, update_and_insert};
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId, RefreshTokenId, SessionId};
use tidegate_domain::refresh::Presented;
use tidegate_domain::session::{AmrSet, SessionTimes};
use tidegate_domain::{ContractId, Role, Scopes, Timestamp};
use uuid::Uuid;

use super::role;
use super::sessions::scopes;

/// Refresh tokens of a unit of work.
pub struct RefreshTokens<'u>(pub(crate) &'u mut Unit);

/// A new refresh token.
#[derive(Clone, Copy, Debug)]
pub struct NewRefreshToken<'a> {
    /// Key.
    pub id: RefreshTokenId,
    /// The session it continues.
    pub session: SessionId,
    /// SHA-256 of its text.
    pub hash: &'a [u8],
    /// The token it was exchanged for.
    pub parent: Option<RefreshTokenId>,
    /// Now.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// A presented token with all that judging it and answering it needs.
#[derive(Clone, Debug)]
pub struct PresentedToken {
    /// Key.
    pub id: RefreshTokenId,
    /// What the rotation rule asks.
    pub presented: Presented,
    /// SHA-256 of the token it was exchanged for.
    pub child_hash: Option<Vec<u8>>,
    /// Its session.
    pub session: SessionId,
    /// When that session ends.
    pub times: SessionTimes,
    /// How its owner proved who they are.
    pub amr: AmrSet,
    /// When they last did.
    pub auth_time: Timestamp,
    /// The contract the session was opened through.
    pub contract: ContractId,
    /// Whose session.
    pub account: AccountId,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The role there now.
    pub role: Role,
    /// What the session's tokens may do at most.
    pub scopes: Scopes,
    /// The application it was opened for.
    pub application: Option<ApplicationId>,
    /// The API that its access tokens are for, if not this installation.
    pub audience: Option<String>,
    /// Thumbprint of the key that the session's tokens are bound to.
    pub key: Option<String>,
    /// What the session's tokens call the account.
    pub subject: AccountId,
}

#[derive(sqlx::FromRow)]
struct PresentedRow {
    id: Uuid,
    token_expires_at: i64,
    child_issued_at: Option<i64>,
    child_hash: Option<Vec<u8>>,
    session_id: Uuid,
    expires_at: i64,
    ends_at: i64,
    revoked_at: Option<i64>,
    amr: String,
    auth_time: i64,
    dialect: String,
    account_id: Uuid,
    disabled_at: Option<i64>,
    organization_id: Uuid,
    role: String,
    scope: Option<String>,
    application_id: Option<Uuid>,
    audience: Option<String>,
    dpop_jkt: Option<String>,
    subject_id: Option<Uuid>,
    application_status: Option<String>,
}

impl RefreshTokens<'_> {
    /// Adds a token.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: NewRefreshToken<'_>) -> Result<()> {
        put_off!(
            self.0,
            "insert into refresh_tokens (id, session_id, token_hash, parent_id, issued_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            new.id.0,
            new.session.0,
            new.hash,
            new.parent.map(Uuid::from),
            new.issued_at.micros(),
            new.expires_at.micros(),
        )
    }

    /// The token of that hash.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&mut self, hash: &[u8]) -> Result<Option<PresentedToken>> {
        let row = fetch_optional!(
            self.0,
            PresentedRow,
            // A token that was exchanged is one that has a child.
            "select t.id, t.expires_at as token_expires_at, c.issued_at as child_issued_at,
                c.token_hash as child_hash, t.session_id, s.expires_at, s.ends_at, s.revoked_at, s.amr, coalesce(s.auth_time, s.created_at) as auth_time, s.dialect,
                s.account_id, a.disabled_at, s.organization_id, m.role, s.scope, s.application_id, s.audience, s.dpop_jkt, s.subject_id,
                case when p.suspended_at is null then p.status end as application_status
             from refresh_tokens t
             join sessions s on s.id = t.session_id
             join accounts a on a.id = s.account_id
             join memberships m on m.account_id = s.account_id and m.organization_id = s.organization_id
             left join refresh_tokens c on c.parent_id = t.id
             left join oauth_applications p on p.id = s.application_id and p.epoch = s.application_epoch
             where t.token_hash = $1",
            hash,
        )?;
        row.map(|row| {
            Ok(PresentedToken {
                id: row.id.into(),
                presented: Presented {
                    expires_at: Timestamp::from_micros(row.token_expires_at.min(row.expires_at)),
                    rotated_at: row.child_issued_at.map(Timestamp::from_micros),
                    session_revoked: row.revoked_at.is_some()
                        || row.disabled_at.is_some()
                        || (row.application_id.is_some()
                            && row.application_status.as_deref() != Some("active")),
                },
                child_hash: row.child_hash,
                session: row.session_id.into(),
                times: SessionTimes {
                    expires_at: Timestamp::from_micros(row.expires_at),
                    ends_at: Timestamp::from_micros(row.ends_at),
                },
                amr: AmrSet::from_stored(&row.amr),
                auth_time: Timestamp::from_micros(row.auth_time),
                contract: ContractId::parse(&row.dialect)
                    .map_err(|_| StoreError::Unreadable("sessions.dialect"))?,
                account: row.account_id.into(),
                organization: row.organization_id.into(),
                role: role(&row.role)?,
                scopes: scopes(row.scope.as_deref()),
                application: row.application_id.map(ApplicationId::from),
                audience: row.audience,
                key: row.dpop_jkt,
                subject: row.subject_id.unwrap_or(row.account_id).into(),
            })
        })
        .transpose()
    }

    /// Adds a token's child, which is what exchanging a token is. False when it has one: of any number who add one at once,
    /// one does, and the others wait for it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert_child(&mut self, new: NewRefreshToken<'_>) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into refresh_tokens (id, session_id, token_hash, parent_id, issued_at, expires_at)
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            new.id.0,
            new.session.0,
            new.hash,
            new.parent.map(Uuid::from),
            new.issued_at.micros(),
            new.expires_at.micros(),
        )?;
        Ok(added == 1)
    }

    /// Exchanges a token: notes that its session was refreshed, and adds the token's child. False when the session has ended
    /// meanwhile, or the token has a child; then the unit must not be committed. Of any number who exchange a token at once, one does,
    /// and the others wait for it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn exchange(
        &mut self,
        child: NewRefreshToken<'_>,
        session_expires_at: Timestamp,
    ) -> Result<bool> {
        update_and_insert!(
            self.0,
            "update sessions set last_activity_at = $5, expires_at = $7 where id = $2 and revoked_at is null",
            "insert into refresh_tokens (id, session_id, token_hash, parent_id, issued_at, expires_at)",
            "$1, $2, $3, $4, $5, $6",
            "on conflict do nothing",
            child.id.0,
            child.session.0,
            child.hash,
            child.parent.map(Uuid::from),
            child.issued_at.micros(),
            child.expires_at.micros(),
            session_expires_at.micros(),
        )
    }

    /// What the deleted account of a token's session was called. None when the account is not deleted, or forgotten.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tombstone(&mut self, hash: &[u8]) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (Option<String>,),
            "select a.tombstone from refresh_tokens t join sessions s on s.id = t.session_id
             join accounts a on a.id = s.account_id where t.token_hash = $1",
            hash,
        )?;
        Ok(row.and_then(|(tombstone,)| tombstone))
    }
}
