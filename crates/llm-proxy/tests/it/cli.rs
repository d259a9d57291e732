//! The command line from outside (contract, section 1): what each command prints, where, and its exit code.

use std::fmt::Write;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::support::proxy::fresh_dir;
use super::support::{Client, Proxy, until};

const LEAST: &str =
    "backends: [{name: a, protocol: openai, url: 'http://a.example', api_key: sk-canary-backend-a}]
models: {m: {backend: a, model: real}}
";

/// A folder of its own, removed at the end.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        Self(fresh_dir())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it that its owner alone can read: `check` warns about others that hold secrets.
    pub fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        self
    }

    /// The program with this folder as its own, and nothing of our environment that it reads.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
        command
            .args(args)
            .current_dir(&self.0)
            .env_clear()
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_is_everywhere_and_goes_to_standard_output() {
    let folder = Folder::new();
    for command in ["", "serve", "demo", "check", "explain", "init", "schema", "sim"] {
        let mut args = vec![command, "--help"];
        args.retain(|arg| !arg.is_empty());
        let output = folder.run(&args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(out(&output).contains("Usage: llm-proxy"), "{}", out(&output));
        assert_eq!(err(&output), "", "{args:?}");
    }
}

#[test]
fn the_version_says_version_commit_and_build_profile() {
    let output = Folder::new().run(&["--version"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains(env!("CARGO_PKG_VERSION")), "{text}");
    assert!(text.contains("commit "), "{text}");
    assert!(
        text.contains("debug build") || text.contains("release build"),
        "{text}"
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_so_on_standard_error() {
    let folder = Folder::new().with("config.yaml", LEAST);
    for args in [
        &["--nonsense"][..],
        &["nonsense"],
        &["explain"],
        &["demo", "--port", "many"],
        &["sim", "--listen", "nowhere"],
        &["explain", "--model", "m", "--dialect", "esperanto"],
        &["explain", "--model", "m", "--key", "nobody"],
    ] {
        let output = folder.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(out(&output), "", "{args:?}");
        assert_ne!(err(&output), "", "{args:?}");
    }
}

#[test]
fn k01_check_tells_every_error_at_once_each_with_its_place_and_exits_with_2() {
    let bad =
        format!("{LEAST}lisen: x\nwatch: maybe\ntimeout: {{idle: soon}}\ncluster: {{redis: 'redis://x'}}\n");
    let folder = Folder::new().with("config.yaml", &bad);
    let output = folder.run(&["check"]);
    let text = err(&output);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(out(&output), "");
    assert!(
        text.starts_with("config.yaml has 3 errors and 1 warning."),
        "{text}"
    );
    for words in [
        "config.yaml:3:1",
        "unknown key `lisen`",
        "did you mean `listen`?",
        "config.yaml:4:8",
        "watch: maybe",
        "config.yaml:5:17",
        "config.yaml:6:1",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains("sk-canary-"), "G2: {text}");
}

#[test]
fn check_of_a_good_file_says_what_it_holds_and_exits_with_0() {
    let folder = Folder::new()
        .with("config.yaml", LEAST)
        .with("other.yaml", &format!("{LEAST}cluster: {{redis: 'redis://x'}}\n"));
    let good = folder.run(&["check"]);
    assert_eq!((good.status.code(), err(&good).as_str()), (Some(0), ""));
    assert!(
        out(&good).contains("config.yaml is valid: 1 backend, 1 alias"),
        "{}",
        out(&good)
    );
    let warned = folder.run(&["check", "-c", "other.yaml"]);
    assert_eq!(warned.status.code(), Some(0), "a warning is no failure");
    assert!(err(&warned).starts_with("warning: "), "{}", err(&warned));
    let missing = folder.run(&["check", "-c", "nowhere.yaml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(err(&missing).contains("nowhere.yaml"), "{}", err(&missing));
}

#[test]
fn k09_a_variable_that_is_not_set_is_an_error_at_its_line() {
    let folder = Folder::new().with(
        "config.yaml",
        &LEAST.replace("sk-canary-backend-a", "'${NOT_SET}'"),
    );
    let output = folder.run(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("NOT_SET"), "{}", err(&output));
    assert!(err(&output).contains("config.yaml:1:"), "{}", err(&output));
    let set = folder
        .command(&["check"])
        .env("NOT_SET", "sk-canary-set")
        .output()
        .unwrap();
    assert_eq!(set.status.code(), Some(0), "{}", err(&set));
}

#[test]
fn k10_yaml_bombs_huge_files_tabs_and_duplicate_keys_are_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let refs = vec![format!("*a{}", n - 1); 9].join(", ");
        writeln!(bomb, "a{n}: &a{n} [{refs}]").unwrap();
    }
    let huge = format!("{LEAST}# {}\n", "x".repeat(100 << 20));
    for (what, yaml) in [
        ("aliases of aliases", format!("{bomb}{LEAST}")),
        ("100 MB", huge),
        ("tabs", format!("{LEAST}timeout:\n\tidle: 1s\n")),
        ("a key twice", format!("{LEAST}watch: true\nwatch: false\n")),
    ] {
        let folder = Folder::new().with("config.yaml", &yaml);
        let output = folder.run(&["check"]);
        assert_eq!(output.status.code(), Some(2), "{what}");
        assert!(
            err(&output).starts_with("config.yaml has "),
            "{what}: {}",
            err(&output)
        );
        assert!(err(&output).len() < 100_000, "{what}: the report is short");
    }
}

#[test]
fn explain_prints_the_candidates_in_order_and_why_without_a_secret() {
    let yaml = "api_keys:
  - {name: all, key: sk-canary-client-all}
  - {name: few, key: sk-canary-client-few, models: [other]}
backends:
  - {name: first, protocol: openai, url: 'http://a.example', api_key: sk-canary-backend-a}
  - {name: second, protocol: openai, url: 'http://b.example', api_keys: [sk-canary-backend-b]}
models:
  m:
    routes:
      - {backend: second, model: real-2, priority: 2, context: 200000, max_tokens: 8192, lacks: [vision, tools]}
      - {backend: first, model: real-1, priority: 1}
  other: {backend: first}
  off: {backend: first, enabled: false}
";
    let folder = Folder::new().with("config.yaml", yaml);
    let explain = |args: &[&str]| folder.run(&[&["explain"], args].concat());
    let priced = Folder::new()
        .with("config.yaml", &yaml.replace("real-1", "gpt-5-2025-08-07"))
        .run(&["explain", "--model", "m", "--key", "all"]);
    let priced = out(&priced);
    assert!(
        priced.contains("price: $1.25 in, $0.125 cached, $10 out a million tokens (OpenAI, 20"),
        "{priced}"
    );
    assert_eq!(priced.matches("price: unknown").count(), 1, "{priced}");
    let plan = explain(&["--model", "m", "--key", "all", "--dialect", "chat"]);
    let text = out(&plan);
    assert_eq!(plan.status.code(), Some(0), "{}", err(&plan));
    let at = |words: &str| {
        text.find(words)
            .unwrap_or_else(|| panic!("no {words:?} in {text}"))
    };
    assert!(at("1. first") < at("2. second"), "{text}");
    at("model `real-1`");
    at("priority 2, weight 1, context 200000, answers up to 8192 tokens, without vision, tools");
    at("passed over is what cannot hold the request");
    for rule in [
        "surely longer than `context`",
        "than `max_tokens`",
        "what is in `lacks`",
    ] {
        at(rule);
    }
    let unbounded = out(&explain(&["--model", "other", "--key", "all"]));
    assert!(!unbounded.contains("passed over"), "{unbounded}");
    for (args, says) in [
        (["--model", "m", "--key", "few"], "403"),
        (["--model", "off", "--key", "all"], "404"),
        (["--model", "nothing", "--key", "all"], "404"),
    ] {
        let output = explain(&args);
        let all = out(&output) + &err(&output);
        assert!(all.contains(says), "{args:?}: {all}");
    }
    assert!(!text.contains("sk-canary-"), "G2: {text}");
}

#[test]
fn explain_says_whether_a_conversation_stays_and_by_what_it_is_known() {
    let yaml = "backends:
  - {name: a, protocol: openai, url: 'http://a.example', api_keys: [sk-canary-one, sk-canary-two]}
  - {name: b, protocol: openai, url: 'http://b.example'}
models:
  keys: {backend: a}
  routes: {routes: [{backend: b}, {backend: b, model: other}]}
  chain: {backend: b, fallback: [keys]}
  single: {backend: b}
  apart: {backend: a, affinity: off}
";
    let folder = Folder::new().with("config.yaml", yaml);
    for (model, says) in [
        (
            "keys",
            "affinity: a conversation goes first to the backend and key that answered it last",
        ),
        ("routes", "`prompt_cache_key`"),
        ("chain", "within one API key"),
        ("single", "affinity: there is nothing to choose from"),
        ("apart", "affinity: off"),
    ] {
        let text = out(&folder.run(&["explain", "--model", model]));
        assert!(text.contains(says), "{model}: {text}");
        assert_eq!(text.matches("affinity: ").count(), 1, "{text}");
    }
}

#[test]
fn init_writes_a_config_that_checks_and_never_overwrites_one() {
    let folder = Folder::new();
    let init = |key: &str| {
        let mut command = folder.command(&["init"]);
        command.env("OPENAI_API_KEY", key).output().unwrap()
    };
    let first = init("sk-canary-provider");
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    let path = folder.0.join("config.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("${OPENAI_API_KEY}"), "{text}");
    assert!(!text.contains("sk-canary-"), "the key itself stays out");
    let mut check = folder.command(&["check"]);
    let checked = check
        .env("OPENAI_API_KEY", "sk-canary-provider")
        .output()
        .unwrap();
    assert_eq!(
        (checked.status.code(), err(&checked).as_str()),
        (Some(0), ""),
        "{}",
        out(&checked)
    );
    let second = init("sk-canary-another");
    assert_eq!(second.status.code(), Some(1));
    assert!(err(&second).contains("already there"), "{}", err(&second));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn the_schema_is_the_one_that_the_repository_ships() {
    let output = Folder::new().run(&["schema"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/config.schema.json");
    assert_eq!(out(&output), std::fs::read_to_string(shipped).unwrap());
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(schema["properties"]["backends"].is_object());
}

#[test]
fn serve_refuses_a_bad_config_with_2_and_a_taken_port_with_1_in_one_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new()
        .with("bad.yaml", "listen: 127.0.0.1:0\nmodels: {}\n")
        .with(
            "taken.yaml",
            &format!("listen: {address}\nadmin: {{listen: 'off'}}\n{LEAST}"),
        )
        .with(
            "admin.yaml",
            &format!("listen: 127.0.0.1:0\nadmin: {{listen: '{address}'}}\n{LEAST}"),
        );
    for args in [&["-c", "bad.yaml"][..], &["serve", "-c", "nowhere.yaml"]] {
        let output = folder.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
    }
    for config in ["taken.yaml", "admin.yaml"] {
        let output = folder.run(&["-c", config]);
        assert_eq!(output.status.code(), Some(1), "{config}");
        let text = err(&output);
        assert_eq!(
            text.trim(),
            format!(
                "cannot listen on tcp://{address}: the address is in use; stop the other program or choose another port"
            )
        );
    }
}

#[tokio::test]
async fn serve_finds_its_config_by_argument_by_variable_and_by_habit() {
    let folder = Folder::new();
    let yaml = |alias: &str| {
        let least = LEAST.replace("models: {m:", &format!("models: {{{alias}:"));
        format!("listen: 127.0.0.1:0\nadmin: {{listen: 127.0.0.1:0}}\n{least}")
    };
    let folder = folder
        .with("config.yaml", &yaml("by-habit"))
        .with("variable.yaml", &yaml("by-variable"))
        .with("argument.yaml", &yaml("by-argument"));
    let cases: [(&[&str], &str, &str); 5] = [
        (&[], "", "by-habit"),
        (&["serve"], "", "by-habit"),
        (&[], "variable.yaml", "by-variable"),
        (&["-c", "argument.yaml"], "variable.yaml", "by-argument"),
        (
            &["serve", "--config", "argument.yaml"],
            "variable.yaml",
            "by-argument",
        ),
    ];
    for (args, variable, alias) in cases {
        let mut command = folder.command(args);
        command.env("LLM_PROXY_CONFIG", variable);
        let proxy = Proxy::launch(command, fresh_dir()).await;
        let models = proxy.client().get("/v1/models").await.expect(200).json();
        assert_eq!(models["data"][0]["id"], alias, "{args:?}");
        proxy.finish().await;
    }
}

/// Two neighbouring ports that nobody uses now.
fn two_free_ports() -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..1000)
        .find_map(|_| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            drop(listener);
            (port < u16::MAX && free(port) && free(port + 1)).then_some(port)
        })
        .expect("two free ports")
}

#[tokio::test]
async fn demo_answers_although_one_of_its_backends_is_broken_and_ends_with_0() {
    let folder = Folder::new();
    let port = two_free_ports();
    let mut command = folder.command(&["demo", "--port", &port.to_string()]);
    let printed = folder.0.join("printed");
    let stdout = std::fs::File::create(&printed).unwrap();
    let mut child = command.stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
    let text = until("the demo to welcome", async || {
        Some(std::fs::read_to_string(&printed).unwrap()).filter(|text| text.contains("Ctrl-C"))
    })
    .await;
    let address = format!("127.0.0.1:{port}");
    for line in [
        "curl -N",
        "python3 -c",
        "ANTHROPIC_BASE_URL=",
        &address,
        &format!("dashboard  http://127.0.0.1:{}/", port + 1),
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    let client = Client::plain(&address);
    let chat = client.chat("demo", false).await.expect(200);
    assert_eq!(chat.header("x-llm-proxy-backend"), "openai");
    let streamed = client.messages("claude-anything", true).await.expect(200);
    assert!(streamed.text().contains("message_stop"));
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let status = until("the demo to end", async || child.try_wait().unwrap()).await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn sim_says_where_it_listens_and_a_taken_port_ends_it_with_1() {
    let folder = Folder::new();
    let printed = folder.0.join("printed");
    let stdout = std::fs::File::create(&printed).unwrap();
    let mut child = folder
        .command(&["sim", "--listen", "127.0.0.1:0"])
        .stdout(stdout)
        .spawn()
        .unwrap();
    let address = until("the backends to say where they are", async || {
        let text = std::fs::read_to_string(&printed).unwrap();
        let (_, rest) = text.split_once("http://")?;
        Some(rest.split_once(' ')?.0.to_owned())
    })
    .await;
    let client = Client::plain(&address).header("authorization", "Bearer any");
    client.chat("sim-small", false).await.expect(200);
    let second = folder.run(&["sim", "--listen", &address]);
    assert_eq!((second.status.code(), out(&second).as_str()), (Some(1), ""));
    assert!(
        err(&second).starts_with(&format!("cannot simulate on {address}: ")),
        "{}",
        err(&second)
    );
    child.kill().unwrap();
    child.wait().unwrap();
}
