//! Where the accounts are kept: `sqlite:PATH` or `postgres://…`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{Result, StoreError};

/// Where the accounts are kept: `sqlite:PATH` or `postgres://…`.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string.
    Postgres(String),
}

impl DatabaseUrl {
    /// The file, if it is one.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(path.clone()),
            Self::Postgres(_) => None,
        }
    }

    /// The file of the private key that shows a PostgreSQL server who this is, where the address names one. The key itself may stand there.
    pub fn client_key(&self) -> Option<PathBuf> {
        let Self::Postgres(url) = self else { return None };
        let named = |pair: &str| {
            let (name, path) = pair.split_once('=')?;
            let path = path.replace("%2F", "/").replace("%2f", "/");
            let is_file = matches!(name, "sslkey" | "ssl-key") && is_public(&format!("{name}={path}"));
            is_file.then(|| PathBuf::from(path))
        };
        options(url).find_map(named)
    }

    /// Whether there is a password in it.
    pub(crate) fn has_password(&self) -> bool {
        let Self::Postgres(url) = self else { return false };
        let of_user = Parts::of(url).user.split_once(':').map_or("", |(_, password)| password);
        let of_options = options(url).find_map(|pair| pair.strip_prefix("password="));
        !of_user.is_empty() || of_options.is_some_and(|password| !password.is_empty())
    }
}

/// Options of a PostgreSQL address. Any other is refused: if it were skipped, a misspelled `sslmode` would connect
/// unencrypted.
const OPTIONS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Options of other drivers, and what to write instead.
const FOREIGN: [(&str, &str); 7] = [
    ("schema", "write options[search_path]=NAME"),
    ("currentSchema", "write options[search_path]=NAME"),
    ("search_path", "write options[search_path]=NAME"),
    ("connect_timeout", "connections are tried for 5 s"),
    ("connection_limit", "set database_connections"),
    ("pool_size", "set database_connections"),
    ("pgbouncer", "leave it out; see docs/operations.md"),
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Least likeness of a name that is taken for a misspelled option.
const ALIKE: f64 = 0.8;

impl FromStr for DatabaseUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            check_escapes(text)?;
            check_options(text)?;
            Ok(Self::Postgres(text.to_owned()))
        } else if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            sqlite_path(path.strip_prefix("//").unwrap_or(path))
        } else {
            Err(wrong("the database must be given as sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME"))
        }
    }
}

fn sqlite_path(path: &str) -> Result<DatabaseUrl> {
    if path.starts_with(":memory:") || path.is_empty() {
        return Err(wrong("a database in memory is not supported: give a file, as sqlite:PATH"));
    }
    if path.contains('?') {
        return Err(wrong("a SQLite address has no options: give a file, as sqlite:PATH, without `?`"));
    }
    Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
}

fn wrong(text: &str) -> StoreError {
    StoreError::Address(text.to_owned())
}

/// What is said of a user or password that ends where it should not. No part of the address is repeated.
const UNESCAPED: &str = "the PostgreSQL address has characters in its user or password that mean something else there. Write them as \
     %XX: @ as %40, / as %2F, : as %3A, ? as %3F, # as %23, % as %25, a space as %20. Or leave the password out of the address, and \
     set PGPASSWORD";

/// Refuses an address whose password would be taken for its host, port, path or fragment, and told as such.
fn check_escapes(url: &str) -> Result<()> {
    let Parts { user, host, path } = Parts::of(url);
    let port = host.rsplit_once(']').map_or(host, |(_, port)| port).split_once(':').map(|(_, port)| port);
    let is_unescaped = url.contains('#')
        || user.chars().chain(host.chars()).any(char::is_whitespace)
        || path.contains('@')
        || !port.unwrap_or_default().bytes().all(|c| c.is_ascii_digit())
        || !user
            .split('%')
            .skip(1)
            .all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|c| c.is_ascii_hexdigit()));
    if is_unescaped { Err(wrong(UNESCAPED)) } else { Ok(()) }
}

/// The parts of an address before its options (RFC 3986 section 3).
struct Parts<'u> {
    /// User and password.
    user: &'u str,
    /// Host and port.
    host: &'u str,
    path: &'u str,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Self {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Self { user, host, path: rest.split(['?', '#']).next().unwrap_or_default() }
    }
}

/// The options of an address, each with its value.
fn options(url: &str) -> impl Iterator<Item = &str> {
    let (_, query) = url.split('#').next().unwrap_or(url).split_once('?').unwrap_or_default();
    query.split('&').filter(|pair| !pair.is_empty())
}

