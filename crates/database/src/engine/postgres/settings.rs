//! Where a setting of PostgreSQL was set, and what takes it off there.

/// What takes `setting` off where a role or a database has it, by the source that `pg_settings` names; none where the address has it, or the
/// server. Names are as SQL writes them.
pub(super) fn reset(setting: &str, source: &str, role: &str, database: &str) -> Option<String> {
    match source {
        "database" => Some(format!("`alter database {database} reset {setting}`")),
        "user" => Some(format!("`alter role {role} reset {setting}`")),
        "database user" => Some(format!("`alter role {role} in database {database} reset {setting}`")),
        // Of every role.
        "global" => Some(format!("`alter role all reset {setting}`")),
        _ => None,
    }
}
