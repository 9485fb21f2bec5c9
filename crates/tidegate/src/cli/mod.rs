//! The command line.

mod client;
mod client_metadata;
mod printed;
mod query;
mod serve;
mod source;
mod storage;
mod suggest;
mod tokens;
mod user;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_crypto::SigningAlgorithm;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::OrganizationId;
use tidegate_domain::{EmailAddress, PhoneNumber};
use uuid::Uuid;

pub(crate) use client::{
    Client, ClientChange, ClientCreate, ClientDelete, ClientList, ClientLogout, ClientSet, NamedClient,
    RegistrationToken, RegistrationTokenCreate,
};
pub(crate) use printed::Openapi;
pub(crate) use query::{Query, QueryFormat};
pub(crate) use serve::{Lifted, Serve};
pub(crate) use source::{NamedSource, NumberedSource, Source, SourceDelete, SourceList};
pub(crate) use storage::{Backup, CopyDatabase, Restore};
pub(crate) use suggest::correct;
pub(crate) use tokens::{OrgTokenLifetime, OrgTokens, UserTokens};
pub(crate) use user::{
    Named, RemoveIdentifier, ResetMfa, UnblockProvider, User, UserConsents, UserCreate, UserDelete, UserList,
    UserSessions,
};

/// Identity server: accounts, sessions and access control for applications
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "Examples:\n  tidegate serve --dev\n  tidegate doctor\n  tidegate org create --name Acme --root-email \
root@acme.example\n\nEach key of the configuration file can also be an environment variable: TIDEGATE_LISTEN, \
TIDEGATE_MAIL__SMTP__HOST. Flags win over variables, and variables over the file. Exit codes: 0 success, 1 failure, \
2 wrong usage.";

/// Options of every command.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GlobalFlags {
    /// Configuration file [default: $TIDEGATE_CONFIG, or ./tidegate.toml if it exists]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
    /// Directory of the master key and the embedded database [default: ./tidegate-data]
    #[arg(long, global = true, value_name = "DIRECTORY", help_heading = "Everywhere")]
    pub(crate) data_dir: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME [default: sqlite:<data-dir>/tidegate.db]
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub(crate) database: Option<String>,
    /// Print exactly one JSON value on standard output, also for an error
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the APIs; creates the database and the keys at the first start
    #[command(
        after_help = "Examples:\n  tidegate serve --dev\n  tidegate serve --config tidegate.toml --listen 0.0.0.0:8080\n  \
        tidegate serve --database postgres://tidegate:PASSWORD@db.internal/tidegate"
    )]
    Serve(Serve),
    #[command(flatten)]
    Operate(Operate),
    /// Check the configuration, the database and the providers without serving
    #[command(
        after_help = "Examples:\n  tidegate doctor\n  tidegate doctor --all\n  tidegate doctor --config tidegate.toml --json"
    )]
    Doctor(Doctor),
    /// Print a configuration file to start from: every key, with its default and what it means
    #[command(after_help = "Example:\n  tidegate config > tidegate.toml")]
    Config,
    /// Print the OpenAPI document
    #[command(
        after_help = "Examples:\n  tidegate openapi > openapi.json\n  tidegate openapi --contract rivergen"
    )]
    Openapi(Openapi),
}

