//! Changes of the e-mail address.

use serde_json::json;
use tidegate_testkit::on_both_engines;

use super::{MANY, Nodes, all_at_once, assert_tally};

on_both_engines! {
    // Two live codes would be two mailboxes that can take the account.
    async fn requests_for_another_address_at_once_leave_one_live_code(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen_verified("ada@example.com").await;
        let answers = all_at_once((0..MANY).map(|number| {
            let body = json!({ "new_email": format!("ada{number}@example.org") });
            nodes.request(number, "/api/v1/auth/me/email/request", &body).bearer(&ada.access_token)
        }));
        assert_tally(&answers.await, &[(200, "", MANY)]);
        let live = "select count(*) from challenges where purpose = 'change_email' and consumed_at is null";
        assert_eq!(nodes.count(live).await, 1);
    }
}
