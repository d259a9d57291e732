//! What a client is told instead of an answer, as data until the very end.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use llm_dialect::wire_error::ErrorKind;

use crate::base::Class;

/// An error towards the client.
#[derive(Debug)]
pub struct Failure {
    /// Its class in the access record.
    pub class: Class,
    /// What is said. Boxed: it is large, and every step of a request has room for its failure.
    pub says: Box<Says>,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
    /// Whether the connection is closed: the request's body was not read to its end.
    pub close: bool,
}

/// Whose words the client reads.
#[derive(Debug)]
pub enum Says {
    /// Ours, in the caller's dialect.
    Ours {
        /// What went wrong: decides status, type and code.
        kind: ErrorKind,
        /// One clear sentence.
        message: Cow<'static, str>,
        /// The field that is to blame.
        param: Option<String>,
        /// Headers of the backend that pass.
        headers: HeaderMap,
    },
    /// The backend's, word for word.
    Theirs(Relay),
}

/// A backend's error answer as it may pass to the client.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its status.
    pub status: StatusCode,
    /// Those of its headers that pass.
    pub headers: HeaderMap,
    /// Its body, with secrets blotted out.
    pub body: Bytes,
}

impl Failure {
    /// A refusal of our own.
    #[cold]
    pub fn local(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::ours(Class::Local, kind, message)
    }

    /// An error of that class in our words.
    #[cold]
    pub fn ours(class: Class, kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let says = Says::Ours {
            kind,
            message: message.into(),
            param: None,
            headers: HeaderMap::new(),
        };
        Self {
            class,
            says: Box::new(says),
            retry_after: None,
            close: false,
        }
    }

    /// A backend's error in its own words.
    #[cold]
    pub fn theirs(class: Class, relay: Relay) -> Self {
        Self {
            class,
            says: Box::new(Says::Theirs(relay)),
            retry_after: None,
            close: false,
        }
    }

    /// The same, with the field that is to blame.
    #[cold]
    #[must_use]
    pub fn about(mut self, field: impl Into<String>) -> Self {
        if let Says::Ours { param, .. } = &mut *self.says {
            *param = Some(field.into());
        }
        self
    }

    /// The same, with the connection closed after it.
    #[cold]
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// The same, with the time after which to try again.
    #[cold]
    #[must_use]
    pub fn after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// The same, with a backend's headers that pass.
    #[cold]
    #[must_use]
    pub fn with_headers(mut self, passing: HeaderMap) -> Self {
        if let Says::Ours { headers, .. } = &mut *self.says {
            *headers = passing;
        }
        self
    }
}
