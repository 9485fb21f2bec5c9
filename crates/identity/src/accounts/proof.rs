//! The first proof of a mailbox, wherever it is given: codes, links, resets, added and changed addresses.
//!
//! An unproven address gives no rights over the account owner who proves it later. So the first proof ends what
//! was opened before, and removes what a caller who had not shown the mailbox has set or chosen. It comes before any mail of the same
//! unit of work is composed: an attacker's text must not be in a mail to the address they signed up with.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_domain::EmailAddress;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Challenge, Purpose};
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::session::EndReason;
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::work::Subject;

use crate::IdentityTables;
use crate::accounts::repository::NewIdentifier;
use crate::credentials::challenge::RESET_PREFIX;
use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Work;

/// How a mailbox is proven, hence what it says of who set the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProvenBy {
    /// A code or link from the mailbox, by the caller who holds the temporary token of the sign-up or sign-in that sent it: they
    /// know the password.
    MailAndToken,
    /// A code or link from the mailbox alone: the password may be an attacker's.
    Mail,
    /// The code or link of an organization's invitation, which says what accepting means.
    Invitation(OrganizationId),
    /// The code or link that adds an address to a proven account: its mail names the account's phone, or its owner is signed in.
    Addition,
}

/// What a proof changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// Whether the address was not proven before.
    pub(crate) first: bool,
    /// Whether a password set by a caller who had not shown the mailbox was removed.
    pub(crate) password_dropped: bool,
}

impl ProvenBy {
    /// What a challenge proves that is answered by its mail alone.
    pub(crate) fn mail(challenge: &Challenge) -> Self {
        challenge.continuation.invitation.map_or(Self::Mail, Self::Invitation)
    }
}

impl<G> Work<'_, G> {
    /// Takes an address as the account's. Everything that proves a mailbox comes here. None when the address is not the account's:
    /// it went to another account which proved it.
    ///
    /// The account is to be locked before.
    pub(crate) async fn prove_mailbox(
        &mut self,
        account: AccountId,
        email: &EmailAddress,
        by: ProvenBy,
    ) -> Result<Option<Proven>, Fault> {
        let emails = self.unit.accounts().emails(account).await?;
        match emails.iter().find(|known| known.email == *email) {
            Some(known) if known.verified_at.is_some() => {
                return Ok(Some(Proven { first: false, password_dropped: false }));
            }
            Some(_) => {
                self.unit.accounts().verify_email(account, email, self.now).await?;
            }
            None if by != ProvenBy::Addition => return Ok(None),
            None => {
                self.evict_unproven(email).await?;
                if !self.insert_proven(account, email).await? {
                    return Ok(None);
                }
            }
        }
        let is_same_person = self.settle_invitation(account, by).await?;
        if by != ProvenBy::Addition {
            self.unit.sessions().end_all(account, EndReason::MailboxProven, self.now).await?;
            self.unit.access_tokens().remove_all(account).await?;
            self.kernel().footholds_removed(account).await?;
            self.unit.challenges().remove_both([Purpose::ChangeEmail, Purpose::AddEmail], account).await?;
        }
        if is_same_person {
            return Ok(Some(Proven { first: true, password_dropped: false }));
        }
        let password_dropped = self.unit.accounts().password_hash(account).await?.is_some();
        self.unit.claims().drop_password(account).await?;
        self.unit.claims().remove_phones(account).await?;
        self.settle_phone_factor(account).await?;
        self.unit.claims().clear_descriptions(account, email.local_part(), self.now).await?;
        Ok(Some(Proven { first: true, password_dropped }))
    }

    /// Takes a challenge's address as its account's. None when the account or its address is gone.
    pub(crate) async fn prove_challenge(
        &mut self,
        challenge: &Challenge,
        by: ProvenBy,
    ) -> Result<Option<Proven>, Fault> {
        let Some(account) = self.account_of(challenge).await? else {
            return Ok(None);
        };
        let email = EmailAddress::from_stored(challenge.address.clone());
        let proven = self.prove_mailbox(account.id, &email, by).await?;
        self.unit.challenges().consume_all(Purpose::VerifyEmail, account.id, self.now).await?;
        Ok(proven)
    }

    /// Audits the first proof of an address.
    pub(crate) async fn audit_proof(
        &mut self,
        proven: Proven,
        subject: impl Into<Subject>,
    ) -> Result<(), Fault> {
        if proven.first {
            self.audit(Action::EmailVerified, subject, json!({})).await?;
        }
        Ok(())
    }

    /// A token with which the account's owner, who has just proven the mailbox, chooses a password on the page that they see.
    pub(crate) async fn password_choice(
        &mut self,
        account: AccountId,
        email: &EmailAddress,
    ) -> Result<PlainToken, Fault> {
        let token = PlainToken::generate(RESET_PREFIX, self.app.kernel.entropy.as_ref());
        let hash = token.hash();
        let new = NewChallenge {
            account: Some(account),
            link_hash: Some(hash.as_bytes()),
            ..self.new_challenge(Purpose::ResetPassword, email.as_str())
        };
        self.unit.challenges().insert(&new).await?;
        Ok(token)
    }

    async fn insert_proven(&mut self, account: AccountId, email: &EmailAddress) -> Result<bool, Fault> {
        let login = LoginName::Email(email.clone());
        let new = NewIdentifier {
            id: self.app.kernel.entropy.uuid(self.now).into(),
            account,
            login: &login,
            verified_at: Some(self.now),
            is_primary: false,
            created_at: self.now,
        };
        Ok(self.unit.accounts().insert_identifier(new).await?)
    }

    /// Takes an address from the account that has it without having proven it. An account without another identifier ends.
    /// Answers which account lost it.
    pub(crate) async fn evict_unproven(&mut self, email: &EmailAddress) -> Result<Option<AccountId>, Fault> {
        let Some(account) = self.unit.claims().unproven_owner(email).await? else {
            return Ok(None);
        };
        self.lock(account).await?;
        // Again: it may have been proven while this unit waited.
        if self.unit.claims().unproven_owner(email).await? != Some(account) {
            return Ok(None);
        }
        self.unit.sessions().end_all(account, EndReason::MailboxProven, self.now).await?;
        self.unit.access_tokens().remove_all(account).await?;
        self.audit(Action::UnprovenAddressLost, Subject::from(account), json!({})).await?;
        if self.unit.claims().release(account, email).await? == 0 {
            self.kernel().account_deleted(account).await?;
            self.unit.accounts().delete(account, email.as_str(), self.now).await?;
        }
        Ok(Some(account))
    }
}
