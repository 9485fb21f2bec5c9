//! The grammar of conditions.

use crate::{Comparison, ConditionError, Function};

use super::lex::{Token, tokens};

/// Deepest nesting.
const DEEPEST: usize = 32;
/// Most comparisons of a condition.
const MOST_COMPARISONS: usize = 200;
/// Words that are no names of columns unless they are quoted.
const KEYWORDS: [&str; 12] =
    ["and", "or", "not", "in", "like", "between", "is", "null", "true", "false", "select", "case"];
const ATTRIBUTE: &str = "current_user_";

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Compare {
        operator: Comparison,
        left: Operand,
        right: Operand,
    },
    Between {
        value: Operand,
        low: Operand,
        high: Operand,
        negated: bool,
    },
    In {
        value: Operand,
        list: Vec<Operand>,
        negated: bool,
    },
    Like {
        value: Operand,
        pattern: String,
        negated: bool,
    },
    IsNull {
        value: Operand,
        negated: bool,
    },
    /// Something that is true or false by itself.
    Truth(Operand),
}

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    /// The character at which it is, from 1.
    pub(crate) place: usize,
    pub(crate) what: What,
}

impl Node {
    /// What it compares, in the order of the text.
    pub(super) fn operands<'n>(&'n self, found: &mut Vec<&'n Operand>) {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().for_each(|node| node.operands(found)),
            Self::Not(node) => node.operands(found),
            Self::Compare { left, right, .. } => found.extend([left, right]),
            Self::Between { value, low, high, .. } => found.extend([value, low, high]),
            Self::In { value, list, .. } => {
                found.push(value);
                found.extend(list);
            }
            Self::Like { value, .. } | Self::IsNull { value, .. } | Self::Truth(value) => found.push(value),
        }
    }
}

impl Operand {
    /// The attribute that it reads.
    pub(super) fn attribute(&self) -> Option<&str> {
        match &self.what {
            What::Attribute(name) => Some(name),
            What::Call(_, argument) => argument.attribute(),
            What::Column(_) | What::Text(_) | What::Number(_) | What::Boolean(_) | What::Moment(_) => None,
        }
    }

    /// A text that is written as an attribute is, in quotes.
    pub(super) fn quoted_attribute(&self) -> Option<&str> {
        match &self.what {
            What::Text(text) => {
                let name = text.get(..ATTRIBUTE.len()).filter(|begin| begin.eq_ignore_ascii_case(ATTRIBUTE));
                let name = name.and_then(|_| text.get(ATTRIBUTE.len()..)).unwrap_or_default();
                let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
                is_name.then_some(text.as_str())
            }
            What::Call(_, argument) => argument.quoted_attribute(),
            What::Column(_) | What::Attribute(_) | What::Number(_) | What::Boolean(_) | What::Moment(_) => {
                None
            }
        }
    }

