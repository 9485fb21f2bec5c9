//! Values that are of the right kind and still make no sense.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::Authority;
use axum::http::{HeaderName, Uri};
use tidegate_broker::AlpacaConfig;
use tidegate_brokerage::operator_fields::OPERATOR_FIELDS;
use tidegate_crypto::webauthn::RelyingPartyError;
use tidegate_crypto::{MasterKey, PasswordHasher, PasswordScheme, Pepper};
use tidegate_database::DatabaseUrl;
use tidegate_delivery::sms::{Receipts, SmsConfigError};
use tidegate_delivery::{ConfigError, SmsProviders, Smtp, SmtpConfig};
use tidegate_domain::{ContractProfile, RegistrationMode, Scopes};
use tidegate_federation::{Federation, SocialConfigError};
use url::Url;

use super::brand::languages;
use super::load::Reader;
use super::log_filter::read_log_filter;
use super::reading::Mistake;
use super::{Loaded, PasswordHash, PepperEntry, SecretText};
use crate::clock::SystemClock;
use crate::secrets::MAKE_MASTER_KEY;

/// Less than this holds no request of any contract.
const SMALLEST_BODY: usize = 1024;
/// Less than this refuses some for good.
const LARGEST_UPLOAD: usize = 16 * 1024 * 1024;

/// What is said of a duration of nothing.
const NO_SECOND: &str = "must be at least 1 second";

impl Loaded {
    /// All that keeps a configuration from working for who reads it.
    pub(super) fn mistakes(&self, reader: Reader) -> Vec<Mistake> {
        let config = &self.config;
        let mut mistakes = Vec::new();
        let mut check = |key: &str, verdict: Result<(), String>| {
            if let Err(what) = verdict {
                mistakes.push(self.mistake(key, what));
            }
        };
        check("public_url", each(&config.public_url, |url| base_url(url)));
        check("product", line(&config.product));
        check("master_key", each(&config.master_key, master_key));
        check("previous_master_keys", each(&config.previous_master_keys, master_key));
        check("pepper", each(&config.pepper, pepper));
        check("previous_peppers", each(&config.previous_peppers, pepper));
        check("password_hash", config.password_hash.check());
        check("hash_pool.threads", each(&config.hash_pool.threads, |n| at_least(*n, 1)));
        check("hash_pool.queue", each(&config.hash_pool.queue, |n| at_least(*n, 1)));
        check("database_connections", each(&config.database_connections, |n| at_least(*n, 1)));
        check("links.verify_email", each(&config.links.verify_email, |link| link_template(link)));
        check("links.reset_password", each(&config.links.reset_password, |link| link_template(link)));
        check("links.sign_in", each(&config.links.sign_in, |link| web_page(link)));
        check("storage", config.storage.check());
        check("storage_limits.file_bytes", at_least(config.storage_limits.file_bytes, 1));
        check("brand", config.brand.load().map(drop));
        check("links.redirect_hosts", each(&config.links.redirect_hosts, |host| web_host(host)));
        check("http.deadline", lifetime(config.http.deadline));
        check("http.idle_timeout", lifetime(config.http.idle_timeout));
        check("http.connections_per_network", at_least(config.http.connections_per_network, 1));
        check("http.write_timeout", lifetime(config.http.write_timeout));
        check("http.connection_age", lifetime(config.http.connection_age));
        check("http.max_body", at_least(config.http.max_body, SMALLEST_BODY));
        check("http.uploads", at_least(config.http.uploads, LARGEST_UPLOAD));
        check("http.cors_origins", each(&config.http.cors_origins, |origin| web_origin(origin).map(drop)));
        check("http.cors_headers", each(&config.http.cors_headers, |name| header_name(name)));
        check("data", config.data.check());
        check("ops.hosts", each(&config.ops.hosts, |host| host_name(host)));
        check("log.filter", each(&config.log.filter, |filter| read_log_filter(filter).map(drop)));
        check("mail.smtp", each(&config.mail.smtp, |smtp| mail_server(smtp, reader)));
        let countries = config.phone.countries.len();
        check("phone.countries", require(countries > 0, || "must name a country: [\"KE\"]".to_owned()));
        let alpaca = |alpaca: &AlpacaConfig| alpaca.check().map_err(|error| error.to_string());
        check("broker.forwarded_fields", each(&config.broker.forwarded_fields, operator_field));
        check("broker.alpaca", each(&config.broker.alpaca, alpaca));
        self.check_paths(&mut mistakes);
        self.check_listeners(&mut mistakes);
        self.check_passkeys(&mut mistakes);
        self.check_outgoing(reader, &mut mistakes);
        self.check_lifetimes(&mut mistakes);
        mistakes.extend(self.limits_without_window().iter().map(|key| self.mistake(key, NO_SECOND)));
        for SmsConfigError { setting, reason } in self.sms_mistakes() {
            mistakes.push(self.mistake(&format!("sms.{setting}"), reason));
        }
        for profile in config.contracts.iter() {
            self.check_profile(profile, &mut mistakes);
        }
        mistakes
    }

