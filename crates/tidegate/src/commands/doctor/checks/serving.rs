//! What is served, and what that takes of the machine: addresses, certificates, and the disk for queries.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::super::Finding;
use super::super::Verdict::{Fine, Warning};
use crate::commands::serve::{RENEW, check_tls, listen_advice, unnamed_proxy, untimely_certificate};
use crate::config::Config;
use crate::failure::Failure;
use crate::installation::{Served, served};
use crate::spilling::{self, Spilling};

/// Where this installation is served just now; else whether the address of HTTP is free.
pub(super) async fn listen(config: &Config) -> Finding {
    let name = "listen";
    let Served::At { address, .. } = served(config) else { return free(name, config.listen).await };
    let configured = config.listen.to_string();
    let detail = if address == configured {
        format!("this installation is served at {address}")
    } else {
        format!(
            "this installation is served at {address}; {configured} is what this command has for `listen`"
        )
    };
    Finding::new(name, Fine, detail)
}

/// The proxies that say for whom they ask.
pub(super) fn proxy(config: &Config) -> Finding {
    let name = "proxy";
    if let Some(warning) = unnamed_proxy(config) {
        return Finding::new(name, Warning, warning);
    }
    let networks: Vec<String> = config.http.trusted_proxies.iter().map(ToString::to_string).collect();
    let detail = if networks.is_empty() { "none is trusted".to_owned() } else { networks.join(", ") };
    Finding::new(name, Fine, detail)
}

/// The listener for PostgreSQL's protocol: its certificate, and its address.
pub(super) async fn pgwire(config: &Config) -> Finding {
    let name = "pgwire";
    let Some(address) = config.pgwire.listen else { return Finding::new(name, Fine, "off") };
    if let Err(failure) = check_tls(config) {
        return wrong(name, &failure);
    }
    let found = free(name, address).await;
    match untimely_certificate(config) {
        Some(what) => {
            Finding::new(name, Warning, format!("pgwire.tls_cert: {what}")).advised(RENEW).and(found)
        }
        None => found,
    }
}

/// Whether queries may use the disk.
pub(super) fn query_disk(config: &Config) -> Finding {
    let name = "query disk";
    match spilling::check(config) {
        Ok(Spilling::Off) => Finding::new(name, Fine, "not used"),
        Ok(Spilling::Later(directory)) => {
            Finding::new(name, Fine, format!("{}, once it is made", directory.display()))
        }
        Ok(Spilling::Ready { directory, is_memory: true }) => {
            Finding::new(name, Warning, spilling::in_memory(&directory))
        }
        Ok(Spilling::Ready { directory, .. }) => Finding::new(name, Fine, directory.display().to_string()),
        Ok(Spilling::Unusable { what, advice }) => Finding::new(name, Warning, what).advised(advice),
        Err(failure) => wrong(name, &failure),
    }
}

/// Which contracts are served, and where below the public address.
pub(super) fn contracts() -> Finding {
    let served: Vec<String> = tidegate_http::contracts()
        .iter()
        .map(|contract| {
            let prefixes = contract.mounts.iter().map(|mount| match mount.prefix {
                "" => "/",
                prefix => prefix,
            });
            format!("{} at {}", contract.title, prefixes.collect::<Vec<_>>().join(" and "))
        })
        .collect();
    Finding::new("contracts", Fine, served.join(", "))
}

async fn free(name: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::new(name, Fine, format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let detail =
                format!("{address} is in use: correct if tidegate serves there, otherwise choose another");
            Finding::new(name, Warning, detail)
        }
        Err(error) => Finding::wrong(name, format!("{address}: {error}"), listen_advice(&error)),
    }
}

fn wrong(name: &'static str, failure: &Failure) -> Finding {
    let (what, advice) = failure.parts();
    Finding::wrong(name, what, advice.unwrap_or("correct the setting"))
}
