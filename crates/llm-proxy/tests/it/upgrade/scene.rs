//! A proxy that may become several processes, one after the other.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::support::proxy::fresh_dir;
use crate::support::{Hand, Proxy, until};
use llm_sim::{Sim, Speaks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A proxy before a simulated backend (`m`) and one that is moved by hand (`h`), in a process group of its own.
pub struct Scene {
    pub sim: Sim,
    pub hand: Hand,
    pub proxy: Proxy,
    /// The process that serves.
    pub serving: u32,
    group: Group,
}

/// All processes that have come of one; they end with the test.
struct Group(u32);

impl Scene {
    /// Listens on ports that the system chooses, and on `proxy.sock` in the proxy's folder. `top`: more of the config.
    pub async fn start(top: &str) -> Self {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let hand = Hand::start().await;
        let dir = fresh_dir();
        std::fs::write(dir.join("config.yaml"), config(&dir, (&sim, &hand), top)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
        command.arg("--config").arg(dir.join("config.yaml"));
        Self::launch(command, (sim, hand), dir.as_path()).await
    }

    /// The same by another command.
    pub async fn launch(mut command: Command, (sim, hand): (Sim, Hand), dir: &Path) -> Self {
        command.process_group(0);
        let proxy = Proxy::launch(command, dir.to_owned()).await;
        let serving = proxy.pid();
        Self {
            sim,
            hand,
            proxy,
            serving,
            group: Group(serving),
        }
    }

    /// Puts another config in the place of the one in force; nobody is told.
    pub fn rewrite(&self, top: &str) {
        let dir = self.proxy.dir();
        self.overwrite(&config(dir, (&self.sim, &self.hand), top));
    }

    /// The same, all of it.
    pub fn overwrite(&self, yaml: &str) {
        std::fs::write(self.proxy.dir().join("config.yaml"), yaml).unwrap();
    }

    /// The path of its Unix socket.
    pub fn socket(&self) -> std::path::PathBuf {
        self.proxy.dir().join("proxy.sock")
    }

    /// Sends a signal to the process that serves.
    pub fn signal(&self, signal: &str) {
        let process = self.serving.to_string();
        let sent = Command::new("kill").args([signal, &process]).status();
        assert!(sent.unwrap().success(), "kill {signal}");
    }

    /// Hands over to a new process, which serves when this returns.
    pub async fn upgrade(&mut self) {
        let before = self.proxy.log().len();
        self.signal("-USR2");
        self.serving = until("the hand-over", async || {
            self.proxy.log().iter().skip(before).find_map(|line| {
                let (_, rest) = line.split_once("process ")?;
                let (number, _) = rest.split_once(" serves now")?;
                number.parse().ok()
            })
        })
        .await;
    }

    /// Those of its processes that live, whatever their parents have made of those that do not.
    pub fn alive(&self) -> Vec<u32> {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter(|process| self.is_alive(*process)).collect()
    }

    fn is_alive(&self, process: u32) -> bool {
        let Ok(line) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
            return false;
        };
        let (_, rest) = line.rsplit_once(") ").unwrap();
        let words: Vec<&str> = rest.split(' ').collect();
        words[0] != "Z" && words[2] == self.group.0.to_string()
    }

    /// Ends the process that serves, and asserts what must hold of all of them.
    pub async fn finish(self) {
        until("nothing in flight", async || {
            (self.proxy.status().await["in_flight"] == 0).then_some(())
        })
        .await;
        self.signal("-TERM");
        until("the end of all processes", async || {
            self.alive().is_empty().then_some(())
        })
        .await;
        assert!(
            !self.socket().exists(),
            "the socket's file goes with the last one"
        );
        assert_eq!(self.sim.protocol_errors(), [""; 0]);
        self.proxy.finish_ended().await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0);
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    }
}

/// The config of the scene.
pub fn config(dir: &Path, (sim, hand): (&Sim, &Hand), top: &str) -> String {
    let listen = if top.contains("listen:") {
        String::new()
    } else {
        format!(
            "listen: ['127.0.0.1:0', 'unix:{}/proxy.sock']\nadmin: {{listen: '127.0.0.1:0'}}\n",
            dir.display()
        )
    };
    format!(
        "{listen}{top}
backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-backend-a}}
  - {{name: h, protocol: openai, url: {}, api_key: sk-canary-backend-h}}
models:
  m: {{backend: a, model: real}}
  h: {{backend: h, model: real}}
",
        sim.url(),
        hand.url()
    )
}

/// What `/healthz` says over a Unix socket.
pub async fn health_over(socket: &Path) -> String {
    answer_on(UnixStream::connect(socket).await.unwrap()).await
}

/// The same over a connection that is there.
pub async fn answer_on(mut stream: UnixStream) -> String {
    let request = b"GET /healthz HTTP/1.1\r\nhost: proxy\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
