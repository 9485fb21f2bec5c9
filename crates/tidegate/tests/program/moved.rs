//! A start under another public URL than the last one.

use tidegate_testkit::on_both_engines;

use crate::support::{Installation, PASSWORD, Said, Server};

/// What a start at that public URL says; none for where it listens.
fn told_at(here: &Installation, url: Option<&str>) -> String {
    let server = here.serve_with(&[], |command| {
        if let Some(url) = url {
            command.env("TIDEGATE_PUBLIC_URL", url);
        }
    });
    server.stop_and_tell()
}

on_both_engines! {
    async fn what_it_breaks_is_said_once(here: Installation) {
        let (old, new) = ("https://id.example.com", "https://login.example.com");
        assert!(!told_at(&here, Some(old)).contains("public_url was"));
        assert!(!told_at(&here, Some(old)).contains("public_url was"));
        let doctor = |url: &str| {
            let mut command = here.command(&["doctor"]);
            Said::of(command.env("TIDEGATE_PUBLIC_URL", url)).out
        };
        assert!(!doctor(old).contains("at the last start"), "{}", doctor(old));
        let before = "https://login.example.com; at the last start it was https://id.example.com: ";
        assert!(doctor(new).contains(before), "{}", doctor(new));
        assert!(here.run(&["doctor"]).out.contains("at the last start it was https://id.example.com: "));
        let told = told_at(&here, Some(new));
        for part in [
            "public_url was https://id.example.com at the last start and is https://login.example.com now",
            "passkeys stop working, as they are bound to id.example.com",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told_at(&here, Some(new)).contains("public_url was"));
        // The variable is forgotten.
        let told = told_at(&here, None);
        assert!(told.contains("public_url was https://login.example.com at the last start and is http://127.0.0.1:"), "{told}");
        // Another port that nobody chose as the public URL is the issuer of tokens all the same.
        let told = told_at(&here, None);
        assert!(!told.contains("public_url was"), "{told}");
        for part in ["the issuer of tokens is http://127.0.0.1:", "at the last start: access tokens of before are refused here"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let doctor = here.run(&["doctor"]).out;
        assert!(doctor.contains("http://127.0.0.1:8080, the listen address; at the last start it was http://127.0.0.1:"), "{doctor}");
        // Commands beside it are no start.
        here.output(&["keys", "list"]);
        assert!(told_at(&here, Some(old)).contains("public_url was http://127.0.0.1:"));
    }

    async fn a_token_of_before_another_port_is_refused_and_the_start_says_so_once(here: Installation) {
        let server = here.serve(&["--dev"]);
        server.sign_up("ada@example.com").await;
        let (_, tokens) = server.sign_in("ada@example.com", PASSWORD).await;
        let token = tokens["accessToken"].as_str().unwrap().to_owned();
        let before = server.base.clone();
        let address = before.trim_start_matches("http://");
        server.stop();
        let server = here.serve(&["--dev"]);
        let me = async |server: &Server| {
            let request = server.http.get(format!("{}/api/v2/auth/me", server.base)).bearer_auth(&token);
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!(me(&server).await, 401);
        let log = server.stop_and_tell();
        let told: Vec<&str> = log.lines().filter(|line| line.contains("the issuer of tokens is ")).collect();
        assert_eq!(told.len(), 1, "{log}");
        assert!(told[0].contains("\"level\":\"INFO\"") && told[0].contains(&format!("--listen {address} goes back")), "{}", told[0]);
        // With a public URL the issuer is the same at every address.
        let server = here.serve_with(&["--dev"], |command| {
            command.env("TIDEGATE_PUBLIC_URL", &before);
        });
        assert_eq!(me(&server).await, 200);
        server.stop();
    }
}
