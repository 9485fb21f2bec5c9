//! Sources that speak HTTP, against servers that answer as their vendors document.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Relation, Settings, SourceType, open};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::cells::{read, row};
use crate::servers::{here, secret};

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: String,
    pub(crate) authorization: Option<String>,
    headers: hyper::HeaderMap,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().unwrap().to_owned())
    }
}

pub(crate) type Log = Arc<Mutex<Vec<Asked>>>;

/// What a server answers: status, headers, body.
pub(crate) type Answer<B> = (u16, Vec<(&'static str, String)>, B);

/// Answers each request by a function.
pub(crate) async fn serve(
    answer: impl Fn(&Asked) -> Answer<String> + Clone + Send + Sync + 'static,
) -> (u16, Log) {
    let bytes = move |asked: &Asked| {
        let (status, headers, body) = answer(asked);
        (status, headers, body.into_bytes())
    };
    serve_bytes(None, bytes).await
}

/// The same with TLS where it is given, and any bytes.
pub(crate) async fn serve_bytes(
    tls: Option<tokio_rustls::TlsAcceptor>,
    answer: impl Fn(&Asked) -> Answer<Vec<u8>> + Clone + Send + Sync + 'static,
) -> (u16, Log) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log: Log = Arc::default();
    let kept = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, log, tls) = (answer.clone(), Arc::clone(&kept), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => connection(stream, answer, log).await,
                    // A client that does not trust the certificate ends here.
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            connection(stream, answer, log).await;
                        }
                    }
                }
            });
        }
    });
    (port, log)
}

/// Answers the requests of one connection.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: impl Fn(&Asked) -> Answer<Vec<u8>> + Clone + Send + Sync + 'static,
    log: Log,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, log) = (answer.clone(), Arc::clone(&log));
        async move {
            let headers = request.headers().clone();
            let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let (method, target) = (request.method().to_string(), request.uri().to_string());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let asked = Asked { method, target, body, authorization, headers };
            let (status, headers, body) = answer(&asked);
            log.lock().unwrap().push(asked);
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok::<_, std::convert::Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
        }
    });
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = served.await;
}

pub(crate) fn settings(kind: SourceType, metadata: Value) -> Settings {
    let mut settings = Settings::new(kind);
    settings.metadata = metadata.as_object().unwrap().clone();
    settings.query_timeout = Duration::from_secs(5);
    settings.connection_timeout = Duration::from_secs(2);
    settings
}

fn page(target: &str, name: &str) -> u64 {
    let url = url::Url::parse(&format!("http://x{target}")).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map_or(0, |(_, value)| value.parse().unwrap())
}

#[tokio::test]
async fn a_rest_api_is_read_page_after_page() {
    let items = |from: u64| {
        (from..(from + 2).min(5)).map(|id| json!({ "id": id, "tags": ["a"] })).collect::<Vec<_>>()
    };
    let (port, log) = serve(move |asked| {
        let path = asked.target.split('?').next().unwrap();
        let (rows, mut headers, mut more) = match path {
            "/page" => (items((page(&asked.target, "page").max(1) - 1) * 2), vec![], json!(null)),
            "/offset" => (items(page(&asked.target, "offset")), vec![], json!(null)),
            "/cursor" => {
                let at = page(&asked.target, "cursor");
                (items(at), vec![], if at < 4 { json!((at + 2).to_string()) } else { json!(null) })
            }
            _ => {
                let at = page(&asked.target, "at");
                let link = format!("</link?at={}>; rel=\"next\"", at + 2);
                (items(at), if at < 4 { vec![("link", link)] } else { vec![] }, json!(null))
            }
        };
        headers.push(("content-type", "application/json".to_owned()));
        if more.is_null() {
            more = json!("");
        }
        (200, headers, json!({ "data": { "items": rows }, "next": more }).to_string())
    })
    .await;
    for paging in ["page", "offset", "cursor", "link"] {
        let url = format!("http://127.0.0.1:{port}/{paging}?limit=2");
        let mut metadata = json!({ "url": url, "rows_path": "data.items", "paging": paging });
        if paging == "cursor" {
            metadata["cursor_path"] = json!("next");
        }
        let mut settings = settings(SourceType::RestApi, metadata);
        settings.credentials.oauth_token = secret("t0ken");
        settings.credentials.api_key = secret("k3y");
        let source = open(settings, &here()).await.unwrap();
        let rows = read(source.as_ref(), Relation::new("main", paging)).await.unwrap();
        assert_eq!(rows.len(), 5, "{paging}: {:?}", log.lock().unwrap());
        assert_eq!(rows[4], row(["4", "[\"a\"]"]));
        let asked = log.lock().unwrap().pop().unwrap();
        assert_eq!(
            (asked.authorization.as_deref(), asked.header("x-api-key").as_deref()),
            (Some("Bearer t0ken"), Some("k3y"))
        );
        let found = source.discover(None).await.unwrap();
        assert_eq!(found.schemas[0].tables[0].columns[0].type_name, "bigint");
        assert_eq!(
            source.test(None, Duration::from_secs(1)).await.unwrap().result.as_deref(),
            Some("2 rows on the first page")
        );
        assert!(read(source.as_ref(), Relation::new("main", "other")).await.is_err());
    }
}

