//! The first connection: what keeps it from being made, and what to do about it.

mod tls;

use std::env;
use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError};
use sqlx::{Connection as _, Error};
use tokio::time::{Instant, sleep, timeout};

use super::{ACQUIRE_TIMEOUT, StoreOptions};
use crate::Result;
use crate::error::{Reason, Refusal, StoreError, advice, plain, without_number};
use crate::limit::Limit;

/// The oldest PostgreSQL that is served: the oldest that its own project supports, and that the tests run on.
const OLDEST: u32 = 150_000;
/// Where a password is that the address does not have, as for PostgreSQL's own programs.
const PASSWORD: &str = "PGPASSWORD";
/// How often a server that is not there yet is asked.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Connects once, so that what is wrong is known at once and in detail: a pool would try in silence until its time is up.
///
/// # Errors
/// [`StoreError::Refused`] with what to do.
pub(super) async fn try_connect(connect: &PgConnectOptions, options: &StoreOptions) -> Result<()> {
    let until = Instant::now() + options.patience;
    let mut warned = false;
    loop {
        let refused = match attempt(connect).await {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        if !refused.passes || Instant::now() >= until {
            let is_asked = refused.is_of_password && !options.url.has_password();
            let is_given = env::var_os(PASSWORD).is_some_and(|password| !password.is_empty());
            let refusal = if is_asked { left_out(connect, is_given) } else { refused.refusal };
            return Err(StoreError::Refused(refusal));
        }
        if !warned {
            let seconds = options.patience.as_secs();
            tracing::warn!("{}: trying again for {seconds} s", refused.refusal.what);
            warned = true;
        }
        sleep(ASK_AGAIN).await;
    }
}

/// Why a connection was not made.
#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    /// Whether it may be made in a moment.
    passes: bool,
    /// Whether the password was wrong, or none.
    is_of_password: bool,
}

async fn attempt(connect: &PgConnectOptions) -> Result<(), Refused> {
    let mut connection = match timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(connect)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(refusal(connect, &error)),
        Err(_elapsed) => {
            let what = format!("{} does not answer within {} s", server(connect), ACQUIRE_TIMEOUT.as_secs());
            return Err(Refused::for_now(unreachable(what, "check host and port, and firewalls on the way")));
        }
    };
    let tried = match connection.server_version_num() {
        Some(version) if version < OLDEST => Err(Refused::for_good(Refusal::new(
            "database_too_old",
            format!("{} is version {}", server(connect), in_words(version)),
            format!("PostgreSQL {} or later is needed: upgrade the server", OLDEST / 10_000),
        ))),
        // Some poolers refuse the first statement only, or transactions.
        _ => try_transaction(&mut connection).await.map_err(|error| refusal(connect, &error)),
    };
    drop(connection.close().await);
    tried
}

async fn try_transaction(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    transaction.ping().await?;
    transaction.rollback().await
}

/// `90624` is 9.6, `150004` is 15.4.
fn in_words(version: u32) -> String {
    match version {
        ..100_000 => format!("{}.{}", version / 10_000, version / 100 % 100),
        _ => format!("{}.{}", version / 10_000, version % 10_000),
    }
}

impl Refused {
    fn for_good(refusal: Refusal) -> Self {
        Self { refusal, passes: false, is_of_password: false }
    }

    fn for_now(refusal: Refusal) -> Self {
        Self { refusal, passes: true, is_of_password: false }
    }
}

fn unreachable(what: String, advice: &str) -> Refusal {
    Refusal::new("database_unavailable", what, advice)
}

/// Why the server did not take a connection, with its name.
pub(super) fn said(connect: &PgConnectOptions, error: &Error) -> String {
    refusal(connect, error).refusal.what
}

/// The same, with what to do.
pub(super) fn said_with_advice(connect: &PgConnectOptions, error: &Error) -> Reason {
    let Refusal { what, advice, .. } = refusal(connect, error).refusal;
    Reason { what, advice: Some(advice) }
}

