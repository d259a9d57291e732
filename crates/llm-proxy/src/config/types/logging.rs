//! Logs, and the ledger.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::Secret;

/// Logs.
#[derive(Clone, Debug)]
pub struct Logging {
    /// A level, perhaps by module.
    pub level: String,
    /// Their form.
    pub format: LogFormat,
    /// A file beside standard error.
    pub file: Option<LogFile>,
    /// One line a request.
    pub access: bool,
    /// Which bodies are logged.
    pub bodies: Bodies,
    /// Their folder.
    pub bodies_dir: PathBuf,
    /// What is masked.
    pub mask: Mask,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For eyes.
    Pretty,
    /// For machines.
    Json,
}

/// A log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its folder.
    pub dir: PathBuf,
    /// When a new one begins, whatever its size.
    pub rotate: Rotate,
    /// The size after which a new one begins.
    pub max_size: Option<u64>,
    /// How many old ones are kept.
    pub max_files: u32,
    /// Whether old ones are compressed.
    pub compress: bool,
}

/// When a log file has had its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// At the end of its day, in UTC.
    Daily,
    /// At the end of its hour.
    Hourly,
    /// Never: its size alone decides.
    Never,
}

/// Which bodies are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// None.
    Off,
    /// Those of failed requests.
    Errors,
    /// All.
    All,
}

/// What is masked in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Keys and tokens.
    Standard,
    /// E-mail and network addresses too.
    Strict,
}

/// The ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Where it is.
    pub at: LedgerAt,
    /// For how long each request is kept; none: for ever.
    pub retention: Option<Duration>,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerAt {
    /// In a file.
    Sqlite(PathBuf),
    /// In a PostgreSQL, by a URL that may hold a password.
    Postgres(Secret),
}

impl LedgerAt {
    /// What kind of database that is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}
