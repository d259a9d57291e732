//! Many streams at once: what each of them holds.

use llm_sim::{Answer, Cut, Sim, Speaks};

use crate::support::client::chat;
use crate::support::{Client, Proxy};

/// As many as the usual limit of open files lets one process hold both ends of.
const STREAMS: usize = 300;

/// KiB of a stream. `scripts/bench` measures it with thousands, where what grows only once is nothing.
const BAR: usize = 60;

fn config(sim: &Sim) -> String {
    format!(
        "backends: {{name: a, protocol: openai, url: '{}', api_key: sk-canary-backend, max_concurrent: 1000}}
models: {{m: {{backend: a, model: real}}}}
concurrency: {{max_requests: 1000, per_ip: 1000}}
",
        sim.url()
    )
}

fn threads(proxy: &Proxy) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", proxy.pid()))
        .unwrap()
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn l18_an_open_stream_takes_little_memory_and_no_thread() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(
        Answer::healthy()
            .text("one two three")
            .after_deltas(1, Cut::Stall),
    );
    let proxy = Proxy::start(&config(&sim)).await;
    let client: Client = proxy.client();
    let body = chat("m", true).to_string();
    let open = async || {
        let mut stream = client.open("POST", "/v1/chat/completions", body.as_bytes()).await;
        stream.until("one").await;
        stream
    };
    let first = open().await;
    let (memory, before) = (proxy.memory("VmRSS:"), threads(&proxy));
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        streams.push(open().await);
    }
    let each = proxy.memory("VmRSS:").saturating_sub(memory) / STREAMS;
    assert!(each <= BAR, "{each} KiB a stream");
    // One may come and go: memory is given back by a thread that ends.
    assert!(threads(&proxy) <= before + 1, "a stream took a thread");
    drop((streams, first));
    proxy.finish().await;
}
