//! Everything that runs during a bench: the simulated backend, nginx and the proxy, on ports of their own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::configs;
use super::process::Process;
use super::rows::{Ask, Target};

/// Where the load and the backend run, and where the target runs.
const CORES: (usize, usize) = (0, 1);

/// The processes of a run, ready to answer.
pub(super) struct Rig {
    proxy_binary: PathBuf,
    dir: PathBuf,
    backend: SocketAddr,
    nginx: (Process, SocketAddr),
    proxy: (Process, SocketAddr),
    unlimited: (Process, SocketAddr),
    simulator: Process,
}

impl Rig {
    /// Starts all and waits for an answer of each.
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
        let nginx = start(Target::Nginx, &proxy_binary, backend, &dir)?;
        let proxy = start(Target::Proxy, &proxy_binary, backend, &dir)?;
        let unlimited = start(Target::Unlimited, &proxy_binary, backend, &dir)?;
        Ok(Self {
            proxy_binary,
            dir,
            backend,
            nginx,
            proxy,
            unlimited,
            simulator,
        })
    }

    /// Where requests for `target` go.
    pub(super) fn addr(&self, target: Target) -> SocketAddr {
        match target {
            Target::Direct => self.backend,
            Target::Nginx => self.nginx.1,
            Target::Proxy => self.proxy.1,
            Target::Unlimited => self.unlimited.1,
        }
    }

    /// The process of `target`; the backend itself is nobody's target.
    pub(super) fn process(&self, target: Target) -> &Process {
        match target {
            Target::Direct => &self.simulator,
            Target::Nginx => &self.nginx.0,
            Target::Proxy => &self.proxy.0,
            Target::Unlimited => &self.unlimited.0,
        }
    }

    /// Starts one more of `target`, beside the one in use, and does not wait for it.
    pub(super) fn another(&self, target: Target) -> Result<(Process, SocketAddr)> {
        launch(target, &self.proxy_binary, self.backend, &self.dir.join("cold"))
    }
}

fn start(target: Target, binary: &Path, backend: SocketAddr, dir: &Path) -> Result<(Process, SocketAddr)> {
    let (mut process, addr) = launch(target, binary, backend, dir)?;
    let ready = process.first_answer(addr, &Ask::small().for_target(target));
    ready.with_context(|| format!("{} did not start, see {}", target.name(), dir.display()))?;
    Ok((process, addr))
}

fn launch(target: Target, binary: &Path, backend: SocketAddr, dir: &Path) -> Result<(Process, SocketAddr)> {
    fs::create_dir_all(dir)?;
    let listen = free_address()?;
    let config = dir.join(format!("{}.config", target.name()));
    let (text, mut words) = match target {
        Target::Nginx => (configs::nginx(listen, backend, dir), vec!["nginx".into()]),
        Target::Proxy | Target::Direct => (
            configs::proxy(listen, backend, configs::LIMITED),
            vec![path(binary), "serve".into()],
        ),
        Target::Unlimited => (
            configs::proxy(listen, backend, ("", "")),
            vec![path(binary), "serve".into()],
        ),
    };
    fs::write(&config, text)?;
    words.extend(["-c".into(), path(&config)]);
    let process = Process::start(&words, CORES.1, &dir.join(format!("{}.log", target.name())))?;
    Ok((process, listen))
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// An address that nobody listens on: bound once and given back.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
