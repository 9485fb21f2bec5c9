//! Configurations that operators write, and the errors they get.

mod complaints;
mod environment;
mod limits;
mod page;
mod reference;
mod social;
mod suggestions;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_brokerage::BrokerChoice;
use tidegate_domain::limit::Limit;
use tidegate_domain::{ContractId, ContractProfile};
use tidegate_kernel::settings::DeliveryMode;

use super::Config;
use super::load::{Flags, Loaded, Reader, load_from};
use crate::cli::GlobalFlags;
use crate::clock::SystemClock;

/// What a configuration file, variables and flags come to: the configuration or what is said instead.
struct Desk {
    directory: TempDir,
    variables: Vec<(OsString, OsString)>,
    global: GlobalFlags,
    flags: Flags,
}

impl Desk {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            global: GlobalFlags::default(),
            flags: Flags::default(),
        }
    }

    fn file(text: &str) -> Self {
        let mut desk = Self::new();
        let path = desk.path();
        std::fs::write(&path, text).unwrap();
        desk.global.config = Some(path);
        desk
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("t.toml")
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn load(&self) -> Loaded {
        load_from(&self.global, &self.flags, self.variables.clone())
            .map_err(|failure| failure.message().to_owned())
            .unwrap()
    }

    /// The complaint, without the lines of the file.
    fn complaint(&self) -> String {
        let complaint = self.complaint_with_lines();
        let mut parts = complaint.split("(in t.toml, line ");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |said, part| said + "(in t.toml)" + part.split_once(')').unwrap().1)
    }

    /// The complaint, with the file's directory cut off.
    fn complaint_with_lines(&self) -> String {
        let failure = load_from(&self.global, &self.flags, self.variables.clone()).unwrap_err();
        let directory = format!("{}/", self.directory.path().display());
        failure.message().replace(&directory, "")
    }
}

#[test]
fn variables_win_over_the_file_and_flags_over_variables() {
    let mut desk = Desk::file("product = 'file'\ndata_dir = 'file'\n[http]\ndeadline = 5\nmax_body = 2000")
        .variable("TIDEGATE_DATA_DIR", "variable")
        .variable("TIDEGATE_HTTP__DEADLINE", "6");
    desk.global.data_dir = Some("flag".into());
    let loaded = desk.load();
    let config = &loaded.config;
    assert_eq!((config.product.as_str(), config.data_dir.to_str()), ("file", Some("flag")));
    assert_eq!((config.http.deadline, config.http.max_body), (Duration::from_secs(6), 2_000));
    assert_eq!(
        loaded.sources,
        [desk.path().to_str().unwrap(), "TIDEGATE_DATA_DIR", "TIDEGATE_HTTP__DEADLINE", "--data-dir"]
    );
}

/// A contract's profile where nothing is configured.
fn default_of(contract: ContractId) -> ContractProfile {
    tidegate_http::contract_profiles().of(contract).as_ref().clone()
}

#[test]
fn a_part_of_a_contracts_profile_leaves_the_rest_as_the_contract_says() {
    let config =
        Desk::file("[ingestiq.password]\nmin_length = 12\n[rivergen.limits.sign_in_by_ip]\nattempts = 50")
            .load()
            .config;
    let mut ingestiq = default_of(ContractId::INGESTIQ);
    ingestiq.password.min_length = 12;
    assert_eq!(config.contracts.of(ContractId::INGESTIQ), Some(&ingestiq));
    let mut rivergen = default_of(ContractId::RIVERGEN);
    rivergen.limits.sign_in_by_ip.as_mut().unwrap().attempts = 50;
    assert_eq!(config.contracts.of(ContractId::RIVERGEN), Some(&rivergen));
}

#[test]
fn no_attempts_means_no_limit() {
    let config =
        Desk::file("[rivergen.limits.sign_in_by_ip]\nattempts = 0\n[ingestiq.session]\nsliding_up_to = 0")
            .variable("TIDEGATE_FAILED_PASSWORDS_BY_ACCOUNT__ATTEMPTS", "0")
            .load()
            .config;
    let rivergen = config.contracts.of(ContractId::RIVERGEN).unwrap();
    assert_eq!(rivergen.limits.sign_in_by_ip, None);
    assert!(rivergen.limits.sign_in_by_email.is_some());
    assert_eq!(config.contracts.of(ContractId::INGESTIQ).unwrap().session.sliding_up_to, None);
    assert_eq!(config.failed_passwords_by_account, None);

    let config = Desk::file("[phone.limits]\nby_ip = { attempts = 0 }\nby_prefix.attempts = 50")
        .variable("TIDEGATE_RIVEN__LIMITS__MAILS_BY_EMAIL__ATTEMPTS", "0")
        .load()
        .config;
    let texts = config.identity_settings("http://here").unwrap().texts;
    assert_eq!((texts.by_ip, texts.by_prefix), (None, Some(Limit::new(50, 3_600))));
    assert_eq!(texts.by_phone_at_once, Some(Limit::new(1, 60)));
    assert_eq!(config.riven.profile().limits.mails_by_email, None);
}

