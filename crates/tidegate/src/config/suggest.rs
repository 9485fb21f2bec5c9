//! What somebody may have meant by a key that is not there: a misspelling at most two edits away, a name that other programs
//! use, the same words in another order or with others beside them, or a key of another table. Anything further off is noise.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::schema::Schema;

/// A key that may have been meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// The key.
    pub(super) key: Vec<String>,
    /// How to write it, where the name alone does not say so.
    pub(super) note: &'static str,
}

/// Names in other programs, each without what separates words; the key here, and how to write it.
pub(super) const SYNONYMS: &[(&[&str], &str, &str)] = &[
    (
        &[
            "port",
            "host",
            "bind",
            "addr",
            "address",
            "interface",
            "listenaddress",
            "listenport",
            "bindaddress",
            "server",
            "serverport",
            "serverhost",
            "serverbind",
            "serveraddress",
            "serverlisten",
            "httpport",
            "httphost",
            "httplisten",
            "httpbind",
            "httpaddress",
            "listenhost",
        ],
        "listen",
        "address and port together: 127.0.0.1:8080",
    ),
    (
        &[
            "db",
            "dburl",
            "dsn",
            "databaseurl",
            "databaseuri",
            "databasedsn",
            "databasepath",
            "databasehost",
            "databasename",
            "postgres",
            "postgresql",
            "postgresurl",
            "postgresqlurl",
            "sqlite",
            "sqlitepath",
            "connectionstring",
            "dbpath",
            "databasefile",
            "databasetype",
            "databasedriver",
            "dbhost",
        ],
        "database",
        "one address: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME",
    ),
    (
        &[
            "maxconnections",
            "poolsize",
            "dbpool",
            "dbpoolsize",
            "databasepool",
            "databasepoolsize",
            "databasemaxconnections",
        ],
        "database_connections",
        "",
    ),
    (
        &[
            "loglevel",
            "level",
            "logging",
            "logginglevel",
            "logverbosity",
            "verbosity",
            "verbose",
            "rustlog",
            "logsfilter",
            "logslevel",
        ],
        "log.filter",
        "such as debug, or warn,tidegate_http=debug",
    ),
    (
        &["logformat", "logtype", "loggingformat", "logjson", "logstyle", "logoutput"],
        "log.format",
        "json or text",
    ),
    (&["dir", "datapath", "datadirectory", "home", "statedir"], "data_dir", ""),
    (
        &[
            "url",
            "baseurl",
            "externalurl",
            "siteurl",
            "rooturl",
            "appurl",
            "serverurl",
            "issuer",
            "domain",
            "hostname",
            "httppublicurl",
        ],
        "public_url",
        "where clients reach this server: https://id.example.com",
    ),
    (&["secret", "secretkey", "encryptionkey", "key", "jwtsecret", "masterkeyfile"], "master_key", ""),
    (&["development", "debug", "devmode", "mode", "env", "environment"], "dev", "true or false"),
    (&["name", "appname", "title", "productname"], "product", ""),
    (&["workers", "threads", "hashthreads"], "hash_pool.threads", ""),
    (
        &["cors", "corsorigin", "httpcors", "allowedorigins", "httpallowedorigins", "origins"],
        "http.cors_origins",
        "",
    ),
    (
        &["trustproxy", "proxy", "proxies", "httpproxies", "behindproxy"],
        "http.trusted_proxies",
        "the networks of your proxies",
    ),
    (&["timeout", "requesttimeout", "httptimeout", "servertimeout"], "http.deadline", "in seconds"),
    (&["maxbodysize", "bodylimit", "httpbodylimit", "httpmaxbodysize"], "http.max_body", "in bytes"),
    (&["email", "smtp", "mailer"], "mail.smtp", ""),
    (
        &[
            "mailhost",
            "mailserver",
            "mailsmtpserver",
            "mailsmtpaddress",
            "mailsmtphostname",
            "smtpserver",
            "emailhost",
        ],
        "mail.smtp.host",
        "",
    ),
    (&["mailport", "emailport"], "mail.smtp.port", ""),
    (
        &[
            "mailuser",
            "mailusername",
            "mailsmtpuser",
            "mailsmtplogin",
            "smtpuser",
            "emailuser",
            "emailhostuser",
        ],
        "mail.smtp.username",
        "",
    ),
    (
        &["mailpassword", "mailsmtppass", "smtppass", "mailpass", "emailpassword", "emailhostpassword"],
        "mail.smtp.password",
        "",
    ),
    (
        &["mailfrom", "mailsender", "mailsmtpsender", "smtpsender", "mailsmtpfromaddress", "emailfrom"],
        "mail.smtp.from",
        "",
    ),
    (
        &[
            "mailtls",
            "mailssl",
            "mailencryption",
            "mailsmtpssl",
            "mailsmtpsecure",
            "mailsmtpstarttls",
            "mailsmtpencryption",
            "mailsmtpsecurity",
            "smtpssl",
            "smtpsecure",
            "smtpstarttls",
            "smtpencryption",
            "emailusetls",
            "mailsmtpusetls",
        ],
        "mail.smtp.tls",
        "",
    ),
    (
        &["pgwireport", "pgwirehost", "pgwirebind", "pgwireaddr", "pgwireaddress"],
        "pgwire.listen",
        "address and port together: 127.0.0.1:5432",
    ),
    (&["pgwirecert", "pgwirecertificate", "pgwiretlscertificate"], "pgwire.tls_cert", ""),
    (
        &[
            "storagequota",
            "storagelimit",
            "storagemaxbytes",
            "storagemaxsize",
            "storageorganizationbytes",
            "storagelimitsquota",
        ],
        "storage_limits.organization_bytes",
        "in bytes, for all files of an organization",
    ),
    (
        &["storagemaxfilesize", "storagefilebytes", "storagemaxupload", "uploadlimit", "maxuploadsize"],
        "storage_limits.file_bytes",
        "in bytes",
    ),
    (&["storagepath", "storagedir", "storageroot"], "storage.directory", ""),
    (&["logo"], "brand.logo", ""),
    (&["supportemail", "supportaddress"], "brand.support", ""),
];

