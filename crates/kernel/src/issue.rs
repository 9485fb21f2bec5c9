//! Opening sessions and issuing their tokens.

use std::sync::Arc;

use tidegate_crypto::{PlainToken, SanctumToken};
use tidegate_domain::access::Confirmation;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::contract::AccessToken;
use tidegate_domain::database::{Binding, Database};
use tidegate_domain::id::{OrganizationId, SessionId, WorkspaceId};
use tidegate_domain::session::{AmrSet, SessionTimes};
use tidegate_domain::{AccessClaims, ContractProfile, PartyName, Role, Scopes, Secret, Timestamp};

use crate::admission::Admission;
use crate::fault::Fault;
use crate::tables::refresh_tokens::NewRefreshToken;
use crate::tables::sessions::NewSession;
use crate::{Kernel, KernelTables, Work};

/// Prefix of refresh tokens, so that a leaked one is recognised for what it is.
pub const REFRESH_PREFIX: &str = "tgr_";
/// Prefix of the secrets in browsers' cookies.
pub const COOKIE_PREFIX: &str = "tgb_";

/// The tokens of a session.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// A JWT (RFC 9068); opaque to clients. Of a browser's session: what its cookie holds.
    pub access_token: Secret,
    /// Continues the session once. A browser's session has none, and the text is empty.
    pub refresh_token: Secret,
    /// Seconds the access token lives. Of a browser's session: until it expires unless it is used.
    pub expires_in: i64,
}

/// The result of a sign-in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The account.
    pub account: Account,
    /// The address or name signed in with.
    pub login: LoginName,
    /// Whether the address is known to be theirs.
    pub is_verified: bool,
    /// The session.
    pub session: SessionId,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The role there.
    pub role: Role,
    /// The database the tokens are bound to.
    pub database: Option<Database>,
    /// Its tokens.
    pub tokens: TokenSet,
}

/// The organization and workspace that a sign-in opens its session in.
#[derive(Clone, Copy, Debug)]
pub struct SignInTarget {
    /// The organization.
    pub organization: OrganizationId,
    /// The workspace, where the member has one.
    pub workspace: Option<WorkspaceId>,
    /// The member's role there.
    pub role: Role,
}

/// A session's database, and its binding to it.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The database.
    pub database: Database,
    /// The binding.
    pub binding: Binding,
}

/// What an access token says of a session.
pub struct Bearer {
    /// Whom it speaks for, as tokens call them.
    pub subject: PartyName,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The role there.
    pub role: Role,
    /// The session.
    pub session: SessionId,
    /// When it ends.
    pub session_expires_at: Timestamp,
    /// How its owner proved who they are.
    pub amr: AmrSet,
    /// When they did.
    pub auth_time: Timestamp,
    /// The database the token is bound to.
    pub binding: Option<Binding>,
    /// What it may do at most.
    pub scopes: Scopes,
    /// The application it is issued to, if it is.
    pub client_id: Option<PartyName>,
    /// The API that it is for, if not this installation.
    pub audience: Option<String>,
    /// Thumbprint of the key that its bearer has to prove to hold.
    pub key: Option<String>,
}

/// A session without its tokens.
struct OpenedSession {
    session: SessionId,
    number: i64,
    times: SessionTimes,
}