/// What is done in an installation that is there.
#[derive(Debug, Subcommand)]
pub(crate) enum Operate {
    /// List, show and create organizations, transfer their ownership, and set their rules
    #[command(subcommand, after_help = "Example:\n  tidegate org list --shared")]
    Org(Org),
    /// List, show, create, disable, unlock, export and delete accounts
    #[command(subcommand, after_help = "Example:\n  tidegate user show ada@example.com")]
    User(User),
    /// List, show, register, revoke and delete applications that sign people in
    #[command(subcommand, after_help = "Example:\n  tidegate client list")]
    Client(Box<Client>),
    /// List, show, test, discover, pause and delete data sources
    #[command(subcommand, after_help = "Example:\n  tidegate source list")]
    Source(Source),
    /// Show what a member sees: run a query over data sources in their place. It is in the audit log
    #[command(after_help = query::EXAMPLES)]
    Query(Query),
    /// Show and manage outgoing mails and text messages
    #[command(subcommand, after_help = "Example:\n  tidegate outbox list --to ada@example.com")]
    Outbox(Outbox),
    /// Show background jobs; retry or remove dead ones
    #[command(subcommand, after_help = "Example:\n  tidegate jobs list --state dead")]
    Jobs(Jobs),
    /// List and rotate the keys that sign access tokens
    #[command(subcommand, after_help = "Example:\n  tidegate keys list")]
    Keys(Keys),
    /// Migrate the database's schema to this version
    #[command(after_help = "Examples:\n  tidegate migrate --check\n  tidegate migrate\n  \
        tidegate migrate --new --database postgres://tidegate:PASSWORD@db.internal/tidegate")]
    Migrate(Migrate),
    /// Write the embedded database and the master key to files, also while a server uses them
    #[command(
        after_help = "PostgreSQL is backed up by its own programs; see docs/guides/first-day.md.\n\nExample:\n  \
        tidegate backup /var/backups/tidegate-$(date +%F).db"
    )]
    Backup(Backup),
    /// Make an installation out of a backup: in a data directory without one
    #[command(
        after_help = "Example:\n  tidegate restore /var/backups/tidegate-2026-11-28.db --data-dir /var/lib/tidegate"
    )]
    Restore(Restore),
    /// Copy everything to another database that is empty: from SQLite to PostgreSQL or back. Stop the servers first
    #[command(
        after_help = "The password of PostgreSQL can be in PGPASSWORD instead of the address.\n\nExample:\n  \
        tidegate copy --from sqlite:tidegate-data/tidegate.db --to postgres://tidegate@db.internal/tidegate"
    )]
    Copy(CopyDatabase),
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Show every setting, not only those that differ from their defaults
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Org {
    /// List organizations in the order they were created
    #[command(
        after_help = "Examples:\n  tidegate org list --shared\n  tidegate org list --search acme --json"
    )]
    List(OrgList),
    /// Show an organization: owner, members, workspaces and managed domains
    #[command(after_help = "Example:\n  tidegate org show 17")]
    Show(OrgShow),
    /// Create an organization and its owner; the owner's address counts as verified
    #[command(
        after_help = "Examples:\n  tidegate org create --name \"Acme Inc\" --root-email root@acme.example\n  \
        tidegate org create --new --name \"Acme Inc\" --root-email root@acme.example"
    )]
    Create(OrgCreate),
    /// Make a member the owner of an organization; the former owner becomes an admin, and both are signed out
    #[command(after_help = "Example:\n  tidegate org transfer --organization 17 --to ada@acme.example")]
    Transfer(OrgTransfer),
    /// Set what becomes of members with a second factor who sign in through a contract whose clients cannot ask for it
    #[command(after_help = "Example:\n  tidegate org second-factor --organization 17 --elsewhere admit")]
    SecondFactor(OrgSecondFactor),
    /// List the access tokens that members made for an organization, or revoke them
    #[command(after_help = "Examples:\n  tidegate org tokens 17\n  tidegate org tokens 17 --revoke 4")]
    Tokens(OrgTokens),
    /// Set for how long an access token lives at most that a member makes for an organization
    #[command(
        after_help = "Examples:\n  tidegate org token-lifetime 17 1440\n  tidegate org token-lifetime 17 0"
    )]
    TokenLifetime(OrgTokenLifetime),
    /// Show how much of files an organization keeps, or set how much it may
    #[command(
        after_help = "Examples:\n  tidegate org storage 17\n  tidegate org storage 17 --limit 53687091200\n  tidegate org storage 17 --by-plan"
    )]
    Storage(OrgStorage),
}

