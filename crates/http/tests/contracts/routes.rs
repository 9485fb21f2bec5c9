//! Every route of every contract, read from the OpenAPI documents: a new one is in every matrix from its first day.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};
use tidegate_domain::ContractId;
use tidegate_http::{Contract, contracts};
use tidegate_testkit::{Answer, Client, PASSWORD, Request, TestApp, application};

use crate::riven::wire::{Form, PDF};
use crate::watch::row_counts;

/// The phone in the samples.
pub(crate) const PHONE: &str = "+254700000000";

/// An endpoint and what its document says of it.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) contract: ContractId,
    pub(crate) method: Method,
    /// With `{placeholders}`.
    pub(crate) path: String,
    /// Whether it asks for an access token.
    pub(crate) bearer: bool,
    /// The fields of its body; none where it takes none.
    pub(crate) fields: Vec<Field>,
    /// Whether its body has no others.
    pub(crate) is_closed: bool,
    /// The codes of each status; none at a success.
    pub(crate) answers: BTreeMap<u16, Vec<String>>,
    /// The code of 429 where it is described once for the contract; empty where the contract has no codes.
    pub(crate) limited: Option<String>,
}

/// A field of a body.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) required: bool,
    /// As it is described.
    pub(crate) schema: Value,
}

/// How a contract says what can be wrong with any request. Codes; empty where it has none.
struct Words {
    contract: ContractId,
    invalid: (u16, &'static str),
    no_token: &'static str,
    invalid_token: &'static str,
    expired_token: &'static str,
    forbidden: &'static str,
}

static WORDS: [Words; 4] = [
    Words {
        contract: ContractId::RIVERGEN,
        invalid: (422, "VALIDATION_ERROR"),
        no_token: "UNAUTHORIZED",
        invalid_token: "UNAUTHORIZED",
        expired_token: "UNAUTHORIZED",
        forbidden: "PERMISSION_DENIED",
    },
    Words {
        contract: ContractId::INGESTIQ,
        invalid: (400, "VALIDATION_ERROR"),
        no_token: "UNAUTHORIZED",
        invalid_token: "INVALID_TOKEN",
        expired_token: "TOKEN_EXPIRED",
        forbidden: "FORBIDDEN",
    },
    Words {
        contract: ContractId::CROSSING_MINDS,
        invalid: (400, "WRONG_DATA_TYPE"),
        no_token: "INCORRECT_JWT_TOKEN",
        invalid_token: "INCORRECT_JWT_TOKEN",
        expired_token: "INCORRECT_JWT_TOKEN",
        forbidden: "INSUFFICIENT_ROLE",
    },
    Words {
        contract: ContractId::RIVEN,
        invalid: (422, ""),
        no_token: "",
        invalid_token: "",
        expired_token: "",
        forbidden: "",
    },
];

/// The words of RiverGen's modules of data, which differ from those of its accounts.
static PLATFORM: Words = Words {
    contract: ContractId::RIVERGEN,
    invalid: (422, "VALIDATION_ERROR"),
    no_token: "UNAUTHORIZED",
    invalid_token: "UNAUTHORIZED",
    expired_token: "UNAUTHORIZED",
    forbidden: "FORBIDDEN",
};

/// Where those modules are.
const PLATFORM_PATHS: [&str; 5] =
    ["/api/v1/data-sources", "/api/v1/policies", "/api/v1/prompt", "/api/v1/queries", "/api/v1/storage/"];

/// Every route of every contract.
pub(crate) fn all() -> Vec<Route> {
    let routes: Vec<Route> = contracts().iter().copied().flat_map(routes_of).collect();
    assert!(routes.len() >= 60, "the documents lost routes");
    routes
}

/// Those that take a JSON body.
pub(crate) fn with_body() -> Vec<Route> {
    all().into_iter().filter(Route::takes_body).collect()
}

/// Those that ask for an access token.
pub(crate) fn with_bearer() -> Vec<Route> {
    all().into_iter().filter(|route| route.bearer).collect()
}

fn routes_of(contract: &'static Contract) -> Vec<Route> {
    let document = serde_json::to_value(contract.openapi()).unwrap();
    let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation))
    });
    operations
        .map(|(path, method, operation)| Route {
            contract: contract.id,
            method: method.parse().unwrap(),
            path,
            bearer: operation["security"].is_array(),
            fields: fields_of(&document, operation),
            is_closed: body_of(&document, operation)
                .is_some_and(|body| body["additionalProperties"] == json!(false)),
            answers: answers_of(operation),
            limited: limited_of(&document, operation),
        })
        .collect()
}

