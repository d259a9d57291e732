//! A new config for the running program: all of it or nothing.

use std::sync::Arc;

use super::accept::Front;
use super::run::{Source, say_warnings};
use crate::admin::Admin;
use crate::config::Loaded;
use crate::config::types::{Config, Listen};
use crate::observe::log::LevelHandle;
use crate::server::{self, Acceptor, Bound, Entrance, Listeners};
use crate::state::{Snapshot, compile};

/// Addresses as the config names them, with their sockets.
pub(super) type Opened = Vec<(Listen, Bound)>;

/// Opens all addresses, or none.
pub(super) fn opened(wanted: &[Listen]) -> Result<Opened, String> {
    wanted
        .iter()
        .map(|listen| Ok((listen.clone(), Bound::open(listen)?)))
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
    /// Of the file that was last read, good or bad.
    pub(super) fingerprint: Option<[u8; 32]>,
}

/// Everything of a new config that can fail, done before anything is changed.
struct Prepared {
    snapshot: Snapshot,
    tls: Acceptor,
    main: Opened,
    admin: Opened,
}

impl Reloader {
    /// Begins to accept on the first config's addresses.
    pub(super) fn start(&mut self, main: Opened, admin: Opened) {
        for (listen, bound) in main {
            self.listeners.add(listen, self.front.listen(bound));
        }
        for (listen, bound) in admin {
            self.admin_listeners.add(listen, self.admin_front.listen(bound));
        }
    }

    /// Reads the config again and puts it in force. A wrong one changes nothing; its errors are logged.
    pub(super) fn reload(&mut self) {
        self.fingerprint = self.source.fingerprint();
        match self.prepare() {
            Ok(prepared) => self.apply(prepared),
            Err(error) => self.refuse(error),
        }
    }

    /// The same, for a file that may not have changed: its folder has.
    pub(super) fn reload_if_changed(&mut self) {
        if self.source.fingerprint() != self.fingerprint {
            self.reload();
        }
    }

    fn prepare(&self) -> Result<Prepared, String> {
        let Loaded { config, warnings } = self.source.load().map_err(|report| report.render(false))?;
        say_warnings(&warnings);
        let tls = server::acceptor(config.tls.as_ref())?;
        let main = opened(&self.listeners.missing(&config.listen))?;
        let admin = opened(&self.admin_listeners.missing(&admin_of(&config)))?;
        let generation = self.front.snapshot.load().generation + 1;
        let snapshot = compile(config, generation, &self.front.live)?;
        Ok(Prepared {
            snapshot,
            tls,
            main,
            admin,
        })
    }

    /// From here on nothing fails.
    fn apply(&mut self, prepared: Prepared) {
        let Prepared {
            snapshot,
            tls,
            main,
            admin,
        } = prepared;
        let wanted = snapshot.config.listen.clone();
        let wanted_admin = admin_of(&snapshot.config);
        self.level.set(&snapshot.config.logging.level);
        let generation = snapshot.generation;
        self.front.tls.store(Arc::new(tls));
        self.front.snapshot.store(Arc::new(snapshot));
        self.start(main, admin);
        self.listeners.keep(&wanted);
        self.admin_listeners.keep(&wanted_admin);
        self.front.live.adopt(&self.front.snapshot.load());
        tracing::info!("reloaded: generation {generation} is in force");
    }

    fn refuse(&self, error: String) {
        let generation = self.front.snapshot.load().generation;
        tracing::error!("the new config is refused; generation {generation} stays in force\n{error}");
        self.front.live.last_reload_error.store(Some(Arc::new(error)));
    }
}

fn admin_of(config: &Config) -> Vec<Listen> {
    config.admin.listen.map(Listen::Tcp).into_iter().collect()
}
