//! Tunnels through an SSH server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Disconnect, MethodKind};

use crate::error::{ErrorCode, SourceError, within};
use crate::network::dial::Wire;
use crate::network::{NetworkPolicy, bare_host};
use crate::settings::{Credentials, SshSettings};

mod forward;

/// An authenticated connection to an SSH server, through which streams to other servers go.
pub(crate) struct Tunnel {
    session: Arc<Handle<Keeper>>,
    /// The near ends, for drivers that open their sockets themselves.
    listeners: tokio::sync::Mutex<Vec<forward::Listener>>,
    local_port: Option<u16>,
    host_key: String,
    /// Whether the SSH server's own network may be reached; the metadata address behind it stays closed.
    policy: NetworkPolicy,
}

/// Accepts the key of the server if it is the pinned one, or if none is pinned, and remembers it.
struct Keeper {
    pinned: Option<PublicKey>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    key: Option<String>,
    refused: bool,
}

impl client::Handler for Keeper {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        // Certificates of hosts prove nothing without their authority, and none is configured.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let same = self.pinned.as_ref().is_none_or(|pinned| pinned.key_data() == key.key_data());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.key = bare(key).ok();
        seen.refused = !same;
        Ok(same)
    }
}

/// A key without its comment.
fn bare(key: &PublicKey) -> Result<String, SourceError> {
    let mut key = key.clone();
    key.set_comment("");
    key.to_openssh()
        .map(|text| text.trim().to_owned())
        .map_err(|error| failed("The SSH server's key is none.").with_detail(error))
}

fn failed(message: &str) -> SourceError {
    SourceError::new(ErrorCode::SshTunnel, message)
}

impl Tunnel {
    /// Connects, checks the server's key, and signs in by key or password.
    pub(crate) async fn open(
        ssh: &SshSettings,
        credentials: &Credentials,
        policy: &NetworkPolicy,
        limit: Duration,
    ) -> Result<Self, SourceError> {
        within(limit, "Opening the SSH tunnel", Self::opened(ssh, credentials, policy, limit)).await.map_err(
            |error| SourceError {
                code: ErrorCode::SshTunnel,
                message: match error.code {
                    ErrorCode::SshTunnel => error.message,
                    _ => format!("The SSH server cannot be used. {}", error.message),
                },
                detail: credentials.redact(&error.detail),
                names: Vec::new(),
                refused: None,
            },
        )
    }

    async fn opened(
        ssh: &SshSettings,
        credentials: &Credentials,
        policy: &NetworkPolicy,
        limit: Duration,
    ) -> Result<Self, SourceError> {
        let pinned = ssh.pinned_host_key.as_deref().map(PublicKey::from_openssh).transpose();
        let pinned = pinned
            .map_err(|error| failed("The pinned key of the SSH server is no key.").with_detail(error))?;
        let stream = policy.connect(&ssh.host, ssh.port, limit).await?;
        let config = client::Config {
            inactivity_timeout: None,
            keepalive_interval: Some(Duration::from_secs(30)),
            keepalive_max: 3,
            ..client::Config::default()
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let keeper = Keeper { pinned, seen: Arc::clone(&seen) };
        let connected = client::connect_stream(Arc::new(config), stream, keeper).await;
        let (key, refused) = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.key.clone(), seen.refused)
        };
        if refused {
            return Err(failed(
                "The SSH server has another key than the one that is pinned (ssh_host_key). If it was given a new one, send \
                 \"ssh_host_key\": \"\" with PATCH /api/v1/data-sources/{data_source_id}: the next key is pinned then. If not, another server \
                 is in its place.",
            ));
        }
        let mut session = connected
            .map_err(|error| failed(&SourceError::foreign("an SSH server").message).with_detail(error))?;
        sign_in(&mut session, ssh, credentials).await?;
        Ok(Self {
            session: Arc::new(session),
            listeners: tokio::sync::Mutex::default(),
            local_port: near_port(ssh.local_port, policy),
            host_key: key.unwrap_or_default(),
            policy: policy.clone(),
        })
    }

    /// A stream to a server that the SSH server reaches, by its name for it.
    pub(crate) async fn stream(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> Result<Box<dyn Wire>, SourceError> {
        let bare = allowed_behind(host, &self.policy)?;
        within(limit, "Connecting through the tunnel", async {
            let channel = forward::channel(&self.session, bare, port).await?;
            Ok(Box::new(channel.into_stream()) as Box<dyn Wire>)
        })
        .await
    }

    /// The near end of the tunnel to a server: a port of this machine, open while the tunnel is.
    pub(crate) async fn listen(&self, host: &str, port: u16) -> Result<SocketAddr, SourceError> {
        let bare = allowed_behind(host, &self.policy)?;
        let mut listeners = self.listeners.lock().await;
        if let Some(listener) = listeners.iter().find(|listener| listener.leads_to(bare, port)) {
            return Ok(listener.address);
        }
        let listener =
            forward::Listener::open(Arc::clone(&self.session), bare, port, self.local_port.unwrap_or(0))
                .await?;
        let address = listener.address;
        listeners.push(listener);
        Ok(address)
    }

    /// The server's key, to be pinned.
    pub(crate) fn host_key(&self) -> &str {
        &self.host_key
    }

    pub(crate) async fn close(&self) {
        self.listeners.lock().await.clear();
        let _ = self.session.disconnect(Disconnect::ByApplication, "", "").await;
    }
}

