//! What is wrong with the certificate of another server, in words. The library that refuses it has words of its own, and names for some
//! reasons nothing but itself (rustls 0.23, `CertificateError`, and webpki's errors, which it passes on by name alone).

use std::net::IpAddr;

use crate::Timestamp;

/// How the library begins what it says of a certificate.
const REFUSED: &str = "invalid peer certificate: ";

/// Whose certificate it is, and which settings are about it.
#[derive(Clone, Copy, Debug)]
pub struct CertificateOf {
    /// What its files are called in an example, without their ends.
    pub file: &'static str,
    /// Where they are put.
    pub given: &'static str,
    /// The setting that names the certificate of its authority.
    pub authority: &'static str,
    /// The setting that names the host.
    pub host: &'static str,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFault {
    /// What it is or has, without the certificate itself: "has expired".
    pub what: String,
    /// What to do.
    pub advice: String,
}

/// What to do about a certificate.
#[derive(Clone, Copy)]
enum Mend {
    Make,
    Sign,
    NameAuthority,
    NameHost,
    Renew,
    SetClock,
    Otherwise(&'static str),
}

const FOR_A_SERVER: Mend = Mend::Otherwise(
    "make one whose extended key usage has serverAuth, or none: `-addext extendedKeyUsage=serverAuth`",
);

/// What a reason has in it, what is said of it, and what to do.
const REASONS: &[(&str, &str, Mend)] = &[
    ("CaUsedAsEndEntity", "is an authority's (CA:TRUE), which no server may have", Mend::Make),
    (
        "EndEntityUsedAsCa",
        "was signed with a certificate that is none of an authority (CA:FALSE)",
        Mend::Sign,
    ),
    ("UnknownIssuer", "was signed by an authority that is not known here", Mend::NameAuthority),
    ("BadSignature", "was not signed by the authority whose name it has", Mend::NameAuthority),
    ("xpired", "has expired", Mend::Renew),
    ("not valid yet", "is not valid yet", Mend::SetClock),
    ("NotValidYet", "is not valid yet", Mend::SetClock),
    ("NotValidForName", "is for another host", Mend::NameHost),
    ("extended key usage", "is for another use than a server's", FOR_A_SERVER),
    ("InvalidPurpose", "is for another use than a server's", FOR_A_SERVER),
    (
        "UnsupportedSignatureAlgorithm",
        "has a key or a signature of a kind that is not taken",
        Mend::Otherwise(
            "make one with a key of RSA (2048 bits or more), P-256, P-384 or Ed25519, signed with SHA-256 or SHA-384",
        ),
    ),
    (
        "UnsupportedCertVersion",
        "is of an old version of X.509",
        Mend::Otherwise("make one of version 3, as -addext of openssl does"),
    ),
    (
        "CriticalExtension",
        "has a critical extension that is not known here",
        Mend::Otherwise("make one without it: `openssl x509 -noout -text` shows them"),
    ),
    (
        "NameConstraintViolation",
        "has a name that its authority may not sign",
        Mend::Otherwise("have another authority sign it, or give it another name"),
    ),
    (
        "PathLenConstraintViolated",
        "comes with a chain of authorities that one of them forbids",
        Mend::Otherwise("have the last authority that may sign others' certificates sign it"),
    ),
    (
        "MaximumPathDepthExceeded",
        "comes with a chain of authorities that is too long",
        Mend::Otherwise("have an authority nearer to the root sign it"),
    ),
    ("BadEncoding", "or that of its authority is none that can be read", Mend::Make),
];

impl CertificateOf {
    /// What is wrong with it, where that is what the library says; there may be more before it.
    pub fn fault(&self, said: &str) -> Option<CertificateFault> {
        let (_, reason) = said.split_once(REFUSED)?;
        if reason.contains("not valid for any names") {
            return Some(self.mended("is for no host: it has no subjectAltName", Mend::Make));
        }
        if let Some((asked, names)) = reason.split_once("; certificate is only valid for ") {
            return Some(self.of_another_host(asked, names));
        }
        let Some((_, what, mend)) = REASONS.iter().find(|(part, ..)| reason.contains(part)) else {
            let what = format!("is refused ({})", innermost(reason));
            let advice = "`openssl verify -CAfile AUTHORITY CERTIFICATE` says more of it; if it finds nothing, make another one";
            return Some(self.mended(&what, Mend::Otherwise(advice)));
        };
        let what = match instant(reason) {
            Some(instant) if matches!(mend, Mend::Renew) => format!("{what}, on {instant}"),
            Some(instant) if matches!(mend, Mend::SetClock) => format!("{what}, until {instant}"),
            _ => (*what).to_owned(),
        };
        Some(self.mended(&what, *mend))
    }

    /// What is wrong with one that has other names than the one that was `asked` for.
    fn of_another_host(&self, asked: &str, names: &str) -> CertificateFault {
        let asked = asked.split('"').nth(1).and_then(|name| name.parse::<IpAddr>().ok());
        let mut hosts = names.split("DnsName(\"").skip(1).filter_map(|name| name.split('"').next());
        let is_asked = |host: &str| asked.is_some() && host.parse::<IpAddr>().ok() == asked;
        if let Some(address) = hosts.find(|host| is_asked(host)) {
            let what = format!("has the address {address} as the name of a host (DNS:{address})");
            return self.mended(&what, Mend::Make);
        }
        let names =
            names.replace("DnsName(\"", "").replace("IpAddress(", "").replace("\")", "").replace(')', "");
        self.mended(&format!("is for another host: it is only valid for {names}"), Mend::NameHost)
    }

