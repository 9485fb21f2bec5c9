//! Authorization codes in the store: hashes only.

use tidegate_crypto::TokenHash;
use tidegate_database::{Result, StoreError, Unit, execute, fetch_one, fetch_optional, prune};
use tidegate_domain::id::{AccountId, ApplicationId, SessionId};
use tidegate_domain::{RedirectUri, Scopes, Timestamp};
use uuid::Uuid;

use super::request::{AuthorizationRequest, Challenge, ChallengeMethod};
use crate::applications::Application;
use crate::applications::repository::{joined, uris};
use crate::claims::requested::{AskedClaims, Place};

/// Authorization codes of a unit of work.
pub struct Codes<'u>(pub(crate) &'u mut Unit);

/// A code to be added.
pub(crate) struct NewCode<'a> {
    pub(crate) id: Uuid,
    pub(crate) hash: TokenHash,
    pub(crate) application: &'a Application,
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
    pub(crate) request: &'a AuthorizationRequest,
    pub(crate) ip: &'a str,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A code that was presented.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) id: Uuid,
    pub(crate) application: ApplicationId,
    pub(crate) application_epoch: Uuid,
    pub(crate) account: AccountId,
    /// The session that approved it.
    pub(crate) session: SessionId,
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Scopes,
    pub(crate) challenge: Option<Challenge>,
    pub(crate) nonce: Option<String>,
    pub(crate) audience: Option<String>,
    /// Thumbprint of the key that it is bound to.
    pub(crate) key: Option<String>,
    /// Claims of the person that the ID token is asked to have.
    pub(crate) id_token_claims: AskedClaims,
    /// Those that the userinfo endpoint is asked to tell.
    pub(crate) userinfo_claims: AskedClaims,
    pub(crate) ip: String,
    /// When it was approved.
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    /// Whether it was exchanged, and the session that opened.
    pub(crate) used: Option<Option<SessionId>>,
}

/// What is found when a code is used up.
pub(crate) struct UsedUp {
    /// What its application may ask for at most. None where that is not in use, or has begun another epoch.
    pub(crate) registered: Option<Scopes>,
    /// Where the application has people sent back to.
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// How many sessions the application has of the account.
    pub(crate) sessions: i64,
    /// Whether the account still gives it access.
    pub(crate) is_allowed: bool,
}

