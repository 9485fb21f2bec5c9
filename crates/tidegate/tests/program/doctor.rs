//! `tidegate doctor`

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines, on_one_engine};

use crate::support::{Installation, PASSWORD, Said};

fn status<'r>(report: &'r Value, check: &str) -> &'r str {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["name"] == check);
    found.and_then(|found| found["status"].as_str()).unwrap_or_else(|| panic!("no {check}: {report}"))
}

on_both_engines! {
    async fn an_installation_that_has_served_is_well(here: Installation) {
        here.serve(&[]).stop();
        let said = here.run(&["doctor"]);
        assert_eq!(said.code, 0, "{}", said.out);
        assert!(said.out.contains("✓ master key") && said.out.contains("opens 1 signing key(s)"), "{}", said.out);
        assert!(said.out.contains("! mail ") && said.out.contains("! sms "), "{}", said.out);
        assert!(said.out.contains("✓ broker             embedded sandbox: no real accounts"), "{}", said.out);
        assert!(said.out.contains("✓ contracts          RiverGen at /api/v1, IngestIQ at /api/v2, Crossing Minds at /v1 and /"), "{}", said.out);
        assert!(said.out.contains("sign-ins/s"), "{}", said.out);
        let settings = said.out.split_once("\n\n").unwrap().1;
        assert!(!settings.contains("rivergen.limits"), "those that somebody has set: {settings}");
        let all = here.output(&["doctor", "--all"]);
        assert!(all.contains("\n\nEvery setting:\n") && all.contains("  rivergen.limits.sign_in_by_ip.attempts = 5\n"), "{all}");
        let report = here.json(&["doctor"]);
        assert_eq!(report["ok"], true);
        for check in ["configuration", "data directory", "master key", "database", "files", "outbox", "password hash", "clock"] {
            assert_eq!(status(&report, check), "ok", "{report}");
        }
    }
}

