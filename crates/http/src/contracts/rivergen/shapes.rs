//! What this contract's requests look like, where the attributes of their fields cannot say it.

use serde_json::json;
use tidegate_domain::oauth::ClientAuthentication;

use super::requests::{MAX_PICTURE, PICTURE};
use super::webauthn;
use crate::wire::openapi::shapes::{Shape, Shapes, is_not_sent, is_sent};

pub(super) fn shapes() -> Shapes {
    let picture = Shape {
        format: "picture",
        min_length: Some(1),
        max_length: Some(MAX_PICTURE),
        pattern: Some(PICTURE.to_owned()),
        ..Shape::default()
    };
    let filter = Shape { format: "sign-in-filter", words: vec!["success", "failure"], ..Shape::default() };
    let one_code = json!({
        "if": is_sent(&["backup_code"]), "then": is_not_sent(&["code"]), "else": is_sent(&["code"]),
    });
    let one_proof = json!({
        "if": is_sent(&["password"]), "then": is_not_sent(&["code", "backup_code"]), "else": one_code.clone(),
    });
    let levels = Shape { format: "access-level", words: vec!["organization"], ..Shape::default() };
    let statuses =
        Shape { format: "application-status", words: vec!["active", "revoked"], ..Shape::default() };
    let methods = ClientAuthentication::ALL.map(ClientAuthentication::as_str).to_vec();
    let methods = Shape { format: "client-authentication", words: methods, ..Shape::default() };
    let texts = [picture, filter, levels, statuses, methods].into_iter().chain(webauthn::texts()).collect();
    Shapes { texts, rules: vec![("VerifyMfaBody", one_code), ("StepUpBody", one_proof)] }
}
