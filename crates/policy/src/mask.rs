//! Masks: what is shown instead of a value.

use crate::{ColumnType, Value};

/// A keyed hash of bytes: HMAC-SHA-256 under a key of the organization. A plain hash of an identity number would be a lookup table.
pub type KeyedHash<'k> = &'k dyn Fn(&[u8]) -> [u8; 32];

/// What is shown instead of a value. NULL stays NULL, but for [`Mask::Constant`].
#[derive(Clone, Debug)]
pub enum Mask {
    /// Nothing.
    Null,
    /// Always this value, also for NULL. Of the column's type.
    Constant(Value),
    /// The keyed hash: 64 hexadecimal digits of a text's UTF-8, 32 bytes of bytes.
    Hash,
    /// A text whose first and last characters are shown and the others are replaced one by one. One that is so short that fewer would be
    /// hidden than shown, and fewer than four, is replaced as a whole: what is left of it could be guessed.
    Partial {
        /// What replaces each hidden character.
        mask_char: char,
        /// Characters shown at the start.
        visible_prefix: u32,
        /// Characters shown at the end.
        visible_suffix: u32,
    },
    /// An e-mail address: the first character, three mask characters, and its domain. Other texts: eight mask characters.
    Email {
        /// What replaces hidden characters.
        mask_char: char,
    },
    /// A text in which everything that the expression matches is replaced.
    Regex {
        /// The expression, linear in time, with a bounded program.
        pattern: regex::Regex,
        /// What replaces each match; `$1` is the first group.
        replacement: String,
    },
    /// A date or timestamp cut to the start of its unit. Timestamps with a zone: in UTC.
    DateTruncation(DateUnit),
    /// A number rounded to the nearest multiple of a step, halves away from zero; NULL where that does not fit its type.
    Rounding {
        /// The step, of the column's type and above zero.
        step: Value,
    },
}

/// A unit to which dates are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateUnit {
    /// The first of January.
    Year,
    /// The first day of the quarter.
    Quarter,
    /// The first day of the month.
    Month,
    /// Monday.
    Week,
    /// Midnight. Of timestamps alone, as the rest.
    Day,
    /// The full hour.
    Hour,
    /// The full minute.
    Minute,
}

/// How many mask characters stand for a text whose length is not to be told.
const FIXED: usize = 8;
/// So many hidden characters are enough, however many are shown.
const FEWEST_HIDDEN: usize = 4;
const DAY: i64 = 86_400_000_000;
/// How many times as long as it was a text may become by replacements, and bytes besides for short ones. Thousands of rows are masked
/// together.
const MOST_TIMES: usize = 16;
const MOST_BESIDES: usize = 4 * 1024;

impl PartialEq for Mask {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Hash, Self::Hash) => true,
            (Self::Constant(one), Self::Constant(other)) => one == other,
            (
                Self::Partial { mask_char, visible_prefix, visible_suffix },
                Self::Partial { mask_char: char, visible_prefix: prefix, visible_suffix: suffix },
            ) => (mask_char, visible_prefix, visible_suffix) == (char, prefix, suffix),
            (Self::Email { mask_char }, Self::Email { mask_char: other }) => mask_char == other,
            (Self::Regex { pattern, replacement }, Self::Regex { pattern: other, replacement: text }) => {
                pattern.as_str() == other.as_str() && replacement == text
            }
            (Self::DateTruncation(one), Self::DateTruncation(other)) => one == other,
            (Self::Rounding { step }, Self::Rounding { step: other }) => step == other,
            _ => false,
        }
    }
}

impl Mask {
    /// That of every regular expression.
    pub(crate) const REGEX_LENIENCY: u8 = 5;

