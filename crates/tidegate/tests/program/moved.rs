//! A start under another public URL than the last one.

use tidegate_testkit::on_both_engines;

use crate::support::{Installation, Said};

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
        // A developer's server has another port each time, and nobody chose it.
        assert!(!told_at(&here, None).contains("public_url was"));
        // Commands beside it are no start.
        here.output(&["keys", "list"]);
        assert!(told_at(&here, Some(old)).contains("public_url was http://127.0.0.1:"));
    }
}
