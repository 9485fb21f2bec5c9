//! The decision that opens a session. There is no other way to one: [`Work::open_session`] takes an [`Admission`], and only
//! [`Work::decide_sign_in`] makes one.

use tidegate_domain::Timestamp;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::contract::{SecondFactor, Unverified};
use tidegate_domain::id::{OrganizationId, ServiceKeyId};
use tidegate_domain::session::{Amr, AmrSet};

use crate::Work;
use crate::fault::Fault;

/// What a sign-in rests on. Who states it has verified it in the same unit of work.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The address, phone or name signed in with.
    pub login: LoginName,
    /// Whether that is known to be the account owner's.
    pub is_verified: bool,
    /// What the owner showed. [`Amr::MultiFactor`] is among it when a second factor of the account was verified.
    pub methods: AmrSet,
    /// Whether it comes from a device that the owner trusts: the second factor was shown there before.
    pub trusted_device: bool,
    /// Whether the session is one of the long ones.
    pub remember_me: bool,
    /// The key a program signed in with: what it opens ends with it.
    pub key: Option<SessionKey>,
    /// When they showed it, where that was to another provider that says so; none where it was here and now.
    pub shown_at: Option<Timestamp>,
}

/// The key a program signed in with.
#[derive(Clone, Copy, Debug)]
pub struct SessionKey {
    /// Key of the key.
    pub id: ServiceKeyId,
    /// When it stops signing in; never when none.
    pub expires_at: Option<Timestamp>,
}

/// How far the evidence gets its account.
#[derive(Debug)]
pub enum Decision {
    /// A session may be opened.
    Admitted(Box<Admission>),
    /// The address must be verified first, with a code.
    VerifyEmail,
    /// The client must be asked for the account's second factor first.
    AskSecondFactor,
    /// Neither now nor after another step.
    Refused(RefusedSignIn),
}

/// Why a sign-in was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedSignIn {
    /// The account is disabled.
    Disabled,
    /// The address is not verified, and the contract admits verified ones only.
    NotVerified,
    /// The account has a second factor, and the contract's clients cannot ask for it.
    SecondFactor,
}

/// The right to open one session for one account. It cannot be made or copied outside of this module:
///
/// ```compile_fail,E0451
/// # use tidegate_kernel::admission::{Admission, Evidence};
/// # use tidegate_domain::account::Account;
/// fn a_way_around(account: Account, evidence: Evidence) -> Admission {
///     Admission { account, evidence }
/// }
/// ```
#[derive(Debug)]
pub struct Admission {
    account: Account,
    evidence: Evidence,
}

impl Admission {
    pub(crate) const fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) const fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Evidence {
    /// When the owner proved who they are: never after a provider says that they did, and never after `now`.
    pub(crate) fn auth_time(&self, now: Timestamp) -> Timestamp {
        self.shown_at.map_or(now, |at| at.min(now))
    }

    /// What the rules say of an address that is not verified; none where there is nothing to verify.
    pub fn to_verify(&self, rule: Unverified) -> Option<Unverified> {
        let is_open = self.login.email().is_some() && !self.is_verified;
        (is_open && rule != Unverified::Admitted).then_some(rule)
    }
}

impl Work<'_> {
    /// Decides on a sign-in, by the rules of the call and by what features know of the account.
    ///
    /// The address comes before the second factor: a caller who has not proven a mailbox must not learn whether its
    /// account has one. `organization` is the one that the session would be opened in: it may admit members without their
    /// second factor through contracts whose clients cannot ask for it.
    ///
    /// # Errors
    /// The first feature's that fails.
    pub async fn decide_sign_in(
        &mut self,
        account: &Account,
        organization: OrganizationId,
        evidence: Evidence,
    ) -> Result<Decision, Fault> {
        if account.disabled_at.is_some() {
            return Ok(Decision::Refused(RefusedSignIn::Disabled));
        }
        match evidence.to_verify(self.call.profile.unverified) {
            Some(Unverified::SentCode) => return Ok(Decision::VerifyEmail),
            Some(Unverified::Refused) => return Ok(Decision::Refused(RefusedSignIn::NotVerified)),
            Some(Unverified::Admitted) | None => {}
        }
        let is_shown = evidence.methods.contains(Amr::MultiFactor) || evidence.trusted_device;
        if !is_shown && self.has_second_factor(account.id).await? {
            match self.call.profile.second_factor {
                SecondFactor::Ask => return Ok(Decision::AskSecondFactor),
                SecondFactor::Refuse if self.admits_without_second_factor(organization).await? => {}
                SecondFactor::Refuse => return Ok(Decision::Refused(RefusedSignIn::SecondFactor)),
            }
        }
        Ok(Decision::Admitted(Box::new(Admission { account: account.clone(), evidence })))
    }
}
