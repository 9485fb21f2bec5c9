//! A path at which nothing is served: the log says which was asked for, and nothing of it that may be secret.

use tidegate_testkit::{TestApp, on_both_engines};

use crate::watch::Log;

on_both_engines! {
    async fn the_log_has_the_path_that_is_not_served(app: TestApp) {
        let log = Log::listen();
        for (path, told) in [
            ("/dev/outbx", "path=\"/dev/outbx\""),
            ("/api/v1/access-tokens/12?token=planted", "path=\"/api/v1/access-tokens/12\""),
            ("/v1/nowhere/ada@planted.example/123456", "path=\"/v1/nowhere/*/*\""),
            ("/reset/tgl_planted6789abcdefghijklmnopqrstuvwxyz", "path=\"/reset/*\""),
        ] {
            app.get(path).send().await.assert_status(404);
            let line = log.last_answer();
            assert!(line.contains(" route=\"unmatched\" ") && line.contains(told), "{path}: {line}");
            assert!(!line.contains("planted"), "{line}");
        }
        // What is served is logged by its pattern alone.
        app.get("/api/v1/auth/me").send().await.assert_status(401);
        assert!(!log.last_answer().contains(" path="), "{}", log.last_answer());
    }
}
