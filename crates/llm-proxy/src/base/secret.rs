//! A value that must never be printed.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A key or token. Its `Debug` and `Display` never show it, so it cannot slip into a log or an error.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a secret value.
    pub fn new(value: &str) -> Self {
        Self(Arc::from(value))
    }

    /// The value itself: only for writing it into a request header, or for blotting it out of a text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of the value.
    pub fn digest(&self) -> [u8; 32] {
        digest(self.0.as_bytes())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The SHA-256 of `bytes`.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
