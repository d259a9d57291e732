//! What systemd is told where it asks (`Type=notify`).

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use llm_sim::{Sim, Speaks};

use super::scene::{Scene, config};
use crate::support::proxy::fresh_dir;
use crate::support::{Hand, PATIENCE};

/// The next word that systemd hears.
fn heard(systemd: &UnixDatagram) -> String {
    let mut word = [0; 256];
    let length = systemd.recv(&mut word).expect("a word for systemd");
    String::from_utf8(word[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn o04_systemd_is_told_of_readiness_reloads_the_next_process_and_the_end() {
    let (sim, hand) = (Sim::start(Speaks::All).await.unwrap(), Hand::start().await);
    let dir = fresh_dir();
    let systemd = UnixDatagram::bind(dir.join("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    std::fs::write(dir.join("config.yaml"), config(&dir, (&sim, &hand), "")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    command
        .arg("--config")
        .arg(dir.join("config.yaml"))
        .env("NOTIFY_SOCKET", dir.join("notify"));
    let mut scene = Scene::launch(command, (sim, hand), &dir).await;
    assert_eq!(heard(&systemd), "READY=1");
    scene.signal("-HUP");
    assert_eq!(heard(&systemd), "RELOADING=1");
    assert_eq!(heard(&systemd), "READY=1");
    scene.upgrade().await;
    assert_eq!(
        heard(&systemd),
        format!("MAINPID={}", scene.serving),
        "by the process that systemd believes"
    );
    scene.signal("-TERM");
    assert_eq!(heard(&systemd), "STOPPING=1");
    systemd.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(systemd.recv(&mut [0; 16]).is_err(), "and nothing else");
    scene.proxy.finish_ended().await;
}