    /// Whether it reads a column.
    pub(crate) fn has_column(&self) -> bool {
        match &self.what {
            What::Column(_) => true,
            What::Call(_, argument) => argument.has_column(),
            What::Attribute(_) | What::Text(_) | What::Number(_) | What::Boolean(_) | What::Moment(_) => {
                false
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Column(String),
    /// By its name without `current_user_`.
    Attribute(String),
    Text(String),
    Number(String),
    Boolean(bool),
    /// `date '…'`, `timestamp '…'`, `time '…'`: a text of which it is said what it is.
    Moment(String),
    Call(Function, Box<Operand>),
}

/// Reads a condition.
pub(super) fn condition(text: &str) -> Result<Node, ConditionError> {
    let mut parser = Parser::new(text)?;
    let node = parser.any(0)?;
    parser.end()?;
    Ok(node)
}

/// Reads what is behind an operator that has a name in the contract.
pub(super) fn comparison(column: &str, operator: &str, value: Option<&str>) -> Result<Node, ConditionError> {
    let column = Operand { place: 1, what: What::Column(column.to_owned()) };
    let null = matches!(operator, "is_null" | "is_not_null");
    let Some(text) = value.filter(|_| !null) else {
        return if null {
            Ok(Node::IsNull { value: column, negated: operator == "is_not_null" })
        } else {
            Err(ConditionError::new(1, format!("{operator} needs a condition to compare with")))
        };
    };
    let mut parser = Parser::new(text)?;
    let compare = |operator, right| Node::Compare { operator, left: column.clone(), right };
    let node = match operator {
        "equals" => compare(Comparison::Equal, parser.operand(0)?),
        "not_equals" => compare(Comparison::NotEqual, parser.operand(0)?),
        "greater_than" => compare(Comparison::Greater, parser.operand(0)?),
        "less_than" => compare(Comparison::Less, parser.operand(0)?),
        "greater_or_equal" => compare(Comparison::GreaterOrEqual, parser.operand(0)?),
        "less_or_equal" => compare(Comparison::LessOrEqual, parser.operand(0)?),
        "in" => Node::In { value: column, list: parser.list(0)?, negated: false },
        "not_in" => Node::In { value: column, list: parser.list(0)?, negated: true },
        "like" => Node::Like { value: column, pattern: parser.pattern()?, negated: false },
        other => return Err(ConditionError::new(1, format!("{other} is not an operator"))),
    };
    parser.end()?;
    Ok(node)
}

/// The operator, as the contract calls it, of a condition that is one comparison.
pub(super) const fn operator_of(node: &Node) -> Option<&'static str> {
    Some(match node {
        Node::Compare { operator, .. } => match operator {
            Comparison::Equal => "equals",
            Comparison::NotEqual => "not_equals",
            Comparison::Less => "less_than",
            Comparison::LessOrEqual => "less_or_equal",
            Comparison::Greater => "greater_than",
            Comparison::GreaterOrEqual => "greater_or_equal",
        },
        Node::In { negated: false, .. } => "in",
        Node::In { negated: true, .. } => "not_in",
        Node::Like { negated: false, .. } => "like",
        Node::Like { negated: true, .. } => "not like",
        Node::IsNull { negated: false, .. } => "is_null",
        Node::IsNull { negated: true, .. } => "is_not_null",
        Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Between { .. } | Node::Truth(_) => return None,
    })
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    end: usize,
    comparisons: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, ConditionError> {
        Ok(Self { tokens: tokens(text)?, at: 0, end: text.chars().count() + 1, comparisons: 0 })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(place, _)| *place)
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, ConditionError> {
        Err(ConditionError::new(self.place(), message))
    }

    fn end(&self) -> Result<(), ConditionError> {
        match self.peek() {
            None => Ok(()),
            Some(Token::Sign(";")) => self.wrong("a condition is one expression"),
            Some(_) => self.wrong("AND, OR or the end is expected here"),
        }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), ConditionError> {
        if self.take_sign(sign) { Ok(()) } else { self.wrong(format!("{sign} is expected here")) }
    }

    fn any(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(single(parts, Node::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let mut parts = vec![self.one(depth)?];
        while self.take_word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(single(parts, Node::And))
    }

    fn one(&mut self, depth: usize) -> Result<Node, ConditionError> {
        if depth > DEEPEST {
            return self.wrong(format!("at most {DEEPEST} levels of brackets"));
        }
        if self.take_word("not") {
            return Ok(Node::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take_sign("(") {
            let node = self.any(depth + 1)?;
            self.expect_sign(")")?;
            return Ok(node);
        }
        self.comparisons += 1;
        if self.comparisons > MOST_COMPARISONS {
            return self.wrong(format!("at most {MOST_COMPARISONS} comparisons"));
        }
        self.predicate(depth)
    }

    fn predicate(&mut self, depth: usize) -> Result<Node, ConditionError> {
        let value = self.operand(depth)?;
        if let Some(operator) = self.operator() {
            self.at += 1;
            let right = self.operand(depth)?;
            return Ok(Node::Compare { operator, left: value, right });
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            if !self.take_word("null") {
                return self.wrong("NULL is expected here");
            }
            return match value.what {
                What::Column(_) | What::Call(..) => Ok(Node::IsNull { value, negated }),
                _ => Err(ConditionError::new(
                    value.place,
                    "only a column is compared with NULL; a missing attribute denies anyway",
                )),
            };
        }
        let negated = self.take_word("not");
        if self.take_word("in") {
            return Ok(Node::In { value, list: self.list(depth)?, negated });
        }
        if self.take_word("like") {
            return Ok(Node::Like { value, pattern: self.pattern()?, negated });
        }
        if self.take_word("between") {
            let low = self.operand(depth)?;
            if !self.take_word("and") {
                return self.wrong("AND is expected here");
            }
            let high = self.operand(depth)?;
            return Ok(Node::Between { value, low, high, negated });
        }
        if negated {
            return self.wrong("IN, LIKE or BETWEEN is expected here");
        }
        Ok(Node::Truth(value))
    }

    fn operator(&self) -> Option<Comparison> {
        let Some(Token::Sign(sign)) = self.peek() else { return None };
        Some(match *sign {
            "=" | "==" => Comparison::Equal,
            "<>" | "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        })
    }

    /// `(a, b)`, or one attribute that is a list.
    fn list(&mut self, depth: usize) -> Result<Vec<Operand>, ConditionError> {
        if !self.take_sign("(") {
            let one = self.operand(depth)?;
            return match one.what {
                What::Attribute(_) => Ok(vec![one]),
                _ => {
                    Err(ConditionError::new(one.place, "a list in brackets or an attribute is expected here"))
                }
            };
        }
        let mut list = vec![self.item(depth)?];
        while self.take_sign(",") {
            list.push(self.item(depth)?);
        }
        self.expect_sign(")")?;
        Ok(list)
    }

    fn item(&mut self, depth: usize) -> Result<Operand, ConditionError> {
        let item = self.operand(depth)?;
        match item.what {
            What::Column(_) | What::Call(..) => {
                Err(ConditionError::new(item.place, "a list has literals and attributes only"))
            }
            _ => Ok(item),
        }
    }

    fn pattern(&mut self) -> Result<String, ConditionError> {
        match self.peek() {
            Some(Token::Text(pattern)) => {
                let pattern = pattern.clone();
                // Engines disagree on it: for some it is an error, which a filter must not have.
                let ends_open = pattern.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
                if ends_open {
                    return self
                        .wrong("a pattern does not end with \\, which takes the next character as it is");
                }
                self.at += 1;
                Ok(pattern)
            }
            _ => self.wrong("a pattern is written out: an attribute could bring % along"),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Operand, ConditionError> {
        let place = self.place();
        if depth > DEEPEST {
            return self.wrong(format!("at most {DEEPEST} levels of brackets"));
        }
        let token = self.peek().cloned();
        self.at += 1;
        let what = match token {
            Some(Token::Text(text)) => What::Text(text),
            Some(Token::Number(number)) => What::Number(number),
            Some(Token::Quoted(name)) => What::Column(name),
            Some(Token::Word(word)) => self.word(&word, place, depth)?,
            _ => {
                return Err(ConditionError::new(
                    place,
                    "a column, an attribute or a literal is expected here",
                ));
            }
        };
        if self.is_sign(".") {
            return self.wrong("a column is written without its table");
        }
        Ok(Operand { place, what })
    }

    fn word(&mut self, word: &str, place: usize, depth: usize) -> Result<What, ConditionError> {
        let small = word.to_lowercase();
        if self.is_sign("(") {
            let function = Function::from_name(&small).ok_or_else(|| {
                ConditionError::new(
                    place,
                    format!("{word} is not a function of conditions: lower, upper, trim and length are"),
                )
            })?;
            self.at += 1;
            let argument = self.operand(depth + 1)?;
            self.expect_sign(")")?;
            return Ok(What::Call(function, Box::new(argument)));
        }
        if matches!(small.as_str(), "date" | "timestamp" | "time")
            && let Some(Token::Text(text)) = self.peek()
        {
            let text = text.clone();
            self.at += 1;
            return Ok(What::Moment(text));
        }
        match small.as_str() {
            "true" => Ok(What::Boolean(true)),
            "false" => Ok(What::Boolean(false)),
            "null" => Err(ConditionError::new(place, "NULL equals nothing: write IS NULL or IS NOT NULL")),
            keyword if KEYWORDS.contains(&keyword) => Err(ConditionError::new(
                place,
                format!("{word} is not allowed here; a column of that name is quoted"),
            )),
            _ => Ok(match small.strip_prefix(ATTRIBUTE) {
                Some(name) if !name.is_empty() => What::Attribute(name.to_owned()),
                _ => What::Column(word.to_owned()),
            }),
        }
    }
}

fn single(mut parts: Vec<Node>, join: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}
