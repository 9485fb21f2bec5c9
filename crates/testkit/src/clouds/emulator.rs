//! Emulators that come as packages.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::BUCKET;
use crate::eventually;

/// The account that azurite documents, and its key.
pub(super) const ACCOUNT: &str = "devstoreaccount1";
pub(super) const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// How often one is started: between being found free and being taken, a port may be taken by somebody else.
const TRIES: u32 = 5;

/// A process; stopped when dropped.
pub(super) struct Emulator {
    process: Child,
    address: String,
    _directory: TempDir,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Emulator {
    /// S3, with a bucket.
    pub(super) async fn moto() -> Self {
        let python = variable("TIDEGATE_TEST_EMULATORS_PYTHON");
        let emulator = Self::start(|port| {
            let mut command = Command::new(&python);
            command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", port]);
            command
        })
        .await;
        // Buckets are made by operators; moto takes any credentials.
        put(&format!("{}/{BUCKET}", emulator.address)).await;
        emulator
    }

    /// Azure Blob Storage, with a container.
    pub(super) async fn azurite() -> Self {
        let modules = variable("TIDEGATE_TEST_EMULATORS_NODE_MODULES");
        let emulator = Self::start(|port| {
            let mut command = Command::new("node");
            command.arg(format!("{modules}/azurite/dist/src/blob/main.js"));
            command.args([
                "--blobHost",
                "127.0.0.1",
                "--blobPort",
                port,
                "--inMemoryPersistence",
                "--silent",
            ]);
            command
        })
        .await;
        let permission = of_containers();
        put(&format!("{}/{ACCOUNT}/{BUCKET}?restype=container&{permission}", emulator.address)).await;
        emulator
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    async fn start(command: impl Fn(&str) -> Command) -> Self {
        for _ in 0..TRIES {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            drop(listener);
            if let Some(started) = Self::attempt(command(&port.to_string()), port).await {
                return started;
            }
        }
        panic!("an emulator ended {TRIES} times before it answered");
    }

    /// None when it ended before it answered.
    async fn attempt(mut command: Command, port: u16) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        command.current_dir(directory.path()).env("HOME", directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("an emulator, as scripts/test installs it");
        let address = format!("http://127.0.0.1:{port}");
        let mut emulator = Self { process, address, _directory: directory };
        let http = client();
        let answers = eventually("an emulator answers", || {
            let has_ended = emulator.process.try_wait().expect("a process").is_some();
            let asked = http.get(&emulator.address).send();
            async move { if has_ended { Some(false) } else { asked.await.ok().map(|_| true) } }
        })
        .await;
        answers.then_some(emulator)
    }
}

/// What may make containers until the end of the century (Azure Storage, "Create an account SAS").
fn of_containers() -> String {
    let (version, end) = ("2018-11-09", "2099-01-01T00:00:00Z");
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(ACCOUNT_KEY).expect("a key"));
    let signed = format!("{ACCOUNT}\nc\nb\nc\n\n{end}\n\n\n{version}\n");
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("sv={version}&ss=b&srt=c&sp=c&se={}&sig={signature}", end.replace(':', "%3A"))
}

async fn put(url: &str) {
    let made = client().put(url).header("content-length", "0").send().await.expect("an answer");
    let status = made.status();
    assert!(status.is_success(), "{status} {}", made.text().await.unwrap_or_default());
}

/// A client that goes straight there, by a new connection each time: emulators close idle ones whenever they like.
pub(super) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client")
}

fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} must say where the emulators are: run scripts/test"))
}