/// Variables of other programs and hosts, and the key that takes their place.
pub(super) const VARIABLES: &[(&str, &str, &str)] = &[
    ("DATABASE_URL", "database", "TIDEGATE_DATABASE=$DATABASE_URL"),
    ("POSTGRES_URL", "database", "TIDEGATE_DATABASE=$POSTGRES_URL"),
    ("PORT", "listen", "TIDEGATE_LISTEN=0.0.0.0:$PORT"),
    ("LOG_LEVEL", "log.filter", "TIDEGATE_LOG__FILTER=$LOG_LEVEL"),
    ("RUST_LOG", "log.filter", "TIDEGATE_LOG__FILTER=$RUST_LOG"),
    ("BASE_URL", "public_url", "TIDEGATE_PUBLIC_URL=$BASE_URL"),
    ("PUBLIC_URL", "public_url", "TIDEGATE_PUBLIC_URL=$PUBLIC_URL"),
    ("SMTP_HOST", "mail.smtp.host", "TIDEGATE_MAIL__SMTP__HOST=$SMTP_HOST"),
    ("SMTP_PASSWORD", "mail.smtp.password", "TIDEGATE_MAIL__SMTP__PASSWORD=$SMTP_PASSWORD"),
];

/// What to say of variables that are set and not read, each with the key that takes its place. Their values are not repeated.
pub(super) fn unread<'v>(
    is_set: impl Fn(&str) -> bool + 'v,
    is_default: impl Fn(&str) -> bool + 'v,
) -> impl Iterator<Item = (&'static str, String)> + 'v {
    VARIABLES
        .iter()
        .filter(move |(variable, key, _)| is_set(variable) && is_default(key))
        .map(|(variable, key, write)| (*key, format!("{variable} is set, but not read: write {write}")))
}

/// The key that may have been meant by the one at `path`.
pub(super) fn suggest(schema: &Schema, path: &[String]) -> Option<Suggestion> {
    let (name, table) = path.split_last()?;
    let all = schema.keys();
    let plain = |key: Vec<String>| Suggestion { key, note: "" };
    let found = synonym(path);
    if found.is_some() || is_of_https(path) {
        return found;
    }
    nearest_in(&all, table, name)
        .map(plain)
        .or_else(|| alike_in(&all, table, name).map(plain))
        .or_else(|| only(all.iter().filter(|known| words(known) == words(path))).map(plain))
        .or_else(|| elsewhere(&all, path).map(plain))
        .or_else(|| outside_of_tables(&all, path).map(plain))
}

/// Most tables that are told of a name.
const MOST_TABLES: usize = 3;

/// Words that stand before those about TLS: `http.tls_cert`, `[server] enable_ssl`.
const BEFORE_TLS: [&str; 6] = ["http", "server", "web", "listen", "enable", "use"];

/// Whether other programs are given the certificate of HTTPS by that key. `tls_cert` of [pgwire] is none of it.
fn is_of_https(path: &[String]) -> bool {
    let mut words = path.iter().flat_map(|name| name.split(['_', '-'])).map(str::to_lowercase);
    let first = words.find(|word| !BEFORE_TLS.contains(&word.as_str()));
    first.is_some_and(|word| {
        matches!(word.as_str(), "https" | "acme" | "letsencrypt")
            || ["tls", "ssl", "cert"].iter().any(|start| word.starts_with(start))
    })
}

/// What to say of a key for which there is no other name.
pub(super) fn instead_of(schema: &Schema, path: &[String]) -> Option<String> {
    if is_of_https(path) {
        let text = "HTTP is served without TLS, and a proxy in front has the certificate: docs/guides/reverse-proxy.md";
        return Some(text.to_owned());
    }
    tables_with(schema, path)
}

/// In which other tables there is a key of that name: one that was written into the wrong one.
fn tables_with(schema: &Schema, path: &[String]) -> Option<String> {
    let all = schema.keys();
    let tables: Vec<String> = all
        .iter()
        .filter(|known| known.len() > 1 && known.last() == path.last())
        .filter_map(|known| Some(format!("[{}]", known.split_last()?.1.join("."))))
        .collect();
    let told = tables.iter().take(MOST_TABLES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match tables.len().saturating_sub(MOST_TABLES) {
        _ if tables.is_empty() => None,
        0 => Some(format!("it is a key of {told}")),
        more => Some(format!("it is a key of {told} and {more} more")),
    }
}

/// Whether two names are one misspelled: two edits apart, in a short name one.
pub(crate) fn is_misspelling(name: &str, known: &str) -> bool {
    let most = match known.chars().count().min(name.chars().count()) {
        0..=2 => 0,
        3..=4 => 1,
        _ => 2,
    };
    // Two letters swapped are one edit, so that `hots` is `host`.
    strsim::osa_distance(&name.to_lowercase(), known) <= most
}

fn synonym(path: &[String]) -> Option<Suggestion> {
    let words = words(path);
    let (_, key, note) = SYNONYMS.iter().find(|(names, _, _)| names.contains(&words.as_str()))?;
    Some(Suggestion { key: key.split('.').map(str::to_owned).collect(), note })
}

/// The least misspelled key of the same table.
fn nearest_in(all: &[Vec<String>], table: &[String], name: &str) -> Option<Vec<String>> {
    all.iter()
        .filter_map(|known| {
            let (known_name, known_table) = known.split_last()?;
            (known_table == table && is_misspelling(name, known_name))
                .then(|| (strsim::osa_distance(name, known_name), known))
        })
        // Of two that are as near the one that begins alike longer: `brower` is `browser`, and not `broker`.
        .min_by_key(|(distance, known)| (*distance, Reverse(common_start(name, known))))
        .map(|(_, known)| known.clone())
}

/// How many letters the name and the last part of a key begin with in common.
fn common_start(name: &str, known: &[String]) -> usize {
    let known = known.last().map(String::as_str).unwrap_or_default();
    name.chars().zip(known.chars()).take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
}

/// Words of names in other programs, and those here.
const WORDS: &[(&str, &[&str])] = &[
    ("login", &["sign", "in"]),
    ("logins", &["sign", "in"]),
    ("signin", &["sign", "in"]),
    ("signup", &["sign", "up"]),
    ("register", &["sign", "up"]),
    ("registration", &["sign", "up"]),
    ("ttl", &["lifetime"]),
    ("expiry", &["lifetime"]),
    ("expiration", &["lifetime"]),
    ("minimum", &["min"]),
    ("maximum", &["max"]),
    ("per", &["by"]),
    ("address", &["ip"]),
    ("user", &["account"]),
    ("org", &["organization"]),
];

/// The key of the same table that has most words in common with the name, at least half of those of both. Singular and plural are one.
fn alike_in(all: &[Vec<String>], table: &[String], name: &str) -> Option<Vec<String>> {
    let meant = named_words(name);
    let alike = |known: &Vec<String>| {
        let (known_name, known_table) = known.split_last()?;
        let words = named_words(known_name);
        let (shared, both) = (meant.intersection(&words).count(), meant.union(&words).count());
        // One word says little, unless it is all there is: `max` stands in many names.
        let is_enough = shared > 1 || (shared == 1 && both == 1);
        (known_table == table && is_enough && shared * 2 >= both).then(|| shared * 1_000 / both)
    };
    all.iter()
        .filter_map(|known| Some((alike(known)?, known)))
        .max_by_key(|(likeness, _)| *likeness)
        .map(|(_, known)| known.clone())
}

/// The words of a name, in this program's words.
fn named_words(name: &str) -> BTreeSet<String> {
    let name = name.to_lowercase();
    let words = name.split(['_', '-']).filter(|word| !word.is_empty());
    words
        .flat_map(|word| match WORDS.iter().find(|(other, _)| *other == word) {
            Some((_, own)) => own.iter().map(|own| (*own).to_owned()).collect(),
            None => vec![singular(word)],
        })
        .collect()
}

/// A word without the ending of the plural. What comes of a word that has none is no word, and the same of all that are alike.
fn singular(word: &str) -> String {
    match (word.strip_suffix("ies"), word.strip_suffix('s')) {
        (Some(stem), _) => format!("{stem}y"),
        (None, Some(stem)) => stem.to_owned(),
        (None, None) => word.to_owned(),
    }
}

/// The key of no table that was written into one: in a file, what follows the head of a table is a part of it.
fn outside_of_tables(all: &[Vec<String>], path: &[String]) -> Option<Vec<String>> {
    let (name, table) = path.split_last()?;
    let is_key = all.iter().any(|known| known.as_slice() == std::slice::from_ref(name));
    let is_table = all.iter().any(|known| known.len() > 1 && known.first() == Some(name));
    (!table.is_empty() && is_key && !is_table).then(|| vec![name.clone()])
}

/// The same name in another table: the only one, the one whose end it is (`smtp_host`), or that in a table much like it.
fn elsewhere(all: &[Vec<String>], path: &[String]) -> Option<Vec<String>> {
    let whole = words(path);
    let (name, table) = path.split_last()?;
    if table.is_empty() {
        let namesakes = all.iter().filter(|known| known.last() == Some(name));
        return only(namesakes)
            .or_else(|| only(all.iter().filter(|known| whole.len() > 4 && words(known).ends_with(&whole))));
    }
    // A table that there is was meant: `rivergen` is no misspelling of `riven`.
    if all.iter().any(|known| known.len() > table.len() && known.starts_with(table)) {
        return None;
    }
    let likeness = |known: &Vec<String>| {
        let (known_name, known_table) = known.split_last()?;
        let is_namesake = known_name == name && known_table.len() == table.len();
        let likeness = strsim::jaro_winkler(&table.concat(), &known_table.concat());
        (is_namesake && likeness > 0.8).then_some((likeness * 1_000.0) as u32)
    };
    all.iter()
        .filter_map(|known| Some((likeness(known)?, known)))
        .max_by_key(|(likeness, _)| *likeness)
        .map(|(_, known)| known.clone())
}

fn only<'k>(mut found: impl Iterator<Item = &'k Vec<String>>) -> Option<Vec<String>> {
    let first = found.next()?;
    found.next().is_none().then(|| first.clone())
}

/// A path as one word: `mail.smtp.host`, `mail_smtp_host` and `mailSmtpHost` are one.
fn words(path: &[String]) -> String {
    path.concat().chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
