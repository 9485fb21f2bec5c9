//! How big a text may be before anything recursive looks at it: what is counted here are tokens, in one pass without recursion.
//!
//! Planning time and stack depth grow with what is nested and chained, and neither is memory that a pool counts.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::QueryError;
use crate::explain;
use crate::options::SizeLimits;

/// One level of parentheses.
#[derive(Default)]
struct Level {
    /// Commas since the level or its last clause began.
    commas: usize,
    /// Operators since the last comma or clause.
    chain: usize,
    /// How deep the deepest parentheses since then are.
    within: usize,
    /// How deep the deepest part is that a comma or clause ended.
    deepest: usize,
    /// Whether `IN` stands before it.
    is_list: bool,
}

impl Level {
    /// Ends what is counted as one chain.
    fn part(&mut self) {
        self.deepest = self.deepest.max(self.chain + self.within);
        self.chain = 0;
        self.within = 0;
    }
}

/// Refuses texts that are too big in any way.
pub(super) fn check(sql: &str, dialect: &dyn Dialect, limits: &SizeLimits) -> Result<(), QueryError> {
    if sql.len() > limits.bytes {
        return Err(QueryError::too_big(format!("The query has more than {} bytes.", limits.bytes)));
    }
    let tokens = Tokenizer::new(dialect, sql).tokenize().map_err(|error| explain::unreadable(sql, &error))?;
    let mut counter = Counter {
        limits,
        levels: vec![Level::default()],
        sets: 0,
        joins: 0,
        tokens: 0,
        dots: 0,
        after_in: false,
    };
    tokens
        .iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .try_for_each(|token| counter.count(token))
}

struct Counter<'l> {
    limits: &'l SizeLimits,
    levels: Vec<Level>,
    sets: usize,
    joins: usize,
    tokens: usize,
    /// Periods of one name.
    dots: usize,
    after_in: bool,
}

impl Counter<'_> {
    fn count(&mut self, token: &Token) -> Result<(), QueryError> {
        self.tokens += 1;
        if self.tokens > self.limits.tokens {
            return Err(too_many(self.limits.tokens, "words and signs"));
        }
        let after_in = std::mem::take(&mut self.after_in);
        if !matches!(token, Token::Word(_) | Token::Period | Token::DoubleQuotedString(_)) {
            self.dots = 0;
        }
        match token {
            Token::Period => self.dot(),
            Token::LParen | Token::LBracket | Token::LBrace => self.open(after_in),
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Comma => self.comma(),
            Token::Word(word) => self.word(word.keyword),
            Token::Number(..) | Token::EOF | Token::SemiColon => Ok(()),
            token if is_text(token) => Ok(()),
            _ => self.chained(),
        }
    }

    fn open(&mut self, is_list: bool) -> Result<(), QueryError> {
        self.levels.push(Level { is_list, ..Level::default() });
        if self.levels.len() > self.limits.nesting {
            return Err(QueryError::too_big(format!(
                "The query is nested more than {} levels deep.",
                self.limits.nesting
            )));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), QueryError> {
        if self.levels.len() > 1
            && let Some(mut closed) = self.levels.pop()
            && let Some(level) = self.levels.last_mut()
        {
            closed.part();
            level.within = level.within.max(closed.deepest);
        }
        // What follows goes on with a chain: `a[1][2]`, `(a)(b)`.
        self.chained()
    }

    fn comma(&mut self) -> Result<(), QueryError> {
        let (list, columns) = (self.limits.list, self.limits.columns);
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        level.commas += 1;
        level.part();
        if level.is_list && level.commas >= list {
            return Err(too_many(list, "values in one list"));
        }
        if !level.is_list && level.commas >= columns {
            return Err(too_many(columns, "columns or values side by side"));
        }
        Ok(())
    }

    fn dot(&mut self) -> Result<(), QueryError> {
        const MOST: usize = 16;
        self.dots += 1;
        if self.dots > MOST {
            return Err(too_many(MOST, "parts in one name"));
        }
        Ok(())
    }

    fn chained(&mut self) -> Result<(), QueryError> {
        let (most, depth) = (self.limits.chain, self.limits.depth);
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        level.chain += 1;
        let (chain, within) = (level.chain, level.within);
        if chain > most {
            return Err(QueryError::too_big(format!(
                "The query has an expression of more than {most} parts."
            )));
        }
        // Each part of a chain is one level deeper than the next, and so are chains in the parentheses of others.
        let around: usize = self.levels.iter().map(|level| level.chain).sum();
        if around + within > depth {
            return Err(QueryError::too_big(format!(
                "The query has expressions within each other of more than {depth} parts."
            )));
        }
        Ok(())
    }

    fn word(&mut self, keyword: Keyword) -> Result<(), QueryError> {
        match keyword {
            Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS => {
                self.sets += 1;
                self.clause();
                if self.sets > self.limits.sets {
                    return Err(too_many(self.limits.sets, "set operations"));
                }
                Ok(())
            }
            Keyword::JOIN => {
                self.joins += 1;
                if self.joins > self.limits.joins {
                    return Err(too_many(self.limits.joins, "joins"));
                }
                Ok(())
            }
            Keyword::IN => {
                self.after_in = true;
                self.chained()
            }
            // Each of them nests an expression, or makes one longer.
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::IS
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::XOR
            | Keyword::DIV
            | Keyword::OVERLAPS
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::ESCAPE
            | Keyword::INTERVAL
            | Keyword::EXISTS
            | Keyword::ANY
            | Keyword::ALL
            | Keyword::SOME
            | Keyword::PRIOR => self.chained(),
            // A new clause: what is counted side by side begins anew.
            Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::ORDER
            | Keyword::VALUES => {
                self.clause();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Commas go on being counted where clauses cannot end a list: `SELECT` within `IN (` is a level of its own.
    fn clause(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.commas = 0;
            level.part();
            level.is_list = false;
        }
    }
}

fn too_many(most: usize, what: &str) -> QueryError {
    QueryError::too_big(format!("The query has more than {most} {what}."))
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
    )
}
