//! What this contract's requests look like, where the attributes of their fields cannot say it.

use serde_json::json;

use super::requests::{MAX_PICTURE, PICTURE};
use super::{data_sources, oauth, policies, prompts, storage, tokens, webauthn};
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
    let own = [picture, filter, tokens::scope_shape()].into_iter();
    let texts = own
        .chain(webauthn::texts())
        .chain(oauth::texts())
        .chain(storage::texts())
        .chain(data_sources::texts())
        .chain(policies::texts())
        .chain(prompts::texts())
        .collect();
    Shapes { texts, rules: vec![("VerifyMfaBody", one_code), ("StepUpBody", one_proof)] }
}
