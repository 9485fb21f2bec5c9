//! Overviews of accounts, as a node remembers them.

use std::sync::Arc;

use tidegate_domain::account::{Account, AccountEmail, MemberOrganization, Workspace};
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::AccountId;
use tidegate_domain::{PhoneNumber, Timestamp};
use tidegate_kernel::cache::{MAX_AGE, REMEMBERED, ReadCache, Stamp};

/// An account with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The account.
    pub account: Account,
    /// Its addresses, the primary one first.
    pub emails: Vec<AccountEmail>,
    /// Its phones.
    pub phones: Vec<PhoneNumber>,
    /// Where it is a member.
    pub organizations: Vec<MemberOrganization>,
    /// What it may enter.
    pub workspaces: Vec<Workspace>,
    /// Sign-ins recorded, failed ones included.
    pub sign_ins: i64,
    /// Sessions neither ended nor expired.
    pub active_sessions: i64,
    /// The kinds of second factor it has.
    pub factors: Vec<FactorKind>,
    /// The providers that sign in to it.
    pub social: Vec<String>,
}

/// Most bytes of a picture and documents that are remembered: thousands of megabyte pictures would be all of a node's
/// memory.
const WORTH_REMEMBERING: usize = 4 * 1024;

impl Overview {
    /// Bytes of what people can make large.
    fn weight(&self) -> usize {
        let account = &self.account;
        account.profile_image_url.as_ref().map_or(0, String::len)
            + account.profile.as_str().len()
            + account.user_metadata.as_str().len()
    }
}

/// The overviews read lately.
pub(crate) struct OverviewCache(ReadCache<AccountId, Arc<Overview>>);

impl OverviewCache {
    pub(crate) fn new() -> Self {
        Self(ReadCache::new(REMEMBERED))
    }

    /// The account's overview, where one is remembered that still holds.
    pub(crate) fn get(&self, account: AccountId, stamp: Stamp, now: Timestamp) -> Option<Arc<Overview>> {
        self.0.get(&account, stamp, now, MAX_AGE)
    }

    /// Remembers an overview, unless it is large.
    pub(crate) fn put(&self, account: AccountId, overview: &Arc<Overview>, stamp: Stamp, now: Timestamp) {
        if overview.weight() <= WORTH_REMEMBERING {
            self.0.put(account, Arc::clone(overview), stamp, now);
        }
    }
}
