//! Exact rate limits for what must not be guessed: counted in the store, before any look-up.

use tidegate_database::{Store, Unit};
use tidegate_domain::account::LoginName;
use tidegate_domain::id::{AccountId, ApplicationId, ChallengeId, OrganizationId};
use tidegate_domain::limit::{Exceeded, Limit};
use tidegate_domain::{EmailAddress, PhoneNumber, Timestamp};

use crate::counted_factor::{CountedFactor, FactorUse};
use crate::fault::Fault;
use crate::tables::known_networks::KEEP_NETWORKS;
use crate::{Call, Kernel, KernelTables, Work, limit_key};

/// What is counted: its name is part of the bucket.
#[derive(Clone, Copy, Debug)]
pub enum Counted<'a> {
    /// Sign-ups, by address.
    SignUpByIp,
    /// Sign-ins, by address.
    SignInByIp,
    /// Sign-ins, by address or name signed in with.
    SignInByLogin(&'a LoginName),
    /// Failed sign-ins, by network and name.
    FailedSignIn(&'a LoginName),
    /// Wrong passwords, by name, through all contracts, from networks the account has not signed in from.
    FailedPasswordByLogin(&'a LoginName),
    /// Wrong passwords, by name, from one network the account has signed in from.
    FailedPasswordFromKnownNetwork(&'a LoginName),
    /// Wrong codes, by network.
    FailedCodeByNetwork,
    /// Wrong codes, by account.
    FailedCodeByAccount(AccountId),
    /// Wrong codes of one challenge, by network.
    FailedCodeOfChallenge(ChallengeId),
    /// Wrong codes texted to a phone, from networks its account has not signed in from.
    FailedPhoneCode(&'a LoginName),
    /// Wrong codes texted to a phone, from one network its account has signed in from.
    FailedPhoneCodeFromKnownNetwork(&'a LoginName),
    /// What is counted of second factors.
    Factor(CountedFactor),
    /// Sign-ins with a passkey that are begun, by network.
    PasskeyChallengesByIp,
    /// Attempts in the audit log, by network.
    AuditedAttempts,
    /// Forgotten passwords, by address.
    ForgotPasswordByIp,
    /// Forgotten passwords, by e-mail address.
    ForgotPasswordByEmail(&'a EmailAddress),
    /// Codes sent again, by account.
    ResendByAccount(AccountId),
    /// Mails, by recipient.
    MailsByEmail(&'a EmailAddress),
    /// Notices of new programs and keys, by the account that is notified: separate from the mails its owner asks for.
    NoticesByAccount(AccountId),
    /// Changes of address, by account.
    EmailChangeByAccount(AccountId),
    /// Changes of address, by the new one.
    EmailChangeByEmail(&'a EmailAddress),
    /// Codes in a short while, by phone.
    CodesAtOnceByPhone(&'a PhoneNumber),
    /// Codes, by phone.
    CodesByPhone(&'a PhoneNumber),
    /// Codes, by address.
    CodesByIp,
    /// Codes to register, by the number's prefix.
    RegistrationsByPrefix(&'a PhoneNumber),
    /// Passwords set, by the account that sets them, through all contracts.
    PasswordsSetByAccount(AccountId),
    /// Passwords set, by the organization they are set in, through all contracts.
    PasswordsSetByOrganization(OrganizationId),
    /// Passwords set without a session, by network, through all contracts.
    PasswordsSetByNetwork,
    /// Requests with a wrong client or secret, by network.
    FailedClientByNetwork,
    /// Requests with a wrong secret of one application, by network.
    FailedClientSecret(ApplicationId),
    /// Authorization codes, by the account that approves.
    AuthorizationCodes(AccountId),
    /// Messages of all contracts and templates, by mailbox or phone.
    MessagesByRecipient(&'a str),
    /// Messages, by the network of the caller who caused them.
    MessagesByNetwork,
    /// Messages, by the account that caused them.
    MessagesByAccount(AccountId),
    /// Messages, by the organization of the account that caused them.
    MessagesByOrganization(OrganizationId),
}

/// What an attempt is counted in.
struct Bucket {
    /// Its name in the store.
    mac: [u8; 32],
    /// Factor on the limit.
    times: u32,
}

impl Kernel {
    /// Counts each of `attempts` in one unit of work, or refuses and counts none of them. Limits not configured are not
    /// counted.
    ///
    /// What was refused was not tried. Were it counted, one client over its own limit could lock other accounts, and
    /// a burst of right passwords would count as wrong ones.
    ///
    /// # Errors
    /// [`Fault::RateLimited`], and those of the store.
    pub async fn throttle(
        &self,
        call: &Call,
        attempts: &[(Counted<'_>, Option<Limit>)],
    ) -> Result<(), Fault> {
        let limited: Vec<_> =
            attempts.iter().filter_map(|(counted, limit)| limit.map(|limit| (*counted, limit))).collect();
        if limited.is_empty() {
            return Ok(());
        }
        let mut unit = self.store.begin().await?;
        let now = self.now();
        for (counted, limit) in limited {
            let exceeded = self.count(&mut unit, call, counted, limit, now).await?;
            let Some(exceeded) = exceeded else { continue };
            if let Counted::RegistrationsByPrefix(phone) = counted {
                // Shared by all accounts, unlike the others: logged for the operator.
                let prefix = phone.prefix();
                tracing::warn!(prefix, "no more codes for these numbers; see [phone.limits] by_prefix");
            }
            return Err(exceeded.into());
        }
        Ok(unit.commit().await?)
    }

    /// Counts an attempt in each of its buckets until one is over its limit; answers by how much, if one is.
    pub(crate) async fn count(
        &self,
        unit: &mut Unit,
        call: &Call,
        counted: Counted<'_>,
        limit: Limit,
        now: Timestamp,
    ) -> Result<Option<Exceeded>, Fault> {
        for Bucket { mac, times } in self.buckets(call, counted) {
            let status = unit.limits().count(&mac, limit.times(times), 1, now).await?;
            if status.exceeded {
                limit_key::note(|| counted.limit_key(call.profile.contract.as_str()));
                return Ok(Some(status.exceeded_at(now)));
            }
        }
        Ok(None)
    }

    /// What a wrong password for `login` counts as. A network that the account has signed in from has a count of its own:
    /// wrong passwords of attackers must not lock out the account's owner. Unknown names are looked up alike.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn failed_password<'a>(&self, call: &Call, login: &'a LoginName) -> Result<Counted<'a>, Fault> {
        let mut unit = self.store.read().await?;
        Ok(if self.is_known_network(&mut unit, call, login).await? {
            Counted::FailedPasswordFromKnownNetwork(login)
        } else {
            Counted::FailedPasswordByLogin(login)
        })
    }

    pub(crate) async fn is_known_network(
        &self,
        unit: &mut Unit,
        call: &Call,
        login: &LoginName,
    ) -> Result<bool, Fault> {
        let since = self.now().minus(KEEP_NETWORKS);
        Ok(unit.known_networks().is_known(login, &self.network_mac(call), since).await?)
    }

    pub(crate) fn network_mac(&self, call: &Call) -> [u8; 32] {
        self.vault.mac("known network", call.network().as_bytes())
    }

    /// What codes to sign in with, texted to numbers of one prefix, are counted in when they are delivered. What is
    /// discarded is counted elsewhere, with the same work.
    pub(crate) fn prefix_bucket(&self, phone: &PhoneNumber, is_discarded: bool) -> [u8; 32] {
        let whose = if is_discarded { "discarded" } else { "delivered" };
        self.vault.mac("rate limit", format!("{whose} sign-ins {}", phone.prefix()).as_bytes())
    }

    /// The buckets' names in the store: keyed hashes, because addresses are guessable and no reader of the table needs them.
    fn buckets(&self, call: &Call, counted: Counted<'_>) -> Vec<Bucket> {
        let (scope, name) = counted.name(call.profile.contract.as_str());
        let mac = |name: &str| self.vault.mac("rate limit", name.as_bytes());
        match scope {
            Scope::All => vec![Bucket { mac: mac(&name), times: 1 }],
            Scope::Network => {
                let networks = call.networks().into_iter();
                networks
                    .map(|network| Bucket {
                        mac: mac(&format!("{name} {}", network.name)),
                        times: network.times,
                    })
                    .collect()
            }
        }
    }

    pub(crate) fn bucket_names(&self, call: &Call, counted: Counted<'_>) -> Vec<[u8; 32]> {
        self.buckets(call, counted).into_iter().map(|bucket| bucket.mac).collect()
    }
}

/// Whose attempts are counted together.
enum Scope {
    /// All of them.
    All,
    /// Those of one client network; for IPv6, also of the wider ones around it.
    Network,
}

impl CountedFactor {
    const fn scope(self) -> Scope {
        if self.is_by_network() { Scope::Network } else { Scope::All }
    }
}

impl Counted<'_> {
    /// Whose attempts are counted together, and the bucket's name; of a scope by network, without the network.
    fn name(self, contract: &str) -> (Scope, String) {
        let of = |login: &LoginName| format!("{} {}", login.kind(), login.as_str());
        match self {
            Counted::SignUpByIp => (Scope::Network, format!("{contract} sign-up ip")),
            Counted::SignInByIp => (Scope::Network, format!("{contract} sign-in ip")),
            Counted::SignInByLogin(login) => (Scope::All, format!("{contract} sign-in {}", of(login))),
            Counted::FailedSignIn(login) => {
                (Scope::Network, format!("{contract} failed sign-in {}", of(login)))
            }
            Counted::FailedPasswordByLogin(login) => (Scope::All, format!("failed password {}", of(login))),
            Counted::FailedPasswordFromKnownNetwork(login) => {
                (Scope::Network, format!("failed password from known network {}", of(login)))
            }
            Counted::CodesAtOnceByPhone(phone) => {
                (Scope::All, format!("{contract} codes at once {}", phone.expose()))
            }
            Counted::CodesByPhone(phone) => (Scope::All, format!("{contract} codes {}", phone.expose())),
            Counted::CodesByIp => (Scope::Network, format!("{contract} codes ip")),
            Counted::RegistrationsByPrefix(phone) => {
                (Scope::All, format!("{contract} registrations {}", phone.prefix()))
            }
            Counted::FailedCodeByNetwork => (Scope::Network, "failed code ip".to_owned()),
            Counted::FailedCodeByAccount(account) => (Scope::All, format!("failed code {account}")),
            Counted::FailedCodeOfChallenge(challenge) => {
                (Scope::Network, format!("failed code of challenge {}", challenge.0))
            }
            Counted::FailedPhoneCode(login) => (Scope::All, format!("failed phone code {}", of(login))),
            Counted::FailedPhoneCodeFromKnownNetwork(login) => {
                (Scope::Network, format!("failed phone code from known network {}", of(login)))
            }
            Counted::Factor(counted) => (counted.scope(), counted.name()),
            Counted::PasskeyChallengesByIp => (Scope::Network, format!("{contract} passkey challenges ip")),
            Counted::AuditedAttempts => (Scope::Network, "audited attempts ip".to_owned()),
            Counted::ForgotPasswordByEmail(email) => {
                (Scope::All, format!("{contract} forgot-password email {}", email.mailbox()))
            }
            Counted::ForgotPasswordByIp => (Scope::Network, format!("{contract} forgot-password ip")),
            Counted::ResendByAccount(account) => (Scope::All, format!("{contract} resend {account}")),
            Counted::MailsByEmail(email) => (Scope::All, format!("{contract} mails {}", email.mailbox())),
            Counted::EmailChangeByEmail(email) => {
                (Scope::All, format!("{contract} email change to {}", email.mailbox()))
            }
            Counted::EmailChangeByAccount(account) => {
                (Scope::All, format!("{contract} email change {account}"))
            }
            Counted::PasswordsSetByAccount(account) => (Scope::All, format!("passwords set {account}")),
            Counted::PasswordsSetByOrganization(organization) => {
                (Scope::All, format!("passwords set organization {organization}"))
            }
            Counted::PasswordsSetByNetwork => (Scope::Network, "passwords set ip".to_owned()),
            Counted::FailedClientByNetwork => (Scope::Network, "failed client ip".to_owned()),
            Counted::FailedClientSecret(application) => {
                (Scope::Network, format!("failed client secret {application}"))
            }
            Counted::AuthorizationCodes(account) => (Scope::All, format!("authorization codes {account}")),
            Counted::NoticesByAccount(account) => (Scope::All, format!("{contract} notices {account}")),
            Counted::MessagesByRecipient(recipient) => (Scope::All, format!("messages {recipient}")),
            Counted::MessagesByNetwork => (Scope::Network, "messages ip".to_owned()),
            Counted::MessagesByAccount(account) => (Scope::All, format!("messages account {account}")),
            Counted::MessagesByOrganization(organization) => {
                (Scope::All, format!("messages organization {organization}"))
            }
        }
    }
}

impl Counted<'_> {
    /// The configuration key of the limit on this, under a contract.
    fn limit_key(&self, contract: &str) -> String {
        let of_contract = |name: &str| format!("{contract}.limits.{name}");
        match self {
            Self::SignUpByIp => of_contract("sign_up_by_ip"),
            Self::SignInByIp => of_contract("sign_in_by_ip"),
            Self::SignInByLogin(_) => of_contract("sign_in_by_email"),
            Self::FailedSignIn(_) => of_contract("failed_sign_in"),
            Self::ForgotPasswordByIp => of_contract("forgot_password_by_ip"),
            Self::ForgotPasswordByEmail(_) | Self::EmailChangeByEmail(_) => {
                of_contract("forgot_password_by_email")
            }
            Self::ResendByAccount(_) | Self::EmailChangeByAccount(_) => of_contract("resend_by_account"),
            Self::MailsByEmail(_) | Self::NoticesByAccount(_) => of_contract("mails_by_email"),
            Self::FailedPasswordByLogin(_) | Self::FailedPasswordFromKnownNetwork(_) => {
                "failed_passwords_by_account".to_owned()
            }
            Self::FailedCodeByAccount(_)
            | Self::FailedPhoneCode(_)
            | Self::FailedPhoneCodeFromKnownNetwork(_) => "failed_codes_by_account".to_owned(),
            Self::FailedCodeByNetwork => "failed_codes_by_network".to_owned(),
            Self::FailedCodeOfChallenge(_) => "none: five wrong codes, which is not configurable".to_owned(),
            Self::Factor(CountedFactor::WrongInARow(..) | CountedFactor::WrongInARowFromKnownNetwork(..)) => {
                of_contract("wrong_second_factor")
            }
            Self::Factor(CountedFactor::WrongFromKnownNetwork(_)) => "failed_codes_by_account".to_owned(),
            Self::Factor(CountedFactor::Sent(..)) => of_contract("second_factor_codes"),
            Self::PasskeyChallengesByIp => of_contract("passkey_challenges_by_ip"),
            Self::AuditedAttempts => "audit.attempts_by_network".to_owned(),
            Self::CodesAtOnceByPhone(_) => "phone.limits.by_phone_at_once".to_owned(),
            Self::CodesByPhone(_) => "phone.limits.by_phone".to_owned(),
            Self::CodesByIp => "phone.limits.by_ip".to_owned(),
            Self::RegistrationsByPrefix(_) => "phone.limits.by_prefix".to_owned(),
            Self::PasswordsSetByAccount(_) => "passwords_set_by_account".to_owned(),
            Self::PasswordsSetByOrganization(_) => "passwords_set_by_organization".to_owned(),
            Self::PasswordsSetByNetwork => "passwords_set_by_network".to_owned(),
            Self::FailedClientByNetwork => "oauth.failed_clients_by_network".to_owned(),
            Self::FailedClientSecret(_) => "oauth.failed_secrets_by_client".to_owned(),
            Self::AuthorizationCodes(_) => "oauth.codes_by_account".to_owned(),
            Self::MessagesByRecipient(_) => "messages.by_recipient".to_owned(),
            Self::MessagesByNetwork => "messages.by_network".to_owned(),
            Self::MessagesByAccount(_) => "messages.by_account".to_owned(),
            Self::MessagesByOrganization(_) => "messages.by_organization".to_owned(),
        }
    }
}

impl Work<'_> {
    /// Counts one more against a limit; answers by how much that is too many, if it is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count(
        &mut self,
        counted: Counted<'_>,
        limit: Option<Limit>,
    ) -> Result<Option<Exceeded>, Fault> {
        match limit {
            Some(limit) => self.kernel.count(self.unit, self.call, counted, limit, self.now).await,
            None => Ok(None),
        }
    }

    /// Takes back what turned out not to count.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund(&mut self, counted: Counted<'_>) -> Result<(), Fault> {
        take_back(&self.kernel.bucket_names(self.call, counted), self.unit).await
    }

    /// Whether the account that signs in as `login` has done so from the caller's network.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_known_network(&mut self, login: &LoginName) -> Result<bool, Fault> {
        self.kernel.is_known_network(self.unit, self.call, login).await
    }

    /// Remembers the caller's network as one the account signs in from.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn remember_network(&mut self, account: AccountId) -> Result<(), Fault> {
        let mac = self.kernel.network_mac(self.call);
        Ok(self.unit.known_networks().remember(account, &mac, self.now).await?)
    }

    /// Starts anew for an account with a new password: wrong guesses at the old one no longer count,
    /// and networks it was used from are no longer known. The network of the owner who set the password is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget_guesses(&mut self, account: AccountId, logins: &[LoginName]) -> Result<(), Fault> {
        for login in logins {
            self.clear(Counted::FailedPasswordByLogin(login)).await?;
        }
        self.unit.known_networks().forget(account).await?;
        let is_own = self.call.causer.is_none_or(|causer| causer.account == account);
        if is_own && self.call.ip.is_some() {
            self.remember_network(account).await?;
        }
        Ok(())
    }

    /// Lets an account sign in again that wrong passwords or codes keep out, through all contracts. What one network used
    /// up stays used up for that network: see `docs/operations.md`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unlock(&mut self, account: AccountId, logins: &[LoginName]) -> Result<(), Fault> {
        self.clear(Counted::FailedCodeByAccount(account)).await?;
        self.clear(Counted::Factor(CountedFactor::WrongInARow(account, FactorUse::SignIn))).await?;
        for login in logins {
            self.clear(Counted::FailedPasswordByLogin(login)).await?;
            self.clear(Counted::FailedPhoneCode(login)).await?;
            // Counted by contract.
            for profile in self.kernel.settings.contracts.iter() {
                let call = self.call.under(profile);
                let buckets = self.kernel.bucket_names(&call, Counted::SignInByLogin(login));
                self.clear_buckets(&buckets).await?;
            }
        }
        Ok(())
    }

    async fn clear(&mut self, counted: Counted<'_>) -> Result<(), Fault> {
        let buckets = self.kernel.bucket_names(self.call, counted);
        self.clear_buckets(&buckets).await
    }

    async fn clear_buckets(&mut self, buckets: &[[u8; 32]]) -> Result<(), Fault> {
        for bucket in buckets {
            self.unit.limits().clear(bucket).await?;
        }
        Ok(())
    }
}

/// Failures that were counted before it is known whether they are any: counting first keeps a crowd of concurrent
/// guesses within the limit. Whatever does not turn out to be a failure is taken back, also an attempt that was given up
/// half-way, or refused because there was too much to do.
pub struct Reserved {
    store: Store,
    buckets: Vec<[u8; 32]>,
}

impl Reserved {
    /// What the attempt counts, should it fail.
    pub fn new(kernel: &Kernel, call: &Call, counted: &[Counted<'_>]) -> Self {
        let buckets = counted.iter().flat_map(|counted| kernel.bucket_names(call, *counted)).collect();
        Self { store: kernel.store.clone(), buckets }
    }

    /// The attempt failed: it stays counted.
    pub fn keep(&mut self) {
        self.buckets.clear();
    }

    /// Takes the attempt back in the unit of work that makes it a success.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund(&self, unit: &mut Unit) -> Result<(), Fault> {
        take_back(&self.buckets, unit).await
    }

    /// That unit was committed.
    pub fn refunded(&mut self) {
        self.buckets.clear();
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.buckets.is_empty() {
            return;
        }
        // Without a runtime the process is ending; the window ends by itself.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        // The task holds what it needs and no `Reserved`: a runtime that is ending drops the task at once, and with a
        // `Reserved` in it that would be the next one to be spawned, without end.
        let (store, buckets) = (self.store.clone(), std::mem::take(&mut self.buckets));
        runtime.spawn(async move {
            let taken_back = async {
                let mut unit = store.begin().await?;
                take_back(&buckets, &mut unit).await?;
                Ok::<(), Fault>(unit.commit().await?)
            };
            if let Err(fault) = taken_back.await {
                tracing::warn!(error = %fault, "an attempt that did not fail stays counted as one");
            }
        });
    }
}

async fn take_back(buckets: &[[u8; 32]], unit: &mut Unit) -> Result<(), Fault> {
    for bucket in buckets {
        unit.limits().refund(bucket).await?;
    }
    Ok(())
}
