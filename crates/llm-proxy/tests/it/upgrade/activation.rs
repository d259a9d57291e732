//! Sockets that systemd has opened.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use llm_sim::{Sim, Speaks};
use tokio::net::UnixStream;

use super::scene::{Scene, answer_on, config, health_over};
use crate::support::proxy::fresh_dir;
use crate::support::{Client, Hand, until, within};

/// What systemd does: the sockets from 3 on, their names, and the id of the process that they are for (a shell knows its
/// own, and keeps it).
fn activated(config: &Path, sockets: Vec<std::os::fd::OwnedFd>, names: &str, process: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("LISTEN_PID={process} exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_llm-proxy"))
        .arg("--config")
        .arg(config)
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDNAMES", names);
    let mappings = (3..)
        .zip(sockets)
        .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).unwrap();
    command
}

/// An address that was free a moment ago.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

async fn backends() -> (Sim, Hand) {
    (Sim::start(Speaks::All).await.unwrap(), Hand::start().await)
}

#[tokio::test]
async fn o04_sockets_of_systemd_serve_the_addresses_that_they_have_and_go_on_to_the_next_process() {
    let (sim, hand) = backends().await;
    let dir = fresh_dir();
    let (tcp, unused) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let admin = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(dir.join("systemd.sock")).unwrap();
    let at = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
    let (address, admin_address, unused_address) = (at(&tcp), at(&admin), at(&unused));
    let top = format!(
        "listen: ['{address}', 'unix:{0}/systemd.sock', 'unix:{0}/proxy.sock']\nadmin: {{listen: '{admin_address}'}}\n",
        dir.display()
    );
    std::fs::write(dir.join("config.yaml"), config(&dir, (&sim, &hand), &top)).unwrap();
    // The socket is open before there is a process: whoever comes waits, and is answered.
    let mut early = Client::plain(&address).open("GET", "/healthz", b"").await;
    let sockets = vec![unix.into(), tcp.into(), unused.into(), admin.into()];
    let command = activated(
        &dir.join("config.yaml"),
        sockets,
        "llm-proxy.socket:llm-proxy.socket::admin",
        "$$",
    );
    let mut scene = Scene::launch(command, (sim, hand), &dir).await;
    within("the early one's answer", early.rest()).await.expect(200);
    early.leave();
    assert_eq!(scene.proxy.address(), address);
    assert_eq!(scene.proxy.admin(), admin_address);
    scene
        .proxy
        .logged(&format!("no `listen` names the socket at tcp://{unused_address}"))
        .await;
    for _ in 0..2 {
        scene.proxy.client().chat("m", false).await.expect(200);
        for file in ["systemd.sock", "proxy.sock"] {
            let answer = health_over(&dir.join(file)).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{file}: {answer}");
        }
        scene.upgrade().await;
    }
    // Its folder goes with the scene.
    let file = std::fs::metadata(dir.join("systemd.sock"));
    assert!(file.is_ok(), "systemd's own file is left to it");
    scene.finish().await;
}

/// The same by systemd itself: `systemd-socket-activate` is its own, opens the sockets, and becomes the program once
/// somebody comes. Where there is none, this says so and passes.
#[tokio::test]
async fn o04_systemds_own_activation_starts_the_program_for_the_first_who_comes() {
    if Command::new("systemd-socket-activate")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("skipped: there is no systemd-socket-activate here");
        return;
    }
    let (sim, hand) = backends().await;
    let (dir, admin) = (fresh_dir(), free_port());
    let socket = dir.join("systemd.sock");
    let top = format!(
        "listen: ['127.0.0.1:0', 'unix:{}']\nadmin: {{listen: '{admin}'}}\n",
        socket.display()
    );
    std::fs::write(dir.join("config.yaml"), config(&dir, (&sim, &hand), &top)).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command
        .arg(format!("--listen={}", socket.display()))
        .arg(format!("--listen={admin}"))
        .arg(env!("CARGO_BIN_EXE_llm-proxy"))
        .arg("--config")
        .arg(dir.join("config.yaml"));
    let comes = async {
        until("systemd to listen", async || {
            UnixStream::connect(&socket).await.ok()
        })
        .await
    };
    let (mut scene, first) = tokio::join!(Scene::launch(command, (sim, hand), &dir), comes);
    assert!(
        answer_on(first).await.starts_with("HTTP/1.1 200"),
        "whoever came first is answered"
    );
    assert_eq!(scene.proxy.admin(), admin);
    scene.proxy.client().chat("m", false).await.expect(200);
    // The next process has them from this one, and no longer from systemd.
    scene.upgrade().await;
    scene.proxy.client().chat("m", false).await.expect(200);
    assert!(health_over(&socket).await.starts_with("HTTP/1.1 200"));
    scene.finish().await;
}

#[tokio::test]
async fn o04_a_file_that_systemd_made_stays_when_the_program_ends() {
    let (sim, hand) = backends().await;
    let dir = fresh_dir();
    let elsewhere = fresh_dir();
    let path = elsewhere.join("systemd.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let top = format!(
        "listen: ['127.0.0.1:0', 'unix:{}']\nadmin: {{listen: '127.0.0.1:0'}}\n",
        path.display()
    );
    std::fs::write(dir.join("config.yaml"), config(&dir, (&sim, &hand), &top)).unwrap();
    let command = activated(&dir.join("config.yaml"), vec![unix.into()], "", "$$");
    let scene = Scene::launch(command, (sim, hand), &dir).await;
    assert!(health_over(&path).await.starts_with("HTTP/1.1 200"));
    scene.finish().await;
    assert!(path.exists());
    std::fs::remove_dir_all(elsewhere).unwrap();
}

#[tokio::test]
async fn o04_sockets_that_are_meant_for_another_process_are_left_alone() {
    let (sim, hand) = backends().await;
    let dir = fresh_dir();
    let theirs = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = theirs.local_addr().unwrap();
    std::fs::write(dir.join("config.yaml"), config(&dir, (&sim, &hand), "")).unwrap();
    let command = activated(&dir.join("config.yaml"), vec![theirs.into()], "", "1");
    let scene = Scene::launch(command, (sim, hand), &dir).await;
    assert_ne!(scene.proxy.address(), address.to_string());
    scene.proxy.client().chat("m", false).await.expect(200);
    let named = scene
        .proxy
        .log()
        .iter()
        .any(|line| line.contains(&address.to_string()));
    assert!(!named, "nothing is said of it");
    scene.finish().await;
}
