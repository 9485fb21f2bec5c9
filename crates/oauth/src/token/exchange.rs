//! An authorization code is exchanged.

use serde_json::{Map, Value, json};
use tidegate_crypto::PlainToken;
use tidegate_crypto::oauth::{is_same_text, pkce_challenge};
use tidegate_domain::Scopes;
use tidegate_domain::audit::Action;
use tidegate_domain::id::SessionId;
use tidegate_domain::oauth::GrantType;
use tidegate_domain::session::EndReason;
use tidegate_kernel::delegate::{Delegation, MOST_SESSIONS};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::issue::TokenSet;
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::tables::sessions::{NewSessionApplication, SessionRecord};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, KernelTables};

use super::error::{TokenError, no_code};
use super::issued::Issued;
use super::key::{require_same_key, session_key};
use crate::applications::Application;
use crate::authorize::codes_repository::Code;
use crate::authorize::request::{Challenge, ChallengeMethod, NoSuchApi, is_pkce_text};
use crate::claims::id_token::IdTokenFor;
use crate::claims::person::told_of;
use crate::claims::session_claims::SessionClaims;
use crate::{Oauth, OauthTables};

/// A code, and what must come along with it.
#[derive(Clone, Debug)]
pub struct PresentedCode {
    /// The code.
    pub code: PlainToken,
    /// The one of the authorization request.
    pub redirect_uri: String,
    /// PKCE.
    pub verifier: Option<String>,
    /// The APIs that the access token is for, separated by spaces: of those of the authorization request, if any are named.
    pub resource: Option<String>,
    /// Thumbprint of the key that the application has proved to hold.
    pub key: Option<String>,
}

/// What the log says of a code that was exchanged already.
const USED: &str = "used before";

/// What an exchange opened.
pub(crate) struct Opened {
    pub(crate) session: SessionId,
    pub(crate) tokens: TokenSet,
    pub(crate) parent: SessionRecord,
    pub(crate) scopes: Scopes,
    /// All that the application is registered for.
    pub(crate) registered: Scopes,
}

/// What an ID token says besides who signed in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said<'a> {
    pub(crate) nonce: Option<&'a str>,
    /// Single claims that it was asked to have.
    pub(crate) requested: Map<String, Value>,
}

