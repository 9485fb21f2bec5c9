//! Everything that belongs to an account and may let a caller in, or act for its owner, and what a new password does to it.
//!
//! One entry for each table with an `account_id`. A test compares the list with the schema: a new table is classified here, or the test
//! fails.

use tidegate_domain::challenge::Purpose;
use tidegate_domain::id::AccountId;
use tidegate_domain::session::EndReason;
use tidegate_domain::{EmailAddress, Timestamp};
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::work::Work;

/// A table of what belongs to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foothold {
    /// The password.
    Passwords,
    /// Sessions, and with them their access, refresh and opaque tokens.
    Sessions,
    /// Codes and links that were sent: resets, verification, pending changes and additions of an address.
    Challenges,
    /// Addresses and phones that sign in.
    Identifiers,
    /// Organizations the account belongs to.
    Memberships,
    /// Personal access tokens.
    AccessTokens,
    /// Keys: programs have them, people do not.
    ServiceKeys,
    /// The account at a broker.
    BrokerageAccounts,
    /// Networks whose wrong passwords are counted apart.
    KnownNetworks,
    /// Authenticator apps, and codes that are sent.
    SecondFactors,
    /// Backup codes.
    RecoveryCodes,
    /// Devices that are not asked for a second factor.
    TrustedDevices,
    /// Passkeys.
    Passkeys,
    /// Accounts at other identity providers.
    SocialAccounts,
    /// Authorization codes of applications.
    AuthorizationCodes,
    /// Codes of devices that its owner answered.
    DeviceCodes,
    /// What its owner has allowed applications.
    Consents,
    /// Files its owner has uploaded.
    StorageFiles,
    /// Questions its owner has saved.
    Prompts,
    /// Templates its owner has made.
    PromptTemplates,
    /// Questions its owner has asked.
    PromptExecutions,
    /// Results its owner has downloaded.
    PromptDownloads,
    /// Sums of what its owner has asked.
    PromptUsage,
    /// The same by data source.
    PromptSourceUsage,
    /// The same by question.
    PromptQuestionUsage,
    /// What happened.
    AuditEvents,
    /// Background work about it.
    Jobs,
}

/// What a new password does to a foothold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtNewPassword {
    /// Everything of the account in that table ends or is removed.
    Removed,
    /// The new one takes its place.
    Replaced,
    /// It stays, for the reason given.
    Kept(&'static str),
}

/// What becomes of a foothold when the previous mailbox takes a changed address back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRestoredAddress {
    /// Everything of the account in that table ends or is removed.
    Removed,
    /// What was added since the address was changed is removed; what is older is the owner's.
    RemovedSince,
    /// It stays, for the reason given.
    Kept(&'static str),
}

