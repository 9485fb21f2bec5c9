//! A device polls, and gets its tokens once a person has allowed it.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::audit::Action;
use tidegate_domain::id::SessionId;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::Call;
use tidegate_kernel::delegate::Delegation;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::tables::sessions::NewSessionApplication;
use tidegate_kernel::work::Subject;

use super::answer::is_still;
use super::device_codes_repository::{DeviceCode, DeviceStatus};
use crate::applications::Application;
use crate::authorize::request::NoSuchApi;
use crate::token::exchange::{Opened, Said};
use crate::token::key::session_key;
use crate::token::{Issued, TokenError};
use crate::{Oauth, OauthTables};

/// Seconds that a device which polls too often has to wait longer each time (RFC 8628 section 3.5), and the longest wait.
const SLOWER_BY: i64 = 5;
const SLOWEST: i64 = 60;

const UNKNOWN: TokenError = TokenError::InvalidGrant(
    "the device_code is unknown or used, was made for another application, or access was taken away since",
);

/// A device's code that does not count: the application learns no more than that, the operator why.
fn no_device_code(why: &'static str) -> Refused<TokenError> {
    noted::refused(CredentialFault::DeviceCode(why));
    Refused::Rule(UNKNOWN)
}

/// What is asked for beside a device's code.
#[derive(Clone, Debug, Default)]
pub struct DeviceAsked<'a> {
    /// The APIs that the access token is for, separated by spaces: of those of the device's request, if any are named.
    pub resource: Option<String>,
    /// Thumbprint of the key that the application has proved to hold.
    pub key: Option<&'a str>,
}

impl Oauth {
    /// Exchanges a device's code for tokens, once, if a person has allowed it.
    ///
    /// Source: RFC 8628 sections 3.4 and 3.5.
    ///
    /// # Errors
    /// [`TokenError`]: among them that the person has not answered yet.
    pub async fn exchange_device_code(
        &self,
        call: &Call,
        application: &Application,
        device_code: &PlainToken,
        asked: DeviceAsked<'_>,
    ) -> Outcome<Issued, TokenError> {
        let DeviceAsked { resource, key } = asked;
        if !application.may(GrantType::DeviceCode) {
            return refuse(TokenError::NOT_REGISTERED);
        }
        self.require_key(application, key)?;
        let found = self.kernel.store.read().await?.device_codes().find(&device_code.hash()).await?;
        let Some(code) = found else {
            return Err(no_device_code("unknown, or expired long ago"));
        };
        // Of another application it learns nothing.
        if code.application != application.id {
            return Err(no_device_code("made for another application"));
        }
        if code.is_used {
            return Err(no_device_code("used before"));
        }
        if code.expires_at <= self.kernel.now() {
            return refuse(TokenError::ExpiredToken);
        }
        match code.status {
            DeviceStatus::Denied => refuse(TokenError::AccessDenied),
            DeviceStatus::Pending => refuse(self.note_poll(call, &code).await?),
            DeviceStatus::Approved => {
                let audience = self.narrowed(code.audience.as_deref(), resource);
                let audience = audience.map_err(|NoSuchApi| Refused::Rule(TokenError::InvalidTarget))?;
                let first = (audience.as_deref(), key);
                match self.open_for_device(call, application, device_code, first).await? {
                    Some(opened) => self.issue(application, opened, Said::default(), key.is_some()).await,
                    None => Err(no_device_code(
                        "used at the same time, the session that approved it has ended, or the application was changed or lost access since",
                    )),
                }
            }
        }
    }

    /// Notes a poll; answers what the device is to do.
    async fn note_poll(&self, call: &Call, code: &DeviceCode) -> Result<TokenError, Fault> {
        let mut work = self.begin(call).await?;
        let now = work.now;
        let waited = code.polled_at.map(|at| now.seconds() - at.seconds());
        let is_too_soon = waited.is_some_and(|waited| waited < code.interval);
        let interval = if is_too_soon {
            (code.interval + SLOWER_BY).min(SLOWEST.max(code.interval))
        } else {
            code.interval
        };
        let is_noted = work.unit.device_codes().polled(code, interval, now).await?;
        work.commit().await?;
        // Another poll was noted meanwhile: there were two at once.
        let is_pending = is_noted && !is_too_soon;
        Ok(if is_pending { TokenError::AuthorizationPending } else { TokenError::SlowDown })
    }

    /// Opens the session that was approved. None when a concurrent poll was first, when the session that approved it has ended or could
    /// not approve it now, and when the application is no longer what it was then, or allowed.
    async fn open_for_device(
        &self,
        call: &Call,
        application: &Application,
        device_code: &PlainToken,
        (audience, key): (Option<&str>, Option<&str>),
    ) -> Result<Option<Opened>, Fault> {
        let answered = self.kernel.store.read().await?.device_codes().find(&device_code.hash()).await?;
        let Some((account, ..)) = answered.and_then(|code| code.answered) else { return Ok(None) };
        let subject = self.pairwise(application, account).await?;
        let mut work = self.begin(call).await?;
        let hash = device_code.hash();
        let found = work.unit.device_codes().find(&hash).await?;
        let Some((code, (account, session, decided_at))) =
            found.and_then(|code| code.answered.map(|answered| (code, answered)))
        else {
            return Ok(None);
        };
        let Some(parent) = work.approving(account, session, decided_at).await? else { return Ok(None) };
        let current = work.unit.applications().find(application.id).await?;
        let Some(current) = current.filter(|now| is_still(now, &code)) else { return Ok(None) };
        let scopes = code.scopes.intersection(&current.scopes);
        let opened = SessionId(self.kernel.new_uuid());
        let delegation = Delegation {
            id: opened,
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
            client_id: current.party(),
            name: &current.name,
            // Where the device is, as far as it is known: where its owner was, the session that approved it says.
            ip: &code.ip,
            scopes: &scopes,
            audience,
            key,
            may_have_most: true,
        };
        let tokens = work.kernel().open_delegated(delegation).await?;
        if !work.unit.device_codes().use_up(code.id, opened, work.now).await? {
            return Ok(None);
        }
        let subject = Subject {
            account: Some(account),
            organization: Some(parent.organization),
            session: Some(opened),
        };
        let metadata = json!({
            "client_id": application.id, "name": current.name, "scope": scopes.to_string(), "through": "device",
        });
        work.audit(Action::ApplicationSignedIn, subject, metadata).await?;
        work.commit().await?;
        Ok(Some(Opened { session: opened, tokens, parent, scopes, registered: current.scopes }))
    }
}
