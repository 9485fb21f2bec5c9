//! The beginning of a connection: encryption, who it is, and what is queried.
//!
//! Bytes are read one message at a time, and no further: what a client, or somebody between it and us, sends behind its request for TLS
//! is part of the handshake, and never of the session (CVE-2021-23214).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_domain::Secret;
use tidegate_kernel::{Actor, Call};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::beginning::Foreign;
use super::database::Database;
use super::server::{Io, Wire};
use super::settings::{REPORTED, SessionSettings};
use super::sign_in::sign_in;
use crate::cancel::Ticket;
use crate::protocol::backend::{Outgoing, Transaction};
use crate::protocol::frontend::{self, Malformed, Message, Opening};
use crate::protocol::incoming::{Incoming, LONGEST_OPENING};
use crate::protocol::problem::Problem;
use crate::seats::Seat;
use crate::tls::ALPN;

/// First byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;
/// Longest name of a client's program that is kept, in characters.
const LONGEST_PROGRAM: usize = 100;

/// Whether a connection has a place of the listener's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    Left,
    Taken,
}

/// What came of it.
pub(super) enum Opened {
    Session(Box<Session>),
    Cancel,
    Refused(&'static str),
}

/// Somebody who signed in, and what they query.
pub(super) struct Session {
    pub(super) io: Io,
    pub(super) incoming: Incoming,
    pub(super) actor: Actor,
    pub(super) call: Call,
    pub(super) user: String,
    pub(super) database: Database,
    pub(super) settings: SessionSettings,
    pub(super) ticket: Ticket,
    pub(super) seat: Seat,
}

/// Whether a client begins with TLS instead of asking for it (`sslnegotiation=direct`).
pub(super) async fn begins_with_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; 1];
    Ok(stream.peek(&mut first).await? == 1 && first == [HANDSHAKE])
}

fn invalid(malformed: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, malformed)
}

async fn read_opening(io: &mut Io) -> io::Result<Opening> {
    let first = io.read_u32().await?;
    let length = usize::try_from(first).unwrap_or(usize::MAX);
    if !(8..=LONGEST_OPENING).contains(&length) {
        let unknown = invalid(Malformed("the first message is of no known length"));
        return Err(Foreign::of(first.to_be_bytes()).map_or(unknown, Foreign::into));
    }
    let mut body = vec![0; length - 4];
    io.read_exact(&mut body).await?;
    frontend::opening(&body).map_err(invalid)
}

async fn tell(io: &mut Io, problem: &Problem) -> io::Result<Opened> {
    let mut out = Outgoing::default();
    out.problem(problem);
    io.write_all(&out.bytes).await?;
    io.flush().await?;
    Ok(Opened::Refused(problem.state))
}

async fn encrypted(wire: &Wire, io: Io, is_direct: bool) -> io::Result<Io> {
    let Some(acceptor) = &wire.acceptor else { return Err(Foreign::OtherTls.into()) };
    let stream = acceptor.accept(io).await.map_err(Foreign::of_handshake)?;
    // Without asking first, a client has to say that it means this protocol.
    if is_direct && stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Foreign::OtherTls.into());
    }
    Ok(Box::new(stream))
}

/// Brings a connection to where statements can be asked.
pub(super) async fn open(
    wire: &Arc<Wire>,
    mut io: Io,
    peer: SocketAddr,
    begins_with_tls: bool,
    places: Places,
) -> io::Result<Opened> {
    let mut is_secure = begins_with_tls;
    let mut is_gss_refused = false;
    if begins_with_tls {
        io = encrypted(wire, io, true).await?;
    }
    loop {
        match read_opening(&mut io).await? {
            Opening::Tls if is_secure => return Err(invalid(Malformed("TLS is asked for twice"))),
            Opening::Tls if wire.acceptor.is_some() => {
                io.write_all(b"S").await?;
                io.flush().await?;
                io = encrypted(wire, io, false).await?;
                is_secure = true;
            }
            // The client goes on without, or not: what it may do without is decided before it is asked for its token.
            Opening::Tls => {
                io.write_all(b"N").await?;
                io.flush().await?;
            }
            Opening::Gss if is_gss_refused => return Err(invalid(Malformed("GSSAPI is asked for twice"))),
            Opening::Gss => {
                is_gss_refused = true;
                io.write_all(b"N").await?;
                io.flush().await?;
            }
            Opening::Cancel { number, secret } => {
                wire.cancels.cancel(number, secret);
                return Ok(Opened::Cancel);
            }
            Opening::Start { minor, parameters } => {
                let is_private =
                    peer.ip().to_canonical().is_loopback() && wire.settings.allow_plain_on_loopback;
                if !is_secure && !is_private {
                    let problem =
                        Problem::fatal("28000", "Connections need TLS (sslmode=require or better).");
                    return tell(&mut io, &problem).await;
                }
                // Before it sends its token.
                if places == Places::Taken {
                    return tell(&mut io, &Problem::crowded()).await;
                }
                return start(wire, io, peer, minor, parameters).await;
            }
        }
    }
}

