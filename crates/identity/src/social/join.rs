//! An account that was there before gets a sign-in by a provider.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::EmailAddress;
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::PendingConnection;
use tidegate_domain::id::{AccountId, SocialAccountId};
use tidegate_kernel::fault::Fault;

use crate::IdentityTables;
use crate::social::accounts_repository::{NewSocialAccount, SocialDetails};
use crate::social::connect::Connection;
use crate::work::Work;

impl Work<'_> {
    /// Whether the account may get a subject of that provider by that address: it is the account's proven primary one, and no other
    /// subject of the provider signs in.
    pub(crate) async fn may_join(
        &mut self,
        account: AccountId,
        provider: &str,
        email: &EmailAddress,
    ) -> Result<bool, Fault> {
        // An address that was replaced signs in to nothing: its mailbox may be the reason for the change.
        let is_proven = self.proven_address(account).await?.is_some_and(|proven| proven == *email);
        let connected = self.unit.social_accounts().of_account(account).await?;
        Ok(is_proven && !connected.iter().any(|other| other.provider == provider))
    }

    /// What waits until the owner has shown that the account is theirs.
    pub(crate) fn pending_connection(
        &self,
        connection: &Connection<'_>,
        email: &EmailAddress,
        needs_mailbox: bool,
    ) -> Result<PendingConnection, Fault> {
        let (provider, profile) = (connection.provider, connection.profile);
        let id = SocialAccountId(self.app.kernel.entropy.uuid(self.now));
        Ok(PendingConnection {
            id,
            provider: provider.name().to_owned(),
            title: provider.title().to_owned(),
            issuer: profile.issuer.clone(),
            subject: profile.subject.clone(),
            email: email.as_str().to_owned(),
            display_name: profile.display_name.clone(),
            tokens: hex::encode(self.seal_tokens(id, &profile.tokens)?),
            needs_mailbox,
        })
    }

    /// Connects it, and tells the owner. False where it can be connected no more: it was connected elsewhere or blocked meanwhile, or
    /// the address is the account's no longer. The caller holds the account's lock, and the owner has shown all that was asked for.
    pub(crate) async fn connect_pending(
        &mut self,
        account: AccountId,
        pending: &PendingConnection,
    ) -> Result<bool, Fault> {
        let email = EmailAddress::from_stored(pending.email.clone());
        if pending.needs_mailbox || !self.may_join(account, &pending.provider, &email).await? {
            return Ok(false);
        }
        let tokens = hex::decode(&pending.tokens)
            .map_err(|_| Fault::Internal("a challenge's sealed tokens cannot be read".to_owned()))?;
        let new = NewSocialAccount {
            id: pending.id,
            account,
            provider: &pending.provider,
            issuer: &pending.issuer,
            subject: &pending.subject,
            details: SocialDetails {
                email: &pending.email,
                display_name: &pending.display_name,
                tokens: &tokens,
            },
            connected_by: &pending.email,
            now: self.now,
        };
        if !self.unit.social_accounts().connect(&new).await? {
            return Ok(false);
        }
        let metadata = json!({ "provider": pending.provider });
        self.audit(Action::SocialAccountConnected, account, metadata).await?;
        self.security_notice(account, Template::ProviderConnected, json!({ "provider": pending.title }))
            .await?;
        Ok(true)
    }
}
