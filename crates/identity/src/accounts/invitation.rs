//! Invitations: a manager makes an account for an address, and its owner accepts or does not.
//!
//! Until the invitation's own code or link is answered it gives no rights: the address is free to sign up with, and any other proof of
//! the mailbox makes the account its owner's own.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::EmailAddress;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::{Continuation, Purpose};
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::session::EndReason;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::Mail;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{CountedMessage, KernelTables};

use crate::IdentityTables;
use crate::accounts::claims_repository::Home;
use crate::accounts::proof::ProvenBy;
use crate::credentials::challenges_repository::NewChallenge;
use crate::work::Work;

impl<G> Work<'_, G> {
    /// Accepts the account's invitation if that is what the proof answers, and withdraws it otherwise. Answers whether the prover is
    /// who the password and the names are from.
    pub(crate) async fn settle_invitation(
        &mut self,
        account: AccountId,
        by: ProvenBy,
    ) -> Result<bool, Fault> {
        let home = self.unit.claims().home(account).await?;
        let accepts = |home: &Home| by == ProvenBy::Invitation(home.organization);
        let subject = |home: &Home| Subject {
            account: Some(account),
            organization: Some(home.organization),
            session: None,
        };
        match home {
            Some(home) if !home.accepted && accepts(&home) => {
                self.unit.claims().accept(account, self.now).await?;
                self.audit(Action::InvitationAccepted, subject(&home), json!({})).await?;
                Ok(true)
            }
            Some(home) if !home.accepted => {
                self.unit.claims().withdraw_invitation(account).await?;
                self.audit(Action::InvitationWithdrawn, subject(&home), json!({})).await?;
                // Whatever the prover knows of the account, a manager knows it too.
                Ok(false)
            }
            // Of a domain that an operator lets the organization manage.
            Some(home) if accepts(&home) => Ok(true),
            _ => Ok(matches!(by, ProvenBy::MailAndToken | ProvenBy::Addition)),
        }
    }

    /// Removes the account that a manager made for an unproven address whose owner signs up.
    pub(crate) async fn yield_invitation(&mut self, email: &EmailAddress) -> Result<(), Fault> {
        let Some(account) = self.unit.claims().invited(email).await? else {
            return Ok(());
        };
        self.lock(account).await?;
        // Again: it may have been accepted while this unit waited.
        if self.unit.claims().invited(email).await? != Some(account) {
            return Ok(());
        }
        let home = self.unit.claims().home(account).await?;
        let subject = Subject {
            account: Some(account),
            organization: home.map(|home| home.organization),
            session: None,
        };
        self.unit.sessions().end_all(account, EndReason::AccountDeleted, self.now).await?;
        self.kernel().account_deleted(account).await?;
        self.unit.accounts().delete(account, email.as_str(), self.now).await?;
        self.audit(Action::InvitationWithdrawn, subject, json!({})).await
    }

    /// Mails a code that verifies an address on its own: too long to be guessed, so that tries need not be counted. To an account
    /// that a manager made it is the invitation, and names the organization.
    pub(crate) async fn send_activation(
        &mut self,
        account: &Account,
        email: &EmailAddress,
        message: CountedMessage,
    ) -> Result<(), Fault> {
        let managed_by = self.manager_of(account.id).await?;
        let code = PlainToken::generate_hex(self.app.kernel.entropy.as_ref());
        let hash = code.hash();
        let continuation = Continuation { invitation: managed_by, ..Continuation::default() };
        let new = NewChallenge {
            account: Some(account.id),
            link_hash: Some(hash.as_bytes()),
            continuation: &continuation,
            ..self.new_challenge(Purpose::VerifyEmail, email.as_str())
        };
        self.unit.challenges().insert(&new).await?;
        let mut values = json!({
            "code": code.expose(),
            "link": self.app.kernel.verify_email_link(&code).expose(),
            "minutes": minutes(self.call.profile.codes.verify_email),
        });
        let template = match managed_by {
            Some(organization) => {
                let label = self.unit.claims().label(organization).await?.to_string();
                tidegate_domain::text::merge(&mut values, &json!({ "organization": label }));
                Template::InvitationCode
            }
            None => Template::SignUpCode,
        };
        let mail =
            Mail { template, to: email, display_name: "", cause: new.id.into(), values, deliverable: true };
        self.send(mail, message).await
    }

    /// The organization that manages the account, or invites it. None for an account at home with itself.
    pub(crate) async fn manager_of(&mut self, account: AccountId) -> Result<Option<OrganizationId>, Fault> {
        let Some(home) = self.unit.claims().home(account).await? else {
            return Ok(None);
        };
        let owner = self.unit.organizations().owner(home.organization).await?;
        Ok((owner != Some(account)).then_some(home.organization))
    }
}
