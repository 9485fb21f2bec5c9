//! TLS to a server: how much is verified, own authorities, client certificates.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::error::SourceError;
use crate::settings::Settings;

/// How much TLS is asked for, with libpq's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    Disable,
    /// If the server has it; nothing is verified.
    Prefer,
    /// Always; verified against `ssl_ca` where that is given, else not.
    Require,
    /// The certificate is of a known authority.
    VerifyCa,
    /// And names the host.
    VerifyFull,
}

impl TlsMode {
    /// As it is written in the metadata.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// From a word of a connection string or of the metadata.
    pub(crate) fn parse(word: &str) -> Result<Self, SourceError> {
        match word.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" | "disabled" => Ok(Self::Disable),
            "allow" | "prefer" | "preferred" => Ok(Self::Prefer),
            "require" | "required" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" | "verify-identity" => Ok(Self::VerifyFull),
            _ => Err(SourceError::connection(
                "metadata.ssl_mode must be one of: disable, prefer, require, verify-ca, verify-full.",
            )),
        }
    }
}

/// TLS as the settings of a source ask for it.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
}

impl Tls {
    /// Reads `ssl_mode`, `ssl_ca`, `ssl_cert` and `ssl_server_name` of the metadata; the client's private key is the credential
    /// `api_key`, which no answer ever shows.
    pub(crate) fn of(settings: &Settings, host: &str, default: TlsMode) -> Result<Self, SourceError> {
        let mode = settings.option("ssl_mode")?.map_or(Ok(default), TlsMode::parse)?;
        let own = settings.option("ssl_ca")?;
        let name = settings.option("ssl_server_name")?.unwrap_or(host);
        let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|_| SourceError::connection("The host is no name that a certificate could have."))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(bad_tls)?;
        let verifier = verifier(mode, own, provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let config = match settings.option("ssl_cert")? {
            None => builder.with_no_client_auth(),
            Some(chain) => {
                let chain = certificates(chain, "ssl_cert")?;
                let key = settings.credentials.api_key.as_ref().map(|key| key.expose()).unwrap_or_default();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
                    SourceError::connection(
                        "credentials.api_key must hold the PEM private key of metadata.ssl_cert.",
                    )
                })?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    SourceError::connection("metadata.ssl_cert and its private key do not fit.")
                        .with_detail(error)
                })?
            }
        };
        Ok(Self { mode, connector: TlsConnector::from(Arc::new(config)), name })
    }
}

fn bad_tls(error: impl std::fmt::Display) -> SourceError {
    SourceError::connection("TLS cannot be set up as asked.").with_detail(error)
}

fn certificates(pem: &str, field: &str) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(SourceError::connection(format!("metadata.{field} must hold certificates in PEM."))),
    }
}

fn verifier(
    mode: TlsMode,
    own: Option<&str>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, SourceError> {
    let chain = match (mode, own) {
        (TlsMode::Disable | TlsMode::Prefer, _) | (TlsMode::Require, None) => None,
        (_, None) => Some(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }),
        (_, Some(pem)) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem, "ssl_ca")? {
                roots.add(certificate).map_err(bad_tls)?;
            }
            Some(roots)
        }
    };
    let inner = match chain {
        None => None,
        Some(roots) => Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(bad_tls)?,
        ),
    };
    Ok(Arc::new(Verifier { inner, name: mode == TlsMode::VerifyFull, provider }))
}

/// Verifies the chain, the name, or neither, as the mode says. Handshake signatures are verified always.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