    /// Whether notifications can be heard at that address.
    fn listens(&self, listen: &DatabaseUrl) -> Result<(), String> {
        let both = matches!(
            (listen, self.config.database_url()),
            (DatabaseUrl::Postgres(_), DatabaseUrl::Postgres(_))
        );
        require(both, || "must be a PostgreSQL address, beside one in `database`".to_owned())
    }

    /// Files and directories that a shell would have found elsewhere.
    fn check_paths(&self, mistakes: &mut Vec<Mistake>) {
        let config = &self.config;
        let database = config.database.as_ref().and_then(|database| database.0.file());
        for (key, verdict) in [
            ("data_dir", whole_path(&config.data_dir)),
            ("database", each(&database, |path| whole_path(path))),
            ("mail.templates_dir", each(&config.mail.templates_dir, |path| whole_path(path))),
            ("storage.directory", each(&config.storage.directory, |path| whole_path(path))),
            (
                "languages_dir",
                each(&config.languages_dir, |path| whole_path(path))
                    .and_then(|()| languages(config.languages_dir.as_deref()).map(drop)),
            ),
        ] {
            if let Err(what) = verdict {
                mistakes.push(self.mistake(key, what));
            }
        }
    }

    /// Addresses at which this program listens, and how many connections there are.
    fn check_listeners(&self, mistakes: &mut Vec<Mistake>) {
        let config = &self.config;
        for (key, verdict) in [
            ("database_listen", each(&config.database_listen, |listen| self.listens(&listen.0))),
            ("http.connections", at_least(config.http.connections, 1)),
            ("pgwire", config.pgwire.check()),
            ("pgwire.listen", each(&config.pgwire.listen, |address| apart(*address, config.listen))),
        ] {
            if let Err(what) = verdict {
                mistakes.push(self.mistake(key, what));
            }
        }
    }

    fn check_passkeys(&self, mistakes: &mut Vec<Mistake>) {
        let passkeys = &self.config.passkeys;
        for (key, verdict) in [
            ("allowed_authenticators", passkeys.models().map(drop)),
            ("relying_party_name", each(&passkeys.relying_party_name, |name| line(name))),
        ] {
            if let Err(what) = verdict {
                mistakes.push(self.mistake(&format!("passkeys.{key}"), what));
            }
        }
        if let Err(error) = self.config.relying_party_as_configured() {
            let is_of_id =
                passkeys.relying_party_id.is_some() && matches!(error, RelyingPartyError::NotADomain(_));
            let key = if is_of_id { "passkeys.relying_party_id" } else { "passkeys.origins" };
            mistakes.push(self.mistake(key, error));
        }
    }

    /// Makes the models and the providers of sign-in, which reads their keys and connects to nothing. Commands sign nobody in.
    fn check_outgoing(&self, reader: Reader, mistakes: &mut Vec<Mistake>) {
        if let Err(what) = self.config.prompts.check() {
            mistakes.push(self.mistake("prompts", what));
        }
        if reader == Reader::Command {
            return;
        }
        let made = Federation::new(&self.config.social, Arc::new(SystemClock));
        if let Err(SocialConfigError { setting, reason }) = made {
            mistakes.push(self.mistake(&format!("social.{setting}"), reason));
        }
    }

