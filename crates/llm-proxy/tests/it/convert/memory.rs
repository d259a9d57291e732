//! What a long stream costs in memory: next to nothing, but for a client to whom all of it is told again at its end.

use llm_sim::Answer;
use tokio::io::AsyncReadExt;

use super::super::support::{Tongue, within};
use super::pair::{Pair, Scene};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What passes, and in events of which size.
const ALL: usize = 64 * MIB;
const EVENT: usize = 64 * KIB;

/// How much of it may be in memory at once: a few buffers of both sides.
const AT_ONCE: usize = 16 * MIB;

/// What a client who must be told all of it again may make the proxy keep.
const KEPT: &str = "limits: {max_response: 2MiB}\n";

/// The most memory that a process has had, in bytes.
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * KIB
}

/// Asks, reads to the end and keeps only that: how much came, and its last bytes.
async fn drunk(scene: &Scene) -> (usize, String) {
    let tongue = scene.pair.client;
    let client = scene.proxy.client().header("connection", "close");
    let request = tongue.request("m", true).to_string();
    let mut stream = client
        .open("POST", tongue.path(), request.as_bytes())
        .await
        .into_stream();
    let (mut buffer, mut tail, mut count) = (vec![0; MIB], Vec::new(), 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        count += read;
        tail.extend_from_slice(&buffer[..read]);
        tail.drain(..tail.len().saturating_sub(4 * KIB));
    }
    (count, String::from_utf8(tail).unwrap())
}

#[tokio::test]
async fn a_long_stream_leaves_no_mark_in_memory() {
    for client in Tongue::ALL {
        let piece = "A".repeat(EVENT);
        for backend in Tongue::ALL {
            let pair = Pair { client, backend };
            let scene = Scene::with(pair, "", KEPT).await;
            // What a first request costs is no growth.
            scene.a.next(Answer::events(backend.whole(3)));
            scene.ask(true).await.expect(200);
            let before = peak(scene.proxy.pid());
            let words = (0..ALL / EVENT).map(|n| backend.text(n, &piece));
            let opening = backend.opening().into_iter();
            scene
                .a
                .next(Answer::events(opening.chain(words).chain(backend.closing())));
            let (count, tail) = within("the end of a long stream", drunk(&scene)).await;
            let grown = peak(scene.proxy.pid()) - before;
            assert!(grown < AT_ONCE, "{pair:?}: {} KiB for {count} bytes", grown / KIB);
            if client == Tongue::Responses && backend != Tongue::Responses {
                assert!(tail.contains("error"), "{pair:?}: {tail}");
                assert!(
                    !tail.contains(client.terminal()),
                    "{pair:?}: it must not look whole"
                );
                let log = scene
                    .proxy
                    .logged("the stream broke after the commit point")
                    .await;
                assert!(log.contains("limits.max_response"), "{log}");
            } else {
                assert!(tail.contains(client.terminal()), "{pair:?}: {tail}");
                assert!(count > ALL, "{pair:?}: {count} bytes came");
            }
            scene.finish().await;
        }
    }
}
