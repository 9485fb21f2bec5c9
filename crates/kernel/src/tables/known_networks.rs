//! Networks that accounts have signed in from.

use std::time::Duration;

use tidegate_database::{Result, Unit, execute, fetch_optional, prune, put_off};
use tidegate_domain::Timestamp;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::AccountId;

/// Known networks of a unit of work.
pub struct KnownNetworks<'u>(pub(crate) &'u mut Unit);

/// How long a network is known that an account signed in from.
pub const KEEP_NETWORKS: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How often it is noted that an account signs in from a network it has signed in from.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// Networks remembered of one account; a further one replaces the one not used for longest.
pub const MOST: i64 = 10;

impl KnownNetworks<'_> {
    /// Whether the account that signs in as `login` has done so from that network since `since`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn is_known(&mut self, login: &LoginName, network: &[u8], since: Timestamp) -> Result<bool> {
        let found = fetch_optional!(
            self.0,
            (i64,),
            "select known_networks.last_success_at from known_networks
             join identifiers on identifiers.account_id = known_networks.account_id
             where identifiers.kind = $1 and identifiers.value = $2 and known_networks.network_mac = $3
                and known_networks.last_success_at > $4",
            login.kind(),
            login.as_str(),
            network,
            since.micros(),
        )?;
        Ok(found.is_some())
    }

    /// Notes that the account signed in from that network, once an hour.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remember(&mut self, account: AccountId, network: &[u8], now: Timestamp) -> Result<()> {
        // An account that the unit made has this network alone.
        if self.0.has_made(account.0) {
            return put_off!(
                self.0,
                "insert into known_networks (account_id, network_mac, last_success_at) values ($1, $2, $3)
                 on conflict do nothing",
                account.0,
                network,
                now.micros(),
            );
        }
        let noted = execute!(
            self.0,
            "insert into known_networks (account_id, network_mac, last_success_at) values ($1, $2, $3)
             on conflict (account_id, network_mac) do update set last_success_at = excluded.last_success_at
             where known_networks.last_success_at <= $4",
            account.0,
            network,
            now.micros(),
            now.minus(NOTED_EVERY).micros(),
        )?;
        if noted == 0 {
            return Ok(());
        }
        execute!(
            self.0,
            "delete from known_networks where account_id = $1 and network_mac not in
                (select network_mac from known_networks where account_id = $1
                 order by last_success_at desc, network_mac limit $2)",
            account.0,
            MOST,
        )?;
        Ok(())
    }

    /// Forgets all networks of the account.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from known_networks where account_id = $1", account.0)?;
        Ok(())
    }

    /// Removes networks last used before `before`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, at_most: i64) -> Result<u64> {
        prune!(
            self.0,
            "known_networks",
            "account_id, network_mac",
            "where last_success_at < $1 order by last_success_at limit $2",
            before.micros(),
            at_most,
        )
    }
}
