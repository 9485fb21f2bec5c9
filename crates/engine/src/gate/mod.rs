//! What may be asked at all, before anything is planned: one query of bounded size that only reads, with known functions.

mod size;
mod statement;
mod synonyms;
mod words;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};

use crate::error::QueryError;
use crate::explain;
use crate::functions::Functions;
use crate::options::SizeLimits;

/// How deep the parser goes. Parentheses are counted before.
const RECURSION: usize = 120;

/// What to do instead.
const COPY: &str = "COPY is not served; use psql --csv -c \"select …\", or download the result of a query.";

/// Parses a text into the one query it has to be.
pub(crate) fn parse(sql: &str, limits: &SizeLimits, functions: &Functions) -> Result<Statement, QueryError> {
    let dialect: &dyn Dialect = &GenericDialect {};
    size::check(sql, dialect, limits)?;
    // Its syntax is PostgreSQL's, which the parser does not take in full.
    if sql.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("copy")) {
        return Err(QueryError::not_allowed(COPY));
    }
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(dialect)
        .with_recursion_limit(RECURSION)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| explain::unexpected(sql, dialect, &error))?;
    let statement = statements.pop_front().ok_or_else(QueryError::syntax)?;
    if !statements.is_empty() {
        return Err(QueryError::not_allowed("Only one statement at a time is run."));
    }
    statement::check(&statement, limits, functions)?;
    Ok(statement)
}
