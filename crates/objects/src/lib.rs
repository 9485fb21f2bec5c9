//! Files behind one interface: a local directory, S3 and what speaks its protocol, Google Cloud Storage, Azure.
//!
//! What is uploaded is first staged in a local file, then published under its key as a whole: a key never names half a file. In the
//! local directory a published file is durable when [`Objects::publish`] answers, and no key, link or special file leads out of the
//! directory. Whose a file is, this crate does not know.
//!
//! Each store is an [`object_store::ObjectStore`], which is what query engines read from: see [`Objects::object_store`].

mod condition;
mod config;
mod error;
mod key;
mod local;
mod objects;
mod remote;

pub use condition::{Amiss, Condition, Expected};
pub use config::{Backend, StorageConfig, StorageSecret};
pub use error::ObjectsError;
pub use key::{KeyError, MAX_KEY, ObjectKey};
pub use local::backup::Copied;
pub use local::staged::Staged;
pub use objects::{Objects, Reading, Stored};
pub use remote::requests::{ListedFile, ListedPage, PreparedRequest, StoreAddress, StoreKey, StoreRequests};
