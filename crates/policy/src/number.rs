//! Numbers as people and JSON write them.

use crate::Decimal;

/// Longest text that is read as a number.
const LONGEST: usize = 64;
/// Digits that an `i128` holds for sure.
const MOST_DIGITS: usize = 38;

/// Reads `-12.50` or `1.5e3` exactly; none if it is no number or has too many digits.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    if text.len() > LONGEST {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() <= 60)?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || (fraction.is_empty() && digits.contains('.')) {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let joined = format!("{whole}{fraction}");
    let trimmed = joined.trim_start_matches('0');
    if trimmed.len() > MOST_DIGITS {
        return None;
    }
    let unscaled: i128 = if trimmed.is_empty() { 0 } else { trimmed.parse().ok()? };
    let scale = i32::try_from(fraction.len()).ok()? - exponent;
    let signed = if negative { -unscaled } else { unscaled };
    Some(shortest(signed, scale))
}

/// Without zeros at the end of the fraction.
fn shortest(mut unscaled: i128, mut scale: i32) -> Decimal {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    // Exponents and lengths are bounded, so this fits; the cap is for the type.
    Decimal { unscaled, scale: i8::try_from(scale).unwrap_or(i8::MAX) }
}

impl Decimal {
    /// The same number with so many digits after the point; none if it has more, or too many in all.
    pub(crate) fn rescaled(self, scale: i8) -> Option<i128> {
        let more = i32::from(scale) - i32::from(self.scale);
        let factor = 10_i128.checked_pow(more.unsigned_abs())?;
        if more >= 0 {
            self.unscaled.checked_mul(factor)
        } else if self.unscaled % factor == 0 {
            Some(self.unscaled / factor)
        } else {
            None
        }
    }

    /// The number as an integer, if it is one.
    pub(crate) fn integer(self) -> Option<i128> {
        self.rescaled(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        let read = |text| decimal(text).map(|number| (number.unscaled, number.scale));
        assert_eq!(read("12.50"), Some((125, 1)));
        assert_eq!(read("-0.001"), Some((-1, 3)));
        assert_eq!(read("1.5e3"), Some((15, -2)));
        assert_eq!(decimal("1.5e3").unwrap().integer(), Some(1_500));
        assert_eq!(decimal("1e2").unwrap().rescaled(2), Some(10_000));
        assert_eq!(decimal("0.125").unwrap().rescaled(2), None);
        for wrong in
            ["", "-", ".5", "5.", "1_000", "0x10", "NaN", "inf", "1e", "1e999", "+1", " 1", &"9".repeat(39)]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,80}", scale: i8) {
            if let Some(number) = decimal(&text) {
                let _ = number.rescaled(scale);
            }
        }
    }
}