    /// Which of two masks of equal priority is taken: the smaller number, the stricter mask.
    pub(crate) const fn leniency(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Constant(_) => 1,
            Self::Hash => 2,
            Self::Partial { .. } => 3,
            Self::Email { .. } => 4,
            Self::Regex { .. } => Self::REGEX_LENIENCY,
            Self::DateTruncation(_) => 6,
            Self::Rounding { .. } => 7,
        }
    }

    /// What is shown instead of a value of a column of this type. A value of another type, which an engine never gives, is not shown.
    pub fn apply(&self, value: &Value, kind: ColumnType, hash: KeyedHash<'_>) -> Value {
        match (self, value) {
            (Self::Constant(constant), _) => constant.clone(),
            (Self::Hash, Value::Text(text)) => Value::Text(hexadecimal(&hash(text.as_bytes()))),
            (Self::Hash, Value::Binary(bytes)) => Value::Binary(hash(bytes).to_vec()),
            (Self::DateTruncation(unit), Value::Date(day)) => {
                unit.cut_day(*day).map_or(Value::Null, Value::Date)
            }
            (Self::DateTruncation(unit), Value::Timestamp(micros)) => {
                unit.cut_micros(*micros).map_or(Value::Null, Value::Timestamp)
            }
            (Self::Rounding { step }, value) => rounded(value, step, kind),
            (mask, Value::Text(text)) => mask.apply_text(text).map_or(Value::Null, Value::Text),
            _ => Value::Null,
        }
    }

    /// What is shown instead of a text by masks that need no key; none instead of a text that is not shown at all.
    pub fn apply_text(&self, text: &str) -> Option<String> {
        match self {
            Self::Constant(Value::Text(constant)) => Some(constant.clone()),
            Self::Partial { mask_char, visible_prefix, visible_suffix } => {
                Some(partial(text, *mask_char, *visible_prefix as usize, *visible_suffix as usize))
            }
            Self::Email { mask_char } => Some(email(text, *mask_char)),
            Self::Regex { pattern, replacement } => replaced(text, pattern, replacement),
            _ => None,
        }
    }
}

/// A text that tells nothing, not even the length of what it stands for.
pub(crate) fn opaque(mask_char: char) -> String {
    std::iter::repeat_n(mask_char, FIXED).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn partial(text: &str, mask_char: char, prefix: usize, suffix: usize) -> String {
    let length = text.chars().count();
    let open = prefix.saturating_add(suffix);
    let shown = open < length && length - open >= open.min(FEWEST_HIDDEN);
    text.chars()
        .enumerate()
        .map(|(place, c)| if shown && (place < prefix || place >= length - suffix) { c } else { mask_char })
        .collect()
}

/// A text with each match replaced; none where it would become much longer: a short cell with a long replacement of each character
/// is more than a query may use.
fn replaced(text: &str, pattern: &regex::Regex, replacement: &str) -> Option<String> {
    let most = text.len().saturating_mul(MOST_TIMES).saturating_add(MOST_BESIDES);
    let names = replacement.bytes().filter(|byte| *byte == b'$').count();
    let mut shown = String::new();
    let mut from = 0;
    for groups in pattern.captures_iter(text) {
        let whole = groups.get(0)?;
        shown.push_str(text.get(from..whole.start())?);
        // No group is longer than the match.
        let added = names.saturating_mul(whole.len()).saturating_add(replacement.len());
        if shown.len().saturating_add(added) > most {
            return None;
        }
        groups.expand(replacement, &mut shown);
        from = whole.end();
    }
    shown.push_str(text.get(from..)?);
    Some(shown)
}

fn email(text: &str, mask_char: char) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && is_domain(domain) => {
            let first = local.chars().next().filter(|_| local.chars().nth(1).is_some());
            let hidden: String = std::iter::repeat_n(mask_char, 3).collect();
            format!("{}{hidden}@{domain}", first.map(String::from).unwrap_or_default())
        }
        _ => opaque(mask_char),
    }
}

/// Whether it is the domain of an address and no other text behind an `@`, which nobody masks to have it shown.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

