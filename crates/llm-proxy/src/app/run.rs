//! From a config to a running program, and to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::accept::Front;
use super::memory;
use super::reload::{Files, Reloader, opened};
use super::room::{self, Room};
use super::watch::{SETTLE, Watch};
use crate::admin::Admin;
use crate::base::clock;
use crate::base::gauge::Gauge;
use crate::base::secret::digest;
use crate::config::types::{Config, Listen};
use crate::config::{self, Diagnostic, Loaded, Report};
use crate::observe::access::Access;
use crate::observe::{Logs, log, logs, panics};
use crate::server::{self, Entrance, Listeners};
use crate::state::{Live, Phase, compile};

/// How often idle connections and forgotten state are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// What connections get at least to write their last words, even where the grace is over.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the log gets to be written at the end.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where the config comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file: read again at each reload.
    File(PathBuf),
    /// A text in memory (the demo).
    Text(String),
}

/// How the program is to run.
#[derive(Debug)]
pub struct Options {
    /// Its config.
    pub source: Source,
    /// Told once all addresses are open: those of the main listener, and the admin's.
    pub ready: fn(&[Listen], Option<&Listen>),
}

/// Why the program could not start.
#[derive(Debug)]
pub enum Fatal {
    /// The config is wrong: exit code 2.
    Config(Report),
    /// Something else: exit code 1.
    Runtime(String),
}

impl Source {
    /// Reads and checks the config.
    pub(super) fn load(&self) -> Result<Loaded, Report> {
        match self {
            Self::File(path) => config::load(path),
            Self::Text(text) => config::parse(
                text,
                "demo.yaml",
                std::path::Path::new("."),
                &crate::base::env::var,
            ),
        }
    }

    /// What tells one state of the file from another; none where it cannot be read.
    pub(super) fn fingerprint(&self) -> Option<[u8; 32]> {
        match self {
            Self::File(path) => std::fs::read(path).ok().map(|bytes| digest(&bytes)),
            Self::Text(text) => Some(digest(text.as_bytes())),
        }
    }
}

/// Runs until a signal ends it.
///
/// # Errors
/// The config is wrong, an address cannot be opened, or a signal cannot be listened for.
pub async fn run(options: Options) -> Result<(), Fatal> {
    let Loaded { config, warnings } = options.source.load().map_err(Fatal::Config)?;
    let logs = Logs::to(std::io::stderr(), log::form(config.logging.format));
    logs.configure(&config, logs::mask(&config).map_err(Fatal::Runtime)?);
    let level = log::install(&config.logging, &logs);
    panics::install();
    say_warnings(&warnings);
    let access = Access::new(Arc::clone(&logs));
    let live = Live::new(access, &config);
    let room = Room::new(room::for_connections(room::raised_file_limit()));
    let mut signals = Signals::listen().map_err(|error| Fatal::Runtime(error.to_string()))?;
    let tls = server::acceptor(config.tls.as_ref()).map_err(Fatal::Runtime)?;
    let bound = opened(&config.listen).map_err(Fatal::Runtime)?;
    let admin_at: Vec<Listen> = config.admin.listen.map(Listen::Tcp).into_iter().collect();
    let admin_bound = opened(&admin_at).map_err(Fatal::Runtime)?;
    let addresses: Vec<Listen> = bound.iter().map(|(_, bound)| bound.address()).collect();
    let admin_address = admin_bound.first().map(|(_, bound)| bound.address());
    let snapshot = compile(config, 1, &live).map_err(Fatal::Runtime)?;
    say_serving(&snapshot.config, &addresses, admin_address.as_ref());
    let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
    let connections = Gauge::default();
    let front = Front {
        service: Entrance {
            snapshot: Arc::clone(&snapshot),
            live: Arc::clone(&live),
        },
        snapshot: Arc::clone(&snapshot),
        live: Arc::clone(&live),
        tls: Arc::new(ArcSwap::from_pointee(tls)),
        connections: connections.clone(),
        room: Some(Arc::new(room)),
    };
    let admin = Admin::new(Arc::clone(&snapshot), Arc::clone(&live));
    let mut reloader = Reloader {
        files: Files::now(&options.source, &front.snapshot.load().config.prompt_sources),
        source: options.source,
        admin_front: front.in_the_clear(admin),
        front,
        listeners: Listeners::default(),
        admin_listeners: Listeners::default(),
        level,
    };
    reloader.start(bound, admin_bound);
    (options.ready)(&addresses, admin_address.as_ref());
    serve_until_told(&mut reloader, &mut signals, &live).await;
    let end = drain(&mut reloader, &mut signals, &live, &connections).await;
    logs.flush(LAST_LINES);
    end
}

