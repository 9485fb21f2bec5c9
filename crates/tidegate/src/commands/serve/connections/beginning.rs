//! Connections that begin with something else than a request, or with one whose head is too long. The library answers them with a status
//! and nothing besides; the log says what is to be done.

use std::error::Error;
use std::net::SocketAddr;

use tidegate_kernel::last_line::LastLine;

/// How the PROXY protocol begins, in version 1 and in version 2.
const PROXY_PROTOCOL: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
/// How a handshake of TLS begins (RFC 8446 section 5.1).
const TLS: &[u8] = &[0x16, 0x03];

/// What is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    ProxyProtocol,
    Tls,
}

impl Foreign {
    /// What a connection speaks that begins with these bytes, as far as it is known and no HTTP.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if PROXY_PROTOCOL.iter().any(|beginning| bytes.starts_with(beginning)) {
            return Some(Self::ProxyProtocol);
        }
        bytes.starts_with(TLS).then_some(Self::Tls)
    }
}

/// Names each kind once in a while.
#[derive(Default)]
pub(super) struct Beginnings {
    proxy_protocol: LastLine,
    tls: LastLine,
    long_head: LastLine,
}

impl Beginnings {
    /// Writes a line about a connection that was refused for how it began.
    pub(super) fn note(
        &self,
        error: &(dyn Error + Send + Sync + 'static),
        foreign: Option<Foreign>,
        peer: SocketAddr,
    ) {
        let error = error.downcast_ref::<hyper::Error>();
        let is_too_long = error.is_some_and(hyper::Error::is_parse_too_large);
        match foreign {
            Some(Foreign::ProxyProtocol) if self.proxy_protocol.is_long_ago() => tracing::warn!(
                %peer,
                "a proxy speaks the PROXY protocol, which is not read here, and is answered with 400: turn it off (HAProxy: \
                 send-proxy; nginx: proxy_protocol on), and have it send X-Forwarded-For (docs/guides/reverse-proxy.md)"
            ),
            Some(Foreign::Tls) if self.tls.is_long_ago() => tracing::warn!(
                %peer,
                "a client begins with TLS, which is not spoken here, and is answered with 400: its address of this server has to begin with \
                 http://, or be that of a proxy that takes TLS off (docs/guides/reverse-proxy.md)"
            ),
            None if is_too_long && self.long_head.is_long_ago() => tracing::warn!(
                %peer,
                "the head of a request has more than 64 KiB or 100 fields, and is answered with 431: usually there are too many cookies, \
                 such as those of other programs at the same domain"
            ),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_http_is_known_by_its_first_bytes() {
        let cases: [(&[u8], Option<Foreign>); 7] = [
            (b"PROXY TCP4 198.51.100.1 10.0.0.1 51000 80\r\n", Some(Foreign::ProxyProtocol)),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Some(Foreign::ProxyProtocol)),
            (b"\x16\x03\x01\x02\0\x01", Some(Foreign::Tls)),
            (b"PROPFIND / HTTP/1.1\r\n", None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", None),
            (b"", None),
        ];
        for (bytes, foreign) in cases {
            assert_eq!(Foreign::of(bytes), foreign, "{bytes:?}");
        }
    }
}
