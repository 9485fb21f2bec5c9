//! The configuration, as the crates below want it.

use std::path::PathBuf;
use std::sync::Arc;

use tidegate_broker::{Alpaca, Environment};
use tidegate_brokerage::BrokerChoice;
use tidegate_crypto::webauthn::RelyingPartyError;
use tidegate_crypto::{PasswordHasher, PoolSize};
use tidegate_database::{DatabaseUrl, StoreOptions};
use tidegate_delivery::sms::{Receipts, SmsConfigError};
use tidegate_delivery::{MailProvider, SmsProvider, SmsProviders, Smtp, Templates};
use tidegate_domain::{Brand, Clock, Languages, PhoneRule};
use tidegate_federation::Federation;
use tidegate_http::{HttpSettings, OpsSettings};
use tidegate_kernel::Settings;
use tidegate_kernel::settings::{DeliveryMode, PasskeySettings};

use crate::config::{Config, languages};
use crate::failure::Failure;

impl Config {
    /// How to open the store.
    pub(crate) fn store_options(&self) -> StoreOptions {
        let mut options = StoreOptions::new(self.database_url());
        options.listen_url = self.database_listen.as_ref().map(|listen| listen.0.clone());
        if let Some(most) = self.database_connections {
            options.max_connections = most;
        }
        options
    }

    /// Where the accounts are.
    pub(crate) fn database_url(&self) -> DatabaseUrl {
        match &self.database {
            Some(database) => database.0.clone(),
            None => DatabaseUrl::Sqlite(self.data_dir.join("tidegate.db")),
        }
    }

    /// The database's file, if it is one.
    pub(crate) fn database_file(&self) -> Option<PathBuf> {
        self.database_url().file()
    }

    /// Whether anything is kept in the data directory. A node whose key is configured and whose database is elsewhere
    /// needs no place to write to.
    pub(crate) fn uses_data_dir(&self) -> bool {
        self.master_key.is_none() || self.database.is_none()
    }

    /// What happens to mails.
    pub(crate) fn mail_mode(&self) -> DeliveryMode {
        match (&self.mail.smtp, self.dev) {
            (Some(_), _) => DeliveryMode::Send,
            (None, true) => DeliveryMode::Keep,
            (None, false) => DeliveryMode::Off,
        }
    }

    /// What sends mails, if anything does.
    pub(crate) fn mail_provider(&self) -> Result<Option<MailProvider>, Failure> {
        match &self.mail.smtp {
            Some(smtp) => Smtp::new(smtp)
                .map(|smtp| Some(MailProvider::Smtp(smtp)))
                .map_err(|error| Failure::configuration(format!("mail.smtp: {error}"))),
            None => Ok(self.dev.then_some(MailProvider::Outbox)),
        }
    }

    /// What happens to text messages.
    pub(crate) fn sms_mode(&self) -> DeliveryMode {
        let sms = &self.sms;
        let is_set_up = sms.africas_talking.is_some() || sms.twilio.is_some() || sms.webhook.is_some();
        match (is_set_up, self.dev) {
            (true, _) => DeliveryMode::Send,
            (false, true) => DeliveryMode::Keep,
            (false, false) => DeliveryMode::Off,
        }
    }

    /// What sends text messages, if anything does.
    pub(crate) fn sms_providers(&self) -> Result<SmsProviders, Failure> {
        match self.sms_mode() {
            DeliveryMode::Send => SmsProviders::from_config(&self.sms).map_err(in_sms),
            DeliveryMode::Keep => Ok(SmsProviders::new(vec![SmsProvider::Outbox])),
            DeliveryMode::Off => Ok(SmsProviders::new(Vec::new())),
        }
    }

    /// What reads the delivery receipts of those providers.
    pub(crate) fn sms_receipts(&self) -> Result<Receipts, Failure> {
        Receipts::new(&self.sms).map_err(in_sms)
    }

    /// Where brokerage accounts are opened.
    pub(crate) fn broker_choice(&self, clock: Arc<dyn Clock>) -> Result<BrokerChoice, Failure> {
        match &self.broker.alpaca {
            Some(alpaca) => Alpaca::new(alpaca, clock)
                .map(BrokerChoice::Alpaca)
                .map_err(|error| Failure::configuration(format!("broker.alpaca: {error}"))),
            None => Ok(BrokerChoice::Sandbox(self.broker.sandbox)),
        }
    }

    /// The other identity providers that sign in.
    pub(crate) fn federation(&self, clock: Arc<dyn Clock>) -> Result<Federation, Failure> {
        Federation::new(&self.social, clock)
            .map_err(|error| Failure::configuration(format!("social.{error}")))
    }

