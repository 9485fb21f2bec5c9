//! Servers that live as long as the test that started them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate_connect::{Settings, SourceType};

pub(crate) use crate::databases::{Mariadb, Postgres, free_port, here, secret};
use crate::databases::{Program, installed, is_root, run, wait_for};

/// A private Redis with a password.
pub(crate) struct Redis {
    _program: Program,
    pub(crate) port: u16,
}

impl Redis {
    pub(crate) fn start(password: &str) -> Self {
        Self::start_with(password, &[])
    }

    /// With settings of its own.
    pub(crate) fn start_with(password: &str, settings: &[String]) -> Self {
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
            .args(settings)
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
    /// Whether a stub serves only who shows a certificate of the authority.
    pub(crate) asks: bool,
}

impl Certificates {
    /// Of a stub that asks its clients for theirs.
    pub(crate) fn asking() -> Self {
        Self { asks: true, ..Self::make() }
    }

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
        Self { dir, asks: false }
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
