//! Whether the sequences of generated keys are behind their tables, as after a dump that was restored over existing tables: `pg_restore` sets
//! them back, and keeps the rows that are there.

use sqlx::{AssertSqlSafe, PgPool};

use super::acquire;
use crate::Result;
use crate::error::{RESTORE_ANEW, Refusal};

/// For each of the tables `$1` whose keys PostgreSQL generates, SQL for its name, its key, its highest key, and the one that its sequence
/// gives next. Left out is what this user may not read: who has no right to a sequence gets numbers of it all the same.
const GENERATED_KEYS: &str = "
    select format('select %L::text as name, %L::text as key, (select max(%I) from %s) as most, (select last_value + is_called::int from %s) as next',
        c.relname, a.attname, a.attname, c.oid::regclass, s.oid::regclass)
    from pg_attribute a join pg_class c on c.oid = a.attrelid
        join pg_depend d on d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype = 'i'
        join pg_class s on s.oid = d.objid and s.relkind = 'S'
    where a.attidentity <> '' and not a.attisdropped and c.relkind in ('r', 'p') and c.relname::text = any($1)
        and c.relnamespace = (select relnamespace from pg_class where oid = to_regclass('_sqlx_migrations'))
        and has_table_privilege(c.oid, 'select') and case when s.relkind = 'S' then has_sequence_privilege(s.oid, 'select') end
    order by c.relname";

/// A table, its key, the highest one, and the one that is given next.
type Behind = (String, String, i64, i64);

/// Why new rows of the tables `ours` would get keys that are taken; none where they do not.
///
/// The rows are those that were committed when the statement began, and a sequence is read as it is after that: it has given each of their
/// keys, also while other nodes write. The highest key is looked up in the index of the primary key.
pub(in crate::engine) async fn why_keys_are_taken(pool: &PgPool, ours: &[&str]) -> Result<Option<Refusal>> {
    let mut connection = acquire(pool).await?;
    let ours: Vec<String> = ours.iter().map(|name| (*name).to_owned()).collect();
    let keys: Vec<String> = sqlx::query_scalar(GENERATED_KEYS).bind(ours).fetch_all(&mut *connection).await?;
    if keys.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "select name, key, most, next from ({}) keys where most >= next order by name",
        keys.join(" union all ")
    );
    let behind: Vec<Behind> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
    Ok(behind.first().map(|first| taken(first, behind.len())))
}

fn taken((table, key, most, next): &Behind, count: usize) -> Refusal {
    let more = if count > 1 { format!("; so it is with {} more", count - 1) } else { String::new() };
    Refusal::new(
        "database_sequences",
        format!(
            "new rows would get keys that are taken: the sequence of {table} goes on with {next}, and {table} has rows up to {most}{more}"
        ),
        format!(
            "{RESTORE_ANEW}. If the rows are right and the sequences alone were left behind, as logical replication does, set each: `select \
             setval(pg_get_serial_sequence('{table}', '{key}'), (select max({key}) from {table}))`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_that_is_behind_is_told_with_what_mends_it() {
        let first = ("accounts".to_owned(), "number".to_owned(), 57, 12);
        for (count, what) in [(1, "rows up to 57"), (3, "rows up to 57; so it is with 2 more")] {
            let refusal = taken(&first, count);
            assert!(refusal.what.ends_with(what) && refusal.what.contains("goes on with 12"), "{refusal}");
            assert!(refusal.advice.starts_with("a dump was restored over existing tables"), "{refusal}");
            let set = "select setval(pg_get_serial_sequence('accounts', 'number'), (select max(number) from accounts))";
            assert!(refusal.advice.contains(set), "{refusal}");
        }
    }
}
