//! Who a bearer token speaks for.

use std::sync::Arc;
use std::time::Duration;

use tidegate_crypto::{PlainToken, SanctumToken, TokenError, TokenFault, TokenHash};
use tidegate_database::Unit;
use tidegate_domain::id::{AccessTokenId, AccountId, OrganizationId, SessionId};
use tidegate_domain::session::Amr;
use tidegate_domain::{
    AccessClaims, ContractId, PartyName, Permission, PermissionSet, Role, Scopes, Timestamp,
};

use crate::cache::MAX_AGE;
use crate::fault::Fault;
use crate::issue::{COOKIE_PREFIX, REFRESH_PREFIX};
use crate::node::memory::{KEY_RING, SecretKind};
use crate::noted::{self, CredentialFault};
use crate::tables::sessions::SessionRecord;
use crate::{Actor, Grant, Kernel, KernelTables};

/// How long a verified signature is remembered; it does not change, only the ring may.
const SIGNATURE_AGE: Duration = Duration::from_secs(24 * 3_600);
/// How exactly it is known when a personal access token was last used.
const TOKEN_USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Prefix of personal access tokens, so that a leaked one is recognised for what it is.
pub const ACCESS_TOKEN_PREFIX: &str = "pat_";

/// Why a token was not.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Malformed, forged, or its session has ended.
    #[error("the access token is invalid")]
    Invalid,
    /// Past its lifetime.
    #[error("the access token has expired")]
    Expired,
    /// Something else.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A credential that does not count: the client learns no more than that, the operator why.
pub(crate) fn invalid(fault: CredentialFault) -> AuthError {
    noted::refused(fault);
    AuthError::Invalid
}

/// A session that was current when the request began.
pub(crate) fn ended_meanwhile() -> Fault {
    noted::refused(CredentialFault::Session("ended, or lost a permission, since the request began"));
    Fault::SessionEnded
}

fn expired(term: &'static str, at: Timestamp, now: Timestamp) -> AuthError {
    noted::refused(CredentialFault::expired(term, at, now));
    AuthError::Expired
}

fn expired_token(issued: Timestamp, at: Timestamp, now: Timestamp) -> AuthError {
    noted::refused(CredentialFault::expired_token(issued, at, now));
    AuthError::Expired
}

