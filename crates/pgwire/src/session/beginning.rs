//! Connections that begin with something else than this protocol, and handshakes of TLS that fail: the log says what is to be done.

use std::io;
use std::net::SocketAddr;

use tidegate_kernel::last_line::LastLine;

/// What stands where a message has its length: the beginnings of requests, and of the PROXY protocol in version 1 and in version 2.
const HTTP: [&[u8; 4]; 8] = [b"GET ", b"HEAD", b"POST", b"PUT ", b"PATC", b"DELE", b"OPTI", b"PRI "];
const PROXY_PROTOCOL: [&[u8; 4]; 2] = [b"PROX", b"\r\n\r\n"];

/// Why a connection began no session, where somebody set something up wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    #[error("a request of HTTP")]
    Http,
    #[error("the PROXY protocol")]
    ProxyProtocol,
    #[error("TLS, and not for this protocol")]
    OtherTls,
    #[error("{0}")]
    Handshake(String),
}

impl Foreign {
    /// What a connection speaks that begins with these bytes, if it is known.
    pub(super) fn of(first: [u8; 4]) -> Option<Self> {
        if PROXY_PROTOCOL.contains(&&first) {
            return Some(Self::ProxyProtocol);
        }
        HTTP.contains(&&first).then_some(Self::Http)
    }

    /// The same of an error of a handshake. A client that only went away did nothing wrong.
    pub(super) fn of_handshake(error: io::Error) -> io::Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let foreign = inner.map(|inner| match inner {
            rustls::Error::NoApplicationProtocol => Self::OtherTls,
            other => Self::Handshake(other.to_string()),
        });
        foreign.map_or(error, Self::into)
    }
}

impl From<Foreign> for io::Error {
    fn from(foreign: Foreign) -> Self {
        Self::new(io::ErrorKind::InvalidData, foreign)
    }
}

/// Names each kind once in a while.
#[derive(Default)]
pub(super) struct Beginnings {
    http: LastLine,
    proxy_protocol: LastLine,
    other_tls: LastLine,
    handshake: LastLine,
}

impl Beginnings {
    /// Writes a line about a connection that began no session.
    pub(super) fn note(&self, error: &io::Error, peer: SocketAddr) {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Foreign>()) {
            Some(Foreign::Http) if self.http.is_long_ago() => tracing::warn!(
                %peer,
                "a client speaks HTTP where PostgreSQL clients are served (pgwire.listen), and is cut off: requests are answered at `listen`"
            ),
            Some(Foreign::ProxyProtocol) if self.proxy_protocol.is_long_ago() => tracing::warn!(
                %peer,
                "a proxy speaks the PROXY protocol where PostgreSQL clients are served (pgwire.listen), and is cut off: turn it off \
                 (HAProxy: send-proxy; nginx: proxy_protocol on)"
            ),
            Some(Foreign::OtherTls) if self.other_tls.is_long_ago() => tracing::warn!(
                %peer,
                "a client begins with TLS where PostgreSQL clients are served (pgwire.listen), and is cut off: it is one of HTTPS, or TLS is \
                 not set up here (pgwire.tls_cert, pgwire.tls_key)"
            ),
            Some(Foreign::Handshake(why)) if self.handshake.is_long_ago() => tracing::warn!(
                %peer,
                "the handshake of TLS with a PostgreSQL client failed: {why}; an alert about a certificate or an authority is the client's, \
                 which does not trust pgwire.tls_cert: it needs its authority (sslrootcert) and a name that it is for"
            ),
            _ => tracing::debug!(%error, %peer, "a PostgreSQL client did not begin a session"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_otherwise_is_known_by_its_first_bytes() {
        for (first, foreign) in [
            (b"GET ", Some(Foreign::Http)),
            (b"PRI ", Some(Foreign::Http)),
            (b"PROX", Some(Foreign::ProxyProtocol)),
            (b"\r\n\r\n", Some(Foreign::ProxyProtocol)),
            (b"\0\0\0\x08", None),
            (b"\xff\xff\xff\xff", None),
        ] {
            assert_eq!(Foreign::of(*first), foreign, "{first:?}");
        }
    }

    #[test]
    fn a_handshake_that_failed_is_told_from_a_client_that_went_away() {
        let of = |error: rustls::Error| {
            let error = Foreign::of_handshake(io::Error::new(io::ErrorKind::InvalidData, error));
            error.get_ref().and_then(|inner| inner.downcast_ref::<Foreign>()).cloned()
        };
        assert_eq!(of(rustls::Error::NoApplicationProtocol), Some(Foreign::OtherTls));
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        assert_eq!(of(alert.clone()), Some(Foreign::Handshake(alert.to_string())));
        let gone = Foreign::of_handshake(io::ErrorKind::UnexpectedEof.into());
        assert_eq!(gone.kind(), io::ErrorKind::UnexpectedEof);
    }
}
