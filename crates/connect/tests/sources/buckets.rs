//! Files in buckets, against a stub of a store that tells what it was asked for.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures_util::StreamExt;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, Settings, SourceType, open};

use crate::cells::{read, row, rows, select};
use crate::http::{Answer, Asked, Log, serve_bytes, settings};
use crate::servers::{Certificates, here, secret};

type Files = BTreeMap<String, Vec<u8>>;

/// What every bucket of these tests holds.
pub(crate) fn files() -> Files {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut files = Files::new();
    for (key, content) in [
        ("lake/sales/year=2023/a.csv", text("id,amount,note\n1,1,x\n2,2,\n")),
        ("lake/sales/year=2024/b.csv", text("id,amount\n3,2.5\n")),
        ("lake/sales/year=__HIVE_DEFAULT_PARTITION__/c.csv", text("id,amount,note\n4,3,007\n")),
        ("lake/sales/_SUCCESS", Vec::new()),
        ("lake/people.json", text("[{\"name\": \"Zoë\"}, {\"name\": null}]")),
        (
            "lake/books/b.xml",
            text("<books><book><title>T</title></book><book><title>U</title></book></books>"),
        ),
        ("lake/notes.md", text("none")),
        ("other/x.csv", text("a\n1\n")),
    ] {
        files.insert(key.to_owned(), content);
    }
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zipped.write_all(b"a,b\n1,x\n").unwrap();
    files.insert("lake/zipped.csv.gz".to_owned(), zipped.finish().unwrap());
    for day in 1..=3 {
        files.insert(format!("lake/events/day=2024-01-0{day}/part.parquet"), parquet(day));
    }
    files
}

