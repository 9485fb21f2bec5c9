//! Text as people type, paste and dictate it, made canonical before it is judged.
//!
//! Keyboards, clipboards and clients spell one thing in many ways: digits of other scripts, full-width letters, separators,
//! invisible marks that come along with a copy. What a person could not see or did not mean must not decide.

use std::ops::RangeInclusive;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use crate::Secret;
use crate::text::{is_invisible, turns_direction};

/// Longest text that is read as a one-time code: its digits with a separator after each, and some to spare.
const MAX_CODE_TEXT: usize = 64;
/// Longest run of decimal digits without another character between: the five sets of mathematical digits.
const LONGEST_RUN: u32 = 50;

/// `text` without white space and characters that cannot be seen at either end.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || is_unseen(c))
}

/// Whether a character prints nothing of its own: format characters, fillers, marks of writing direction.
pub(crate) const fn is_unseen(c: char) -> bool {
    is_invisible(c) || turns_direction(c)
}

/// The value of a decimal digit of any script (`General_Category` Nd).
///
/// Each script's digits are contiguous and begin with its zero (Unicode Standard, section 4.6, and its stability policy),
/// so the value is the distance to the first digit before it.
pub fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |code: u32| categories.get32(code) == GeneralCategory::DecimalNumber;
    let code = u32::from(c);
    if !is_digit(code) {
        return None;
    }
    let before = (1..LONGEST_RUN).take_while(|back| code.checked_sub(*back).is_some_and(is_digit)).count();
    u32::try_from(before % 10).ok()
}

/// A letter, sign or digit in full width as its ordinary one: as Japanese and Chinese keyboards type them.
pub(crate) fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' => '.',
        _ => c,
    }
}

/// What people, messages and address books put between digits: white space, dashes, dots, and what cannot be seen.
pub(crate) fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || is_unseen(c)
        || matches!(
            c,
            '-' | '.' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fb}' | '\u{30fc}' | '\u{ff65}'
        )
}

/// A one-time code of as many digits, however it was copied: `123 456`, with a line break from the clipboard, or in the
/// digits of another script. None for anything else.
pub fn code(text: &str, length: RangeInclusive<usize>) -> Option<Secret> {
    let mut digits = String::with_capacity(*length.end());
    for (at, c) in text.chars().enumerate() {
        if at >= MAX_CODE_TEXT {
            return None;
        }
        let c = narrow(c);
        match digit(c).and_then(|value| char::from_digit(value, 10)) {
            Some(digit) => digits.push(digit),
            None if is_separator(c) => {}
            None => return None,
        }
    }
    length.contains(&digits.len()).then(|| Secret::new(digits))
}

/// The code that was sent as the number `number`: as text, with the zeros at its front that a number does not have.
pub fn code_of_number(number: u64, length: usize) -> String {
    format!("{number:0length$}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        code(text, 6..=6).map(|code| code.expose().to_owned())
    }

    #[test]
    fn a_code_is_read_as_people_copy_it() {
        for text in [
            "123456",
            "123 456",
            " 123-456\n",
            "123\u{a0}456",
            "\u{200b}123456",
            "1 2 3 4 5 6",
            "123.456",
            "\u{202a}123456\u{202c}",
            "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}",
            "\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}",
            "\u{ff11}\u{ff12}\u{ff13}\u{3000}\u{ff14}\u{ff15}\u{ff16}",
            "\u{967}\u{968}\u{969}\u{96a}\u{96b}\u{96c}",
            "\u{1d7cf}\u{1d7d0}\u{1d7db}\u{1d7dc}\u{1d7f1}\u{1d7fc}",
        ] {
            assert_eq!(read(text).as_deref(), Some("123456"), "{text:?}");
        }
        for text in ["", "12345", "1234567", "12345a", "+123456", "123,456", "12345\u{b2}", "\u{2460}12345"] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&format!("{}123456", " ".repeat(MAX_CODE_TEXT))), None);
    }

    #[test]
    fn a_code_sent_as_a_number_has_its_zeros() {
        assert_eq!(code_of_number(42_441, 6), "042441");
        assert_eq!(code_of_number(0, 6), "000000");
        assert_eq!(code_of_number(1_234_567, 6), "1234567");
    }

    #[test]
    fn every_script_has_ten_digits_of_which_each_value_is_one() {
        let mut counted = [0; 10];
        for value in ('\0'..=char::MAX).filter_map(digit) {
            counted[value as usize] += 1;
        }
        assert!(counted[0] >= 65, "{counted:?}");
        assert!(counted.iter().all(|count| *count == counted[0]), "{counted:?}");
    }

    #[test]
    fn what_cannot_be_seen_is_trimmed_off_both_ends_and_kept_inside() {
        assert_eq!(trimmed("\u{feff}\u{200b} a\u{200d}b\u{2060}\n"), "a\u{200d}b");
        assert_eq!(trimmed("\u{200b}"), "");
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_none(text in "\\PC{0,80}") {
            if let Some(code) = read(&text) {
                prop_assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
                prop_assert_eq!(read(&code), Some(code.clone()));
            }
        }
    }
}
