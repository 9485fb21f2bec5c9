//! Names of contracts, and what differs between contracts for the use cases: data, never code.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::challenge::Purpose;
use crate::limit::Limit;
use crate::refresh::RefreshPolicy;
use crate::session::SessionPolicy;
use crate::time::{optional_seconds, seconds};
use crate::{PasswordRule, PermissionSet};

/// A contract's name: in claims, rows, configuration and on the command line. Not a closed set: which contracts are
/// served is decided by the registry of the HTTP surface alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContractId([u8; ContractId::LONGEST]);

/// A contract's name is 1 to 24 of `a-z`, `0-9` and `_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a contract's name is 1 to 24 of a-z, 0-9 and _")]
pub struct NotAContractId;

impl ContractId {
    const LONGEST: usize = 24;

    /// RiverGen identity APIs.
    pub const RIVERGEN: Self = Self::new("rivergen");
    /// IngestIQ authentication API.
    pub const INGESTIQ: Self = Self::new("ingestiq");
    /// Crossing Minds account API.
    pub const CROSSING_MINDS: Self = Self::new("crossing_minds");
    /// Riven phone and account-opening API.
    pub const RIVEN: Self = Self::new("riven");
    /// No contract: the hosted sign-in, whose sessions browsers hold in a cookie.
    pub const BROWSER: Self = Self::new("browser");
    /// No contract: what was issued by the OAuth endpoints.
    pub const OAUTH: Self = Self::new("oauth");

    /// Those that issue tokens, with their names for people.
    const TITLES: [(Self, &'static str); 6] = [
        (Self::RIVERGEN, "RiverGen"),
        (Self::INGESTIQ, "IngestIQ"),
        (Self::CROSSING_MINDS, "Crossing Minds"),
        (Self::RIVEN, "Riven"),
        (Self::BROWSER, "the sign-in page"),
        (Self::OAUTH, "the OAuth endpoints"),
    ];

    /// Its name for people; the name itself of one that has no other.
    pub fn title(&self) -> &str {
        let known = Self::TITLES.iter().find(|(id, _)| id == self);
        known.map_or_else(|| self.as_str(), |(_, title)| *title)
    }

    /// The contract of that name, for constants: there, text that is no name does not compile.
    ///
    /// # Panics
    /// On text that is no name. At run time use [`ContractId::parse`].
    pub const fn new(name: &str) -> Self {
        let id = Self::parse(name);
        assert!(id.is_ok(), "a contract's name is 1 to 24 of a-z, 0-9 and _");
        match id {
            Ok(id) => id,
            Err(NotAContractId) => Self([0; Self::LONGEST]),
        }
    }

    /// The contract of that name.
    ///
    /// # Errors
    /// [`NotAContractId`] for text that is no name.
    pub const fn parse(name: &str) -> Result<Self, NotAContractId> {
        let mut rest = name.as_bytes();
        if rest.is_empty() {
            return Err(NotAContractId);
        }
        let mut id = [0; Self::LONGEST];
        let mut free: &mut [u8] = &mut id;
        while let Some((byte, others)) = rest.split_first() {
            let Some((place, more)) = ({ free }).split_first_mut() else { return Err(NotAContractId) };
            if !matches!(*byte, b'a'..=b'z' | b'0'..=b'9' | b'_') {
                return Err(NotAContractId);
            }
            *place = *byte;
            (free, rest) = (more, others);
        }
        Ok(Self(id))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        let name = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        str::from_utf8(name).unwrap_or_default()
    }
}

impl fmt::Display for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ContractId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ContractId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&name).map_err(D::Error::custom)
    }
}

/// How a sign-in with a correct password and an unverified address continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// Signed in.
    Admitted,
    /// Sent a code, and signed in with it.
    SentCode,
    /// Refused.
    Refused,
}

/// What becomes of a sign-in to an account that has a second factor which was not shown yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// The client is asked for it.
    Ask,
    /// The contract's clients cannot ask: the sign-in is refused, with the contract's answer to a wrong credential.
    Refuse,
}

