//! Every key there is, with the kind of its value. It is a configuration in which everything is set, serialised.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use figment::value::{Dict, Value};
use ipnet::IpNet;
use tidegate_broker::{AlpacaConfig, Environment};
use tidegate_database::DatabaseUrl;
use tidegate_delivery::sms::{AfricasTalkingConfig, SmsProviderKind, SmsSecret, TwilioConfig, WebhookConfig};
use tidegate_delivery::{MailPassword, RetryPolicy, SmsConfig, SmtpConfig, TlsMode};
use tidegate_domain::Secret;
use tidegate_domain::contract::Limits;
use tidegate_domain::limit::Limit;

use super::suggest::{Suggestion, suggest};
use super::{
    BrandTable, Broker, Config, Contracts, Database, HashFunction, HashPoolSize, Http, Links, Log, LogFormat,
    Mail, Ops, Passkeys, PasswordHash, PepperEntry, SecretText,
};

/// Keys and kinds. The values mean nothing.
pub(super) struct Schema(Dict);

/// A key that is not there.
#[derive(Debug)]
pub(super) struct Unknown<'v> {
    /// Its state.
    pub(super) path: Vec<String>,
    /// What it was given.
    pub(super) value: &'v Value,
    /// What may have been meant.
    pub(super) meant: Option<Suggestion>,
}

impl Schema {
    /// All keys.
    ///
    /// # Errors
    /// When the sample cannot be serialised: a defect.
    pub(super) fn new() -> Result<Self, String> {
        let keys = sample().written().map_err(|error| error.to_string())?;
        let keys = Value::serialize(keys).map_err(|error| error.to_string())?;
        Ok(Self(keys.into_dict().unwrap_or_default()))
    }

    /// The kind of value at `path`.
    pub(super) fn find(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |at, key| match at {
            Value::Dict(_, keys) => keys.get(key),
            _ => None,
        })
    }

    /// The keys of `values` that are not there.
    pub(super) fn unknown<'v>(&self, values: &'v Dict) -> Vec<Unknown<'v>> {
        let mut unknown = Vec::new();
        self.compare(&mut Vec::new(), values, &self.0, &mut unknown);
        unknown
    }

    fn compare<'v>(
        &self,
        at: &mut Vec<String>,
        values: &'v Dict,
        known: &Dict,
        unknown: &mut Vec<Unknown<'v>>,
    ) {
        for (key, value) in values {
            at.push(key.clone());
            match (known.get(key), value) {
                (None, Value::Dict(_, inner)) if self.knows_parts(at, inner) => {
                    self.list_parts(at, inner, unknown);
                }
                // `[database] url = ...`
                (Some(Value::String(..)), Value::Dict(_, inner)) if self.knows_parts(at, inner) => {
                    self.list_parts(at, inner, unknown);
                }
                (None, _) => unknown.push(Unknown { meant: suggest(self, at), path: at.clone(), value }),
                (Some(Value::Dict(_, known)), Value::Dict(_, values)) => {
                    self.compare(at, values, known, unknown)
                }
                (Some(Value::Array(_, known)), Value::Array(_, items)) => {
                    if let Some(Value::Dict(_, known)) = known.first() {
                        for item in items.iter().filter_map(Value::as_dict) {
                            self.compare(at, item, known, unknown);
                        }
                    }
                }
                // A value of the wrong type is reported when it is read.
                _ => {}
            }
            at.pop();
        }
    }

    /// Whether it is the keys in a table that say what is meant: `[server] port = 8080`.
    fn knows_parts(&self, at: &[String], inner: &Dict) -> bool {
        // A table whose own name is misspelled is told as such.
        (self.find(at).is_some() || suggest(self, at).is_none_or(|meant| !meant.note.is_empty()))
            && inner.keys().any(|key| suggest(self, &[at, &[key.clone()]].concat()).is_some())
    }

    fn list_parts<'v>(&self, at: &[String], inner: &'v Dict, unknown: &mut Vec<Unknown<'v>>) {
        for (key, value) in inner {
            let path = [at, &[key.clone()]].concat();
            unknown.push(Unknown { meant: suggest(self, &path), path, value });
        }
    }

    /// Every key, tables included.
    pub(super) fn keys(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        collect(&mut Vec::new(), &self.0, &mut all);
        all
    }

    /// Every key with a value of its own: `mail.smtp.host`.
    #[cfg(test)]
    pub(super) fn leaves(&self) -> Vec<String> {
        fn walk(prefix: &str, keys: &Dict, leaves: &mut Vec<String>) {
            for (key, value) in keys {
                let path = format!("{prefix}{key}");
                match value {
                    Value::Dict(_, inner) => walk(&format!("{path}."), inner, leaves),
                    _ => leaves.push(path),
                }
            }
        }
        let mut leaves = Vec::new();
        walk("", &self.0, &mut leaves);
        leaves
    }
}

/// Every key, tables included.
fn collect(at: &mut Vec<String>, keys: &Dict, found: &mut Vec<Vec<String>>) {
    for (name, value) in keys {
        at.push(name.clone());
        found.push(at.clone());
        let inner = match value {
            Value::Array(_, items) => items.first().and_then(Value::as_dict),
            value => value.as_dict(),
        };
        if let Some(inner) = inner {
            collect(at, inner, found);
        }
        at.pop();
    }
}

