//! TLS to a server: how much is verified, own authorities, client certificates, and why a server is refused.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use tokio_rustls::TlsConnector;

use super::dial::Wire;
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
    /// The certificate is of a known authority; without `ssl_ca` it names the host, too.
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

    /// Whether the certificate has to name the host. Everybody gets a certificate of a public authority: one that is for another host says
    /// nothing, so that only an authority of the source's own is enough by itself (libpq, `sslrootcert=system`).
    pub(crate) fn checks_name(self, has_own_authority: bool) -> bool {
        match self {
            Self::Disable | Self::Prefer | Self::Require => false,
            Self::VerifyCa => !has_own_authority,
            Self::VerifyFull => true,
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
    /// Reads `ssl_mode`, `ssl_ca`, `ssl_cert` and `ssl_server_name` of the metadata; the client's private key is a credential, which no
    /// answer ever shows.
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
                let key = private_key(settings.credentials.client_key().unwrap_or_default())?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    SourceError::connection("metadata.ssl_cert and its private key do not fit.")
                        .with_detail(error)
                })?
            }
        };
        Ok(Self { mode, connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// The same for a server that is spoken to in TLS from the first byte on, or not at all, as it tells nobody whether it has TLS: to
    /// prefer TLS is not to have it.
    pub(crate) fn from_the_start(
        settings: &Settings,
        host: &str,
        default: TlsMode,
    ) -> Result<Option<Self>, SourceError> {
        let tls = Self::of(settings, host, default)?;
        Ok(Some(tls).filter(|tls| !matches!(tls.mode, TlsMode::Disable | TlsMode::Prefer)))
    }

    /// Goes on inside TLS.
    pub(crate) async fn secure(&self, stream: Box<dyn Wire>) -> Result<Box<dyn Wire>, SourceError> {
        let secured = self.connector.connect(self.name.clone(), stream).await.map_err(failed)?;
        Ok(Box::new(secured))
    }
}

/// Why there is no TLS with a server, as far as it decides what is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Authority,
    Name,
    Time,
    /// The certificate is an authority's own (`CA:TRUE`), which is no server's.
    AuthorityItself,
    /// It is not for servers.
    Purpose,
    Revoked,
    /// It has a form, an extension or a signature that is not known here.
    Form,
    /// There is none, or it is refused for another reason.
    Certificate,
    NoTls,
    Version,
    /// The server's answer to this side.
    Client,
    Ended,
    Other,
}

impl Refusal {
    /// Why, and which setting decides it. Names in certificates are not told: they may be those of the operator's network.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Authority => {
                "The server's certificate is of an authority that is not known; metadata.ssl_ca takes the certificate of that authority."
            }
            Self::Name => {
                "The server's certificate is for another host; metadata.ssl_server_name takes the name that it is for."
            }
            Self::Time => {
                "The server's certificate has expired, or is not valid yet; this metadata.ssl_mode asks for one that is valid."
            }
            Self::AuthorityItself => {
                "The server's certificate is an authority's (CA:TRUE), which is no server's: make one with \
                 `openssl req -x509 ... -addext basicConstraints=critical,CA:FALSE`, which metadata.ssl_ca takes, too."
            }
            Self::Purpose => {
                "The server's certificate is not for servers: its extendedKeyUsage has no serverAuth, which this metadata.ssl_mode asks for."
            }
            Self::Revoked => {
                "The server's certificate is revoked; this metadata.ssl_mode asks for one that is valid."
            }
            Self::Form => {
                "The server's certificate has a form, a critical extension or a signature algorithm that is not known here; this \
                 metadata.ssl_mode asks for one that can be verified."
            }
            Self::Certificate => {
                "The server has no certificate, or one that cannot be verified; this metadata.ssl_mode asks for one that can be."
            }
            Self::NoTls => "The server does not answer in TLS, which metadata.ssl_mode or https:// asks for.",
            Self::Version => {
                "The server has no version of TLS, or no algorithm, that is used here: TLS 1.2 and 1.3, whatever metadata.ssl_mode is."
            }
            Self::Client => {
                "The server asks for a client certificate, or does not accept the one it was shown; these are metadata.ssl_cert and \
                 credentials.ssl_key."
            }
            Self::Ended => {
                "The server ended the connection in the TLS handshake; if it has no TLS, metadata.ssl_mode must not ask for it."
            }
            Self::Other => "TLS with the server failed, which metadata.ssl_mode or https:// asks for.",
        }
    }

    /// Why a certificate is none for this server, for reasons that no setting mends.
    fn of_certificate(error: &CertificateError) -> Self {
        /// As the verifier calls it, for which rustls has no name of its own.
        const AUTHORITY_ITSELF: &str = "CaUsedAsEndEntity";
        match error {
            CertificateError::Other(other) if other.to_string() == AUTHORITY_ITSELF => Self::AuthorityItself,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Purpose
            }
            CertificateError::Revoked => Self::Revoked,
            CertificateError::BadEncoding
            | CertificateError::UnhandledCriticalExtension
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::Form,
            _ => Self::Certificate,
        }
    }

    fn of(error: &Error) -> Self {
        match error {
            // The signature is what does not fit where an authority has the name of one that is known.
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                Self::Authority
            }
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )
            | Error::AlertReceived(AlertDescription::UnrecognisedName) => Self::Name,
            Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => Self::Time,
            Error::InvalidCertificate(other) => Self::of_certificate(other),
            Error::NoCertificatesPresented => Self::Certificate,
            Error::InvalidMessage(_) => Self::NoTls,
            Error::PeerIncompatible(_)
            | Error::AlertReceived(
                AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity,
            ) => Self::Version,
            Error::AlertReceived(
                AlertDescription::HandshakeFailure
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateRequired
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::Client,
            _ => Self::Other,
        }
    }
}