/// What an access token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessToken {
    /// A signed JWT (RFC 9068).
    Signed,
    /// An opaque token, found in the store by its hash.
    Opaque,
    /// None: a browser's cookie, found in the store by its hash. No endpoint takes it as a bearer token.
    Cookie,
}

/// How long what is sent to an address can be sent back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeLifetimes {
    /// To verify the address of an account. Also codes texted to a phone, and codes and temporary tokens of second
    /// factors.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub verify_email: Duration,
    /// To verify the address an account is to have.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub change_email: Duration,
    /// To reset the password.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub reset_password: Duration,
    /// For the previous mailbox to take a changed address back. 0: there are no such links.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub restore_email: Duration,
}

/// How long the link in a security mail is accepted: people read such mails days later.
const SECURITY_LINK_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3_600);

/// How long the challenge of a passkey is accepted (RiverGen, section 1.5).
const PASSKEY_CHALLENGE_LIFETIME: Duration = Duration::from_secs(300);

impl CodeLifetimes {
    /// How long an answer for that purpose is accepted.
    pub const fn of(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::VerifyEmail
            | Purpose::RegisterPhone
            | Purpose::SignInByPhone
            | Purpose::SecondFactor
            | Purpose::SetUpFactor
            | Purpose::StepUp
            | Purpose::SignUp => self.verify_email,
            Purpose::ChangeEmail | Purpose::AddEmail => self.change_email,
            Purpose::ResetPassword => self.reset_password,
            Purpose::RestoreEmail => self.restore_email,
            Purpose::SecureAccount | Purpose::CancelFactorReset | Purpose::ConfirmFactorReset => {
                SECURITY_LINK_LIFETIME
            }
            Purpose::RegisterPasskey | Purpose::SignInByPasskey | Purpose::StepUpByPasskey => {
                PASSKEY_CHALLENGE_LIFETIME
            }
        }
    }
}

/// Everything a use case needs to know about the contract it serves. Defaults are the contract's numbers; each may be
/// configured. Durations are configured in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractProfile {
    /// Which contract. Not configurable: see [`ContractProfile::configured`].
    #[serde(skip, default = "unset")]
    pub contract: ContractId,
    /// Rules for new passwords of people.
    pub password: PasswordRule,
    /// Rules for new passwords of programs. Only contracts that know programs have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program_password: Option<PasswordRule>,
    /// What an access token is. Not configurable.
    #[serde(skip, default = "signed")]
    pub access_token: AccessToken,
    /// Lifetime of an access token.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub access_token_lifetime: Duration,
    /// Lifetimes of sessions.
    pub session: SessionPolicy,
    /// Lifetime and rotation of refresh tokens.
    pub refresh: RefreshPolicy,
    /// Lifetimes of mailed codes and links.
    pub codes: CodeLifetimes,
    /// What becomes of people whose e-mail address is not verified. Not configurable: the contract's answers follow from
    /// it.
    #[serde(skip, default = "admitted")]
    pub unverified: Unverified,
    /// What becomes of sign-ins to accounts with a second factor. Not configurable: only a contract that has an answer for
    /// it can ask.
    #[serde(skip, default = "refused")]
    pub second_factor: SecondFactor,
    /// How long ago a caller may have signed in who changes what signs in to the account. Others get an error, and
    /// prove anew who they are: in RiverGen with POST /api/v1/auth/step-up. 0: however long ago.
    #[serde(with = "optional_seconds", default)]
    #[schemars(with = "Option<u64>")]
    pub recent_sign_in: Option<Duration>,
    /// What an access token issued through this contract may do at most, wherever it is sent: what the contract's own
    /// endpoints do, and [`PermissionSet::ANY_CONTRACT`]. Not configurable.
    #[serde(skip)]
    pub permissions: PermissionSet,
    /// Rate limits: at most `attempts` in any `window`. `attempts = 0` turns a limit off.
    pub limits: Limits,
}

