//! Phone numbers.

use std::fmt;

use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::limit::Limit;
use crate::typed;

/// Longest text that is read at all: the longest number with a separator after every digit, and some to
/// spare.
const MAX_TEXT: usize = 64;
/// Digits of the longest number, its country code included (ITU-T E.164 section 6.1).
const MAX_DIGITS: usize = 15;
/// What is dialled before a country code, here and there (ITU-T E.164 recommends `00`): Kenya, the North American plan,
/// Australia. A number that is one at home is not read so.
const INTERNATIONAL_PREFIXES: [&str; 4] = ["000", "00", "0011", "011"];
/// What links to numbers begin with (RFC 3966).
const TEL_SCHEME: &str = "tel:";
/// Digits left readable where a number is shown to an operator.
const SHOWN: usize = 2;

/// A mobile number in its one normal form, E.164: `+254712345678`.
///
/// Spellings of one number compare equal, so uniqueness and budgets cannot be walked around by blanks or a
/// leading zero. It is personal data: `Display` and `Debug` show its last two digits,
/// [`expose`](Self::expose) all of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// The text is not a mobile number of a country that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a valid mobile phone number")]
pub struct PhoneError;

/// A country, by its two letters of ISO 3166-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Country(Id);

/// Letters that name no country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a country: two letters as in ISO 3166, such as KE")]
pub struct UnknownCountry(String);

/// Which numbers are accepted. Source: Riven contract, section 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneRule {
    /// Countries whose mobile numbers are accepted. Numbers written without a country code are those of the
    /// first.
    pub countries: Vec<Country>,
}

/// How often codes are texted. A limit left out does not exist. Source: Riven contract, section 1, resend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct TextLimits {
    /// To one phone, in a short time.
    #[default(Some(Limit::new(1, 60)))]
    pub by_phone_at_once: Option<Limit>,
    /// To one phone, over a longer time.
    #[default(Some(Limit::new(5, 3_600)))]
    pub by_phone: Option<Limit>,
    /// For one client address. Mobile operators put thousands of phones behind one address (carrier-grade NAT): raise
    /// this limit if users on mobile data are refused. Behind a proxy set http.trusted_proxies, or all clients share
    /// this limit.
    #[default(Some(Limit::new(20, 3_600)))]
    pub by_ip: Option<Limit>,
    /// To all numbers with the same country code and next two digits, such as +25471. Limits SMS pumping (toll fraud)
    /// through one number range. When it is used up, all numbers with this prefix are refused: set it to a few times
    /// your busiest hour.
    #[default(Some(Limit::new(1_000, 3_600)))]
    pub by_prefix: Option<Limit>,
}

impl Default for PhoneRule {
    fn default() -> Self {
        Self { countries: vec![Country::KENYA] }
    }
}

impl PhoneRule {
    /// Reads a number as people write, dial and paste it: `+254 712 345678`, `254712345678`, `0712-345678`, `(0712) 345678`,
    /// `00254712345678`, `tel:+254712345678`, in the digits of any script.
    ///
    /// Kenyan numbers are those that match `^\+254(7|1)\d{8}$`, whether or not a block is known to be given
    /// out: the regulator opens new ones. Those of other countries are mobile numbers by the numbering plans
    /// of libphonenumber. Operators are not distinguished: numbers are portable.
    ///
    /// # Errors
    /// [`PhoneError`] when the text is no such number.
    pub fn parse(&self, text: &str) -> Result<PhoneNumber, PhoneError> {
        let text = digits_of(text)?;
        if text.starts_with('+') {
            return self.read(None, &text);
        }
        let home = self.countries.first().ok_or(PhoneError)?;
        // As dialled at home; with a country code whose plus was left out; or as dialled abroad.
        let abroad = INTERNATIONAL_PREFIXES.iter().filter_map(|prefix| text.strip_prefix(prefix));
        let international = || std::iter::once(text.as_str()).chain(abroad);
        self.read(Some(home.0), &text).or_else(|_| {
            international().find_map(|text| self.read(None, &format!("+{text}")).ok()).ok_or(PhoneError)
        })
    }

