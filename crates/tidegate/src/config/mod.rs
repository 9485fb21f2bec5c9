//! What an operator decides: one typed tree, filled from defaults, a file, variables and flags.

mod brand;
mod check;
mod contracts;
mod load;
mod passkeys;
mod profile;
mod riven;
mod schema;
mod suggest;
mod text;
mod view;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tidegate_delivery::{RetryPolicy, SmsConfig, SmtpConfig};
use tidegate_domain::audit::AuditRetention;
use tidegate_domain::factor::FactorResets;
use tidegate_domain::limit::{Limit, MessageLimits};
use tidegate_domain::quota::Quotas;
use tidegate_domain::time::seconds;
use tidegate_http::{ForwardedHeader, HttpSettings, OpsSettings};

pub(crate) use brand::{BrandTable, languages};
pub(crate) use contracts::Contracts;
pub(crate) use load::{Flags, Loaded, Mistake, load};
pub(crate) use passkeys::Passkeys;
pub(crate) use riven::{Broker, Phone, Riven};
pub(crate) use suggest::is_misspelling;
pub(crate) use text::{Database, SecretText};

/// The configuration. Durations are whole seconds. The same keys, with the same meaning, are explained to operators in
/// `tidegate.example.toml`; a test holds the two together. Unknown keys are refused before it is read, by the schema.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    /// Address and port served.
    #[serde(deserialize_with = "text::address")]
    pub(crate) listen: SocketAddr,
    /// Holds the master key and, unless `database` says otherwise, the database.
    pub(crate) data_dir: PathBuf,
    /// Where the accounts are; by default `tidegate.db` in `data_dir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<Database>,
    /// Where other nodes are listened to, past a pooler that delivers no notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database_listen: Option<Database>,
    /// Most connections to the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database_connections: Option<u32>,
    /// Where clients reach this installation: the issuer of its tokens. By default the address served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_url: Option<String>,
    /// What this installation is called on pages, in mails and in text messages.
    pub(crate) product: String,
    /// What it looks like.
    pub(crate) brand: BrandTable,
    /// Files with the texts of further languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) languages_dir: Option<PathBuf>,
    /// Development: messages stay readable in the outbox, cookies travel over plain HTTP, limits that nobody has set are a
    /// hundred times higher.
    pub(crate) dev: bool,
    /// Keeps the limits in development.
    pub(crate) dev_limits: bool,
    /// Protects secrets at rest; by default it is in `master.key` in `data_dir`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) master_key: Option<SecretText>,
    /// Master keys that still open what they sealed.
    pub(crate) previous_master_keys: Vec<SecretText>,
    /// Mixed into every password, kept outside the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pepper: Option<PepperEntry>,
    /// Peppers that passwords hashed earlier were mixed with.
    pub(crate) previous_peppers: Vec<PepperEntry>,
    /// How new passwords are hashed.
    pub(crate) password_hash: PasswordHash,
    /// How many passwords are hashed at once, and how many may wait.
    pub(crate) hash_pool: HashPoolSize,
    /// Wrong passwords for one account through all contracts together; `attempts = 0` lifts the limit.
    pub(crate) failed_passwords_by_account: Limit,
    /// Wrong one-time codes for one account, over all its challenges; `attempts = 0` lifts the limit.
    pub(crate) failed_codes_by_account: Limit,
    /// Passwords set by one account; `attempts = 0` lifts the limit, here and below.
    pub(crate) passwords_set_by_account: Limit,
    /// Passwords set by all accounts of one organization.
    pub(crate) passwords_set_by_organization: Limit,
    /// Passwords set from one network without a session.
    pub(crate) passwords_set_by_network: Limit,
    /// Wrong one-time codes from one client network, for all accounts together; `attempts = 0` lifts the limit.
    pub(crate) failed_codes_by_network: Limit,
    /// Limits on mails and text messages, of all contracts together.
    pub(crate) messages: MessageLimits,
    /// How long audit events are kept.
    pub(crate) audit: AuditRetention,
    /// Mail.
    pub(crate) mail: Mail,
    /// Links in mails.
    pub(crate) links: Links,
    /// Text messages.
    pub(crate) sms: SmsConfig,
    /// Which phone numbers get text messages.
    pub(crate) phone: Phone,
    /// Brokerage accounts.
    pub(crate) broker: Broker,
    /// HTTP.
    pub(crate) http: Http,
    /// Who may see operations' endpoints.
    pub(crate) ops: Ops,
    /// Logs.
    pub(crate) log: Log,
    /// What differs in the contracts: read and written apart, a table for each.
    #[serde(skip)]
    pub(crate) contracts: Contracts,
    /// What differs in the Riven contract.
    pub(crate) riven: Riven,
    /// Databases that tokens are bound to.
    pub(crate) databases: Databases,
    /// Devices on which the second factor is not asked for again.
    pub(crate) trusted_devices: TrustedDevices,
    /// Passkeys.
    pub(crate) passkeys: Passkeys,
    /// How resets of second factors take effect.
    pub(crate) factor_resets: FactorResets,
    /// Most an organization may keep.
    pub(crate) quotas: Quotas,
}

