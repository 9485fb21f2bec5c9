//! Other identity providers, as operators write them.

use super::Desk;

const GITHUB: &str = "[social.github]\nclient_id = 'a'\n";

#[test]
fn providers_are_set_up_by_their_tables_and_secrets_come_from_anywhere() {
    let desk = Desk::file(&format!(
        "{GITHUB}\n[social.oidc.corp]\nissuer = 'https://sso.example.com'\nclient_id = 'b'\n\
         [social.oidc.lab]\nissuer = 'https://10.0.0.1'\nclient_id = 'c'\nprivate_network = true"
    ))
    .variable("TIDEGATE_SOCIAL__GITHUB__CLIENT_SECRET", "hunter2")
    .variable("TIDEGATE_SOCIAL__OIDC__CORP__CLIENT_SECRET", "12345");
    let loaded = desk.load();
    let federation = loaded.config.federation(std::sync::Arc::new(crate::clock::SystemClock)).unwrap();
    let names: Vec<&str> = federation.providers().map(tidegate_federation::Provider::name).collect();
    assert_eq!(names, ["corp", "github", "lab"]);
    let view = loaded.config.lines().join("\n");
    assert!(view.contains("social.github.client_secret = \"[secret]\""), "{view}");
    assert!(!view.contains("hunter2") && !view.contains("12345"), "{view}");

    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    let from_file = format!("{GITHUB}client_secret_file = '{}'", secret.display());
    Desk::file(&from_file).load();
    // As Google's console has it for download.
    std::fs::write(&secret, r#"{"web": {"client_id": "a", "client_secret": "hunter2"}}"#).unwrap();
    let complaint = Desk::file(&from_file).complaint();
    let said = "is a JSON document: write the client_secret that stands in it into a file of its own";
    assert!(complaint.contains(said) && !complaint.contains("hunter2"), "{complaint}");
    assert!(!complaint.contains("not set here"), "{complaint}");
    std::fs::remove_file(&secret).unwrap();
    let complaint = Desk::file(&from_file).complaint();
    assert!(complaint.starts_with("social.github: client_secret_file: "), "{complaint}");
    assert!(!complaint.contains("not set here"), "{complaint}");
}

#[test]
fn mistakes_are_named_with_their_place() {
    let oidc = |rest: &str| format!("[social.oidc.corp]\nclient_id = 'a'\n{rest}");
    let microsoft = "[social.microsoft]\nclient_id = 'a'\nclient_secret = 'b'\n";
    for (text, said) in [
        (GITHUB.to_owned(), "social.github: set client_secret or client_secret_file"),
        (
            format!("{GITHUB}client_secret = 'x'\nclient_secret_file = 'y'"),
            "social.github: set client_secret or client_secret_file, not both",
        ),
        (
            "[social.github]\nclient_id = 'a b'\nclient_secret = 'x'".to_owned(),
            "social.github: client_id must be set, in visible ASCII characters",
        ),
        (
            format!("{GITHUB}client_secert = 'x'"),
            "social.github.client_secert: unknown key; did you mean `social.github.client_secret`?",
        ),
        (oidc("isuer = 'x'"), "social.oidc.corp.isuer: unknown key"),
        (oidc(""), "social.oidc.corp.issuer: "),
        (oidc("issuer = 'sso'"), "social.oidc.corp: \"sso\" is not a URL"),
        (
            oidc("issuer = 'https://sso.example.com/.well-known/openid-configuration'"),
            "social.oidc.corp: issuer is what stands before /.well-known/openid-configuration: \"https://sso.example.com\"",
        ),
        (
            oidc("issuer = 'http://sso.example.com'"),
            "social.oidc.corp: \"http://sso.example.com\" must be an https address",
        ),
        (
            oidc("issuer = 'https://10.0.0.1'"),
            "social.oidc.corp: \"https://10.0.0.1\" must be an https address",
        ),
        (
            oidc("issuer = 'https://sso.example.com'\nscopes = ['email']"),
            "social.oidc.corp: scopes must have \"openid\"",
        ),
        (
            oidc("issuer = 'https://sso.example.com'\nredirect_uri = 'http://app.example.com'"),
            "social.oidc.corp: redirect_uri: \"http://app.example.com\" is not an address",
        ),
        (
            "[social.oidc.google]\nissuer = 'https://a.example'\nclient_id = 'a'".to_owned(),
            "social.oidc.google: the name must",
        ),
        (
            "[social.oidc.'a b']\nissuer = 'https://a.example'\nclient_id = 'a'".to_owned(),
            "social.oidc.a b: the name must",
        ),
        (format!("{microsoft}tenant = 'a/b'"), "social.microsoft: tenant must be"),
        (
            format!("{microsoft}tenant = '9188040D-6c67-4c5b-b112-36a304b66dad'\ntrust_email = true"),
            "social.microsoft: trust_email needs the ID of one tenant",
        ),
        (
            format!("{microsoft}trust_email = true"),
            "social.microsoft: trust_email needs the ID of one tenant",
        ),
        (
            "[social.apple]\nclient_id = 'a'\nteam_id = 'T'\nkey_id = 'K'".to_owned(),
            "social.apple: set private_key_file",
        ),
        (
            "[social.apple]\nclient_id = 'a'\nteam_id = 'T'\nkey_id = 'K'\nprivate_key = 'hunter2'"
                .to_owned(),
            "social.apple: private_key: not the PEM text of a P-256 private key",
        ),
        ("[social]\nredirect_uris = ['app']".to_owned(), "social.redirect_uris: \"app\" is not an address"),
        ("[social]\ntimeout = 0".to_owned(), "social.timeout: must be at least 1 second"),
        ("[social]\nsecond_factor = 'never'".to_owned(), "social.second_factor: "),
        ("[social.facebook]\nclient_id = 'a'".to_owned(), "social.facebook.client_id: unknown key"),
    ] {
        let complaint = Desk::file(&text).complaint();
        assert!(complaint.starts_with(said), "{text}: {complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
}
