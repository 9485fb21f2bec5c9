//! What an unknown key may have meant.

use super::Desk;
use crate::config::schema::Schema;
use crate::config::suggest::{SYNONYMS, VARIABLES};

#[test]
fn a_key_of_another_program_leads_to_the_right_one() {
    for (text, said) in [
        (
            "port = 8080",
            "port: unknown key; did you mean `listen`? (address and port together: 127.0.0.1:8080)",
        ),
        ("host = 'x'", "host: unknown key; did you mean `listen`?"),
        ("[server]\nport = 8080", "server.port: unknown key; did you mean `listen`?"),
        ("[server]\nmystery = 1\nhost = 'x'", "server.host: unknown key; did you mean `listen`?"),
        ("[http]\nport = 1", "http.port: unknown key; did you mean `listen`?"),
        ("[log]\nlevel = 'debug'", "log.level: unknown key; did you mean `log.filter`? (such as debug,"),
        ("log_level = 'debug'", "log_level: unknown key; did you mean `log.filter`?"),
        ("[logging]\nlevel = 'debug'", "logging.level: unknown key; did you mean `log.filter`?"),
        (
            "database_url = 'x'",
            "database_url: unknown key; did you mean `database`? (one address: sqlite:PATH or",
        ),
        ("databaseUrl = 'x'", "databaseUrl: unknown key; did you mean `database`?"),
        ("[database]\nurl = 'x'", "database.url: unknown key; did you mean `database`?"),
        ("[database]\nhost = 'x'\nname = 'y'", "database.host: unknown key; did you mean `database`?"),
        ("dsn = 'x'", "dsn: unknown key; did you mean `database`?"),
        ("smtp_host = 'x'", "smtp_host: unknown key; did you mean `mail.smtp.host`?"),
        ("[smtp]\nhost = 'x'", "smtp: unknown key; did you mean `mail.smtp`?"),
        ("[mail]\nfrom = 'x'", "mail.from: unknown key; did you mean `mail.smtp.from`?"),
        ("[mail.smtp]\nuser = 'x'", "mail.smtp.user: unknown key; did you mean `mail.smtp.username`?"),
        ("[mail.smtp]\nsecurity = 'none'", "mail.smtp.security: unknown key; did you mean `mail.smtp.tls`?"),
        ("base_url = 'x'", "base_url: unknown key; did you mean `public_url`?"),
        ("workers = 4", "workers: unknown key; did you mean `hash_pool.threads`?"),
        ("max_connections = 4", "max_connections: unknown key; did you mean `database_connections`?"),
        ("trusted_proxies = []", "trusted_proxies: unknown key; did you mean `http.trusted_proxies`?"),
        ("[twilio]\nfrom = 'x'", "twilio: unknown key; did you mean `sms.twilio`?"),
        ("[mial.smtp]\nhost = 'x'", "mial: unknown key; did you mean `mail`?"),
        (
            "[pgwire]\nport = 5432",
            "pgwire.port: unknown key; did you mean `pgwire.listen`? (address and port",
        ),
        (
            "[rivergen.limits.login_by_ip]\nattempts = 5\nwindow = 60",
            "rivergen.limits.login_by_ip: unknown key; did you mean `rivergen.limits.sign_in_by_ip`?",
        ),
        (
            "[ingestiq.limits]\nregister_per_ip = { attempts = 5, window = 60 }",
            "ingestiq.limits.register_per_ip: unknown key; did you mean `ingestiq.limits.sign_up_by_ip`?",
        ),
        (
            "[messages]\nper_recipient = { attempts = 5, window = 60 }",
            "messages.per_recipient: unknown key; did you mean `messages.by_recipient`?",
        ),
        (
            "[storage]\nquota = 1",
            "storage.quota: unknown key; did you mean `storage_limits.organization_bytes`?",
        ),
        ("[storage_limits]\nquota = 1", "storage_limits.quota: unknown key; did you mean `storage_limits."),
        ("[storage]\npath = 'x'", "storage.path: unknown key; did you mean `storage.directory`?"),
        ("[oauth]\ncode_ttl = 60", "oauth.code_ttl: unknown key; did you mean `oauth.code_lifetime`?"),
        ("prodcut = 'x'", "prodcut: unknown key; did you mean `product`?"),
        ("[brower]\nsign_up = true", "brower: unknown key; did you mean `browser`?"),
        // Singular and plural, and letters that are missing.
        (
            "[http]\ntrusted_proxy = []",
            "http.trusted_proxy: unknown key; did you mean `http.trusted_proxies`?",
        ),
        (
            "[http]\ntrused_proxie = []",
            "http.trused_proxie: unknown key; did you mean `http.trusted_proxies`?",
        ),
        ("[http]\ncors_origin = []", "http.cors_origin: unknown key; did you mean `http.cors_origins`?"),
        ("[ops]\nhost = []", "ops.host: unknown key; did you mean `ops.hosts`?"),
    ] {
        let complaint = Desk::file(text).complaint();
        assert!(complaint.lines().any(|line| line.starts_with(said)), "{text}: {complaint}");
    }
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    for (text, said) in [
        (
            "[browser]\nsign_up = true\npublic_url = 'https://id.example.com'",
            "browser.public_url: unknown key; did you mean `public_url`? (at the top of the file, above the first [table])",
        ),
        (
            "[mail.smtp]\nhost = 'x'\nfrom = 'a@b.cd'\nproduct = 'x'",
            "mail.smtp.product: unknown key; did you mean `product`? (at the top of the file, above the first [table])",
        ),
        // In other tables it means what it says there.
        (
            "[browser]\nwrite_timeout = 1",
            "browser.write_timeout: unknown key; it is a key of [http], [pgwire]; `tidegate config`",
        ),
        (
            "[rivergen]\ncode_lifetime = 1",
            "rivergen.code_lifetime: unknown key; it is a key of [browser], [oauth], [riven]; `tidegate config`",
        ),
        ("sign_in_by_ip = 1", "sign_in_by_ip: unknown key; it is a key of ["),
    ] {
        let complaint = Desk::file(text).complaint();
        assert!(complaint.lines().any(|line| line.starts_with(said)), "{text}: {complaint}");
    }
    let many = Desk::file("attempts = 1").complaint();
    assert!(
        many.contains("it is a key of [") && many.contains(" more; `tidegate config` lists all"),
        "{many}"
    );
    let variable = Desk::new().variable("TIDEGATE_BROWSER__PUBLIC_URL", "x").complaint();
    assert!(variable.contains("did you mean TIDEGATE_PUBLIC_URL?"), "{variable}");
}