#[tokio::test]
async fn credentials_stay_with_their_server() {
    let (other, log) = serve(|_| (200, vec![], "[]".to_owned())).await;
    let (port, _) = serve(move |asked| match asked.target.as_str() {
        "/moved" => (302, vec![("location", format!("http://127.0.0.1:{other}/"))], String::new()),
        "/away" => {
            (200, vec![("link", format!("<http://127.0.0.1:{other}/>; rel=next"))], "[{\"a\": 1}]".to_owned())
        }
        "/self" => (200, vec![("link", "</self>; rel=next".to_owned())], "[{\"a\": 1}]".to_owned()),
        "/denied" => (401, vec![], "no hunter2 here".to_owned()),
        "/broken" => (500, vec![], String::new()),
        "/text" => (200, vec![], "<html>".to_owned()),
        _ => (404, vec![], String::new()),
    })
    .await;
    for (path, code) in [
        ("/moved", ErrorCode::Connection),
        ("/away", ErrorCode::Connection),
        ("/self", ErrorCode::Query),
        ("/denied", ErrorCode::Authentication),
        ("/broken", ErrorCode::Connection),
        ("/text", ErrorCode::Query),
        ("/absent", ErrorCode::Query),
    ] {
        let metadata =
            json!({ "url": format!("http://127.0.0.1:{port}{path}"), "paging": "link", "table_name": "t" });
        let mut settings = settings(SourceType::RestApi, metadata);
        settings.credentials.username = secret("me");
        settings.credentials.password = secret("hunter2");
        let source = open(settings, &here()).await.unwrap();
        let error = read(source.as_ref(), Relation::new("main", "t")).await.unwrap_err();
        assert_eq!(error.code, code, "{path}: {error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert!(log.lock().unwrap().is_empty(), "another server was asked");
    for url in ["ftp://127.0.0.1/", "http://me:secret@127.0.0.1/", "file:///etc/passwd", "nonsense"] {
        let refused =
            open(settings(SourceType::RestApi, json!({ "url": url })), &here()).await.map(drop).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Connection, "{url}");
    }
    let inside = settings(SourceType::RestApi, json!({ "url": format!("http://localhost:{port}/") }));
    let source = open(inside, &Default::default()).await.unwrap();
    assert_eq!(source.test(None, Duration::from_secs(1)).await.unwrap_err().code, ErrorCode::Connection);
}

#[tokio::test]
async fn graphql_is_read_by_its_cursor_and_never_changed() {
    let (port, log) = serve(|asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        if body["query"] == "{ __typename }" {
            return (200, vec![], json!({ "data": { "__typename": "Query" } }).to_string());
        }
        let at = body["variables"]["after"].as_str().map_or(0, |after| after.parse().unwrap());
        let nodes: Vec<Value> = (at..at + 2).map(|id| json!({ "id": id, "name": "n" })).collect();
        let info = json!({ "hasNextPage": at < 4, "endCursor": (at + 2).to_string() });
        (200, vec![], json!({ "data": { "users": { "nodes": nodes, "pageInfo": info } } }).to_string())
    })
    .await;
    let url = format!("http://127.0.0.1:{port}/graphql");
    let query = "query ($after: String) { users(after: $after) { nodes { id name } pageInfo { hasNextPage endCursor } } }";
    let metadata = json!({ "url": url, "query": query, "rows_path": "data.users.nodes", "page_info_path": "data.users.pageInfo", "table_name": "users" });
    let source = open(settings(SourceType::Graphql, metadata), &here()).await.unwrap();
    let rows = read(source.as_ref(), Relation::new("main", "users")).await.unwrap();
    assert_eq!((rows.len(), rows[5].clone()), (6, row(["5", "n"])));
    assert_eq!(source.test(None, Duration::from_secs(1)).await.unwrap().result.as_deref(), Some("Query"));
    assert!(log.lock().unwrap().iter().all(|asked| asked.method == "POST"));
    for query in ["mutation { drop }", "subscription { x }", "query a { b } mutation c { d }", ""] {
        let metadata = json!({ "url": url, "query": query });
        assert!(open(settings(SourceType::Graphql, metadata), &here()).await.is_err(), "{query}");
    }
}