impl Kernel {
    /// Verifies an access token, signed or opaque, and that its session is current; or a personal access token, which stands
    /// for a session.
    ///
    /// Neither the signature nor the session is looked at again on every call: both are remembered, the session until
    /// it ends, and for two seconds at most.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate(&self, bearer: &str) -> Result<Actor, AuthError> {
        let actor = self.inspect(bearer).await?;
        let claims = actor.grant().claims();
        if claims.is_for(&self.settings.public_url) {
            Ok(actor)
        } else {
            Err(invalid(TokenFault::of_audience(claims).into()))
        }
    }

    /// The same of a token that may be for another API (RFC 8707): to say whether it is valid, never to admit its bearer.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn inspect(&self, bearer: &str) -> Result<Actor, AuthError> {
        if bearer.starts_with(ACCESS_TOKEN_PREFIX) {
            return self.authenticate_access_token(bearer).await;
        }
        // A browser's cookie is no token, whatever is remembered of it.
        if bearer.starts_with(COOKIE_PREFIX) {
            return Err(invalid(CredentialFault::Cookie("sent as an access token")));
        }
        if bearer.starts_with(REFRESH_PREFIX) {
            return Err(invalid(CredentialFault::Refresh("sent as an access token")));
        }
        let now = self.now();
        let opaque = SanctumToken::parse(bearer).ok();
        let claims = match &opaque {
            Some(token) => self.look_up(SecretKind::Opaque, bearer, &token.hash(), token.id(), now).await?,
            None => self.verify_signature(bearer, now).await?,
        };
        // Neither is one that is written as a token with the number of its session.
        if claims.contract == ContractId::BROWSER {
            return Err(invalid(CredentialFault::Cookie("sent as an access token")));
        }
        if claims.exp <= now.seconds() {
            let second = Timestamp::from_seconds;
            return Err(expired_token(second(claims.iat), second(claims.exp), now));
        }
        let session = self.live_session(&claims).await?;
        if session.expires_at <= now {
            return Err(expired("session", session.expires_at, now));
        }
        if opaque.is_some() {
            self.note_use(&session).await;
        }
        Ok(Actor::new(self.grant(session, claims)))
    }

    /// Whose browser it is that holds this secret in its cookie: a session of the hosted pages and no other. As a bearer token it is
    /// none.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn authenticate_cookie(&self, secret: &str) -> Result<Actor, AuthError> {
        if !secret.starts_with(COOKIE_PREFIX) {
            return Err(invalid(CredentialFault::Cookie("malformed")));
        }
        let hash = TokenHash::of_presented(secret);
        let claims = self.look_up(SecretKind::Cookie, secret, &hash, None, self.now()).await?;
        if claims.contract != ContractId::BROWSER {
            return Err(invalid(CredentialFault::Cookie("unknown")));
        }
        let session = self.live_session(&claims).await?;
        if session.expires_at <= self.now() {
            return Err(expired("session", session.expires_at, self.now()));
        }
        self.note_visit(&session).await;
        Ok(Actor::new(self.grant(session, claims)))
    }

    /// The data of an opaque token or a cookie: looked up once in the store, by its hash. `number` is that of its session, where the token says it.
    async fn look_up(
        &self,
        kind: SecretKind,
        bearer: &str,
        hash: &TokenHash,
        number: Option<i64>,
        now: Timestamp,
    ) -> Result<Arc<AccessClaims>, AuthError> {
        let key = (kind, *TokenHash::of_presented(bearer).as_bytes());
        // Whose token it is never changes; whether the session lives is looked at elsewhere.
        let stamp = self.memory.changes.stamp(&[]);
        if let Some(claims) = self.memory.claims.get(&key, stamp, now, SIGNATURE_AGE) {
            return Ok(claims);
        }
        let mut unit = self.store.read().await.map_err(Fault::from)?;
        let found = unit.sessions().find_by_token(hash.as_bytes()).await.map_err(Fault::from)?;
        let found = found.filter(|(_, known)| number.is_none_or(|number| number == *known));
        let unknown = || {
            invalid(match kind {
                SecretKind::Cookie => CredentialFault::Cookie("unknown"),
                SecretKind::Opaque | SecretKind::Signed => CredentialFault::Opaque("unknown"),
            })
        };
        let (id, _) = found.ok_or_else(unknown)?;
        let record = unit.sessions().record(id).await.map_err(Fault::from)?;
        let record = record.ok_or_else(unknown)?;
        let claims = Arc::new(self.claims_of(&record, Scopes::Full, now));
        self.memory.claims.put(key, Arc::clone(&claims), stamp, now);
        Ok(claims)
    }

    /// What an opaque token would say if it were signed.
    fn claims_of(&self, record: &SessionRecord, scope: Scopes, now: Timestamp) -> AccessClaims {
        AccessClaims {
            iss: self.settings.public_url.clone(),
            sub: record.account.into(),
            aud: self.settings.public_url.clone(),
            exp: record.expires_at.seconds(),
            iat: now.seconds(),
            jti: record.id.to_string(),
            sid: record.id,
            org: record.organization,
            role: record.role,
            scope,
            amr: record.amr,
            auth_time: record.auth_time.seconds(),
            contract: record.contract,
            client_id: record.application.map(|application| application.id.into()),
            cnf: None,
            act: None,
            xep: Vec::new(),
            db: None,
            fuid: None,
            fsid: None,
        }
    }

    /// A personal access token: which one it is, is looked up once by its hash; whether it still is one, at most every two
    /// seconds and after each change of it or of its owner. What has a wrong checksum is not looked up.
    async fn authenticate_access_token(&self, bearer: &str) -> Result<Actor, AuthError> {
        let token = PlainToken::parse_checked(ACCESS_TOKEN_PREFIX, bearer)
            .map_err(|_| invalid(CredentialFault::Personal("its checksum is wrong; was it cut off?")))?;
        let now = self.now();
        let (id, account) = self.access_token_of(&token, now).await?;
        let record = self.live_access_token(id, account).await?;
        if now.since(record.last_activity_at) >= TOKEN_USE_NOTED_EVERY {
            self.memory.token_uses.note(id, now);
        }
        let claims = Arc::new(self.claims_of(&record, record.scopes.clone(), now));
        Ok(Actor::new(self.grant(record, claims)))
    }

    /// Which token it is, and whose: neither ever changes.
    async fn access_token_of(
        &self,
        token: &PlainToken,
        now: Timestamp,
    ) -> Result<(AccessTokenId, AccountId), AuthError> {
        let hash = token.hash();
        let stamp = self.memory.changes.stamp(&[]);
        if let Some(known) = self.memory.access_tokens.get(hash.as_bytes(), stamp, now, SIGNATURE_AGE) {
            return Ok(known);
        }
        let mut unit = self.store.read().await.map_err(Fault::from)?;
        let found = unit.access_tokens().find(hash.as_bytes()).await.map_err(Fault::from)?;
        let found = found.ok_or_else(|| invalid(CredentialFault::Personal("unknown, or revoked")))?;
        self.memory.access_tokens.put(*hash.as_bytes(), found, stamp, now);
        Ok(found)
    }

    async fn live_access_token(
        &self,
        id: AccessTokenId,
        account: AccountId,
    ) -> Result<Arc<SessionRecord>, AuthError> {
        let now = self.now();
        // It stands for a session, under its own key.
        let key = SessionId(id.0);
        let stamp = self.memory.changes.stamp(&[id.0, account.0]);
        let record = match self.memory.sessions.get(&key, stamp, now, MAX_AGE) {
            Some(record) => record,
            None => {
                let mut unit = self.store.read().await.map_err(Fault::from)?;
                let record = unit.access_tokens().record(id).await.map_err(Fault::from)?;
                let unknown = || invalid(CredentialFault::Personal("unknown, or revoked"));
                let record = Arc::new(record.ok_or_else(unknown)?);
                self.memory.sessions.put(key, Arc::clone(&record), stamp, now);
                record
            }
        };
        match record {
            record if record.ended => Err(invalid(CredentialFault::Personal("its account is disabled"))),
            record if record.expires_at <= now => {
                Err(expired("personal access token", record.expires_at, now))
            }
            record => Ok(record),
        }
    }

    async fn verify_signature(&self, bearer: &str, now: Timestamp) -> Result<Arc<AccessClaims>, AuthError> {
        let key = (SecretKind::Signed, *TokenHash::of_presented(bearer).as_bytes());
        let mut stamp = self.memory.changes.stamp(&[KEY_RING]);
        if let Some(claims) = self.memory.claims.get(&key, stamp, now, SIGNATURE_AGE) {
            return Ok(claims);
        }
        let verify = || self.key_ring().verify_for_any_audience(bearer, &self.settings.public_url, now);
        let mut verified = verify();
        if matches!(verified, Err(TokenError::Invalid(_))) {
            // Another node may have signed it with a key that is not known here yet.
            let before = stamp;
            self.look_for_signing_keys().await?;
            stamp = self.memory.changes.stamp(&[KEY_RING]);
            if stamp != before {
                verified = verify();
            }
        }
        let claims = Arc::new(verified.map_err(|error| match error {
            TokenError::Expired { at, issued } => expired_token(issued, at, now),
            TokenError::Invalid(fault) => invalid(fault.into()),
        })?);
        self.memory.claims.put(key, Arc::clone(&claims), stamp, now);
        Ok(claims)
    }

    async fn live_session(&self, claims: &AccessClaims) -> Result<Arc<SessionRecord>, AuthError> {
        let now = self.now();
        let stamp = match &claims.sub {
            PartyName::Key(key) => self.memory.changes.stamp(&[claims.sid.0, *key]),
            // An application in its own name: whatever changes of it is noted under its epoch.
            PartyName::Document(_) => self.memory.changes.stamp(&[claims.sid.0]),
        };
        let remembered = self.memory.sessions.get(&claims.sid, stamp, now, MAX_AGE);
        // One that looks expired is read again: a refresh may have extended it.
        // Nor is one believed whose tokens do not name the account: what changes that would not be noticed.
        let session = match remembered.filter(|session| session.expires_at > now && session.subject.is_none())
        {
            Some(session) => session,
            None => {
                let mut unit = self.store.read().await.map_err(Fault::from)?;
                let record = if is_in_own_name(claims) {
                    unit.application_records().record(claims.sid).await.map_err(Fault::from)?
                } else {
                    unit.sessions().record(claims.sid).await.map_err(Fault::from)?
                };
                let unknown = || invalid(CredentialFault::Session("unknown, or removed"));
                let session = Arc::new(record.ok_or_else(unknown)?);
                self.memory.sessions.put(claims.sid, Arc::clone(&session), stamp, now);
                session
            }
        };
        let is_subjects = match &claims.sub {
            PartyName::Key(key) => session.subject.unwrap_or(session.account).0 == *key,
            // The epoch tells which application it is.
            PartyName::Document(_) => session.application.is_some_and(|application| application.in_own_name),
        };
        let belongs = is_subjects && session.organization == claims.org;
        if session.ended {
            return Err(invalid(CredentialFault::Session("ended: signed out, revoked or replaced")));
        }
        if !belongs {
            return Err(invalid(CredentialFault::Session("of another account or organization")));
        }
        self.require_live_epochs(claims).await?;
        Ok(session)
    }
}