#[test]
fn it_makes_nothing() {
    let here = Installation::new();
    let said = here.run(&["doctor"]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(
        said.out.contains("! database           sqlite:./tidegate-data/tidegate.db is created"),
        "{}",
        said.out
    );
    // It may be the wrong directory.
    assert!(said.out.contains("name the data directory with --data-dir"), "{}", said.out);
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
}

on_one_engine! { Engine::Postgres;
    async fn an_empty_postgresql_may_be_another_database_than_was_meant(here: Installation) {
        let found = |report: &Value| {
            let checks = report["checks"].as_array().unwrap();
            checks.iter().find(|found| found["name"] == "database").unwrap().clone()
        };
        let before = found(&here.json(&["doctor"]));
        assert_eq!(before["status"], "warning", "{before}");
        let detail = before["detail"].as_str().unwrap();
        assert!(detail.contains("is empty: it has no tables of Tidegate. The first start makes them"), "{before}");
        assert!(before["advice"].as_str().unwrap().contains("if accounts were expected there"), "{before}");
        assert!(before["advice"].as_str().unwrap().contains("TIDEGATE_DATABASE"), "{before}");
        here.begin();
        let after = found(&here.json(&["doctor"]));
        assert_eq!(after["status"], "ok", "{after}");
    }
}

#[tokio::test]
async fn lifetimes_that_are_cut_are_told_as_the_start_tells_them() {
    let here = Installation::new();
    assert_eq!(status(&here.json(&["doctor"]), "lifetimes"), "ok");
    here.write("tidegate.toml", "[oauth]\nrefresh_token_lifetime = 31536000\nsession_lifetime = 86400\n");
    let report = here.json(&["doctor"]);
    assert_eq!(status(&report, "lifetimes"), "warning", "{report}");
    let told = "oauth.refresh_token_lifetime is 31536000 seconds, and oauth.session_lifetime 86400: the shorter one counts";
    assert!(report.to_string().contains(told), "{report}");
    let server = here.serve(&[]);
    server.logs(told);
    server.stop();
}

#[tokio::test]
async fn a_lifetime_that_was_meant_in_minutes_is_told_as_the_start_tells_it() {
    let here = Installation::new();
    here.write("tidegate.toml", "[rivergen]\naccess_token_lifetime = 15\n");
    let report = here.json(&["doctor"]);
    assert_eq!(status(&report, "lifetimes"), "warning", "{report}");
    let told =
        "rivergen.access_token_lifetime is 15 seconds: where minutes were meant, write 900, for hours 54000";
    assert!(report.to_string().contains(told), "{report}");
    let server = here.serve(&[]);
    server.logs(told);
    server.stop();
}

#[test]
fn a_public_url_with_a_path_is_not_called_well() {
    let here = Installation::new();
    here.write("tidegate.toml", "public_url = 'https://example.com/auth'\n");
    let said = here.run(&["doctor"]);
    let told = "! public_url         https://example.com/auth: this server answers at / and not below /auth";
    assert!(said.code == 0 && said.out.contains(told), "{}", said.out);
}

#[tokio::test]
async fn a_proxy_that_is_not_named_is_told_by_the_doctor_and_by_the_start() {
    let here = Installation::new();
    assert_eq!(status(&here.json(&["doctor"]), "proxy"), "ok");
    here.write("tidegate.toml", "public_url = 'https://id.example.com'\n");
    let told = "requests come through a proxy, since public_url is https: have it send X-Forwarded-For and set http.trusted_proxies";
    let said = here.run(&["doctor"]);
    assert!(said.code == 0 && said.out.contains(&format!("! proxy              {told}")), "{}", said.out);
    let server = here.serve(&[]);
    assert_eq!(server.log().matches(told).count(), 1, "{}", server.log());
    server.stop();
    here.write(
        "tidegate.toml",
        "public_url = 'https://id.example.com'\n[http]\ntrusted_proxies = ['10.0.0.0/8', '127.0.0.1']\n",
    );
    let said = here.run(&["doctor"]);
    assert!(said.out.contains("✓ proxy              10.0.0.0/8, 127.0.0.1/32"), "{}", said.out);
}

#[test]
fn one_problem_does_not_hide_another() {
    let here = Installation::new();
    here.write("mail.txt", "not a directory");
    here.write(
        "tidegate.toml",
        "public_url = 'http://id.example.com'\ndatabase = 'postgres://ada:hunter2@127.0.0.1:1/x'\n\
         [mail]\ntemplates_dir = 'mail.txt'\n\
         [mail.smtp]\nhost = '127.0.0.1'\nport = 1\ntls = 'none'\nfrom = 'a@example.com'\ntimeout_seconds = 5\n\
         [broker.alpaca]\nbase_url = 'http://127.0.0.1:1'\nkey = 'hunter2'\nsecret = 'hunter2'\n\
         [sms.africas_talking]\nusername = 'sandbox'\napi_key = 'hunter2'\n\
         [prompts.models.big]\nbase_url = 'https://models.example.com/v1'\nmodel = 'm'\n",
    );
    let said = here.run(&["doctor", "--json"]);
    assert_eq!(said.code, 1);
    let report = said.json();
    assert_eq!(report["ok"], false);
    for (check, advice) in [
        ("database", "start the server"),
        ("mail templates", "mail.templates_dir"),
        ("broker", "[broker.alpaca]"),
        ("public_url", "put a proxy that speaks TLS in front"),
    ] {
        assert_eq!(status(&report, check), "error", "{check}: {report}");
        let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == check).unwrap();
        assert!(found["advice"].as_str().unwrap().contains(advice), "{found}");
        assert!(!found.to_string().contains("os error"), "{found}");
    }
    // What names the settings to look at has no list of all of them below it.
    assert_eq!(status(&report, "mail"), "error", "{report}");
    let mail = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == "mail").unwrap();
    let detail = mail["detail"].as_str().unwrap();
    assert!(detail.starts_with("[mail.smtp] ") && detail.ends_with(": check host, port and tls"), "{mail}");
    assert!(mail["advice"].is_null() && !mail.to_string().contains("os error"), "{mail}");
    let said = here.run(&["doctor"]);
    assert!(said.out.contains("\n                     \u{2192} start the server"), "{}", said.out);
    assert!(
        said.out.contains("models             builtin; only where a question names it (ai_model): big."),
        "{}",
        said.out
    );
    let settings = said.out.split_once("Settings that differ from their defaults").unwrap().1;
    assert!(settings.contains("  mail.smtp.port = 1\n") && !settings.contains("listen ="), "{settings}");
    assert_eq!(status(&report, "sms"), "warning", "{report}");
    let broker = &report["configuration"]["broker"]["alpaca"];
    assert_eq!((&broker["key"], &broker["secret"]), (&json!("[secret]"), &json!("[secret]")));
    assert!(!format!("{}{}", said.out, said.err).contains("hunter2"), "{said:?}");
}

