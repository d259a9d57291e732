//! HTTP/2 to a backend: one connection that all requests share, driven by a task of its own.

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use std::time::Duration;

use super::Fault;
use super::body::UpstreamBody;
use super::exchange::{Reply, described};
use super::io::Io;
use super::request::{Chain, UpstreamRequest};

/// A silent connection is asked for a sign of life after this long while requests are open on it.
const PING_EVERY: Duration = Duration::from_secs(20);

/// The HTTP/2 connection of an endpoint, once there is one.
#[derive(Debug, Default)]
pub(super) struct Shared {
    sender: Mutex<Option<http2::SendRequest<Chain>>>,
}

impl Shared {
    /// Sends on the open connection; `None` where there is none, or it has just been closed.
    pub(super) async fn send(&self, request: &UpstreamRequest) -> Option<Result<Reply, Fault>> {
        let mut sender = self.sender.lock().clone()?;
        if sender.ready().await.is_err() {
            self.sender.lock().take();
            return None;
        }
        match sender.try_send_request(request.for_http2()).await {
            Ok(response) => Some(Ok(reply(response))),
            Err(mut refused) => {
                self.sender.lock().take();
                // A request that never went out may go on a fresh connection.
                let never_sent = refused.take_message().is_some();
                (!never_sent).then(|| Err(Fault::Reset(described(refused.error()))))
            }
        }
    }

    /// Makes a fresh connection the shared one and sends on it.
    pub(super) async fn adopt(&self, io: Io, request: &UpstreamRequest) -> Result<Reply, Fault> {
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .adaptive_window(true)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| Fault::Connect(described(&error)))?;
        // Its errors reach each request on it; the task ends with the last sender or the socket.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        *self.sender.lock() = Some(sender.clone());
        let response = sender.send_request(request.for_http2()).await;
        response
            .map(reply)
            .map_err(|error| Fault::Reset(described(&error)))
    }
}

fn reply(response: http::Response<hyper::body::Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    Reply {
        status: head.status,
        headers: head.headers,
        body: UpstreamBody::shared(body),
    }
}
