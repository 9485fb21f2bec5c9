//! One SQL text, run on whichever engine the unit of work is on.
//!
//! Placeholders are `$1`, `$2`, …; keys are `Uuid`s, instants `bigint` microseconds, documents `Json`. Everything
//! between the engines that these macros cannot hide is a defect or belongs in [`crate::engine`].

/// Runs the statement; answers how many rows it changed.
#[macro_export]
macro_rules! execute {
    ($unit:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        $unit.run_put_off().await?;
        match $unit.connection($sql)? {
            $crate::engine::Connection::Sqlite(on) => {
                $crate::sqlx::query($sql)$(.bind($value))*.execute(on).await.map(|done| done.rows_affected())
            }
            $crate::engine::Connection::Postgres(on) => {
                $crate::sqlx::query($sql)$(.bind($value))*.execute(on).await.map(|done| done.rows_affected())
            }
        }
        .map_err(|error| $unit.failed(error))
        .inspect(|_| $unit.succeeded())
    }};
}

/// Runs the statement and reads its rows with the named `sqlx` fetch method.
#[macro_export]
macro_rules! fetch {
    ($method:ident, $unit:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {{
        $unit.run_put_off().await?;
        match $unit.connection($sql)? {
            $crate::engine::Connection::Sqlite(on) => {
                $crate::sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$method(on).await
            }
            $crate::engine::Connection::Postgres(on) => {
                $crate::sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$method(on).await
            }
        }
        .map_err(|error| $unit.failed(error))
        .inspect(|_| $unit.succeeded())
    }};
}

/// The one row there must be.
#[macro_export]
macro_rules! fetch_one {
    ($($rest:tt)*) => { $crate::fetch!(fetch_one, $($rest)*) };
}

/// The row, if there is one.
#[macro_export]
macro_rules! fetch_optional {
    ($($rest:tt)*) => { $crate::fetch!(fetch_optional, $($rest)*) };
}

/// All rows.
#[macro_export]
macro_rules! fetch_all {
    ($($rest:tt)*) => { $crate::fetch!(fetch_all, $($rest)*) };
}

/// All rows of a long list, as [`Keyed`](crate::Keyed) ones: of a select whose columns have names and whose first are the keys `$key`. `$row`
/// is a struct of the others, in their order.
///
/// On SQLite a row that comes by itself costs several times what finding it does: each of its values is copied, and the thread that finds
/// it wakes the task that wants it. So there all rows come as one: the keys as bytes, which as text of JSON would be half of a list of people,
/// and the rest as a JSON array of arrays. `$packed` are its columns as they stand in that: `json(profile)` of a document, others by their
/// names. Text, 64-bit integers and nulls come as they are stored. Not so booleans, which are numbers there, doubles, which lose digits, and
/// bytes, which JSON does not have: none may be among them. A document that is `null` reads as none. The list is in memory as text and as
/// rows at a time, so `$sql` bounds it.
#[macro_export]
macro_rules! fetch_list {
    ($unit:expr, [$first:literal $(, $key:literal)*], $row:ty, $packed:literal, $sql:expr $(, $value:expr)* $(,)?) => {
        if $unit.is_postgres() {
            $crate::fetch_all!($unit, $crate::Keyed<{ [$first $(, $key)*].len() }, $row>, $sql $(, $value)*)
        } else {
            let list = $crate::fetch_one!(
                $unit,
                (Vec<u8>, $crate::sqlx::types::Json<Vec<$row>>),
                // SQLite takes bytes for text as they are, and gives them back so.
                concat!(
                    "select coalesce(cast(group_concat(", $first, $(" || ", $key,)* ", '') as blob), x''), ",
                    "json_group_array(json_array(", $packed, ")) from (", $sql, ")"
                )
                $(, $value)*
            );
            list.and_then(|(keys, rows)| $crate::Keyed::all(&keys, rows.0))
        }
    };
}

/// Locks the row of that `id` until the unit ends, so that units which change what belongs to it follow one another. On PostgreSQL an
/// update that changes nothing does; on SQLite a unit that writes is alone from its beginning, so nothing is run.
#[macro_export]
macro_rules! lock_row {
    ($unit:expr, $table:literal, $id:expr $(,)?) => {
        if $unit.is_postgres() {
            let sql = concat!("update ", $table, " set updated_at = updated_at where id = $1");
            $crate::execute!($unit, sql, $id).map(|_| ())
        } else {
            Ok(())
        }
    };
}

/// Deletes the rows of `$table` that `$which` names (condition, order and limit); `$key` is its primary key. Answers how many.
///
/// On PostgreSQL rows that another unit has locked are left for the next time: what tidies up waits for nobody, so that no two can
/// wait for each other.
#[macro_export]
macro_rules! prune {
    ($unit:expr, $table:literal, $key:literal, $which:literal $(, $value:expr)* $(,)?) => {{
        let sql = if $unit.is_postgres() {
            concat!(
                "with over as materialized (select ", $key, " from ", $table, " ", $which, " for update skip locked) ",
                "delete from ", $table, " where (", $key, ") in (select ", $key, " from over)",
            )
        } else {
            concat!("delete from ", $table, " where (", $key, ") in (select ", $key, " from ", $table, " ", $which, ")")
        };
        $crate::execute!($unit, sql $(, $value)*)
    }};
}

/// Changes rows that no other unit has locked; answers how many. On PostgreSQL those that one has are left as they are: nobody is waited for.
#[macro_export]
macro_rules! update_free {
    ($unit:expr, $table:literal, $key:literal, $set:literal, $which:literal $(, $value:expr)* $(,)?) => {{
        let sql = if $unit.is_postgres() {
            concat!(
                "with free as materialized (select ", $key, " from ", $table, " ", $which, " for update skip locked) ",
                "update ", $table, " set ", $set, " where ", $key, " in (select ", $key, " from free)",
            )
        } else {
            concat!("update ", $table, " set ", $set, " ", $which)
        };
        $crate::execute!($unit, sql $(, $value)*)
    }};
}

/// Puts a statement off until the unit's next one that is not, or its commit: those put off are run in one trip, and nobody hears how many
/// rows they changed. See [`Unit::put_off`](crate::Unit::put_off).
#[macro_export]
macro_rules! put_off {
    ($unit:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        $crate::put_off_rows!($unit, $sql, [$($value),*], [(); 0], () => [])
    };
}

/// The same of one statement that writes several rows: see [`execute_rows!`](crate::execute_rows).
#[macro_export]
macro_rules! put_off_rows {
    ($unit:expr, $sql:expr, [$($shared:expr),* $(,)?], $rows:expr, $row:pat => [$($value:expr),* $(,)?] $(,)?) => {
        $crate::put_off_values!(
            $unit, $unit.put_off($sql).await?, [$($shared),*], $rows, $row => [$($value),*]
        )
    };
}

/// The same of several statements, also of one table. All share the placeholders, and none of them reads what another one writes: on
/// PostgreSQL they see what was there before all of them. Keys by which their rows refer to one another are checked when all are written,
/// on SQLite in their order.
#[macro_export]
macro_rules! put_off_together {
    ($unit:expr, [$($sql:literal),+ $(,)?], $last:literal $(, $value:expr)* $(,)?) => {
        $crate::put_off_values!(
            $unit, $unit.put_off_together(&[$($sql,)+ $last]).await?, [$($value),*], [(); 0], () => []
        )
    };
}

/// Runs a statement in one trip with those that the unit has put off, which are about other tables; answers how many rows it changed. Of
/// several statements for SQLite those of the last one are counted.
#[macro_export]
macro_rules! execute_with_put_off {
    ($unit:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        $crate::put_off!($unit, $sql $(, $value)*)?;
        $unit.run_put_off().await
    }};
}