#[test]
fn riven_has_the_numbers_that_make_sense_for_it() {
    assert_eq!(Desk::new().load().config.riven.profile(), default_of(ContractId::RIVEN));

    let text = "[riven]\ntoken_lifetime = 86400\ncode_lifetime = 300
        [riven.limits.anonymous_requests]\nattempts = 5";
    let settings = Desk::file(text).load().config.identity_settings("http://here").unwrap();
    let riven = settings.profile(ContractId::RIVEN);
    let day = Duration::from_secs(86_400);
    assert_eq!((riven.access_token_lifetime, riven.session.lifetime), (day, day));
    assert_eq!(riven.session.remembered_lifetime, day);
    assert_eq!(riven.codes.verify_email, Duration::from_secs(300));
    assert_eq!(riven.limits.anonymous_requests, Some(Limit::new(5, 60)));
    assert_eq!(
        riven.limits.authenticated_requests,
        default_of(ContractId::RIVEN).limits.authenticated_requests
    );
    // Its tokens outlive every signed one, and no signing key is kept for them.
    assert_eq!(settings.longest_access_token, Duration::from_secs(3_600));

    assert_eq!(
        Desk::file("[riven.password]\nmin_length = 1").complaint(),
        "riven.password.min_length: unknown key; did you mean `rivergen.password.min_length`? (in t.toml)"
    );
}

#[test]
fn phones_of_these_countries_are_texted() {
    let read = |config: Config, text: &str| {
        let number = config.identity_settings("http://here").unwrap().phones.parse(text);
        number.ok().map(|number| number.expose().to_owned())
    };
    let config = || Desk::new().variable("TIDEGATE_PHONE__COUNTRIES", "[TZ, KE]").load().config;
    assert_eq!(read(config(), "0712345678").as_deref(), Some("+255712345678"));
    assert_eq!(read(config(), "+254712345678").as_deref(), Some("+254712345678"));
    assert_eq!(read(Desk::new().load().config, "0712345678").as_deref(), Some("+254712345678"));
    assert_eq!(
        Desk::file("phone.countries = ['Kenya']").complaint(),
        "phone.countries.0: \"Kenya\" is not a country: two letters as in ISO 3166, such as KE (in t.toml)"
    );
    assert_eq!(
        Desk::file("phone.countries = []").complaint(),
        "phone.countries: must name a country: [\"KE\"] (in t.toml)"
    );
}

#[test]
fn text_messages_are_sent_by_whoever_is_set_up() {
    let config = |text: &str| Desk::file(text).load().config;
    let none = config("");
    assert_eq!(none.sms_mode(), DeliveryMode::Off);
    assert!(none.sms_providers().unwrap().is_empty());

    let dev = config("dev = true\n[mail.smtp]\nhost = 'a.example'\nfrom = 'a@b.cd'");
    assert_eq!((dev.mail_mode(), dev.sms_mode()), (DeliveryMode::Send, DeliveryMode::Keep));
    let settings = dev.identity_settings("http://here").unwrap();
    assert_eq!((settings.mail, settings.sms), (DeliveryMode::Send, DeliveryMode::Keep));
    assert_eq!(kinds(&dev), ["outbox"]);

    let both = "dev = true\n[sms.africas_talking]\nusername = 'riven'\napi_key = 'k'
        [sms.twilio]\naccount_sid = 'AC1'\nauth_token = 't'\nfrom = 'RIVEN'";
    assert_eq!(config(both).sms_mode(), DeliveryMode::Send);
    assert_eq!(kinds(&config(both)), ["africas_talking", "twilio"]);
    let other = Desk::file(both).variable("TIDEGATE_SMS__ORDER", "[twilio]").load().config;
    assert_eq!(kinds(&other), ["twilio"]);
}

fn kinds(config: &Config) -> Vec<&'static str> {
    config.sms_providers().unwrap().kinds().map(|kind| kind.as_str()).collect()
}

