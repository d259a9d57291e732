//! Everything that runs during a bench: the simulated backend, nginx and the proxy, on ports of their own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::configs;
use super::process::Process;
use super::rows::{Ask, Target};
use super::sink;

/// Where the load and the backend run, and where the target runs.
const CORES: (usize, usize) = (0, 1);

/// The simulated backend, and where targets are started before it.
pub(super) struct Yard {
    proxy_binary: PathBuf,
    dir: PathBuf,
    pub(super) backend: SocketAddr,
    simulator: Process,
}

impl Yard {
    /// Starts the backend and waits for its first answer.
    pub(super) fn start(proxy_binary: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let proxy_binary = proxy_binary
            .canonicalize()
            .with_context(|| format!("no {}", proxy_binary.display()))?;
        let backend = free_address()?;
        let words = [
            path(&proxy_binary),
            "sim".into(),
            "--listen".into(),
            backend.to_string(),
        ];
        let mut simulator = Process::start(&words, CORES.0, &dir.join("sim.log"))?;
        simulator
            .first_answer(backend, &Ask::small().for_target(Target::Direct))
            .context("the simulator")?;
        Ok(Self {
            proxy_binary,
            dir,
            backend,
            simulator,
        })
    }

    /// Starts the proxy on an address of its own with what `config` says for that, and does not wait for it.
    pub(super) fn proxy(
        &self,
        name: &str,
        config: impl FnOnce(SocketAddr) -> String,
    ) -> Result<(Process, SocketAddr)> {
        let listen = free_address()?;
        let words = vec![path(&self.proxy_binary), "serve".into()];
        let said = self.dir.join(format!("{name}.log"));
        let process = run(words, (&config(listen), name), &self.dir, &said)?;
        Ok((process, listen))
    }
}

/// The processes of a run, ready to answer.
pub(super) struct Rig {
    yard: Yard,
    nginx: (Process, SocketAddr),
    proxy: (Process, SocketAddr),
    unlimited: (Process, SocketAddr),
    prompted: (Process, SocketAddr),
    ledgered: (Process, SocketAddr),
    silent: (Process, SocketAddr),
    filed: (Process, SocketAddr),
    filed_twice: (Process, SocketAddr),
    traced: (Process, SocketAddr),
}

impl Rig {
    /// Starts all and waits for an answer of each.
    pub(super) fn start(proxy_binary: &Path, dir: &Path) -> Result<Self> {
        let yard = Yard::start(proxy_binary, dir)?;
        let nginx = start(Target::Nginx, &yard)?;
        let proxy = start(Target::Proxy, &yard)?;
        let unlimited = start(Target::Unlimited, &yard)?;
        let prompted = start(Target::Prompted, &yard)?;
        let ledgered = start(Target::Ledgered, &yard)?;
        let silent = start(Target::Silent, &yard)?;
        let filed = start(Target::Filed, &yard)?;
        let filed_twice = start(Target::FiledTwice, &yard)?;
        let traced = start(Target::Traced, &yard)?;
        Ok(Self {
            yard,
            nginx,
            proxy,
            unlimited,
            prompted,
            ledgered,
            silent,
            filed,
            filed_twice,
            traced,
        })
    }

    /// Where requests for `target` go.
    pub(super) fn addr(&self, target: Target) -> SocketAddr {
        match target {
            Target::Direct => self.yard.backend,
            Target::Nginx => self.nginx.1,
            Target::Proxy => self.proxy.1,
            Target::Unlimited => self.unlimited.1,
            Target::Prompted => self.prompted.1,
            Target::Ledgered => self.ledgered.1,
            Target::Silent => self.silent.1,
            Target::Filed => self.filed.1,
            Target::FiledTwice => self.filed_twice.1,
            Target::Traced => self.traced.1,
        }
    }

    /// The process of `target`; the backend itself is nobody's target.
    pub(super) fn process(&self, target: Target) -> &Process {
        match target {
            Target::Direct => &self.yard.simulator,
            Target::Nginx => &self.nginx.0,
            Target::Proxy => &self.proxy.0,
            Target::Unlimited => &self.unlimited.0,
            Target::Prompted => &self.prompted.0,
            Target::Ledgered => &self.ledgered.0,
            Target::Silent => &self.silent.0,
            Target::Filed => &self.filed.0,
            Target::FiledTwice => &self.filed_twice.0,
            Target::Traced => &self.traced.0,
        }
    }

    /// Starts one more of `target`, beside the one in use, and does not wait for it.
    pub(super) fn another(&self, target: Target) -> Result<(Process, SocketAddr)> {
        launch(target, &self.yard, &self.yard.dir.join("cold"))
    }
}

fn start(target: Target, yard: &Yard) -> Result<(Process, SocketAddr)> {
    let (mut process, addr) = launch(target, yard, &yard.dir)?;
    let ready = process.first_answer(addr, &Ask::small().for_target(target));
    ready.with_context(|| format!("{} did not start, see {}", target.name(), yard.dir.display()))?;
    Ok((process, addr))
}

fn launch(target: Target, yard: &Yard, dir: &Path) -> Result<(Process, SocketAddr)> {
    fs::create_dir_all(dir)?;
    let (listen, backend) = (free_address()?, yard.backend);
    let ours = || vec![path(&yard.proxy_binary), "serve".into()];
    let (text, words) = match target {
        Target::Nginx => (configs::nginx(listen, backend, dir), vec!["nginx".into()]),
        Target::Proxy | Target::Direct => (configs::proxy(listen, backend, configs::LIMITED), ours()),
        Target::Unlimited => (configs::proxy(listen, backend, ("", "")), ours()),
        Target::Prompted => (
            configs::proxy(listen, backend, configs::LIMITED) + configs::PROMPT,
            ours(),
        ),
        Target::Ledgered => (
            configs::proxy(listen, backend, configs::LIMITED) + configs::LEDGER,
            ours(),
        ),
        Target::Silent | Target::Filed | Target::FiledTwice => {
            let logging = match target {
                Target::Silent => configs::SILENT,
                Target::Filed => configs::FILED,
                _ => configs::FILED_TWICE,
            };
            let text = configs::proxy(listen, backend, configs::LIMITED);
            (text.replace(configs::LOG, logging), ours())
        }
        Target::Traced => (
            configs::proxy(listen, backend, configs::LIMITED) + &configs::telemetry(sink::start()?),
            ours(),
        ),
    };
    let name = target.name();
    let process = match target {
        Target::Filed => run(words, (&text, name), dir, Path::new("/dev/null"))?,
        _ => run(words, (&text, name), dir, &dir.join(format!("{name}.log")))?,
    };
    Ok((process, listen))
}

/// Starts a server with that config; what it says goes to `said`.
fn run(mut words: Vec<String>, (text, name): (&str, &str), dir: &Path, said: &Path) -> Result<Process> {
    let config = dir.join(format!("{name}.config"));
    fs::write(&config, text)?;
    words.extend(["-c".into(), path(&config)]);
    Process::start(&words, CORES.1, said)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// An address that nobody listens on: bound once and given back.
pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