    /// Times that no profile has.
    fn check_lifetimes(&self, mistakes: &mut Vec<Mistake>) {
        let config = &self.config;
        let mut check = |key: &str, verdict: Result<(), String>| {
            if let Err(what) = verdict {
                mistakes.push(self.mistake(key, what));
            }
        };
        let oauth = &config.oauth;
        check("oauth.pushed_request_lifetime", lifetime(oauth.pushed_request_lifetime));
        check("oauth.registration.unused_for", lifetime(oauth.registration.unused_for));
        let scopes = Scopes::requested(oauth.registration.scopes.iter().map(String::as_str));
        check("oauth.registration.scopes", scopes.map(drop).map_err(|error| error.to_string()));
        let needs_home =
            oauth.registration.mode == RegistrationMode::Open || oauth.registration.client_id_documents;
        let is_homeless = needs_home && oauth.registration.organization.is_none();
        check(
            "oauth.registration.organization",
            require(!is_homeless, || {
                "is needed: the number of the organization whose applications they become".to_owned()
            }),
        );
        check("riven.token_lifetime", lifetime(config.riven.token_lifetime));
        check("riven.code_lifetime", lifetime(config.riven.code_lifetime));
        check("riven.email_link_lifetime", lifetime(config.riven.email_link_lifetime));
        check("factor_resets.delay", lifetime(config.factor_resets.delay));
        check("audit.keep", lifetime(config.audit.keep));
        check("audit.keep_without_account", lifetime(config.audit.keep_without_account));
    }

    /// One of the providers' and one of their receipts'.
    fn sms_mistakes(&self) -> Vec<SmsConfigError> {
        let sms = &self.config.sms;
        [SmsProviders::from_config(sms).map(drop), Receipts::new(sms).map(drop)]
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    fn check_profile(&self, profile: &ContractProfile, mistakes: &mut Vec<Mistake>) {
        let mut check = |key: &str, verdict: Result<(), String>| {
            if let Err(what) = verdict {
                mistakes.push(self.mistake(&format!("{}.{key}", profile.contract), what));
            }
        };
        check("access_token_lifetime", lifetime(profile.access_token_lifetime));
        check("session.lifetime", lifetime(profile.session.lifetime));
        check("session.remembered_lifetime", lifetime(profile.session.remembered_lifetime));
        check("refresh.lifetime", lifetime(profile.refresh.lifetime));
        check("codes.verify_email", lifetime(profile.codes.verify_email));
        check("codes.change_email", lifetime(profile.codes.change_email));
        check("codes.reset_password", lifetime(profile.codes.reset_password));
        for (key, rule) in
            [("password", Some(&profile.password)), ("program_password", profile.program_password.as_ref())]
        {
            let Some(rule) = rule else { continue };
            check(&format!("{key}.min_length"), at_least(rule.min_length, 1));
            check(&format!("{key}.max_length"), at_least(rule.max_length, rule.min_length));
        }
    }
}

impl PasswordHash {
    /// The scheme this describes.
    ///
    /// # Errors
    /// When a number belongs to the other function.
    pub(crate) fn scheme(&self) -> Result<PasswordScheme, String> {
        let described = serde_json::to_value(self).map_err(|error| error.to_string())?;
        serde_json::from_value(described).map_err(|error| error.to_string())
    }