#[test]
fn own_settings_do_not_drown_in_the_limits_of_development() {
    let here = Installation::new();
    let text =
        "dev = true\nproduct = 'Example'\n[rivergen.limits]\nsign_up_by_ip = { attempts = 7, window = 60 }\n";
    here.write("tidegate.toml", text);
    let out = here.run(&["doctor"]).out;
    let settings = out.split_once("Settings that differ from their defaults").unwrap().1;
    let settings = settings.split_once("shows all:\n").unwrap().1.trim_end();
    for own in
        ["  dev = true\n", "  product = \"Example\"\n", "  rivergen.limits.sign_up_by_ip.attempts = 7\n"]
    {
        assert!(settings.contains(own), "{own}: {settings}");
    }
    let (own, raised): (Vec<&str>, Vec<&str>) =
        settings.lines().partition(|line| !line.contains("a hundred times higher"));
    assert!(own.iter().filter(|line| line.contains(".attempts = ")).count() == 1, "{settings}");
    assert!(raised.len() == 1 && settings.ends_with(raised[0]), "{settings}");
    // Where nobody asks for them, they are not told.
    here.write("tidegate.toml", &format!("dev_limits = true\n{text}"));
    assert!(!here.run(&["doctor"]).out.contains("a hundred times higher"));
    assert!(here.run(&["doctor", "--all"]).out.contains("  rivergen.limits.sign_in_by_ip.attempts = "));
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_finding_too() {
    let here = Installation::new();
    here.write("tidegate.toml", "prodcut = 'x'\n[http]\ndeadline = 'x'\n");
    let said = here.run(&["doctor"]);
    assert_eq!(said.code, 1);
    assert!(said.out.starts_with("✗ configuration      prodcut: unknown key"), "{}", said.out);
    assert!(said.out.contains("\u{2192} correct these settings"), "{}", said.out);
}

#[test]
fn a_private_key_that_a_setting_names_is_kept_from_others_too() {
    let here = Installation::new();
    here.write("tidegate.toml", "[pgwire]\ntls_cert = 'cert.pem'\ntls_key = 'key.pem'\n");
    for name in ["cert.pem", "key.pem"] {
        here.write(name, "");
    }
    let told = |mode: u32| {
        for name in ["cert.pem", "key.pem"] {
            std::fs::set_permissions(here.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        here.run(&["doctor"]).out
    };
    let out = told(0o644);
    assert!(
        out.contains(
            "! secret files       key.pem is accessible to other users (mode 0644): run `chmod o= key.pem`"
        ),
        "{out}"
    );
    assert!(!out.contains("cert.pem is accessible"), "{out}");
    // A group may be made for the server to read it.
    assert!(told(0o640).contains("✓ secret files"));
}

on_both_engines! {
    async fn a_pepper_that_was_removed_is_told(here: Installation) {
        let pepper = |id: &str| format!("[pepper]\nid = '{id}'\nkey = '0123456789012345678901234567890123456789'\n");
        here.write("tidegate.toml", &pepper("first"));
        here.serve(&[]).stop();
        let create = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
        let said = here.run_with_input(&create, PASSWORD);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(here.run(&["doctor"]).out.contains("✓ password hash"));
        here.write("tidegate.toml", &pepper("second"));
        let out = here.run(&["doctor"]).out;
        let told = "! password hash      1 password(s) are hashed with the pepper \"first\", which is not configured";
        assert!(out.contains(told) && out.contains("to previous_peppers"), "{out}");
        let server = here.serve(&[]);
        server.logs("1 password(s) are hashed with the pepper");
        assert_eq!(server.sign_in("ada@example.com", PASSWORD).await.0, 401);
        server.logs("password: its stored hash cannot be verified");
        server.stop();
    }
}

#[test]
fn a_certificate_that_has_expired_is_told_by_the_doctor_and_at_the_start() {
    let here = Installation::new();
    here.write(
        "ca.cnf",
        "[ca]\ndefault_ca = one\n[one]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\npolicy = any\n\
         x509_extensions = extensions\n[any]\ncommonName = supplied\n[extensions]\nsubjectAltName = DNS:localhost\n",
    );
    here.write("index.txt", "");
    let openssl = |arguments: &[&str]| {
        let made = Said::of(here.command_of("openssl").args(arguments));
        assert_eq!(made.code, 0, "{made:?}");
    };
    openssl(&[
        "req",
        "-new",
        "-subj",
        "/CN=localhost",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
    ]);
    openssl(&[
        "ca",
        "-batch",
        "-selfsign",
        "-config",
        "ca.cnf",
        "-keyfile",
        "key.pem",
        "-in",
        "request.pem",
        "-out",
        "cert.pem",
        "-notext",
        "-startdate",
        "20200101000000Z",
        "-enddate",
        "20200102000000Z",
    ]);
    let listening_at = |port: u16| {
        let settings =
            format!("[pgwire]\nlisten = '127.0.0.1:{port}'\ntls_cert = 'cert.pem'\ntls_key = 'key.pem'\n");
        here.write("tidegate.toml", &settings);
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    listening_at(port);
    let told = "pgwire.tls_cert: the certificate cert.pem expired on 2020-01-02T00:00:00Z";
    let out = here.run(&["doctor"]).out;
    assert!(out.contains(&format!("! pgwire             {told}")), "{out}");
    assert!(out.contains("renew it, and start this server again"), "{out}");
    assert!(out.contains(&format!("127.0.0.1:{port} is in use")), "{out}");
    listening_at(0);
    let server = here.serve(&[]);
    server.logs(told);
    server.stop();
}

#[test]
fn variables_that_only_others_read_are_told() {
    let here = Installation::new();
    let mut command = here.command(&["doctor"]);
    command.env("PORT", "3000").env("DATABASE_URL", "postgres://u:hunter2@h/d");
    let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(
        out.contains(
            "! environment        DATABASE_URL is set, but not read: write TIDEGATE_DATABASE=$DATABASE_URL"
        ),
        "{out}"
    );
    assert!(out.contains("PORT is set, but not read: write TIDEGATE_LISTEN=0.0.0.0:$PORT"), "{out}");
    assert!(!out.contains("hunter2"), "{out}");
    command.env("TIDEGATE_LISTEN", "0.0.0.0:3000").env("TIDEGATE_DATABASE", "sqlite:x.db");
    let out = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(out.contains("✓ environment"), "{out}");
}

#[tokio::test]
async fn a_variable_in_quotation_marks_is_told_by_its_name() {
    let here = Installation::new();
    let quoted = |command: &mut Command| {
        command.env("TIDEGATE_PRODUCT", "\"hunter2\"");
    };
    let mut command = here.command(&["doctor"]);
    quoted(&mut command);
    let said = Said::of(&mut command);
    let told = "the value begins and ends with a quotation mark, which is part of it";
    assert!(said.out.contains(&format!("! environment        {told}")), "{}", said.out);
    assert!(said.out.contains("passes the marks on): TIDEGATE_PRODUCT. "), "{}", said.out);
    let server = here.serve_with(&[], quoted);
    server.logs(told);
    server.stop();
}

#[tokio::test]
async fn a_variable_that_is_empty_is_told() {
    let here = Installation::new();
    let told = "set and empty, which is as if not set: TIDEGATE_CONFIG, TIDEGATE_DATABASE";
    let empty = |command: &mut Command| {
        command.env("TIDEGATE_DATABASE", "").env("TIDEGATE_CONFIG", "");
    };
    let mut command = here.command(&["doctor"]);
    empty(&mut command);
    let said = Said::of(&mut command);
    assert!(said.out.contains(&format!("! environment        {told}")), "{}", said.out);
    let mut command = here.command(&["user", "list"]);
    empty(&mut command);
    let said = Said::of(&mut command);
    assert!(said.code == 1 && said.err.ends_with(&format!("\nhint: {told}\n")), "{}", said.err);
    // Another installation than was meant begins.
    let server = here.serve_with(&[], empty);
    server.logs(told);
    server.stop();
}

#[test]
fn beside_a_server_it_says_where_that_listens_whatever_is_configured() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    let report = here.json(&["doctor"]);
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == "listen").unwrap();
    let address = server.base.trim_start_matches("http://");
    let detail = found["detail"].as_str().unwrap();
    assert_eq!(found["status"], "ok", "{found}");
    assert!(detail.starts_with(&format!("this installation is served at {address}; ")), "{found}");
    server.stop();
}

#[test]
fn it_says_whether_passkeys_have_a_domain() {
    let here = Installation::new();
    let report = here.json(&["doctor"]);
    assert_eq!(status(&report, "passkeys"), "warning", "{report}");
    let said = here.run(&["doctor"]);
    assert!(said.out.contains("passkeys cannot be bound to an IP address; set public_url"), "{}", said.out);
    assert!(said.out.contains("fine on a development machine: with "), "{}", said.out);
    here.write("tidegate.toml", "dev = true\n");
    assert_eq!(status(&here.json(&["doctor"]), "passkeys"), "ok");
    here.write("tidegate.toml", "public_url = 'https://id.example.com'\n");
    let said = here.run(&["doctor"]);
    assert!(said.out.contains("✓ passkeys           bound to id.example.com"), "{}", said.out);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
fn a_disk_that_takes_nothing_more_is_found_by_writing_to_it() {
    let here = Installation::new();
    here.begin();
    let said = here.run(&["doctor"]);
    assert!(said.out.contains("✓ disk  ") || said.out.contains("! disk  "), "{}", said.out);
    assert!(said.out.contains("took 4.00 MiB in ") && said.out.contains("are free"), "{}", said.out);
    // As full as a disk can be made without being one: no file may become larger than 1 MiB.
    let mut command = Command::new("bash");
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" doctor --json";
    command.args(["-c", script, env!("CARGO_BIN_EXE_tidegate")]);
    let said = Said::of(command.current_dir(here.path()).env_clear().env("PATH", "/usr/bin:/bin"));
    assert_eq!(said.code, 1, "{said:?}");
    let report = said.json();
    assert_eq!(status(&report, "disk"), "error", "{report}");
    let found = report["checks"].as_array().unwrap().iter().find(|found| found["name"] == "disk").unwrap();
    assert!(
        found["detail"].as_str().unwrap().contains("a file of 4.00 MiB cannot be written there"),
        "{found}"
    );
    assert!(found["advice"].as_str().unwrap().contains("ulimit -f"), "{found}");
    let left = std::fs::read_dir(here.path().join("tidegate-data")).unwrap();
    assert!(
        left.map(|entry| entry.unwrap().file_name()).all(|name| !name.to_string_lossy().contains("doctor"))
    );
}

/// Root alone can become another user.
#[test]
#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
fn another_user_than_the_servers_is_told_to_run_it_as_that_one() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let here = Installation::new();
    here.begin();
    std::fs::set_permissions(here.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let as_other = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            "12345",
            "--regid",
            "12345",
            "--clear-groups",
            env!("CARGO_BIN_EXE_tidegate"),
        ]);
        command
            .args(arguments)
            .current_dir(here.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        Said::of(&mut command)
    };
    let said = as_other(&["doctor", "--json"]);
    assert_eq!(said.code, 1, "{said:?}");
    let report = said.json();
    let found = |name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|found| found["name"] == name).unwrap().clone()
    };
    let directory = found("data directory");
    assert_eq!(directory["status"], "error", "{directory}");
    let detail = directory["detail"].as_str().unwrap();
    assert!(
        detail.contains("belongs to user root, 0, with mode 0700, and this is user 12345"),
        "{directory}"
    );
    let advice = directory["advice"].as_str().unwrap();
    assert!(advice.starts_with("run this as root, who owns it"), "{directory}");
    assert!(advice.contains("Only if the server is to run as 12345: `sudo chown -R 12345 "), "{directory}");
    for name in ["master key", "database", "disk"] {
        let found = found(name);
        assert_eq!(found["status"], "error", "{found}");
        let text = found.to_string();
        assert!(text.contains("sudo chown -R 12345 ") && text.contains("sudo -u root"), "{found}");
        assert!(!text.contains("at the first start") && !text.contains("does not exist"), "{found}");
    }
    // The other way round: root sees more than the server does.
    chown(here.path().join("tidegate-data"), Some(12_345), Some(12_345)).unwrap();
    let report = here.json(&["doctor"]);
    assert_eq!(status(&report, "data directory"), "warning", "{report}");
    assert!(report.to_string().contains("sudo -u '#12345' "), "{report}");
}
