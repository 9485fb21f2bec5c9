//! Exact rate limits for what must not be guessed: counted in the store, before any look-up.

use tidegate_domain::account::LoginName;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::limit::Limit;
use tidegate_domain::{EmailAddress, PhoneNumber};

use tidegate_store::{Store, Unit};

use crate::kernel::fault::Fault;
use crate::{Call, Identity};

/// What is counted: its name is part of the bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted<'a> {
    SignUpByIp,
    SignInByIp,
    SignInByLogin(&'a LoginName),
    FailedSignIn(&'a LoginName),
    FailedPasswordByLogin(&'a LoginName),
    FailedCodeByAccount(AccountId),
    FailedPhoneCodeByAccount(AccountId),
    ForgotPasswordByIp,
    ForgotPasswordByEmail(&'a EmailAddress),
    ResendByAccount(AccountId),
    MailsByEmail(&'a EmailAddress),
    EmailChangeByAccount(AccountId),
    EmailChangeByEmail(&'a EmailAddress),
    CodesAtOnceByPhone(&'a PhoneNumber),
    CodesByPhone(&'a PhoneNumber),
    CodesByIp,
    RegistrationsByPrefix(&'a PhoneNumber),
    SignInsByPrefix(&'a PhoneNumber),
    PasswordsSetByAccount(AccountId),
    PasswordsSetByOrganization(OrganizationId),
    PasswordsSetByNetwork,
}

impl Identity {
    /// Counts each of `attempts` in one unit of work, or refuses and counts none of them. Limits not configured are not
    /// counted.
    ///
    /// What was refused was not tried. Were it counted, one client over its own limit could lock strangers' accounts, and
    /// a burst of right passwords would count as wrong ones.
    pub(crate) async fn throttle(
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
    pub(crate) fn bucket(&self, call: &Call, counted: Counted<'_>) -> [u8; 32] {
        let dialect = call.profile.dialect.as_str();
        let name = match counted {
            Counted::SignUpByIp => format!("{dialect} sign-up ip {}", call.network()),
            Counted::SignInByIp => format!("{dialect} sign-in ip {}", call.network()),
            Counted::SignInByLogin(login) => {
                format!("{dialect} sign-in {} {}", login.kind(), login.as_str())
            }
            Counted::FailedSignIn(login) => {
                format!("{dialect} failed sign-in {} {} {}", call.network(), login.kind(), login.as_str())
            }
            Counted::FailedPasswordByLogin(login) => {
                format!("failed password {} {}", login.kind(), login.as_str())
            }
            Counted::CodesAtOnceByPhone(phone) => format!("{dialect} codes at once {}", phone.expose()),
            Counted::CodesByPhone(phone) => format!("{dialect} codes {}", phone.expose()),
            Counted::CodesByIp => format!("{dialect} codes ip {}", call.network()),
            Counted::RegistrationsByPrefix(phone) => format!("{dialect} registrations {}", phone.prefix()),
            Counted::SignInsByPrefix(phone) => format!("{dialect} sign-ins {}", phone.prefix()),
            Counted::FailedCodeByAccount(account) => format!("failed code {account}"),
            Counted::FailedPhoneCodeByAccount(account) => format!("failed phone code {account}"),
            Counted::ForgotPasswordByEmail(email) => format!("{dialect} forgot-password email {email}"),
            Counted::ForgotPasswordByIp => format!("{dialect} forgot-password ip {}", call.network()),
            Counted::ResendByAccount(account) => format!("{dialect} resend {account}"),
            Counted::MailsByEmail(email) => format!("{dialect} mails {email}"),
            Counted::EmailChangeByEmail(email) => format!("{dialect} email change to {email}"),
            Counted::PasswordsSetByAccount(account) => format!("passwords set {account}"),
            Counted::PasswordsSetByOrganization(organization) => {
                format!("passwords set organization {organization}")
            }
            Counted::PasswordsSetByNetwork => format!("passwords set ip {}", call.network()),
            Counted::EmailChangeByAccount(account) => format!("{dialect} email change {account}"),
        };
        self.vault.mac("rate limit", name.as_bytes())
    }
}

/// Failures that were counted before it is known whether they are any: counting first keeps a crowd of concurrent
/// guesses within the limit. Whatever does not turn out to be a failure is taken back, also an attempt that was given up
/// half-way, or refused because there was too much to do.
pub(crate) struct Reserved {
    store: Store,
    buckets: Vec<[u8; 32]>,
}

impl Reserved {
    pub(crate) fn new(app: &Identity, call: &Call, counted: &[Counted<'_>]) -> Self {
        let buckets = counted.iter().map(|counted| app.bucket(call, *counted)).collect();
        Self { store: app.store.clone(), buckets }
    }

    /// The attempt failed: it stays counted.
    pub(crate) fn keep(&mut self) {
        self.buckets.clear();
    }

    /// Takes the attempt back in the unit of work that makes it a success.
    pub(crate) async fn refund(&self, unit: &mut Unit) -> Result<(), Fault> {
        take_back(&self.buckets, unit).await
    }

    /// That unit was committed.
    pub(crate) fn refunded(&mut self) {
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
