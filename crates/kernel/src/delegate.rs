//! Sessions that are opened for applications, and tokens in an application's own name.
//!
//! They are no sign-in: such a session is a part of one that its owner signed in to, whose approval it rests on, and never allows
//! more. So it does not pass the decision of [`crate::admission`] again.

use tidegate_crypto::{PlainToken, SigningAlgorithm};
use tidegate_domain::id::{OrganizationId, SessionId};
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_domain::{ContractId, PartyName, Role, Scopes, Secret, Timestamp};
use uuid::Uuid;

use crate::fault::Fault;
use crate::issue::{Bearer, REFRESH_PREFIX, TokenSet};
use crate::tables::refresh_tokens::NewRefreshToken;
use crate::tables::sessions::{NewSession, NewSessionApplication, SessionRecord};
use crate::{Grant, Kernel, KernelTables, Work};

/// Most sessions that one application has of one account at a time: of more, the oldest end.
pub const MOST_SESSIONS: i64 = 50;

/// What stands before an application's name in the list of sessions.
const LISTED_AS: &str = "OAuth application: ";

/// What an application is given of a session.
#[derive(Clone, Debug)]
pub struct Delegation<'a> {
    /// The key that the new session gets.
    pub id: SessionId,
    /// The session that approved it, as it is in the same unit of work.
    pub session: &'a SessionRecord,
    /// The application.
    pub application: NewSessionApplication<'a>,
    /// What the application calls itself: so its tokens call it.
    pub client_id: PartyName,
    /// What the application is called: so the list of the owner's sessions calls it, and says that it is an application.
    pub name: &'a str,
    /// The address from which the owner approved it.
    pub ip: &'a str,
    /// What was approved.
    pub scopes: &'a Scopes,
    /// The APIs that its first access token is for, separated by spaces: of those of the session. None for this installation.
    pub audience: Option<&'a str>,
    /// Thumbprint of the key that the application has proved to hold: its first access token is bound to it.
    pub key: Option<&'a str>,
    /// Whether the application may have [`MOST_SESSIONS`] of the account already. False where they were counted, and are fewer.
    pub may_have_most: bool,
}

/// An application that gets a token in its own name.
#[derive(Clone, Debug)]
pub struct OwnToken {
    /// The application, as its tokens call it.
    pub application: PartyName,
    /// Its organization.
    pub organization: OrganizationId,
    /// The epoch of its own tokens: the token ends with it.
    pub own_epoch: Uuid,
    /// What it may do at most.
    pub scopes: Scopes,
    /// The API that it is for, if not this installation.
    pub audience: Option<String>,
    /// Thumbprint of the key that it has proved to hold.
    pub key: Option<String>,
}

impl Work<'_> {
    /// Refuses a caller who has not shown lately enough who they are, for actions that make or change what signs in or acts: see
    /// [`require_shown`](Self::require_shown).
    ///
    /// # Errors
    /// [`Fault::StepUpRequired`]; those of the store.
    pub async fn authorize_recent(&mut self, grant: &Grant) -> Result<(), Fault> {
        self.require_shown(grant.session(), grant.claims().contract, self.now).await
    }

    /// Refuses a session whose owner proved too long before `at` who they are. How long that may be, the contract called and the
    /// contract of the token say; the shorter time counts.
    ///
    /// Of an account with a second factor the session must have shown it, whenever that was: neither a provider's word nor a trusted
    /// device nor a password alone changes what signs in, or gives what lives longer than itself.
    ///
    /// # Errors
    /// [`Fault::StepUpRequired`]; those of the store.
    pub async fn require_shown(
        &mut self,
        session: &SessionRecord,
        contract: ContractId,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let of_token = self.kernel.settings.profile(contract).recent_sign_in;
        let recent = [self.call.profile.recent_sign_in, of_token].into_iter().flatten().min();
        if recent.is_some_and(|recent| at.since(session.auth_time) > recent) {
            return Err(Fault::StepUpRequired);
        }
        if !session.amr.contains(Amr::MultiFactor) && self.has_second_factor(session.account).await? {
            return Err(Fault::StepUpRequired);
        }
        Ok(())
    }

    /// Opens a session for an application, with its first refresh token. Both are written with the unit's next statement.
    ///
    /// # Errors
    /// Those of the store, and of signing.
    pub async fn open_delegated(&mut self, delegation: Delegation<'_>) -> Result<TokenSet, Fault> {
        let kernel = self.kernel;
        let profile = &self.call.profile;
        let Delegation { id: session, session: parent, application, scopes, .. } = delegation;
        // Whoever registered the application chose its name: it must not pass for a program of the owner's.
        let listed = format!("{LISTED_AS}{}", delegation.name);
        let times = profile.session.open(self.now, false);
        if delegation.may_have_most {
            // The new one is another.
            let most = MOST_SESSIONS - 1;
            self.unit
                .sessions()
                .end_oldest_of_application(application.id, parent.account, most, self.now)
                .await?;
        }
        self.unit
            .sessions()
            .insert_later(&NewSession {
                id: session,
                account: parent.account,
                organization: parent.organization,
                workspace: None,
                contract: profile.contract,
                amr: parent.amr,
                auth_time: parent.auth_time,
                remember_me: false,
                ip: delegation.ip,
                user_agent: &listed,
                created_at: self.now,
                times,
                binding: None,
                service_key: None,
                token_hash: None,
                scopes,
                application: Some(application),
            })
            .await?;
        let refresh = self.first_refresh_token(session, times.expires_at).await?;
        let bearer = Bearer {
            subject: application.subject.unwrap_or(parent.account).into(),
            organization: parent.organization,
            role: parent.role,
            session,
            session_expires_at: times.expires_at,
            amr: parent.amr,
            auth_time: parent.auth_time,
            binding: None,
            scopes: scopes.clone(),
            client_id: Some(delegation.client_id),
            audience: delegation.audience.map(str::to_owned),
            key: delegation.key.map(str::to_owned),
        };
        kernel.token_set(profile, bearer, refresh, self.now)
    }

    async fn first_refresh_token(
        &mut self,
        session: SessionId,
        ends_at: Timestamp,
    ) -> Result<PlainToken, Fault> {
        let refresh = PlainToken::generate(REFRESH_PREFIX, self.kernel.entropy.as_ref());
        let hash = refresh.hash();
        let new = NewRefreshToken {
            id: self.kernel.entropy.uuid(self.now).into(),
            session,
            hash: hash.as_bytes(),
            parent: None,
            issued_at: self.now,
            expires_at: self.now.plus(self.call.profile.refresh.lifetime).min(ends_at),
        };
        self.unit.refresh_tokens().insert(new).await?;
        Ok(refresh)
    }
}

impl Kernel {
    /// Signs an access token for an application in its own name; answers how many seconds it lives. Nothing is stored.
    ///
    /// # Errors
    /// Those of signing.
    pub fn own_token(&self, token: OwnToken) -> Result<(Secret, i64), Fault> {
        let bearer = Bearer {
            subject: token.application.clone(),
            organization: token.organization,
            role: Role::Viewer,
            session: SessionId(token.own_epoch),
            session_expires_at: Timestamp::from_micros(i64::MAX),
            amr: AmrSet::default(),
            auth_time: Timestamp::from_micros(0),
            binding: None,
            scopes: token.scopes,
            client_id: Some(token.application),
            audience: token.audience,
            key: token.key,
        };
        self.access_token(&self.settings.oauth.profile, bearer, self.now())
    }

    /// The algorithm that signs tokens now.
    pub fn signing_algorithm(&self) -> SigningAlgorithm {
        self.key_ring().signing_key().algorithm()
    }
}