/// A pepper and its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PepperEntry {
    /// Stored with every hash made with it: 1 to 16 of a-z, 0-9 and `_`.
    pub(crate) id: String,
    /// At least 32 random characters.
    pub(crate) key: SecretText,
}

/// How new passwords are hashed. One flat table, so that a single number can be changed on its own.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordHash {
    /// Which function.
    pub(crate) scheme: HashFunction,
    /// bcrypt: binary logarithm of the number of rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cost: Option<u32>,
    /// Argon2id: memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory_kib: Option<u32>,
    /// Argon2id: passes over the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iterations: Option<u32>,
    /// Argon2id: lanes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parallelism: Option<u32>,
}

/// A password hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HashFunction {
    /// What the sign-up contract asks for.
    #[default]
    Bcrypt,
    /// RFC 9106.
    Argon2id,
}

/// How many passwords are hashed at once, and how many may wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HashPoolSize {
    /// Threads; by default as many as cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threads: Option<usize>,
    /// Passwords that may wait; by default 16 a thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<usize>,
}

/// Mail.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// The mail server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) smtp: Option<SmtpConfig>,
    /// Templates that replace the built-in ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) templates_dir: Option<PathBuf>,
    /// When a message that was not sent is tried again: text messages likewise.
    pub(crate) retry: RetryPolicy,
}

/// Links in mails; `{token}` is replaced. By default pages below `public_url`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Links {
    /// Verifies an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verify_email: Option<String>,
    /// Sets a new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reset_password: Option<String>,
    /// Where people sign in: the application's own page, to which hosted pages lead back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in: Option<String>,
    /// Ends all sessions and starts the recovery of an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secure_account: Option<String>,
    /// Hosts that links may lead to where a request names a page.
    #[serde(default)]
    pub(crate) redirect_hosts: Vec<String>,
}

/// Databases that tokens are bound to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Databases {
    /// How long a new one is pending before it is ready.
    #[serde(with = "seconds")]
    pub(crate) preparation: Duration,
}

/// Devices on which the second factor is not asked for again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustedDevices {
    /// How long a device is trusted.
    #[serde(with = "seconds")]
    pub(crate) max_age: Duration,
}

impl Default for TrustedDevices {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(30 * 24 * 3_600) }
    }
}

/// HTTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// Proxies whose `Forwarded` and `X-Forwarded-For` headers are believed.
    #[serde(deserialize_with = "text::networks")]
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The header in which they say whom they serve: `x-forwarded-for` or `forwarded`.
    pub(crate) forwarded_header: ForwardedHeader,
    /// How long a request may take.
    #[serde(with = "seconds")]
    pub(crate) deadline: Duration,
    /// How long a connection may stay open while nothing is asked on it.
    #[serde(with = "seconds")]
    pub(crate) idle_timeout: Duration,
    /// Most bytes of a request body that may carry a free document. Others are smaller.
    pub(crate) max_body: usize,
    /// Most connections of one network at a time; trusted proxies are exempt.
    pub(crate) connections_per_network: usize,
    /// How long a client may take nothing of an answer.
    #[serde(with = "seconds")]
    pub(crate) write_timeout: Duration,
    /// How long a connection is used before the client is asked to open another.
    #[serde(with = "seconds")]
    pub(crate) connection_age: Duration,
    /// Bytes that all request bodies under way may take together.
    pub(crate) uploads: usize,
    /// Origins whose scripts may call the APIs; `*` for any.
    pub(crate) cors_origins: Vec<String>,
    /// Request headers that they may send besides those every contract needs; `*` for any.
    pub(crate) cors_headers: Vec<String>,
}

/// Who may see what operators look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ops {
    /// Networks from which `/metrics` is answered, and `/dev/outbox` where it exists.
    #[serde(deserialize_with = "text::networks")]
    pub(crate) allow: Vec<IpNet>,
    /// Names by which operators ask for them, besides addresses and `localhost`.
    pub(crate) hosts: Vec<String>,
}

/// Logs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// By default text on a terminal and JSON elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<LogFormat>,
    /// What is logged: `info`, `warn,tidegate_http=debug`. By default `info`, and `warn` for commands that do not serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) filter: Option<String>,
}

/// A format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("./tidegate-data"),
            database: None,
            database_listen: None,
            database_connections: None,
            public_url: None,
            product: "Tidegate".to_owned(),
            brand: BrandTable::default(),
            languages_dir: None,
            dev: false,
            dev_limits: false,
            master_key: None,
            previous_master_keys: Vec::new(),
            pepper: None,
            previous_peppers: Vec::new(),
            password_hash: PasswordHash::default(),
            hash_pool: HashPoolSize::default(),
            failed_passwords_by_account: Limit::new(100, 3_600),
            failed_codes_by_account: Limit::new(20, 3_600),
            passwords_set_by_account: Limit::new(10, 60),
            passwords_set_by_organization: Limit::new(30, 60),
            passwords_set_by_network: Limit::new(30, 60),
            failed_codes_by_network: Limit::new(60, 3_600),
            messages: MessageLimits::default(),
            audit: AuditRetention::default(),
            mail: Mail::default(),
            links: Links::default(),
            sms: SmsConfig::default(),
            phone: Phone::default(),
            broker: Broker::default(),
            http: Http::default(),
            ops: Ops::default(),
            log: Log::default(),
            contracts: Contracts::default(),
            riven: Riven::default(),
            databases: Databases::default(),
            trusted_devices: TrustedDevices::default(),
            passkeys: Passkeys::default(),
            factor_resets: FactorResets::default(),
            quotas: Quotas::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        let HttpSettings {
            trusted_proxies,
            forwarded_header,
            deadline,
            max_body,
            uploads,
            cors_origins,
            cors_headers,
            ops: _,
            serves_outbox: _,
        } = HttpSettings::default();
        // Longer than the 60 s after which the usual proxies let go: a connection closed by us as they send on it
        // would cost a request.
        let idle_timeout = Duration::from_secs(75);
        Self {
            trusted_proxies,
            forwarded_header,
            deadline,
            idle_timeout,
            connections_per_network: 256,
            write_timeout: Duration::from_secs(30),
            connection_age: Duration::from_secs(3_600),
            max_body,
            uploads,
            cors_origins,
            cors_headers,
        }
    }
}

impl Default for Ops {
    fn default() -> Self {
        let OpsSettings { allow, hosts } = OpsSettings::default();
        Self { allow, hosts }
    }
}
