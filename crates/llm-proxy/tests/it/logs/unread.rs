//! The log when it cannot be written: no request waits for it.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use llm_sim::{Answer, Sim, Speaks};

use super::super::support::client::chat;
use super::super::support::proxy::fresh_dir;
use super::super::support::{Client, Proxy, until};
use super::config;

/// What a pipe holds by default, and what the reader of the test may have read ahead.
const PIPE: usize = 64 * 1024;
const AHEAD: usize = 8 * 1024;

#[tokio::test]
async fn l22_a_log_that_nobody_reads_holds_no_request_and_is_all_there_once_it_is_read_again() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let proxy = Proxy::start(&config(&sim)).await;
    let unread = proxy.unread().await;
    let client = proxy.client().header("x-request-id", &"x".repeat(128));
    for n in 0..600 {
        let reply = client.chat("m", false).await;
        assert_eq!(reply.status, 200, "request {n}");
    }
    let read = proxy.records().len();
    drop(unread);
    let records = proxy.recorded(600).await;
    let bytes: usize = records.iter().map(|record| record.to_string().len()).sum();
    assert!(bytes > 2 * (PIPE + AHEAD), "{bytes} bytes fill no pipe");
    assert!(read < 600, "the log was read all the time");
    proxy.finish().await;
}

/// A proxy whose log goes to a disk that is always full.
struct Mute(Child, String);

impl Mute {
    fn start(yaml: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let config = fresh_dir().join("config.yaml");
        std::fs::write(
            &config,
            format!("listen: {address}\nadmin: {{listen: \"off\"}}\n{yaml}"),
        )
        .unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_llm-proxy"))
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stderr(full)
            .spawn()
            .unwrap();
        Self(child, address)
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn l22_a_log_on_a_full_disk_holds_no_request() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    let mute = Mute::start(&config(&sim));
    until("the proxy to listen", async || {
        tokio::net::TcpStream::connect(&mute.1).await.ok()
    })
    .await;
    for n in 0..20 {
        let reply = Client::plain(&mute.1)
            .post("/v1/chat/completions", &chat("m", false))
            .await;
        assert_eq!(reply.status, 200, "request {n}");
    }
}