/// Adds the values of what a unit has put off: for the macros that do.
#[macro_export]
macro_rules! put_off_values {
    (
        $unit:expr, $values:expr, [$($shared:expr),* $(,)?], $rows:expr, $row:pat => [$($value:expr),* $(,)?] $(,)?
    ) => {{
        let mut added = Ok(());
        match $values {
            $crate::put_off::Values::Sqlite(values) => {
                $(added = added.and($crate::sqlx::Arguments::add(values, $shared));)*
                for $row in $rows {
                    $(added = added.and($crate::sqlx::Arguments::add(values, $value));)*
                }
            }
            $crate::put_off::Values::Postgres(values) => {
                $(added = added.and($crate::sqlx::Arguments::add(values, $shared));)*
                for $row in $rows {
                    $(added = added.and($crate::sqlx::Arguments::add(values, $value));)*
                }
            }
        }
        added.map_err(|error| $unit.cannot_send(error))
    }};
}

/// Adds a row, then one that refers to it, in one trip; answers `$column` of the first where the second was added, which may do nothing on
/// a conflict. `$found` is where SQLite, which adds one after the other, finds the first: `from accounts where id = $1`.
#[macro_export]
macro_rules! insert_both {
    (
        $unit:expr, $row:ty, $first:literal, $column:literal, $found:literal, $second:literal
        $(, $value:expr)* $(,)?
    ) => {{
        let sql = if $unit.is_postgres() {
            concat!(
                "with added as (", $first, " returning ", $column, ") ",
                $second, " returning (select ", $column, " from added)"
            )
        } else {
            concat!($first, "; ", $second, " returning (select ", $column, " ", $found, ")")
        };
        $crate::fetch_optional!($unit, $row, sql $(, $value)*)
    }};
}

