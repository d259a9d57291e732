//! A new config for the running program: all of it or nothing.

use std::sync::Arc;

use super::accept::Front;
use super::run::{Source, say_warnings};
use crate::admin::Admin;
use crate::config::Loaded;
use crate::config::types::{Config, FileSource, Listen};
use crate::observe::ledger;
use crate::observe::log::LevelHandle;
use crate::observe::logs::{self, Mask};
use crate::server::{self, Acceptor, Bound, Entrance, Inherited, Listeners, Role};
use crate::state::{Snapshot, compile};
use crate::telemetry::{self, Telemetry};

/// Addresses as the config names them, with their sockets.
pub(super) type Opened = Vec<(Listen, Bound)>;

/// Opens all addresses, or none. Those that came with the start of the program are open already.
pub(super) fn opened(wanted: &[Listen], role: Role, inherited: &mut Inherited) -> Result<Opened, String> {
    let mut open = |listen: &Listen| match inherited.take(role, listen)? {
        Some(bound) => Ok(bound),
        None => Bound::open(listen).map_err(|error| match inherited.left() {
            Some(left) => format!("{error}\nof the sockets that were given, no `listen` names {left}"),
            None => error,
        }),
    };
    wanted
        .iter()
        .map(|listen| Ok((listen.clone(), open(listen)?)))
        .collect()
}

/// What a reload may change.
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) front: Front<Entrance>,
    pub(super) admin_front: Front<Admin>,
    pub(super) listeners: Listeners,
    pub(super) admin_listeners: Listeners,
    pub(super) level: LevelHandle,
    pub(super) telemetry: Telemetry,
    /// Those that were last read, good or bad.
    pub(super) files: Files,
}

/// What tells one state of the config's files from another.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    /// The config's own; none where it cannot be read.
    own: Option<[u8; 32]>,
    /// Those of each source beside it that is in force: prompts, prices.
    others: Vec<[u8; 32]>,
}

impl Files {
    /// As they are now.
    pub(super) fn now(source: &Source, others: &[FileSource]) -> Self {
        Self {
            own: source.fingerprint(),
            others: others.iter().map(FileSource::fingerprint).collect(),
        }
    }
}

/// Everything of a new config that can fail, done before anything is changed.
struct Prepared {
    snapshot: Snapshot,
    mask: Mask,
    ledger: ledger::Prepared,
    telemetry: Option<telemetry::Settings>,
    tls: Acceptor,
    main: Opened,
    admin: Opened,
}

impl Reloader {
    /// Begins to accept on the first config's addresses.
    pub(super) fn start(&mut self, main: Opened, admin: Opened) {
        for (listen, bound) in main {
            let bound = Arc::new(bound);
            let accept_loop = self.front.listen(Arc::clone(&bound));
            self.listeners.add(listen, bound, accept_loop);
        }
        for (listen, bound) in admin {
            let bound = Arc::new(bound);
            let accept_loop = self.admin_front.listen(Arc::clone(&bound));
            self.admin_listeners.add(listen, bound, accept_loop);
        }
    }

