//! Connection strings: reading one, and showing one without its secrets.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::SourceError;
use crate::settings::Secret;

/// Longest connection string, in bytes.
const LONGEST: usize = 8_192;

/// What a connection string says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Address {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) database: Option<String>,
    /// In lower case.
    pub(crate) options: BTreeMap<String, String>,
}

/// Reads `scheme://user:password@host:port/database?option=value`, with or without `jdbc:` before it, or
/// `host=... port=... password='...'` (libpq), or `Server=...;Password=...` (ADO).
///
/// The password ends at the **last** `@`, so that `@ : / # ? %` in it need no escapes; an `@` in an option must be written `%40`.
/// A `%` that starts no escape stands for itself.
pub(crate) fn parse(text: &str) -> Result<Address, SourceError> {
    let text = text.trim();
    if text.len() > LONGEST || text.contains(|c: char| c.is_control()) {
        return Err(wrong("it is too long or has control characters"));
    }
    if let Some((_, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        return parse_url(rest);
    }
    let pairs = pairs(text).ok_or_else(|| wrong("it is neither a URL nor a list of name=value"))?;
    from_pairs(pairs.into_iter().map(|pair| (pair.name, pair.value)))
}

fn wrong(why: &str) -> SourceError {
    SourceError::connection(format!("The connection string cannot be read: {why}."))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | ':'))
}

fn parse_url(rest: &str) -> Result<Address, SourceError> {
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let mut address = Address::default();
    if let Some(user) = user {
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(password)),
            None => (user, None),
        };
        address.username = Some(decoded(name).into_owned()).filter(|name| !name.is_empty());
        address.password = password.map(|password| Secret::new(decoded(password)));
    }
    let end = place.find(['/', '?', '#']).unwrap_or(place.len());
    let (host, tail) = place.split_at(end);
    if host.contains(',') {
        return Err(wrong("it names several hosts"));
    }
    set_host(&mut address, host)?;
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let database = decoded(path.trim_start_matches('/').split('#').next().unwrap_or_default()).into_owned();
    address.database = Some(database).filter(|name| !name.is_empty());
    let options = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name).into_owned(), decoded(value).into_owned())
    });
    merged(address, from_pairs(options)?)
}

fn set_host(address: &mut Address, host: &str) -> Result<(), SourceError> {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    address.host =
        Some(name.trim_start_matches('[').trim_end_matches(']').to_owned()).filter(|name| !name.is_empty());
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        address.port = Some(port.parse().map_err(|_| wrong("its port is not a number up to 65535"))?);
    }
    Ok(())
}

/// What stands before the host wins over the options.
fn merged(mut address: Address, options: Address) -> Result<Address, SourceError> {
    address.username = address.username.or(options.username);
    address.password = address.password.or(options.password);
    address.host = address.host.or(options.host);
    address.port = address.port.or(options.port);
    address.database = address.database.or(options.database);
    address.options = options.options;
    Ok(address)
}

fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Result<Address, SourceError> {
    let mut address = Address::default();
    for (name, value) in pairs {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "user" | "username" | "uid" | "user id" => address.username = Some(value),
            "password" | "pwd" => address.password = Some(Secret::new(value)),
            "host" | "hostname" | "server" | "data source" => match value.rsplit_once([',', ':']) {
                Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) && !host.contains(':') => {
                    set_host(&mut address, &format!("{host}:{port}"))?;
                }
                _ => address.host = Some(value),
            },
            "port" => {
                address.port = Some(value.parse().map_err(|_| wrong("its port is not a number up to 65535"))?)
            }
            "dbname" | "database" | "db" | "initial catalog" => address.database = Some(value),
            _ => {
                address.options.insert(name, value);
            }
        }
    }
    Ok(address)
}

/// Percent escapes decoded; what is no escape, or no UTF-8 after it, stays.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'%').then(|| tail.get(..2)).flatten();
        let byte = escape.and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|pair| {
            let both = pair.bytes().all(|c| c.is_ascii_hexdigit());
            both.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
        });
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A `name=value` and where its value stands in the text, quotes included.
struct Pair {
    name: String,
    value: String,
    at: std::ops::Range<usize>,
}

/// Reads libpq's form, or else ADO's. `None` if the text is neither.
fn pairs(text: &str) -> Option<Vec<Pair>> {
    let libpq = pairs_of(text, false).filter(|pairs| {
        pairs.iter().all(|pair| {
            let value = text.get(pair.at.clone()).unwrap_or_default();
            let named = pair.name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            named && (value.starts_with('\'') || !value.contains(';'))
        })
    });
    libpq.or_else(|| pairs_of(text, true))
}

