//! Connections that wait for their next request, one pool for each backend address.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::dial::{Address, Dialer};
use super::http1::Connection;
use super::shared::Shared;

/// How many idle connections a pool keeps.
const MAX_IDLE: usize = 256;
/// How long one is kept: shorter than the minute after which common servers close theirs.
const IDLE_FOR: Duration = Duration::from_secs(55);

/// A backend's address with its warm connections.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) dialer: Dialer,
    pub(super) shared: Arc<Shared>,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

impl Endpoint {
    /// An endpoint without connections.
    pub fn new(address: Address) -> Arc<Self> {
        Arc::new(Self {
            shared: Shared::new(address.may_be_http2()),
            dialer: Dialer::new(address),
            idle: Mutex::default(),
        })
    }

    /// The youngest idle connection: the one that is least likely to have been closed.
    pub(super) fn take(&self, now: Instant) -> Option<Box<Connection>> {
        let idle = self.idle.lock().pop()?;
        (now.duration_since(idle.since) < IDLE_FOR).then_some(idle.connection)
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, connection: Box<Connection>, now: Instant) {
        let mut idle = self.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: now,
            });
        }
    }

    fn sweep(&self, now: Instant) {
        self.shared.sweep(now, IDLE_FOR);
        self.idle
            .lock()
            .retain(|idle| now.duration_since(idle.since) < IDLE_FOR);
    }
}

/// All endpoints by address. They survive a reload as long as a backend has that address.
#[derive(Debug, Default)]
pub struct Pools {
    endpoints: Mutex<HashMap<Address, Arc<Endpoint>>>,
}

impl Pools {
    /// The endpoint of an address, made on first asking.
    pub fn endpoint(&self, address: Address) -> Arc<Endpoint> {
        let mut endpoints = self.endpoints.lock();
        let made = endpoints
            .entry(address.clone())
            .or_insert_with(|| Endpoint::new(address));
        Arc::clone(made)
    }

    /// Closes connections that have waited too long, and forgets endpoints that nobody else holds.
    pub fn sweep(&self, now: Instant) {
        let mut endpoints = self.endpoints.lock();
        endpoints.retain(|_, endpoint| Arc::strong_count(endpoint) > 1);
        for endpoint in endpoints.values() {
            endpoint.sweep(now);
        }
    }
}