#[derive(Debug, Args)]
pub(crate) struct OrgStorage {
    /// The organization's id or number, from `tidegate org list`
    #[arg(value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    /// Most that all its files may have together. Nothing is removed when it is less than they have
    #[arg(long, value_name = "BYTES")]
    pub(crate) limit: Option<u64>,
    /// As much as its plan has, again
    #[arg(long, conflicts_with = "limit")]
    pub(crate) by_plan: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OrgSecondFactor {
    /// The organization: its id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    /// Refuse the sign-in, or admit it without the second factor
    #[arg(long, value_enum)]
    pub(crate) elsewhere: Elsewhere,
}

/// What becomes of a sign-in through a contract whose clients cannot ask for a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Elsewhere {
    /// It is refused; the default.
    Refuse,
    /// It is admitted.
    Admit,
}

#[derive(Debug, Args)]
pub(crate) struct OrgList {
    /// Only organizations with this text in their name
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) search: String,
    /// Only organizations with more than one member: not the personal ones that every account comes with
    #[arg(long)]
    pub(crate) shared: bool,
    /// Go on after the organization of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: i64,
    /// Maximum number of organizations
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OrgShow {
    /// The organization's id or number, from `tidegate org list`
    #[arg(value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
}

/// How an operator names an organization.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OrganizationName {
    /// Its key.
    Id(OrganizationId),
    /// The number some contracts show.
    Number(i64),
}

#[derive(Debug, Args)]
pub(crate) struct OrgTransfer {
    /// The organization's id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    /// The new owner's e-mail address
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    pub(crate) to: EmailAddress,
}

#[derive(Debug, Args)]
pub(crate) struct OrgCreate {
    /// The organization's name
    #[arg(long, value_parser = organization_name)]
    pub(crate) name: String,
    /// The owner's e-mail address
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    pub(crate) root_email: EmailAddress,
    /// Read the owner's password from standard input; without this flag one is generated and printed once
    #[arg(long)]
    pub(crate) root_password_stdin: bool,
    /// A domain whose accounts the organization manages without asking their owners; may be given several times
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    pub(crate) managed_domain: Vec<String>,
    /// Begin a new installation if there is none
    #[arg(long)]
    pub(crate) new: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Outbox {
    /// List the newest mails and text messages
    #[command(
        after_help = "Examples:\n  tidegate outbox list\n  tidegate outbox list --to ada@example.com --json"
    )]
    List(OutboxList),
    /// Print the newest one-time code sent to an e-mail address or phone number
    #[command(
        after_help = "Examples:\n  tidegate outbox code --to ada@example.com\n  tidegate outbox code --to +254712345678"
    )]
    Code(OutboxCode),
    /// Print a message, while its text is kept
    #[command(after_help = "Example:\n  tidegate outbox show 17")]
    Show(OutboxShow),
    /// Send a dead message again, or one at once that waits for its next attempt
    #[command(after_help = "Example:\n  tidegate outbox retry 17")]
    Retry(DeadMessage),
    /// Remove a dead message
    #[command(after_help = "Example:\n  tidegate outbox drop 17")]
    Drop(DeadMessage),
}

