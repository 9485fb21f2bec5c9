//! Challenges: something sent to an address, to be sent back once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::factor::FactorKind;
use crate::id::{AccountId, ChallengeId, OrganizationId, SessionId, SocialAccountId};
use crate::session::AmrSet;
use crate::{ContractId, Timestamp};

/// What answering a challenge proves or permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The address of an account is the signer-up's.
    VerifyEmail,
    /// Verifies the new address of an account.
    ChangeEmail,
    /// An address becomes one of an account that has none.
    AddEmail,
    /// The password may be set anew.
    ResetPassword,
    /// An address that was changed away from becomes the account's primary one again.
    RestoreEmail,
    /// Verifies the phone of a new account.
    RegisterPhone,
    /// A phone is in the hands of the one who signs in with it.
    SignInByPhone,
    /// A sign-in whose first factor was right goes on with the second one.
    SecondFactor,
    /// The address or phone receives the codes of a second factor that is being set up.
    SetUpFactor,
    /// The owner of a session proves anew who they are.
    StepUp,
    /// All sessions of the account may be ended and its recovery started.
    SecureAccount,
    /// An authenticator answers the registration of a passkey.
    RegisterPasskey,
    /// An authenticator answers a sign-in with a passkey.
    SignInByPasskey,
    /// The owner of a session proves anew with a passkey who they are.
    StepUpByPasskey,
    /// A reset of the account's second factors, which waits for its time, may be called off.
    CancelFactorReset,
    /// A reset of the account's second factors may take effect.
    ConfirmFactorReset,
    /// An account is made for an address: on the hosted page, where none is made before.
    SignUp,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::VerifyEmail,
        Self::ChangeEmail,
        Self::AddEmail,
        Self::ResetPassword,
        Self::RestoreEmail,
        Self::RegisterPhone,
        Self::SignInByPhone,
        Self::SecondFactor,
        Self::SetUpFactor,
        Self::StepUp,
        Self::SecureAccount,
        Self::RegisterPasskey,
        Self::SignInByPasskey,
        Self::StepUpByPasskey,
        Self::CancelFactorReset,
        Self::ConfirmFactorReset,
        Self::SignUp,
    ];

    /// The stored value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::AddEmail => "add_email",
            Self::ResetPassword => "reset_password",
            Self::RestoreEmail => "restore_email",
            Self::RegisterPhone => "register_phone",
            Self::SignInByPhone => "sign_in_by_phone",
            Self::SecondFactor => "second_factor",
            Self::SetUpFactor => "set_up_factor",
            Self::StepUp => "step_up",
            Self::SecureAccount => "secure_account",
            Self::RegisterPasskey => "register_passkey",
            Self::SignInByPasskey => "sign_in_by_passkey",
            Self::StepUpByPasskey => "step_up_by_passkey",
            Self::CancelFactorReset => "cancel_factor_reset",
            Self::ConfirmFactorReset => "confirm_factor_reset",
            Self::SignUp => "sign_up",
        }
    }

    /// Whether the code goes to a phone, so that everyone who knows the number can guess at it.
    pub const fn is_by_phone(self) -> bool {
        matches!(self, Self::RegisterPhone | Self::SignInByPhone)
    }

    /// Wrong codes accepted before a challenge is blocked for those who are not known to it.
    pub const fn max_attempts(self) -> i32 {
        if self.is_by_phone() { MAX_PHONE_ATTEMPTS } else { MAX_ATTEMPTS }
    }
}

/// Wrong codes accepted before a challenge is blocked; of a code on a phone, from one client network.
pub const MAX_ATTEMPTS: i32 = 5;

/// Wrong codes accepted for a code on a phone from all client networks together. Anyone who knows the number can guess,
/// so five wrong guesses of theirs must not void the code for its owner.
pub const MAX_PHONE_ATTEMPTS: i32 = 20;

/// Wrong codes accepted besides from the networks that the phone's account has signed in from: five each, of ten networks.
pub const MAX_KNOWN_ATTEMPTS: i32 = MAX_ATTEMPTS * 10;

/// How often a link that may be followed again is followed: by people and their mail programs, not by a flood.
pub const MAX_LINK_USES: i32 = 20;

/// How long the answer to a one-time action is given again to the same caller: as long as clients wait before they try again.
pub const REPEATED_FOR: Duration = Duration::from_secs(60);

/// Digits of a one-time code.
pub const CODE_DIGITS: u32 = 6;

/// What a challenge's holder continues with when it is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// The sign-in that led here asked to be remembered.
    #[serde(default)]
    pub remember_me: bool,
    /// The organization whose invitation this is: answering it accepts that the organization's managers look after the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<OrganizationId>,
    /// The sign-in that waits for its second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<PendingSignIn>,
    /// The passkey that is being registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PendingPasskey>,
    /// The session whose owner proves anew who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_up: Option<SessionId>,
    /// The account that is made once the address is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_up: Option<PendingSignUp>,
}