/// How its body is described.
fn body_of<'d>(document: &'d Value, operation: &Value) -> Option<&'d Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let name = schema.as_str()?.rsplit('/').next()?;
    Some(&document["components"]["schemas"][name])
}

fn fields_of(document: &Value, operation: &Value) -> Vec<Field> {
    let Some(schema) = body_of(document, operation) else {
        return Vec::new();
    };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().expect("a body has fields");
    properties
        .iter()
        .map(|(name, property)| Field {
            name: name.clone(),
            kind: kind_of(property),
            required: required.contains(&name.as_str()),
            schema: property.clone(),
        })
        .collect()
}

/// `any` for a field that takes values of several types.
fn kind_of(property: &Value) -> String {
    let kind = property["type"].as_array().map_or(&property["type"], |kinds| &kinds[0]);
    kind.as_str().unwrap_or("any").to_owned()
}

fn answers_of(operation: &Value) -> BTreeMap<u16, Vec<String>> {
    let responses = operation["responses"].as_object().unwrap();
    // What is described once for a whole contract has a row of its own in the table of tests.
    let listed = responses.iter().filter(|(_, answer)| answer["$ref"].is_null());
    listed
        .map(|(status, answer)| (status.parse().unwrap(), codes_in(answer["description"].as_str().unwrap())))
        .collect()
}

/// The code of a request over a limit, where that is described once for the contract.
fn limited_of(document: &Value, operation: &Value) -> Option<String> {
    let pointer = operation["responses"]["429"]["$ref"].as_str()?.strip_prefix('#')?;
    let description = document.pointer(pointer)?["description"].as_str()?;
    Some(codes_in(description).pop().unwrap_or_default())
}

/// Codes in small letters, which RiverGen's contract has in some of its parts.
const SMALL_CODES: [&str; 13] = [
    "application_exists",
    "application_has_no_secret",
    "application_not_found",
    "invalid_client",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "organization_access_denied",
    "token_creation_failed",
    "token_not_found",
    "too_many_applications",
    "unauthorized_client",
];

/// The codes in a description: words such as `INVALID_TOKEN`.
fn codes_in(description: &str) -> Vec<String> {
    let is_code = |word: &&str| {
        word.len() > 3
            && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
            && (word.contains('_') || ["UNAUTHORIZED", "FORBIDDEN", "CONFLICT"].contains(word))
            || SMALL_CODES.contains(word)
    };
    description.split(|c: char| !c.is_alphanumeric() && c != '_').filter(is_code).map(str::to_owned).collect()
}

