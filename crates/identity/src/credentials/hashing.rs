//! Passwords are hashed and verified: on whose behalf, and within which budget.

use std::collections::BTreeMap;

use tidegate_crypto::{HashError, Requester, SchemeCount, StoredPassword, Verification};
use tidegate_domain::Password;
use tidegate_domain::account::{AccountKind, LoginName};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Call, Fault, Grant};

use crate::{Identity, IdentityTables};

impl Identity {
    /// On whose behalf a password is hashed: the client's network, and the account that acts.
    pub(crate) fn requester(&self, call: &Call, actor: Option<&Grant>) -> Requester {
        let mac = |kind: &str, name: &str| self.kernel.vault.mac(kind, name.as_bytes());
        Requester {
            network: mac("hash queue network", &call.network()),
            account: actor.map(|actor| mac("hash queue account", &actor.account().to_string())),
            at: self.kernel.now(),
        }
    }

    /// Verifies the password of the account of that name. No stored hash means that there is no such account, or none with
    /// a password: the cost is that of a stored one.
    ///
    /// A hash that cannot be read is the operator's concern; to the client it is a password that does not match.
    pub(crate) async fn verify_password(
        &self,
        requester: Requester,
        login: &LoginName,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verification, Fault> {
        let kind = match login {
            LoginName::Service(_) => AccountKind::Service,
            LoginName::Email(_) | LoginName::Phone(_) => AccountKind::Individual,
        };
        let name = format!("{} {}", login.kind(), login.as_str());
        let stored =
            StoredPassword { hash: stored, kind, name: self.kernel.vault.mac("decoy", name.as_bytes()) };
        match self.passwords.verify(requester, password, stored).await {
            Err(HashError::Unreadable(error)) => {
                tracing::error!(%error, "a stored password hash cannot be verified; its owner cannot sign in");
                noted::refused(CredentialFault::StoredPassword(
                    "its stored hash cannot be verified, whatever is typed: the log says why, as an error",
                ));
                Ok(Verification::Mismatch)
            }
            verdict => Ok(verdict?),
        }
    }

    /// Hashes a password that an actor sets, their own or another account's, within the budget of the account and of the
    /// organization it acts in.
    pub(crate) async fn hash_for_actor(
        &self,
        call: &Call,
        actor: &Grant,
        password: Password,
    ) -> Result<String, Fault> {
        self.spend_hash(call, actor).await?;
        Ok(self.passwords.hash(self.requester(call, Some(actor)), password).await?)
    }

    /// Counts a password that an actor sets, for uses that verify one first.
    pub(crate) async fn spend_hash(&self, call: &Call, actor: &Grant) -> Result<(), Fault> {
        let (account, organization) = (actor.account(), actor.organization());
        let budget = [
            (Counted::PasswordsSetByAccount(account), self.kernel.settings.passwords_set_by_account),
            (
                Counted::PasswordsSetByOrganization(organization),
                self.kernel.settings.passwords_set_by_organization,
            ),
        ];
        self.kernel.throttle(call, &budget).await
    }

    /// Hashes a password that a client without a session sets, within the budget of its network.
    pub(crate) async fn hash_for_client(&self, call: &Call, password: Password) -> Result<String, Fault> {
        let budget = (Counted::PasswordsSetByNetwork, self.kernel.settings.passwords_set_by_network);
        self.kernel.throttle(call, &[budget]).await?;
        Ok(self.passwords.hash(self.requester(call, None), password).await?)
    }

    /// Has names without a password cost what the stored passwords cost, in their proportion; answers how many those are by kind of account and
    /// by how they are hashed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_password_schemes(&self) -> Result<Vec<(String, String, i64)>, Fault> {
        let counted = self.kernel.store.read().await?.accounts().password_schemes().await?;
        let stored: Vec<SchemeCount> = counted
            .iter()
            .filter_map(|(kind, scheme, passwords)| {
                let (kind, passwords) = (AccountKind::from_name(kind)?, u64::try_from(*passwords).ok()?);
                Some(SchemeCount { kind, scheme: scheme.clone(), passwords })
            })
            .collect();
        self.passwords.set_decoys(&stored);
        Ok(counted)
    }

    /// Passwords verified since the start, by scheme and cost; unknown names count like known ones.
    pub fn password_verifications(&self) -> BTreeMap<String, u64> {
        self.passwords.verified()
    }
}