    fn mended(&self, what: &str, mend: Mend) -> CertificateFault {
        let Self { file, given, authority, host } = self;
        let advice = match mend {
            Mend::Make => format!(
                "make one for the server with `openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout {file}.key -out {file}.crt -subj \
                 /CN=HOST -addext subjectAltName=DNS:HOST -addext basicConstraints=critical,CA:FALSE` (IP:ADDRESS in place of DNS:HOST \
                 where the address has no name), {given}, and name {file}.crt in {authority}"
            ),
            Mend::Sign => format!(
                "have an authority sign the server's certificate, and give the authority's with {authority}"
            ),
            Mend::NameAuthority => {
                format!("give the certificate of the authority that signed the server's with {authority}")
            }
            Mend::NameHost => format!("give {host} by a name that is in the certificate"),
            Mend::Renew => {
                "renew it; if it is valid, set the clock of this machine, and keep it with NTP (`timedatectl \
                            set-ntp true`)"
                    .to_owned()
            }
            Mend::SetClock => "set the clock of this machine, or that of the machine that made it".to_owned(),
            Mend::Otherwise(advice) => advice.to_owned(),
        };
        CertificateFault { what: what.to_owned(), advice }
    }
}

/// The instant from which, or until which, a certificate is valid.
fn instant(reason: &str) -> Option<String> {
    let (_, rest) =
        reason.split_once("not valid after ").or_else(|| reason.split_once("not valid before "))?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(|seconds| Timestamp::from_seconds(seconds).iso_seconds())
}

/// The name in `Other(OtherError(Name))`.
fn innermost(text: &str) -> &str {
    text.rsplit('(').next().unwrap_or(text).trim_end_matches(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: CertificateOf = CertificateOf {
        file: "mail",
        given: "give it to the mail server",
        authority: "mail.smtp.ca_file",
        host: "mail.smtp.host",
    };

    #[test]
    fn each_reason_is_said_in_words_with_what_to_do() {
        for (reason, what, advice) in [
            ("Other(OtherError(CaUsedAsEndEntity))", "is an authority's (CA:TRUE)", "-out mail.crt"),
            ("Other(OtherError(EndEntityUsedAsCa))", "none of an authority (CA:FALSE)", "mail.smtp.ca_file"),
            ("Other(OtherError(UnsupportedCertVersion))", "an old version of X.509", "version 3"),
            ("Other(OtherError(EmptyEkuExtension))", "is refused (EmptyEkuExtension)", "openssl verify"),
            ("UnknownIssuer", "an authority that is not known", "with mail.smtp.ca_file"),
            ("BadEncoding", "none that can be read", "openssl req"),
            (
                "certificate expired: verification time 86402 (UNIX), but certificate is not valid after 86400 (2 seconds ago)",
                "has expired, on 1970-01-02T00:00:00Z",
                "renew it",
            ),
            ("Expired", "has expired", "set the clock of this machine"),
            (
                "certificate not valid yet: verification time 1 (UNIX), but certificate is not valid before 86400 (1 seconds in future)",
                "is not valid yet, until 1970-01-02T00:00:00Z",
                "set the clock",
            ),
            (
                "certificate not valid for name \"a.example\"; certificate is only valid for DnsName(\"b.example\") or IpAddress(192.0.2.1)",
                "is for another host: it is only valid for b.example or 192.0.2.1",
                "give mail.smtp.host by a name",
            ),
            (
                "certificate not valid for name \"192.0.2.1\"; certificate is only valid for DnsName(\"192.0.2.1\")",
                "has the address 192.0.2.1 as the name of a host (DNS:192.0.2.1)",
                "(IP:ADDRESS in place of DNS:HOST",
            ),
            (
                "certificate not valid for name \"a.example\"; certificate is only valid for DnsName(\"b.example\") or DnsName(\"192.0.2.1\")",
                "is for another host: it is only valid for b.example or 192.0.2.1",
                "give mail.smtp.host by a name",
            ),
            (
                "certificate not valid for name \"192.0.2.1\"; certificate is only valid for DnsName(\"b.example\") or DnsName(\"192.0.2.1\")",
                "has the address 192.0.2.1 as the name of a host (DNS:192.0.2.1)",
                "(IP:ADDRESS in place of DNS:HOST",
            ),
            (
                "certificate not valid for name \"a.example\"; certificate is not valid for any names (according to its subjectAltName \
                 extension)",
                "is for no host: it has no subjectAltName",
                "-addext subjectAltName=DNS:HOST",
            ),
        ] {
            let fault = OF.fault(&format!("Connection error: {REFUSED}{reason}")).unwrap();
            assert!(fault.what.contains(what), "{reason}: {}", fault.what);
            assert!(fault.advice.contains(advice), "{reason}: {}", fault.advice);
            assert!(!fault.what.contains("OtherError"), "{fault:?}");
        }
        assert_eq!(OF.fault("received fatal alert: UnknownCA"), None);
    }
}
