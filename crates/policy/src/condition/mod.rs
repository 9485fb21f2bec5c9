//! Conditions of row filters: a small language, closed, of comparisons that cannot fail.
//!
//! Columns (`region`, `"Odd name"`), attributes (`current_user_region`), literals (`'EU'`, `12.5`, `true`, `date '2024-01-31'`,
//! `timestamp '2024-01-31T10:00:00Z'`), `= <> != < <= > >=`, `[NOT] IN`, `[NOT] BETWEEN`, `[NOT] LIKE`, `IS [NOT] NULL`,
//! `lower upper trim length`, `AND OR NOT` and brackets. Everything else is refused with its place.

mod bind;
mod lex;
mod literal;
mod parse;

pub(crate) use bind::{BindError, Binding, all};
pub(crate) use literal::{Raw, clock, literal};

use crate::relation::Names;
use crate::{ConditionError, Relation};
use parse::{Node, Operand, What};

/// Longest condition in characters.
pub const MAX_CONDITION: usize = 4_000;

/// A condition that was read, not yet of a relation.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    node: Node,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// Says where it is not one, and what was expected.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        parse::condition(text).map(|node| Self { node })
    }

    /// Reads a value, or a list of them, that a column is compared with by an operator of the contract.
    pub(crate) fn parse_comparison(
        column: &str,
        operator: &str,
        value: Option<&str>,
    ) -> Result<Self, ConditionError> {
        parse::comparison(column, operator, value).map(|node| Self { node })
    }

    /// Checks it against a relation: every column is there, and every comparison is of values of one type. Attributes are not known
    /// yet; a column of an unknown type is taken as it is.
    ///
    /// # Errors
    /// Names the place, the column, and the column whose name is nearest.
    pub fn check(&self, relation: &Relation) -> Result<(), ConditionError> {
        let names = Names::of(relation);
        match Binding::check(relation, &names).bind(&self.node) {
            Ok(_) => Ok(()),
            Err(BindError::Condition(error)) => Err(error),
            // Attributes are not looked up here.
            Err(BindError::Missing(name) | BindError::Unfit(name, _)) => {
                Err(ConditionError::new(1, format!("current_user_{name} cannot be used here")))
            }
        }
    }

    /// Whether it is a value alone, with which a rule's column is compared.
    pub(crate) const fn is_value(&self) -> bool {
        match &self.node {
            Node::Truth(operand) => !matches!(operand.what, What::Column(_) | What::Call(..)),
            _ => false,
        }
    }

    /// Whether an operator of the contract beside it says the same. `equals`, which clients send whatever the condition is, also stands
    /// beside several comparisons.
    pub(crate) fn agrees(&self, operator: &str) -> bool {
        match parse::operator_of(&self.node) {
            Some(own) => own == operator,
            None => operator == "equals",
        }
    }

    /// Names of the attributes that it reads, without `current_user_`, each once.
    pub fn attributes(&self) -> Vec<&str> {
        self.each(Operand::attribute)
    }

    /// Texts that are written as attributes are, in quotes, each once. They are compared as they are.
    pub fn quoted_attributes(&self) -> Vec<&str> {
        self.each(Operand::quoted_attribute)
    }

    /// What its operands have of one kind, each once.
    fn each(&self, of: fn(&Operand) -> Option<&str>) -> Vec<&str> {
        let mut operands = Vec::new();
        self.node.operands(&mut operands);
        let mut found: Vec<&str> = operands.into_iter().filter_map(of).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }
}
