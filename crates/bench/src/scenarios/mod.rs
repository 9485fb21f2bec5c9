//! What is measured.

mod analytics;
mod crowd;
mod data;
mod discovery;
mod factors;
mod governed;
mod joins;
mod listing;
mod oauth;
mod peers;
mod phones;
mod planning;
mod points;
mod questions;
mod reading;
mod rows;
mod scale;
mod signing_in;
mod starting;
mod storage;
mod writing;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::clients::{Contract, SigningIn, email};
use crate::load::{Client, Load, Pace, Timing, with_connection};
use crate::machine::Machine;
use crate::report::Row;
use crate::server::{Hash, Setup};
use crate::{Result, database, hashing, progress};

pub(crate) const SQLITE: &str = "SQLite";
pub(crate) const POSTGRES: &str = "PostgreSQL";
/// Connections that ask as fast as they are answered.
pub(crate) const CONNECTIONS: usize = 64;
/// Accounts in every database, and what many accounts are compared with.
pub(crate) const FEW: u64 = 1_000;
/// The cheapest bcrypt there is, where the hash is not what is measured.
pub(crate) const LOW_COST: u32 = 4;

/// What every scenario needs.
pub(crate) struct Bench {
    /// The program measured.
    pub(crate) binary: PathBuf,
    /// Everything written goes here.
    pub(crate) work: PathBuf,
    /// A PostgreSQL server on which databases may be made.
    pub(crate) postgres: String,
    /// How long a figure is measured.
    pub(crate) counted: Duration,
    /// How many accounts are many.
    pub(crate) accounts: u64,
    /// The bcrypt cost where the hash is what is measured.
    pub(crate) cost: u32,
    pub(crate) machine: Machine,
    /// Configuration keys that the program does not know.
    pub(crate) without: Vec<String>,
    /// Where the packages of the peers are, if they are installed.
    pub(crate) peers: Option<PathBuf>,
    /// A Python that has the packages of scripts/requirements-bench.txt.
    pub(crate) python: Option<PathBuf>,
    /// The scale factor of TPC-H.
    pub(crate) scale: f64,
    /// How many rows a table has that is large, and how many executions are many.
    pub(crate) rows: u64,
}

impl Bench {
    /// Runs those whose name contains `only`; answers their rows, and which of them failed: the others' figures are not lost by that.
    pub(crate) fn run(&self, only: &str) -> (Vec<Row>, Vec<&'static str>) {
        type Scenario = fn(&Bench) -> Result<Vec<Row>>;
        let scenarios: [(&'static str, Scenario); 27] = [
            ("starting", starting::measure),
            ("reading", reading::measure),
            ("listing", listing::measure),
            ("writing-sqlite", |bench| writing::measure(bench, SQLITE)),
            ("writing-postgres", |bench| writing::measure(bench, POSTGRES)),
            ("phones-sqlite", |bench| phones::measure(bench, SQLITE)),
            ("phones-postgres", |bench| phones::measure(bench, POSTGRES)),
            ("factors-sqlite", |bench| factors::measure(bench, SQLITE)),
            ("factors-postgres", |bench| factors::measure(bench, POSTGRES)),
            ("oauth-sqlite", |bench| oauth::measure(bench, SQLITE)),
            ("oauth-postgres", |bench| oauth::measure(bench, POSTGRES)),
            ("signing-in", signing_in::measure),
            ("storage", storage::measure),
            ("discovery", discovery::measure),
            ("peers", peers::measure),
            ("governed", governed::measure),
            ("planning", planning::measure),
            ("points-sqlite", |bench| points::measure(bench, SQLITE)),
            ("points-postgres", |bench| points::measure(bench, POSTGRES)),
            ("rows", rows::measure),
            ("joins", joins::measure),
            ("questions", questions::measure),
            ("crowd", crowd::measure),
            ("analytics-sqlite", |bench| analytics::measure(bench, SQLITE)),
            ("analytics-postgres", |bench| analytics::measure(bench, POSTGRES)),
            ("scale-sqlite", |bench| scale::measure(bench, SQLITE)),
            ("scale-postgres", |bench| scale::measure(bench, POSTGRES)),
        ];
        let (mut rows, mut failed) = (Vec::new(), Vec::new());
        for (name, scenario) in scenarios.into_iter().filter(|(name, _)| name.contains(only)) {
            progress(&format!("== {name}"));
            match scenario(self) {
                Ok(measured) => rows.extend(measured),
                Err(error) => {
                    progress(&format!("{name} failed: {error}"));
                    failed.push(name);
                }
            }
        }
        (rows, failed)
    }

    /// A set-up with a database of its own, empty.
    fn setup(&self, name: &str, store: &str, hash: Hash) -> Result<Setup> {
        let postgres = match store {
            POSTGRES => Some(database::create_postgres(&self.postgres, &format!("bench_{name}"))?),
            _ => None,
        };
        Ok(Setup {
            binary: self.binary.clone(),
            dir: self.work.join(format!("{name}-{store}")),
            postgres,
            hash,
            without: self.without.clone(),
            more: Vec::new(),
        })
    }

    /// A set-up with `accounts` accounts.
    fn seeded(&self, name: &str, store: &str, cost: u32, accounts: u64) -> Result<Setup> {
        let setup = self.setup(name, store, Hash::Bcrypt(cost))?;
        database::seed(&setup, accounts, &hashing::stored_password(cost)?)?;
        Ok(setup)
    }

    fn timing(&self) -> Timing {
        Timing { warm_up: Duration::from_secs(2), counted: self.counted }
    }
}

/// Signs in the seeded accounts of these numbers; answers access and refresh token of each.
fn sign_in(server: SocketAddr, contract: Contract, accounts: &[u64]) -> Result<Vec<(String, String)>> {
    with_connection(server, async |connection| {
        let mut tokens = Vec::with_capacity(accounts.len());
        for account in accounts {
            let answer = connection.call(&contract.sign_in(&email(*account))).await?;
            tokens.push(contract.tokens(&answer.json(200)?)?);
        }
        Ok(tokens)
    })
}

/// The first accounts, as many as there are connections.
fn first_accounts() -> Vec<u64> {
    (0..CONNECTIONS as u64).collect()
}

/// Clients that ask as fast as they are answered.
fn as_answered<C: Client + 'static>(clients: impl IntoIterator<Item = C>) -> Load {
    Load { clients: boxed(clients), pace: Pace::AsAnswered }
}

/// Clients that ask so many times a second, all of them together.
fn per_second<C: Client + 'static>(rate: u32, clients: impl IntoIterator<Item = C>) -> Load {
    Load { clients: boxed(clients), pace: Pace::PerSecond(rate) }
}

fn boxed<C: Client + 'static>(clients: impl IntoIterator<Item = C>) -> Vec<Box<dyn Client>> {
    clients.into_iter().map(|client| -> Box<dyn Client> { Box::new(client) }).collect()
}

/// `count` clients who sign in any of `accounts` accounts.
fn signing_in(contract: Contract, count: u64, accounts: u64) -> impl Iterator<Item = SigningIn> {
    (0..count).map(move |seed| SigningIn::new(contract, accounts, seed))
}