    /// All sockets that it accepts on, and what for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (Role, &Arc<Bound>)> {
        let main = self.listeners.sockets().map(|bound| (Role::Main, bound));
        let admin = self.admin_listeners.sockets().map(|bound| (Role::Admin, bound));
        main.chain(admin)
    }

    /// Reads the config again and puts it in force. A wrong one changes nothing; its errors are logged.
    ///
    /// # Errors
    /// Why it is refused. Else the generation that is in force now.
    pub(super) fn reload(&mut self) -> Result<u64, String> {
        // Before they are read: what changes meanwhile is a change.
        let before = self.front.snapshot.load_full();
        let sources = &before.config.sources;
        self.files = Files::now(&self.source, sources);
        let done = match self.prepare() {
            Ok(prepared) => Ok(self.apply(prepared)),
            Err(error) => Err(self.refuse(error)),
        };
        let snapshot = self.front.snapshot.load();
        let new = &snapshot.config.sources;
        if new != sources {
            self.files.others = new.iter().map(FileSource::fingerprint).collect();
        }
        done
    }

    /// The same, for files that may not have changed: their folders have. Whether they had.
    pub(super) fn reload_if_changed(&mut self) -> bool {
        let snapshot = self.front.snapshot.load_full();
        let changed = Files::now(&self.source, &snapshot.config.sources) != self.files;
        if changed {
            let _told_in_the_log = self.reload();
        }
        changed
    }

    fn prepare(&self) -> Result<Prepared, String> {
        let Loaded { config, warnings } = self.source.load().map_err(|report| report.render(false))?;
        say_warnings(&warnings, &config);
        let tls = server::acceptor(config.tls.as_ref())?;
        let mask = logs::mask(&config)?;
        let ledger = self.front.live.access.ledger().prepare(config.ledger.as_ref())?;
        let telemetry = telemetry::Settings::of(&config)?;
        let missing = self.listeners.missing(&config.listen);
        let missing_admin = self.admin_listeners.missing(&admin_of(&config));
        self.must_be_free(missing.iter().chain(&missing_admin))?;
        let none = &mut Inherited::default();
        let main = opened(&missing, Role::Main, none)?;
        let admin = opened(&missing_admin, Role::Admin, none)?;
        let generation = self.front.snapshot.load().generation + 1;
        let snapshot = compile(config, generation, &self.front.live)?;
        Ok(Prepared {
            snapshot,
            mask,
            ledger,
            telemetry,
            tls,
            main,
            admin,
        })
    }

    /// Our own sockets stay open until the new config is in force, so an address that overlaps one of theirs cannot be
    /// opened beside it: that needs a restart.
    fn must_be_free<'a>(&self, mut wanted: impl Iterator<Item = &'a Listen>) -> Result<(), String> {
        let snapshot = self.front.snapshot.load();
        let mut running = snapshot.config.listen.clone();
        running.extend(admin_of(&snapshot.config));
        let clash = wanted.find_map(|new| Some((new, running.iter().find(|old| overlap(new, old))?)));
        clash.map_or(Ok(()), |(new, old)| {
            let (new, old) = (server::shown(new, "tcp"), server::shown(old, "tcp"));
            Err(format!(
                "to listen on {new} instead of {old} needs a restart: the two overlap"
            ))
        })
    }

    /// From here on nothing fails.
    fn apply(&mut self, prepared: Prepared) -> u64 {
        let Prepared {
            snapshot,
            mask,
            ledger,
            telemetry,
            tls,
            main,
            admin,
        } = prepared;
        let wanted = snapshot.config.listen.clone();
        let wanted_admin = admin_of(&snapshot.config);
        self.level.set(&snapshot.config.logging.level);
        let access = &self.front.live.access;
        access.logs().configure(&snapshot.config, mask);
        access.ledger().configure(ledger);
        let generation = snapshot.generation;
        self.front.tls.store(Arc::new(tls));
        self.front.snapshot.store(Arc::new(snapshot));
        self.start(main, admin);
        self.listeners.keep(&wanted);
        self.admin_listeners.keep(&wanted_admin);
        self.front.live.adopt(&self.front.snapshot.load());
        self.telemetry.adopt(telemetry);
        tracing::info!("reloaded: generation {generation} is in force");
        generation
    }

    fn refuse(&self, error: String) -> String {
        let generation = self.front.snapshot.load().generation;
        // The log hears of it last: whoever reads it there finds it in the status, too.
        self.front.live.refuse(error.clone());
        tracing::error!("the new config is refused; generation {generation} stays in force\n{error}");
        error
    }
}

/// Whether the system would take the two for one address: the same port, and the same host or one that means all.
/// Port 0 is another one each time.
fn overlap(new: &Listen, old: &Listen) -> bool {
    match (new, old) {
        (Listen::Tcp(new), Listen::Tcp(old)) => {
            let all = new.ip().is_unspecified() || old.ip().is_unspecified();
            new.port() == old.port() && new.port() != 0 && (all || new.ip() == old.ip())
        }
        _ => new == old,
    }
}

fn admin_of(config: &Config) -> Vec<Listen> {
    config.admin.listen.map(Listen::Tcp).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k08_addresses_overlap_where_one_socket_would_shut_out_the_other() {
        let tcp = |text: &str| Listen::Tcp(text.parse().unwrap());
        let unix = |path: &str| Listen::Unix(path.into());
        for (new, old, expected, why) in [
            (tcp("0.0.0.0:8765"), tcp("127.0.0.1:8765"), true, "one for all"),
            (
                tcp("127.0.0.1:8765"),
                tcp("[::]:8765"),
                true,
                "IPv6's own all takes IPv4 too",
            ),
            (
                tcp("127.0.0.1:8765"),
                tcp("127.0.0.1:8765"),
                true,
                "the other listener's own address",
            ),
            (
                tcp("127.0.0.2:8765"),
                tcp("127.0.0.1:8765"),
                false,
                "another host",
            ),
            (tcp("0.0.0.0:8766"), tcp("127.0.0.1:8765"), false, "another port"),
            (
                tcp("0.0.0.0:0"),
                tcp("127.0.0.1:0"),
                false,
                "ports that the system chooses",
            ),
            (unix("/run/a"), unix("/run/a"), true, "one path"),
            (unix("/run/a"), tcp("127.0.0.1:8765"), false, "different kinds"),
        ] {
            assert_eq!(overlap(&new, &old), expected, "{why}");
        }
    }
}