/// What a client says about itself before it signs in.
struct Introduction {
    user: String,
    database: String,
    settings: SessionSettings,
    unknown: Vec<String>,
}

fn introduction(parameters: Vec<(String, String)>) -> Result<Introduction, Problem> {
    let mut said = Introduction {
        user: String::new(),
        database: String::new(),
        settings: SessionSettings::default(),
        unknown: Vec::new(),
    };
    for (name, value) in parameters {
        match name.as_str() {
            "user" => said.user = value,
            "database" => said.database = value,
            "replication" if !matches!(value.as_str(), "" | "0" | "false" | "off" | "no") => {
                return Err(Problem { is_fatal: true, ..Problem::unsupported("Replication") });
            }
            // Options of a command line of PostgreSQL's own: `-c name=value` would be a setting.
            "options" | "replication" => {}
            name if name.starts_with("_pq_.") => said.unknown.push(name.to_owned()),
            // What is no setting of ours is none that matters here.
            name => drop(said.settings.set(name, &value)),
        }
    }
    Ok(said)
}

async fn start(
    wire: &Arc<Wire>,
    mut io: Io,
    peer: SocketAddr,
    minor: u16,
    parameters: Vec<(String, String)>,
) -> io::Result<Opened> {
    let said = match introduction(parameters) {
        Ok(said) => said,
        Err(problem) => return tell(&mut io, &problem).await,
    };
    let mut out = Outgoing::default();
    if minor > 0 || !said.unknown.is_empty() {
        let unknown: Vec<&str> = said.unknown.iter().map(String::as_str).collect();
        out.negotiate(&unknown);
    }
    out.ask_password();
    io.write_all(&out.bytes).await?;
    io.flush().await?;
    let mut incoming = Incoming::default();
    let password = read_password(&mut io, &mut incoming).await?;
    let program: String =
        said.settings.get("application_name").unwrap_or_default().chars().take(LONGEST_PROGRAM).collect();
    let call = Call::to_postgres(&wire.kernel.settings, peer.ip().to_canonical(), program);
    let admitted = admit(wire, &call, &said, &password).await;
    drop(password);
    let (actor, seat, database) = match admitted {
        Ok(admitted) => admitted,
        Err(problem) => return tell(&mut io, &Problem { is_fatal: true, ..problem }).await,
    };
    incoming.signed_in();
    let ticket = wire.cancels.ticket(wire.kernel.entropy.as_ref());
    let mut out = Outgoing::default();
    out.signed_in();
    for name in REPORTED {
        out.parameter(name, said.settings.get(name).unwrap_or_default());
    }
    out.parameter("session_authorization", &said.user);
    out.key(ticket.number, ticket.secret);
    for text in &database.notices {
        out.notice("01000", text);
    }
    out.ready(Transaction::Idle);
    io.write_all(&out.bytes).await?;
    io.flush().await?;
    let call = call.caused_by((&actor).into());
    let Introduction { user, settings, .. } = said;
    let session = Session { io, incoming, actor, call, user, database, settings, ticket, seat };
    Ok(Opened::Session(Box::new(session)))
}

async fn read_password(io: &mut Io, incoming: &mut Incoming) -> io::Result<Secret> {
    loop {
        if let Some((kind, body)) = incoming.take().map_err(invalid)? {
            return match frontend::message(kind, &body).map_err(invalid)? {
                Message::Password(password) => Ok(password),
                _ => Err(invalid(Malformed("a client does not answer with its password"))),
            };
        }
        if incoming.fill(io).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn admit(
    wire: &Wire,
    call: &Call,
    said: &Introduction,
    password: &Secret,
) -> Result<(Actor, Seat, Database), Problem> {
    let actor = sign_in(wire, call, &said.user, password).await?;
    let most = wire.settings.connections_per_account;
    let seat = wire.seats.take(actor.session().account, most).ok_or_else(|| {
        Problem::fatal("53300", format!("The account has {most} connections already; close some of them."))
    })?;
    let queryable = wire.prompts.queryable(&actor).await?;
    let database = Database::find(&said.database, &said.user, &queryable)?;
    Ok((actor, seat, database))
}
