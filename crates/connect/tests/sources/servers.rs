//! Servers that live as long as the test that started them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tidegate_connect::{Settings, SourceType};
use tokio_rustls::TlsAcceptor;

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
        let all = Self { dir, asks: false };
        all.issue("server", "/CN=server", "subjectAltName=IP:127.0.0.1,DNS:localhost", None);
        all.issue("client", "/CN=tidegate", "keyUsage=digitalSignature", None);
        all
    }

    /// Another certificate of the authority, for two days or from one date to another (`YYYYMMDDHHMMSSZ`).
    pub(crate) fn issue(&self, name: &str, subject: &str, extension: &str, between: Option<[&str; 2]>) {
        let openssl = installed(&["openssl"]);
        let [key, request, out] = ["key", "csr", "pem"].map(|kind| self.path(&format!("{name}.{kind}")));
        let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        run(
            &openssl,
            &[&["req", "-new", "-subj", subject][..], &ec, &["-keyout", &key, "-out", &request]].concat(),
        );
        let extensions = self.path("extensions");
        std::fs::File::create(&extensions).unwrap().write_all(extension.as_bytes()).unwrap();
        let (ca, ca_key) = (self.path("ca.pem"), self.path("ca.key"));
        let common = ["-in", &request, "-extfile", &extensions, "-out", &out];
        let Some([from, to]) = between else {
            let sign = ["x509", "-req", "-days", "2", "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
            return run(&openssl, &[&sign[..], &common].concat());
        };
        // Only this command of OpenSSL takes dates, and it keeps a register.
        let (register, config) = (self.path("register"), self.path("config"));
        std::fs::write(&register, "").unwrap();
        let text = format!(
            "[ca]\ndefault_ca=own\n[own]\ndatabase={register}\nnew_certs_dir={}\nrand_serial=yes\ndefault_md=sha256\n\
             policy=any\n[any]\ncommonName=supplied\n",
            self.dir.path().display(),
        );
        std::fs::write(&config, text).unwrap();
        let sign = ["ca", "-batch", "-notext", "-config", &config, "-cert", &ca, "-keyfile", &ca_key];
        run(&openssl, &[&sign[..], &common, &["-startdate", from, "-enddate", to]].concat());
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// TLS as the server of these certificates speaks it.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor_of("server", rustls::ALL_VERSIONS)
    }

    /// The same for a server that has one of the certificates, in some versions.
    pub(crate) fn acceptor_of(
        &self,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let chain = CertificateDer::pem_file_iter(self.path(&format!("{name}.pem"))).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if self.asks {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        Arc::new(builder.with_single_cert(chain, key).unwrap()).into()
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
