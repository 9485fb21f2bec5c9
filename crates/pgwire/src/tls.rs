//! TLS of the listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::settings::PgwireSettings;

/// The protocol's name (ALPN). A client that names one names this: what was meant for another protocol is refused.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// It cannot be read, or is not PEM.
    #[error("{key}: {}: {reason}", .file.display())]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key is another certificate's.
    #[error(
        "tls_cert and tls_key: the certificate {} and the key {} do not belong together",
        .certificate.display(),
        .key.display()
    )]
    Strangers {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
    },
    /// They are of a kind that is not known.
    #[error("tls_cert and tls_key: they cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// What a PEM file lacks, in words that name no part of it.
fn reason(error: pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("there is no {wanted} in it"),
        other => other.to_string(),
    }
}

/// What answers TLS, where a certificate is set. Both files are read now.
///
/// # Errors
/// [`TlsProblem`].
pub fn acceptor_of(settings: &PgwireSettings) -> Result<Option<TlsAcceptor>, TlsProblem> {
    match (&settings.tls_cert, &settings.tls_key) {
        (Some(certificate), Some(key)) => acceptor(certificate, key).map(Some),
        _ => Ok(None),
    }
}

/// Answers TLS with a certificate and its key.
///
/// # Errors
/// [`TlsProblem`].
fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsProblem> {
    let unreadable = |key: &'static str, file: &Path, reason: String| TlsProblem::Unreadable {
        key,
        file: file.to_owned(),
        reason,
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unreadable("tls_cert", certificate, reason(error, "certificate")))?;
    if chain.is_empty() {
        return Err(unreadable("tls_cert", certificate, "there is no certificate in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable("tls_key", key, reason(error, "private key")))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, secret);
    let mut config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsProblem::Strangers { certificate: certificate.to_owned(), key: key.to_owned() }
        }
        other => TlsProblem::Unusable(other),
    })?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
