//! Where and for whom the program serves: listeners, the admin listener, keys.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use super::Rate;
use crate::base::Secret;
use crate::base::glob::Glob;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Its address; none: off.
    pub listen: Option<SocketAddr>,
    /// The key that it wants; none: only loopback may ask.
    pub key: Option<Secret>,
}

/// A key that clients present.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its name in logs; unique.
    pub name: String,
    /// The SHA-256 of the key.
    pub digest: [u8; 32],
    /// The key itself where the file holds it, to blot it out of texts.
    pub key: Option<Secret>,
    /// Which aliases it may use.
    pub models: Vec<Glob>,
    /// Whether it is taken.
    pub enabled: bool,
    /// From when on it is not; none: for ever.
    pub expires: Option<SystemTime>,
    /// Its own rates.
    pub rate_limit: Option<Rate>,
    /// Its own requests at once.
    pub max_concurrent: Option<u32>,
    /// Its place in the queue: higher goes first.
    pub priority: i32,
    /// What it may spend.
    pub budget: Option<Budget>,
}

/// What a key may spend in a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// US dollars.
    pub usd: f64,
    /// The period.
    pub per: Period,
}

/// A period of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A calendar day in UTC.
    Day,
    /// A calendar month in UTC.
    Month,
}
