//! Exact rate limits for what must not be guessed: counted in the store, before any look-up.

use tidegate_database::Unit;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::{Exceeded, Limit, LimitStatus};
use tidegate_domain::{PhoneNumber, Timestamp};

pub use crate::counted::Counted;
use crate::counted::Scope;
use crate::counted_client::CountedClient;
use crate::fault::Fault;
use crate::node::counting::{Judged, ProvisionalCount};
use crate::tables::known_networks::KEEP_NETWORKS;
use crate::tables::limits::Attempts;
use crate::{Call, Kernel, KernelTables, Work, noted};

/// Notes which limit was reached: for the answer, and for the operator where it is shared by all accounts.
fn note_exceeded(call: &Call, counted: Counted<'_>) {
    if let Counted::RegistrationsByPrefix(phone) = counted {
        let prefix = phone.prefix();
        tracing::warn!(prefix, "no more codes for these numbers; see [phone.limits] by_prefix");
    }
    if let Counted::Client(CountedClient::UserCodes) = counted {
        tracing::warn!(
            "codes of devices are being guessed: nobody can type one for now; see [oauth] user_codes"
        );
    }
    noted::limit(|| counted.limit_key(call.profile.contract.as_str()));
}

/// The first attempt that is over its limit.
fn first_exceeded<A: Copy>(attempts: &[A], counts: &[Option<Exceeded>]) -> Option<(A, Exceeded)> {
    attempts.iter().zip(counts).find_map(|(attempt, exceeded)| Some((*attempt, (*exceeded)?)))
}

/// By how much each is over its limit, by the statuses of the buckets of all.
fn exceeded_of(
    buckets: &[Vec<Attempts>],
    statuses: Vec<LimitStatus>,
    now: Timestamp,
) -> Vec<Option<Exceeded>> {
    let mut statuses = statuses.into_iter();
    let of_one = |buckets: &Vec<Attempts>| {
        // All of its statuses are taken, so that the next one's follow.
        let of_one: Vec<_> = statuses.by_ref().take(buckets.len()).collect();
        of_one.into_iter().find(|status| status.exceeded).map(|status| status.exceeded_at(now))
    };
    buckets.iter().map(of_one).collect()
}

/// What an attempt is counted in.
pub(crate) struct Bucket {
    /// Its name in the store.
    pub(crate) mac: [u8; 32],
    /// Factor on the limit.
    pub(crate) times: u32,
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
        let mut taken = self.count_apart(call, &limited).await??;
        taken.keep();
        Ok(())
    }

    /// Counts each of `attempts` apart from any unit of work, or none of them; answers by how much it is too many, if it is. What is
    /// counted is taken back unless it is kept.
    pub(crate) async fn count_apart(
        &self,
        call: &Call,
        attempts: &[(Counted<'_>, Limit)],
    ) -> Result<Result<ProvisionalCount, Exceeded>, Fault> {
        let (now, buckets) = (self.now(), self.attempts(call, attempts));
        let Judged { statuses, taken } = self.counting.count(buckets.concat(), now).await?;
        let Some(((counted, _), exceeded)) = first_exceeded(attempts, &exceeded_of(&buckets, statuses, now))
        else {
            return Ok(Ok(taken));
        };
        note_exceeded(call, counted);
        Ok(Err(exceeded))
    }

    /// Counts each of `attempts`, all in one statement; answers by how much each is over its limit.
    pub(crate) async fn count_each(
        &self,
        unit: &mut Unit,
        call: &Call,
        attempts: &[(Counted<'_>, Limit)],
        now: Timestamp,
    ) -> Result<Vec<Option<Exceeded>>, Fault> {
        let buckets = self.attempts(call, attempts);
        let statuses = unit.limits().count_all(&buckets.concat(), now).await?;
        Ok(exceeded_of(&buckets, statuses, now))
    }

    /// The attempts in the buckets of each.
    fn attempts(&self, call: &Call, attempts: &[(Counted<'_>, Limit)]) -> Vec<Vec<Attempts>> {
        let of_one = |(counted, limit): &(Counted<'_>, Limit)| {
            let limited =
                |Bucket { mac, times }| Attempts { bucket: mac, limit: limit.times(times), times: 1 };
            self.buckets(call, *counted).into_iter().map(limited).collect()
        };
        attempts.iter().map(of_one).collect()
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

    /// Whether the account that signs in as `login` has done so from the caller's network.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn is_known_network(
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
    pub(crate) fn buckets(&self, call: &Call, counted: Counted<'_>) -> Vec<Bucket> {
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
        let Some(limit) = limit else { return Ok(None) };
        Ok(self.count_each(&[(counted, limit)]).await?.pop().flatten())
    }

    /// Counts one more against each of the limits, all in one statement; answers by how much each is too many, if it is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_each(
        &mut self,
        attempts: &[(Counted<'_>, Limit)],
    ) -> Result<Vec<Option<Exceeded>>, Fault> {
        let counts = self.kernel.count_each(self.unit, self.call, attempts, self.now).await?;
        if let Some(((counted, _), _)) = first_exceeded(attempts, &counts) {
            note_exceeded(self.call, counted);
        }
        Ok(counts)
    }

    /// Takes back what turned out not to count.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refund(&mut self, counted: &[Counted<'_>]) -> Result<(), Fault> {
        let buckets = counted.iter().flat_map(|counted| self.kernel.bucket_names(self.call, *counted));
        let buckets: Vec<_> = buckets.collect();
        Ok(self.unit.limits().refund_all(&buckets).await?)
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

    async fn clear(&mut self, counted: Counted<'_>) -> Result<(), Fault> {
        for bucket in self.kernel.bucket_names(self.call, counted) {
            self.unit.limits().clear(&bucket).await?;
        }
        Ok(())
    }
}