#[test]
fn a_mistake_about_text_messages_names_its_setting_and_its_place() {
    let complaint = |text: &str| Desk::file(text).complaint();
    assert_eq!(
        complaint("[sms]\norder = ['twilio']"),
        "sms.order: names twilio, but there is no table [sms.twilio] (in t.toml)"
    );
    assert_eq!(
        complaint("[sms]\norder = ['outbox']"),
        "sms.order.0: must be one of africas_talking, twilio, webhook, not \"outbox\" (in t.toml)"
    );
    let twilio = "[sms.twilio]\naccount_sid = 'AC1'\nauth_token = 'hunter2'\n";
    assert_eq!(
        complaint(twilio),
        "sms.twilio.from: either this or messaging_service_sid must be given, and not both (in t.toml)"
    );
    // Errors of a provider's credentials and of its receipts are reported together.
    let text = "[sms.africas_talking]\nusername = ''\napi_key = 'hunter2'\nreceipt_secret = 'hunter2'";
    assert_eq!(
        complaint(text),
        "sms.africas_talking.username: must be a name, without spaces or special characters (in t.toml)\n\
         sms.africas_talking.receipt_secret: must have at least 16 characters (in t.toml)"
    );
    assert_eq!(
        complaint("[sms.webhook]\nurl = 'https://sms.example.com/send'"),
        "sms.webhook.secret: is missing; its table requires it (in t.toml); TIDEGATE_SMS__WEBHOOK__SECRET is not set here, or empty: what \
         the server has from its service, a command needs, too"
    );
    let desk = Desk::file("").variable("TIDEGATE_SMS__WEBHOOK__URL", "https://sms.example.com/hunter2");
    let desk = desk.variable("TIDEGATE_SMS__WEBHOOK__SECRET", "hunter2");
    assert_eq!(
        desk.complaint(),
        "sms.webhook.secret: must have at least 16 characters (in TIDEGATE_SMS__WEBHOOK__SECRET)"
    );
}

#[test]
fn brokerage_accounts_are_opened_at_alpaca_once_it_is_set_up() {
    let choice = |config: &Config| config.broker_choice(Arc::new(SystemClock)).unwrap();
    let config = Desk::file("[broker.sandbox]\nreview = 0\nrequire_documents = false").load().config;
    let BrokerChoice::Sandbox(sandbox) = choice(&config) else { panic!("not the sandbox") };
    assert_eq!((sandbox.review.as_secs(), sandbox.activation.as_secs()), (0, 2));
    assert!(!sandbox.require_documents);
    assert_eq!(config.broker_name(), "embedded sandbox");

    let desk = Desk::file("[broker.alpaca]\nenvironment = 'production'\n[broker.alpaca.retry]\ndelay = 1");
    let desk = desk.variable("TIDEGATE_BROKER__ALPACA__KEY", "0123");
    let config = desk.variable("TIDEGATE_BROKER__ALPACA__SECRET", "true").load().config;
    assert!(matches!(choice(&config), BrokerChoice::Alpaca(_)));
    assert_eq!(config.broker_name(), "Alpaca (production)");
    let alpaca = config.broker.alpaca.unwrap();
    assert_eq!((alpaca.key.as_str(), alpaca.secret.0.expose()), ("0123", "true"));
    assert_eq!((alpaca.retry.delay.as_secs(), alpaca.retry.max_attempts), (1, 3));

    let alpaca = |more: &str| format!("[broker.alpaca]\nkey = 'hunter2'\nsecret = 'hunter2'\n{more}");
    let complaint = |more: &str| Desk::file(&alpaca(more)).complaint();
    assert_eq!(
        complaint("base_url = 'http://broker.example.com'"),
        "broker.alpaca: base_url must be https unless it is on this machine (in t.toml)"
    );
    assert_eq!(
        complaint("environment = 'live'"),
        "broker.alpaca.environment: must be one of sandbox, production, not \"live\" (in t.toml)"
    );
}

#[test]
fn only_a_forgotten_broker_is_worth_a_warning() {
    let sms = "[sms.webhook]\nurl = 'https://sms.example.com'\nsecret = '0123456789abcdef'\n";
    let is_forgotten = |text: &str| Desk::file(text).load().config.opens_sandbox_accounts_for_real_phones();
    assert!(is_forgotten(sms));
    assert!(!is_forgotten(&format!("{sms}[broker.alpaca]\nkey = 'k'\nsecret = 's'")));
    assert!(!is_forgotten(&format!("dev = true\n{sms}")));
    // Sign-in by phone is off: the operator does not use the contract.
    assert!(!is_forgotten(""));
}