/// Why it takes none, if it does not.
pub(super) async fn why_not(connect: &PgConnectOptions) -> Option<Refusal> {
    attempt(connect).await.err().map(|refused| refused.refusal)
}

/// What is tried.
fn server(connect: &PgConnectOptions) -> String {
    match connect.get_socket() {
        Some(socket) => format!("PostgreSQL at the socket {}", socket.display()),
        None => format!("PostgreSQL at {}:{}", connect.get_host(), connect.get_port()),
    }
}

fn refusal(connect: &PgConnectOptions, error: &Error) -> Refused {
    match error {
        Error::Io(cause) => of_the_network(connect, cause),
        Error::Tls(cause) => Refused::for_good(tls::refusal(connect, &cause.to_string())),
        Error::Database(cause) => match cause.try_downcast_ref::<PgDatabaseError>() {
            Some(cause) => {
                let refusal = of_the_server(connect, cause);
                let passes = matches!(cause.code(), "53300" | "57P03" | "57P01");
                Refused { refusal, passes, is_of_password: cause.code() == "28P01" }
            }
            None => Refused::for_good(unreachable(plain(error), "see the server's log")),
        },
        // The byte that was not read: the answer to SSLRequest is `S` or `N`.
        Error::Protocol(text) if text.contains("SSLRequest: 0x00") => closed(connect),
        Error::Protocol(_) => Refused::for_good(unreachable(
            format!("what answers at {}:{} is no PostgreSQL", connect.get_host(), connect.get_port()),
            "check host and port",
        )),
        Error::Configuration(cause) => Refused::for_good(Refusal::new(
            "database_address",
            format!("the PostgreSQL address is wrong: {}", without_number(&cause.to_string())),
            "see the table of its options in docs/operations.md",
        )),
        other => Refused::for_good(unreachable(
            format!("cannot connect to {}: {}", server(connect), plain(other)),
            "see the server's log",
        )),
    }
}

fn closed(connect: &PgConnectOptions) -> Refused {
    Refused::for_now(unreachable(
        format!("{} closes the connection without a word", server(connect)),
        "check that PostgreSQL is what answers there, and see its log; a proxy without a server behind it does the same",
    ))
}

fn of_the_network(connect: &PgConnectOptions, cause: &std::io::Error) -> Refused {
    let (server, text) = (server(connect), cause.to_string());
    let text = without_number(&text);
    match cause.kind() {
        ErrorKind::ConnectionRefused => Refused::for_now(unreachable(
            format!("{server} refuses connections"),
            "start the server, or check host and port; it listens on this machine only unless listen_addresses says otherwise",
        )),
        ErrorKind::NotFound if connect.get_socket().is_some() => Refused::for_now(unreachable(
            format!("{server} is not there"),
            "start the server, or check the directory; it is unix_socket_directories of the server",
        )),
        // What is read before anything is sent.
        ErrorKind::NotFound | ErrorKind::PermissionDenied if connect.get_socket().is_none() => {
            Refused::for_good(Refusal::new(
                "database_tls",
                format!("a certificate or key that the PostgreSQL address names cannot be read: {text}"),
                "check sslrootcert, sslcert and sslkey",
            ))
        }
        ErrorKind::PermissionDenied => Refused::for_good(Refusal::new(
            "database_permission",
            format!("{server} may not be used by this user"),
            "check unix_socket_permissions of the server",
        )),
        // What rustls says of a certificate.
        ErrorKind::InvalidData => Refused::for_good(tls::refusal(connect, text)),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => closed(connect),
        _ if text.contains("lookup address") => Refused::for_now(unreachable(
            format!("the host {} cannot be found", connect.get_host()),
            "check its spelling, and the name service of this machine",
        )),
        _ => Refused::for_now(unreachable(
            format!("{server} cannot be reached: {text}"),
            "check host and port, and the network between",
        )),
    }
}

