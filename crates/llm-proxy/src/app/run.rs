//! From a config to a running program, and to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::accept::Front;
use super::drain::{drain, see_out};
use super::memory;
use super::recall;
use super::reload::{Files, Reloader, opened};
use super::room::{self, Room};
use super::signals::Signals;
use super::successor;
use super::systemd;
use super::watch::{SETTLE, Watch};
use crate::admin::{Admin, ReloadOrder};
use crate::base::clock;
use crate::base::gauge::Gauge;
use crate::base::secret::digest;
use crate::config::types::{Config, Listen};
use crate::config::{self, Diagnostic, Loaded, Report};
use crate::observe::access::Access;
use crate::observe::{Logs, log, logs, panics, series};
use crate::prices;
use crate::server::{self, Entrance, Inherited, Listeners, Role};
use crate::state::{Live, compile};
use crate::telemetry::{self, Telemetry};

/// How often idle connections and forgotten state are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How many may wait for a reload at once; the next waits for room.
const ORDERS: usize = 8;
/// How long the ledger gets to be written at the end.
const LAST_ROWS: Duration = Duration::from_secs(3);
/// How long the collector gets to take the last spans.
const LAST_SPANS: Duration = Duration::from_secs(3);
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
    /// Sockets that are open already.
    pub inherited: Inherited,
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
    say_warnings(&warnings, &config);
    let live = Live::new(recorder(&logs, &config)?, &config);
    let room = Room::new(room::for_connections(room::raised_file_limit()));
    let mut signals = Signals::listen().map_err(|error| Fatal::Runtime(error.to_string()))?;
    let tls = server::acceptor(config.tls.as_ref()).map_err(Fatal::Runtime)?;
    let mut inherited = options.inherited;
    let bound = opened(&config.listen, Role::Main, &mut inherited).map_err(Fatal::Runtime)?;
    let admin_at: Vec<Listen> = config.admin.listen.map(Listen::Tcp).into_iter().collect();
    let admin_bound = opened(&admin_at, Role::Admin, &mut inherited).map_err(Fatal::Runtime)?;
    let addresses: Vec<Listen> = bound.iter().map(|(_, bound)| bound.address()).collect();
    let admin_address = admin_bound.first().map(|(_, bound)| bound.address());
    let collector = telemetry::Settings::of(&config).map_err(Fatal::Runtime)?;
    let snapshot = compile(config, 1, &live).map_err(Fatal::Runtime)?;
    recall::at_start(&live).await;
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
        behind_proxies: true,
    };
    let (orders, mut ordered) = mpsc::channel(ORDERS);
    let admin = Admin::new(Arc::clone(&snapshot), Arc::clone(&live), orders);
    let mut reloader = Reloader {
        files: Files::now(&options.source, &front.snapshot.load().config.sources),
        source: options.source,
        admin_front: front.in_the_clear(admin),
        front,
        listeners: Listeners::default(),
        admin_listeners: Listeners::default(),
        level,
        telemetry: Telemetry::start(snapshot, Arc::clone(&live), collector),
    };
    reloader.start(bound, admin_bound);
    (options.ready)(&addresses, admin_address.as_ref());
    announce(&reloader, inherited);
    let told = serve_until_told(&mut reloader, (&mut signals, &mut ordered), &live).await;
    drop(ordered);
    let end = match told {
        Told::End => drain(&mut reloader, &mut signals, &live, &connections).await,
        Told::HandedOver => see_out(&mut reloader, &mut signals, &live, &connections).await,
    };
    last_words(&mut reloader, &end, &logs).await;
    end
}

/// Who keeps the records of requests, with the ledger that the config names.
fn recorder(logs: &Arc<Logs>, config: &Config) -> Result<Arc<Access>, Fatal> {
    let access = Access::new(Arc::clone(logs));
    let ledger = access.ledger();
    let prepared = ledger.prepare(config.ledger.as_ref());
    ledger.configure(prepared.map_err(Fatal::Runtime)?);
    Ok(access)
}

/// What has not been sent or written yet is. Who told the program twice to end waits for no collector.
async fn last_words(reloader: &mut Reloader, end: &Result<(), Fatal>, logs: &Logs) {
    if end.is_ok() {
        reloader.telemetry.end(LAST_SPANS).await;
    }
    reloader.front.live.access.ledger().close(LAST_ROWS);
    logs.flush(LAST_LINES);
}

