//! Rules in request bodies.

use serde::Deserialize;
use tidegate_policies::records::NewRule;
use tidegate_policies::records::policy::MAX_RULES;
use tidegate_policy::RuleType;
use utoipa::ToSchema;

use super::fields::{document, named, rank};
use crate::wire::fields::{Check, Field, ObjectText};
use crate::wire::unknown::Object;

/// A rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleBody {
    /// For people.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 255)]
    #[serde(default)]
    rule_name: Field<String>,
    /// One that policies of this type have: `filter_rows` for `row_level_security`, `mask_column` for `data_masking`,
    /// `limit_query` for `query_limit`, `allow_access` and `deny_access` for `access_control`.
    #[schema(required = true, value_type = String, format = "rule-type", example = "filter_rows")]
    #[serde(default)]
    rule_type: Field<String>,
    /// By `rule_type`; see docs/guides/policies.md.
    #[schema(required = true, value_type = Object)]
    #[serde(default)]
    rule_config: Field<ObjectText>,
    /// Lower first; 0 when left out.
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1000000000)]
    #[serde(default)]
    rule_order: Field<i64>,
    /// `true` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    is_active: Field<bool>,
}

/// Reads rules; what is wrong is told with the place of its rule.
pub(super) fn rules(check: &mut Check, sent: Vec<Object<RuleBody>>) -> Option<Vec<NewRule>> {
    if sent.len() > MAX_RULES {
        return check.violated("rules", format!("must have at most {MAX_RULES} items"));
    }
    let mut read = Vec::with_capacity(sent.len());
    let mut complete = true;
    for (place, rule) in sent.into_iter().enumerate() {
        let body = rule.all_known(check, |name| format!("rules.{place}.{name}"));
        match body.read(check, place) {
            Some(rule) => read.push(rule),
            None => complete = false,
        }
    }
    complete.then_some(read)
}

impl RuleBody {
    fn read(self, check: &mut Check, place: usize) -> Option<NewRule> {
        let at = |name: &str| format!("rules.{place}.{name}");
        let mut own = Check::new();
        let name = own.required("rule_name", self.rule_name);
        let kind = own.required("rule_type", self.rule_type);
        let config = own.required("rule_config", self.rule_config);
        let order = own.optional("rule_order", self.rule_order).unwrap_or(0);
        let order = rank(&mut own, "rule_order", order);
        let is_active = own.optional("is_active", self.is_active).unwrap_or(true);
        if let Err(violations) = own.finish(Some(())) {
            for violation in violations.iter() {
                check.violated::<()>(at(&violation.field), violation.message.clone());
            }
            return None;
        }
        let (name, kind, config, order) = (name?, kind?, config?, order?);
        let name = named(check, &at("rule_name"), &name);
        let words = RuleType::ALL.map(RuleType::as_str).join(", ");
        let kind = RuleType::from_name(&kind)
            .or_else(|| check.violated(at("rule_type"), format!("must be one of {words}")));
        let config = document(check, &at("rule_config"), config.as_str());
        Some(NewRule { name: name?, kind: kind?, config: config?, order, is_active })
    }
}
