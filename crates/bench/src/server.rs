//! Server processes: Tidegate as an operator runs it, and the bare one it is compared with.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::load::{Load, Measured, Timing, run, with_connection};
use crate::wire::get;

/// What no benchmark reaches. Counting goes on, so what counting costs is measured.
const NO_LIMIT: &str = "{ attempts = 1000000000, window = 3600 }";

/// The hash function of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hash {
    /// bcrypt of this cost.
    Bcrypt(u32),
    /// Argon2id so small that it does not count: what is left of a sign-up is everything else.
    Negligible,
}

/// How a Tidegate is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The program.
    pub(crate) binary: PathBuf,
    /// Its directory: configuration, data, log.
    pub(crate) dir: PathBuf,
    /// PostgreSQL, or else SQLite in the data directory.
    pub(crate) postgres: Option<String>,
    /// How it hashes passwords.
    pub(crate) hash: Hash,
    /// Configuration keys that it does not know.
    pub(crate) without: Vec<String>,
    /// Further lines of configuration, such as `prompts.at_once = 64`.
    pub(crate) more: Vec<&'static str>,
}

impl Setup {
    /// The database's file, if it is one.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("data/tidegate.db")
    }

    /// What its messages are sealed under.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.join("data/master.key")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("tidegate.toml")
    }

    fn write_config(&self) -> Result<()> {
        let mut text = format!("data_dir = {:?}\n", self.dir.join("data"));
        if let Some(url) = &self.postgres {
            writeln!(text, "database = {url:?}")?;
        }
        for (section, limits) in [
            (
                "",
                &[
                    "failed_passwords_by_account",
                    "failed_codes_by_network",
                    "passwords_set_by_account",
                    "passwords_set_by_organization",
                    "passwords_set_by_network",
                ][..],
            ),
            ("messages", &["by_recipient", "by_network", "by_account", "by_organization"]),
            (
                "rivergen.limits",
                &["sign_up_by_ip", "sign_in_by_ip", "sign_in_by_email", "passkey_challenges_by_ip"],
            ),
            ("ingestiq.limits", &["failed_sign_in", "anonymous_requests", "authenticated_requests"]),
            ("crossing_minds.limits", &["requests_by_organization"]),
            ("riven.limits", &["anonymous_requests", "authenticated_requests"]),
            ("oauth", &["codes_by_account", "requests_by_client"]),
            ("phone.limits", &["by_phone_at_once", "by_phone", "by_ip", "by_prefix"]),
        ] {
            let key = |limit: &str| {
                if section.is_empty() { limit.to_owned() } else { format!("{section}.{limit}") }
            };
            for limit in limits.iter().filter(|limit| !self.without.contains(&key(limit))) {
                writeln!(text, "{} = {NO_LIMIT}", key(limit))?;
            }
        }
        // The data sources measured are on this machine.
        if !self.without.iter().any(|key| key == "data.allowed_networks") {
            writeln!(text, "data.allowed_networks = [\"127.0.0.0/8\"]")?;
        }
        for line in &self.more {
            writeln!(text, "{line}")?;
        }
        match self.hash {
            Hash::Bcrypt(cost) => writeln!(text, "[password_hash]\nscheme = \"bcrypt\"\ncost = {cost}")?,
            Hash::Negligible => writeln!(
                text,
                "[password_hash]\nscheme = \"argon2id\"\nmemory_kib = 8\niterations = 1\nparallelism = 1"
            )?,
        }
        fs::create_dir_all(&self.dir)?;
        Ok(fs::write(self.config(), text)?)
    }

    /// Makes the database with the present schema.
    pub(crate) fn migrate(&self) -> Result<()> {
        self.write_config()?;
        // Earlier programs make a new database without being told to.
        let help = private(&self.binary).args(["migrate", "--help"]).output()?;
        let is_told = String::from_utf8_lossy(&help.stdout).contains("--new");
        let mut migrate = private(&self.binary);
        migrate.arg("migrate").args(is_told.then_some("--new")).arg("--config").arg(self.config());
        let output = migrate.output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("tidegate migrate: {}", String::from_utf8_lossy(&output.stderr)).into())
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start(&self) -> Result<Server> {
        self.write_config()?;
        let mut command = private(&self.binary);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--config"]).arg(self.config());
        // As a service manager would: standard error, no terminal, the default filter and format.
        Server::start(command, &self.dir.join("log"))
    }
}

