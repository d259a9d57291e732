//! Log files (O05 of the rule book): every line once, in files that nobody else may read, however they are rotated.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flate2::read::GzDecoder;
use llm_sim::{Answer, Sim, Speaks};
use serde_json::Value;

use super::super::support::proxy::fresh_dir;
use super::super::support::{Proxy, until};
use super::config;

const DAY: Duration = Duration::from_hours(24);

async fn sim() -> Sim {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(Answer::healthy());
    sim
}

/// The config, with these settings of the log file.
fn logging(sim: &Sim, file: &str) -> String {
    format!("logging: {{file: {{dir: logs, {file}}}}}\n{}", config(sim))
}

fn logs(proxy: &Proxy) -> PathBuf {
    proxy.dir().join("logs")
}

/// The names of the files in a folder, in order.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

/// A file's text, compressed or not.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    if path.extension().is_none_or(|ending| ending != "gz") {
        return String::from_utf8(bytes).unwrap();
    }
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// How often each request is in the files of a folder. Each line is a JSON object.
fn requests(dir: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for name in names(dir).iter().filter(|name| !name.contains(".part")) {
        for line in text(&dir.join(name)).lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{name}: {line:?}"));
            if line["msg"] == "request" {
                *found
                    .entry(line["request_id"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
        }
    }
    found
}

/// Sends requests `r-from` to `r-to`.
async fn send(proxy: &Proxy, from: usize, to: usize) {
    for n in from..to {
        let client = proxy.client().header("x-request-id", &format!("r-{n}"));
        client.chat("m", false).await.expect(200);
    }
}

/// Waits until `count` requests are in the files, each of them once.
async fn all_once(dir: &Path, count: usize) {
    let found = until("every request in the files", async || {
        Some(requests(dir)).filter(|found| found.len() >= count)
    })
    .await;
    let doubled: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(doubled, [], "each line once");
    assert_eq!(found.len(), count);
}

#[tokio::test]
async fn o05_every_line_is_in_the_file_as_json_and_only_its_owner_may_read_it() {
    let sim = sim().await;
    let yaml = logging(&sim, "rotate: never").replace("{file", "{format: pretty, file");
    let proxy = Proxy::start(&yaml).await;
    send(&proxy, 0, 5).await;
    all_once(&logs(&proxy), 5).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&logs(&proxy)), 0o700);
    assert_eq!(mode(&logs(&proxy).join("llm-proxy.log")), 0o600);
    let told = text(&logs(&proxy).join("llm-proxy.log"));
    assert!(
        told.contains("\"msg\":\"serving on"),
        "more than access lines: {told}"
    );
    assert!(proxy.records().is_empty(), "standard error is for eyes");
    let line = proxy.logged("r-4").await;
    for part in ["200", "chat", "m", "a real", "first byte", "ms", "tokens"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[tokio::test]
async fn o05_rotation_by_size_loses_and_doubles_no_line() {
    let sim = sim().await;
    let proxy = Proxy::start(&logging(&sim, "max_size: 3KiB, max_files: 1000, compress: false")).await;
    send(&proxy, 0, 60).await;
    let dir = logs(&proxy);
    all_once(&dir, 60).await;
    let names = names(&dir);
    assert!(names.len() >= 10, "{names:?}");
    for name in &names {
        let size = fs::metadata(dir.join(name)).unwrap().len();
        assert!(size <= 3 * 1024, "{name} has {size} bytes");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn o05_old_files_are_compressed_and_the_oldest_removed() {
    let sim = sim().await;
    let proxy = Proxy::start(&logging(&sim, "max_size: 3KiB, max_files: 3")).await;
    let dir = logs(&proxy);
    fs::write(dir.join("llm-proxy.notes.log"), "{}\n").unwrap();
    send(&proxy, 0, 60).await;
    proxy.recorded(60).await;
    // What the last rotation left is tidied by the next.
    let old = until("three compressed files", async || {
        send_one(&proxy).await;
        let old: Vec<String> = names(&dir)
            .into_iter()
            .filter(|name| name.contains(".20"))
            .collect();
        (old.len() == 3 && old.iter().all(|name| name.ends_with(".log.gz"))).then_some(old)
    })
    .await;
    let mode = fs::metadata(dir.join(&old[0])).map(|about| about.permissions().mode() & 0o777);
    assert!(
        mode.is_err() || mode.is_ok_and(|mode| mode == 0o600),
        "as the file was"
    );
    assert!(
        names(&dir).contains(&"llm-proxy.notes.log".to_owned()),
        "not ours to remove"
    );
    requests(&dir);
    proxy.finish().await;
}

async fn send_one(proxy: &Proxy) {
    proxy.client().chat("m", false).await.expect(200);
}

#[tokio::test]
async fn o05_a_file_of_yesterday_is_left_behind_under_the_time_of_its_last_line() {
    let sim = sim().await;
    let dir = fresh_dir();
    let logs = dir.join("logs");
    fs::create_dir(&logs).unwrap();
    let file = File::create(logs.join("llm-proxy.log")).unwrap();
    fs::write(logs.join("llm-proxy.log"), "{\"msg\":\"old\"}\n").unwrap();
    let last = file.metadata().unwrap().modified().unwrap() - DAY;
    file.set_modified(last).unwrap();
    drop(file);
    let config = dir.join("config.yaml");
    let yaml = logging(&sim, "rotate: daily");
    fs::write(
        &config,
        format!("listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{yaml}"),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    command.arg("--config").arg(config);
    let proxy = Proxy::launch(command, dir).await;
    let old = until("yesterday's file, compressed", async || {
        names(&logs).into_iter().find(|name| name.ends_with(".log.gz"))
    })
    .await;
    let day = jiff::Timestamp::try_from(last).unwrap().to_string();
    assert!(old.starts_with(&format!("llm-proxy.{}", &day[..13])), "{old}");
    assert_eq!(text(&logs.join(old)), "{\"msg\":\"old\"}\n");
    send(&proxy, 0, 2).await;
    all_once(&logs, 2).await;
    proxy.finish().await;
}

#[tokio::test]
async fn o05_logrotate_moves_the_file_away_under_load_and_no_line_is_lost_or_doubled() {
    let sim = sim().await;
    let proxy = Proxy::start(&logging(&sim, "rotate: never")).await;
    let dir = logs(&proxy);
    let traffic = send(&proxy, 0, 200);
    let rotation = async {
        for n in 0..10 {
            // Moved only once it is there again: so logrotate finds it.
            let current = dir.join("llm-proxy.log");
            until("the file at its place", async || current.exists().then_some(())).await;
            fs::rename(current, dir.join(format!("llm-proxy.log.{n}"))).unwrap();
            proxy.signal("-HUP");
        }
    };
    tokio::join!(traffic, rotation);
    all_once(&dir, 200).await;
    assert!(names(&dir).len() >= 10);
    proxy.finish().await;
}

#[tokio::test]
async fn o05_a_reload_begins_ends_and_moves_the_file() {
    let sim = sim().await;
    let proxy = Proxy::start(&config(&sim)).await;
    send(&proxy, 0, 1).await;
    proxy.reload(&logging(&sim, "rotate: never")).await;
    send(&proxy, 1, 3).await;
    all_once(&logs(&proxy), 2).await;
    proxy
        .reload(&logging(&sim, "rotate: never").replace("logs", "elsewhere"))
        .await;
    send(&proxy, 3, 4).await;
    all_once(&proxy.dir().join("elsewhere"), 1).await;
    proxy.reload(&config(&sim)).await;
    send(&proxy, 4, 5).await;
    proxy.recorded(5).await;
    assert_eq!(requests(&logs(&proxy)).len(), 2);
    assert_eq!(requests(&proxy.dir().join("elsewhere")).len(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn l22_a_log_folder_that_cannot_be_made_holds_no_request_and_is_said_once() {
    let sim = sim().await;
    let dir = fresh_dir();
    fs::write(dir.join("logs"), "no folder").unwrap();
    let config = dir.join("config.yaml");
    let yaml = logging(&sim, "rotate: never");
    fs::write(
        &config,
        format!("listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{yaml}"),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    command.arg("--config").arg(config);
    let proxy = Proxy::launch(command, dir).await;
    send(&proxy, 0, 20).await;
    proxy.logged("cannot be written").await;
    let told = proxy
        .log()
        .iter()
        .filter(|line| line.contains("cannot be written"))
        .count();
    assert_eq!(told, 1);
    let logs = logs(&proxy);
    fs::remove_file(&logs).unwrap();
    send(&proxy, 20, 21).await;
    until("what was lost is said, and the next line is there", async || {
        let text = text(&logs.join("llm-proxy.log"));
        let is_told = text.lines().any(|line| line.contains("\"lines\":"));
        (is_told && text.contains("r-20")).then_some(())
    })
    .await;
    proxy.finish().await;
}

/// The kernel lets no file grow above this: a disk that fills up within a line.
#[tokio::test]
async fn l22_a_disk_that_is_full_within_a_line_loses_whole_lines_and_counts_them() {
    let sim = sim().await;
    let dir = fresh_dir();
    let config = dir.join("config.yaml");
    let yaml = logging(&sim, "rotate: never");
    fs::write(
        &config,
        format!("listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{yaml}"),
    )
    .unwrap();
    let mut command = Command::new("bash");
    command
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 8; exec \"$0\" --config \"$1\"");
    command.arg(env!("CARGO_BIN_EXE_llm-proxy")).arg(config);
    let proxy = Proxy::launch(command, dir).await;
    let logs = logs(&proxy);
    // Half as much again as there is room for: what is still waiting when the file is moved away fits into the next one.
    send(&proxy, 0, 24).await;
    proxy.logged("cannot be written").await;
    let first = text(&logs.join("llm-proxy.log"));
    assert_eq!(first.len(), 8 * 1024, "full to the last byte");
    fs::rename(logs.join("llm-proxy.log"), proxy.dir().join("full.log")).unwrap();
    proxy.signal("-HUP");
    // Lines are written at once: what came before the file is opened anew would be lost as well, and nobody told.
    proxy.logged("generation 2 is in force").await;
    send(&proxy, 24, 25).await;
    let second = until("what was lost is said", async || {
        let text = text(&logs.join("llm-proxy.log"));
        (text.contains("\"lines\":") && text.contains("r-24")).then_some(text)
    })
    .await;
    let lines: Vec<Value> = second
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lost: u64 = lines.iter().filter_map(|line| line["lines"].as_u64()).sum();
    let whole = first.lines().filter(|line| line.ends_with('}')).count() as u64;
    let kept = whole + lines.iter().filter(|line| line["lines"].is_null()).count() as u64;
    // The two outlets have threads of their own.
    proxy.recorded(25).await;
    let said = proxy.log().len() as u64;
    assert_eq!(kept + lost, said, "each line is in a file, or counted");
    proxy.finish().await;
}
