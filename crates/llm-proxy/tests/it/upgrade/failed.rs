//! A hand-over that comes to nothing changes nothing.

use std::net::TcpListener;
use std::process::Command;

use super::scene::{Scene, health_over};
use crate::support::{Client, until};

/// The process that was there serves as it did, by each of its addresses.
async fn serves_on(scene: &Scene) {
    scene.proxy.client().chat("m", false).await.expect(200);
    let answer = health_over(&scene.socket()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Client::plain(scene.proxy.address())
        .get("/readyz")
        .await
        .expect(200);
    assert_eq!(scene.proxy.status().await["phase"], "serving");
}

/// Waits for the line that says so, the `nth`.
async fn refused(scene: &Scene, nth: usize) -> String {
    until("the line about it", async || {
        let log = scene.proxy.log();
        let mut lines = log.iter().filter(|line| line.contains("no hand-over"));
        lines.nth(nth).cloned()
    })
    .await
}

#[tokio::test]
async fn o04_a_new_process_with_a_bad_config_leaves_the_old_one_serving_and_a_good_one_does_not() {
    let mut scene = Scene::start("").await;
    scene.rewrite("modles: {}\n");
    scene.signal("-USR2");
    let line = refused(&scene, 0).await;
    assert!(line.contains("the new program ended (exit status: 2)"), "{line}");
    assert!(line.contains("this program goes on"), "{line}");
    scene.proxy.logged("did you mean `models`?").await;
    serves_on(&scene).await;
    scene.rewrite("shutdown_grace: 1s\n");
    scene.upgrade().await;
    serves_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn o04_a_new_process_that_cannot_open_an_address_leaves_all_sockets_as_they_were() {
    let scene = Scene::start("").await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // It has taken the Unix socket by then, and must not take its file along.
    scene.rewrite(&format!(
        "listen: ['127.0.0.1:0', 'unix:{}', '{}']\nadmin: {{listen: '127.0.0.1:0'}}\n",
        scene.socket().display(),
        taken.local_addr().unwrap()
    ));
    scene.signal("-USR2");
    let line = refused(&scene, 0).await;
    assert!(line.contains("the new program ended (exit status: 1)"), "{line}");
    scene.proxy.logged("the address is in use").await;
    serves_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn o04_a_signal_to_end_that_comes_before_the_new_process_serves_ends_both() {
    let mut scene = Scene::start("").await;
    // A config that never comes: whoever opens it waits for somebody who writes.
    let config = scene.proxy.dir().join("config.yaml");
    std::fs::remove_file(&config).unwrap();
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    scene.signal("-USR2");
    until("the new process", async || {
        (scene.alive().len() == 2).then_some(())
    })
    .await;
    serves_on_meanwhile(&scene).await;
    scene.signal("-TERM");
    assert_eq!(scene.proxy.ended().await, Some(0));
    until("the end of both", async || scene.alive().is_empty().then_some(())).await;
    assert!(!scene.socket().exists(), "the old one's file goes with it");
    scene.proxy.finish_ended().await;
}

async fn serves_on_meanwhile(scene: &Scene) {
    scene.proxy.client().chat("m", false).await.expect(200);
}
