//! `tidegate migrate`

use serde_json::json;
use tidegate_testkit::on_both_engines;

use crate::support::Installation;

on_both_engines! {
    async fn the_schema_is_brought_up_to_date_once(here: Installation) {
        let applied = here.json(&["migrate", "--new"]);
        assert!(applied["applied"].as_u64().unwrap() >= 1, "{applied}");
        assert_eq!(here.json(&["migrate"]), json!({"applied": 0}));
        assert_eq!(here.output(&["migrate", "--check"]), "The schema is up to date.");
    }
}

on_both_engines! {
    async fn checking_changes_nothing(here: Installation) {
        // On PostgreSQL the schema is pending; on SQLite there is not even a file, and none is made.
        let first = here.run(&["migrate", "--check"]);
        let second = here.run(&["migrate", "--check"]);
        assert_eq!((first.code, second.code), (1, 1));
        assert_eq!(first.out, second.out);
        assert!(!here.path().join("tidegate-data").exists());
    }
}