// Each was one row, an error that names nothing, or no columns without a word.
#[tokio::test]
async fn a_test_says_where_the_rows_are_and_what_is_no_answer() {
    let (port, _) = serve(|asked| match (asked.target.as_str(), asked.body.as_str()) {
        ("/page", _) => (200, vec![], "<!doctype html><title>Sign in, hunter2</title>".to_owned()),
        ("/graphql", body) if body.contains("wrong") => {
            let place = json!([{ "line": 1, "column": 3 }]);
            let error = json!({ "message": "Cannot query field hunter2", "locations": place });
            (200, vec![], json!({ "errors": [error] }).to_string())
        }
        ("/graphql", body) if body.contains("__typename") => {
            (200, vec![], json!({ "data": { "__typename": "Query" } }).to_string())
        }
        _ => (200, vec![], json!({ "data": { "items": [{ "id": 1 }] }, "total": 1 }).to_string()),
    })
    .await;
    let tested = async |kind: SourceType, path: &str, more: Value| {
        let mut metadata = json!({ "url": format!("http://127.0.0.1:{port}{path}") });
        metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut settings = settings(kind, metadata);
        settings.credentials.api_key = secret("hunter2");
        open(settings, &here()).await.unwrap().test(None, Duration::from_secs(5)).await
    };
    let told = |result: Option<String>| result.unwrap_or_default();
    let right = tested(SourceType::RestApi, "/", json!({ "rows_path": "data.items" })).await.unwrap();
    assert_eq!(right.result.as_deref(), Some("1 rows on the first page"));
    let whole = tested(SourceType::RestApi, "/", json!({})).await.unwrap();
    assert!(told(whole.result.clone()).ends_with("rows_path could be \"data.items\""), "{whole:?}");
    let wrong = tested(SourceType::RestApi, "/", json!({ "rows_path": "data.rows" })).await.unwrap_err();
    assert_eq!((wrong.code, wrong.names.as_slice()), (ErrorCode::Query, &["data.items".to_owned()][..]));
    let page = tested(SourceType::RestApi, "/page", json!({})).await.unwrap_err();
    assert!(page.message.starts_with("The answer (status 200) is an HTML page, as of a sign-in"), "{page}");
    assert_eq!(page.detail, "the title of the page: Sign in, ***");

    let whole =
        tested(SourceType::Graphql, "/graphql", json!({ "query": "{ items { id } }" })).await.unwrap();
    assert!(told(whole.result.clone()).starts_with("Query; "), "{whole:?}");
    assert!(told(whole.result.clone()).ends_with("rows_path could be \"data.items\""), "{whole:?}");
    let wrong = tested(SourceType::Graphql, "/graphql", json!({ "query": "{ wrong }" })).await.unwrap_err();
    assert_eq!(wrong.message, "The server answered with 1 GraphQL errors. The first: line 1, column 3.");
    assert!(wrong.detail.contains("Cannot query field ***"), "{wrong:?}");
}

