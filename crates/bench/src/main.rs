//! `tidegate-bench`: the figures of docs/benchmarks.md. Run it through `scripts/bench`.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a tool that starts servers, measures time and prints what it found"
)]

mod bare;
mod clients;
mod database;
mod executions;
mod factors;
mod hashing;
mod load;
mod machine;
mod oauth;
mod peers;
mod phones;
mod report;
mod scenarios;
mod server;
mod tpch;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clap::{Args, Parser};
use serde_json::json;

use crate::machine::{Machine, load_average};
use crate::scenarios::Bench;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures Tidegate against its budgets
#[derive(Parser)]
enum Command {
    /// Runs the scenarios and prints one table
    Run(Box<Options>),
    /// Serves one constant body, for comparison
    Bare {
        /// Length of the body
        #[arg(long)]
        bytes: usize,
    },
    /// Keeps one file durably and serves it, for comparison
    BareFile {
        /// Where
        #[arg(long)]
        directory: PathBuf,
    },
}

#[derive(Args)]
struct Options {
    /// The program measured
    #[arg(long)]
    binary: PathBuf,
    /// An empty directory on the disk measured
    #[arg(long)]
    work: PathBuf,
    /// A PostgreSQL server on which databases may be made
    #[arg(long, env = "TIDEGATE_TEST_POSTGRES", hide_env_values = true)]
    postgres: String,
    /// Writes the figures there, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only scenarios whose name contains this: starting, reading, listing, writing-sqlite, writing-postgres,
    /// phones-sqlite, phones-postgres, factors-sqlite,
    /// factors-postgres, oauth-sqlite, oauth-postgres, signing-in, storage, discovery, governed, planning,
    /// points-sqlite, points-postgres, rows, joins, questions, crowd, analytics-sqlite, analytics-postgres, peers, scale-sqlite, scale-postgres
    #[arg(long, default_value = "")]
    only: String,
    /// How many accounts are many
    #[arg(long, default_value_t = scenarios::FEW)]
    accounts: u64,
    /// Seconds for which each figure is measured
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Configuration keys that an earlier program does not know, such as messages.by_network
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    without: Vec<String>,
    /// Where the packages of the peers are (scripts/setup --peers); without it nothing is compared with them
    #[arg(long, value_name = "DIRECTORY")]
    peers: Option<PathBuf>,
    /// A Python with the packages of scripts/requirements-bench.txt, for the scenario governed
    #[arg(long)]
    python: Option<PathBuf>,
    /// Scale factor of TPC-H
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Rows of a large table, and executions of analytics
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(200_000..=1_000_000))]
    rows: u64,
    /// bcrypt cost of the sign-ins
    #[arg(long, default_value_t = 12)]
    cost: u32,
}

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Says what is going on.
fn progress(what: &str) {
    eprintln!("bench: [{:>4} s] {what}", BEGUN.elapsed().as_secs());
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Run(options) => run(*options),
        Command::Bare { bytes } => bare::serve(bytes),
        Command::BareFile { directory } => bare::serve_file(directory),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    let load_before = load_average()?;
    let machine = Machine::inspect(&options.work)?;
    progress(&machine.describe());
    if load_before > 0.3 {
        progress(&format!(
            "the load average is {load_before}: others share this machine, figures will be low"
        ));
    }
    let bench = Bench {
        binary: options.binary.canonicalize()?,
        work: options.work.canonicalize()?,
        postgres: options.postgres,
        counted: Duration::from_secs(options.seconds),
        accounts: options.accounts,
        cost: options.cost,
        machine,
        without: options.without,
        peers: options.peers.map(|packages| packages.canonicalize()).transpose()?,
        python: options.python,
        scale: options.scale,
        rows: options.rows,
    };
    let (rows, failed) = bench.run(&options.only);
    print!("{}", report::table(&rows));
    println!("\n{}; load average before {load_before}", bench.machine.describe());
    if let Some(path) = options.json {
        let rows: Vec<_> = rows.iter().map(report::Row::json).collect();
        let figures = json!({
            "machine": bench.machine.json(),
            "load_average_before": load_before,
            "seconds": options.seconds,
            "bcrypt_cost": options.cost,
            "rows": rows,
            "failed": failed,
        });
        std::fs::write(path, format!("{figures:#}\n"))?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", ")).into()) }
}
