//! What providers of text messages report: POST /sms/receipts/…, outside of every contract.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tidegate_testkit::{Answer, TestApp, on_both_engines};

use super::texting::{NAMES, RECEIPT_SECRET, Texting};
use super::wire::{ADA, MINUTE, PDF};
use crate::watch::row_counts;

const AFRICAS_TALKING: &str = "/sms/receipts/africas-talking";
const TWILIO: &str = "/sms/receipts/twilio";
/// A report and its signature under the auth token and address in [`Texting`]: base64 of Python's
/// `hmac.digest(b"8f2e1c0d", url + sorted fields, "sha1")`.
const DELIVERED: (&str, &str) =
    ("MessageSid=SM1&MessageStatus=delivered&To=%2B254712345678", "/ymkruNpbGBtmslwpcYcJoJhDNg=");
const SENT: (&str, &str) =
    ("MessageSid=SM1&MessageStatus=sent&To=%2B254712345678", "5ZB0sKk8Hd1kcaf1W7PO4MPy4EY=");
const UNDELIVERED: (&str, &str) =
    ("MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006", "P9Uw3G5fjayLsTBi/P2plLIbl/w=");
const OF_ANOTHER: (&str, &str) = ("MessageSid=SM999&MessageStatus=delivered", "3vPqR9OkIixHack5idlumv+Z43A=");
const OF_THE_OTHER_PROVIDER: (&str, &str) =
    ("MessageSid=ATXid_1&MessageStatus=failed", "BwEiUL2NtPo2mgpjFsjeigWEoyo=");
const NO_STATUS: (&str, &str) = ("MessageSid=SM1", "tDf888TdJ7teI9pP1ygq1CeK3co=");

/// What Africa's Talking reports, to the address it was given.
async fn report(app: &TestApp, form: &str) -> Answer {
    app.post(&format!("{AFRICAS_TALKING}/{RECEIPT_SECRET}")).form(form).send().await
}

async fn report_signed(app: &TestApp, (form, signature): (&str, &str)) -> Answer {
    app.post(TWILIO).header("x-twilio-signature", signature).form(form).send().await
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, error: &str) {
    answer.assert_status(status);
    assert_eq!(answer.body, json!({ "error": error }));
}

impl Texting {
    /// What was reported of the newest message to Ada, and why it failed.
    async fn reported(&self) -> (Option<String>, Option<String>) {
        let message = self.entry().await.message;
        (message.receipt, message.receipt_reason)
    }

    /// Has the first provider fail, so that Twilio takes a message.
    async fn text_through_twilio(&self) {
        self.first_fails();
        self.text_ada().await;
        assert_eq!(self.entry().await.message.provider.as_deref(), Some("twilio"));
    }
}

fn said(state: &str, reason: Option<&str>) -> (Option<String>, Option<String>) {
    (Some(state.to_owned()), reason.map(str::to_owned))
}

