//! Filters, masks and values as administrators read them. Nothing is ever run from these texts.

use std::fmt::{self, Display, Formatter};

use crate::{Comparison, Decimal, Expr, Function, Mask, Value};

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.scale <= 0 {
            let zeros = "0".repeat(usize::from(self.scale.unsigned_abs()));
            return if self.unscaled == 0 { f.write_str("0") } else { write!(f, "{}{zeros}", self.unscaled) };
        }
        let scale = usize::from(self.scale.unsigned_abs());
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let instant = |micros: i64| jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Decimal(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Date(day) => {
                let micros = i64::from(*day).saturating_mul(86_400_000_000);
                write!(f, "date '{}'", instant(micros).strftime("%Y-%m-%d"))
            }
            Self::Time(micros) => write!(f, "time '{}'", instant(*micros).strftime("%H:%M:%S%.f")),
            Self::Timestamp(micros) => {
                write!(f, "timestamp '{}'", instant(*micros).strftime("%Y-%m-%dT%H:%M:%S%.f"))
            }
            Self::Binary(bytes) => {
                f.write_str("x'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

fn separated(f: &mut Formatter<'_>, parts: &[impl Display], between: &str) -> fmt::Result {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(between)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |negated: bool| if negated { "not " } else { "" };
        match self {
            Self::Column { name, .. } => write!(f, "\"{}\"", name.replace('"', "\"\"")),
            Self::Literal(value) => write!(f, "{value}"),
            Self::Compare { operator, left, right } => write!(f, "{left} {operator} {right}"),
            Self::In { value, list, negated } => {
                write!(f, "{value} {}in (", not(*negated))?;
                separated(f, list, ", ")?;
                f.write_str(")")
            }
            Self::Like { value, pattern, negated } => {
                write!(f, "{value} {}like '{}'", not(*negated), pattern.replace('\'', "''"))
            }
            Self::IsNull { value, negated } => write!(f, "{value} is {}null", not(*negated)),
            Self::Call { function, argument } => write!(f, "{function}({argument})"),
            Self::And(parts) => {
                f.write_str("(")?;
                separated(f, parts, " and ")?;
                f.write_str(")")
            }
            Self::Or(parts) => {
                f.write_str("(")?;
                separated(f, parts, " or ")?;
                f.write_str(")")
            }
            Self::Not(inner) => write!(f, "not ({inner})"),
        }
    }
}

impl Mask {
    /// The contract's `masking_type`, as far as the mask still tells: those that show a fixed text are `constant`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Constant(_) => "constant",
            Self::Hash => "hash",
            Self::Partial { .. } => "partial",
            Self::Email { .. } => "email",
            Self::Regex { .. } => "regex",
            Self::DateTruncation(_) => "date_truncation",
            Self::Rounding { .. } => "rounding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColumnType;

    #[test]
    fn filters_are_shown_as_sql() {
        let column = || Expr::Column { name: "a\"b".to_owned(), kind: ColumnType::Text };
        let text = |text: &str| Value::Text(text.to_owned());
        let expr = Expr::Or(vec![
            Expr::In { value: Box::new(column()), list: vec![text("O'Brien"), text("x")], negated: true },
            Expr::Not(Box::new(Expr::IsNull { value: Box::new(column()), negated: false })),
        ]);
        assert_eq!(expr.to_string(), r#"("a""b" not in ('O''Brien', 'x') or not ("a""b" is null))"#);
        let number = |unscaled, scale| Decimal { unscaled, scale }.to_string();
        assert_eq!(number(-5, 2), "-0.05");
        assert_eq!(number(12_345, 2), "123.45");
        assert_eq!(number(12, -2), "1200");
        assert_eq!(Value::Date(19_905).to_string(), "date '2024-07-01'");
        assert_eq!(Value::Timestamp(1_719_835_200_500_000).to_string(), "timestamp '2024-07-01T12:00:00.5'");
    }
}
