//! Claims that an application asks for one by one (OpenID Connect Core section 5.5).
//!
//! Asking so gives nothing that the scopes do not: what was not allowed is left out, as for any voluntary claim. At the userinfo endpoint
//! everything that the scopes name is told anyway.

use serde_json::{Map, Value};
use tidegate_kernel::Fault;

use super::person::{OF_PERSON, UserInfo};

/// The claims of a person that are asked for in the ID token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InIdToken(Vec<&'static str>);

impl InIdToken {
    /// Reads them from the parameter `claims`. Names that are not known are left out (section 5.5).
    pub(crate) fn asked(claims: Option<&Map<String, Value>>) -> Self {
        let members = member(claims);
        Self(
            OF_PERSON.into_iter().filter(|name| members.is_some_and(|all| all.contains_key(*name))).collect(),
        )
    }

    /// Reads them from what [`Self::stored`] wrote.
    pub(crate) fn from_stored(text: Option<&str>) -> Self {
        let names = text.unwrap_or_default();
        let is_asked = |name: &&'static str| names.split(' ').any(|asked| asked == *name);
        Self(OF_PERSON.into_iter().filter(is_asked).collect())
    }

    /// Their names, separated by spaces; none where nothing is asked for.
    pub(crate) fn stored(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(" "))
    }

    /// Whether nothing is asked for.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of them that are told.
    pub(crate) fn of(&self, told: &UserInfo) -> Result<Map<String, Value>, Fault> {
        let Value::Object(all) = serde_json::to_value(told)? else { return Ok(Map::new()) };
        Ok(all.into_iter().filter(|(name, _)| self.0.contains(&name.as_str())).collect())
    }
}

/// Who it has to be, if the ID token is asked to say so (section 5.5.1).
pub(crate) fn subject(claims: Option<&Map<String, Value>>) -> Option<String> {
    let subject = member(claims)?.get("sub")?.get("value")?;
    subject.as_str().map(str::to_owned)
}

/// How they should prove who they are, if the ID token is asked to say so (section 5.5.1.1).
pub(crate) fn contexts(claims: Option<&Map<String, Value>>) -> Vec<String> {
    let Some(acr) = member(claims).and_then(|all| all.get("acr")) else { return Vec::new() };
    let values = acr.get("values").and_then(Value::as_array).into_iter().flatten();
    let one = acr.get("value").into_iter();
    values.chain(one).filter_map(Value::as_str).map(str::to_owned).collect()
}

fn member(claims: Option<&Map<String, Value>>) -> Option<&Map<String, Value>> {
    claims?.get("id_token")?.as_object()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_for_is_read_kept_and_told_if_it_is_known() {
        let claims = json!({
            "userinfo": { "name": null },
            "id_token": {
                "email": { "essential": true }, "given_name": null, "password": null, "auth_time": null,
                "sub": { "value": "ada" }, "acr": { "essential": true, "values": ["mfa"], "value": "phr" },
            },
        });
        let claims = claims.as_object();
        let asked = InIdToken::asked(claims);
        assert_eq!(asked.stored().as_deref(), Some("given_name email"));
        assert_eq!(InIdToken::from_stored(asked.stored().as_deref()), asked);
        assert_eq!(
            (subject(claims).as_deref(), contexts(claims)),
            (Some("ada"), vec!["mfa".into(), "phr".into()])
        );
        let told = UserInfo {
            email: Some("ada@example.com".into()),
            name: Some("Ada".into()),
            ..UserInfo::default()
        };
        assert_eq!(asked.of(&told).unwrap(), *json!({ "email": "ada@example.com" }).as_object().unwrap());
    }

    #[test]
    fn what_is_of_another_shape_asks_for_nothing() {
        for wrong in [
            json!({}),
            json!({ "id_token": null }),
            json!({ "id_token": [] }),
            json!({ "id_token": { "acr": 1, "sub": 2 } }),
        ] {
            let claims = wrong.as_object();
            assert!(InIdToken::asked(claims).is_empty(), "{wrong}");
            assert_eq!((subject(claims), contexts(claims)), (None, Vec::new()), "{wrong}");
        }
        assert!(InIdToken::from_stored(None).is_empty() && InIdToken::asked(None).stored().is_none());
    }
}
