//! What a server says when it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use axum::http::Uri;
use serde_json::json;
use tidegate_kernel::settings::DeliveryMode;

use crate::cli::GlobalFlags;
use crate::config::{Config, Loaded, LogFormat};
use crate::logging;
use crate::output::{print_line_aside, tell};
use crate::secrets::{chmod, open_to_others};

/// The command that reads codes beside this server.
const READ_CODES: &str = "`tidegate outbox code --to ADDRESS`";

/// The URL of `address` for clients on this machine.
pub(crate) fn base_url(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    format!("http://{}", SocketAddr::new(host, address.port()))
}

/// Tells programs on standard output, and people or the log on standard error, what is served and where.
pub(super) fn announce(loaded: &Loaded, address: SocketAddr, global: &GlobalFlags) {
    let config = &loaded.config;
    let local = base_url(address);
    match logging::format(config) {
        LogFormat::Text => {
            for line in overview(config, address) {
                tell(&line);
            }
        }
        LogFormat::Json => {
            let (url, broker) = (public_url(config, &local), config.broker_name());
            tracing::info!(%address, url, broker, "serving");
        }
    }
    let unread = loaded.unread.iter().map(|(_, text)| text.clone());
    for warning in warnings(config, address).into_iter().chain(unread) {
        tracing::warn!("{warning}");
    }
    // The socket accepts connections already, so a program that waits for this line can connect at once.
    let listening = format!("http://{address}");
    print_line_aside(if global.json {
        json!({"listening": listening}).to_string()
    } else {
        format!("listening on {listening}")
    });
}

fn public_url<'a>(config: &'a Config, local: &'a str) -> &'a str {
    config.public_url.as_deref().unwrap_or(local)
}

fn overview(config: &Config, address: SocketAddr) -> Vec<String> {
    let local = base_url(address);
    let public = public_url(config, &local);
    let mut lines = vec![format!("Tidegate {} serves", env!("CARGO_PKG_VERSION"))];
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<22}  {text}"));
    row("Start page", format!("{public}/"));
    for contract in tidegate_http::contracts() {
        let bases = contract.mounts.iter().map(|mount| format!("{public}{}", mount.prefix));
        row(&format!("{} API", contract.title), bases.collect::<Vec<_>>().join(", "));
    }
    row("API documentation", format!("{public}/docs, {public}/openapi.json"));
    row("Health", format!("{local}/healthz, {local}/readyz, {local}/metrics"));
    let (keeps_mail, keeps_sms) = kept(config);
    let read_by = if serves_outbox(address) {
        format!("{local}/dev/outbox, or: {READ_CODES}")
    } else {
        READ_CODES.to_owned()
    };
    match (keeps_mail, keeps_sms) {
        (true, true) => row("Mail and SMS outbox", read_by),
        (true, false) => row("Mail outbox", read_by),
        (false, true) => row("SMS outbox", read_by),
        (false, false) => {}
    }
    if let Ok(party) = config.passkeys_at(public).relying_party {
        // Browsers bind passkeys to no IP address: this machine is called by its name.
        let page = format!("http://localhost:{}/dev/passkeys", address.port());
        let tried_at =
            if serves_outbox(address) && (keeps_mail || keeps_sms) { page } else { public.to_owned() };
        row("Passkeys", format!("bound to {}; {tried_at}", party.id()));
    }
    row("Database", config.database_url().to_string());
    let broker = config.broker_name();
    row(
        "Brokerage",
        match config.broker.alpaca {
            Some(_) => broker.to_owned(),
            None => format!("{broker}: no real accounts are opened; set [broker.alpaca] for real ones"),
        },
    );
    lines
}

