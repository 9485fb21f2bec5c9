//! The audit log's vocabulary, and how long it is kept.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::limit::Limit;
use crate::time::seconds;

/// How long audit events are kept, and how many of a kind are written one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct AuditRetention {
    /// Seconds for which events of accounts and organizations are kept.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(400 * 24 * 3_600))]
    pub keep: Duration,
    /// Seconds for which events that belong to no account are kept: attempts with unknown names.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30 * 24 * 3_600))]
    pub keep_without_account: Duration,
    /// Failed sign-ins, reset requests and texted codes of one client network that are written one by one; further
    /// ones of the same kind and account are added up in one row.
    #[default(Some(Limit::new(60, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub attempts_by_network: Option<Limit>,
}

/// What happened. Names: RiverGen section 1.11 where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A sign-in succeeded.
    SignInSucceeded,
    /// A sign-in failed.
    SignInFailed,
    /// An account was made.
    SignedUp,
    /// An address was shown to be theirs.
    EmailVerified,
    /// A phone was shown to be theirs.
    PhoneVerified,
    /// A code was texted.
    CodeTexted,
    /// A code was sent again.
    CodeResent,
    /// One session was ended by its owner from within.
    SignedOut,
    /// All sessions were.
    SignedOutEverywhere,
    /// A password reset was asked for.
    PasswordResetRequested,
    /// A password was reset.
    PasswordReset,
    /// A password was changed.
    PasswordChanged,
    /// A profile was changed.
    ProfileUpdated,
    /// Another address was asked for.
    EmailChangeRequested,
    /// Another address was taken.
    EmailChanged,
    /// The previous mailbox took a changed address back.
    EmailRestored,
    /// A session was ended from another.
    SessionRevoked,
    /// A superseded refresh token was presented and its session ended.
    RefreshTokenReplayed,
    /// An organization was provisioned from the command line.
    OrganizationProvisioned,
    /// An organization got another owner.
    OwnershipTransferred,
    /// An organization's metadata was changed.
    OrganizationUpdated,
    /// A manager made an account.
    AccountCreated,
    /// An account's owner accepted that an organization manages the account.
    InvitationAccepted,
    /// An invitation lapsed: the mailbox's owner proved it in another way, or signed up.
    InvitationWithdrawn,
    /// An unproven address went to the account that proved it.
    UnprovenAddressLost,
    /// A phone was removed from an account.
    PhoneRemoved,
    /// A manager changed an account.
    AccountUpdated,
    /// An account was deleted, by a manager, by itself or by an operator.
    AccountDeleted,
    /// An operator disabled an account.
    AccountDisabled,
    /// An operator enabled it again.
    AccountEnabled,
    /// An operator cleared the wrong passwords and codes that kept an account out.
    AccountUnlocked,
    /// An operator exported what is stored of an account.
    AccountExported,
    /// An identifier was removed from an account.
    IdentifierRemoved,
    /// A program was given a key.
    ServiceKeyCreated,
    /// A program's key was deleted.
    ServiceKeyDeleted,
    /// A database was made.
    DatabaseCreated,
    /// A database was changed.
    DatabaseUpdated,
    /// A database was deleted.
    DatabaseDeleted,
    /// A client chose how to show the second factor; its code was sent where it is one that is sent.
    FactorCodeSent,
    /// Second factors were removed by their owner.
    FactorsDeactivated,
    /// A second factor was added.
    FactorAdded,
    /// A device of a second factor was removed.
    FactorRemoved,
    /// An operator removed all second factors of an account.
    FactorsReset,
    /// Backup codes were made.
    RecoveryCodesMade,
    /// A backup code was used.
    RecoveryCodeUsed,
    /// A code was wrong while a second factor was set up or the owner proved anew who they are.
    FactorRefused,
    /// The owner of a session proved anew who they are.
    SteppedUp,
    /// A device became a trusted one.
    DeviceActivated,
    /// A device was not to be trusted.
    DeviceSkipped,
    /// A device is trusted no more.
    DeviceRevoked,
    /// The link of a security notice was followed: all sessions ended.
    AccountSecured,
    /// An organization admits members without their second factor, or no longer does.
    SecondFactorRuleChanged,
    /// A brokerage account was applied for.
    BrokerageApplied,
    /// A brokerage account was opened.
    BrokerageOpened,
    /// A broker was given documents.
    BrokerageDocumentsSubmitted,
    /// The status of a brokerage account changed.
    BrokerageStatusChanged,
}