/// Refuses options that would be skipped. Values are never repeated, and names only if they are no part of a password that
/// should have been escaped.
fn check_options(url: &str) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for pair in options(url) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !OPTIONS.contains(&name) && !is_run_time_option(name) {
            return Err(unknown_option(name));
        }
        if matches!(name, "sslmode" | "ssl-mode") && !SSL_MODES.contains(&value.to_ascii_lowercase().as_str())
        {
            return Err(StoreError::Address(format!(
                "the PostgreSQL address has an unknown value for {name}: must be one of {}",
                SSL_MODES.join(", ")
            )));
        }
        if seen.contains(&name) && name != "options" {
            return Err(StoreError::Address(format!("the PostgreSQL address has the option {name} twice")));
        }
        seen.push(name);
    }
    Ok(())
}

/// `options[search_path]`, also with its brackets escaped.
fn is_run_time_option(name: &str) -> bool {
    let name = name.replace("%5B", "[").replace("%5D", "]").replace("%5b", "[").replace("%5d", "]");
    let setting = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']'));
    setting.is_some_and(|setting| {
        !setting.is_empty() && setting.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.'))
    })
}

fn unknown_option(name: &str) -> StoreError {
    if let Some((name, advice)) = FOREIGN.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name)) {
        return StoreError::Address(format!("the PostgreSQL address has no option {name}: {advice}"));
    }
    let likeness = |known: &&str| (strsim::jaro_winkler(known, name) * 1_000.0) as u32;
    let nearest = OPTIONS.iter().copied().max_by_key(likeness).unwrap_or("sslmode");
    if strsim::jaro_winkler(nearest, name) >= ALIKE && name.len() <= nearest.len() + 2 {
        return StoreError::Address(format!(
            "the PostgreSQL address has no option {name}; did you mean {nearest}?"
        ));
    }
    StoreError::Address(format!(
        "the PostgreSQL address has an unknown option after its `?`. Known are {}. If the `?` is part of the password, \
         write it as %3F",
        OPTIONS.join(", ")
    ))
}

/// The address as it may be logged and repeated in a command: without the password, of the same database.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

fn without_password(url: &str) -> String {
    let (scheme, _) = url.split_once("://").unwrap_or(("postgres", ""));
    let Parts { user, host, path } = Parts::of(url);
    let user = user.split(':').next().unwrap_or_default();
    let at = if user.is_empty() { "" } else { "@" };
    let options: Vec<&str> = options(url).filter(|pair| is_public(pair)).collect();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{at}{host}{path}{mark}{}", options.join("&"))
}

