//! What a live run tells over HTTP: `/metrics`, `/health`, `/ready`.

mod memory;
mod metrics;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, runtime::Runtime};

pub use memory::resident_memory;
pub use metrics::Metrics;

/// What there is to tell of a live run.
#[derive(Default)]
pub struct Status {
    /// Its metrics.
    pub metrics: Metrics,
    /// Whether the lake is open and topics are read.
    pub ready: AtomicBool,
}

/// Tells `status` at `address` for as long as `runtime` lives; where it listens, which is a port of the system's choice for port 0.
///
/// # Errors
/// [`io::Error`] where it cannot listen there.
pub fn serve(runtime: &Runtime, address: SocketAddr, status: Arc<Status>) -> io::Result<SocketAddr> {
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let bound = listener.local_addr()?;
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .with_state(status);
    runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!("serving metrics: {error}");
        }
    });
    Ok(bound)
}

async fn metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    match status.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(CONTENT_TYPE, kind)], text)
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, "text/plain")], error.to_string()),
    }
}

async fn ready(State(status): State<Arc<Status>>) -> (StatusCode, &'static str) {
    if status.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the lake is being opened\n")
    }
}
