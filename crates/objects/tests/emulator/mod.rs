//! Emulators of object stores, started for one test each.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tidegate_domain::Secret;
use tidegate_objects::{Backend, StorageConfig, StorageSecret};

const BUCKET: &str = "tidegate-files";
/// The one that azurite documents.
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An emulator; stopped when dropped.
pub(crate) struct Emulator {
    process: Child,
    endpoint: String,
    _directory: TempDir,
}

impl Emulator {
    /// S3.
    pub(crate) async fn moto() -> Self {
        let python = variable("TIDEGATE_TEST_EMULATORS_PYTHON");
        let port = free_port();
        let mut command = command(&python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let emulator = Self::start(command, format!("http://127.0.0.1:{port}")).await;
        // Buckets are made by operators; moto takes any credentials.
        let made = client().put(format!("{}/{BUCKET}", emulator.endpoint)).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
        emulator
    }

    /// Azure Blob Storage.
    pub(crate) async fn azurite() -> Self {
        let modules = variable("TIDEGATE_TEST_EMULATORS_NODE_MODULES");
        let port = free_port();
        let mut command = command("node");
        command.arg(format!("{modules}/azurite/dist/src/blob/main.js"));
        command.args([
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &port.to_string(),
            "--inMemoryPersistence",
            "--silent",
        ]);
        let emulator = Self::start(command, format!("http://127.0.0.1:{port}/devstoreaccount1")).await;
        make_container(&emulator.endpoint).await;
        emulator
    }

    pub(crate) fn config(&self, backend: Backend) -> StorageConfig {
        let (id, secret) = match backend {
            Backend::Azure => ("devstoreaccount1", AZURITE_KEY),
            _ => ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        };
        StorageConfig {
            backend,
            bucket: BUCKET.to_owned(),
            endpoint: Some(self.endpoint.clone()),
            access_key_id: Some(id.to_owned()),
            secret_access_key: Some(StorageSecret(Secret::new(secret))),
            ..StorageConfig::default()
        }
    }

    async fn start(mut command: Command, endpoint: String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let mut emulator = Self { process, endpoint, _directory: directory };
        for _ in 0..600 {
            assert!(emulator.process.try_wait().unwrap().is_none(), "the emulator ended");
            if client().get(&emulator.endpoint).send().await.is_ok() {
                return emulator;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the emulator does not answer at {}", emulator.endpoint);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Makes the container, with a signature of the account made by hand: what is tested makes none.
#[expect(clippy::disallowed_methods, reason = "the emulator looks at the real clock")]
async fn make_container(endpoint: &str) {
    let key = tidegate_crypto::AzureAccountKey::new(&Secret::new(AZURITE_KEY)).unwrap();
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let to_sign = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n\
         /devstoreaccount1/devstoreaccount1/{BUCKET}\nrestype:container"
    );
    let request = client()
        .put(format!("{endpoint}/{BUCKET}?restype=container"))
        .header("x-ms-date", date)
        .header("x-ms-version", "2021-08-06")
        .header("content-length", "0")
        .header("authorization", format!("SharedKey devstoreaccount1:{}", key.sign(&to_sign)));
    let made = request.send().await.unwrap();
    let status = made.status();
    assert!(status.is_success(), "{status} {}", made.text().await.unwrap());
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::new()
}

#[expect(clippy::disallowed_methods, reason = "the emulators are found by variables that scripts/test sets")]
fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} must say where the emulators are: run scripts/test"))
}

#[expect(clippy::disallowed_methods, reason = "running emulators is what these tests do")]
fn command(program: &str) -> Command {
    Command::new(program)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
