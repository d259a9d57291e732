//! The real binary with a config, its log, and what must hold when a test is over.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::{Client, until};

/// Secrets that tests plant begin like this; none may come out anywhere.
pub const CANARY: &str = "sk-canary-";
/// What the log's mask makes of one.
const MASKED: &str = "sk-***";

/// A running proxy.
pub struct Proxy {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Whoever holds it keeps the log from being read.
    reading: Arc<tokio::sync::Mutex<()>>,
    dir: PathBuf,
    address: String,
    admin: String,
    /// Everything that clients of this proxy were sent.
    pub(super) received: Arc<Mutex<Vec<u8>>>,
    /// Whether the test puts keys into the words of backends and clients.
    masked: AtomicBool,
    /// How many requests clients of this proxy have sent that leave an access line.
    pub(super) sent: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts the proxy with this config; the addresses are chosen by the system.
    pub async fn start(yaml: &str) -> Self {
        let dir = fresh_dir();
        let config = dir.join("config.yaml");
        std::fs::write(&config, addressed(yaml)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
        command.arg("--config").arg(config);
        Self::launch(command, dir).await
    }

    /// Starts the proxy by this command, whose config names the addresses. `dir` is removed at the end.
    pub async fn launch(mut command: Command, dir: PathBuf) -> Self {
        let mut child = command
            .env("LLM_PROXY_TEST_SECRET", format!("{CANARY}environment"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (log, reading) = (Arc::default(), Arc::default());
        collect(child.stderr.take().unwrap(), &log, &reading);
        let mut proxy = Self {
            child,
            log,
            reading,
            dir,
            address: String::new(),
            admin: String::new(),
            received: Arc::default(),
            masked: AtomicBool::new(false),
            sent: Arc::default(),
        };
        proxy.address = proxy.announced("serving on ").await;
        if proxy.log().iter().any(|line| line.contains("admin on")) {
            proxy.admin = proxy.announced("admin on ").await;
        }
        proxy
    }

    /// The `host:port` that the log announces after `words`.
    async fn announced(&mut self, words: &str) -> String {
        let log = Arc::clone(&self.log);
        let child = &mut self.child;
        until("the proxy to announce its address", async move || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the proxy ended with {status}: {:?}", log.lock().unwrap());
            }
            log.lock().unwrap().iter().find_map(|line| {
                let (_, rest) = line.split_once(words)?;
                let (_, address) = rest.split_once("://")?;
                let end = address.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]".contains(c)));
                Some(
                    address[..end.unwrap_or(address.len())]
                        .trim_end_matches(':')
                        .to_owned(),
                )
            })
        })
        .await
    }

    /// `host:port` of the main listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `host:port` of the admin listener.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The folder of its config.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A line of the kernel's page about it, in KiB: `VmRSS`, the memory that it has now; `VmHWM`, the most it ever had.
    pub fn memory(&self, line: &str) -> usize {
        let page = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let value = page.lines().find_map(|text| text.strip_prefix(line)).unwrap();
        let digits = value.trim_matches(|c: char| !c.is_ascii_digit());
        digits.parse().unwrap()
    }

    /// A client of the main listener. Its requests are counted, and all that it reads is searched for secrets.
    pub fn client(&self) -> Client {
        Client::of(self)
    }