/// Whether kept messages can be read at `/dev/outbox`: only where the listener is on loopback. On any other address,
/// clients may look like this machine: those of a container's published ports do.
pub(super) fn serves_outbox(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Whether mails stay here to be read, and whether text messages do.
fn kept(config: &Config) -> (bool, bool) {
    (config.mail_mode() == DeliveryMode::Keep, config.sms_mode() == DeliveryMode::Keep)
}

/// What an operator should know before users do.
fn warnings(config: &Config, address: SocketAddr) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.mail_mode() == DeliveryMode::Off {
        let page = if config.browser.sign_up {
            ". The page /sign-up ([browser] sign_up) is shown all the same, and refuses everybody"
        } else {
            ""
        };
        warnings.push(format!(
            "no mail provider is configured: sign-up with e-mail verification, password reset and changes of e-mail \
             addresses are refused. Set [mail.smtp] (host, from, username, password), or serve with --dev to read \
             mails here{page}"
        ));
    }
    if config.sms_mode() == DeliveryMode::Off {
        warnings.push(
            "no SMS provider is configured: sign-up and sign-in by phone are refused. Set [sms.africas_talking], \
             [sms.twilio] or [sms.webhook], or serve with --dev to read text messages here"
                .to_owned(),
        );
    }
    warnings.extend(development_warning(config, address));
    warnings.extend(config.cut_lifetimes().into_iter().chain(config.short_lifetimes()));
    if config.opens_sandbox_accounts_for_real_phones() {
        warnings.push(
            "people can sign in by phone, but the embedded sandbox opens their brokerage accounts: no real \
             accounts are opened. Set [broker.alpaca]"
                .to_owned(),
        );
    }
    match &config.public_url {
        Some(url) if !is_secure(url) => {
            let pages = if config.dev { "" } else { ", and browsers do not keep the cookies of the sign-in pages" };
            warnings.push(format!(
                "public_url is {url}: without https, passwords and tokens cross the network unencrypted{pages}"
            ));
        }
        None if !address.ip().is_loopback() => warnings.push(format!(
            "public_url is not set: links in mails and the issuer of tokens use {}; set it to the URL at which clients reach this \
             server",
            base_url(address)
        )),
        _ => {}
    }
    let path = config.public_url.as_deref().and_then(below_a_path);
    warnings.extend(path.map(|warning| format!("public_url is {warning}")));
    warnings.extend(unnamed_proxy(config));
    warnings.extend(missing_directory(&std::env::temp_dir()));
    if config.uses_data_dir()
        && let Ok(Some(mode)) = open_to_others(&config.data_dir)
    {
        warnings.push(format!(
            "the data directory {} is accessible to other users (mode {mode:04o}): {}",
            config.data_dir.display(),
            chmod("700", &config.data_dir)
        ));
    }
    warnings
}

/// That temporary files cannot be made.
fn missing_directory(temporary: &Path) -> Option<String> {
    (!temporary.is_dir()).then(|| {
        format!(
            "{}, where temporary files are to be, is no directory: data sources cannot be read. Make it, or name another in TMPDIR",
            temporary.display()
        )
    })
}

/// That messages are kept here, and who can read them.
fn development_warning(config: &Config, address: SocketAddr) -> Option<String> {
    let messages = match kept(config) {
        (true, true) => "mails and text messages",
        (true, false) => "mails",
        (false, true) => "text messages",
        (false, false) => return None,
    };
    let page = if serves_outbox(address) {
        format!("or open {}/dev/outbox ", base_url(address))
    } else {
        String::new()
    };
    Some(format!(
        "development mode: {messages} are not sent. Any user of this machine who can run `tidegate outbox` {page}reads all \
         codes"
    ))
}

/// What is to be known where `public_url` has a path.
pub(crate) fn below_a_path(url: &str) -> Option<String> {
    let uri = url.parse::<Uri>().ok()?;
    let path = uri.path().trim_end_matches('/');
    if path.is_empty() {
        return None;
    }
    Some(format!(
        "{url}: this server answers at / and not below {path}, so what discovery and links name is not found. A proxy has to \
         take {path} away before it passes requests on, and even so the sign-in pages, whose own links begin at /, need a host of their own: \
         leave {path} out"
    ))
}

/// What is to be known where clients speak TLS, which a proxy takes off, and no proxy is named.
pub(crate) fn unnamed_proxy(config: &Config) -> Option<String> {
    let is_https = config.public_url.as_deref().is_some_and(|url| url.starts_with("https:"));
    (is_https && config.http.trusted_proxies.is_empty()).then(|| {
        "requests come through a proxy, since public_url is https: have it send X-Forwarded-For and set http.trusted_proxies, or all \
         people count as one address"
            .to_owned()
    })
}

