//! The headers of answers, described once per document and referred to by every answer that can have them.

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};

/// A header as it is described: its name in the document, its name on the wire, whether answers that can have it always do.
struct Described {
    component: &'static str,
    name: &'static str,
    is_always_there: bool,
    /// Text of this pattern; a whole number from 0 where there is none.
    pattern: Option<&'static str>,
    description: &'static str,
}

const REQUEST_ID: Described = Described {
    component: "RequestId",
    name: "x-request-id",
    is_always_there: true,
    pattern: Some("^[0-9a-f]{32}$"),
    description: "Names the request in the server's log.",
};
const RETRY_AFTER: Described = Described {
    component: "RetryAfter",
    name: "retry-after",
    is_always_there: true,
    pattern: None,
    description: "Seconds to wait before trying again.",
};
const CHALLENGE: Described = Described {
    component: "WwwAuthenticate",
    name: "www-authenticate",
    is_always_there: true,
    pattern: Some("^Bearer"),
    description: "How to authenticate (RFC 6750 section 3).",
};
const SCOPE_CHALLENGE: Described = Described {
    component: "InsufficientScope",
    name: "www-authenticate",
    is_always_there: false,
    pattern: Some("^Bearer error=\"insufficient_scope\""),
    description: "Where the token's scopes do not suffice: the scope to ask for (RFC 6750 section 3.1).",
};
const ACCEPT_ENCODING: Described = Described {
    component: "AcceptEncoding",
    name: "accept-encoding",
    is_always_there: false,
    pattern: Some("^identity$"),
    description: "Which `Content-Encoding` a body may have, after one with another.",
};
/// The limit that was met, or that the request was counted against.
const LIMIT: [Described; 3] = [
    Described {
        component: "RateLimitLimit",
        name: "x-ratelimit-limit",
        is_always_there: false,
        pattern: None,
        description: "How many requests are allowed in the limit's window.",
    },
    Described {
        component: "RateLimitRemaining",
        name: "x-ratelimit-remaining",
        is_always_there: false,
        pattern: None,
        description: "How many of them are left.",
    },
    Described {
        component: "RateLimitReset",
        name: "x-ratelimit-reset",
        is_always_there: false,
        pattern: None,
        description: "When the window ends, in seconds since the epoch.",
    },
];

impl Described {
    fn header(&self) -> Header {
        let kind = if self.pattern.is_some() { Type::String } else { Type::Integer };
        let minimum = self.pattern.is_none().then_some(0);
        let schema = ObjectBuilder::new().schema_type(kind).pattern(self.pattern).minimum(minimum);
        let required: Extensions = [("required", json!(self.is_always_there))].into_iter().collect();
        let header = HeaderBuilder::new().schema(Some(schema.build())).description(Some(self.description));
        header.extensions(Some(required)).build()
    }

    fn reference(&self) -> RefOr<Header> {
        RefOr::Ref(Ref::new(format!("#/components/headers/{}", self.component)))
    }
}

/// Describes the headers of all answers of a document. The answers themselves are there already.
pub(crate) fn describe_headers(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for header in
        [&REQUEST_ID, &RETRY_AFTER, &CHALLENGE, &SCOPE_CHALLENGE, &ACCEPT_ENCODING].into_iter().chain(&LIMIT)
    {
        components.headers.insert(header.component.to_owned(), header.header().into());
    }
    for (name, response) in &mut components.responses {
        describe(status_of(name), response);
    }
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations_mut) {
        for (status, response) in &mut operation.responses.responses {
            describe(status, response);
        }
    }
}

fn describe(status: &str, response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let mut headers = vec![&REQUEST_ID];
    match status {
        "401" => headers.push(&CHALLENGE),
        "403" => headers.push(&SCOPE_CHALLENGE),
        "415" => headers.push(&ACCEPT_ENCODING),
        "429" | "503" => headers.push(&RETRY_AFTER),
        _ => {}
    }
    // The contract or the operator counts requests; some endpoints have limits of their own.
    headers.extend(&LIMIT);
    response.headers.extend(headers.into_iter().map(|header| (header.name.to_owned(), header.reference())));
}

/// The operations of a path, with their methods.
pub(crate) fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let methods = [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PUT, &mut item.put),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    methods.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// An answer that is described once for a contract: its status, and its name in the document.
pub(crate) const COMMON: [(&str, &str); 6] = [
    ("408", "RequestTimeout"),
    ("413", "PayloadTooLarge"),
    ("415", "UnsupportedMediaType"),
    ("429", "TooManyRequests"),
    ("500", "Internal"),
    ("503", "Unavailable"),
];

fn status_of(name: &str) -> &'static str {
    COMMON.iter().find(|(_, known)| *known == name).map_or("", |(status, _)| status)
}