/// Changes one row and, where it did, adds one that may be there already (`$unless`: what is then done instead), in one trip; answers
/// whether both were done. On SQLite the row is added in any case: a unit in which not both were done must not be committed.
///
/// `$insert` is the statement up to its values; both share the placeholders.
#[macro_export]
macro_rules! update_and_insert {
    ($unit:expr, $update:literal, $insert:literal, $values:literal, $unless:literal $(, $value:expr)* $(,)?) => {{
        let (sql, rows) = if $unit.is_postgres() {
            // Only the rows of the last part are counted.
            let sql = concat!(
                "with changed as (", $update, " returning 1) ", $insert, " select ", $values, " from changed ", $unless
            );
            (sql, 1)
        } else {
            (concat!($update, "; ", $insert, " values (", $values, ") ", $unless), 2)
        };
        let changed = $crate::execute!($unit, sql $(, $value)*);
        changed.map(|changed| changed == rows)
    }};
}

/// Runs one statement that writes several rows; answers how many it changed. `$values` are those of the rows' placeholders, in the
/// statement made by [`rows`](crate::rows): first those all rows share, then row by row.
#[macro_export]
macro_rules! execute_rows {
    ($unit:expr, $sql:expr, [$($shared:expr),* $(,)?], $rows:expr, $row:pat => [$($value:expr),* $(,)?] $(,)?) => {{
        let sql: String = $sql;
        $unit.run_put_off().await?;
        match $unit.connection(&sql)? {
            $crate::engine::Connection::Sqlite(on) => {
                let mut query = $crate::sqlx::query($crate::sqlx::AssertSqlSafe(sql))$(.bind($shared))*;
                for $row in $rows {
                    query = query$(.bind($value))*;
                }
                query.execute(on).await.map(|done| done.rows_affected())
            }
            $crate::engine::Connection::Postgres(on) => {
                let mut query = $crate::sqlx::query($crate::sqlx::AssertSqlSafe(sql))$(.bind($shared))*;
                for $row in $rows {
                    query = query$(.bind($value))*;
                }
                query.execute(on).await.map(|done| done.rows_affected())
            }
        }
        .map_err(|error| $unit.failed(error))
        .inspect(|_| $unit.succeeded())
    }};
}

/// The same; answers the rows that the statement returns.
#[macro_export]
macro_rules! fetch_rows {
    ($unit:expr, $out:ty, $sql:expr, [$($shared:expr),* $(,)?], $rows:expr, $row:pat => [$($value:expr),* $(,)?] $(,)?) => {{
        let sql: String = $sql;
        $unit.run_put_off().await?;
        match $unit.connection(&sql)? {
            $crate::engine::Connection::Sqlite(on) => {
                let mut query =
                    $crate::sqlx::query_as::<_, $out>($crate::sqlx::AssertSqlSafe(sql))$(.bind($shared))*;
                for $row in $rows {
                    query = query$(.bind($value))*;
                }
                query.fetch_all(on).await
            }
            $crate::engine::Connection::Postgres(on) => {
                let mut query =
                    $crate::sqlx::query_as::<_, $out>($crate::sqlx::AssertSqlSafe(sql))$(.bind($shared))*;
                for $row in $rows {
                    query = query$(.bind($value))*;
                }
                query.fetch_all(on).await
            }
        }
        .map_err(|error| $unit.failed(error))
        .inspect(|_| $unit.succeeded())
    }};
}

/// Most rows of one statement: few texts, so that all of them stay prepared.
pub const MOST_ROWS: usize = 16;

/// A statement for `rows` rows of `columns` values each, between `head` and `tail`. The first `shared` placeholders are in one of these
/// two: `($3, $4), ($5, $6)` are two rows of two columns with two shared ones.
pub fn rows(head: &str, shared: usize, columns: usize, rows: usize, tail: &str) -> String {
    let mut sql = String::with_capacity(head.len() + tail.len() + rows * columns * 5 + 2);
    sql.push_str(head);
    let mut next = shared;
    for row in 0..rows {
        sql.push_str(if row == 0 { " (" } else { ", (" });
        for column in 0..columns {
            next += 1;
            sql.push_str(if column == 0 { "$" } else { ", $" });
            sql.push_str(&next.to_string());
        }
        sql.push(')');
    }
    sql.push(' ');
    sql.push_str(tail);
    sql
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn placeholders_of_rows_follow_the_shared_ones() {
        assert_eq!(
            rows("insert into t (a, b) values", 1, 2, 2, "on conflict do nothing"),
            "insert into t (a, b) values ($2, $3), ($4, $5) on conflict do nothing"
        );
    }
}