/// A host that the SSH server may be asked for. Its own network is open, that is what a tunnel is for; the address of its metadata is not.
fn allowed_behind<'a>(host: &'a str, policy: &NetworkPolicy) -> Result<&'a str, SourceError> {
    let bare = bare_host(host)?;
    if is_other_number(bare) {
        return Err(SourceError::connection("The host is not a name or an address."));
    }
    if let Ok(address) = bare.parse() {
        let behind = NetworkPolicy { allow_private: true, ..policy.clone() };
        if !behind.allows(address) {
            return Err(policy.out_of_bounds(format!("{address} behind the tunnel is closed")));
        }
    }
    Ok(bare)
}

/// Whether a text is an address in a form that servers take and that is not read here: `2852039166`, `0xa9fea9fe`, `169.254.43518`,
/// `169.254.169.254.`.
fn is_other_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_number = match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    };
    is_number && host.parse::<std::net::IpAddr>().is_err()
}

/// The port of this machine that a tunnel may have: the one that is asked for only where data sources may be on this machine anyway.
/// Who could choose one elsewhere could take that of a database here while it restarts, and be taken for it.
fn near_port(wanted: Option<u16>, policy: &NetworkPolicy) -> Option<u16> {
    wanted.filter(|_| policy.allows(std::net::Ipv4Addr::LOCALHOST.into()))
}

/// Why a private key cannot be read, as far as its text says.
fn unread(text: &str, has_passphrase: bool, error: &russh::keys::Error) -> &'static str {
    let text = text.trim();
    let is_encrypted = matches!(error, russh::keys::Error::KeyIsEncrypted) || text.contains("ENCRYPTED");
    if ["ssh-", "ecdsa-", "sk-"].iter().any(|begin| text.starts_with(begin)) {
        return "What was sent as credentials.ssh_private_key is a public key: the private one is in the file without .pub.";
    }
    if !text.contains("-----BEGIN ") && !text.starts_with("PuTTY-") {
        return "The SSH private key cannot be read: credentials.ssh_private_key is the text of its file, from -----BEGIN on, and not the \
                file's name.";
    }
    if !text.contains('\n') {
        return "The SSH private key cannot be read: its lines became one; in JSON each of them ends with \\n.";
    }
    if is_encrypted && !has_passphrase {
        return "The SSH private key is encrypted: its passphrase is credentials.ssh_passphrase.";
    }
    "The SSH private key cannot be read, or its passphrase is wrong."
}

