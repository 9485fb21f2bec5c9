//! An application registers itself.

use tidegate_crypto::PlainToken;
use tidegate_domain::RegistrationMode;
use tidegate_domain::id::{ApplicationId, OrganizationId};
use tidegate_kernel::Call;
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::noted::{self, CredentialFault};
use tidegate_kernel::throttle::Counted;

use super::described::SelfDescription;
use super::error::{RegistrationError, refused};
use crate::applications::Application;
use crate::applications::create::{Origin, Registered};
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// Prefix of registration access tokens, so that a leaked one is recognised for what it is.
pub const REGISTRATION_PREFIX: &str = "tgm_";

/// What the networks are keyed for from which applications registered themselves: nobody reads addresses in the store.
const NETWORK: &str = "network of a registration";

/// An application that registered itself.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The application.
    pub application: Application,
    /// Its secret, if it has one and it is new.
    pub secret: Option<PlainToken>,
    /// The token by which it manages its registration, when it is new.
    pub token: Option<PlainToken>,
}

impl Oauth {
    /// Registers an application that describes itself, with an initial access token or, where that is allowed, without one.
    ///
    /// Source: RFC 7591 section 3; OpenID Connect Registration section 3.
    ///
    /// # Errors
    /// [`RegistrationError`].
    pub async fn register_itself(
        &self,
        call: &Call,
        initial: Option<&PlainToken>,
        description: &SelfDescription,
    ) -> Outcome<Registration, RegistrationError> {
        let rules = &self.rules().registration;
        if !rules.is_on() {
            return refuse(RegistrationError::Off);
        }
        let counted = (Counted::Client(CountedClient::Registrations), rules.by_network);
        self.kernel.throttle(call, &[counted]).await?;
        let mark = self.mark();
        let new = self.described(description, &mark).map_err(Refused::Rule)?;
        let new = self.in_sector(description, new).await.map_err(Refused::Rule)?;
        let mut work = self.begin(call).await?;
        let organization = work.organization_for(initial).await?;
        let token = PlainToken::generate(REGISTRATION_PREFIX, self.kernel.entropy.as_ref());
        let hash = token.hash();
        let registered = work.insert(organization, None, &new, &Origin::Registered(&hash)).await;
        let Registered { application, secret } = registered.map_err(refused)?;
        let from = match initial {
            Some(_) => None,
            None => Some(work.network(call).await?),
        };
        work.check_room(application.id, from.as_deref()).await?;
        work.commit().await?;
        self.prepare_keys_of(&application).await?;
        Ok(Registration { application, secret, token: Some(token) })
    }

    /// What keeps the names of applications apart that register themselves.
    pub(crate) fn mark(&self) -> String {
        let text = self.new_epoch().simple().to_string();
        text.chars().take(8).collect()
    }
}

/// How many of all that strangers may register those of one network or site may: a twentieth, and five at least.
fn share(most: i64) -> i64 {
    (most / 20).max(5)
}

fn full(most: i64) -> Outcome<(), RegistrationError> {
    tracing::warn!(most, "no more applications can register themselves; see oauth.registration.most");
    refuse(RegistrationError::Full)
}

impl Work<'_> {
    /// Whose applications those are that are registered with that token; without one the operator's, where anybody may register.
    async fn organization_for(
        &mut self,
        initial: Option<&PlainToken>,
    ) -> Outcome<OrganizationId, RegistrationError> {
        let rules = &self.app.rules().registration;
        if let Some(token) = initial {
            let found = self.unit.registration_tokens().use_up(&token.hash(), self.now).await?;
            return found.ok_or_else(|| {
                noted::refused(CredentialFault::Registration("unknown, used up or expired"));
                Refused::Rule(RegistrationError::Token)
            });
        }
        if rules.mode != RegistrationMode::Open {
            noted::refused(CredentialFault::Registration("missing, and oauth.registration is not open"));
            return refuse(RegistrationError::Token);
        }
        self.organization_of_strangers().await
    }

    /// The organization with which applications are kept that nobody registered for it.
    pub(crate) async fn organization_of_strangers(&mut self) -> Outcome<OrganizationId, RegistrationError> {
        let number = self.app.rules().registration.organization;
        let found = match number {
            Some(number) => self.unit.applications().organization_numbered(number).await?,
            None => None,
        };
        found.ok_or_else(|| {
            tracing::error!("oauth.registration.organization is not set to the number of an organization");
            Refused::Rule(RegistrationError::NotSetUp)
        })
    }

    /// From which network it is registered, as that is kept. What came from there while another master key was in use is the same network's.
    async fn network(&mut self, call: &Call) -> Outcome<String, RegistrationError> {
        let network = call.widest_network().unwrap_or_default();
        let kept = |tag: [u8; 32]| format!("network {}", hex::encode(tag));
        let vault = &self.app.kernel.vault;
        let now = kept(vault.mac(NETWORK, network.as_bytes()));
        for before in vault.previous_macs(NETWORK, network.as_bytes()) {
            self.unit.applications().same_place(&kept(before), &now).await?;
        }
        Ok(now)
    }

    /// Refuses one more than there may be in all, or from one network or site. `from` is none for one that came with an initial access
    /// token: those are bounded by the token's uses, and strangers cannot use up what is theirs.
    pub(crate) async fn check_room(
        &mut self,
        id: ApplicationId,
        from: Option<&str>,
    ) -> Outcome<(), RegistrationError> {
        let most = i64::from(self.app.rules().registration.most);
        let Some(from) = from else {
            let count = self.unit.applications().count_with_tokens().await?;
            return if count > most { full(most) } else { Ok(()) };
        };
        self.unit.applications().came_from(id, from).await?;
        let (of_all, of_one) = self.unit.applications().count_strangers(from).await?;
        if of_all > most {
            return full(most);
        }
        if of_one > share(most) {
            return refuse(RegistrationError::ShareFull);
        }
        Ok(())
    }
}