/// Whether an application got the token in its own name (RFC 9068 section 2.2: `sub` is the client then).
fn is_in_own_name(claims: &AccessClaims) -> bool {
    claims.client_id.as_ref() == Some(&claims.sub)
}

impl Kernel {
    pub(crate) fn grant(&self, session: Arc<SessionRecord>, claims: Arc<AccessClaims>) -> Grant {
        let powers = self.settings.profile(claims.contract).permissions;
        let powers = match session.application.and_then(|application| application.approved_contract) {
            // The person was asked on a page of this installation's own. For all others the token of a contract approved, and gives
            // away at most what it reaches itself.
            None | Some(ContractId::BROWSER) => powers,
            Some(approved) => {
                let approved = self.settings.profile(approved).permissions;
                powers.intersection(approved.union(PermissionSet::ANY_DELEGATED))
            }
        };
        // An application that is told another name of a person than others must not read what others are told.
        let powers = match session.subject {
            Some(_) => powers.intersection(PermissionSet::ANY_DELEGATED),
            None => powers,
        };
        Grant::new(session, claims, powers)
    }

    /// The actor's grant as it is in this unit of work, which is about to act by it. Waiting for the body, hashing and
    /// queueing take a while, and what is remembered of a session may be two seconds old.
    ///
    /// # Errors
    /// [`Fault::SessionEnded`] when the session has ended or lost a permission since the token was accepted;
    /// [`Fault::Forbidden`] when it did not have this one; those of the store.
    pub async fn grant_in(
        &self,
        unit: &mut Unit,
        actor: &Actor,
        permission: Permission,
    ) -> Result<Grant, Fault> {
        let accepted = actor.authorize(permission)?;
        // Before any other row of the account, as everything that changes one does.
        if permission.changes_own_account() {
            unit.account_cards().lock(accepted.account()).await?;
        }
        self.renewed(unit, accepted).await
    }

