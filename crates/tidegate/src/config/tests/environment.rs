//! What surrounds a configuration: variables of others, line breaks of secrets, browsers, development.

use super::*;

#[test]
fn variables_that_kubernetes_makes_for_any_service_are_left_alone() {
    for (name, value) in [
        ("TIDEGATE_POSTGRESQL_SERVICE_HOST", "10.0.0.1"),
        ("TIDEGATE_POSTGRESQL_SERVICE_PORT", "5432"),
        ("TIDEGATE_POSTGRESQL_SERVICE_PORT_TCP_POSTGRESQL", "5432"),
        ("TIDEGATE_POSTGRESQL_PORT", "tcp://10.0.0.1:5432"),
        ("TIDEGATE_POSTGRESQL_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
        ("TIDEGATE_POSTGRESQL_PORT_5432_TCP_ADDR", "10.0.0.1"),
        ("TIDEGATE_POSTGRESQL_PORT_5432_TCP_PORT", "5432"),
        ("TIDEGATE_POSTGRESQL_PORT_5432_TCP_PROTO", "tcp"),
        ("TIDEGATE_POSTGRESQL_HL_PORT_53_UDP_ADDR", "10.0.0.1"),
        ("TIDEGATE_METRICS_PORT_38412_SCTP", "sctp://10.0.0.1:38412"),
        ("TIDEGATE_HEADLESS_SERVICE_HOST", "None"),
        ("TIDEGATE_SERVICE_PORT", "80"),
        ("TIDEGATE_PORT_80_TCP", "tcp://10.0.0.1:80"),
    ] {
        let loaded = Desk::new().variable(name, value).load();
        assert!(loaded.sources.is_empty(), "{name}");
    }
    for (name, value) in [
        ("TIDEGATE_PORT", "8080"),
        ("TIDEGATE_MAIL_SMTP_PORT", "587"),
        ("TIDEGATE_PORT_NUMBER", "80"),
        ("TIDEGATE_SERVICE", "x"),
        ("TIDEGATE_POSTGRESQL_HOST", "10.0.0.1"),
    ] {
        assert!(Desk::new().variable(name, value).complaint().contains("unknown variable"), "{name}");
    }
}

#[test]
fn our_variables_that_are_empty_are_told_and_those_of_others_are_not() {
    let loaded = Desk::new()
        .variable("TIDEGATE_PUBLIC_URL", "")
        .variable("TIDEGATE_POSTGRESQL_SERVICE_HOST", "")
        .variable("TIDEGATE_TEST_POSTGRES", "")
        .variable("OTHER", "")
        .load();
    let told = "set and empty, which is as if not set: TIDEGATE_PUBLIC_URL";
    assert_eq!(loaded.unread, [("", told.to_owned())]);
    assert!(loaded.database_hints().is_empty());
    let loaded = Desk::new().variable("TIDEGATE_DATABASE", "\n").load();
    assert_eq!(loaded.database_hints(), ["set and empty, which is as if not set: TIDEGATE_DATABASE"]);
    assert!(Desk::new().variable("TIDEGATE_DEV", "1").load().unread.is_empty());
}

/// A mail server whose password a variable has.
const MAIL: &str = "[mail.smtp]\nhost = 'smtp.example.com'\nfrom = 'a@b.cd'\nusername = 'ada'\n";

#[test]
fn a_secret_that_is_missing_is_told_with_its_variable() {
    for (text, said, variable) in [
        (
            MAIL,
            "mail.smtp: username and password must be given together (in t.toml); ",
            "MAIL__SMTP__PASSWORD",
        ),
        ("[pepper]\nid = 'p1'", "pepper.key: is missing; its table requires it (in t.toml); ", "PEPPER__KEY"),
        ("[social.github]\nclient_id = 'a'", "social.github", "SOCIAL__GITHUB__CLIENT_SECRET"),
        (
            "[storage]\nbackend = 's3'\nbucket = 'files'\naccess_key_id = 'a'",
            "storage",
            "STORAGE__SECRET_ACCESS_KEY",
        ),
    ] {
        let complaint = Desk::file(text).complaint();
        let told = format!("; TIDEGATE_{variable} is not set here, or empty: ");
        assert!(complaint.starts_with(said) && complaint.contains(&told), "{complaint}");
        let name = format!("TIDEGATE_{variable}");
        let set = Desk::file(text).variable(&name, "0123456789abcdef0123456789abcdef");
        assert!(load_from(&set.global, &set.flags, set.variables.clone()).is_ok(), "{name}");
    }
    // Of secrets that are there, and where something else is wrong, nothing is said.
    for text in [
        "[mail.smtp]\nhost = 'a b'\nfrom = 'a@b.cd'",
        "[mail.smtp]\nhost = 'smtp.example.com'\nfrom = 'a@b.cd'\npassword = 'hunter2'",
        "[pepper]\nid = 'p1'\nkey = 'short'",
        "[pepper]\nid = 'p1'\nkey = 7",
    ] {
        let complaint = Desk::file(text).complaint();
        assert!(!complaint.contains("not set here"), "{complaint}");
    }
}

#[test]
fn commands_leave_secrets_of_mail_and_of_providers_to_the_server() {
    let read = |text: &str| {
        let mut desk = Desk::file(text);
        desk.flags = Flags { reader: Reader::Command, ..Flags::default() };
        load_from(&desk.global, &desk.flags, Vec::new())
    };
    let smtp = read(MAIL).unwrap().config.mail.smtp.unwrap();
    assert!(smtp.username.is_some() && smtp.password.is_none());
    for wrong in [MAIL.replace("smtp.example.com", "a b"), MAIL.replace("username", "password")] {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
    assert!(read("[social.github]\nclient_id = 'a'").is_ok());
    // It is mixed into the passwords that commands set.
    assert!(read("[pepper]\nid = 'p1'").is_err());
}

#[test]
fn quotation_marks_around_a_value_are_told_and_what_they_enclose_is_not() {
    let marks = |names: &str| {
        format!(
            "the value begins and ends with a quotation mark, which is part of it (docker --env-file passes the marks on): {names}. Leave \
             them out, unless they are meant"
        )
    };
    let told = |loaded: &Loaded| loaded.unread.iter().map(|(_, told)| told.clone()).collect::<Vec<String>>();
    let smtp = "[mail.smtp]\nhost = 'a.b'\nfrom = 'a@b.cd'\nusername = 'ada'";
    let loaded = Desk::file(smtp)
        .variable("TIDEGATE_MAIL__SMTP__PASSWORD", "\"hunter2\"\n")
        .variable("TIDEGATE_PRODUCT", "'Acme'")
        .load();
    assert_eq!(told(&loaded), [marks("TIDEGATE_MAIL__SMTP__PASSWORD, TIDEGATE_PRODUCT")]);
    for others in ["hunter2", "\"hunter2", "hunter2'", "\"hunter2'", "\""] {
        let loaded = Desk::file(smtp).variable("TIDEGATE_MAIL__SMTP__PASSWORD", others).load();
        assert!(!told(&loaded).iter().any(|told| told.contains("quotation")), "{others}");
    }
    // A mistake that they are the reason of is told with them.
    let complaint = Desk::new().variable("TIDEGATE_LISTEN", "\"0.0.0.0:80\"").complaint();
    assert!(complaint.ends_with(&format!("\nhint: {}", marks("TIDEGATE_LISTEN"))), "{complaint}");
}

#[test]
fn quotation_marks_around_the_secret_in_a_file_are_told() {
    for (text, is_told) in [("'hunter2'\n", true), ("hunter2\n", false)] {
        let desk = Desk::new();
        let path = desk.directory.path().join("key");
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let loaded = desk.variable("TIDEGATE_STORAGE__SECRET_ACCESS_KEY_FILE", path).load();
        let told = format!(
            "storage.secret_access_key_file: what stands in {path} begins and ends with a quotation mark, which is part of it. Leave them \
             out, unless they are meant"
        );
        let expected = if is_told { vec![("", told)] } else { Vec::new() };
        assert_eq!(loaded.unread, expected);
    }
}

#[test]
fn line_breaks_at_the_end_are_no_part_of_a_variable_or_a_secret() {
    let config = Desk::file(
        "[mail.smtp]\nhost = 'smtp.example.com'\nfrom = 'a@b.cd'\nusername = 'ada'\n[pepper]\nid = 'p'\nkey = '''\n\
         0123456789012345678901234567890123456789\n'''\n\
         [sms.webhook]\nurl = 'https://sms.example.com/x'\nsecret = '''\n0123456789abcdef0123456789abcdef\n'''\n\
         [broker.alpaca]\nkey = 'key'\nsecret = '''\nhunter2\n'''",
    )
    .variable("TIDEGATE_MAIL__SMTP__PASSWORD", "secret\n")
    .variable("TIDEGATE_PRODUCT", "Acme\r\n")
    .variable("TIDEGATE_DATABASE", "postgres://u:p@h/d\n")
    .variable("TIDEGATE_HTTP__DEADLINE", "6\n")
    .load()
    .config;
    assert_eq!(config.mail.smtp.unwrap().password.unwrap().0.expose(), "secret");
    assert_eq!((config.product.as_str(), config.http.deadline), ("Acme", Duration::from_secs(6)));
    assert_eq!(config.pepper.unwrap().key.expose().len(), 40);
    assert_eq!(config.sms.webhook.unwrap().secret.0.expose().len(), 32);
    assert_eq!(config.broker.alpaca.unwrap().secret.0.expose(), "hunter2");
    // What is inside may be meant.
    let desk = Desk::file("[mail.smtp]\nhost = 'a.b'\nfrom = 'a@b.cd'\nusername = 'ada'");
    let config = desk.variable("TIDEGATE_MAIL__SMTP__PASSWORD", " se\ncret \n").load().config;
    assert_eq!(config.mail.smtp.unwrap().password.unwrap().0.expose(), " se\ncret ");
}

#[test]
fn a_slash_at_the_end_of_the_public_address_is_left_out() {
    for (written, kept) in [
        ("https://id.example.com/", "https://id.example.com"),
        ("https://id.example.com", "https://id.example.com"),
        ("https://example.com/id//", "https://example.com/id"),
    ] {
        let config = Desk::file(&format!("public_url = '{written}'")).load().config;
        assert_eq!(config.public_url.as_deref(), Some(kept));
        assert_eq!(config.identity_settings("http://127.0.0.1").unwrap().public_url, kept);
        assert_eq!(config.expected_url(), kept);
    }
}

#[test]
fn origins_are_kept_as_browsers_send_them() {
    let config = Desk::file(
        "[http]\ncors_origins = ['HTTPS://APP.example.com', 'http://b.example:80', 'https://c.example:8443', \
         'https://b\u{fc}cher.example']\ncors_headers = ['X-CSRF-Token']",
    )
    .load()
    .config;
    assert_eq!(
        config.http.cors_origins,
        [
            "https://app.example.com",
            "http://b.example",
            "https://c.example:8443",
            "https://xn--bcher-kva.example"
        ]
    );
    assert_eq!(config.http_settings().cors_headers, ["X-CSRF-Token"]);
    for wrong in [
        "cors_origins = ['https://*.example.com']",
        "cors_origins = ['app.example.com']",
        "cors_origins = ['null']",
        "cors_origins = ['https://a.example/app']",
        "cors_origins = ['https://ada@a.example']",
        "cors_origins = ['ftp://a.example']",
        "cors_headers = ['X CSRF']",
    ] {
        let complaint = Desk::file(&format!("[http]\n{wrong}")).complaint();
        assert!(complaint.starts_with("http.cors_"), "{complaint}");
    }
}

#[test]
fn nodes_are_listened_to_at_a_postgresql_address_only() {
    let listen = "database_listen = 'postgres://u@h/d'";
    let config = Desk::file(&format!("database = 'postgres://u@pooler/d'\n{listen}")).load().config;
    assert!(config.store_options().listen_url.is_some());
    let complaint = Desk::file(listen).complaint();
    assert!(complaint.starts_with("database_listen: must be a PostgreSQL address"), "{complaint}");
    let complaint = Desk::file("database = 'postgres://u@h/d?pasword=hunter2hunter2'").complaint();
    assert!(complaint.contains("did you mean password?") && !complaint.contains("hunter2"), "{complaint}");
}

#[test]
fn development_raises_the_limits_that_nobody_has_set() {
    let file =
        "[rivergen.limits.sign_in_by_ip]\nattempts = 7\n[phone.limits.by_ip]\nattempts = 8\nwindow = 60";
    let limits = |dev: bool, limits: bool| {
        let mut desk = Desk::file(file).variable("TIDEGATE_MESSAGES__BY_NETWORK__ATTEMPTS", "9");
        desk.flags = Flags { dev, limits, ..Flags::default() };
        desk.load().config
    };
    let (dev, kept, plain) = (limits(true, false), limits(true, true), limits(false, false));
    let attempts = |config: &Config| {
        let rivergen = &config.contracts.of(ContractId::RIVERGEN).unwrap().limits;
        let ingestiq = &config.contracts.of(ContractId::INGESTIQ).unwrap().limits;
        [
            rivergen.sign_in_by_ip,
            config.phone.limits.by_ip,
            config.messages.by_network,
            config.failed_passwords_by_account,
            config.failed_codes_by_account,
            rivergen.sign_up_by_ip,
            rivergen.sign_in_by_email,
            ingestiq.sign_in_by_ip,
            config.phone.limits.by_phone,
            config.messages.by_recipient,
            config.riven.limits.mails_by_email,
            config.passwords_set_by_network,
        ]
        .map(|limit| limit.map_or(0, |limit| limit.attempts))
    };
    assert_eq!(attempts(&kept), attempts(&plain));
    assert_eq!(attempts(&plain)[..3], [7, 8, 9]);
    for (place, (raised, plain)) in attempts(&dev).into_iter().zip(attempts(&plain)).enumerate() {
        let factor = if place < 5 { 1 } else { 100 };
        assert_eq!(raised, plain * factor, "{place}");
    }
}
