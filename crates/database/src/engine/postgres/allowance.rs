//! What a PostgreSQL server allows: whether it can be written, and how many connections there can be.

use sqlx::PgPool;

use super::{acquire, settings};
use crate::Result;
use crate::error::Refusal;
use crate::limit::{Limit, fewest};

const SETTING: &str = "default_transaction_read_only";

/// Where `default_transaction_read_only` was set, if it is on, and whether the server follows another one.
const READ_ONLY: &str = "
    select current_setting('transaction_read_only') = 'on', pg_is_in_recovery(),
        (select source from pg_settings where name = 'default_transaction_read_only')::text,
        quote_ident(session_user), quote_ident(current_database())";

/// The limits of the server, of the role and of the database. A superuser is not held to the last two, and may use what is reserved.
const LIMITS: &str = "
    select current_setting('max_connections')::bigint,
        case when r.rolsuper then 0 else current_setting('superuser_reserved_connections')::bigint
            + coalesce(current_setting('reserved_connections', true)::bigint, 0) end,
        case when r.rolsuper then -1 else r.rolconnlimit::bigint end,
        case when r.rolsuper then -1 else d.datconnlimit::bigint end,
        quote_ident(r.rolname), quote_ident(d.datname)
    from pg_roles r, pg_database d where r.rolname = session_user and d.datname = current_database()";

/// Why the database cannot be written, and what to do about it; none where it can.
pub(in crate::engine) async fn why_read_only(pool: &PgPool) -> Result<Option<Refusal>> {
    let mut connection = acquire(pool).await?;
    let (is_read_only, follows, source, role, database): (bool, bool, Option<String>, String, String) =
        sqlx::query_as(READ_ONLY).fetch_one(&mut *connection).await?;
    if !is_read_only {
        return Ok(None);
    }
    let source = source.unwrap_or_default();
    Ok(Some(read_only(follows, &source, &role, &database)))
}

fn read_only(follows: bool, source: &str, role: &str, database: &str) -> Refusal {
    let refused = |what: &str, advice: String| {
        let what = format!("the database can be read and not be written: {what}");
        Refusal::new("database_read_only", what, advice)
    };
    if follows {
        let advice = "give the address of the primary server, or promote this one (`select pg_promote()`)";
        return refused("the server is a standby", advice.to_owned());
    }
    let what = "default_transaction_read_only is on";
    if let Some(reset) = settings::reset(SETTING, source, role, database) {
        // What is typed in such a session is refused, too.
        return refused(what, format!("take it off: in psql `set {SETTING} = off;`, then {reset}"));
    }
    match source {
        "client" => refused(what, "take it out of `options` in the address of the database".to_owned()),
        _ => refused(
            what,
            format!(
                "turn it off in postgresql.conf, or where it was set (`select * from pg_settings where name = '{SETTING}'`)"
            ),
        ),
    }
}

/// What limits how many connections there can be, and to how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// The most connections that all nodes together can have.
    pub most: i64,
    /// Which limit it is.
    pub what: String,
    /// How it is raised.
    pub raise: String,
}

impl ConnectionLimit {
    /// How low it may be, for one node and a command beside it.
    pub fn fewest() -> String {
        fewest()
    }
}

/// The lowest of the limits.
pub(in crate::engine) async fn connection_limit(pool: &PgPool) -> Result<Option<ConnectionLimit>> {
    let mut connection = acquire(pool).await?;
    let limits: Option<(i64, i64, i64, i64, String, String)> =
        sqlx::query_as(LIMITS).fetch_optional(&mut *connection).await?;
    Ok(limits.and_then(|(most, reserved, of_role, of_database, role, database)| {
        lowest((most, reserved), (of_role, role.as_str()), (of_database, database.as_str()))
    }))
}

/// -1 is no limit.
fn lowest(
    (most, reserved): (i64, i64),
    (of_role, role): (i64, &str),
    (of_database, database): (i64, &str),
) -> Option<ConnectionLimit> {
    let limits = [
        ConnectionLimit {
            most: most - reserved,
            what: format!("max_connections of the server is {most}, of which {reserved} are reserved"),
            raise: Limit::Server.raise(),
        },
        ConnectionLimit {
            most: of_role,
            what: format!("the role {role} has the connection limit {of_role}"),
            raise: Limit::Role(role).raise(),
        },
        ConnectionLimit {
            most: of_database,
            what: format!("the database {database} has the connection limit {of_database}"),
            raise: Limit::Database(database).raise(),
        },
    ];
    limits.into_iter().filter(|limit| limit.most >= 0).min_by_key(|limit| limit.most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_database_cannot_be_written_is_told_with_what_ends_it() {
        for (follows, source, what, advice) in [
            (true, "default", "the server is a standby", "the primary server"),
            (
                false,
                "database",
                "default_transaction_read_only is on",
                "`alter database shop reset default_transaction_read_only`",
            ),
            (
                false,
                "user",
                "is on",
                "`set default_transaction_read_only = off;`, then `alter role ada reset default_transaction_read_only`",
            ),
            (false, "global", "is on", "`alter role all reset default_transaction_read_only`"),
            (false, "database user", "is on", "`alter role ada in database shop reset "),
            (false, "client", "is on", "`options` in the address"),
            (false, "configuration file", "is on", "postgresql.conf"),
        ] {
            let refusal = read_only(follows, source, "ada", "shop");
            assert!(refusal.what.contains(what) && refusal.advice.contains(advice), "{source}: {refusal}");
        }
    }

    #[test]
    fn the_lowest_limit_is_named() {
        let found = |role: i64, database: i64| lowest((100, 3), (role, "ada"), (database, "shop")).unwrap();
        assert_eq!(found(-1, -1).most, 97);
        assert_eq!(found(-1, -1).what, "max_connections of the server is 100, of which 3 are reserved");
        assert_eq!(found(8, -1).what, "the role ada has the connection limit 8");
        assert_eq!(found(8, 4).what, "the database shop has the connection limit 4");
        assert_eq!((found(8, 0).most, found(200, 300).most), (0, 97));
    }
}