/// Whether an option is no secret. A private key may stand in the address instead of its path.
fn is_public(pair: &str) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    match name {
        "password" => false,
        "sslkey" | "ssl-key" => {
            !value.contains("--") && value.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        }
        _ => true,
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        text.parse::<DatabaseUrl>().unwrap_err().to_string()
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url: DatabaseUrl = "postgres://ada:hunter2@db.example/tidegate?sslmode=require".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://ada@db.example/tidegate?sslmode=require");
        assert_eq!(format!("{url:?}"), "postgres://ada@db.example/tidegate?sslmode=require");
        for (address, shown) in [
            ("postgres://ada@h/d", "postgres://ada@h/d"),
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://:hunter2@h/d", "postgres://h/d"),
            ("postgres://h/d?password=hunter2&user=ada", "postgres://h/d?user=ada"),
            ("postgres://h?password=hunter2", "postgres://h"),
            (
                "postgres:///d?host=/run&options[search_path]=a",
                "postgres:///d?host=/run&options[search_path]=a",
            ),
            ("postgres://h/d?sslkey=/etc/tls/id-1.key", "postgres://h/d?sslkey=/etc/tls/id-1.key"),
            ("postgres://h/d?sslkey=-----BEGIN%20PRIVATE%20KEY-----hunter2", "postgres://h/d"),
            ("postgres://h/d?ssl-key=%2D%2D%2D%2D%2DBEGIN%20PRIVATE%20KEYhunter2", "postgres://h/d"),
        ] {
            assert_eq!(address.parse::<DatabaseUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn the_file_of_a_private_key_is_found_and_the_key_itself_is_none() {
        for (address, file) in [
            ("postgres://h/d?sslmode=require&sslkey=/etc/tls/id-1.key", Some("/etc/tls/id-1.key")),
            ("postgres://h/d?ssl-key=%2Fetc%2ftls%2Fid.key", Some("/etc/tls/id.key")),
            ("postgres://h/d?sslkey=-----BEGIN%20PRIVATE%20KEY-----hunter2", None),
            ("postgres://h/d?sslcert=/etc/tls/id.pem", None),
            ("sqlite:a.db", None),
        ] {
            let key = address.parse::<DatabaseUrl>().unwrap().client_key();
            assert_eq!(key, file.map(PathBuf::from), "{address}");
        }
    }

    #[test]
    fn a_password_is_found_in_either_place() {
        for (address, has_password) in [
            ("postgres://ada:hunter2@h/d", true),
            ("postgres://ada@h/d?sslmode=disable&password=hunter2", true),
            ("postgres://ada@h/d", false),
            ("postgres://ada:@h/d?password=", false),
            ("postgres:///d?host=/run&user=ada", false),
            ("sqlite:a:b", false),
        ] {
            assert_eq!(address.parse::<DatabaseUrl>().unwrap().has_password(), has_password, "{address}");
        }
    }

    #[test]
    fn a_password_that_is_not_escaped_is_told_and_no_part_of_it() {
        for address in [
            "postgres://u:pa@ss/word@h/d",
            "postgres://u:hunter2/ss@h/d",
            "postgres://u:2/hunter2@h/d",
            "postgres://u:hunter2#ss@h/d",
            "postgres://u:2#hunter2@h/d",
            "postgres://u:hunter2?ss@h/d",
            "postgres://u:hunter2%@h/d",
            "postgres://u:hunter2%zz@h/d",
            "postgres://u:hunter2%e@h/d",
            "postgres://u:hunter2 ss@h/d",
            "postgres://h:hunter2/d",
            "postgres://u:x@h:hunter2/d",
            "postgres://[::1]:hunter2/d",
        ] {
            let refused = refusal(address);
            assert!(
                refused.contains("@ as %40, / as %2F") && refused.contains("PGPASSWORD"),
                "{address}: {refused}"
            );
            assert!(!refused.contains("hunter2") && !refused.contains("ss/word"), "{address}: {refused}");
        }
        // In these the last `@` says where the host begins, whatever stands before it.
        for address in ["postgres://u:hunter2@h:5432/d?password=a@b", "postgres://u:pa@hunter2:x@h:5432/d"] {
            assert_eq!(address.parse::<DatabaseUrl>().unwrap().to_string(), "postgres://u@h:5432/d");
        }
        for address in ["postgres://u:p%40%2f%3A@[::1]:5432/d", "postgres:///d?host=/run", "postgres://u@h"] {
            assert!(address.parse::<DatabaseUrl>().is_ok(), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_says_what_is() {
        let error = refusal("mysql://x");
        assert!(error.contains("sqlite:PATH") && error.contains("postgres://"), "{error}");
        assert_eq!("sqlite:a/b.db".parse::<DatabaseUrl>().unwrap(), DatabaseUrl::Sqlite("a/b.db".into()));
        assert!(refusal("sqlite::memory:").contains("in memory"));
        assert!(refusal("sqlite:a.db?mode=ro").contains("no options"));
    }

    #[test]
    fn options_are_known_by_name_or_refused() {
        for known in [
            "postgres://u@h/d",
            "postgres://u@h/d?",
            "postgresql://u@h/d?sslmode=Verify-Full&sslrootcert=/a.pem&application_name=x",
            "postgres:///d?host=/run/postgresql&user=me%40server",
            "postgres://u@h/d?options=-c%20search_path%3Dauth&options[statement_timeout]=5000&options%5Blc_time%5D=C",
            "postgres://u@h/d?statement-cache-capacity=0",
        ] {
            assert!(known.parse::<DatabaseUrl>().is_ok(), "{known}");
        }
        for (address, said) in [
            ("postgres://u@h/d?ssl_mode=require", "no option ssl_mode; did you mean sslmode?"),
            ("postgres://u@h/d?sslmod=require", "no option sslmod; did you mean sslmode?"),
            ("postgres://u@h/d?pasword=hunter2hunter2", "no option pasword; did you mean password?"),
            ("postgres://u@h/d?SSLMODE=require", "an unknown option"),
            ("postgres://u@h/d?schema=auth", "no option schema: write options[search_path]=NAME"),
            ("postgres://u@h/d?currentschema=auth", "no option currentSchema"),
            ("postgres://u@h/d?sslmode=yes", "an unknown value for sslmode: must be one of disable,"),
            ("postgres://u@h/d?sslmode=require&sslmode=disable", "the option sslmode twice"),
            ("postgres://u@h/d?hunter2hunter2=x", "write it as %3F"),
            ("postgres://u@h/d?options[]=x", "no option options[]"),
        ] {
            let refused = refusal(address);
            assert!(refused.contains(said), "{address}: {refused}");
            assert!(!refused.contains("hunter2") && !refused.contains("=require"), "{refused}");
        }
    }
}
