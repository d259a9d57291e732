//! Traces and metrics for a collector, over OTLP: made of the access records and the numbers of `/metrics`, by a task of
//! its own that no request waits for.

mod attributes;
mod collector;
mod exporter;
mod fields;
mod generation;
mod names;
mod numbers;
mod proto;
mod settings;
mod spans;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::exporter::{Exporter, Wanted};
pub use self::settings::Settings;
use crate::state::{Live, Snapshot};

/// The exporter, which begins with the first config that wants one.
#[derive(Debug)]
pub struct Telemetry {
    snapshot: Arc<ArcSwap<Snapshot>>,
    live: Arc<Live>,
    wanted: watch::Sender<Wanted>,
    task: Option<JoinHandle<()>>,
}

impl Telemetry {
    /// Begins to send, if these settings want it.
    pub fn start(snapshot: Arc<ArcSwap<Snapshot>>, live: Arc<Live>, settings: Option<Settings>) -> Self {
        let mut telemetry = Self {
            snapshot,
            live,
            wanted: watch::Sender::default(),
            task: None,
        };
        telemetry.adopt(settings);
        telemetry
    }

    /// Takes a config's settings, as soon as what is on its way has arrived.
    pub fn adopt(&mut self, settings: Option<Settings>) {
        let is_wanted = settings.is_some();
        // At once: the first request of this config belongs to it.
        self.live.access.outbox().set_open(is_wanted);
        self.wanted
            .send_modify(|wanted| wanted.settings = settings.map(Arc::new));
        if is_wanted && self.task.is_none() {
            let exporter = Exporter::new(Arc::clone(&self.snapshot), Arc::clone(&self.live));
            self.task = Some(tokio::spawn(exporter.run(self.wanted.subscribe())));
        }
    }

    /// Sends what is left, but not for longer than `limit`.
    pub async fn end(&mut self, limit: Duration) {
        let Some(task) = self.task.take() else {
            return;
        };
        self.wanted.send_modify(|wanted| wanted.ending = true);
        if tokio::time::timeout(limit, task).await.is_err() {
            tracing::warn!("telemetry: the collector was too slow for the last spans");
        }
    }
}