    /// What the broker is called.
    pub(crate) fn broker_name(&self) -> &'static str {
        match self.broker.alpaca.as_ref().map(|alpaca| alpaca.environment) {
            None => "embedded sandbox",
            Some(Environment::Sandbox) => "Alpaca (sandbox)",
            Some(Environment::Production) => "Alpaca (production)",
        }
    }

    /// Whether users can sign in by phone while no real broker is configured: the operator may have forgotten it.
    pub(crate) fn opens_sandbox_accounts_for_real_phones(&self) -> bool {
        self.broker.alpaca.is_none() && self.sms_mode() == DeliveryMode::Send && !self.dev
    }

    /// What mails say.
    pub(crate) fn templates(&self) -> Result<Templates, Failure> {
        let (brand, languages) = (self.brand()?, self.languages()?);
        Templates::load_in(self.mail.templates_dir.as_deref(), languages, &brand)
            .map_err(|error| Failure::configuration(format!("mail.templates_dir: {error}")))
    }

    /// What it looks like to people.
    fn brand(&self) -> Result<Arc<Brand>, Failure> {
        let brand = self.brand.load().map_err(|error| Failure::configuration(format!("brand: {error}")))?;
        Ok(Arc::new(brand))
    }

    /// The languages that people are written to in.
    fn languages(&self) -> Result<Arc<Languages>, Failure> {
        let languages = languages(self.languages_dir.as_deref())
            .map_err(|error| Failure::configuration(format!("languages_dir: {error}")))?;
        Ok(Arc::new(languages))
    }

    /// Hashes passwords.
    pub(crate) fn password_hasher(&self) -> Result<PasswordHasher, Failure> {
        let wrong =
            |key: &'static str| move |error: String| Failure::configuration(format!("{key}: {error}"));
        let scheme = self.password_hash.scheme().map_err(wrong("password_hash"))?;
        let pepper = self.pepper.as_ref().map(|entry| entry.pepper()).transpose();
        let old: Result<Vec<_>, _> = self.previous_peppers.iter().map(|entry| entry.pepper()).collect();
        PasswordHasher::new(scheme, pepper.map_err(wrong("pepper"))?, old.map_err(wrong("previous_peppers"))?)
            .map_err(|error| wrong("password_hash")(error.to_string()))
    }

    /// How many passwords are hashed at once.
    pub(crate) fn pool_size(&self) -> PoolSize {
        let threads = self.hash_pool.threads.unwrap_or(PoolSize::default().threads);
        PoolSize { threads, queue: self.hash_pool.queue.unwrap_or(threads.saturating_mul(16)) }
    }

    /// What the use cases need to know, served at `served_at` unless a public address is configured.
    ///
    /// # Errors
    /// A logo or a language that can no longer be read.
    pub(crate) fn identity_settings(&self, served_at: &str) -> Result<Settings, Failure> {
        let public_url = self.public_url.as_deref().unwrap_or(served_at);
        let mut settings = Settings::new(public_url, self.mail_mode(), self.contract_profiles());
        settings.browser = Arc::new(self.browser.profile(&settings.contracts.of_installation()));
        settings.sign_up_page = self.browser.sign_up;
        settings.product.clone_from(&self.product);
        settings.brand = self.brand()?;
        settings.languages = self.languages()?;
        settings.sign_in_link.clone_from(&self.links.sign_in);
        if let Some(link) = &self.links.verify_email {
            settings.verify_email_link.clone_from(link);
        }
        if let Some(link) = &self.links.reset_password {
            settings.reset_password_link.clone_from(link);
        }
        if let Some(link) = &self.links.secure_account {
            settings.secure_account_link.clone_from(link);
        }
        settings.passkeys = self.passkeys_at(public_url);
        settings.trusted_device_age = self.trusted_devices.max_age;
        settings.factor_resets = self.factor_resets;
        settings.brokerage_by_account = self.riven.limits.brokerage_requests;
        settings.forwarded_broker_fields.clone_from(&self.broker.forwarded_fields);
        settings.sms = self.sms_mode();
        settings.phones = PhoneRule { countries: self.phone.countries.clone() };
        settings.texts = self.phone.limits.clone();
        settings.redirect_hosts.clone_from(&self.links.redirect_hosts);
        settings.database_preparation = self.databases.preparation;
        settings.quotas = self.quotas;
        settings.set_oauth(self.oauth.clone());
        settings.failed_passwords_by_account = self.failed_passwords_by_account;
        settings.failed_codes_by_account = self.failed_codes_by_account;
        settings.passwords_set_by_account = self.passwords_set_by_account;
        settings.passwords_set_by_organization = self.passwords_set_by_organization;
        settings.passwords_set_by_network = self.passwords_set_by_network;
        settings.failed_codes_by_network = self.failed_codes_by_network;
        settings.messages.clone_from(&self.messages);
        settings.audit.clone_from(&self.audit);
        Ok(settings)
    }

    /// Where passkeys are used in an installation reached at `public_url`.
    pub(crate) fn passkeys_at(&self, public_url: &str) -> PasskeySettings {
        let relying_party = self.passkeys.relying_party(public_url, &self.product, self.dev);
        PasskeySettings {
            relying_party: relying_party.map(Arc::new).map_err(PasskeySettings::missing),
            conceal_accounts: self.passkeys.conceal_accounts,
        }
    }

    /// Where clients reach the installation, as far as the configuration says.
    pub(crate) fn expected_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }

    /// Whether what is configured of passkeys makes a relying party. Where nothing is, there may be none.
    ///
    /// # Errors
    /// [`RelyingPartyError`].
    pub(crate) fn relying_party_as_configured(&self) -> Result<(), RelyingPartyError> {
        if !self.passkeys.is_set_up() {
            return Ok(());
        }
        self.passkeys.relying_party(&self.expected_url(), &self.product, self.dev).map(drop)
    }

    /// What the HTTP surface needs to know.
    pub(crate) fn http_settings(&self) -> HttpSettings {
        HttpSettings {
            trusted_proxies: self.http.trusted_proxies.clone(),
            forwarded_header: self.http.forwarded_header,
            deadline: self.http.deadline,
            max_body: self.http.max_body,
            uploads: self.http.uploads,
            cors_origins: self.http.cors_origins.clone(),
            cors_this_machine: self.dev,
            cors_headers: self.http.cors_headers.clone(),
            ops: OpsSettings { allow: self.ops.allow.clone(), hosts: self.ops.hosts.clone() },
            // Where it is served decides the listener.
            serves_outbox: false,
            plain_cookies: self.dev
                && !self.public_url.as_deref().is_some_and(|url| url.starts_with("https:")),
        }
    }
}

fn in_sms(error: SmsConfigError) -> Failure {
    Failure::configuration(format!("sms.{error}"))
}
