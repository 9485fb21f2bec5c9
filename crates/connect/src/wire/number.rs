//! Whole numbers of any length, as the text of their decimal digits.

/// Bytes of a number at most: some 1,200 digits. Longer ones are refused, for writing one out takes time of the square of its length.
pub(crate) const LONGEST: usize = 512;

/// The digits of a number in two's complement, the highest byte first. None if it is too long; no bytes are zero.
pub(crate) fn signed(bytes: &[u8]) -> Option<String> {
    if bytes.len() > LONGEST {
        return None;
    }
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in magnitude.iter_mut().rev() {
            let (next, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (next, over);
        }
    }
    let digits = unsigned(&magnitude);
    Some(if negative { format!("-{digits}") } else { digits })
}

/// The digits of a number without a sign, the highest byte first.
fn unsigned(bytes: &[u8]) -> String {
    // Nine digits at a time, the lowest first.
    let mut parts: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u64::from(*byte);
        for part in &mut parts {
            let value = u64::from(*part) * 256 + carry;
            *part = u32::try_from(value % 1_000_000_000).unwrap_or_default();
            carry = value / 1_000_000_000;
        }
        if carry > 0 {
            parts.push(u32::try_from(carry).unwrap_or_default());
        }
    }
    let mut parts = parts.iter().rev();
    let first = parts.next().map_or_else(|| "0".to_owned(), u32::to_string);
    parts.fold(first, |text, part| text + &format!("{part:09}"))
}

/// Puts the point of a decimal into its digits. None if the text would be longer than is reasonable.
pub(crate) fn with_scale(digits: &str, scale: i32) -> Option<String> {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let distance = usize::try_from(scale.unsigned_abs()).ok().filter(|distance| *distance <= 2_000)?;
    if scale <= 0 {
        let zeros = if digits == "0" { 0 } else { distance };
        return Some(format!("{sign}{digits}{}", "0".repeat(zeros)));
    }
    let padded = format!("{digits:0>width$}", width = distance + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - distance)?;
    Some(format!("{sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_are_written_out() {
        assert_eq!(signed(&[]).unwrap(), "0");
        assert_eq!(signed(&[0]).unwrap(), "0");
        assert_eq!(signed(&[0xff]).unwrap(), "-1");
        assert_eq!(signed(&[0x80]).unwrap(), "-128");
        assert_eq!(signed(&[0, 0x80]).unwrap(), "128");
        assert_eq!(signed(&i128::MIN.to_be_bytes()).unwrap(), i128::MIN.to_string());
        assert_eq!(signed(&i128::MAX.to_be_bytes()).unwrap(), i128::MAX.to_string());
        assert_eq!(signed(&[0x3b, 0x9a, 0xca, 0]).unwrap(), "1000000000");
        assert!(signed(&[1; LONGEST + 1]).is_none());
        assert_eq!(with_scale("-5", 2).unwrap(), "-0.05");
        assert_eq!(with_scale("12345", 2).unwrap(), "123.45");
        assert_eq!(with_scale("7", -2).unwrap(), "700");
        assert!(with_scale("7", i32::MIN).is_none());
    }

    proptest::proptest! {
        #[test]
        fn they_are_those_of_the_machine(number: i128) {
            proptest::prop_assert_eq!(signed(&number.to_be_bytes()).unwrap(), number.to_string());
        }
    }
}