#[test]
fn a_password_in_a_variable_may_look_like_a_number() {
    let config = Desk::new()
        .variable("TIDEGATE_MAIL__SMTP__HOST", "smtp.example.com")
        .variable("TIDEGATE_MAIL__SMTP__FROM", "no-reply@example.com")
        .variable("TIDEGATE_MAIL__SMTP__USERNAME", "0123")
        .variable("TIDEGATE_MAIL__SMTP__PASSWORD", "[true]")
        .variable("TIDEGATE_DEV", "1")
        .variable("TIDEGATE_HTTP__CORS_ORIGINS", "[https://a.example, http://b.example:8080]")
        .load()
        .config;
    let smtp = config.mail.smtp.unwrap();
    assert_eq!(smtp.password.unwrap().0.expose(), "[true]");
    assert_eq!(smtp.username.as_deref(), Some("0123"));
    assert!(config.dev);
    assert_eq!(config.http.cors_origins, ["https://a.example", "http://b.example:8080"]);
}

#[test]
fn variables_that_only_look_like_ours_are_left_alone() {
    Desk::new()
        .variable("TIDEGATE_PORT", "tcp://10.0.0.1:80")
        .variable("TIDEGATE_PORT_80_TCP_ADDR", "10.0.0.1")
        .variable("TIDEGATE_SERVICE_HOST", "10.0.0.1")
        .variable("TIDEGATE_SERVICE_PORT_HTTP", "80")
        .variable("TIDEGATE_TEST_POSTGRES", "postgres://localhost")
        .variable("TIDEGATE_PUBLIC_URL", "")
        .variable("PATH", "/bin")
        .load();
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_known_one() {
    let desk = Desk::file("lissten = 'x'\nsmtp = 1\n[http]\ncors = 1\n[[previous_peppers]]\nkeys = 'a'")
        .variable("TIDEGATE_MAIL__SMTP__PASWORD", "hunter2");
    assert_eq!(
        desk.complaint(),
        "http.cors: unknown key; did you mean `http.cors_origins`? (in t.toml)\n\
         lissten: unknown key; did you mean `listen`? (in t.toml)\n\
         TIDEGATE_MAIL__SMTP__PASWORD: unknown variable; did you mean TIDEGATE_MAIL__SMTP__PASSWORD?\n\
         previous_peppers.keys: unknown key; did you mean `previous_peppers.key`? (in t.toml)\n\
         smtp: unknown key; did you mean `mail.smtp`? (in t.toml)"
    );
}

#[test]
fn a_wrong_value_is_told_with_its_key_what_was_expected_and_its_source() {
    let complaint = |text: &str| Desk::file(text).complaint();
    assert_eq!(
        complaint("[http]\ndeadline = 'soon'"),
        "http.deadline: must be a whole number, 0 or greater, not text; for example `deadline = 30` (in t.toml)"
    );
    assert_eq!(
        complaint("[http]\ndeadline = -1"),
        "http.deadline: is out of range: must be a whole number, 0 or greater; for example `deadline = 30` (in t.toml)"
    );
    assert_eq!(
        complaint("mail = 3"),
        "mail: must be a table, not a number; for example `[mail]` (in t.toml)"
    );
    assert_eq!(
        complaint("[log]\nformat = 'xml'"),
        "log.format: must be one of json, text, not \"xml\" (in t.toml)"
    );
    assert_eq!(
        complaint("[mail.smtp]\nhost = 'a'"),
        "mail.smtp.from: is missing; its table requires it (in t.toml)"
    );
    assert_eq!(
        complaint("[ingestiq.limits]\nsign_up_by_ip = { attempts = 3 }"),
        "ingestiq.limits.sign_up_by_ip.window: is missing; its table requires it (in t.toml)"
    );
    assert_eq!(complaint("a = 1\n= 2"), "t.toml, line 2: invalid key");
    let desk = Desk::new().variable("TIDEGATE_LISTEN", "8080");
    assert_eq!(
        desk.complaint(),
        "listen: \"8080\" is not an address and a port such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080: write \
         127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080 for every address of it (in TIDEGATE_LISTEN)"
    );
}

#[test]
fn every_value_that_makes_no_sense_is_told_at_once() {
    let text = "public_url = 'id.example.com'\nmaster_key = 'hunter2'\nproduct = ''
        links.reset_password = 'https://app.example.com/reset'
        log.filter = 'tidegate=loud'
        [pepper]\nid = 'P'\nkey = 'hunter2'\n[password_hash]\nscheme = 'argon2id'\ncost = 3
        [hash_pool]\nthreads = 0\n[http]\ndeadline = 0\ncors_origins = ['https://a.example/']
        [mail.smtp]\nhost = 'smtp://a'\nfrom = 'a@b.cd'
        [phone]\ncountries = []\nlimits.by_prefix.window = 0
        [broker.alpaca]\nkey = 'hunter2:'\nsecret = 'hunter2'
        [riven]\ntoken_lifetime = 0\ncode_lifetime = 0\nlimits.mails_by_email.window = 0
        [sms.webhook]\nurl = 'https://hunter2@sms.example.com'\nsecret = 'hunter2hunter2hunter2'
        [rivergen]\naccess_token_lifetime = 0\n[rivergen.limits.sign_in_by_ip]\nwindow = 0";
    let complaint = Desk::file(text).complaint();
    let keys: Vec<&str> = complaint.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        keys,
        [
            "public_url",
            "product",
            "master_key",
            "pepper",
            "password_hash",
            "hash_pool.threads",
            "links.reset_password",
            "http.deadline",
            "http.cors_origins",
            "log.filter",
            "mail.smtp",
            "phone.countries",
            "broker.alpaca",
            "riven.token_lifetime",
            "riven.code_lifetime",
            "phone.limits.by_prefix.window",
            "riven.limits.mails_by_email.window",
            "rivergen.limits.sign_in_by_ip.window",
            "sms.webhook.url",
            "rivergen.access_token_lifetime",
        ]
    );
    assert!(
        !complaint.contains("hunter2") && complaint.lines().all(|line| line.ends_with("(in t.toml)")),
        "{complaint}"
    );
}