/// ADO separates with semicolons and allows blanks in names and values; libpq separates with blanks.
fn pairs_of(text: &str, ado: bool) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut at = 0;
    loop {
        let skip = |c: char| c.is_whitespace() || (ado && c == ';');
        at += text.get(at..)?.len() - text.get(at..)?.trim_start_matches(skip).len();
        if at >= text.len() {
            return (!pairs.is_empty()).then_some(pairs);
        }
        let equals = at + text.get(at..)?.find('=')?;
        let name = text.get(at..equals)?.trim().to_owned();
        if name.is_empty() || name.contains(';') {
            return None;
        }
        let mut from = equals + 1;
        from += text.get(from..)?.len() - text.get(from..)?.trim_start_matches(' ').len();
        let (value, end) = value_at(text, from, ado)?;
        pairs.push(Pair { name, value, at: from..end });
        at = end;
    }
}

/// The value that starts at a place, and where it ends.
fn value_at(text: &str, from: usize, ado: bool) -> Option<(String, usize)> {
    let rest = text.get(from..)?;
    let quote = rest.chars().next().filter(|c| *c == '\'' || (ado && *c == '"'));
    let mut value = String::new();
    let mut chars = rest.char_indices();
    if quote.is_some() {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(quote) if c == quote => {
                let after = at + c.len_utf8();
                if ado && rest.get(after..)?.starts_with(quote) {
                    chars.next();
                    value.push(quote);
                    continue;
                }
                return Some((value, from + after));
            }
            None if ado && c == ';' => return Some((value.trim_end().to_owned(), from + at)),
            None if !ado && c.is_whitespace() => return Some((value, from + at)),
            _ if !ado && c == '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    // A quotation that nobody closed is no value.
    quote.is_none().then_some((value, text.len()))
}

/// Whether the value of an option is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token", "key", "credential", "signature"]
        .iter()
        .any(|word| name.contains(word))
        || name == "sig"
}

/// A connection string with `***` in place of each secret. One that cannot be read becomes `***` as a whole.
pub fn mask_password(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        return masked_url(scheme, rest);
    }
    let Some(pairs) = pairs(text) else { return "***".to_owned() };
    // A value with an option inside was cut at the wrong places, as one in braces is (ODBC), which may hold what separates others.
    let is_cut = |pair: &Pair| match is_secret(&pair.name) {
        true => pair.value.starts_with('{'),
        false => pair.value.contains('=') && is_secret(&pair.value),
    };
    if pairs.iter().any(is_cut) {
        return "***".to_owned();
    }
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for pair in pairs.iter().filter(|pair| is_secret(&pair.name)) {
        masked.push_str(text.get(from..pair.at.start).unwrap_or_default());
        masked.push_str("***");
        from = pair.at.end;
    }
    masked.push_str(text.get(from..).unwrap_or_default());
    masked
}

fn masked_url(scheme: &str, rest: &str) -> String {
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    let mut masked = format!("{scheme}://");
    if let Some(user) = user {
        let (name, has_password) = user.split_once(':').map_or((user, false), |(name, _)| (name, true));
        // The `@` was one of an option: what stands before it is no user, and on both sides of it may be a secret.
        let is_option =
            name.contains(['/', '?', '#', '&', ';', '=']) || options(user).any(|(_, secret)| secret);
        if is_option {
            return masked + "***";
        }
        masked.push_str(name);
        masked.push_str(if has_password { ":***@" } else { "@" });
    }
    masked.push_str(&masked_place(place));
    masked
}

/// What separates options: those of URLs, and of JDBC's addresses, which begin at a `;`.
const SEPARATORS: [char; 4] = ['?', '&', ';', '#'];

/// The parts of a text between separators, and whether each is an option whose value is a secret.
fn options(text: &str) -> impl Iterator<Item = (&str, bool)> {
    text.split(SEPARATORS).map(|part| {
        let is_secret = part.split_once('=').is_some_and(|(name, _)| is_secret(&decoded(name)));
        (part, is_secret)
    })
}