    /// Whether the text, with its country code, is a mobile number of a country that is not served. Its owner is told no more than that it
    /// is none; the operator may have meant to serve that country.
    pub fn is_of_another_country(&self, text: &str) -> bool {
        let Ok(text) = digits_of(text) else { return false };
        let read = text.starts_with('+').then(|| phonenumber::parse(None, &text).ok()).flatten();
        read.is_some_and(|number| {
            let country = number.country().id();
            is_mobile(&number) && country.is_some_and(|id| !self.countries.contains(&Country(id)))
        })
    }

    fn read(&self, home: Option<Id>, text: &str) -> Result<PhoneNumber, PhoneError> {
        let number = phonenumber::parse(home, text).map_err(|_| PhoneError)?;
        let digits = format!("{}{}", number.code().value(), number.national());
        if digits.len() > MAX_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(PhoneError);
        }
        let normal = format!("+{digits}");
        let accepted = self.countries.iter().any(|country| match country.0 {
            Id::KE => is_kenyan_mobile(&normal),
            id => number.country().id() == Some(id) && is_mobile(&number),
        });
        if accepted { Ok(PhoneNumber(normal)) } else { Err(PhoneError) }
    }
}

impl Country {
    /// Where the contract comes from.
    pub const KENYA: Self = Self(Id::KE);
}

impl TryFrom<String> for Country {
    type Error = UnknownCountry;

    fn try_from(letters: String) -> Result<Self, UnknownCountry> {
        letters.to_ascii_uppercase().parse().map(Self).map_err(|_| UnknownCountry(letters))
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.0.as_ref().to_owned()
    }
}

impl PhoneNumber {
    /// A number read back from the store, where only normal forms are.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The whole number, for the store and for senders.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The country code and the first two digits after it: `+25471`. What a budget per destination counts by,
    /// which limits SMS pumping (toll fraud) through one number range.
    pub fn prefix(&self) -> &str {
        let digits = self.0.strip_prefix('+').unwrap_or_default();
        self.0.get(..1 + calling_code_length(digits) + 2).unwrap_or(&self.0)
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({self})")
    }
}

/// `number` with a star for everything but its plus and its last two digits: `+**********78`.
fn masked(number: &str) -> String {
    let length = number.chars().count();
    let shown = if length > 2 * SHOWN + 1 { SHOWN } else { 0 };
    let mask = |(at, c)| if (at == 0 && c == '+') || at + shown >= length { c } else { '*' };
    number.chars().enumerate().map(mask).collect()
}

/// The digits of `text`, and the plus before them, without what people put between.
fn digits_of(text: &str) -> Result<String, PhoneError> {
    let text = typed::trimmed(text);
    let text = match text.get(..TEL_SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(TEL_SCHEME) => {
            text.get(scheme.len()..).unwrap_or_default()
        }
        _ => text,
    };
    let mut digits = String::with_capacity(MAX_DIGITS);
    for (at, c) in text.chars().enumerate() {
        if at >= MAX_TEXT {
            return Err(PhoneError);
        }
        let c = typed::narrow(c);
        match typed::digit(c).and_then(|value| char::from_digit(value, 10)) {
            Some(digit) => digits.push(digit),
            None if c == '+' && digits.is_empty() => digits.push(c),
            None if typed::is_separator(c) || matches!(c, '(' | ')' | '[' | ']' | '/' | '~' | '\u{2044}') => {
            }
            None => return Err(PhoneError),
        }
    }
    Ok(digits)
}

fn is_kenyan_mobile(number: &str) -> bool {
    number
        .strip_prefix("+254")
        .is_some_and(|national| national.len() == 9 && national.starts_with(['7', '1']))
}

/// Some plans, the North American among them, do not tell the two apart.
fn is_mobile(number: &phonenumber::PhoneNumber) -> bool {
    use phonenumber::Type;
    matches!(number.number_type(&DATABASE), Type::Mobile | Type::FixedLineOrMobile)
}