/// A configuration in which everything is set.
fn sample() -> Config {
    let defaults = Config::default();
    let pepper = || PepperEntry { id: String::new(), key: SecretText::hidden() };
    Config {
        listen: defaults.listen,
        data_dir: defaults.data_dir,
        database: Some(Database(DatabaseUrl::Sqlite(PathBuf::new()))),
        database_listen: Some(Database(DatabaseUrl::Sqlite(PathBuf::new()))),
        database_connections: Some(0),
        public_url: Some(String::new()),
        product: defaults.product,
        brand: BrandTable { logo: Some(PathBuf::new()), support: Some(String::new()), ..defaults.brand },
        languages_dir: Some(PathBuf::new()),
        dev: defaults.dev,
        dev_limits: defaults.dev_limits,
        master_key: Some(SecretText::hidden()),
        previous_master_keys: vec![SecretText::hidden()],
        pepper: Some(pepper()),
        previous_peppers: vec![pepper()],
        password_hash: PasswordHash {
            scheme: HashFunction::Bcrypt,
            cost: Some(0),
            memory_kib: Some(0),
            iterations: Some(0),
            parallelism: Some(0),
        },
        hash_pool: HashPoolSize { threads: Some(0), queue: Some(0) },
        failed_passwords_by_account: defaults.failed_passwords_by_account,
        failed_codes_by_account: defaults.failed_codes_by_account,
        passwords_set_by_account: defaults.passwords_set_by_account,
        passwords_set_by_organization: defaults.passwords_set_by_organization,
        passwords_set_by_network: defaults.passwords_set_by_network,
        failed_codes_by_network: defaults.failed_codes_by_network,
        messages: defaults.messages,
        audit: defaults.audit,
        mail: mail(),
        links: links(),
        sms: sms(),
        phone: defaults.phone,
        broker: broker(defaults.broker),
        databases: defaults.databases,
        trusted_devices: defaults.trusted_devices,
        passkeys: Passkeys {
            relying_party_id: Some(String::new()),
            relying_party_name: Some(String::new()),
            origins: vec![String::new()],
            allowed_authenticators: vec![String::new()],
            ..defaults.passkeys
        },
        factor_resets: defaults.factor_resets,
        quotas: defaults.quotas,
        http: http(defaults.http),
        ops: Ops { hosts: vec![String::new()], ..defaults.ops },
        log: Log { format: Some(LogFormat::Json), filter: Some(String::new()) },
        contracts: full(defaults.contracts),
        riven: defaults.riven,
    }
}

fn links() -> Links {
    Links {
        verify_email: Some(String::new()),
        reset_password: Some(String::new()),
        sign_in: Some(String::new()),
        secure_account: Some(String::new()),
        redirect_hosts: vec![String::new()],
    }
}

fn http(defaults: Http) -> Http {
    Http {
        trusted_proxies: vec![IpNet::from(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST))],
        cors_origins: vec![String::new()],
        cors_headers: vec![String::new()],
        ..defaults
    }
}

fn broker(defaults: Broker) -> Broker {
    Broker {
        alpaca: Some(AlpacaConfig {
            base_url: Some(String::new()),
            ..AlpacaConfig::new(Environment::Sandbox, String::new(), hidden())
        }),
        forwarded_fields: vec![String::new()],
        ..defaults
    }
}

fn mail() -> Mail {
    Mail {
        smtp: Some(SmtpConfig {
            host: String::new(),
            port: Some(0),
            tls: TlsMode::StartTls,
            username: Some(String::new()),
            password: Some(MailPassword(hidden())),
            from: String::new(),
            timeout_seconds: 0,
            ca_file: Some(PathBuf::new()),
        }),
        templates_dir: Some(PathBuf::new()),
        retry: RetryPolicy::default(),
    }
}

fn sms() -> SmsConfig {
    let text = || Some(String::new());
    let secret = || SmsSecret(hidden());
    SmsConfig {
        order: vec![SmsProviderKind::Webhook],
        africas_talking: Some(AfricasTalkingConfig {
            username: String::new(),
            api_key: secret(),
            from: text(),
            enqueue: false,
            receipt_secret: Some(secret()),
            base_url: text(),
            timeout_seconds: 0,
        }),
        twilio: Some(TwilioConfig {
            account_sid: String::new(),
            auth_token: Some(secret()),
            api_key_sid: text(),
            api_key_secret: Some(secret()),
            from: text(),
            messaging_service_sid: text(),
            status_callback: text(),
            base_url: text(),
            timeout_seconds: 0,
        }),
        webhook: Some(WebhookConfig {
            url: String::new(),
            secret: secret(),
            timeout_seconds: 0,
            ca_file: Some(PathBuf::new()),
        }),
    }
}

fn hidden() -> Secret {
    Secret::new(String::new())
}

fn full(mut contracts: Contracts) -> Contracts {
    let any = Some(Limit::new(0, 0));
    for profile in contracts.iter_mut() {
        profile.session.sliding_up_to = Some(Duration::ZERO);
        profile.recent_sign_in = Some(Duration::ZERO);
        profile.limits = Limits {
            sign_up_by_ip: any,
            sign_in_by_ip: any,
            sign_in_by_email: any,
            failed_sign_in: any,
            forgot_password_by_ip: any,
            forgot_password_by_email: any,
            resend_by_account: any,
            wrong_second_factor: any,
            second_factor_codes: any,
            passkey_challenges_by_ip: any,
            mails_by_email: any,
            anonymous_requests: any,
            authenticated_requests: any,
            requests_by_organization: any,
        };
    }
    contracts
}