/// Rate limits of a contract's account endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sign-ups by client address.
    pub sign_up_by_ip: Option<Limit>,
    /// Sign-ins by client address.
    pub sign_in_by_ip: Option<Limit>,
    /// Sign-ins by e-mail address.
    pub sign_in_by_email: Option<Limit>,
    /// Failed sign-ins by e-mail address and client address together.
    pub failed_sign_in: Option<Limit>,
    /// Password-reset mails by client address.
    pub forgot_password_by_ip: Option<Limit>,
    /// Password-reset mails to one address. Beyond this limit the answer stays the same, and no mail is sent.
    pub forgot_password_by_email: Option<Limit>,
    /// Codes sent again, by account.
    pub resend_by_account: Option<Limit>,
    /// Wrong codes of second factors in a row; then further ones are refused for the window.
    pub wrong_second_factor: Option<Limit>,
    /// Second factors set up, and their codes sent, by account.
    pub second_factor_codes: Option<Limit>,
    /// Sign-ins with a passkey that are begun, by client address. A page that offers passkeys begins one when it is opened.
    pub passkey_challenges_by_ip: Option<Limit>,
    /// Sign-ins by other identity providers that are begun, by client address.
    pub social_requests_by_ip: Option<Limit>,
    /// Sign-ins by other identity providers that come back, by client address. Each has this server call the provider.
    pub social_sign_in_by_ip: Option<Limit>,
    /// Mails to one address that other callers can cause: codes, invitations, password notices.
    pub mails_by_email: Option<Limit>,
    /// All requests without a valid access token, by client address.
    pub anonymous_requests: Option<Limit>,
    /// All requests with one, by account.
    pub authenticated_requests: Option<Limit>,
    /// All requests with one, by organization.
    pub requests_by_organization: Option<Limit>,
}

impl ContractProfile {
    /// A profile read from configuration, as one of the contract whose defaults these are: what is no matter of
    /// configuration is the contract's.
    #[must_use]
    pub fn configured(self, defaults: &Self) -> Self {
        Self {
            contract: defaults.contract,
            access_token: defaults.access_token,
            unverified: defaults.unverified,
            second_factor: defaults.second_factor,
            permissions: defaults.permissions,
            ..self
        }
    }
}

/// The profiles of all contracts that are served.
#[derive(Clone, Debug, Default)]
pub struct ContractProfiles(Vec<Arc<ContractProfile>>);

impl ContractProfiles {
    /// The profile of a contract. For a contract that is no longer served, one under which nothing is issued or accepted.
    pub fn of(&self, contract: ContractId) -> &Arc<ContractProfile> {
        self.iter().find(|profile| profile.contract == contract).unwrap_or(&NOT_SERVED)
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, contract: ContractId) -> Option<&mut ContractProfile> {
        self.iter_mut().find(|profile| profile.contract == contract)
    }

    /// The longest life of a token that a signing key has to verify.
    pub fn longest_signed_token(&self) -> Duration {
        let signed = self.iter().filter(|profile| profile.access_token == AccessToken::Signed);
        signed.map(|profile| profile.access_token_lifetime).max().unwrap_or_default()
    }

