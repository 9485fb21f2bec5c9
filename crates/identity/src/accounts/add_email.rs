//! Adds a verified e-mail address to an account that has a phone number only.

use serde_json::json;
use tidegate_crypto::PlainToken;
use tidegate_delivery::{Template, minutes};
use tidegate_domain::EmailAddress;
use tidegate_domain::account::LoginName;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::message::Mail;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Call, CountedMessage, Work};

use crate::accounts::link_purpose::ConfirmLinkError;
use crate::credentials::challenge::new_challenge;
use crate::credentials::challenges_repository::NewChallenge;
use crate::{Identity, IdentityTables};

/// Tokens in such links are of this kind.
const LINK_PREFIX: &str = "tga_";

/// Mails a link to an address that is to become the account's. Until it is followed the address belongs to no account: a
/// caller who enters another person's address must neither block it nor get into the account that claims it.
///
/// Nothing is sent while the last link can still be followed, to an address that is taken, or beyond the limit. Otherwise it is sent
/// again: mails get lost.
pub(crate) async fn offer_email(
    work: &mut Work<'_>,
    account: AccountId,
    email: &EmailAddress,
    message: CountedMessage,
) -> Result<(), Fault> {
    let last = work.unit.challenges().latest(Purpose::AddEmail, account).await?;
    if last.is_some_and(|last| last.expires_at > work.now && last.address == email.as_str()) {
        return Ok(());
    }
    let limit = work.call.profile.limits.mails_by_email;
    if has_another_owner(work, email).await?
        || work.count(Counted::MailsByEmail(email), limit).await?.is_some()
    {
        return Ok(());
    }
    let link = PlainToken::generate(LINK_PREFIX, work.kernel.entropy.as_ref());
    let hash = link.hash();
    let new = NewChallenge {
        account: Some(account),
        link_hash: Some(hash.as_bytes()),
        ..new_challenge(work, Purpose::AddEmail, email.as_str())
    };
    work.unit.challenges().remove(Purpose::AddEmail, account).await?;
    work.unit.challenges().insert(&new).await?;
    let phones = work.unit.claims().phones(account).await?;
    let values = json!({
        "link": work.kernel.verify_email_link(&link).expose(),
        "minutes": minutes(new.expires_at.since(work.now)),
        // Following the link lets this phone sign in to what the address's owner then takes for their own account.
        "phones": phones.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    });
    let mail = Mail {
        template: Template::EmailAddition,
        to: email,
        // Chosen by a caller who may be an attacker.
        display_name: "",
        cause: new.id.into(),
        values,
        deliverable: true,
    };
    work.send(mail, message).await
}

/// Whether an account has proven the address. One that has it unproven loses it to the proof.
async fn has_another_owner(work: &mut Work<'_>, email: &EmailAddress) -> Result<bool, Fault> {
    let owner = work.unit.accounts().owner_of(&LoginName::Email(email.clone())).await?;
    let unproven = work.unit.claims().unproven_owner(email).await?;
    Ok(owner.is_some() && owner != unproven)
}

impl Identity {
    /// Offers an address to an account whose owner has signed in: see [`offer_email`]. In a unit of its own, after the one that signs in:
    /// its mail is counted before it, and most sign-ins send none.
    pub(crate) async fn offer_email_again(
        &self,
        call: &Call,
        account: AccountId,
        email: &EmailAddress,
    ) -> Result<(), Fault> {
        let Some(message) = self.kernel.count_mail_where_sent(call).await? else {
            return Ok(());
        };
        let mut work = self.begin(call).await?;
        // Of two sign-ins at once, one sends a mail.
        work.lock(account).await?;
        offer_email(&mut work.kernel(), account, email, message).await?;
        work.commit().await
    }

    /// Whether the token of a link adds an address to an account.
    pub(crate) async fn adds_email(&self, token: &PlainToken) -> Result<bool, Fault> {
        let mut unit = self.kernel.store.read().await?;
        Ok(unit.challenges().find_by_link(Purpose::AddEmail, token.hash().as_bytes()).await?.is_some())
    }

    /// Makes the address a link was sent to its account's primary one, unless it was taken meanwhile.
    pub(crate) async fn add_email(&self, call: &Call, token: &PlainToken) -> Outcome<(), ConfirmLinkError> {
        let mut work = self.begin(call).await?;
        let hash = token.hash();
        let found = work.unit.challenges().find_by_link(Purpose::AddEmail, hash.as_bytes()).await?;
        let Some(challenge) = found else {
            return refuse(ConfirmLinkError::InvalidToken);
        };
        if challenge.expires_at <= work.now {
            return refuse(ConfirmLinkError::Expired);
        }
        if let Some(account) = challenge.account {
            work.lock(account).await?;
        }
        if !work.unit.challenges().claim(challenge.id, work.now).await? {
            return refuse(ConfirmLinkError::InvalidToken);
        }
        let Some(account) = work.account_of(&challenge).await? else {
            return refuse(ConfirmLinkError::InvalidToken);
        };
        let email = EmailAddress::from_stored(challenge.address);
        let emails = work.unit.accounts().emails(account.id).await?;
        if emails.iter().any(|known| known.email == email && known.verified_at.is_some()) {
            // Followed again.
            return Ok(());
        }
        // An address the account has got since, through another contract, is not changed by an older mail.
        if !emails.is_empty() || !work.take_email(account.id, &email, challenge.id).await? {
            return refuse(ConfirmLinkError::InvalidToken);
        }
        work.audit(Action::EmailVerified, account.id, json!({})).await?;
        Ok(work.commit().await?)
    }
}