impl Foothold {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Passwords,
        Self::Sessions,
        Self::Challenges,
        Self::Identifiers,
        Self::Memberships,
        Self::AccessTokens,
        Self::ServiceKeys,
        Self::BrokerageAccounts,
        Self::KnownNetworks,
        Self::SecondFactors,
        Self::RecoveryCodes,
        Self::TrustedDevices,
        Self::Passkeys,
        Self::SocialAccounts,
        Self::AuthorizationCodes,
        Self::DeviceCodes,
        Self::Consents,
        Self::StorageFiles,
        Self::Prompts,
        Self::PromptTemplates,
        Self::PromptExecutions,
        Self::PromptDownloads,
        Self::PromptUsage,
        Self::PromptSourceUsage,
        Self::PromptQuestionUsage,
        Self::AuditEvents,
        Self::Jobs,
    ];

    /// The table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Passwords => "passwords",
            Self::Sessions => "sessions",
            Self::Challenges => "challenges",
            Self::Identifiers => "identifiers",
            Self::Memberships => "memberships",
            Self::AccessTokens => "access_tokens",
            Self::ServiceKeys => "service_keys",
            Self::BrokerageAccounts => "brokerage_accounts",
            Self::KnownNetworks => "known_networks",
            Self::SecondFactors => "second_factors",
            Self::RecoveryCodes => "recovery_codes",
            Self::TrustedDevices => "trusted_devices",
            Self::Passkeys => "passkeys",
            Self::SocialAccounts => "social_accounts",
            Self::AuthorizationCodes => "oauth_codes",
            Self::DeviceCodes => "oauth_device_codes",
            Self::Consents => "oauth_consents",
            Self::StorageFiles => "storage_files",
            Self::Prompts => "prompts",
            Self::PromptTemplates => "prompt_templates",
            Self::PromptExecutions => "prompt_executions",
            Self::PromptDownloads => "prompt_downloads",
            Self::PromptUsage => "prompt_usage",
            Self::PromptSourceUsage => "prompt_source_usage",
            Self::PromptQuestionUsage => "prompt_question_usage",
            Self::AuditEvents => "audit_events",
            Self::Jobs => "jobs",
        }
    }

    /// What a new password does to it.
    pub const fn at_new_password(self) -> AtNewPassword {
        match self {
            Self::Passwords | Self::KnownNetworks => AtNewPassword::Replaced,
            // Accounts at providers stay as rows that sign in to nothing: one that is still the owner's is connected again with a mailed
            // code.
            Self::Sessions
            | Self::Challenges
            | Self::AccessTokens
            | Self::TrustedDevices
            | Self::SocialAccounts
            | Self::AuthorizationCodes
            | Self::DeviceCodes
            | Self::Consents => AtNewPassword::Removed,
            Self::Identifiers => AtNewPassword::Kept(
                "the page and the mail name the phones that can sign in, and the page removes them if asked to",
            ),
            Self::Memberships => AtNewPassword::Kept(
                "an invitation ends with the first proof of the mailbox; others were agreed to",
            ),
            Self::ServiceKeys => {
                AtNewPassword::Kept("programs would stop; the owner is mailed when one is made")
            }
            Self::SecondFactors | Self::RecoveryCodes => AtNewPassword::Kept(
                "whoever reads the mailbox must not get around them; an operator removes them with `tidegate user reset-mfa`",
            ),
            Self::Passkeys => AtNewPassword::Kept(
                "the page and the mail say how many can sign in, and the page removes them if asked to; the link in a security \
                 notice removes those that were added since",
            ),
            Self::BrokerageAccounts => AtNewPassword::Kept("it does not sign in"),
            Self::StorageFiles
            | Self::Prompts
            | Self::PromptTemplates
            | Self::PromptExecutions
            | Self::PromptDownloads
            | Self::PromptUsage
            | Self::PromptSourceUsage
            | Self::PromptQuestionUsage
            | Self::AuditEvents
            | Self::Jobs => AtNewPassword::Kept("it does not sign in"),
        }
    }
}

impl Foothold {
    /// What becomes of it when the previous mailbox takes a changed address back: whoever changed it may have added ways to sign in.
    pub const fn at_restored_address(self) -> AtRestoredAddress {
        match self {
            Self::Passwords
            | Self::Sessions
            | Self::Challenges
            | Self::AccessTokens
            | Self::AuthorizationCodes
            | Self::DeviceCodes
            | Self::Consents
            | Self::SocialAccounts
            | Self::TrustedDevices => AtRestoredAddress::Removed,
            Self::Identifiers | Self::SecondFactors | Self::RecoveryCodes | Self::Passkeys => {
                AtRestoredAddress::RemovedSince
            }
            Self::Memberships | Self::ServiceKeys => AtRestoredAddress::Kept(
                "they are the organization's; the owner is mailed when a program or a key is made",
            ),
            Self::KnownNetworks => {
                AtRestoredAddress::Kept("it counts wrong passwords apart, and lets nobody in")
            }
            Self::BrokerageAccounts
            | Self::StorageFiles
            | Self::Prompts
            | Self::PromptTemplates
            | Self::PromptExecutions
            | Self::PromptDownloads
            | Self::PromptUsage
            | Self::PromptSourceUsage
            | Self::PromptQuestionUsage
            | Self::AuditEvents
            | Self::Jobs => AtRestoredAddress::Kept("it does not sign in"),
        }
    }
}

/// Whether what was sent for a purpose under the old password is withdrawn with it.
const fn ends_with_the_password(purpose: Purpose) -> bool {
    match purpose {
        Purpose::ResetPassword
        | Purpose::ChangeEmail
        | Purpose::AddEmail
        | Purpose::VerifyEmail
        | Purpose::SecondFactor
        | Purpose::SetUpFactor
        | Purpose::StepUp
        | Purpose::RegisterPasskey
        | Purpose::SignInByPasskey
        | Purpose::StepUpByPasskey => true,
        // Whoever changed the address may set a password, too: it must not close the owner's way back.
        Purpose::RestoreEmail | Purpose::SecureAccount => false,
        // An owner who lost the factor and the password asks for both.
        Purpose::CancelFactorReset | Purpose::ConfirmFactorReset => false,
        // Shows that a phone is in the caller's hands, whatever the password.
        Purpose::RegisterPhone | Purpose::SignInByPhone => false,
        // Is no account's yet.
        Purpose::SignUp => false,
    }
}

