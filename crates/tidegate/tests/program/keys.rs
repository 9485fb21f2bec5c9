//! `tidegate keys`

use tidegate_testkit::{Engine, eventually, on_both_engines};

use crate::support::Installation;

on_both_engines! {
    async fn a_key_rotated_beside_the_server_is_served_and_the_old_one_still_verifies(here: Installation) {
        let server = here.serve(&[]);
        let before = here.json(&["keys", "list"]);
        assert_eq!((before.as_array().unwrap().len(), &before[0]["state"]), (1, &"signing".into()));

        let made = here.json(&["keys", "rotate", "--algorithm", "EdDSA"]);
        assert_eq!(made["algorithm"], "EdDSA");
        let kids = eventually("the server takes the new key", async || {
            let (_, jwks) = server.get("/.well-known/jwks.json").await;
            let keys = jwks["keys"].as_array().unwrap().clone();
            let kids: Vec<_> = keys.iter().map(|key| key["kid"].clone()).collect();
            kids.contains(&made["kid"]).then_some(kids)
        })
        .await;
        assert!(kids.contains(&before[0]["kid"]), "{kids:?}");

        let after = here.json(&["keys", "list"]);
        assert_eq!((&after[0]["kid"], &after[1]["state"]), (&made["kid"], &"retired".into()));
        assert!(after[1]["verifies_until"].is_string(), "{after}");
        assert!(here.output(&["keys", "list"]).starts_with("KEY "));
        server.stop();
    }

    async fn signing_keys_that_somebody_deleted_are_told_where_there_are_accounts(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let delete = "delete from signing_keys";
        for _ in ["a new installation", "one without accounts"] {
            let server = here.serve(&[]);
            assert!(!server.log().contains("no signing key"), "{}", server.log());
            server.stop();
            here.database().sql(delete).await;
        }
        here.begin();
        let server = here.serve(&[]);
        assert!(!server.log().contains("no signing key"), "{}", server.log());
        server.stop();
        here.database().sql(delete).await;
        let said = here.run(&["doctor"]);
        let told = "! master key         the database has accounts and no signing key: the next start makes one";
        assert!(said.code == 0 && said.out.contains(told), "{}", said.out);
        let server = here.serve(&[]);
        let told = "the database has accounts and had no signing key: a new one is made";
        assert_eq!(server.log().matches(told).count(), 1, "{}", server.log());
        server.stop();
    }
}
