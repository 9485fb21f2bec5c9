//! News of what signs in to an account, with a link for an owner who knows nothing of it.

use serde_json::{Value, json};
use tidegate_crypto::PlainToken;
use tidegate_delivery::Template;
use tidegate_domain::EmailAddress;
use tidegate_domain::challenge::Purpose;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::message::Mail;

use crate::IdentityTables;
use crate::credentials::challenge::new_challenge;
use crate::credentials::challenges_repository::NewChallenge;
use crate::credentials::factors::status::described;
use crate::work::Work;

/// Tokens of these links are of this kind.
const SECURE_PREFIX: &str = "tga_";

impl<G> Work<'_, G> {
    /// Mails the account's owner, at the primary address if it is proven. The link ends all sessions and starts the account's
    /// recovery; what was mailed before keeps its link, also after a change of the password: an attacker may have made it.
    pub(crate) async fn security_notice(
        &mut self,
        account: AccountId,
        template: Template,
        values: Value,
    ) -> Result<(), Fault> {
        security_notice(&mut self.kernel(), account, template, values).await
    }

    /// The same for news of second factors, which are called by kind and name in the owner's language.
    pub(crate) async fn factor_notice(
        &mut self,
        account: AccountId,
        template: Template,
        factors: &[(FactorKind, &str)],
        mut values: Value,
    ) -> Result<(), Fault> {
        let Some(email) = self.proven_address(account).await? else {
            return Ok(());
        };
        let words = self.kernel().words_for(&email).await?;
        let called: Vec<String> = factors.iter().map(|(kind, name)| described(&words, *kind, name)).collect();
        tidegate_domain::text::merge(&mut values, &json!({ "factor": called.join(", ") }));
        self.security_notice(account, template, values).await
    }

    /// The account's primary address, if it is proven.
    pub(crate) async fn proven_address(&mut self, account: AccountId) -> Result<Option<EmailAddress>, Fault> {
        proven_address(&mut self.kernel(), account).await
    }
}

/// The account's primary address, if it is proven.
pub(crate) async fn proven_address(
    work: &mut tidegate_kernel::Work<'_>,
    account: AccountId,
) -> Result<Option<EmailAddress>, Fault> {
    let emails = work.unit.accounts().emails(account).await?;
    let proven = emails.into_iter().find(|known| known.is_primary && known.verified_at.is_some());
    Ok(proven.map(|known| known.email))
}

/// See [`Work::security_notice`]; of what happens in another feature.
pub(crate) async fn security_notice(
    work: &mut tidegate_kernel::Work<'_>,
    account: AccountId,
    template: Template,
    values: Value,
) -> Result<(), Fault> {
    let Some(email) = proven_address(work, account).await? else {
        return Ok(());
    };
    let token = PlainToken::generate(SECURE_PREFIX, work.kernel.entropy.as_ref());
    let hash = token.hash();
    let new = new_challenge(work, Purpose::SecureAccount, email.as_str());
    let new = NewChallenge { account: Some(account), link_hash: Some(hash.as_bytes()), ..new };
    let cause = new.id.into();
    work.unit.challenges().insert(&new).await?;
    let mut all = json!({
        "when": work.now.iso_seconds(),
        "ip": work.call.ip_text(),
        "link": work.kernel.secure_account_link(&token).expose(),
    });
    tidegate_domain::text::merge(&mut all, &values);
    work.notify(Mail { template, to: &email, display_name: "", cause, values: all, deliverable: true }).await
}