    /// The actor's grant in the organization of that number, as both are in this unit of work, if their role there allows this: see
    /// [`Grant::in_organization`]. None for any other, and where there is no such organization: who is no member does not learn which.
    ///
    /// # Errors
    /// [`Fault::SessionEnded`]; [`Fault::Forbidden`] for a token that could carry the permission under no role;
    /// [`Fault::StepUpRequired`] where the organization refuses sessions without the account's second factor, and this one, which
    /// another organization may have admitted, has not shown it; those of the store.
    pub async fn grant_in_organization(
        &self,
        unit: &mut Unit,
        actor: &Actor,
        organization: i64,
        permission: Permission,
    ) -> Result<Option<Grant>, Fault> {
        let accepted = actor.grant();
        accepted.require_within_limit(permission)?;
        // Whatever its account is elsewhere: such a token is in the hands of an end user.
        if accepted.role() == Role::Frontend {
            return Err(accepted.refusal_of(permission).into());
        }
        if permission.changes_own_account() {
            unit.account_cards().lock(accepted.account()).await?;
        }
        let own = self.renewed(unit, accepted).await?;
        let found = unit.memberships().find(own.account(), organization).await?;
        let there = found.and_then(|(organization, role)| own.in_organization(organization, role));
        let Some(grant) = there.filter(|grant| grant.allows(permission)) else {
            return Ok(None);
        };
        let session = grant.session();
        // Personal access tokens were made by sessions that have shown it.
        if session.access_token.is_none()
            && !session.amr.contains(Amr::MultiFactor)
            && self.refuses_without_second_factor(unit, grant.account(), grant.organization()).await?
        {
            return Err(Fault::StepUpRequired);
        }
        Ok(Some(grant))
    }

