//! One client connection: HTTP/1.1 or HTTP/2 over TCP, TLS or a Unix socket, from its first byte to its end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::bind::Socket;
use super::guard::Guard;
use super::http1::{self, Bounds};
use super::preface::Version;
use super::refused::Refusal;
use super::streams::Streams;
use super::target;
use super::tls::Acceptor;
use crate::config::types::Config;
use crate::pipeline::{AnswerBody, RequestBody};
use crate::state::{Phase, Signals};

/// How many streams one HTTP/2 connection may have open.
const MAX_STREAMS: u32 = 256;
/// How many of its streams a client may reset before we have looked at them: more is no change of mind, but a flood.
const MAX_EARLY_RESETS: usize = 20;
/// How many times a connection may make us reset a stream for a fault of its own: streams above the limit count too, and
/// a hasty client may open some before it hears of that.
const MAX_FAULTS: usize = 1024;
/// What of an answer may wait for the client, a stream.
const SEND_BUFFER: usize = 256 * 1024;
/// HTTP/2 flow control: what a client may send before we have read it, a stream and a connection.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// A silent HTTP/2 connection is asked for a sign of life after this long.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address; none over a Unix socket.
    pub ip: Option<IpAddr>,
    /// Its connection's flags.
    pub signals: Arc<Signals>,
    /// Why it must be refused, whatever it asks: another server might have read its bytes otherwise.
    pub refused: Option<Refusal>,
}

/// What answers requests.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers one request. What is noted of every request is noted before this returns: a client that leaves at once
    /// drops the future before it is first polled.
    fn call(
        self,
        peer: Peer,
        request: Box<Parts>,
        body: RequestBody,
    ) -> impl Future<Output = Response<AnswerBody>> + Send + 'static;
}

/// Serves a connection to its end.
pub async fn serve<S: Service>(
    socket: Socket,
    acceptor: Acceptor,
    http: Http,
    phase: watch::Receiver<Phase>,
    service: S,
) {
    let peer = |ip| Peer {
        ip,
        signals: Arc::default(),
        refused: None,
    };
    // Boxed but for the commonest: a task is as large as the largest of its kinds, and TLS alone is larger than the rest.
    match socket {
        Socket::Unix(stream) => drive(&http, stream, peer(None), phase, service).boxed().await,
        Socket::Tcp(stream, from) => {
            // Without this, small writes wait for the peer's delayed acknowledgement: 40 ms a token.
            let _ = stream.set_nodelay(true);
            let peer = peer(Some(from.ip().to_canonical()));
            match acceptor {
                None => drive(&http, stream, peer, phase, service).await,
                Some(acceptor) => {
                    let serving = in_tls(&http, (stream, acceptor), peer, phase, service);
                    serving.boxed().await;
                }
            }
        }
    }
}

async fn in_tls<S: Service>(
    http: &Http,
    (stream, acceptor): (TcpStream, TlsAcceptor),
    peer: Peer,
    phase: watch::Receiver<Phase>,
    service: S,
) {
    let handshake = timeout(http.http1.patience, acceptor.accept(stream));
    if let Some(stream) = shaken(handshake, phase.clone()).await {
        drive(http, stream, peer, phase, service).await;
    }
}

/// A handshake gets as long as a request's headers, and ends with the program. A failed one has nobody to be told.
async fn shaken<T>(
    handshake: impl Future<Output = Result<io::Result<T>, Elapsed>>,
    mut phase: watch::Receiver<Phase>,
) -> Option<T> {
    tokio::select! {
        done = handshake => done.ok()?.ok(),
        _ = phase.wait_for(|now| *now == Phase::Ending) => None,
    }
}

/// How a connection is driven: all that it needs of the config, which it may outlive by hours.
pub struct Http {
    http1: Bounds,
    http2: http2::Builder<Streams>,
    /// For a client that takes nothing of what it is sent.
    patience: Duration,
}

impl Http {
    /// As that config says.
    pub fn new(config: &Config) -> Self {
        let header_list = u32::try_from(config.limits.max_header).unwrap_or(u32::MAX);
        let mut http2 = http2::Builder::new(Streams {
            patience: config.timeout.idle,
        });
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(header_list)
            .max_pending_accept_reset_streams(MAX_EARLY_RESETS)
            .max_local_error_reset_streams(MAX_FAULTS)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_EVERY);
        Self {
            http1: Bounds {
                patience: config.timeout.request,
                max_head: config.limits.max_header,
            },
            http2,
            patience: config.timeout.idle,
        }
    }
}

/// Finds out which HTTP the client speaks, and serves it so.
async fn drive<S: Service>(
    http: &Http,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    phase: watch::Receiver<Phase>,
    service: S,
) {
    let signals = Arc::clone(&peer.signals);
    let answer = move |request: Box<Parts>, body: RequestBody, refused: Option<Refusal>| {
        peer.signals.begin();
        let misdirected = || target::is_unclear(&request).then_some(Refusal::Host);
        let peer = Peer {
            refused: refused.or_else(misdirected),
            ..peer.clone()
        };
        service.clone().call(peer, request, body)
    };
    let mut io = Guard::new(io, http.patience);
    let mut too_late = pin!(sleep(http.http1.patience));
    let Some(version) = spoken(&mut io, too_late.as_mut(), phase.clone()).await else {
        return;
    };
    let phases = Phases::new(phase);
    match version {
        Version::Http1 => {
            let serving = http1::serve(io, http.http1, &signals, too_late, answer);
            within(phases, &signals, serving).await;
        }
        Version::Http2 => {
            signals.set_multiplexed();
            let answer = service_fn(move |request: Request<Incoming>| {
                let (parts, body) = request.into_parts();
                answer(Box::new(parts), RequestBody::Stream(body), None)
                    .map(|response| Ok::<_, Infallible>(with_own(response)))
            });
            let mut connection = Box::pin(http.http2.serve_connection(TokioIo::new(io), answer));
            let close = http2::Connection::graceful_shutdown;
            multiplexed(connection.as_mut(), close, too_late, signals, phases).await;
        }
    }
}