impl Action {
    /// Whether anyone can cause it without having signed in, as often as their limits let them.
    pub const fn is_attempt(self) -> bool {
        matches!(self, Self::SignInFailed | Self::CodeTexted | Self::PasswordResetRequested)
    }

    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignInSucceeded => "auth.login.success",
            Self::SignInFailed => "auth.login.failure",
            Self::SignedUp => "auth.signup",
            Self::EmailVerified => "auth.email.verified",
            Self::PhoneVerified => "auth.phone.verified",
            Self::CodeTexted => "auth.otp.sent",
            Self::CodeResent => "auth.otp.resent",
            Self::SignedOut => "auth.logout",
            Self::SignedOutEverywhere => "auth.logout_all",
            Self::PasswordResetRequested => "auth.password.reset_requested",
            Self::PasswordReset => "auth.password.reset",
            Self::PasswordChanged => "auth.password.changed",
            Self::ProfileUpdated => "auth.profile.updated",
            Self::EmailChangeRequested => "auth.email.change_requested",
            Self::EmailChanged => "auth.email.changed",
            Self::EmailRestored => "auth.email.restored",
            Self::SessionRevoked => "session.revoked",
            Self::RefreshTokenReplayed => "session.refresh_token_replayed",
            Self::OrganizationProvisioned => "organization.provisioned",
            Self::OwnershipTransferred => "organization.ownership_transferred",
            Self::OrganizationUpdated => "organization.updated",
            Self::AccountCreated => "account.created",
            Self::InvitationAccepted => "account.invitation_accepted",
            Self::InvitationWithdrawn => "account.invitation_withdrawn",
            Self::UnprovenAddressLost => "account.unproven_address_lost",
            Self::PhoneRemoved => "account.phone_removed",
            Self::AccountUpdated => "account.updated",
            Self::AccountDeleted => "account.deleted",
            Self::AccountDisabled => "account.disabled",
            Self::AccountEnabled => "account.enabled",
            Self::AccountUnlocked => "account.unlocked",
            Self::AccountExported => "account.exported",
            Self::IdentifierRemoved => "account.identifier_removed",
            Self::ServiceKeyCreated => "account.key_created",
            Self::ServiceKeyDeleted => "account.key_deleted",
            Self::DatabaseCreated => "database.created",
            Self::DatabaseUpdated => "database.updated",
            Self::DatabaseDeleted => "database.deleted",
            Self::FactorCodeSent => "auth.mfa.otp_generated",
            Self::FactorsDeactivated => "auth.mfa.deactivated",
            Self::FactorAdded => "mfa.factor.enabled",
            Self::FactorRemoved => "mfa.factor.removed",
            Self::FactorsReset => "mfa.reset",
            Self::RecoveryCodesMade => "mfa.backup_codes.generated",
            Self::RecoveryCodeUsed => "mfa.backup_codes.used",
            Self::FactorRefused => "mfa.verify.failure",
            Self::SteppedUp => "auth.step_up",
            Self::DeviceActivated => "device.activated",
            Self::DeviceSkipped => "device.skipped",
            Self::DeviceRevoked => "device.revoked",
            Self::AccountSecured => "account.secured",
            Self::SecondFactorRuleChanged => "organization.second_factor_rule_changed",
            Self::BrokerageApplied => "brokerage.applied",
            Self::BrokerageOpened => "brokerage.opened",
            Self::BrokerageDocumentsSubmitted => "brokerage.documents_submitted",
            Self::BrokerageStatusChanged => "brokerage.status_changed",
        }
    }
}
