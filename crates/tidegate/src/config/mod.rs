//! What an operator decides: one typed tree, filled from defaults, a file, variables and flags.

mod brand;
mod check;
mod complaint;
mod contracts;
mod lifetimes;
mod limits;
mod lines;
mod load;
mod log_filter;
mod passkeys;
mod quoted;
mod reading;
mod riven;
mod schema;
mod settled;
mod suggest;
mod text;
mod view;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tidegate_catalog::DataSettings;
use tidegate_delivery::{RetryPolicy, SmsConfig, SmtpConfig};
use tidegate_domain::OauthRules;
use tidegate_domain::audit::AuditRetention;
use tidegate_domain::browser::BrowserSettings;
use tidegate_domain::factor::FactorResets;
use tidegate_domain::limit::{Limit, MessageLimits};
use tidegate_domain::quota::Quotas;
use tidegate_domain::time::seconds;
use tidegate_federation::SocialConfig;
use tidegate_http::{ForwardedHeader, HttpSettings, OpsSettings};
use tidegate_objects::StorageConfig;
use tidegate_pgwire::PgwireSettings;
use tidegate_prompts::PromptSettings;
use tidegate_storage::StorageLimits;

pub(crate) use brand::{BrandTable, languages};
pub(crate) use contracts::Contracts;
pub(crate) use load::{Flags, Loaded, Reader, load};
pub(crate) use log_filter::read_log_filter;
pub(crate) use passkeys::Passkeys;
pub(crate) use reading::Mistake;
pub(crate) use riven::{Broker, Phone, Riven};
pub(crate) use suggest::is_misspelling;
pub(crate) use text::{Database, SecretText};