/// The answer with all its headers in their map, from which HTTP/2 writes them.
fn with_own(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    if let Some(own) = response.body_mut().take_own() {
        own.insert_into(response.headers_mut());
    }
    response
}

/// The version of HTTP that the client begins with. `None`: it left, was too slow, or the program has ended.
async fn spoken(
    io: &mut Guard<impl AsyncRead + Unpin>,
    too_late: Pin<&mut Sleep>,
    mut phase: watch::Receiver<Phase>,
) -> Option<Version> {
    tokio::select! {
        version = io.version() => version.ok(),
        () = too_late => None,
        _ = phase.wait_for(|now| *now == Phase::Ending) => None,
    }
}

/// Runs an HTTP/1.1 connection, and passes the end of the program on to it. In a drain the next answer says that it is the
/// last, and an idle connection is closed when the drain ends.
async fn within(mut phases: Phases, signals: &Signals, serving: impl Future<Output = ()>) {
    let mut serving = pin!(serving);
    poll_fn(move |cx| {
        if phases.poll_news(cx) && phases.known == Phase::Ending {
            signals.end();
        }
        serving.as_mut().poll(cx)
    })
    .await;
}

/// Runs an HTTP/2 connection likewise: in a drain, and after a hand-over, its client is told to go elsewhere at once.
/// `close` lets it end after what it has begun.
async fn multiplexed<C: Future>(
    mut connection: Pin<&mut C>,
    close: impl Fn(Pin<&mut C>),
    mut too_late: Pin<&mut Sleep>,
    signals: Arc<Signals>,
    mut phases: Phases,
) {
    let mut closing = false;
    poll_fn(move |cx| {
        if phases.poll_news(cx) && phases.known == Phase::Ending {
            signals.end();
        }
        // An error is the client's doing, and the client is gone: nobody to tell.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !signals.has_begun() && too_late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if phases.known != Phase::Serving && !closing {
            closing = true;
            close(connection.as_mut());
            return connection.as_mut().poll(cx).map(|_| ());
        }
        Poll::Pending
    })
    .await;
}

/// The program's phases, looked at by a task that is woken for other things a thousand times as often.
struct Phases {
    known: Phase,
    /// To see at a glance whether there is anything new.
    latest: watch::Receiver<Phase>,
    /// Wakes the task; it is polled only to leave it a waker.
    next: Pin<Box<dyn Future<Output = watch::Receiver<Phase>> + Send>>,
    waits: bool,
}

impl Phases {
    fn new(mut phase: watch::Receiver<Phase>) -> Self {
        let known = *phase.borrow_and_update();
        Self {
            known,
            latest: phase.clone(),
            next: Box::pin(changed(phase)),
            waits: false,
        }
    }

    /// Whether another phase has begun; if not, the task will be woken when one does. It stays in one task, so the
    /// waker that it left once is good for as long as it waits.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        let before = self.known;
        while !self.is_sure_to_hear() || self.has_news() {
            self.known = *self.latest.borrow_and_update();
            match self.next.as_mut().poll(cx) {
                Poll::Ready(rest) => {
                    self.next = Box::pin(changed(rest));
                    self.waits = false;
                }
                Poll::Pending => {
                    self.waits = true;
                    if !self.has_news() {
                        break;
                    }
                }
            }
        }
        self.known != before
    }

    fn has_news(&self) -> bool {
        self.latest.has_changed().unwrap_or(false)
    }

    /// Whether the waker is still where it was left. The news of one phase is told to one waiter after another, so who
    /// has heard it already and waits for the next may be told it again, which uses the waker up with nothing new.
    /// Before the first news there is nothing to be told twice; after it, polling again costs nobody anything.
    fn is_sure_to_hear(&self) -> bool {
        self.waits && self.known == Phase::Serving
    }
}

async fn changed(mut phase: watch::Receiver<Phase>) -> watch::Receiver<Phase> {
    if phase.changed().await.is_err() {
        // The program's state is gone, and with it whoever could tell us anything.
        return std::future::pending().await;
    }
    phase
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Lifecycle;

    /// The news of the first is still being told when the second comes, and some hear the first one twice.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_idle_connection_hears_of_phases_that_follow_at_once() {
        for round in 0..200 {
            let lifecycle = Lifecycle::default();
            let (ready, mut all_wait) = tokio::sync::mpsc::channel::<()>(1);
            let idle: Vec<_> = (0..64)
                .map(|_| {
                    let mut phases = Phases::new(lifecycle.subscribe());
                    let mut ready = Some(ready.clone());
                    tokio::spawn(poll_fn(move |cx| {
                        phases.poll_news(cx);
                        ready.take();
                        if phases.known == Phase::Ending {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    }))
                })
                .collect();
            drop(ready);
            assert_eq!(all_wait.recv().await, None);
            lifecycle.advance(Phase::Draining);
            lifecycle.advance(Phase::Ending);
            for connection in idle {
                let told = timeout(Duration::from_secs(5), connection).await;
                told.unwrap_or_else(|_| panic!("round {round}: nobody told it that the end has come"))
                    .unwrap();
            }
        }
    }
}
