//! How long the conditions of a query may be. Interfaces bound the length of an address or of a statement, and a list of values has no end.

use crate::filter::{Filter, Literal};

/// Bytes of a number, a date or a moment in a query, with what stands around it.
const VALUE: usize = 64;
/// Bytes of the digits of a decimal, beyond those of a number.
const DIGITS: usize = 32;

/// Bytes that the values of the conditions of one query may have; without bounds where the interface has none. What finds no room is decided
/// by the engine alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Of the texts, as an address has them: three for each byte that is escaped.
    pub(crate) texts: usize,
    /// Of all values.
    pub(crate) values: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { texts: usize::MAX, values: usize::MAX }
    }
}

impl Allowance {
    /// Takes what a filter needs; false, and nothing taken, if that is more than is left.
    pub(super) fn take(&mut self, filter: &Filter) -> bool {
        let (mut texts, mut values) = (0_usize, 0_usize);
        filter.leaves(&mut |column, _, literals| {
            for literal in literals {
                let bytes = match literal {
                    Literal::Utf8(text) => text.len().saturating_mul(3),
                    Literal::Binary(bytes) => bytes.len().saturating_mul(2),
                    Literal::Decimal { .. } => DIGITS,
                    _ => 0,
                };
                let bytes = bytes.saturating_add(VALUE);
                // A list may be written as comparisons, each with the column's name.
                values = values.saturating_add(bytes).saturating_add(column.len());
                if matches!(literal, Literal::Utf8(_)) {
                    texts = texts.saturating_add(bytes);
                }
            }
        });
        let left = self.texts.checked_sub(texts).zip(self.values.checked_sub(values));
        let Some((texts, values)) = left else { return false };
        *self = Self { texts, values };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(values: Vec<Literal>) -> Filter {
        Filter::In { column: "c".into(), values, negated: false }
    }

    #[test]
    fn what_finds_no_room_takes_none() {
        let mut left = Allowance { texts: 1_000, values: 10_000 };
        let text = among(vec![Literal::Utf8("x".repeat(300))]);
        assert!(left.take(&text));
        assert_eq!(left, Allowance { texts: 36, values: 9_035 });
        assert!(!left.take(&text));
        assert_eq!(left, Allowance { texts: 36, values: 9_035 });
        assert!(left.take(&among(vec![Literal::Int(1); 100])));
        assert!(!left.take(&among(vec![Literal::Int(1); 100])));
        let mut boundless = Allowance::default();
        assert!(boundless.take(&text) && boundless.take(&text));
    }
}
