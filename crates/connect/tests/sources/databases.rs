//! PostgreSQL and MariaDB for the time of a test. The engine's tests start them, too.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate_connect::{NetworkPolicy, Secret, Settings, SourceType};

/// The tests' servers are on this machine.
pub(crate) fn here() -> NetworkPolicy {
    NetworkPolicy { allow_private: true, ..NetworkPolicy::default() }
}

pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

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

/// A private PostgreSQL.
pub(crate) struct Postgres {
    _program: Program,
    pub(crate) port: u16,
    password: String,
}

impl Postgres {
    /// Starts one with settings of its own.
    pub(crate) fn start(settings: &[String]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
        let mut command = Command::new(script);
        command.arg("run");
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.args(["--", "sh", "-c", "echo \"$TIDEGATE_TEST_POSTGRES\"; exec cat"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("scripts/postgres starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = url::Url::parse(address.trim()).expect("scripts/postgres says where the server is");
        let password = address.password().unwrap().to_owned();
        Self { _program: Program { child, gently: true }, port: address.port().unwrap(), password }
    }

    /// Settings of its superuser in a database.
    pub(crate) fn settings(&self, database: &str) -> Settings {
        let mut settings = Settings::new(SourceType::Postgresql);
        settings.host = Some("127.0.0.1".to_owned());
        settings.port = Some(self.port);
        settings.database_name = Some(database.to_owned());
        settings.credentials.username = secret("tidegate");
        settings.credentials.password = secret(&self.password);
        settings.connection_timeout = Duration::from_secs(10);
        settings.query_timeout = Duration::from_secs(60);
        settings
    }

    /// A client that may do anything.
    pub(crate) async fn admin(&self, database: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("tidegate").password(&self.password).dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.expect("the server answers");
        tokio::spawn(connection);
        client
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
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the tests run as root, whom some servers refuse to run as.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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
        run(&installed(&["mariadb-install-db"]), &arguments);
        let port = free_port();
        let mut command = Command::new(installed(&["mariadbd", "mysqld"]));
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

    pub(crate) async fn admin(&self) -> mysql_async::Conn {
        let opts = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .prefer_socket(false)
            .user(Some("root"));
        mysql_async::Conn::new(opts).await.expect("the server answers")
    }

    pub(crate) fn settings(&self, database: &str) -> Settings {
        let mut settings = Settings::new(SourceType::Mariadb);
        settings.host = Some("127.0.0.1".to_owned());
        settings.port = Some(self.port);
        settings.database_name = Some(database.to_owned());
        settings.credentials.username = secret("reader");
        settings.credentials.password = secret("s3cret");
        settings.connection_timeout = Duration::from_secs(10);
        settings.query_timeout = Duration::from_secs(60);
        settings
    }
}
