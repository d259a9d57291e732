//! The numbers of aliases and backends, which outlive a reload.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::observe::meters::{AliasMeters, BackendMeters, Server};

/// What has been counted, by what it was counted for.
#[derive(Debug, Default)]
pub struct Meters {
    aliases: Mutex<HashMap<String, Arc<AliasMeters>>>,
    backends: Mutex<HashMap<u64, Arc<BackendMeters>>>,
}

impl Meters {
    /// Those of an alias.
    pub(super) fn alias(&self, name: &str) -> Arc<AliasMeters> {
        let mut aliases = self.aliases.lock();
        let own = aliases.entry(name.to_owned());
        Arc::clone(own.or_insert_with(|| Arc::new(AliasMeters::new(name))))
    }

    /// Those of the backend with this identity.
    pub(super) fn backend(&self, id: u64, name: &str, server: Server) -> Arc<BackendMeters> {
        let mut backends = self.backends.lock();
        let own = backends.entry(id);
        Arc::clone(own.or_insert_with(|| Arc::new(BackendMeters::at(name, server))))
    }

    /// Another half minute of the last quarter of an hour is over.
    pub(super) fn close_cells(&self) {
        for backend in self.backends.lock().values() {
            backend.lately.close();
        }
    }

    /// Forgets those that no config holds any longer.
    pub(super) fn forget_unused(&self) {
        self.aliases.lock().retain(|_, own| Arc::strong_count(own) > 1);
        self.backends.lock().retain(|_, own| Arc::strong_count(own) > 1);
    }
}
