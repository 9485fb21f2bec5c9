//! A client of the Crossing Minds contract, of no vendor's make, over real HTTP: `crossing_minds.py`.

use std::process::Command;

use tidegate_testkit::on_both_engines;

use crate::support::{Installation, Said, Server};

/// Serves one machine's worth of sign-ins and more.
fn serve(here: &Installation, more: impl FnOnce(&mut Command)) -> Server {
    here.serve_with(&["--dev"], |command| {
        command
            .env("TIDEGATE_CROSSING_MINDS__LIMITS__SIGN_IN_BY_IP__ATTEMPTS", "0")
            .env("TIDEGATE_CROSSING_MINDS__LIMITS__ANONYMOUS_REQUESTS__ATTEMPTS", "0");
        more(command);
    })
}

/// Runs one of the script's stories to its end.
fn tell(here: &Installation, server: &Server, story: &str, mount: &str) {
    let said = Said::of(&mut here.python("crossing_minds.py", &[&server.base, mount, story]));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{story} at {mount}: {}\n{}", said.err, said.out);
}

on_both_engines! {
    async fn a_client_provisions_signs_in_switches_and_deletes_at_either_mount(here: Installation) {
        let server = serve(&here, |_| {});
        for mount in ["/v1/", "/"] {
            tell(&here, &server, "walk", mount);
        }
        server.stop();
    }

    async fn a_client_whose_token_expired_refreshes_it_and_goes_on(here: Installation) {
        let server = serve(&here, |command| {
            command.env("TIDEGATE_CROSSING_MINDS__ACCESS_TOKEN_LIFETIME", "2");
        });
        for mount in ["/v1/", "/"] {
            tell(&here, &server, "expiry", mount);
        }
        server.stop();
    }
}
