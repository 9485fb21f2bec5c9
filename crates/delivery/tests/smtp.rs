//! Mail handed to a real SMTP server: aiosmtpd, in a process of its own.
#![expect(
    clippy::disallowed_methods,
    reason = "starts a mail server and openssl, and finds Python by the variable that scripts/test sets"
)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of tests fail as tests do"
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tidegate_delivery::{
    MailPassword, MailProvider, OutgoingMail, Rendered, SendError, Smtp, SmtpConfig, TlsMode,
};
use tidegate_domain::{Secret, Timestamp};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running mail server. Ends with the test: by the handle, or because its standard input closes.
struct MailServer {
    process: Child,
    port: u16,
    lines: Receiver<String>,
}

impl MailServer {
    fn start(arguments: &[&str]) -> Self {
        let python = std::env::var("TIDEGATE_TEST_PYTHON")
            .expect("TIDEGATE_TEST_PYTHON must name a Python with aiosmtpd: run scripts/test");
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp_server.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mail server starts");
        let output = BufReader::new(process.stdout.take().unwrap());
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let port = lines.recv_timeout(PATIENCE).expect("the mail server tells its port").parse().unwrap();
        Self { process, port, lines }
    }

    fn config(&self) -> SmtpConfig {
        plain("127.0.0.1", self.port)
    }

    fn smtp(&self) -> Smtp {
        Smtp::new(&self.config()).unwrap()
    }

