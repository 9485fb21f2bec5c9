//! Values in PostgreSQL's binary format, where that is not the bytes themselves.

use bytes::{BufMut, BytesMut};

/// Digits of one group of a number.
const GROUP: usize = 4;

/// A decimal number, written in digits, as groups of four. None for what is no number.
pub(crate) fn numeric(text: &str) -> Option<BytesMut> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let scale = u16::try_from(fraction.len()).ok()?;
    let whole = whole.trim_start_matches('0');
    let before = whole.len().div_ceil(GROUP) * GROUP;
    let after = fraction.len().div_ceil(GROUP) * GROUP;
    let padded = format!("{whole:0>before$}{fraction:0<after$}");
    let mut groups: Vec<u16> = Vec::new();
    for group in padded.as_bytes().chunks(GROUP) {
        groups.push(group.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')));
    }
    let mut weight = i16::try_from(before / GROUP).ok()? - 1;
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let kept = groups.len() - groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = groups.get(leading..kept).unwrap_or_default();
    weight = if groups.is_empty() { 0 } else { weight - i16::try_from(leading).ok()? };
    let mut out = BytesMut::new();
    out.put_u16(u16::try_from(groups.len()).ok()?);
    out.put_i16(weight);
    out.put_u16(if is_negative && !groups.is_empty() { 0x4000 } else { 0 });
    out.put_u16(scale);
    groups.iter().for_each(|group| out.put_u16(*group));
    Some(out)
}

/// The digits of such a number. None for what is none, for what is not finite, and for what is absurdly long.
pub(crate) fn numeric_text(bytes: &[u8]) -> Option<String> {
    let mut shorts = bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    let (count, weight, sign, scale) = (shorts.next()?, shorts.next()?, shorts.next()?, shorts.next()?);
    let weight = i32::from(i16::from_be_bytes(weight.to_be_bytes()));
    let groups: Vec<u16> = shorts.collect();
    let is_whole = bytes.len() == 8 + 2 * groups.len() && groups.len() == usize::from(count);
    if !is_whole || !matches!(sign, 0 | 0x4000) || scale > 1_000 || !(-300..=300).contains(&weight) {
        return None;
    }
    let group = |place: i32| {
        let place = usize::try_from(weight - place).ok();
        place.and_then(|place| groups.get(place)).copied().unwrap_or(0)
    };
    let mut text = if sign == 0 { String::new() } else { "-".to_owned() };
    let whole: String = (0..=weight.max(0)).rev().map(|place| format!("{:04}", group(place))).collect();
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let places = i32::from(scale.div_ceil(4));
        let fraction: String = (1..=places).map(|place| format!("{:04}", group(-place))).collect();
        text.push('.');
        text.push_str(fraction.get(..usize::from(scale))?);
    }
    groups.iter().all(|group| *group < 10_000).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_groups_of_four_digits() {
        // As PostgreSQL 15 sends 12345.678 and -0.0012.
        assert_eq!(
            &numeric("12345.678").unwrap()[..],
            [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]
        );
        assert_eq!(&numeric("-0.0012").unwrap()[..], [0, 1, 0xff, 0xff, 0x40, 0, 0, 4, 0, 12]);
        assert_eq!(&numeric("0.00").unwrap()[..], [0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(numeric("1e5"), None);
    }

    proptest! {
        #[test]
        fn a_number_comes_back(text in "-?[1-9][0-9]{0,30}(\\.[0-9]{1,12})?") {
            let bytes = numeric(&text).unwrap();
            prop_assert_eq!(numeric_text(&bytes).unwrap(), text);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,20}") {
            drop(numeric_text(&bytes));
            drop(numeric(&text));
        }
    }
}