/// Why there is no TLS, if that is what an error says, or one that caused it. A driver's own error has it somewhere inside; and with
/// TLS 1.3 the server says only after the handshake what it thinks of the client's certificate.
pub(crate) fn refusal(error: &(dyn StdError + 'static)) -> Option<Refusal> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // What an I/O error holds is not its source.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inside = inside.and_then(|inside| inside.downcast_ref::<Error>());
        if let Some(error) = inside.or_else(|| error.downcast_ref::<Error>()) {
            return Some(Refusal::of(error));
        }
        cause = error.source();
    }
    None
}

/// A TLS handshake that failed.
pub(crate) fn failed(error: io::Error) -> SourceError {
    let refusal = refusal(&error).unwrap_or(Refusal::Ended);
    SourceError::connection(refusal.message()).with_detail(error)
}

fn bad_tls(error: impl std::fmt::Display) -> SourceError {
    SourceError::connection("TLS cannot be set up as asked.").with_detail(error)
}

fn certificates(pem: &str, field: &str) -> Result<Vec<CertificateDer<'static>>, SourceError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(SourceError::connection(format!(
            "metadata.{field} must hold certificates in PEM: the text of their file, and not its name."
        ))),
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, SourceError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        SourceError::connection(match pem.contains("ENCRYPTED") {
            true => {
                "credentials.ssl_key must hold a key that is not encrypted: `openssl pkey -in KEY -out PLAIN` takes its passphrase off."
            }
            false => {
                "credentials.ssl_key must hold the PEM private key of metadata.ssl_cert: the text of its file, and not its name."
            }
        })
    })
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
    Ok(Arc::new(Verifier { inner, name: mode.checks_name(own.is_some()), provider }))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As the driver of MySQL has it: an error around an error of the stream around one of TLS.
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_refusal_is_found_wherever_it_stands() {
        let tls = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let io = || io::Error::new(io::ErrorKind::InvalidData, tls());
        assert_eq!(refusal(&tls()), Some(Refusal::Authority));
        assert_eq!(refusal(&io()), Some(Refusal::Authority));
        assert_eq!(refusal(&Outer(io())), Some(Refusal::Authority));
        assert_eq!(refusal(&Outer(io::ErrorKind::UnexpectedEof.into())), None);
        assert_eq!(failed(io::ErrorKind::UnexpectedEof.into()).message, Refusal::Ended.message());
        let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
        assert_eq!(refusal(&io::Error::other(alert)), Some(Refusal::Client));
    }

    #[test]
    fn a_public_authority_alone_does_not_make_a_server_the_right_one() {
        for (mode, own, public) in [
            (TlsMode::Disable, false, false),
            (TlsMode::Prefer, false, false),
            (TlsMode::Require, false, false),
            (TlsMode::VerifyCa, false, true),
            (TlsMode::VerifyFull, true, true),
        ] {
            assert_eq!((mode.checks_name(true), mode.checks_name(false)), (own, public), "{mode:?}");
        }
    }

    #[test]
    fn every_refusal_names_the_setting_that_decides_it() {
        let all = [
            (Refusal::Authority, "ssl_ca"),
            (Refusal::Name, "ssl_server_name"),
            (Refusal::Time, "ssl_mode"),
            (Refusal::AuthorityItself, "ssl_ca"),
            (Refusal::Purpose, "ssl_mode"),
            (Refusal::Revoked, "ssl_mode"),
            (Refusal::Form, "ssl_mode"),
            (Refusal::Certificate, "ssl_mode"),
            (Refusal::NoTls, "ssl_mode"),
            (Refusal::Version, "ssl_mode"),
            (Refusal::Client, "ssl_cert"),
            (Refusal::Ended, "ssl_mode"),
            (Refusal::Other, "ssl_mode"),
        ];
        for (refusal, setting) in all {
            assert!(refusal.message().contains(setting), "{refusal:?}");
        }
    }
}