    /// Asks every feature whether the organization refuses sessions without the second factor that the account has.
    ///
    /// # Errors
    /// The first feature's that fails: nothing may be done there then.
    async fn refuses_without_second_factor(
        &self,
        unit: &mut Unit,
        account: AccountId,
        organization: OrganizationId,
    ) -> Result<bool, Fault> {
        for hooks in self.hooks() {
            if hooks.refuses_without_second_factor(unit, account, organization).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses a grant whose session has ended, or lost a permission, since its token was accepted: a body may have been waited
    /// for. Out of memory where that is young enough; units that act read the session itself.
    ///
    /// # Errors
    /// [`Fault::SessionEnded`], and those of the store.
    pub async fn ensure_session_current(&self, grant: &Grant) -> Result<(), Fault> {
        let known = grant.session();
        let current = match known.access_token {
            Some(_) => self.live_access_token(AccessTokenId(known.id.0), known.account).await,
            None => self.live_session(grant.claims()).await,
        };
        let session = match current {
            Ok(session) => session,
            Err(AuthError::Fault(fault)) => return Err(fault),
            Err(AuthError::Invalid | AuthError::Expired) => return Err(Fault::SessionEnded),
        };
        let covers = self.grant(session, grant.shared_claims()).covers(grant);
        if covers { Ok(()) } else { Err(ended_meanwhile()) }
    }

    /// The session of that key as it is in this unit of work. None when it has ended or expired.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn current_session(
        &self,
        unit: &mut Unit,
        session: SessionId,
    ) -> Result<Option<SessionRecord>, Fault> {
        let record = unit.sessions().record(session).await?;
        Ok(record.filter(|session| self.is_current(session)))
    }

    fn is_current(&self, session: &SessionRecord) -> bool {
        !session.ended && session.expires_at > self.now()
    }

    /// The grant as it is now, where a unit has waited since it was read.
    ///
    /// # Errors
    /// [`Fault::SessionEnded`] when the session has ended or lost a permission since; those of the store.
    pub async fn renewed(&self, unit: &mut Unit, grant: &Grant) -> Result<Grant, Fault> {
        let known = grant.session();
        let session = match known.access_token {
            Some(_) => {
                let token = unit.access_tokens().record(AccessTokenId(known.id.0)).await?;
                token.filter(|token| self.is_current(token))
            }
            None if is_in_own_name(grant.claims()) => {
                let record = unit.application_records().record(known.id).await?;
                record.filter(|record| self.is_current(record))
            }
            None => self.current_session(unit, known.id).await?,
        };
        let session = session.ok_or_else(ended_meanwhile)?;
        self.require_epochs_in(unit, grant.claims()).await?;
        let now = self.grant(Arc::new(session), grant.shared_claims());
        if now.covers(grant) { Ok(now) } else { Err(ended_meanwhile()) }
    }
}
