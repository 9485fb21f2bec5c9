//! What an operator is told where the installation is reached at another address than at its last start: what was issued names the old one.

use std::net::SocketAddr;

use tidegate_federation::SocialConfig;
use url::{Host, Url};

use super::base_url;
use crate::config::Config;
use crate::wiring::Opened;

/// Warns once of a public URL that is another one than at the last start, on whichever node that was.
pub(super) async fn warn_of_new_url(config: &Config, opened: &Opened) {
    let before = match opened.kernel.note_public_url().await {
        Ok(Some(before)) => before,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(%error, "it could not be noted at which public_url this server was started");
            return;
        }
    };
    let now = opened.kernel.settings().public_url.as_str();
    let is_chosen = config.public_url.is_some() || !is_this_machine(&before) || !is_this_machine(now);
    if is_chosen {
        tracing::warn!("{}", warning(config, &before, now));
    } else if config.dev {
        // A developer's server is on another port: nothing is wrong, and old tokens are refused all the same.
        tracing::info!("{}", note(config, &before, now));
    } else {
        tracing::warn!("{}", note(config, &before, now));
    }
}

/// What another listen address means where nobody chose a public URL.
fn note(config: &Config, before: &str, now: &str) -> String {
    let address = before.strip_prefix("http://").and_then(|address| address.parse::<SocketAddr>().ok());
    // On all addresses of the machine where it listens on all: who follows this keeps nobody out.
    let address = address.map(|address| {
        let here = SocketAddr::new(config.listen.ip(), address.port());
        if base_url(here) == before { here } else { address }
    });
    let back = match address {
        Some(address) => format!("--listen {address} goes back to the old one"),
        None => format!("public_url = \"{before}\" goes back to the old one"),
    };
    format!(
        "the issuer of tokens is {now}, where this server listens, and was {before} at the last start: access tokens of before are \
         refused here (refresh tokens go on), and what verifies tokens has to be told the new issuer. {back}; with public_url set, the \
         issuer is the same at every address"
    )
}

/// What the change breaks, and what to do about each.
fn warning(config: &Config, before: &str, now: &str) -> String {
    let mut broken = vec![
        format!(
            "access tokens that were issued until now are refused, as their iss is {before}: clients get new ones with their refresh \
             tokens"
        ),
        format!(
            "APIs and applications that verify tokens refuse all new ones until they are told the issuer {now}"
        ),
        "people sign in again at the sign-in pages".to_owned(),
    ];
    let party = |url: &str| config.passkeys_at(url).relying_party.ok().map(|party| party.id().to_owned());
    if let Some(old) = party(before)
        && party(now).as_ref() != Some(&old)
    {
        let host = Url::parse(now).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        let remedy = if host.ends_with(&format!(".{old}")) {
            format!("to keep them, set relying_party_id = \"{old}\" in [passkeys]")
        } else {
            "their owners sign in otherwise and register new ones".to_owned()
        };
        broken.push(format!("passkeys stop working, as they are bound to {old}: {remedy}"));
    }
    let providers = providers(&config.social);
    if !providers.is_empty() {
        broken.push(format!(
            "sign-ins by {} fail until the redirect URIs below {now} are registered there",
            providers.join(", ")
        ));
    }
    broken.push("links in mails that were sent work only as long as the old address leads here".to_owned());
    format!(
        "public_url was {before} at the last start and is {now} now. {}. If that was not meant, set public_url = \"{before}\" and start \
         again. This is said once for each change; docs/operations.md says more under \"Another public URL\"",
        broken.join("; ")
    )
}

/// The providers of social sign-in that are set up.
fn providers(social: &SocialConfig) -> Vec<&str> {
    let fixed = [
        ("github", social.github.is_some()),
        ("google", social.google.is_some()),
        ("microsoft", social.microsoft.is_some()),
        ("apple", social.apple.is_some()),
    ];
    let fixed = fixed.into_iter().filter_map(|(name, is_set_up)| is_set_up.then_some(name));
    fixed.chain(social.oidc.keys().map(String::as_str)).collect()
}

/// Whether nobody but this machine reaches it there.
pub(crate) fn is_this_machine(url: &str) -> bool {
    let parsed = Url::parse(url).ok();
    match parsed.as_ref().and_then(Url::host) {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use tidegate_federation::GithubConfig;

    use super::*;

    #[test]
    fn a_warning_names_both_addresses_and_what_breaks_here() {
        let mut config = Config::default();
        let told = warning(&config, "https://id.example.com", "https://login.example.com");
        for part in [
            "public_url was https://id.example.com at the last start and is https://login.example.com now. ",
            "refused, as their iss is https://id.example.com",
            "until they are told the issuer https://login.example.com",
            "bound to id.example.com: their owners sign in otherwise",
            "links in mails",
            "set public_url = \"https://id.example.com\"",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("redirect URIs"), "no provider is set up: {told}");
        config.social.github = Some(GithubConfig::default());
        let told = warning(&config, "https://example.com", "https://id.example.com");
        assert!(told.contains("sign-ins by github fail until"), "{told}");
        assert!(told.contains("set relying_party_id = \"example.com\" in [passkeys]"), "{told}");
        // Only the port, or the scheme: the domain is the same.
        let told = warning(&config, "https://id.example.com:8443", "https://id.example.com");
        assert!(!told.contains("passkeys"), "{told}");
    }

    #[test]
    fn another_port_that_nobody_chose_is_told_with_the_way_back() {
        let mut config = Config::default();
        let told = note(&config, "http://127.0.0.1:8080", "http://127.0.0.1:9000");
        for part in [
            "the issuer of tokens is http://127.0.0.1:9000, where this server listens",
            "was http://127.0.0.1:8080 at the last start: access tokens of before are refused here",
            "--listen 127.0.0.1:8080 goes back",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        // A name is no address to listen on.
        let told = note(&config, "http://localhost:8080", "http://127.0.0.1:9000");
        assert!(told.contains("public_url = \"http://localhost:8080\" goes back"), "{told}");
        // The URL is that of this machine, and others reach the server, too.
        config.listen = "0.0.0.0:9000".parse().unwrap();
        let told = note(&config, "http://127.0.0.1:8080", "http://127.0.0.1:9000");
        assert!(told.contains("--listen 0.0.0.0:8080 goes back"), "{told}");
        let told = note(&config, "http://[::1]:8080", "http://127.0.0.1:9000");
        assert!(told.contains("--listen [::1]:8080 goes back"), "{told}");
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:1", "http://localhost:8080"] {
            assert!(is_this_machine(url), "{url}");
        }
        for url in ["http://192.0.2.7:8080", "https://id.example.com", "nonsense"] {
            assert!(!is_this_machine(url), "{url}");
        }
    }
}