/// A server, killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    begun: Instant,
}

impl Server {
    /// This program's own bare server.
    pub(crate) fn bare(bytes: usize, dir: &Path) -> Result<Self> {
        let mut command = private(&std::env::current_exe()?);
        command.args(["bare", "--bytes", &bytes.to_string()]);
        Self::start(command, &dir.join("bare.log"))
    }

    /// This program's own bare server of one file, which it keeps in `dir`.
    pub(crate) fn bare_file(dir: &Path) -> Result<Self> {
        let mut command = private(&std::env::current_exe()?);
        command.args(["bare-file", "--directory"]).arg(dir);
        Self::start(command, &dir.join("bare-file.log"))
    }

    /// Starts a program that says where it listens as Tidegate does; what else it says goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(log)?).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.as_mut() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Self { child, address, begun }),
            None => {
                drop(child.kill());
                child.wait()?;
                Err(format!("the server did not start: {}", fs::read_to_string(log)?).into())
            }
        }
    }

    /// From the start of the process to its first 200.
    pub(crate) fn time_to_first_answer(&self) -> Result<Duration> {
        self.time_to("/healthz")
    }

    /// From the start of the process to its first 200 for `path`.
    pub(crate) fn time_to(&self, path: &str) -> Result<Duration> {
        with_connection(self.address, async |connection| {
            connection.call(&get(path, None)).await?.expect(200)
        })?;
        Ok(self.begun.elapsed())
    }

    /// Puts one load on it; answers what came of it and how much CPU time an answer took.
    pub(crate) fn measure(&self, load: Load, timing: Timing) -> Result<(Measured, Duration)> {
        let before = self.cpu_time()?;
        let measured = run(self.address, vec![load], timing)?.pop().ok_or("one load, one measurement")?;
        let spent = self.cpu_time()? - before;
        let each = spent.div_f64(measured.answers as f64);
        Ok((measured, each))
    }

    /// User and system time of all its threads and those of its workers so far.
    fn cpu_time(&self) -> Result<Duration> {
        self.processes().into_iter().map(cpu_time_of).sum()
    }

    /// Its process and the workers that this one started.
    fn processes(&self) -> Vec<u32> {
        let first = self.child.id();
        let children = format!("/proc/{first}/task/{first}/children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|process| process.parse().ok());
        std::iter::once(first).chain(children).collect()
    }

    /// Memory of all its processes together in MB, each page that several of them share counted once.
    pub(crate) fn memory_together(&self) -> Result<f64> {
        self.processes().into_iter().map(|process| memory(process, "smaps_rollup", "Pss:")).sum()
    }

    /// Memory in MB that no file is behind.
    pub(crate) fn memory_of_its_own(&self) -> Result<f64> {
        memory(self.child.id(), "status", "RssAnon:")
    }

    /// Resident memory in MB: now, and the most there was.
    pub(crate) fn memory(&self) -> Result<(f64, f64)> {
        memory_of(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Resident memory of a process in MB: now, and the most there was.
pub(crate) fn memory_of(process: u32) -> Result<(f64, f64)> {
    Ok((memory(process, "status", "VmRSS:")?, memory(process, "status", "VmHWM:")?))
}

/// One measure of a process's memory in MB, out of a file of `/proc`.
fn memory(process: u32, file: &str, name: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/{file}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no memory in /proc")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1_024.0 / 1_000_000.0)
}

/// User and system time of all threads of a process so far. In hundredths of a second, the unit of Linux.
fn cpu_time_of(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, which may hold anything, ends with the last parenthesis; fields 14 and 15 are the 12th and 13th after.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// A process that ends with this one, however that ends, and has no configuration in its environment.
pub(crate) fn private(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).stdin(Stdio::null()).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}
