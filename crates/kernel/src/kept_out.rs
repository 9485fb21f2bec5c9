//! Which limits keep an account out just now, for its operator, and how an operator lifts them.
//!
//! Buckets are named by keyed hashes, so those of a network are found only where the network is known: the operator's commands take
//! the addresses from the sign-ins that failed.

use std::collections::HashSet;
use std::net::IpAddr;

use tidegate_domain::Timestamp;
use tidegate_domain::account::LoginName;
use tidegate_domain::contract::Limits;
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::Limit;

use crate::counted::Counted;
use crate::counted_factor::{CountedFactor, FactorUse};
use crate::fault::Fault;
use crate::{Call, Kernel, KernelTables, Settings, Work};

/// What was done too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptOutBy {
    /// Wrong passwords for the account.
    WrongPasswords,
    /// Wrong codes for the account.
    WrongCodes,
    /// Sign-ins to the account, wrong or right.
    SignIns,
    /// Sign-ins of a network, to whichever account.
    SignInsOfNetwork,
    /// Wrong codes of a network, for whichever account.
    WrongCodesOfNetwork,
}

impl KeptOutBy {
    /// Its name, for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongPasswords => "wrong_passwords",
            Self::WrongCodes => "wrong_codes",
            Self::SignIns => "sign_ins",
            Self::SignInsOfNetwork => "sign_ins_of_network",
            Self::WrongCodesOfNetwork => "wrong_codes_of_network",
        }
    }

    /// Whether an operator can lift it for the account. What a network used up for all accounts ends by itself.
    pub const fn is_of_account(self) -> bool {
        matches!(self, Self::WrongPasswords | Self::WrongCodes | Self::SignIns)
    }
}

/// A limit that keeps an account out just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptOut {
    /// What was done too often.
    pub by: KeptOutBy,
    /// The client that is kept out; none where every client is that the account has not signed in from.
    pub client: Option<IpAddr>,
    /// The configuration key of the limit.
    pub limit: String,
    /// Until when.
    pub until: Timestamp,
}

/// A limit that sign-ins to an account are held against.
type Rule<'l> = (KeptOutBy, Counted<'l>, Option<Limit>);

/// Such a limit, with the call that names its buckets.
struct Held<'l> {
    by: KeptOutBy,
    counted: Counted<'l>,
    limit: Limit,
    call: Call,
}

impl Work<'_> {
    /// The limits that keep the account out just now, from the addresses of `clients` or from any.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn kept_out(
        &mut self,
        account: AccountId,
        logins: &[LoginName],
        clients: &[IpAddr],
    ) -> Result<Vec<KeptOut>, Fault> {
        let kernel = self.kernel;
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        for held in kernel.held_against(self.call, account, logins, clients) {
            for bucket in kernel.buckets(&held.call, held.counted) {
                let limit = held.limit.times(bucket.times);
                let status = self.unit.limits().next(&bucket.mac, limit, self.now).await?;
                let Some(status) = status.filter(|status| status.exceeded) else { continue };
                // Some are counted for all contracts together.
                if seen.insert(bucket.mac) {
                    found.push(KeptOut {
                        by: held.by,
                        client: held.call.ip,
                        limit: held.counted.limit_key(held.call.profile.contract.as_str()),
                        until: status.resets_at,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Lets an account sign in again that wrong passwords or codes keep out, at the hosted pages and through all contracts: from
    /// networks it has not signed in from, and from the addresses of `clients`. What one network used up for all accounts stays
    /// used up for that network: see `docs/operations.md`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn unlock(
        &mut self,
        account: AccountId,
        logins: &[LoginName],
        clients: &[IpAddr],
    ) -> Result<(), Fault> {
        let kernel = self.kernel;
        let mut cleared = HashSet::new();
        for held in kernel.held_against(self.call, account, logins, clients) {
            if !held.by.is_of_account() {
                continue;
            }
            for bucket in kernel.bucket_names(&held.call, held.counted) {
                if cleared.insert(bucket) {
                    self.unit.limits().clear(&bucket).await?;
                }
            }
        }
        Ok(())
    }
}

impl Kernel {
    /// Every limit that a sign-in to the account is held against, by whichever way and from whichever of `clients` it comes.
    fn held_against<'l>(
        &self,
        call: &Call,
        account: AccountId,
        logins: &'l [LoginName],
        clients: &[IpAddr],
    ) -> Vec<Held<'l>> {
        let settings = &self.settings;
        let mut all = Vec::new();
        let mut hold = |call: &Call, rules: Vec<Rule<'l>>| {
            all.extend(rules.into_iter().filter_map(|(by, counted, limit)| {
                Some(Held { by, counted, limit: limit?, call: call.clone() })
            }));
        };
        // The hosted pages are no contract.
        for profile in settings.contracts.iter().chain([&settings.browser]) {
            let under = call.under(profile);
            hold(&under, from_anywhere(&profile.limits, settings, account, logins));
            for client in clients {
                hold(&under.as_from(*client), from_one(&profile.limits, settings, account, logins));
            }
        }
        all
    }
}

/// What is counted wherever a sign-in comes from.
fn from_anywhere<'l>(
    limits: &Limits,
    settings: &Settings,
    account: AccountId,
    logins: &'l [LoginName],
) -> Vec<Rule<'l>> {
    let in_a_row = Counted::Factor(CountedFactor::WrongInARow(account, FactorUse::SignIn));
    let mut rules = vec![
        (KeptOutBy::WrongCodes, Counted::FailedCodeByAccount(account), settings.failed_codes_by_account),
        (KeptOutBy::WrongCodes, in_a_row, limits.wrong_second_factor),
    ];
    for login in logins {
        rules.extend([
            (
                KeptOutBy::WrongPasswords,
                Counted::FailedPasswordByLogin(login),
                settings.failed_passwords_by_account,
            ),
            (KeptOutBy::WrongCodes, Counted::FailedPhoneCode(login), settings.failed_codes_by_account),
            (KeptOutBy::SignIns, Counted::SignInByLogin(login), limits.sign_in_by_email),
        ]);
    }
    rules
}

/// What is counted of each network on its own.
fn from_one<'l>(
    limits: &Limits,
    settings: &Settings,
    account: AccountId,
    logins: &'l [LoginName],
) -> Vec<Rule<'l>> {
    let in_a_row = CountedFactor::WrongInARowFromKnownNetwork(account, FactorUse::SignIn);
    let in_an_hour = CountedFactor::WrongFromKnownNetwork(account);
    let mut rules = vec![
        (KeptOutBy::WrongCodes, Counted::Factor(in_a_row), limits.wrong_second_factor),
        (KeptOutBy::WrongCodes, Counted::Factor(in_an_hour), settings.failed_codes_by_account),
        (KeptOutBy::SignInsOfNetwork, Counted::SignInByIp, limits.sign_in_by_ip),
        (KeptOutBy::WrongCodesOfNetwork, Counted::FailedCodeByNetwork, settings.failed_codes_by_network),
    ];
    for login in logins {
        rules.extend([
            (KeptOutBy::WrongPasswords, Counted::FailedSignIn(login), limits.failed_sign_in),
            (
                KeptOutBy::WrongPasswords,
                Counted::FailedPasswordFromKnownNetwork(login),
                settings.failed_passwords_by_account,
            ),
            (
                KeptOutBy::WrongCodes,
                Counted::FailedPhoneCodeFromKnownNetwork(login),
                settings.failed_codes_by_account,
            ),
        ]);
    }
    rules
}