    /// The next message it took.
    fn received(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a message arrives");
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate for `localhost`, signed by itself, and its key.
struct Authority {
    _directory: tempfile::TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new() -> Self {
        Self::with("CA:FALSE")
    }

    fn with(constraints: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (certificate, key, settings) = (path("certificate.pem"), path("key.pem"), path("openssl.cnf"));
        std::fs::write(
            &settings,
            format!(
                "[req]\ndistinguished_name = name\nx509_extensions = extensions\nprompt = no\n\
                 [name]\nCN = localhost\n\
                 [extensions]\nsubjectAltName = DNS:localhost\nbasicConstraints = critical, {constraints}\n"
            ),
        )
        .unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"])
            .arg(&settings)
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { _directory: directory, certificate, key }
    }

    /// A server with this certificate that wants ada's password.
    fn server(&self, more: &[&str]) -> MailServer {
        let mut arguments = vec!["--certificate", self.certificate.to_str().unwrap()];
        arguments.extend(["--key", self.key.to_str().unwrap()]);
        arguments.extend(["--username", "ada", "--password", "open sesame"]);
        arguments.extend(more);
        MailServer::start(&arguments)
    }

    /// What an operator writes to use it.
    fn config(&self, server: &MailServer) -> SmtpConfig {
        SmtpConfig {
            tls: TlsMode::StartTls,
            username: Some("ada".to_owned()),
            password: Some(MailPassword(Secret::new("open sesame"))),
            ca_file: Some(self.certificate.clone()),
            ..plain("localhost", server.port)
        }
    }
}

fn plain(host: &str, port: u16) -> SmtpConfig {
    SmtpConfig {
        host: host.to_owned(),
        port: Some(port),
        tls: TlsMode::None,
        username: None,
        password: None,
        from: "Tidegate <no-reply@id.example.com>".to_owned(),
        timeout_seconds: 20,
        ca_file: None,
    }
}

fn mail_to(to: &str) -> OutgoingMail {
    OutgoingMail {
        to: to.to_owned(),
        idempotency_key: "0190c7a2-0000-7000-8000-000000000001".to_owned(),
        rendered: Rendered {
            subject: "Passwort für Zürich zurücksetzen".to_owned(),
            text: "Grüße,\n\nhttps://id.example.com/reset?token=b0XyZt8aaQ\n.\nEnde\n".to_owned(),
            html: "<p>Grüße</p>\n".to_owned(),
        },
        date: Timestamp::from_seconds(1_704_110_400),
    }
}

#[track_caller]
fn transient(result: Result<(), SendError>) -> String {
    match result {
        Err(SendError::Transient(message)) => message,
        other => panic!("expected a transient failure, not {other:?}"),
    }
}

#[track_caller]
fn permanent(result: Result<(), SendError>) -> String {
    match result {
        Err(SendError::Permanent(message)) => message,
        other => panic!("expected a permanent failure, not {other:?}"),
    }
}

#[tokio::test]
async fn a_mail_arrives_with_both_texts_and_the_right_headers() {
    let server = MailServer::start(&[]);
    MailProvider::Smtp(server.smtp()).deliver(&mail_to("ada@example.com")).await.unwrap();

    let received = server.received();
    assert_eq!(received["mail_from"], "no-reply@id.example.com");
    assert_eq!(received["rcpt_tos"], serde_json::json!(["ada@example.com"]));
    let headers = &received["headers"];
    assert_eq!(headers["From"], "Tidegate <no-reply@id.example.com>");
    assert_eq!(headers["To"], "ada@example.com");
    assert_eq!(headers["Subject"], "Passwort für Zürich zurücksetzen");
    assert_eq!(headers["Date"], "Mon, 01 Jan 2024 12:00:00 +0000");
    assert_eq!(headers["Message-ID"], "<0190c7a2-0000-7000-8000-000000000001@id.example.com>");
    assert_eq!(headers["Auto-Submitted"], "auto-generated");
    assert_eq!(headers["MIME-Version"], "1.0");
    assert!(headers["Content-Type"].as_str().unwrap().starts_with("multipart/alternative;"));

    let parts = received["parts"].as_array().unwrap();
    let kinds: Vec<&str> = parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text/plain", "text/html"], "the richest alternative comes last");
    assert!(parts.iter().all(|part| part["charset"] == "utf-8"), "{parts:?}");
    let said = |part: &Value| part["content"].as_str().unwrap().replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(said(&parts[0]), mail_to("").rendered.text.trim_end());
    assert_eq!(said(&parts[1]), "<p>Grüße</p>");
}

#[tokio::test]
async fn a_repeat_is_recognisable_and_reuses_the_connection() {
    let server = MailServer::start(&[]);
    let smtp = server.smtp();
    smtp.send(&mail_to("ada@example.com")).await.unwrap();
    smtp.send(&mail_to("ada@example.com")).await.unwrap();

    let (first, second) = (server.received(), server.received());
    assert_eq!(first["raw"], second["raw"], "Message-ID and all");
    assert_eq!(first["connection"], second["connection"]);
}

#[tokio::test]
async fn a_connection_the_server_has_closed_meanwhile_is_replaced() {
    let server = MailServer::start(&["--impatient"]);
    let smtp = server.smtp();
    smtp.send(&mail_to("ada@example.com")).await.unwrap();
    smtp.send(&mail_to("ada@example.com")).await.unwrap();
    assert_ne!(server.received()["connection"], server.received()["connection"]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_missing_mailbox_is_not() {
    let server = MailServer::start(&[]);
    let smtp = server.smtp();
    let busy = transient(smtp.send(&mail_to("busy@example.com")).await);
    assert!(busy.ends_with("is temporarily unavailable (451 4.3.2 Busy, try again later)"), "{busy}");
    assert!(!SendError::Transient(busy).has_advice(), "the server alone knows more");
    let gone = permanent(smtp.send(&mail_to("gone@example.com")).await);
    assert!(gone.ends_with("refuses the recipient (550 5.1.1 No such user here)"), "{gone}");

    smtp.send(&mail_to("ada@example.com")).await.expect("a refusal does not spoil the next mail");
}

#[tokio::test]
async fn what_is_the_senders_to_correct_is_tried_again() {
    let server = MailServer::start(&[]);
    let smtp = server.smtp();
    for (to, reply) in [
        ("relay@example.com", "554 5.7.1 Relay access denied"),
        ("spf@example.com", "550 5.7.23 SPF validation failed"),
        ("quota@example.com", "550 5.4.5 Daily user sending quota exceeded"),
    ] {
        let refused = transient(smtp.send(&mail_to(to)).await);
        assert!(refused.contains(&format!("refuses mail from this sender ({reply}): ")), "{refused}");
        assert!(refused.ends_with("check from, what the account may send, SPF and DKIM"), "{refused}");
        assert_eq!(refused.contains("no credentials"), to.starts_with("relay"), "{refused}");
    }
}

#[tokio::test]
async fn a_relay_that_wants_a_sign_in_is_told_from_one_that_refuses_the_account() {
    let open = MailServer::start(&[]);
    let hint = "no credentials are configured; set mail.smtp.username and mail.smtp.password";
    for to in ["relay@example.com", "auth@example.com"] {
        let refused = transient(open.smtp().send(&mail_to(to)).await);
        assert!(refused.contains(hint), "{refused}");
    }
    let later = transient(open.smtp().send(&mail_to("later@example.com")).await);
    assert!(later.ends_with(&format!("(454 4.7.1 Relay access denied): {hint}")), "{later}");
    let config = SmtpConfig { from: "stranger@example.net".to_owned(), ..open.config() };
    let refused = transient(Smtp::new(&config).unwrap().send(&mail_to("ada@example.com")).await);
    assert!(refused.contains(hint) && refused.ends_with("check from"), "{refused}");

    let authority = Authority::new();
    let server = authority.server(&[]);
    for (from, to) in
        [("no-reply@id.example.com", "relay@example.com"), ("stranger@example.net", "ada@example.com")]
    {
        let config = SmtpConfig { from: from.to_owned(), ..authority.config(&server) };
        let refused = transient(Smtp::new(&config).unwrap().send(&mail_to(to)).await);
        let said = format!("it may not let the account of mail.smtp.username send from {from}");
        assert!(refused.contains(&said) && !refused.contains("no credentials"), "{refused}");
    }
}

#[tokio::test]
async fn a_refused_message_is_given_up_without_quoting_it() {
    let server = MailServer::start(&[]);
    let refused = permanent(server.smtp().send(&mail_to("spam@example.com")).await);
    assert!(
        refused.ends_with(
            "refuses the message (554 5.7.1 Blocked for https://id.example.com/reset?token=[hidden])"
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn a_refused_sender_is_the_operators_to_correct() {
    let server = MailServer::start(&[]);
    let config = SmtpConfig { from: "stranger@example.net".to_owned(), ..server.config() };
    let refused = transient(Smtp::new(&config).unwrap().send(&mail_to("ada@example.com")).await);
    assert!(
        refused.contains("refuses the sender stranger@example.net") && refused.ends_with("check from"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_address_in_another_script_needs_a_server_that_takes_it() {
    let old = MailServer::start(&[]);
    let refused = permanent(old.smtp().send(&mail_to("åsa@example.com")).await);
    assert!(refused.contains("SMTPUTF8"), "{refused}");

    let modern = MailServer::start(&["--utf8"]);
    modern.smtp().send(&mail_to("åsa@example.com")).await.unwrap();
    assert_eq!(modern.received()["headers"]["To"], "åsa@example.com");
}

#[tokio::test]
async fn nothing_a_person_types_reaches_the_server_as_a_header() {
    let server = MailServer::start(&[]);
    let smtp = server.smtp();
    permanent(smtp.send(&mail_to("ada@example.com>\r\nRCPT TO:<eve@example.com")).await);
    let mut mail = mail_to("ada@example.com");
    mail.rendered.subject = "Hello Ada\r\nBcc: eve@example.com".to_owned();
    permanent(smtp.send(&mail).await);

    smtp.send(&mail_to("ada@example.com")).await.unwrap();
    assert_eq!(server.received()["headers"]["Bcc"], Value::Null);
}

#[tokio::test]
async fn with_nobody_listening_the_mail_waits() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let smtp = Smtp::new(&plain("127.0.0.1", port)).unwrap();
    let refused = transient(smtp.send(&mail_to("ada@example.com")).await);
    assert!(refused.starts_with(&format!("mail server 127.0.0.1:{port} cannot be reached (")), "{refused}");
    assert_eq!(transient(smtp.check().await), refused);
    assert!(SendError::Transient(refused).has_advice());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_after_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let config = SmtpConfig { timeout_seconds: 1, ..plain("127.0.0.1", port) };
    let left = transient(Smtp::new(&config).unwrap().send(&mail_to("ada@example.com")).await);
    assert!(left.contains("did not answer within 1 s: check host and port"), "{left}");
    // It may wait for TLS to begin.
    assert!(left.ends_with("needs tls = \"implicit\""), "{left}");
    assert!(SendError::Transient(left).has_advice());
}

#[tokio::test]
async fn a_server_that_does_not_begin_with_tls_is_told_with_the_setting() {
    let server = MailServer::start(&[]);
    let config = SmtpConfig { tls: TlsMode::Implicit, ..server.config() };
    let refused = transient(Smtp::new(&config).unwrap().check().await);
    assert!(
        refused.contains("does not begin with TLS (") && refused.contains("set tls to starttls"),
        "{refused}"
    );
    assert!(!refused.contains("cannot be reached"), "{refused}");
}

#[tokio::test]
async fn what_is_no_mail_server_is_told_as_such() {
    for (greeting, said) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "is no mail server ("),
        // One that hangs up may be one.
        ("", "cannot be reached ("),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = thread::spawn(move || {
            let (mut guest, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut guest, greeting.as_bytes()).unwrap();
        });
        let refused = transient(Smtp::new(&plain("127.0.0.1", port)).unwrap().check().await);
        assert!(refused.contains(said) && refused.contains("check host"), "{refused}");
        other.join().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_turns_this_machine_away_is_the_operators_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let doorman = thread::spawn(move || {
        let (mut guest, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut guest, b"554 5.7.1 Your address is on a list\r\n").unwrap();
    });
    let smtp = Smtp::new(&plain("127.0.0.1", port)).unwrap();
    let refused = transient(smtp.send(&mail_to("ada@example.com")).await);
    assert!(
        refused.contains("refuses connections from this machine (554 5.7.1 Your address is on a list)"),
        "{refused}"
    );
    doorman.join().unwrap();
}

#[tokio::test]
async fn starttls_with_a_private_authority_delivers_encrypted() {
    let authority = Authority::new();
    let server = authority.server(&[]);
    let smtp = Smtp::new(&authority.config(&server)).unwrap();
    smtp.check().await.unwrap();
    smtp.send(&mail_to("ada@example.com")).await.unwrap();
    assert_eq!(server.received()["encrypted"], true);
}

#[tokio::test]
async fn implicit_tls_delivers_encrypted() {
    let authority = Authority::new();
    let server = authority.server(&["--implicit"]);
    let config = SmtpConfig { tls: TlsMode::Implicit, ..authority.config(&server) };
    Smtp::new(&config).unwrap().send(&mail_to("ada@example.com")).await.unwrap();
    assert_eq!(server.received()["encrypted"], true);
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_gets_neither_password_nor_mail() {
    let authority = Authority::new();
    let server = authority.server(&[]);
    let config = SmtpConfig { ca_file: None, ..authority.config(&server) };
    let smtp = Smtp::new(&config).unwrap();
    for refused in [transient(smtp.check().await), transient(smtp.send(&mail_to("ada@example.com")).await)] {
        let said = "was signed by an authority that is not known here: give the certificate of the authority";
        let authority = "mail.smtp.ca_file (read at the start alone: restart the server after it changed)";
        assert!(refused.contains(said) && refused.contains(authority), "{refused}");
    }
    assert!(server.lines.try_recv().is_err());
}

#[tokio::test]
async fn a_certificate_that_is_an_authoritys_own_is_told_as_that_whatever_ca_file_is() {
    let authority = Authority::with("CA:TRUE");
    let server = authority.server(&[]);
    for ca_file in [None, Some(authority.certificate.clone())] {
        let config = SmtpConfig { ca_file, ..authority.config(&server) };
        let refused = transient(Smtp::new(&config).unwrap().check().await);
        for part in [
            "is an authority's (CA:TRUE)",
            "basicConstraints=critical,CA:FALSE",
            "(IP:ADDRESS in place of DNS:HOST",
            "in mail.smtp.ca_file",
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert!(!refused.contains("OtherError"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing_in_the_clear() {
    let server = MailServer::start(&[]);
    let config = SmtpConfig { tls: TlsMode::StartTls, ..server.config() };
    let refused = transient(Smtp::new(&config).unwrap().send(&mail_to("ada@example.com")).await);
    assert!(refused.contains("does not offer STARTTLS"), "{refused}");
    assert!(server.lines.try_recv().is_err());
}

#[tokio::test]
async fn a_wrong_password_is_named_but_not_shown() {
    let authority = Authority::new();
    let server = authority.server(&[]);
    let password = Some(MailPassword(Secret::new("hunter2")));
    let smtp = Smtp::new(&SmtpConfig { password, ..authority.config(&server) }).unwrap();
    for refused in [transient(smtp.check().await), transient(smtp.send(&mail_to("ada@example.com")).await)] {
        assert!(refused.contains("does not accept the credentials (535"), "{refused}");
        assert!(refused.ends_with("check username and password"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_sign_in_says_so_to_the_operator() {
    let authority = Authority::new();
    let server = authority.server(&[]);
    let config = SmtpConfig { username: None, password: None, ..authority.config(&server) };
    let refused = transient(Smtp::new(&config).unwrap().send(&mail_to("ada@example.com")).await);
    assert!(refused.contains("requires encryption or authentication (530"), "{refused}");
    assert!(
        refused.ends_with("no credentials are configured; set mail.smtp.username and mail.smtp.password"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_outbox_keeps_mail_where_it_is() {
    MailProvider::Outbox.deliver(&mail_to("ada@example.com")).await.unwrap();
    MailProvider::Outbox.check().await.unwrap();
}