impl Work<'_> {
    /// Opens a session with its first refresh token, or that of a browser, which has a cookie. The access token is signed here too; it
    /// takes microseconds.
    ///
    /// # Errors
    /// Those of the store, and of signing.
    pub async fn open_session(
        &mut self,
        admission: Admission,
        sign_in_target: SignInTarget,
        bound: Option<Bound>,
    ) -> Result<SignedIn, Fault> {
        let (account, evidence) = (admission.account(), admission.evidence());
        let cookie = self.new_cookie();
        let hash = cookie.as_ref().map(PlainToken::hash);
        let token_hash = hash.as_ref().map(|hash| hash.as_bytes().as_slice());
        let opened = self.insert_session(&admission, sign_in_target, bound.as_ref(), token_hash).await?;
        let (database, binding) = match bound {
            Some(Bound { database, binding }) => (Some(database), Some(binding)),
            None => (None, None),
        };
        let SignInTarget { organization, role, .. } = sign_in_target;
        let tokens = match cookie {
            Some(cookie) => TokenSet {
                access_token: Secret::new(cookie.expose()),
                refresh_token: Secret::new(""),
                expires_in: opened.times.expires_at.seconds() - self.now.seconds(),
            },
            None => {
                let bearer = Bearer {
                    subject: account.id.into(),
                    organization,
                    role,
                    session: opened.session,
                    session_expires_at: opened.times.expires_at,
                    amr: evidence.methods,
                    auth_time: evidence.auth_time(self.now),
                    binding,
                    scopes: Scopes::Full,
                    client_id: None,
                    audience: None,
                    key: None,
                };
                self.first_tokens(bearer).await?
            }
        };
        Ok(SignedIn {
            account: account.clone(),
            login: evidence.login.clone(),
            is_verified: evidence.is_verified,
            session: opened.session,
            organization,
            role,
            database,
            tokens,
        })
    }

    /// What a browser's cookie is to hold, where the session is to be one of a browser: a new secret at each sign-in.
    fn new_cookie(&self) -> Option<PlainToken> {
        let is_browser = self.call.profile.access_token == AccessToken::Cookie;
        is_browser.then(|| PlainToken::generate(COOKIE_PREFIX, self.kernel.entropy.as_ref()))
    }

    /// The first access token and refresh token of a session.
    async fn first_tokens(&mut self, bearer: Bearer) -> Result<TokenSet, Fault> {
        let kernel = self.kernel;
        let profile = &self.call.profile;
        let refresh = PlainToken::generate(REFRESH_PREFIX, kernel.entropy.as_ref());
        self.unit
            .refresh_tokens()
            .insert(NewRefreshToken {
                id: kernel.entropy.uuid(self.now).into(),
                session: bearer.session,
                hash: refresh.hash().as_bytes(),
                parent: None,
                issued_at: self.now,
                expires_at: self.now.plus(profile.refresh.lifetime).min(bearer.session_expires_at),
            })
            .await?;
        kernel.token_set(profile, bearer, refresh, self.now)
    }

    /// Opens a session with one opaque token of the same lifetime. Source: Riven contract, section 1, token.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open_opaque_session(
        &mut self,
        admission: &Admission,
        sign_in_target: SignInTarget,
    ) -> Result<(SessionId, Secret), Fault> {
        let secret = SanctumToken::new_secret(self.kernel.entropy.as_ref());
        let hash = secret.hash();
        let OpenedSession { session, number, .. } =
            self.insert_session(admission, sign_in_target, None, Some(hash.as_bytes())).await?;
        let token = SanctumToken::whole(number, &secret);
        Ok((session, Secret::new(token.expose())))
    }

    async fn insert_session(
        &mut self,
        admission: &Admission,
        sign_in_target: SignInTarget,
        bound: Option<&Bound>,
        token_hash: Option<&[u8]>,
    ) -> Result<OpenedSession, Fault> {
        let profile = &self.call.profile;
        let session = SessionId(self.kernel.entropy.uuid(self.now));
        let evidence = admission.evidence();
        let key = evidence.key.as_ref();
        let times = profile.session.open(self.now, evidence.remember_me);
        let times = times.ending_by(key.and_then(|key| key.expires_at));
        let number = self
            .unit
            .sessions()
            .insert(&NewSession {
                id: session,
                account: admission.account().id,
                organization: sign_in_target.organization,
                workspace: sign_in_target.workspace,
                contract: profile.contract,
                amr: evidence.methods,
                auth_time: evidence.auth_time(self.now),
                remember_me: evidence.remember_me,
                ip: &self.call.ip_text(),
                user_agent: &self.call.user_agent,
                created_at: self.now,
                times,
                binding: bound.map(|bound| &bound.binding),
                service_key: key.map(|key| key.id),
                token_hash,
                scopes: &Scopes::Full,
                application: None,
            })
            .await?;
        self.remember_network(admission.account().id).await?;
        Ok(OpenedSession { session, number, times })
    }
}

impl Kernel {
    /// Signs an access token to go with `refresh`. It never outlives its session.
    ///
    /// # Errors
    /// Those of signing.
    pub fn token_set(
        &self,
        profile: &Arc<ContractProfile>,
        bearer: Bearer,
        refresh: PlainToken,
        now: Timestamp,
    ) -> Result<TokenSet, Fault> {
        let (access_token, expires_in) = self.access_token(profile, bearer, now)?;
        Ok(TokenSet { access_token, refresh_token: Secret::new(refresh.expose()), expires_in })
    }

    /// Signs an access token; answers how many seconds it lives. It never outlives its session.
    ///
    /// # Errors
    /// Those of signing.
    pub fn access_token(
        &self,
        profile: &Arc<ContractProfile>,
        bearer: Bearer,
        now: Timestamp,
    ) -> Result<(Secret, i64), Fault> {
        let expires_at = now.plus(profile.access_token_lifetime).min(bearer.session_expires_at);
        let (db, fuid, fsid) = match bearer.binding {
            Some(binding) => (Some(binding.database), binding.user, binding.session),
            None => (None, None, None),
        };
        let claims = AccessClaims {
            iss: self.settings.public_url.clone(),
            sub: bearer.subject,
            aud: bearer.audience.unwrap_or_else(|| self.settings.public_url.clone()),
            exp: expires_at.seconds(),
            iat: now.seconds(),
            jti: self.entropy.uuid(now).simple().to_string(),
            sid: bearer.session,
            org: bearer.organization,
            role: bearer.role,
            scope: bearer.scopes,
            amr: bearer.amr,
            auth_time: bearer.auth_time.seconds(),
            contract: profile.contract,
            client_id: bearer.client_id,
            cnf: bearer.key.map(|jkt| Confirmation { jkt }),
            act: None,
            xep: Vec::new(),
            db,
            fuid,
            fsid,
        };
        let access_token = self.key_ring().sign(&claims)?;
        Ok((access_token, claims.exp - claims.iat))
    }
}