#[test]
fn a_certificate_for_https_leads_to_a_proxy_and_not_to_sql_clients() {
    let said = "; HTTP is served without TLS, and a proxy in front has the certificate: docs/guides/reverse-proxy.md; \
                `tidegate config` lists all";
    for (text, key) in [
        ("[http]\ntls_cert = 'x'", "http.tls_cert"),
        ("[http.tls]\ncert_file = 'x'", "http.tls"),
        ("tls_cert = 'x'", "tls_cert"),
        ("[tls]\ncert = 'x'", "tls"),
        ("[server]\nport = 8080\nssl_certificate = 'x'", "server.ssl_certificate"),
        ("https = true", "https"),
    ] {
        let complaint = Desk::file(text).complaint();
        let begins = format!("{key}: unknown key{said}");
        assert!(complaint.lines().any(|line| line.starts_with(&begins)), "{text}: {complaint}");
    }
    let variable = Desk::new().variable("TIDEGATE_TLS_CERT", "x").complaint();
    assert!(variable.starts_with(&format!("TIDEGATE_TLS_CERT: unknown variable{said}")), "{variable}");
    // What begins with the name of another listener or server is its own.
    let own = Desk::new().variable("TIDEGATE_PGWIRE_TLS_CERT", "x").complaint();
    assert!(own.contains("did you mean TIDEGATE_PGWIRE__TLS_CERT?"), "{own}");
    let mail = Desk::file("smtp_tls = 'starttls'").complaint();
    assert!(mail.contains("did you mean `mail.smtp.tls`?"), "{mail}");
}

#[test]
fn a_variable_leads_to_the_right_one() {
    for (name, said) in [
        ("TIDEGATE_PORT", "did you mean TIDEGATE_LISTEN? (address and port together: 127.0.0.1:8080)"),
        ("TIDEGATE_DATABASE_URL", "did you mean TIDEGATE_DATABASE?"),
        ("TIDEGATE_DB", "did you mean TIDEGATE_DATABASE?"),
        ("TIDEGATE_MAIL_SMTP_HOST", "did you mean TIDEGATE_MAIL__SMTP__HOST?"),
        ("TIDEGATE_SMTP_HOST", "did you mean TIDEGATE_MAIL__SMTP__HOST?"),
        ("TIDEGATE_SMTP__HOST", "did you mean TIDEGATE_MAIL__SMTP?"),
        ("TIDEGATE_LOG_LEVEL", "did you mean TIDEGATE_LOG__FILTER?"),
        ("TIDEGATE_LOG__LEVEL", "did you mean TIDEGATE_LOG__FILTER?"),
        ("TIDEGATE_LISTN", "did you mean TIDEGATE_LISTEN?"),
        ("TIDEGATE_DATADIR", "did you mean TIDEGATE_DATA_DIR?"),
    ] {
        let complaint = Desk::new().variable(name, "x").complaint();
        assert!(complaint.starts_with(name) && complaint.contains(said), "{name}: {complaint}");
    }
}

#[test]
fn what_resembles_nothing_gets_no_suggestion() {
    for text in [
        "frobnicate = 1",
        "[mystery]\nx = 1",
        "[mail.smtp]\nxyz = 1",
        "[http]\nfrobnicate = 1",
        "lst = 'x'",
        // A key of [riven], another contract.
        "[rivergen]\ncode_lifetime = 1",
    ] {
        let complaint = Desk::file(text).complaint();
        assert!(!complaint.contains("did you mean"), "{complaint}");
        assert!(complaint.contains("`tidegate config` lists all"), "{complaint}");
    }
}

#[test]
fn every_synonym_leads_to_a_key_that_there_is_and_is_none_itself() {
    let schema = Schema::new().unwrap();
    let keys: Vec<String> = schema.keys().iter().map(|key| key.join(".")).collect();
    for (names, key, _) in SYNONYMS {
        assert!(keys.iter().any(|known| known == key), "{key}");
        for name in *names {
            assert!(!keys.iter().any(|known| known == name), "{name}");
        }
    }
    for (variable, key, write) in VARIABLES {
        assert!(keys.iter().any(|known| known == key), "{key}");
        let own = format!("TIDEGATE_{}=", key.replace('.', "__").to_uppercase());
        assert!(write.starts_with(&own) && write.ends_with(&format!("${variable}")), "{write}");
    }
}