impl Route {
    /// `POST /api/v1/auth/login`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(crate) fn takes_body(&self) -> bool {
        !self.fields.is_empty()
    }

    /// Whether it takes a multipart form; also the one that takes it with a GET, of which OpenAPI cannot say so.
    pub(crate) fn takes_form(&self) -> bool {
        self.path.ends_with("/account/kyc") || self.is_upload()
    }

    /// Whether it takes a file to be stored.
    fn is_upload(&self) -> bool {
        self.path.ends_with("/storage/upload")
    }

    /// The contract in whose words it is said that below its path there is nothing: `/api/v1` is shared, and Riven's own
    /// are two paths alone.
    pub(crate) fn surroundings(&self) -> ContractId {
        let own = ["/api/v1/account/", "/api/v1/login/"];
        match self.contract {
            ContractId::RIVEN if !own.iter().any(|own| self.path.starts_with(own)) => ContractId::RIVERGEN,
            contract => contract,
        }
    }

    /// Its path with something for every placeholder.
    pub(crate) fn sample_path(&self) -> String {
        self.path
            .replace("{session_id}", "999999")
            .replace("{device_id}", "999999")
            .replace("{credential_id}", "999999")
            .replace("{org_id}", "999999")
            .replace("{token_id}", "999999")
            .replace("{app_id}", "999999")
            .replace("{bucket_name}", "nobodys")
            .replace("{object_name}", "organizations/999999/files/999999/nobodys.csv")
            .replace("{data_source_id}", "999999")
            .replace("{policy_id}", "999999")
            .replace("{prompt_id}", "999999")
            .replace("{execution_id}", "999999")
            .replace("{template_id}", "999999")
            .replace("{query_id}", "999999")
            .replace("{assignment_id}", "999999")
            .replace("{provider}", "google")
            .replace("{key_id}", "AAAAAAAAAAAAAAAAAAAAAA")
    }

    /// A body of the right shape that belongs to nobody.
    pub(crate) fn sample(&self) -> Map<String, Value> {
        let fields = self.fields.iter().filter(|field| !self.is_alternative(&field.name));
        fields.map(|field| (field.name.clone(), self.sample_of(&field.name))).collect()
    }

    /// A right value of a field.
    fn sample_of(&self, field: &str) -> Value {
        if field == "type" && self.path.starts_with("/api/v1/policies") {
            return json!("row_level_security");
        }
        if field == "parameters" && self.path.ends_with("/{template_id}/execute") {
            return json!({});
        }
        if field == "status" && self.path.starts_with("/api/v1/prompt-templates") {
            return json!("draft");
        }
        sample_of(self.contract, field)
    }

    /// Whether the field is sent in place of another one, which the sample has.
    fn is_alternative(&self, field: &str) -> bool {
        let instead: &[&str] = match self.path.as_str() {
            "/api/v1/auth/step-up" => &["method", "code", "backup_code", "credential"],
            "/api/v1/auth/mfa/verify" => &["backup_code"],
            "/api/v1/data-sources" | "/api/v1/data-sources/{data_source_id}" => {
                &["workspace_id", "file_path", "connection_string"]
            }
            "/api/v1/policies" => &["workspace_id"],
            "/api/v1/prompts/execute" => &["workspace_id", "prompt_id", "ai_model"],
            "/api/v1/queries/execute" | "/api/v1/prompt-templates/{template_id}/execute" => &["workspace_id"],
            "/api/v1/policies/simulate" => &["user_id", "workspace_id", "sql", "selected_data_source_ids"],
            "/api/v1/auth/oauth/login" | "/api/v1/auth/oauth/signup" => &["redirect_uri"],
            _ => &[],
        };
        instead.contains(&field)
    }

    /// Whether accounts that were answered so may be other ones since. Other writes that are refused write nothing
    /// ([`assert_refused_everywhere`]), nor do safe methods (`clients::safe_methods`).
    pub(crate) fn may_have_acted(&self, statuses: &[u16]) -> bool {
        let ends_sessions = ["/logout", "/sessions/"].iter().any(|part| self.path.contains(part));
        !self.method.is_safe() && (ends_sessions || statuses.iter().any(|status| *status < 400))
    }

    /// A request of the right shape.
    pub(crate) fn request(&self, client: &Client) -> Request {
        let request = client.request(self.method.clone(), &self.sample_path());
        if self.takes_body() {
            request.json(&Value::Object(self.sample()))
        } else if self.is_upload() {
            Form::default().file("file", "text/csv", b"id\n1\n").on(request)
        } else if self.takes_form() {
            Form::document("identity_verification", PDF).on(request)
        } else {
            request
        }
    }

    /// How the contract answers a body that is not what it should be.
    pub(crate) fn invalid(&self) -> (u16, &'static str) {
        // Contradiction C2 of RiverGen's contract.
        let bad_requests = ["/auth/signup", "/mfa/totp/setup", "/auth/mfa/deactivate"];
        let is_bad_request = bad_requests.iter().any(|end| self.path.ends_with(end));
        if self.contract == ContractId::RIVERGEN && is_bad_request {
            (400, "VALIDATION_ERROR")
        } else {
            self.words().invalid
        }
    }

    /// Whether it is of RiverGen's modules of data.
    pub(crate) fn is_of_platform(&self) -> bool {
        PLATFORM_PATHS.iter().any(|path| self.path.starts_with(path))
    }

    /// How the contract answers a body that is no JSON object.
    pub(crate) fn malformed(&self) -> (u16, &'static str) {
        if self.is_of_platform() { (400, "BAD_REQUEST") } else { self.invalid() }
    }

    /// How the contract answers a body that is larger than the endpoint takes.
    pub(crate) fn too_large(&self) -> (u16, &'static str) {
        (413, if self.is_of_platform() { "REQUEST_ENTITY_TOO_LARGE" } else { "PAYLOAD_TOO_LARGE" })
    }

    /// How the contract refuses a request without an access token.
    pub(crate) fn no_token(&self) -> (u16, &'static str) {
        (401, self.words().no_token)
    }

    /// How the contract refuses an access token that is not one.
    pub(crate) fn invalid_token(&self) -> (u16, &'static str) {
        (401, self.words().invalid_token)
    }

    /// How the contract refuses an access token past its lifetime.
    pub(crate) fn expired_token(&self) -> (u16, &'static str) {
        (401, self.words().expired_token)
    }

    /// How the contract refuses an access token that does not reach so far.
    pub(crate) fn forbidden(&self) -> (u16, &'static str) {
        (403, self.words().forbidden)
    }

    fn words(&self) -> &'static Words {
        if self.is_of_platform() {
            return &PLATFORM;
        }
        let words = WORDS.iter().find(|words| words.contract == self.contract);
        words.unwrap_or_else(|| panic!("no words of {} in WORDS", self.contract))
    }

    /// Checks that the answer is one that the document lists, or one that any route may give, in the contract's
    /// envelope.
    #[track_caller]
    pub(crate) fn assert_listed(&self, answer: &Answer, story: &str) {
        let Answer { status, text, .. } = answer;
        let around = [
            (404, ["NOT_FOUND", "RESOURCE_NOT_FOUND", "PATH_NOT_FOUND"].as_slice()),
            (405, &["METHOD_NOT_ALLOWED"]),
            (408, &["REQUEST_TIMEOUT"]),
            (413, &[self.too_large().1]),
            (415, &["UNSUPPORTED_MEDIA_TYPE"]),
        ];
        let code = answer.code();
        let is_limited = *status == 429 && self.limited.as_deref() == Some(code);
        let listed = self.answers.get(status).is_some_and(|codes| {
            if *status < 400 || !self.has_codes() {
                code.is_empty()
            } else {
                codes.iter().any(|listed| listed == code)
            }
        });
        let is_usual = |codes: &[&str]| if self.has_codes() { codes.contains(&code) } else { *status != 404 };
        let usual = around.iter().any(|(usual, codes)| usual == status && is_usual(codes));
        assert!(
            listed || is_limited || usual,
            "{} does not list this answer to {story}: {status} {text}",
            self.name()
        );
        if *status >= 400 {
            assert_envelope(self.contract, answer);
        }
    }

    /// Whether errors have codes. Riven's are told by their status and, by people, by their text.
    fn has_codes(&self) -> bool {
        self.contract != ContractId::RIVEN
    }

    /// Checks for exactly this error, in the contract's envelope; where errors have no codes, for its status.
    #[track_caller]
    pub(crate) fn assert_refused(&self, answer: &Answer, (status, code): (u16, &str), story: &str) {
        let expected = (status, if self.has_codes() { code } else { "" });
        let found = (answer.status, answer.code());
        assert_eq!(found, expected, "{} answered to {story}: {}", self.name(), answer.text);
        assert_envelope(self.contract, answer);
    }
}