impl Continuation {
    /// With nothing.
    pub const NOTHING: Self = Self {
        remember_me: false,
        invitation: None,
        sign_in: None,
        passkey: None,
        step_up: None,
        sign_up: None,
    };
}

/// An account that is made once its address is proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSignUp {
    /// Shown to people; may be empty.
    pub display_name: String,
    /// The hash of its password, sealed for its address; in hexadecimal digits.
    pub password: String,
}

/// A passkey that is being registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPasskey {
    /// What its owner calls it.
    pub name: String,
    /// The session in which it was begun, and in which it must be finished.
    pub session: SessionId,
}

/// A sign-in whose first factor was right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// The number of the workspace to enter.
    pub workspace: Option<i64>,
    /// What was shown so far.
    pub shown: AmrSet,
    /// When that was, where another provider says so: a second factor makes the sign-in there no newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_at: Option<Timestamp>,
    /// The kind of factor whose code is expected; none before the client has chosen one.
    pub kind: Option<FactorKind>,
    /// The account at a provider that is connected when the sign-in is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connects: Option<Box<PendingConnection>>,
}

/// An account at another identity provider that is to be connected with an account that was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingConnection {
    /// Key of the row to be.
    pub id: SocialAccountId,
    /// The provider's name in the configuration.
    pub provider: String,
    /// What people call the provider.
    pub title: String,
    /// Who issued the subject.
    pub issuer: String,
    /// What the issuer calls the person.
    pub subject: String,
    /// The address by which the account was found.
    pub email: String,
    /// What the provider calls them; may be empty.
    pub display_name: String,
    /// The provider's tokens, sealed with the row's key; in hexadecimal digits.
    pub tokens: String,
    /// Whether the owner must show first that the account's mailbox is in their hands now.
    pub needs_mailbox: bool,
}

impl PendingSignIn {
    /// The provider that is connected once a mailed code has come back; none where no such code is waited for.
    pub fn mailbox_for(&self) -> Option<&PendingConnection> {
        self.connects.as_deref().filter(|connects| connects.needs_mailbox)
    }
}

/// An open, answered or dead challenge.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Key.
    pub id: ChallengeId,
    /// Whose it is; none where it was sent for an unknown address.
    pub account: Option<AccountId>,
    /// What it is for.
    pub purpose: Purpose,
    /// The address it was sent to.
    pub address: String,
    /// Keyed hash of the code.
    pub code_mac: Option<Vec<u8>>,
    /// Codes tried so far.
    pub attempts: i32,
    /// The contract that asked for it.
    pub contract: ContractId,
    /// What to continue with.
    pub continuation: Continuation,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it stops being accepted.
    pub expires_at: Timestamp,
    /// When it was answered.
    pub consumed_at: Option<Timestamp>,
}

/// The state of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeStatus {
    /// It may be answered.
    Open,
    /// It was answered.
    Consumed,
    /// Too many wrong answers.
    Blocked,
    /// Too late.
    Expired,
}

impl Challenge {
    /// The status `now`. Blocked comes before expired, so that waiting does not look like a solution.
    pub fn status(&self, now: Timestamp) -> ChallengeStatus {
        self.status_within(self.purpose.max_attempts(), now)
    }

    /// The same for a caller who may try until `most` codes were wrong.
    pub fn status_within(&self, most: i32, now: Timestamp) -> ChallengeStatus {
        if self.consumed_at.is_some() {
            ChallengeStatus::Consumed
        } else if self.attempts >= most {
            ChallengeStatus::Blocked
        } else if self.expires_at <= now {
            ChallengeStatus::Expired
        } else {
            ChallengeStatus::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> Challenge {
        Challenge {
            id: ChallengeId(uuid::Uuid::nil()),
            account: None,
            purpose: Purpose::VerifyEmail,
            address: "a@b.cd".into(),
            code_mac: None,
            attempts: 0,
            contract: ContractId::RIVERGEN,
            continuation: Continuation::default(),
            created_at: Timestamp::from_seconds(0),
            expires_at: Timestamp::from_seconds(600),
            consumed_at: None,
        }
    }

    #[test]
    fn the_fifth_wrong_code_blocks_and_the_last_second_expires() {
        let now = Timestamp::from_seconds(599);
        assert_eq!(challenge().status(now), ChallengeStatus::Open);
        assert_eq!(Challenge { attempts: 4, ..challenge() }.status(now), ChallengeStatus::Open);
        assert_eq!(Challenge { attempts: 5, ..challenge() }.status(now), ChallengeStatus::Blocked);
        assert_eq!(challenge().status(Timestamp::from_seconds(600)), ChallengeStatus::Expired);
        assert_eq!(
            Challenge { consumed_at: Some(now), ..challenge() }.status(now),
            ChallengeStatus::Consumed
        );
        let by_phone = Challenge { purpose: Purpose::SignInByPhone, ..challenge() };
        assert_eq!(Challenge { attempts: 19, ..by_phone.clone() }.status(now), ChallengeStatus::Open);
        assert_eq!(Challenge { attempts: 20, ..by_phone }.status(now), ChallengeStatus::Blocked);
    }
}
