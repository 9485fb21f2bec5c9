//! Identifiers of users, items and sessions, of whichever type a database was made with.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Longest identifier at sign-in, in characters (Crossing Minds section 4).
pub const MAX_LENGTH: usize = 64;

/// The type of a database's identifiers. Permanent.
///
/// Source: Crossing Minds section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdType {
    /// `int8` to `int64`.
    Signed(IntSize),
    /// `uint8` to `uint64`.
    Unsigned(IntSize),
    /// `uuid`.
    Uuid,
    /// `hex<N>`: up to N hexadecimal digits.
    Hex(Width),
    /// `urlsafe<N>`: up to N of `0-9 a-z A-Z . _ -`.
    UrlSafe(Width),
    /// `bytes<N>`: up to N bytes, base64url without padding on the wire.
    Bytes(Width),
}

/// Bits of an integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntSize {
    /// 8 bits.
    Eight,
    /// 16 bits.
    Sixteen,
    /// 32 bits.
    ThirtyTwo,
    /// 64 bits.
    SixtyFour,
}

/// 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Width(u8);

/// There is no identifier type of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be one of int8, int16, int32, int64, uint8, uint16, uint32, uint64, uuid, hex<N>, urlsafe<N>, bytes<N> \
     with N from 1 to 64"
)]
pub struct UnknownIdType;

/// The text or number is no identifier of that type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a valid {0}")]
pub struct WrongId(pub IdType);

/// An identifier in its one normal form, as text: two spellings of one identifier compare equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlexibleId(String);

/// An identifier as it was sent: only the database says of which type it is. It takes no more memory than its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SentId {
    /// A string.
    Text(String),
    /// An integer, in its digits.
    Number(String),
    /// Anything else, which is an identifier of no type.
    Other,
}

impl<'de> Deserialize<'de> for SentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SentIdVisitor)
    }
}

struct SentIdVisitor;

