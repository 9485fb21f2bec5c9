//! Which text may be run as a test query.
//!
//! A test query is a read: one statement that starts as a query does. The drivers run it in a read-only transaction besides, so
//! this gate refuses what such a transaction would still allow: ending it, and functions that act outside of it.

use crate::error::SourceError;

/// Longest test query, in bytes.
const LONGEST: usize = 10_000;

/// Characters of a result that are kept.
pub(crate) const LONGEST_RESULT: usize = 200;

/// First words of statements that read.
const READS: [&str; 8] = ["select", "with", "values", "table", "show", "describe", "desc", "explain"];

/// Words that no read needs. A column of such a name must be quoted.
const WRITES: [&str; 35] = [
    "insert", "update", "delete", "merge", "replace", "truncate", "drop", "alter", "create", "grant",
    "revoke", "copy", "call", "do", "execute", "prepare", "commit", "rollback", "begin", "set", "reset",
    "lock", "vacuum", "analyze", "attach", "detach", "pragma", "load", "handler", "into", "outfile",
    "dumpfile", "listen", "notify", "reindex",
];

/// Starts of the names of functions that act on the server, its files, or other servers.
const ACTING: [&str; 40] = [
    "pg_read",
    "pg_ls",
    "pg_stat_file",
    "pg_terminate",
    "pg_cancel",
    "pg_reload",
    "pg_rotate",
    "pg_switch",
    "pg_create",
    "pg_drop",
    "pg_advisory",
    "pg_try_advisory",
    "pg_promote",
    "pg_logical",
    "pg_replication",
    "pg_sleep",
    "dblink",
    "lo_",
    "set_config",
    "load_file",
    "sleep",
    "benchmark",
    "get_lock",
    // These run a query that stands in a literal, where this gate does not look.
    "query_to_xml",
    "cursor_to_xml",
    "ts_stat",
    "ts_rewrite",
    "crosstab",
    "connectby",
    // What a transaction that only reads still lets do.
    "pg_notify",
    "pg_file",
    "pg_backup",
    "pg_start_backup",
    "pg_stop_backup",
    "pg_stat_reset",
    "pg_log",
    "pg_export_snapshot",
    "release_lock",
    "sys_e",
    "load_extension",
];

/// Words that begin or make another statement in Transact-SQL, where no semicolon stands between two.
const TSQL: [&str; 38] = [
    "exec",
    "declare",
    "use",
    "if",
    "while",
    "goto",
    "print",
    "raiserror",
    "throw",
    "waitfor",
    "kill",
    "shutdown",
    "backup",
    "restore",
    "dbcc",
    "reconfigure",
    "checkpoint",
    "deny",
    "revert",
    "bulk",
    "openrowset",
    "openquery",
    "opendatasource",
    "openxml",
    "save",
    "tran",
    "transaction",
    "open",
    "close",
    "fetch",
    "deallocate",
    "enable",
    "disable",
    "writetext",
    "updatetext",
    "readtext",
    "receive",
    "send",
];

/// As [`read_only`], for Transact-SQL.
pub(crate) fn read_only_tsql(query: &str) -> Result<&str, SourceError> {
    let query = read_only(query)?;
    // Brackets quote names there, and a quotation mark may be in such a name.
    if query.contains(['[', ']']) {
        return Err(refused("it contains a bracket; names are quoted by double quotation marks"));
    }
    for word in words(query)? {
        if TSQL.contains(&word.as_str()) || word.starts_with("xp_") || word.starts_with("sp_") {
            return Err(refused(&format!("it contains {}", word.to_uppercase())));
        }
    }
    Ok(query)
}

/// Accepts one reading statement and gives it back without a final semicolon.
pub(crate) fn read_only(query: &str) -> Result<&str, SourceError> {
    let query = query.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace());
    if query.is_empty() || query.len() > LONGEST || query.contains('\0') {
        return Err(SourceError::query(format!("The test query must have 1 to {LONGEST} bytes of text.")));
    }
    let words = words(query)?;
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !READS.contains(&first) {
        return Err(refused("it must start with SELECT, WITH, VALUES, TABLE, SHOW, DESCRIBE or EXPLAIN"));
    }
    for word in &words {
        if WRITES.contains(&word.as_str()) {
            return Err(refused(&format!("it contains {}", word.to_uppercase())));
        }
        if let Some(name) = ACTING.iter().find(|name| word.starts_with(**name)) {
            return Err(refused(&format!("it names a function of {name}")));
        }
    }
    Ok(query)
}

fn refused(why: &str) -> SourceError {
    SourceError::query(format!("Only a single reading statement is run as a test query: {why}."))
}

