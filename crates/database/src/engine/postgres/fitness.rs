//! Whether a PostgreSQL database can have an installation: its encoding, and the schema in which tables are looked for and made.

use sqlx::PgPool;

use super::{acquire, settings};
use crate::Result;
use crate::error::Refusal;

/// Encodings in which every text can be kept. Of SQL_ASCII PostgreSQL takes bytes as they come, which are UTF-8.
const WHOLE: [&str; 2] = ["UTF8", "SQL_ASCII"];

/// How another database is made.
const MAKE_ONE: &str = "createdb --encoding UTF8 --template template0 --locale C";

const SEARCH_PATH: &str = "search_path";

/// What is seen of the search path, and what is not. One that this role neither has nor may read is another role's, in a schema of its own.
const HIDDEN: &str = "
    select quote_ident(n.nspname), has_schema_privilege(n.oid, 'usage'), current_setting('search_path'),
        (select source from pg_settings where name = 'search_path')::text, quote_ident(session_user), quote_ident(current_database())
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relname = '_sqlx_migrations' and to_regclass('_sqlx_migrations') is null
        and exists (select from pg_class o where o.relnamespace = n.oid and o.relname::text = $1)
        and (pg_has_role(c.relowner, 'usage') or has_table_privilege(c.oid, 'select'))
    order by n.nspname limit 1";

/// Where tables are made, and whether the user may.
const NEW_TABLES: &str = "
    select quote_ident(current_schema()), coalesce(has_schema_privilege(current_schema(), 'create'), false), current_setting('search_path'),
        (select source from pg_settings where name = 'search_path')::text, quote_ident(session_user), quote_ident(current_database())";

/// A schema, whether it may be used so, the search path and where that was set, the role and the database.
type Found<S> = (S, bool, String, Option<String>, String, String);

/// Why not every text can be kept; none where it can.
pub(in crate::engine) async fn why_misencoded(pool: &PgPool) -> Result<Option<Refusal>> {
    let mut connection = acquire(pool).await?;
    let (encoding, database, user): (String, String, String) = sqlx::query_as(
        "select current_setting('server_encoding'), current_database()::text, current_user::text",
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok((!WHOLE.contains(&encoding.as_str())).then(|| misencoded(&encoding, &database, &user)))
}

fn misencoded(encoding: &str, database: &str, user: &str) -> Refusal {
    Refusal::new(
        "database_encoding",
        format!(
            "the encoding of the database {database} is {encoding}, which does not have the letters of every name"
        ),
        format!(
            "make another one, `{MAKE_ONE} --owner {user} NAME`, and give its address; accounts that are in this one move with `tidegate \
             copy --from THIS --to THAT`"
        ),
    )
}

/// Why the tables of an installation are not seen that is there, by one that is `known`; none where they are, or there is no installation.
/// Of a search path that the address has only where `is_named`.
pub(in crate::engine) async fn why_hidden(
    pool: &PgPool,
    known: &str,
    is_named: bool,
) -> Result<Option<Refusal>> {
    let mut connection = acquire(pool).await?;
    let found: Option<Found<String>> =
        sqlx::query_as(HIDDEN).bind(known).fetch_optional(&mut *connection).await?;
    let is_told = |found: &Found<String>| is_named || found.3.as_deref() != Some("client");
    Ok(found.filter(is_told).as_ref().map(hidden))
}

fn hidden((schema, may_use, path, source, role, database): &Found<String>) -> Refusal {
    let (why, mend) = if *may_use {
        let name_it =
            format!("name the schema in the address of the database: options[search_path]={schema}");
        let mend = match reset(source.as_deref(), role, database) {
            Some(reset) => format!("take it off: {reset}, or {name_it}"),
            None => name_it,
        };
        (format!("the search_path of {role} does not have: it is {path}"), mend)
    } else {
        let grant = format!("let {role} use it: `grant usage, create on schema {schema} to {role}`");
        (format!("{role} may not use"), grant)
    };
    Refusal::new(
        "database_hidden",
        format!("the tables of Tidegate are in the schema {schema} of the database {database}, which {why}"),
        format!("{mend}. If a new installation is to begin beside it all the same: `tidegate serve --new`"),
    )
}

/// Why no table can be made; none where one can.
pub(in crate::engine) async fn why_not_made(pool: &PgPool) -> Result<Option<Refusal>> {
    let mut connection = acquire(pool).await?;
    let found: Found<Option<String>> = sqlx::query_as(NEW_TABLES).fetch_one(&mut *connection).await?;
    Ok(not_made(&found))
}

fn not_made((schema, may_make, path, source, role, database): &Found<Option<String>>) -> Option<Refusal> {
    if *may_make {
        return None;
    }
    let (what, advice) = match schema {
        Some(schema) => (
            format!("{role} may not make tables in the schema {schema} of the database {database}"),
            format!("grant it: `grant usage, create on schema {schema} to {role}`"),
        ),
        None => {
            let make = format!(
                "make a schema that it names, `create schema NAME authorization {role}`, or let {role} use one that is there, `grant usage, \
                 create on schema NAME to {role}`"
            );
            let advice = match reset(source.as_deref(), role, database) {
                Some(reset) => format!("take it off: {reset}; or {make}"),
                None => make,
            };
            let what = format!(
                "the database {database} has no schema for tables that the search_path of {role} names and that {role} may use: it is {path}"
            );
            (what, advice)
        }
    };
    Some(Refusal::new("database_permission", what, advice))
}

fn reset(source: Option<&str>, role: &str, database: &str) -> Option<String> {
    settings::reset(SEARCH_PATH, source.unwrap_or_default(), role, database)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<S>(schema: S, may: bool, source: &str) -> Found<S> {
        (schema, may, "nosuch".to_owned(), Some(source.to_owned()), "ada".to_owned(), "shop".to_owned())
    }

    #[test]
    fn tables_that_are_not_seen_are_told_with_what_shows_them() {
        for (may_use, source, what, advice) in [
            (
                true,
                "user",
                "the schema public of the database shop, which the search_path of ada does not have: it is nosuch",
                "`alter role ada reset search_path`, or name the schema in the address of the database: options[search_path]=public",
            ),
            (true, "database", "does not have", "`alter database shop reset search_path`"),
            (true, "client", "does not have", "name the schema in the address"),
            (false, "default", "which ada may not use", "`grant usage, create on schema public to ada`"),
        ] {
            let refusal = hidden(&found("public".to_owned(), may_use, source));
            assert!(refusal.what.contains(what) && refusal.advice.contains(advice), "{source}: {refusal}");
        }
    }

    #[test]
    fn why_no_table_can_be_made_is_told_with_what_lets_the_user() {
        assert_eq!(not_made(&found(Some("public".to_owned()), true, "default")), None);
        for (schema, source, what, advice) in [
            (
                Some("public"),
                "default",
                "ada may not make tables in the schema public",
                "on schema public to ada`",
            ),
            (None, "user", "it is nosuch", "`alter role ada reset search_path`; or make a schema"),
            (None, "client", "it is nosuch", "`create schema NAME authorization ada`"),
        ] {
            let refusal = not_made(&found(schema.map(str::to_owned), false, source)).unwrap();
            assert!(refusal.what.contains(what) && refusal.advice.contains(advice), "{source}: {refusal}");
        }
    }
}
