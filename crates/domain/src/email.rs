//! E-mail addresses.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::typed;

/// Longest address that can be delivered to (RFC 5321 section 4.5.3.1.3, less the angle brackets).
const MAX_ADDRESS: usize = 254;
/// Longest local part (RFC 5321 section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// What links to addresses begin with (RFC 6068).
const MAILTO: &str = "mailto:";

/// A valid e-mail address in its one normal form: NFC, lower case, the domain in its ASCII spelling.
///
/// Two spellings of one mailbox compare equal, so uniqueness and rate limits cannot be walked around by case or by
/// Unicode composition. `Display` writes the domain as its owner does; [`as_str`](Self::as_str) is what is stored, compared
/// and sent to. Source: RFC 5322 `dot-atom`, RFC 6531 for other scripts, UTS 46 for domains.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a valid e-mail address of at most 254 characters")]
pub struct EmailError;

impl EmailAddress {
    /// Reads an address as people type and paste it: white space and invisible characters around it and a `mailto:` before
    /// it are ignored.
    ///
    /// # Errors
    /// [`EmailError`] when the text is no address.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = typed::trimmed(text);
        if text.len() > 4 * MAX_ADDRESS {
            return Err(EmailError);
        }
        // As some keyboards type it. Other full-width letters are left to the domain's rules: before the `@` they may be meant.
        let text = text.replace('\u{ff20}', "@");
        let text = match text.get(..MAILTO.len()) {
            Some(scheme) if scheme.eq_ignore_ascii_case(MAILTO) => {
                text.get(scheme.len()..).unwrap_or_default()
            }
            _ => &text,
        };
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let local: String = local.nfc().flat_map(char::to_lowercase).nfc().collect();
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError)?;
        if local.len() > MAX_LOCAL || !local.split('.').all(is_atom) || !is_domain(&domain) {
            return Err(EmailError);
        }
        let address = format!("{local}@{domain}");
        if address.len() > MAX_ADDRESS {
            return Err(EmailError);
        }
        Ok(Self(address))
    }

    /// An address read back from the store, where only normal forms are.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The address in its normal form, for the store and for whoever sends to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox behind the address, for counting: without what follows a `+` in the local part (RFC 5233 section 1),
    /// and without dots where the provider is known to ignore them. Never an address to write to.
    pub fn mailbox(&self) -> String {
        let (local, domain) = (self.local_part(), self.domain());
        let base = match local.split_once('+') {
            Some((base, _)) if !base.is_empty() => base,
            _ => local,
        };
        match domain {
            "gmail.com" | "googlemail.com" => format!("{}@gmail.com", base.replace('.', "")),
            _ => format!("{base}@{domain}"),
        }
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// The domain of an address as its owner writes it: in its own script (RFC 5895), where that reads back as the same domain.
    pub fn shown_domain(domain: &str) -> String {
        if !domain.contains("xn--") {
            return domain.to_owned();
        }
        let (shown, verdict) = idna::domain_to_unicode(domain);
        let is_same =
            verdict.is_ok() && idna::domain_to_ascii_strict(&shown).is_ok_and(|read| read == domain);
        if is_same { shown } else { domain.to_owned() }
    }
}

/// As people read and write it, where that reads back as the same address: see [`EmailAddress::shown_domain`].
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.domain().contains("xn--") {
            return f.write_str(&self.0);
        }
        let shown = format!("{}@{}", self.local_part(), Self::shown_domain(self.domain()));
        let is_same = Self::parse(&shown).is_ok_and(|read| read == *self);
        f.write_str(if is_same { &shown } else { &self.0 })
    }
}

/// RFC 5322 `atext`, one or more, widened by RFC 6531 to letters and marks of other scripts.
fn is_atom(atom: &str) -> bool {
    !atom.is_empty()
        && atom.chars().all(|c| {
            c.is_ascii_alphanumeric()
                || "!#$%&'*+-/=?^_`{|}~".contains(c)
                || (!c.is_ascii() && !c.is_control() && !c.is_whitespace() && !is_invisible(c))
        })
}