#[derive(Debug, Args)]
pub(crate) struct OutboxList {
    /// Only messages to this e-mail address or phone number
    #[arg(long, value_name = "ADDRESS", value_parser = recipient)]
    pub(crate) to: Option<LoginName>,
    /// Maximum number of messages
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OutboxCode {
    /// The recipient: an e-mail address, or a phone number with its country code, such as +254712345678
    #[arg(long, value_name = "ADDRESS", value_parser = recipient)]
    pub(crate) to: LoginName,
}

#[derive(Debug, Args)]
pub(crate) struct OutboxShow {
    /// The message's number, from `tidegate outbox list`
    pub(crate) number: i64,
}

#[derive(Debug, Args)]
pub(crate) struct DeadMessage {
    /// The message's number, from `tidegate outbox list`
    pub(crate) number: i64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List the newest jobs
    #[command(after_help = "Examples:\n  tidegate jobs list --state dead\n  tidegate jobs list --json")]
    List(JobsList),
    /// Run a dead job again
    #[command(after_help = "Example:\n  tidegate jobs retry 17")]
    Retry(DeadJob),
    /// Remove a dead job
    #[command(after_help = "Example:\n  tidegate jobs drop 17")]
    Drop(DeadJob),
}

#[derive(Debug, Args)]
pub(crate) struct JobsList {
    /// Only jobs in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<JobState>,
    /// Maximum number of jobs
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct DeadJob {
    /// The job's number, from `tidegate jobs list`
    pub(crate) number: i64,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum JobState {
    Pending,
    Running,
    Dead,
}

impl JobState {
    /// The stored value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List all keys, the signing key first
    #[command(after_help = "Examples:\n  tidegate keys list\n  tidegate keys list --json")]
    List,
    /// Create a new signing key; tokens of older keys stay valid until they expire
    #[command(after_help = "Examples:\n  tidegate keys rotate\n  tidegate keys rotate --revoke\n  \
        tidegate keys rotate --algorithm EdDSA --id-tokens")]
    Rotate(KeysRotate),
}

#[derive(Debug, Args)]
pub(crate) struct KeysRotate {
    /// Signature algorithm; the key for RS256 signs ID tokens of applications that ask for it, beside the other one
    #[arg(long, value_enum, default_value_t = Algorithm::Es256)]
    pub(crate) algorithm: Algorithm,
    /// Replace the key that signs ID tokens of applications that ask for the algorithm, and leave the one of access tokens alone
    #[arg(long)]
    pub(crate) id_tokens: bool,
    /// Refuse tokens of older keys at once; use this when a key leaked
    #[arg(long)]
    pub(crate) revoke: bool,
}

/// A signature algorithm (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Algorithm {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
    #[value(name = "RS256")]
    Rs256,
}

impl From<Algorithm> for SigningAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Es256,
            Algorithm::EdDsa => Self::EdDsa,
            Algorithm::Rs256 => Self::Rs256,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Change nothing; exit with 1 if migrations are pending
    #[arg(long)]
    pub(crate) check: bool,
    /// Begin a new installation if there is none
    #[arg(long, conflicts_with = "check")]
    pub(crate) new: bool,
}

fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| error.to_string())
}

/// A domain, as the part of an address after the `@` is stored.
fn domain(text: &str) -> Result<String, String> {
    let address = EmailAddress::parse(&format!("x@{text}")).map_err(|_| "no domain name".to_owned())?;
    Ok(address.domain().to_owned())
}

/// The recipient of messages. Numbers are stored with their country code, so it is needed here.
fn recipient(text: &str) -> Result<LoginName, String> {
    if text.contains('@') {
        return email(text).map(LoginName::Email);
    }
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let is_number = digits
        .strip_prefix('+')
        .is_some_and(|digits| digits.len() >= 7 && digits.bytes().all(|digit| digit.is_ascii_digit()));
    if is_number {
        Ok(LoginName::Phone(PhoneNumber::from_stored(digits)))
    } else {
        Err("must be an e-mail address, or a phone number such as +254712345678".to_owned())
    }
}

fn organization_name_or_id(text: &str) -> Result<OrganizationName, String> {
    if let Ok(number) = text.parse::<i64>() {
        return Ok(OrganizationName::Number(number));
    }
    let plain = text.parse::<Uuid>().ok().map(OrganizationId);
    let id = plain.or_else(|| OrganizationId::from_opaque(text)).ok_or_else(|| {
        "must be an organization's id or number, as `tidegate org list` prints them, or an org_id from a sign-in".to_owned()
    })?;
    Ok(OrganizationName::Id(id))
}

fn organization_name(text: &str) -> Result<String, String> {
    tidegate_domain::text::line(text, 255).map_err(|error| error.to_string())
}