/// Whether the connection is private: https, or loopback.
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
    use tidegate_delivery::{SmsConfig, SmtpConfig};

    use super::*;

    #[test]
    fn every_address_is_reached_from_this_machine_at_loopback() {
        let url = |address: &str| base_url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:8080"), "http://[::1]:8080");
        assert_eq!(url("192.0.2.7:80"), "http://192.0.2.7:80");
    }

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    fn loopback() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))
    }

    fn smtp() -> SmtpConfig {
        serde_json::from_value(json!({"host": "a.example", "from": "a@b.cd"})).unwrap()
    }

    fn sms() -> SmsConfig {
        let webhook = json!({"url": "https://sms.example.com", "secret": "0123456789abcdef"});
        serde_json::from_value(json!({ "webhook": webhook })).unwrap()
    }

    #[test]
    fn every_contract_that_is_served_is_announced() {
        let told = overview(&Config::default(), loopback()).join("\n");
        for contract in tidegate_http::contracts() {
            assert!(told.contains(&format!("\n  {} API ", contract.title)), "{told}");
        }
    }

    #[test]
    fn people_are_told_what_is_served_and_what_stays_here() {
        let told = |config: &Config| overview(config, loopback()).join("\n");
        let plain = told(&Config::default());
        for line in [
            "\n  Start page              http://127.0.0.1:8080/\n",
            "\n  RiverGen API            http://127.0.0.1:8080/api/v1\n",
            "\n  IngestIQ API            http://127.0.0.1:8080/api/v2\n",
            "\n  Crossing Minds API      http://127.0.0.1:8080/v1, http://127.0.0.1:8080\n",
            "\n  Riven API               http://127.0.0.1:8080/api/v1\n",
            "\n  Brokerage               embedded sandbox: no real accounts are opened; set [broker.alpaca] for real ones",
        ] {
            assert!(plain.contains(line), "{line}: {plain}");
        }
        assert!(!plain.contains("outbox"), "{plain}");

        let dev = told(&config(|config| config.dev = true));
        assert!(
            dev.contains("\n  Mail and SMS outbox     http://127.0.0.1:8080/dev/outbox, or: `tide"),
            "{dev}"
        );
        let texts_alone = told(&config(|config| {
            config.dev = true;
            config.mail.smtp = Some(smtp());
        }));
        let line = "\n  SMS outbox              http://127.0.0.1:8080/dev/outbox, or: `tidegate outbox code --to ADDRESS`\n";
        assert!(texts_alone.contains(line), "{texts_alone}");
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080));
        let reachable = overview(&config(|config| config.dev = true), everywhere).join("\n");
        let line = "\n  Mail and SMS outbox     `tidegate outbox code --to ADDRESS`\n";
        assert!(reachable.contains(line), "there is no page: {reachable}");
        let alpaca = told(&config(|config| {
            let alpaca = json!({"environment": "production", "key": "k", "secret": "hunter2"});
            config.broker.alpaca = serde_json::from_value(alpaca).unwrap();
        }));
        assert!(alpaca.ends_with("  Brokerage               Alpaca (production)"), "{alpaca}");
    }

    #[test]
    fn operators_are_warned_of_what_will_be_refused_or_is_not_real() {
        let warned = |change: fn(&mut Config)| -> Vec<String> {
            let begin = |warning: &String| warning.split([':', ',']).next().unwrap_or_default().to_owned();
            let mut config = config(change);
            // Where tests run there may be one.
            config.data_dir = "/nowhere".into();
            warnings(&config, loopback()).iter().map(begin).collect()
        };
        assert_eq!(
            warned(|_| {}),
            ["no mail provider is configured", "no SMS provider is configured"],
            "nothing about a broker where sign-in by phone is off"
        );
        let with_page = warnings(&config(|config| config.browser.sign_up = true), loopback());
        assert!(with_page[0].contains("mails here. The page /sign-up"), "{with_page:?}");
        let dev = warnings(&config(|config| config.dev = true), loopback());
        assert!(dev[0].starts_with("development mode: mails and text messages are not sent"), "{dev:?}");
        assert!(dev[0].contains("http://127.0.0.1:8080/dev/outbox"), "it names the page: {dev:?}");
        assert_eq!(dev.len(), 1);
        assert_eq!(
            warned(|config| {
                config.mail.smtp = Some(smtp());
                config.sms = sms();
            }),
            ["people can sign in by phone"]
        );
        assert_eq!(
            warned(|config| {
                config.mail.smtp = Some(smtp());
                config.sms = sms();
                config.dev = true;
            }),
            [] as [&str; 0]
        );
    }

    #[test]
    fn a_public_url_with_a_path_is_warned_of() {
        assert_eq!(below_a_path("https://id.example.com"), None);
        assert_eq!(below_a_path("https://id.example.com/"), None);
        let with_path = config(|config| config.public_url = Some("https://example.com/auth".to_owned()));
        let warned = warnings(&with_path, loopback()).join("\n");
        let told = "public_url is https://example.com/auth: this server answers at / and not below /auth, so";
        assert!(warned.contains(told), "{warned}");
    }

    #[test]
    fn a_proxy_that_is_not_named_is_warned_of_where_clients_speak_tls() {
        let warned = |url: &str, proxies: &[&str]| {
            let mut config = Config { public_url: Some(url.to_owned()), ..Config::default() };
            config.http.trusted_proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
            warnings(&config, loopback())
                .iter()
                .any(|warning| warning.starts_with("requests come through a proxy"))
        };
        assert!(warned("https://id.example.com", &[]));
        assert!(!warned("https://id.example.com", &["10.0.0.0/8"]));
        assert!(!warned("http://localhost:8080", &[]));
        assert_eq!(unnamed_proxy(&Config::default()), None);
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
