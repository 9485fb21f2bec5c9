//! Second factors: what is shown beside a first one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use unicode_normalization::UnicodeNormalization;

use crate::Secret;

/// Backup codes of one set.
pub const RECOVERY_CODES: usize = 10;
/// Characters of a backup code, without its dash.
pub const RECOVERY_CODE_LENGTH: usize = 8;
/// The characters of backup codes: 32, so 5 bits each. None is easily taken for another.
pub const RECOVERY_ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// How long a factor that is being set up can be verified.
pub const SETUP_LIFETIME: Duration = Duration::from_secs(600);
/// How long a device can be activated after the sign-in that showed the second factor.
pub const ACTIVATION_LIFETIME: Duration = Duration::from_secs(300);

/// A kind of second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// Codes of an authenticator app (RFC 6238).
    Totp,
    /// Codes sent to the primary address.
    EmailOtp,
    /// Codes sent to the verified phone.
    SmsOtp,
}

impl FactorKind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Totp, Self::EmailOtp, Self::SmsOtp];

    /// The name in the store and in contracts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::EmailOtp => "email_otp",
            Self::SmsOtp => "sms_otp",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A backup code in its one spelling: upper case, without dash.
#[derive(Clone, Debug)]
pub struct RecoveryCode(Secret);

/// Text that cannot be a backup code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a backup code such as ABCD-2345")]
pub struct NotARecoveryCode;

impl RecoveryCode {
    /// Reads a code as people type it: in either case, with or without spaces and dashes, also in full-width characters.
    ///
    /// # Errors
    /// [`NotARecoveryCode`] for text of another length or with other characters.
    pub fn parse(text: &str) -> Result<Self, NotARecoveryCode> {
        // Longer than a code that is spelled with a space between its characters.
        if text.chars().count() > 4 * RECOVERY_CODE_LENGTH {
            return Err(NotARecoveryCode);
        }
        let code: String = text
            .nfkc()
            .filter(|c| !c.is_whitespace() && !is_dash(*c))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let is_code =
            code.len() == RECOVERY_CODE_LENGTH && code.bytes().all(|byte| RECOVERY_ALPHABET.contains(&byte));
        if is_code { Ok(Self(Secret::new(code))) } else { Err(NotARecoveryCode) }
    }

    /// The code's characters.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// As it is shown: `ABCD-2345`.
    pub fn shown(&self) -> String {
        let (left, right) = self.expose().split_at(RECOVERY_CODE_LENGTH / 2);
        format!("{left}-{right}")
    }
}

/// Hyphen-minus, the dashes of general punctuation, and the minus sign.
const fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// How an administrator's reset of second factors takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetMode {
    /// At once; the owner is told.
    Immediate,
    /// After a delay; the owner is told, and may call it off.
    Delayed,
    /// Once the owner has followed a mailed link.
    Confirmed,
}

/// How resets of second factors take effect, by who asks for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub struct FactorResets {
    /// By the command line: tidegate user reset-mfa.
    #[default(ResetMode::Immediate)]
    pub by_operator: ResetMode,
    /// By a manager of the organization that looks after the account.
    #[default(ResetMode::Delayed)]
    pub by_manager: ResetMode,
    /// Seconds a delayed one waits.
    #[serde(with = "crate::time::seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(3 * 24 * 3_600))]
    pub delay: Duration,
}

/// What a client collected about itself: the `x-device-fingerprint` header, JSON text. Nothing where the header is absent or cannot
/// be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceData(String);

/// Longest header that is taken into account, in bytes.
const LONGEST_DEVICE_DATA: usize = 4 * 1024;

impl DeviceData {
    /// Reads the header. It never fails: what is no JSON text counts as none.
    pub fn from_header(header: &[u8]) -> Self {
        if header.len() > LONGEST_DEVICE_DATA {
            return Self::default();
        }
        // Written anew, so that white space between members makes no difference.
        let value = serde_json::from_slice::<serde_json::Value>(header);
        Self(value.map(|value| value.to_string()).unwrap_or_default())
    }

    /// The text; empty where there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a device is called, from the user agent of its client.
pub fn device_name(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 6] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => {
            let product: String = user_agent
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
                .take(40)
                .collect();
            if product.is_empty() { "Unknown device".to_owned() } else { product }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_backup_code_is_read_as_people_type_it() {
        for text in [
            "ABCD-2345",
            "abcd2345",
            " abcd 2345 ",
            "ABCD\u{2013}2345",
            "ＡＢＣＤ－２３４５",
            "A B C D 2 3 4 5",
        ] {
            assert_eq!(RecoveryCode::parse(text).unwrap().expose(), "ABCD2345", "{text}");
        }
        for text in ["", "ABCD-234", "ABCD-23456", "ABCD-234I", "ABCD-2340", "ABCD/2345", "ABCD-234\u{301}5"]
        {
            assert_eq!(RecoveryCode::parse(text).unwrap_err(), NotARecoveryCode, "{text}");
        }
        assert_eq!(RecoveryCode::parse("abcd2345").unwrap().shown(), "ABCD-2345");
    }

    #[test]
    fn a_header_that_is_no_json_counts_as_none() {
        let read = |text: &str| DeviceData::from_header(text.as_bytes());
        assert_eq!(read(r#"{ "screen": [1, 2] }"#), read(r#"{"screen":[1,2]}"#));
        for text in ["", "{", "screen=1", "\u{0}"] {
            assert_eq!(read(text), DeviceData::default(), "{text}");
        }
        assert_eq!(read(&format!("\"{}\"", "a".repeat(LONGEST_DEVICE_DATA))), DeviceData::default());
    }

    #[test]
    fn a_device_is_called_after_its_browser_and_system() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(device_name(firefox), "Firefox on Linux");
        assert_eq!(device_name("curl/8.1"), "curl");
        assert_eq!(device_name("<script>"), "Unknown device");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_a_code_has_one_spelling(text in any::<String>()) {
            if let Ok(code) = RecoveryCode::parse(&text) {
                let again = RecoveryCode::parse(&code.shown()).unwrap();
                prop_assert_eq!(again.expose(), code.expose());
            }
            let _ = DeviceData::from_header(text.as_bytes());
            prop_assert!(device_name(&text).chars().count() <= 40);
        }
    }
}
