//! `llm-proxy top`: one frame for a pipe, and a live one in a terminal that is given back as it was.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use llm_sim::{Answer, Sim, Speaks};

use super::support::{Client, Proxy, until};

const KEY: &str = "sk-canary-admin-key";

/// A proxy whose admin listener wants a key, with a backend that is well and one whose key is refused.
async fn scene() -> (Sim, Sim, Proxy) {
    let (well, refused) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    well.always(Answer::healthy());
    refused.always(Answer::status(401));
    let yaml = format!(
        "listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, key: {KEY}}}
backends:
  - {{name: broken, protocol: openai, url: '{}', api_key: sk-canary-broken}}
  - {{name: sound, protocol: openai, url: '{}', api_key: sk-canary-sound}}
models: {{m: {{routes: [{{backend: broken, priority: 1}}, {{backend: sound, priority: 2}}]}}}}
",
        refused.url(),
        well.url()
    );
    let proxy = Proxy::start(&yaml).await;
    proxy.client().chat("m", false).await.expect(200);
    proxy.recorded(1).await;
    (well, refused, proxy)
}

/// `llm-proxy top` for this proxy, with more arguments.
fn top(proxy: &Proxy, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    let config = proxy.dir().join("config.yaml");
    command
        .arg("top")
        .args(["--admin", &format!("http://{}", proxy.admin())]);
    command.arg("-c").arg(config).args(more).stdin(Stdio::null());
    command
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!format!("{out}{err}").contains("sk-canary"), "{out}{err}");
    (output.status.code(), out, err)
}

/// The proxy, whose admin listener the usual end of a test cannot ask.
async fn ended(mut proxy: Proxy) {
    proxy.signal("-TERM");
    proxy.ended().await;
    proxy.finish_ended().await;
}

#[tokio::test]
async fn once_prints_one_plain_frame_and_says_what_is_wrong_with_whom() {
    let (_well, _refused, proxy) = scene().await;
    for more in [&["--once"][..], &[]] {
        let (code, out, err) = said(top(&proxy, more).output().unwrap());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(!out.contains('\u{1b}'), "no colours for a pipe: {out:?}");
        for words in [
            "broken cools, 1 of 2 backends are well.",
            "the key is refused (broken#1), ",
            "broken auth → sound",
            "100 %",
        ] {
            assert!(out.contains(words), "no {words:?} in {out}");
        }
    }
    ended(proxy).await;
}

#[tokio::test]
async fn who_may_not_ask_or_has_nobody_to_ask_is_told_in_one_sentence() {
    let (_well, _refused, proxy) = scene().await;
    let url = format!("http://{}", proxy.admin());
    let run = |args: &[&str], key: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
        command
            .arg("top")
            .args(args)
            .env("ADMIN_KEY", key)
            .current_dir("/");
        said(command.stdin(Stdio::null()).output().unwrap())
    };
    let missing = ["-c", "/nowhere.yaml", "--once"];
    let by_url = [&["--admin", &url][..], &missing].concat();
    let wrong = run(&by_url, "another-key");
    assert_eq!(
        (wrong.0, wrong.2.contains("the admin key is not the right one")),
        (Some(1), true),
        "{wrong:?}"
    );
    let none = run(&by_url, "");
    assert_eq!(
        (none.0, none.2.contains("it wants a key")),
        (Some(1), true),
        "{none:?}"
    );
    assert_eq!(
        run(&by_url, KEY).0,
        Some(0),
        "without a config the key is that of the environment"
    );
    let config = run(&missing, KEY);
    assert_eq!(
        (config.0, config.2.contains("cannot read the config")),
        (Some(2), true),
        "{config:?}"
    );
    let nonsense = run(&["--admin", "ftp://x", "--once"], KEY);
    assert_eq!(
        (nonsense.0, nonsense.2.contains("no address of an admin listener")),
        (Some(2), true),
        "{nonsense:?}"
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let nobody = run(&["--admin", &nobody, "--once"], KEY);
    assert_eq!(
        (nobody.0, nobody.2.contains("no answer of")),
        (Some(1), true),
        "{nobody:?}"
    );
    ended(proxy).await;
}

/// A terminal with a command in it, which ends with its test. Its settings are told before and behind the command.
struct Terminal {
    script: Child,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn open(command: &Command) -> Self {
        let words = format!(
            "stty cols 120 rows 40; stty -a; echo begin; {command:?}; echo code=$?; stty -a; echo end"
        );
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &words, "/dev/null"])
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown: Arc<Mutex<String>> = Arc::default();
        let mut out = script.stdout.take().unwrap();
        let screen = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = out.read(&mut bytes) {
                screen
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Self { script, shown }
    }

    /// Waits for these words.
    async fn seen(&self, words: &str) {
        until(words, async || self.shown().contains(words).then_some(())).await;
    }

    /// All that was written so far.
    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn press(&mut self, key: &[u8]) {
        self.script.stdin.as_mut().unwrap().write_all(key).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// The terminal is as it was: its page, its cursor, its settings.
fn given_back(shown: &str) {
    let (_, page) = shown.split_once("\x1b[?1049h").expect("a page of its own");
    let (page, after) = page.split_once("\x1b[?1049l").expect("which is left at the end");
    assert!(
        !page.contains("\x1b[2J"),
        "nothing is cleared, so nothing flickers"
    );
    assert!(
        page.contains("\x1b[?25l") && page.contains("\x1b[?25h"),
        "the cursor comes back"
    );
    let (before, _) = shown.split_once("begin").unwrap();
    for word in ["icanon", "echo", "isig", "opost"] {
        for text in [before, after] {
            assert!(text.split_whitespace().any(|own| own == word), "{word}: {text}");
        }
    }
}

/// What is on it, live; a change; the loss of the proxy; and a terminal as it was.
#[tokio::test]
async fn in_a_terminal_it_is_refreshed_in_place_and_gives_the_terminal_back() {
    let (_well, _refused, mut proxy) = scene().await;
    let mut terminal = Terminal::open(&top(&proxy, &[]));
    terminal.seen("broken cools, 1 of 2 backends are well.").await;
    terminal.seen("\x1b[31mcooling").await;
    let admin = Client::plain(proxy.admin()).header("authorization", &format!("Bearer {KEY}"));
    admin
        .send("POST", "/api/backends/broken/reset", b"")
        .await
        .expect(200);
    terminal.seen("All 2 backends are well.").await;
    proxy.signal("-KILL");
    proxy.ended().await;
    terminal.seen("No answer: ").await;
    terminal.seen(" What follows is ").await;
    terminal.press(b"q");
    terminal.seen("code=0").await;
    terminal.seen("end\r\n").await;
    given_back(&terminal.shown());
    proxy.finish_ended().await;
}
