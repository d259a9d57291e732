//! What the program refuses to start with, and that no secret is shown while it says so (A18 and A20 of the rule book).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use llm_sim::{Answer, Sim, Speaks};

use super::support::proxy::fresh_dir;
use super::support::{Client, Proxy};

/// A config in a folder of its own, removed at the end.
struct File(PathBuf);

impl File {
    fn new(yaml: &str) -> Self {
        let dir = fresh_dir();
        let path = dir.join("config.yaml");
        std::fs::write(&path, yaml).unwrap();
        std::fs::write(dir.join("secret"), "sk-canary-from-a-file\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Self(dir)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
        let command = command.args(args).current_dir(&self.0).env_clear();
        command.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All that a command has written.
fn written(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(both).unwrap()
}

/// `check` and `serve` refuse the config, with these words, and show nothing of a key.
fn refused(yaml: &str, words: &str) {
    let file = File::new(yaml);
    for command in ["check", "serve"] {
        let output = file.run(&[command]);
        let text = written(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {yaml}{text}");
        assert!(output.stdout.is_empty(), "{command}: errors go to standard error");
        assert!(text.contains(words), "{command}: no {words:?} in {text}");
        assert!(!text.contains("sk-canary"), "{command}: {text}");
    }
}

const MODELS: &str = "models: {m: {backend: a}}\n";

#[test]
fn a18_nobody_serves_the_world_without_a_key_worth_the_name() {
    let backend = "backends: {name: a, protocol: openai, url: 'http://a.example'}\n";
    let no_keys = "`api_keys` must not be empty";
    let guessed = "the key is one that anybody would guess";
    let key = "{name: a, key: sk-canary-client-key}";
    let hash = "key_sha256: f87c15dfb09d07e3b3bd6ad3fa1b1c7d2e1c1ad63a8b87efbc0b0ad8b1c0e7c4";
    for (top, words) in [
        ("listen: 0.0.0.0:0", no_keys),
        ("listen: 0.0.0.0:0\napi_keys: []", no_keys),
        ("listen: '[::]:0'", no_keys),
        ("listen: [127.0.0.1:0, 192.0.2.1:80]", no_keys),
        ("listen: '[::ffff:10.0.0.1]:80'", no_keys),
        ("admin: {listen: 0.0.0.0:0}", "`admin.key` must not be empty"),
        (
            "admin: {listen: 0.0.0.0:0, key: ''}",
            "`admin.key` must not be empty",
        ),
        (
            "api_keys: {name: a, key: changeme}",
            "the key has 8 characters; it needs at least 16",
        ),
        ("api_keys: {name: a, key: ''}", "the key has 0 characters"),
        (
            "api_keys: {name: a, key: '${UNSET:-}'}",
            "the key has 0 characters",
        ),
        ("api_keys: {name: a, key: changeme-changeme-changeme}", guessed),
        ("api_keys: {name: a, key: aaaaaaaaaaaaaaaaaaaa}", guessed),
        ("api_keys: {name: a, key: sk-your-api-key-here}", guessed),
        ("api_keys: {name: a}", "neither `key` nor `key_sha256`"),
        (
            &format!("api_keys: [{key}, {}]", key.replace("name: a", "name: b")),
            "the same key is on line",
        ),
        (
            &format!("api_keys: [{key}, {}]", key.replace("-key}", "-two}")),
            "the name `a` is on line",
        ),
        (
            &format!("api_keys: [{{name: a, {hash}}}, {{name: b, {hash}}}]"),
            "the same key is on line",
        ),
        (
            &format!("api_keys: [{key}, {{name: b, key: sk-canary-client-key, enabled: false}}]"),
            "the same key is on line",
        ),
    ] {
        refused(&format!("{top}\n{backend}{MODELS}"), words);
    }
}

#[test]
fn a18_no_backend_is_a_file_a_password_or_a_cloud_that_hands_out_credentials() {
    let scheme = "must begin with `http://` or `https://`";
    let metadata = "`url` is a cloud metadata address";
    for (url, words) in [
        ("file:///etc/passwd", scheme),
        ("FILE:///etc/passwd", scheme),
        ("gopher://a.example", scheme),
        ("a.example", scheme),
        (
            "http://sk-canary-user:sk-canary-password@a.example",
            "must not hold a user name or a password",
        ),
        (
            "http://sk-canary-user@169.254.169.254",
            "must not hold a user name or a password",
        ),
        ("http://169.254.169.254", metadata),
        ("http://169.254.169.254./latest", metadata),
        ("http://169.254.169.254:80", metadata),
        ("http://2852039166", metadata),
        ("http://0xa9fea9fe", metadata),
        ("http://0xA9.0xFE.0xA9.0xFE", metadata),
        ("http://0251.0376.0251.0376", metadata),
        ("http://169.254.43518", metadata),
        ("http://[::ffff:169.254.169.254]", metadata),
        ("http://[::ffff:a9fe:a9fe]", metadata),
        ("http://[64:ff9b::a9fe:a9fe]", metadata),
        ("http://[fd00:ec2::254]", metadata),
        ("http://metadata.google.internal", metadata),
        ("http://METADATA.google.internal./", metadata),
        ("http://100.100.100.200", metadata),
        ("http://169.254.169.254%2f", "is not a valid URL"),
        ("http://１６９.254.169.254", "is not a valid URL"),
    ] {
        refused(
            &format!("backends: {{name: a, protocol: openai, url: '{url}'}}\n{MODELS}"),
            words,
        );
    }
}

#[test]
fn a18_what_is_meant_can_be_said() {
    for backend in [
        "{name: a, protocol: openai, url: 'http://169.254.169.254', allow_metadata: true}",
        "{name: a, protocol: openai, url: 'http://localhost.:11434/v1'}",
    ] {
        let file = File::new(&format!("backends: {backend}\n{MODELS}"));
        let output = file.run(&["check"]);
        assert_eq!(output.status.code(), Some(0), "{}", written(&output));
    }
}

/// A secret in each place that can hold one.
fn full_of_secrets(url: &str) -> String {
    format!(
        "api_keys:
  - {{name: one, key: sk-canary-client-one}}
  - {{name: two, key: sk-canary-client-two, enabled: false}}
backends:
  - name: a
    protocol: openai
    url: {url}
    api_keys: [sk-canary-backend-1, '${{file:secret}}']
    headers: {{x-secret: sk-canary-header, authorization: Bearer sk-canary-override}}
    query: {{code: sk-canary-query}}
  - name: b
    protocol: anthropic
    url: {url}
    api_key: sk-canary-backend-b
    http_proxy: http://sk-canary-user:sk-canary-password@127.0.0.1:9
ledger: {{url: 'postgres://sk-canary-user:sk-canary-password@db.example/x'}}
cluster: {{redis: 'redis://:sk-canary-password@127.0.0.1:9'}}
logging: {{level: trace}}
models:
  m: {{routes: [{{backend: a}}, {{backend: b, priority: 2}}]}}
"
    )
}

#[test]
fn a20_no_command_shows_a_secret_whether_the_config_is_good_or_not() {
    let good = full_of_secrets("http://a.example");
    for (yaml, code) in [
        (good.clone(), 0),
        (good.replace("api_keys: [sk", "api_kyes: [sk"), 2),
        (good.replace("priority: 2", "priority: x"), 2),
        (
            good.replace("{name: one, key: sk-canary-client-one}", "sk-canary-client-one"),
            2,
        ),
        (
            good.replace("ledger: {url: 'postgres", "ledger: {url: 'postgrse"),
            2,
        ),
        (good.replace("redis: 'redis", "redis: 'rdeis"), 2),
        (good.replace("http_proxy: http", "http_proxy: htpp"), 2),
        (
            good.replace("{code: sk", "{code: [sk")
                .replace("query}", "query]}"),
            2,
        ),
    ] {
        let file = File::new(&yaml);
        for args in [&["check"][..], &["explain", "--model", "m", "--key", "one"]] {
            let output = file.run(args);
            let text = written(&output);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
            assert!(!text.contains("sk-canary"), "{args:?}: {text}");
        }
    }
}

#[tokio::test]
async fn a20_the_running_program_shows_no_secret_in_its_log_its_status_or_its_refusals() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let file = File::new("");
    let secret = file.0.join("secret").display().to_string();
    let good = full_of_secrets(&sim.url()).replace("file:secret", &format!("file:{secret}"));
    let proxy = Proxy::start(&good).await;
    let client = proxy
        .client()
        .header("x-api-key", "sk-canary-client-one")
        .header("cookie", "sk-canary-cookie");
    for answer in [
        Answer::healthy(),
        Answer::status(401),
        Answer::status(400).body(serde_json::json!({"error": {"message": "not sk-canary-override"}})),
        Answer::status(500),
    ] {
        sim.always(answer);
        client.chat("m", false).await;
        client.responses("m", true).await;
    }
    let off = proxy.client().header("x-api-key", "sk-canary-client-two");
    off.get("/v1/models?key=sk-canary-client-one").await.expect(401);
    for path in ["/", "/api/status", "/healthz"] {
        let text = Client::plain(proxy.admin()).get(path).await.text();
        assert!(!text.contains("sk-canary"), "{path}: {text}");
    }
    proxy.rewrite(&good.replace("api_keys: [sk", "api_kyes: [sk"));
    proxy.signal("-HUP");
    proxy.logged("is refused").await;
    let status = proxy.status().await.to_string();
    assert!(
        status.contains("api_kyes") && !status.contains("sk-canary"),
        "{status}"
    );
    proxy.finish().await;
}
