//! A device asks for codes.

use tidegate_crypto::PlainToken;
use tidegate_domain::Scopes;
use tidegate_domain::oauth::GrantType;
use tidegate_kernel::Call;
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::throttle::Counted;

use super::device_codes_repository::NewDeviceCode;
use super::user_code::UserCode;
use crate::applications::Application;
use crate::authorize::scopes::requested_scopes;
use crate::token::TokenError;
use crate::{Oauth, OauthTables};

/// Prefix of what devices poll with, so that a leaked one is recognised for what it is.
pub const DEVICE_CODE_PREFIX: &str = "tgd_";
/// How often a code is drawn that another device has already. Of 20^8 codes that never happens twice.
const DRAWS: usize = 5;

/// What a device is given (RFC 8628 section 3.2).
#[derive(Clone, Debug)]
pub struct DeviceRequested {
    /// What it polls with.
    pub device_code: PlainToken,
    /// What it shows.
    pub user_code: UserCode,
    /// Seconds until both are over.
    pub expires_in: u64,
    /// Seconds between two polls.
    pub interval: u64,
}

impl Oauth {
    /// Makes the codes by which a person gives a device's application access.
    ///
    /// Source: RFC 8628 section 3.1.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn request_device(
        &self,
        call: &Call,
        application: &Application,
        scope: Option<&str>,
        resource: Option<String>,
    ) -> Outcome<DeviceRequested, TokenError> {
        if !application.may(GrantType::DeviceCode) {
            return refuse(TokenError::NOT_REGISTERED);
        }
        let scopes =
            requested_scopes(application, scope).map_err(|why| Refused::Rule(TokenError::from(why)))?;
        let audience = self.audience(resource).map_err(|_| Refused::Rule(TokenError::InvalidTarget))?;
        let rules = self.rules();
        let counted = (Counted::Client(CountedClient::DeviceRequests), rules.device_requests_by_network);
        self.kernel.throttle(call, &[counted]).await?;
        for _ in 0..DRAWS {
            let entropy = self.kernel.entropy.as_ref();
            let drawn = (PlainToken::generate(DEVICE_CODE_PREFIX, entropy), UserCode::generate(entropy));
            if self.add_device(call, application, &scopes, audience.as_deref(), &drawn).await? {
                let (device_code, user_code) = drawn;
                return Ok(DeviceRequested {
                    device_code,
                    user_code,
                    expires_in: rules.device_code_lifetime.as_secs(),
                    interval: rules.device_poll_interval.as_secs(),
                });
            }
        }
        Err(Fault::Internal("every code of a device that was drawn is taken".to_owned()).into())
    }

    async fn add_device(
        &self,
        call: &Call,
        application: &Application,
        scopes: &Scopes,
        audience: Option<&str>,
        (device_code, user_code): &(PlainToken, UserCode),
    ) -> Result<bool, Fault> {
        let mut work = self.begin(call).await?;
        let (now, rules) = (work.now, self.rules());
        let interval = i64::try_from(rules.device_poll_interval.as_secs()).unwrap_or(i64::MAX);
        let new = NewDeviceCode {
            id: self.kernel.entropy.uuid(now),
            hash: device_code.hash(),
            user_code_mac: &self.user_code_mac(user_code),
            application,
            scopes,
            audience,
            ip: &call.ip_text(),
            interval,
            created_at: now,
            expires_at: now.plus(rules.device_code_lifetime),
        };
        let is_added = work.unit.device_codes().insert(&new).await?;
        if is_added {
            work.commit().await?;
        }
        Ok(is_added)
    }

    /// A user code as it is stored.
    pub(crate) fn user_code_mac(&self, code: &UserCode) -> [u8; 32] {
        self.kernel.vault.mac("user code of a device", code.letters().as_bytes())
    }
}