/// Each warning on a line of its own; `check` shows them with their place in the file.
pub(super) fn say_warnings(warnings: &[Diagnostic]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// "serving on" comes last: who waits for it knows all that was said before.
fn say_serving(config: &Config, addresses: &[Listen], admin: Option<&Listen>) {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let at: Vec<String> = addresses
        .iter()
        .map(|address| server::shown(address, scheme))
        .collect();
    if let Some(admin) = admin {
        tracing::info!("admin on {}", server::shown(admin, "http"));
    }
    tracing::info!(
        "serving on {}: {} aliases, {} backends, {} keys",
        at.join(", "),
        config.models.len(),
        config.backends.len(),
        config.api_keys.len()
    );
}

/// The signals that steer the program.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// SIGTERM or SIGINT.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves, reloads and sweeps, until SIGTERM or SIGINT.
async fn serve_until_told(reloader: &mut Reloader, signals: &mut Signals, live: &Live) {
    let changed = Arc::new(Notify::new());
    let mut watch = watch(reloader, &changed);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                live.access.logs().reopen();
                reloader.reload();
                watch = self::watch(reloader, &changed);
            }
            () = changed.notified(), if watch.is_some() => {
                tokio::time::sleep(SETTLE).await;
                // The new config may want no watch any longer.
                if reloader.reload_if_changed() {
                    watch = self::watch(reloader, &changed);
                }
            }
            _ = sweep.tick() => {
                live.pools.sweep(clock::now());
                live.forget_unused();
                memory::give_back();
            }
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
        }
    }
}

fn watch(reloader: &Reloader, changed: &Arc<Notify>) -> Option<Watch> {
    let Source::File(path) = &reloader.source else {
        return None;
    };
    let snapshot = reloader.front.snapshot.load();
    if !snapshot.config.watch {
        return None;
    }
    Watch::start(path, &snapshot.config.prompt_sources, changed)
        .inspect_err(|error| tracing::error!("{error}"))
        .ok()
}

/// Stops accepting, lets what is in flight finish within `shutdown_grace`, then ends the rest with an error event.
async fn drain(
    reloader: &mut Reloader,
    signals: &mut Signals,
    live: &Live,
    connections: &Gauge,
) -> Result<(), Fatal> {
    let began = clock::now();
    let grace = reloader.front.snapshot.load().config.shutdown_grace;
    let in_flight = live.access.in_flight();
    live.lifecycle.advance(Phase::Draining);
    reloader.listeners.keep(&[]);
    tracing::info!(
        "draining: {} requests in flight have {grace:?} to finish",
        in_flight.count()
    );
    let last_words = async {
        if timeout(grace, in_flight.until_zero()).await.is_err() {
            tracing::warn!("the grace is over: ending {} requests", in_flight.count());
        }
        // From here on an idle connection is closed, and any other after what it is writing: a request is done once its
        // last byte is handed to its connection, which a slow reader has yet to take.
        live.lifecycle.advance(Phase::Ending);
        let left = grace.saturating_sub(clock::now().duration_since(began));
        let _ = timeout(left.max(LAST_WORDS), connections.until_zero()).await;
    };
    tokio::select! {
        () = last_words => {
            tracing::info!("stopped");
            Ok(())
        }
        () = signals.end() => {
            let (requests, connections) = (in_flight.count(), connections.count());
            tracing::warn!("told twice: ending at once with {requests} requests and {connections} connections");
            Err(Fatal::Runtime("ended before all requests were finished".to_owned()))
        }
    }
}
