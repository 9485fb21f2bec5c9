//! Sessions that are opened for applications, and tokens in an application's own name.
//!
//! They are no sign-in: such a session is a part of one that its owner signed in to, whose approval it rests on, and never allows
//! more. So it does not pass the decision of [`crate::admission`] again.

use tidegate_crypto::PlainToken;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId, SessionId};
use tidegate_domain::session::AmrSet;
use tidegate_domain::{Role, Scopes, Secret, Timestamp};
use uuid::Uuid;

use crate::fault::Fault;
use crate::issue::{Bearer, REFRESH_PREFIX, TokenSet};
use crate::tables::refresh_tokens::NewRefreshToken;
use crate::tables::sessions::{NewSession, NewSessionApplication, SessionRecord};
use crate::{Kernel, KernelTables, Work};

/// What an application is given of a session.
#[derive(Clone, Debug)]
pub struct Delegation<'a> {
    /// The session that approved it, as it is in the same unit of work.
    pub session: &'a SessionRecord,
    /// The application.
    pub application: NewSessionApplication<'a>,
    /// What the application is called: it stands in the list of the owner's sessions as its program.
    pub name: &'a str,
    /// The address from which the owner approved it.
    pub ip: &'a str,
    /// What was approved.
    pub scopes: &'a Scopes,
}

/// An application that gets a token in its own name.
#[derive(Clone, Debug)]
pub struct OwnToken {
    /// The application.
    pub application: ApplicationId,
    /// Its organization.
    pub organization: OrganizationId,
    /// The epoch of its own tokens: the token ends with it.
    pub own_epoch: Uuid,
    /// What it may do at most.
    pub scopes: Scopes,
    /// The API that it is for, if not this installation.
    pub audience: Option<String>,
}

impl Work<'_> {
    /// Opens a session for an application, with its first refresh token.
    ///
    /// # Errors
    /// Those of the store, and of signing.
    pub async fn open_delegated(
        &mut self,
        delegation: Delegation<'_>,
    ) -> Result<(SessionId, TokenSet), Fault> {
        let kernel = self.kernel;
        let profile = &self.call.profile;
        let Delegation { session: parent, application, name, ip, scopes } = delegation;
        let session = SessionId(kernel.entropy.uuid(self.now));
        let times = profile.session.open(self.now, false);
        self.unit
            .sessions()
            .insert(&NewSession {
                id: session,
                account: parent.account,
                organization: parent.organization,
                workspace: None,
                contract: profile.contract,
                amr: parent.amr,
                auth_time: parent.auth_time,
                remember_me: false,
                ip,
                user_agent: name,
                created_at: self.now,
                times,
                binding: None,
                service_key: None,
                token_hash: None,
                scopes,
                application: Some(application),
            })
            .await?;
        let refresh = PlainToken::generate(REFRESH_PREFIX, kernel.entropy.as_ref());
        self.unit
            .refresh_tokens()
            .insert(NewRefreshToken {
                id: kernel.entropy.uuid(self.now).into(),
                session,
                hash: refresh.hash().as_bytes(),
                parent: None,
                issued_at: self.now,
                expires_at: self.now.plus(profile.refresh.lifetime).min(times.expires_at),
            })
            .await?;
        let bearer = Bearer {
            account: parent.account,
            organization: parent.organization,
            role: parent.role,
            session,
            session_expires_at: times.expires_at,
            amr: parent.amr,
            auth_time: parent.auth_time,
            binding: None,
            scopes: scopes.clone(),
            application: Some(application.id),
            audience: application.audience.map(str::to_owned),
        };
        Ok((session, kernel.token_set(profile, bearer, refresh, self.now)?))
    }
}

impl Kernel {
    /// Signs an access token for an application in its own name; answers how many seconds it lives. Nothing is stored.
    ///
    /// # Errors
    /// Those of signing.
    pub fn own_token(&self, token: OwnToken) -> Result<(Secret, i64), Fault> {
        let bearer = Bearer {
            account: AccountId(token.application.0),
            organization: token.organization,
            role: Role::Viewer,
            session: SessionId(token.own_epoch),
            session_expires_at: Timestamp::from_micros(i64::MAX),
            amr: AmrSet::default(),
            auth_time: Timestamp::from_micros(0),
            binding: None,
            scopes: token.scopes,
            application: Some(token.application),
            audience: token.audience,
        };
        self.access_token(&self.settings.oauth.profile, bearer, self.now())
    }

    /// An ID token that says `claims` (OpenID Connect Core section 2).
    ///
    /// # Errors
    /// Those of signing.
    pub fn sign_id_token<T: serde::Serialize>(&self, claims: &T) -> Result<Secret, Fault> {
        Ok(self.key_ring().sign_id_token(claims)?)
    }

    /// The algorithm that signs tokens now, as it stands in their headers.
    pub fn signing_algorithm(&self) -> &'static str {
        self.key_ring().signing_key().algorithm().as_str()
    }
}
