//! What can go wrong with a file.

use std::error::Error as _;
use std::io;

use object_store::Error as StoreError;

use crate::remote::failure::StoreFailure;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// There is none under that key.
    #[error("there is no such file")]
    NotFound,
    /// There is one under that key already.
    #[error("there is a file of that name already")]
    Exists,
    /// The store does not answer, or has no space left. The text is for the log alone.
    #[error("{0}")]
    Unavailable(String),
    /// The store cannot be used as it is configured. The text is for the operator.
    #[error("{0}")]
    Misconfigured(String),
    /// The local directory cannot be used or made. The text is for the operator; what to do, where that is known, is behind "; ".
    #[error("{0}")]
    Unusable(String),
    /// The local directory is there, and this user may not use it. The text is for the operator.
    #[error("{0}")]
    Denied(String),
}

impl From<io::Error> for ObjectsError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::Exists,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<rustix::io::Errno> for ObjectsError {
    fn from(error: rustix::io::Errno) -> Self {
        match error {
            // A link where a directory or a file is to be: nothing that was stored here.
            rustix::io::Errno::LOOP => Self::NotFound,
            error => io::Error::from(error).into(),
        }
    }
}

impl From<StoreError> for ObjectsError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => return Self::NotFound,
            StoreError::AlreadyExists { .. } => return Self::Exists,
            _ => {}
        }
        let own = error.source().and_then(|source| source.downcast_ref::<Self>());
        if let Some(own) = own {
            return Self::Unavailable(own.to_string());
        }
        let failure = error.source().and_then(|source| source.downcast_ref::<StoreFailure>());
        match failure {
            Some(failure) if failure.is_of_settings() => Self::Misconfigured(failure.to_string()),
            Some(failure) => Self::Unavailable(failure.to_string()),
            None => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<tokio::task::JoinError> for ObjectsError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The same, as the store's interface says it.
pub(crate) fn as_store_error(error: ObjectsError, path: &object_store::path::Path) -> StoreError {
    let path = path.to_string();
    match error {
        ObjectsError::NotFound => StoreError::NotFound { path, source: Box::new(ObjectsError::NotFound) },
        ObjectsError::Exists => StoreError::AlreadyExists { path, source: Box::new(ObjectsError::Exists) },
        other => StoreError::Generic { store: "files", source: Box::new(other) },
    }
}
