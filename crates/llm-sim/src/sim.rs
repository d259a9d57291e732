//! The handle that a test holds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::Answer;
use crate::api::{Api, Speaks};
use crate::backend::Backend;
use crate::seen::Seen;
use crate::serve;

/// Room for the connections of a benchmark that opens thousands at once.
const BACKLOG: u32 = 4096;

/// A simulated backend. Dropping it stops it, as [`Sim::stop`] does.
#[derive(Debug)]
pub struct Sim {
    addr: SocketAddr,
    backend: Arc<Backend>,
    running: Mutex<Running>,
}

/// The task that accepts, and the set of those that serve. The set is shared, so that accepting can end
/// while connections live on.
#[derive(Debug, Default)]
struct Running {
    accepting: Option<JoinHandle<()>>,
    serving: Arc<Mutex<JoinSet<()>>>,
}

/// Ways in which a whole backend can be broken, for showing a proxy at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Broken {
    /// Every answer is the overload status of its provider: 529 of Anthropic, 503 of OpenAI.
    Overloaded,
    /// Every second request is answered with an RST.
    EverySecondReset,
}

impl Sim {
    /// Starts a backend on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// Those of binding.
    pub async fn start(speaks: Speaks) -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), speaks).await
    }

    /// Starts a backend on this address.
    ///
    /// # Errors
    /// Those of binding, such as an address in use.
    pub async fn start_on(addr: SocketAddr, speaks: Speaks) -> io::Result<Self> {
        let listener = listen(addr)?;
        let addr = listener.local_addr()?;
        let backend = Arc::new(Backend::new(speaks, addr.port()));
        let sim = Self {
            addr,
            backend,
            running: Mutex::default(),
        };
        sim.accept(listener);
        // One turn of the scheduler: whoever connects now meets a task that already accepts.
        tokio::task::yield_now().await;
        Ok(sim)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`, to which the paths of the APIs are added.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// What it answers.
impl Sim {
    /// Queues an answer: each request takes the next one, and when none is left the standing rule holds.
    pub fn next(&self, answer: Answer) -> &Self {
        self.backend.script.push(answer);
        self
    }

    /// The standing rule from now on: this answer. Before any rule is set, a model's name may choose a
    /// workload, and all else is healthy.
    pub fn always(&self, answer: Answer) -> &Self {
        self.script(move |_| answer.clone())
    }

    /// The standing rule from now on: whatever this function says.
    pub fn script(&self, rule: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> &Self {
        self.backend.script.rule(Arc::new(rule));
        self
    }

    /// The standing rule of a backend that is broken in this way.
    pub fn broken(&self, how: Broken) -> &Self {
        match how {
            Broken::Overloaded => self.script(|seen| {
                let anthropic = seen.path.starts_with("/v1/messages");
                Answer::status(if anthropic { 529 } else { 503 })
            }),
            Broken::EverySecondReset => {
                let count = AtomicUsize::new(0);
                self.script(move |_| match count.fetch_add(1, Ordering::Relaxed) % 2 {
                    0 => Answer::reset(),
                    _ => Answer::healthy(),
                })
            }
        }
    }

    /// Accepts these keys alone; a healthy answer to any other is 401.
    pub fn keys<S: Into<String>>(&self, keys: impl IntoIterator<Item = S>) -> &Self {
        let keys = keys.into_iter().map(Into::into).collect();
        self.backend.change_rules(|rules| rules.keys = keys);
        self
    }

    /// These texts must not occur in any request, head or body: the secrets of others.
    pub fn canaries<S: Into<String>>(&self, texts: impl IntoIterator<Item = S>) -> &Self {
        let texts = texts.into_iter().map(Into::into).collect();
        self.backend.change_rules(|rules| rules.canaries = texts);
        self
    }

    /// Takes any `host`, as behind a mapped port; otherwise it must name the backend's own port.
    pub fn any_host(&self) -> &Self {
        self.backend.change_rules(|rules| rules.port = None);
        self
    }

    /// The API also answers at this path, to the letter.
    pub fn also_at(&self, path: &str, api: Api) -> &Self {
        self.backend.add_path(path, api);
        self
    }
}

/// What it has seen.
impl Sim {
    /// All requests so far, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.backend.journal.pages().seen.clone()
    }

    /// Every breach of protocol so far: of HTTP, of the dialect, of what a proxy may pass on. Requests that
    /// a script answers are checked as well, those for a workload's model are not.
    pub fn protocol_errors(&self) -> Vec<String> {
        self.backend.journal.pages().wrongs.clone()
    }

    /// Waits until this many requests have come, and gives them all. Waits for ever if they do not come.
    pub async fn wait_seen(&self, count: usize) -> Vec<Seen> {
        self.backend
            .journal
            .until(|pages| (pages.seen.len() >= count).then(|| pages.seen.clone()))
            .await
    }

    /// Waits until this connection has ended, by either side, and says when it did.
    pub async fn wait_closed(&self, connection: u64) -> Instant {
        self.backend.journal.until(|pages| pages.ended(connection)).await
    }

    /// How many connections are open, idle ones included.
    pub fn open_connections(&self) -> usize {
        self.backend.journal.pages().open_connections()
    }

    /// Waits until exactly this many connections are open.
    pub async fn wait_open(&self, count: usize) {
        self.backend
            .journal
            .until(|pages| (pages.open_connections() == count).then_some(()))
            .await;
    }

    /// Forgets what was seen and keeps no requests from now on: for long runs and benchmarks.
    pub fn forget(&self) -> &Self {
        self.backend.journal.forget();
        self
    }
}

/// Coming and going.
impl Sim {
    /// Closes the connections that are idle now, as a backend's keep-alive timeout does, and waits for it. Those that have
    /// never served stay: their first request is on its way.
    pub async fn close_idle(&self) {
        let idle = self.backend.journal.pages().idle();
        self.backend.close_idle.send_replace(());
        self.backend
            .journal
            .until(|pages| idle.is_over(pages).then_some(()))
            .await;
    }

    /// Stops listening: connecting is refused. Open connections live on.
    pub async fn refuse(&self) {
        let accepting = self.running().accepting.take();
        if let Some(task) = accepting {
            task.abort();
            // The port is free once the task is gone; that it was aborted is no news.
            let _ = task.await;
        }
    }

    /// Stops listening and closes every connection.
    pub async fn stop(&self) {
        self.refuse().await;
        let mut serving = std::mem::take(&mut *lock(&self.running().serving));
        serving.shutdown().await;
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// Those of binding: somebody else may have taken the port.
    pub async fn restart(&self) -> io::Result<()> {
        self.refuse().await;
        self.accept(listen(self.addr)?);
        Ok(())
    }

    fn accept(&self, listener: TcpListener) {
        let mut running = self.running();
        let serving = Arc::clone(&running.serving);
        let backend = Arc::clone(&self.backend);
        running.accepting = Some(tokio::spawn(accept(listener, backend, serving)));
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        lock(&self.running)
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let running = self.running();
        if let Some(task) = &running.accepting {
            task.abort();
        }
        lock(&running.serving).abort_all();
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, backend: Arc<Backend>, serving: Arc<Mutex<JoinSet<()>>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let mut serving = lock(&serving);
                while serving.try_join_next().is_some() {}
                serving.spawn(serve::serve(stream, Arc::clone(&backend)));
            }
            // Out of descriptors, most likely: let others run, and try again.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
