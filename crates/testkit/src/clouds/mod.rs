//! Object stores on this machine: Amazon's as moto speaks it, Azure's as azurite does, Google's as its documentation says. Requests pass
//! a gateway, which can refuse them, fail, and let them wait.
//!
//! No package has Google's XML API: `gcp-storage-emulator` speaks the JSON API, which asks for another kind of credentials. So there is a
//! stub, which checks signatures as Google does.

mod emulator;
mod gateway;
mod google;
mod signature;
#[cfg(feature = "app")]
mod stored;

pub use gateway::StoreHealth;

use emulator::Emulator;
use gateway::Gateway;
use google::GoogleStub;

/// The bucket, or the container in Azure. Each of them has it from the beginning.
pub const BUCKET: &str = "tidegate-files";

/// Which object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3: moto. It takes any signature, and signed URLs of it never expire.
    S3,
    /// Azure Blob Storage: azurite.
    Azure,
    /// Google Cloud Storage: a stub of its XML API with HMAC keys.
    Gcs,
}

impl Cloud {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Azure, Self::Gcs];

    /// Its value of `storage.backend`.
    pub const fn backend(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Azure => "azure",
            Self::Gcs => "gcs",
        }
    }

    /// Whether signatures are looked at, and when they expire.
    pub const fn checks_signatures(self) -> bool {
        !matches!(self, Self::S3)
    }

    /// The access key ID that is registered there, or the account in Azure.
    pub const fn access_key_id(self) -> &'static str {
        match self {
            Self::S3 => "AKIAIOSFODNN7EXAMPLE",
            Self::Azure => emulator::ACCOUNT,
            Self::Gcs => signature::ACCESS_KEY_ID,
        }
    }

    /// Its secret.
    pub const fn secret_access_key(self) -> &'static str {
        match self {
            Self::S3 => "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            Self::Azure => emulator::ACCOUNT_KEY,
            Self::Gcs => signature::SECRET_ACCESS_KEY,
        }
    }

    /// A secret of the same form that is not registered.
    pub const fn other_secret(self) -> &'static str {
        // Base64, as Azure wants it.
        "c29tZSBvdGhlciBzZWNyZXQ="
    }
}

/// A store of a test's own, with an empty bucket; ends with the test.
pub struct CloudStore {
    cloud: Cloud,
    gateway: Gateway,
    _behind: Behind,
}

/// What a URL answers to who has nothing else.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Its status code.
    pub status: u16,
    /// `Content-Disposition`; empty where there is none.
    pub disposition: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// Fetches a URL, or a part of what it answers, without credentials and over the network.
pub async fn fetch(url: &str, range: Option<&str>) -> Fetched {
    let mut asking = emulator::client().get(url);
    if let Some(range) = range {
        asking = asking.header("range", range);
    }
    let answer = asking.send().await.expect("an answer");
    let disposition = answer.headers().get("content-disposition").and_then(|value| value.to_str().ok());
    Fetched {
        status: answer.status().as_u16(),
        disposition: disposition.unwrap_or_default().to_owned(),
        body: answer.bytes().await.expect("a body").to_vec(),
    }
}

/// What keeps a store up.
enum Behind {
    Emulator(Emulator),
    Stub(GoogleStub),
}

impl CloudStore {
    /// Starts one.
    ///
    /// # Panics
    /// Where the emulators are not installed: `scripts/test` installs them.
    pub async fn start(cloud: Cloud) -> Self {
        let behind = match cloud {
            Cloud::S3 => Behind::Emulator(Emulator::moto().await),
            Cloud::Azure => Behind::Emulator(Emulator::azurite().await),
            Cloud::Gcs => Behind::Stub(GoogleStub::start().await),
        };
        let address = match &behind {
            Behind::Emulator(emulator) => emulator.address(),
            Behind::Stub(stub) => stub.address(),
        };
        let gateway = Gateway::start(address).await;
        Self { cloud, gateway, _behind: behind }
    }

    /// Which it is.
    pub const fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// Its address, as `storage.endpoint` has it.
    pub fn endpoint(&self) -> String {
        let address = self.gateway.address();
        match self.cloud {
            Cloud::Azure => format!("{address}/{}", emulator::ACCOUNT),
            Cloud::S3 | Cloud::Gcs => address,
        }
    }

    /// From now on it answers so. Requests that it lets wait are answered so, too.
    pub fn behave(&self, health: StoreHealth) {
        self.gateway.behave(health);
    }

    /// How many requests have come.
    pub fn asked(&self) -> u64 {
        self.gateway.asked()
    }

    /// Waits until more requests have come than these.
    pub async fn asked_more_than(&self, before: u64) {
        self.gateway.asked_more_than(before).await;
    }
}
