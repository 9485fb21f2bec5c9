//! Claims that an application asks for one by one (OpenID Connect Core section 5.5).
//!
//! A claim that is asked for so is told alone, without the others of its scope. The application has to be registered for that scope, and the
//! person is asked for it as for any scope: nothing is told that they did not allow. What cannot be told is left out.

use serde_json::{Map, Value};
use tidegate_domain::Scopes;
use tidegate_kernel::Fault;

use super::id_token::CONTEXTS;
use super::person::{OF_PERSON, UserInfo};

/// Where claims are asked to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the ID token.
    IdToken,
    /// At the userinfo endpoint.
    UserInfo,
}

impl Place {
    const ALL: [Self; 2] = [Self::IdToken, Self::UserInfo];

    /// The member of the parameter `claims`.
    const fn member(self) -> &'static str {
        match self {
            Self::IdToken => "id_token",
            Self::UserInfo => "userinfo",
        }
    }
}

/// The claims of a person that are asked for in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AskedClaims(Vec<&'static str>);

impl AskedClaims {
    /// Reads them from the parameter `claims`. Names that are not known are left out (section 5.5).
    pub(crate) fn asked(claims: Option<&Map<String, Value>>, place: Place) -> Self {
        let members = member(claims, place);
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

    /// The scopes that tell them, of those that an application is registered for.
    pub(crate) fn scopes(&self, registered: &Scopes) -> Scopes {
        let names: Vec<&str> = self.0.iter().map(|name| scope_of(name)).collect();
        Scopes::from_stored(&names.join(" ")).intersection(registered)
    }

    /// Those of them that are told.
    pub(crate) fn of(&self, told: &UserInfo) -> Result<Map<String, Value>, Fault> {
        let Value::Object(all) = serde_json::to_value(told)? else { return Ok(Map::new()) };
        Ok(all.into_iter().filter(|(name, _)| self.0.contains(&name.as_str())).collect())
    }
}

/// The scope that tells a claim of a person (section 5.4).
fn scope_of(claim: &str) -> &'static str {
    match claim {
        "email" | "email_verified" => "email",
        "phone_number" | "phone_number_verified" => "phone",
        _ => "profile",
    }
}

/// The scopes that a person is asked for besides those of the request, for single claims.
pub(crate) fn scopes(claims: Option<&Map<String, Value>>, registered: &Scopes) -> Scopes {
    let of = |place| AskedClaims::asked(claims, place).scopes(registered);
    Place::ALL.into_iter().fold(Scopes::NONE, |all, place| all.union(&of(place)))
}

/// Who it has to be, if the ID token or the userinfo endpoint is asked to say so (section 5.5.1). Two that differ are nobody.
pub(crate) fn subject(claims: Option<&Map<String, Value>>) -> Option<String> {
    let of = |place| member(claims, place)?.get("sub")?.get("value")?.as_str();
    match (of(Place::IdToken), of(Place::UserInfo)) {
        (Some(one), Some(other)) if one != other => Some(String::new()),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// How they should prove who they are, if the ID token is asked to say so (section 5.5.1.1).
pub(crate) fn contexts(claims: Option<&Map<String, Value>>) -> Vec<String> {
    let Some(acr) = acr(claims) else { return Vec::new() };
    let values = acr.get("values").and_then(Value::as_array).into_iter().flatten();
    let one = acr.get("value").into_iter();
    values.chain(one).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether what the ID token says of how they did is one of those, where the application cannot do with anything else (section 5.5.1.1).
/// More than one factor is as good as one.
pub(crate) fn is_context_met(claims: Option<&Map<String, Value>>, shown: &str) -> bool {
    let is_essential = acr(claims).and_then(|acr| acr.get("essential")) == Some(&Value::Bool(true));
    let asked = contexts(claims);
    let [one, _] = CONTEXTS;
    !is_essential || asked.is_empty() || asked.iter().any(|context| context == shown || context == one)
}

fn acr(claims: Option<&Map<String, Value>>) -> Option<&Value> {
    member(claims, Place::IdToken)?.get("acr")
}

fn member(claims: Option<&Map<String, Value>>, place: Place) -> Option<&Map<String, Value>> {
    claims?.get(place.member())?.as_object()
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
        let asked = AskedClaims::asked(claims, Place::IdToken);
        assert_eq!(asked.stored().as_deref(), Some("given_name email"));
        assert_eq!(AskedClaims::asked(claims, Place::UserInfo).stored().as_deref(), Some("name"));
        assert_eq!(AskedClaims::from_stored(asked.stored().as_deref()), asked);
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
        let registered = Scopes::from_stored("openid email");
        assert_eq!(scopes(claims, &registered), Scopes::from_stored("email"));
        assert_eq!(
            scopes(claims, &Scopes::from_stored("profile email phone")),
            Scopes::from_stored("profile email")
        );
    }

    #[test]
    fn what_an_application_cannot_do_without_has_to_be_so() {
        let of = |acr: Value| json!({ "id_token": { "acr": acr } });
        for (acr, one, more) in [
            (json!(null), true, true),
            (json!({ "values": ["mfa"] }), true, true),
            (json!({ "essential": true }), true, true),
            (json!({ "essential": true, "values": ["mfa"] }), false, true),
            (json!({ "essential": true, "value": "1fa" }), true, true),
            (json!({ "essential": true, "values": ["urn:none"] }), false, false),
        ] {
            let claims = of(acr);
            let met = |shown| is_context_met(claims.as_object(), shown);
            assert_eq!((met("1fa"), met("mfa")), (one, more), "{claims}");
        }
        let two = json!({ "id_token": { "sub": { "value": "a" } }, "userinfo": { "sub": { "value": "b" } } });
        assert_eq!(subject(two.as_object()).as_deref(), Some(""), "nobody is both");
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
            assert!(AskedClaims::asked(claims, Place::IdToken).is_empty(), "{wrong}");
            assert_eq!((subject(claims), contexts(claims)), (None, Vec::new()), "{wrong}");
        }
        assert!(AskedClaims::from_stored(None).is_empty());
        assert!(AskedClaims::asked(None, Place::UserInfo).stored().is_none());
    }
}