on_both_engines! {
    async fn how_far_a_text_has_come_is_noted_with_it(it: Texting) {
        it.text_ada().await;
        assert_eq!(it.reported().await, (None, None));
        let form = |status: &str| format!("id={}&status={status}&phoneNumber=%2B254712345678&networkCode=63903", NAMES[0]);
        let answer = report(&it.app, &form("Sent")).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert_eq!(it.reported().await, said("interim", None));
        report(&it.app, &form("Success")).await.assert_status(204);
        assert_eq!(it.reported().await, said("delivered", None));
        // Reports overtake each other.
        report(&it.app, &form("Buffered")).await.assert_status(204);
        assert_eq!(it.reported().await, said("delivered", None));
        report(&it.app, &form("Success")).await.assert_status(204);
        assert_eq!(it.reported().await, said("delivered", None));
    }

    async fn a_text_that_failed_after_all_is_noted_with_the_reason(it: Texting) {
        it.text_ada().await;
        let form = format!("id={}&status=Failed&failureReason=UserInBlacklist", NAMES[0]);
        report(&it.app, &form).await.assert_status(204);
        assert_eq!(it.reported().await, said("failed", Some("UserInBlacklist")));
        report(&it.app, &format!("id={}&status=Sent", NAMES[0])).await.assert_status(204);
        assert_eq!(it.reported().await, said("failed", Some("UserInBlacklist")));
        // Nothing is sent again by itself: its code may be in use.
        it.app.advance(5 * MINUTE);
        assert_eq!(it.app.kernel().deliver_due().await.unwrap(), 0);
    }

    async fn the_secret_may_come_as_a_password(it: Texting) {
        it.text_ada().await;
        let send = async |authorization: &str| {
            let request = it.app.post(AFRICAS_TALKING).header("authorization", authorization);
            request.form(&format!("id={}&status=Success", NAMES[0])).send().await
        };
        let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
        for wrong in ["", "Basic", "Basic !", RECEIPT_SECRET, &format!("Bearer {RECEIPT_SECRET}"), &basic(RECEIPT_SECRET),
            &basic("riven:wrong"), &basic(&format!("{RECEIPT_SECRET}:"))]
        {
            assert_refused(&send(wrong).await, 403, "access_denied");
        }
        assert_eq!(it.reported().await, (None, None));
        send(&basic(&format!("riven:{RECEIPT_SECRET}"))).await.assert_status(204);
        assert_eq!(it.reported().await, said("delivered", None));
    }

    async fn nobody_else_reports_anything(it: Texting) {
        it.text_ada().await;
        let before = row_counts(&it.app).await;
        let form = format!("id={}&status=Failed", NAMES[0]);
        for secret in ["x", &RECEIPT_SECRET[..19], &RECEIPT_SECRET.to_lowercase(), &format!("{RECEIPT_SECRET}0"), "%00", "%20"] {
            let answer = it.app.post(&format!("{AFRICAS_TALKING}/{secret}")).form(&form).send().await;
            assert_refused(&answer, 403, "access_denied");
        }
        assert_refused(&it.app.post(AFRICAS_TALKING).form(&form).send().await, 403, "access_denied");
        for (form, signature) in [
            (DELIVERED.0, ""), (DELIVERED.0, SENT.1), (SENT.0, DELIVERED.1),
            // Made for another address, and with another account's token.
            (DELIVERED.0, "fOM3VygQpNwoTEVpyM3Q1Xb65ck="), (DELIVERED.0, "wnhoxw2f/A56xjdDLdlUgOimLIU="),
            (DELIVERED.0, RECEIPT_SECRET),
        ] {
            assert_refused(&report_signed(&it.app, (form, signature)).await, 403, "access_denied");
        }
        assert_refused(&it.app.post(TWILIO).form(DELIVERED.0).send().await, 403, "access_denied");
        let more = format!("{}&Extra=1", DELIVERED.0);
        assert_refused(&report_signed(&it.app, (&more, DELIVERED.1)).await, 403, "access_denied");
        assert_eq!((it.reported().await, row_counts(&it.app).await), ((None, None), before));
    }

    async fn what_is_no_report_is_refused(it: Texting) {
        it.text_ada().await;
        for form in ["", "id=ATXid_1", "status=Success", "id=&status=Success", "id=a+b&status=Success", "%ff=%00", "{}"] {
            assert_refused(&report(&it.app, form).await, 400, "invalid_request");
        }
        assert_refused(&report_signed(&it.app, NO_STATUS).await, 400, "invalid_request");
        let path = format!("{AFRICAS_TALKING}/{RECEIPT_SECRET}");
        assert_refused(&it.app.post(&path).body("application/pdf", PDF).send().await, 400, "invalid_request");
        let large = format!("id=ATXid_1&status=Success&x={}", "x".repeat(16 << 10));
        assert_refused(&report(&it.app, &large).await, 413, "invalid_request");
        it.app.get(&path).send().await.assert_status(405);
        assert_eq!(it.reported().await, (None, None));
    }

    async fn a_report_about_a_message_nobody_knows_is_dropped(it: Texting) {
        it.text_ada().await;
        report(&it.app, "id=ATXid_999&status=Failed").await.assert_status(204);
        report_signed(&it.app, OF_ANOTHER).await.assert_status(204);
        // One provider says nothing of what another took.
        report_signed(&it.app, OF_THE_OTHER_PROVIDER).await.assert_status(204);
        assert_eq!(it.reported().await, (None, None));
    }

    async fn twilio_signs_its_reports(it: Texting) {
        it.text_through_twilio().await;
        report_signed(&it.app, SENT).await.assert_status(204);
        assert_eq!(it.reported().await, said("interim", None));
        report_signed(&it.app, UNDELIVERED).await.assert_status(204);
        assert_eq!(it.reported().await, said("failed", Some("30006")));
        report_signed(&it.app, SENT).await.assert_status(204);
        assert_eq!(it.reported().await, said("failed", Some("30006")));
        // The first final word stands.
        report_signed(&it.app, DELIVERED).await.assert_status(204);
        assert_eq!(it.reported().await, said("failed", Some("30006")));
    }

    async fn who_has_set_up_no_provider_believes_nobody(app: TestApp) {
        app.enter_phone(ADA).await.assert_status(200);
        assert_refused(&report(&app, "id=ATXid_1&status=Success").await, 403, "access_denied");
        assert_refused(&report_signed(&app, DELIVERED).await, 403, "access_denied");
        assert_refused(&app.post(AFRICAS_TALKING).form("id=ATXid_1&status=Success").send().await, 403, "access_denied");
    }

    async fn a_report_that_cannot_be_noted_is_asked_for_again(it: Texting) {
        it.text_ada().await;
        it.app.store().close().await;
        let answer = report(&it.app, "id=ATXid_1&status=Success").await;
        assert_refused(&answer, 503, "temporarily_unavailable");
        assert_eq!(answer.header("retry-after"), "1");
    }
}
