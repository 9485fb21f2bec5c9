//! What the same libraries do with a route that does nothing: the measure of how much Tidegate adds.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::Result;

/// Serves `/` with a constant body of `bytes` bytes until killed.
pub(crate) fn serve(bytes: usize) -> Result<()> {
    let body: &'static str = String::leak(format!("\"{}\"", "x".repeat(bytes.saturating_sub(2))));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let routes = Router::new()
            .route("/", get(move || async move { ([(CONTENT_TYPE, "application/json")], body) }));
        Ok(axum::serve(listener, routes).await?)
    })
}
