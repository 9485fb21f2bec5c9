//! Writes whose outcome nobody waits for: sent together, in one trip to the database.

use futures_util::TryStreamExt;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Executor as _};

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

    /// Runs them; answers how many rows the last one changed.
    pub(crate) async fn run(self, on: Connection<'_>) -> sqlx::Result<u64> {
        let sql = self.sql();
        match (self.values, on) {
            (Values::Sqlite(values), Connection::Sqlite(on)) => {
                let mut all =
                    on.execute_many(sqlx::query_with::<sqlx::Sqlite, _>(AssertSqlSafe(sql), values));
                let mut changed = 0;
                while let Some(done) = all.try_next().await? {
                    changed = done.rows_affected();
                }
                Ok(changed)
            }
            (Values::Postgres(values), Connection::Postgres(on)) => {
                // Of a statement with parts only the rows of the last one are counted.
                let done = sqlx::query_with(AssertSqlSafe(sql), values).execute(on).await?;
                Ok(done.rows_affected())
            }
            (Values::Sqlite(_), Connection::Postgres(_)) | (Values::Postgres(_), Connection::Sqlite(_)) => {
                Err(sqlx::Error::Protocol("values of another database".to_owned()))
            }
        }
    }
}

/// Several statements as one of PostgreSQL. None of them reads what another one writes; keys by which their rows refer to one another
/// are checked when all are written. In which order they lock rows is not said. The last one may have parts of its own, which stand beside
/// the others then: PostgreSQL takes parts that write at the top alone.
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
    match last.strip_prefix("with ").filter(|_| !others.is_empty()) {
        Some(parts) => {
            sql.push_str(", ");
            sql.push_str(parts);
        }
        None => {
            sql.push_str(if others.is_empty() { "" } else { " " });
            sql.push_str(last);
        }
    }
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
    fn a_last_statement_with_parts_of_its_own_has_them_beside_the_others() {
        let sql_of = |others: &[&str]| {
            let mut put_off = PutOff::new(true);
            for sql in others {
                put_off.add(&[*sql]);
            }
            put_off.add(&["with a as (update a set x = 1 returning 1) insert into b (x) select 1 from a"]);
            put_off.sql()
        };
        let own = "a as (update a set x = 1 returning 1) insert into b (x) select 1 from a";
        assert_eq!(sql_of(&[]), format!("with {own}"));
        assert_eq!(sql_of(&["delete from c"]), format!("with put_off_0 as (delete from c), {own}"));
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