#[test]
fn secrets_are_shown_nowhere() {
    let loaded = Desk::file(
        "master_key = 'tgmk1_hunter2hunter2hunter2hunter2hunter2hunter2A'
        previous_master_keys = ['tgmk1_hunter2hunter2hunter2hunter2hunter2hunter2A']
        database = 'postgres://ada:hunter2@db.example/x?password=hunter2'
        pepper = { id = 'a', key = 'hunter2hunter2hunter2hunter2hunter2' }
        [mail.smtp]\nhost = 'a.example'\nfrom = 'a@b.cd'\nusername = 'ada'\npassword = 'hunter2'
        [sms.africas_talking]\nusername = 'riven'\napi_key = 'hunter2'\nreceipt_secret = 'hunter2hunter2hunter2'
        [sms.twilio]\naccount_sid = 'AC1'\nfrom = 'RIVEN'\nauth_token = 'hunter2'
        api_key_sid = 'SK1'\napi_key_secret = 'hunter2'
        [sms.webhook]\nurl = 'https://sms.example.com:8443/hunter2?key=hunter2'\nsecret = 'hunter2hunter2hunter2'
        [broker.alpaca]\nkey = 'hunter2'\nsecret = 'hunter2'",
    )
    .load();
    let shown = format!("{loaded:?} {} {}", loaded.config.view(), loaded.config.lines().join("\n"));
    assert!(!shown.contains("hunter2"), "{shown}");
    for line in [
        "database = \"postgres://ada@db.example/x\"",
        "mail.smtp.password = \"[secret]\"",
        "sms.africas_talking.api_key = \"[secret]\"",
        "sms.africas_talking.receipt_secret = \"[secret]\"",
        "sms.twilio.auth_token = \"[secret]\"",
        "sms.twilio.api_key_secret = \"[secret]\"",
        "sms.webhook.url = \"https://sms.example.com:8443/[secret]\"",
        "sms.webhook.secret = \"[secret]\"",
        "broker.alpaca.key = \"[secret]\"",
        "broker.alpaca.secret = \"[secret]\"",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }

    // One that is not set is not shown as if it were.
    let plain =
        Desk::file("[sms.webhook]\nurl = 'https://sms.example.com'\nsecret = 'hunter2hunter2hunter2'");
    let lines = plain.load().config.lines();
    assert!(lines.contains(&"sms.webhook.url = \"https://sms.example.com/\"".to_owned()), "{lines:?}");
    assert!(lines.contains(&"sms.twilio = none".to_owned()), "{lines:?}");
}