impl<G> Work<'_, G> {
    /// Removes what may have been placed under the old password; the sessions end for that reason.
    pub(crate) async fn remove_footholds(
        &mut self,
        account: AccountId,
        reason: EndReason,
    ) -> Result<(), Fault> {
        let removed = |foothold: &Foothold| foothold.at_new_password() == AtNewPassword::Removed;
        for foothold in Foothold::ALL.into_iter().filter(removed) {
            match foothold {
                Foothold::Sessions => {
                    self.unit.sessions().end_all(account, reason, self.now).await?;
                }
                Foothold::Challenges => {
                    for purpose in Purpose::ALL.into_iter().filter(|purpose| ends_with_the_password(*purpose))
                    {
                        self.unit.challenges().remove(purpose, account).await?;
                    }
                }
                Foothold::AccessTokens => {
                    self.unit.access_tokens().remove_all(account).await?;
                }
                Foothold::TrustedDevices => self.unit.trusted_devices().remove_all(account).await?,
                Foothold::SocialAccounts => {
                    self.unit.social_accounts().disconnect_all(account, self.now).await?;
                }
                // With what other features keep.
                Foothold::Consents => self.kernel().footholds_removed(account).await?,
                Foothold::Passwords
                | Foothold::Identifiers
                | Foothold::Memberships
                | Foothold::ServiceKeys
                | Foothold::BrokerageAccounts
                | Foothold::KnownNetworks
                | Foothold::SecondFactors
                | Foothold::RecoveryCodes
                | Foothold::Passkeys
                | Foothold::AuthorizationCodes
                | Foothold::DeviceCodes
                | Foothold::StorageFiles
                | Foothold::Prompts
                | Foothold::PromptTemplates
                | Foothold::PromptExecutions
                | Foothold::PromptDownloads
                | Foothold::PromptUsage
                | Foothold::PromptSourceUsage
                | Foothold::PromptQuestionUsage
                | Foothold::AuditEvents
                | Foothold::Jobs => {}
            }
        }
        Ok(())
    }

    /// Gives the account back to the owner of `address`, which was changed at `since`: removes the password, what a new password
    /// would remove, and whatever was added since.
    pub(crate) async fn remove_footholds_since(
        &mut self,
        account: AccountId,
        address: &EmailAddress,
        since: Timestamp,
    ) -> Result<(), Fault> {
        self.unit.claims().drop_password(account).await?;
        self.remove_footholds(account, EndReason::PasswordChanged).await?;
        // Nor do links in later mails help whoever changed it.
        self.unit.challenges().remove(Purpose::RestoreEmail, account).await?;
        self.withdraw_factor_resets(account).await?;
        let added = |foothold: &Foothold| foothold.at_restored_address() == AtRestoredAddress::RemovedSince;
        for foothold in Foothold::ALL.into_iter().filter(added) {
            match foothold {
                Foothold::Identifiers => {
                    self.unit.claims().remove_identifiers_since(account, address, since).await?;
                    self.settle_phone_factor(account).await?;
                }
                // With the backup codes that were made since.
                Foothold::SecondFactors => {
                    self.remove_factors_since(account, since, "address_restored").await?;
                }
                Foothold::Passkeys => {
                    let removed = self.remove_passkeys(account, since).await?;
                    self.tell_of_passkeys(account, &removed).await?;
                }
                Foothold::RecoveryCodes
                | Foothold::Passwords
                | Foothold::Sessions
                | Foothold::Challenges
                | Foothold::Memberships
                | Foothold::ServiceKeys
                | Foothold::BrokerageAccounts
                | Foothold::KnownNetworks
                | Foothold::AccessTokens
                | Foothold::TrustedDevices
                | Foothold::SocialAccounts
                | Foothold::AuthorizationCodes
                | Foothold::DeviceCodes
                | Foothold::Consents
                | Foothold::StorageFiles
                | Foothold::Prompts
                | Foothold::PromptTemplates
                | Foothold::PromptExecutions
                | Foothold::PromptDownloads
                | Foothold::PromptUsage
                | Foothold::PromptSourceUsage
                | Foothold::PromptQuestionUsage
                | Foothold::AuditEvents
                | Foothold::Jobs => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_password_removes_goes_with_a_restored_address_too() {
        for foothold in Foothold::ALL {
            if foothold.at_new_password() == AtNewPassword::Removed {
                assert_eq!(foothold.at_restored_address(), AtRestoredAddress::Removed, "{foothold:?}");
            }
        }
    }
}
