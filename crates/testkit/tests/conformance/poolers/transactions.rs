//! A pooler in transaction mode: all its clients share one connection of the server, each for one transaction at a time. It knows
//! the prepared statements of its clients apart, as PgBouncer does from 1.21, and passes on to whoever has the connection
//! whatever the server sends on it.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// The code in which a client asks for TLS (PostgreSQL, "SSL session encryption").
const TLS_REQUEST: u32 = 80_877_103;

/// The connection of the server, once there is one, and what it said as it began.
#[derive(Default)]
struct Server {
    connection: Option<TcpStream>,
    greeting: Vec<u8>,
}

/// How a pooler differs from one that works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// In nothing.
    Whole,
    /// It does not know its clients' prepared statements apart.
    WithoutStatements,
    /// It refuses transactions.
    OfStatements,
}

/// Starts one; answers its port.
#[allow(dead_code, reason = "the program's tests start those alone that are refused")]
pub(super) fn pooler(upstream: String) -> u16 {
    start(upstream, Kind::Whole)
}

/// One that does not know prepared statements: PgBouncer before 1.21, or with `max_prepared_statements = 0`.
pub(super) fn pooler_without_statements(upstream: String) -> u16 {
    start(upstream, Kind::WithoutStatements)
}

/// One in statement mode, which refuses transactions of several statements.
pub(super) fn pooler_of_statements(upstream: String) -> u16 {
    start(upstream, Kind::OfStatements)
}

/// What a client begins with. TLS is not offered.
pub(super) fn startup_of(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    loop {
        let mut head = [0; 8];
        client.read_exact(&mut head)?;
        let [length, code] =
            [&head[..4], &head[4..]].map(|four| u32::from_be_bytes(four.try_into().unwrap()));
        if code == TLS_REQUEST {
            client.write_all(b"N")?;
            continue;
        }
        let mut rest = vec![0; length as usize - head.len()];
        client.read_exact(&mut rest)?;
        return Ok([head.as_slice(), &rest].concat());
    }
}

fn start(upstream: String, kind: Kind) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Arc::new(Mutex::new(Server::default()));
    thread::spawn(move || {
        for (number, client) in listener.incoming().flatten().enumerate() {
            let (server, upstream) = (Arc::clone(&server), upstream.clone());
            thread::spawn(move || drop(serve(client, (number, kind), &server, &upstream)));
        }
    });
    port
}

/// A message: its kind, and what follows the length.
fn read(from: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    from.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut body = vec![0; length as usize - 4];
    from.read_exact(&mut body)?;
    Ok((head[0], body))
}

fn written(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn serve(
    mut client: TcpStream,
    (number, pooling): (usize, Kind),
    server: &Mutex<Server>,
    upstream: &str,
) -> io::Result<()> {
    let startup = startup_of(&mut client)?;
    greet(&mut client, &mut server.lock().unwrap(), &startup, upstream)?;
    let mut turn: Option<MutexGuard<'_, Server>> = None;
    while let Ok((kind, body)) = read(&mut client) {
        if kind == b'X' {
            break;
        }
        if pooling == Kind::OfStatements && kind == b'Q' && body.to_ascii_lowercase().starts_with(b"begin") {
            let fields = b"SFATAL\0C08P01\0Mtransaction blocks not allowed in statement pooling mode\0\0";
            return client.write_all(&written(b'E', fields));
        }
        let body = if pooling == Kind::WithoutStatements { body } else { renamed(kind, body, number) };
        let held = turn.take().unwrap_or_else(|| server.lock().unwrap());
        let mut connection = held.connection.as_ref().unwrap().try_clone()?;
        connection.write_all(&written(kind, &body))?;
        let is_over = matches!(kind, b'S' | b'Q') && answer(&mut connection, Some(&mut client))?;
        turn = (!is_over).then_some(held);
    }
    if let Some(held) = turn {
        let mut connection = held.connection.as_ref().unwrap().try_clone()?;
        connection.write_all(&written(b'Q', b"rollback\0"))?;
        answer(&mut connection, None)?;
    }
    Ok(())
}

/// The first client signs in at the server; the others are told what it was told.
fn greet(client: &mut TcpStream, server: &mut Server, startup: &[u8], upstream: &str) -> io::Result<()> {
    if server.connection.is_some() {
        return client.write_all(&server.greeting);
    }
    let mut connection = TcpStream::connect(upstream)?;
    connection.write_all(startup)?;
    loop {
        let (kind, body) = read(&mut connection)?;
        let message = written(kind, &body);
        client.write_all(&message)?;
        match (kind, body.get(3)) {
            // "AuthenticationSASLFinal" wants no answer; others, but for "AuthenticationOk", do.
            (b'R', Some(12)) => {}
            (b'R', Some(code)) if *code != 0 => {
                let (kind, body) = read(client)?;
                connection.write_all(&written(kind, &body))?;
            }
            _ => server.greeting.extend(message),
        }
        if kind == b'Z' {
            server.connection = Some(connection);
            return Ok(());
        }
    }
}

/// Passes on what the server sends until it is ready; answers whether no transaction is open then.
fn answer(connection: &mut TcpStream, mut client: Option<&mut TcpStream>) -> io::Result<bool> {
    loop {
        let (kind, body) = read(connection)?;
        if let Some(client) = client.as_mut() {
            client.write_all(&written(kind, &body))?;
        }
        if kind == b'Z' {
            return Ok(body == b"I");
        }
    }
}

/// Statements have names of their client's own.
fn renamed(kind: u8, body: Vec<u8>, number: usize) -> Vec<u8> {
    let at = match (kind, body.first()) {
        (b'P', _) => 0,
        (b'B', _) => body.iter().position(|byte| *byte == 0).unwrap() + 1,
        (b'D' | b'C', Some(b'S')) => 1,
        _ => return body,
    };
    match body.get(at) {
        None | Some(0) => body,
        Some(_) => [&body[..at], format!("client{number}_").as_bytes(), &body[at..]].concat(),
    }
}
