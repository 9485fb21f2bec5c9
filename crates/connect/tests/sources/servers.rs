//! Servers that live as long as the test that started them.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate_connect::{NetworkPolicy, Secret, Settings, SourceType};

/// The tests' servers are on this machine.
pub(crate) fn here() -> NetworkPolicy {
    NetworkPolicy { allow_private: true, allowed: vec![] }
}

pub(crate) fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

/// A program that is stopped when this is dropped.
pub(crate) struct Program {
    child: Child,
    gently: bool,
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

fn wait_for(port: u16, what: &str) {
    for _ in 0..600 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not start");
}

fn installed(names: &[&str]) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"];
    let mut all =
        folders.iter().flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)));
    all.find(|path| path.exists()).unwrap_or_else(|| panic!("{names:?} is not installed; run scripts/setup"))
}

fn run(program: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the tests run as root, whom some servers refuse to run as.
fn is_root() -> bool {
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

/// A private Redis with a password.
pub(crate) struct Redis {
    _program: Program,
    pub(crate) port: u16,
}

impl Redis {
    pub(crate) fn start(password: &str) -> Self {
        let port = free_port();
        let child = Command::new(installed(&["redis-server"]))
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--requirepass",
                password,
                "--port",
            ])
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let program = Program { child, gently: false };
        wait_for(port, "Redis");
        Self { _program: program, port }
    }

    pub(crate) fn settings(&self, password: &str) -> Settings {
        let mut settings = Settings::new(SourceType::Redis);
        settings.host = Some("127.0.0.1".to_owned());
        settings.port = Some(self.port);
        settings.credentials.password = secret(password);
        settings.connection_timeout = Duration::from_secs(5);
        settings.query_timeout = Duration::from_secs(30);
        settings
    }
}

/// A private OpenSSH server that lets the tests' user in by a key.
pub(crate) struct Sshd {
    _program: Program,
    dir: TempDir,
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl Sshd {
    pub(crate) fn start(extra: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let keygen = installed(&["ssh-keygen"]);
        run(&keygen, &["-q", "-t", "ed25519", "-N", "", "-f", &path("host")]);
        run(&keygen, &["-q", "-t", "ed25519", "-N", "", "-f", &path("client")]);
        run(
            &keygen,
            &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "let me in", "-f", &path("client_rsa")],
        );
        let mut keys = std::fs::read(path("client.pub")).unwrap();
        keys.extend(std::fs::read(path("client_rsa.pub")).unwrap());
        std::fs::write(path("authorized"), keys).unwrap();
        let port = free_port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPermitRootLogin prohibit-password\n\
             AllowTcpForwarding yes\n{extra}\n",
            path("host"),
            path("authorized"),
        );
        std::fs::write(path("config"), config).unwrap();
        if is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let child = Command::new(installed(&["sshd"]))
            .args(["-D", "-e", "-f", &path("config")])
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let program = Program { child, gently: false };
        wait_for(port, "sshd");
        let user = if is_root() { "root".to_owned() } else { std::env::var("USER").unwrap() };
        Self { _program: program, dir, port, user }
    }

    pub(crate) fn key(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }
}

/// An RSA key in PEM, and its public key in DER.
pub(crate) fn rsa_key() -> (String, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let openssl = installed(&["openssl"]);
    let private = path("key.pem");
    run(&openssl, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &private]);
    let public = path("key.der");
    run(&openssl, &["pkey", "-in", &private, "-pubout", "-outform", "DER", "-out", &public]);
    (std::fs::read_to_string(private).unwrap(), std::fs::read(public).unwrap())
}

/// A certificate authority, a certificate of it for 127.0.0.1 and localhost, and one for a client.
pub(crate) struct Certificates {
    dir: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let openssl = installed(&["openssl"]);
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let authority = ["req", "-x509", "-days", "2", "-subj", "/CN=Authority"];
        run(
            &openssl,
            &[&authority[..], &ec, &["-keyout", &path("ca.key"), "-out", &path("ca.pem")]].concat(),
        );
        for (name, subject, extension) in [
            ("server", "/CN=server", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            ("client", "/CN=tidegate", "keyUsage=digitalSignature"),
        ] {
            let key = path(&format!("{name}.key"));
            let request = path(&format!("{name}.csr"));
            run(
                &openssl,
                &[&["req", "-new", "-subj", subject][..], &ec, &["-keyout", &key, "-out", &request]].concat(),
            );
            let extensions = path("extensions");
            std::fs::File::create(&extensions).unwrap().write_all(extension.as_bytes()).unwrap();
            let (ca, ca_key, out) = (path("ca.pem"), path("ca.key"), path(&format!("{name}.pem")));
            let sign = ["x509", "-req", "-days", "2", "-in", &request, "-CA", &ca, "-CAkey", &ca_key];
            run(&openssl, &[&sign[..], &["-CAcreateserial", "-extfile", &extensions, "-out", &out]].concat());
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// TLS as the server of these certificates speaks it.
    pub(crate) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_file_iter(self.path("server.pem")).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config))
    }

    pub(crate) fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Gives the files to the user that a server runs as.
    pub(crate) fn give_to(&self, user: &str) {
        if is_root() {
            run(Path::new("/bin/chown"), &["-R", user, self.dir.path().to_str().unwrap()]);
            run(Path::new("/bin/chmod"), &["755", self.dir.path().to_str().unwrap()]);
            run(Path::new("/bin/chmod"), &["600", &self.path("server.key")]);
        }
    }
}
