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
            | Class::Overtaken
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
    /// Whether a failure of that class at `failed` says something about this one as well.
    pub fn shares(&self, failed: &Self, class: Class) -> bool {
        Scope::of(class).is_some_and(|scope| self.place(scope) == failed.place(scope))
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_something_about_all_that_share_its_scope() {
        let failed = Target {
            backend: 1,
            key: 10,
            model: 100,
        };
        let others = [
            Target { key: 11, ..failed },
            Target { model: 101, ..failed },
            Target { backend: 2, ..failed },
        ];
        for (class, shared) in [
            (Class::Connect, [true, true, false]),
            (Class::Server, [true, false, false]),
            (Class::Auth, [false, true, false]),
            (Class::Rate, [false, false, false]),
            (Class::Client, [false, false, false]),
        ] {
            let said = others.map(|other| other.shares(&failed, class));
            assert_eq!(said, shared, "{class}: other key, other model, other backend");
        }
    }

    #[test]
    fn each_scope_has_its_name() {
        let names = Scope::ALL.map(Scope::name);
        assert_eq!(names, ["backend", "backend_model", "key", "key_model"]);
    }

    #[test]
    fn what_is_nobodys_fault_over_there_is_held_against_nobody() {
        let theirs = [Class::StaleConn, Class::ClientGone, Class::Local];
        let callers = Class::ALL
            .into_iter()
            .filter(|class| crate::health::blames_the_caller(*class));
        for class in callers.chain(theirs) {
            assert_eq!(Scope::of(class), None, "{class}");
        }
    }
}
