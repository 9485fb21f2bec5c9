//! PostgreSQL and MariaDB for the time of a test. The engine's tests start them, too.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tidegate_connect::{NetworkPolicy, Secret, Settings, SourceType};

#[path = "mariadbd.rs"]
mod mariadbd;

pub(crate) use mariadbd::{Mariadb, Program};
#[allow(unused_imports, reason = "not everyone who starts a database starts other servers")]
pub(crate) use mariadbd::{free_port, installed, is_root, run, wait_for};

/// The tests' servers are on this machine.
pub(crate) fn here() -> NetworkPolicy {
    NetworkPolicy { allow_private: true, ..NetworkPolicy::default() }
}

pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
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

impl Mariadb {
    /// A client that may do anything.
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
