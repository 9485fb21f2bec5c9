//! What the same libraries do with a route that does nothing, or no more than write and read a file: the measure of how much Tidegate adds.

use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use axum::routing::{get, put};
use axum::serve::ListenerExt;
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpListener;

use crate::Result;

/// Bytes of a file that are read or written at once.
const CHUNK: usize = 256 << 10;

/// Serves `/` with a constant body of `bytes` bytes until killed.
pub(crate) fn serve(bytes: usize) -> Result<()> {
    let body: &'static str = String::leak(format!("\"{}\"", "x".repeat(bytes.saturating_sub(2))));
    listen(Router::new().route("/", get(move || async move { ([(CONTENT_TYPE, "application/json")], body) })))
}

/// Keeps what is put to `/file` durably in a directory, and serves it, until killed.
pub(crate) fn serve_file(directory: PathBuf) -> Result<()> {
    let routes = Router::new().route("/file", put(receive).get(send)).layer(DefaultBodyLimit::disable());
    listen(routes.with_state(directory))
}

fn listen(routes: Router) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        Ok(axum::serve(listener, routes).await?)
    })
}

fn failed<E>(_: E) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Written aside, synced, renamed, and its directory synced.
async fn receive(State(directory): State<PathBuf>, mut body: Body) -> Result<StatusCode, StatusCode> {
    let aside = directory.join("aside");
    let mut file = BufWriter::with_capacity(CHUNK, File::create(&aside).await.map_err(failed)?);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(failed)?.into_data() {
            file.write_all(&data).await.map_err(failed)?;
        }
    }
    file.flush().await.map_err(failed)?;
    file.into_inner().sync_all().await.map_err(failed)?;
    fs::rename(&aside, directory.join("file")).await.map_err(failed)?;
    File::open(&directory).await.map_err(failed)?.sync_all().await.map_err(failed)?;
    Ok(StatusCode::CREATED)
}

async fn send(State(directory): State<PathBuf>) -> Result<Response, StatusCode> {
    let file = File::open(directory.join("file")).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    let chunks = stream::unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        match file.read_buf(&mut chunk).await {
            Ok(0) => None,
            read => Some((read.map(|_| chunk), file)),
        }
    });
    Response::builder().header(CONTENT_LENGTH, length).body(Body::from_stream(chunks)).map_err(failed)
}