/// The configuration. Durations are whole seconds. The doc comments of this type and of the types in it are what operators
/// read: `tidegate.example.toml` is made of them, and so are the keys that are known.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
pub(crate) struct Config {
    /// Address and port to listen on. Port 0 takes a free port.
    #[serde(deserialize_with = "tidegate_domain::listen::address")]
    #[schemars(with = "String")]
    #[default(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))]
    pub(crate) listen: SocketAddr,
    /// Directory of the master key and the embedded database. Created with mode 0700. A relative path starts at the
    /// working directory.
    #[default(PathBuf::from("./tidegate-data"))]
    pub(crate) data_dir: PathBuf,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME. Default: tidegate.db in data_dir.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"sqlite:./tidegate-data/tidegate.db")]
    pub(crate) database: Option<Database>,
    /// Where `database` was set.
    #[serde(skip)]
    pub(crate) database_place: String,
    /// A PostgreSQL address at which this node hears of changes on other nodes, if `database` is a pooler in
    /// transaction mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"postgres://tidegate:PASSWORD@db.internal/tidegate")]
    pub(crate) database_listen: Option<Database>,
    /// Maximum number of database connections. Default: 16 for PostgreSQL; 4 readers for SQLite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 16)]
    pub(crate) database_connections: Option<u32>,
    /// URL at which clients reach this installation. It is the issuer of tokens and the start of links in mails.
    /// Default: the listen address. The same on all nodes of one installation. A slash at its end is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://id.example.com")]
    pub(crate) public_url: Option<String>,
    /// Name of this installation on pages, in mails and in text messages.
    #[default("Tidegate".to_owned())]
    pub(crate) product: String,
    /// What pages and mails look like.
    pub(crate) brand: BrandTable,
    /// Directory with the texts of further languages, one file each: fr.json is French. Start with a copy of
    /// crates/domain/messages/en.json. A missing text is an error at start. English and Swahili are built in. People
    /// get the language that their browser or app asks for (Accept-Language), mails the one that was asked for at
    /// sign-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/tidegate/languages")]
    pub(crate) languages_dir: Option<PathBuf>,
    /// Development mode, the same as `serve --dev`. Mails are kept in the outbox and not sent, unless [mail.smtp] is
    /// set; text messages likewise, unless one of [sms.*] is set. Cookies work over plain HTTP.
    pub(crate) dev: bool,
    /// With dev, limits that are not set are a hundred times higher, unless this is true (`--limits`). Wrong passwords
    /// and codes of one account are limited as ever.
    pub(crate) dev_limits: bool,
    /// Protects the secrets in the database. Default: the file master.key in data_dir, created at the first start.
    /// Keep a copy outside the database's backup: sealed data cannot be opened without it. The same on all nodes of
    /// one installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"tgmk1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    pub(crate) master_key: Option<SecretText>,
    /// Where `master_key` was set.
    #[serde(skip)]
    pub(crate) master_key_place: String,
    /// Earlier master keys. They still open the data they sealed.
    pub(crate) previous_master_keys: Vec<SecretText>,
    /// A key that is mixed into every new password and kept outside the database: stolen hashes alone cannot be
    /// attacked. Set it before the first account is created, and never lose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pepper: Option<PepperEntry>,
    /// Earlier peppers, for older password hashes: { id = "...", key = "..." } each.
    pub(crate) previous_peppers: Vec<PepperEntry>,
    /// How new passwords are hashed. Other hashes stay valid, and are replaced when their account owner signs in.
    pub(crate) password_hash: PasswordHash,
    /// How many passwords are hashed at the same time, and how many may wait.
    pub(crate) hash_pool: HashPoolSize,
    /// Wrong passwords for one account, counted over all contracts and all client addresses. `attempts = 0` turns a
    /// limit off, here and below.
    #[default(Some(Limit::new(100, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub(crate) failed_passwords_by_account: Option<Limit>,
    /// Wrong one-time codes for one account, counted over all its codes. In addition each code allows five attempts.
    #[default(Some(Limit::new(20, 3_600)))]
    #[schemars(extend("x-kept" = true))]
    pub(crate) failed_codes_by_account: Option<Limit>,
    /// Passwords set by one account: its own, and those of people and programs it manages. Each costs a hash.
    #[default(Some(Limit::new(10, 60)))]
    pub(crate) passwords_set_by_account: Option<Limit>,
    /// Passwords set by all accounts of one organization.
    #[default(Some(Limit::new(30, 60)))]
    pub(crate) passwords_set_by_organization: Option<Limit>,
    /// Passwords set from one network without a session: by sign-ups and resets.
    #[default(Some(Limit::new(30, 60)))]
    pub(crate) passwords_set_by_network: Option<Limit>,
    /// Wrong one-time codes from one client network, for all accounts together: against guessing at many accounts.
    #[default(Some(Limit::new(60, 3_600)))]
    pub(crate) failed_codes_by_network: Option<Limit>,
    /// Mails and text messages of all contracts together, deliverable or not. A recipient is a mailbox (an address
    /// without its `+` part) or a phone; security notices may use as much again. A network is an IPv4 address or an
    /// IPv6 /64; a /56 has 4 times the limit, a /48 16 times. Accounts and organizations are those signed in to when
    /// the message was caused.
    pub(crate) messages: MessageLimits,
    /// How long audit events are kept.
    pub(crate) audit: AuditRetention,
    /// How mails are sent.
    pub(crate) mail: Mail,
    /// Links in mails. {token} is replaced. Default: pages below public_url.
    pub(crate) links: Links,
    /// Text messages with the codes for sign-up and sign-in by phone. Without a provider both are refused.
    pub(crate) sms: SmsConfig,
    /// Whose phones are texted, and how often.
    pub(crate) phone: Phone,
    /// Brokerage accounts of the Riven contract are opened at Alpaca if [broker.alpaca] is set, and otherwise in the
    /// embedded sandbox, which opens no real accounts.
    pub(crate) broker: Broker,
    /// Connections and requests.
    pub(crate) http: Http,
    /// Who may see the endpoints of operators.
    pub(crate) ops: Ops,
    /// What is logged, and how.
    pub(crate) log: Log,
    /// What differs in the contracts: read and written apart, a table for each.
    #[serde(skip)]
    pub(crate) contracts: Contracts,
    /// The Riven contract, also at /api/v1. It has no passwords and no refresh tokens.
    pub(crate) riven: Riven,
    /// Databases of the Crossing Minds contract.
    pub(crate) databases: Databases,
    /// Devices on which the second factor is not asked for again.
    pub(crate) trusted_devices: TrustedDevices,
    /// Passkeys (W3C Web Authentication). They are bound to a domain, never to an IP address. With `dev` on this machine that
    /// is localhost, at any port.
    pub(crate) passkeys: Passkeys,
    /// The hosted sign-in: what people see in their browser when they sign in at this installation itself, at /sign-in.
    pub(crate) browser: BrowserSettings,
    /// Applications that sign people in with OAuth 2 and OpenID Connect.
    pub(crate) oauth: OauthRules,
    /// Sign-in by GitHub, Google, Microsoft, Apple and further issuers of OpenID Connect. Each that has a table is offered. See
    /// docs/guides/social-sign-in.md.
    pub(crate) social: SocialConfig,
    /// Data sources of the RiverGen contract: where they may be, how they are watched, and how much of them runs at the same time.
    pub(crate) data: DataSettings,
    /// Questions and queries over data sources: what answers them, how much of them runs at the same time, and what models may cost.
    pub(crate) prompts: PromptSettings,
    /// A listener that speaks PostgreSQL's protocol, for SQL clients and reporting tools. Off unless `listen` is set. People sign in with
    /// their e-mail address and a personal access token with the scope data:query. See docs/guides/postgresql.md.
    pub(crate) pgwire: PgwireSettings,
    /// How an administrator's reset of someone's second factors takes effect: "immediate" (the owner is mailed), "delayed"
    /// (the owner is mailed a link that calls it off), or "confirmed" (the owner follows a mailed link first).
    pub(crate) factor_resets: FactorResets,
    /// Most that one organization may keep. What would be more is refused in the contract's words; nothing is deleted
    /// when a quota is lowered. 0 means no limit.
    pub(crate) quotas: Quotas,
    /// Where uploaded files are kept. See docs/operations.md.
    pub(crate) storage: StorageConfig,
    /// How large uploaded files may be, and how much an organization may keep of them. In bytes.
    pub(crate) storage_limits: StorageLimits,
}

