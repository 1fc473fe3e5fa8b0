//! The worker's optional HTTP server: `/healthz` and `/metrics`.

use std::{future::ready, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Router, routing::get};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{settings::WorkerSettings, shared::Shared};

/// Most connections at once. Others wait in the listener's backlog.
const CONNECTIONS_MAX: usize = 64;
/// Longest time of a connection, which is closed after one response.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be accepted, for example without file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Starts the server on `CALLBOARD_WORKER_LISTEN`, if that is set.
pub(crate) async fn start(settings: &WorkerSettings, shared: &Arc<Shared>) -> anyhow::Result<()> {
    let Some(address) = settings.listen else { return Ok(()) };
    let recorder =
        PrometheusBuilder::new().install_recorder().context("cannot install the metrics recorder")?;
    let running = shared.running.clone();
    let render = move || {
        metrics::gauge!("callboard_attempts_running").set(running.len() as f64);
        ready(recorder.render())
    };
    let router = Router::new().route("/healthz", get(|| ready("ok\n"))).route("/metrics", get(render));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on CALLBOARD_WORKER_LISTEN={address}"))?;
    tokio::spawn(serve(listener, router, CONNECTION_MAX));
    Ok(())
}

/// Serves for ever. So that nobody on this port takes anything from jobs, connections are few and
/// short.
async fn serve(listener: TcpListener, router: Router, connection_max: Duration) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let service = TowerToHyperService::new(router);
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to CALLBOARD_WORKER_LISTEN could not be accepted");
                sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let mut http = http1::Builder::new();
        let connection = http.keep_alive(false).serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(async move {
            // What went wrong is the client's.
            let _ended = timeout(connection_max, connection).await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn a_slow_client_is_cut_off_and_others_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/healthz", get(|| ready("ok\n")));
        tokio::spawn(serve(listener, router, Duration::from_millis(300)));
        let mut answers = Vec::new();
        // More than there is room for.
        let mut slow = Vec::new();
        for _ in 0..=CONNECTIONS_MAX {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTT").await.unwrap();
            slow.push(stream);
        }
        let mut quick = TcpStream::connect(address).await.unwrap();
        quick.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        quick.read_to_end(&mut answers).await.unwrap();
        assert!(answers.starts_with(b"HTTP/1.1 200 OK\r\n") && answers.ends_with(b"ok\n"));
        for mut stream in slow {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), "");
        }
    }
}
