//! Data sources: one way to test, discover and read thirty-five types of them.
//!
//! [`open`] gives a [`Source`] for [`Settings`]; [`types`] tells about every type. This crate knows nothing of accounts, storage or
//! policies: whoever opens a source has decided that it may be opened, and a [`NetworkPolicy`] says where it may be. Rows come as
//! Arrow batches, streamed in bounded memory.

#![expect(missing_docs, reason = "fields and variants whose names say it all")]

mod address;
mod cassandra;
mod discovered;
mod disk;
mod error;
mod files;
mod filter;
mod gate;
mod http;
mod kafka;
mod lake;
mod members;
mod mongodb;
mod mysql;
mod network;
mod open;
mod plans;
mod pool;
mod postgres;
mod redis;
mod registry;
mod rows;
mod settings;
mod snapshot;
mod source;
mod sqlite;
mod ssh;
mod tds;
mod truth;
mod turns;
mod wider;
mod wire;

pub use address::mask_password;
pub use discovered::{Column, Discovered, Finds, ForeignKey, Schema, Table, TableKind};
pub use disk::DiskBudget;
pub use error::{ErrorCode, Refused, SourceError};
pub use files::ParquetContent;
pub use filter::{Filter, Literal, Operator};
pub use network::NetworkPolicy;
pub use open::open;
pub use registry::{
    Evaluates, Family, SourceType, Tested as HowTested, TlsUse, TypeInfo, UnknownType, types,
};
pub use settings::{
    ConnectionString, Credentials, FileBytes, FileContent, FileSource, Secret, Settings, SshSettings,
};
pub use source::{BatchStream, Connections, Order, Relation, Scan, Source, Tested};
