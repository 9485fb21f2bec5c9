//! Opens the session of a person whom a provider has identified.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::challenge::{PendingConnection, PendingSignIn};
use tidegate_domain::factor::device_name;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_federation::SecondFactorAtProvider;
use tidegate_kernel::admission::Evidence;
use tidegate_kernel::fault::{Fault, Outcome};
use tidegate_kernel::issue::SignedIn;

use crate::IdentityTables;
use crate::sign_in::complete::{Completed, Completion};
use crate::social::connect::{Connected, Connection};
use crate::social::error::SocialError;
use crate::social::outcome::{SocialOutcome, SocialSignedIn};
use crate::work::Work;

impl Work<'_> {
    /// Opens the session, or asks for the second factor, and commits.
    pub(crate) async fn open_social(
        mut self,
        connection: &Connection<'_>,
        connected: Connected,
    ) -> Outcome<SocialOutcome, SocialError> {
        let Connected { account, is_new, is_notable, joins } = connected;
        let emails = self.unit.accounts().emails(account.id).await?;
        let Some(primary) = emails.into_iter().find(|known| known.is_primary) else {
            return self.refuse_social(connection, SocialError::NotAdmitted, Some(account.id)).await;
        };
        let login = LoginName::Email(primary.email);
        let is_known = self.kernel().is_known_network(&login).await?;
        let evidence = Evidence {
            login,
            is_verified: primary.verified_at.is_some(),
            methods: AmrSet::of(Amr::Federated),
            trusted_device: false,
            remember_me: false,
            key: None,
            shown_at: connection.profile.auth_time,
        };
        if let Some(joins) = joins {
            if joins.needs_mailbox || self.unit.factors().any(account.id).await? {
                return self.ask_to_join(connection, &account, evidence, joins).await;
            }
            if !self.connect_pending(account.id, &joins).await? {
                return self.refuse_social(connection, SocialError::AddressTaken, Some(account.id)).await;
            }
        }
        let provider = connection.provider.name().to_owned();
        let completed = self.complete_social(&account, evidence.clone(), connection).await?;
        let outcome = match completed {
            Completed::SignedIn(signed_in) => {
                if is_notable && !is_known {
                    let values = json!({ "device": device_name(&self.call.user_agent), "days": 0 });
                    self.security_notice(account.id, Template::NewDevice, values).await?;
                }
                let signed_in = SocialSignedIn { signed_in, is_new, provider };
                SocialOutcome::SignedIn(Box::new(signed_in))
            }
            Completed::SecondFactor => {
                self.note_second_factor(&account).await?;
                let request = self.ask_second_factor(&account, &evidence, None).await?;
                SocialOutcome::SecondFactorRequired(request)
            }
            Completed::VerifyEmail | Completed::Refused(_) => {
                return self.refuse_social(connection, SocialError::NotAdmitted, Some(account.id)).await;
            }
        };
        self.commit_social(Some(account.id)).await?;
        Ok(outcome)
    }

    /// Has the sign-in wait until the owner has shown that the account is theirs: nothing is connected before, and a trusted device does
    /// not count.
    async fn ask_to_join(
        mut self,
        connection: &Connection<'_>,
        account: &Account,
        evidence: Evidence,
        joins: Box<PendingConnection>,
    ) -> Outcome<SocialOutcome, SocialError> {
        let has_home = self.unit.organizations().sign_in_target(account.id, None).await?.is_some();
        if !has_home {
            return self.refuse_social(connection, SocialError::NotAdmitted, Some(account.id)).await;
        }
        if joins.needs_mailbox {
            self.app.kernel.require_mail()?;
        }
        self.note_second_factor(account).await?;
        let pending = PendingSignIn {
            workspace: None,
            shown: evidence.methods,
            shown_at: evidence.shown_at,
            kind: None,
            connects: Some(joins),
        };
        let request = self.ask_pending(account.id, evidence.login.as_str(), false, pending).await?;
        self.commit().await?;
        Ok(SocialOutcome::SecondFactorRequired(request))
    }

    /// The session, where no second factor is asked for, or a trusted device has shown it.
    async fn complete_social(
        &mut self,
        account: &Account,
        evidence: Evidence,
        connection: &Connection<'_>,
    ) -> Result<Completed<SignedIn>, Fault> {
        let history = json!({ "method": connection.provider.name(), "remember_me": false });
        let completion = |evidence: Evidence| Completion::to_home(evidence, Some(history.clone()));
        let completed = self.complete_sign_in(account, completion(evidence.clone())).await?;
        if !matches!(completed, Completed::SecondFactor) {
            return Ok(completed);
        }
        let skips = !connection.is_hosted && self.skips_second_factor(account).await?;
        if skips || self.is_trusted(account.id, connection.device).await? {
            let evidence = Evidence { trusted_device: true, ..evidence };
            return self.complete_sign_in(account, completion(evidence)).await;
        }
        Ok(completed)
    }

    /// Whether the provider's word is enough for an account with a second factor: as the contract says, unless the operator or the
    /// organization in which the session opens decided otherwise.
    async fn skips_second_factor(&mut self, account: &Account) -> Result<bool, Fault> {
        if self.app.federation.second_factor() == SecondFactorAtProvider::Ask {
            return Ok(false);
        }
        let target = self.unit.organizations().sign_in_target(account.id, None).await?;
        let Some(target) = target else { return Ok(false) };
        Ok(self.unit.second_factor_rules().decided(target.organization).await? != Some(false))
    }
}
