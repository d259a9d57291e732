//! The canary scan: a secret of each kind is planted wherever one can stand, backends repeat all that they were sent, and
//! everything that the program writes or answers is searched for each of them.
//!
//! Who adds a place where a secret can stand adds a row to [`SECRETS`] and plants it; who adds a place where the program
//! says something adds it to [`outlets`].

use std::fs;
use std::path::Path;
use std::process::Command;

use llm_sim::{Answer, Seen, Sim, Speaks};
use serde_json::{Value, json};

use super::support::collector::Collector;
use super::support::{Client, Proxy, Tongue, until};

/// Who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nobody, anywhere: it opens something.
    Opens,
    /// The model alone.
    Prompt,
    /// Who said it, and who runs the proxy: it may be in a backend's words, which the client is told and the log keeps the
    /// first of, and is in bodies where the operator asks for them. Nothing else ever says it.
    Said,
}

/// What is planted, and what it is. None looks like a key: the mask at the writer must not be what saves it.
const SECRETS: [(&str, &str, Kind); 16] = [
    ("a client's key", "plum-quince-client-one-7d1", Kind::Opens),
    (
        "a client's key that is off",
        "plum-quince-client-off-7d2",
        Kind::Opens,
    ),
    (
        "a key that somebody guesses",
        "plum-quince-client-guess-7d3",
        Kind::Opens,
    ),
    ("the admin key", "plum-quince-admin-key-7d4", Kind::Opens),
    ("a wrong admin key", "plum-quince-admin-guess-7d5", Kind::Opens),
    ("a backend's key", "plum-quince-backend-one-7d6", Kind::Opens),
    (
        "a backend's second key",
        "plum-quince-backend-two-7d7",
        Kind::Opens,
    ),
    ("a header of a backend", "plum-quince-header-7d8", Kind::Opens),
    ("a query of a backend", "plum-quince-query-7d9", Kind::Opens),
    ("the password of a proxy", "plum-quince-password-7da", Kind::Opens),
    ("a cookie", "plum-quince-cookie-7db", Kind::Opens),
    ("a key in a query", "plum-quince-in-a-query-7dc", Kind::Opens),
    (
        "a system prompt",
        "plum-quince is what the operator says 7dd",
        Kind::Prompt,
    ),
    ("a message", "plum-quince is what the client says 7de", Kind::Said),
    ("an e-mail address", "plum-quince-7df@people.example", Kind::Said),
    ("an argument of a tool", "plum-quince-tool-7e0", Kind::Said),
];

/// How many requests come as far as having their bodies read: those before telltale backends at least.
const BODIES: usize = 84;

/// The secret of that name.
fn secret(what: &str) -> &'static str {
    let found = SECRETS.iter().find(|(name, ..)| *name == what);
    found.unwrap_or_else(|| panic!("no secret is {what}")).1
}

fn config(sims: [&Sim; 2], level: &str) -> String {
    let [first, second] = sims.map(Sim::url);
    format!(
        "listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0, key: {admin}}}
api_keys:
  - {{name: one, key: {one}}}
  - {{name: off, key: {off}, enabled: false}}
backends:
  - name: a
    protocol: openai
    url: {first}
    api_keys: [{key}, {second_key}]
    headers: {{x-secret: {header}}}
    query: {{code: {query}}}
  - {{name: b, protocol: anthropic, url: {second}, api_key: {second_key}}}
  - {{name: tunnel, protocol: openai, url: {second}, api_key: {key}, http_proxy: 'http://user:{password}@127.0.0.1:9'}}
models:
  m: {{routes: [{{backend: a, priority: 1}}, {{backend: b, priority: 2}}]}}
  t: {{backend: tunnel}}
system_prompts: [{{text: '{prompt}'}}]
fallback: {{cooldown: 1ms, cooldown_max: 1ms, cooldowns: {{auth: 1ms, quota: 1ms, not_found: 1ms}}, retry_budget: 1}}
logging: {{level: {level}, file: {{dir: logs}}, bodies: all}}
ledger: {{url: 'sqlite:ledger/llm-proxy.db'}}
",
        admin = secret("the admin key"),
        one = secret("a client's key"),
        off = secret("a client's key that is off"),
        key = secret("a backend's key"),
        second_key = secret("a backend's second key"),
        header = secret("a header of a backend"),
        query = secret("a query of a backend"),
        password = secret("the password of a proxy"),
        prompt = secret("a system prompt"),
    )
}