fn sample_of(contract: ContractId, field: &str) -> Value {
    if contract == ContractId::RIVEN {
        return sample_of_riven(field);
    }
    if contract == ContractId::RIVERGEN && field == "code" {
        return json!("000000");
    }
    match field {
        "scopes" => json!(["read"]),
        "grant_types" => json!(["authorization_code"]),
        "redirect_uris" => json!(["https://nobody.example.com/callback"]),
        "post_logout_redirect_uris" => json!(["https://nobody.example.com/bye"]),
        "backchannel_logout_uri" => json!("https://nobody.example.com/logout"),
        "backchannel_logout_session_required" => json!(true),
        "redirect_uri" => json!("https://nobody.example.com/callback"),
        "access_level" => json!("organization"),
        "token_endpoint_auth_method" => json!("client_secret_basic"),
        "status" => json!("active"),
        "client_id" => json!("00000000-0000-4000-8000-000000000000"),
        "scope" => json!("openid"),
        "state" | "nonce" => json!("nobodys"),
        "code_challenge" => json!("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        "code_challenge_method" => json!("S256"),
        "resource" => json!("https://id.example.com"),
        "approve" => json!(true),
        "expires_in_days" => json!(30),
        "organization_id" => json!(999_999),
        "method" => json!("email_otp"),
        "device_name" => json!("Nobody's phone"),
        "backup_code" => json!("ABCD-2345"),
        // Of both kinds: what is not known is left out.
        "credential" => json!({
            "id": "bm9ib2R5", "rawId": "bm9ib2R5", "type": "public-key",
            "response": {
                "attestationObject": "oA", "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "AA",
            },
        }),
        "provider" => json!("google"),
        "browser_secret" => json!("nobodys-secret-of-a-page-that-is-long-enough-00"),
        "browser_challenge" => json!("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        "iss" => json!("https://accounts.example.com"),
        "activation_token" => json!("tgd_nobody"),
        "email" | "new_email" => json!("nobody@example.com"),
        "password" | "current_password" => json!(PASSWORD),
        "new_password" => json!("Battery2staple!"),
        "display_name" | "name" => json!("Nobody"),
        "token" | "temporary_token" | "refresh_token" | "refreshToken" => json!("tgr_nobody"),
        "otp_code" => json!("000000"),
        "agree_to_terms" | "remember_me" | "remove_phones" | "remove_passkeys" => json!(true),
        "terms_version" => json!("1.0"),
        "idempotency_key" => json!("once"),
        "workspace_id" => json!(1),
        "profile_image_url" => json!("https://example.com/nobody.png"),
        "profile" | "metadata" => json!({}),
        "code" => json!("0000000000000000000000000000000000000000"),
        "role" => json!("backend"),
        "first_name" | "last_name" | "description" => json!("Nobody's"),
        "email_redirect_url" => json!("https://id.example.com/set-password"),
        "expiration_timestamp" | "code_expiration_timestamp" | "timestamp" => json!(3_000_000_000.5),
        "db_id" => json!("AAAAAAAAAAAAAAAAAAAAAA"),
        "type" => json!("postgresql"),
        "host" | "ssh_host" => json!("db.example.com"),
        "port" | "ssh_port" | "ssh_local_port" => json!(5_432),
        "database_name" | "schema_name" | "username" | "ssh_username" => json!("nobodys"),
        "connection_string" => json!("postgres://nobody@db.example.com/nobodys"),
        "file_path" => json!("organizations/0/files/0/nobodys.csv"),
        "use_ssh_tunnel" | "rotate_credentials" => json!(false),
        "ssh_host_key" => json!("ssh-ed25519 bm9ib2R5"),
        "connection_pool_size" | "connection_timeout" | "query_timeout" | "max_retries" => json!(3),
        "schema_auto_refresh" => json!(true),
        "schema_refresh_interval" => json!(3_600),
        "client_secret" => json!("nobodys"),
        "tags" => json!(["nobodys"]),
        "credentials" => json!({}),
        "storage_file_id" => json!(1),
        "api_key" | "oauth_token" | "ssh_private_key" | "ssh_passphrase" | "ssl_key" | "warehouse" => {
            json!("nobodys")
        }
        "test_query" => json!("SELECT 1"),
        "timeout_seconds" => json!(1),
        "is_active" => json!(true),
        "priority" => json!(0),
        "rules" | "data_source_ids" | "role_ids" | "user_ids" | "dataset_ids" | "query_ids"
        | "workspace_ids" | "groups" => json!([]),
        "data_source_id" | "dataset_id" | "query_id" => json!(999_999),
        "role_id" => json!(2),
        "attributes" => json!({}),
        "group" | "schema" | "table" => json!("nobodys"),
        "sql" => json!("SELECT 1"),
        "selected_data_source_ids" | "compatible_data_source_ids" => json!([999_999]),
        "selected_schema_names" | "parameters" => json!([]),
        "prompt_text" | "template_text" => json!("How many orders are there?"),
        "save_prompt" | "is_public" => json!(false),
        "category" => json!("Sales"),
        "icon_url" => json!("/icons/sales.svg"),
        "db_name" | "cursor" => json!("nobodys"),
        "frontend_user_id" | "user_id" => json!(7),
        "frontend_session_id" => json!("00000000-0000-0000-0000-000000000000"),
        "item_id_type" | "user_id_type" | "session_id_type" => json!("uint32"),
        "preserve" => json!(true),
        "users_id" => json!([7]),
        "amt" => json!(3),
        other => panic!("a new field, {other}: say in routes.rs what a right one looks like"),
    }
}

fn sample_of_riven(field: &str) -> Value {
    match field {
        "phone" => json!(PHONE),
        "code" => json!("000000"),
        "contact" | "identity" | "disclosures" | "agreements" | "documents" => {
            application(PHONE, "nobody@example.com")[field].clone()
        }
        "account_sub_type" => json!("roth"),
        "currency" => json!("USD"),
        "enabled_assets" => json!(["us_equity"]),
        "beneficiaries" => json!([{ "given_name": "No", "family_name": "Body" }]),
        "trusted_contact" => {
            json!({ "given_name": "No", "family_name": "Body", "email_address": "somebody@example.com" })
        }
        "account_type" => json!("trading"),
        "additional_information" => json!("nothing more"),
        other => panic!("a new field, {other}: say in routes.rs what a right one looks like"),
    }
}

/// Checks that every route that asks for a token refuses this one, each in its contract's way, and that nothing is
/// written.
pub(crate) async fn assert_refused_everywhere(
    app: &TestApp,
    token: &str,
    refusal: impl Fn(&Route) -> (u16, &'static str),
    story: &str,
) {
    let before = row_counts(app).await;
    let routes = with_bearer();
    assert!(routes.len() >= 12, "the documents lost routes");
    for route in routes {
        let answer = route.request(&app.client()).bearer(token).send().await;
        route.assert_refused(&answer, refusal(&route), story);
    }
    assert_eq!(row_counts(app).await, before, "something was written for {story}");
}

/// Every 401 is a challenge, and of the others a 403 that names the scope it takes (RFC 6750 section 3.1).
#[track_caller]
pub(crate) fn assert_challenged(answer: &Answer) {
    let challenge = answer.header("www-authenticate");
    let names_scope = answer.status == 403 && challenge.starts_with("Bearer error=\"insufficient_scope\"");
    // A token that is bound to a key is challenged by its scheme (RFC 9449 section 7.1).
    let is_of_scheme = ["Bearer", "DPoP "].iter().any(|scheme| challenge.starts_with(scheme));
    let is_one = (is_of_scheme && answer.status == 401) || names_scope;
    assert_eq!(answer.headers.contains_key("www-authenticate"), is_one, "{challenge}: {}", answer.text);
    assert!(is_one || answer.status != 401, "a 401 without a challenge: {}", answer.text);
}

/// Checks that an error has exactly the members of its contract's envelope.
#[track_caller]
pub(crate) fn assert_envelope(contract: ContractId, answer: &Answer) {
    let text = &answer.text;
    assert_eq!(answer.header("content-type"), "application/json", "{text}");
    assert_eq!(answer.header("cache-control"), "no-store", "{text}");
    assert_eq!(answer.header("x-request-id").len(), 32, "{:?}", answer.headers);
    assert_challenged(answer);
    if contract == ContractId::RIVEN {
        return assert_riven_envelope(answer);
    }
    if contract == ContractId::CROSSING_MINDS {
        let mut keys: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["error_code", "error_data", "error_name", "message"], "{text}");
        assert!(answer.body["error_code"].is_u64() && answer.body["error_name"].is_string(), "{text}");
        assert!(answer.body["message"].is_string() && answer.body["error_data"].is_object(), "{text}");
        return;
    }
    let error = answer.body["error"].as_object().unwrap_or_else(|| panic!("no error object: {text}"));
    let keys = |object: &Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
    let allowed = match contract {
        ContractId::RIVERGEN => {
            assert_eq!(answer.body["success"], false, "{text}");
            assert_eq!(keys(answer.body.as_object().unwrap()), ["error", "success"], "{text}");
            ["code", "details", "message", "timestamp"].as_slice()
        }
        ContractId::INGESTIQ => {
            assert_eq!(keys(answer.body.as_object().unwrap()), ["error"], "{text}");
            &["code", "details", "message"]
        }
        other => panic!("no envelope of {other} is known here"),
    };
    assert!(keys(error).iter().all(|key| allowed.contains(&key.as_str())), "{text}");
    assert!(error["code"].is_string() && error["message"].is_string(), "{text}");
}

/// A message always, and `"status": false` unless it is the token that is at fault; what is wrong with each field at an
/// invalid body and nowhere else; an empty `auth` at a wrong registration code and nowhere else.
#[track_caller]
fn assert_riven_envelope(answer: &Answer) {
    let Answer { status, body, text, .. } = answer;
    if *status == 401 && body["message"] != "Invalid credentials" {
        assert_eq!(body, &json!({ "message": "Unauthenticated." }), "{text}");
        return;
    }
    let message = body["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{text}");
    assert_eq!(body["status"], false, "{text}");
    let others: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let others: Vec<&str> = others.into_iter().filter(|key| !["message", "status"].contains(key)).collect();
    match (others.as_slice(), message) {
        ([], "Invalid code") => panic!("no auth: {text}"),
        ([], _) => {}
        (["auth"], "Invalid code") => assert_eq!((*status, &body["auth"]), (422, &json!([])), "{text}"),
        (["errors"], _) => {
            assert!([409, 422].contains(status), "{text}");
            let errors: Vec<&Value> = body["errors"].as_object().unwrap().values().collect();
            let texts = errors.iter().flat_map(|texts| {
                let texts = texts.as_array().unwrap_or_else(|| panic!("no list: {text}"));
                assert!(!texts.is_empty(), "{text}");
                texts.iter().map(|one| one.as_str().unwrap_or_else(|| panic!("no text: {text}")))
            });
            assert!(texts.collect::<Vec<_>>().contains(&message), "the message is the first error: {text}");
        }
        _ => panic!("{text}"),
    }
}
