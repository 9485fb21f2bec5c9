//! What may be asked at all, before anything is planned: one query of bounded size that only reads, with known functions.

mod size;
mod statement;

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};

use crate::error::QueryError;
use crate::functions::Functions;
use crate::options::SizeLimits;

/// How deep the parser goes. Parentheses are counted before.
const RECURSION: usize = 120;

/// Parses a text into the one query it has to be.
pub(crate) fn parse(sql: &str, limits: &SizeLimits, functions: &Functions) -> Result<Statement, QueryError> {
    let dialect: &dyn Dialect = &GenericDialect {};
    size::check(sql, dialect, limits)?;
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(dialect)
        .with_recursion_limit(RECURSION)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|_| QueryError::syntax())?;
    let statement = statements.pop_front().ok_or_else(QueryError::syntax)?;
    if !statements.is_empty() {
        return Err(QueryError::not_allowed("Only one statement at a time is run."));
    }
    statement::check(&statement, limits, functions)?;
    Ok(statement)
}