async fn sign_in(
    session: &mut Handle<Keeper>,
    ssh: &SshSettings,
    credentials: &Credentials,
) -> Result<(), SourceError> {
    let broken = |error: russh::Error| {
        failed("The SSH server ended the connection while signing in.").with_detail(error)
    };
    let mut offered = None;
    if let Some(key) = &credentials.ssh_private_key {
        let passphrase = credentials.ssh_passphrase.as_ref().map(|secret| secret.expose());
        let key: PrivateKey = russh::keys::decode_secret_key(key.expose(), passphrase)
            .map_err(|error| failed(unread(key.expose(), passphrase.is_some(), &error)).with_detail(error))?;
        let hash = session.best_supported_rsa_hash().await.map_err(broken)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let answer = session.authenticate_publickey(&ssh.username, key).await.map_err(broken)?;
        if answer.success() {
            return Ok(());
        }
        offered = Some(answer);
    }
    let own = ssh.password.as_ref();
    // The password of the source is no secret for the SSH server unless there is nothing else to sign in with.
    let password =
        own.or_else(|| credentials.password.as_ref().filter(|_| credentials.ssh_private_key.is_none()));
    if let Some(password) = password {
        let answer = session.authenticate_password(&ssh.username, password.expose()).await.map_err(broken)?;
        if answer.success() {
            return Ok(());
        }
        offered = Some(answer);
    }
    Err(match offered {
        None => failed("There is neither a key nor a password for the SSH server."),
        Some(client::AuthResult::Failure { remaining_methods, .. })
            if remaining_methods.contains(&MethodKind::KeyboardInteractive)
                && remaining_methods.len() == 1 =>
        {
            failed("The SSH server asks questions, which nobody can answer here; use a key.")
        }
        Some(_) => failed("The SSH server refused the key or the password."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_chosen_only_where_this_machine_is_open() {
        let open = NetworkPolicy { allow_private: true, ..NetworkPolicy::default() };
        let listed =
            NetworkPolicy { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..NetworkPolicy::default() };
        assert_eq!(near_port(Some(5_432), &open), Some(5_432));
        assert_eq!(near_port(Some(5_432), &listed), Some(5_432));
        assert_eq!(near_port(Some(5_432), &NetworkPolicy::default()), None);
        assert_eq!(near_port(None, &open), None);
    }

    // `getaddrinfo` of the SSH server takes these for the metadata address: nothing of them is left to it.
    #[test]
    fn metadata_is_closed_behind_a_tunnel_however_it_is_written() {
        let policy = NetworkPolicy::default();
        for host in [
            "169.254.169.254",
            "[::ffff:169.254.169.254]",
            "::ffff:169.254.169.254%1",
            "fd00:ec2::254%1",
            "fe80::1%eth0",
            "169.254.169.254 x",
            " 169.254.169.254",
            "169.254.169.254\n",
            "169.254.169.254.",
            "2852039166",
            "64:ff9b::a9fe:a9fe",
            "",
        ] {
            assert_eq!(allowed_behind(host, &policy).unwrap_err().code, ErrorCode::Connection, "{host:?}");
        }
        for host in ["10.0.0.1", "[::1]", "localhost", "db.internal."] {
            assert!(allowed_behind(host, &policy).is_ok(), "{host}");
        }
    }

    #[test]
    fn addresses_have_one_form_behind_a_tunnel() {
        for host in [
            "2852039166",
            "0xa9fea9fe",
            "169.254.43518",
            "169.254.169.254.",
            "0251.0376.0251.0376",
            "a.0x1",
            "1.2.3.4.5",
        ] {
            assert!(is_other_number(host), "{host}");
        }
        for host in [
            "10.0.0.1",
            "::1",
            "fe80::1",
            "db",
            "db1",
            "1db",
            "db.internal",
            "10e.de",
            "x.0xyz",
            "localhost.",
        ] {
            assert!(!is_other_number(host), "{host}");
        }
    }
}