fn rounded(value: &Value, step: &Value, kind: ColumnType) -> Value {
    match (value, step) {
        (Value::Int(value), Value::Int(step)) => {
            nearest(*value, *step).filter(|value| kind.holds_int(*value)).map_or(Value::Null, Value::Int)
        }
        (Value::Decimal(value), Value::Decimal(step)) if value.scale == step.scale => {
            nearest(value.unscaled, step.unscaled)
                .filter(|value| kind.holds_unscaled(*value))
                .map_or(Value::Null, |unscaled| {
                    Value::Decimal(crate::Decimal { unscaled, scale: value.scale })
                })
        }
        (Value::Float(value), Value::Float(step)) if value.is_finite() => {
            // A zero has no sign: whether it was above or below is not told.
            let rounded = (value / step).round() * step + 0.0;
            if rounded.is_finite() { Value::Float(rounded) } else { Value::Null }
        }
        // There is nothing to round in these, and they tell nothing.
        (Value::Float(value), Value::Float(_)) => Value::Float(*value),
        _ => Value::Null,
    }
}

/// The nearest multiple of a step above zero, halves away from zero; none where it is no such number.
fn nearest(value: i128, step: i128) -> Option<i128> {
    let rest = value.checked_rem(step).filter(|_| step > 0)?;
    let towards_zero = value - rest;
    if rest.unsigned_abs() < step.unsigned_abs() - rest.unsigned_abs() {
        Some(towards_zero)
    } else {
        towards_zero.checked_add(step.checked_mul(value.signum())?)
    }
}

impl DateUnit {
    /// The unit of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "year" => Self::Year,
            "quarter" => Self::Quarter,
            "month" => Self::Month,
            "week" => Self::Week,
            "day" => Self::Day,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            _ => return None,
        })
    }

    /// Its name, as `date_trunc` of SQL has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
        }
    }

    /// Whether it takes something from a date without a time.
    pub(crate) const fn cuts_days(self) -> bool {
        matches!(self, Self::Year | Self::Quarter | Self::Month | Self::Week)
    }

    /// The first day of the unit that a day (since 1970-01-01) is in; none beyond the calendar.
    pub fn cut_day(self, day: i32) -> Option<i32> {
        let day = i64::from(day);
        let cut = match self {
            Self::Day | Self::Hour | Self::Minute => day,
            // 1970-01-01 was a Thursday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Year | Self::Quarter | Self::Month => {
                let (year, month) = year_and_month(day);
                let first = match self {
                    Self::Year => 1,
                    Self::Quarter => (month - 1) / 3 * 3 + 1,
                    _ => month,
                };
                first_day(year, first)
            }
        };
        i32::try_from(cut).ok()
    }

    /// The start of the unit that a point in time (microseconds since 1970-01-01) is in.
    pub fn cut_micros(self, micros: i64) -> Option<i64> {
        let step = match self {
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => DAY,
            _ => {
                let day = i32::try_from(micros.div_euclid(DAY)).ok()?;
                return i64::from(self.cut_day(day)?).checked_mul(DAY);
            }
        };
        micros.checked_sub(micros.rem_euclid(step))
    }
}