// Its certificate is verified, or nothing is sent.
#[tokio::test]
async fn https_without_verification_is_refused() {
    let (port, log) = serve(|_| (200, vec![], "[]".to_owned())).await;
    for mode in ["disable", "prefer", "require"] {
        let url = format!("https://127.0.0.1:{port}/");
        let mut settings = settings(SourceType::RestApi, json!({ "url": url, "ssl_mode": mode }));
        settings.credentials.oauth_token = secret("t0ken");
        let source = open(settings, &here()).await.unwrap();
        let refused = source.test(None, Duration::from_secs(1)).await.unwrap_err();
        assert!(refused.message.contains("ssl_mode"), "{mode}: {refused}");
    }
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_relation_that_may_not_be_read_hides_no_other() {
    let (port, _) = serve(|asked| match asked.target.split('?').next().unwrap() {
        "/_cat/indices" => {
            (200, vec![], json!([{ "index": "logs", "docs.count": "1" }, { "index": "secret" }]).to_string())
        }
        "/logs/_search" => {
            let hit = json!({ "_index": "logs", "_id": "a", "_source": { "n": 1 } });
            (200, vec![], json!({ "_scroll_id": "s", "hits": { "hits": [hit] } }).to_string())
        }
        "/_search/scroll" => (200, vec![], json!({ "_scroll_id": "s", "hits": { "hits": [] } }).to_string()),
        _ => (403, vec![], "{}".to_owned()),
    })
    .await;
    let mut settings = settings(SourceType::Elasticsearch, json!({ "tls": false }));
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    let source = open(settings, &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let tables: Vec<_> =
        found.schemas[0].tables.iter().map(|table| (table.name.as_str(), table.columns.is_empty())).collect();
    assert_eq!(tables, [("logs", false), ("secret", true)]);
    assert_eq!(
        read(source.as_ref(), Relation::new("main", "secret")).await.unwrap_err().code,
        ErrorCode::Authentication
    );
}

#[tokio::test]
async fn elasticsearch_is_scrolled_to_its_end() {
    let (port, log) = serve(|asked| {
        let path = asked.target.split('?').next().unwrap();
        // Members of a document come in the order it was written in.
        let hits =
            |all: &str| format!(r#"{{"_scroll_id":"s1","hits":{{"total":{{"value":2}},"hits":[{all}]}}}}"#);
        let body = match (asked.method.as_str(), path) {
            ("GET", "/") => json!({ "cluster_name": "c", "version": { "number": "8.15.0" } }).to_string(),
            ("GET", "/_cat/indices") => {
                json!([{ "index": "logs", "docs.count": "2" }, { "index": ".hidden", "docs.count": "1" }])
                    .to_string()
            }
            ("POST", "/logs/_search") => {
                hits(r#"{"_index":"logs","_id":"a","_source":{"n":1,"deep":{"x":1}}}"#)
            }
            ("POST", "/_search/scroll") if !asked.body.contains("second") => hits(""),
            ("DELETE", "/_search/scroll") => json!({ "succeeded": true }).to_string(),
            _ => return (404, vec![], "{}".to_owned()),
        };
        (200, vec![], body)
    })
    .await;
    let mut settings = settings(SourceType::Elasticsearch, json!({ "tls": false }));
    settings.host = Some("127.0.0.1".to_owned());
    settings.port = Some(port);
    settings.credentials.api_key = secret("abc");
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(
        source.test(None, Duration::from_secs(1)).await.unwrap().version.as_deref(),
        Some("Elasticsearch 8.15.0")
    );
    let found = source.discover(None).await.unwrap();
    let tables: Vec<_> =
        found.schemas[0].tables.iter().map(|table| (table.name.as_str(), table.row_count)).collect();
    assert_eq!(tables, [("logs", Some(2))]);
    let rows = read(source.as_ref(), Relation::new("main", "logs")).await.unwrap();
    assert_eq!(rows, [row(["a", "1", "{\"x\":1}"])]);
    let last = log.lock().unwrap().pop().unwrap();
    assert_eq!((last.method.as_str(), last.authorization.as_deref()), ("DELETE", Some("ApiKey abc")));
    for name in ["_all", "*", "a,b", "-a", "a/b"] {
        assert!(read(source.as_ref(), Relation::new("main", name)).await.is_err(), "{name}");
    }
}
