//! Accept loops: each hands its connections to tasks of their own.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;

use super::room::Room;
use crate::base::gauge::Gauge;
use crate::base::rarely::Rarely;
use crate::server::{Acceptor, Bound, Http, Service, Socket, introduced, serve};
use crate::state::{Live, Snapshot};

/// What every accept loop of a listener kind shares.
#[derive(Clone)]
pub(super) struct Front<S> {
    pub(super) service: S,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) live: Arc<Live>,
    /// Read at each connection, so that a reloaded certificate holds for the next one.
    pub(super) tls: Arc<ArcSwap<Acceptor>>,
    /// Open connections of all listeners.
    pub(super) connections: Gauge,
    /// For how many more there is room; none: they are not counted.
    pub(super) room: Option<Arc<Room>>,
    /// Whether trusted proxies say first whose connections they pass on, if the config wants that.
    pub(super) behind_proxies: bool,
}

impl<S: Service> Front<S> {
    /// The same for another service, in the clear: the admin listener. Its connections are an operator's, who must get in
    /// when clients have taken all the room.
    pub(super) fn in_the_clear<T: Service>(&self, service: T) -> Front<T> {
        Front {
            service,
            snapshot: Arc::clone(&self.snapshot),
            live: Arc::clone(&self.live),
            tls: Arc::default(),
            connections: self.connections.clone(),
            room: None,
            behind_proxies: false,
        }
    }

    /// Accepts on `bound` until the loop is aborted.
    pub(super) fn listen(&self, bound: Arc<Bound>) -> AbortHandle {
        let front = self.clone();
        let accept_loop = async move {
            let trouble = Rarely::default();
            loop {
                let socket = bound.accept(&trouble).await;
                front.clone().take(socket);
            }
        };
        tokio::spawn(accept_loop).abort_handle()
    }

    fn take(self, socket: Socket) {
        let allowed = self.snapshot.load().config.limits.max_connections;
        let place = self.room.as_ref().map(|room| room.enter(allowed));
        if matches!(place, Some(None)) {
            // Full: the socket is closed.
            return;
        }
        let counted = (self.connections.enter(), place);
        tokio::spawn(async move {
            let acceptor = (*self.tls.load_full()).clone();
            // Not the snapshot itself: a connection may stay for hours after a reload has replaced it.
            let http = Http::new(&self.snapshot.load().config);
            let phase = self.live.lifecycle.subscribe();
            let Some(socket) = self.introduced(socket).await else {
                return;
            };
            serve(socket, acceptor, http, phase, self.service).await;
            drop(counted);
        });
    }

    /// The socket with its client's address.
    async fn introduced(&self, socket: Socket) -> Option<Socket> {
        let snapshot = self.snapshot.load_full();
        let config = &snapshot.config;
        if !self.behind_proxies || !config.proxy_protocol {
            return Some(socket);
        }
        let phase = self.live.lifecycle.subscribe();
        // Boxed: nearly nobody needs it, and every task of a connection would be as large.
        Box::pin(introduced(
            socket,
            &config.trusted_proxies,
            config.timeout.request,
            phase,
        ))
        .await
    }
}