impl Oauth {
    /// Exchanges a code for tokens, once. A code that is presented again ends what it opened: two parties hold it.
    ///
    /// Source: RFC 6749 section 4.1.3; RFC 7636 section 4.6; RFC 9700 sections 2.1.1 and 4.5.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn exchange_code(
        &self,
        call: &Call,
        application: &Application,
        presented: PresentedCode,
    ) -> Outcome<Issued, TokenError> {
        if !application.may(GrantType::AuthorizationCode) {
            return refuse(TokenError::NOT_REGISTERED);
        }
        let mut unit = self.kernel.store.read().await?;
        let found = unit.codes().find(&presented.code.hash()).await?;
        drop(unit);
        // Of another application it learns nothing, and cannot end what that one's code opened.
        let Some(code) = found else {
            return Err(no_code("unknown, or expired long ago"));
        };
        if code.application != application.id {
            return Err(no_code("made for another application"));
        }
        if let Some(opened) = code.used {
            // Codes stand in addresses. Where there is a challenge, only who knows its verifier is one of two parties that hold the code.
            let is_unproven = code.challenge.is_some()
                && !is_verified(code.challenge.as_ref(), presented.verifier.as_deref());
            if !is_unproven && code.redirect_uri == presented.redirect_uri {
                self.end_replayed(call, application, &code, opened).await?;
            }
            return Err(no_code(USED));
        }
        let audience = self.check_presented(&code, &presented)?;
        let key = presented.key.as_deref();
        require_same_key(code.key.as_deref(), key)?;
        self.require_key(application, key)?;
        let Some(opened) = self.open(call, application, &code, (audience.as_deref(), key)).await? else {
            return self.refuse_used(call, application, &presented).await;
        };
        let requested = self.requested(&code, &opened).await?;
        let said = Said { nonce: code.nonce.as_deref(), requested };
        self.issue(application, opened, said, key.is_some()).await
    }

    /// The tokens of a session that was opened for an application, with the ID token where one was asked for.
    pub(crate) async fn issue(
        &self,
        application: &Application,
        opened: Opened,
        said: Said<'_>,
        is_key_bound: bool,
    ) -> Outcome<Issued, TokenError> {
        let id_token = self.id_token(IdTokenFor {
            application,
            subject: self.subject_of(application, opened.parent.account).await?,
            session: opened.session,
            scopes: &opened.scopes,
            nonce: said.nonce,
            amr: opened.parent.amr,
            auth_time: opened.parent.auth_time,
            access_token: opened.tokens.access_token.expose(),
            requested: said.requested,
        });
        let id_token = id_token.await?;
        Ok(Issued {
            access_token: opened.tokens.access_token,
            expires_in: opened.tokens.expires_in,
            refresh_token: Some(opened.tokens.refresh_token),
            scopes: opened.scopes,
            id_token,
            is_key_bound,
        })
    }

    /// Refuses what does not belong to the code; answers the APIs that the access token is for.
    fn check_presented(&self, code: &Code, presented: &PresentedCode) -> Outcome<Option<String>, TokenError> {
        let now = self.kernel.now();
        if code.expires_at <= now {
            noted::refused(CredentialFault::expired("authorization code", code.expires_at, now));
            return refuse(TokenError::CODE);
        }
        if code.redirect_uri != presented.redirect_uri {
            return Err(no_code(
                "redirect_uri is not the one of its authorization request, character by character",
            ));
        }
        if !is_verified(code.challenge.as_ref(), presented.verifier.as_deref()) {
            noted::refused(CredentialFault::Code("code_verifier does not fit its code_challenge"));
            return refuse(TokenError::VERIFIER);
        }
        match self.narrowed(code.audience.as_deref(), presented.resource.clone()) {
            Ok(audience) => Ok(audience),
            Err(NoSuchApi) => refuse(TokenError::InvalidTarget),
        }
    }

    /// What the ID token was asked to say of the person, as far as the scopes go.
    async fn requested(&self, code: &Code, opened: &Opened) -> Result<Map<String, Value>, Fault> {
        if code.id_token_claims.is_empty() || !opened.scopes.contains("openid") {
            return Ok(Map::new());
        }
        let mut unit = self.kernel.store.read().await?;
        // Each was asked for with the scope that tells it.
        let scopes = opened.scopes.union(&code.id_token_claims.scopes(&opened.registered));
        let told = told_of(&mut unit, code.account, &opened.parent.display_name, &scopes).await?;
        code.id_token_claims.of(&told)
    }

    /// Opens the session that the code is for. None when the code was used up meanwhile, when the session that approved it has
    /// ended or could not approve it now, and when the application is no longer what it was then, or allowed.
    async fn open(
        &self,
        call: &Call,
        application: &Application,
        code: &Code,
        (audience, key): (Option<&str>, Option<&str>),
    ) -> Result<Option<Opened>, Fault> {
        let subject = self.pairwise(application, code.account).await?;
        let mut work = self.begin(call).await?;
        let Some(parent) = work.approving(code.account, code.session, code.created_at).await? else {
            return Ok(None);
        };
        let session = SessionId(self.kernel.new_uuid());
        let Some(used) = work.unit.codes().use_up(code, session, work.now).await? else { return Ok(None) };
        let may_have_most = used.sessions >= MOST_SESSIONS;
        let Some(registered) = used.registered_for(code) else { return Ok(None) };
        let scopes = code.scopes.intersection(&registered);
        let delegation = Delegation {
            id: session,
            session: &parent,
            application: NewSessionApplication {
                id: application.id,
                epoch: code.application_epoch,
                audience: code.audience.as_deref(),
                approved_by: parent.id,
                approved_contract: parent.contract,
                key: session_key(application, key),
                subject,
            },
            client_id: application.party(),
            name: &application.name,
            ip: &code.ip,
            scopes: &scopes,
            audience,
            key,
            may_have_most,
        };
        let tokens = work.kernel().open_delegated(delegation).await?;
        if let Some(claims) = code.userinfo_claims.stored() {
            SessionClaims(&mut work.unit).keep(session, &claims).await?;
        }
        let about = Subject {
            account: Some(code.account),
            organization: Some(parent.organization),
            session: Some(session),
        };
        let metadata =
            json!({ "client_id": application.id, "name": application.name, "scope": scopes.to_string() });
        work.audit(Action::ApplicationSignedIn, about, metadata).await?;
        work.commit().await?;
        Ok(Some(Opened { session, tokens, parent, scopes, registered }))
    }

    /// Refuses a code that could not be exchanged. When that is because a concurrent request was first, it is a replay like any other.
    async fn refuse_used(
        &self,
        call: &Call,
        application: &Application,
        presented: &PresentedCode,
    ) -> Outcome<Issued, TokenError> {
        // A writing unit: until the winner's is durable, no reader sees it.
        let mut unit = self.kernel.store.begin().await?;
        let found = unit.codes().find(&presented.code.hash()).await?;
        drop(unit);
        if let Some((code, opened)) = found.and_then(|code| code.used.map(|opened| (code, opened))) {
            self.end_replayed(call, application, &code, opened).await?;
            return Err(no_code(USED));
        }
        Err(no_code(
            "the session that approved it has ended, or the application was changed or lost access since",
        ))
    }

    async fn end_replayed(
        &self,
        call: &Call,
        application: &Application,
        code: &Code,
        opened: Option<SessionId>,
    ) -> Result<(), Fault> {
        let Some(session) = opened else { return Ok(()) };
        let mut work = self.begin(call).await?;
        let now = work.now;
        if work.unit.sessions().end(session, EndReason::CodeReplayed, now).await? {
            let subject = Subject { account: Some(code.account), organization: None, session: Some(session) };
            work.audit(Action::CodeReplayed, subject, json!({ "client_id": application.id })).await?;
        }
        work.commit().await
    }
}

/// Whether the verifier fits. A verifier without a challenge does not: the challenge may have been taken out of the request (RFC 9700
/// section 4.8.2).
fn is_verified(challenge: Option<&Challenge>, verifier: Option<&str>) -> bool {
    match (challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) if is_pkce_text(verifier) => match challenge.method {
            ChallengeMethod::S256 => is_same_text(&pkce_challenge(verifier), &challenge.text),
            ChallengeMethod::Plain => is_same_text(verifier, &challenge.text),
        },
        _ => false,
    }
}
