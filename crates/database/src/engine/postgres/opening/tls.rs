//! Why there is no TLS with the server, in words: what rustls says is its own, and names for some reasons nothing but itself.

use tidegate_domain::certificate::CertificateOf;

use super::{PgConnectOptions, Refusal, server, without_number};

/// What a reason has in it, what is said of it, and what to do.
type Reason = (&'static str, &'static str, &'static str);

/// The server, for which the files are named in `postgresql.conf`.
const SERVER: CertificateOf = CertificateOf {
    file: "server",
    given: "give it to PostgreSQL with ssl_cert_file and ssl_key_file",
    authority: "sslrootcert",
    host: "the host in the address",
};

/// What else keeps both from TLS.
const OF_BOTH: &[Reason] = &[
    (
        "Invalid certificate",
        "the file of sslrootcert has something that is no certificate",
        "give it certificates in PEM, which begin with -----BEGIN CERTIFICATE-----",
    ),
    (
        "ProtocolVersion",
        "the server has no version of TLS that is taken here",
        "allow TLS 1.2 and 1.3 there: ssl_min_protocol_version and ssl_max_protocol_version in postgresql.conf",
    ),
    (
        "peer is incompatible",
        "the server has no version of TLS, or no cipher, that is taken here",
        "allow TLS 1.2 and 1.3 there: ssl_max_protocol_version and ssl_ciphers in postgresql.conf",
    ),
    (
        "HandshakeFailure",
        "the server finds no version of TLS, or no cipher, in common",
        "allow TLS 1.2 and 1.3 there: ssl_max_protocol_version and ssl_ciphers in postgresql.conf",
    ),
    (
        "received fatal alert",
        "the server does not take the certificate of this side, or wants one",
        "give one that its ssl_ca_file has signed, with sslcert and sslkey, or see the server's log",
    ),
    (
        "corrupt message",
        "what answers does not speak TLS",
        "check host and port, and whether a proxy or a pooler is between",
    ),
];

/// Why the TLS connection was not made. `text` is what the library says.
pub(super) fn refusal(connect: &PgConnectOptions, text: &str) -> Refusal {
    let (server, text) = (server(connect), without_number(text));
    if text.contains("does not support TLS") {
        return Refusal::new(
            "database_tls",
            format!("{server} offers no TLS, and sslmode asks for it"),
            "turn on `ssl` in postgresql.conf; sslmode=disable sends passwords and data unencrypted",
        );
    }
    let (why, advice) = in_words(text);
    Refusal::new("database_tls", format!("the TLS connection to {server} fails: {why}"), advice)
}

fn in_words(text: &str) -> (String, String) {
    if let Some(fault) = SERVER.fault(text) {
        return (format!("the server's certificate {}", fault.what), fault.advice);
    }
    match find(OF_BOTH, text) {
        Some((what, advice)) => (what.to_owned(), advice.to_owned()),
        // It may be about what is read before anything is sent.
        None => (
            text.to_owned(),
            "check the files of sslrootcert, sslcert and sslkey, and see the server's log".to_owned(),
        ),
    }
}

/// What is said of a text, and what to do.
fn find(reasons: &'static [Reason], text: &str) -> Option<(&'static str, &'static str)> {
    let &(_, what, advice) = reasons.iter().find(|reason| text.contains(reason.0))?;
    Some((what, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_said_in_words_with_what_to_do() {
        for (said, what, advice) in [
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "the server's certificate is an authority's (CA:TRUE)",
                "-addext basicConstraints=critical,CA:FALSE`",
            ),
            (
                "invalid peer certificate: Other(OtherError(EndEntityUsedAsCa))",
                "none of an authority (CA:FALSE)",
                "sslrootcert",
            ),
            (
                "invalid peer certificate: Other(OtherError(UnsupportedCertVersion))",
                "an old version of X.509",
                "version 3",
            ),
            (
                "invalid peer certificate: Other(OtherError(EmptyEkuExtension))",
                "is refused (EmptyEkuExtension)",
                "openssl verify",
            ),
            ("invalid peer certificate: UnknownIssuer", "an authority that is not known", "sslrootcert"),
            ("invalid peer certificate: BadSignature", "was not signed by the authority", "sslrootcert"),
            ("invalid peer certificate: BadEncoding", "none that can be read", "openssl req"),
            (
                "invalid peer certificate: certificate expired: verification time 2 (UNIX), but certificate is not valid after 1 (1 seconds ago)",
                "the server's certificate has expired",
                "renew it",
            ),
            (
                "invalid peer certificate: certificate not valid yet: verification time 1 (UNIX), but certificate is not valid before 2 (1 \
                 seconds in future)",
                "is not valid yet",
                "set the clock",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"db.example\"; certificate is only valid for \
                 DnsName(\"other.example\") or IpAddress(192.0.2.1)",
                "for another host: it is only valid for other.example or 192.0.2.1",
                "a name that is in the certificate",
            ),
            (
                "invalid peer certificate: certificate does not allow extended key usage for server authentication, allows client \
                 authentication",
                "for another use",
                "serverAuth",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"db.example\"; certificate is not valid for any names (according to \
                 its subjectAltName extension)",
                "is for no host: it has no subjectAltName",
                "-addext subjectAltName=DNS:HOST",
            ),
            ("Invalid certificate file: /a.pem", "the file of sslrootcert", "-----BEGIN CERTIFICATE-----"),
            ("received fatal alert: ProtocolVersion", "no version of TLS", "ssl_min_protocol_version"),
            ("received fatal alert: CertificateRequired", "the certificate of this side", "sslcert"),
            ("peer misbehaved: TooManyEmptyFragments", "peer misbehaved", "the server's log"),
        ] {
            let connect = PgConnectOptions::new_without_pgpass().host("db.example").port(5432);
            let refusal = refusal(&connect, said);
            assert!(
                refusal.what.contains("fails: ") && refusal.what.contains(what),
                "{said}: {}",
                refusal.what
            );
            assert!(refusal.advice.contains(advice), "{said}: {}", refusal.advice);
            assert!(!refusal.to_string().contains("OtherError"), "{refusal}");
        }
    }
}
