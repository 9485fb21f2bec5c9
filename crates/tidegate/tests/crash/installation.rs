//! An installation whose server can be killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, Fixture, TestDatabase};

/// Hashes that cost nothing and limits nobody reaches: what is tested is what is written, and there should be a lot.
const CONFIG: &str = r#"
public_url = "http://127.0.0.1"
failed_passwords_by_account = { attempts = 0, window = 1 }
passwords_set_by_account = { attempts = 0, window = 1 }
passwords_set_by_network = { attempts = 0, window = 1 }
failed_codes_by_network = { attempts = 0, window = 1 }
[messages]
by_recipient = { attempts = 0, window = 1 }
by_network = { attempts = 0, window = 1 }
by_account = { attempts = 0, window = 1 }
by_organization = { attempts = 0, window = 1 }
[password_hash]
cost = 4
[rivergen.limits]
sign_up_by_ip = { attempts = 0, window = 1 }
sign_in_by_ip = { attempts = 0, window = 1 }
sign_in_by_email = { attempts = 0, window = 1 }
[ingestiq.limits]
failed_sign_in = { attempts = 0, window = 1 }
anonymous_requests = { attempts = 0, window = 1 }
authenticated_requests = { attempts = 0, window = 1 }
"#;

/// A directory, a database, and the program to run in them.
pub(crate) struct Installation {
    directory: TempDir,
    pub(crate) database: TestDatabase,
}

/// A process that may serve or be about to; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// A server.
pub(crate) struct Server {
    process: Process,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
}

impl Fixture for Installation {
    async fn prepare(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("tidegate.toml"), CONFIG).unwrap();
        Self { directory, database: TestDatabase::empty(engine).await }
    }
}

impl Installation {
    /// The program, in an environment of its own.
    #[expect(clippy::disallowed_methods, reason = "the program is what these tests run")]
    fn command(&self, arguments: &[&str]) -> Command {
        let database = match self.database.url() {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => url,
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(arguments).current_dir(self.directory.path()).env_clear().stdin(Stdio::null());
        command.env("TIDEGATE_DATABASE", database);
        command
    }

    /// Starts a server, without waiting until it serves.
    pub(crate) fn start(&self) -> Process {
        let log = self.directory.path().join("log");
        let child = self
            .command(&["serve", "--dev", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process { child, log }
    }

    /// Starts a server; answers when it serves.
    pub(crate) fn serve(&self) -> Server {
        let mut process = self.start();
        let mut line = String::new();
        BufReader::new(process.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        match line.trim().strip_prefix("listening on ") {
            Some(base) => Server { base: base.to_owned(), process },
            None => panic!("it does not start: {}", process.log()),
        }
    }

    /// What the outbox holds, as the command beside the server tells it.
    pub(crate) fn outbox(&self) -> Vec<Value> {
        let output = self.command(&["outbox", "list", "--limit", "10000", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Process {
    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it in the middle of whatever it does, as a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    /// See [`Process::kill`].
    pub(crate) fn kill(self) {
        self.process.kill();
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.process.child), Signal::TERM).unwrap();
        let status = self.process.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.process.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
