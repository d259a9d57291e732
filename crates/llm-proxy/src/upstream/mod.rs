//! Backends as sockets: dialling, connection pools, one request and its answer. All outbound I/O is here.
//!
//! An HTTP/1.1 connection is *driven in place*: nothing is spawned for it. Whoever waits for the answer polls
//! the connection too, so a chunk of a stream reaches the client without a hop between tasks, and dropping
//! the answer closes the connection at once: that is how a client's leaving cancels the backend's work.

mod body;
mod dial;
mod exchange;
mod http1;
mod io;
mod lines;
mod pool;
mod request;
mod shared;
mod slot;
mod tcp;
mod tls;

pub use body::UpstreamBody;
pub use dial::Address;
pub use exchange::{Reply, send};
pub use lines::Lines;
pub use pool::{Endpoint, Pools};
pub use request::{Chain, UpstreamRequest};
pub use tls::Tls;

/// Why a request got no response head, or why its body broke off.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection: DNS, refused, unreachable, TLS, a proxy's refusal, or too slow.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// A reused connection was closed before any byte of the answer: the request may safely go out again.
    #[error("the reused connection was closed")]
    Stale,
    /// A fresh connection was closed, or broke, before the response head was complete or inside the body.
    #[error("the connection broke: {0}")]
    Reset(String),
    /// What came is no HTTP, or more of it than we take.
    #[error("not a proper HTTP response: {0}")]
    Garbled(String),
}