/// 400,000 rows of a wide column and a narrow one, each of which is in parts of its own.
fn parquet(day: i64) -> Vec<u8> {
    let count = 400_000;
    // Digits that do not compress to nothing.
    let wide =
        (0..count).map(|index| format!("{:016x}", (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let wide: ArrayRef = Arc::new(StringArray::from_iter_values(wide));
    let narrow: ArrayRef =
        Arc::new(Int64Array::from_iter_values((0..count).map(|index| day * 1_000_000 + index)));
    let batch = RecordBatch::try_from_iter([("wide", wide), ("narrow", narrow)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn query(asked: &Asked, name: &str) -> Option<String> {
    let url = url::Url::parse(&format!("http://x{}", asked.target)).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// A page of two keys, so that every list has several.
fn listed(files: &Files, asked: &Asked, azure: bool) -> Answer<Vec<u8>> {
    let prefix = query(asked, "prefix").unwrap_or_default();
    let from = query(asked, if azure { "marker" } else { "continuation-token" }).unwrap_or_default();
    let found: Vec<(&String, &Vec<u8>)> =
        files.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > from).collect();
    let next = if found.len() > 2 { found[1].0.as_str() } else { "" };
    let entry = |(key, content): &(&String, &Vec<u8>)| {
        let size = content.len();
        if azure {
            format!(
                "<Blob><Name>{key}</Name><Properties><Last-Modified>Mon, 05 Jan 2026 10:00:00 GMT</Last-Modified>\
                 <Etag>0x1</Etag><Content-Length>{size}</Content-Length></Properties></Blob>"
            )
        } else {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-05T10:00:00.000Z</LastModified>\
                 <ETag>&quot;e1&quot;</ETag><Size>{size}</Size></Contents>"
            )
        }
    };
    let entries: String = found.iter().take(2).map(entry).collect();
    let body = if azure {
        format!(
            "<EnumerationResults><Blobs>{entries}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        )
    } else if next.is_empty() {
        format!("<ListBucketResult>{entries}</ListBucketResult>")
    } else {
        format!(
            "<ListBucketResult>{entries}<NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>"
        )
    };
    (200, vec![("content-type", "application/xml".to_owned())], body.into_bytes())
}

fn part(files: &Files, asked: &Asked, key: &str) -> Answer<Vec<u8>> {
    let key = key.replace("%3D", "=");
    let Some(content) = files.get(&key) else { return (404, vec![], b"NoSuchKey".to_vec()) };
    let range = asked.header("range").unwrap();
    let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
    let headers = vec![("content-range", format!("bytes {start}-{end}/{}", content.len()))];
    (206, headers, content[start..=end].to_vec())
}

fn store(files: &Files, asked: &Asked) -> Answer<Vec<u8>> {
    let azure = asked.header("x-ms-version").is_some();
    let path = asked.target.split('?').next().unwrap();
    let refused = match asked.authorization.as_deref() {
        Some(signature) if signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") => false,
        Some(signature) => !(signature.starts_with("SharedKey acct:") || signature == "Bearer t0ken"),
        None => query(asked, "sig").is_none() && !path.starts_with("/public"),
    };
    if refused {
        return (403, vec![], b"<Error><Code>SignatureDoesNotMatch</Code></Error>".to_vec());
    }
    let (bucket, key) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    match (bucket, key) {
        ("absent", _) => (404, vec![], b"<Error><Code>NoSuchBucket</Code></Error>".to_vec()),
        (_, "") => listed(files, asked, azure),
        (_, key) => part(files, asked, key),
    }
}

async fn served() -> (u16, Log) {
    let files = Arc::new(files());
    serve_bytes(None, move |asked: &Asked| store(&files, asked)).await
}

fn at(kind: SourceType, port: u16, more: &Value) -> Settings {
    let mut metadata = json!({ "endpoint": format!("http://127.0.0.1:{port}"), "prefix": "lake/" });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut settings = settings(kind, metadata);
    settings.database_name = Some("b".to_owned());
    settings.query_timeout = Duration::from_secs(30);
    if kind == SourceType::AzureBlob {
        settings.credentials.username = secret("acct");
        settings.credentials.password = secret("aHVudGVyMg==");
    } else {
        settings.credentials.username = secret("AKID");
        settings.credentials.password = secret("hunter2");
    }
    settings
}

fn main(table: &str) -> Relation {
    Relation::new("main", table)
}

/// The keys that were read, once each, and how many bytes of each.
fn fetched(log: &Log) -> BTreeMap<String, usize> {
    let mut bytes = BTreeMap::new();
    for asked in log.lock().unwrap().iter() {
        let Some(range) = asked.header("range") else { continue };
        let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let length = end.parse::<usize>().unwrap() - start.parse::<usize>().unwrap() + 1;
        let key = asked.target.rsplit('/').next().unwrap().to_owned();
        *bytes.entry(key).or_default() += length;
    }
    bytes
}

fn year(operator: Operator, year: i64) -> Filter {
    Filter::Compare { column: "year".into(), operator, value: Literal::Int(year) }
}

#[tokio::test]
async fn every_format_is_read_from_every_store() {
    let (port, _) = served().await;
    for kind in [SourceType::S3, SourceType::Gcs, SourceType::AzureBlob] {
        let source = open(at(kind, port, &json!({})), &here()).await.unwrap();
        assert_eq!(
            source.test(None, Duration::from_secs(2)).await.unwrap().result.as_deref(),
            Some("more than 2 files"),
            "{kind}"
        );
        let found = source.discover(None).await.unwrap();
        let names: Vec<&str> = found.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
        assert_eq!(names, ["books", "events", "people", "sales", "zipped"], "{kind}");
        let sales = &found.schemas[0].tables[3];
        let columns: Vec<(&str, &str)> =
            sales.columns.iter().map(|column| (column.name.as_str(), column.type_name.as_str())).collect();
        assert_eq!(columns, [("id", "bigint"), ("amount", "double"), ("note", "text"), ("year", "bigint")]);
        // A column that is missing in a file is NULL, and what is text in one file is text as it is written.
        assert_eq!(
            read(source.as_ref(), main("sales")).await.unwrap(),
            [
                row(["1", "1", "x", "2023"]),
                row(["2", "2", "NULL", "2023"]),
                row(["3", "2.5", "NULL", "2024"]),
                row(["4", "3", "007", "NULL"]),
            ]
        );
        assert_eq!(read(source.as_ref(), main("people")).await.unwrap(), [row(["Zoë"]), row(["NULL"])]);
        assert_eq!(read(source.as_ref(), main("zipped")).await.unwrap(), [row(["1", "x"])]);
        assert_eq!(read(source.as_ref(), main("books")).await.unwrap(), [row(["T"]), row(["U"])]);
        assert_eq!(read(source.as_ref(), main("absent")).await.unwrap_err().code, ErrorCode::Query);
    }
}

#[tokio::test]
async fn filters_on_folders_decide_which_files_are_read() {
    let (port, log) = served().await;
    let source = open(at(SourceType::S3, port, &json!({})), &here()).await.unwrap();
    let schema = source.schema(&main("sales")).await.unwrap();
    assert!(source.evaluates(&schema, &year(Operator::Eq, 2024)));
    log.lock().unwrap().clear();
    let (found, applied) =
        select(source.as_ref(), main("sales"), &["year", "id"], year(Operator::GtEq, 2024)).await.unwrap();
    assert_eq!((found, applied), (vec![row(["2024", "3"])], true));
    assert_eq!(fetched(&log).into_keys().collect::<Vec<_>>(), ["b.csv"]);
    // A comparison with NULL is unknown, and so is its negation.
    log.lock().unwrap().clear();
    let not = Filter::Not(Box::new(year(Operator::Eq, 2024)));
    let (found, _) = select(source.as_ref(), main("sales"), &["id"], not).await.unwrap();
    assert_eq!(found, [row(["1"]), row(["2"])]);
    assert_eq!(fetched(&log).into_keys().collect::<Vec<_>>(), ["a.csv"]);
    // What is about rows, too, is left to the engine; the files are fewer nevertheless.
    log.lock().unwrap().clear();
    let id = Filter::Compare { column: "id".into(), operator: Operator::Eq, value: Literal::Int(1) };
    let both = Filter::And(vec![id, year(Operator::Lt, 2024)]);
    let (found, applied) = select(source.as_ref(), main("sales"), &["id"], both).await.unwrap();
    assert_eq!((found.len(), applied), (2, false));
    assert_eq!(fetched(&log).into_keys().collect::<Vec<_>>(), ["a.csv"]);
}

#[tokio::test]
async fn of_parquet_only_the_columns_asked_for_are_read() {
    let (port, log) = served().await;
    let source = open(at(SourceType::S3, port, &json!({})), &here()).await.unwrap();
    let relation = main("events");
    source.schema(&relation).await.unwrap();
    let whole = files()["lake/events/day=2024-01-01/part.parquet"].len();
    assert!(whole > 6 << 20, "{whole}");
    log.lock().unwrap().clear();
    let day = Filter::Compare { column: "day".into(), operator: Operator::Eq, value: Literal::Date(19_724) };
    let scan = Scan {
        relation: relation.clone(),
        projection: Some(vec!["narrow".into(), "day".into()]),
        filters: vec![day],
        order: vec![],
        limit: None,
    };
    let found = rows(source.scan(scan).await.unwrap()).await.unwrap();
    assert_eq!((found.len(), found[0].clone()), (400_000, row(["2000000", "2024-01-02"])));
    let bytes: usize = fetched(&log).values().sum();
    assert!(bytes < whole * 2 / 3, "{bytes} of {whole}");
    // Of a file without a row that is wanted the end alone is.
    log.lock().unwrap().clear();
    let narrow = Filter::Compare { column: "narrow".into(), operator: Operator::Lt, value: Literal::Int(0) };
    let scan = Scan { filters: vec![narrow], ..Scan::all(relation.clone()) };
    assert!(source.skips());
    assert_eq!(rows(source.scan(scan).await.unwrap()).await.unwrap().len(), 0);
    let bytes: usize = fetched(&log).values().sum();
    assert!(bytes < whole, "{bytes} of {whole}");
    // A limit ends the reading: of the first file only, and not all of it.
    log.lock().unwrap().clear();
    let scan = Scan { relation, projection: None, filters: vec![], order: vec![], limit: Some(2) };
    assert_eq!(rows(source.scan(scan).await.unwrap()).await.unwrap().len(), 2);
    let bytes: usize = fetched(&log).values().sum();
    assert!(bytes < whole, "{bytes} of {whole}");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_reading() {
    let (port, log) = served().await;
    let source = open(at(SourceType::S3, port, &json!({})), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(main("events"))).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let bytes = |log: &Log| fetched(log).values().sum::<usize>();
    let mut seen = 0;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = bytes(&log);
        if now == seen {
            break;
        }
        seen = now;
    }
    let all: usize =
        files().iter().filter(|(key, _)| key.contains("events")).map(|(_, content)| content.len()).sum();
    assert!(seen < all, "{seen} of {all} bytes were read for nobody");
}

#[tokio::test]
async fn what_sampled_files_do_not_tell_is_no_silent_loss() {
    let mut files = Files::new();
    for (key, content) in [("t/1.csv", "n\n1\n"), ("t/2.csv", "n\nx\n"), ("t/3.csv", "n\n3\n")] {
        files.insert(key.to_owned(), content.as_bytes().to_vec());
    }
    files.insert("u/1.csv".to_owned(), b"n\n1.5\n".to_vec());
    files.insert("u/2.csv".to_owned(), b"n\n9007199254740993\n".to_vec());
    let files = Arc::new(files);
    let (port, _) = serve_bytes(None, move |asked: &Asked| store(&files, asked)).await;
    let sampled = json!({ "prefix": "", "sample_files": 2 });
    let source = open(at(SourceType::S3, port, &sampled), &here()).await.unwrap();
    let error = read(source.as_ref(), main("t")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Query);
    assert!(error.message.contains("\"n\"") && error.message.contains("sample_files"), "{error}");
    // A double does not hold the integer of the other file.
    assert_eq!(read(source.as_ref(), main("u")).await.unwrap_err().code, ErrorCode::Query);
    let whole = open(at(SourceType::S3, port, &json!({ "prefix": "" })), &here()).await.unwrap();
    assert_eq!(read(whole.as_ref(), main("t")).await.unwrap(), [row(["1"]), row(["x"]), row(["3"])]);
}

#[tokio::test]
async fn refusals_have_their_codes_and_public_buckets_need_no_key() {
    let (port, log) = served().await;
    let test = |settings: Settings| async move {
        open(settings, &here()).await?.test(None, Duration::from_secs(2)).await
    };
    for kind in [SourceType::S3, SourceType::AzureBlob] {
        let mut wrong = at(kind, port, &json!({}));
        wrong.credentials.username = secret("EVE");
        assert_eq!(test(wrong).await.unwrap_err().code, ErrorCode::Authentication, "{kind}");
    }
    let mut absent = at(SourceType::S3, port, &json!({}));
    absent.database_name = Some("absent".to_owned());
    assert_eq!(test(absent).await.unwrap_err().code, ErrorCode::FileNotFound);
    let mut public = at(SourceType::S3, port, &json!({}));
    public.credentials = Default::default();
    public.database_name = Some("public".to_owned());
    test(public).await.unwrap();
    let mut token = at(SourceType::Gcs, port, &json!({}));
    token.credentials = Default::default();
    token.credentials.oauth_token = secret("t0ken");
    test(token).await.unwrap();
    let mut shared = at(SourceType::AzureBlob, port, &json!({}));
    shared.credentials.password = None;
    shared.credentials.api_key = secret("?sv=2022&sig=s3cret");
    test(shared).await.unwrap();
    let mut session = at(SourceType::S3, port, &json!({}));
    session.credentials.oauth_token = secret("session");
    test(session).await.unwrap();
    let last = log.lock().unwrap().pop().unwrap();
    assert_eq!(last.header("x-amz-security-token").as_deref(), Some("session"));
    for name in ["", "../b", "a/b", "a?b"] {
        let mut bad = at(SourceType::S3, port, &json!({}));
        bad.database_name = Some(name.to_owned());
        let error = open(bad, &here()).await.map(drop).unwrap_err();
        assert_eq!(error.code, ErrorCode::Connection, "{name}");
        assert_eq!(error.message.contains("metadata.prefix"), name.contains('/'), "{error}");
    }
    let inside = open(at(SourceType::S3, port, &json!({})), &Default::default()).await.unwrap();
    assert_eq!(inside.test(None, Duration::from_secs(2)).await.unwrap_err().code, ErrorCode::Connection);
}

#[tokio::test]
async fn tls_is_verified_and_a_file_that_changes_ends_its_read() {
    let certificates = Certificates::make();
    let files = Arc::new(files());
    let (port, _) = serve_bytes(Some(certificates.acceptor()), move |asked: &Asked| {
        if asked.header("range").is_some() {
            assert_eq!(asked.header("if-match").as_deref(), Some("\"e1\""));
            return (412, vec![], b"PreconditionFailed".to_vec());
        }
        store(&files, asked)
    })
    .await;
    let endpoint = format!("https://127.0.0.1:{port}");
    let trusted = json!({ "endpoint": endpoint, "ssl_ca": certificates.pem("ca.pem") });
    let source = open(at(SourceType::S3, port, &trusted), &here()).await.unwrap();
    source.test(None, Duration::from_secs(2)).await.unwrap();
    for table in ["people", "events"] {
        let error = read(source.as_ref(), main(table)).await.unwrap_err();
        assert_eq!(error.message, "A file changed while it was read.", "{table}");
    }
    let distrusting =
        open(at(SourceType::S3, port, &json!({ "endpoint": endpoint })), &here()).await.unwrap();
    assert_eq!(distrusting.test(None, Duration::from_secs(2)).await.unwrap_err().code, ErrorCode::Connection);
}

// Marks without an end, of which each costs many times what it is written with.
#[tokio::test]
async fn a_page_of_a_list_has_an_end() {
    let (port, _) = serve_bytes(None, |_: &Asked| {
        (200, vec![], format!("<ListBucketResult>{}", "<a/>".repeat(5 << 20)).into_bytes())
    })
    .await;
    let source = open(at(SourceType::S3, port, &json!({})), &here()).await.unwrap();
    let error = source.test(None, Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Query);
    assert!(error.message.contains("more than"), "{error}");
}