impl UsedUp {
    /// What the application may ask for, if it is still one that could get the code: of the same epoch, registered for the address to which
    /// it was sent, and allowed. A code that was being made while access was taken back was not there to be removed.
    pub(crate) fn registered_for(self, code: &Code) -> Option<Scopes> {
        let is_registered = self.redirect_uris.iter().any(|uri| uri.matches(&code.redirect_uri));
        let is_open = is_registered && self.is_allowed;
        self.registered.filter(|_| is_open)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    application_id: Uuid,
    application_epoch: Uuid,
    account_id: Uuid,
    session_id: Uuid,
    redirect_uri: String,
    scope: String,
    challenge: Option<String>,
    challenge_method: Option<String>,
    nonce: Option<String>,
    audience: Option<String>,
    dpop_jkt: Option<String>,
    ip: String,
    created_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
    opened_session_id: Option<Uuid>,
    id_token_claims: Option<String>,
    userinfo_claims: Option<String>,
}

impl Codes<'_> {
    /// Adds a code; answers whether its application is one that may be used, and as it was when the request was validated.
    pub(crate) async fn insert(&mut self, new: &NewCode<'_>) -> Result<bool> {
        let (challenge, claims) = (new.request.challenge.as_ref(), new.request.claims.as_ref());
        let (unchanged,) = fetch_one!(
            self.0,
            (i64,),
            "insert into oauth_codes (id, code_hash, application_id, application_epoch, account_id, session_id, redirect_uri,
                scope, challenge, challenge_method, nonce, audience, ip, created_at, expires_at, dpop_jkt, id_token_claims,
                userinfo_claims)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
             returning (select count(*) from oauth_applications p
                where p.id = $3 and p.epoch = $4 and p.status = 'active' and p.suspended_at is null
                    and p.scopes = $19 and p.grant_types = $20 and p.redirect_uris = $21)",
            new.id,
            new.hash.as_bytes().to_vec(),
            new.application.id.0,
            new.application.epoch,
            new.account.0,
            new.session.0,
            new.request.redirect_uri.as_str(),
            new.request.scopes.to_string(),
            challenge.map(|challenge| challenge.text.as_str()),
            challenge.map(|challenge| challenge.method.as_str()),
            new.request.nonce.as_deref(),
            new.request.resource.as_deref(),
            new.ip,
            new.created_at.micros(),
            new.expires_at.micros(),
            new.request.dpop_jkt.as_deref(),
            AskedClaims::asked(claims, Place::IdToken).stored(),
            AskedClaims::asked(claims, Place::UserInfo).stored(),
            new.application.scopes.to_string(),
            joined(new.application.grant_types.iter().map(|one| one.as_str())),
            joined(new.application.redirect_uris.iter().map(RedirectUri::as_str)),
        )?;
        Ok(unchanged == 1)
    }

    /// The code of that hash.
    pub(crate) async fn find(&mut self, hash: &TokenHash) -> Result<Option<Code>> {
        let row = fetch_optional!(
            self.0,
            Row,
            "select id, application_id, application_epoch, account_id, session_id, redirect_uri, scope, challenge,
                challenge_method, nonce, audience, dpop_jkt, ip, created_at, expires_at, used_at, opened_session_id,
                id_token_claims, userinfo_claims
             from oauth_codes where code_hash = $1",
            hash.as_bytes().to_vec(),
        )?;
        row.map(|row| {
            let method = row.challenge_method.as_deref().map(|name| {
                ChallengeMethod::from_name(name).ok_or(StoreError::Unreadable("oauth_codes.challenge_method"))
            });
            let challenge = row.challenge.zip(method.transpose()?);
            Ok(Code {
                id: row.id,
                application: row.application_id.into(),
                application_epoch: row.application_epoch,
                account: row.account_id.into(),
                session: row.session_id.into(),
                redirect_uri: row.redirect_uri,
                scopes: Scopes::from_stored(&row.scope),
                challenge: challenge.map(|(text, method)| Challenge { method, text }),
                nonce: row.nonce,
                audience: row.audience,
                key: row.dpop_jkt,
                id_token_claims: AskedClaims::from_stored(row.id_token_claims.as_deref()),
                userinfo_claims: AskedClaims::from_stored(row.userinfo_claims.as_deref()),
                ip: row.ip,
                created_at: Timestamp::from_micros(row.created_at),
                expires_at: Timestamp::from_micros(row.expires_at),
                used: row.used_at.map(|_| row.opened_session_id.map(SessionId)),
            })
        })
        .transpose()
    }

    /// Uses a code up: of any number who do so at once, one does. None for the others.
    pub(crate) async fn use_up(
        &mut self,
        code: &Code,
        opened: SessionId,
        now: Timestamp,
    ) -> Result<Option<UsedUp>> {
        let row = fetch_optional!(
            self.0,
            (Option<String>, Option<String>, i64, i64),
            "update oauth_codes set used_at = $2, opened_session_id = $3 where id = $1 and used_at is null
             returning
                (select p.scopes from oauth_applications p
                 where p.id = $4 and p.epoch = $5 and p.status = 'active' and p.suspended_at is null),
                (select p.redirect_uris from oauth_applications p where p.id = $4),
                (select count(*) from sessions s
                 where s.application_id = $4 and s.account_id = $6 and s.revoked_at is null),
                (select count(*) from oauth_consents c where c.account_id = $6 and c.application_id = $4)",
            code.id,
            now.micros(),
            opened.0,
            code.application.0,
            code.application_epoch,
            code.account.0,
        )?;
        Ok(row.map(|(scopes, redirect_uris, sessions, consents)| UsedUp {
            registered: scopes.as_deref().map(Scopes::from_stored),
            redirect_uris: uris(redirect_uris.as_deref().unwrap_or_default()),
            sessions,
            is_allowed: consents > 0,
        }))
    }

    /// Removes the codes of an account.
    pub(crate) async fn delete_of_account(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from oauth_codes where account_id = $1", account.0)?;
        Ok(())
    }

    /// Removes the codes of an application.
    pub(crate) async fn delete_of_application(&mut self, application: ApplicationId) -> Result<()> {
        execute!(self.0, "delete from oauth_codes where application_id = $1", application.0)?;
        Ok(())
    }

    /// Removes an account's codes for an application.
    pub(crate) async fn delete(&mut self, account: AccountId, application: ApplicationId) -> Result<()> {
        execute!(
            self.0,
            "delete from oauth_codes where account_id = $1 and application_id = $2",
            account.0,
            application.0,
        )?;
        Ok(())
    }

    /// Removes codes that expired before `before`; answers how many.
    pub(crate) async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "oauth_codes",
            "id",
            "where expires_at < $1 order by expires_at, id limit $2",
            before.micros(),
            at_most,
        )
    }
}
