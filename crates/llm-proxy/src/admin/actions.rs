//! What an operator may change of the running program: read the config anew, switch a backend off and on, forget what is
//! held against it.

use http::StatusCode;
use llm_dialect::path::percent_decoded;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::state::{Backend, Live, Snapshot};

/// Somebody who asks for a reload, and waits for what comes of it: the generation in force, or why it is refused.
pub type ReloadOrder = oneshot::Sender<Result<u64, String>>;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// To read the config anew.
    Reload,
    /// To change a backend, by its name.
    Backend(String, Change),
}

/// What is to become of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It gets requests again.
    Enable,
    /// It gets no new ones.
    Disable,
    /// What is held against it is forgotten.
    Reset,
}

impl Action {
    /// What a path asks for, if it is one of those.
    pub(super) fn of(path: &str) -> Option<Self> {
        if path == "/api/reload" {
            return Some(Self::Reload);
        }
        let (name, change) = path.strip_prefix("/api/backends/")?.split_once('/')?;
        let change = match change {
            "enable" => Change::Enable,
            "disable" => Change::Disable,
            "reset" => Change::Reset,
            _ => return None,
        };
        Some(Self::Backend(percent_decoded(name)?, change))
    }
}

/// Status and body of an answer.
pub(super) type Said = (StatusCode, Value);

/// Has the config read anew, and says what came of it once it is in force or refused.
pub(super) async fn reload(orders: &mpsc::Sender<ReloadOrder>) -> Said {
    let (told, answer) = oneshot::channel();
    let done = match orders.send(told).await {
        Ok(()) => answer.await.ok(),
        Err(_) => None,
    };
    match done {
        Some(Ok(generation)) => (StatusCode::OK, json!({"generation": generation})),
        Some(Err(why)) => (StatusCode::UNPROCESSABLE_ENTITY, refusal(&why)),
        None => {
            let why = "The program is ending: it takes no new config.";
            (StatusCode::SERVICE_UNAVAILABLE, refusal(why))
        }
    }
}

/// Changes a backend of the config in force. Who is being answered by it is not disturbed.
pub(super) fn change(snapshot: &Snapshot, live: &Live, name: &str, change: Change) -> Said {
    let Some(backend) = snapshot.backends.iter().find(|backend| *backend.name == *name) else {
        return (
            StatusCode::NOT_FOUND,
            refusal("No backend of the config has this name."),
        );
    };
    if change == Change::Enable && !backend.config.enabled {
        let why = "The config itself disables this backend; set `enabled: true` there and reload.";
        return (StatusCode::CONFLICT, refusal(why));
    }
    match change {
        Change::Enable => backend.vitals.switch_off(false),
        Change::Disable => backend.vitals.switch_off(true),
        Change::Reset => {
            live.health.lock().reset(backend.id);
            backend.meters.lately.forgive();
        }
    }
    if change != Change::Disable {
        live.recovered.notify_waiters();
    }
    tracing::warn!(backend = name, "the operator {}", said(change));
    (StatusCode::OK, as_it_is(backend))
}

fn said(change: Change) -> &'static str {
    match change {
        Change::Enable => "enabled a backend",
        Change::Disable => {
            "disabled a backend: it takes no new request until it is enabled or the program restarts"
        }
        Change::Reset => "reset a backend: its cooldowns are forgotten",
    }
}

fn as_it_is(backend: &Backend) -> Value {
    json!({"name": &*backend.name, "enabled": backend.is_on()})
}

fn refusal(why: &str) -> Value {
    json!({"error": {"message": why}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_a_backend_and_what_is_to_become_of_it() {
        let backend = |name: &str, change| Some(Action::Backend(name.to_owned(), change));
        for (path, action) in [
            ("/api/reload", Some(Action::Reload)),
            ("/api/backends/relay/enable", backend("relay", Change::Enable)),
            ("/api/backends/relay/disable", backend("relay", Change::Disable)),
            ("/api/backends/a%2Fb%20c/reset", backend("a/b c", Change::Reset)),
            ("/api/backends/relay", None),
            ("/api/backends/relay/", None),
            ("/api/backends/relay/remove", None),
            ("/api/backends/relay/reset/", None),
            ("/api/backends/%zz/reset", None),
            ("/api/reload/", None),
            ("/api/status", None),
        ] {
            assert_eq!(Action::of(path), action, "{path}");
        }
    }
}
