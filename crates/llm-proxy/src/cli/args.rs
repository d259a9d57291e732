//! The arguments, as the contract lists them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::base::env;
use crate::observe::ledger::By;

/// The profile that this binary was built with.
const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

/// One small, fast program between every AI client and every LLM backend.
#[derive(Debug, Parser)]
#[command(name = "llm-proxy", version, long_version = version(), disable_help_subcommand = true)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The config of `serve`.
    #[command(flatten)]
    pub serve: ConfigAt,
}

fn version() -> &'static str {
    // Built once; clap wants it for as long as the program runs.
    let text = format!(
        "{} (commit {}, {PROFILE} build)",
        env!("CARGO_PKG_VERSION"),
        option_env!("LLM_PROXY_COMMIT").unwrap_or("unknown"),
    );
    Box::leak(text.into_boxed_str())
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the proxy (the default).
    Serve(ConfigAt),
    /// Shows the whole product with no key and no config: simulated backends and the proxy before them.
    Demo {
        /// The proxy's port; the admin listener gets the next one.
        #[arg(long, default_value_t = 8765)]
        port: u16,
    },
    /// Checks a config file and prints everything that is wrong with it.
    Check(ConfigAt),
    /// Prints where a request for a model would go, in which order, and why.
    Explain(Asked),
    /// Prints what requests used and cost, from the ledger.
    Usage(UsageOf),
    /// Writes a commented starter `config.yaml` from the provider keys in the environment.
    Init,
    /// Prints the JSON Schema of the config file, for editors.
    Schema {
        /// Prints that of the file of prices instead.
        #[arg(long)]
        prices: bool,
    },
    /// Shows the running proxy in the terminal: its health, backends, pace and last requests.
    Top(Watched),
    /// Runs only the simulated backends, for trying things out and for benchmarks.
    Sim {
        /// Where they listen.
        #[arg(long, default_value = "127.0.0.1:9876")]
        listen: SocketAddr,
    },
}

/// Which config file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConfigAt {
    /// The config file; else the one that `$LLM_PROXY_CONFIG` names, `./config.yaml`, `/etc/llm-proxy/config.yaml`.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl ConfigAt {
    /// The file that the arguments, the environment or the habit name.
    pub fn path(&self) -> PathBuf {
        if let Some(path) = &self.config {
            return path.clone();
        }
        if let Some(path) = env::var("LLM_PROXY_CONFIG").filter(|path| !path.is_empty()) {
            return PathBuf::from(path);
        }
        let system = Path::new("/etc/llm-proxy/config.yaml");
        let here = PathBuf::from("config.yaml");
        if !here.exists() && system.exists() {
            system.to_owned()
        } else {
            here
        }
    }
}

/// The proxy that `top` shows.
#[derive(Clone, Debug, clap::Args)]
pub struct Watched {
    /// The config file, which says where the admin listener is and which key it wants.
    #[command(flatten)]
    pub at: ConfigAt,
    /// The admin listener, where it is another than the config says; the key is the config's, or `$ADMIN_KEY`.
    #[arg(long, value_name = "URL")]
    pub admin: Option<String>,
    /// Prints one frame and ends.
    #[arg(long)]
    pub once: bool,
}

/// The request that `explain` explains.
#[derive(Clone, Debug, clap::Args)]
pub struct Asked {
    /// The config file.
    #[command(flatten)]
    pub at: ConfigAt,
    /// The model that the client names.
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// The client's dialect: chat, responses or messages.
    #[arg(long, value_name = "D", default_value = "chat")]
    pub dialect: String,
    /// The name of the client's key.
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
}

/// What `usage` is to print.
#[derive(Clone, Debug, clap::Args)]
pub struct UsageOf {
    /// The config file.
    #[command(flatten)]
    pub at: ConfigAt,
    /// What the rows of the table are: key, model, backend or day.
    #[arg(long, value_name = "WHAT", default_value = "key", value_parser = by)]
    pub by: By,
    /// From when on: a number of days with today as one of them, such as `30d`, or a date; 7d where nothing is said.
    #[arg(long, value_name = "DAYS|DATE")]
    pub since: Option<String>,
    /// The last day; today where nothing is said.
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
    /// Prints CSV.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

fn by(name: &str) -> Result<By, String> {
    By::from_name(name).ok_or_else(|| "it is one of key, model, backend and day".to_owned())
}
