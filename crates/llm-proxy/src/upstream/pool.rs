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

/// How long one takes further requests, however busy it is: its backend's name may stand for another address by now,
/// and a connection that is never left would never find out.
pub(super) const SERVES_FOR: Duration = Duration::from_mins(5);

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

    /// Keeps a connection for the next request, unless it has served for long enough.
    pub(super) fn put(&self, connection: Box<Connection>, now: Instant) {
        if now.duration_since(connection.opened()) >= SERVES_FOR {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::super::io::Io;
    use super::*;
    use crate::base::clock;
    use crate::config::types::{HttpVersion, OutboundProxy};

    fn endpoint() -> Arc<Endpoint> {
        Endpoint::new(Address {
            host: "127.0.0.1".to_owned(),
            port: 9,
            tls: None,
            http: HttpVersion::Auto,
            proxy: OutboundProxy::None,
            allow_metadata: false,
        })
    }

    fn connection(opened: Instant) -> Box<Connection> {
        let (near, _far) = tokio::io::duplex(1024);
        Box::new(Connection::over(Io::Boxed(Box::new(near)), opened))
    }

    #[test]
    fn a_connection_that_is_never_idle_is_left_all_the_same_when_it_has_served_for_long() {
        let (endpoint, start) = (endpoint(), clock::now());
        let mut busy = connection(start);
        for now in [start, start + SERVES_FOR / 2, start + SERVES_FOR * 9 / 10] {
            endpoint.put(busy, now);
            busy = endpoint.take(now).expect("it is kept");
        }
        endpoint.put(busy, start + SERVES_FOR);
        assert!(endpoint.take(start + SERVES_FOR).is_none());
    }

    #[test]
    fn the_youngest_is_taken_and_none_that_has_waited_for_long() {
        let (endpoint, start) = (endpoint(), clock::now());
        for seconds in [0, 10] {
            let at = start + Duration::from_secs(seconds);
            endpoint.put(connection(at), at);
        }
        let taken = endpoint.take(start + Duration::from_secs(20)).unwrap();
        assert_eq!(taken.opened(), start + Duration::from_secs(10));
        assert!(endpoint.take(start + IDLE_FOR).is_none());
    }
}
