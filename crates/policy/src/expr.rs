//! A row filter, typed and with every attribute bound: what an engine evaluates on raw values.

use crate::{ColumnType, Value};

/// An expression over the columns of one relation. As in SQL, a comparison with NULL is unknown, and a row is visible only where the
/// filter is true.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A column, by the exact name the relation has.
    Column {
        /// Its name.
        name: String,
        /// Its type.
        kind: ColumnType,
    },
    /// A value of the type of what it stands beside.
    Literal(Value),
    /// A comparison of two operands of one type.
    Compare {
        /// How.
        operator: Comparison,
        /// What is before the operator.
        left: Box<Expr>,
        /// What is behind it.
        right: Box<Expr>,
    },
    /// Whether the value is one of several literals of its type, none of them NULL. An empty list holds nothing, not even NULL: then it
    /// is false, and negated true.
    In {
        /// What is looked for.
        value: Box<Expr>,
        /// Where.
        list: Vec<Value>,
        /// `NOT IN`.
        negated: bool,
    },
    /// Whether a text is like a pattern: `%` any characters, `_` one, `\` takes the next as it is.
    Like {
        /// A text.
        value: Box<Expr>,
        /// The pattern; always written in the policy, never an attribute.
        pattern: String,
        /// `NOT LIKE`.
        negated: bool,
    },
    /// Whether it has no value.
    IsNull {
        /// What is looked at.
        value: Box<Expr>,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// A function that cannot fail.
    Call {
        /// Which.
        function: Function,
        /// Of a text.
        argument: Box<Expr>,
    },
    /// All of them; at least two.
    And(Vec<Expr>),
    /// One of them; at least two.
    Or(Vec<Expr>),
    /// The opposite.
    Not(Box<Expr>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A function of conditions. None of them can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Text in small letters.
    Lower,
    /// Text in capitals.
    Upper,
    /// Text without spaces (U+0020) at its ends.
    Trim,
    /// Characters of a text, a 64-bit integer.
    Length,
}

impl Function {
    /// The function of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "lower" => Some(Self::Lower),
            "upper" => Some(Self::Upper),
            "trim" => Some(Self::Trim),
            "length" => Some(Self::Length),
            _ => None,
        }
    }

    /// Its name in conditions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
            Self::Trim => "trim",
            Self::Length => "length",
        }
    }

    /// The type of what it gives.
    pub const fn gives(self) -> ColumnType {
        match self {
            Self::Lower | Self::Upper | Self::Trim => ColumnType::Text,
            Self::Length => ColumnType::Int { bits: 64 },
        }
    }
}

impl Expr {
    /// A truth that no column decides.
    pub(crate) const fn truth(value: bool) -> Self {
        Self::Literal(Value::Boolean(value))
    }

    /// Names of the columns it reads, each once, sorted.
    pub fn columns(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.visit(&mut |expr| {
            if let Self::Column { name, .. } = expr {
                found.push(name.as_str());
            }
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Calls `look` for this expression and each below it.
    pub fn visit<'e>(&'e self, look: &mut impl FnMut(&'e Self)) {
        look(self);
        match self {
            Self::Column { .. } | Self::Literal(_) => {}
            Self::Compare { left, right, .. } => {
                left.visit(look);
                right.visit(look);
            }
            Self::In { value, .. }
            | Self::Like { value, .. }
            | Self::IsNull { value, .. }
            | Self::Call { argument: value, .. }
            | Self::Not(value) => value.visit(look),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|expr| expr.visit(look)),
        }
    }
}
