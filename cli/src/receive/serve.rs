//! Connections: accepting them, ending idle ones, stopping.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{State, routes};

/// The server closes a connection that was idle for this long. Here the time
/// also bounds the first request's arrival and that of a request's head.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long running requests may go on once we are asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop`, then lets running requests end.
pub async fn serve(
    listener: TcpListener,
    state: State,
    stop: impl Future<Output = ()>,
    stopping: watch::Sender<bool>,
) {
    let state = Arc::new(state);
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE);
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Mostly a lack of file descriptors: wait for others to be closed.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        // Small answers leave at once; without it they are only slower.
        let _ = stream.set_nodelay(true);
        state.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let state = Arc::clone(&state);
            async move { routes::answer(&state, request).await }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        // A connection's end is its client's affair, whatever the reason.
        tokio::spawn(async { drop(connection.await) });
    }
    drop(listener);
    stopping.send_replace(true);
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

/// Resolves at SIGTERM or SIGINT; both are caught from the call on.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Resolves at Ctrl-C; it is caught from the call on.
#[cfg(windows)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move { drop(interrupt.recv().await) })
}