/// Characters that print nothing, with which one address could be made to look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..)
}

/// A host name of at least two labels; no address literals, which no sign-up has a use for.
fn is_domain(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    labels.len() >= 2
        && labels.iter().all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
        && labels.last().is_some_and(|top| !top.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        EmailAddress::parse(text).ok().map(|address| address.0)
    }

    #[test]
    fn spellings_of_one_mailbox_become_one_address() {
        assert_eq!(parsed(" Ada.Lovelace@EXAMPLE.com "), Some("ada.lovelace@example.com".into()));
        assert_eq!(parsed("jos\u{e9}@example.com"), parsed("JOSE\u{301}@example.com"));
        assert_eq!(parsed("a@b\u{fc}cher.example"), Some("a@xn--bcher-kva.example".into()));
        for pasted in [
            "\u{200b}grace@example.com",
            "\u{feff}grace@example.com\u{feff}",
            "\u{202a}grace@example.com\u{202c}\n",
            "mailto:grace@example.com",
            "MAILTO:Grace@example.com",
            "grace\u{ff20}example\u{ff0e}com",
            "grace@\u{ff45}xample\u{3002}com",
        ] {
            assert_eq!(parsed(pasted).as_deref(), Some("grace@example.com"), "{pasted:?}");
        }
    }

    #[test]
    fn an_international_domain_is_stored_in_ascii_and_shown_as_its_owner_writes_it() {
        for shown in
            ["a@b\u{fc}cher.example", "a@\u{4f8b}\u{3048}.\u{30c6}\u{30b9}\u{30c8}", "ada@example.com"]
        {
            let address = EmailAddress::parse(shown).unwrap();
            assert!(address.as_str().is_ascii());
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.split_once('@').unwrap().1, EmailAddress::shown_domain(address.domain()));
            assert_eq!(EmailAddress::parse(&address.to_string()), Ok(address));
        }
        for kept in ["a@xn--a.example", "a@xn--zzzzzz.example"] {
            assert_eq!(EmailAddress::from_stored(kept.to_owned()).to_string(), kept);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "@",
            "a@",
            "@b.c",
            "a",
            "a@b",
            "a b@c.de",
            "a@b..c",
            ".a@b.cd",
            "a.@b.cd",
            "a..b@c.de",
            "a@-b.cd",
            "a@b.c\0",
            "a\0@b.cd",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@b@c.de",
            "mailto:",
            "mailto:mailto:a@b.cd",
            "mailto:a@b.cd?subject=x",
            "\"a b\"@c.de",
            "a\u{200b}@b.cd",
            "a@b.cd\r\nBcc: x@y.zz",
            "<a@b.cd>",
            "a,b@c.de",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
        assert_eq!(parsed(&format!("{}@b.cd", "a".repeat(65))), None);
        assert_eq!(parsed(&format!("a@{}.cd", "b.".repeat(130))), None);
    }

    #[test]
    fn addresses_of_one_mailbox_are_counted_as_one() {
        let mailbox = |text: &str| EmailAddress::parse(text).unwrap().mailbox();
        assert_eq!(mailbox("ada+news@example.com"), "ada@example.com");
        assert_eq!(mailbox("ada+a+b@example.com"), mailbox("Ada@example.com"));
        assert_eq!(mailbox("a.d.a+1@googlemail.com"), mailbox("ada@gmail.com"));
        // Elsewhere a dot may tell two people apart.
        assert_ne!(mailbox("a.da@example.com"), mailbox("ada@example.com"));
        assert_eq!(mailbox("+ada@example.com"), "+ada@example.com");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,300}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
                prop_assert_eq!(EmailAddress::parse(&address.to_string()), Ok(address.clone()));
                prop_assert!(address.as_str().len() <= MAX_ADDRESS);
            }
        }

        #[test]
        fn case_never_makes_a_second_address(local in "[a-z0-9.+]{1,20}", domain in "[a-z]{1,9}\\.[a-z]{2,5}") {
            let text = format!("{local}@{domain}");
            prop_assert_eq!(parsed(&text), parsed(&text.to_uppercase()));
        }
    }
}
