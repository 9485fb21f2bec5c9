//! TLS of the listener.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore, ServerConfig};
use tidegate_domain::Timestamp;
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

/// What is wrong with the times of the certificate at the instant `now`; none where it is valid, or where none is set. Clients that verify
/// it do not connect then.
///
/// # Errors
/// When it cannot be read.
pub fn untimely(settings: &PgwireSettings, now: Timestamp) -> Result<Option<String>, TlsProblem> {
    let Some(file) = &settings.tls_cert else { return Ok(None) };
    let chain = chain_of(file)?;
    let what = chain.first().and_then(|certificate| times_of(certificate, now));
    Ok(what.map(|what| format!("the certificate {} {what}", file.display())))
}

/// Why a client would not take a certificate at the instant `now`, if that is for its times: they are what is looked at first, whoever has
/// signed it.
fn times_of(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<String> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let name = ServerName::from(Ipv4Addr::LOCALHOST);
    match verifier.build().ok()?.verify_server_cert(certificate, &[], &name, &[], now) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(format!("expired on {}", iso(not_after)))
        }
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before, ..
        })) => Some(format!("is not valid before {}", iso(not_before))),
        _ => None,
    }
}

fn iso(time: UnixTime) -> String {
    Timestamp::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)).iso_seconds()
}

/// The certificates of a file, the server's own first.
fn chain_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unreadable("tls_cert", file, reason(error, "certificate")))?;
    if chain.is_empty() {
        return Err(unreadable("tls_cert", file, "there is no certificate in it".to_owned()));
    }
    Ok(chain)
}

fn unreadable(key: &'static str, file: &Path, reason: String) -> TlsProblem {
    TlsProblem::Unreadable { key, file: file.to_owned(), reason }
}

/// Answers TLS with a certificate and its key.
///
/// # Errors
/// [`TlsProblem`].
fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsProblem> {
    let chain = chain_of(certificate)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the first day of 2020.
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBYDCCAQegAwIBAgIUAgPDWzEs5tsNKcAkRcnA2ZdB0rowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTIwMDEwMTAwMDAwMFoXDTIwMDEwMjAw
MDAwMFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAED2CJfAuEGQcmONkzeDCS5+XYgINaNu0M0qIZciSSXdJ6zogyqK92nWUy
0eLxwZGurWSO6GWBemKxhu+m/97JOqM3MDUwFAYDVR0RBA0wC4IJbG9jYWxob3N0
MB0GA1UdDgQWBBRvJ9bohCtdeAVaxETyJa6B/g057jAKBggqhkjOPQQDAgNHADBE
AiAVlssFvXuKMOchk29Q9JSGwltqwHITuTE0zARhD/uh/AIgOmSZD2qe16Y3vERo
8t9HnPcVH8IxPFwAg3lDe7XQY6c=
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_is_known_by_its_times() {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let at = |text: &str| times_of(&certificate, Timestamp::from_rfc3339(text).unwrap());
        let (before, after) = ("is not valid before 2020-01-01T00:00:00Z", "expired on 2020-01-02T00:00:00Z");
        assert_eq!(at("2019-12-31T23:59:59Z").as_deref(), Some(before));
        assert_eq!(at("2020-01-01T12:00:00Z"), None);
        assert_eq!(at("2020-01-02T00:00:01Z").as_deref(), Some(after));
    }
}
