//! Codes that people read from a device and type.

use std::fmt;

use tidegate_domain::Entropy;

/// Letters of a code: no vowels, so that it spells no word, and none that is taken for another one (RFC 8628 section 6.1).
const LETTERS: [char; 20] =
    ['B', 'C', 'D', 'F', 'G', 'H', 'J', 'K', 'L', 'M', 'N', 'P', 'Q', 'R', 'S', 'T', 'V', 'W', 'X', 'Z'];
/// How many a code has: 20^8 codes, 34 bits. Guessing is limited besides.
const LENGTH: usize = 8;
/// Where its middle is, and the dash as it is shown.
const HALF: usize = 4;
/// Longest text that is read as one.
const LONGEST: usize = 64;

/// A code that a person types. Its letters alone, in upper case.
#[derive(Clone, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// A new one.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let letter = |_| {
            let at = usize::try_from(entropy.below(20)).unwrap_or_default();
            LETTERS.get(at).copied().unwrap_or('B')
        };
        Self((0..LENGTH).map(letter).collect())
    }

    /// What somebody typed, read liberally: in any case, with any spaces and dashes, and with what looks like a letter of the code in its
    /// place, also from the keyboard of another script. None for what cannot be a code.
    pub fn read(typed: &str) -> Option<Self> {
        if typed.len() > LONGEST {
            return None;
        }
        let mut letters = String::with_capacity(LENGTH);
        for typed in typed.chars().filter(|c| !is_between(*c)) {
            let letter = meant(typed);
            if letters.len() == LENGTH || !LETTERS.contains(&letter) {
                return None;
            }
            letters.push(letter);
        }
        (letters.len() == LENGTH).then_some(Self(letters))
    }

    /// As devices show it.
    pub fn shown(&self) -> String {
        let (first, second) = self.0.split_at(HALF.min(self.0.len()));
        format!("{first}-{second}")
    }

    /// Its letters.
    pub(crate) fn letters(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

/// What stands between letters, or around them.
fn is_between(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '-' | '_' | '.' | ',' | '\'' | '"' | '`' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201d}' | '\u{2212}'
                | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '\u{b7}'
        )
}

/// The letter that somebody meant who typed this one.
fn meant(typed: char) -> char {
    let half_width = match u32::from(typed) {
        // Full-width forms, as keyboards for Chinese and Japanese type them.
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(typed),
        _ => typed,
    };
    let upper = half_width.to_uppercase().next().unwrap_or(half_width);
    match upper {
        '0' | 'O' | '\u{41e}' | '\u{39f}' => 'Q',
        '1' | 'I' | '|' | '!' | '\u{406}' | '\u{399}' => 'L',
        '2' => 'Z',
        '5' | '$' | '\u{405}' => 'S',
        '6' => 'G',
        '8' | '\u{412}' | '\u{392}' => 'B',
        'U' => 'V',
        // Letters of the Cyrillic and Greek scripts that look the same.
        '\u{421}' => 'C',
        '\u{41d}' | '\u{397}' => 'H',
        '\u{408}' => 'J',
        '\u{41a}' | '\u{39a}' => 'K',
        '\u{41c}' | '\u{39c}' => 'M',
        '\u{39d}' => 'N',
        '\u{420}' | '\u{3a1}' => 'P',
        '\u{422}' | '\u{3a4}' => 'T',
        '\u{425}' | '\u{3a7}' => 'X',
        '\u{396}' => 'Z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use tidegate_crypto::SystemEntropy;

    use super::*;

    #[test]
    fn codes_have_no_vowels_and_are_not_repeated() {
        let codes: BTreeSet<String> =
            (0..1_000).map(|_| UserCode::generate(&SystemEntropy).letters().to_owned()).collect();
        assert_eq!(codes.len(), 1_000);
        assert!(codes.iter().all(|code| !code.contains(['A', 'E', 'I', 'O', 'U', 'Y'])), "{codes:?}");
        let letters: BTreeSet<char> = codes.iter().flat_map(|code| code.chars()).collect();
        assert_eq!(letters.into_iter().collect::<Vec<_>>(), LETTERS);
    }

    #[test]
    fn what_people_type_is_read() {
        let code = UserCode("BSGLZQVC".to_owned());
        for typed in [
            "BSGL-ZQVC",
            "bsgl-zqvc",
            " bsgl zqvc ",
            "BSGLZQVC",
            "b s g l z q v c",
            "BSGL\u{2014}ZQVC",
            "bsgl.zqvc",
            "\u{201c}BSGL-ZQVC\u{201d}",
            "8561-20UC",
            "8s6i-2ou\u{441}",
            "\u{ff22}\u{ff33}\u{ff27}\u{ff2c}\u{ff0d}\u{ff3a}\u{ff31}\u{ff36}\u{ff23}",
        ] {
            assert_eq!(UserCode::read(typed), Some(code.clone()), "{typed}");
        }
        assert_eq!(code.shown(), "BSGL-ZQVC");
        assert_eq!(format!("{code:?}"), "UserCode(..)");
        for typed in
            ["", "BSGL-ZQV", "BSGL-ZQVCC", "ASGL-ZQVC", "BSGL/ZQVC", "\u{1f600}SGLZQVC", &"-".repeat(65)]
        {
            assert_eq!(UserCode::read(typed), None, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(typed in "\\PC{0,80}") {
            if let Some(code) = UserCode::read(&typed) {
                prop_assert_eq!(UserCode::read(&code.shown()), Some(code));
            }
        }
    }
}