/// How many of the leading digits are the country code. No code begins another. Source: the list of assigned
/// codes annexed to the ITU Operational Bulletin; what it leaves open has three.
fn calling_code_length(digits: &str) -> usize {
    let mut digits = digits.bytes();
    match (digits.next(), digits.next()) {
        (Some(b'1' | b'7'), _) => 1,
        (Some(b'2'), Some(b'0' | b'7')) => 2,
        (Some(b'3'), Some(b'0'..=b'4' | b'6' | b'9')) => 2,
        (Some(b'4'), Some(b'0' | b'1' | b'3'..=b'9')) => 2,
        (Some(b'5'), Some(b'1'..=b'8')) => 2,
        (Some(b'6'), Some(b'0'..=b'6')) => 2,
        (Some(b'8'), Some(b'1' | b'2' | b'4' | b'6')) => 2,
        (Some(b'9'), Some(b'0'..=b'5' | b'8')) => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(countries: &[&str]) -> PhoneRule {
        serde_json::from_value(serde_json::json!({ "countries": countries })).unwrap()
    }

    fn parsed(text: &str) -> Option<String> {
        PhoneRule::default().parse(text).ok().map(|number| number.0)
    }

    #[test]
    fn spellings_of_one_number_become_one_number() {
        for text in [
            "+254712345678",
            " +254 712 345 678 ",
            "254712345678",
            "254-712-345678",
            "0712345678",
            "0712 345 678",
            "(0712) 345-678",
            "0712.345.678",
            "+254 (0)712 345678",
            "712345678",
            "000254712345678",
            "\u{202a}+254\u{a0}712\u{a0}345\u{2011}678\u{202c}",
            "00254712345678",
            "00 254 (0) 712 345678",
            "011254712345678",
            "0011254712345678",
            "\u{200b}0712345678",
            "\u{feff}0712345678\u{2060}",
            "tel:+254712345678",
            "TEL:0712-345-678",
            "0712/345678",
            "[0712] 345678",
            "\u{660}\u{667}\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}",
            "\u{6f0}\u{6f7}\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}\u{6f7}\u{6f8}",
            "\u{ff0b}\u{ff12}\u{ff15}\u{ff14}\u{ff0d}\u{ff17}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}\u{ff16}\u{ff17}\u{ff18}",
            "+254 7\u{661}2 345 678",
        ] {
            assert_eq!(parsed(text).as_deref(), Some("+254712345678"), "{text:?}");
        }
        assert_eq!(parsed("0110 345678").as_deref(), Some("+254110345678"));
        assert_eq!(parsed("254110345678").as_deref(), Some("+254110345678"));
    }

    #[test]
    fn what_is_no_kenyan_mobile_number_is_refused() {
        for text in [
            "",
            "+",
            "0",
            "07",
            "071234567",
            "07123456789",
            "+2547123456789",
            "+254712345678 ext 5",
            "+254712345678x5",
            "+254712345678;phone-context=+1",
            "tel:",
            "tel:tel:+254712345678",
            "tel:0712345678;phone-context=+254",
            "sms:+254712345678",
            "00",
            "0014155552671",
            "+00254712345678",
            "+254712345678,+254712345679",
            "+254+712345678",
            "0712345678+",
            "++254712345678",
            "020 2222222",
            "+254202222222",
            "+254800723456",
            "+254900123456",
            "+14155552671",
            "+255712345678",
            "999",
            "0712O45678",
            "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}",
            "ada@example.com",
            "07123\r\n45678\0",
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
        assert_eq!(parsed(&format!("07{}12345678", " ".repeat(MAX_TEXT))), None);
    }

    #[test]
    fn operators_decide_which_countries_are_served() {
        let rule = rule(&["TZ", "ke", "US", "IT"]);
        let read = |text: &str| rule.parse(text).ok().map(|number| number.0);
        // Without a country code a number is one of the first country's.
        assert_eq!(read("0712 345 678").as_deref(), Some("+255712345678"));
        assert_eq!(read("254712345678").as_deref(), Some("+254712345678"));
        assert_eq!(read("+1 (415) 555-2671").as_deref(), Some("+14155552671"));
        assert_eq!(read("+39 347 123 4567").as_deref(), Some("+393471234567"));
        for refused in ["+1 800 723 3456", "+39 06 1234 5678", "+1 613 782 7274", "+49 171 1234567"] {
            assert_eq!(read(refused), None, "{refused}");
        }
        assert!(PhoneRule { countries: Vec::new() }.parse("+254712345678").is_err());
        let kenya = PhoneRule::default();
        for (text, is) in [
            ("+1 (415) 555-2671", true),
            ("+254712345678", false),
            ("+254812345678", false),
            ("0812345678", false),
            ("+1 415", false),
            ("x", false),
        ] {
            assert_eq!(kenya.is_of_another_country(text), is, "{text}");
        }
    }

    #[test]
    fn configuration_names_countries_by_two_letters() {
        assert_eq!(rule(&["KE"]), PhoneRule::default());
        assert_eq!(serde_json::to_string(&rule(&["ke", "TZ"])).unwrap(), r#"{"countries":["KE","TZ"]}"#);
        let mistake = |json: &str| serde_json::from_str::<PhoneRule>(json).unwrap_err().to_string();
        assert!(mistake(r#"{"countries":["Kenya"]}"#).contains(r#""Kenya" is not a country"#));
        assert!(mistake(r#"{"country":["KE"]}"#).contains("unknown field"));
    }

    #[test]
    fn budgets_count_by_country_code_and_two_digits() {
        for (number, prefix) in [
            ("+254712345678", "+25471"),
            ("+254110345678", "+25411"),
            ("+14155552671", "+141"),
            ("+393471234567", "+3934"),
            ("+44", "+44"),
            ("", ""),
        ] {
            assert_eq!(PhoneNumber::from_stored(number.to_owned()).prefix(), prefix);
        }
    }

    #[test]
    fn country_codes_are_as_long_as_the_numbering_plans_say() {
        let assigned: Vec<u16> = (1..1_000).filter(|code| DATABASE.by_code(code).is_some()).collect();
        assert!(assigned.len() > 200);
        for code in assigned {
            let code = code.to_string();
            assert_eq!(calling_code_length(&format!("{code}99999999")), code.len(), "{code}");
        }
    }

    #[test]
    fn a_number_is_shown_by_its_last_two_digits() {
        let number = PhoneRule::default().parse("0712345678").unwrap();
        assert_eq!(number.to_string(), "+**********78");
        assert_eq!(format!("{number:?}"), "PhoneNumber(+**********78)");
        assert_eq!(number.expose(), "+254712345678");
        assert_eq!(masked("+2547"), "+****");
        assert_eq!(masked(""), "");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,80}") {
            let countries = rule(&["KE", "US", "IT", "BR", "MX", "AR"]);
            if let Ok(number) = countries.parse(&text) {
                prop_assert_eq!(countries.parse(number.expose()), Ok(number.clone()));
            }
        }

        #[test]
        fn whatever_is_accepted_is_in_normal_form(text in "[+]?[0-9 ()-]{5,20}") {
            let countries = rule(&["KE", "US", "IT", "BR", "MX", "AR", "DE", "IN"]);
            if let Ok(number) = countries.parse(&text) {
                let digits = number.expose().strip_prefix('+').unwrap();
                prop_assert!((7..=MAX_DIGITS).contains(&digits.len()));
                prop_assert!(digits.bytes().all(|digit| digit.is_ascii_digit()));
                prop_assert_eq!(countries.parse(number.expose()), Ok(number.clone()));
            }
        }

        #[test]
        fn every_spelling_of_a_kenyan_mobile_number_is_read(
            national in "[71][0-9]{8}",
            lead in prop::sample::select(vec!["+254", "254", "0", "+254 ", "(0)", ""]),
            gap in prop::sample::select(vec!["", " ", "-", ") ", "\u{a0}"]),
            at in 1_usize..9,
        ) {
            let text = format!("{lead}{}{gap}{}", &national[..at], &national[at..]);
            prop_assert_eq!(parsed(&text), Some(format!("+254{national}")), "{}", text);
        }

        #[test]
        fn nothing_but_the_last_two_digits_is_ever_shown(national in "[71][0-9]{8}") {
            let number = PhoneNumber::from_stored(format!("+254{national}"));
            let shown = format!("{number} {number:?}");
            let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
            prop_assert_eq!(digits, national[7..].repeat(2));
        }
    }
}
