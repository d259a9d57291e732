//! The processes of the simulated backends: started, killed in the middle of their work, started again at the same address.

use std::env;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::super::clock;
use super::super::rig::free_address;
use super::roster::{BACKENDS, Member};

/// No backend takes longer to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// All backends of a run.
pub(super) struct Crew {
    backends: Vec<Backend>,
    binary: PathBuf,
    seed: u64,
    /// The lie that they tell, or `none`.
    sabotage: String,
}

struct Backend {
    member: Member,
    address: SocketAddr,
    child: Child,
}

impl Crew {
    /// Starts all, and waits until they listen.
    pub(super) fn start(seed: u64, sabotage: &str) -> Result<Self> {
        let mut crew = Self {
            backends: Vec::new(),
            binary: env::current_exe()?,
            seed,
            sabotage: sabotage.to_owned(),
        };
        for member in BACKENDS {
            let address = free_address()?;
            let child = crew.launch(member, address)?;
            crew.backends.push(Backend {
                member,
                address,
                child,
            });
        }
        crew.backends.iter_mut().try_for_each(Backend::wait)?;
        Ok(crew)
    }

    /// Where they listen, in the order of the roster.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.backends.iter().map(|backend| backend.address).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.backends.len()
    }

    /// Kills one, waits for `pause`, and starts it again.
    pub(super) fn restart(&mut self, index: usize, pause: Duration) -> Result<()> {
        let backend = self.backends.get_mut(index).context("no such backend")?;
        backend.child.kill()?;
        backend.child.wait()?;
        let (member, address) = (backend.member, backend.address);
        thread::sleep(pause);
        let child = self.launch(member, address)?;
        let backend = self.backends.get_mut(index).context("no such backend")?;
        backend.child = child;
        backend.wait()
    }

    fn launch(&self, member: Member, address: SocketAddr) -> Result<Child> {
        Command::new(&self.binary)
            .args([
                "soak-backend",
                member.name,
                &address.to_string(),
                &self.seed.to_string(),
                &self.sabotage,
            ])
            // It ends when this pipe does.
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", member.name))
    }
}

impl Backend {
    fn wait(&mut self) -> Result<()> {
        let until = clock::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status} at its start", self.member.name);
            }
            if clock::now() > until {
                bail!("{} does not listen within {PATIENCE:?}", self.member.name);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