/// All that a backend was sent, in its own words. The log keeps the first of them, so either half comes first.
fn repeated(seen: &Seen, body_first: bool) -> String {
    let body = String::from_utf8_lossy(&seen.body);
    let head = format!("{:?} {:?} {}", seen.query, seen.headers, seen.path);
    if body_first {
        format!("I was sent {body} {head}")
    } else {
        format!("I was sent {head} {body}")
    }
}

/// A backend that repeats what it was sent: in errors of every status, in a stream that breaks, in its answer's headers.
fn telltale(tongue: Tongue, how: usize) -> impl Fn(&Seen) -> Answer + Send + Sync + 'static {
    move |seen| {
        let words = repeated(seen, how.is_multiple_of(2));
        let error = |status| {
            let body = json!({"type": "error", "error": {"type": "x", "code": "x", "message": words}});
            Answer::status(status).body(body)
        };
        match how / 2 {
            0 => error(401),
            1 => error(500),
            2 => error(400),
            3 => error(429),
            4 => {
                let event = tongue.error("api_error", &words);
                Answer::events([tongue.begun(2), vec![event]].concat())
            }
            5 => Answer::events(vec![tongue.error("overloaded_error", &words)]),
            _ => Answer::healthy(),
        }
    }
}

/// A request that holds all that a client can say.
fn request(tongue: Tongue, model: &str, stream: bool) -> Value {
    let mut body = tongue.request(model, stream);
    let said = format!("{}, {}", secret("a message"), secret("an e-mail address"));
    let tool = secret("an argument of a tool");
    let field = if tongue == Tongue::Responses {
        "input"
    } else {
        "messages"
    };
    body[field] = json!([{"role": "user", "content": said}]);
    body["metadata"] = json!({"user_id": secret("an e-mail address")});
    body["tools"] = match tongue {
        Tongue::Chat => {
            json!([{"type": "function", "function": {"name": "f", "description": tool, "parameters": {"type": "object"}}}])
        }
        Tongue::Responses => {
            json!([{"type": "function", "name": "f", "description": tool, "parameters": {"type": "object"}, "strict": false}])
        }
        Tongue::Messages => json!([{"name": "f", "description": tool, "input_schema": {"type": "object"}}]),
    };
    body
}

/// Every dialect, before backends that repeat everything in every way, and everybody who is turned away.
async fn traffic(sims: [&Sim; 2], proxy: &Proxy) {
    let client = |key| {
        proxy
            .client()
            .header("x-api-key", secret(key))
            .header("cookie", secret("a cookie"))
    };
    for how in 0..14 {
        for tongue in Tongue::ALL {
            sims[0].script(telltale(tongue, how));
            sims[1].script(telltale(Tongue::Messages, how));
            for stream in [false, true] {
                let body = request(tongue, "m", stream);
                client("a client's key").post(tongue.path(), &body).await;
            }
        }
    }
    for tongue in Tongue::ALL {
        for (key, model) in [
            ("a client's key that is off", "m"),
            ("a key that somebody guesses", "m"),
            ("the admin key", "m"),
            ("a backend's key", "m"),
            ("a client's key", "nowhere"),
            ("a client's key", "t"),
        ] {
            client(key)
                .post(tongue.path(), &request(tongue, model, false))
                .await;
        }
        let path = format!("{}?key={}", tongue.path(), secret("a key in a query"));
        client("a client's key")
            .send("POST", &path, b"{\"model\": 7}")
            .await
            .expect(400);
    }
    let unknown = format!("/v1/{}", secret("a key in a query"));
    client("a client's key").get(&unknown).await.expect(404);
}

fn admin(proxy: &Proxy, key: &str) -> Client {
    Client::plain(proxy.admin()).header("authorization", &format!("Bearer {}", secret(key)))
}

/// All that stands in the files of a folder, one after the other.
fn files(dir: &Path) -> String {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.is_file())
        .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
        .collect()
}

