//! Request bodies and queries, and how they are read.

use serde::Deserialize;
use tidegate_domain::text::line;
use tidegate_domain::{Scope, Scopes};
use tidegate_identity::access_tokens::create::CreateAccessToken;
use tidegate_kernel::tables::access_tokens::AccessTokenChange;
use utoipa::{IntoParams, ToSchema};

use super::responses::TokenData;
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::openapi::shapes::Shape;
use crate::wire::typed::Integer;
use crate::wire::unknown::{Exact, fields_of};

/// Longest name of a token, in characters.
const MAX_NAME: usize = 100;
/// Longest life that can be asked for: ten years.
const MAX_DAYS: i64 = 3_650;

/// The scopes that a token can have, as a request names them.
pub(in super::super) fn scope_shape() -> Shape {
    Shape { format: "token-scope", words: Scope::of_tokens().collect(), ..Shape::default() }
}

/// A scope: see docs/scopes.md.
#[derive(ToSchema)]
#[schema(value_type = String, format = "token-scope", example = "read")]
struct TokenScope(#[allow(dead_code, reason = "it is described, and read as text")] String);

/// POST /api/v1/auth/tokens.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CreateTokenBody {
    /// What its owner calls it.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 100, example = "Build server")]
    #[serde(default)]
    name: Field<String>,
    /// What it may do at most: at least one.
    #[schema(required = true, value_type = Vec<TokenScope>, min_items = 1)]
    #[serde(default)]
    scopes: Field<Vec<String>>,
    /// Days until it expires, 1 to 3650; it does not expire when left out.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3650)]
    #[serde(default)]
    expires_in_days: Field<Integer>,
    /// The organization it is for, of which the caller is a member. Its setting may let the token expire earlier.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    organization_id: Field<Integer>,
}

impl Exact for CreateTokenBody {}

impl CreateTokenBody {
    pub(super) fn read(self) -> Result<CreateAccessToken, Violations> {
        let mut check = Check::new();
        let organization = check.optional("organization_id", self.organization_id);
        let organization = organization.map(|Integer(number)| number);
        let token = token(&mut check, self.name, self.scopes, self.expires_in_days, organization);
        check.finish(token)
    }
}

/// POST /api/v1/organizations/{org_id}/tokens.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CreateOrganizationTokenBody {
    /// What its owner calls it.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 100, example = "Build server")]
    #[serde(default)]
    name: Field<String>,
    /// What it may do at most: at least one.
    #[schema(required = true, value_type = Vec<TokenScope>, min_items = 1)]
    #[serde(default)]
    scopes: Field<Vec<String>>,
    /// Days until it expires, 1 to 3650. The organization's setting may let it expire earlier.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3650)]
    #[serde(default)]
    expires_in_days: Field<Integer>,
}

impl Exact for CreateOrganizationTokenBody {}

impl CreateOrganizationTokenBody {
    pub(super) fn read(self, organization: i64) -> Result<CreateAccessToken, Violations> {
        let mut check = Check::new();
        let token = token(&mut check, self.name, self.scopes, self.expires_in_days, Some(organization));
        check.finish(token)
    }
}

fn token(
    check: &mut Check,
    name: Field<String>,
    scopes: Field<Vec<String>>,
    days: Field<Integer>,
    organization: Option<i64>,
) -> Option<CreateAccessToken> {
    let name = check.required("name", name);
    let name = name.and_then(|name| check.parsed("name", line(&name, MAX_NAME)));
    let scopes = check.required("scopes", scopes);
    let scopes = scopes.and_then(|names| scopes_of(check, &names));
    let expires_in_days = match check.optional("expires_in_days", days) {
        None => None,
        Some(Integer(days @ 1..=MAX_DAYS)) => u32::try_from(days).ok(),
        Some(_) => check.violated("expires_in_days", "must be from 1 to 3650"),
    };
    name.zip(scopes).map(|(name, scopes)| CreateAccessToken { name, scopes, expires_in_days, organization })
}

fn scopes_of(check: &mut Check, names: &[String]) -> Option<Scopes> {
    check.parsed("scopes", Scopes::requested_for_token(names.iter().map(String::as_str)).map_err(said))
}

fn said(error: tidegate_domain::scope::ScopeError) -> String {
    format!("cannot be taken: {error}")
}

/// PATCH /api/v1/auth/tokens/{token_id}.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct ChangeTokenBody {
    /// What its owner calls it; as it was when left out.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 100)]
    #[serde(default)]
    name: Field<String>,
    /// What it may do at most, in place of what it could; as it was when left out.
    #[schema(value_type = Option<Vec<TokenScope>>, min_items = 1)]
    #[serde(default)]
    scopes: Field<Vec<String>>,
}

impl Exact for ChangeTokenBody {
    fn sent_back() -> Vec<String> {
        fields_of::<TokenData>()
    }
}

impl ChangeTokenBody {
    pub(super) fn read(self) -> Result<AccessTokenChange, Violations> {
        let mut check = Check::new();
        let name = check.optional("name", self.name);
        let name = name.and_then(|name| check.parsed("name", line(&name, MAX_NAME)));
        let scopes = check.optional("scopes", self.scopes);
        let scopes = scopes.and_then(|names| scopes_of(&mut check, &names));
        check.finish(Some(AccessTokenChange { name, scopes }))
    }
}

/// Which tokens of a list to show.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in super::super) struct TokensQuery {
    /// How many to skip; 0 when left out.
    #[param(value_type = Option<i64>, minimum = 0)]
    skip: Option<String>,
    /// 1 to 100; 100 when left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    limit: Option<String>,
}

impl TokensQuery {
    /// How many to skip, and how many to show.
    pub(super) fn read(self) -> Result<(i64, i64), Violations> {
        let mut check = Check::new();
        let skip = match self.skip.as_deref().unwrap_or("0").parse() {
            Ok(skip @ 0..) => Some(skip),
            _ => check.violated("skip", "must be an integer from 0"),
        };
        let limit = match self.limit.as_deref().unwrap_or("100").parse() {
            Ok(limit @ 1..=100) => Some(limit),
            _ => check.violated("limit", "must be an integer from 1 to 100"),
        };
        check.finish(skip.zip(limit))
    }
}