/// A pepper and its name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PepperEntry {
    /// Stored with every hash made with it: 1 to 16 of a-z, 0-9 and `_`.
    #[schemars(example = &"p1")]
    pub(crate) id: String,
    /// At least 32 random characters, as `openssl rand -hex 32` prints.
    #[schemars(example = &"an example of what is at least 32 characters long")]
    pub(crate) key: SecretText,
}

/// How new passwords are hashed. One flat table, so that a single number can be changed on its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordHash {
    /// "bcrypt" with cost, or "argon2id" with memory_kib, iterations and parallelism.
    pub(crate) scheme: HashFunction,
    /// bcrypt: binary logarithm of the number of rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 12)]
    pub(crate) cost: Option<u32>,
    /// Argon2id: memory in KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 19_456)]
    pub(crate) memory_kib: Option<u32>,
    /// Argon2id: passes over the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 2)]
    pub(crate) iterations: Option<u32>,
    /// Argon2id: lanes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1)]
    pub(crate) parallelism: Option<u32>,
}

/// A password hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HashFunction {
    /// What the sign-up contract asks for.
    #[default]
    Bcrypt,
    /// RFC 9106.
    Argon2id,
}

/// How many passwords are hashed at once, and how many may wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashPoolSize {
    /// Passwords hashed at the same time. Default: the number of cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 2)]
    pub(crate) threads: Option<usize>,
    /// Requests that may wait. Further ones get 503 with Retry-After. Default: 16 per thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 32)]
    pub(crate) queue: Option<usize>,
}

/// Mail.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// The mail server. Without it, requests that need a mail are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) smtp: Option<SmtpConfig>,
    /// Directory with files that replace built-in texts: sign_up_code.subject.txt, sign_up_code.txt,
    /// sign_up_code.html, and so on. The text message is sms_code.txt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/tidegate/mail")]
    pub(crate) templates_dir: Option<PathBuf>,
    /// When a failed mail or text message is tried again.
    pub(crate) retry: RetryPolicy,
}

/// Links in mails; `{token}` is replaced. By default pages below `public_url`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Links {
    /// Verifies an address. Default: /verify-email below public_url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://app.example.com/verify-email?token={token}")]
    pub(crate) verify_email: Option<String>,
    /// Sets a new password. Default: /reset-password below public_url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://app.example.com/reset-password?token={token}")]
    pub(crate) reset_password: Option<String>,
    /// The page where people sign in to your application. Pages lead back to it when they are done. A link to a page
    /// can carry another target on one of redirect_hosts:
    /// /verify-email?token={token}&redirect=https://app.example.com/welcome
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://app.example.com/sign-in")]
    pub(crate) sign_in: Option<String>,
    /// In security notices: ends all sessions and starts the recovery of the account. Default: /secure-account below
    /// public_url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"https://app.example.com/secure-account?token={token}")]
    pub(crate) secure_account: Option<String>,
    /// Hosts that a request may name as the target of a link, such as "app.example.com" or "localhost:3000". The host
    /// of public_url is always allowed.
    #[serde(default)]
    pub(crate) redirect_hosts: Vec<String>,
}

/// Databases that tokens are bound to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Databases {
    /// Seconds until a new database changes from pending to ready.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    pub(crate) preparation: Duration,
}

