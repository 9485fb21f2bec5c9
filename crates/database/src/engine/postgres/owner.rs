//! Whose the tables are, where the user of the address may not read, write or change them.

use sqlx::{PgConnection, PgPool};

use super::acquire;
use crate::Result;
use crate::error::{Refusal, StoreError};

/// A right that the user lacks (SQLSTATE `insufficient_privilege`).
const DENIED: &str = "42501";

/// Names as SQL writes them, and whether the owner is a superuser.
type Owner = (String, String, bool);

/// Of the tables `$1` those that the user may not write, or not change where `$2`. No migration changes the list of them.
const DENIED_TABLES: &str = "
    select c.relname::text, quote_ident(n.nspname), quote_ident(r.rolname), quote_ident(current_user), r.rolsuper, may.write
    from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r on r.oid = c.relowner
        cross join lateral (select has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
            and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete') as write) may
    where c.relkind in ('r', 'p') and c.relname::text = any($1)
        and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('_sqlx_migrations'))
        and not (may.write and (not $2 or c.relname = '_sqlx_migrations' or pg_has_role(c.relowner, 'usage')))
    order by may.write, c.relname";

/// A table, its schema, its owner, the user, whether the owner is a superuser, and whether the user may write it.
type DeniedTable = (String, String, String, String, bool, bool);

/// The error; where it is that another role has the tables, which one, and how this one gets at them.
pub(super) async fn explained(on: &mut PgConnection, error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|cause| cause.code());
    if code.is_none_or(|code| code != DENIED) {
        return error.into();
    }
    match other_owner(on).await {
        Ok(Some(owner)) => refusal(&owner, "the tables of Tidegate", "read").into(),
        _ => error.into(),
    }
}

async fn other_owner(on: &mut PgConnection) -> sqlx::Result<Option<Owner>> {
    sqlx::query_as(
        "select quote_ident(r.rolname), quote_ident(current_user), r.rolsuper
         from pg_class c join pg_roles r on r.oid = c.relowner
         where c.oid = to_regclass('_sqlx_migrations') and r.rolname <> current_user",
    )
    .fetch_optional(on)
    .await
}

/// Why the user may not write some of the tables `ours`, or not change them where it `migrates`; none where it may.
pub(in crate::engine) async fn why_denied(
    pool: &PgPool,
    ours: &[&str],
    migrates: bool,
) -> Result<Option<Refusal>> {
    let mut connection = acquire(pool).await?;
    let ours: Vec<String> = ours.iter().map(|name| (*name).to_owned()).collect();
    let tables: Vec<DeniedTable> =
        sqlx::query_as(DENIED_TABLES).bind(ours).bind(migrates).fetch_all(&mut *connection).await?;
    Ok(tables.first().map(|first| denied(first, tables.len())))
}

fn denied((table, schema, owner, user, is_superuser, may_write): &DeniedTable, count: usize) -> Refusal {
    let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    let tables = format!("tables of Tidegate ({table}{more})");
    if owner == user {
        return Refusal::new(
            "database_permission",
            format!("{user} may not write its own {tables}"),
            format!("give it back what was revoked: `grant all on all tables in schema {schema} to {user}`"),
        );
    }
    let verb = if *may_write { "change" } else { "write" };
    refusal(&(owner.clone(), user.clone(), *is_superuser), &tables, verb)
}

fn refusal((owner, user, is_superuser): &Owner, tables: &str, verb: &str) -> Refusal {
    // What a superuser owns cannot be handed over together: the server's own tables are among it.
    let hand_over = if *is_superuser {
        format!("hand over each table of Tidegate: `alter table NAME owner to {user}`")
    } else {
        format!(
            "hand over what {owner} owns, as a superuser, in this database: `reassign owned by {owner} to {user}`"
        )
    };
    Refusal::new(
        "database_permission",
        format!("{tables} belong to {owner}, and {user} may not {verb} them"),
        format!("give the user {owner} in the database's address, or {hand_over}"),
    )
}
