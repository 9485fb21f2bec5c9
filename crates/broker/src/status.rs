//! The status of a brokerage account: the broker's word, and ours.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares the statuses with their spelling on the wire, once.
macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)*) => {
        /// The broker's status of an account. One it invents tomorrow is kept as it spells it.
        ///
        /// Source: contract "Riven", section 3, status lifecycle.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum AccountStatus {
            $($(#[$doc])* $name,)*
            /// A status this version does not know.
            Other(String),
        }

        impl AccountStatus {
            /// Every status known by name.
            pub const KNOWN: &[Self] = &[$(Self::$name),*];

            /// The broker's spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $wire,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for AccountStatus {
            fn from(text: &str) -> Self {
                match text {
                    $($wire => Self::$name,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

statuses! {
    /// Not enabled for that class of assets.
    Inactive = "INACTIVE",
    /// Created; the applicant's identity has not been checked.
    Onboarding = "ONBOARDING",
    /// The application has arrived.
    Submitted = "SUBMITTED",
    /// The broker failed to submit it, and will see to it.
    SubmissionFailed = "SUBMISSION_FAILED",
    /// The applicant must supply documents or information; the KYC results say which.
    ActionRequired = "ACTION_REQUIRED",
    /// A person at the broker's is looking at it.
    ApprovalPending = "APPROVAL_PENDING",
    /// Transient.
    Edited = "EDITED",
    /// Transient.
    Resubmitted = "RESUBMITTED",
    /// Transient.
    KycSubmitted = "KYC_SUBMITTED",
    /// Transient.
    AmlReview = "AML_REVIEW",
    /// Transient.
    ReapprovalPending = "REAPPROVAL_PENDING",
    /// Internal to the broker.
    Limited = "LIMITED",
    /// Internal to the broker.
    PaperOnly = "PAPER_ONLY",
    /// Internal to the broker.
    SignedUp = "SIGNED_UP",
    /// Approved, active shortly.
    Approved = "APPROVED",
    /// May be funded and trade.
    Active = "ACTIVE",
    /// Refused for good.
    Rejected = "REJECTED",
    /// A change of the profile is under review.
    AccountUpdated = "ACCOUNT_UPDATED",
    /// About to be disabled.
    DisablePending = "DISABLE_PENDING",
    /// Was active, is no longer.
    Disabled = "DISABLED",
    /// Closed for good.
    AccountClosed = "ACCOUNT_CLOSED",
}

impl AccountStatus {
    /// Whether no other status can follow.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Rejected | Self::AccountClosed)
    }

    /// What our own contract calls it.
    ///
    /// The contract's section 4 names the common ones. The others go where they do least harm: what was never
    /// active, or is not known, waits as `pending`; what is about to be disabled counts as disabled.
    pub fn local(&self) -> LocalStatus {
        match self {
            Self::Onboarding | Self::Submitted => LocalStatus::New,
            Self::Active => LocalStatus::Active,
            Self::Rejected | Self::SubmissionFailed => LocalStatus::Rejected,
            Self::Disabled | Self::DisablePending => LocalStatus::Disabled,
            Self::AccountClosed => LocalStatus::Closed,
            _ => LocalStatus::Pending,
        }
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AccountStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AccountStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

/// `account_status` of the user object. Never mixed with the broker's (contract "Riven", section 6, item 8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalStatus {
    /// No brokerage account yet, or one whose application has just arrived.
    #[default]
    New,
    /// Under way, perhaps waiting for the applicant.
    Pending,
    /// May trade.
    Active,
    /// Refused.
    Rejected,
    /// Was active, is no longer.
    Disabled,
    /// Closed.
    Closed,
}

impl LocalStatus {
    /// Its spelling on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Rejected => "rejected",
            Self::Disabled => "disabled",
            Self::Closed => "closed",
        }
    }

    /// The status of that spelling.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::New, Self::Pending, Self::Active, Self::Rejected, Self::Disabled, Self::Closed]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_the_wire_and_has_a_local_meaning() {
        for status in AccountStatus::KNOWN {
            let wire = serde_json::to_string(status).unwrap();
            assert_eq!(&serde_json::from_str::<AccountStatus>(&wire).unwrap(), status);
        }
        let told: Vec<String> = AccountStatus::KNOWN
            .iter()
            .map(|status| format!("{status} {}", status.local().as_str()))
            .collect();
        assert_eq!(
            told,
            [
                "INACTIVE pending",
                "ONBOARDING new",
                "SUBMITTED new",
                "SUBMISSION_FAILED rejected",
                "ACTION_REQUIRED pending",
                "APPROVAL_PENDING pending",
                "EDITED pending",
                "RESUBMITTED pending",
                "KYC_SUBMITTED pending",
                "AML_REVIEW pending",
                "REAPPROVAL_PENDING pending",
                "LIMITED pending",
                "PAPER_ONLY pending",
                "SIGNED_UP pending",
                "APPROVED pending",
                "ACTIVE active",
                "REJECTED rejected",
                "ACCOUNT_UPDATED pending",
                "DISABLE_PENDING disabled",
                "DISABLED disabled",
                "ACCOUNT_CLOSED closed",
            ]
        );
    }

    #[test]
    fn a_status_nobody_has_heard_of_is_kept_as_it_is_spelt() {
        let status: AccountStatus = serde_json::from_str("\"KYC_SNOOZED\"").unwrap();
        assert_eq!(status, AccountStatus::Other("KYC_SNOOZED".to_owned()));
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"KYC_SNOOZED\"");
        assert_eq!(status.local(), LocalStatus::Pending);
    }

    #[test]
    fn the_local_spelling_is_the_serialised_one() {
        for status in AccountStatus::KNOWN {
            let local = status.local();
            assert_eq!(serde_json::to_value(local).unwrap(), local.as_str());
        }
    }
}
