//! Whose account it is that a provider's subject signs in to: the one it is connected with, the one that has proven the same address,
//! or a new one.

use serde_json::json;
use tidegate_domain::account::{Account, LoginName};
use tidegate_domain::audit::Action;
use tidegate_domain::challenge::PendingConnection;
use tidegate_domain::factor::DeviceData;
use tidegate_domain::id::{AccountId, SocialAccountId};
use tidegate_domain::{EmailAddress, Secret};
use tidegate_federation::{Provider, ProviderProfile};
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::work::Subject;

use crate::accounts::people::{NewPerson, Person};
use crate::social::accounts_repository::{NewSocialAccount, SocialAccount, SocialDetails};
use crate::social::error::SocialError;
use crate::social::finish::SocialTerms;
use crate::social::outcome::SocialOutcome;
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// How often it is tried while others make or connect the same account.
const ROUNDS: usize = 3;
/// What providers' tokens are sealed for.
const TOKENS: &str = "social tokens";

/// A person that a provider has identified.
pub(crate) struct Connection<'a> {
    pub(crate) provider: &'a Provider,
    pub(crate) profile: &'a ProviderProfile,
    pub(crate) intent: Intent,
    pub(crate) device: &'a DeviceData,
    /// Whether they come by a hosted page, which can ask for the second factor: no contract says otherwise there.
    pub(crate) is_hosted: bool,
}

/// What the client wants.
pub(crate) enum Intent {
    /// To sign in, and up where there is no account yet.
    SignIn,
    /// To sign up only.
    SignUp(SocialTerms),
}

/// The account a subject signs in to.
pub(crate) struct Connected {
    pub(crate) account: Account,
    pub(crate) is_new: bool,
    /// Whether the owner has to be told of a network they were not known from.
    pub(crate) is_notable: bool,
    /// What is to be connected with the account first; none where it is.
    pub(crate) joins: Option<Box<PendingConnection>>,
}

/// Where the look for an account got.
enum Found {
    Account(Connected),
    /// Another request was first: it is to be looked at again.
    Again,
    Refused(SocialError, Option<AccountId>),
}

impl Identity {
    /// Opens a session for the person, in one unit of work. Requests at the same time with the same subject make one account.
    pub(crate) async fn connect_social(
        &self,
        call: &Call,
        connection: Connection<'_>,
    ) -> Outcome<SocialOutcome, SocialError> {
        for _ in 0..ROUNDS {
            let mut work = self.begin(call).await?;
            match work.account_of_subject(&connection).await? {
                Found::Account(connected) => return work.open_social(&connection, connected).await,
                Found::Again => {}
                Found::Refused(error, account) => {
                    return work.refuse_social(&connection, error, account).await;
                }
            }
        }
        Err(Fault::Unavailable(
            "an account at a provider is connected by others at the same time; try again".to_owned(),
        )
        .into())
    }
}