/// Year and month of a day since 1970-01-01, in the proleptic Gregorian calendar: years are counted from March, so that the day that leap
/// years add is their last.
fn year_and_month(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let in_era = shifted.rem_euclid(146_097);
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, since 1970-01-01.
pub(crate) fn first_day(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let in_year = (153 * from_march + 2) / 5;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn civil(day: i64) -> jiff::civil::Date {
        jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap()
    }

    proptest! {
        #[test]
        fn days_are_cut_as_a_calendar_cuts_them(day in -700_000_i32..2_000_000) {
            let date = civil(day.into());
            let month = civil(DateUnit::Month.cut_day(day).unwrap().into());
            prop_assert_eq!((month.year(), month.month(), month.day()), (date.year(), date.month(), 1));
            let year = civil(DateUnit::Year.cut_day(day).unwrap().into());
            prop_assert_eq!((year.year(), year.month(), year.day()), (date.year(), 1, 1));
            let quarter = civil(DateUnit::Quarter.cut_day(day).unwrap().into());
            prop_assert_eq!((quarter.year(), quarter.month(), quarter.day()), (date.year(), (date.month() - 1) / 3 * 3 + 1, 1));
            let week = civil(DateUnit::Week.cut_day(day).unwrap().into());
            prop_assert_eq!(week.weekday(), jiff::civil::Weekday::Monday);
            prop_assert!((0..7).contains(&(date - week).get_days()));
        }

        #[test]
        fn cutting_never_panics_and_never_goes_forward(micros: i64, day: i32) {
            for unit in [DateUnit::Year, DateUnit::Quarter, DateUnit::Month, DateUnit::Week, DateUnit::Day, DateUnit::Hour, DateUnit::Minute] {
                prop_assert!(unit.cut_micros(micros).is_none_or(|cut| cut <= micros));
                prop_assert!(unit.cut_day(day).is_none_or(|cut| cut <= day));
            }
        }

        #[test]
        fn rounding_gives_the_nearest_multiple(value in -1_000_000_i128..1_000_000, step in 1_i128..5_000) {
            let near = nearest(value, step).unwrap();
            prop_assert_eq!(near % step, 0);
            prop_assert!((near - value).abs() * 2 <= step);
            prop_assert!(near.abs() >= value.abs() || (near - value).abs() * 2 < step, "halves go away from zero");
        }

        #[test]
        fn partial_masks_keep_the_length_and_never_show_everything(text in ".{0,20}", prefix in 0_usize..25, suffix in 0_usize..25) {
            let hidden = '\u{1}';
            let masked = partial(&text, hidden, prefix, suffix);
            prop_assert_eq!(masked.chars().count(), text.chars().count());
            prop_assert!(text.is_empty() || masked.contains(hidden));
        }
    }

    #[test]
    fn replacements_are_those_of_the_expression_and_do_not_grow_without_bounds() {
        let with = |text: &str, pattern: &str, replacement: &str| {
            replaced(text, &regex::Regex::new(pattern).unwrap(), replacement)
        };
        for (text, pattern, replacement) in [
            ("a-12-b-345", "[0-9]+", "#"),
            ("ab", "x*", "-"),
            ("Zoë 🦀", "(o)(ë)", "$2$1"),
            ("none", "z", "#"),
        ] {
            let expected = regex::Regex::new(pattern).unwrap().replace_all(text, replacement).into_owned();
            assert_eq!(with(text, pattern, replacement), Some(expected), "{pattern}");
        }
        let long = "a".repeat(100_000);
        assert_eq!(with(&long, ".", &"x".repeat(1_000)), None);
        assert_eq!(with(&long, "(.*)", &"$1".repeat(500)), None);
        assert!(with(&long, "^(.*)$", "<$1>").is_some());
        assert_eq!(with(&long, ".", "[REDACTED]").map(|shown| shown.len()), Some(1_000_000));
    }

    #[test]
    fn texts_are_masked_as_written() {
        assert_eq!(partial("123-45-6789", '*', 0, 4), "*******6789");
        assert_eq!(partial("6789", '*', 0, 4), "****");
        // One of ten, and one of a thousand.
        assert_eq!(partial("56789", '*', 0, 4), "*****");
        assert_eq!(partial("3456789", '*', 0, 4), "*******");
        assert_eq!(partial("23456789", '*', 0, 4), "****6789");
        assert_eq!(partial("4111111111111234", '*', 6, 4), "411111******1234");
        assert_eq!(partial("Zoë🦀", '#', 1, 1), "Z##🦀");
        assert_eq!(email("ada@example.com", '*'), "a***@example.com");
        assert_eq!(email("a@example.com", '*'), "***@example.com");
        assert_eq!(email("nobody", '*'), "********");
        for text in [
            "nobody@",
            "@ada.example",
            "call me @ 555 123.4567",
            "a@b.c secret",
            "ada@localhost",
            "x@..",
            "@",
        ] {
            assert_eq!(email(text, '*'), "********", "{text}");
        }
        assert_eq!(email("ada@büro.example", '*'), "a***@büro.example");
        let zero = rounded(&Value::Float(-0.4), &Value::Float(1.0), ColumnType::Float { bits: 64 });
        assert!(matches!(zero, Value::Float(zero) if zero == 0.0 && zero.is_sign_positive()));
        assert_eq!(nearest(i128::MAX, 2), None);
        assert_eq!(nearest(5, 0), None);
        assert_eq!(nearest(-15, 10), Some(-20));
    }
}
