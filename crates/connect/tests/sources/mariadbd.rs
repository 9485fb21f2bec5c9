//! A MariaDB for the time of a test, and what starting a server takes. Other crates' tests start it, too: there is no code of ours in here.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A program that is stopped when this is dropped.
pub(crate) struct Program {
    pub(crate) child: Child,
    /// By the end of its input; else it is killed.
    pub(crate) gently: bool,
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.gently {
            drop(self.child.stdin.take());
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A port nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub(crate) fn wait_for(port: u16, what: &str) {
    for _ in 0..600 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not start");
}

pub(crate) fn installed(names: &[&str]) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"];
    let mut all =
        folders.iter().flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)));
    all.find(|path| path.exists()).unwrap_or_else(|| panic!("{names:?} is not installed; run scripts/setup"))
}

pub(crate) fn run(program: &Path, arguments: &[&str]) {
    run_to_its_end(Command::new(program).args(arguments));
}

fn run_to_its_end(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let program = command.get_program();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the tests run as root, whom some servers refuse to run as.
pub(crate) fn is_root() -> bool {
    tempfile::tempdir().is_ok_and(|made| made.path().metadata().is_ok_and(|of| of.uid() == 0))
}

/// A private MariaDB.
pub(crate) struct Mariadb {
    _program: Program,
    _dir: TempDir,
    pub(crate) port: u16,
}

impl Mariadb {
    pub(crate) fn start(extra: &[String]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let user = if is_root() { "mysql" } else { "" };
        if is_root() {
            run(Path::new("/bin/chown"), &["-R", "mysql", dir.path().to_str().unwrap()]);
            run(Path::new("/bin/chmod"), &["755", dir.path().to_str().unwrap()]);
        }
        let data = format!("--datadir={}", data.display());
        let by = format!("--user={user}");
        let mut arguments =
            vec!["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"];
        if is_root() {
            arguments.push(&by);
        }
        // When it starts, it removes what others have in the directory for temporary tables.
        let apart = |names: &[&str]| {
            let mut command = Command::new(installed(names));
            command.env("TMPDIR", dir.path());
            command
        };
        run_to_its_end(apart(&["mariadb-install-db"]).args(&arguments));
        let port = free_port();
        let mut command = apart(&["mariadbd", "mysqld"]);
        command.args([
            "--no-defaults",
            &data,
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]);
        command.arg(format!("--port={port}")).arg(format!("--socket={}/socket", dir.path().display()));
        command.arg("--innodb-buffer-pool-size=64M").args(extra);
        if is_root() {
            command.arg(&by);
        }
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let program = Program { child, gently: false };
        wait_for(port, "MariaDB");
        Self { _program: program, _dir: dir, port }
    }
}
