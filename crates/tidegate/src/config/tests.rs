//! What operators write, and what they are told about it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use tempfile::TempDir;
use tidegate_domain::DialectProfile;

use super::load::{Flags, Loaded, load_from};
use super::schema::Schema;
use crate::cli::GlobalFlags;

const EXAMPLE: &str = include_str!("../../tidegate.example.toml");

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

    /// The complaint, with the file's directory cut off.
    fn complaint(&self) -> String {
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

#[test]
fn a_part_of_a_contracts_profile_leaves_the_rest_as_the_contract_says() {
    let config =
        Desk::file("[ingestiq.password]\nmin_length = 12\n[rivergen.limits.sign_in_by_ip]\nattempts = 50")
            .load()
            .config;
    let mut ingestiq = DialectProfile::ingestiq();
    ingestiq.password.min_length = 12;
    assert_eq!(config.ingestiq, ingestiq);
    let mut rivergen = DialectProfile::rivergen();
    rivergen.limits.sign_in_by_ip.as_mut().unwrap().attempts = 50;
    assert_eq!(config.rivergen, rivergen);
}

#[test]
fn no_attempts_means_no_limit() {
    let config =
        Desk::file("[rivergen.limits.sign_in_by_ip]\nattempts = 0\n[ingestiq.session]\nsliding_up_to = 0")
            .variable("TIDEGATE_FAILED_PASSWORDS_BY_ACCOUNT__ATTEMPTS", "0")
            .load()
            .config;
    assert_eq!(config.rivergen.limits.sign_in_by_ip, None);
    assert!(config.rivergen.limits.sign_in_by_email.is_some());
    assert_eq!(config.ingestiq.session.sliding_up_to, None);
    assert_eq!(config.failed_passwords(), None);
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
        "http.cors: there is no such key; did you mean `http.cors_origins`? (in t.toml)\n\
         lissten: there is no such key; did you mean `listen`? (in t.toml)\n\
         TIDEGATE_MAIL__SMTP__PASWORD: there is no such variable; did you mean TIDEGATE_MAIL__SMTP__PASSWORD?\n\
         previous_peppers.keys: there is no such key; did you mean `previous_peppers.key`? (in t.toml)\n\
         smtp: there is no such key; did you mean `mail.smtp`? (in t.toml)"
    );
}

#[test]
fn a_wrong_value_is_told_with_its_key_what_was_expected_and_its_source() {
    let complaint = |text: &str| Desk::file(text).complaint();
    assert_eq!(
        complaint("[http]\ndeadline = 'soon'"),
        "http.deadline: must be a whole number, 0 or greater, not text (in t.toml)"
    );
    assert_eq!(
        complaint("[http]\ndeadline = -1"),
        "http.deadline: is out of range: must be a whole number, 0 or greater (in t.toml)"
    );
    assert_eq!(complaint("mail = 3"), "mail: must be a table, not a number (in t.toml)");
    assert_eq!(
        complaint("[log]\nformat = 'xml'"),
        "log.format: must be one of json, text, not \"xml\" (in t.toml)"
    );
    assert_eq!(
        complaint("[mail.smtp]\nhost = 'a'"),
        "mail.smtp.from: is missing; its table needs it (in t.toml)"
    );
    assert_eq!(
        complaint("[ingestiq.limits]\nsign_up_by_ip = { attempts = 3 }"),
        "ingestiq.limits.sign_up_by_ip.window: is missing; its table needs it (in t.toml)"
    );
    assert_eq!(complaint("a = 1\n= 2"), "t.toml, line 2: invalid key");
    let desk = Desk::new().variable("TIDEGATE_LISTEN", "8080");
    assert_eq!(
        desk.complaint(),
        "listen: \"8080\" is not an address and a port such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080 (in \
         TIDEGATE_LISTEN)"
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
            "rivergen.access_token_lifetime",
            "rivergen.limits.sign_in_by_ip.window",
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
        [mail.smtp]\nhost = 'a.example'\nfrom = 'a@b.cd'\nusername = 'ada'\npassword = 'hunter2'",
    )
    .load();
    let shown = format!("{loaded:?} {} {}", loaded.config.view(), loaded.config.lines().join("\n"));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains("postgres://db.example/x") && shown.contains("mail.smtp.password = \"[secret]\""),
        "{shown}"
    );
}

/// The example without the `#` before its settings.
fn whole_example() -> String {
    let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line| str::strip_prefix(line, "#").filter(is_setting).unwrap_or(line);
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn leaves(prefix: &str, values: &Dict, found: &mut BTreeSet<(String, String)>) {
    for (key, value) in values {
        let path = format!("{prefix}{key}");
        match value {
            Value::Dict(_, inner) => leaves(&format!("{path}."), inner, found),
            value => {
                found.insert((path, serde_json::to_string(value).unwrap()));
            }
        }
    }
}

fn leaves_of(values: &Dict) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    leaves("", values, &mut found);
    found
}

#[test]
fn the_example_explains_every_key_and_no_other() {
    let values: Dict = Toml::from_str(&whole_example()).unwrap();
    let explained: BTreeSet<String> = leaves_of(&values).into_iter().map(|(key, _)| key).collect();
    let known: BTreeSet<String> = Schema::new().unwrap().leaves().into_iter().collect();
    assert_eq!(explained, known);
}

#[test]
fn the_example_as_it_stands_changes_nothing_and_shows_the_defaults() {
    let untouched = Desk::file(EXAMPLE).load().config;
    assert_eq!(untouched.view(), Desk::new().load().config.view());

    let values: Dict = Toml::from_str(&whole_example()).unwrap();
    let shown = leaves_of(&values);
    let defaults = Value::serialize(super::Config::default()).unwrap().into_dict().unwrap();
    let stray: Vec<_> = leaves_of(&defaults)
        .into_iter()
        .filter(|(_, value)| value != "null")
        .filter(|default| !shown.contains(default))
        .collect();
    assert_eq!(stray, []);
}