/// What follows the user in a URL, with the values of secret options masked.
fn masked_place(place: &str) -> String {
    let mut masked = String::with_capacity(place.len());
    let mut at = 0_usize;
    let mut is_hiding = false;
    for (part, is_secret) in options(place) {
        let separator = at.checked_sub(1).and_then(|before| place.get(before..at)).unwrap_or_default();
        at += part.len() + 1;
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if is_hiding && !part.contains('=') {
            // The secret goes on: somebody did not escape a separator in it.
            continue;
        }
        masked.push_str(separator);
        masked.push_str(if is_secret { name } else { part });
        if is_secret {
            masked.push_str("=***");
            // In quotes and braces stands whatever there is, options too.
            if value.starts_with(['{', '"', '\'']) {
                break;
            }
        }
        is_hiding = is_secret;
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_with_reserved_characters_are_read() {
        for password in ["a@b", "a:b", "a/b", "a#b", "a%b", "100%", "a?b", "@:/#%", "p%zz", "ü"] {
            let address =
                parse(&format!("postgres://me:{password}@db.example:5433/shop?sslmode=require")).unwrap();
            assert_eq!(address.password.unwrap().expose(), password);
            assert_eq!(address.username.as_deref(), Some("me"));
            assert_eq!((address.host.as_deref(), address.port), (Some("db.example"), Some(5433)));
            assert_eq!(address.database.as_deref(), Some("shop"));
            assert_eq!(address.options["sslmode"], "require");
        }
        let escaped = parse("mysql://me:a%40b%3A%2F%23%25@h/d").unwrap();
        assert_eq!(escaped.password.unwrap().expose(), "a@b:/#%");
    }

    #[test]
    fn other_forms_are_read() {
        let libpq = parse(r"host=h port=1 user=me password='a b\'c' dbname=d sslmode=verify-full").unwrap();
        assert_eq!(libpq.password.unwrap().expose(), "a b'c");
        assert_eq!(
            (libpq.host.as_deref(), libpq.port, libpq.database.as_deref()),
            (Some("h"), Some(1), Some("d"))
        );
        let ado = parse("Server=h,1433;Database=d;User Id=me;Password=\"a;\"\"b\";Encrypt=true").unwrap();
        assert_eq!(ado.password.unwrap().expose(), "a;\"b");
        assert_eq!((ado.host.as_deref(), ado.port), (Some("h"), Some(1433)));
        let jdbc = parse("jdbc:postgresql://[::1]:5/d?user=me&password=x%26y").unwrap();
        assert_eq!(jdbc.password.unwrap().expose(), "x&y");
        assert_eq!(jdbc.host.as_deref(), Some("::1"));
        for text in ["", "hello", "postgres://h:99999/d", "postgres://a,b/d", "host='open", "a\nb=c"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn masks_hide_the_password_and_nothing_else() {
        for (text, masked) in [
            ("postgres://me:p@ss/w#rd%@h:1/d?sslmode=require", "postgres://me:***@h:1/d?sslmode=require"),
            ("postgres://me@h/d", "postgres://me@h/d"),
            ("postgres://h/d?user=me&Password=x", "postgres://h/d?user=me&Password=***"),
            ("postgres://h/d?pass%77ord=x", "postgres://h/d?pass%77ord=***"),
            ("host=h password='a b' dbname=d", "host=h password=*** dbname=d"),
            ("Server=h;Pwd=a b;Database=d", "Server=h;Pwd=***;Database=d"),
            ("AccountName=a;AccountKey=abc==", "AccountName=a;AccountKey=***"),
            ("host=h password='open", "***"),
            ("my secret", "***"),
            ("Driver=x;Pwd={a;b=c};Server=h", "***"),
            // JDBC's other way of writing options.
            (
                "jdbc:sqlserver://h:1433;databaseName=d;user=me;password=x;encrypt=true",
                "jdbc:sqlserver://h:1433;databaseName=d;user=me;password=***;encrypt=true",
            ),
            ("jdbc:sqlserver://h;password={a;b=c};user=me", "jdbc:sqlserver://h;password=***"),
            ("jdbc:db2://h:50000/d:user=me;password=x;", "jdbc:db2://h:50000/d:user=me;password=***"),
            ("jdbc:databricks://h:443/d;UID=token;PWD=dapi1", "jdbc:databricks://h:443/d;UID=token;PWD=***"),
            // An option that was not escaped.
            ("postgres://h/d?user=me&password=p@ss", "postgres://***"),
            ("postgres://h:5/d?password=p@ss", "postgres://***"),
            ("postgres://h/d?password=p&ss#x&sslmode=require", "postgres://h/d?password=***&sslmode=require"),
            ("https://h/d#token=x", "https://h/d#token=***"),
            ("", ""),
        ] {
            assert_eq!(mask_password(text), masked);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_password_survives_the_mask(password in "[ -~]{0,20}SECRET[ -~]{0,20}") {
            let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
            let escaped: String = password.bytes().map(|b| format!("%{b:02x}")).collect();
            for text in [
                format!("postgres://me:{password}@h/d"),
                format!("postgres://me:{escaped}@h/d"),
                format!("host=h password='{quoted}' user=me"),
                format!("Server=h;Password=\"{}\";", password.replace('"', "\"\"")),
                format!("postgres://h/d?password={escaped}"),
                format!("postgres://h:1/d?password={escaped}@x"),
                format!("jdbc:sqlserver://h:1433;user=me;password={escaped};encrypt=true"),
            ] {
                proptest::prop_assert!(!mask_password(&text).contains("SECRET"), "{}", mask_password(&text));
            }
        }
    }
}
