//! What all connections of one simulated backend share.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::api::{Api, NoRoute, Speaks};
use crate::script::Script;
use crate::seen::{Journal, Seen};
use crate::strict::Rules;
use crate::workload::Plans;

/// One backend, without its listener.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) speaks: Speaks,
    pub(crate) journal: Arc<Journal>,
    pub(crate) script: Script,
    pub(crate) plans: Plans,
    /// A change tells idle connections to close.
    pub(crate) close_idle: watch::Sender<()>,
    rules: Mutex<Arc<Rules>>,
    paths: Mutex<Vec<(String, Api)>>,
}

impl Backend {
    pub(crate) fn new(speaks: Speaks, port: u16) -> Self {
        Self {
            speaks,
            journal: Journal::new(),
            script: Script::default(),
            plans: Plans::default(),
            close_idle: watch::Sender::new(()),
            rules: Mutex::new(Arc::new(Rules {
                port: Some(port),
                ..Rules::default()
            })),
            paths: Mutex::default(),
        }
    }

    /// The endpoint that a request goes to.
    pub(crate) fn route(&self, seen: &Seen) -> Result<Api, NoRoute> {
        let api = Api::at(&seen.path)
            .filter(|api| self.speaks.has(*api))
            .or_else(|| self.extra(&seen.path));
        match api {
            None => Err(NoRoute::Path),
            Some(api) if api.method() == seen.method => Ok(api),
            Some(api) => Err(NoRoute::Method(api.method())),
        }
    }

    /// Which dialect a scripted answer speaks at a path that has none.
    pub(crate) fn default_api(&self) -> Api {
        match self.speaks {
            Speaks::Messages => Api::Messages,
            Speaks::Responses => Api::Responses,
            Speaks::Chat | Speaks::All => Api::Chat,
        }
    }

    pub(crate) fn add_path(&self, path: &str, api: Api) {
        self.paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((path.to_owned(), api));
    }

    fn extra(&self, path: &str) -> Option<Api> {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.iter().find(|(known, _)| known == path).map(|(_, api)| *api)
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn change_rules(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut rules));
    }
}