    /// The lines of its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Nobody reads its log until this is dropped; at most a buffer of it.
    pub async fn unread(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.reading).lock_owned().await
    }

    /// Waits for a log line that contains `text`.
    pub async fn logged(&self, text: &str) -> String {
        until(&format!("a log line with {text:?}"), async || {
            self.log().into_iter().find(|line| line.contains(text))
        })
        .await
    }

    /// The access records so far.
    pub fn records(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str::<Value>(line).ok();
        self.log()
            .iter()
            .filter_map(parse)
            .filter(|line| line["msg"] == "request")
            .collect()
    }

    /// Waits for `count` access records.
    pub async fn recorded(&self, count: usize) -> Vec<Value> {
        until(&format!("{count} access records"), async || {
            Some(self.records()).filter(|records| records.len() >= count)
        })
        .await
    }

    /// Others say keys in this test, which the log has to mask.
    pub fn expects_masks(&self) {
        self.masked.store(true, Ordering::SeqCst);
    }

    /// Counts requests that were sent by other means than a [`Client`]: each leaves an access line.
    pub fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::SeqCst);
    }

    /// How many requests leave an access line so far.
    pub fn lines_due(&self) -> usize {
        usize::try_from(self.sent.load(Ordering::SeqCst)).unwrap()
    }

    /// Everything that its clients were sent.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }

    /// `GET /api/status`.
    pub async fn status(&self) -> Value {
        let reply = Client::plain(&self.admin).get("/api/status").await;
        serde_json::from_slice(&reply.body).unwrap()
    }

    /// One backend of the status.
    pub async fn backend(&self, name: &str) -> Value {
        let status = self.status().await;
        let backends = status["backends"].as_array().unwrap();
        backends
            .iter()
            .find(|backend| backend["name"] == name)
            .unwrap()
            .clone()
    }

    /// Sends a signal (`-HUP`, `-TERM`).
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .arg(signal)
            .arg(self.pid().to_string())
            .status()
            .unwrap();
        assert!(sent.success(), "kill {signal}");
    }

    /// Puts another config in the place of the running one, without telling the proxy. The addresses stay as they are.
    pub fn rewrite(&self, yaml: &str) {
        std::fs::write(self.dir.join("config.yaml"), addressed(yaml)).unwrap();
    }

    /// The same, and waits until it is in force.
    pub async fn reload(&self, yaml: &str) {
        let before = self.status().await["config"]["generation"].as_u64();
        self.rewrite(yaml);
        self.signal("-HUP");
        until("the new generation", async || {
            let now = self.status().await["config"]["generation"].as_u64();
            (now > before).then_some(())
        })
        .await;
    }

    /// `config.generation` of the status.
    pub async fn generation(&self) -> u64 {
        self.status().await["config"]["generation"].as_u64().unwrap()
    }

    /// Waits for the process to end, and for its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until("the proxy to end", async move || child.try_wait().unwrap())
            .await
            .code()
    }

    /// What must hold after every test: G1 to G4 of the rule book. (G5 is held by the client, at each error.)
    pub async fn finish(mut self) {
        until("G1: nothing in flight", async || {
            let status = self.status().await;
            let idle = |backend: &Value| backend["in_flight"] == 0;
            let all_idle = status["backends"].as_array().unwrap().iter().all(idle);
            (status["in_flight"] == 0 && all_idle).then_some(())
        })
        .await;
        assert!(
            self.child.try_wait().unwrap().is_none(),
            "G3: the process is alive"
        );
        for path in ["/metrics", "/api/status", "/"] {
            let page = Client::plain(&self.admin).get(path).await.text();
            assert!(!page.contains(CANARY), "G2: a secret at {path}: {page}");
        }
        self.settle().await;
    }

    /// The same for a proxy that has ended, as a test asked it to.
    pub async fn finish_ended(mut self) {
        self.ended().await;
        self.settle().await;
    }

    async fn settle(&self) {
        let count = self.lines_due();
        self.recorded(count).await;
        assert_eq!(self.records().len(), count, "G4: one access line a request");
        self.assert_no_secrets();
    }

    /// G2: nothing that went out, to a client or to the log, holds a secret; G3: nothing panicked.
    fn assert_no_secrets(&self) {
        for line in self.log() {
            assert!(!line.contains(CANARY), "G2: a secret in the log: {line}");
            // The mask at the writer is for words of others: no secret of ours may come as far as that.
            let masked = line.contains(MASKED) && !self.masked.load(Ordering::SeqCst);
            assert!(!masked, "G2: a secret that the mask had to catch: {line}");
            let panic = line.contains("a panic was caught") || line.contains("panicked");
            assert!(!panic, "G3: a panic: {line}");
        }
        let received = self.received.lock().unwrap();
        let text = String::from_utf8_lossy(&received);
        assert!(!text.contains(CANARY), "G2: a secret reached a client: {text}");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn collect(
    stderr: impl std::io::Read + Send + 'static,
    log: &Arc<Mutex<Vec<String>>>,
    reading: &Arc<tokio::sync::Mutex<()>>,
) {
    let (log, reading) = (Arc::clone(log), Arc::clone(reading));
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            drop(reading.blocking_lock());
            log.lock().unwrap().push(line);
        }
    });
}

/// A config with addresses: its own, or ones that the system chooses.
fn addressed(yaml: &str) -> String {
    if yaml.contains("listen:") {
        return yaml.to_owned();
    }
    format!("listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{yaml}")
}

/// An empty folder that nobody else has.
pub fn fresh_dir() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::SeqCst);
    let dir = std::env::temp_dir().join(format!("llm-proxy-it-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