    /// What holds for work in no contract's name: the operator's commands, and what a page does before it is known which
    /// contract's link it was given. An account that is made may sign in through every contract, so its password has to
    /// satisfy the rules of all of them.
    pub fn of_installation(&self) -> ContractProfile {
        let nothing_else: &ContractProfile = &NOT_SERVED;
        let strictest = |rules: &mut dyn Iterator<Item = PasswordRule>| rules.reduce(|a, b| a.and(&b));
        let people = strictest(&mut self.iter().map(|profile| profile.password.clone()));
        let programs = strictest(&mut self.iter().filter_map(|profile| profile.program_password.clone()));
        ContractProfile {
            contract: ContractId::new("installation"),
            password: people.unwrap_or_else(|| nothing_else.password.clone()),
            program_password: programs,
            ..nothing_else.clone()
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ContractProfile>> {
        self.0.iter()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut ContractProfile> {
        self.0.iter_mut().map(Arc::make_mut)
    }
}

impl FromIterator<ContractProfile> for ContractProfiles {
    fn from_iter<I: IntoIterator<Item = ContractProfile>>(profiles: I) -> Self {
        Self(profiles.into_iter().map(Arc::new).collect())
    }
}

static NOT_SERVED: LazyLock<Arc<ContractProfile>> = LazyLock::new(|| {
    Arc::new(ContractProfile {
        contract: ContractId::new("not_served"),
        password: PasswordRule {
            min_length: 16,
            max_length: 128,
            upper: true,
            lower: true,
            digit: true,
            symbol: true,
        },
        program_password: None,
        access_token: AccessToken::Signed,
        access_token_lifetime: Duration::ZERO,
        session: SessionPolicy {
            lifetime: Duration::ZERO,
            remembered_lifetime: Duration::ZERO,
            sliding_up_to: None,
        },
        refresh: RefreshPolicy { lifetime: Duration::ZERO, grace: Duration::ZERO, renewed_within: None },
        codes: CodeLifetimes {
            verify_email: Duration::ZERO,
            change_email: Duration::ZERO,
            reset_password: Duration::ZERO,
            restore_email: Duration::ZERO,
        },
        unverified: Unverified::Refused,
        second_factor: SecondFactor::Refuse,
        recent_sign_in: None,
        permissions: PermissionSet::NONE,
        limits: Limits::default(),
    })
});

/// Configuration does not say which contract a profile is for: its section's name does.
fn unset() -> ContractId {
    NOT_SERVED.contract
}

/// Nor what follows from the contract.
fn signed() -> AccessToken {
    AccessToken::Signed
}

/// The same.
fn refused() -> SecondFactor {
    SecondFactor::Refuse
}

/// The same.
fn admitted() -> Unverified {
    Unverified::Admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        for name in ["riven", "crossing_minds", "a", "v2", "abcdefghijklmnopqrstuvwx"] {
            let id = ContractId::parse(name).unwrap();
            assert_eq!((id.as_str(), id), (name, ContractId::new(name)));
            let written = serde_json::to_string(&id).unwrap();
            assert_eq!(written, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<ContractId>(&written).unwrap(), id);
        }
        for text in ["", "Riven", "a-b", "a b", "\0", "a\0", "\u{e9}", "abcdefghijklmnopqrstuvwxy"] {
            assert_eq!(ContractId::parse(text), Err(NotAContractId), "{text:?}");
            assert!(serde_json::from_value::<ContractId>(text.into()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn under_a_contract_that_is_not_served_nothing_lasts() {
        let profiles = ContractProfiles::default();
        let profile = profiles.of(ContractId::RIVEN);
        assert_eq!(
            (profile.access_token_lifetime, profile.session.lifetime),
            (Duration::ZERO, Duration::ZERO)
        );
        assert_ne!(profile.contract, ContractId::RIVEN);
    }

    #[test]
    fn a_password_set_for_the_installation_satisfies_every_contract() {
        let long = PasswordRule { min_length: 12, ..NOT_SERVED.password.clone() };
        let long = PasswordRule { upper: false, max_length: 1024, ..long };
        let mixed = PasswordRule { min_length: 8, symbol: false, ..NOT_SERVED.password.clone() };
        let profile = |password| ContractProfile { password, ..NOT_SERVED.as_ref().clone() };
        let profiles: ContractProfiles = [profile(long), profile(mixed)].into_iter().collect();
        let both = profiles.of_installation().password;
        assert_eq!((both.min_length, both.max_length), (12, 128));
        assert!(both.upper && both.lower && both.digit && both.symbol);
        assert_eq!(ContractProfiles::default().of_installation().password, NOT_SERVED.password);
    }
}