fn of_the_server(connect: &PgConnectOptions, cause: &PgDatabaseError) -> Refusal {
    let (server, user) = (server(connect), connect.get_username());
    let database = connect.get_database().unwrap_or(user);
    let said = cause.message();
    // The routine is the same in every language of the server; what it says is not.
    match (cause.code(), cause.routine().unwrap_or_default()) {
        ("28P01", _) => Refusal::new(
            "database_login",
            format!("{server} refuses the password of {user}"),
            format!(
                "correct it in the database's address, where characters such as @ / : # are written as %40 %2F %3A %23; {}",
                refused_alike(user)
            ),
        ),
        ("28000", "InitializeSessionUserId") => Refusal::new(
            "database_login",
            format!("{server} has no role {user} that may sign in"),
            format!(
                "create it with `createuser --pwprompt {user}`, let it in with `alter role {user} login` where it is there, or correct the user \
                 in the database's address"
            ),
        ),
        ("28000", _) if !encrypts(connect) => Refusal::new(
            "database_login",
            format!("{server} does not let {user} in from this machine: {said}"),
            "it may want TLS: add ?sslmode=require to the address; else add an entry to pg_hba.conf",
        ),
        ("28000", _) => Refusal::new(
            "database_login",
            format!("{server} does not let {user} in from this machine: {said}"),
            "add an entry to pg_hba.conf, or with `hostnossl` entries set sslmode=disable",
        ),
        ("3D000", _) => Refusal::new(
            "database_missing",
            format!("{server} has no database {database}"),
            format!(
                "create it with `createdb --owner {user} {database}`, or correct the name in the database's address"
            ),
        ),
        ("42501", _) => Refusal::new(
            "database_permission",
            format!("{user} may not connect to the database {database} at {server}"),
            format!("grant it: `grant connect on database {database} to {user}`"),
        ),
        ("53300", routine) => full(&server, Limit::met(routine, user, database), said),
        ("55000", "CheckMyDatabase") => unreachable(
            format!("{server} lets nobody into the database {database}: {said} (code 55000)"),
            &format!("let them in: `alter database {database} allow_connections true`, in another database"),
        ),
        ("08P01", _) => Refusal::new(
            "database_pooler",
            format!("{server} refuses how the connection begins: {said}"),
            "a pooler may have to be set up: see \"Poolers\" in docs/operations.md",
        ),
        (code, _) => unreachable(
            format!("{server} refuses the connection: {said} (code {code})"),
            advice(code).unwrap_or("see the server's log"),
        ),
    }
}

/// Of a server, a role or a database that has as many connections as it may have.
fn full(server: &str, limit: Limit<'_>, said: &str) -> Refusal {
    let what = match limit {
        Limit::Server => format!("{server} allows no more connections"),
        Limit::Role(name) => format!("{server} allows the role {name} no more connections"),
        Limit::Database(name) => format!("{server} allows the database {name} no more connections"),
    };
    unreachable(format!("{what}: {said} (code 53300)"), &limit.advice())
}

/// What PostgreSQL refuses in the same words as a wrong password.
fn refused_alike(user: &str) -> String {
    format!(
        "a role that does not exist is refused alike, and one whose time is over: `alter role {user} valid until 'infinity'`"
    )
}

/// Of an address without a password, where none that was found beside it is the right one: `is_given` in the environment or not.
fn left_out(connect: &PgConnectOptions, is_given: bool) -> Refusal {
    let (server, user) = (server(connect), connect.get_username());
    if is_given {
        return Refusal::new(
            "database_login",
            format!("{server} refuses the password of {user} that is in {PASSWORD}"),
            format!("correct it in {PASSWORD}; {}", refused_alike(user)),
        );
    }
    Refusal::new(
        "database_login",
        format!("{server} asks for a password of {user}, and the address has none"),
        format!(
            "give it in PGPASSWORD, in ~/.pgpass, or in the address: postgres://USER:PASSWORD@HOST/NAME. One that is there already is wrong; {}",
            refused_alike(user)
        ),
    )
}

fn encrypts(connect: &PgConnectOptions) -> bool {
    use sqlx::postgres::PgSslMode::{Require, VerifyCa, VerifyFull};
    matches!(connect.get_ssl_mode(), Require | VerifyCa | VerifyFull)
}

#[cfg(test)]
pub(super) mod tests;
