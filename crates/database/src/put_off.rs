//! Writes whose outcome nobody waits for: sent together, in one trip to the database.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe};

use crate::engine::Connection;

/// Statements that a unit has put off, of different tables but for those that were added together, and their values.
pub(crate) struct PutOff {
    /// Their texts, with the placeholders of the whole.
    statements: Vec<String>,
    /// What they write to.
    tables: Vec<String>,
    values: Values,
}

/// The values of all placeholders: for [`crate::put_off!`].
pub enum Values {
    /// On SQLite.
    Sqlite(SqliteArguments),
    /// On PostgreSQL.
    Postgres(PgArguments),
}

impl PutOff {
    pub(crate) fn new(is_postgres: bool) -> Self {
        let values = if is_postgres {
            Values::Postgres(PgArguments::default())
        } else {
            Values::Sqlite(SqliteArguments::default())
        };
        Self { statements: Vec::new(), tables: Vec::new(), values }
    }

    /// Whether a statement names a table that one of these writes to. Together, on PostgreSQL, it would not see what they wrote.
    pub(crate) fn concerns(&self, sql: &str) -> bool {
        words(sql).any(|word| self.tables.iter().any(|table| table == word))
    }

    /// Adds statements that share their placeholders; the values are to follow.
    pub(crate) fn add(&mut self, statements: &[&str]) -> &mut Values {
        let values = match &self.values {
            Values::Sqlite(values) => values.len(),
            Values::Postgres(values) => values.len(),
        };
        for sql in statements {
            self.statements.push(numbered_from(sql, values));
            self.tables.extend(written(sql).map(str::to_owned));
        }
        &mut self.values
    }

    fn sql(&self) -> String {
        match &self.values {
            Values::Sqlite(_) => self.statements.join("; "),
            Values::Postgres(_) => as_one(&self.statements),
        }
    }

    pub(crate) async fn run(self, on: Connection<'_>) -> sqlx::Result<()> {
        let sql = self.sql();
        match (self.values, on) {
            (Values::Sqlite(values), Connection::Sqlite(on)) => {
                sqlx::query_with(AssertSqlSafe(sql), values).execute(on).await.map(|_| ())
            }
            (Values::Postgres(values), Connection::Postgres(on)) => {
                sqlx::query_with(AssertSqlSafe(sql), values).execute(on).await.map(|_| ())
            }
            (Values::Sqlite(_), Connection::Postgres(_)) | (Values::Postgres(_), Connection::Sqlite(_)) => {
                Err(sqlx::Error::Protocol("values of another database".to_owned()))
            }
        }
    }
}

/// Several statements as one of PostgreSQL. None of them reads what another one writes; keys by which their rows refer to one another
/// are checked when all are written. In which order they lock rows is not said.
fn as_one(statements: &[String]) -> String {
    let Some((last, others)) = statements.split_last() else { return String::new() };
    let mut sql = String::with_capacity(statements.iter().map(|sql| sql.len() + 24).sum());
    for (place, statement) in others.iter().enumerate() {
        sql.push_str(if place == 0 { "with put_off_" } else { ", put_off_" });
        sql.push_str(&place.to_string());
        sql.push_str(" as (");
        sql.push_str(statement);
        sql.push(')');
    }
    if !others.is_empty() {
        sql.push(' ');
    }
    sql.push_str(last);
    sql
}

/// The statement with each of its placeholders `$1`, `$2`, … moved on by so many.
fn numbered_from(sql: &str, by: usize) -> String {
    let mut parts = sql.split('$');
    let mut numbered = String::with_capacity(sql.len() + 16);
    numbered.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        numbered.push('$');
        match number.parse::<usize>() {
            Ok(number) => numbered.push_str(&(number + by).to_string()),
            Err(_) => numbered.push_str(number),
        }
        numbered.push_str(rest);
    }
    numbered
}

/// The table that a statement writes to.
fn written(sql: &str) -> Option<&str> {
    let mut words = words(sql);
    words.find(|word| matches!(*word, "into" | "update" | "from"))?;
    words.next()
}

fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{PutOff, numbered_from, written};

    #[test]
    fn placeholders_follow_those_before() {
        let sql = "update t set a = $2, b = $10 where c = $1";
        assert_eq!(numbered_from(sql, 0), sql);
        assert_eq!(numbered_from(sql, 4), "update t set a = $6, b = $14 where c = $5");
    }

    #[test]
    fn the_table_of_a_statement_is_known() {
        assert_eq!(written("insert into notes (a) values ($1)"), Some("notes"));
        assert_eq!(written("update notes set a = $1"), Some("notes"));
        assert_eq!(written("delete from\n notes where a = $1"), Some("notes"));
    }

    #[test]
    fn what_names_a_table_that_is_written_to_is_not_put_beside_it() {
        let mut put_off = PutOff::new(true);
        put_off.add(&["insert into notes (a) values ($1)"]);
        assert!(put_off.concerns("update notes set a = $1"));
        assert!(put_off.concerns("insert into others (a) select a from notes"));
        assert!(!put_off.concerns("insert into notes_of_others (a) values ($1)"));
    }

    #[test]
    fn statements_are_one() {
        let sql_of = |is_postgres| {
            let mut put_off = PutOff::new(is_postgres);
            put_off.add(&["delete from a", "insert into a (x) values (1)"]);
            put_off.add(&["delete from b"]);
            put_off.add(&["update c set x = 1"]);
            put_off.sql()
        };
        assert_eq!(
            sql_of(false),
            "delete from a; insert into a (x) values (1); delete from b; update c set x = 1"
        );
        assert_eq!(
            sql_of(true),
            "with put_off_0 as (delete from a), put_off_1 as (insert into a (x) values (1)), put_off_2 as (delete from b) \
             update c set x = 1"
        );
    }
}