impl<'de> Visitor<'de> for SentIdVisitor {
    type Value = SentId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SentId, E> {
        Ok(SentId::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<SentId, E> {
        Ok(SentId::Text(text))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<SentId, E> {
        Ok(SentId::Number(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<SentId, E> {
        Ok(SentId::Number(number.to_string()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SentId, E> {
        Ok(SentId::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SentId, E> {
        Ok(SentId::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<SentId, E> {
        Ok(SentId::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<SentId, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(SentId::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<SentId, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(SentId::Other)
    }
}

impl FlexibleId {
    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An identifier read back from the store or from a token, where only normal forms are.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl IntSize {
    const ALL: [Self; 4] = [Self::Eight, Self::Sixteen, Self::ThirtyTwo, Self::SixtyFour];

    const fn bits(self) -> u32 {
        match self {
            Self::Eight => 8,
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
            Self::SixtyFour => 64,
        }
    }
}

impl Width {
    fn parse(text: &str) -> Option<Self> {
        // No sign, no leading zero: a type has one name.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        text.parse().ok().filter(|width| plain && (1..=64).contains(width)).map(Self)
    }

    fn holds(self, length: usize) -> bool {
        (1..=usize::from(self.0)).contains(&length)
    }
}

impl FromStr for IdType {
    type Err = UnknownIdType;

    fn from_str(name: &str) -> Result<Self, UnknownIdType> {
        let integer = |digits: &str| IntSize::ALL.into_iter().find(|size| size.bits().to_string() == digits);
        let width = |rest: &str| Width::parse(rest).ok_or(UnknownIdType);
        if name == "uuid" {
            Ok(Self::Uuid)
        } else if let Some(size) = name.strip_prefix("int").and_then(integer) {
            Ok(Self::Signed(size))
        } else if let Some(size) = name.strip_prefix("uint").and_then(integer) {
            Ok(Self::Unsigned(size))
        } else if let Some(rest) = name.strip_prefix("hex") {
            width(rest).map(Self::Hex)
        } else if let Some(rest) = name.strip_prefix("urlsafe") {
            width(rest).map(Self::UrlSafe)
        } else if let Some(rest) = name.strip_prefix("bytes") {
            width(rest).map(Self::Bytes)
        } else {
            Err(UnknownIdType)
        }
    }
}

impl fmt::Display for IdType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(size) => write!(f, "int{}", size.bits()),
            Self::Unsigned(size) => write!(f, "uint{}", size.bits()),
            Self::Uuid => f.write_str("uuid"),
            Self::Hex(width) => write!(f, "hex{}", width.0),
            Self::UrlSafe(width) => write!(f, "urlsafe{}", width.0),
            Self::Bytes(width) => write!(f, "bytes{}", width.0),
        }
    }
}

impl IdType {
    /// Reads an identifier from JSON: a number or its digits for integers, a string for all others.
    ///
    /// # Errors
    /// [`WrongId`] when it is none of this type.
    pub fn parse_json(self, sent: &SentId) -> Result<FlexibleId, WrongId> {
        match (self, sent) {
            (_, SentId::Text(text)) => self.parse_text(text),
            (Self::Signed(_) | Self::Unsigned(_), SentId::Number(digits)) => self.parse_text(digits),
            _ => Err(WrongId(self)),
        }
    }

    /// Reads an identifier from a URL or from a JSON string.
    ///
    /// # Errors
    /// [`WrongId`] when it is none of this type.
    pub fn parse_text(self, text: &str) -> Result<FlexibleId, WrongId> {
        let normal = match self {
            Self::Signed(size) => integer(text, -(1 << (size.bits() - 1)), (1 << (size.bits() - 1)) - 1),
            Self::Unsigned(size) => integer(text, 0, (1 << size.bits()) - 1),
            Self::Uuid => uuid(text),
            Self::Hex(width) => {
                of_alphabet(text, width, |c| c.is_ascii_hexdigit()).map(str::to_ascii_uppercase)
            }
            Self::UrlSafe(width) => {
                of_alphabet(text, width, |c| c.is_ascii_alphanumeric() || "._-".contains(c))
                    .map(str::to_owned)
            }
            Self::Bytes(width) => {
                base64url_length(text).filter(|length| width.holds(*length)).map(|_| text.to_owned())
            }
        };
        normal.map(FlexibleId).ok_or(WrongId(self))
    }

    /// Writes an identifier as JSON: integers as numbers, all others as strings.
    pub fn emit(self, id: &FlexibleId) -> Value {
        match self {
            Self::Signed(_) => id.0.parse::<i64>().map_or_else(|_| Value::from(id.0.as_str()), Value::from),
            Self::Unsigned(_) => id.0.parse::<u64>().map_or_else(|_| Value::from(id.0.as_str()), Value::from),
            Self::Uuid | Self::Hex(_) | Self::UrlSafe(_) | Self::Bytes(_) => Value::from(id.0.as_str()),
        }
    }
}

/// Decimal digits with an optional minus, within bounds, without leading zeros or a negative zero.
fn integer(text: &str, least: i128, most: i128) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i128 = text.parse().ok()?;
    (least..=most).contains(&number).then(|| number.to_string())
}

/// 8-4-4-4-12 hexadecimal digits in any case.
fn uuid(text: &str) -> Option<String> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let hexadecimal = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    (groups == [8, 4, 4, 4, 12] && hexadecimal).then(|| text.to_ascii_lowercase())
}

fn of_alphabet(text: &str, width: Width, allowed: impl Fn(char) -> bool) -> Option<&str> {
    (width.holds(text.len()) && text.chars().all(allowed)).then_some(text)
}

/// How many bytes canonical base64url without padding encodes (RFC 4648 section 5); none for anything else.
fn base64url_length(text: &str) -> Option<usize> {
    // Unused bits must be zero: otherwise one identifier would have several spellings.
    URL_SAFE_NO_PAD.decode(text).ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn kind(name: &str) -> IdType {
        name.parse().unwrap()
    }

    fn sent(value: Value) -> SentId {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    fn normal(name: &str, text: &str) -> Option<String> {
        kind(name).parse_text(text).ok().map(|id| id.0)
    }

    #[test]
    fn every_type_has_one_name() {
        for name in ["int8", "int64", "uint16", "uint32", "uuid", "hex1", "hex64", "urlsafe36", "bytes12"] {
            assert_eq!(kind(name).to_string(), name);
        }
        for name in
            ["", "int", "int7", "int128", "uint", "hex", "hex0", "hex65", "hex01", "bytes+1", "UUID", "text"]
        {
            assert_eq!(name.parse::<IdType>(), Err(UnknownIdType), "{name}");
        }
    }

    #[test]
    fn integers_stay_in_their_range_and_may_come_as_digits() {
        assert_eq!(kind("uint8").parse_json(&sent(json!(255))).unwrap().as_str(), "255");
        assert_eq!(kind("uint8").parse_json(&sent(json!("7"))).unwrap().as_str(), "7");
        assert_eq!(normal("int8", "-128"), Some("-128".into()));
        assert_eq!(normal("uint64", "18446744073709551615"), Some("18446744073709551615".into()));
        assert_eq!(normal("int64", "-9223372036854775808"), Some("-9223372036854775808".into()));
        for (name, text) in [
            ("uint8", "256"),
            ("uint8", "-1"),
            ("int8", "128"),
            ("int8", ""),
            ("int8", "-"),
            ("int8", "+1"),
            ("int8", " 1"),
            ("int8", "1.0"),
            ("int8", "1e1"),
            ("uint64", "18446744073709551616"),
        ] {
            assert_eq!(normal(name, text), None, "{name} {text}");
        }
        for value in [json!(1.5), json!(true), json!(null), json!([1]), json!({}), json!(256)] {
            assert_eq!(
                kind("uint8").parse_json(&sent(value.clone())),
                Err(WrongId(kind("uint8"))),
                "{value}"
            );
        }
        assert_eq!(kind("uint32").emit(&FlexibleId("7".into())), json!(7));
        assert_eq!(normal("int16", "007"), Some("7".into()));
        assert_eq!(normal("int16", "-0"), Some("0".into()));
    }

    #[test]
    fn what_is_sent_is_text_or_an_integer_and_nothing_else_is_kept() {
        assert_eq!(sent(json!("7")), SentId::Text("7".into()));
        assert_eq!(sent(json!(-7)), SentId::Number("-7".into()));
        assert_eq!(sent(json!(u64::MAX)), SentId::Number(u64::MAX.to_string()));
        for other in
            [json!(null), json!(true), json!(1.0), json!(1e30), json!([[{"": 0}], 1]), json!({"": {"": [0]}})]
        {
            assert_eq!(sent(other.clone()), SentId::Other, "{other}");
        }
        for text in ["-0", "123456789012345678901234567890"] {
            assert_eq!(serde_json::from_str::<SentId>(text).unwrap(), SentId::Other, "{text}");
        }
    }

    #[test]
    fn the_others_are_strings_in_one_spelling() {
        let uuid = "C3391D83-553B-40E7-818E-FCF658EC397D";
        assert_eq!(normal("uuid", uuid), Some(uuid.to_lowercase()));
        assert_eq!(normal("uuid", &uuid.replace('-', "")), None);
        assert_eq!(normal("hex4", "00fF"), Some("00FF".into()));
        assert_eq!((normal("hex4", "00fFa"), normal("hex4", ""), normal("hex4", "xyz")), (None, None, None));
        assert_eq!(normal("urlsafe5", "a.B_-"), Some("a.B_-".into()));
        assert_eq!((normal("urlsafe5", "a/b"), normal("urlsafe5", "abcdef")), (None, None));
        assert_eq!(normal("bytes3", "AAEC"), Some("AAEC".into()));
        for text in ["AAECAw", "AAE=", "A", "AB", "", "A+/="] {
            assert_eq!(normal("bytes3", text), None, "{text}");
        }
        assert_eq!(kind("uuid").parse_json(&sent(json!(7))), Err(WrongId(IdType::Uuid)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_emitted_and_read_again(
            name in "int(8|16|32|64)|uint(8|16|32|64)|uuid|(hex|urlsafe|bytes)([1-9]|[1-5][0-9]|6[0-4])",
            text in "-?[0-9]{1,21}|[0-9a-fA-F-]{1,40}|[0-9a-zA-Z._-]{1,70}|\\PC{0,10}",
        ) {
            let kind = kind(&name);
            if let Ok(id) = kind.parse_text(&text) {
                let emitted = kind.emit(&id);
                prop_assert_eq!(kind.parse_json(&sent(emitted)), Ok(id));
            }
        }

        #[test]
        fn every_integer_in_range_is_an_identifier(number in any::<u64>()) {
            prop_assert_eq!(kind("uint64").emit(&kind("uint64").parse_json(&sent(json!(number))).unwrap()), json!(number));
            let signed = i64::from_ne_bytes(number.to_ne_bytes());
            prop_assert_eq!(kind("int64").emit(&kind("int64").parse_json(&sent(json!(signed))).unwrap()), json!(signed));
        }
    }
}
