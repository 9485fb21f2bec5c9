//! One SQL text, run on whichever engine the unit of work is on.
//!
//! Placeholders are `$1`, `$2`, …; keys are `Uuid`s, instants `bigint` microseconds, documents `Json`. Everything
//! between the engines that these macros cannot hide is a defect or belongs in [`crate::engine`].

/// Runs the statement; answers how many rows it changed.
#[macro_export]
macro_rules! execute {
    ($unit:expr, $sql:expr $(, $value:expr)* $(,)?) => {
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
    };
}

/// Runs the statement and reads its rows with the named `sqlx` fetch method.
#[macro_export]
macro_rules! fetch {
    ($method:ident, $unit:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
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
    };
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