impl Work<'_> {
    async fn account_of_subject(&mut self, connection: &Connection<'_>) -> Result<Found, Fault> {
        let (provider, profile) = (connection.provider.name(), connection.profile);
        let found = self.unit.social_accounts().find(provider, &profile.issuer, &profile.subject).await?;
        match found {
            Some(known) if known.blocked_at.is_some() || known.is_connected() => {
                self.known_subject(connection, known).await
            }
            // As new as any other, but that it was here before: the address alone is no reason to let it in again.
            Some(_) => self.new_subject(connection, true).await,
            None => self.new_subject(connection, false).await,
        }
    }

    async fn known_subject(
        &mut self,
        connection: &Connection<'_>,
        known: SocialAccount,
    ) -> Result<Found, Fault> {
        let (provider, profile) = (connection.provider.name(), connection.profile);
        self.lock(known.account).await?;
        // Again: it may have been removed or blocked while this unit waited.
        let again = self.unit.social_accounts().find(provider, &profile.issuer, &profile.subject).await?;
        let Some(known) = again.filter(|again| again.account == known.account) else {
            return Ok(Found::Again);
        };
        if known.disconnected_at.is_some() && known.blocked_at.is_none() {
            return Ok(Found::Again);
        }
        if known.blocked_at.is_some() {
            return Ok(Found::Refused(SocialError::Blocked, Some(known.account)));
        }
        let account = self.unit.accounts().find(known.account).await?;
        let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
            return Ok(Found::Refused(SocialError::NotAdmitted, Some(known.account)));
        };
        if matches!(connection.intent, Intent::SignUp(_)) {
            return Ok(Found::Refused(SocialError::AlreadyRegistered, Some(account.id)));
        }
        let tokens = self.seal_tokens(known.id, &profile.tokens)?;
        self.unit.social_accounts().used(known.id, details(profile, &tokens), self.now).await?;
        Ok(Found::Account(Connected { account, is_new: false, is_notable: true, joins: None }))
    }

    /// A subject that signs in to nothing yet. The provider's word makes an account. One that is there already it does not open:
    /// the provider saw a proof of the address at some time, and the address may have changed hands. Its owner shows now that
    /// the mailbox is theirs, and the account's second factor. Where the provider itself decides whose the mailbox is, its word
    /// is that proof, unless the subject was here before and was disconnected.
    async fn new_subject(&mut self, connection: &Connection<'_>, was_here: bool) -> Result<Found, Fault> {
        let refused = |error, account| Ok(Found::Refused(error, account));
        let Some(told) = connection.profile.email.as_ref().filter(|email| email.is_verified) else {
            return refused(SocialError::NoVerifiedEmail, None);
        };
        let email = &told.address;
        // Nobody's yet: the provider's word is a proof, and an account without one yields to it as to any other.
        self.evict_unproven(email).await?;
        let login = LoginName::Email(email.clone());
        let owner = self.unit.accounts().owner_of(&login).await?;
        // An invitation does not keep the address from its owner.
        let invited = self.unit.claims().invited(email).await?;
        let Some(owner) = owner.filter(|owner| invited != Some(*owner)) else {
            return self.sign_up_person(connection, email).await;
        };
        self.lock(owner).await?;
        if self.unit.accounts().owner_of(&login).await? != Some(owner) {
            return Ok(Found::Again);
        }
        // Another request with the same answer of the provider may have been first while this unit waited.
        let (provider, profile) = (connection.provider.name(), connection.profile);
        let known = self.unit.social_accounts().find(provider, &profile.issuer, &profile.subject).await?;
        if !was_here && known.is_some() {
            return Ok(Found::Again);
        }
        if matches!(connection.intent, Intent::SignUp(_)) {
            return refused(SocialError::AlreadyRegistered, Some(owner));
        }
        if !self.may_join(owner, connection.provider.name(), email).await? {
            return refused(SocialError::AddressTaken, Some(owner));
        }
        let account = self.unit.accounts().find(owner).await?;
        let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
            return refused(SocialError::NotAdmitted, Some(owner));
        };
        let needs_mailbox = was_here || !told.is_authoritative;
        let joins = Some(Box::new(self.pending_connection(connection, email, needs_mailbox)?));
        Ok(Found::Account(Connected { account, is_new: false, is_notable: false, joins }))
    }

    /// Makes the account of a new person, with everything that each person gets (RiverGen section 2).
    async fn sign_up_person(
        &mut self,
        connection: &Connection<'_>,
        email: &EmailAddress,
    ) -> Result<Found, Fault> {
        let (profile, provider) = (connection.profile, connection.provider.name());
        let terms = match &connection.intent {
            Intent::SignUp(terms) => terms.clone(),
            Intent::SignIn => SocialTerms::default(),
        };
        self.yield_invitation(email).await?;
        let login = LoginName::Email(email.clone());
        let new = NewPerson {
            login: &login,
            verified_at: Some(self.now),
            display_name: &profile.display_name,
            password_hash: None,
            agreed_to_terms: terms.agreed,
            terms_version: terms.version.as_deref(),
            source: "signup",
            is_at_home: true,
        };
        let Some(Person { mut account, sign_in_target }) = self.create_person(&new).await? else {
            return Ok(Found::Again);
        };
        if profile.picture.is_some() {
            account.profile_image_url.clone_from(&profile.picture);
            self.unit.accounts().update_profile(&account, self.now).await?;
        }
        if !self.add_social_account(connection, account.id, email).await? {
            return Ok(Found::Again);
        }
        let subject = Subject {
            account: Some(account.id),
            organization: Some(sign_in_target.organization),
            session: None,
        };
        let metadata = json!({
            "provider": provider,
            "terms_version": terms.version,
            "agreed_to_terms": terms.agreed,
        });
        self.audit(Action::SocialSignedUp, subject, metadata).await?;
        Ok(Found::Account(Connected { account, is_new: true, is_notable: false, joins: None }))
    }

    async fn add_social_account(
        &mut self,
        connection: &Connection<'_>,
        account: AccountId,
        email: &EmailAddress,
    ) -> Result<bool, Fault> {
        let profile = connection.profile;
        let id = SocialAccountId(self.app.kernel.entropy.uuid(self.now));
        let tokens = self.seal_tokens(id, &profile.tokens)?;
        let new = NewSocialAccount {
            id,
            account,
            provider: connection.provider.name(),
            issuer: &profile.issuer,
            subject: &profile.subject,
            details: details(profile, &tokens),
            connected_by: email.as_str(),
            now: self.now,
        };
        Ok(self.unit.social_accounts().connect(&new).await?)
    }

    /// The provider's tokens as they are stored: they open with the row's key only.
    pub(crate) fn seal_tokens(&self, id: SocialAccountId, tokens: &Secret) -> Result<Vec<u8>, Fault> {
        let kernel = &self.app.kernel;
        let context = format!("{TOKENS} {id}");
        Ok(kernel.vault.seal(&context, tokens.expose().as_bytes(), kernel.entropy.as_ref())?)
    }

    /// Records a sign-in that failed.
    pub(crate) async fn refuse_social<T>(
        mut self,
        connection: &Connection<'_>,
        error: SocialError,
        account: Option<AccountId>,
    ) -> Outcome<T, SocialError> {
        let subject = Subject { account, ..Subject::default() };
        let metadata = json!({ "reason": error.reason(), "method": connection.provider.name() });
        self.audit(Action::SignInFailed, subject, metadata).await?;
        self.commit_social(account).await?;
        refuse(error)
    }

    /// Makes it all durable. An account that is made counts as a sign-up: last of all, because on PostgreSQL others of the network wait
    /// from then on, and nothing of it is written beyond the limit.
    pub(crate) async fn commit_social(mut self, account: Option<AccountId>) -> Result<(), Fault> {
        if account.is_some_and(|account| self.unit.has_made(account.0)) {
            self.unit.write_deferred().await?;
            let limit = self.call.profile.limits.sign_up_by_ip;
            if let Some(exceeded) = self.count(Counted::SignUpByIp, limit).await? {
                return Err(exceeded.into());
            }
        }
        self.commit().await
    }
}

fn details<'a>(profile: &'a ProviderProfile, tokens: &'a [u8]) -> SocialDetails<'a> {
    SocialDetails {
        email: profile.email.as_ref().map(|email| email.address.as_str()).unwrap_or_default(),
        display_name: &profile.display_name,
        tokens,
    }
}
