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
    /// ones of the same kind and account are added up in one row, or in one for each that is written at the same moment.
    #[default(Some(Limit::new(60, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub attempts_by_network: Option<Limit>,
}

macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What happened. Names: RiverGen section 1.11 where it has one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Action {
            /// The stored name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

actions! {
    /// A sign-in succeeded.
    SignInSucceeded = "auth.login.success",
    /// A sign-in failed.
    SignInFailed = "auth.login.failure",
    /// An account was made.
    SignedUp = "auth.signup",
    /// An account was made by the word of another identity provider.
    SocialSignedUp = "auth.social.signup",
    /// An account at another identity provider signs in to an account from now on.
    SocialAccountConnected = "auth.social.connected",
    /// An operator lifted the block of an account at another identity provider.
    SocialAccountUnblocked = "auth.social.unblocked",
    /// An address was shown to be theirs.
    EmailVerified = "auth.email.verified",
    /// A phone was shown to be theirs.
    PhoneVerified = "auth.phone.verified",
    /// A code was texted.
    CodeTexted = "auth.otp.sent",
    /// A code was sent again.
    CodeResent = "auth.otp.resent",
    /// One session was ended by its owner from within.
    SignedOut = "auth.logout",
    /// All sessions were.
    SignedOutEverywhere = "auth.logout_all",
    /// A password reset was asked for.
    PasswordResetRequested = "auth.password.reset_requested",
    /// A password was reset.
    PasswordReset = "auth.password.reset",
    /// A password was changed.
    PasswordChanged = "auth.password.changed",
    /// A profile was changed.
    ProfileUpdated = "auth.profile.updated",
    /// Another address was asked for.
    EmailChangeRequested = "auth.email.change_requested",
    /// Another address was taken.
    EmailChanged = "auth.email.changed",
    /// The previous mailbox took a changed address back.
    EmailRestored = "auth.email.restored",
    /// A session was ended from another.
    SessionRevoked = "session.revoked",
    /// A superseded refresh token was presented and its session ended.
    RefreshTokenReplayed = "session.refresh_token_replayed",
    /// An organization was provisioned from the command line.
    OrganizationProvisioned = "organization.provisioned",
    /// An organization got another owner.
    OwnershipTransferred = "organization.ownership_transferred",
    /// An organization's metadata was changed.
    OrganizationUpdated = "organization.updated",
    /// A manager made an account.
    AccountCreated = "account.created",
    /// An account's owner accepted that an organization manages the account.
    InvitationAccepted = "account.invitation_accepted",
    /// An invitation lapsed: the mailbox's owner proved it in another way, or signed up.
    InvitationWithdrawn = "account.invitation_withdrawn",
    /// An unproven address went to the account that proved it.
    UnprovenAddressLost = "account.unproven_address_lost",
    /// A phone was removed from an account.
    PhoneRemoved = "account.phone_removed",
    /// A manager changed an account.
    AccountUpdated = "account.updated",
    /// An account was deleted, by a manager, by itself or by an operator.
    AccountDeleted = "account.deleted",
    /// An operator disabled an account.
    AccountDisabled = "account.disabled",
    /// An operator enabled it again.
    AccountEnabled = "account.enabled",
    /// An operator cleared the wrong passwords and codes that kept an account out.
    AccountUnlocked = "account.unlocked",
    /// An operator exported what is stored of an account.
    AccountExported = "account.exported",
    /// An identifier was removed from an account.
    IdentifierRemoved = "account.identifier_removed",
    /// A program was given a key.
    ServiceKeyCreated = "account.key_created",
    /// A program's key was deleted.
    ServiceKeyDeleted = "account.key_deleted",
    /// An access token was made by its owner.
    TokenCreated = "token.created",
    /// An access token was renamed, or got other scopes.
    TokenUpdated = "token.updated",
    /// An access token was revoked: by its owner, by an admin of its organization, or by an operator.
    TokenRevoked = "token.revoked",
    /// An operator set for how long tokens for an organization live.
    TokenLifetimeChanged = "organization.token_lifetime_changed",
    /// A database was made.
    DatabaseCreated = "database.created",
    /// A database was changed.
    DatabaseUpdated = "database.updated",
    /// A database was deleted.
    DatabaseDeleted = "database.deleted",
    /// A client chose how to show the second factor; its code was sent where it is one that is sent.
    FactorCodeSent = "auth.mfa.otp_generated",
    /// Second factors were removed: by their owner, or for the reason that is recorded.
    FactorsDeactivated = "auth.mfa.deactivated",
    /// A second factor was added.
    FactorAdded = "mfa.factor.enabled",
    /// A device of a second factor was removed.
    FactorRemoved = "mfa.factor.removed",
    /// All second factors of an account were removed, at the request of an operator or a manager.
    FactorsReset = "mfa.reset",
    /// An operator or a manager asked for that, and it waits for its time or for the owner.
    FactorsResetRequested = "mfa.reset.requested",
    /// The owner called it off.
    FactorsResetCancelled = "mfa.reset.cancelled",
    /// Backup codes were made.
    RecoveryCodesMade = "mfa.backup_codes.generated",
    /// A backup code was used.
    RecoveryCodeUsed = "mfa.backup_codes.used",
    /// A code was wrong while a second factor was set up or the owner proved anew who they are.
    FactorRefused = "mfa.verify.failure",
    /// The owner of a session proved anew who they are.
    SteppedUp = "auth.step_up",
    /// A device became a trusted one.
    DeviceActivated = "device.activated",
    /// A device was not to be trusted.
    DeviceSkipped = "device.skipped",
    /// A device is trusted no more.
    DeviceRevoked = "device.revoked",
    /// A passkey was registered.
    PasskeyRegistered = "webauthn.registered",
    /// A passkey was removed.
    PasskeyRemoved = "webauthn.deleted",
    /// An authenticator's answer to the registration of a passkey was refused.
    PasskeyRefused = "webauthn.refused",
    /// The link of a security notice was followed: all sessions ended.
    AccountSecured = "account.secured",
    /// An organization admits members without their second factor, or no longer does.
    SecondFactorRuleChanged = "organization.second_factor_rule_changed",
    /// An application was made.
    ApplicationCreated = "oauth.application.created",
    /// An application was changed.
    ApplicationUpdated = "oauth.application.updated",
    /// An application got another secret; its tokens ended.
    ApplicationSecretReplaced = "oauth.application.secret_regenerated",
    /// An application was revoked; its tokens ended.
    ApplicationRevoked = "oauth.application.revoked",
    /// An application was deleted.
    ApplicationDeleted = "oauth.application.deleted",
    /// A person gave an application access.
    AccessGranted = "oauth.consent.granted",
    /// A person refused an application access.
    AccessDenied = "oauth.consent.denied",
    /// A person took an application's access away.
    AccessRevoked = "oauth.consent.revoked",
    /// An authorization code was exchanged: a session was opened for an application.
    ApplicationSignedIn = "oauth.session.opened",
    /// An authorization code was presented again and what it had opened was ended.
    CodeReplayed = "oauth.code.replayed",
    /// An application exchanged a person's token for one for another API.
    TokenExchanged = "oauth.token.exchanged",
    /// An application gave up its access to an account.
    ApplicationSignedOut = "oauth.session.revoked",
    /// A data source was made.
    DataSourceCreated = "data_source.created",
    /// A data source was changed, paused or resumed.
    DataSourceUpdated = "data_source.updated",
    /// A data source got other credentials, or they were sealed anew.
    DataSourceCredentialsChanged = "data_source.credentials_changed",
    /// A data source was deleted.
    DataSourceDeleted = "data_source.deleted",
    /// A policy was made.
    PolicyCreated = "policy.created",
    /// A policy or its rules were changed.
    PolicyUpdated = "policy.updated",
    /// A policy was deleted.
    PolicyDeleted = "policy.deleted",
    /// A policy was assigned.
    PolicyAssigned = "policy.assigned",
    /// An assignment of a policy was removed.
    PolicyUnassigned = "policy.unassigned",
    /// An administrator looked at what somebody would see.
    PolicySimulated = "policy.simulated",
    /// An operator ran a query as a member of an organization.
    DataQueriedAs = "data.queried_as_member",
    /// A saved question was deleted.
    PromptDeleted = "prompt.deleted",
    /// Saved questions of somebody were deleted, all that match.
    PromptHistoryCleared = "prompt.history_cleared",
    /// A template of questions was made.
    PromptTemplateCreated = "prompt_template.created",
    /// A template of questions was changed.
    PromptTemplateUpdated = "prompt_template.updated",
    /// A template of questions was deleted.
    PromptTemplateDeleted = "prompt_template.deleted",
    /// A brokerage account was applied for.
    BrokerageApplied = "brokerage.applied",
    /// A brokerage account was opened.
    BrokerageOpened = "brokerage.opened",
    /// A broker was given documents.
    BrokerageDocumentsSubmitted = "brokerage.documents_submitted",
    /// The status of a brokerage account changed.
    BrokerageStatusChanged = "brokerage.status_changed",
    /// A file was uploaded.
    FileUploaded = "storage.file.uploaded",
    /// A file was removed.
    FileRemoved = "storage.file.removed",
    /// An operator changed what an organization may keep.
    StorageLimitChanged = "storage.limit.changed",
}

impl Action {
    /// Whether anyone can cause it without having signed in, as often as their limits let them.
    pub const fn is_attempt(self) -> bool {
        matches!(self, Self::SignInFailed | Self::CodeTexted | Self::PasswordResetRequested)
    }
}
