//! What a failure says something about: a backend, one model there, a key, or a key for one model.

use crate::base::Class;

/// Whom an attempt asked. Each part is a hash of a stable identity (base URL, key digest, model name), so that
/// what is known of it survives a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The backend.
    pub backend: u64,
    /// The key that was presented there.
    pub key: u64,
    /// The backend's model.
    pub model: u64,
}

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The backend, whatever model and key.
    Backend,
    /// One model of the backend, whatever key.
    BackendModel,
    /// One key of the backend, whatever model.
    Key,
    /// One key for one model.
    KeyModel,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Backend, Self::BackendModel, Self::Key, Self::KeyModel];

    /// The name in logs and `/api/status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::BackendModel => "backend_model",
            Self::Key => "key",
            Self::KeyModel => "key_model",
        }
    }

    /// What a failure of that class is held against; `None` where it is nobody's fault over there (5.2).
    pub fn of(class: Class) -> Option<Self> {
        match class {
            Class::Connect => Some(Self::Backend),
            Class::Reset
            | Class::TtftTimeout
            | Class::Server
            | Class::Unavailable
            | Class::Overloaded
            | Class::NotFound
            | Class::BadResponse
            | Class::Midstream => Some(Self::BackendModel),
            Class::Quota | Class::Auth => Some(Self::Key),
            Class::Rate | Class::ForbiddenModel => Some(Self::KeyModel),
            Class::StaleConn
            | Class::ContextLength
            | Class::Signature
            | Class::Unsupported
            | Class::Client
            | Class::Policy
            | Class::Conflict
            | Class::ClientGone
            | Class::Local => None,
        }
    }
}

/// One scope of one target: what state is kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) scope: Scope,
    pub(super) backend: u64,
    pub(super) key: Option<u64>,
    pub(super) model: Option<u64>,
}

impl Target {
    pub(super) fn place(&self, scope: Scope) -> Place {
        let keyed = matches!(scope, Scope::Key | Scope::KeyModel);
        let modelled = matches!(scope, Scope::BackendModel | Scope::KeyModel);
        Place {
            scope,
            backend: self.backend,
            key: keyed.then_some(self.key),
            model: modelled.then_some(self.model),
        }
    }

    pub(super) fn places(&self) -> [Place; 4] {
        Scope::ALL.map(|scope| self.place(scope))
    }
}