/// Whoever waits for this program to serve is told so.
fn announce(reloader: &Reloader, inherited: Inherited) {
    if inherited.is_successor() {
        // The program before tells systemd: it is the one that systemd believes.
        tracing::info!("taking over from the program before");
    } else {
        systemd::tell("READY=1");
    }
    for useless in inherited.settle() {
        tracing::warn!("{useless}");
    }
    for (_, bound) in reloader.sockets() {
        bound.own_file(true);
    }
}

/// Each warning on a line of its own; `check` shows them with their place in the file.
pub(super) fn say_warnings(warnings: &[Diagnostic], config: &Config) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for warning in prices::unknown(config) {
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

/// Why the program serves no longer.
enum Told {
    /// SIGTERM or SIGINT.
    End,
    /// Another program has its addresses now.
    HandedOver,
}

/// Serves, reloads and sweeps, until a signal ends that.
async fn serve_until_told(
    reloader: &mut Reloader,
    (signals, ordered): (&mut Signals, &mut mpsc::Receiver<ReloadOrder>),
    live: &Live,
) -> Told {
    let changed = Arc::new(Notify::new());
    let mut watch = watch(reloader, &changed);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut recalling = None;
    // Ticks that a slow reload delays come all the same: every point stands for its own time.
    let mut point = tokio::time::interval_at((clock::now() + series::STEP).into(), series::STEP);
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                live.access.logs().reopen();
                let _told_in_the_log = reload(reloader);
                watch = self::watch(reloader, &changed);
            }
            Some(order) = ordered.recv() => {
                // Who asked may have left meanwhile; what was asked is done all the same.
                let _ = order.send(reload(reloader));
                watch = self::watch(reloader, &changed);
            }
            _ = signals.successor.recv() => {
                if let Some(told) = hand_over(reloader, signals).await {
                    return told;
                }
            }
            () = changed.notified(), if watch.is_some() => {
                tokio::time::sleep(SETTLE).await;
                // The new config may want no watch any longer.
                if reloader.reload_if_changed() {
                    watch = self::watch(reloader, &changed);
                }
            }
            _ = point.tick() => live.close_point(),
            _ = sweep.tick() => {
                live.pools.sweep(clock::now());
                live.forget_unused();
                memory::give_back();
                recalling = recall_again(reloader, recalling);
            }
            _ = signals.terminate.recv() => return Told::End,
            _ = signals.interrupt.recv() => return Told::End,
        }
    }
}

/// Has the budgets hear what was spent meanwhile, on other nodes too; not while they still wait for the last answer.
fn recall_again(reloader: &Reloader, last: Option<JoinHandle<()>>) -> Option<JoinHandle<()>> {
    if last.as_ref().is_some_and(|last| !last.is_finished()) {
        return last;
    }
    let live = Arc::clone(&reloader.front.live);
    Some(tokio::spawn(async move {
        // A ledger that cannot be read is told of by whoever writes it.
        let _what_was_known_stays = recall::recall(&live).await;
    }))
}

/// Starts a new program in the place of this one. None: it came to nothing, and this one goes on.
async fn hand_over(reloader: &Reloader, signals: &mut Signals) -> Option<Told> {
    let started = tokio::select! {
        started = successor::start(reloader.sockets()) => started,
        () = signals.end() => return Some(Told::End),
    };
    match started {
        Ok(process) => {
            tracing::info!("process {process} serves now: this one finishes what it has begun");
            systemd::tell(&format!("MAINPID={process}"));
            for (_, bound) in reloader.sockets() {
                bound.own_file(false);
            }
            Some(Told::HandedOver)
        }
        Err(error) => {
            tracing::error!("no hand-over, this program goes on: {error}");
            None
        }
    }
}

/// Reads the config again; systemd hears of it.
fn reload(reloader: &mut Reloader) -> Result<u64, String> {
    systemd::tell("RELOADING=1");
    let done = reloader.reload();
    systemd::tell("READY=1");
    done
}

fn watch(reloader: &Reloader, changed: &Arc<Notify>) -> Option<Watch> {
    let Source::File(path) = &reloader.source else {
        return None;
    };
    let snapshot = reloader.front.snapshot.load();
    if !snapshot.config.watch {
        return None;
    }
    let watch = Watch::start(path, &snapshot.config.sources, changed)
        .inspect_err(|error| tracing::error!("{error}"))
        .ok()?;
    // What has changed since it was read, and before it was watched, nobody else would tell.
    changed.notify_one();
    Some(watch)
}
