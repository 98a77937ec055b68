//! Connections: each has its time to bring the headers of a request, and an ending process lets each finish what is under
//! way. What a request may do in between is limited in app.rs.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::app;
use crate::error::Problem;

/// What a request may take beyond `timeout` until its answer is on its way.
const GRACE: Duration = Duration::from_secs(2);
/// How long nobody is let in when the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers until `stop` resolves; then lets nobody in and waits for the requests that are under way. `patience` is what each
/// of them has to arrive, and to be answered.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    patience: Duration,
    stop: impl Future<Output = ()> + Send,
) {
    let (ending, end) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((socket, _)) => {
                tokio::spawn(connection(socket, routes.clone(), patience, end.clone()));
            }
            Err(error) if is_the_clients(error.kind()) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection could be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop((listener, end));
    ending.send_replace(true);
    if tokio::time::timeout(patience + GRACE, ending.closed())
        .await
        .is_err()
    {
        tracing::warn!("requests were still under way at the end");
    }
}

/// The client has gone before it was let in.
fn is_the_clients(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

async fn connection(
    socket: TcpStream,
    routes: Router,
    patience: Duration,
    mut end: watch::Receiver<bool>,
) {
    socket.set_nodelay(true).ok();
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(routes));
    let end = async { drop(end.wait_for(|end| *end).await) };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = end => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if ended.is_err_and(|error| error.is_timeout()) {
        let rest = connection.into_parts();
        if !rest.read_buf.is_empty() {
            too_slow(rest.io.into_inner()).await;
        }
    }
}

/// Headers that did not come to their end: nobody else tells their sender. Whoever sent nothing is only waiting for his next
/// request, and is closed without a word.
async fn too_slow(mut socket: TcpStream) {
    let id = app::new_request_id();
    tracing::info!(
        request_id = id.to_str().unwrap_or_default(),
        status = 408,
        "headers did not come to their end"
    );
    let (mut head, body) = Problem::limit(StatusCode::REQUEST_TIMEOUT)
        .into_response()
        .into_parts();
    app::dress(&mut head.headers, id);
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let mut answer = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n".to_vec();
    for (name, value) in &head.headers {
        answer.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    answer.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
    answer.extend(body);
    let told = async {
        socket.write_all(&answer).await?;
        socket.shutdown().await
    };
    drop(tokio::time::timeout(GRACE, told).await);
}