/// Devices on which the second factor is not asked for again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustedDevices {
    /// Seconds a device is trusted.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30 * 24 * 3_600))]
    pub(crate) max_age: Duration,
}

/// HTTP.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// Proxies, or networks of proxies, whose Forwarded or X-Forwarded-For header is trusted.
    #[serde(deserialize_with = "text::networks")]
    #[schemars(with = "Vec<String>")]
    #[default(HttpSettings::default().trusted_proxies)]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The header in which these proxies send the client's address: "x-forwarded-for" or "forwarded". Only this header
    /// is read. The other one may come from the client itself.
    #[default(HttpSettings::default().forwarded_header)]
    pub(crate) forwarded_header: ForwardedHeader,
    /// How long a request may take.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(HttpSettings::default().deadline)]
    pub(crate) deadline: Duration,
    /// How long an idle connection stays open. Set it longer than the proxy in front keeps its connections.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    // Longer than the 60 s after which the usual proxies let go: a connection closed by us as they send on it would cost a
    // request.
    #[default(Duration::from_secs(75))]
    pub(crate) idle_timeout: Duration,
    /// Maximum size of a request body that may carry a free document (metadata), in bytes. Other bodies are at most 64
    /// KiB, a profile with its picture 3 MiB, an application for a brokerage account 15 MiB. No body may hold more
    /// than 8,192 values.
    #[default(HttpSettings::default().max_body)]
    pub(crate) max_body: usize,
    /// Maximum connections of all clients at one time: each may hold a request's head and body in memory. Where there
    /// are so many, an idle one is closed for each that comes, of the client that has most idle ones.
    #[default(4_096)]
    pub(crate) connections: usize,
    /// Maximum connections of one client at one time: of one IPv4 address, or of one IPv6 /64, with twice as many for
    /// a /56 and four times as many for a /48. Less when fewer than half of all connections are left. Further
    /// connections are closed at once. Trusted proxies are exempt: name yours, or all of its clients share this number.
    #[default(256)]
    pub(crate) connections_per_network: usize,
    /// Seconds that a client may leave an answer unread before its connection is closed.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30))]
    pub(crate) write_timeout: Duration,
    /// Seconds that a connection is used. Then HTTP/1.1 answers say "Connection: close", HTTP/2 sends GOAWAY, and open
    /// requests are finished.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(3_600))]
    pub(crate) connection_age: Duration,
    /// Upload budget: maximum bytes of all request bodies being received at one time. Further bodies get 503 with
    /// Retry-After. One client may use a quarter, at least 16 MiB, and a quarter of that more in bodies of up to 16
    /// KiB. Larger ones leave a quarter of the whole free for sign-ins. Applications and documents take about four times as
    /// much memory. They may take longer than the deadline while they arrive at 8 KiB a second or more.
    #[default(HttpSettings::default().uploads)]
    pub(crate) uploads: usize,
    /// Origins whose scripts may call the APIs, such as "https://app.example.com"; "*" for any. With dev also pages of this
    /// machine: localhost, 127.0.0.1 and [::1], at any port. The log names origins that are refused.
    #[default(HttpSettings::default().cors_origins)]
    pub(crate) cors_origins: Vec<String>,
    /// Request headers that these scripts may send besides Authorization, Content-Type, Prefer, X-Device-Fingerprint
    /// and X-Requested-With, such as "X-CSRF-Token"; "*" for any.
    #[default(HttpSettings::default().cors_headers)]
    pub(crate) cors_headers: Vec<String>,
}

/// Who may see what operators look at.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ops {
    /// Networks that may read /metrics, and /dev/outbox where it exists.
    #[serde(deserialize_with = "text::networks")]
    #[schemars(with = "Vec<String>")]
    pub(crate) allow: Vec<IpNet>,
    /// Names by which these are asked for besides addresses and "localhost", such as "tidegate.internal". Under other
    /// names there is nothing: a web page of another name that resolves to this address could read them otherwise.
    pub(crate) hosts: Vec<String>,
}

/// Logs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// "text" or "json". Default: text on a terminal and of commands, JSON otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"json")]
    pub(crate) format: Option<LogFormat>,
    /// Log filter, such as "warn" or "info,tidegate_http=debug". Default: "info"; "warn" for commands that do not
    /// serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"info")]
    pub(crate) filter: Option<String>,
}

/// A format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for Ops {
    fn default() -> Self {
        let OpsSettings { allow, hosts } = OpsSettings::default();
        Self { allow, hosts }
    }
}