/// The words outside of literals, in lower case; quoted names count as words, for a function may be called by one.
/// Comments are refused: servers disagree on where they end, and MySQL runs what stands in some.
fn words(query: &str) -> Result<Vec<String>, SourceError> {
    let mut words = Vec::new();
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or_default();
        if rest.starts_with("--") || rest.starts_with("/*") || c == '#' {
            return Err(refused("it contains a comment"));
        }
        if c == ';' {
            return Err(refused("it has several statements"));
        }
        if c == '\\' {
            return Err(refused("it contains a backslash"));
        }
        if c == '$' && tail.starts_with(|next: char| next == '$' || next.is_alphabetic() || next == '_') {
            return Err(refused("it contains a dollar quote"));
        }
        rest = match c {
            '\'' => after_quote(tail, '\'')?.1,
            '"' | '`' => {
                let (name, after) = after_quote(tail, c)?;
                // A quoted name is a name, not a keyword; a function is one all the same.
                if after.trim_start().starts_with('(') {
                    words.push(name.to_lowercase());
                }
                after
            }
            _ if c.is_alphanumeric() || c == '_' => {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                words.push(word.to_lowercase());
                after
            }
            _ => tail,
        };
    }
    Ok(words)
}

/// What a quote encloses, and the text after it. Doubled quotes stay inside; backslashes are refused by the caller, within
/// literals too, because MySQL and PostgreSQL read them differently.
fn after_quote(text: &str, quote: char) -> Result<(&str, &str), SourceError> {
    let mut from = 0;
    loop {
        let Some(at) = text.get(from..).and_then(|rest| rest.find(quote)) else {
            return Err(refused("a quotation is not closed"));
        };
        let end = from + at;
        let after = text.get(end + 1..).unwrap_or_default();
        if after.starts_with(quote) {
            from = end + 2;
            continue;
        }
        let inside = text.get(..end).unwrap_or_default();
        if inside.contains('\\') {
            return Err(refused("it contains a backslash"));
        }
        return Ok((inside, after));
    }
}

/// A result as the contract's `test_query_result`: one line, bounded.
pub(crate) fn bounded(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_RESULT + 1).collect();
    if short.chars().count() > LONGEST_RESULT {
        short = short.chars().take(LONGEST_RESULT - 1).collect();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_statements_pass() {
        for query in [
            "SELECT 1",
            "  select 'it''s; drop' ; ",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "VALUES (1)",
            "SELECT \"update\" FROM t",
            "SHOW server_version",
            "select emp.region from emp where note = 'insert into'",
        ] {
            assert!(read_only(query).is_ok(), "{query}");
        }
    }

    #[test]
    fn writes_and_tricks_are_refused() {
        for query in [
            "",
            ";",
            "drop table t",
            "select 1; drop table t",
            "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d",
            "select * into copied from t",
            "select 1 into outfile '/tmp/x'",
            "commit",
            "select pg_read_file('/etc/passwd')",
            "select \"pg_read_file\" ('/etc/passwd')",
            "select pg_catalog.pg_sleep(10)",
            "select /*!50000 load_file('/etc/passwd') */",
            "select 1 -- drop",
            "select 1 # drop",
            "select 'a\\'; drop table t; -- '",
            "select $$;$$",
            "select $a$ ; $a$",
            "select 'open",
            "explain analyze delete from t",
            "attach database '/etc/passwd' as x",
            "pragma writable_schema = 1",
            "select lo_export(1, '/tmp/x')",
            "select set_config('transaction_read_only', 'off', false)",
            "select query_to_xml('select pg_read_file(''/etc/passwd'')', true, true, '')",
            "select \"query_to_xml_and_xmlschema\"('delete from t', true, true, '')",
            "select * from ts_stat('select pg_sleep(60)')",
            "select crosstab('select pg_read_file(''x'')')",
            "select pg_notify('a', 'b')",
            "select sys_exec('id')",
            "select load_extension('/tmp/x')",
        ] {
            assert!(read_only(query).is_err(), "{query}");
        }
        assert!(read_only(&format!("select '{}'", "a".repeat(LONGEST))).is_err());
    }

    #[test]
    fn statements_without_a_semicolon_between_them_are_refused() {
        for query in [
            "select 1 exec xp_cmdshell 'x'",
            "select 1 as [a'] exec sp_who --'",
            "select 1 waitfor delay '0:0:9'",
            "select * from openrowset('x', 'y', 'z')",
            "select * from \"xp_dirtree\" ('/')",
        ] {
            assert!(read_only_tsql(query).is_err(), "{query}");
        }
        assert!(read_only_tsql("select top (1) name from sys.objects where name = 'exec'").is_ok());
    }

    #[test]
    fn results_are_bounded() {
        assert_eq!(bounded("1"), "1");
        assert_eq!(bounded(&"é".repeat(10_000)).chars().count(), LONGEST_RESULT);
        assert_eq!(bounded("a\nb\0c"), "abc");
    }
}
