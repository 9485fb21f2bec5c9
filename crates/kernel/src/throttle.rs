//! Exact rate limits for what must not be guessed: counted in the store, before any look-up.

use tidegate_database::{Store, Unit};
use tidegate_domain::account::LoginName;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::limit::Limit;
use tidegate_domain::{EmailAddress, PhoneNumber};

use crate::fault::Fault;
use crate::{Call, Kernel, KernelTables};

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
    /// Wrong passwords, by name, through all contracts.
    FailedPasswordByLogin(&'a LoginName),
    /// Wrong codes, by account.
    FailedCodeByAccount(AccountId),
    /// Wrong codes sent to a phone, by account.
    FailedPhoneCodeByAccount(AccountId),
    /// Forgotten passwords, by address.
    ForgotPasswordByIp,
    /// Forgotten passwords, by e-mail address.
    ForgotPasswordByEmail(&'a EmailAddress),
    /// Codes sent again, by account.
    ResendByAccount(AccountId),
    /// Mails, by recipient.
    MailsByEmail(&'a EmailAddress),
    /// Notices of new programs and keys, by the account that is told: apart from the mails its owner asks for.
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
    /// Codes to sign in, by the number's prefix.
    SignInsByPrefix(&'a PhoneNumber),
    /// Passwords set, by the account that sets them, through all contracts.
    PasswordsSetByAccount(AccountId),
    /// Passwords set, by the organization they are set in, through all contracts.
    PasswordsSetByOrganization(OrganizationId),
    /// Passwords set without a session, by network, through all contracts.
    PasswordsSetByNetwork,
}

impl Kernel {
    /// Counts each of `attempts` in one unit of work, or refuses and counts none of them. Limits not configured are not
    /// counted.
    ///
    /// What was refused was not tried. Were it counted, one client over its own limit could lock strangers' accounts, and
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
            let standing = unit.limits().count(&self.bucket(call, counted), limit, 1, now).await?;
            if standing.exceeded {
                if let Counted::RegistrationsByPrefix(phone) | Counted::SignInsByPrefix(phone) = counted {
                    // Everybody's, unlike the others: an operator wants to know.
                    let prefix = phone.prefix();
                    tracing::warn!(prefix, "no more codes for these numbers; see [phone.limits] by_prefix");
                }
                return Err(standing.exceeded_at(now).into());
            }
        }
        Ok(unit.commit().await?)
    }

    /// A bucket's name in the store: a keyed hash, because addresses are guessable and nobody needs to read them there.
    pub fn bucket(&self, call: &Call, counted: Counted<'_>) -> [u8; 32] {
        let contract = call.profile.contract.as_str();
        let name = match counted {
            Counted::SignUpByIp => format!("{contract} sign-up ip {}", call.network()),
            Counted::SignInByIp => format!("{contract} sign-in ip {}", call.network()),
            Counted::SignInByLogin(login) => {
                format!("{contract} sign-in {} {}", login.kind(), login.as_str())
            }
            Counted::FailedSignIn(login) => {
                format!("{contract} failed sign-in {} {} {}", call.network(), login.kind(), login.as_str())
            }
            Counted::FailedPasswordByLogin(login) => {
                format!("failed password {} {}", login.kind(), login.as_str())
            }
            Counted::CodesAtOnceByPhone(phone) => format!("{contract} codes at once {}", phone.expose()),
            Counted::CodesByPhone(phone) => format!("{contract} codes {}", phone.expose()),
            Counted::CodesByIp => format!("{contract} codes ip {}", call.network()),
            Counted::RegistrationsByPrefix(phone) => format!("{contract} registrations {}", phone.prefix()),
            Counted::SignInsByPrefix(phone) => format!("{contract} sign-ins {}", phone.prefix()),
            Counted::FailedCodeByAccount(account) => format!("failed code {account}"),
            Counted::FailedPhoneCodeByAccount(account) => format!("failed phone code {account}"),
            Counted::ForgotPasswordByEmail(email) => format!("{contract} forgot-password email {email}"),
            Counted::ForgotPasswordByIp => format!("{contract} forgot-password ip {}", call.network()),
            Counted::ResendByAccount(account) => format!("{contract} resend {account}"),
            Counted::MailsByEmail(email) => format!("{contract} mails {email}"),
            Counted::EmailChangeByEmail(email) => format!("{contract} email change to {email}"),
            Counted::PasswordsSetByAccount(account) => format!("passwords set {account}"),
            Counted::PasswordsSetByOrganization(organization) => {
                format!("passwords set organization {organization}")
            }
            Counted::PasswordsSetByNetwork => format!("passwords set ip {}", call.network()),
            Counted::EmailChangeByAccount(account) => format!("{contract} email change {account}"),
            Counted::NoticesByAccount(account) => format!("{contract} notices {account}"),
        };
        self.vault.mac("rate limit", name.as_bytes())
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
        let buckets = counted.iter().map(|counted| kernel.bucket(call, *counted)).collect();
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