    fn check(&self) -> Result<(), String> {
        PasswordHasher::new(self.scheme()?, None, Vec::new()).map(drop).map_err(|error| error.to_string())
    }
}

impl PepperEntry {
    /// The pepper this describes.
    ///
    /// # Errors
    /// Says whether its name or its key is wrong.
    pub(crate) fn pepper(&self) -> Result<Pepper, String> {
        Pepper::new(&self.id, self.key.expose().as_bytes()).map_err(|error| error.to_string())
    }
}

/// The first mistake among what is set.
fn each<'v, T: 'v>(
    values: impl IntoIterator<Item = &'v T>,
    check: impl FnMut(&'v T) -> Result<(), String>,
) -> Result<(), String> {
    values.into_iter().try_for_each(check)
}

/// Refuses an address at which HTTP is served already. Port 0 is another one each time.
fn apart(address: SocketAddr, http: SocketAddr) -> Result<(), String> {
    let meets = address.ip() == http.ip() || address.ip().is_unspecified() || http.ip().is_unspecified();
    let is_free = address.port() == 0 || address.port() != http.port() || !meets;
    require(is_free, || format!("{address} is taken by listen = \"{http}\": choose another port"))
}

fn at_least<T: PartialOrd + std::fmt::Display>(value: T, least: T) -> Result<(), String> {
    require(value >= least, || format!("must be at least {least}"))
}

fn operator_field(name: &String) -> Result<(), String> {
    require(OPERATOR_FIELDS.contains(&name.as_str()), || {
        format!("{name:?} is not one of {}", OPERATOR_FIELDS.join(", "))
    })
}

fn lifetime(duration: Duration) -> Result<(), String> {
    require(!duration.is_zero(), || NO_SECOND.to_owned())
}

fn require(met: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if met { Ok(()) } else { Err(otherwise()) }
}

/// Refuses a path with what only a shell or a unit of systemd fills in: here it would be a directory of that name.
fn whole_path(path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    let whose = if text.starts_with('~') {
        "~ is the shell's"
    } else if text.starts_with('$') || text.contains("${") {
        "variables are the shell's"
    } else if text.strip_prefix('%').is_some_and(is_specifier) {
        "% is for units of systemd"
    } else {
        return Ok(());
    };
    Err(format!("write the whole path in the place of \"{}\": {whose}", path.display()))
}

/// Whether a path goes on after `%` as one with a specifier of systemd does: `%h/tidegate`.
fn is_specifier(rest: &str) -> bool {
    let mut rest = rest.chars();
    rest.next().is_some_and(|first| first.is_ascii_alphabetic()) && matches!(rest.next(), None | Some('/'))
}

fn line(text: &str) -> Result<(), String> {
    tidegate_domain::text::line(text, 100).map(drop).map_err(|error| error.to_string())
}

fn master_key(key: &SecretText) -> Result<(), String> {
    key.expose().parse::<MasterKey>().map(drop).map_err(|error| format!("{error}; {MAKE_MASTER_KEY}"))
}

fn pepper(entry: &PepperEntry) -> Result<(), String> {
    entry.pepper().map(drop)
}

fn mail_server(smtp: &SmtpConfig, reader: Reader) -> Result<(), String> {
    match Smtp::new(smtp) {
        Err(ConfigError::Credentials) if reader == Reader::Command && smtp.password.is_none() => Ok(()),
        made => made.map(drop).map_err(|error| error.to_string()),
    }
}

fn base_url(url: &str) -> Result<(), String> {
    let fits =
        url.parse::<Uri>().is_ok_and(|uri| is_web(&uri) && uri.query().is_none()) && !url.contains('#');
    require(fits, || format!("{url:?} is not a URL such as https://id.example.com"))?;
    possible_port(url)
}

/// Refuses a port that no address has: as part of a URL it is text.
fn possible_port(url: &str) -> Result<(), String> {
    let is_impossible = url.parse::<Uri>().is_ok_and(|uri| {
        let port = uri.authority().and_then(|authority| authority.as_str().rsplit_once(':'));
        // The end of an IPv6 address has a bracket.
        let is_number = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
        port.is_some_and(|(_, port)| is_number(port)) && uri.port_u16().is_none()
    });
    require(!is_impossible, || format!("{url:?} has a port that there is not: ports are from 1 to 65535"))
}

fn web_page(link: &str) -> Result<(), String> {
    let fits = link.parse::<Uri>().is_ok_and(|uri| is_web(&uri));
    require(fits, || format!("{link:?} is not a link such as https://app.example.com/sign-in"))?;
    possible_port(link)
}

fn link_template(link: &str) -> Result<(), String> {
    let fits = link.replace("{token}", "t").parse::<Uri>().is_ok_and(|uri| is_web(&uri));
    require(fits && link.contains("{token}"), || {
        format!("{link:?} is not a link such as https://app.example.com/reset?token={{token}}")
    })
}

/// An origin as browsers send it: scheme and host in lower case, the host in ASCII, without the scheme's own port.
pub(super) fn web_origin(origin: &str) -> Result<String, String> {
    if origin == "*" {
        return Ok(origin.to_owned());
    }
    let wrong =
        || format!("{origin:?} is not an origin such as https://app.example.com, without a path, or *");
    if origin.contains('*') {
        return Err(format!(
            "{origin:?} has a wildcard, which matches no origin: list each origin, or write *"
        ));
    }
    let url = Url::parse(origin).map_err(|_| wrong())?;
    let is_bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && !origin.ends_with(['/', '?', '#'])
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if is_bare { Ok(url.origin().ascii_serialization()) } else { Err(wrong()) }
}

fn header_name(name: &str) -> Result<(), String> {
    let fits = name == "*" || name.parse::<HeaderName>().is_ok();
    require(fits, || format!("{name:?} is not the name of a header such as X-CSRF-Token, or *"))
}

fn host_name(host: &str) -> Result<(), String> {
    let fits = host.parse::<Authority>().is_ok_and(|authority| authority.host() == host);
    require(fits, || format!("{host:?} is not a host name such as tidegate.internal, without a port"))
}

fn web_host(host: &str) -> Result<(), String> {
    let fits = host.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@'));
    require(fits, || format!("{host:?} is not a host such as app.example.com or localhost:3000"))
}

pub(super) fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}