/// What a command says of the running proxy's config.
fn said(proxy: &Proxy, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-proxy"));
    let output = command
        .args(args)
        .arg("-c")
        .arg(proxy.dir().join("config.yaml"))
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// Everything that the program says, and the kinds of what may be in it.
async fn outlets(proxy: &Proxy) -> Vec<(&'static str, String, &'static [Kind])> {
    const NONE: &[Kind] = &[];
    const SAID: &[Kind] = &[Kind::Said];
    let asked = async |path: &str| admin(proxy, "the admin key").get(path).await.expect(200).text();
    let received = String::from_utf8_lossy(&proxy.received()).into_owned();
    let explained = said(proxy, &["explain", "--model", "m", "--key", "one"]);
    // `explain` is the operator's, and shows him what he has written.
    let explained = explained.replace(secret("a system prompt"), "");
    vec![
        ("standard error", proxy.log().join("\n"), SAID),
        ("the log file", files(&proxy.dir().join("logs")), SAID),
        ("the bodies", files(&proxy.dir().join("logs/bodies")), SAID),
        ("all answers", received, SAID),
        ("the ledger", files(&proxy.dir().join("ledger")), NONE),
        ("/api/usage", asked("/api/usage?by=model").await, NONE),
        ("/metrics", asked("/metrics").await, NONE),
        ("/api/status", asked("/api/status").await, NONE),
        ("/api/requests", asked("/api/requests?limit=256").await, NONE),
        ("the dashboard", asked("/").await, NONE),
        (
            "a refusal of the admin listener",
            admin(proxy, "a wrong admin key")
                .get("/api/status")
                .await
                .expect(401)
                .text(),
            NONE,
        ),
        ("check", said(proxy, &["check"]), NONE),
        ("explain", explained, NONE),
        ("usage", said(proxy, &["usage", "--by", "model"]), NONE),
    ]
}

/// No secret is in this outlet but what may be.
fn search((outlet, text, may): (&str, String, &[Kind]), level: &str) {
    assert!(text.len() > 20, "{outlet} says nothing: {text}");
    for (what, secret, kind) in SECRETS {
        let at = text.find(secret).filter(|_| !may.contains(&kind));
        let around = at.map(|at| text[text.floor_char_boundary(at.saturating_sub(300))..at].to_owned());
        assert_eq!(around, None, "{what} is in {outlet} (level {level})");
    }
}

/// What a backend has seen, as it repeats it.
fn planted(sim: &Sim) -> String {
    sim.seen().iter().map(|seen| repeated(seen, true)).collect()
}

/// Every secret has been where it could come out from.
fn all_planted(planted: &str) {
    let missing = |(_, text, kind): &(&str, &str, Kind)| *kind != Kind::Opens && !planted.contains(text);
    assert_eq!(SECRETS.into_iter().find(missing), None, "it was never planted");
}

/// Waits until the bodies and the ledger hold what they will.
async fn written(proxy: &Proxy) {
    until("the bodies", async || {
        let kept = fs::read_dir(proxy.dir().join("logs/bodies")).ok()?.count();
        (kept >= BODIES).then_some(())
    })
    .await;
    until("the ledger", async || {
        let usage = admin(proxy, "the admin key").get("/api/usage").await.json();
        (usage["ledger"]["pending"] == 0 && usage["total"]["requests"].as_u64() > Some(84)).then_some(())
    })
    .await;
}

/// What a collector is told of the requests.
async fn exported(collector: &Collector) -> String {
    collector.took(BODIES).await;
    let came = collector.came().into_iter();
    came.map(|came| String::from_utf8_lossy(&came.message).into_owned())
        .collect()
}

/// Nothing is where it may not be.
async fn scan(level: &str) {
    let first = Sim::start(Speaks::All).await.unwrap();
    let second = Sim::start(Speaks::Messages).await.unwrap();
    let collector = Collector::start().await;
    let yaml = config([&first, &second], level) + &format!("telemetry: {{otlp: '{}'}}\n", collector.url());
    let mut proxy = Proxy::start(&yaml).await;
    proxy.expects_masks();
    traffic([&first, &second], &proxy).await;
    let planted = [&first, &second].map(planted).concat();
    all_planted(&(yaml + &planted));
    for status in ["/api/reload", "/api/backends/a/reset"] {
        admin(&proxy, "the admin key")
            .send("POST", status, b"")
            .await
            .expect(200);
    }
    proxy.recorded(proxy.lines_due()).await;
    written(&proxy).await;
    for outlet in outlets(&proxy).await {
        search(outlet, level);
    }
    search(
        ("what a collector is told", exported(&collector).await, &[]),
        level,
    );
    proxy.signal("-TERM");
    proxy.ended().await;
    proxy.finish_ended().await;
}

#[tokio::test]
async fn a20_no_secret_comes_out_anywhere() {
    scan("info").await;
}

#[tokio::test]
async fn a20_no_secret_comes_out_where_the_operator_asks_for_more() {
    scan("debug").await;
}
