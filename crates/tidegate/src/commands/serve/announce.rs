//! What a server says when it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::Uri;
use serde_json::json;
use tidegate_identity::settings::DeliveryMode;

use crate::config::{Config, LogFormat};
use crate::logging;
use crate::output::{print_json, print_line, tell};
use crate::secrets::open_to_others;

/// Where somebody on this machine reaches what is served at `address`.
pub(super) fn base_url(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}

/// Tells programs on standard output, and people or the log on standard error, what is served and where.
pub(super) fn announce(config: &Config, address: SocketAddr, as_json: bool) {
    let local = base_url(address);
    match logging::format(config) {
        LogFormat::Text => {
            for line in overview(config, &local) {
                tell(&line);
            }
        }
        LogFormat::Json => tracing::info!(%address, url = public_url(config, &local), "serving"),
    }
    for warning in warnings(config, address) {
        tracing::warn!("{warning}");
    }
    // The socket accepts connections already, so whoever waits for this line can connect at once.
    let listening = format!("http://{address}");
    if as_json {
        print_json(&json!({"listening": listening}));
    } else {
        print_line(&format!("listening on {listening}"));
    }
}

fn public_url<'a>(config: &'a Config, local: &'a str) -> &'a str {
    config.public_url.as_deref().unwrap_or(local).trim_end_matches('/')
}

fn overview(config: &Config, local: &str) -> Vec<String> {
    let public = public_url(config, local);
    let mut lines = vec![
        format!("Tidegate {} serves", env!("CARGO_PKG_VERSION")),
        format!("  RiverGen API     {public}/api/v1"),
        format!("  IngestIQ API     {public}/api/v2"),
        format!("  API description  {public}/openapi.json, for people {public}/docs"),
        format!("  Health           {local}/healthz, {local}/readyz, {local}/metrics"),
    ];
    if config.mail_mode() == DeliveryMode::Keep {
        let data_dir = match &config.data_dir {
            usual if *usual == Config::default().data_dir => String::new(),
            other => format!(" --data-dir {}", other.display()),
        };
        lines.push(format!(
            "  Mail kept here   {local}/dev/outbox, or: tidegate outbox code --to ADDRESS{data_dir}"
        ));
    }
    lines.push(format!("  Database         {}", config.database_url()));
    lines
}

/// What an operator should know before users do.
fn warnings(config: &Config, address: SocketAddr) -> Vec<String> {
    let mut warnings = Vec::new();
    match config.mail_mode() {
        DeliveryMode::Off => warnings.push(
            "no mail provider is configured: sign-up with e-mail verification, password reset and changes of e-mail \
             addresses are refused. Set [mail.smtp] (host, from, username, password), or serve with --dev to read \
             mails here"
                .to_owned(),
        ),
        DeliveryMode::Keep => warnings.push(
            "development mode: mails are not sent, and whoever can run `tidegate outbox` here reads everybody's codes"
                .to_owned(),
        ),
        DeliveryMode::Send => {}
    }
    match &config.public_url {
        Some(url) if !is_secure(url) => warnings.push(format!(
            "public_url is {url}: without https, passwords and tokens cross the network readable for others"
        )),
        None if !address.ip().is_loopback() => warnings.push(format!(
            "public_url is not set: links in mails and the tokens' issuer say {}; set it to where clients reach this \
             server",
            base_url(address)
        )),
        _ => {}
    }
    if config.uses_data_dir()
        && let Ok(Some(mode)) = open_to_others(&config.data_dir)
    {
        warnings.push(format!(
            "the data directory {} can be reached by others (mode {mode:04o}): run `chmod 700` on it",
            config.data_dir.display()
        ));
    }
    warnings
}

/// Whether nobody on the way can read along: https, or this machine alone.
pub(crate) fn is_secure(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("https")
        || host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_reached_from_this_machine_at_loopback() {
        let url = |address: &str| base_url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:8080"), "http://[::1]:8080");
        assert_eq!(url("192.0.2.7:80"), "http://192.0.2.7:80");
    }

    #[test]
    fn plain_http_is_secure_on_loopback_alone() {
        for url in
            ["https://id.example.com", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"]
        {
            assert!(is_secure(url), "{url}");
        }
        for url in ["http://id.example.com", "http://192.0.2.7", "nonsense"] {
            assert!(!is_secure(url), "{url}");
        }
    }
}
